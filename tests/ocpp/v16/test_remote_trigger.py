"""TriggerMessage and ExtendedTriggerMessage (1.6 reference 2.2, 2.4)."""

import json

import pytest

from agent.core.effects import Done, MeterValuesReported, StatusReported, Verdict
from agent.core.events import TriggerKind, TriggerRequested
from agent.core.values import ConnectorStatus, ReadingContext, SessionPhase
from agent.ocpp.adapter import Answered
from agent.ocpp.v16.remote_trigger import EXTENDED, KINDS
from tests.ocpp.v16.facts import (
    ADAPTER,
    TWO,
    TX,
    VIEW,
    answer,
    asked,
    knowing,
    raw,
    said,
    sample,
    stamp,
)
from tests.support.schemas import inlined, schema, validate

WORDS = [("TriggerMessage", KINDS), ("ExtendedTriggerMessage", EXTENDED)]
FREE = ConnectorStatus(1, 1, is_plugged=False, phase=SessionPhase.FREE, is_operative=True)


def trigger(word, connector=None, action="TriggerMessage", view=TWO):
    place = {} if connector is None else {"connectorId": connector}
    return asked(action, json.dumps({"requestedMessage": word, **place}), view)


@pytest.mark.parametrize(("action", "kinds"), WORDS)
def test_every_word_of_the_schema_is_asked_of_the_core(action, kinds):
    official = inlined(schema("ocpp1.6", action, response=False))
    assert set(official["properties"]["requestedMessage"]["enum"]) == set(kinds)
    for word, kind in kinds.items():
        request = trigger(word, action=action).request
        assert (request.kind, request.evse_id) == (kind, None)
        assert "Voltage" in request.measurands


@pytest.mark.parametrize(("action", "kinds"), WORDS)
def test_a_word_that_nobody_knows_is_not_implemented(action, kinds):
    assert "Gossip" not in kinds
    found = trigger("Gossip", action=action)
    assert isinstance(found, Answered)
    told = validate("ocpp1.6", action, found.payload, response=True)
    assert told == {"status": "NotImplemented"}


@pytest.mark.parametrize(
    ("connector", "place"),
    [(0, (0, None)), (1, (1, 1)), (2, (1, 2)), (3, (2, 1)), (4, (3, None)), (-1, (3, None))],
)
def test_a_connector_names_its_place_and_an_unknown_one_none(connector, place):
    for word in ("MeterValues", "StatusNotification"):
        request = trigger(word, connector).request
        assert (request.evse_id, request.connector_id) == place


def test_a_connector_does_not_matter_where_the_message_is_not_about_one():
    request = trigger("Heartbeat", 77).request
    assert (request.kind, request.evse_id) == (TriggerKind.HEARTBEAT, None)
    assert isinstance(request, TriggerRequested)


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.NOT_SUPPORTED, "NotImplemented"),
    ],
)
@pytest.mark.parametrize("action", ["TriggerMessage", "ExtendedTriggerMessage"])
def test_a_verdict_becomes_a_status(action, verdict, word):
    incoming = trigger("Heartbeat", action=action)
    assert answer(incoming, Done(verdict)) == {"status": word}


# --- what is told ---


def test_a_triggered_status_is_told_although_it_is_known():
    assert said(StatusReported(FREE, FREE, stamp())) is None
    _, payload = said(StatusReported(FREE, FREE, stamp(), is_triggered=True))
    assert payload["status"] == "Available"


def test_a_triggered_status_keeps_to_the_steps_of_the_table():
    finishing, charging = (
        ConnectorStatus(1, 1, is_plugged=True, phase=phase, is_operative=True)
        for phase in (SessionPhase.FINISHING, SessionPhase.CHARGING)
    )
    message = StatusReported(charging, finishing, stamp(), is_triggered=True)
    steps = ADAPTER.expand(message)
    assert [said(step)[1]["status"] for step in steps] == ["Preparing", "Charging"]
    assert [step.is_triggered for step in steps] == [False, True]


@pytest.mark.parametrize(
    ("view", "number"),
    [(knowing(4711), 4711), (knowing(None), None), (knowing(None, is_start_lost=True), -1)],
)
def test_present_meter_values_name_their_transaction_if_the_csms_does(view, number):
    message = MeterValuesReported(1, 1, sample(0, ReadingContext.TRIGGER), TX)
    action, payload = said(message, view)
    assert action == "MeterValues"
    assert payload["connectorId"] == 1
    assert payload.get("transactionId") == number
    (value,) = payload["meterValue"]
    assert value["sampledValue"][0]["context"] == "Trigger"


def test_meter_values_outside_a_transaction_name_none_and_their_answer_teaches_nothing():
    message = MeterValuesReported(1, 1, sample(0, ReadingContext.TRIGGER))
    assert "transactionId" not in said(message, VIEW)[1]
    assert ADAPTER.message_accepted(message, raw("{}")) == ()
    assert ADAPTER.expand(message) == (message,)
