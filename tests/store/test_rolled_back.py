"""A firmware that is rolled back: the older release goes on with the file of the newer one."""

import asyncio

import pytest

from agent.store import database
from tests.store.support import left, lived, opened, query, reported

STEPS = database._migrations()
ADDITIONS = """
ALTER TABLE record ADD COLUMN priority INTEGER NOT NULL DEFAULT 7;
ALTER TABLE station ADD COLUMN note TEXT;
CREATE TABLE later (x INTEGER NOT NULL) STRICT;
INSERT INTO later VALUES (1);
"""
DEMANDING = """
DROP TABLE set_aside;
CREATE TABLE set_aside (position INTEGER PRIMARY KEY, record_id INTEGER, kind TEXT,
    transaction_id TEXT, note TEXT, body BLOB, why TEXT NOT NULL);
"""


@pytest.fixture
def release(monkeypatch):
    """Let the store be of a release that knows so many steps."""

    def of(*steps):
        monkeypatch.setattr(database, "_migrations", lambda: list(steps))

    return of


async def migrated(directory):
    async with opened(directory):
        pass


def ids(directory):
    loaded = left(directory)
    assert loaded.set_aside_path is None
    return [entry.record_id for entry in loaded.records]


def test_the_older_release_goes_on_with_all_data_and_so_does_the_newer_one(tmp_path, release):
    release(*STEPS)
    lived(tmp_path, reported(1))
    release(*STEPS, ADDITIONS)
    lived(tmp_path, reported(2))
    release(*STEPS)
    assert ids(tmp_path) == [1, 2]
    lived(tmp_path, reported(3))
    release(*STEPS, ADDITIONS)
    assert ids(tmp_path) == [1, 2, 3]
    assert query(tmp_path, "SELECT priority FROM record") == [(7,), (7,), (7,)]
    assert query(tmp_path, "SELECT x FROM later") == [(1,)]


@pytest.mark.parametrize("known", range(1, len(STEPS) + 1))
def test_every_release_starts_again_on_a_file_of_the_present_one(tmp_path, release, known):
    """Holds for each migration that there is: one that breaks it fails here."""
    lived(tmp_path, reported(1))
    release(*STEPS[:known])
    assert ids(tmp_path) == [1]
    lived(tmp_path, reported(2))

    async def life():
        async with opened(tmp_path) as store:
            assert await store.read_record(2) is not None

    asyncio.run(life())
    release(*STEPS)
    assert ids(tmp_path) == [1, 2]


@pytest.mark.parametrize(
    "breaking",
    [
        "ALTER TABLE record ADD COLUMN twin TEXT; ALTER TABLE record DROP COLUMN wall_s;",
        "ALTER TABLE station RENAME COLUMN value TO content;",
        "ALTER TABLE station RENAME TO state;",
        DEMANDING,
    ],
    ids=["column gone", "column renamed", "table renamed", "column demanded"],
)
def test_a_file_that_the_older_release_cannot_use_is_kept(tmp_path, release, breaking):
    lived(tmp_path, reported(1))
    release(*STEPS, breaking)
    asyncio.run(migrated(tmp_path))
    release(*STEPS)
    loaded = left(tmp_path)
    assert loaded.records == ()
    assert loaded.set_aside_path == str(tmp_path / "pilotwire.db.corrupt-1")
