import asyncio
import signal
from pathlib import Path

import pytest

from agent.core.effects import Report, SetAside
from agent.core.outbox import entry_of
from agent.store.database import FORGOTTEN_AT_MOST, Changes, Store, StoreError
from tests.store.support import (
    child,
    ended,
    left,
    lived,
    opened,
    output_of,
    query,
    reported,
    sampled,
    started,
)

# --- what comes back ---


def test_a_fresh_directory_is_made_and_starts_empty(tmp_path):
    loaded = left(tmp_path / "not" / "there")
    assert (loaded.rows, loaded.records, loaded.set_aside_path) == ({}, (), None)


def test_the_file_has_the_newest_schema_after_the_first_start(tmp_path):
    lived(tmp_path)
    assert query(tmp_path, "PRAGMA user_version") == [(1,)]
    assert query(tmp_path, "PRAGMA journal_mode") == [("wal",)]
    assert query(tmp_path, "PRAGMA page_size") == [(4096,)]


def test_a_second_start_leaves_the_schema_alone(tmp_path):
    lived(tmp_path, Changes(rows=(("boot", "state", b"{}"),)))
    lived(tmp_path)
    assert left(tmp_path).rows == {"boot": {"state": b"{}"}}


def test_rows_come_back_as_they_were_last_written(tmp_path):
    lived(
        tmp_path,
        Changes(rows=(("setting", "a", b"1"), ("setting", "b", b"2"), ("boot", "state", b"3"))),
        Changes(rows=(("setting", "a", b"9"), ("setting", "b", None), ("cache", "x", None))),
    )
    assert left(tmp_path).rows == {"setting": {"a": b"9"}, "boot": {"state": b"3"}}


def test_records_come_back_in_order_as_the_index_wants_them(tmp_path):
    records = {1: started(), 2: ended(), 3: sampled()}
    reports = tuple(Report(number, record) for number, record in records.items())
    lived(tmp_path, Changes(reports=reports[::-1]))
    assert left(tmp_path).records == tuple(
        entry_of(number, record) for number, record in records.items()
    )


def test_a_record_is_read_back_equal(tmp_path):
    async def life():
        async with opened(tmp_path) as store:
            await store.commit(Changes(reports=(Report(1, started()), Report(2, ended()))))
            assert await store.read_record(1) == started()
            assert await store.read_record(2) == ended()
            assert await store.read_record(3) is None

    asyncio.run(life())


def test_ten_thousand_records_survive_and_are_read_one_by_one(tmp_path):
    numbers = range(1, 10_001)

    async def life():
        async with opened(tmp_path) as store:
            for first in range(1, 10_001, 500):
                await store.commit(reported(*range(first, first + 500)))

    async def next_life():
        async with opened(tmp_path) as store:
            entries = store.load().records
            assert [entry.record_id for entry in entries] == list(numbers)
            assert await store.read_record(7_777) == sampled(7_777)

    asyncio.run(life())
    asyncio.run(next_life())


def test_memory_works_like_a_file_and_leaves_nothing():
    async def life():
        async with opened(None) as store:
            await store.commit(reported(1))
            assert await store.read_record(1) == sampled(1)
            assert store.load().records[0].record_id == 1

    asyncio.run(life())
    assert left(None).records == ()


# --- what is forgotten, and when ---


def test_forgetting_alone_makes_no_commit(tmp_path):
    async def life():
        async with opened(tmp_path) as store:
            await store.commit(reported(1, 2))
            before = (tmp_path / "pilotwire.db-wal").read_bytes()
            await store.commit(Changes(forgotten=(1,)))
            assert (tmp_path / "pilotwire.db-wal").read_bytes() == before
            assert await store.read_record(1) is None
            assert await store.read_record(2) == sampled(2)

    asyncio.run(life())


def test_forgotten_records_ride_on_the_next_commit(tmp_path):
    async def life():
        async with opened(tmp_path) as store:
            await store.commit(reported(1, 2))
            await store.commit(Changes(forgotten=(1,)))
            assert [entry.record_id for entry in store.load().records] == [1, 2]
            await store.commit(Changes(rows=(("boot", "state", b"{}"),)))
            assert [entry.record_id for entry in store.load().records] == [2]

    asyncio.run(life())


