import pytest

from agent.core.effects import Done, Verdict
from agent.core.events import ChargingProfileOffered
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v201.facts import Facts, answer, asked, raw
from tests.ocpp.v201.test_remote_control import PROFILE

OFFER = {"evseId": 1, "chargingProfile": PROFILE}


def test_a_profile_is_offered_to_the_core():
    assert asked("SetChargingProfile", OFFER).request == ChargingProfileOffered(7, 1)


def test_a_profile_is_decoded_to_its_last_period():
    period = {"startPeriod": 900, "limit": 10.5, "numberPhases": 1, "phaseToUse": 2}
    schedule = {**PROFILE["chargingSchedule"][0], "duration": 1800, "minChargingRate": 6}
    schedule["chargingSchedulePeriod"] = [{"startPeriod": 0, "limit": 16}, period]
    offer = {"evseId": 0, "chargingProfile": {**PROFILE, "chargingSchedule": [schedule]}}
    profile = asked("SetChargingProfile", offer).wire.charging_profile
    (read,) = profile.charging_schedule
    assert (read.duration, read.min_charging_rate) == (1800, 6)
    last = read.charging_schedule_period[-1]
    assert (last.start_period, last.limit) == (900, 10.5)
    assert (last.number_phases, last.phase_to_use) == (1, 2)


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (Done(Verdict.ACCEPTED), {"status": "Accepted"}),
        (
            Done(Verdict.UNKNOWN_EVSE),
            {"status": "Rejected", "statusInfo": {"reasonCode": "UnknownEvse"}},
        ),
        (
            Done(Verdict.REJECTED, "InvalidSchedule", "the first period starts at 0"),
            {
                "status": "Rejected",
                "statusInfo": {
                    "reasonCode": "InvalidSchedule",
                    "additionalInfo": "the first period starts at 0",
                },
            },
        ),
    ],
)
def test_an_offer_is_answered_with_its_outcome(outcome, answered):
    """K01.FR.28."""
    incoming = asked("SetChargingProfile", OFFER)
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("SetChargingProfile", payload) == answered


def test_without_smart_charging_the_call_is_an_error():
    """K01.FR.29."""
    incoming = asked("SetChargingProfile", OFFER)
    with pytest.raises(RpcError) as caught:
        Adapter201().respond(incoming, Done(Verdict.NOT_SUPPORTED), Facts())
    assert caught.value.code is RpcErrorCode.NOT_SUPPORTED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"chargingSchedule": []}, RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ({"chargingSchedule": None}, RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ({"chargingProfilePurpose": "Maximum"}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ({"validTo": "tomorrow"}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ({"validTo": 5}, RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ({"transactionId": "t" * 37}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ({"id": 2**63}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
    ],
)
def test_a_broken_profile_is_refused_with_the_right_code(change, code):
    offer = {"evseId": 1, "chargingProfile": {**PROFILE, **change}}
    with pytest.raises(RpcError) as caught:
        Adapter201().decode("SetChargingProfile", raw(offer), 7, Facts())
    assert caught.value.code is code
