"""The turn that leads from one station to the next.

`step` routes an event through the blocks, and what they raise through the blocks again, until
all is quiet. No rule about charging stands here: this module only routes.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from msgspec.structs import replace

from agent.core import (
    authorization,
    availability,
    bounds,
    certificates,
    configuration,
    connection,
    credentials,
    data_transfer,
    diagnostics,
    firmware,
    inputs,
    local_list,
    locks,
    measures,
    metering,
    outbox,
    phase_switching,
    provisioning,
    rates,
    remote_control,
    remote_trigger,
    reservation,
    security,
    session,
    supply,
    timebase,
    tolerance,
    variables,
    wiring,
)
from agent.core.effects import (
    Effect,
    MeterSampled,
    Record,
    ReservationEnded,
    SecurityEvent,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import (
    ClockStepped,
    DeadlinePassed,
    Event,
    EvseDetected,
    LinkUp,
    MeterFailed,
    MeterRead,
    PowerUp,
    QuirksTolerated,
    SecurityEventRaised,
    StorageFailed,
    StorageRecovered,
    TimeLearned,
    TriggerRequested,
)
from agent.core.orders import FirmwareReported, LogReported
from agent.core.outbox import Outbox
from agent.core.smart_charging import block as smart_charging
from agent.core.smart_charging.state import SmartCharging
from agent.core.states import Evse
from agent.core.station import Station
from agent.core.supply import Rules
from agent.core.timebase import Timebase
from agent.core.trust import CertificateKind
from agent.core.turn import Context, Turn
from agent.core.values import (
    Env,
    EvseSpec,
    RegistrationStatus,
    Stamp,
)
from agent.core.variables import Settings
from hal.types import MeterReading, SignedReading

State = TypeVar("State")

MOST_GENERATIONS: Final = 20
"""How far an event may lead to another in one turn; more means that blocks raise each other's
events for ever. How many of them there are side by side depends on EVSEs and settings."""

_RECORDS: Final = (
    TransactionStarted,
    TransactionUpdated,
    TransactionEnded,
    MeterSampled,
    ReservationEnded,
    SecurityEvent,
    FirmwareReported,
    LogReported,
)


def step(station: Station, event: Event, env: Env) -> tuple[Station, tuple[Effect, ...]]:
    """Lead the station through one event and everything that it raises.

    Returns:
        The next station, and what is to be told, in order.
    """
    before, effects = station, list[Effect]()

    def route(item: Event) -> list[Event]:
        nonlocal station
        passage = _Passage(station, item, env)
        passage.go()
        effects.extend(passage.effects)
        station, moved = _supplied(passage.station, env)
        return [*moved, *passage.raised]

    until_quiet(event, route)
    if isinstance(event, TriggerRequested):
        effects += remote_trigger.declined(event, effects)
    if _is_told(station, before, event):
        return station, tuple(effects)
    return _observed(station, env, effects)


def until_quiet(event: Event, route: Callable[[Event], list[Event]]) -> None:
    """Route an event, then all that it raised, and so on until nothing is raised any more.

    Raises:
        AssertionError: blocks raise each other's events for ever.
    """
    pending = [event]
    for _ in range(MOST_GENERATIONS):
        pending = [raised for item in pending for raised in route(item)]
        if not pending:
            return
    raise AssertionError(f"blocks raise events for ever: {pending[0]!r}")


def _supplied(station: Station, env: Env) -> tuple[Station, tuple[Event, ...]]:
    """Lead the offers to what is allowed now; return what that raises."""
    settings, now_s = station.settings, env.now.monotonic_s
    outside = bounds.passed(station.outside, settings, now_s, is_online=station.is_online)
    evses, division, raised = supply.governed(
        station.evses,
        station.division,
        bounds.in_force(outside, station.site, settings, station.evses).also(
            station.smart_charging.bounds
        ),
        Rules(
            terms=station.site.terms,
            voltage_v=station.site.voltage_v,
            pause_s=settings.integer(variables.MINIMUM_PAUSE),
            is_site=len(station.evses) > 1,
        ),
        now_s,
        storage_ok=station.storage_ok,
    )
    present = (evses, division, outside)
    past = (station.evses, station.division, station.outside)
    if any(new is not old for new, old in zip(present, past, strict=True)):
        station = replace(station, evses=evses, division=division, outside=outside)
    return station, raised


def _is_told(station: Station, before: Station, event: Event) -> bool:
    """Tell whether no status can be new: a mere reading, or nothing changed but the time."""
    if station is before:
        return not isinstance(event, DeadlinePassed)
    return isinstance(event, MeterRead | MeterFailed) and all(
        evse.session is before.evses[evse_id].session for evse_id, evse in station.evses.items()
    )


def _observed(
    station: Station, env: Env, effects: list[Effect]
) -> tuple[Station, tuple[Effect, ...]]:
    """Tell changed statuses."""
    context = _context(station, env)
    before = station.availability
    is_told = context.is_online or before.wanted or before.settling
    present = availability.answered(
        station.statuses() if is_told else (), station.locks.releases, before.wanted
    )
    state, reports = availability.observed(station.availability, present, context)
    outside, told = bounds.observed(
        station.outside, station.site, station.settings, is_online=context.is_online
    )
    if state is not station.availability or outside is not station.outside:
        station = replace(station, availability=state, outside=outside)
    return station, (*effects, *reports, *told)


def _context(station: Station, env: Env) -> Context:
    accepted = station.provisioning.registration is RegistrationStatus.ACCEPTED
    may_start = (
        station.storage_ok
        and not station.is_closing
        and env.fresh_id not in station.outbox.deliveries
        and (accepted or station.settings.flag(variables.TX_BEFORE_ACCEPTED))
    )
    return Context(
        now=station.timebase.dated(env.now),
        fresh_id=env.fresh_id,
        jitter=env.jitter,
        settings=station.settings,
        is_online=station.is_online,
        may_start=may_start,
        evses=station.evses,
        operative=availability.operative_evses(station.availability, station.evses),
        remote_ids=station.outbox.remote_ids,
        undelivered=len(station.outbox.entries),
        storage_ok=station.storage_ok,
        listed=local_list.listed(station.local_list, station.settings),
        reservations=reservation.in_force(station.reservations, station.settings),
        held=station.held if station.reservations.items else {},
        checking=authorization.checking(station.authorization),
        profiles=station.smart_charging.book,
        limited=bounds.limited(station.outside),
        bounds=partial(
            bounds.in_force, station.outside, station.site, station.settings, station.evses
        ),
        external=partial(bounds.external, station.outside, station.site),
    )


class _Passage:
    """One event on its way through all blocks.

    Attributes:
        station: as the blocks before have left it.
        effects: what they told, in order; records are in the outbox.
        raised: their events for the others, in order.
    """

    def __init__(self, station: Station, event: Event, env: Env) -> None:
        self.station = _known(station, event, env)
        self.effects: list[Effect] = []
        self.raised: list[Event] = _stepped(station.timebase, self.station.timebase)
        self.raised += _by_system(self.station, event, env)
        self._event, self._env = event, env
        self._context = _context(self.station, env)

    def go(self) -> None:
        """Lead the station through the event."""
        self._outbox()
        if isinstance(self._event, PowerUp):
            self._lost(self._event)
        self._sessions()
        if not isinstance(self._event, MeterRead | MeterFailed):  # readings concern no other
            self._others()

    def _take(self, turn: Turn[State]) -> State:
        """Take down what a block has to tell; return its next state."""
        for effect in turn.effects:
            if isinstance(effect, _RECORDS):
                self.station, told, noticed = _recorded(self.station, effect, self._env.now)
                self.effects.extend(told)
                self.raised.extend(noticed)
            else:
                self.effects.append(effect)
        self.raised.extend(turn.raised)
        return turn.state

    def _outbox(self) -> None:
        turn = outbox.step(self.station.outbox, self._event, self._context)
        if turn.state is not self.station.outbox:
            self.station = replace(self.station, outbox=turn.state)
            self._context = _context(self.station, self._env)
        self._take(turn)

    def _lost(self, event: PowerUp) -> None:
        """End what EVSEs had begun that the board no longer has."""
        for evse_id, left in self.station.lost.items():
            gone = Evse(EvseSpec(evse_id, left.transaction.connector_id, 0.0, 3))
            self._take(session.abandoned(gone, left, event.cause, self._context))
        self.station = replace(self.station, lost={})

    def _sessions(self) -> None:
        """Lead every EVSE's session on; each sees what those before it did.

        A reading concerns the EVSE that it is of.
        """
        read = self._event.evse_id if isinstance(self._event, MeterRead | MeterFailed) else None
        for evse_id, evse in self.station.evses.items():
            if read is not None and evse_id != read:
                continue
            state = self._take(session.step(evse, self._event, self._context))
            if state is not evse.session:
                evses = {**self.station.evses, evse_id: replace(evse, session=state)}
                self.station = replace(self.station, evses=evses)
                self._context = _context(self.station, self._env)

    def _others(self) -> None:
        """Lead on what concerns the station as a whole; the order is that of the answers."""
        before, event, context, take = self.station, self._event, self._context, self._take
        guard = _guard(before, context)
        linked = take(connection.step(before.connection, event, context))
        provisioned = take(provisioning.step(before.provisioning, event, context))
        settings = take(configuration.step(before.settings, event, guard))
        authorized = take(authorization.step(before.authorization, event, context))
        listed = take(local_list.step(before.local_list, event, context))
        available = take(availability.step(before.availability, event, context))
        locked = take(locks.step(before.locks, event, context))
        reserved = take(reservation.step(before.reservations, event, context))
        metered = take(metering.step(before.metering, event, context))
        rated = take(rates.step(before.rates, event, context))
        outside = take(bounds.step(before.outside, event, context))
        take(remote_control.step(event, context))
        profiled = take(smart_charging.step(before.smart_charging, event, context))
        take(data_transfer.step(event, context))
        updated = take(firmware.step(before.firmware, event, context))
        diagnosed = take(diagnostics.step(before.diagnostics, event, context))
        trusted = take(certificates.step(before.certificates, event, context))
        proved = take(credentials.step(before.credentials, event))
        secured = take(security.step(before.security, event, context))
        after = {
            "connection": linked,
            "provisioning": provisioned,
            "settings": _counted(settings, profiled),
            "authorization": authorized,
            "local_list": listed,
            "availability": available,
            "reservations": reserved,
            "locks": locked,
            "metering": metered,
            "rates": rated,
            "smart_charging": profiled,
            "security": secured,
            "certificates": trusted,
            "credentials": proved,
            "outside": outside,
            "firmware": updated,
            "diagnostics": diagnosed,
        }
        changed = {
            name: state for name, state in after.items() if state is not getattr(before, name)
        }
        if changed:  # a station that is the same object is known to be the same
            self.station = replace(self.station, **changed)
        if settings is not before.settings:
            self.station = _wired(self.station, before.settings)


def _wired(station: Station, before: Settings) -> Station:
    """Count what is drawn on the conductors that the settings now tell, where they do."""
    told = station.settings.members(variables.PHASE_ROTATION)
    if told == before.members(variables.PHASE_ROTATION):
        return station
    specs = wiring.wired(station.specs, told)
    evses = {spec.evse_id: replace(station.evses[spec.evse_id], spec=spec) for spec in specs}
    return replace(station, evses=evses)


def _counted(settings: Settings, state: SmartCharging) -> Settings:
    """Return the settings with how many charging profiles there are."""
    count = str(len(state.book.entries))
    if settings.text(variables.PROFILES_INSTALLED) == count:
        return settings
    derived = {**settings.derived, variables.PROFILES_INSTALLED.name: count}
    return replace(settings, derived=derived)


def _stepped(before: Timebase, after: Timebase) -> list[Event]:
    """Return what is raised when the clock was set."""
    by_s = timebase.stepped_s(before, after)
    return [ClockStepped(by_s)] if by_s else []


def _guard(station: Station, context: Context) -> configuration.Guard:
    """Return what says why a value cannot be taken in the present state."""
    at_s = context.now.wall_s
    return partial(
        credentials.refusal,
        station.credentials,
        own=station.certificates.own(at_s),
        trusted=station.certificates.of(CertificateKind.CSMS_ROOT),
        at_s=at_s,
    )


def _filled(before: Outbox, after: Outbox) -> list[Event]:
    if not outbox.fills_up(before, after):
        return []
    many = f"{len(after.entries)} records wait for the CSMS"
    return [SecurityEventRaised("MemoryExhaustion", many)]


def _recorded(
    station: Station, record: Record, now: Stamp
) -> tuple[Station, tuple[Effect, ...], list[Event]]:
    queue, effects = outbox.appended(station.outbox, record)
    clock = timebase.passed(station.timebase, Stamp(now.boot, now.monotonic_s))
    noticed = _filled(station.outbox, queue)
    return replace(station, outbox=queue, timebase=clock), effects, noticed


def _known(station: Station, event: Event, env: Env) -> Station:
    """Take down what concerns no block in particular: clock, hardware inputs, storage."""
    match event:
        case PowerUp():
            station = replace(station, timebase=timebase.booted(station.timebase, env.now))
        case TimeLearned(csms_wall_s=wall, by_system=by_system):
            is_taken = by_system or not _is_ntp(station.settings)
            if is_taken or station.timebase.offset_s is None:
                clock = timebase.learned(station.timebase, wall, env.now)
                return replace(station, timebase=clock)
            return station
        case LinkUp():
            derived = {
                **station.settings.derived,
                variables.SECURITY_PROFILE.name: str(event.security_profile),
                variables.ACTIVE_PROFILE.name: str(event.profile),
            }
            return replace(station, settings=replace(station.settings, derived=derived))
        case StorageFailed():
            return replace(station, storage_ok=False)
        case QuirksTolerated():
            return replace(station, tolerated=tolerance.counted(station.tolerated, event))
        case StorageRecovered():
            return replace(station, storage_ok=True)
        case _:
            pass
    return _heard(station, event, env)


def _is_ntp(settings: Settings) -> bool:
    return settings.text(variables.TIME_SOURCE) == "NTP"


def _by_system(station: Station, event: Event, env: Env) -> list[Event]:
    """Look at the system's clock whenever the station is woken."""
    if not isinstance(event, DeadlinePassed):
        return []
    is_followed = _is_ntp(station.settings)
    wall_s = timebase.system_s(station.timebase, env.now, is_followed=is_followed)
    return [] if wall_s is None else [TimeLearned(wall_s, by_system=True)]


