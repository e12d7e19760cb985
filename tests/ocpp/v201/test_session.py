import pytest

from agent.core.effects import Delivery
from agent.core.events import TransactionAcknowledged
from agent.core.values import (
    AuthorizationStatus,
    ChargingState,
    IdToken,
    Measurand,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
    StopReason,
    TokenInfo,
    Trigger,
)
from agent.ocpp.adapter import Call
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError
from hal.types import TokenType
from tests.ocpp.v201.facts import (
    BEGIN,
    NOON,
    TOKEN,
    TX,
    Facts,
    ended,
    raw,
    sent,
    started,
    updated,
)

CALL = Call("TransactionEvent", b"{}")


def told(record, view=None, *, offline=False):
    call = Adapter201().encode_record(record, view or Facts(), offline=offline)
    return sent(call, "TransactionEvent")


def learned(record, payload):
    return Adapter201().record_accepted(record, CALL, raw(payload))


def test_started_tells_everything_that_is_told_once():
    record = started(trigger=Trigger.REMOTE_START, remote_start_id=99)
    assert told(record) == {
        "eventType": "Started",
        "timestamp": NOON,
        "triggerReason": "RemoteStart",
        "seqNo": 0,
        "transactionInfo": {
            "transactionId": TX,
            "chargingState": "EVConnected",
            "remoteStartId": 99,
        },
        "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": "04A2B3C4", "type": "ISO14443"},
        "meterValue": [
            {
                "timestamp": NOON,
                "sampledValue": [
                    {
                        "value": 1234.5,
                        "context": "Transaction.Begin",
                        "measurand": "Energy.Active.Import.Register",
                        "location": "Outlet",
                        "unitOfMeasure": {"unit": "Wh"},
                    }
                ],
            }
        ],
    }


def test_updated_repeats_neither_evse_nor_token():
    """E01.FR.16, E03.FR.01: only the first event after connection and authorization."""
    assert told(updated(phases_used=3, remote_start_id=99)) == {
        "eventType": "Updated",
        "timestamp": "2025-01-01T12:01:00.000Z",
        "triggerReason": "ChargingStateChanged",
        "seqNo": 1,
        "transactionInfo": {
            "transactionId": TX,
            "chargingState": "Charging",
            "remoteStartId": 99,
        },
        "numberOfPhasesUsed": 3,
    }


