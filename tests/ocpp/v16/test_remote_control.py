"""RemoteStartTransaction and RemoteStopTransaction."""

import json

import pytest

from agent.core import variables
from agent.core.effects import Done, SettingsAnswer, Verdict
from agent.core.events import RemoteStartRequested, RemoteStopRequested
from agent.core.smart_charging.profile import (
    Kind,
    Period,
    Profile,
    Purpose,
    Schedule,
    Unit,
)
from agent.core.values import IdToken
from agent.core.variables import Settings
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16.facts import TWO, VIEW, FixedView, answer, asked

PROFILE = {
    "chargingProfileId": 5,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0, "numberPhases": 3}],
    },
}


def start(view=VIEW, **members):
    return asked("RemoteStartTransaction", json.dumps({"idTag": "VIRT-0815", **members}), view)


def code(action, payload):
    with pytest.raises(RpcError) as caught:
        asked(action, payload)
    return caught.value.code


def test_without_a_connector_the_station_chooses():
    assert start().request == RemoteStartRequested(9, IdToken("VIRT-0815"), None, lenient=True)


@pytest.mark.parametrize(
    ("connector", "evse_id"), [(1, 1), (2, 1), (3, 2), (0, 0), (4, 0), (-1, 0), ("2", 1)]
)
def test_a_connector_names_its_evse_and_an_unknown_one_none(connector, evse_id):
    assert start(TWO, connectorId=connector).request.evse_id == evse_id


def test_a_profile_comes_with_the_start():
    request = start(chargingProfile=PROFILE).request
    assert request.lenient
    assert request.profile == Profile(
        5,
        0,
        Purpose.TX,
        Kind.RELATIVE,
        (Schedule(Unit.AMPERE, (Period(0, 10_000, 3),)),),
    )


def test_without_smart_charging_it_is_ignored():
    off = FixedView(settings=Settings(factory={variables.SMART_CHARGING_ENABLED.name: "false"}))
    assert start(off, chargingProfile=PROFILE).request.profile is None


def test_a_broken_profile_refuses_the_start():
    bad = {**PROFILE, "validFrom": "tomorrow"}
    payload = json.dumps({"idTag": "A", "chargingProfile": bad})
    assert code("RemoteStartTransaction", payload) is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("{}", RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"idTag":5}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('{"idTag":"' + "x" * 21 + '"}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ('{"idTag":"A","chargingProfile":{}}', RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ("7", RpcErrorCode.FORMAT_VIOLATION),
    ],
)
def test_a_broken_start_is_refused(payload, expected):
    assert code("RemoteStartTransaction", payload) is expected


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.SCHEDULED, "Accepted"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.UNKNOWN_EVSE, "Rejected"),
        (Verdict.NOT_SUPPORTED, "Rejected"),
        (Verdict.FAILED, "Rejected"),
    ],
)
def test_both_are_answered_with_one_of_two_words(verdict, word):
    assert answer(start(), Done(verdict)) == {"status": word}
    stop = asked("RemoteStopTransaction", '{"transactionId":4711}')
    assert answer(stop, Done(verdict)) == {"status": word}


def test_an_outcome_that_is_no_verdict_is_an_internal_error():
    with pytest.raises(RpcError) as caught:
        answer(start(), SettingsAnswer(()))
    assert caught.value.code is RpcErrorCode.INTERNAL_ERROR


@pytest.mark.parametrize("number", [4711, 0, -1, 2**40])
def test_a_stop_names_the_csms_number(number):
    incoming = asked("RemoteStopTransaction", f'{{"transactionId":{number}}}')
    assert incoming.request == RemoteStopRequested(9, remote_id=number)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("{}", RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"transactionId":"abc"}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
    ],
)
def test_a_broken_stop_is_refused(payload, expected):
    assert code("RemoteStopTransaction", payload) is expected
