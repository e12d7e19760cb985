import itertools

import pytest

from agent.core.effects import Done, StatusReported, Verdict
from agent.core.events import AvailabilityRequested, StatusAcknowledged
from agent.core.values import ConnectorStatus, SessionPhase, Stamp
from agent.ocpp.v201.adapter import Adapter201
from agent.ocpp.v201.availability import projected
from tests.ocpp.v201.facts import NOON, Facts, answer, asked, raw, sent

IN_TRANSACTION = {
    SessionPhase.CHARGING,
    SessionPhase.SUSPENDED_EV,
    SessionPhase.SUSPENDED_EVSE,
}


def facts(phase=SessionPhase.FREE, *, plugged=False, operative=True, fault=None, connector=1):
    return ConnectorStatus(
        evse_id=1,
        connector_id=connector,
        is_plugged=plugged,
        phase=phase,
        is_operative=operative,
        fault=fault,
    )


def notified(status, previous=None):
    message = StatusReported(status, previous, Stamp(1, 0.0))
    return Adapter201().encode_message(message, Facts())


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (facts(), "Available"),
        (facts(SessionPhase.PREPARING), "Available"),
        (facts(SessionPhase.PREPARING, plugged=True), "Occupied"),
        (facts(SessionPhase.CHARGING, plugged=True), "Occupied"),
        (facts(SessionPhase.SUSPENDED_EV, plugged=True), "Occupied"),
        (facts(SessionPhase.SUSPENDED_EVSE, plugged=True), "Occupied"),
        (facts(SessionPhase.FINISHING, plugged=True), "Occupied"),
        (facts(SessionPhase.CHARGING), "Occupied"),
        (facts(operative=False), "Unavailable"),
        (facts(SessionPhase.FINISHING, plugged=True, operative=False), "Unavailable"),
        (facts(SessionPhase.CHARGING, plugged=True, operative=False), "Occupied"),
        (facts(fault="GroundFailure"), "Faulted"),
        (facts(operative=False, fault="GroundFailure"), "Faulted"),
        (facts(SessionPhase.CHARGING, plugged=True, fault="OverCurrent"), "Faulted"),
    ],
)
def test_every_situation_has_one_of_five_words(status, word):
    assert sent(notified(status), "StatusNotification") == {
        "timestamp": NOON,
        "connectorStatus": word,
        "evseId": 1,
        "connectorId": 1,
    }


def test_a_status_is_told_exactly_when_its_word_changes():
    """G01: 1.6's finer steps are no news here."""
    situations = [
        facts(phase, plugged=plugged, operative=operative, fault=fault)
        for phase, plugged, operative, fault in itertools.product(
            SessionPhase, (False, True), (False, True), (None, "OverCurrent")
        )
    ]
    for before, now in itertools.product(situations, situations):
        is_told = notified(now, before) is not None
        assert is_told == (projected(before) != projected(now))


def test_the_station_as_a_whole_has_no_status():
    station = ConnectorStatus(0, 0, False, SessionPhase.FREE, False)
    assert projected(station) is None
    assert notified(station) is None
    assert projected(facts(connector=0)) is None


def test_the_answer_settles_the_status_that_was_told():
    status = facts(plugged=True)
    message = StatusReported(status, None, Stamp(1, 0.0))
    assert Adapter201().message_accepted(message, raw({})) == (StatusAcknowledged(status),)


@pytest.mark.parametrize(
    ("evse", "evse_id", "connector_id"),
    [
        ({}, None, None),
        ({"evse": {"id": 2}}, 2, None),
        ({"evse": {"id": 2, "connectorId": 1}}, 2, 1),
        ({"evse": {"id": 99, "connectorId": 0}}, 99, 0),
    ],
)
@pytest.mark.parametrize("word", ["Operative", "Inoperative"])
def test_a_change_is_asked_of_the_core(word, evse, evse_id, connector_id):
    """G03, G04."""
    request = asked("ChangeAvailability", {"operationalStatus": word, **evse}).request
    assert request == AvailabilityRequested(7, word == "Operative", evse_id, connector_id)


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (Done(Verdict.ACCEPTED), {"status": "Accepted"}),
        (Done(Verdict.SCHEDULED), {"status": "Scheduled"}),
        (
            Done(Verdict.SCHEDULED, "TxInProgress"),
            {"status": "Scheduled", "statusInfo": {"reasonCode": "TxInProgress"}},
        ),
        (
            Done(Verdict.UNKNOWN_EVSE),
            {"status": "Rejected", "statusInfo": {"reasonCode": "UnknownEvse"}},
        ),
    ],
)
def test_a_change_is_answered_with_its_outcome(outcome, answered):
    """G03.FR.03, G03.FR.05."""
    incoming = asked("ChangeAvailability", {"operationalStatus": "Inoperative"})
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("ChangeAvailability", payload) == answered
