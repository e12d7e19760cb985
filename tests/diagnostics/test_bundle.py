"""The bundle's process: span of time, size, and files that it must not write to."""

import gzip
import io
import json
import logging
import os
import random
import tarfile
import time

import pytest

import agent.diagnostics.__main__ as bundle
from agent.diagnostics.__main__ import machine, written
from agent.diagnostics.job import Job, Unwritten, Written
from agent.runtime.systemd import log_handler
from agent.security.log import Entry, SecurityLog

AT_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z


@pytest.fixture
def directory(tmp_path):
    log = SecurityLog(tmp_path)
    for minute in range(10):
        log.add(Entry(f"2027-01-15T08:0{minute}:00.000Z", f"Event{minute}", critical=False))
    log.flush()
    return tmp_path


def security(directory, **more):
    path = directory / "out.gz"
    said = written(Job(str(path), True, str(directory), **more))
    assert said == Written(path.stat().st_size)
    return [
        json.loads(line)["type"] for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def members(directory, **more):
    path = directory / "out.tar.gz"
    said = written(Job(str(path), False, str(directory), **more))
    assert isinstance(said, Written), said
    with tarfile.open(path) as archive:
        return {item.name: archive.extractfile(item).read().decode() for item in archive}


def test_bounds_of_the_span_are_inclusive(directory):
    found = security(directory, oldest_s=AT_S + 120, latest_s=AT_S + 240)
    assert found == ["Event2", "Event3", "Event4"]


def test_what_is_too_much_gives_way_from_the_oldest(directory):
    found = security(directory, most_bytes=200)
    assert 0 < len(found) < 10
    assert found[-1] == "Event9"


def test_log_files_take_the_place_of_a_journal(directory):
    (directory / "agent.log").write_text('before\n{"idTag":"04A1B2C3D4E5"}\nlast\n')
    files = (str(directory / "absent.log"), str(directory / "agent.log"))
    found = members(directory, log_files=files)
    assert found["journal.log"] == 'before\n{"idTag":"***D4E5"}\nlast\n'


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_the_span_holds_for_log_files_too(directory, monkeypatch, zone):
    """They are written by the agent itself, in local time (agent.runtime.systemd)."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        log = io.StringIO()
        handler = log_handler(log)
        for minute in range(4):
            record = logging.makeLogRecord({"msg": f"line {minute}\n  more of {minute}"})
            record.created = AT_S + 60 * minute
            handler.handle(record)
        (directory / "agent.log").write_text("older, without a date\n" + log.getvalue())
        files = (str(directory / "agent.log"),)
        span = {"oldest_s": AT_S + 60, "latest_s": AT_S + 120}
        found = members(directory, log_files=files, **span)["journal.log"]
    finally:
        monkeypatch.undo()
        time.tzset()
    shown = [line.rpartition(" ")[2] for line in found.splitlines()]
    assert shown == ["date", "1", "1", "2", "2"]


def test_a_line_without_end_is_cut(directory):
    (directory / "agent.log").write_text("x" * 100_000)
    found = members(directory, log_files=(str(directory / "agent.log"),))
    assert len(found["journal.log"]) == 16_385


def test_status_settings_and_machine_are_there(directory):
    found = members(directory, status={"a": 1}, settings=({"name": "X"},))
    assert json.loads(found["status.json"]) == {"a": 1}
    assert json.loads(found["settings.json"]) == [{"name": "X"}]
    assert json.loads(found["machine.json"])["disk"]["total"] > 0
    assert found["security.log"].count("\n") == 10


def test_a_machine_that_tells_nothing_says_nothing(tmp_path):
    assert "disk" not in machine(tmp_path / "absent")


def test_a_link_is_not_written_through(directory):
    (directory / "victim").write_text("precious")
    (directory / "out").symlink_to(directory / "victim")
    said = written(Job(str(directory / "out"), True, str(directory)))
    assert isinstance(said, Unwritten)
    assert (directory / "victim").read_text() == "precious"


def test_a_place_that_is_not_there_is_told(directory):
    said = written(Job(str(directory / "no/where"), False, str(directory)))
    assert isinstance(said, Unwritten)


def test_a_bundle_keeps_its_size_even_if_nothing_shrinks(directory):
    noise = random.Random(1)
    lines = (noise.randbytes(300).hex().encode() + b"\n" for _ in range(4000))
    (directory / "agent.log").write_bytes(b"".join(lines))
    path = directory / "out.tar.gz"
    most_bytes = 1 << 20
    job = Job(
        str(path),
        False,
        str(directory),
        log_files=(str(directory / "agent.log"),),
        most_bytes=most_bytes,
    )
    said = written(job)
    assert isinstance(said, Written)
    assert most_bytes // 8 < said.size < most_bytes
    with tarfile.open(path) as archive:
        sizes = {item.name: item.size for item in archive}
    assert sizes["journal.log"] <= most_bytes // 2
    assert sum(sizes.values()) < most_bytes


def test_a_journal_that_does_not_end_is_not_waited_for(directory, monkeypatch, tmp_path):
    """The program is stopped when its time is up; what it has written until then is there."""
    tool = tmp_path / "bin" / "journalctl"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho $*\nexec sleep 1000\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(bundle, "JOURNAL_S", 0.2)
    found = members(directory, oldest_s=AT_S, latest_s=AT_S + 60)
    assert found["journal.log"] == (
        "--no-pager --quiet --utc -o short-iso-precise -u pilotwire "
        f"--since @{AT_S:.0f} --until @{AT_S + 60:.0f}\n"
    )


def test_a_journal_that_cannot_be_begun_says_so(directory, monkeypatch, tmp_path):
    tool = tmp_path / "bin" / "journalctl"
    tool.parent.mkdir()
    tool.write_text("no program")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    assert "the journal cannot be read" in members(directory)["journal.log"]
