import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import variables
from agent.core.variables import Access, Kind, Refusal, Variable
from agent.factory import allowed, check_setting, factory_settings, suggestion


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HeartbeatInterval", 300),
        ("heartbeatinterval", 0),
        ("OCPPCommCtrlr.HeartbeatInterval", 31_536_000),
        ("TxCtrlr.EVConnectionTimeOut", 60),
        ("LocalPreAuthorize", True),
        ("MeterValuesSampledData", "Energy.Active.Import.Register, voltage"),
        ("MeterValuesSampledData", ["Voltage"]),
        ("MeterValuesSampledData", ""),
    ],
)
def test_a_fitting_value_is_accepted_under_either_name(name, value):
    assert check_setting(name, value) is None


def test_read_only_settings_may_be_set_at_the_factory():
    name = "GetConfigurationMaxKeys"
    assert variables.find(name).access is Access.READ_ONLY
    assert check_setting(name, 50) is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HeartbeatInterval", -1, "HeartbeatInterval must be a whole number (0 to 31536000), not -1"),
        ("HeartbeatInterval", 1.5, "HeartbeatInterval must be a whole number (0 to 31536000), not 1.5"),
        ("HeartbeatInterval", "300", "HeartbeatInterval must be a whole number (0 to 31536000), not '300'"),
        ("HeartbeatInterval", True, "HeartbeatInterval must be a whole number (0 to 31536000), not True"),
        ("LocalPreAuthorize", "true", "LocalPreAuthorize must be true or false, not 'true'"),
        ("LocalPreAuthorize", 1, "LocalPreAuthorize must be true or false, not 1"),
        ("NumberOfConnectors", 2, "NumberOfConnectors cannot be set: the station computes it"),
        ("HartbeatInterval", 300, "HartbeatInterval is no setting (did you mean HeartbeatInterval?)"),
        ("qqqq", 1, "qqqq is no setting (`pilotwire settings list` names them all)"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_that_says_what_is_allowed(name, value, message):
    assert check_setting(name, value) == message


@pytest.mark.parametrize("value", ["Voltage,Voltage", "Volts", ["Voltage", 1], {"a": 1}, None])
def test_a_list_holds_known_members_once(value):
    message = check_setting("MeterValuesSampledData", value)
    assert message.startswith("MeterValuesSampledData must be a list, each once, from ")
    assert "Energy.Active.Import.Register" in message


def test_a_long_wrong_value_is_cut():
    assert check_setting("HeartbeatInterval", "x" * 10_000).endswith(f"not '{'x' * 39}…")


def test_factory_values_become_canonical():
    values = {
        "heartbeatinterval": 60,
        "LocalPreAuthorize": True,
        "AuthCtrlr.LocalAuthorizeOffline": False,
        "MeterValuesSampledData": ["voltage", "Power.Active.Import"],
    }
    assert factory_settings(values) == {
        "OCPPCommCtrlr.HeartbeatInterval": "60",
        "AuthCtrlr.LocalPreAuthorize": "true",
        "AuthCtrlr.LocalAuthorizeOffline": "false",
        "SampledDataCtrlr.TxUpdatedMeasurands": "Voltage,Power.Active.Import",
    }


def test_the_later_of_two_names_for_a_setting_wins():
    values = {"HeartbeatInterval": 60, "OCPPCommCtrlr.HeartbeatInterval": 90}
    assert factory_settings(values) == {"OCPPCommCtrlr.HeartbeatInterval": "90"}


@pytest.mark.parametrize(("name", "value"), [("nonsense", 1), ("HeartbeatInterval", -1)])
def test_unchecked_values_do_not_become_factory_values(name, value):
    with pytest.raises(ValueError, match=name):
        factory_settings({name: value})


def native(variable):
    """The default of a setting as a file would hold it."""
    match variable.kind:
        case Kind.BOOLEAN:
            return variable.default == "true"
        case Kind.INTEGER:
            return int(variable.default)
        case Kind.DECIMAL:
            return float(variable.default)
        case _:
            return variable.default


SETTABLE = [v for v in variables.TABLE if not v.is_derived and not v.is_credential]


@pytest.mark.parametrize("variable", SETTABLE, ids=str)
def test_every_default_can_be_written_into_the_file(variable):
    assert check_setting(variable.name, native(variable)) is None
    canonical = variables.checked(variable, variable.default)
    assert factory_settings({variable.name: native(variable)}) == {variable.name: canonical}


@given(
    st.sampled_from(variables.TABLE),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
)
def test_what_is_accepted_can_always_be_used(variable, value):
    if check_setting(variable.name, value) is None:
        [(name, text)] = factory_settings({variable.name: value}).items()
        assert name == variable.name
        assert not isinstance(variables.checked(variable, text), Refusal)


@pytest.mark.parametrize(
    ("kind", "more", "text"),
    [
        (Kind.BOOLEAN, {}, "true or false"),
        (Kind.INTEGER, {}, "a whole number"),
        (Kind.DECIMAL, {"minimum": 0.5, "maximum": 2}, "a number (0.5 to 2)"),
        (Kind.OPTION, {"members": ("A", "B")}, "one of A, B"),
        (Kind.STRING, {"maximum": 20}, "a text of at most 20 characters"),
        (Kind.STRING, {}, "a text"),
    ],
)
def test_what_is_allowed_is_said_for_every_kind(kind, more, text):
    assert allowed(Variable("C", "V", kind, "", "A meaning.", **more)) == text


def test_suggestions_do_not_look_at_case():
    assert suggestion("HEARTBEATINTERVALL") == "did you mean HeartbeatInterval?"


def test_a_variable_without_its_component_is_known_by_its_full_name():
    assert suggestion("RetryBackOffWaitMinimum") == (
        "did you mean OCPPCommCtrlr.RetryBackOffWaitMinimum?"
    )


def test_a_password_is_no_setting_of_the_file():
    reason = check_setting("AuthorizationKey", "0123456789abcdef")
    assert reason == "AuthorizationKey cannot be set here: a password belongs to its [[csms]]"
    assert allowed(variables.PASSWORD) == "16 to 40 characters, or 32 to 40 hex digits"
