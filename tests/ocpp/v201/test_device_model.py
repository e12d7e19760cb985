import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import variables
from agent.core.effects import (
    Done,
    SettingResult,
    SettingsAnswer,
    SettingStatus,
    Verdict,
)
from agent.core.events import SettingsReadRequested, SettingsWriteRequested
from agent.core.plugs import connector_types
from agent.core.values import EvseSpec
from agent.core.variables import MAX_KEYS, MAX_SET_ITEMS, TABLE, Kind, Variable
from agent.ocpp.adapter import Answered
from agent.ocpp.v201.adapter import Adapter201
from agent.ocpp.v201.datatypes import Component, EvseAddress, WireVariable
from agent.ocpp.v201.device_model import resolved
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v201.facts import Facts, answer, asked, raw

HEARTBEAT = {
    "component": {"name": "OCPPCommCtrlr"},
    "variable": {"name": "HeartbeatInterval"},
}
NOWHERE = {"component": {"name": "Toaster"}, "variable": {"name": "Heat"}}
NOTHING = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "Heat"}}
TARGET = {**HEARTBEAT, "attributeType": "Target"}
IDENTITY = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "Identity"}}


def ok(name, value=None):
    return SettingResult(name, SettingStatus.ACCEPTED, value)


def read(*items):
    return asked("GetVariables", {"getVariableData": list(items)})


def written(*items):
    return asked("SetVariables", {"setVariableData": list(items)})


def read_results(incoming, outcome):
    payload = Adapter201().respond(incoming, outcome, Facts())
    return answer("GetVariables", payload)["getVariableResult"]


def write_results(incoming, outcome):
    payload = Adapter201().respond(incoming, outcome, Facts())
    return answer("SetVariables", payload)["setVariableResult"]


def test_what_a_connector_is_has_the_address_of_the_connector():
    (own,) = connector_types((EvseSpec(1, 1, 96.0, 3, is_dc=True, connector_type="cCCS2"),))
    wanted, at = WireVariable("connectorType"), EvseAddress(1, 1)
    assert resolved(Component("connector", evse=at), wanted, None, (own,)) is own
    for address in (None, EvseAddress(1), EvseAddress(1, 2), EvseAddress(2, 1)):
        component = Component("Connector", evse=address)
        assert resolved(component, wanted, None, (own,)) == "UnknownComponent"
    inside = WireVariable("ConnectorType", "1.1")
    assert resolved(Component("Connector", evse=at), inside, None, (own,)) == "UnknownVariable"
    other = WireVariable("Available")
    assert resolved(Component("Connector", evse=at), other, None, (own,)) == "UnknownVariable"
    elsewhere = Component("OCPPCommCtrlr", evse=at)
    heartbeat = WireVariable("HeartbeatInterval")
    assert resolved(elsewhere, heartbeat, None, (own,)) == "UnknownComponent"


def test_the_operators_own_settings_are_a_component():
    own = Variable("CustomKeys", "Rows", Kind.INTEGER, "3", "Rows.", key="Rows")
    component = Component("customkeys")
    assert resolved(component, WireVariable("rows"), None, (own,)) is own
    assert resolved(component, WireVariable("columns"), None, (own,)) == "UnknownVariable"
    assert resolved(component, WireVariable("rows"), None) == "UnknownComponent"


@pytest.mark.parametrize("setting", TABLE, ids=lambda one: one.name)
def test_every_setting_is_found_at_its_address(setting):
    component = Component(setting.component.upper())
    variable = WireVariable(setting.variable.lower(), setting.instance)
    assert resolved(component, variable, None) is setting
    assert resolved(component, variable, "Actual") is setting


