import json
import threading

import pytest

from agent.security import log
from agent.security.log import ENOUGH_BYTES, MOST_WAITING, Entry, SecurityLog, read

TAMPER = Entry("2027-01-15T08:00:00.000Z", "TamperDetectionActivated", True, 'lid "a"\nb')
NOISE = Entry("2027-01-15T08:00:01.000Z", "InvalidMessages", False, "no JSON")


def entries(directory, *bounds):
    return [json.loads(line) for line in read(directory, *bounds)]


def filled(directory, count, **options):
    written = SecurityLog(directory, **options)
    for number in range(count):
        written.add(Entry(f"2027-01-15T08:00:00.{number:03}Z", "Event", True, str(number)))
        written.flush()
    return written


def test_what_is_flushed_is_read_again_one_object_per_line(tmp_path):
    written = SecurityLog(tmp_path)
    assert written.add(TAMPER)
    written.flush()
    assert written.is_flushed
    assert entries(tmp_path) == [
        {
            "at": TAMPER.at,
            "type": "TamperDetectionActivated",
            "critical": True,
            "tech_info": 'lid "a"\nb',
        }
    ]


def test_nobody_else_may_read_it(tmp_path):
    filled(tmp_path, 1)
    assert (tmp_path / log.NAME).stat().st_mode & 0o777 == 0o600


def test_what_is_not_critical_waits_until_there_is_a_page_of_it(tmp_path):
    written = SecurityLog(tmp_path)
    assert not written.add(NOISE)
    assert not written.is_flushed
    assert not entries(tmp_path)
    longest = Entry(NOISE.at, "x" * 50, False, "y" * 255)
    while not written.add(longest):
        assert not entries(tmp_path)
    written.flush()
    size = (tmp_path / log.NAME).stat().st_size
    assert ENOUGH_BYTES <= size < ENOUGH_BYTES + 400
    assert not written.add(NOISE)


def test_to_flush_nothing_writes_nothing(tmp_path):
    SecurityLog(tmp_path).flush()
    assert not list(tmp_path.iterdir())


def test_when_a_file_is_full_the_older_one_is_forgotten(tmp_path):
    filled(tmp_path, 100, half_bytes=1000)
    files = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert set(files) == {"security.log", "security.log.1"}
    assert max(files.values()) <= 1000
    told = [int(entry["tech_info"]) for entry in entries(tmp_path)]
    assert told == list(range(told[0], 100))
    assert len(told) > 10


def test_it_holds_a_thousand_of_the_longest_entries(tmp_path):
    longest = Entry("2027-01-15T08:00:00.000Z", "x" * 50, True, "y" * 255)
    written = SecurityLog(tmp_path)
    for _ in range(5):
        for _ in range(1000):
            written.add(longest)
        written.flush()
    assert len(entries(tmp_path)) >= 1000
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2 * log.HALF_BYTES


def test_bounds_of_time_are_inclusive(tmp_path):
    filled(tmp_path, 5)
    bounds = ("2027-01-15T08:00:00.001Z", "2027-01-15T08:00:00.003Z")
    assert [entry["tech_info"] for entry in entries(tmp_path, *bounds)] == ["1", "2", "3"]


@pytest.mark.parametrize("rest", [b'{"at":"2027', b"\xff\xfe", b'{"at":1}'])
def test_half_a_line_of_a_power_cut_costs_that_line_only(tmp_path, rest):
    filled(tmp_path, 1)
    with (tmp_path / log.NAME).open("ab") as file:
        file.write(rest)
    written = SecurityLog(tmp_path)
    assert written.was_there
    written.add(TAMPER)
    written.flush()
    assert [entry["type"] for entry in entries(tmp_path)] == ["Event", TAMPER.type]


def test_a_disk_that_refuses_loses_the_oldest_of_a_thousand(tmp_path):
    directory = tmp_path / "missing"
    written = SecurityLog(directory)
    assert not written.was_there
    for number in range(MOST_WAITING + 5):
        written.add(Entry(NOISE.at, "Event", False, str(number)))
    with pytest.raises(OSError, match="missing"):
        written.flush()
    directory.mkdir()
    written.flush()
    told = entries(directory)
    assert (len(told), told[0]["tech_info"]) == (MOST_WAITING, "5")
    assert written.is_flushed


def test_it_was_there_if_only_the_older_half_is_left(tmp_path):
    filled(tmp_path, 1)
    (tmp_path / log.NAME).rename(tmp_path / f"{log.NAME}.1")
    assert SecurityLog(tmp_path).was_there


def test_two_threads_that_flush_write_every_entry_once(tmp_path):
    written = SecurityLog(tmp_path)
    for _ in range(50):
        for number in range(20):
            written.add(Entry(TAMPER.at, "Event", True, str(number)))
        threads = [threading.Thread(target=written.flush) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [entry["tech_info"] for entry in entries(tmp_path)] == [
        str(number) for _ in range(50) for number in range(20)
    ]
