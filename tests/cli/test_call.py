import json

import pytest

from agent.cli import main
from tests.cli.peer import Agent


def test_any_method_can_be_called_and_its_result_is_printed(serve, pilotwire):
    peer = serve(Agent, {"csms.disconnect": True})
    assert pilotwire("call", "csms.disconnect") == (0, "true\n", "")
    assert peer.requests == [("csms.disconnect", {})]


def test_parameters_are_a_json_object(serve, pilotwire):
    peer = serve(Agent, {"availability.set": {"status": "Accepted"}})
    code, out, _ = pilotwire("call", "availability.set", '{"evse_id": 1, "operative": false}')
    assert (code, json.loads(out)) == (0, {"status": "Accepted"})
    assert peer.requests == [("availability.set", {"evse_id": 1, "operative": False})]


def test_an_unknown_method_is_refused_with_those_there_are(serve, pilotwire):
    serve(Agent, {"status": 1})
    assert pilotwire("call", "stauts") == (1, "", "'stauts': known are status\n")


@pytest.mark.parametrize("text", ["{", "[1]", "7", "", "[" * 100_000])
def test_parameters_that_are_no_object_are_a_usage_error(text, capsys):
    assert main(["call", "status", text]) == 2
    assert capsys.readouterr().err.startswith("pilotwire call: JSON must be an object: ")
