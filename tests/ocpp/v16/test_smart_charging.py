"""Charging profiles: set, clear, composite schedule."""

import copy
import json
from decimal import Decimal

import msgspec
import pytest

from agent.core.effects import (
    ChargingNeedsTold,
    CompositeAnswer,
    Done,
    ProfilesReported,
    VehicleScheduleTold,
    Verdict,
)
from agent.core.events import (
    ChargingProfileOffered,
    ChargingProfilesCleared,
    CompositeScheduleRequested,
)
from agent.core.smart_charging.needs import ChargingNeeds, Transfer
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
from agent.core.variables import COMPOSITE_START, Settings
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.quirks import Quirk, begin
from tests.ocpp.v16.facts import ADAPTER, TWO, VIEW, FixedView, answer, asked

REQUEST = {
    "connectorId": 0,
    "csChargingProfiles": {
        "chargingProfileId": 21,
        "stackLevel": 2,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
        "validFrom": "2026-01-01T00:00:00Z",
        "validTo": "2027-01-01T00:00:00+01:00",
        "chargingSchedule": {
            "duration": 86400,
            "startSchedule": "2026-01-01T00:00:00Z",
            "chargingRateUnit": "W",
            "minChargingRate": 8.15,
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": 11000, "numberPhases": 3},
                {"startPeriod": 28800, "limit": 6000.123, "numberPhases": 3},
            ],
        },
    },
}
GONE = object()


def request(**changes):
    """The request with members changed or taken away, named by their place."""
    tree = copy.deepcopy(REQUEST)
    for place, value in changes.items():
        *parents, last = place.split("__")
        node = tree
        for parent in parents:
            node = node[int(parent) if parent.isdigit() else parent]
        if value is GONE:
            del node[last]
        else:
            node[last] = value
    return json.dumps(tree)


SCHEDULE = "csChargingProfiles__chargingSchedule__"


@pytest.mark.parametrize(("connector", "evse_id"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 3)])
def test_a_profile_is_offered_to_an_evse_or_the_station(connector, evse_id):
    incoming = asked("SetChargingProfile", request(connectorId=connector), TWO)
    assert incoming.request == ChargingProfileOffered(
        9,
        evse_id,
        Profile(
            21,
            2,
            Purpose.TX_DEFAULT,
            Kind.RECURRING,
            (
                Schedule(
                    Unit.WATT,
                    (Period(0, 11_000_000, 3), Period(28_800, 6_000_123, 3)),
                    start_s=1_767_225_600,
                    duration_s=86_400,
                    least_rate=8150,
                ),
            ),
            Recurrency.DAILY,
            valid_from_s=1_767_225_600,
            valid_to_s=1_798_758_000,
        ),
        lenient=True,
    )


def test_the_number_of_a_transaction_is_passed_on():
    incoming = asked("SetChargingProfile", request(csChargingProfiles__transactionId=7))
    assert incoming.request.transaction_number == 7


def test_the_payload_is_fully_typed():
    profile = asked("SetChargingProfile", request()).wire.cs_charging_profiles
    assert profile.charging_schedule.charging_schedule_period[1].limit == 6000.123
    assert profile.recurrency_kind == "Daily"


@pytest.mark.parametrize(
    "changes",
    [
        {"csChargingProfiles__transactionId": None},
        {"csChargingProfiles__validFrom": ""},
        {"csChargingProfiles__validFrom": "2026-01-01T00:00:00"},
        {"csChargingProfiles__vendor": {"a": 1}},
        {SCHEDULE + "chargingSchedulePeriod__0__limit": "16.5"},
        {"csChargingProfiles__stackLevel": 2.0},
    ],
)
def test_harmless_differences_are_taken(changes):
    assert asked("SetChargingProfile", request(**changes)).request.evse_id == 0


@pytest.mark.parametrize(
    ("kind", "start", "noted"),
    [
        ("Absolute", GONE, [Quirk.NO_START]),
        ("Recurring", "", [Quirk.NO_START, Quirk.EMPTY_TEXT]),
        ("Relative", GONE, []),
        ("Absolute", "2026-01-01T00:00:00Z", []),
    ],
)
def test_a_beginning_that_is_missing_is_noted(kind, start, noted):
    found = begin()
    changes = {"csChargingProfiles__chargingProfileKind": kind}
    asked("SetChargingProfile", request(**changes, **{SCHEDULE + "startSchedule": start}))
    assert found == noted


