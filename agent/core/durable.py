"""What of the station must survive a power cut, as rows, and how it comes back.

A slice is a mapping from a row's key to its value. What is not here is learned anew: plugs
and contactors from the hardware, the registration from the CSMS.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from agent.core import bounds, measures, variables, wiring
from agent.core.authorization import Authorization
from agent.core.availability import Availability
from agent.core.bounds import Site
from agent.core.connection import Connection
from agent.core.credentials import Changed, Credentials, Network
from agent.core.diagnostics import Diagnostics, Upload
from agent.core.effects import Delivery
from agent.core.installed import Certificates, Pending
from agent.core.local_list import LocalList
from agent.core.orders import FirmwareReported
from agent.core.outbox import Entry, Outbox
from agent.core.provisioning import Provisioning
from agent.core.reservation import Reservations
from agent.core.session import durable
from agent.core.smart_charging.profile import Book, Installed
from agent.core.smart_charging.state import SmartCharging
from agent.core.standing import CacheEntry
from agent.core.states import DurableSession, Evse, Idle, OpenSession, Reservation
from agent.core.station import Station
from agent.core.timebase import EARLIEST_WALL_S, Past, Timebase
from agent.core.trust import Certificate
from agent.core.updates import Firmware, Update
from agent.core.values import BootReason, EvseSpec, StationInfo, TokenInfo, Value
from agent.core.variables import Settings, Variable


class AvailabilityRow(Value, frozen=True):
    """Scopes that are, or will be, inoperative; sorted."""

    inoperative: tuple[str, ...] = ()
    scheduled: tuple[str, ...] = ()


class ListRow(Value, frozen=True):
    """Version of the local list; its entries are rows of their own."""

    version: int


class FirmwareRow(Value, frozen=True):
    """The update that is under way, the status last told, the serial of the latest order."""

    update: Update | None = None
    last: FirmwareReported | None = None
    serial: int = 0


class UploadRow(Value, frozen=True):
    """The upload that is under way."""

    upload: Upload | None = None


class BootRow(Value, frozen=True):
    """What the next boot must know of this one, and of the time in those before."""

    boot: int = 0
    intended: BootReason | None = None
    machine: str = ""
    floor_s: float = EARLIEST_WALL_S
    offset_s: float | None = None
    began_s: float = 0.0
    last_s: float = 0.0
    past: tuple[Past, ...] = ()


SLICES: Final[Mapping[str, Any]] = {
    "session": DurableSession,
    "delivery": Delivery,
    "setting": tuple[str, str],
    "cache": CacheEntry,
    "list": ListRow,
    "listed": TokenInfo,
    "availability": AvailabilityRow,
    "reservation": Reservation,
    "profile": Installed,
    "boot": BootRow,
    "firmware": FirmwareRow,
    "upload": UploadRow,
    "limit": bounds.Source,
    "certificate": Certificate,
    "provisioned": bool,
    "signing": Pending,
    "credentials": Changed,
}

FEATURE_PROFILES: Final = (
    "Core",
    "FirmwareManagement",
    "LocalAuthListManagement",
    "Reservation",
    "RemoteTrigger",
    "SmartCharging",
)
"""What this station has of 1.6 (1.6 reference, chapter 0)."""

UNCHANGED: Final = Changed()
"""Credentials as they are configured."""

NO_SITE: Final = Site()
"""A grid connection that limits nothing."""

DECLARED: Final = Settings()
"""Settings as they are declared, without hardware and without an operator's own."""

Rows = Mapping[str, Mapping[str, object]]


def rows(station: Station) -> Rows:
    """Return everything durable: slice, key, value.

    The mappings of large slices are the station's own objects: an unchanged slice is
    recognized by identity.
    """
    kept, version = station.availability, station.local_list.version
    firmware, upload = station.firmware, station.diagnostics.upload
    update = FirmwareRow(firmware.update, firmware.last, firmware.serial)
    sessions = {
        str(evse_id): session
        for evse_id, evse in station.evses.items()
        if (session := durable(evse.session)) is not None
    }
    sessions |= {str(evse_id): session for evse_id, session in station.lost.items()}
    boot = BootRow(
        boot=station.timebase.boot,
        intended=station.provisioning.intended,
        machine=station.provisioning.machine,
        floor_s=station.timebase.floor_s,
        offset_s=station.timebase.offset_s,
        began_s=station.timebase.began_s,
        last_s=station.timebase.last_s,
        past=station.timebase.past,
    )
    return {
        "session": sessions,
        "delivery": station.outbox.deliveries,
        "setting": station.settings.changed,
        "cache": station.authorization.cache,
        "list": {"state": ListRow(version)} if version else {},
        "listed": station.local_list.entries,
        "availability": {
            "state": AvailabilityRow(
                tuple(sorted(kept.inoperative)), tuple(sorted(kept.scheduled))
            )
        },
        "reservation": {
            str(number): item for number, item in station.reservations.items.items()
        },
        "profile": station.smart_charging.book.entries,
        "boot": {"state": boot},
        "limit": bounds.sources(station.outside),
        "firmware": {"state": update} if update.serial else {},
        "upload": {"state": UploadRow(upload)} if upload else {},
        "certificate": station.certificates.installed,
        "provisioned": station.certificates.provisioned,
        "signing": _single(station.certificates.pending, None),
        "credentials": _single(station.credentials.changed, UNCHANGED),
    }


