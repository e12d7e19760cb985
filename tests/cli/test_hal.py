"""`pilotwire hal` as a technician uses it, against a simulated device in another process."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli import main
from agent.commands import hal
from hal.protocols.power_module import Alarm, Condition
from hal.tools.modules import Seen

ROOT = Path(__file__).parents[2]
MAPS = ROOT / "config/registers"


@contextmanager
def simulator(*options: str) -> Iterator[str]:
    """Run `pilotwire hal simulate` around a block; yield where the device is."""
    command = [sys.executable, "-m", "agent", "hal", "simulate", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            line = process.stdout.readline()
            yield re.fullmatch(r".* as unit \d+ on (\S+)\n", line)[1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


@pytest.fixture(scope="module")
def em340() -> Iterator[str]:
    with simulator("carlo-gavazzi-em340", "--tcp", "0", "--unit", "3") as where:
        yield where


@pytest.fixture(scope="module")
def iem3000() -> Iterator[str]:
    with simulator(
        "schneider-iem3000", "--set", "voltage_l2=400", "--set", "frequency=10"
    ) as path:
        yield path


@pytest.fixture
def closed_port() -> str:
    """Return an address of this machine where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


# --- check ---


def test_check_says_what_a_map_describes_and_how_many_reads_a_poll_takes(capsys):
    files = [str(MAPS / "eastron-sdm630.toml"), str(MAPS / "_template-evse.toml")]
    assert main(["hal", "check", *files, str(ROOT / "config/boards/sim.toml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": Eastron SDM630 Modbus V2, 16 points in 1 read of 76 words")
    assert lines[1].endswith("offers 0|6..32 A, falls back after 15 s")
    assert lines[2].endswith(": 1 EVSE, 1 ports, maps: eastron-sdm630")


def test_check_reports_every_mistake_with_its_line(tmp_path, capsys):
    path = tmp_path / "map.toml"
    text = (MAPS / "eastron-sdm630.toml").read_text()
    path.write_text(text.replace("voltage_l1 ", "voltage_x1 ").replace('"kWh"', '"kW"'))
    assert main(["hal", "check", str(path), str(tmp_path / "none.toml")]) == 78
    out, err = capsys.readouterr()
    assert re.search(r"map.toml:\d+: unknown point 'voltage_x1'; allowed: voltage_l1", out)
    assert re.search(r"map.toml:\d+: energy_import cannot be in 'kW'; allowed: 'Wh'", out)
    assert re.search(r"none.toml:1: the file cannot be read", out)
    assert err.endswith("mistakes\n")


def test_a_controller_without_a_watchdog_is_said_to_keep_offering(tmp_path, capsys):
    path = tmp_path / "map.toml"
    text = (MAPS / "_template-evse.toml").read_text()
    start, end = text.index("[watchdog]"), text.index("[startup]")
    path.write_text(text[:start] + text[end:])
    assert main(["hal", "check", str(path)]) == 0
    assert "keeps offering when nobody talks to it" in capsys.readouterr().out


# --- probe ---


def test_probe_shows_a_device_and_who_it_is(em340, capsys):
    assert main(["hal", "probe", "carlo-gavazzi-em340", "--tcp", em340, "--unit", "3"]) == 0
    out = capsys.readouterr().out
    assert "serial number: BN1234567890A" in out
    assert re.search(r"^voltage_l1 +230 V +ok$", out, re.MULTILINE)
    assert re.search(r"^energy_import +10\d+ Wh +ok$", out, re.MULTILINE)
    assert "verified: Addresses and scales" in out


def test_probe_marks_what_cannot_be_and_ends_with_1(iem3000, capsys):
    assert main(["hal", "probe", "schneider-iem3000", "--port", iem3000]) == 1
    out = capsys.readouterr().out
    assert re.search(
        r"^voltage_l2 +400 V +!! is 400 V; plausible is 0 to 300$", out, re.MULTILINE
    )
    assert re.search(
        r"^frequency +10 Hz +\? +is 10 Hz; plausible is 45 to 65$", out, re.MULTILINE
    )


def test_probe_of_a_unit_that_is_not_there_says_so(em340, capsys):
    assert main(["hal", "probe", "carlo-gavazzi-em340", "--tcp", em340, "--unit", "9"]) == 1
    assert "unit 9, function 4" in capsys.readouterr().err


def test_probe_without_such_a_map_names_where_it_looked(capsys):
    assert main(["hal", "probe", "no-such-meter", "--port", "/dev/null"]) == 78
    assert "no no-such-meter.toml in " in capsys.readouterr().err


# --- watch ---


def test_watch_shows_a_register_that_rises(em340, capsys):
    command = ["hal", "watch", "carlo-gavazzi-em340", "--tcp", em340, "--unit", "3"]
    assert main([*command, "--every", "0.1", "--count", "3"]) == 0
    out = capsys.readouterr().out
    assert out.count("energy_import") == 3
    assert out.count("0 without an answer") == 3


def test_watch_goes_on_when_a_reading_fails(em340, capsys, tmp_path):
    path = tmp_path / "map.toml"
    text = (MAPS / "carlo-gavazzi-em340.toml").read_text()
    path.write_text(text.replace("timeout_s", "#").replace("gap_s = 0.05", "timeout_s = 0.05"))
    command = ["hal", "watch", str(path), "--tcp", em340, "--unit", "9"]
    assert main([*command, "--every", "0.01", "--count", "2"]) == 1  # there was none at all
    assert capsys.readouterr().out.count("no reading: ") == 2


def test_watch_says_why_a_line_is_not_there_each_time(closed_port, capsys):
    command = ["hal", "watch", "abb-b23", "--tcp", closed_port]
    assert main([*command, "--every", "0.01", "--count", "2"]) == 1
    assert capsys.readouterr().out.count(": Connection refused\n") == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--every", "0"], "'0' are no seconds, such as 0.5"),
        (["--every", "nan"], "'nan' are no seconds"),
        (["--every", "often"], "'often' are no seconds"),
        (["--count", "0"], "'0' is not from 1 to"),
    ],
)
def test_watch_refuses_what_cannot_be_meant(options, says, capsys):
    assert main(["hal", "watch", "abb-b23", "--tcp", "127.0.0.1", *options]) == 2
    assert says in capsys.readouterr().err


# --- scan ---


def test_scan_finds_the_unit_and_the_map_that_fits_best(em340, capsys):
    assert main(["hal", "scan", "--tcp", em340, "--units", "2-3", "--timeout", "0.1"]) == 0
    shown = capsys.readouterr()
    (line,) = shown.out.splitlines()
    assert line.startswith("127.0.0.1, unit 3: carlo-gavazzi-em340 (14 points), ")
    assert shown.err.startswith("unit 3 answers; trying ")


def test_scan_of_a_serial_line_tries_rates_and_parities(iem3000, capsys):
    options = ["--units", "1", "--bauds", "19200", "--parities", "NE", "--timeout", "0.1"]
    assert main(["hal", "scan", "--port", iem3000, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "19200 baud, parity N, unit 1: answers, but no map fits"
    assert len(lines) == 2  # a pseudo terminal has neither rate nor parity


def test_scan_that_finds_nothing_ends_with_1(em340, capsys):
    assert main(["hal", "scan", "--tcp", em340, "--units", "7", "--timeout", "0.05"]) == 1
    assert "nothing answers; does the gateway want --framing rtu?" in capsys.readouterr().err


def test_scan_of_a_serial_line_on_which_nothing_answers_asks_about_its_wires(iem3000, capsys):
    options = ["--units", "9", "--bauds", "9600", "--parities", "N", "--timeout", "0.02"]
    assert main(["hal", "scan", "--port", iem3000, *options]) == 1
    assert "nothing answers; are A and B swapped?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--units", "0-3"], "units are 1 to 255"),
        (["--units", "3-1"], "the last unit comes before the first"),
        (["--units", "all"], "is no span, such as 1-16"),
        (["--bauds", "fast"], "are no numbers"),
        (["--parities", "NX"], "'NX': of N, E and O"),
        (["--parities", ""], "'': of N, E and O"),
        (["--timeout", "-1"], "are no seconds"),
        (["--framing", "tcp"], "--framing tcp is not for serial lines"),
    ],
)
def test_scan_refuses_what_cannot_be_meant(options, says, capsys):
    assert main(["hal", "scan", "--port", "/dev/null", *options]) == 2
    assert says in capsys.readouterr().err


