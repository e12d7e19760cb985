"""SetChargingProfile."""

import copy
import json

import pytest

from agent.core.effects import Done, Verdict
from agent.core.events import ChargingProfileOffered
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16.facts import TWO, VIEW, answer, asked

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
    assert incoming.request == ChargingProfileOffered(9, evse_id)


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
            {"csChargingProfiles": [REQUEST["csChargingProfiles"]]},
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
    ("verdict", "code"),
    [
        (Verdict.UNKNOWN_EVSE, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        (Verdict.NOT_SUPPORTED, RpcErrorCode.NOT_SUPPORTED),
    ],
)
def test_an_unknown_connector_and_missing_smart_charging_are_errors(verdict, code):
    with pytest.raises(RpcError) as caught:
        answer(asked("SetChargingProfile", request(), VIEW), Done(verdict))
    assert caught.value.code is code