def _single(value: object, nothing: object) -> dict[str, object]:
    return {} if value == nothing else {"state": value}


def changed(before: Rows, after: Rows) -> list[tuple[str, str, bytes | None]]:
    """Return the rows to write and, with None, to delete: slice, key, JSON."""
    found: list[tuple[str, str, bytes | None]] = []
    for name, present in after.items():
        past = before.get(name, {})
        if past is present:
            continue
        found += [
            (name, key, msgspec.json.encode(value))
            for key, value in present.items()
            if past.get(key) is not value and past.get(key) != value
        ]
        found += [(name, key, None) for key in past if key not in present]
    return found


def is_untouched(before: Station, after: Station) -> bool:
    """Tell quickly that nothing durable can differ: every slice is the same object.

    Most turns only bring a reading, and need no look at the rows.
    """
    return (
        before.outbox is after.outbox
        and before.settings is after.settings
        and before.authorization is after.authorization
        and before.lost is after.lost
        and before.local_list is after.local_list
        and before.availability is after.availability
        and before.reservations is after.reservations
        and before.provisioning is after.provisioning
        and before.timebase is after.timebase
        and before.outside.given is after.outside.given
        and before.smart_charging.book is after.smart_charging.book
        and before.firmware is after.firmware
        and before.diagnostics is after.diagnostics
        and before.certificates is after.certificates
        and before.credentials.changed is after.credentials.changed
        and all(
            after.evses[evse_id].session is evse.session
            for evse_id, evse in before.evses.items()
        )
    )


def boot_row(stored: Mapping[str, Mapping[str, bytes]]) -> BootRow:
    """Return what the last boot left, or the beginning of all boots."""
    row: BootRow | None = _decoded(stored, "boot")[0].get("state")
    return row or BootRow()


def restored(
    stored: Mapping[str, Mapping[str, bytes]],
    entries: Iterable[Entry],
    *,
    info: StationInfo,
    specs: tuple[EvseSpec, ...],
    profiles: int,
    factory: Mapping[str, str],
    site: Site = NO_SITE,
    protocols: tuple[str, ...] = (),
    custom: tuple[Variable, ...] = (),
    networks: tuple[Network, ...] = (),
) -> Station:
    """Return the station as it was left, before its first event.

    Args:
        stored: rows as JSON, by slice and key; slices that nobody knows are ignored.
        entries: the queued records, in order of delivery.
        profiles: how many network profiles the configuration names.
        factory: settings of the configuration, canonical name to canonical value.
        site: the grid connection, as the board file describes it.
        protocols: for the transfer of files, as SupportedFileTransferProtocols lists them.
        custom: the operator's own settings.
        networks: what the configuration says of each network profile.

    Rows that cannot be read are left out; `unreadable` names them.
    """
    settings = Settings(
        factory=dict(factory),
        derived={**derived(info, specs, protocols), **supplied(site)},
        offered=offered(specs),
        custom=custom,
    )

    def slice_of(name: str) -> dict[str, Any]:
        return _decoded(stored, name, settings)[0]

    sessions = slice_of("session")
    settings = replace(settings, changed=slice_of("setting"))
    wired = wiring.wired(specs, settings.members(variables.PHASE_ROTATION))
    evses = {
        spec.evse_id: Evse(spec, session=sessions.get(str(spec.evse_id), Idle()))
        for spec in wired
    }
    lost = {
        int(key): item
        for key, item in sessions.items()
        if isinstance(item, OpenSession) and key.isdecimal() and int(key) not in evses
    }
    boot, kept = boot_row(stored), slice_of("availability").get("state", AvailabilityRow())
    queued, update = tuple(entries), slice_of("firmware").get("state", FirmwareRow())
    credentials = Credentials(networks, slice_of("credentials").get("state", UNCHANGED))
    in_force = {variables.SECURITY_PROFILE.name: str(credentials.security_profile(0))}
    settings = replace(settings, derived={**settings.derived, **in_force})
    return Station(
        info=info,
        specs=specs,
        connection=Connection(profiles),
        evses=evses,
        lost=lost,
        site=site,
        outside=bounds.restored(slice_of("limit")),
        settings=settings,
        timebase=Timebase(
            boot.boot, boot.offset_s, boot.floor_s, boot.began_s, boot.last_s, boot.past
        ),
        provisioning=Provisioning(intended=boot.intended, machine=boot.machine),
        authorization=Authorization(cache=slice_of("cache")),
        local_list=LocalList(
            slice_of("list").get("state", ListRow(0)).version, slice_of("listed")
        ),
        availability=Availability(
            inoperative=frozenset(kept.inoperative), scheduled=frozenset(kept.scheduled)
        ),
        reservations=Reservations(
            {item.reservation_id: item for item in slice_of("reservation").values()}
        ),
        smart_charging=SmartCharging(Book(slice_of("profile"))),
        firmware=Firmware(update=update.update, last=update.last, serial=update.serial),
        diagnostics=Diagnostics(slice_of("upload").get("state", UploadRow()).upload),
        outbox=Outbox(
            entries=queued,
            next_id=queued[-1].record_id + 1 if queued else 1,
            deliveries=slice_of("delivery"),
            offline_up_to=queued[-1].record_id if queued else 0,
        ),
        credentials=credentials,
        certificates=Certificates(
            installed=slice_of("certificate"),
            provisioned=slice_of("provisioned"),
            pending=slice_of("signing").get("state"),
        ),
    )


