"""Transactions on the wire of 1.6."""

import itertools
import json

import pytest

from agent.core import variables
from agent.core.effects import Delivery
from agent.core.events import TransactionAcknowledged
from agent.core.values import (
    AuthorizationStatus,
    IdToken,
    Measurand,
    Quantity,
    ReadingContext,
    StopReason,
    TokenInfo,
)
from agent.core.variables import Settings
from agent.ocpp.v16.session import LARGEST_STOP, REASONS
from agent.ocppj.errors import RpcError, RpcErrorCode
from hal.types import TokenType
from tests.ocpp.v16.facts import (
    ADAPTER,
    TOKEN,
    TX,
    VIEW,
    FixedView,
    ended,
    knowing,
    raw,
    sample,
    started,
    told,
    updated,
)
from tests.ocpp.v16.facts import TWO as TWO_EVSES


def learned(record, payload, view=VIEW):
    call = ADAPTER.encode_record(record, view, offline=False)
    return ADAPTER.record_accepted(record, call, raw(payload))


# --- StartTransaction ----------------------------------------------------------------------


def test_a_start_carries_connector_token_register_and_time():
    assert told(started()) == (
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": "04A1B2C3D4E5F6",
            "meterStart": 12345,
            "timestamp": "2026-01-15T10:00:00.000Z",
        },
    )


def test_a_start_settles_its_record():
    assert ADAPTER.encode_record(started(), VIEW, offline=True).settles


def test_connectors_are_numbered_over_all_evses():
    assert told(started(evse_id=2), TWO_EVSES)[1]["connectorId"] == 3


def test_a_start_whose_number_is_known_already_is_not_told_again():
    assert told(started(), knowing(4711)) is None


def test_a_start_that_is_being_delivered_is_told():
    view = FixedView(deliveries=(Delivery(started()),))
    assert told(started(), view)[0] == "StartTransaction"


@pytest.mark.parametrize("value", ["x" * 21, ""])
def test_a_token_that_16_cannot_carry_starts_with_an_empty_id_tag(value):
    token = IdToken(value, TokenType.CENTRAL)
    assert told(started(id_token=token))[1]["idTag"] == ""


def test_the_longest_token_is_carried():
    assert told(started(id_token=IdToken("x" * 20)))[1]["idTag"] == "x" * 20


@pytest.mark.parametrize("number", [4711, 0, -1, -7, 2**40, -(2**63)])
def test_any_number_is_taken_as_it_is(number):
    (event,) = learned(
        started(), f'{{"transactionId":{number},"idTagInfo":{{"status":"Accepted"}}}}'
    )
    assert event == TransactionAcknowledged(
        TX, number, info=TokenInfo(AuthorizationStatus.ACCEPTED)
    )


@pytest.mark.parametrize("written", ['"4711"', "4711.0", '" 4711"'])
def test_a_number_written_as_text_or_with_a_fraction_of_zero_is_read(written):
    (event,) = learned(
        started(), f'{{"transactionId":{written},"idTagInfo":{{"status":"Blocked"}}}}'
    )
    assert event.remote_id == 4711
    assert event.info.status is AuthorizationStatus.BLOCKED


@pytest.mark.parametrize(
    "info",
    [
        "",
        ',"idTagInfo":null',
        ',"idTagInfo":{}',
        ',"idTagInfo":[]',
        ',"idTagInfo":{"status":"Perhaps"}',
        ',"idTagInfo":{"status":7}',
    ],
)
def test_a_missing_or_unusable_standing_costs_nothing_but_itself(info):
    assert learned(started(), f'{{"transactionId":5{info}}}') == (
        TransactionAcknowledged(TX, 5),
    )


def test_a_standing_is_read_leniently():
    (event,) = learned(
        started(),
        '{"transactionId":5,"heartbeatInterval":9,"idTagInfo":{"status":"accepted",'
        '"expiryDate":"2027-01-01T00:00:00","parentIdTag":"FLEET7","more":1}}',
    )
    assert event.info == TokenInfo(AuthorizationStatus.ACCEPTED, 1_798_761_600.0, "FLEET7")


