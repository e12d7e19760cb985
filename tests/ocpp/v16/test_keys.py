"""GetConfiguration and ChangeConfiguration."""

import json

import pytest

from agent.core.effects import Done, SettingResult, SettingsAnswer, SettingStatus, Verdict
from agent.core.events import SettingsReadRequested, SettingsWriteRequested
from agent.core.variables import (
    PASSWORD,
    TABLE,
    Access,
    Kind,
    Refusal,
    Settings,
    Variable,
    by_key,
    checked,
    password_bytes,
)
from agent.ocpp.adapter import Answered, Incoming
from agent.ocpp.v16 import keys
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16.facts import ADAPTER, VIEW, FixedView, answer, asked
from tests.support.schemas import validate

SECRET = Variable(
    "SecurityCtrlr",
    "BasicAuthPassword",
    Kind.STRING,
    "",
    "A password.",
    key="AuthorizationKey",
    access=Access.WRITE_ONLY,
)


def answered(found, action):
    assert isinstance(found, Answered)
    return validate("ocpp1.6", action, found.payload, response=True)


def get(*names):
    return asked("GetConfiguration", json.dumps({"key": list(names)}))


def change(key, value):
    return asked("ChangeConfiguration", json.dumps({"key": key, "value": value}))


def result(key, value, status=SettingStatus.ACCEPTED):
    return SettingResult(by_key(key).name, status, value)


# --- GetConfiguration ----------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["{}", '{"key":[]}', '{"key":null}'])
def test_no_keys_mean_all_of_them(payload):
    incoming = asked("GetConfiguration", payload)
    expected = tuple(one.name for one in TABLE if one.key and one is not PASSWORD)
    assert incoming.request == SettingsReadRequested(9, expected)


def test_settings_without_a_key_do_not_exist():
    names = asked("GetConfiguration", "{}").request.names
    assert "TxCtrlr.TxStartPoint" not in names
    assert "ChargingStation.SupportedFeatureProfiles" in names


def test_a_secret_is_not_among_all_keys():
    assert keys.all_keys((SECRET, by_key("HeartbeatInterval"))) == ("HeartbeatInterval",)


def test_a_secret_is_never_shown():
    shown = keys.shown(SECRET, SettingResult(SECRET.name, SettingStatus.ACCEPTED, "hunter2"))
    assert (shown.key, shown.readonly, shown.value) == ("AuthorizationKey", False, None)


def test_known_keys_are_answered_in_the_order_asked_and_spelled_properly():
    incoming = get("heartbeatinterval", "NumberOfConnectors")
    outcome = SettingsAnswer(
        (result("HeartbeatInterval", "300"), result("NumberOfConnectors", "1"))
    )
    assert answer(incoming, outcome) == {
        "configurationKey": [
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": "NumberOfConnectors", "readonly": True, "value": "1"},
        ]
    }


def test_unknown_keys_are_told_as_they_were_asked():
    incoming = get("Testing", "HeartbeatInterval", "", "testing", "HEARTBEATINTERVAL")
    assert incoming.request.names == ("OCPPCommCtrlr.HeartbeatInterval",)
    found = answer(incoming, SettingsAnswer((result("HeartbeatInterval", "300"),)))
    assert found["unknownKey"] == ["Testing", ""]
    assert len(found["configurationKey"]) == 1


def test_a_request_for_unknown_keys_only_needs_no_decision():
    assert answered(get("Testing"), "GetConfiguration") == {"unknownKey": ["Testing"]}


def test_a_canonical_name_is_no_key():
    assert answered(get("TxCtrlr.EVConnectionTimeOut"), "GetConfiguration") == {
        "unknownKey": ["TxCtrlr.EVConnectionTimeOut"]
    }


def test_a_key_without_a_value_has_none():
    found = answer(
        get("StopTxnAlignedData"), SettingsAnswer((result("StopTxnAlignedData", None),))
    )
    assert found["configurationKey"] == [{"key": "StopTxnAlignedData", "readonly": False}]


def test_an_empty_value_is_a_value():
    found = answer(
        get("StopTxnAlignedData"), SettingsAnswer((result("StopTxnAlignedData", ""),))
    )
    assert found["configurationKey"][0]["value"] == ""


def test_a_long_value_is_cut():
    outcome = SettingsAnswer((result("MeterValuesSampledData", "x" * 600),))
    assert (
        len(answer(get("MeterValuesSampledData"), outcome)["configurationKey"][0]["value"])
        == 500
    )


def test_what_the_core_does_not_know_or_leaves_out_is_unknown():
    incoming = get("HeartbeatInterval", "ResetRetries")
    outcome = SettingsAnswer((result("HeartbeatInterval", None, SettingStatus.UNKNOWN),))
    assert answer(incoming, outcome) == {"unknownKey": ["HeartbeatInterval", "ResetRetries"]}


def test_a_full_answer_validates():
    incoming = asked("GetConfiguration", "{}")
    outcome = SettingsAnswer(
        tuple(
            SettingResult(name, SettingStatus.ACCEPTED, "A,W")
            for name in incoming.request.names
        )
    )
    found = answer(incoming, outcome)
    assert [one["key"] for one in found["configurationKey"]] == [
        one.key for one in TABLE if one.key and one is not PASSWORD
    ]
    assert "unknownKey" not in found
    values = {one["key"]: one["value"] for one in found["configurationKey"]}
    assert values["ChargingScheduleAllowedChargingRateUnit"] == "Current,Power"


