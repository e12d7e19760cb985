import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from agent.store.database import Store, StoreError
from tests.store.support import child, left, lived, opened, output_of, query, reported, sampled


def unusable_files():
    """Return ways to spoil a good file."""

    def overwritten(path):
        path.write_bytes(b"this was a database once" * 500)

    def torn(path):
        content = bytearray(path.read_bytes())
        content[4_096:] = b"\xa5" * (len(content) - 4_096)
        path.write_bytes(content)

    def newer(path):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE record RENAME COLUMN body TO content")
            connection.execute("PRAGMA user_version = 4711")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def foreign(path):
        path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA user_version = 2")

    return [overwritten, torn, newer, foreign]


@pytest.mark.parametrize("spoil", unusable_files(), ids=lambda function: function.__name__)
def test_an_unusable_file_is_kept_and_a_fresh_one_begun(tmp_path, spoil):
    lived(tmp_path, reported(*range(1, 200)))
    spoil(tmp_path / "pilotwire.db")
    spoiled = (tmp_path / "pilotwire.db").read_bytes()
    (tmp_path / "pilotwire.db-shm").write_bytes(b"shared")
    loaded = left(tmp_path)
    aside = tmp_path / "pilotwire.db.corrupt-1"
    assert loaded.set_aside_path == str(aside)
    assert loaded.records == ()
    assert aside.read_bytes() == spoiled
    assert Path(f"{aside}-shm").read_bytes() == b"shared"
    lived(tmp_path, reported(1))
    assert left(tmp_path).set_aside_path is None
    assert [entry.record_id for entry in left(tmp_path).records] == [1]


def test_every_unusable_file_gets_a_number_of_its_own(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / "pilotwire.db").write_bytes(bytes([number]) * 5_000)
        aside = tmp_path / f"pilotwire.db.corrupt-{number}"
        assert left(tmp_path).set_aside_path == str(aside)
    for number in (1, 2, 3):
        aside = tmp_path / f"pilotwire.db.corrupt-{number}"
        assert aside.read_bytes() == bytes([number]) * 5_000


def test_a_log_without_its_file_is_never_replayed_into_a_fresh_one(tmp_path):
    output_of(
        child(
            tmp_path,
            """
            store = Store.open(directory)
            await store.commit(reported(1))
            os._exit(0)
            """,
        )
    )
    log = (tmp_path / "pilotwire.db-wal").read_bytes()
    assert log
    (tmp_path / "pilotwire.db").unlink()
    loaded = left(tmp_path)
    assert loaded.records == ()
    assert loaded.set_aside_path == str(tmp_path / "pilotwire.db.corrupt-1")
    assert (tmp_path / "pilotwire.db.corrupt-1-wal").read_bytes() == log


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "pilotwire.db")) as connection:
        connection.execute("CREATE TABLE record (x TEXT)")
    with pytest.raises(StoreError, match="table record already exists"):
        Store.open(tmp_path)
    tables = query(tmp_path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    assert tables == [("record",)]
    assert query(tmp_path, "PRAGMA user_version") == [(0,)]


def test_a_record_that_cannot_be_read_is_set_aside_and_not_lost(tmp_path, caplog):
    lived(tmp_path, reported(1, 2))
    with contextlib.closing(sqlite3.connect(tmp_path / "pilotwire.db")) as connection:
        connection.execute(
            "UPDATE record SET body = ? WHERE record_id = 1", (b'{"type":"later"}',)
        )
        connection.commit()

    async def life():
        async with opened(tmp_path) as store:
            assert await store.read_record(1) is None
            assert await store.read_record(2) == sampled(2)
            assert [entry.record_id for entry in store.load().records] == [2]

    asyncio.run(life())
    ((number, note, body),) = query(tmp_path, "SELECT record_id, note, body FROM set_aside")
    assert (number, body) == (1, b'{"type":"later"}')
    assert note.startswith("unreadable: ")
    assert "record 1 is set aside" in caplog.text