@pytest.mark.parametrize("expiry", ['""', '"soon"', "null", "7", '"9999-99-99T00:00:00Z"'])
def test_an_unreadable_expiry_counts_as_none(expiry):
    (event,) = learned(
        started(),
        f'{{"transactionId":5,"idTagInfo":{{"status":"Accepted","expiryDate":{expiry}}}}}',
    )
    assert event.info.expires_wall_s is None


@pytest.mark.parametrize("parent", ['""', "7", '"' + "x" * 256 + '"'])
def test_an_unusable_parent_counts_as_none(parent):
    (event,) = learned(
        started(),
        f'{{"transactionId":5,"idTagInfo":{{"status":"Accepted","parentIdTag":{parent}}}}}',
    )
    assert event.info.group is None


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("{}", RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"transactionId":"x"}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('{"transactionId":null}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('{"transactionId":9223372036854775808}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ("[]", RpcErrorCode.FORMAT_VIOLATION),
    ],
)
def test_an_answer_without_a_usable_number_counts_as_failed(payload, code):
    with pytest.raises(RpcError) as caught:
        learned(started(), payload)
    assert caught.value.code is code


# --- MeterValues ---------------------------------------------------------------------------


def test_samples_of_a_transaction_are_told_with_its_number():
    assert told(updated(), knowing(4711)) == (
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": 4711,
            "meterValue": [
                {
                    "timestamp": "2026-01-15T10:01:00.000Z",
                    "sampledValue": [
                        {
                            "value": "12345",
                            "context": "Sample.Periodic",
                            "measurand": "Energy.Active.Import.Register",
                            "location": "Outlet",
                            "unit": "Wh",
                        }
                    ],
                }
            ],
        },
    )


def test_the_number_zero_is_a_number():
    assert told(updated(), knowing(0))[1]["transactionId"] == 0


def test_a_change_of_state_without_samples_is_not_said_in_16():
    assert told(updated(samples=()), knowing(4711)) is None
    assert told(updated(samples=()), FixedView(deliveries=(Delivery(started()),))) is None


def test_the_rest_of_a_lost_start_is_told_as_minus_one():
    lost = knowing(None, is_start_lost=True)
    assert told(updated(), lost)[1]["transactionId"] == -1
    assert told(ended(), lost)[1]["transactionId"] == -1


def test_a_transaction_nobody_remembers_is_told_as_minus_one():
    assert told(updated(), VIEW)[1]["transactionId"] == -1


@pytest.mark.parametrize("record", [updated(), ended()])
def test_a_transaction_begun_elsewhere_is_started_first(record):
    view = knowing(None, meter_start_wh=77.0)
    call = ADAPTER.encode_record(record, view, offline=True)
    assert (call.action, call.settles) == ("StartTransaction", False)
    assert told(record, view)[1]["meterStart"] == 77
    answer = raw('{"transactionId":12,"idTagInfo":{"status":"Accepted"}}')
    (event,) = ADAPTER.record_accepted(record, call, answer)
    assert (event.transaction_id, event.remote_id, event.id_token) == (TX, 12, None)


def test_the_answer_to_meter_values_teaches_nothing():
    assert learned(updated(), "[]", knowing(4711)) == ()


# --- StopTransaction -----------------------------------------------------------------------


def test_a_stop_carries_number_register_time_reason_and_token():
    assert told(ended(), knowing(4711)) == (
        "StopTransaction",
        {
            "transactionId": 4711,
            "meterStop": 15000,
            "timestamp": "2026-01-15T11:00:00.000Z",
            "idTag": "04A1B2C3D4E5F6",
            "reason": "Local",
        },
    )


def test_a_stop_without_a_token_has_no_id_tag():
    assert "idTag" not in told(ended(id_token=None), knowing())[1]


def test_41_a_csms_that_wants_a_token_in_every_stop_gets_the_one_that_began():
    wants = Settings(factory={variables.START_TOKEN_IN_STOP.name: "true"})
    view = knowing(4711, settings=wants)
    assert told(ended(id_token=None), view)[1]["idTag"] == "04A1B2C3D4E5F6"
    assert told(ended(id_token=IdToken("OTHER")), view)[1]["idTag"] == "OTHER"
    nobody = FixedView(settings=wants)
    assert "idTag" not in told(ended(id_token=None), nobody)[1]


