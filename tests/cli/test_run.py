import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import main
from agent.client import AgentAbsentError, ControlClient

PEER = struct.Struct("3i")  # pid, uid, gid: ucred of unix(7)
ROOT = Path(__file__).parents[2]


def test_a_mistake_in_the_configuration_ends_it_with_code_78_and_the_line(place, capsys):
    path = place / "agent.toml"
    path.write_text("colour = 1\n")
    assert main(["run", "-c", str(path)]) == 78
    assert f"{path}:1: colour is not known here" in capsys.readouterr().err


def test_a_socket_is_not_an_option_of_the_daemon(capsys):
    assert main(["run", "--socket", "/run/s"]) == 2
    assert "[control] socket" in capsys.readouterr().err


def test_a_level_that_logging_does_not_have_is_a_usage_error(capsys):
    assert main(["run", "--log-level", "loud"]) == 2
    err = capsys.readouterr().err
    assert "invalid choice: 'loud'" in err
    assert all(level in err for level in ("debug", "info", "warning", "error"))


@pytest.fixture
def config(place):
    """The shipped configuration, with everything it writes in the test's own directory."""
    shutil.copytree(ROOT / "config", place / "etc")
    path = place / "etc" / "agent.toml"
    text = path.read_text()
    path.write_text(
        f'{text[: text.index("[storage]")]}\n[storage]\ndirectory = "{place / "state"}"\n'
        f'[control]\nsocket = "{place / "s"}"\n'
    )
    return path


def end_simulator(path):
    """End the simulated board's own process, which would wait half a minute for a new agent."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        os.kill(PEER.unpack(told)[0], signal.SIGTERM)
        assert connection.recv(1) == b""


def answering(path, process):
    """Connect to a daemon that is starting."""
    while process.poll() is None:
        try:
            return ControlClient(path)
        except AgentAbsentError:
            pass
    raise AssertionError(process.stderr.read())


def test_the_daemon_answers_logs_to_stderr_and_ends_on_sigterm_with_code_0(
    place, config, capsys
):
    (place / "state").mkdir()
    command = [sys.executable, "-m", "agent", "run", "-c", str(config), "--log-level", "debug"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            with answering(place / "s", process) as agent:
                assert agent.call("status")["station"]["identity"] == "CP001"
            assert main(["status", "-c", str(config)]) == 0
            assert "EVSE 1" in capsys.readouterr().out
            assert main(["settings", "set", "HeartbeatInterval", "x", "-c", str(config)]) == 1
            assert "allowed is 0 to" in capsys.readouterr().err
            assert main(["settings", "list", "-c", str(config)]) == 0
            assert "HeartbeatInterval" in capsys.readouterr().out
            assert main(["sim", "plug", "--evse", "7", "-c", str(config)]) == 1
            assert "no EVSE 7" in capsys.readouterr().err
            assert main(["sim", "plug", "-c", str(config)]) == 0
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
            end_simulator(place / "state" / "simulator.sock")
            logged = process.stderr.read()
    assert process.returncode == 0
    assert " DEBUG   agent." in logged
