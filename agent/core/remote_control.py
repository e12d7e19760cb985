"""Remote start and stop (OCPP 2.0.1 F01-F03; 1.6 2.2 of the reference).

"Accepted" promises an attempt, not a transaction: the token may still have to be authorized
and the vehicle may still have to come.
"""

from agent.core import variables
from agent.core.effects import Done, Effect, Reply, Verdict
from agent.core.events import (
    Event,
    RemoteStartRequested,
    RemoteStopRequested,
    RemoteTokenOffered,
    StopGranted,
    TokenAccepted,
)
from agent.core.states import Authorized, Evse, Finished, Idle
from agent.core.turn import Context, Turn
from agent.core.values import StopReason, Trigger
from hal.types import TokenType

_CANNOT_BE_ASKED = frozenset({TokenType.CENTRAL, TokenType.NO_AUTHORIZATION})


def step(event: Event, context: Context) -> Turn[None]:
    """Decide about a request; this block remembers nothing."""
    match event:
        case RemoteStartRequested():
            return _start(event, context)
        case RemoteStopRequested():
            return _stop(event, context)
        case _:
            return Turn(None)


def _start(event: RemoteStartRequested, context: Context) -> Turn[None]:
    if not context.is_online:
        return _refused(event.request_id, "CSNotAccepted")
    if event.evse_id is not None and event.evse_id not in context.evses:
        done = Done(Verdict.UNKNOWN_EVSE, "UnknownEvse")
        return Turn(None, (Reply(event.request_id, done),))
    evse = context.evses[event.evse_id] if event.evse_id else _chosen(context)
    if evse is None:
        return _refused(event.request_id, "NoFreeEvse")
    refusal = context.refusal(evse.spec.evse_id)
    if refusal:
        return _refused(event.request_id, refusal)
    match evse.session:
        case Authorized(id_token=waiting) if waiting.key == event.id_token.key:
            return Turn(None, (_accepted(event.request_id),))  # asked twice: one attempt
        case Idle() | Finished():
            return Turn(None, (_accepted(event.request_id),), (_offer(event, evse, context),))
        case _:
            return _refused(event.request_id, "TxInProgress")


def _offer(
    event: RemoteStartRequested, evse: Evse, context: Context
) -> TokenAccepted | RemoteTokenOffered:
    evse_id = evse.spec.evse_id
    asked = context.settings.flag(variables.AUTHORIZE_REMOTE_START)
    if asked and event.id_token.type not in _CANNOT_BE_ASKED:
        return RemoteTokenOffered(evse_id, event.id_token, event.group, event.remote_start_id)
    return TokenAccepted(
        evse_id,
        event.id_token,
        group=event.group,
        remote_start_id=event.remote_start_id,
        is_remote=True,
    )


def _chosen(context: Context) -> Evse | None:
    """Choose where to start: a connected vehicle without authorization, else the one free EVSE.

    With several free EVSEs and no vehicle the request is ambiguous and refused (1.6
    reference 2.2, RemoteStartTransaction).
    """
    free = [
        evse
        for evse_id, evse in context.evses.items()
        if isinstance(evse.session, Idle | Finished) and not context.refusal(evse_id)
    ]
    waiting = [
        evse for evse in free if evse.inputs.is_plugged and isinstance(evse.session, Idle)
    ]
    if waiting:
        return waiting[0]
    return free[0] if len(free) == 1 else None


def _stop(event: RemoteStopRequested, context: Context) -> Turn[None]:
    if not context.is_online:
        return _refused(event.request_id, "CSNotAccepted")
    for evse_id, evse in context.evses.items():
        transaction = evse.transaction
        if transaction is None:
            continue
        remote_id = context.remote_ids.get(transaction.transaction_id)
        by_number = event.remote_id is not None and event.remote_id == remote_id
        if by_number or transaction.transaction_id == event.transaction_id:
            granted = StopGranted(evse_id, StopReason.REMOTE, Trigger.REMOTE_STOP)
            return Turn(None, (_accepted(event.request_id),), (granted,))
    return _refused(event.request_id, "TxNotFound")


def _accepted(request_id: int) -> Reply:
    return Reply(request_id, Done(Verdict.ACCEPTED))


def _refused(request_id: int, reason: str) -> Turn[None]:
    effects: tuple[Effect, ...] = (Reply(request_id, Done(Verdict.REJECTED, reason)),)
    return Turn(None, effects)
