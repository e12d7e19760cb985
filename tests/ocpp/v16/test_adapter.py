"""The adapter as a whole: admission, validity of everything it writes, whole conversations."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.effects import (
    AuthorizationWanted,
    BootReported,
    DataTransferSent,
    Delivery,
    Done,
    HeartbeatSent,
    LimitTold,
    MeterSampled,
    SecurityEvent,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Verdict,
)
from agent.core.values import (
    BootReason,
    Bound,
    ConnectorStatus,
    EvseSpec,
    IdToken,
    Measurand,
    Quantity,
    ReadingContext,
    RegistrationStatus,
    Sample,
    SessionPhase,
    Stamp,
    StationInfo,
)
from agent.ocpp.adapter import Adapter
from agent.ocpp.v16.adapter import Adapter16
from agent.ocppj.errors import RpcError
from agent.ocppj.rpc import CallReceived, Rpc
from hal.types import Value
from tests.ocpp.v16.facts import ADAPTER, VIEW, FixedView, sent, stamp
from tests.support.schemas import validate

# --- strategies ----------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
walls = st.floats(1_700_000_000, 4_000_000_000) | st.none()
stamps = st.builds(Stamp, st.integers(0, 9), st.floats(0, 1e9), walls)
registers = st.floats(0, 1e12)
tokens = st.builds(IdToken, st.text(st.characters(exclude_categories=["Cs"]), max_size=36))
quantities = st.builds(
    Quantity,
    st.sampled_from(Measurand),
    st.floats(),
    st.sampled_from([None, "L1", "L2-N", "?"]),
)
samples = st.builds(
    Sample,
    stamps,
    st.sampled_from(ReadingContext),
    st.lists(quantities, min_size=1, max_size=3).map(tuple),
)
evses = st.integers(0, 4)
places = {"evse_id": st.integers(1, 4), "connector_id": st.integers(1, 3), "at": stamps}
kept = st.lists(samples, max_size=5).map(tuple)

starts = st.builds(
    TransactionStarted,
    transaction_id=st.just("tx"),
    id_token=tokens,
    meter_start_wh=registers,
    seq_no=st.just(0),
    samples=st.just(()),
    **places,
)
records = st.one_of(
    starts,
    st.builds(TransactionUpdated, transaction_id=st.just("tx"), samples=kept, **places),
    st.builds(
        TransactionEnded,
        transaction_id=st.just("tx"),
        meter_stop_wh=registers,
        id_token=tokens | st.none(),
        samples=kept,
        charging_s=st.none(),
        **places,
    ),
    st.builds(MeterSampled, evses, st.integers(0, 3), samples),
    st.builds(SecurityEvent, texts, stamps, texts),
)
statuses = st.builds(
    ConnectorStatus,
    evse_id=evses,
    connector_id=st.integers(0, 3),
    fault=st.none() | texts,
    info=texts,
)
messages = st.one_of(
    st.builds(BootReported),
    st.builds(HeartbeatSent),
    st.builds(AuthorizationWanted, evses, tokens),
    st.builds(StatusReported, statuses, statuses | st.none(), stamps),
    st.builds(DataTransferSent, st.integers(), texts, texts | st.none(), texts | st.none()),
)
infos = st.builds(StationInfo, texts, texts, texts, texts | st.none(), texts | st.none())
specs = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(
    lambda counts: tuple(
        EvseSpec(index, count, 32.0, 3) for index, count in enumerate(counts, 1)
    )
)


@st.composite
def views(draw):
    delivery = Delivery(
        draw(starts), draw(st.integers(-(2**63), 2**63 - 1) | st.none()), draw(st.booleans())
    )
    deliveries = draw(st.sampled_from([(), (delivery,)]))
    return FixedView(draw(specs), deliveries, draw(infos))


@given(records, views(), st.booleans())
def test_every_record_validates_as_it_is_sent(record, view, offline):
    call = ADAPTER.encode_record(record, view, offline=offline)
    if call is not None:
        sent(call)
        assert b"null" not in call.payload or "null" in str(record) + str(view.info)


@given(messages, views())
def test_every_message_validates_as_it_is_sent(message, view):
    for item in ADAPTER.expand(message):
        call = ADAPTER.encode_message(item, view)
        if call is not None:
            sent(call)


@given(
    records,
    views(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["transactionId", "idTagInfo", "status", "expiryDate", "parentIdTag"]
                ),
                inner,
            )
        ),
    ),
)
def test_any_answer_to_a_record_teaches_or_is_an_rpc_error(record, view, tree):
    call = ADAPTER.encode_record(record, view, offline=False)
    if call is None:
        return
    try:
        events = ADAPTER.record_accepted(record, call, msgspec.Raw(json.dumps(tree).encode()))
    except RpcError:
        assert call.action == "StartTransaction"
        return
    assert all(isinstance(event, Value) for event in events)


# --- admission (1.6 reference 1.10) --------------------------------------------------------


@pytest.mark.parametrize("action", ["GetConfiguration", "RemoteStartTransaction", "FooBar"])
@pytest.mark.parametrize(
    ("registration", "admitted"),
    [
        (None, True),
        (RegistrationStatus.PENDING, True),
        (RegistrationStatus.ACCEPTED, True),
        (RegistrationStatus.REJECTED, False),
    ],
)
def test_only_a_rejected_station_leaves_calls_without_an_answer(registration, admitted, action):
    assert ADAPTER.admit(registration, action) is admitted


def test_the_adapter_names_itself_and_signs_the_contract():
    assert Adapter in type(ADAPTER).__mro__
    assert (Adapter16().subprotocol, Adapter16().restates_status) == ("ocpp1.6", False)


# --- from frame to frame (1.6 reference 1.8) -----------------------------------------------


def exchange(frame, verdict=Verdict.ACCEPTED):
    """Take a frame of the CSMS as the runtime does, and return the answering frame."""
    rpc = Rpc("ocpp1.6")
    call = rpc.receive(frame)
    if not isinstance(call, CallReceived):
        return json.loads(call.frame) if hasattr(call, "frame") else None
    try:
        decoded = ADAPTER.decode(call.action, call.payload, 1, VIEW)
        payload = getattr(decoded, "payload", None)
        if payload is None:
            payload = ADAPTER.respond(decoded, Done(verdict), VIEW)
    except RpcError as error:
        return json.loads(rpc.error(call, error.code, error.description))
    validate("ocpp1.6", call.action, payload, response=True)
    return json.loads(rpc.result(call, payload))


def test_a_request_is_answered_under_its_id():
    assert exchange('[2,"c1","Reset",{"type":"Soft"}]') == [3, "c1", {"status": "Accepted"}]
    assert exchange('[2,7,"ClearCache",null]') == [3, 7, {"status": "Accepted"}]
    assert exchange('[2,"c1","ClearCache"]') == [3, "c1", {"status": "Accepted"}]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('[2,"c1","FooBar",{}]', "NotImplemented"),
        ('[2,"c1","FooBar",[]]', "NotImplemented"),
        ('[2,"c1","GetDiagnostics",{"location":5}]', "TypeConstraintViolation"),
        (
            '[2,"c1","UpdateFirmware",{"location":"x","retrieveDate":"x"}]',
            "PropertyConstraintViolation",
        ),
        ('[2,"c1","Reset",[1]]', "FormationViolation"),
        ('[2,"c1","Reset","Soft"]', "FormationViolation"),
        ('[2,"c1","Reset",{}]', "OccurenceConstraintViolation"),
        ('[2,"c1","Reset",{"type":null}]', "TypeConstraintViolation"),
        ('[2,"c1","Reset",{"type":5}]', "TypeConstraintViolation"),
        ('[2,"c1","Reset",{"type":"Warm"}]', "PropertyConstraintViolation"),
        (
            '[2,"c1","ChangeAvailability",{"connectorId":1.5,"type":"Operative"}]',
            "TypeConstraintViolation",
        ),
        ('[2,"c1",7,{}]', "FormationViolation"),
        ('[2,"c1"]', "FormationViolation"),
    ],
)
def test_a_broken_request_is_refused_in_the_spelling_of_16(frame, code):
    kind, message_id, found, description, details = exchange(frame)
    assert (kind, message_id, found, details) == (4, "c1", code, {})
    assert 0 < len(description) <= 255


@pytest.mark.parametrize(
    "payload",
    [
        '{"connectorId":1.0,"type":"Operative"}',
        '{"connectorId":"1","type":"Operative"}',
        '{"connectorId":1,"type":"Operative","vendorExtra":{"a":[null]}}',
    ],
)
def test_harmless_differences_are_mended(payload):
    assert exchange(f'[2,"c1","ChangeAvailability",{payload}]') == [
        3,
        "c1",
        {"status": "Accepted"},
    ]


def test_a_refusal_that_the_answer_can_express_is_no_error():
    for frame in (
        '[2,"c1","Reset",{"type":"Soft"}]',
        '[2,"c1","RemoteStopTransaction",{"transactionId":1}]',
    ):
        assert exchange(frame, Verdict.REJECTED) == [3, "c1", {"status": "Rejected"}]


def test_a_profile_for_an_unknown_connector_is_an_error():
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.1}],
        },
    }
    frame = json.dumps(
        [2, "c1", "SetChargingProfile", {"connectorId": 9, "csChargingProfiles": profile}]
    )
    assert exchange(frame, Verdict.UNKNOWN_EVSE)[2] == "PropertyConstraintViolation"


def test_a_status_is_told_under_every_projection():
    for phase in SessionPhase:
        for operative in (True, False):
            status = ConnectorStatus(1, 1, True, phase, operative)
            sent(ADAPTER.encode_message(StatusReported(status, None, stamp()), VIEW))


@pytest.mark.parametrize("reason", list(BootReason))
def test_a_boot_is_told_whatever_its_reason(reason):
    assert sent(ADAPTER.encode_message(BootReported(reason), VIEW))[0] == "BootNotification"


def test_limits_of_others_are_not_told():
    message = LimitTold("ems", 0, Bound("ems", limit_a=16.0))
    assert ADAPTER.encode_message(message, VIEW) is None
    assert ADAPTER.message_accepted(message, msgspec.Raw(b"{}")) == ()
