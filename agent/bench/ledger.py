"""What a CSMS knows of its stations, the same for every protocol version.

The ledger is the bench's second opinion on the bill. It is filled from messages alone, and
says of every transaction what was told, what is missing and what was told twice.

* Messages arrive at least once. A repeated one is recognised, counted in `duplicates`, and
  changes nothing else: no second bill, no second sample.
* A transaction has one entry although the version changes in its middle. One that began
  under 1.6 goes on under its number as text; one that began under 2.0.1 is told to 1.6 by a
  second start with the same instant, token and meter reading.
* Energy is in Wh, current in A, instants are text as the station wrote them.

Everything is bounded: the oldest entries give way, and of samples those in the middle.
"""

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from agent.ocpp.wire_time import from_text

MOST_STATIONS = 1_000
MOST_TRANSACTIONS = 10_000
MOST_SAMPLES = 1_000
MOST_HISTORY = 1_000
"""Entries of each kind that are kept, per station or per transaction."""

MOST_RANGES = 1_000
"""Runs of sequence numbers that are kept of a transaction; an honest one has one run."""

MOST_MISSING = 100
"""Missing sequence numbers that are named."""


RESOLUTION_WH = 0.001
"""What versions may differ in when they write the same register."""


class Sample(msgspec.Struct, frozen=True):
    """What was measured at one instant.

    Attributes:
        energy_wh: import register, None when it was not told.
        power_w: active import, None when it was not told.
    """

    at: str
    context: str = "Sample.Periodic"
    energy_wh: float | None = None
    power_w: float | None = None


class Boot(msgspec.Struct, frozen=True):
    """A BootNotification and its answer."""

    protocol: str
    vendor: str
    model: str
    reason: str | None
    status: str
    serial_number: str | None = None
    firmware_version: str | None = None


class Status(msgspec.Struct, frozen=True):
    """A connector status; evse_id is None in 1.6, where connectors are counted through."""

    evse_id: int | None
    connector_id: int
    status: str
    at: str | None = None
    error: str | None = None


class SecurityEvent(msgspec.Struct, frozen=True):
    """A SecurityEventNotification."""

    type: str
    at: str


class Transaction(msgspec.Struct):
    """One bill.

    Attributes:
        transaction_id: the station's id (2.0.1), or the number as text (1.6).
        number: what the CSMS gave it in 1.6, None when it never needed one.
        protocols: versions it was told in, in order of appearance.
        evse_id: None in 1.6.
        connector_id: in 1.6 counted through the station.
        started_at: None until a start was told.
        ended_at: None until an end was told.
        register_wh: latest import register, read at `register_s` (UTC seconds since 1970).
        told: runs [first, last] of the sequence numbers seen, ascending, not adjoining.
        first_seq_no: of the event that started it.
        duplicates: messages that told what was known.
        samples: by arrival; when too many, the middle is thinned out.
    """

    identity: str
    transaction_id: str
    number: int | None = None
    protocols: list[str] = []
    evse_id: int | None = None
    connector_id: int | None = None
    id_token: str | None = None
    started_at: str | None = None
    meter_start_wh: float | None = None
    ended_at: str | None = None
    meter_stop_wh: float | None = None
    reason: str | None = None
    stop_token: str | None = None
    register_wh: float | None = None
    register_s: float | None = None
    told: list[list[int]] = []
    first_seq_no: int | None = None
    duplicates: int = 0
    samples: list[Sample] = []

    @property
    def complete(self) -> bool:
        """Return whether its start and its end were told."""
        return self.started_at is not None and self.ended_at is not None

    @property
    def energy_wh(self) -> float | None:
        """Return what is billed, so far or in the end; None without readings."""
        last = self.register_wh if self.meter_stop_wh is None else self.meter_stop_wh
        if last is None or self.meter_start_wh is None:
            return None
        return last - self.meter_start_wh

    @property
    def missing_seq_nos(self) -> list[int]:
        """Return sequence numbers that must have been used but never came, at most 100.

        What was told under 1.6 had no sequence numbers and is not missed.
        """
        if not self.told:
            return []
        expected = self.first_seq_no
        if expected is None:
            expected = self.told[0][0] if "ocpp1.6" in self.protocols else 0
        missing: list[int] = []
        for first, last in self.told:
            room = MOST_MISSING - len(missing)
            missing.extend(range(expected, min(first, expected + room)))
            expected = last + 1
        return missing

    def take_seq_no(self, seq_no: int) -> bool:
        """Note a sequence number; return whether it is new."""
        if any(first <= seq_no <= last for first, last in self.told):
            return False
        merged: list[list[int]] = []
        for first, last in sorted([*self.told, [seq_no, seq_no]]):
            if merged and first == merged[-1][1] + 1:
                merged[-1][1] = last
            else:
                merged.append([first, last])
        self.told = merged[-MOST_RANGES:]
        return True

    def take_samples(self, samples: Iterable[Sample]) -> list[Sample]:
        """Add the samples that are new.

        Returns:
            Those of them whose register is below an earlier one: a meter ran backwards.

        Raises:
            ValueError: an instant cannot be read; the samples before it are added.
        """
        backwards = []
        known = {(sample.at, sample.context) for sample in self.samples}
        for sample in samples:
            if (sample.at, sample.context) in known:
                continue
            at_s = from_text(sample.at)
            self.samples.append(sample)
            if sample.energy_wh is None or (self.register_s or at_s) > at_s:
                continue
            known_wh = self.register_wh
            if known_wh is not None and sample.energy_wh < known_wh - RESOLUTION_WH:
                backwards.append(sample)
            self.register_wh, self.register_s = sample.energy_wh, at_s
        if len(self.samples) > MOST_SAMPLES:
            kept = MOST_SAMPLES // 4
            self.samples = self.samples[:kept] + self.samples[-kept:]
        return backwards

    def take_protocol(self, protocol: str) -> None:
        """Note the version of a message."""
        if protocol not in self.protocols:
            self.protocols.append(protocol)


