"""Operative or not, and the status of every connector (OCPP 2.0.1 block G; 1.6 chapter 3).

Three levels are stored apart: station, EVSE, connector. What is inoperative at any of them is
inoperative (2.0.1 G03.FR.07). A change that meets a running transaction waits for its end;
what else lies in its scope is inoperative at once (2.0.1 G04.FR.06).

Statuses are levels too: after every step the present ones are compared with what the CSMS was
told last, and the differences are told. What changes while offline and changes back is never
told; what differs after a reconnect is. A CSMS that accepts the station anew is told everything
(2.0.1 B01.FR.05).
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Done, Reply, StatusReported, Verdict
from agent.core.events import (
    AvailabilityChanged,
    AvailabilityRequested,
    BootAnswered,
    Event,
    LinkDown,
    LinkUp,
    MessageFailed,
    PowerUp,
    Registered,
    StatusAcknowledged,
    TransactionClosed,
    TriggerKind,
    TriggerRequested,
)
from agent.core.setpoint import PAUSE, RAMP, why_paused
from agent.core.states import Active, Authorized, Ending, Evse, Finished, Idle, Resuming
from agent.core.turn import Context, Turn
from agent.core.values import (
    ChargingState,
    ConnectorStatus,
    RegistrationStatus,
    SessionPhase,
    Stamp,
    Value,
)
from agent.core.variables import Settings
from hal.types import Fault, PilotState

STATION = "station"

LIST_CONFLICT = "LocalListConflict"
"""Warning of the station when the CSMS contradicts its own local list (1.6 3.2)."""

Key = tuple[int, int]
"""EVSE and connector; (0, 0) is the station."""


class Settling(Value, frozen=True):
    """A status that has to last before it is told (1.6 3.4)."""

    status: ConnectorStatus
    since: Stamp


class Availability(Value, frozen=True):
    """The slice of this block.

    Attributes:
        inoperative: scopes that are switched off: "station", "1", "1.2".
        scheduled: scopes that will be, once their transactions are over.
        told: the status last told on this link, by connector.
        acknowledged: the status the CSMS knows, by connector.
        failed: connectors whose status is told for the second time, after an error or no
            answer; a third time would go on for ever.
        outage_from_s: when the link was lost, monotonic seconds; None while it is up.
        restates: the spoken version asks for every status after a long outage.
        wanted: what the CSMS wants to be told in this step, whether it changed or not.
        settling: changes that are not told yet, by connector.
    """

    inoperative: frozenset[str] = frozenset()
    scheduled: frozenset[str] = frozenset()
    told: Mapping[Key, ConnectorStatus] = {}
    acknowledged: Mapping[Key, ConnectorStatus] = {}
    failed: frozenset[Key] = frozenset()
    outage_from_s: float | None = None
    restates: bool = False
    wanted: frozenset[Key] = frozenset()
    settling: Mapping[Key, Settling] = {}


def scope(evse_id: int | None, connector_id: int | None) -> str:
    """Return the name of a level."""
    if not evse_id:
        return STATION
    return f"{evse_id}.{connector_id}" if connector_id else str(evse_id)


def is_operative(state: Availability, evse: Evse, connector_id: int) -> bool:
    """Tell whether a connector is operative at all levels.

    What is scheduled spares only the connector with the transaction that it waits for.
    """
    if not state.inoperative and not state.scheduled:
        return True
    evse_id = evse.spec.evse_id
    levels = {STATION, scope(evse_id, None), scope(evse_id, connector_id)}
    is_busy = evse.transaction is not None and connector_id == evse.inputs.connector_id
    return not levels & (state.inoperative if is_busy else state.inoperative | state.scheduled)


def operative_evses(state: Availability, evses: Mapping[int, Evse]) -> frozenset[int]:
    """Return the EVSEs where charging may begin: the connector in use is operative."""
    if not (state.inoperative or state.scheduled):
        return frozenset(evses)
    return frozenset(
        evse_id
        for evse_id, evse in evses.items()
        if is_operative(state, evse, evse.inputs.connector_id)
    )


def deadline_s(state: Availability, settings: Settings) -> float | None:
    """Return when the first change has lasted long enough, monotonic seconds."""
    if not state.settling:
        return None
    lasts_s = settings.integer(variables.MINIMUM_STATUS)
    instants = (item.since.monotonic_s + lasts_s for item in state.settling.values())
    return min(instants)


def step(state: Availability, event: Event, context: Context) -> Turn[Availability]:
    """Advance availability by one event."""
    match event:
        case PowerUp():
            kept = Availability(inoperative=state.inoperative, scheduled=state.scheduled)
            return Turn(_executed(kept, context))
        case AvailabilityRequested():
            return _requested(state, event, context)
        case TransactionClosed():
            return _changed(state, _executed(state, context))
        case LinkUp(restates_status=restates):
            return Turn(replace(state, restates=restates))
        case LinkDown():
            if state.outage_from_s is not None:
                return Turn(state)
            return Turn(_unlinked(state, context.now.monotonic_s))
        case BootAnswered(status=RegistrationStatus.ACCEPTED):
            return Turn(replace(state, told={}, acknowledged={}))
        case Registered():
            return Turn(_registered(state, context))
        case StatusAcknowledged(status=status):
            return Turn(_acknowledged(state, status))
        case MessageFailed(message=StatusReported(status=status)):
            return Turn(_failed(state, status))
        case TriggerRequested(kind=TriggerKind.STATUS):
            return _triggered(state, event, context)
        case _:
            return Turn(state)


def _unlinked(state: Availability, now_s: float) -> Availability:
    """Keep what the CSMS surely knows: what was told and not acknowledged may have arrived."""
    sure = {
        key: status
        for key, status in state.acknowledged.items()
        if state.told.get(key, status) == status
    }
    return replace(state, told=sure, acknowledged=sure, failed=frozenset(), outage_from_s=now_s)


def _acknowledged(state: Availability, status: ConnectorStatus) -> Availability:
    key = (status.evse_id, status.connector_id)
    acknowledged = {**state.acknowledged, key: status}
    return replace(state, acknowledged=acknowledged, failed=state.failed - {key})


def _failed(state: Availability, status: ConnectorStatus) -> Availability:
    """Forget that a status was told, so that the present one is told once more (1.6 3.5).

    One that a later status has superseded is past: the later one is on its way.
    """
    key = (status.evse_id, status.connector_id)
    if key in state.failed or state.told.get(key) != status:
        return state
    told = {other: item for other, item in state.told.items() if other != key}
    if key in state.acknowledged:
        told[key] = state.acknowledged[key]
    return replace(state, told=told, failed=state.failed | {key})


def _registered(state: Availability, context: Context) -> Availability:
    since = state.outage_from_s
    threshold = context.settings.integer(variables.OFFLINE_THRESHOLD)
    is_long = since is not None and context.now.monotonic_s - since > threshold
    restates = context.settings.flag(variables.STATUS_ON_RECONNECT)
    if restates or (state.restates and is_long):
        state = replace(state, told={}, acknowledged={})
    return replace(state, outage_from_s=None)


# --- changing ---


def _requested(
    state: Availability, event: AvailabilityRequested, context: Context
) -> Turn[Availability]:
    affected = [
        evse
        for evse_id, evse in context.evses.items()
        if not event.evse_id or evse_id == event.evse_id
    ]
    if not affected or not _is_connector(event, affected[0]):
        done = Done(Verdict.REJECTED, "UnknownEvse")
        return Turn(state, (Reply(event.request_id, done),))
    before, name = state, scope(event.evse_id, event.connector_id)
    verdict = Verdict.ACCEPTED
    if event.operative:
        state = replace(
            state, inoperative=state.inoperative - {name}, scheduled=state.scheduled - {name}
        )
    elif name not in state.inoperative:
        state = _executed(replace(state, scheduled=state.scheduled | {name}), context)
        verdict = Verdict.SCHEDULED if name in state.scheduled else Verdict.ACCEPTED
    return _changed(before, state, Reply(event.request_id, Done(verdict)))


def _changed(before: Availability, after: Availability, *effects: Reply) -> Turn[Availability]:
    """Let the other blocks know if something is operative that was not, or the reverse."""
    levels = (before.inoperative, before.scheduled), (after.inoperative, after.scheduled)
    return Turn(after, effects, (AvailabilityChanged(),) if levels[0] != levels[1] else ())


def _is_connector(event: AvailabilityRequested, evse: Evse) -> bool:
    """Tell whether the request names no connector, or one that exists."""
    if not event.connector_id:
        return True
    return bool(event.evse_id) and 1 <= event.connector_id <= evse.spec.connectors


def _executed(state: Availability, context: Context) -> Availability:
    """Execute what is scheduled as far as no transaction stands in its way."""
    busy = {
        name
        for evse_id, evse in context.evses.items()
        if evse.transaction is not None
        for name in (
            STATION,
            scope(evse_id, None),
            scope(evse_id, evse.transaction.connector_id),
        )
    }
    done = state.scheduled - busy
    if not done:
        return state
    return replace(
        state, inoperative=state.inoperative | done, scheduled=state.scheduled - done
    )


# --- telling ---


def _triggered(
    state: Availability, event: TriggerRequested, context: Context
) -> Turn[Availability]:
    """Have one status told, or all of them (1.6 2.2 TriggerMessage, 2.0.1 F06.FR.11)."""
    everything = {(0, 0)} | {
        (evse_id, connector_id)
        for evse_id, evse in context.evses.items()
        for connector_id in range(1, evse.spec.connectors + 1)
    }
    wanted = {
        key
        for key in everything
        if event.evse_id in (None, key[0]) and event.connector_id in (None, key[1])
    }
    if not wanted:
        done = Done(Verdict.REJECTED, "UnknownEvse")
        return Turn(state, (Reply(event.request_id, done),))
    accepted = Reply(event.request_id, Done(Verdict.ACCEPTED))
    return Turn(replace(state, wanted=frozenset(wanted)), (accepted,))


_PHASES: Final = {
    ChargingState.CHARGING: SessionPhase.CHARGING,
    ChargingState.SUSPENDED_EV: SessionPhase.SUSPENDED_EV,
    ChargingState.SUSPENDED_EVSE: SessionPhase.SUSPENDED_EVSE,
    ChargingState.EV_CONNECTED: SessionPhase.PREPARING,
    ChargingState.IDLE: SessionPhase.FINISHING,
}


_ENDING: Final = (PAUSE, RAMP)
"""What holds an offer back when the limit that forbade it is gone."""


def phase(evse: Evse) -> SessionPhase:
    """Return where the session stands, as far as everybody may know."""
    match evse.session:
        case Active(transaction=transaction):
            return _PHASES[transaction.charging_state]
        case Authorized():
            return SessionPhase.PREPARING
        case Ending() | Resuming() | Finished():
            return SessionPhase.FINISHING
        case _:
            return SessionPhase.PREPARING if evse.inputs.is_plugged else SessionPhase.FREE


def statuses(
    state: Availability,
    evses: Mapping[int, Evse],
    *,
    storage_ok: bool,
    is_closing: bool,
    conflicts: int = 0,
    held: Collection[int] = (),
    stuck: Collection[int] = (),
) -> Iterator[ConnectorStatus]:
    """Yield the present status of the station and of every connector.

    Args:
        storage_ok: False shows every connector as faulted: nothing can be billed.
        is_closing: a reset pends; what is free is not available any more.
        conflicts: tokens of the local list that the CSMS refuses.
        held: EVSEs that are kept free for somebody; one that has come is seen to be there.
        stuck: EVSEs whose lock did not open when it should.
    """
    storage_fault = None if storage_ok else "InternalError"
    info = "" if storage_ok else "storage cannot write"
    conflict = f"{conflicts} listed tokens are refused" if conflicts and storage_ok else ""
    yield ConnectorStatus(
        0,
        0,
        is_plugged=False,
        phase=SessionPhase.FREE,
        is_operative=STATION not in state.inoperative and not is_closing,
        fault=storage_fault,
        info=conflict or info,
        warning=LIST_CONFLICT if conflict else None,
    )
    for evse_id, evse in evses.items():
        blocking = evse.inputs.blocking
        fault = blocking.fault.value if blocking else storage_fault
        for connector_id in range(1, evse.spec.connectors + 1):
            is_used = connector_id == evse.inputs.connector_id
            is_open = is_operative(state, evse, connector_id)
            current = phase(evse) if is_used else SessionPhase.FREE
            is_busy = evse.transaction is not None and is_used
            told = state.told.get((evse_id, connector_id))
            yield ConnectorStatus(
                evse_id=evse_id,
                connector_id=connector_id,
                is_plugged=is_used and evse.inputs.is_plugged,
                phase=current,
                is_operative=is_busy or (is_open and not is_closing),
                fault=fault,
                warning=_warning(evse, is_stuck=is_used and evse_id in stuck),
                info=(blocking.info if blocking else info or _pause(evse, current, told))[:50],
                is_reserved=evse_id in held and isinstance(evse.session, Idle),
            )


def _warning(evse: Evse, *, is_stuck: bool) -> str | None:
    """Return what is wrong and prevents nothing."""
    if is_stuck:
        return Fault.CONNECTOR_LOCK_FAILURE.value
    warning = evse.inputs.warning
    return warning.fault.value if warning else None


def _pause(evse: Evse, current: SessionPhase, told: ConnectorStatus | None) -> str:
    """Return why energy is paused, empty when it is not or nobody need know.

    The words for a vehicle that left are those of the certification (1.6 3.3). While a pause
    comes to its end the reason that was told for it stands.
    """
    if isinstance(evse.session, Active) and evse.inputs.pilot is PilotState.A:
        return "EV side disconnected" if current is SessionPhase.SUSPENDED_EV else ""
    if current is not SessionPhase.SUSPENDED_EVSE:
        return ""
    origin = why_paused(evse)
    is_ending = origin in _ENDING or (not origin and evse.supply.offer_ma > 0)
    if is_ending and told and told.phase is current and told.fault is None:
        return told.info
    return f"paused by limit: {origin}" if origin else ""


def answered(
    present: Iterable[ConnectorStatus], releasing: Container[int], wanted: Container[Key]
) -> Iterator[ConnectorStatus]:
    """Yield the statuses that may be told now.

    A plug that is being released is answered for before its status is told (1.6 TC_018_1);
    a fault waits for no answer, and neither does what the CSMS wants to hear.
    """
    for status in present:
        waits = status.evse_id in releasing and status.fault is None
        if not waits or (status.evse_id, status.connector_id) in wanted:
            yield status


def observed(
    state: Availability, present: Iterator[ConnectorStatus], context: Context
) -> tuple[Availability, tuple[StatusReported, ...]]:
    """Tell what differs from what the CSMS was told, and what it wants to hear.

    A difference is told once it has lasted for `MinimumStatusDuration`, dated by its
    beginning; one that is gone before is not told at all. While the CSMS does not listen only
    what it wants is told: it may ask before it accepts.
    """
    if not context.is_online and not state.wanted and not state.settling:
        return state, ()
    told, settling = dict(state.told), dict[Key, Settling]()
    lasts_s = context.settings.integer(variables.MINIMUM_STATUS)
    reports: list[StatusReported] = []
    for status in present:
        key = (status.evse_id, status.connector_id)
        previous, is_wanted = told.get(key), key in state.wanted
        at = context.now
        if not is_wanted and (not context.is_online or previous == status):
            continue
        if not is_wanted and previous is not None and status.fault is None:
            change = state.settling.get(key)
            if change is None or change.status != status:
                change = Settling(status, context.now)
            if context.now.monotonic_s < change.since.monotonic_s + lasts_s:
                settling[key] = change
                continue
            at = change.since
        reports.append(StatusReported(status, previous, at, is_wanted))
        told[key] = status
    if not reports and settling == state.settling:
        return state, ()
    after = replace(state, told=told, wanted=frozenset(), settling=settling)
    return after, tuple(reports)
