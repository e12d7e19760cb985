"""The station: one immutable value, and the turn that leads to the next.

`step` routes an event through the blocks, and what they raise through the blocks again, until
all is quiet. No rule about charging stands here: this module only routes and composes.
`targets` and `deadline` say what the hardware should be doing and when to be woken.
"""

from collections.abc import Callable, Mapping
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
    metering,
    outbox,
    provisioning,
    remote_control,
    remote_trigger,
    reservation,
    security,
    session,
    supply,
    timebase,
    tolerance,
    variables,
)
from agent.core.authorization import Authorization
from agent.core.availability import Availability
from agent.core.bounds import Outside, Site
from agent.core.certificates import Certificates
from agent.core.connection import Connection
from agent.core.credentials import Credentials, Presented
from agent.core.diagnostics import Diagnostics
from agent.core.effects import (
    Delivery,
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
from agent.core.local_list import LocalList
from agent.core.locks import Locks
from agent.core.metering import Metering
from agent.core.orders import FirmwareReported, LogReported
from agent.core.outbox import Outbox
from agent.core.provisioning import Provisioning
from agent.core.reservation import Reservations
from agent.core.security import Security
from agent.core.smart_charging import block as smart_charging
from agent.core.smart_charging.state import SmartCharging
from agent.core.states import Evse, OpenSession
from agent.core.supply import Division, Rules
from agent.core.targets import Targets, evse_target
from agent.core.timebase import Timebase
from agent.core.trust import CertificateKind
from agent.core.turn import Context, Turn
from agent.core.updates import Firmware, is_locking
from agent.core.values import (
    ConnectorStatus,
    Env,
    EvseSpec,
    RegistrationStatus,
    Stamp,
    StationInfo,
    Value,
)
from agent.core.variables import Settings

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


class Station(Value, frozen=True):
    """All that the agent knows.

    Attributes:
        specs: EVSEs of the board, by id from 1.
        site: the grid connection that they share.
        lost: sessions of EVSEs that the board had at the last boot and no longer has.
        tolerated: how often the CSMS was forgiven what, by quirk.
        storage_ok: the last commit reached the disk.
    """

    info: StationInfo
    specs: tuple[EvseSpec, ...]
    connection: Connection
    evses: Mapping[int, Evse]
    site: Site = Site()
    settings: Settings = Settings()
    timebase: Timebase = Timebase()
    provisioning: Provisioning = Provisioning()
    authorization: Authorization = Authorization()
    local_list: LocalList = LocalList()
    availability: Availability = Availability()
    reservations: Reservations = Reservations()
    locks: Locks = Locks()
    metering: Metering = Metering()
    smart_charging: SmartCharging = SmartCharging()
    outbox: Outbox = Outbox()
    firmware: Firmware = Firmware()
    diagnostics: Diagnostics = Diagnostics()
    security: Security = Security()
    credentials: Credentials = Credentials()
    certificates: Certificates = Certificates()
    outside: Outside = Outside()
    division: Division = Division()
    lost: Mapping[int, OpenSession] = {}
    tolerated: Mapping[str, int] = {}
    storage_ok: bool = True

    @property
    def is_online(self) -> bool:
        """Whether the link is up and the CSMS has accepted the station."""
        accepted = self.provisioning.registration is RegistrationStatus.ACCEPTED
        same = self.provisioning.booted_profile == self.provisioning.profile
        return self.connection.up is not None and accepted and same

    @property
    def is_closing(self) -> bool:
        """Whether no transaction may begin, because of a reset or an update."""
        allows_new = self.settings.flag(variables.ALLOW_NEW_SESSIONS)
        is_updating = is_locking(self.firmware, allows_new=allows_new)
        return self.provisioning.reset is not None or is_updating

    def presented(self, network: int, at_s: float | None) -> Presented:
        """Return what to dial a network profile with; `at_s` is the station's time."""
        return credentials.presented(
            self.credentials,
            network,
            own=self.certificates.own(at_s),
            trusted=self.certificates.of(CertificateKind.CSMS_ROOT),
            settings=self.settings,
        )

    def told_s(self, stamp: Stamp) -> float:
        """Return the wall time to tell for an instant, UTC seconds."""
        return self.timebase.told_s(stamp)

    def delivery(self, transaction_id: str) -> Delivery | None:
        """Return how far the CSMS knows a transaction."""
        return self.outbox.deliveries.get(transaction_id)

    @property
    def held(self) -> reservation.Held:
        """Return the EVSEs that are kept free, and for whom."""
        return reservation.held(
            reservation.in_force(self.reservations, self.settings),
            self.evses,
            availability.operative_evses(self.availability, self.evses),
        )

    def statuses(self) -> tuple[ConnectorStatus, ...]:
        """Return the present status of the station and of every connector."""
        return tuple(
            availability.statuses(
                self.availability,
                self.evses,
                storage_ok=self.storage_ok,
                is_closing=self.is_closing,
                conflicts=len(self.local_list.conflicts),
                held=self.held if self.reservations.items else (),
                stuck=self.locks.stuck,
            )
        )


def targets(station: Station) -> Targets:
    """Return what hardware and link should be doing."""
    return Targets(
        evses={
            evse_id: evse_target(
                evse,
                storage_ok=station.storage_ok,
                is_releasing=evse_id in station.locks.releases,
            )
            for evse_id, evse in station.evses.items()
        },
        dial=connection.dial(station.connection),
    )


def deadline(station: Station) -> float | None:
    """Return when the station wants to be woken, monotonic seconds, None for never."""
    instants = [
        connection.deadline_s(station.connection),
        provisioning.deadline_s(station.provisioning),
        authorization.deadline_s(station.authorization),
        metering.deadline_s(station.metering),
        outbox.deadline_s(station.outbox),
        certificates.deadline_s(station.certificates),
        bounds.deadline_s(station.outside, station.settings),
        station.division.wake_s,
        reservation.deadline_s(station.reservations),
        station.smart_charging.wake_s,
        firmware.deadline_s(station.firmware),
        diagnostics.deadline_s(station.diagnostics),
        locks.deadline_s(station.locks),
        availability.deadline_s(station.availability, station.settings),
    ]
    instants += [session.deadline_s(evse, station.settings) for evse in station.evses.values()]
    return min((instant for instant in instants if instant is not None), default=None)


def step(station: Station, event: Event, env: Env) -> tuple[Station, tuple[Effect, ...]]:
    """Lead the station through one event and everything that it raises.

    Returns:
        The next station, and what is to be told, in order.
    """
    before, effects = station, list[Effect]()

    def route(item: Event) -> list[Event]:
        nonlocal station
        station, told, raised = _routed(station, item, env)
        effects.extend(told)
        station, moved = _supplied(station, env)
        return [*moved, *raised]

    until_quiet(event, route)
    if isinstance(event, TriggerRequested):
        effects += remote_trigger.declined(event, effects)
    if isinstance(event, MeterRead | MeterFailed) and _is_same(station, before):
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


def _is_same(station: Station, before: Station) -> bool:
    """Tell whether every session stands where it stood; a mere reading changes no status."""
    return all(
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
    )


def _routed(
    station: Station, event: Event, env: Env
) -> tuple[Station, list[Effect], list[Event]]:
    clock = station.timebase
    station = _known(station, event, env)
    effects: list[Effect] = []
    raised = [*_stepped(clock, station.timebase), *_by_system(station, event, env)]

    def taken(turn: Turn[State]) -> State:
        nonlocal station
        for effect in turn.effects:
            if isinstance(effect, _RECORDS):
                station, told, noticed = _recorded(station, effect, env.now)
                effects.extend(told)
                raised.extend(noticed)
            else:
                effects.append(effect)
        raised.extend(turn.raised)
        return turn.state

    context = _context(station, env)
    delivered = outbox.step(station.outbox, event, context)
    if delivered.state is not station.outbox:
        station = replace(station, outbox=delivered.state)
        context = _context(station, env)
    taken(delivered)
    if isinstance(event, PowerUp):
        for evse_id, left in station.lost.items():
            gone = Evse(EvseSpec(evse_id, left.transaction.connector_id, 0.0, 3))
            taken(session.abandoned(gone, left, event.cause, context))
        station = replace(station, lost={})
    for evse_id, evse in station.evses.items():
        state = taken(session.step(evse, event, context))
        if state is not evse.session:
            evses = {**station.evses, evse_id: replace(evse, session=state)}
            station = replace(station, evses=evses)
            context = _context(station, env)
    if isinstance(event, MeterRead | MeterFailed):
        return station, effects, raised  # no other block has an interest in readings
    linked = taken(connection.step(station.connection, event, context))
    provisioned = taken(provisioning.step(station.provisioning, event, context))
    settings = taken(configuration.step(station.settings, event, _guard(station, context)))
    authorized = taken(authorization.step(station.authorization, event, context))
    listed = taken(local_list.step(station.local_list, event, context))
    available = taken(availability.step(station.availability, event, context))
    locked = taken(locks.step(station.locks, event, context))
    reserved = taken(reservation.step(station.reservations, event, context))
    metered = taken(metering.step(station.metering, event, context))
    outside = taken(bounds.step(station.outside, event, context))
    taken(remote_control.step(event, context))
    profiled = taken(smart_charging.step(station.smart_charging, event, context))
    taken(data_transfer.step(event, context))
    updated = taken(firmware.step(station.firmware, event, context))
    diagnosed = taken(diagnostics.step(station.diagnostics, event, context))
    trusted = taken(certificates.step(station.certificates, event, context))
    proved = taken(credentials.step(station.credentials, event))
    secured = taken(security.step(station.security, event, context))
    station = replace(
        station,
        connection=linked,
        provisioning=provisioned,
        settings=settings,
        authorization=authorized,
        local_list=listed,
        availability=available,
        reservations=reserved,
        locks=locked,
        metering=metered,
        security=secured,
        certificates=trusted,
        credentials=proved,
        outside=outside,
        firmware=updated,
        diagnostics=diagnosed,
    )
    if profiled is not station.smart_charging:
        station = _profiled(station, profiled)
    return station, effects, raised


def _profiled(station: Station, state: SmartCharging) -> Station:
    """Take over the charging profiles, and tell how many there are."""
    count = {variables.PROFILES_INSTALLED.name: str(len(state.book.entries))}
    settings = station.settings
    if settings.text(variables.PROFILES_INSTALLED) not in count.values():
        settings = replace(settings, derived={**settings.derived, **count})
    return replace(station, smart_charging=state, settings=settings)


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
    return station if evses is None else replace(station, evses=evses)
