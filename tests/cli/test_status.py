import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.client import ControlClient
from agent.commands.picture import picture
from agent.commands.status import watch
from tests.cli.peer import Agent
from tests.cli.test_picture import STATUS

ROOT = Path(__file__).parents[2]


class Pauses:
    """Lets a watcher go round a number of times, then presses Ctrl-C."""

    def __init__(self, rounds):
        self.left = rounds

    def __call__(self):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_status_is_the_picture_of_what_the_agent_says(serve, pilotwire):
    peer = serve(Agent, {"status": STATUS})
    assert pilotwire("status") == (0, picture(STATUS) + "\n", "")
    assert peer.requests == [("status", {})]


def test_json_is_what_the_agent_says_and_more_than_the_picture_knows(serve, pilotwire):
    serve(Agent, {"status": {**STATUS, "news": [1]}})
    code, out, _ = pilotwire("status", "--json")
    assert code == 0
    assert json.loads(out) == {**STATUS, "news": [1]}


def test_an_answer_without_what_was_promised_is_a_failure(serve, pilotwire):
    serve(Agent, {"status": {"station": {}}})
    code, out, err = pilotwire("status")
    assert (code, out) == (1, "")
    assert err.startswith("the agent's status is not understood: ")


def test_watching_into_a_file_appends_pictures_with_blank_lines_between(serve, capsys):
    peer = serve(Agent, {"status": STATUS})
    with ControlClient(peer.path) as agent:
        watch(agent, as_json=False, pause=Pauses(2))
    assert capsys.readouterr().out == f"{picture(STATUS)}\n\n" * 2


def test_watching_as_json_is_one_line_each(serve, capsys):
    peer = serve(Agent, {"status": STATUS})
    with ControlClient(peer.path) as agent:
        watch(agent, as_json=True, pause=Pauses(3))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [STATUS] * 3


def test_watching_asks_again_every_time(serve, capsys):
    setpoints = iter([16.0, 10.0])

    def status(_):
        evse = {**STATUS["evses"][0], "setpoint_a": next(setpoints)}
        return {**STATUS, "evses": [evse]}

    peer = serve(Agent, {"status": status})
    with ControlClient(peer.path) as agent:
        watch(agent, as_json=False, pause=Pauses(2))
    out = capsys.readouterr().out
    assert 0 < out.index("setpoint      16.0 A") < out.index("setpoint      10.0 A")


def test_ctrl_c_is_the_ordinary_end_of_watching(serve, pilotwire):
    answers = iter([STATUS, None])

    def status(_):
        answer = next(answers)
        if answer is None:
            os.kill(os.getpid(), signal.SIGINT)
        return answer or STATUS

    serve(Agent, {"status": status})
    code, out, err = pilotwire("status", "--watch", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out.splitlines()[0]) == STATUS


@pytest.fixture
def terminal():
    """A pseudo-terminal: the near end's number and the far end's."""
    near, far = pty.openpty()
    yield near, far
    os.close(near)
    os.close(far)


def test_on_a_terminal_the_picture_is_redrawn_until_ctrl_c(serve, terminal):
    near, far = terminal
    peer = serve(Agent, {"status": STATUS})
    command = [sys.executable, "-m", "agent", "status", "--watch", "--socket", str(peer.path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=far, stderr=subprocess.PIPE)
    try:
        seen = b""
        while seen.count(b"id a1b2\r\n") < 2:
            seen += os.read(near, 65_536)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, b"")
    assert seen.startswith(b"\x1b[H\x1b[2Jstation   CP001")
    assert seen.count(b"\x1b[2J") == 2
