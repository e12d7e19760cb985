import tomllib

import msgspec
import pytest

from agent.cli import main
from hal.board_file import check_board
from hal.sim import wire
from tests.cli.peer import Agent, RefusedError

CASES = [
    (["plug"], "sim.plug", {"evse_id": 1, "connector_id": 1, "vehicle": {}},
     "EVSE 1: a vehicle is plugged in at connector 1"),
    (["plug", "--evse", "2", "--connector", "3", "--max-a", "16", "--phases", "1",
      "--ampacity-a", "20", "--not-ready"],
     "sim.plug",
     {"evse_id": 2, "connector_id": 3,
      "vehicle": {"max_a": 16.0, "phases": 1, "ampacity_a": 20.0, "ready": False}},
     "EVSE 2: a vehicle is plugged in at connector 3"),
    (["unplug", "--evse", "2"], "sim.unplug", {"evse_id": 2, "connector_id": 1},
     "EVSE 2: connector 1 is free"),
    (["unplug", "--at-vehicle"], "sim.unplug",
     {"evse_id": 1, "connector_id": 1, "leaves_cable": True},
     "EVSE 1: the vehicle has left its cable at 1"),
    (["ready", "yes"], "sim.ready", {"evse_id": 1, "ready": True},
     "EVSE 1: the vehicle asks for energy"),
    (["ready", "--evse", "2", "no"], "sim.ready", {"evse_id": 2, "ready": False},
     "EVSE 2: the vehicle does not ask for energy"),
    (["token", "04A1B2C3"], "sim.token", {"id_token": "04A1B2C3", "type": "ISO14443"},
     "the token has been read"),
    (["token", "1234", "--type", "KeyCode", "--evse", "2"], "sim.token",
     {"id_token": "1234", "type": "KeyCode", "evse_id": 2}, "the token has been read"),
    (["fault", "GroundFailure"], "sim.fault", {"evse_id": 1, "fault": "GroundFailure"},
     "EVSE 1: GroundFailure is there"),
    (["fault", "OtherError", "--evse", "2", "--info", "smoke"], "sim.fault",
     {"evse_id": 2, "fault": "OtherError", "info": "smoke"}, "EVSE 2: OtherError is there"),
    (["clear", "GroundFailure"], "sim.clear", {"evse_id": 1, "fault": "GroundFailure"},
     "EVSE 1: GroundFailure is gone"),
    (["set", "evse-1", "draw", "40"], "sim.set",
     {"device": "evse-1", "point": "draw", "value": 40.0}, "evse-1: draw = 40"),
    (["set", "meter-1", "power_total", "-1.5"], "sim.set",
     {"device": "meter-1", "point": "power_total", "value": -1.5}, "meter-1: power_total = -1.5"),
    (["set", "evse-1", "draw", "auto"], "sim.set",
     {"device": "evse-1", "point": "draw", "value": None}, "evse-1: draw is free again"),
    (["bus", "meter-1", "garbage"], "sim.bus", {"port": "meter-1", "state": "garbage"},
     "port meter-1: garbage"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "method", "params", "said"), CASES)
def test_options_become_the_parameters_of_the_method(
    serve, pilotwire, argv, method, params, said
):
    peer = serve(Agent, {method: True})
    assert pilotwire("sim", *argv) == (0, f"{said}\n", "")
    assert peer.requests == [(method, params)]


@pytest.mark.parametrize(("method", "params"), [(case[1], case[2]) for case in CASES])
def test_the_simulated_board_understands_what_is_sent(method, params):
    assert msgspec.convert(params, wire.METHODS[method])


def test_a_refused_request_says_why_and_has_code_1(serve, pilotwire):
    def refuse(params):
        raise RefusedError(f"no EVSE {params['evse_id']}; there are 1 to 2")

    serve(Agent, {"sim.plug": refuse})
    assert pilotwire("sim", "plug", "--evse", "7") == (1, "", "no EVSE 7; there are 1 to 2\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ["fault", "Ground"],
            "invalid choice: Ground (choose from ConnectorLockFailure, GroundFailure",
        ),
        (["ready", "maybe"], "invalid choice: maybe (choose from yes, no)"),
        (["bus", "meter-1", "broken"], "(choose from up, down, garbage, slow)"),
        (["token", "x", "--type", "NFC"], "(choose from Central, eMAID, ISO14443"),
        (["plug", "--evse", "0"], "0 is not from 1 to 1000"),
        (["unplug", "--connector", "one"], "one is not from 1 to 1000"),
        (["plug", "--max-a", "nan"], "nan is no number"),
        (["set", "evse-1", "draw", "much"], "much is no number"),
        (["board", "--phases", "2"], "(choose from 1, 3)"),
        (["board", "--evses", "65"], "evses = 65: 1 to 64 are possible"),
        (["board", "--max-a", "100"], "max_a must be"),
    ],
)
def test_what_cannot_be_meant_says_what_is_allowed_and_has_code_2(capsys, argv, said):
    assert main(["sim", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err.replace("'", "")  # versions of Python differ in quoting


def test_a_printed_board_has_what_was_asked_for_and_no_mistakes(place, capsys):
    argv = ["--evses", "2", "--connectors", "2", "--max-a", "16", "--phases", "1"]
    assert main(["sim", "board", *argv]) == 0
    path = place / "board.toml"
    path.write_text(capsys.readouterr().out)
    evses = tomllib.loads(path.read_text())["evse"]
    facts = [(one["id"], one["connectors"], one["max_a"], one["phases"]) for one in evses]
    assert facts == [(1, 2, 16, 1), (2, 2, 16, 1)]
    assert check_board(path) == []


def test_the_board_without_options_is_one_evse_of_32_a(capsys):
    assert main(["sim", "board"]) == 0
    [evse] = tomllib.loads(capsys.readouterr().out)["evse"]
    assert (evse["connectors"], evse["max_a"], evse["phases"]) == (1, 32, 3)