def test_scan_of_a_line_that_is_not_there_says_so(capsys):
    assert main(["hal", "scan", "--port", "/dev/no-such-line"]) == 1
    assert capsys.readouterr().err == (
        "/dev/no-such-line: cannot be opened: No such file or directory\n"
    )


# --- simulate ---


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "volts=3"], "no point 'volts'; allowed: apparent_total"),
        (["--set", "frequency"], "'frequency' is no POINT=VALUE"),
        (["--set", "frequency=1e300"], "cannot carry"),
    ],
)
def test_simulate_refuses_what_a_device_cannot_show(options, says, capsys):
    assert main(["hal", "simulate", "abb-b23", "--tcp", "0", *options]) == 2
    assert says in capsys.readouterr().err


def test_simulate_says_when_its_port_is_taken(em340, capsys):
    port = em340.rpartition(":")[2]
    assert main(["hal", "simulate", "abb-b23", "--tcp", port]) == 1
    assert "cannot listen: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["host:port", "host:0", "host:65536", "host:99999999", ":5"]
)
def test_an_address_that_is_none_is_refused(address, capsys):
    assert main(["hal", "probe", "abb-b23", "--tcp", address]) == 2
    assert f"'{address}' is no HOST or HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--baud", "9600"], ["--parity", "E"], ["--stopbits", "1"]])