@pytest.mark.parametrize(
    ("component", "variable", "attribute", "word"),
    [
        ({"name": "Toaster"}, {"name": "Heat"}, None, "UnknownComponent"),
        ({"name": "Toaster"}, {"name": "Heat"}, "Target", "UnknownComponent"),
        (
            {"name": "OCPPCommCtrlr", "instance": "2"},
            {"name": "HeartbeatInterval"},
            None,
            "UnknownComponent",
        ),
        (
            {"name": "OCPPCommCtrlr", "evse": {"id": 1}},
            {"name": "HeartbeatInterval"},
            None,
            "UnknownComponent",
        ),
        (
            {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
            {"name": "Available"},
            None,
            "UnknownComponent",
        ),
        ({"name": "OCPPCommCtrlr"}, {"name": "Heat"}, "Target", "UnknownVariable"),
        (
            {"name": "OCPPCommCtrlr"},
            {"name": "HeartbeatInterval", "instance": "x"},
            None,
            "UnknownVariable",
        ),
        ({"name": "OCPPCommCtrlr"}, {"name": "MessageTimeout"}, None, "UnknownVariable"),
        (
            {"name": "OCPPCommCtrlr"},
            {"name": "MessageTimeout", "instance": ""},
            None,
            "UnknownVariable",
        ),
        (
            {"name": "OCPPCommCtrlr"},
            {"name": "MessageTimeout[Default]"},
            None,
            "UnknownVariable",
        ),
        ({"name": "OCPPCommCtrlr.HeartbeatInterval"}, {"name": ""}, None, "UnknownComponent"),
        *(
            (
                {"name": "OCPPCommCtrlr"},
                {"name": "HeartbeatInterval"},
                attribute,
                "NotSupportedAttributeType",
            )
            for attribute in ("Target", "MinSet", "MaxSet")
        ),
    ],
)
def test_what_no_setting_has_is_answered_without_the_core(component, variable, attribute, word):
    """B05.FR.04 to 06, B06.FR.06 to 08, B06.FR.14, B06.FR.15: the first that holds."""
    item = {"component": component, "variable": variable}
    if attribute:
        item["attributeType"] = attribute
    result = {**item, "attributeType": attribute or "Actual", "attributeStatus": word}
    answered = read(item)
    assert isinstance(answered, Answered)
    assert answer("GetVariables", answered.payload) == {"getVariableResult": [result]}
    answered = written({**item, "attributeValue": "1"})
    assert isinstance(answered, Answered)
    assert answer("SetVariables", answered.payload) == {"setVariableResult": [result]}


def test_an_empty_instance_is_no_instance():
    """B06.FR.15."""
    item = {
        "component": {"name": "ocppcommctrlr", "instance": ""},
        "variable": {"name": "HEARTBEATINTERVAL", "instance": ""},
    }
    assert read(item).request == SettingsReadRequested(7, ("OCPPCommCtrlr.HeartbeatInterval",))


def test_an_instance_is_found_by_its_name():
    """B06.FR.14."""
    item = {
        "component": {"name": "OCPPCommCtrlr"},
        "variable": {"name": "MessageTimeout", "instance": "default"},
    }
    assert read(item).request.names == ("OCPPCommCtrlr.MessageTimeout[Default]",)


def test_results_come_in_the_order_of_the_request_and_echo_it():
    """B06.FR.11."""
    shouted = {"component": {"name": "OCPPCOMMCTRLR"}, "variable": HEARTBEAT["variable"]}
    incoming = read(NOWHERE, IDENTITY, TARGET, shouted, NOTHING)
    assert incoming.request == SettingsReadRequested(
        7, ("SecurityCtrlr.Identity", "OCPPCommCtrlr.HeartbeatInterval")
    )
    outcome = SettingsAnswer(
        (ok("SecurityCtrlr.Identity", "CP001"), ok("OCPPCommCtrlr.HeartbeatInterval", "300"))
    )
    assert read_results(incoming, outcome) == [
        {**NOWHERE, "attributeType": "Actual", "attributeStatus": "UnknownComponent"},
        {
            **IDENTITY,
            "attributeType": "Actual",
            "attributeStatus": "Accepted",
            "attributeValue": "CP001",
        },
        {**TARGET, "attributeStatus": "NotSupportedAttributeType"},
        {
            **shouted,
            "attributeType": "Actual",
            "attributeStatus": "Accepted",
            "attributeValue": "300",
        },
        {**NOTHING, "attributeType": "Actual", "attributeStatus": "UnknownVariable"},
    ]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (
            ok("x", "300"),
            {"attributeStatus": "Accepted", "attributeValue": "300"},
        ),
        (ok("x"), {"attributeStatus": "Accepted", "attributeValue": ""}),
        (
            SettingResult("x", SettingStatus.REBOOT_REQUIRED, "5"),
            {"attributeStatus": "Accepted", "attributeValue": "5"},
        ),
        (ok("x", "v" * 3000), {"attributeStatus": "Accepted", "attributeValue": "v" * 2500}),
        (
            SettingResult("x", SettingStatus.REJECTED, "secret", "WriteOnly"),
            {"attributeStatus": "Rejected", "attributeStatusInfo": {"reasonCode": "WriteOnly"}},
        ),
        (
            SettingResult("x", SettingStatus.UNKNOWN),
            {"attributeStatus": "UnknownVariable"},
        ),
    ],
)
def test_every_result_of_reading_has_its_status(result, told):
    """B06.FR.09, B06.FR.13: a value only with Accepted, "" if it was never set."""
    assert read_results(read(HEARTBEAT), SettingsAnswer((result,))) == [
        {**HEARTBEAT, "attributeType": "Actual", **told}
    ]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (ok("x", "300"), {"attributeStatus": "Accepted"}),
        (
            SettingResult("x", SettingStatus.REBOOT_REQUIRED, "5"),
            {"attributeStatus": "RebootRequired"},
        ),
        *(
            (
                SettingResult("x", SettingStatus.REJECTED, reason=reason),
                {"attributeStatus": "Rejected", "attributeStatusInfo": {"reasonCode": reason}},
            )
            for reason in (
                "ReadOnly",
                "InvalidValue",
                "ValueOutOfRange",
                "ValueTooHigh",
                "ValueTooLow",
                "ValuePositiveOnly",
            )
        ),
        (SettingResult("x", SettingStatus.REJECTED), {"attributeStatus": "Rejected"}),
        (
            SettingResult("x", SettingStatus.UNKNOWN),
            {"attributeStatus": "UnknownVariable"},
        ),
    ],
)
def test_every_result_of_writing_has_its_status(result, told):
    """B05.FR.07 to FR.10."""
    incoming = written({**HEARTBEAT, "attributeValue": "60"})
    assert write_results(incoming, SettingsAnswer((result,))) == [
        {**HEARTBEAT, "attributeType": "Actual", **told}
    ]


