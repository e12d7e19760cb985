"""The table of settings, and the judgement on values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core import variables
from agent.core.values import Measurand
from agent.core.variables import TABLE, Access, Kind, Refusal, Settings, Variable, checked

TIMEOUT = variables.CONNECTION_TIMEOUT
TEXT = Variable("Some", "Text", Kind.STRING, "", "A text.", maximum=5)
DECIMAL = Variable("Some", "Decimal", Kind.DECIMAL, "0.0", "A number.", minimum=-1, maximum=2.5)


def reason(variable: Variable, text: str) -> str:
    found = checked(variable, text)
    assert isinstance(found, Refusal)
    assert found.info
    return found.reason


# --- the table ---


def test_names_and_keys_are_unique_without_regard_to_case() -> None:
    names = [item.name.casefold() for item in TABLE]
    keys = [item.key.casefold() for item in TABLE if item.key]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)
    assert not set(names) & set(keys)


@pytest.mark.parametrize("variable", TABLE, ids=lambda item: item.name)
def test_a_declaration_is_complete(variable: Variable) -> None:
    assert variable.meaning.endswith(".")
    assert len(variable.component) <= 50
    assert len(variable.variable) <= 50
    if variable.is_derived:
        assert variable.access is Access.READ_ONLY or variable.is_credential
        return
    if variable.is_credential:
        return
    assert checked(variable, variable.default) == variable.default
    if variable.kind is Kind.INTEGER:
        assert variable.minimum is not None
        assert variable.maximum is not None
    if variable.kind in {Kind.OPTION, Kind.MEMBERS}:
        assert variable.members
        assert len(",".join(variable.members)) <= (variable.maximum or 0)


def test_every_measurand_can_be_sampled() -> None:
    every = ",".join(sorted(measurand.value for measurand in Measurand))
    assert checked(variables.SAMPLED_MEASURANDS, every) == every


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("TxCtrlr.EVConnectionTimeOut", TIMEOUT),
        ("txctrlr.evconnectiontimeout", TIMEOUT),
        ("connectiontimeout", TIMEOUT),
        ("OCPPCommCtrlr.MessageTimeout[Default]", variables.MESSAGE_TIMEOUT),
        ("OCPPCommCtrlr.MessageTimeout", None),
        ("NoSuchKey", None),
    ],
)
def test_a_setting_is_found_by_name_or_key(name: str, found: Variable | None) -> None:
    assert variables.find(name) is found


# --- judgement ---


@pytest.mark.parametrize("text", ["true", "TRUE", " True "])
def test_a_boolean_is_taken_in_any_case(text: str) -> None:
    assert checked(variables.CACHE_ENABLED, text) == "true"


@pytest.mark.parametrize("text", ["", "1", "yes", "truefalse"])
def test_nothing_else_is_a_boolean(text: str) -> None:
    assert reason(variables.CACHE_ENABLED, text) == "InvalidValue"


@pytest.mark.parametrize(("text", "value"), [("60", "60"), (" +060 ", "60"), ("-0", "0")])
def test_a_whole_number_is_kept_in_its_canonical_form(text: str, value: str) -> None:
    assert checked(TIMEOUT, text) == value


@pytest.mark.parametrize(
    "text", ["", "-", "+", "-+5", "+-5", "5.0", "1e3", "1_0", "٣", "0x10", "nan", "9" * 19]
)
def test_nothing_else_is_a_whole_number(text: str) -> None:
    assert reason(TIMEOUT, text) == "InvalidValue"


def test_a_number_outside_its_bounds_says_on_which_side() -> None:
    assert reason(TIMEOUT, "-1") == "ValuePositiveOnly"
    assert reason(variables.MESSAGE_TIMEOUT, "0") == "ValueTooLow"
    assert reason(TIMEOUT, "86401") == "ValueTooHigh"
    refusal = checked(variables.HEARTBEAT_INTERVAL, "99999999999")
    assert refusal == Refusal("ValueTooHigh", "at most 31536000")


def test_a_number_without_bounds_is_taken_as_it_is() -> None:
    free = replace(TIMEOUT, minimum=None, maximum=None)
    assert checked(free, "-5") == "-5"


def test_a_decimal_number_has_a_value_and_bounds() -> None:
    assert checked(DECIMAL, " 1.25 ") == "1.25"
    assert checked(DECIMAL, "-1") == "-1.0"
    assert reason(DECIMAL, "2.6") == "ValueTooHigh"
    assert reason(DECIMAL, "-1.1") == "ValueTooLow"
    for text in ("nan", "inf", "-inf", "1e5", "1_0", ".", ""):
        assert reason(DECIMAL, text) == "InvalidValue"


def test_a_list_is_kept_in_canonical_words_without_blanks() -> None:
    text = " voltage , ,CURRENT.IMPORT,"
    assert checked(variables.SAMPLED_MEASURANDS, text) == "Voltage,Current.Import"
    assert checked(variables.SAMPLED_MEASURANDS, "") == ""


@pytest.mark.parametrize("text", ["Voltage,RPM", "Voltage,voltage"])
def test_a_list_has_only_its_members_and_each_once(text: str) -> None:
    assert reason(variables.SAMPLED_MEASURANDS, text) == "ValueOutOfRange"


def test_an_option_is_exactly_one_of_its_members() -> None:
    assert checked(variables.TIME_SOURCE, "ntp") == "NTP"
    assert reason(variables.TIME_SOURCE, "GPS") == "ValueOutOfRange"
    assert reason(variables.TIME_SOURCE, "NTP,Heartbeat") == "InvalidValue"
    assert reason(variables.TIME_SOURCE, "") == "InvalidValue"


def test_a_text_is_taken_up_to_its_longest() -> None:
    assert checked(TEXT, " 12345 ") == "12345"
    assert reason(TEXT, "123456") == "TooLong"
    assert checked(replace(TEXT, maximum=None), "x" * 500) == "x" * 500
    assert reason(replace(TEXT, maximum=None), "x" * 501) == "TooLong"


@settings(deadline=None)
@given(variable=st.sampled_from((*TABLE, TEXT, DECIMAL)), text=st.text(max_size=600))
def test_whatever_is_written_is_judged_and_a_canonical_value_stays(
    variable: Variable, text: str
) -> None:
    value = checked(variable, text)
    if isinstance(value, Refusal):
        assert len(value.reason) <= 20
    else:
        assert checked(variable, value) == value


@settings(deadline=None)
@given(st.from_regex(r"[-+]{0,3}[0-9]{0,20}", fullmatch=True))
def test_a_number_that_is_taken_can_be_read(text: str) -> None:
    value = checked(TIMEOUT, text)
    if isinstance(value, str):
        settings = Settings(changed={TIMEOUT.name: (value, "CSMS")})
        assert 0 <= settings.integer(TIMEOUT) <= 86_400


# --- values in force ---


def test_what_was_changed_wins_over_the_factory_which_wins_over_the_default() -> None:
    assert Settings().integer(TIMEOUT) == 60
    factory = Settings(factory={TIMEOUT.name: "30"})
    assert factory.integer(TIMEOUT) == 30
    changed = replace(factory, changed={TIMEOUT.name: ("10", "CSMS")})
    assert changed.integer(TIMEOUT) == 10
    origins = [item.origin(TIMEOUT) for item in (Settings(), factory, changed)]
    assert origins == ["default", "factory", "CSMS"]


def test_what_the_station_computes_cannot_be_overruled() -> None:
    name = variables.MODEL.name
    settings = Settings(factory={name: "a"}, changed={name: ("b", "CSMS")}, derived={name: "c"})
    assert settings.text(variables.MODEL) == "c"
    assert settings.origin(variables.MODEL) == "station"
    assert Settings().text(variables.MODEL) == ""


def test_flags_and_lists_have_their_types() -> None:
    assert Settings().flag(variables.CACHE_ENABLED)
    assert not Settings().flag(variables.OFFLINE_UNKNOWN)
    assert Settings().members(variables.TX_STOP_POINT) == ("EVConnected", "Authorized")
    assert Settings().members(variables.ALIGNED_ENDED_MEASURANDS) == ()


# --- this hardware, and the operator's own ---


def test_hardware_decides_what_a_list_may_hold() -> None:
    rotation = variables.PHASE_ROTATION
    here = Settings(offered={rotation.name: ("0.RST", "0.STR", "1.RST")})
    found = here.find("connectorphaserotation")
    assert found is not None
    assert checked(found, "1.rst, 0.STR") == "1.RST,0.STR"
    assert reason(found, "2.RST") == "ValueOutOfRange"
    assert reason(found, "0.RST,0.STR") == "ValueOutOfRange"
    assert found in here.table
    assert Settings().find(rotation.name) == rotation


def test_a_list_holds_no_more_than_it_may() -> None:
    short = replace(variables.SAMPLED_MEASURANDS, most_items=1)
    assert checked(short, "Voltage") == "Voltage"
    assert reason(short, "Voltage,Frequency") == "TooLargeElement"


def test_what_the_station_computes_is_the_default_of_what_can_be_changed() -> None:
    rotation = variables.PHASE_ROTATION
    here = Settings(derived={rotation.name: "0.RST"})
    assert here.text(rotation) == "0.RST"
    assert here.origin(rotation) == "default"
    assert replace(here, factory={rotation.name: "0.STR"}).text(rotation) == "0.STR"
    assert replace(here, changed={rotation.name: ("0.TRS", "CSMS")}).text(rotation) == "0.TRS"


def test_hardware_may_leave_no_choice_and_what_was_changed_counts_again_when_it_does() -> None:
    flag = variables.UNLOCK_ON_EV_DISCONNECT
    free = Settings(changed={flag.name: ("true", "CSMS")})
    here = replace(free, fixed={flag.name: "false"})
    found = here.find("UnlockConnectorOnEVSideDisconnect")
    assert found is not None
    assert found in here.table
    assert found.access is Access.READ_ONLY
    assert (here.text(flag), here.origin(flag)) == ("false", "station")
    assert (free.text(flag), free.origin(flag)) == ("true", "CSMS")
    assert free.find(flag.name) == flag


def test_every_key_that_core_requires_is_there() -> None:
    required = """AuthorizeRemoteTxRequests ClockAlignedDataInterval ConnectionTimeOut
        ConnectorPhaseRotation GetConfigurationMaxKeys HeartbeatInterval LocalAuthorizeOffline
        LocalPreAuthorize MeterValuesAlignedData MeterValuesSampledData
        MeterValueSampleInterval NumberOfConnectors ResetRetries StopTransactionOnInvalidId
        StopTxnAlignedData StopTxnSampledData SupportedFeatureProfiles
        TransactionMessageAttempts TransactionMessageRetryInterval"""
    there = {item.key for item in TABLE if item.is_required}
    assert set(required.split()) <= there


R, RW, W = Access.READ_ONLY, Access.READ_WRITE, Access.WRITE_ONLY
USUAL = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage"
KEYS: dict[str, tuple[Access, Kind, str | None]] = {
    "AllowOfflineTxForUnknownId": (RW, Kind.BOOLEAN, "false"),
    "AuthorizationCacheEnabled": (RW, Kind.BOOLEAN, "true"),
    "AuthorizeRemoteTxRequests": (RW, Kind.BOOLEAN, "false"),
    "ClockAlignedDataInterval": (RW, Kind.INTEGER, "0"),
    "ConnectionTimeOut": (RW, Kind.INTEGER, "60"),
    "ConnectorPhaseRotation": (RW, Kind.MEMBERS, None),
    "ConnectorPhaseRotationMaxLength": (R, Kind.INTEGER, None),
    "GetConfigurationMaxKeys": (R, Kind.INTEGER, "100"),
    "HeartbeatInterval": (RW, Kind.INTEGER, "300"),
    "LocalAuthorizeOffline": (RW, Kind.BOOLEAN, "true"),
    "LocalPreAuthorize": (RW, Kind.BOOLEAN, "false"),
    "MaxEnergyOnInvalidId": (RW, Kind.INTEGER, "0"),
    "MessageTimeout": (RW, Kind.INTEGER, "30"),
    "MeterValuesAlignedData": (RW, Kind.MEMBERS, "Energy.Active.Import.Register"),
    "MeterValuesAlignedDataMaxLength": (R, Kind.INTEGER, "20"),
    "MeterValuesSampledData": (RW, Kind.MEMBERS, USUAL),
    "MeterValuesSampledDataMaxLength": (R, Kind.INTEGER, "20"),
    "MeterValueSampleInterval": (RW, Kind.INTEGER, "60"),
    "MinimumStatusDuration": (RW, Kind.INTEGER, "0"),
    "NumberOfConnectors": (R, Kind.INTEGER, None),
    "ResetRetries": (RW, Kind.INTEGER, "1"),
    "StopTransactionMaxMeterValues": (R, Kind.INTEGER, "500"),
    "StopTransactionOnEVSideDisconnect": (RW, Kind.BOOLEAN, "true"),
    "StopTransactionOnInvalidId": (RW, Kind.BOOLEAN, "true"),
    "StopTxnAlignedData": (RW, Kind.MEMBERS, ""),
    "StopTxnAlignedDataMaxLength": (R, Kind.INTEGER, "20"),
    "StopTxnSampledData": (RW, Kind.MEMBERS, "Energy.Active.Import.Register"),
    "StopTxnSampledDataMaxLength": (R, Kind.INTEGER, "20"),
    "SupportedFeatureProfiles": (R, Kind.MEMBERS, None),
    "TransactionMessageAttempts": (RW, Kind.INTEGER, "3"),
    "TransactionMessageRetryInterval": (RW, Kind.INTEGER, "60"),
    "UnlockConnectorOnEVSideDisconnect": (RW, Kind.BOOLEAN, "true"),
    "WebSocketPingInterval": (RW, Kind.INTEGER, "30"),
    "LocalAuthListEnabled": (RW, Kind.BOOLEAN, "true"),
    "LocalAuthListMaxLength": (R, Kind.INTEGER, "1000"),
    "SendLocalListMaxLength": (R, Kind.INTEGER, "200"),
    "ReserveConnectorZeroSupported": (R, Kind.BOOLEAN, "true"),
    "ChargeProfileMaxStackLevel": (R, Kind.INTEGER, "9"),
    "ChargingScheduleAllowedChargingRateUnit": (R, Kind.MEMBERS, "A,W"),
    "ChargingScheduleMaxPeriods": (R, Kind.INTEGER, "48"),
    "MaxChargingProfilesInstalled": (R, Kind.INTEGER, "30"),
    "SupportedFileTransferProtocols": (R, Kind.MEMBERS, None),
    "AdditionalRootCertificateCheck": (R, Kind.BOOLEAN, "false"),
    "AuthorizationKey": (W, Kind.PASSWORD, None),
    "CertificateSignedMaxChainSize": (R, Kind.INTEGER, "10000"),
    "CertificateStoreMaxLength": (R, Kind.INTEGER, "20"),
    "CpoName": (RW, Kind.STRING, ""),
    "SecurityProfile": (RW, Kind.INTEGER, None),
}
"""Chapter 7 of the 1.6 reference: access, type, and the default if hardware has no say."""


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_as_the_reference_has_it(key: str) -> None:
    found = Settings().find(key)
    access, kind, default = KEYS[key]
    assert found is not None
    assert (found.key, found.access, found.kind) == (key, access, kind)
    assert default is None or found.default == default


@pytest.mark.parametrize(
    "key",
    [
        "BlinkRepeat",
        "LightIntensity",
        "SupportedFeatureProfilesMaxLength",
    ],
)
def test_a_key_of_what_the_station_does_not_provide_is_absent(key: str) -> None:
    assert Settings().find(key) is None


def test_the_operators_own_settings_are_found_and_listed() -> None:
    own = Variable("CustomKeys", "Rows", Kind.INTEGER, "3", "Rows.", key="Rows")
    here = Settings(custom=(own,))
    assert here.find("ROWS") == here.find("customkeys.rows") == own
    assert here.find("Columns") is None
    assert here.table[-1] == own
    assert Settings().find("Rows") is None
