import pytest
from msgspec.structs import replace

from agent.core.effects import (
    ChargingNeedsTold,
    CompositeAnswer,
    Delivery,
    Done,
    ProfilesReported,
    VehicleScheduleTold,
    Verdict,
)
from agent.core.events import (
    ChargingProfileOffered,
    ChargingProfilesCleared,
    ChargingProfilesRequested,
    CompositeScheduleRequested,
    VehicleNeedsAnswered,
    VehicleScheduleAnswered,
)
from agent.core.smart_charging.needs import ChargingNeeds, NeedsAnswer, Transfer
from agent.core.smart_charging.profile import (
    Entry,
    Kind,
    Period,
    Profile,
    Purpose,
    Recurrency,
    Schedule,
    Unit,
)
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v201.facts import TX, Facts, answer, asked, raw, sent, started
from tests.ocpp.v201.test_remote_control import PROFILE

OFFER = {"evseId": 1, "chargingProfile": PROFILE}
MINE = Profile(
    1,
    0,
    Purpose.TX,
    Kind.RELATIVE,
    (Schedule(Unit.AMPERE, (Period(0, 6000),), schedule_id=1),),
)
DAILY = Profile(
    21,
    2,
    Purpose.TX_DEFAULT,
    Kind.RECURRING,
    (
        Schedule(
            Unit.WATT,
            (Period(0, 11_000_000, 3), Period(28_800, 6_000_100, 1, 2)),
            schedule_id=4,
            start_s=1_767_225_600,
            duration_s=86_400,
            least_rate=8150,
        ),
    ),
    Recurrency.DAILY,
    valid_from_s=1_767_225_600,
    valid_to_s=1_798_761_600,
)
DAILY_TOLD = {
    "id": 21,
    "stackLevel": 2,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Daily",
    "validFrom": "2026-01-01T00:00:00.000Z",
    "validTo": "2027-01-01T00:00:00.000Z",
    "chargingSchedule": [
        {
            "id": 4,
            "startSchedule": "2026-01-01T00:00:00.000Z",
            "duration": 86400,
            "chargingRateUnit": "W",
            "minChargingRate": 8.15,
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": 11000.0, "numberPhases": 3},
                {"startPeriod": 28800, "limit": 6000.1, "numberPhases": 1, "phaseToUse": 2},
            ],
        }
    ],
}


def test_a_profile_is_offered_to_the_core():
    request = asked("SetChargingProfile", OFFER).request
    assert request == ChargingProfileOffered(7, 1, MINE)
    assert not request.lenient


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


def test_every_member_of_a_profile_is_read():
    offer = {"evseId": 0, "chargingProfile": DAILY_TOLD}
    assert asked("SetChargingProfile", offer).request == ChargingProfileOffered(7, 0, DAILY)


def test_a_transaction_that_began_under_16_is_known_by_its_number():
    offer = {"evseId": 1, "chargingProfile": {**PROFILE, "transactionId": "12"}}
    request = asked("SetChargingProfile", offer).request
    assert (request.transaction_number, request.profile.transaction_id) == (12, "12")


# --- ClearChargingProfile ---


@pytest.mark.parametrize(
    ("payload", "cleared"),
    [
        ({}, ChargingProfilesCleared(7)),
        ({"chargingProfileId": 5}, ChargingProfilesCleared(7, 5)),
        ({"chargingProfileCriteria": {"evseId": 0}}, ChargingProfilesCleared(7, evse_id=0)),
        (
            {
                "chargingProfileCriteria": {
                    "chargingProfilePurpose": "TxProfile",
                    "stackLevel": 3,
                }
            },
            ChargingProfilesCleared(7, purpose=Purpose.TX, stack_level=3),
        ),
    ],
)
def test_the_profiles_to_clear_are_named(payload, cleared):
    """K10."""
    assert asked("ClearChargingProfile", payload).request == cleared


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (Done(Verdict.ACCEPTED), {"status": "Accepted"}),
        (
            Done(Verdict.REJECTED, "NoProfile"),
            {"status": "Unknown", "statusInfo": {"reasonCode": "NoProfile"}},
        ),
    ],
)
def test_clearing_is_answered(outcome, answered):
    """K10.FR.01."""
    incoming = asked("ClearChargingProfile", {})
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("ClearChargingProfile", payload) == answered


# --- GetChargingProfiles ---


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        ({}, ChargingProfilesRequested(7, 3)),
        ({"evseId": 1}, ChargingProfilesRequested(7, 3, evse_id=1)),
        (
            {
                "chargingProfile": {
                    "chargingProfilePurpose": "TxDefaultProfile",
                    "stackLevel": 1,
                    "chargingProfileId": [1, 2],
                    "chargingLimitSource": ["CSO", "EMS"],
                }
            },
            ChargingProfilesRequested(
                7, 3, None, Purpose.TX_DEFAULT, 1, (1, 2), ("CSO", "EMS")
            ),
        ),
    ],
)
def test_profiles_are_asked_for(payload, wanted):
    """K09."""
    payload = {"requestId": 3, "chargingProfile": {}, **payload}
    assert asked("GetChargingProfiles", payload).request == wanted


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (Done(Verdict.ACCEPTED), {"status": "Accepted"}),
        (
            Done(Verdict.REJECTED, "NoProfile"),
            {"status": "NoProfiles", "statusInfo": {"reasonCode": "NoProfile"}},
        ),
    ],
)
def test_a_request_for_profiles_is_answered(outcome, answered):
    incoming = asked("GetChargingProfiles", {"requestId": 3, "chargingProfile": {}})
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("GetChargingProfiles", payload) == answered


