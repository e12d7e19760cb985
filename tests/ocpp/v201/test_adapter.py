from pathlib import Path

import msgspec
import ocpp.v201
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from agent.core import variables
from agent.core.effects import (
    AuthorizationWanted,
    BootReported,
    DataTransferSent,
    Done,
    HeartbeatSent,
    MeterSampled,
    SecurityEvent,
    SettingsAnswer,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Verdict,
)
from agent.core.events import CacheClearRequested
from agent.core.values import (
    BootReason,
    ChargingState,
    ConnectorStatus,
    IdToken,
    Measurand,
    Quantity,
    ReadingContext,
    RegistrationStatus,
    Sample,
    SessionPhase,
    Stamp,
    StationInfo,
    StopReason,
    Trigger,
)
from agent.core.variables import Settings
from agent.ocpp.adapter import Answered, Incoming
from agent.ocpp.v201 import smart_charging
from agent.ocpp.v201.adapter import Adapter201
from agent.ocpp.v201.messages import CSMS_REQUESTS
from agent.ocppj.errors import RpcError, RpcErrorCode
from hal.types import TokenType
from tests.ocpp.v201.facts import SUBPROTOCOL, Facts, answer, asked, raw, sent
from tests.ocpp.v201.test_messages import payloads
from tests.support.schemas import validate

ACTIONS = sorted(
    path.stem.removesuffix("Request")
    for path in (Path(ocpp.v201.__file__).parent / "schemas").glob("*Request.json")
)

LONG_VALUE = (
    '{"setVariableData":[{"component":{"name":"a"},"variable":{"name":"b"},'
    f'"attributeValue":"{"v" * 1001}"}}]}}'
)

stamps = st.builds(Stamp, boot=st.just(1), monotonic_s=st.floats(0, 1e9))
ids = st.integers(min_value=0, max_value=64)
numbers = st.integers(min_value=0, max_value=2**31 - 1)
texts = st.text(max_size=600)
tokens = st.builds(IdToken, value=st.text(max_size=60), type=st.sampled_from(TokenType))
quantities = st.builds(
    Quantity,
    measurand=st.sampled_from(Measurand),
    value=st.floats(),
    phase=st.sampled_from([None, "L1", "L2", "L3", "L1-N", "L2-N", "L3-N"]),
)
samples = st.builds(
    Sample,
    at=stamps,
    context=st.sampled_from(ReadingContext),
    quantities=st.lists(quantities, min_size=1, max_size=5).map(tuple),
)
common = {
    "transaction_id": st.text(min_size=1, max_size=60),
    "evse_id": ids,
    "connector_id": ids,
    "seq_no": numbers,
    "at": stamps,
    "trigger": st.sampled_from(Trigger),
    "charging_state": st.sampled_from(ChargingState),
    "samples": st.lists(samples, max_size=4).map(tuple),
    "offline": st.booleans(),
}
optional_numbers = st.none() | numbers
records = st.one_of(
    st.builds(
        TransactionStarted,
        **common,
        id_token=tokens,
        meter_start_wh=st.floats(0, 1e12),
        group=st.none() | texts,
        remote_start_id=optional_numbers,
    ),
    st.builds(
        TransactionUpdated,
        **common,
        phases_used=st.none() | st.sampled_from([1, 3]),
        remote_start_id=optional_numbers,
    ),
    st.builds(
        TransactionEnded,
        **common,
        stop_reason=st.sampled_from(StopReason),
        meter_stop_wh=st.floats(0, 1e12),
        id_token=st.none() | tokens,
        charging_s=st.none() | st.floats(0, 1e9),
    ),
    st.builds(MeterSampled, evse_id=ids, connector_id=ids, sample=samples),
    st.builds(SecurityEvent, type=texts, at=stamps, tech_info=texts),
)
statuses = st.builds(
    ConnectorStatus,
    evse_id=ids,
    connector_id=ids,
    is_plugged=st.booleans(),
    phase=st.sampled_from(SessionPhase),
    is_operative=st.booleans(),
    fault=st.none() | texts,
    info=texts,
)
messages = st.one_of(
    st.builds(BootReported, reason=st.sampled_from(BootReason)),
    st.just(HeartbeatSent()),
    st.builds(AuthorizationWanted, evse_id=ids, id_token=tokens),
    st.builds(StatusReported, status=statuses, previous=st.none() | statuses, at=stamps),
    st.builds(
        DataTransferSent,
        request_id=numbers,
        vendor_id=texts,
        message_id=st.none() | texts,
        data=st.none() | texts,
    ),
)
infos = st.builds(
    StationInfo,
    identity=texts,
    vendor=texts,
    model=texts,
    serial_number=st.none() | texts,
    firmware_version=st.none() | texts,
)


def refusal(action, payload="{}"):
    with pytest.raises(RpcError) as caught:
        Adapter201().decode(action, raw(payload), 7, Facts())
    return caught.value


def test_it_names_its_subprotocol_and_tells_every_status_after_an_outage():
    """B04.FR.01."""
    assert Adapter201().subprotocol == "ocpp2.0.1"
    assert Adapter201().restates_status


@settings(deadline=None)
@given(records, st.booleans())
def test_every_record_becomes_a_call_that_fits_the_schema(record, offline):
    call = Adapter201().encode_record(record, Facts(), offline=offline)
    if call is None:
        assert isinstance(record, MeterSampled)
    else:
        sent(call, call.action)


@settings(deadline=None)
@given(messages, infos)
def test_every_message_becomes_a_call_that_fits_the_schema(message, info):
    call = Adapter201().encode_message(message, Facts(info=info))
    if call is None:
        assert isinstance(message, AuthorizationWanted | StatusReported)
    else:
        sent(call, call.action)


