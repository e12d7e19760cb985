"""The durable memory of the station: one SQLite file, one thread that touches it.

What a newcomer must know:

* **A commit that returned is on the disk.** WAL with synchronous=FULL; NORMAL loses the last
  commits in a power cut. A commit that raised left nothing behind, and may be repeated.
* **One writer.** Every statement runs on the store's own thread, one after the other, and
  the file is locked against a second process. The event loop never waits for the disk.
* **Bytes count** (flash wears out). A turn is one commit. Forgotten records ride on the next
  commit that has something else to say; until then they are only remembered here, and a
  power cut makes them be delivered twice, which is allowed.
* **A file that cannot be used is kept.** One that is damaged, or whose tables are not ours,
  is renamed to `….corrupt-N` together with its `-wal` and `-shm`, and a fresh one begun.
* **Migrations are files**, `migrations/NNNN_name.sql`; `user_version` tells how far a file
  is. After a roll-back of the firmware the older release goes on with its newer file, as
  long as migrations only add: tables, and columns that may be left out (ADR 0054).
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from agent.core.effects import Record, Report, SetAside
from agent.core.outbox import Entry
from agent.core.values import Value
from agent.store import outbox, station

logger = logging.getLogger(__name__)

FILE_NAME: Final = "pilotwire.db"

FORGOTTEN_AT_MOST: Final = 100
"""Forgotten records that may wait for another commit; more make one of their own, so that a
power cut repeats no more than this."""

_PRAGMAS: Final = (
    "page_size = 4096",
    "locking_mode = EXCLUSIVE",  # before WAL: then the wal-index lives in memory, not in -shm
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 100",  # pages; a small log is overwritten in place (less wear)
    "journal_size_limit = 1048576",
    "cache_size = -512",  # KiB
    "temp_store = MEMORY",
)

_UNUSABLE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_COMPANIONS: Final = ("", "-wal", "-shm")

T = TypeVar("T")


class StoreError(Exception):
    """The disk did not take or give what it should; the next try may succeed.

    Attributes:
        reason: what the database or the file system said.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _UnusableFileError(Exception):
    """The file is damaged or from a newer release."""