class StationLedger(msgspec.Struct):
    """What the CSMS knows of one station.

    Attributes:
        registration: answer to the last boot; None before the first.
        statuses: the latest of each connector, under "evse_id/connector_id".
        status_history: all of them by arrival.
        messages: how often each action was sent.
    """

    identity: str
    registration: str | None = None
    connections: int = 0
    heartbeats: int = 0
    boots: list[Boot] = []
    statuses: dict[str, Status] = {}
    status_history: list[Status] = []
    security_events: list[SecurityEvent] = []
    messages: dict[str, int] = {}
    transactions: list[Transaction] = []

    def take_boot(self, boot: Boot) -> None:
        """Note a boot and the answer it got."""
        self.registration = boot.status
        self.boots.append(boot)
        _shorten(self.boots, MOST_HISTORY)

    def take_status(self, status: Status) -> None:
        """Note a connector status."""
        place = f"{'' if status.evse_id is None else status.evse_id}/{status.connector_id}"
        self.statuses[place] = status
        if len(self.statuses) > MOST_HISTORY:
            del self.statuses[next(iter(self.statuses))]
        self.status_history.append(status)
        _shorten(self.status_history, MOST_HISTORY)

    def take_security_event(self, event: SecurityEvent) -> None:
        """Note a security event."""
        self.security_events.append(event)
        _shorten(self.security_events, MOST_HISTORY)

    def take_message(self, action: str) -> None:
        """Count a message of a known action."""
        self.messages[action] = self.messages.get(action, 0) + 1

    def by_id(self, transaction_id: str) -> Transaction | None:
        """Return the entry with this id, or with this text as its number."""
        for entry in reversed(self.transactions):
            if transaction_id in (entry.transaction_id, _text(entry.number)):
                return entry
        return None

    def by_number(self, number: int) -> Transaction | None:
        """Return the entry with this 1.6 number."""
        return next((one for one in reversed(self.transactions) if one.number == number), None)

    def by_start(
        self, started_at: str, meter_start_wh: int, id_tag: str, connector_id: int
    ) -> Transaction | None:
        """Return the entry that a StartTransaction of 1.6 tells again.

        An entry that began under 2.0.1 has its register with decimals, its connector counted
        within the EVSE, and perhaps a token that 1.6 cannot carry: then the idTag is empty.
        """
        for entry in reversed(self.transactions):
            if entry.started_at != started_at or entry.meter_start_wh is None:
                continue
            is_16 = entry.evse_id is None
            same_place = not is_16 or entry.connector_id == connector_id
            same_token = (entry.id_token or "").casefold() == id_tag.casefold()
            if (
                same_place
                and (same_token or (not is_16 and not id_tag))
                and math.floor(entry.meter_start_wh) == meter_start_wh
            ):
                return entry
        return None

    def add(self, entry: Transaction) -> Transaction:
        """Open an entry, and return it."""
        self.transactions.append(entry)
        _shorten(self.transactions, MOST_TRANSACTIONS)
        return entry

    @property
    def open_transactions(self) -> list[Transaction]:
        """Return those that began and have not ended."""
        return [one for one in self.transactions if one.ended_at is None]


class Ledger(msgspec.Struct):
    """What the CSMS knows.

    Attributes:
        stations: by identity.
        next_number: the 1.6 number of the next transaction, unique over all stations.
    """

    stations: dict[str, StationLedger] = {}
    next_number: int = 1

    @property
    def transactions(self) -> list[Transaction]:
        """Return all entries, station by station, each in the order of their first message."""
        return [one for station in self.stations.values() for one in station.transactions]

    def station(self, identity: str) -> StationLedger:
        """Return the ledger of a station, a new one when it is unknown."""
        station = self.stations.get(identity)
        if station is None:
            station = self.stations[identity] = StationLedger(identity)
            if len(self.stations) > MOST_STATIONS:
                del self.stations[next(iter(self.stations))]
        return station

    def take_number(self) -> int:
        """Return a number that no transaction has."""
        number = self.next_number
        self.next_number += 1
        return number


class _Bill(msgspec.Struct):
    """What a written ledger says of a transaction beside its fields."""

    energy_wh: float | None
    complete: bool
    missing_seq_nos: list[int]


def to_json(ledger: Ledger) -> bytes:
    """Return the ledger as indented JSON, each transaction with its derived figures."""
    tree = msgspec.to_builtins(ledger)
    for station in ledger.stations.values():
        written = tree["stations"][station.identity]["transactions"]
        for entry, one in zip(station.transactions, written, strict=True):
            bill = _Bill(entry.energy_wh, entry.complete, entry.missing_seq_nos)
            one.update(msgspec.to_builtins(bill))
    return msgspec.json.format(msgspec.json.encode(tree), indent=1) + b"\n"


def from_json(text: bytes) -> Ledger:
    """Return a ledger that `to_json` wrote.

    Raises:
        msgspec.MsgspecError: the text is something else.
    """
    return msgspec.json.decode(text, type=Ledger)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _shorten(entries: list[Any], most: int) -> None:
    del entries[: max(0, len(entries) - most)]