@pytest.mark.parametrize("is_last", [True, False])
def test_profiles_are_reported_as_they_came(is_last):
    """K09.FR.02; what was in no report of the CSMS is in none of ours."""
    view = Facts(deliveries={TX: Delivery(started(), remote_id=12)})
    mine = replace(MINE, transaction_id=TX)
    message = ProfilesReported(3, 1, "CSO", (DAILY, mine), is_last)
    call = Adapter201().encode_message(message, view)
    told = sent(call, "ReportChargingProfiles")
    assert told == {
        "requestId": 3,
        "chargingLimitSource": "CSO",
        "evseId": 1,
        "chargingProfile": [
            DAILY_TOLD,
            {
                **PROFILE,
                "transactionId": "12",
                "chargingSchedule": [
                    {
                        "id": 1,
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}],
                    }
                ],
            },
        ],
        **({} if is_last else {"tbc": True}),
    }
    assert Adapter201().message_accepted(message, raw({})) == ()


# --- GetCompositeSchedule ---


def test_a_composite_schedule_is_asked_for():
    """K08."""
    payload = {"duration": 600, "evseId": 1, "chargingRateUnit": "W"}
    wanted = CompositeScheduleRequested(7, 1, 600, Unit.WATT)
    assert asked("GetCompositeSchedule", payload).request == wanted
    del payload["chargingRateUnit"]
    assert asked("GetCompositeSchedule", payload).request.unit is None


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (
            CompositeAnswer(
                1, 1_767_225_600, 600, Unit.AMPERE, (Entry(0, 16_000, 1), Entry(300, 8100))
            ),
            {
                "status": "Accepted",
                "schedule": {
                    "evseId": 1,
                    "duration": 600,
                    "scheduleStart": "2026-01-01T00:00:00.000Z",
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [
                        {"startPeriod": 0, "limit": 16.0, "numberPhases": 1},
                        {"startPeriod": 300, "limit": 8.1},
                    ],
                },
            },
        ),
        (
            Done(Verdict.REJECTED, "UnsupportedRateUnit"),
            {"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedRateUnit"}},
        ),
    ],
)
def test_a_composite_schedule_is_told(outcome, answered):
    """K08.FR.02, K08.FR.05, K08.FR.07."""
    incoming = asked("GetCompositeSchedule", {"duration": 600, "evseId": 1})
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("GetCompositeSchedule", payload) == answered


# --- vehicles that negotiate ---


@pytest.mark.parametrize("departs_s", [None, 1_767_225_600])
def test_the_needs_of_a_vehicle_are_told(departs_s):
    """K15.FR.01."""
    needs = ChargingNeeds(Transfer.SINGLE_PHASE, 20_000, 6, 16, 230, departs_s, 12)
    message = ChargingNeedsTold(1, needs)
    departs = {} if departs_s is None else {"departureTime": "2026-01-01T00:00:00.000Z"}
    assert sent(Adapter201().encode_message(message, Facts()), "NotifyEVChargingNeeds") == {
        "evseId": 1,
        "maxScheduleTuples": 12,
        "chargingNeeds": {
            "requestedEnergyTransfer": "AC_single_phase",
            "acChargingParameters": {
                "energyAmount": 20_000,
                "evMinCurrent": 6,
                "evMaxCurrent": 16,
                "evMaxVoltage": 230,
            },
            **departs,
        },
    }


@pytest.mark.parametrize("word", ["Accepted", "Rejected", "Processing"])
def test_the_answer_to_needs_reaches_the_core(word):
    message = ChargingNeedsTold(2, ChargingNeeds(Transfer.SINGLE_PHASE, 20_000, 6, 16, 230))
    answered = Adapter201().message_accepted(message, raw({"status": word}))
    assert answered == (VehicleNeedsAnswered(2, NeedsAnswer(word)),)
    with pytest.raises(RpcError):
        Adapter201().message_accepted(message, raw({"status": "Perhaps"}))


def test_the_choice_of_a_vehicle_is_told():
    schedule = Schedule(Unit.AMPERE, (Period(0, 8100),), 2, duration_s=600)
    message = VehicleScheduleTold(1, 1_767_225_600, schedule)
    assert sent(Adapter201().encode_message(message, Facts()), "NotifyEVChargingSchedule") == {
        "timeBase": "2026-01-01T00:00:00.000Z",
        "evseId": 1,
        "chargingSchedule": {
            "id": 2,
            "duration": 600,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.1}],
        },
    }
    for word, is_accepted in (("Accepted", True), ("Rejected", False)):
        answered = Adapter201().message_accepted(message, raw({"status": word}))
        assert answered == (VehicleScheduleAnswered(1, is_accepted),)
