import asyncio

from agent.core.effects import SecurityLogged
from agent.core.values import Stamp
from agent.runtime.logbook import IDLE_S, RETRY_S, Logbook
from agent.security.log import SecurityLog, read
from tests.support.shell import station
from tests.support.vloop import run

STATION = station()


def event(name, *, is_critical):
    return SecurityLogged(name, Stamp(0, 0.0, 1_800_000_000.0), is_critical=is_critical)


def told(directory, story):
    """Run a logbook for a story; return how many lines there were at each of its looks."""
    looks = []

    async def lived():
        book = Logbook(SecurityLog(directory))
        running = asyncio.create_task(book.run())
        try:
            await story(book, lambda: looks.append(len(list(read(directory)))))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run(lived())
    return looks


def test_a_critical_event_is_written_at_once_with_all_that_waits(tmp_path):
    async def story(book, look):
        book.note(event("A", is_critical=False), STATION)
        await asyncio.sleep(1)
        look()
        book.note(event("B", is_critical=True), STATION)
        await asyncio.sleep(1)
        look()

    assert told(tmp_path, story) == [0, 2]
    assert b'"at":"2027-01-15T08:00:00' in next(read(tmp_path))


def test_other_events_wait_a_little_for_company(tmp_path):
    async def story(book, look):
        book.note(event("A", is_critical=False), STATION)
        await asyncio.sleep(IDLE_S - 1)
        book.note(event("B", is_critical=False), STATION)
        look()
        await asyncio.sleep(2)
        look()

    assert told(tmp_path, story) == [0, 2]


def test_what_waits_at_the_end_is_written_on_the_way_out(tmp_path):
    async def story(book, look):
        await asyncio.sleep(0)
        book.note(event("A", is_critical=False), STATION)
        await asyncio.sleep(1)
        look()

    assert told(tmp_path, story) == [0]
    assert len(list(read(tmp_path))) == 1


def test_a_disk_that_refused_is_tried_again(tmp_path, caplog):
    directory = tmp_path / "later"

    async def story(book, look):
        book.note(event("A", is_critical=True), STATION)
        await asyncio.sleep(1)
        assert "cannot be written" in caplog.text
        directory.mkdir()
        await asyncio.sleep(RETRY_S)
        look()

    assert told(directory, story) == [1]