def test_an_option_of_serial_lines_is_refused_over_tcp(option, capsys):
    assert main(["hal", "probe", "abb-b23", "--tcp", "127.0.0.1", *option]) == 2
    assert f"{option[0]} is for serial lines, not for --tcp" in capsys.readouterr().err


def test_probe_says_why_a_peer_is_not_reached(closed_port, capsys):
    assert main(["hal", "probe", "abb-b23", "--tcp", closed_port]) == 1
    assert capsys.readouterr().err == f"{closed_port}: cannot be opened: Connection refused\n"


def test_probe_with_the_map_of_another_device_says_so(em340, capsys):
    command = ["hal", "probe", "janitza-b23", "--tcp", em340, "--unit", "3"]
    main(command)
    assert "it does not look like this device" in capsys.readouterr().err


def test_a_simulated_line_survives_noise_and_users_that_come_and_go(iem3000, capsys):
    descriptor = os.open(iem3000, os.O_RDWR | os.O_NOCTTY)
    os.write(descriptor, b"\xff\x00\x13 this is no frame \xaa\x55")
    os.close(descriptor)
    command = ["hal", "watch", "schneider-iem3000", "--port", iem3000]
    assert main([*command, "--every", "0.01", "--count", "3"]) == 0
    assert capsys.readouterr().out.count("voltage_l1") >= 2


# --- progress ---


def test_progress_is_shown_on_a_terminal_only(monkeypatch):
    assert type(hal._bar(3)).__name__ == "_NoBar"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = hal._bar(3)
    assert (type(bar).__name__, bar.total) == ("tqdm", 3)
    bar.close()
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert type(hal._bar(3)).__name__ == "_NoBar"


# --- exercise ---


