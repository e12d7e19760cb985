"""The status as text: aligned lines for a technician's eyes, from the control socket's JSON.

Pure functions. The Structs hold what the contract (section 5) promises of `status`, and what
this agent tells beyond it as optional fields; members they do not know are passed over, so
that an older command line can look at a newer agent.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from agent.commands.invocation import columns, printable

PILOTS: Final = {
    "A": "no vehicle",
    "B": "vehicle connected, it does not want energy now",
    "C": "vehicle wants energy",
    "D": "vehicle wants energy and ventilation",
    "E": "pilot lost or shorted",
    "F": "EVSE not available",
}
"""Control pilot states in words (IEC 61851-1 annex A)."""

MEANINGS: Final = {
    "temperature": "lowered because it is hot",
    "offline": "the CSMS is out of reach",
    "share": "its part of what the station may draw",
    "phases": "its phases are to change, or just have",
    "ramp": "it may have more, and gets it in a moment",
    "pause": "it may have an offer again once its pause was long enough",
}
"""Origins of limits that are not clear to everybody (docs/limits.md)."""

LOWEST_OFFER_A: Final = 6.0
"""Least current a control pilot can offer; a lesser limit pauses (IEC 61851-1 annex A)."""

_LABEL: Final = 14
"""Width of the first column of an EVSE's lines."""


class Station(msgspec.Struct, frozen=True):
    """Who the station is."""

    identity: str
    vendor: str
    model: str
    serial_number: str | None = None
    firmware_version: str | None = None


class Csms(msgspec.Struct, frozen=True):
    """The link to the CSMS; what is not known without a link is None."""

    connected: bool
    url: str | None = None
    protocol: str | None = None
    registration: str | None = None
    security_profile: int | None = None
    held: bool = False
    reason: str | None = None


class Outbox(msgspec.Struct, frozen=True):
    """Messages that the CSMS has not acknowledged."""

    queued: int
    oldest_at: str | None = None


class Storage(msgspec.Struct, frozen=True):
    """Whether the disk takes what must survive."""

    writes: bool = True


class Clock(msgspec.Struct, frozen=True):
    """The station's time; `known` once it has been set since power-up."""

    at: str | None = None
    known: bool = True


class Firmware(msgspec.Struct, frozen=True):
    """The firmware update."""

    state: str
    slot: str | None = None
    trial: bool = False


class Limit(msgspec.Struct, frozen=True):
    """One bound of the setpoint in A per phase."""

    origin: str
    limit_a: float


class Outlet(msgspec.Struct, frozen=True):
    """What a meter of direct current shows, and what the vehicle says of its battery."""

    voltage_v: float
    current_a: float
    soc_pct: float | None = None


class Meter(msgspec.Struct, frozen=True):
    """The last reading; per-phase values have one item per phase."""

    energy_import_wh: float
    power_w: float
    current_a: list[float]
    voltage_v: list[float]
    stale: bool = False
    dc: Outlet | None = None


class Fault(msgspec.Struct, frozen=True):
    """Something broken."""

    fault: str
    info: str = ""
    since: str | None = None


class Connector(msgspec.Struct, frozen=True):
    """A connector, with its status in the words of 1.6."""

    connector_id: int
    status: str
    operative: bool = True


class Transaction(msgspec.Struct, frozen=True):
    """An open transaction and its energy so far."""

    transaction_id: str
    id_token: str
    remote_id: int | str | None = None
    started_at: str | None = None
    energy_wh: float = 0.0
    charging_state: str | None = None


class Evse(msgspec.Struct, frozen=True):
    """One EVSE."""

    evse_id: int
    pilot: str | None
    energized: bool
    setpoint_a: float
    limits: list[Limit]
    connectors: list[Connector]
    meter: Meter | None = None
    faults: list[Fault] = []
    authorized: str | None = None
    reservation: Any = None
    transaction: Transaction | None = None


class Status(msgspec.Struct, frozen=True):
    """The whole snapshot."""

    station: Station
    csms: Csms
    outbox: Outbox
    evses: list[Evse]
    storage: Storage = Storage()
    clock: Clock = Clock()
    firmware: Firmware = Firmware("Idle")
    ports: dict[str, dict[str, float]] = {}


def picture(result: object) -> str:
    """Return a status as text of several lines, without a line end behind the last.

    Args:
        result: of the method `status`.

    Raises:
        msgspec.ValidationError: it lacks what the contract promises.
    """
    status = msgspec.convert(result, Status)
    lines = columns(list(_station(status)))
    for evse in status.evses:
        lines += ["", *_evse(evse)]
    if status.ports:
        lines += [
            "",
            *columns([(f"port {name}", _port(on)) for name, on in status.ports.items()]),
        ]
    return "\n".join(lines)


def _station(status: Status) -> Iterator[tuple[str, str]]:
    station, firmware = status.station, status.firmware
    facts = [station.identity, f"{station.vendor} {station.model}"]
    facts += [f"serial {station.serial_number}"] if station.serial_number else []
    yield "station", ", ".join(facts)
    update = [station.firmware_version or "version not told"]
    update += [f"update {firmware.state}"] if firmware.state != "Idle" else []
    update += [f"slot {firmware.slot}"] if firmware.slot else []
    update += ["on trial: rolled back unless it proves itself"] if firmware.trial else []
    yield "firmware", ", ".join(update)
    yield "CSMS", _csms(status.csms)
    yield "outbox", _outbox(status.outbox)
    if not status.storage.writes:
        yield "storage", "CANNOT WRITE: no transaction starts"
    if not status.clock.known:
        yield "clock", "not set since power-up"
    elif status.clock.at is not None:
        yield "clock", status.clock.at