def unreadable(
    stored: Mapping[str, Mapping[str, bytes]], settings: Settings = DECLARED
) -> list[str]:
    """Return the rows that no longer are what they should be, as `slice/key`.

    Args:
        settings: of the restored station, which knows the operator's own.
    """
    broken = ((name, _decoded(stored, name, settings)[1]) for name in SLICES)
    return [f"{name}/{key}" for name, keys in broken for key in keys]


def _decoded(
    stored: Mapping[str, Mapping[str, bytes]], name: str, settings: Settings = DECLARED
) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a slice, and the keys of those that cannot be read."""
    decoder = msgspec.json.Decoder(SLICES[name])
    values: dict[str, Any] = {}
    broken: list[str] = []
    for key, raw in stored.get(name, {}).items():
        try:
            value = decoder.decode(raw)
        except msgspec.DecodeError:
            broken.append(key)
            continue
        if name == "setting" and not _is_setting(settings, key, value[0]):
            broken.append(key)
            continue
        values[key] = value
    return values, broken


def _is_setting(settings: Settings, name: str, text: str) -> bool:
    """Tell whether a value is still one that its setting may hold.

    Another release may have allowed more, or had settings that this one does not know. The
    row stays where it is, for the day on which that release comes back.
    """
    variable = settings.find(name)
    return (
        variable is not None
        and variable.name == name
        and variables.checked(variable, text) == text
    )


def offered(specs: tuple[EvseSpec, ...]) -> dict[str, tuple[str, ...]]:
    """Return what lists may hold on this hardware, by the setting's name."""
    measured = measures.offered(specs)
    lists = (item for item in variables.TABLE if item.most_items is not None)
    return {
        variables.PHASE_ROTATION.name: wiring.possible(specs),
        **{item.name: measured for item in lists},
    }


def supplied(site: Site) -> dict[str, str]:
    """Return the settings that the grid connection decides.

    A fraction of a volt counts as a whole one: what W become in A is rounded down.
    """
    return {variables.SUPPLY_VOLTAGE.name: str(math.ceil(site.voltage_v))}


def derived(
    info: StationInfo, specs: tuple[EvseSpec, ...], protocols: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return the settings that the station computes."""
    connectors = sum(spec.connectors for spec in specs)
    return {
        variables.MODEL.name: info.model,
        variables.VENDOR.name: info.vendor,
        variables.SERIAL_NUMBER.name: info.serial_number or "",
        variables.FIRMWARE_VERSION.name: info.firmware_version or "",
        variables.IDENTITY.name: info.identity,
        variables.SECURITY_PROFILE.name: "0",
        variables.ACTIVE_PROFILE.name: "0",
        variables.CONNECTORS.name: str(connectors),
        variables.FILE_TRANSFER_PROTOCOLS.name: ",".join(protocols),
        variables.FEATURE_PROFILES.name: ",".join(FEATURE_PROFILES),
        variables.PHASE_ROTATION.name: wiring.rotations(specs),
        variables.PHASE_ROTATION_MOST.name: str(connectors + 1),
    }
