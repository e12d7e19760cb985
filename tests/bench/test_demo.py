import contextlib
import fcntl
import io
import os
import re
import signal
import socket

import pytest

from agent.bench import demo
from agent.bench.charger import Charger
from agent.bench.ledger import Transaction
from tests.bench.station import instant


@pytest.fixture
def directory(tmp_path_factory):
    """A directory whose path is short enough for sockets."""
    return tmp_path_factory.mktemp("d")


def bill(energy_wh=50.0, **changes):
    fields = {
        "started_at": instant(0),
        "ended_at": instant(9),
        "meter_start_wh": 100.0,
        "meter_stop_wh": None if energy_wh is None else 100.0 + energy_wh,
        **changes,
    }
    return Transaction(identity="CP001", transaction_id="tx-1", **fields)


def test_three_accounts_that_agree_leave_nothing_to_say():
    assert demo.compared([bill()], 45.0, 50.5) == []
    assert demo.compared([bill(51.0)], 52.0, 50.0) == []


@pytest.mark.parametrize(
    ("entries", "station_wh", "register_wh", "words"),
    [
        ([], 0.0, 0.0, "billed 0 transactions"),
        ([bill(), bill()], 50.0, 50.0, "billed 2 transactions"),
        ([bill(ended_at=None)], 50.0, 50.0, "no start or no end"),
        ([bill(first_seq_no=0, told=[[0, 1], [3, 3]])], 50.0, 50.0, r"\[2\] never came"),
        ([bill(duplicates=1)], 50.0, 50.0, "1 messages came twice"),
        ([bill(None)], 50.0, 50.0, "knows no energy"),
        ([bill()], 45.0, 53.0, "bills 50 Wh, the meter says 53 Wh"),
        ([bill()], 45.0, 47.0, "bills 50 Wh, the meter says 47 Wh"),
        ([bill()], 53.0, 50.0, "bills 50 Wh, the station had 53 Wh"),
    ],
)
def test_whatever_does_not_agree_is_said(entries, station_wh, register_wh, words):
    (difference,) = demo.compared(entries, station_wh, register_wh)
    assert re.search(words, difference)


def test_an_unknown_version_is_refused(directory, capsys):
    assert demo.main(ocpp="1.5", directory=directory) == 1
    assert "1.6 and 2.0.1 are allowed" in capsys.readouterr().err


def test_a_directory_that_cannot_be_used_is_refused(directory, capsys):
    (directory / "file").write_text("")
    assert demo.main(directory=directory / "file") == 1
    assert "File exists" in capsys.readouterr().err


def test_the_hints_can_be_typed_as_they_are(directory):
    charger = Charger(directory)
    text = demo.hints(charger)
    assert "status --socket" in text
    assert "events --socket" in text
    assert f"token {demo.CARD}" in text
    assert "kill -9" in text


class Screen(io.StringIO):
    """Stands in for the terminal, and acts as soon as it shows certain words."""

    def __init__(self, words="nothing waits for this", act=lambda screen: None):
        super().__init__()
        self.words, self.act, self.is_done = words, act, False

    def write(self, text):
        written = super().write(text)
        if not self.is_done and self.words in self.getvalue():
            self.is_done = True
            self.act(self)
        return written

    @property
    def agent_pid(self):
        return int(re.search(r"process (\d+)", self.getvalue())[1])


def shown(screen, **options):
    """Run a demonstration in front of a screen; return its exit code."""
    with contextlib.redirect_stdout(screen):
        return demo.main(**options)


def cut_power(screen):
    os.kill(screen.agent_pid, signal.SIGKILL)


def assert_gone(pid):
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_session_is_shown_from_boot_to_bill_and_the_accounts_agree(directory):
    screen = Screen()
    assert shown(screen, once=True, ocpp="1.6", directory=directory, charge_s=1.0) == 0
    text = screen.getvalue()
    places = [
        text.index(words)
        for words in (
            "agent runs as process",
            "boot",
            "plugs in",
            f"presents token {demo.CARD}",
            f"token {demo.CARD}: Accepted",
            "offers 20 A, the least of",
            "again",
            "ended",
            "bill: transaction",
            "ledger, station and meter agree",
            "unplugs",
        )
    ]
    assert places == sorted(places)
    assert_gone(screen.agent_pid)


def test_after_a_power_cut_the_bill_comes_first(directory, capsys):
    screen = Screen("MeterValuePeriodic", cut_power)
    assert shown(screen, directory=directory, charge_s=600.0) == 1
    assert "its power is cut" in capsys.readouterr().err

    screen = Screen("stays up", cut_power)
    assert shown(screen, ocpp="1.6", directory=directory, charge_s=1.0) == 1
    assert "its power is cut" in capsys.readouterr().err
    text = screen.getvalue()
    recovered = next(line for line in text.splitlines() if "recovered after" in line)
    assert "ended by Reboot" in recovered
    assert text.index(recovered) < text.index("plugs in")
    assert "agree" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("once", [False, True])
def test_a_signal_ends_everything_cleanly(directory, number, once, capsys):
    screen = Screen("Available", lambda _: os.kill(os.getpid(), number))
    assert shown(screen, once=once, directory=directory) == once
    assert screen.getvalue().endswith("ended\n")
    assert capsys.readouterr().err == ""
    assert_gone(screen.agent_pid)


def test_two_demonstrations_keep_out_of_each_others_directory(directory, capsys):
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert demo.main(directory=directory) == 1
    assert "already" in capsys.readouterr().err


def test_a_port_that_was_taken_meanwhile_is_replaced(directory, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (directory / "csms-port").write_text(str(port))
        screen = Screen("listens on", lambda _: os.kill(os.getpid(), signal.SIGTERM))
        assert shown(screen, directory=directory) == 0
    assert f":{port}/" not in screen.getvalue()
    assert (directory / "csms-port").read_text() != str(port)
