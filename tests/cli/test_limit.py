"""`pilotwire limit`."""

import json

import pytest

from tests.cli.peer import Agent, RefusedError

ACCEPTED = {"status": "accepted"}


@pytest.mark.parametrize(
    ("args", "params", "says"),
    [
        (
            ("set", "--amps", "16"),
            {"origin": "technician", "valid_s": 3600.0, "limit_a": 16.0},
            "technician limits the station to 16 A for 3600 s",
        ),
        (
            ("set", "--watts", "4200", "--evse", "2", "--for", "60", "--origin", "ems"),
            {"origin": "ems", "valid_s": 60.0, "limit_w": 4200.0, "evse_id": 2},
            "ems limits EVSE 2 to 4200 W for 60 s",
        ),
        (
            ("clear",),
            {"origin": "technician"},
            "technician no longer limits the station",
        ),
        (
            ("clear", "--evse", "2"),
            {"origin": "technician", "evse_id": 2},
            "technician no longer limits EVSE 2",
        ),
    ],
)
def test_what_is_asked_for_is_said_again(serve, pilotwire, args, params, says):
    asked = []

    def answer(given):
        asked.append(given)
        return ACCEPTED

    serve(Agent, {f"limit.{args[0]}": answer})
    assert pilotwire("limit", *args) == (0, f"{says}\n", "")
    assert asked == [params]


def test_the_answer_can_be_had_as_json(serve, pilotwire):
    serve(Agent, {"limit.clear": ACCEPTED})
    code, out, _ = pilotwire("limit", "clear", "--json")
    assert (code, json.loads(out)) == (0, ACCEPTED)


def test_a_refusal_is_a_failure_with_its_reason(serve, pilotwire):
    def refuse(_):
        raise RefusedError("there are EVSEs 1 to 1")

    serve(Agent, {"limit.set": refuse})
    code, out, err = pilotwire("limit", "set", "--amps", "6", "--evse", "9")
    assert (code, out) == (1, "")
    assert "there are EVSEs 1 to 1" in err


@pytest.mark.parametrize("args", [("set",), ("set", "--amps", "6", "--watts", "6"), ()])
def test_a_limit_needs_exactly_one_figure(pilotwire, args):
    assert pilotwire("limit", *args)[0] == 2