def test_writes_are_asked_in_order_with_their_values_also_twice_the_same():
    first, second = (
        {**HEARTBEAT, "attributeValue": value, "attributeType": "Actual"}
        for value in ("60", " 90 ")
    )
    incoming = written(first, {**NOWHERE, "attributeValue": "1"}, second)
    name = "OCPPCommCtrlr.HeartbeatInterval"
    assert incoming.request == SettingsWriteRequested(7, ((name, "60"), (name, " 90 ")))
    results = write_results(incoming, SettingsAnswer((ok(name, "60"), ok(name, "90"))))
    assert [one["attributeStatus"] for one in results] == [
        "Accepted",
        "UnknownComponent",
        "Accepted",
    ]


def test_a_verdict_on_the_whole_request_counts_for_what_was_asked():
    outcome = Done(Verdict.REJECTED, "OutOfStorage")
    results = write_results(
        written({**HEARTBEAT, "attributeValue": "60"}, {**NOWHERE, "attributeValue": "1"}),
        outcome,
    )
    assert [(one["attributeStatus"], one.get("attributeStatusInfo")) for one in results] == [
        ("Rejected", {"reasonCode": "OutOfStorage"}),
        ("UnknownComponent", None),
    ]
    (result,) = read_results(read(HEARTBEAT), outcome)
    assert "attributeValue" not in result


def test_an_answer_of_another_length_is_a_defect():
    with pytest.raises(AssertionError, match="1 results"):
        read_results(read(HEARTBEAT), SettingsAnswer(()))


@pytest.mark.parametrize(
    ("action", "member", "setting"),
    [
        ("GetVariables", "getVariableData", MAX_KEYS),
        ("SetVariables", "setVariableData", MAX_SET_ITEMS),
    ],
)
def test_more_items_than_allowed_are_refused(action, member, setting):
    """B06.FR.16."""
    view = Facts()
    most = view.settings.integer(setting)
    items = [{**HEARTBEAT, "attributeValue": "60"}] * (most + 1)
    with pytest.raises(RpcError) as caught:
        Adapter201().decode(action, raw({member: items}), 7, view)
    assert caught.value.code is RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION
    assert str(most) in caught.value.description
    assert not isinstance(
        Adapter201().decode(action, raw({member: items[:most]}), 7, view), Answered
    )


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([HEARTBEAT, NOWHERE, NOTHING, TARGET, IDENTITY]),
            st.sampled_from(list(SettingStatus)),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_mixture_is_answered_item_by_item(items):
    incoming = read(*(item for item, _ in items))
    if isinstance(incoming, Answered):
        results = answer("GetVariables", incoming.payload)["getVariableResult"]
    else:
        settled = [status for item, status in items if item in (HEARTBEAT, IDENTITY)]
        outcome = SettingsAnswer(tuple(SettingResult("x", status) for status in settled))
        results = read_results(incoming, outcome)
    assert [(one["component"], one["variable"]) for one in results] == [
        (item["component"], item["variable"]) for item, _ in items
    ]


def secured(name, value):
    component = {"name": "SecurityCtrlr"}
    item = {"component": component, "variable": {"name": name}, "attributeValue": value}
    return asked("SetVariables", {"setVariableData": [item]})


def test_a_password_is_text_even_if_it_looks_like_hex():
    text = "0123456789abcdef0123456789abcdef"
    ((name, value),) = secured("BasicAuthPassword", text).request.items
    assert name == variables.PASSWORD.name
    assert variables.password_bytes(value) == text.encode()


def test_the_security_profile_is_read_only():
    found = secured("SecurityProfile", "3")
    (result,) = answer("SetVariables", found.payload)["setVariableResult"]
    assert result["attributeStatus"] == "Rejected"