def test_exercise_without_a_vehicle_gives_up_and_offers_nothing(capsys):
    with simulator("heidelberg-energy-control", "--tcp", "0") as where:
        command = ["hal", "exercise", "heidelberg-energy-control", "--tcp", where]
        assert main([*command, "--yes", "--patience", "1"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert "  pilot A at connector 1" in out
    assert "not within 1 s: a vehicle comes" in out
    assert out[-1] == "nothing is offered any more"


def test_exercise_without_a_word_of_the_tester_offers_nothing(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    options = ["--tcp", "0", "--set", "state=7"]  # a vehicle that asks for energy
    with simulator("heidelberg-energy-control", *options) as where:
        assert main(["hal", "exercise", "heidelberg-energy-control", "--tcp", where]) == 1
    shown = capsys.readouterr()
    assert shown.out.endswith("nothing is offered any more\n")
    assert "are offered" not in shown.out
    assert "no answer; --yes offers current without asking" in shown.err


def test_exercise_says_why_a_controller_is_not_reached(closed_port, capsys):
    command = ["hal", "exercise", "heidelberg-energy-control", "--tcp", closed_port]
    assert main([*command, "--patience", "0.1"]) == 1
    assert f"{closed_port}: Connection refused" in capsys.readouterr().err


def test_exercise_needs_the_map_of_a_controller(capsys):
    assert main(["hal", "exercise", "abb-b23", "--tcp", "127.0.0.1"]) == 1
    assert "abb-b23 is no map of an EVSE controller" in capsys.readouterr().err
    assert main(["hal", "exercise", "evse-din", "--tcp", "127.0.0.1", "--patience", "0"]) == 2


# --- power modules ---

GROUP = f"239.74.163.2:{45_000 + os.getpid() % 2_000}"


@pytest.fixture(scope="module")
def modules() -> Iterator[None]:
    """Three modules in another process, on a CAN line that is a multicast group."""
    options = ["simulate", "infypower", "--can", GROUP, "--modules", "3"]
    command = [sys.executable, "-m", "agent", "hal", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == f"3 infypower modules on {GROUP}\n"
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_modules_lists_who_answers_on_a_can_line_and_what_they_can_do(modules, capsys):
    assert main(["hal", "modules", "infypower", "--can", GROUP]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert [line.split("  ")[0] for line in lines] == ["module 0", "module 1", "module 2"]
    assert lines[2].endswith("0.0 V  0.0 A  27 C  off  150 to 1000 V, 100 A, 30000 W")


def test_modules_that_speak_something_else_are_not_there(modules, capsys):
    assert main(["hal", "modules", "uugreen", "--can", GROUP]) == 1
    assert "nothing answers; is a module powered" in capsys.readouterr().err


def test_a_module_that_reports_alarms_is_marked():
    condition = Condition(4, is_on=True, alarms=frozenset({Alarm.FAN, Alarm.FAULT}))
    assert hal.module_row(Seen(4, condition=condition)) == (
        "module 4",
        "-  -  on  !! fan, fault",
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["modules", "infypower", "--can", "a/b"], "must be the name of a network interface"),
        (["modules", "infypower", "--can", "10.0.0.1:5"], "must be a multicast group"),
        (["modules", "tesla", "--can", "can0"], "invalid choice"),
        (
            ["simulate", "sdm630", "--can", "can0"],
            "'sdm630' is no family of modules: infypower",
        ),
        (["simulate", "uugreen", "--can", "can0", "--modules", "33"], "33"),
    ],
)
def test_modules_refuses_what_cannot_be_meant(options, says, capsys):
    assert main(["hal", *options]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("action", ["modules", "simulate"])
def test_a_can_line_that_is_not_there_is_said(action, capsys):
    assert main(["hal", action, "infypower", "--can", "pw-none"]) == 1
    assert "pw-none: cannot be opened" in capsys.readouterr().err


# --- controllers on a serial line of their own ---


@pytest.fixture(scope="module", params=["openevse", "safety-mcu"])
def board(request) -> Iterator[tuple[str, str]]:
    """Run a simulated board; yield its name and its line."""
    command = [sys.executable, "-m", "agent", "hal", "simulate", request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            line = process.stdout.readline()
            yield (
                request.param,
                re.fullmatch(rf"{request.param} with a vehicle on (.+)\n", line)[1],
            )
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def test_probe_of_a_board_shows_it_and_disturbs_nothing(board, capsys):
    name, path = board
    assert main(["hal", "probe", name, "--port", path]) == 0
    out = capsys.readouterr().out
    shown = {
        "openevse": [r"firmware: 8\.2\.3 5\.2\.1", r"state +2 B +ok", r"offered +32 A +ok"],
        "safety-mcu": [r"pilot +B +ok", r"offered +0 A +ok", r"greeted +0 waits for .* +ok"],
    }
    for line in shown[name]:
        assert re.search(rf"^{line}$", out, re.MULTILINE), line


def test_watch_of_a_board_shows_it_again_and_again(board, capsys):
    name, path = board
    assert main(["hal", "watch", name, "--port", path, "--every", "0.01", "--count", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("offered") == 2
    assert out.count("0 without an answer") == 2


def test_exercise_of_a_board_ends_with_nothing_offered(board, capsys, monkeypatch):
    monkeypatch.setattr("hal.tools.exercising._LOOK_S", 0.01)
    name, path = board
    assert main(["hal", "exercise", name, "--port", path, "--yes", "--patience", "20"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "16 A are offered; compare with the tester or a clamp meter" in out
    assert out[-2:] == ["done: the contactor opens", "nothing is offered any more"]


@pytest.mark.parametrize("name", ["openevse", "safety-mcu"])
def test_a_board_that_is_not_there_is_one_sentence(name, capsys, tmp_path):
    path = str(tmp_path / "none")
    assert main(["hal", "probe", name, "--port", path]) == 1
    assert path in capsys.readouterr().err
    assert main(["hal", "watch", name, "--port", path, "--count", "1"]) == 1
    assert "no reading: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ["probe", "openevse", "--tcp", "127.0.0.1"],
        ["watch", "safety-mcu", "--port", "/dev/null", "--unit", "2"],
        ["exercise", "openevse", "--port", "/dev/null", "--framing", "rtu"],
        ["simulate", "safety-mcu", "--tcp", "0"],
        ["simulate", "openevse", "--set", "voltage_l1=230"],
    ],
)
def test_what_only_modbus_has_is_refused_for_a_board(options, capsys):
    assert main(["hal", *options]) == 2
    assert "--tcp" in capsys.readouterr().err