@settings(deadline=None)
@given(messages)
def test_no_message_wants_another_said_before_it(message):
    assert Adapter201().expand(message) == (message,)


@pytest.mark.parametrize("registration", [None, *RegistrationStatus])
def test_a_station_that_is_rejected_serves_nothing(registration):
    """B03.FR.08; B02.FR.01 serves while Pending."""
    if registration is RegistrationStatus.REJECTED:
        with pytest.raises(RpcError) as caught:
            Adapter201().admit(registration, "Reset")
        assert caught.value.code is RpcErrorCode.SECURITY_ERROR
    else:
        assert Adapter201().admit(registration, "Reset")


@pytest.mark.parametrize("action", [one for one in ACTIONS if one not in CSMS_REQUESTS])
def test_actions_of_the_specification_that_we_do_not_serve_are_not_supported(action):
    assert refusal(action).code is RpcErrorCode.NOT_SUPPORTED


@pytest.mark.parametrize("action", sorted(smart_charging.REQUESTS))
def test_k01_fr_29_without_smart_charging_its_requests_are_not_supported(action):
    without = Settings(factory={variables.SMART_CHARGING_AVAILABLE.name: "false"})
    with pytest.raises(RpcError) as caught:
        Adapter201().decode(action, raw("{}"), 7, Facts(settings=without))
    assert caught.value.code is RpcErrorCode.NOT_SUPPORTED
    assert asked("ClearCache", {}, Facts(settings=without))


@pytest.mark.parametrize(
    "action", ["", "reset", "Reset ", "RemoteStartTransaction", "x" * 9999]
)
def test_actions_that_the_specification_does_not_know_are_not_implemented(action):
    error = refusal(action)
    assert error.code is RpcErrorCode.NOT_IMPLEMENTED
    assert len(error.description) <= 255


@pytest.mark.parametrize("action", sorted(CSMS_REQUESTS))
@pytest.mark.parametrize("payload", ["[]", "null", '"x"', "5"])
def test_a_payload_that_is_no_object_is_a_format_violation(action, payload):
    assert refusal(action, payload).code is RpcErrorCode.FORMAT_VIOLATION


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Reset", "{}", RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ("Reset", '{"type":"Hard"}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ("Reset", '{"type":5}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ("Reset", '{"type":null}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        (
            "Reset",
            '{"type":"OnIdle","evseId":"one"}',
            RpcErrorCode.TYPE_CONSTRAINT_VIOLATION,
        ),
        (
            "GetVariables",
            '{"getVariableData":[]}',
            RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
        ),
        (
            "SetVariables",
            '{"setVariableData":[{"component":{"name":"a"},"variable":{"name":"b"}}]}',
            RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
        ),
        (
            "SetVariables",
            LONG_VALUE,
            RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        ),
        (
            "ChangeAvailability",
            '{"operationalStatus":"Operative","evse":{}}',
            RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
        ),
        (
            "RequestStopTransaction",
            f'{{"transactionId":"{"t" * 37}"}}',
            RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        ),
        (
            "RequestStartTransaction",
            '{"remoteStartId":1,"idToken":{"idToken":"x","type":"RFID"}}',
            RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        ),
        (
            "RequestStartTransaction",
            '{"remoteStartId":1,"idToken":"x"}',
            RpcErrorCode.TYPE_CONSTRAINT_VIOLATION,
        ),
        ("DataTransfer", '{"data":"x"}', RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
    ],
)
def test_a_broken_payload_is_refused_with_the_right_code(action, payload, code):
    assert refusal(action, payload).code is code


@pytest.mark.parametrize("action", sorted(CSMS_REQUESTS))
@settings(deadline=None)
@given(data=st.data())
def test_every_call_that_fits_the_schema_is_taken(action, data):
    payload = data.draw(payloads(inspect.type_info(CSMS_REQUESTS[action])))
    taken = asked(action, payload)
    assert isinstance(taken, Answered) or taken.request.request_id == 7


def test_null_custom_data_and_unknown_members_are_passed_over():
    payload = '{"type":"OnIdle","evseId":null,"customData":{"vendorId":"x"},"force":true}'
    incoming = Adapter201().decode("Reset", raw(payload), 7, Facts())
    assert isinstance(incoming, Incoming)
    assert incoming == asked("Reset", {"type": "OnIdle"})


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("ChangeAvailability", {"operationalStatus": "Operative"}),
        ("ClearCache", {}),
        ("RequestStopTransaction", {"transactionId": "1"}),
        ("Reset", {"type": "OnIdle"}),
    ],
)
def test_every_verdict_can_be_answered(action, payload, verdict):
    incoming = asked(action, payload)
    outcome = Done(verdict, "r" * 30, "i" * 600)
    answered = answer(action, Adapter201().respond(incoming, outcome, Facts()))
    assert answered["statusInfo"] == {"reasonCode": "r" * 20, "additionalInfo": "i" * 512}


@pytest.mark.parametrize(
    ("incoming", "outcome"),
    [
        (asked("ClearCache", {}), SettingsAnswer(())),
        (Incoming("Reset", CacheClearRequested(7), object()), Done(Verdict.ACCEPTED)),
    ],
)
def test_an_outcome_that_fits_no_request_is_a_defect(incoming, outcome):
    with pytest.raises(AssertionError):
        Adapter201().respond(incoming, outcome, Facts())


def test_what_we_send_is_refused_by_the_schema_once_it_is_broken():
    call = Adapter201().encode_message(BootReported(BootReason.POWER_UP), Facts())
    broken = msgspec.json.encode({**msgspec.json.decode(call.payload), "extra": 1})
    with pytest.raises(Exception, match="extra"):
        validate(SUBPROTOCOL, "BootNotification", broken, response=False)
