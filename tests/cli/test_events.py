import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.commands.events import line
from tests.cli.peer import Agent

ROOT = Path(__file__).parents[2]
AT = "2027-01-15T08:00:00Z"
CHANGE = {"at": AT, "kind": "state", "what": "evse", "evse_id": 1, "setpoint_a": 16.0}
FRAME = {"at": AT, "kind": "message.sent", "frame": '[2,"1","Heartbeat",{}]'}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (CHANGE, f"{AT}  state                     what=evse evse_id=1 setpoint_a=16.0"),
        (FRAME, f'{AT}  message.sent              [2,"1","Heartbeat",{{}}]'),
        ({"at": None, "kind": "token.refused", "text": "offline", "evse_id": 2},
         "-  token.refused             EVSE 2: offline"),
        ({"at": None, "kind": "note", "text": "hello", "evse_id": None},
         "-  note                      hello"),
        ({"at": AT, "kind": "PilotChanged", "event": {"evse_id": 1, "pilot": "C"}},
         f"{AT}  PilotChanged              evse_id=1 pilot=C"),
        ({"at": AT, "kind": "LinkDown", "event": {}}, f"{AT}  LinkDown"),
        ({"at": AT, "kind": "x", "frame": "\x1b[2J\n"}, rf"{AT}  x                         \x1b[2J\n"),
        ({"kind": "k", "a": None, "b": [1, {"c": True}]},
         '-  k                         a=null b=[1,{"c":true}]'),
        ({}, "-  -"),
    ],
)  # fmt: skip
def test_an_event_is_one_line(event, text):
    assert line(event) == text


def test_events_are_printed_until_the_agent_hangs_up(serve, pilotwire):
    peer = serve(Agent, {}, (CHANGE, FRAME))
    code, out, err = pilotwire("events")
    assert out.splitlines() == [line(CHANGE), line(FRAME)]
    assert (code, err) == (1, f"the agent at {peer.path} has hung up\n")
    assert peer.requests == [("events", {})]


def test_json_is_one_line_for_each_event(serve, pilotwire):
    serve(Agent, {}, (CHANGE, FRAME))
    _, out, _ = pilotwire("events", "--json")
    assert [json.loads(one) for one in out.splitlines()] == [CHANGE, FRAME]


class Patient(Agent):
    """Does not hang up before its client does."""

    def serve(self, connection):
        super().serve(connection)
        connection.rfile.readline()


class Interrupting(Agent):
    """Presses Ctrl-C where the client runs, after the events."""

    def serve(self, connection):
        super().serve(connection)
        os.kill(os.getpid(), signal.SIGINT)
        connection.rfile.readline()


def test_ctrl_c_while_events_are_awaited_is_the_ordinary_end(serve, pilotwire):
    serve(Interrupting, {}, (CHANGE,))
    code, _, err = pilotwire("events")
    assert (code, err) == (0, "")


def test_ctrl_c_ends_the_process_with_code_0(serve):
    peer = serve(Patient, {}, (CHANGE,))
    command = [sys.executable, "-m", "agent", "events", "--socket", str(peer.path)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (first, out, err, process.returncode) == (f"{line(CHANGE)}\n", "", "", 0)
