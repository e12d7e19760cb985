import json

import pytest

from agent.core.events import (
    LogRequested,
    Origin,
    SecurityEventRaised,
    SettingsWriteRequested,
)
from agent.core.orders import LogKind, LogOrder
from agent.diagnostics import masking
from agent.diagnostics.masking import HIDDEN

KEY = "4F43415F4F4354545F61646D696E5F74657374"
VARIABLE = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}


@pytest.mark.parametrize(
    "payload",
    [
        {"key": "AuthorizationKey", "value": KEY},
        {"value": KEY, "key": "authorizationKEY"},
        {"setVariableData": [{"attributeValue": KEY, **VARIABLE}]},
        {"connectionData": {"basicAuthPassword": KEY, "vpn": {"password": KEY}}},
        {"location": f"ftp://user:{KEY}@files/logs"},
        {"location": f"ftp://user:p@{KEY}@files/logs"},
        {"deep": [[{"key": " AuthorizationKey", "value": KEY}]]},
    ],
)
@pytest.mark.parametrize("raw", [False, True])
def test_no_frame_shows_a_password(payload, raw):
    text = json.dumps([2, "1", "Any", payload])
    text = text.replace("Auth", "\\u0041uth") if raw else text
    shown = masking.frame(text.encode() if raw else text)
    assert KEY not in shown
    assert HIDDEN in shown
    assert json.loads(shown)[:3] == [2, "1", "Any"]


@pytest.mark.parametrize(
    "text",
    [
        '[2,"1","ChangeConfiguration",{"key":"HeartbeatInterval","value":"60"}]',
        '[3, "1",  {"status": "Accepted"}]',
        "no JSON at all",
    ],
)
def test_everything_else_is_shown_as_it_was(text):
    assert masking.frame(text) == text


def test_a_broken_frame_that_names_a_password_is_not_shown():
    assert masking.frame(f'[2,"1","X",{{"key":"AuthorizationKey","value":"{KEY}"') == HIDDEN
    assert KEY not in masking.frame(f'[2,"1","X",{{"u":"ftp://a:{KEY}@h/"')


def test_events_show_which_setting_is_written_but_no_password():
    written = SettingsWriteRequested(
        7, (("AuthorizationKey", KEY), ("HeartbeatInterval", "60")), Origin.LOCAL
    )
    shown = masking.event(written)
    assert shown["items"] == [["AuthorizationKey", HIDDEN], ["HeartbeatInterval", "60"]] or (
        [tuple(item) for item in shown["items"]]
        == [("AuthorizationKey", HIDDEN), ("HeartbeatInterval", "60")]
    )
    assert masking.event(SecurityEventRaised("X", "y")) == {"type": "X", "tech_info": "y"}


def test_events_show_where_a_file_is_and_no_password():
    order = LogOrder(7, LogKind.DIAGNOSTICS, f"sftp://user:{KEY}@files/logs")
    shown = masking.event(LogRequested(1, order))
    assert shown["order"]["location"] == f"sftp://{HIDDEN}@files/logs"


def test_a_setting_of_the_operator_may_be_a_secret():
    written = SettingsWriteRequested(7, (("Fleet.Password", KEY),), Origin.CSMS)
    assert KEY not in str(masking.event(written))