def test_an_outcome_that_is_no_list_of_settings_is_an_internal_error():
    with pytest.raises(RpcError) as caught:
        answer(get("HeartbeatInterval"), Done(Verdict.FAILED))
    assert caught.value.code is RpcErrorCode.INTERNAL_ERROR


def test_a_request_of_another_kind_has_asked_for_nothing():
    incoming = Incoming("GetConfiguration", SettingsReadRequested(9), None)
    assert json.loads(ADAPTER.respond(incoming, SettingsAnswer(()), VIEW)) == {}


def test_a_key_is_not_asked_for_by_the_name_that_another_version_gives_it():
    assert answered(get("OCPPCommCtrlr.HeartbeatInterval"), "GetConfiguration") == {
        "unknownKey": ["OCPPCommCtrlr.HeartbeatInterval"]
    }
    found = change("OCPPCommCtrlr.HeartbeatInterval", "60")
    assert answered(found, "ChangeConfiguration") == {"status": "NotSupported"}


def test_the_operators_own_keys_are_keys():
    own = Variable("CustomKeys", "Rows", Kind.INTEGER, "3", "Rows.", key="Rows")
    view = FixedView(settings=Settings(custom=(own,)))
    assert own.name in asked("GetConfiguration", "{}", view).request.names
    incoming = asked("GetConfiguration", '{"key":["ROWS","Columns"]}', view)
    outcome = SettingsAnswer((SettingResult(own.name, SettingStatus.ACCEPTED, "3"),))
    assert answer(incoming, outcome, view) == {
        "configurationKey": [{"key": "Rows", "readonly": False, "value": "3"}],
        "unknownKey": ["Columns"],
    }


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ('{"key":"HeartbeatInterval"}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('{"key":[7]}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('{"key":["' + "x" * 51 + '"]}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ("[]", RpcErrorCode.FORMAT_VIOLATION),
    ],
)
def test_a_broken_request_is_refused(payload, code):
    with pytest.raises(RpcError) as caught:
        asked("GetConfiguration", payload)
    assert caught.value.code is code


# --- ChangeConfiguration -------------------------------------------------------------------


def test_a_change_is_asked_of_the_core_by_canonical_name():
    incoming = change("METERVALUESAMPLEINTERVAL", "-1")
    assert incoming.request == SettingsWriteRequested(
        9, (("SampledDataCtrlr.TxUpdatedInterval", "-1"),)
    )


@pytest.mark.parametrize("key", ["Testing", "", "TxCtrlr.EVConnectionTimeOut"])
def test_an_unknown_key_is_not_supported(key):
    assert answered(change(key, "1"), "ChangeConfiguration") == {"status": "NotSupported"}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (SettingStatus.ACCEPTED, "Accepted"),
        (SettingStatus.REJECTED, "Rejected"),
        (SettingStatus.REBOOT_REQUIRED, "RebootRequired"),
        (SettingStatus.UNKNOWN, "NotSupported"),
    ],
)
def test_a_change_is_answered(status, word):
    outcome = SettingsAnswer((result("HeartbeatInterval", "60", status),))
    assert answer(change("HeartbeatInterval", "60"), outcome) == {"status": word}


@pytest.mark.parametrize("outcome", [Done(Verdict.FAILED), SettingsAnswer(())])
def test_a_change_that_was_not_decided_is_rejected(outcome):
    assert answer(change("HeartbeatInterval", "60"), outcome) == {"status": "Rejected"}


@pytest.mark.parametrize(
    ("digit", "word"), [("1", "true"), (" 0 ", "false"), ("True", "True"), ("2", "2")]
)
def test_a_boolean_may_be_a_digit(digit, word):
    assert change("LocalAuthorizeOffline", digit).request.items[0][1] == word


def test_a_digit_stays_a_digit_where_it_means_a_number():
    assert change("HeartbeatInterval", "1").request.items[0][1] == "1"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ('{"key":"HeartbeatInterval"}', RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"key":"HeartbeatInterval","value":60}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('{"key":"' + "x" * 51 + '","value":"1"}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        (
            '{"key":"HeartbeatInterval","value":"' + "x" * 501 + '"}',
            RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        ),
    ],
)
def test_a_broken_change_is_refused(payload, code):
    with pytest.raises(RpcError) as caught:
        asked("ChangeConfiguration", payload)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("value", "password"),
    [
        ("4F43415F4F4354545F61646D696E5F74657374", b"OCA_OCTT_admin_test"),
        ("000102030405060708090a0b0c0d0e0f10111213", bytes(range(20))),
        ("0123456789abcdef", b"0123456789abcdef"),
        ("sixteen bytes  ä", "sixteen bytes  ä".encode()),
        ("0123456789abcdefghij", b"0123456789abcdefghij"),
    ],
)
def test_an_authorization_key_is_hex_of_bytes_or_a_short_text(value, password):
    ((_, text),) = change("AuthorizationKey", value).request.items
    canonical = checked(PASSWORD, text)
    assert password_bytes(canonical) == password


@pytest.mark.parametrize(
    "value", ["", "short", "0123456789abcdefghijk", "00" * 15, "00" * 21, "0" * 33, "x" * 40]
)
def test_what_1_6_does_not_know_as_a_key_is_refused(value):
    ((_, text),) = change("AuthorizationKey", value).request.items
    assert isinstance(checked(PASSWORD, text), Refusal)