class Changes(Value, frozen=True):
    """What one commit holds.

    Attributes:
        rows: slice, key, JSON; None deletes the row.
        reports: records to queue.
        forgotten: ids of records to delete, now or with a later commit.
        aside: records to keep out of the way.
    """

    rows: tuple[station.Row, ...] = ()
    reports: tuple[Report, ...] = ()
    forgotten: tuple[int, ...] = ()
    aside: tuple[SetAside, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to commit or to remember."""
        return not (self.rows or self.reports or self.forgotten or self.aside)


class Loaded(Value, frozen=True):
    """What an earlier life left.

    Attributes:
        rows: JSON by slice and key.
        records: the queued records in order of delivery, without their bodies.
        set_aside_path: where the unusable file was put, None when there was none.
    """

    rows: dict[str, dict[str, bytes]]
    records: tuple[Entry, ...]
    set_aside_path: str | None


class Store:
    """The database behind its thread; made by `open` or `refusing`, ended by `close`."""

    def __init__(self, directory: Path | None, refusal: str | None = None) -> None:
        """Open the database; `open` and `refusing` say what to expect."""
        self._refusal = refusal
        self._forgotten: set[int] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        try:
            with _as_store_error(f"{directory}: "):
                opened = self._thread.submit(_opened, directory).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self._connection, self._set_aside_path = opened

    @classmethod
    def open(cls, directory: Path | None) -> "Store":
        """Open the database of a directory, made if missing; blocks, meant for the start.

        Args:
            directory: None keeps everything in memory.

        Raises:
            StoreError: the directory cannot be written, or another process holds the file.
        """
        return cls(directory)

    @classmethod
    def refusing(cls, reason: str) -> "Store":
        """Return an empty store that refuses every commit with this reason.

        It lets a station without a usable disk run far enough to be helped from afar.
        """
        return cls(None, reason)

    def load(self) -> Loaded:
        """Return what an earlier life left; blocks, meant for the start.

        Raises:
            StoreError: it cannot be read.
        """
        with _as_store_error():
            rows, records = self._thread.submit(self._load).result()
        return Loaded(rows, records, self._set_aside_path)

    async def commit(self, changes: Changes) -> None:
        """Bring changes to the disk in one transaction; once it returns they are there.

        Changes that only forget wait in memory for the next commit, up to
        `FORGOTTEN_AT_MOST` records.

        Raises:
            StoreError: nothing was written; the same changes may be tried again.
        """
        self._forgotten.update(changes.forgotten)
        has_news = bool(changes.rows or changes.reports or changes.aside)
        if not has_news and len(self._forgotten) < FORGOTTEN_AT_MOST:
            return
        forgotten = tuple(sorted(self._forgotten))
        await self._run(self._write, changes, forgotten)
        self._forgotten.difference_update(forgotten)

    async def read_record(self, record_id: int) -> Record | None:
        """Return a queued record, None when there is none of this id.

        A record that this release cannot read is set aside and logged.

        Raises:
            StoreError: the disk did not give it.
        """
        if record_id in self._forgotten:
            return None
        return await self._run(self._read, record_id)

    async def ping(self) -> None:
        """Return once thread and database have answered, behind all earlier work.

        Raises:
            StoreError: the database answered with an error.
        """
        await self._run(self._answer)

    async def close(self) -> None:
        """Write what waits and close the file; nothing may be called afterwards."""
        await self._run(self._end, tuple(sorted(self._forgotten)))
        self._thread.shutdown()

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        loop = asyncio.get_running_loop()
        with _as_store_error():
            # What was asked of the disk is done, also for whoever is cancelled meanwhile.
            return await asyncio.shield(loop.run_in_executor(self._thread, work, *args))

    # --- on the thread ---

    def _load(self) -> tuple[dict[str, dict[str, bytes]], tuple[Entry, ...]]:
        return station.load(self._connection), outbox.index(self._connection)

    def _write(self, changes: Changes, forgotten: tuple[int, ...]) -> None:
        if self._refusal is not None:
            raise StoreError(self._refusal)
        with _transaction(self._connection):
            station.write(self._connection, changes.rows)
            # A record may have to give way in the turn that queued it.
            outbox.append(self._connection, changes.reports)
            outbox.forget(self._connection, forgotten)
            for item in changes.aside:
                outbox.set_aside(self._connection, item.record_id, item.note)

    def _read(self, record_id: int) -> Record | None:
        try:
            return outbox.read(self._connection, record_id)
        except msgspec.DecodeError as error:
            logger.error("record %d is set aside, it cannot be read: %s", record_id, error)
            with _transaction(self._connection):
                outbox.set_aside(self._connection, record_id, f"unreadable: {error}")
            return None

    def _answer(self) -> None:
        self._connection.execute("SELECT 1 FROM station LIMIT 1").fetchone()

    def _end(self, forgotten: tuple[int, ...]) -> None:
        if forgotten:
            # A disk that refuses now lets them be delivered twice, which is allowed.
            with contextlib.suppress(StoreError, sqlite3.Error):
                self._write(Changes(), forgotten)
        self._connection.close()


# --- opening ---


def _opened(directory: Path | None) -> tuple[sqlite3.Connection, str | None]:
    """Return a database of the present schema, and where an unusable one was put."""
    if directory is None:
        return _prepared(":memory:"), None
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / FILE_NAME
    aside: Path | None = None
    if not path.exists():
        # A log without its file would be replayed into the fresh one.
        aside = _moved_aside(path)
    try:
        connection = _prepared(path)
    except _UnusableFileError as error:
        aside = _moved_aside(path)
        logger.error("%s is unusable (%s), kept as %s", path, error, aside)
        connection = _prepared(path)
    _sync(directory)
    return connection, None if aside is None else str(aside)


def _prepared(path: Path | str) -> sqlite3.Connection:
    # Nobody else may hold the file, so there is nothing to wait for.
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        _check(connection)
        _migrate(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF in _UNUSABLE:
            raise _UnusableFileError(str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _UnusableFileError(verdict)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest schema, one transaction per step."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    steps = _migrations()
    if version > len(steps):  # of a newer release, which was rolled back
        if not _suits(connection, steps):
            raise _UnusableFileError(f"schema {version}, this release knows {len(steps)}")
        logger.warning("schema %d, this release knows %d and goes on", version, len(steps))
        return
    for number, script in enumerate(steps[version:], version + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error:
            _roll_back(connection)
            raise


def _suits(connection: sqlite3.Connection, steps: list[str]) -> bool:
    """Tell whether a newer file has all that these steps make, and demands nothing else."""
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    with contextlib.closing(sqlite3.connect(":memory:")) as own:
        for script in steps:
            own.executescript(script)
        for (table,) in own.execute(tables).fetchall():
            known, found = _columns(own, table), _columns(connection, table)
            demanded = {name for name, is_demanded in found.items() if is_demanded}
            if not known.keys() <= found.keys() or not demanded <= known.keys():
                return False
    return True


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, bool]:
    """Return the columns of a table, and whether a row has to name them."""
    rows = connection.execute(
        'SELECT name, "notnull" AND dflt_value IS NULL FROM pragma_table_info(?)', (table,)
    )
    return {name: bool(is_demanded) for name, is_demanded in rows}


def _migrations() -> list[str]:
    """Return the scripts in order; the first makes schema 1 of an empty file."""
    files = resources.files("agent.store").joinpath("migrations").iterdir()
    scripts = sorted(
        (file for file in files if file.name.endswith(".sql")), key=lambda f: f.name
    )
    return [script.read_text("utf-8") for script in scripts]


def _moved_aside(path: Path) -> Path | None:
    """Rename a database and what belongs to it; None when there is nothing to rename."""
    present = [suffix for suffix in _COMPANIONS if Path(f"{path}{suffix}").exists()]
    if not present:
        return None
    number = 1
    while any(Path(f"{path}.corrupt-{number}{suffix}").exists() for suffix in _COMPANIONS):
        number += 1
    aside = Path(f"{path}.corrupt-{number}")
    for suffix in present:
        Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    _sync(path.parent)
    return aside


def _sync(directory: Path) -> None:
    """Make new names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- transactions and errors ---


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    # A full disk makes SQLite roll back by itself.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def _as_store_error(prefix: str = "") -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{prefix}{error}") from error