def _port(counters: dict[str, float]) -> str:
    """Return how a line is doing; what has never happened is left out."""
    facts = [
        f"{number:g} {what}" for what, number in counters.items() if number and what != "load"
    ]
    load = counters.get("load", 0.0)
    facts += [f"busy {load:.0%} of the time"] if load else []
    return ", ".join(facts) or "not used yet"


def _csms(csms: Csms) -> str:
    if not csms.connected:
        why = ["held down by csms.disconnect"] if csms.held else []
        why += [csms.reason] if csms.reason else []
        return ", ".join(["not connected", *why])
    facts = ["connected", csms.registration or "not registered yet"]
    facts += [csms.protocol] if csms.protocol else []
    if csms.security_profile is not None:
        facts.append(f"security profile {csms.security_profile}")
    facts += [csms.url] if csms.url else []
    return ", ".join(facts)


def _outbox(outbox: Outbox) -> str:
    if not outbox.queued:
        return "empty"
    oldest = f", the oldest of {outbox.oldest_at}" if outbox.oldest_at else ""
    return f"{outbox.queued} waiting{oldest}"


def _evse(evse: Evse) -> list[str]:
    pilot = "pilot not read yet"
    if evse.pilot is not None:
        pilot = f"pilot {evse.pilot} ({PILOTS.get(evse.pilot, 'unknown state')})"
    outlet = "outlet energized" if evse.energized else "outlet off"
    rows = [("", f"{label:<{_LABEL}}{text}") for label, text in _facts(evse)]
    return columns([(f"EVSE {evse.evse_id}", f"{pilot}, {outlet}"), *rows])


def _facts(evse: Evse) -> Iterator[tuple[str, str]]:
    """Yield the lines below an EVSE's head; a label stands before the first of its kind."""
    for one in evse.connectors:
        inoperative = "" if one.operative else ", inoperative"
        yield f"connector {one.connector_id}", f"{one.status}{inoperative}"
    nothing = "" if evse.setpoint_a else ", nothing is offered"
    yield "setpoint", f"{evse.setpoint_a:.1f} A{nothing}"
    yield from _labelled("limits", _limits(evse))
    yield "meter", _meter(evse.meter)
    yield from _labelled("faults", [_fault(fault) for fault in evse.faults])
    if evse.reservation is not None:
        yield "reservation", msgspec.json.encode(evse.reservation).decode()
    if evse.transaction is not None:
        yield from _labelled("transaction", list(_transaction(evse.transaction)))
    elif evse.authorized is not None:
        yield "transaction", f"none yet; authorized for {evse.authorized}"
    else:
        yield "transaction", "none"


def _labelled(label: str, texts: list[str]) -> Iterator[tuple[str, str]]:
    for index, text in enumerate(texts or ["none"]):
        yield ("" if index else label), text


def _limits(evse: Evse) -> list[str]:
    """Return every limit, with a mark at those that decide, unless it is something else."""
    if not evse.limits:
        return []
    least = min(limit.limit_a for limit in evse.limits)
    decides = evse.setpoint_a > 0 or least < LOWEST_OFFER_A
    is_explained = any(limit.origin in MEANINGS for limit in evse.limits)
    return columns(
        [
            (
                f"{limit.limit_a:5.1f} A",
                limit.origin,
                *([MEANINGS.get(limit.origin, "")] if is_explained else []),
                "<" if decides and limit.limit_a == least else "",
            )
            for limit in evse.limits
        ]
    )


def _meter(meter: Meter | None) -> str:
    if meter is None:
        return "not read yet"
    currents = " ".join(f"{value:.1f}" for value in meter.current_a)
    voltages = " ".join(f"{value:.0f}" for value in meter.voltage_v)
    stale = ", STALE" if meter.stale else ""
    if meter.dc is not None:
        soc = "" if meter.dc.soc_pct is None else f", battery {meter.dc.soc_pct:.0f} %"
        return (
            f"{meter.energy_import_wh:.0f} Wh, {meter.power_w:.0f} W,"
            f" {meter.dc.voltage_v:.0f} V DC {meter.dc.current_a:.1f} A{soc}{stale}"
        )
    return (
        f"{meter.energy_import_wh:.0f} Wh, {meter.power_w:.0f} W, {currents} A, "
        f"{voltages} V{stale}"
    )


def _fault(fault: Fault) -> str:
    info = f": {fault.info}" if fault.info else ""
    since = f" (since {fault.since})" if fault.since else ""
    return f"{fault.fault}{info}{since}"


def _transaction(transaction: Transaction) -> Iterator[str]:
    state = f", {transaction.charging_state}" if transaction.charging_state else ""
    yield f"{transaction.energy_wh:.0f} Wh so far{state}"
    since = f", since {transaction.started_at}" if transaction.started_at else ""
    yield f"token {transaction.id_token}{since}"
    remote = transaction.remote_id
    number = "" if remote is None else f", {remote} at the CSMS"
    yield f"id {printable(transaction.transaction_id)}{number}"
