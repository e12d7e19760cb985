"""The flight recorder in a bundle: what happened can be read, and nobody's token or password."""

import asyncio
import tarfile

import pytest

from agent.core.events import (
    LogRequested,
    MeterRead,
    SettingsWriteRequested,
    TokenPresented,
)
from agent.core.orders import LogKind, LogOrder
from agent.diagnostics import lived
from agent.diagnostics.__main__ import written
from agent.diagnostics.job import Job, Written
from agent.runtime.recorder import Recorder
from agent.store import trace
from hal.types import IdToken
from tests.support.core import reading
from tests.support.shell import Rig
from tests.support.vloop import run

TOKEN = "04DEADBEEF1234"
PASSWORD = "hunter2hunter2hunter2"
MIB = 1 << 20


def recorded(directory, minutes=3):
    """Let a station live for some minutes, and record it; write before it ends."""

    async def life():
        rig = Rig()
        recorder = Recorder(rig.kernel, directory, MIB)
        running = asyncio.create_task(recorder.run())
        await asyncio.sleep(0)
        async with rig:
            rig.post(TokenPresented(IdToken(TOKEN), 1))
            rig.post(SettingsWriteRequested(1, (("AuthorizationKey", PASSWORD),)))
            location = f"ftp://user:{PASSWORD}@files/logs"
            rig.post(LogRequested(2, LogOrder(7, LogKind.DIAGNOSTICS, location)))
            for number in range(minutes):
                await asyncio.sleep(60.0)
                for second in range(5):
                    rig.post(MeterRead(1, reading(1000.0 + number + second / 10)))
                await rig.settled()  # a turn of its own
                rig.post(TokenPresented(IdToken(f"{TOKEN}{number}"), 1))
            await rig.settled()
            await recorder.flush()
            found = list(lived.lines(directory))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return found

    return run(life())


def test_what_happened_up_to_now_can_be_read(tmp_path):
    found = recorded(tmp_path)
    assert found[0].startswith("--- version ")
    taps = [line for line in found if " TokenPresented " in line]
    assert len(taps) == 4
    assert all(line.startswith("20") for line in taps)
    assert any("told: " in line for line in found)
    assert "1001.2" not in "".join(found), "a reading of which nothing came"


def test_nobodys_token_or_password_is_there(tmp_path):
    text = "".join(recorded(tmp_path))
    assert TOKEN not in text
    assert f'"value":"***{TOKEN[-4:]}"' in text
    assert PASSWORD not in text
    assert "AuthorizationKey" in text
    assert "ftp://***@files/logs" in text


def test_the_span_of_time_holds_and_bounds_are_inclusive(tmp_path):
    found = recorded(tmp_path)
    [_, first, second, third] = [line for line in found if " TokenPresented " in line]
    instants = [trace_s(tmp_path, line) for line in (first, second, third)]
    between = list(lived.lines(tmp_path, instants[1], instants[1]))
    assert [line for line in between if " TokenPresented " in line] == [second]
    later = list(lived.lines(tmp_path, instants[1], None))
    assert [line for line in later if " TokenPresented " in line] == [second, third]
    earlier = list(lived.lines(tmp_path, None, instants[0]))
    assert third not in earlier
    assert first in earlier


def trace_s(directory, line):
    """Return the instant of a line of the record, exactly."""
    for path in directory.glob("trace.?"):
        for entry in trace.entries(path.read_bytes()):
            for step in getattr(entry, "steps", ()):
                if lived._instant(step.at) == line.partition(" ")[0]:
                    return step.at.wall_s
    raise AssertionError(line)


def test_what_has_no_date_is_told_whatever_is_asked_for(tmp_path):
    recorded(tmp_path)
    path = tmp_path / "trace.0"
    entries = list(trace.entries(path.read_bytes()))
    undated = []
    for entry in entries:
        if isinstance(entry, trace.Turn):
            steps = tuple(
                trace.Step(step.kind, step.event, type(step.at)(3, 12.5), step.fresh_id)
                for step in entry.steps
            )
            undated.append(trace.Turn(steps, entry.told, entry.digest))
        else:
            undated.append(entry)
    path.write_bytes(trace.packed(undated))
    found = list(lived.lines(tmp_path, 0.0, 1.0))
    assert any(line.startswith("boot 3 +12.500 s TokenPresented") for line in found)


@pytest.mark.parametrize("content", [b"", b"no trace at all, but long enough", b"\0\0\0\1"])
def test_a_file_that_is_no_record_is_named_and_the_other_one_told(tmp_path, content):
    recorded(tmp_path)
    (tmp_path / "trace.1").write_bytes(content)
    found = list(lived.lines(tmp_path))
    assert any(line.startswith("trace.1: ") for line in found)
    assert any(" TokenPresented " in line for line in found)


def test_without_a_recorder_there_is_nothing_to_tell(tmp_path):
    assert list(lived.lines(tmp_path)) == []


def test_the_record_is_in_the_bundle_within_its_share(tmp_path):
    recorded(tmp_path, minutes=60)
    path = tmp_path / "bundle.tar.gz"
    job = Job(str(path), False, str(tmp_path), log_files=("/absent",), most_bytes=16_384)
    assert isinstance(written(job), Written)
    with tarfile.open(path) as archive:
        content = archive.extractfile("trace.log").read().decode()
    assert 0 < len(content) <= 16_384 // 4
    assert " TokenPresented " in content, "the newest stays"
    assert TOKEN not in content