def test_a_stop_by_a_token_that_16_cannot_carry_has_no_id_tag():
    assert "idTag" not in told(ended(id_token=IdToken("x" * 21)), knowing())[1]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (StopReason.DE_AUTHORIZED, "DeAuthorized"),
        (StopReason.EMERGENCY_STOP, "EmergencyStop"),
        (StopReason.EV_DISCONNECTED, "EVDisconnected"),
        (StopReason.GROUND_FAULT, "Other"),
        (StopReason.IMMEDIATE_RESET, "HardReset"),
        (StopReason.LOCAL, "Local"),
        (StopReason.OTHER, "Other"),
        (StopReason.OVERCURRENT_FAULT, "Other"),
        (StopReason.POWER_LOSS, "PowerLoss"),
        (StopReason.POWER_QUALITY, "Other"),
        (StopReason.REBOOT, "Reboot"),
        (StopReason.REMOTE, "Remote"),
        (StopReason.SOFT_RESET, "SoftReset"),
    ],
)
def test_every_stop_reason_has_its_word(reason, word):
    assert told(ended(stop_reason=reason), knowing())[1]["reason"] == word


def test_no_stop_reason_is_missing():
    assert set(REASONS) == set(StopReason)


def test_readings_kept_for_the_end_are_told_in_their_order():
    samples = (
        sample(0, ReadingContext.TRANSACTION_BEGIN),
        sample(60),
        sample(120, ReadingContext.TRANSACTION_END),
    )
    data = told(ended(samples=samples), knowing())[1]["transactionData"]
    assert [one["timestamp"][14:19] for one in data] == ["00:00", "01:00", "02:00"]
    assert [one["sampledValue"][0]["context"] for one in data] == [
        "Transaction.Begin",
        "Sample.Periodic",
        "Transaction.End",
    ]


def test_a_stop_that_would_be_too_long_is_thinned_between_its_ends():
    samples = (
        sample(0, ReadingContext.TRANSACTION_BEGIN),
        *(sample(60 * minute) for minute in range(1, 499)),
        sample(60 * 499, ReadingContext.TRANSACTION_END),
    )
    call = ADAPTER.encode_record(ended(samples=samples), knowing(), offline=False)
    assert LARGEST_STOP / 4 < len(call.payload) <= LARGEST_STOP
    data = told(ended(samples=samples), knowing())[1]["transactionData"]
    contexts = [one["sampledValue"][0]["context"] for one in data]
    assert (contexts[0], contexts[-1]) == ("Transaction.Begin", "Transaction.End")
    minutes = [int(one["timestamp"][11:13]) * 60 + int(one["timestamp"][14:16]) for one in data]
    gaps = {later - earlier for earlier, later in itertools.pairwise(minutes[1:-1])}
    assert len(gaps) == 1
    assert gaps <= {2, 4, 8}


def test_begin_and_end_are_never_thinned_out():
    wide = tuple(Quantity(Measurand.VOLTAGE, 230.0, "L1-N") for _ in range(400))
    samples = (
        sample(0, ReadingContext.TRANSACTION_BEGIN, *wide),
        sample(60),
        sample(120, ReadingContext.TRANSACTION_END, *wide),
    )
    call = ADAPTER.encode_record(ended(samples=samples), knowing(), offline=False)
    assert len(call.payload) > LARGEST_STOP
    assert len(json.loads(call.payload)["transactionData"]) == 2


def test_the_standing_in_the_answer_is_about_the_stopping_token():
    (event,) = learned(ended(), '{"idTagInfo":{"status":"Expired"}}', knowing())
    assert event == TransactionAcknowledged(
        TX, id_token=TOKEN, info=TokenInfo(AuthorizationStatus.EXPIRED)
    )


def test_a_standing_without_a_stopping_token_is_about_nobody():
    answer = '{"idTagInfo":{"status":"Expired"}}'
    assert learned(ended(id_token=None), answer, knowing()) == ()


@pytest.mark.parametrize(
    "payload", ["{}", "[]", '{"idTagInfo":null}', '{"idTagInfo":{"status":"?"}}']
)
def test_whatever_else_answers_a_stop_settles_it(payload):
    assert learned(ended(), payload, knowing()) == ()