def _heard(station: Station, event: Event, env: Env) -> Station:
    """Let the EVSE concerned take down the hardware's word."""
    about = getattr(event, "evse_id", None)
    now = station.timebase.dated(env.now)
    evses: dict[int, Evse] | None = None
    for evse_id, evse in station.evses.items():
        if about != evse_id and not isinstance(event, PowerUp):
            continue
        heard = inputs.step(evse.inputs, event, now)
        if heard is not evse.inputs:
            evses = evses or dict(station.evses)
            evses[evse_id] = replace(evse, inputs=heard)
        if isinstance(event, PowerUp):
            evses = evses or dict(station.evses)
            evses[evse_id] = supply.booted(evses[evse_id], now.monotonic_s)
    if evses is None:
        return station
    station = replace(station, evses=evses)
    match event:
        case EvseDetected():
            return _fixed(station)
        case MeterRead(evse_id=evse_id, reading=MeterReading(signed=SignedReading() as signed)):
            return _shown(station, evse_id, signed.public_key)
        case _:
            return station


def _shown(station: Station, evse_id: int, public_key: str) -> Station:
    """Show the key of a meter that signs among the settings."""
    known = station.settings.custom
    custom = (
        measures.with_key(known, station.specs, evse_id, public_key) if public_key else known
    )
    if custom is known:
        return station
    return replace(station, settings=replace(station.settings, custom=custom))


def _fixed(station: Station) -> Station:
    """Leave the settings no more choice than the hardware has, and say what it can."""
    settings, fixed = station.settings, locks.fixed(station.evses)
    is_able = any(map(phase_switching.is_able, station.evses.values()))
    if (fixed, is_able) == (settings.fixed, settings.flag(variables.PHASES_3TO1)):
        return station
    derived = {**settings.derived, variables.PHASES_3TO1.name: str(is_able).lower()}
    return replace(station, settings=replace(settings, fixed=fixed, derived=derived))
