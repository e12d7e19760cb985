import io
import logging
import os
import socket
import sys

import pytest

from agent.runtime.systemd import (
    LONGEST_STATUS,
    JournalFormatter,
    Notifier,
    is_journal,
    log_handler,
    watchdog_interval_s,
)


@pytest.fixture(params=["path", "abstract"])
def listener(request, tmp_path, monkeypatch):
    """A socket such as systemd's, named in the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5)
        if request.param == "path":
            bound.bind(str(tmp_path / "notify"))
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        else:
            bound.bind(f"\0pilotwire-test-{os.getpid()}")
            monkeypatch.setenv("NOTIFY_SOCKET", f"@pilotwire-test-{os.getpid()}")
        yield bound


def heard(listener):
    return listener.recv(4_096).decode("latin-1").split("\n")


def test_systemd_hears_of_start_state_life_and_end(listener):
    notifier = Notifier()
    notifier.ready("1 EVSE, dialing")
    assert heard(listener) == ["READY=1", "STATUS=1 EVSE, dialing"]
    notifier.status("online")
    assert heard(listener) == ["STATUS=online"]
    notifier.watchdog()
    assert heard(listener) == ["WATCHDOG=1"]
    notifier.stopping("opening outlets")
    assert heard(listener) == ["STOPPING=1", "STATUS=opening outlets"]
    notifier.close()


def test_a_status_cannot_say_anything_else_and_is_bounded(listener):
    notifier = Notifier()
    notifier.status("first\nWATCHDOG=1\r\n  Größe 7 € " + "x" * 1_000)
    (line,) = heard(listener)
    assert line.startswith("STATUS=first WATCHDOG=1 Größe 7 ? xxx")
    assert len(line) == len("STATUS=") + LONGEST_STATUS
    notifier.close()


def test_after_closing_nothing_is_told(listener):
    notifier = Notifier()
    notifier.close()
    notifier.close()
    notifier.ready("late")
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(100)


@pytest.mark.parametrize("address", [None, ""])
def test_without_systemd_nothing_happens(monkeypatch, address):
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notifier = Notifier()
    notifier.ready("")
    notifier.watchdog()
    notifier.close()


def test_a_systemd_that_does_not_read_or_is_gone_stops_nothing(listener):
    notifier = Notifier()
    for _ in range(10_000):
        notifier.watchdog()
    listener.close()
    notifier.stopping("")
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "x"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_the_unit_asks(environ, expected):
    assert watchdog_interval_s(environ, 42) == expected


def test_the_watchdog_looks_at_this_process_by_itself(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_interval_s() == 1.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    assert watchdog_interval_s() is None


def logged(stream, *calls):
    handler = log_handler(stream)
    logger = logging.getLogger("tests.systemd")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        for level, message in calls:
            logger.log(level, message)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def test_every_line_to_the_journal_begins_with_its_priority(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    with path.open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        logged(
            stream,
            (logging.CRITICAL, "a"),
            (logging.ERROR, "b"),
            (logging.WARNING, "c\nd"),
            (logging.INFO, "e"),
            (logging.DEBUG, "f"),
            (25, "g"),
        )
    assert path.read_text().splitlines() == [
        "<2>tests.systemd: a",
        "<3>tests.systemd: b",
        "<4>tests.systemd: c",
        "<4>d",
        "<6>tests.systemd: e",
        "<7>tests.systemd: f",
        "<6>tests.systemd: g",
    ]


def test_a_traceback_keeps_its_priority_on_every_line():
    try:
        int("x")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "", 1, "m", None, sys.exc_info())
    lines = JournalFormatter().format(record).split("\n")
    assert len(lines) > 2
    assert all(line.startswith("<3>") for line in lines)


def test_elsewhere_lines_carry_time_and_level(monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    stream = io.StringIO()
    logged(stream, (logging.WARNING, "hello"))
    assert stream.getvalue().endswith(" WARNING tests.systemd: hello\n")
    assert stream.getvalue()[:2] == "20"


def test_only_the_stream_that_is_named_is_the_journal(tmp_path):
    with (tmp_path / "a").open("w") as named, (tmp_path / "b").open("w") as other:
        status = os.fstat(named.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(named, environ)
        assert not is_journal(other, environ)
        assert not is_journal(named, {})
    assert not is_journal(named, environ)
    assert not is_journal(io.StringIO(), environ)


def test_stderr_is_where_lines_go_by_default():
    assert log_handler().stream is sys.stderr
