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
from agent.core.smart_charging.acceptance import START_RULES, checked
from agent.core.smart_charging.offer import Offer, Refusal, bounds
from agent.core.smart_charging.profile import Profile
from agent.core.standing import UNASKED, digest
from agent.core.states import Authorized, Evse, Finished, Idle
from agent.core.turn import Context, Turn
from agent.core.values import StopReason, Trigger


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
    evse = context.evses[event.evse_id] if event.evse_id else _chosen(event, context)
    if evse is None:
        return _refused(event.request_id, "NoFreeEvse")
    refusal = context.refusal(evse.spec.evse_id) or _barred(event, evse.spec.evse_id, context)
    if refusal:
        return _refused(event.request_id, refusal)
    profile = _profile(event, evse, context)
    if isinstance(profile, Refusal):
        return _refused(event.request_id, profile.reason, profile.info)
    match evse.session:
        case Authorized(id_token=waiting) if waiting.key == event.id_token.key:
            # Asked twice: one attempt, under the profile that came last.
            accepted = (_accepted(event.request_id),)
            return Turn(None, accepted, (_granted(event, evse, profile, context),))
        case Idle() | Finished():
            offer = _offer(event, evse, profile, context)
            return Turn(None, (_accepted(event.request_id),), (offer,))
        case _:
            return _refused(event.request_id, "TxInProgress")


def _barred(event: RemoteStartRequested, evse_id: int, context: Context) -> str | None:
    """Return why this token cannot begin here beside others, None if it can.

    A token that will be authorized may turn out to belong to the group that the EVSE is kept
    for.
    """
    if context.checking.get(evse_id, event.id_token.key) != event.id_token.key:
        return "TxInProgress"  # another token is being checked
    if not context.is_barred(evse_id, event.id_token, _group(event, context)):
        return None
    may_belong = event.group is None and context.is_kept_for_group(evse_id)
    return None if may_belong and _is_authorized_first(event, context) else "Occupied"


def _group(event: RemoteStartRequested, context: Context) -> str | None:
    """Return the group that the request names, or else the local list."""
    listed = context.listed.get(digest(event.id_token))
    return event.group or (listed.group if listed else None)


def _is_authorized_first(event: RemoteStartRequested, context: Context) -> bool:
    asked = context.settings.flag(variables.AUTHORIZE_REMOTE_START)
    return asked and event.id_token.type not in UNASKED


def _offer(
    event: RemoteStartRequested, evse: Evse, profile: Profile | None, context: Context
) -> TokenAccepted | RemoteTokenOffered:
    evse_id = evse.spec.evse_id
    if _is_authorized_first(event, context):
        return RemoteTokenOffered(
            evse_id, event.id_token, event.group, event.remote_start_id, profile
        )
    return _granted(event, evse, profile, context)


def _granted(
    event: RemoteStartRequested, evse: Evse, profile: Profile | None, context: Context
) -> TokenAccepted:
    return TokenAccepted(
        evse.spec.evse_id,
        event.id_token,
        group=_group(event, context),
        remote_start_id=event.remote_start_id,
        is_remote=True,
        profile=profile,
    )


def _profile(
    event: RemoteStartRequested, evse: Evse, context: Context
) -> Profile | Refusal | None:
    """Return the profile for the transaction to come, as it can be installed (K05)."""
    if event.profile is None:
        return None
    offer = Offer(
        evse_id=evse.spec.evse_id,
        profile=event.profile,
        specs={evse.spec.evse_id: evse.spec},
        transactions={},
        book=context.profiles,
        bounds=bounds(context.settings),
        now_s=None if context.now.wall_s is None else int(context.now.wall_s),
        lenient=event.lenient,
        names_transaction=event.profile.transaction_id is not None,
    )
    found = checked(offer, START_RULES)
    return found if isinstance(found, Refusal) else found.profile


def _chosen(event: RemoteStartRequested, context: Context) -> Evse | None:
    """Choose where to start.

    The EVSE that is reserved for the token, else a connected vehicle without authorization,
    else the one free EVSE. With several free EVSEs and no vehicle the request is ambiguous and
    refused (1.6 reference 2.2, RemoteStartTransaction).
    """
    free = [
        evse
        for evse_id, evse in context.evses.items()
        if isinstance(evse.session, Idle | Finished)
        and not context.refusal(evse_id)
        and not _barred(event, evse_id, context)
    ]
    reserved = [evse for evse in free if evse.spec.evse_id in context.held]
    waiting = [
        evse for evse in free if evse.inputs.is_plugged and isinstance(evse.session, Idle)
    ]
    if reserved or waiting:
        return (reserved or waiting)[0]
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


def _refused(request_id: int, reason: str, info: str = "") -> Turn[None]:
    effects: tuple[Effect, ...] = (Reply(request_id, Done(Verdict.REJECTED, reason, info)),)
    return Turn(None, effects)
