"""Events of the bench CSMS as lines a person reads, and ledgers as bills."""

import datetime as dt
from typing import Any

import msgspec

from agent.bench.events import (
    BenchEvent,
    CommandAnswered,
    ConnectionRefused,
    HeartbeatReceived,
    MessageReceived,
    StationBooted,
    StationConnected,
    StationDisconnected,
    StatusTold,
    TokenJudged,
    TransactionTold,
    ViolationFound,
)
from agent.bench.ledger import Ledger, Transaction
from agent.commands.invocation import printable

SHORT_ID = 8
"""Characters that are shown of a transaction's id."""

_LONGEST_PAYLOAD = 160


def clock(at_s: float) -> str:
    """Return the time of day of an instant, UTC, as `HH:MM:SS`."""
    return f"{dt.datetime.fromtimestamp(at_s, dt.UTC):%H:%M:%S}"


def line(event: BenchEvent) -> str:
    """Return an event as one printable line: time, station, what happened."""
    return printable(f"{clock(event.at_s)}  {event.identity}  {text(event)}")


def json_line(event: BenchEvent) -> str:
    """Return an event as one line of JSON, with `kind`, `at_s` and `identity`."""
    return msgspec.json.encode(event).decode()


def text(event: BenchEvent) -> str:
    """Return what happened."""
    match event:
        case StationConnected():
            return f"connected, speaks {event.protocol}"
        case StationDisconnected():
            return f"disconnected: {event.reason}" if event.reason else "disconnected"
        case ConnectionRefused():
            return f"refused: {event.reason}"
        case StationBooted():
            version = f" {event.firmware_version}" if event.firmware_version else ""
            reason = f" ({event.reason})" if event.reason else ""
            return f"boot{reason}: {event.vendor} {event.model}{version}: {event.status}"
        case StatusTold():
            error = f" ({event.error})" if event.error else ""
            return f"{_place(event)} is {event.status}{error}"
        case TokenJudged():
            return f"token {event.id_token}: {event.status}"
        case TransactionTold():
            return _transaction(event)
        case HeartbeatReceived():
            return "heartbeat"
        case MessageReceived(
            action="SecurityEventNotification", payload={"type": str(kind), **more}
        ):
            info = more.get("techInfo")
            return f"security event {kind}" + (f": {info}" if info else "")
        case MessageReceived():
            return f"{event.action} {_payload(event.payload)}"
        case CommandAnswered():
            answer = event.code or _payload(event.payload)
            return f"answers {event.action}: {answer}"
        case ViolationFound():
            action = f"{event.action}: " if event.action else ""
            code = f" ({event.code})" if event.code else ""
            return f"VIOLATION {action}{event.description}{code}"


def energy(energy_wh: float | None) -> str:
    """Return energy for people: Wh below 1000, kWh above."""
    if energy_wh is None:
        return "unknown energy"
    if abs(energy_wh) < 1000:  # noqa: PLR2004  where kWh begin
        return f"{energy_wh:.1f} Wh"
    return f"{energy_wh / 1000:.3f} kWh"


def bill(entry: Transaction) -> str:
    """Return a transaction as one line."""
    parts = [
        f"transaction {entry.transaction_id[:SHORT_ID]}",
        f"token {entry.id_token or 'unknown'}",
        f"{entry.started_at or 'start unknown'} to {entry.ended_at or 'still open'}",
        energy(entry.energy_wh),
    ]
    if entry.reason:
        parts.append(f"ended by {entry.reason}")
    if entry.missing_seq_nos:
        missing = ", ".join(str(number) for number in entry.missing_seq_nos)
        parts.append(f"MISSING {missing}")
    if entry.duplicates:
        parts.append(f"{entry.duplicates} told twice")
    return printable(" | ".join(parts))


def ledger_lines(ledger: Ledger) -> list[str]:
    """Return the ledger as lines, a station and its bills after each other."""
    lines = []
    for station in ledger.stations.values():
        statuses = ", ".join(
            f"{place}: {status.status}" for place, status in station.statuses.items()
        )
        lines.append(
            printable(
                f"{station.identity}: registration {station.registration or 'unknown'}, "
                f"{len(station.boots)} boots, {statuses or 'no status'}"
            )
        )
        lines += [f"  {bill(entry)}" for entry in station.transactions]
    return lines or ["no station has been here"]


def _place(event: StatusTold) -> str:
    if event.evse_id is None:
        return f"connector {event.connector_id}" if event.connector_id else "the station"
    return f"EVSE {event.evse_id} connector {event.connector_id}"


def _transaction(event: TransactionTold) -> str:
    parts = [f"transaction {event.transaction_id[:SHORT_ID]} {event.phase}"]
    if event.trigger:
        parts.append(f"({event.trigger})")
    if event.phase == "started" and event.id_token:
        parts.append(f"for token {event.id_token}")
    elif event.energy_wh is not None:
        parts.append(energy(event.energy_wh))
    if event.power_w is not None:
        parts.append(f"at {event.power_w / 1000:.1f} kW")
    if event.phase == "ended" and event.reason:
        parts.append(f"by {event.reason}")
    if event.is_repeated:
        parts.append("- told again, billed once")
    return " ".join(parts)


def _payload(payload: Any) -> str:
    text = msgspec.json.encode(payload).decode()
    return text if len(text) <= _LONGEST_PAYLOAD else f"{text[:_LONGEST_PAYLOAD]}..."