@pytest.mark.parametrize(
    ("changes", "code", "place"),
    [
        (
            {SCHEDULE + "chargingRateUnit": "kW"},
            "PROPERTY_CONSTRAINT_VIOLATION",
            "chargingRateUnit",
        ),
        ({"csChargingProfiles__stackLevel": -1}, "PROPERTY_CONSTRAINT_VIOLATION", "stackLevel"),
        ({"connectorId": -1}, "PROPERTY_CONSTRAINT_VIOLATION", "connectorId"),
        ({"csChargingProfiles__validTo": "soon"}, "PROPERTY_CONSTRAINT_VIOLATION", "validTo"),
        (
            {SCHEDULE + "startSchedule": "8 o'clock"},
            "PROPERTY_CONSTRAINT_VIOLATION",
            "startSchedule",
        ),
        (
            {SCHEDULE + "chargingSchedulePeriod": []},
            "OCCURRENCE_CONSTRAINT_VIOLATION",
            "chargingSchedulePeriod",
        ),
        (
            {SCHEDULE + "chargingSchedulePeriod__0__limit": GONE},
            "OCCURRENCE_CONSTRAINT_VIOLATION",
            "[0].limit",
        ),
        (
            {SCHEDULE + "chargingSchedulePeriod__0__limit": "much"},
            "TYPE_CONSTRAINT_VIOLATION",
            "[0].limit",
        ),
        (
            {"csChargingProfiles__chargingProfileId": "x"},
            "TYPE_CONSTRAINT_VIOLATION",
            "chargingProfileId",
        ),
        (
            {"csChargingProfiles": [REQUEST["csChargingProfiles"]] * 2},
            "TYPE_CONSTRAINT_VIOLATION",
            "csChargingProfiles",
        ),
    ],
)
def test_a_broken_profile_is_refused(changes, code, place):
    with pytest.raises(RpcError) as caught:
        asked("SetChargingProfile", request(**changes))
    assert caught.value.code is RpcErrorCode[code]
    assert place in caught.value.description


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.FAILED, "Rejected"),
    ],
)
def test_a_decided_profile_is_answered(verdict, word):
    assert answer(asked("SetChargingProfile", request()), Done(verdict)) == {"status": word}


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (
            Done(Verdict.UNKNOWN_EVSE, "UnknownEvse"),
            RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        ),
        (Done(Verdict.REJECTED, "NotEnabled"), RpcErrorCode.NOT_SUPPORTED),
    ],
)
def test_an_unknown_connector_and_smart_charging_switched_off_are_errors(outcome, code):
    with pytest.raises(RpcError) as caught:
        answer(asked("SetChargingProfile", request(), VIEW), outcome)
    assert caught.value.code is code


def test_a_time_with_another_offset_is_the_same_instant():
    incoming = asked(
        "SetChargingProfile", request(csChargingProfiles__validTo="2027-01-01T00:00:00.900")
    )
    assert incoming.request.profile.valid_to_s == 1_798_761_600


# --- ClearChargingProfile ---


@pytest.mark.parametrize(
    ("members", "cleared"),
    [
        ({}, ChargingProfilesCleared(9)),
        ({"id": 5, "stackLevel": 1}, ChargingProfilesCleared(9, 5, stack_level=1)),
        ({"connectorId": 0}, ChargingProfilesCleared(9, evse_id=0)),
        ({"connectorId": 3}, ChargingProfilesCleared(9, evse_id=2)),
        ({"connectorId": 9}, ChargingProfilesCleared(9, evse_id=3)),
        (
            {"chargingProfilePurpose": "ChargePointMaxProfile"},
            ChargingProfilesCleared(9, purpose=Purpose.STATION_MAX),
        ),
    ],
)
def test_the_profiles_to_clear_are_named(members, cleared):
    assert asked("ClearChargingProfile", json.dumps(members), TWO).request == cleared


@pytest.mark.parametrize(
    ("verdict", "word"), [(Verdict.ACCEPTED, "Accepted"), (Verdict.REJECTED, "Unknown")]
)
def test_clearing_is_answered(verdict, word):
    assert answer(asked("ClearChargingProfile", "{}"), Done(verdict)) == {"status": word}


# --- GetCompositeSchedule ---

ASKED = '{"connectorId":1,"duration":600,"chargingRateUnit":"W"}'
COMPOSITE = CompositeAnswer(
    1, 1_767_225_600, 600, Unit.WATT, (Entry(0, 11_000_000, 3), Entry(300, 6_900_100))
)


@pytest.mark.parametrize(("connector", "evse_id"), [(0, 0), (1, 1), (3, 2), (9, 3)])
def test_a_composite_schedule_is_asked_for(connector, evse_id):
    payload = json.dumps({"connectorId": connector, "duration": 60})
    wanted = CompositeScheduleRequested(9, evse_id, 60, None, converts=True)
    assert asked("GetCompositeSchedule", payload, TWO).request == wanted


def test_a_composite_schedule_is_told():
    assert answer(asked("GetCompositeSchedule", ASKED), COMPOSITE) == {
        "status": "Accepted",
        "connectorId": 1,
        "scheduleStart": "2026-01-01T00:00:00.000Z",
        "chargingSchedule": {
            "duration": 600,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": 11000.0, "numberPhases": 3},
                {"startPeriod": 300, "limit": Decimal("6900.1")},
            ],
        },
    }


def test_the_schedule_repeats_its_start_where_a_csms_wants_it():
    view = FixedView(settings=Settings(changed={COMPOSITE_START.name: ("true", "CSMS")}))
    found = answer(asked("GetCompositeSchedule", ASKED, view), COMPOSITE)
    assert found["chargingSchedule"]["startSchedule"] == found["scheduleStart"]


def test_a_composite_schedule_that_cannot_be_told_has_only_a_status():
    refused = Done(Verdict.UNKNOWN_EVSE, "UnknownEvse")
    assert answer(asked("GetCompositeSchedule", ASKED), refused) == {"status": "Rejected"}


def test_a_unit_that_does_not_exist_is_an_error():
    with pytest.raises(RpcError) as caught:
        asked("GetCompositeSchedule", ASKED.replace('"W"', '"kW"'))
    assert caught.value.code is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION


@pytest.mark.parametrize(
    "message",
    [
        ProfilesReported(1, 0, "CSO", (), is_last=True),
        ChargingNeedsTold(1, ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 32, 230)),
        VehicleScheduleTold(1, 0, Schedule(Unit.AMPERE, (Period(0, 6000),))),
    ],
)
def test_what_16_has_no_message_for_is_not_told(message):
    assert ADAPTER.encode_message(message, VIEW) is None
    assert ADAPTER.message_accepted(message, msgspec.Raw(b"{}")) == ()