def test_updated_tells_its_samples():
    sample = Sample(
        Stamp(1, 60.0),
        ReadingContext.PERIODIC,
        (Quantity(Measurand.ENERGY_IMPORT, 1300.0),),
    )
    payload = told(updated(trigger=Trigger.METER_VALUE_PERIODIC, samples=(sample,)))
    assert payload["meterValue"][0]["timestamp"] == "2025-01-01T12:01:00.000Z"
    assert payload["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Periodic"
    assert payload["triggerReason"] == "MeterValuePeriodic"


def test_ended_tells_reason_duration_and_the_samples_kept():
    end = Sample(
        Stamp(1, 3600.0),
        ReadingContext.TRANSACTION_END,
        (Quantity(Measurand.ENERGY_IMPORT, 2000.0),),
    )
    assert told(ended(samples=(BEGIN, end), charging_s=1799.6, id_token=TOKEN)) == {
        "eventType": "Ended",
        "timestamp": "2025-01-01T13:00:00.000Z",
        "triggerReason": "StopAuthorized",
        "seqNo": 2,
        "transactionInfo": {
            "transactionId": TX,
            "chargingState": "EVConnected",
            "timeSpentCharging": 1800,
            "stoppedReason": "Local",
        },
        "idToken": {"idToken": "04A2B3C4", "type": "ISO14443"},
        "meterValue": [
            {
                "timestamp": timestamp,
                "sampledValue": [
                    {
                        "value": value,
                        "context": context,
                        "measurand": "Energy.Active.Import.Register",
                        "location": "Outlet",
                        "unitOfMeasure": {"unit": "Wh"},
                    }
                ],
            }
            for timestamp, value, context in (
                (NOON, 1234.5, "Transaction.Begin"),
                ("2025-01-01T13:00:00.000Z", 2000.0, "Transaction.End"),
            )
        ],
    }


def test_ended_without_a_token_names_none():
    """E07.FR.02: the token only when it ended the authorization."""
    payload = told(ended(stop_reason=StopReason.EV_DISCONNECTED))
    assert "idToken" not in payload
    assert "timeSpentCharging" not in payload["transactionInfo"]
    assert payload["transactionInfo"]["stoppedReason"] == "EVDisconnected"


@pytest.mark.parametrize("reason", list(StopReason))
def test_every_stop_reason_has_its_word(reason):
    word = told(ended(stop_reason=reason))["transactionInfo"]["stoppedReason"]
    others = {StopReason.SOFT_RESET: "ImmediateReset", StopReason.UNLOCK_COMMAND: "Remote"}
    assert word == others.get(reason, reason.value)


@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_trigger_is_told_as_it_is(trigger):
    assert told(updated(trigger=trigger))["triggerReason"] == trigger.value


@pytest.mark.parametrize("state", list(ChargingState))
def test_every_charging_state_is_told_as_it_is(state):
    info = told(updated(charging_state=state))["transactionInfo"]
    assert info["chargingState"] == state.value


@pytest.mark.parametrize("kind", list(TokenType))
def test_every_kind_of_token_is_told_as_it_is(kind):
    token = "" if kind is TokenType.NO_AUTHORIZATION else "abc"
    payload = told(started(id_token=IdToken(token, kind)))
    assert payload["idToken"] == {"idToken": token, "type": kind.value}


@pytest.mark.parametrize("record", [started, updated, ended])
def test_offline_is_told_when_it_happened_or_was_still_queued_without_a_link(record):
    """E04.FR.03, E11.FR.07."""
    assert "offline" not in told(record())
    assert told(record(offline=True))["offline"] is True
    assert told(record(), offline=True)["offline"] is True


@pytest.mark.parametrize("record", [started, updated, ended])
def test_a_transaction_begun_under_1_6_goes_on_under_the_number_it_got_there(record):
    view = Facts(deliveries={TX: Delivery(started(), remote_id=4711)})
    assert told(record(), view)["transactionInfo"]["transactionId"] == "4711"


def test_a_transaction_without_a_number_keeps_its_own_id():
    view = Facts(deliveries={TX: Delivery(started())})
    assert told(ended(), view)["transactionInfo"]["transactionId"] == TX


def test_a_long_token_and_id_are_cut_rather_than_the_bill_lost():
    record = started(transaction_id="t" * 50, id_token=IdToken("i" * 50))
    payload = told(record)
    assert payload["transactionInfo"]["transactionId"] == "t" * 36
    assert payload["idToken"]["idToken"] == "i" * 36


@pytest.mark.parametrize("record", [started(), updated(), ended()])
def test_an_answer_without_a_verdict_only_acknowledges(record):
    assert learned(record, {}) == (TransactionAcknowledged(TX),)


def test_a_verdict_in_the_answer_is_about_the_starting_token():
    info = TokenInfo(AuthorizationStatus.BLOCKED)
    verdict = {"idTokenInfo": {"status": "Blocked"}}
    assert learned(started(), verdict) == (TransactionAcknowledged(TX, info=info),)
    assert learned(updated(), verdict) == (TransactionAcknowledged(TX, info=info),)


def test_a_verdict_on_the_end_is_about_the_token_that_ended_it():
    other = IdToken("OTHER")
    assert learned(ended(id_token=other), {"idTokenInfo": {"status": "Accepted"}}) == (
        TransactionAcknowledged(
            TX, id_token=other, info=TokenInfo(AuthorizationStatus.ACCEPTED)
        ),
    )


def test_members_of_the_answer_that_nobody_uses_need_not_be_right():
    payload = {"totalCost": "free", "chargingPriority": {}, "updatedPersonalMessage": 5}
    assert learned(started(), payload) == (TransactionAcknowledged(TX),)


@pytest.mark.parametrize(
    "payload", ["[]", '"ok"', '{"idTokenInfo": {}}', '{"idTokenInfo": {"status": "Fine"}}']
)
def test_an_unusable_answer_is_no_delivery(payload):
    with pytest.raises(RpcError):
        learned(started(), payload)


def test_an_answer_of_null_members_acknowledges():
    assert learned(started(), '{"idTokenInfo": null}') == (TransactionAcknowledged(TX),)
