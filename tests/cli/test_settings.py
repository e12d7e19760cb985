import json

import pytest

from agent.commands.settings import described, table
from tests.cli.peer import Agent, RefusedError

INTERVAL = {
    "name": "OCPPCommCtrlr.HeartbeatInterval",
    "key": "HeartbeatInterval",
    "value": "300",
    "type": "integer",
    "unit": "s",
    "access": "ReadWrite",
    "minimum": 0.0,
    "maximum": 31_536_000.0,
    "members": [],
    "origin": "factory",
    "meaning": "Time between heartbeats.",
}
FLAG = {
    **INTERVAL,
    "name": "TxCtrlr.TxBeforeAcceptedEnabled",
    "key": None,
    "value": "false",
    "type": "boolean",
    "unit": None,
    "minimum": None,
    "maximum": None,
    "origin": "default",
}
SAMPLED = {
    **FLAG,
    "name": "SampledDataCtrlr.TxUpdatedMeasurands",
    "key": "MeterValuesSampledData",
    "value": "Energy.Active.Import.Register,Power.Active.Import",
    "type": "MemberList",
    "maximum": 1000.0,
    "members": ["Energy.Active.Import.Register", "Power.Active.Import", "Voltage"],
    "origin": "CSMS",
}
TEXT = {**FLAG, "name": "C.Text", "value": "x", "type": "string", "maximum": 20.0}


def test_the_list_is_an_aligned_table_with_headings(serve, pilotwire):
    serve(Agent, {"settings.list": [INTERVAL, FLAG]})
    code, out, err = pilotwire("settings", "list")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "name                             1.6 key            value  unit  type     access     allowed        origin",
        "OCPPCommCtrlr.HeartbeatInterval  HeartbeatInterval  300    s     integer  ReadWrite  0 to 31536000  factory",
        "TxCtrlr.TxBeforeAcceptedEnabled                     false        boolean  ReadWrite  true or false  default",
    ]


def test_the_table_cuts_long_values():
    line = table([SAMPLED])[1]
    assert "Energy.Active.Import.Register,Pow..." in line
    assert "from Energy.Active.Import.Registe..." in line


def test_one_setting_is_shown_with_all_there_is_to_know(serve, pilotwire):
    peer = serve(Agent, {"settings.get": INTERVAL})
    code, out, _ = pilotwire("settings", "get", "HeartbeatInterval")
    assert code == 0
    assert out.splitlines() == [
        "OCPPCommCtrlr.HeartbeatInterval = 300 s",
        "  1.6 key  HeartbeatInterval",
        "  type     integer, ReadWrite",
        "  allowed  0 to 31536000",
        "  origin   factory",
        "  meaning  Time between heartbeats.",
    ]
    assert peer.requests == [("settings.get", {"name": "HeartbeatInterval"})]


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        (FLAG, "true or false"),
        (SAMPLED, "from Energy.Active.Import.Register, Power.Active.Import, Voltage"),
        ({**SAMPLED, "type": "OptionList", "members": ["A", "B"]}, "one of A, B"),
        (TEXT, "up to 20 characters"),
        ({**TEXT, "maximum": None}, "any"),
        ({**INTERVAL, "type": "decimal", "minimum": 0.5}, "0.5 to 31536000"),
    ],
)
def test_what_is_allowed_is_said_whole(setting, allowed):
    assert f"  allowed  {allowed}" in described(setting)


def test_a_setting_without_a_1_6_key_says_so():
    assert "  1.6 key  none" in described(FLAG)


def test_a_change_is_sent_as_written_and_shown_as_kept(serve, pilotwire):
    peer = serve(Agent, {"settings.set": {**INTERVAL, "value": "60"}})
    code, out, _ = pilotwire("settings", "set", "HeartbeatInterval", "60")
    assert (code, out) == (0, "OCPPCommCtrlr.HeartbeatInterval = 60 s\n")
    assert peer.requests == [("settings.set", {"name": "HeartbeatInterval", "value": "60"})]


def test_a_negative_value_is_a_value_and_no_option(serve, pilotwire):
    peer = serve(Agent, {"settings.set": INTERVAL})
    assert pilotwire("settings", "set", "HeartbeatInterval", "-1")[0] == 0
    assert peer.requests[0][1]["value"] == "-1"


def refuse(params):
    if params["name"] == "HeartbeatInterval":
        raise RefusedError("ValueTooHigh: allowed is 0 to 31536000")
    raise RefusedError(f"{params['name']!r} is no setting")


def test_a_refused_change_says_what_is_allowed_and_has_code_1(serve, pilotwire):
    serve(Agent, {"settings.set": refuse})
    code, out, err = pilotwire("settings", "set", "HeartbeatInterval", "99999999999")
    assert (code, out, err) == (1, "", "ValueTooHigh: allowed is 0 to 31536000\n")


@pytest.mark.parametrize(
    "argv", [("get", "HartbeatInterval"), ("set", "HartbeatInterval", "1")]
)
def test_an_unknown_name_is_answered_with_the_one_that_was_meant(serve, pilotwire, argv):
    serve(Agent, {"settings.get": refuse, "settings.set": refuse})
    code, _, err = pilotwire("settings", *argv)
    assert code == 1
    assert err == "'HartbeatInterval' is no setting; did you mean HeartbeatInterval?\n"


def test_a_refused_list_is_passed_on(serve, pilotwire):
    serve(Agent, {"status": 1})
    code, _, err = pilotwire("settings", "list")
    assert (code, err) == (1, "'settings.list': known are status\n")


@pytest.mark.parametrize(
    "argv", [["list"], ["get", "HeartbeatInterval"], ["set", "HeartbeatInterval", "1"]]
)
def test_json_is_the_agent_s_answer(serve, pilotwire, argv):
    answer = [INTERVAL] if argv == ["list"] else INTERVAL
    serve(Agent, {f"settings.{argv[0]}": answer})
    code, out, _ = pilotwire("settings", *argv, "--json")
    assert code == 0
    assert json.loads(out) == answer