def test_forgotten_records_are_gone_after_a_clean_end(tmp_path):
    lived(tmp_path, reported(1, 2), Changes(forgotten=(2,)))
    assert [entry.record_id for entry in left(tmp_path).records] == [1]


def test_too_many_forgotten_records_make_a_commit_of_their_own(tmp_path):
    async def life():
        async with opened(tmp_path) as store:
            numbers = range(1, FORGOTTEN_AT_MOST + 2)
            await store.commit(reported(*numbers))
            for number in numbers[:-2]:
                await store.commit(Changes(forgotten=(number,)))
            assert len(store.load().records) == FORGOTTEN_AT_MOST + 1
            await store.commit(Changes(forgotten=(numbers[-2],)))
            assert [entry.record_id for entry in store.load().records] == [numbers[-1]]

    asyncio.run(life())


def test_what_was_forgotten_on_disk_is_forgotten_here(tmp_path):
    async def life():
        async with opened(tmp_path) as store:
            await store.commit(reported(*range(1, 2 * FORGOTTEN_AT_MOST)))
            half = FORGOTTEN_AT_MOST // 2 + 1
            await store.commit(Changes(forgotten=tuple(range(1, half + 1))))
            await store.commit(Changes(rows=(("boot", "state", b"{}"),)))
            await store.commit(Changes(forgotten=tuple(range(half + 1, 2 * half + 1))))
            assert store.load().records[0].record_id == half + 1

    asyncio.run(life())


def test_a_record_may_give_way_in_the_commit_that_brings_it(tmp_path):
    changes = Changes(reports=reported(1, 2).reports, forgotten=(1,))
    lived(tmp_path, changes)
    assert [entry.record_id for entry in left(tmp_path).records] == [2]


def test_a_commit_may_be_repeated(tmp_path):
    changes = Changes(
        reports=reported(1, 2).reports, forgotten=(1,), aside=(SetAside(2, "refused"),)
    )
    lived(tmp_path, changes, changes, reported(3), reported(3))
    assert [entry.record_id for entry in left(tmp_path).records] == [3]


def test_changes_are_empty_only_without_any_content():
    assert Changes().is_empty
    assert not Changes(rows=(("boot", "state", None),)).is_empty
    assert not reported(1).is_empty
    assert not Changes(forgotten=(1,)).is_empty
    assert not Changes(aside=(SetAside(1, ""),)).is_empty


# --- when the world is unkind ---


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    process = child(
        tmp_path,
        """
        store = Store.open(directory)
        number = 0
        while True:
            number += 1
            row = ("boot", "state", str(number).encode())
            await store.commit(Changes(rows=(row,), reports=reported(number).reports))
            print(number, flush=True)
        """,
    )
    with process:
        for line in process.stdout:
            if int(line) >= 300:
                break
        process.send_signal(signal.SIGKILL)
        acknowledged = max(
            [300, *(int(line) for line in process.stdout if line.endswith("\n"))]
        )
    loaded = left(tmp_path)
    numbers = [entry.record_id for entry in loaded.records]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= acknowledged
    assert loaded.rows["boot"]["state"] == str(len(numbers)).encode()
    assert loaded.set_aside_path is None


def test_a_full_disk_refuses_the_whole_commit_and_takes_the_next_one(tmp_path):
    told = output_of(
        child(
            tmp_path,
            """
            store = Store.open(directory)
            await store.commit(reported(1))
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
            big = Changes(rows=(("cache", "x", b"y" * 300_000),), reports=reported(2).reports)
            try:
                await store.commit(big)
            except StoreError as error:
                print(error.reason)
            assert [entry.record_id for entry in store.load().records] == [1]
            await store.commit(reported(3))
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            await store.commit(Changes(rows=big.rows, reports=reported(4).reports))
            os._exit(0)
            """,
        )
    )
    assert told in {"database or disk is full", "disk I/O error"}
    loaded = left(tmp_path)
    assert [entry.record_id for entry in loaded.records] == [1, 3, 4]
    assert len(loaded.rows["cache"]["x"]) == 300_000


