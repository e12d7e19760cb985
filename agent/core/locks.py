"""Releasing a plug because the CSMS wants it (1.6 2.2 UnlockConnector, 2.0.1 F05).

    request ──► a transaction that has to end first ends ──► the contactor opens
                                                                 │
              answer: unlocked ◄── the lock shows open ◄─────────┤
              answer: failed, and a warning ◄── it does not ─────┘

While a plug is being released, `targets` hold it for nothing else. A lock without feedback is
believed once the contactor is open. One that did not open is told as a warning beside the
connector's status until it opens, or the plug is gone.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Done, Reply, Verdict
from agent.core.events import (
    AuthorizationWithdrawn,
    Event,
    PlugReleased,
    PowerUp,
    StopGranted,
    UnlockRequested,
)
from agent.core.states import Active, Authorized, Evse, Resuming
from agent.core.turn import Context, Turn
from agent.core.values import Stamp, StopReason, Trigger, Value

ACTUATOR_S = 5.0
"""How long a lock may take (1.6 reference 2.2)."""

ENDING_S = 10.0
"""How long a transaction may take to open its contactor."""


class Release(Value, frozen=True):
    """Requests for one plug.

    Attributes:
        until_s: when the wait is over, monotonic seconds.
    """

    request_ids: tuple[int, ...]
    since: Stamp
    until_s: float


class Locks(Value, frozen=True):
    """The slice of this block.

    Attributes:
        releases: by EVSE.
        stuck: EVSEs whose lock did not open when it should.
    """

    releases: Mapping[int, Release] = {}
    stuck: frozenset[int] = frozenset()


def fixed(evses: Mapping[int, Evse]) -> Mapping[str, str]:
    """Return the settings that have no choice: without a socket there is no plug to release.

    An EVSE that has not told what it is may have one (1.6 reference 4.8).
    """
    if evses and all(evse.inputs.is_tethered for evse in evses.values()):
        return {variables.UNLOCK_ON_EV_DISCONNECT.name: "false"}
    return {}


def deadline_s(state: Locks) -> float | None:
    """Return when the wait for the first lock is over."""
    return min((item.until_s for item in state.releases.values()), default=None)


def step(state: Locks, event: Event, context: Context) -> Turn[Locks]:
    """Advance the releases by one event."""
    match event:
        case PowerUp():
            return Turn(Locks())
        case UnlockRequested():
            return _requested(state, event, context)
        case _ if state.releases or state.stuck:
            return _settled(state, context)
        case _:
            return Turn(state)


def _requested(state: Locks, event: UnlockRequested, context: Context) -> Turn[Locks]:
    evse = context.evses.get(event.evse_id)
    if evse is None or not 1 <= event.connector_id <= evse.spec.connectors:
        return _answered(state, event, Verdict.UNKNOWN_EVSE, "UnknownConnectorId")
    if not evse.inputs.has_lock:
        return _answered(state, event, Verdict.NOT_SUPPORTED, "FixedCable")
    is_used = event.connector_id == evse.inputs.connector_id
    if is_used and evse.transaction is not None and not event.stops:
        return _answered(state, event, Verdict.OCCUPIED, "TxInProgress")
    if not is_used:
        return _answered(state, event, Verdict.ACCEPTED)
    before = state.releases.get(event.evse_id)
    if before is not None:
        both = replace(before, request_ids=(*before.request_ids, event.request_id))
        return Turn(replace(state, releases={**state.releases, event.evse_id: both}))
    begun = _begun(state, event, evse, context)
    if evse.transaction is not None:
        return begun
    settled = _settled(begun.state, context)  # perhaps nothing holds it
    return Turn(settled.state, settled.effects, (*begun.raised, *settled.raised))


def _answered(
    state: Locks, event: UnlockRequested, verdict: Verdict, reason: str = ""
) -> Turn[Locks]:
    return Turn(state, (Reply(event.request_id, Done(verdict, reason)),))


def _begun(state: Locks, event: UnlockRequested, evse: Evse, context: Context) -> Turn[Locks]:
    """Let go of the plug; whoever charges, or was about to, is done first."""
    raised: tuple[Event, ...] = ()
    wait_s = ACTUATOR_S
    match evse.session:
        case Active() | Resuming():
            why = Trigger.UNLOCK_COMMAND
            raised = (StopGranted(event.evse_id, StopReason.UNLOCK_COMMAND, why),)
            wait_s += ENDING_S
        case Authorized():
            raised = (AuthorizationWithdrawn(event.evse_id),)
        case _:
            pass
    release = Release((event.request_id,), context.now, context.now.monotonic_s + wait_s)
    releases = {**state.releases, event.evse_id: release}
    return Turn(replace(state, releases=releases), (), raised)


def _settled(state: Locks, context: Context) -> Turn[Locks]:
    """Answer for the plugs that are free now, and for those that will not be."""
    effects: list[Reply] = []
    raised: list[Event] = []
    for evse_id, release in state.releases.items():
        is_free = _is_free(context.evses[evse_id])
        if not is_free and context.now.monotonic_s < release.until_s:
            continue
        verdict = Verdict.ACCEPTED if is_free else Verdict.REJECTED
        effects += [Reply(number, Done(verdict)) for number in release.request_ids]
        raised.append(PlugReleased(evse_id))
        left = {key: item for key, item in state.releases.items() if key != evse_id}
        stuck = state.stuck if is_free else state.stuck | {evse_id}
        state = replace(state, releases=left, stuck=stuck)
    freed = frozenset(evse_id for evse_id in state.stuck if _is_free(context.evses[evse_id]))
    if freed:
        state = replace(state, stuck=state.stuck - freed)
    return Turn(state, tuple(effects), tuple(raised))


def _is_free(evse: Evse) -> bool:
    """Tell whether nothing holds the plug, as far as the hardware can say."""
    inputs = evse.inputs
    return inputs.is_closed is False and inputs.is_locked is not True
