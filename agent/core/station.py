"""The station: one immutable value, and what follows from it alone.

`targets` and `deadline` say what the hardware should be doing and when to be woken;
`agent.core.routing.step` leads to the next station. No rule about charging stands here: this
module only composes.
"""

from collections.abc import Mapping
from operator import attrgetter, is_
from typing import NamedTuple

from msgspec.structs import replace

from agent.core import (
    authorization,
    availability,
    bounds,
    certificates,
    connection,
    credentials,
    diagnostics,
    firmware,
    lamps,
    locks,
    metering,
    outbox,
    provisioning,
    rates,
    reservation,
    session,
    variables,
)
from agent.core.authorization import Authorization
from agent.core.availability import Availability
from agent.core.bounds import Outside, Site
from agent.core.connection import Connection
from agent.core.credentials import Credentials, Presented
from agent.core.diagnostics import Diagnostics
from agent.core.effects import (
    Delivery,
)
from agent.core.installed import Certificates
from agent.core.local_list import LocalList
from agent.core.locks import Locks
from agent.core.metering import Metering
from agent.core.outbox import Outbox
from agent.core.provisioning import Provisioning
from agent.core.rates import Rates
from agent.core.reservation import Reservations
from agent.core.security import Security
from agent.core.smart_charging import negotiation
from agent.core.smart_charging.state import SmartCharging
from agent.core.states import Evse, OpenSession
from agent.core.supply import Division
from agent.core.targets import EvseTarget, Targets, evse_target
from agent.core.timebase import Timebase
from agent.core.trust import CertificateKind
from agent.core.updates import Firmware, is_locking
from agent.core.values import (
    ConnectorStatus,
    EvseSpec,
    RegistrationStatus,
    Stamp,
    StationInfo,
    Value,
)
from agent.core.variables import Settings


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
    rates: Rates = Rates()
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


def targets(station: Station, past: tuple[Station, Targets] | None = None) -> Targets:
    """Return what hardware and link should be doing.

    Args:
        past: an earlier station with its targets; an EVSE that is still the same should be
            doing the same.
    """
    storage_ok = station.storage_ok
    known = _unchanged(station, *past) if past and len(station.evses) > 1 else {}
    operative = availability.operative_evses(station.availability, station.evses)
    evses = {}
    for evse_id, evse in station.evses.items():
        if evse_id in known:
            evses[evse_id] = known[evse_id]
            continue
        releases = evse_id in station.locks.releases
        target = evse_target(evse, storage_ok=storage_ok, is_releasing=releases)
        is_operative = evse_id in operative
        shown = lamps.light(evse, storage_ok=storage_ok, is_operative=is_operative)
        evses[evse_id] = target if target.light is shown else replace(target, light=shown)
    return Targets(evses, connection.dial(station.connection))


def _unchanged(station: Station, before: Station, known: Targets) -> Mapping[int, EvseTarget]:
    """Return the targets that are made of nothing but what is as it was."""
    is_same = (
        station.storage_ok == before.storage_ok
        and station.availability.inoperative == before.availability.inoperative
        and station.availability.scheduled == before.availability.scheduled
        and station.locks is before.locks
    )
    if not is_same:
        return {}
    return {
        evse_id: target
        for evse_id, target in known.evses.items()
        if station.evses.get(evse_id) is before.evses.get(evse_id)
    }


_slices = attrgetter(
    *(name for name in Station.__struct_fields__ if name not in {"evses", "division"})
)


class Due(NamedTuple):
    """When a station wants to be woken.

    Attributes:
        slices: of the station, all but its EVSEs and how they share.
        blocks_s: when the blocks of these slices want to be woken; None for never.
        at_s: when the station does, monotonic seconds; None for never.
    """

    slices: tuple[object, ...]
    blocks_s: float | None
    at_s: float | None


def due(station: Station, past: Due | None = None) -> Due:
    """Return when the station wants to be woken.

    Args:
        past: of an earlier station; blocks whose slices are the same want the same. A reading
            changes none of them.
    """
    slices = _slices(station)
    is_same = past is not None and all(map(is_, slices, past.slices))
    blocks_s = past.blocks_s if past is not None and is_same else _blocks_s(station)
    instants = [blocks_s, station.division.wake_s]
    instants += [session.deadline_s(evse, station.settings) for evse in station.evses.values()]
    return Due(slices, blocks_s, _first(instants))


def deadline(station: Station) -> float | None:
    """Return when the station wants to be woken, monotonic seconds, None for never."""
    return due(station).at_s


def _blocks_s(station: Station) -> float | None:
    return _first(
        [
            connection.deadline_s(station.connection),
            provisioning.deadline_s(station.provisioning),
            authorization.deadline_s(station.authorization),
            metering.deadline_s(station.metering),
            rates.deadline_s(station.rates),
            outbox.deadline_s(station.outbox),
            certificates.deadline_s(station.certificates),
            bounds.deadline_s(station.outside, station.settings),
            reservation.deadline_s(station.reservations),
            station.smart_charging.wake_s,
            negotiation.deadline_s(station.smart_charging),
            firmware.deadline_s(station.firmware),
            diagnostics.deadline_s(station.diagnostics),
            locks.deadline_s(station.locks),
            availability.deadline_s(station.availability, station.settings),
        ]
    )


def _first(instants: list[float | None]) -> float | None:
    return min([instant for instant in instants if instant is not None], default=None)