def test_a_commit_that_does_not_fit_leaves_nothing_behind_and_may_be_repeated(tmp_path):
    async def life():
        async with opened(tmp_path) as store:

            def limit(pages):
                sql = f"PRAGMA max_page_count = {pages}"
                store._thread.submit(lambda: store._connection.execute(sql).fetchall()).result()

            big = Changes(rows=(("cache", "x", b"y" * 300_000),), reports=reported(1).reports)
            limit(20)
            with pytest.raises(StoreError, match="database or disk is full"):
                await store.commit(big)
            assert await store.read_record(1) is None
            assert store.load().rows == {}
            limit(1_000)
            await store.commit(big)
            assert await store.read_record(1) == sampled(1)
            assert len(store.load().rows["cache"]["x"]) == 300_000

    asyncio.run(life())


def test_a_commit_that_fails_half_way_is_rolled_back(tmp_path):
    async def life():
        async with opened(tmp_path) as store:
            rows = (("boot", "state", b"{}"), ("boot", "spoiled", "no bytes"))
            with pytest.raises(StoreError, match="cannot store TEXT value in BLOB column"):
                await store.commit(Changes(rows=rows))
            assert store.load().rows == {}
            await store.commit(Changes(rows=rows[:1]))
            assert store.load().rows == {"boot": {"state": b"{}"}}

    asyncio.run(life())


def test_what_a_refused_commit_forgot_goes_with_the_next_one(tmp_path):
    output_of(
        child(
            tmp_path,
            """
            store = Store.open(directory)
            await store.commit(reported(1, 2))
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
            try:
                await store.commit(Changes(reports=reported(3).reports, forgotten=(1,)))
            except StoreError:
                pass
            else:
                raise AssertionError("the disk was full")
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            await store.commit(reported(4))
            os._exit(0)
            """,
        )
    )
    assert [entry.record_id for entry in left(tmp_path).records] == [2, 4]


def test_a_disk_that_is_full_at_the_end_does_not_keep_the_store_from_closing(tmp_path):
    output_of(
        child(
            tmp_path,
            """
            store = Store.open(directory)
            await store.commit(reported(1))
            await store.commit(Changes(forgotten=(1,)))
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
            await store.close()
            """,
        )
    )
    assert [entry.record_id for entry in left(tmp_path).records] == [1]


@pytest.fixture
def public_path(tmp_path):
    """A directory that an unprivileged child can reach."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.owner() == "root" and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o555)
        if directory.parent == Path("/"):
            break
    return tmp_path


def test_a_read_only_directory_is_an_error_at_the_start(public_path):
    directory = public_path / "state"
    directory.mkdir(mode=0o555)
    told = output_of(
        child(
            directory,
            """
            try:
                Store.open(directory)
            except StoreError as error:
                print(error.reason)
            """,
            unprivileged=True,
        )
    )
    assert told == f"{directory}: unable to open database file"


def test_a_read_only_file_is_an_error_at_the_start_and_is_left_alone(public_path):
    directory = public_path / "state"
    lived(directory, reported(1))
    (directory / "pilotwire.db").chmod(0o444)
    directory.chmod(0o555)
    told = output_of(
        child(
            directory,
            """
            try:
                Store.open(directory)
            except StoreError as error:
                print(error.reason)
            """,
            unprivileged=True,
        )
    )
    assert told.startswith(f"{directory}: ")
    directory.chmod(0o755)
    (directory / "pilotwire.db").chmod(0o644)
    assert [entry.record_id for entry in left(directory).records] == [1]


def test_a_directory_that_is_a_file_is_an_error_at_the_start(tmp_path):
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreError, match=f"{tmp_path}/state: .*File exists"):
        Store.open(tmp_path / "state")


def test_two_processes_cannot_share_a_file(tmp_path):
    async def life():
        async with opened(tmp_path):
            with pytest.raises(StoreError, match="locked"):
                Store.open(tmp_path)

    asyncio.run(life())


def test_a_refusing_store_starts_empty_and_refuses_with_its_reason():
    async def life():
        store = Store.refusing("no disk")
        assert store.load().rows == {}
        with pytest.raises(StoreError, match="no disk"):
            await store.commit(reported(1))
        await store.commit(Changes(forgotten=(1,)))
        assert await store.read_record(1) is None
        await store.ping()
        await store.close()

    asyncio.run(life())


def test_a_ping_answers_and_fails_when_the_tables_are_gone():
    async def life():
        async with opened(None) as store:
            await store.ping()
            store._thread.submit(store._connection.execute, "DROP TABLE station").result()
            with pytest.raises(StoreError, match="no such table: station"):
                await store.ping()
            with pytest.raises(StoreError, match="no such table: station"):
                store.load()

    asyncio.run(life())
