"""Rows of the station's durable slices, in the table `station`.

A row is addressed by the name of its slice and its key; its value is JSON that only
agent.core.durable understands. Functions here run on the store's thread, inside the
transaction of their caller.
"""

import sqlite3
from collections.abc import Iterable

Row = tuple[str, str, bytes | None]
"""Slice, key, and the value as JSON; None deletes the row."""


def load(connection: sqlite3.Connection) -> dict[str, dict[str, bytes]]:
    """Return every row: slice, key, JSON."""
    rows: dict[str, dict[str, bytes]] = {}
    for name, key, value in connection.execute("SELECT slice, key, value FROM station"):
        rows.setdefault(name, {})[key] = value
    return rows


def write(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Write rows, the last of the same address wins; deleting what is not there is fine."""
    for name, key, value in rows:
        if value is None:
            connection.execute("DELETE FROM station WHERE slice = ? AND key = ?", (name, key))
        else:
            connection.execute(
                "INSERT OR REPLACE INTO station (slice, key, value) VALUES (?, ?, ?)",
                (name, key, value),
            )
