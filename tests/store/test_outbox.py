import asyncio
import contextlib
import sqlite3

import pytest

from agent.core.effects import SecurityEvent, SetAside
from agent.core.outbox import entry_of
from agent.core.values import Stamp
from agent.store import outbox
from agent.store.database import Changes, Store
from tests.store.support import ended, reported, sampled, started


@pytest.fixture
def connection(tmp_path):
    """A database of the present schema, held by this thread."""

    async def made():
        await Store.open(tmp_path).close()

    asyncio.run(made())
    with contextlib.closing(sqlite3.connect(tmp_path / "pilotwire.db")) as opened:
        yield opened


def set_aside(connection):
    return connection.execute(
        "SELECT record_id, kind, transaction_id, note FROM set_aside ORDER BY position"
    ).fetchall()


@pytest.mark.parametrize(
    "record",
    [started(), ended(), sampled(), SecurityEvent("SettingSystemTime", Stamp(3, 0.5), "x")],
    ids=lambda record: type(record).__name__,
)
def test_every_kind_of_record_is_kept_and_indexed(connection, record):
    outbox.append(connection, reported(5, record=record).reports)
    assert outbox.read(connection, 5) == record
    assert outbox.index(connection) == (entry_of(5, record),)


def test_a_record_set_aside_leaves_the_queue_and_keeps_its_note(connection):
    outbox.append(connection, reported(1, 2, record=started("t-9")).reports)
    outbox.set_aside(connection, 1, "refused 3 times")
    assert [entry.record_id for entry in outbox.index(connection)] == [2]
    assert set_aside(connection) == [(1, "started", "t-9", "refused 3 times")]


def test_setting_aside_what_is_not_there_does_nothing(connection):
    outbox.set_aside(connection, 1, "refused")
    assert set_aside(connection) == []


def test_a_long_note_is_cut(connection):
    outbox.append(connection, reported(1).reports)
    outbox.set_aside(connection, 1, "x" * 10_000)
    assert set_aside(connection) == [(1, "sampled", "", "x" * 500)]


def test_only_the_newest_thousand_are_kept_aside(connection):
    for number in range(1, 1_011):
        outbox.append(connection, reported(number).reports)
        outbox.set_aside(connection, number, "")
    assert [row[0] for row in set_aside(connection)] == list(range(11, 1_011))


def test_the_same_number_may_be_set_aside_again_in_a_later_life(connection):
    for note in ("first", "second"):
        outbox.append(connection, reported(1).reports)
        outbox.set_aside(connection, 1, note)
    assert [row[3] for row in set_aside(connection)] == ["first", "second"]


def test_a_commit_sets_aside_and_the_next_life_does_not_see_the_record(tmp_path):
    async def life():
        store = Store.open(tmp_path)
        await store.commit(reported(1, 2))
        await store.commit(Changes(aside=(SetAside(1, "refused"),)))
        await store.close()
        store = Store.open(tmp_path)
        loaded = store.load()
        await store.close()
        return [entry.record_id for entry in loaded.records]

    assert asyncio.run(life()) == [2]
