"""How fast, in virtual time: never above the rate by more than one second's worth."""

import asyncio
import threading
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transfer.__main__ import _outcome
from agent.transfer.job import CHUNK, Finished, Job, Progressed
from agent.transfer.passage import Passage, watch
from tests.transfer.servers import (
    CONTENT,
    PASSWORD,
    USER,
    ftp_server,
    http_server,
    sftp_server,
)

RATE = 1000
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"


class Clock:
    def __init__(self):
        self.at_s = 100.0

    def now_s(self):
        return self.at_s

    def sleep(self, span_s):
        assert span_s > 0.0
        self.at_s += span_s


def passage(rate, told=None):
    clock = Clock()
    tell = (told if told is not None else []).append
    return Passage(tell, rate, clock.now_s, clock.sleep), clock


def test_without_a_rate_nothing_waits():
    through, clock = passage(0)
    for done in range(1, 100):
        through.passed(CHUNK, done * CHUNK, None)
    assert clock.at_s == 100.0
    assert through.chunk == CHUNK


def test_a_rate_holds_from_the_second_second_on():
    through, clock = passage(RATE)
    for done in range(1, 11):
        through.passed(RATE, done * RATE, None)
    assert clock.at_s == pytest.approx(109.0)


def test_who_was_held_up_catches_up_by_one_second_at_most():
    through, clock = passage(RATE)
    through.passed(RATE, RATE, None)
    clock.at_s += 3600.0
    began_s = clock.at_s
    for done in range(2, 12):
        through.passed(RATE, done * RATE, None)
    assert clock.at_s - began_s == pytest.approx(9.0)


@given(
    rate=st.integers(1, 1_000_000),
    sizes=st.lists(st.integers(1, CHUNK), min_size=1, max_size=30),
    pauses_s=st.lists(st.floats(0.0, 5.0), max_size=30),
)
def test_no_span_of_time_sees_more_than_the_rate_and_one_second(rate, sizes, pauses_s):
    through, clock = passage(rate)
    log, done = [(clock.at_s, 0)], 0
    for number, size in enumerate(sizes):
        clock.at_s += pauses_s[number] if number < len(pauses_s) else 0.0
        piece = min(size, through.chunk)
        began_s, done = clock.at_s, done + piece
        log.append((began_s, done))
        through.passed(piece, done, None)
    for index, (from_s, before) in enumerate(log):
        for to_s, after in log[index:]:
            assert after - before <= (to_s - from_s + 1.0) * rate + through.chunk + 1e-3


@pytest.mark.parametrize("scheme", ["http", "ftp", "sftp"])
def test_every_protocol_is_held_to_the_rate_both_ways(tmp_path, scheme):
    """Real servers, and a clock on which only the waiting for the rate passes."""
    (tmp_path / "image.bin").write_bytes(CONTENT)
    rate, image = len(CONTENT) // 8, str(tmp_path / "image")
    more = {"learned_hosts": str(tmp_path / "known_hosts"), "bytes_per_s": rate}

    def both(url):
        for job in (
            Job(f"{url}/good/image.bin", image, **more),
            Job(f"{url}/", image, is_upload=True, file_name="up.gz", **more),
        ):
            through, clock = passage(rate)
            assert _outcome(job, through) == Finished(len(CONTENT))
            assert clock.at_s - 100.0 == pytest.approx(7.0)

    async def over_sftp():
        async with sftp_server(tmp_path) as (port, _):
            await asyncio.to_thread(both, f"sftp://{LOGIN}@127.0.0.1:{port}")

    (tmp_path / "good").symlink_to(tmp_path)
    match scheme:
        case "http":
            with http_server() as served:
                both(served.url)
        case "ftp":
            with ftp_server(tmp_path) as port:
                both(f"ftp://{LOGIN}@127.0.0.1:{port}")
        case _:
            asyncio.run(over_sftp())


def test_a_piece_is_what_one_second_allows():
    assert passage(10)[0].chunk == 10
    assert passage(1 << 30)[0].chunk == CHUNK


def test_every_mebibyte_is_told():
    told = []
    through, _ = passage(0, told)
    for done in range(CHUNK, (3 << 20) + 1, CHUNK):
        through.passed(CHUNK, done, 3 << 20)
    assert told == [Progressed(size << 20, 3 << 20) for size in (1, 2, 3)]


def test_waiting_for_the_rate_is_no_standing_still():
    through, _ = passage(RATE)
    through.passed(RATE, RATE, None)
    through.moved.clear()
    through.passed(RATE, 2 * RATE, None)
    assert through.moved.is_set()


class Watched(threading.Event):
    """An event of which a script says how long until it is set: no real time passes."""

    def __init__(self, spans_s):
        super().__init__()
        self.spans_s, self.waited = iter(spans_s), []

    def wait(self, timeout=None):
        self.waited.append(timeout)
        return next(self.spans_s) <= timeout


def test_who_stands_still_for_too_long_is_given_up():
    moved, why, told = Watched([0.5, 9.0, 11.0]), [], threading.Event()

    def give_up(text):
        why.append(text)
        told.set()

    watch(Job("https://h/", "/f", idle_s=10), moved, give_up)
    assert told.wait(30.0)
    assert why == ["no byte has moved for 10 s"]
    assert moved.waited == [10, 10, 10]
