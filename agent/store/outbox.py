"""Records on their way to the CSMS, in the tables `record` and `set_aside`.

Policy (order, retries, what gives way when full) is agent.core.outbox's. Here they are only
kept, together with the columns that its index needs at start. Functions run on the store's
thread, inside the transaction of their caller.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from agent.core.effects import Record, Report
from agent.core.outbox import Entry, entry_of
from agent.core.values import Stamp

MOST_SET_ASIDE: Final = 1_000
"""Refused records kept for people, the newest; about 600 KB."""

LONGEST_NOTE: Final = 500
"""Characters; a note quotes what the CSMS said."""

_decoder: Final = msgspec.json.Decoder(Record)


def index(connection: sqlite3.Connection) -> tuple[Entry, ...]:
    """Return the queued records in order of delivery, without their bodies."""
    rows = connection.execute(
        "SELECT record_id, kind, transaction_id, boot, monotonic_s, wall_s, is_sample"
        " FROM record ORDER BY record_id"
    )
    return tuple(
        Entry(record_id, kind, transaction_id, Stamp(boot, monotonic_s, wall_s), bool(sample))
        for record_id, kind, transaction_id, boot, monotonic_s, wall_s, sample in rows
    )


def append(connection: sqlite3.Connection, reports: Iterable[Report]) -> None:
    """Keep records; one that is kept already is replaced, so that a commit may be repeated."""
    connection.executemany(
        "INSERT OR REPLACE INTO record (record_id, kind, transaction_id, boot, monotonic_s,"
        " wall_s, is_sample, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (_columns(report) for report in reports),
    )


def _columns(report: Report) -> tuple[object, ...]:
    entry = entry_of(report.record_id, report.record)
    return (
        entry.record_id,
        entry.kind,
        entry.transaction_id,
        entry.at.boot,
        entry.at.monotonic_s,
        entry.at.wall_s,
        entry.is_sample,
        msgspec.json.encode(report.record),
    )


def forget(connection: sqlite3.Connection, record_ids: Iterable[int]) -> None:
    """Delete records; one that is not there is fine."""
    connection.executemany(
        "DELETE FROM record WHERE record_id = ?", ((record_id,) for record_id in record_ids)
    )


def set_aside(connection: sqlite3.Connection, record_id: int, note: str) -> None:
    """Move a record out of the queue; one that is not there is fine.

    Only the newest `MOST_SET_ASIDE` are kept, their notes cut to `LONGEST_NOTE` characters.
    """
    connection.execute(
        "INSERT INTO set_aside (record_id, kind, transaction_id, note, body)"
        " SELECT record_id, kind, transaction_id, ?, body FROM record WHERE record_id = ?",
        (note[:LONGEST_NOTE], record_id),
    )
    forget(connection, (record_id,))
    connection.execute(
        "DELETE FROM set_aside WHERE position <= (SELECT max(position) FROM set_aside) - ?",
        (MOST_SET_ASIDE,),
    )


def read(connection: sqlite3.Connection, record_id: int) -> Record | None:
    """Return a record, None when there is none of this id.

    Raises:
        msgspec.ValidationError: another release wrote it, and this one cannot read it.
    """
    row = connection.execute(
        "SELECT body FROM record WHERE record_id = ?", (record_id,)
    ).fetchone()
    return None if row is None else _decoder.decode(row[0])
