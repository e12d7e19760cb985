"""The flight recorder: what a kernel lived through can be lived again."""

import asyncio
import os
import stat
from contextlib import asynccontextmanager

from agent.commands import replay
from agent.core.events import (
    AvailabilityRequested,
    MeterRead,
    SecurityEventRaised,
    TokenPresented,
)
from agent.runtime.recorder import FLUSH_S, MOST_TURNS, NAMES, Recorder
from agent.store import trace
from tests.support.core import TAG, reading
from tests.support.shell import Rig
from tests.support.vloop import run

MIB = 1 << 20


@asynccontextmanager
async def recorded(directory, most_bytes=MIB):
    """A rig whose turns are recorded from the first one on."""
    rig = Rig()
    recorder = Recorder(rig.kernel, directory, most_bytes)
    running = asyncio.create_task(recorder.run())
    await asyncio.sleep(0)
    async with rig:
        yield rig, recorder
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def lived(directory, story, most_bytes=MIB):
    async def main():
        async with recorded(directory, most_bytes) as (rig, recorder):
            await story(rig, recorder)
            await rig.settled()

    run(main())


def replays(directory) -> tuple[int, int]:
    """Return how many turns there are, and how many came out differently."""
    found = [
        is_same
        for path in replay._files(directory)
        for _, is_same in replay._replayed(path.read_bytes(), is_shown=False)
    ]
    return len(found), found.count(False)


def test_a_session_is_replayed_turn_by_turn(tmp_path):
    async def story(rig, _):
        await rig.charging()
        for number in range(20):
            await asyncio.sleep(1.0)
            rig.post(MeterRead(1, reading(1000.0 + number)))
        rig.post(TokenPresented(TAG, 1))

    lived(tmp_path, story)
    turns, differences = replays(tmp_path)
    assert turns > 20
    assert differences == 0


def test_turns_that_the_disk_refused_are_replayed_from_where_they_left_the_station(tmp_path):
    async def story(rig, _):
        await rig.charging()
        rig.disk.refusal = "disk I/O error"
        rig.post(AvailabilityRequested(1, operative=False))
        await rig.settled()
        rig.disk.refusal = None
        await asyncio.sleep(10.0)
        rig.post(SecurityEventRaised("SettingSystemTime"))

    lived(tmp_path, story)
    assert replays(tmp_path)[1] == 0


def test_only_the_service_reads_what_was_recorded(tmp_path):
    async def story(rig, _):
        await rig.charging()

    lived(tmp_path, story)
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_ring_is_bounded_and_either_half_can_be_replayed(tmp_path):
    async def story(rig, _):
        await rig.charging()
        for number in range(24 * MOST_TURNS):
            rig.post(MeterRead(1, reading(1000.0 + number / 7, 7000.0 + number)))
            await rig.settled()
            await asyncio.sleep(1.0)

    lived(tmp_path, story, 40_000)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == set(NAMES)
    assert sum(sizes.values()) < 40_000 + 2 * 200_000
    for name in NAMES:
        first, *_ = trace.entries((tmp_path / name).read_bytes())
        assert isinstance(first, trace.Whole)
    assert replays(tmp_path)[1] == 0


def test_an_idle_station_writes_a_few_times_an_hour(tmp_path):
    async def story(rig, recorder):
        writes = []
        write = recorder._write

        def counted(chunks):
            writes.append(len(chunks))
            write(chunks)

        recorder._write = counted
        for number in range(360):
            rig.post(MeterRead(1, reading(1000.0 + number)))
            await asyncio.sleep(10.0)
        assert len(writes) <= 3600 / FLUSH_S

    lived(tmp_path, story)


def test_a_disk_that_takes_nothing_ends_the_recording_and_nothing_else(tmp_path, caplog):
    async def story(rig, recorder):
        (tmp_path / NAMES[0]).symlink_to(tmp_path / "elsewhere")
        await rig.charging()
        await asyncio.sleep(FLUSH_S + 1)
        assert recorder.failure is not None
        assert rig.is_energized

    lived(tmp_path, story)
    assert "nothing is recorded any more" in caplog.text
    assert not (tmp_path / "elsewhere").exists()


def test_the_next_life_takes_the_place_of_the_oldest(tmp_path):
    async def story(rig, _):
        await rig.charging()

    lived(tmp_path, story)
    os.utime(tmp_path / NAMES[0], (1.0, 1.0))
    (tmp_path / NAMES[1]).write_bytes(b"younger")
    lived(tmp_path, story)
    assert (tmp_path / NAMES[1]).read_bytes() == b"younger"
