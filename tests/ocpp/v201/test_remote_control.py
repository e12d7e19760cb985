import pytest

from agent.core import variables
from agent.core.effects import Delivery, Done, Verdict
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
from agent.ocpp.v201.adapter import Adapter201
from hal.types import TokenType
from tests.ocpp.v201.facts import TX, Facts, answer, asked, started

START = {"idToken": {"idToken": "ABC", "type": "Central"}, "remoteStartId": 5}
PROFILE = {
    "id": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": [
        {
            "id": 1,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}],
        }
    ],
}


def start_answer(outcome, view=None):
    incoming = asked("RequestStartTransaction", START)
    payload = Adapter201().respond(incoming, outcome, view or Facts())
    return answer("RequestStartTransaction", payload)


def test_a_start_is_asked_of_the_core():
    """F01, F02."""
    group = {"idToken": "FLEET", "type": "Central"}
    payload = {**START, "evseId": 2, "groupIdToken": group}
    assert asked("RequestStartTransaction", payload).request == RemoteStartRequested(
        7, IdToken("ABC", TokenType.CENTRAL), evse_id=2, remote_start_id=5, group="FLEET"
    )


def test_a_start_may_leave_the_evse_to_the_station_and_bring_a_profile():
    """K05.FR.01."""
    token = {"idToken": "ABC", "type": "Central", "additionalInfo": [
        {"additionalIdToken": "A", "type": "B"}
    ]}  # fmt: skip
    payload = {"idToken": token, "remoteStartId": 5, "chargingProfile": PROFILE}
    assert asked("RequestStartTransaction", payload).request == RemoteStartRequested(
        7,
        IdToken("ABC", TokenType.CENTRAL),
        remote_start_id=5,
        profile=Profile(
            1,
            0,
            Purpose.TX,
            Kind.RELATIVE,
            (Schedule(Unit.AMPERE, (Period(0, 6000),), schedule_id=1),),
        ),
    )


def test_f01_fr_12_without_smart_charging_a_profile_is_passed_over():
    without = Settings(factory={variables.SMART_CHARGING_AVAILABLE.name: "false"})
    payload = {**START, "chargingProfile": PROFILE}
    request = asked("RequestStartTransaction", payload, Facts(settings=without)).request
    assert request == asked("RequestStartTransaction", START).request


def test_a_granted_start_names_the_transaction_that_runs_already():
    """F01.FR.13."""
    assert start_answer(Done(Verdict.ACCEPTED)) == {"status": "Accepted"}
    granted = Done(Verdict.ACCEPTED, transaction_id=TX)
    assert start_answer(granted) == {"status": "Accepted", "transactionId": TX}
    view = Facts(deliveries={TX: Delivery(started(), remote_id=12)})
    assert start_answer(granted, view)["transactionId"] == "12"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Done(Verdict.REJECTED, "TxInProgress"), "TxInProgress"),
        (Done(Verdict.REJECTED, "CSNotAccepted"), "CSNotAccepted"),
        (Done(Verdict.UNKNOWN_EVSE), "UnknownEvse"),
    ],
)
def test_a_refused_start_says_why(outcome, reason):
    """B02.FR.05, F01.FR.24."""
    assert start_answer(outcome) == {
        "status": "Rejected",
        "statusInfo": {"reasonCode": reason},
    }


@pytest.mark.parametrize(
    ("text", "remote_id"),
    [
        (TX, None),
        ("4711", 4711),
        ("-1", -1),
        ("0", 0),
        ("007", None),
        ("+7", None),
        ("-0", None),
        ("", None),
        ("-", None),
        ("\u0667", None),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("9" * 36, None),
    ],
)
def test_a_stop_names_the_transaction_by_our_id_and_by_the_number_of_1_6(text, remote_id):
    """F03.FR.07."""
    assert asked("RequestStopTransaction", {"transactionId": text}).request == (
        RemoteStopRequested(7, text, remote_id)
    )


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (Done(Verdict.ACCEPTED), {"status": "Accepted"}),
        (
            Done(Verdict.REJECTED, "TxNotFound"),
            {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}},
        ),
    ],
)
def test_a_stop_is_answered_with_its_outcome(outcome, answered):
    """F03.FR.07, F03.FR.08."""
    incoming = asked("RequestStopTransaction", {"transactionId": TX})
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("RequestStopTransaction", payload) == answered
