import msgspec
import pytest

from agent.core import variables
from agent.core.effects import Done, MeterValuesReported, StatusReported, Verdict
from agent.core.events import TriggerKind, TriggerRequested
from agent.core.values import (
    ConnectorStatus,
    Measurand,
    Quantity,
    ReadingContext,
    Sample,
    SessionPhase,
    Stamp,
)
from agent.core.variables import Settings
from agent.ocpp.adapter import Answered
from agent.ocpp.v201.adapter import Adapter201
from agent.ocpp.v201.remote_trigger import KINDS
from tests.ocpp.v201.facts import NOON, Facts, answer, asked, raw, sent
from tests.support.schemas import schema

FREE = ConnectorStatus(1, 1, is_plugged=False, phase=SessionPhase.FREE, is_operative=True)
SETTINGS = Settings(
    changed={
        variables.ALIGNED_MEASURANDS.name: ("Voltage", "CSMS"),
        variables.SAMPLED_MEASURANDS.name: ("Frequency", "CSMS"),
    }
)


def trigger(word, **evse):
    place = {"evse": evse} if evse else {}
    return asked(
        "TriggerMessage", {"requestedMessage": word, **place}, Facts(settings=SETTINGS)
    )


def test_every_word_that_has_a_message_is_asked_of_the_core():
    for word, kind in KINDS.items():
        assert trigger(word).request.kind is kind


def test_every_other_word_is_not_implemented():
    """F06.FR.08."""
    official = schema("ocpp2.0.1", "TriggerMessage", response=False)
    words = set(official["definitions"]["MessageTriggerEnumType"]["enum"])
    assert set(KINDS) < words
    for word in words - set(KINDS):
        found = trigger(word)
        assert isinstance(found, Answered)
        assert answer("TriggerMessage", found.payload) == {
            "status": "NotImplemented",
            "statusInfo": {"reasonCode": "UnsupportedParam"},
        }
    unheard = Adapter201().decode(
        "TriggerMessage", raw({"requestedMessage": "Gossip"}), 1, Facts()
    )
    assert isinstance(unheard, Answered)


@pytest.mark.parametrize(
    ("word", "measurands"),
    [("MeterValues", ("Voltage",)), ("TransactionEvent", ("Frequency",))],
)
def test_values_are_those_that_the_settings_name(word, measurands):
    """F06.FR.06, F06.FR.07."""
    kind = KINDS[word]
    assert trigger(word, id=2).request == TriggerRequested(7, kind, 2, None, measurands)


def test_an_evse_matters_only_where_the_message_is_about_one():
    """F06.FR.03; evseId 0 is the station, which has neither status nor meter."""
    assert trigger("Heartbeat", id=9).request == TriggerRequested(7, TriggerKind.HEARTBEAT)
    status = trigger("StatusNotification", id=1, connectorId=2).request
    assert (status.evse_id, status.connector_id) == (1, 2)
    assert trigger("StatusNotification", id=0).request.evse_id == -1


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.NOT_SUPPORTED, "NotImplemented"),
    ],
)
def test_a_verdict_becomes_a_status(verdict, word):
    incoming = trigger("Heartbeat")
    payload = Adapter201().respond(incoming, Done(verdict), Facts())
    assert answer("TriggerMessage", payload)["status"] == word


def test_a_triggered_status_is_told_although_it_is_known():
    known = StatusReported(FREE, FREE, Stamp(1, 0.0))
    assert Adapter201().encode_message(known, Facts()) is None
    wanted = StatusReported(FREE, FREE, Stamp(1, 0.0), is_triggered=True)
    call = Adapter201().encode_message(wanted, Facts())
    assert sent(call, "StatusNotification")["connectorStatus"] == "Available"


def test_present_meter_values_are_told_and_their_answer_teaches_nothing():
    quantity = Quantity(Measurand.VOLTAGE, 230.0, "L1-N")
    sample = Sample(Stamp(1, 0.0), ReadingContext.TRIGGER, (quantity,))
    message = MeterValuesReported(1, 1, sample)
    payload = sent(Adapter201().encode_message(message, Facts()), "MeterValues")
    (value,) = payload["meterValue"]
    assert (payload["evseId"], value["timestamp"]) == (1, NOON)
    assert value["sampledValue"][0]["context"] == "Trigger"
    assert Adapter201().message_accepted(message, msgspec.Raw(b"{}")) == ()
