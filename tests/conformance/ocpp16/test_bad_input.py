"""Requests that fit the schema and contradict the station: the status or code of the reference,
and nothing has changed.

Each is thrown at a station that is idle and at one that charges.
"""

import json
from typing import Any

import pytest

from tests.fuzz.station import ERROR, V16, Victim, charging
from tests.support import schemas
from tests.support.vloop import run

HUGE = 1_600_000_000
LONG_AGO = "1970-01-01T00:00:00Z"
PAST = "2027-01-15T07:00:00Z"
FUTURE = "2027-01-15T09:00:00Z"
TAG = "04A1B2C3"
VALUE = "PropertyConstraintViolation"

Row = tuple[str, dict[str, Any], str]


def reserve(**members: Any) -> dict[str, Any]:
    wanted = {"connectorId": 1, "expiryDate": FUTURE, "idTag": TAG, "reservationId": 1}
    return {**wanted, **members}


def listed(version: int, kind: str, *entries: Any) -> dict[str, Any]:
    return {
        "listVersion": version,
        "updateType": kind,
        "localAuthorizationList": list(entries),
    }


def entry(tag: str) -> dict[str, Any]:
    return {"idTag": tag, "idTagInfo": {"status": "Accepted"}}


def limited(
    connector: int = 1, periods: Any = ((0, 16),), unit: str = "A", **members: Any
) -> dict[str, Any]:
    schedule = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [
            {"startPeriod": begin, "limit": limit} for begin, limit in periods
        ],
    }
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {**schedule, **members.pop("schedule", {})},
        **members,
    }
    return {"connectorId": connector, "csChargingProfiles": profile}


def change(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": value}


CORE: dict[str, Row] = {
    "availability of an unknown connector": (
        "ChangeAvailability",
        {"connectorId": 9, "type": "Inoperative"},
        "Rejected",
    ),
    "availability of a huge connector": (
        "ChangeAvailability",
        {"connectorId": HUGE, "type": "Inoperative"},
        "Rejected",
    ),
    "start at connector 0": (
        "RemoteStartTransaction",
        {"connectorId": 0, "idTag": TAG},
        "Rejected",
    ),
    "start at an unknown connector": (
        "RemoteStartTransaction",
        {"connectorId": 9, "idTag": TAG},
        "Rejected",
    ),
    "start at a huge connector": (
        "RemoteStartTransaction",
        {"connectorId": HUGE, "idTag": TAG},
        "Rejected",
    ),
    "stop of no transaction": ("RemoteStopTransaction", {"transactionId": 9}, "Rejected"),
    "stop of transaction 0": ("RemoteStopTransaction", {"transactionId": 0}, "Rejected"),
    "stop of transaction -1": ("RemoteStopTransaction", {"transactionId": -1}, "Rejected"),
    "stop of a huge transaction": (
        "RemoteStopTransaction",
        {"transactionId": HUGE},
        "Rejected",
    ),
    "unlock of connector 0": ("UnlockConnector", {"connectorId": 0}, "NotSupported"),
    "unlock of an unknown connector": ("UnlockConnector", {"connectorId": 9}, "NotSupported"),
    "unlock of a huge connector": ("UnlockConnector", {"connectorId": HUGE}, "NotSupported"),
    "a negative interval": (
        "ChangeConfiguration",
        change("MeterValueSampleInterval", "-1"),
        "Rejected",
    ),
    "a huge interval": (
        "ChangeConfiguration",
        change("MeterValueSampleInterval", str(HUGE)),
        "Rejected",
    ),
    "an interval in words": (
        "ChangeConfiguration",
        change("MeterValueSampleInterval", "soon"),
        "Rejected",
    ),
    "an interval with decimals": (
        "ChangeConfiguration",
        change("MeterValueSampleInterval", "1.5"),
        "Rejected",
    ),
    "a negative ping interval": (
        "ChangeConfiguration",
        change("WebSocketPingInterval", "-1"),
        "Rejected",
    ),
    "a negative heartbeat": (
        "ChangeConfiguration",
        change("HeartbeatInterval", "-1"),
        "Rejected",
    ),
    "no attempts": (
        "ChangeConfiguration",
        change("TransactionMessageAttempts", "0"),
        "Rejected",
    ),
    "a truth that is none": (
        "ChangeConfiguration",
        change("LocalPreAuthorize", "maybe"),
        "Rejected",
    ),
    "a measurand that nobody measures": (
        "ChangeConfiguration",
        change("MeterValuesSampledData", "Energy.Active.Import.Register,Mood"),
        "Rejected",
    ),
    "a key that is fixed": (
        "ChangeConfiguration",
        change("NumberOfConnectors", "7"),
        "Rejected",
    ),
    "a key that is unknown": ("ChangeConfiguration", change("Coffee", "1"), "NotSupported"),
    "a key that is empty": ("ChangeConfiguration", change("", "1"), "NotSupported"),
    "a trigger at an unknown connector": (
        "TriggerMessage",
        {"requestedMessage": "MeterValues", "connectorId": 9},
        "Rejected",
    ),
    "a trigger at a huge connector": (
        "TriggerMessage",
        {"requestedMessage": "StatusNotification", "connectorId": HUGE},
        "Rejected",
    ),
    "data for nobody": ("DataTransfer", {"vendorId": "nobody.example"}, "UnknownVendorId"),
}

PROFILES: dict[str, Row] = {
    "reservation of an unknown connector": (
        "ReserveNow",
        reserve(connectorId=9),
        "Rejected",
    ),
    "reservation of a huge connector": (
        "ReserveNow",
        reserve(connectorId=HUGE),
        "Rejected",
    ),
    "reservation until the past": ("ReserveNow", reserve(expiryDate=PAST), "Rejected"),
    "reservation until 1970": ("ReserveNow", reserve(expiryDate=LONG_AGO), "Rejected"),
    "no reservation to cancel": ("CancelReservation", {"reservationId": 9}, "Rejected"),
    "no huge reservation to cancel": (
        "CancelReservation",
        {"reservationId": HUGE},
        "Rejected",
    ),
    "a list of version 0": ("SendLocalList", listed(0, "Full", entry("A")), "Failed"),
    "a list of a negative version": (
        "SendLocalList",
        listed(-1, "Full", entry("A")),
        "Failed",
    ),
    "a list with a tag twice": (
        "SendLocalList",
        listed(1, "Full", entry("A"), entry("a")),
        "Failed",
    ),
    "a full list that takes something away": (
        "SendLocalList",
        listed(1, "Full", {"idTag": "A"}),
        "Failed",
    ),
    "a list longer than one may be": (
        "SendLocalList",
        listed(1, "Full", *(entry(f"T{number}") for number in range(300))),
        "Failed",
    ),
    "a profile for an unknown connector": ("SetChargingProfile", limited(9), VALUE),
    "a profile for a huge connector": ("SetChargingProfile", limited(HUGE), VALUE),
    "a profile for a negative connector": ("SetChargingProfile", limited(-1), VALUE),
    "a maximum for one connector": (
        "SetChargingProfile",
        limited(1, chargingProfilePurpose="ChargePointMaxProfile"),
        "Rejected",
    ),
    "a profile of a transaction for the station": (
        "SetChargingProfile",
        limited(0, chargingProfilePurpose="TxProfile"),
        "Rejected",
    ),
    "a profile of no transaction": (
        "SetChargingProfile",
        limited(1, chargingProfilePurpose="TxProfile", transactionId=4711),
        "Rejected",
    ),
    "a stack level beyond the highest": (
        "SetChargingProfile",
        limited(1, stackLevel=HUGE),
        "Rejected",
    ),
    "a profile that is over": (
        "SetChargingProfile",
        limited(1, validTo=PAST),
        "Rejected",
    ),
    "a profile that ends before it begins": (
        "SetChargingProfile",
        limited(1, validFrom="2028-01-01T00:00:00Z", validTo="2027-06-01T00:00:00Z"),
        "Rejected",
    ),
    "a schedule of a negative duration": (
        "SetChargingProfile",
        limited(1, schedule={"duration": -1}),
        "Rejected",
    ),
    "a schedule that begins late": (
        "SetChargingProfile",
        limited(1, periods=((10, 16),)),
        "Rejected",
    ),
    "a schedule that goes back": (
        "SetChargingProfile",
        limited(1, periods=((0, 16), (60, 10), (30, 8))),
        "Rejected",
    ),
    "a schedule with a negative limit": (
        "SetChargingProfile",
        limited(1, periods=((0, -1),)),
        "Rejected",
    ),
    "a schedule of a thousand periods": (
        "SetChargingProfile",
        limited(1, periods=tuple((at, 16) for at in range(1000))),
        "Rejected",
    ),
    "a recurring profile without a rhythm": (
        "SetChargingProfile",
        limited(1, chargingProfileKind="Recurring"),
        "Rejected",
    ),
    "no profile to clear": ("ClearChargingProfile", {"id": HUGE}, "Unknown"),
    "no connector to clear": ("ClearChargingProfile", {"connectorId": 9}, "Unknown"),
    "a composite of an unknown connector": (
        "GetCompositeSchedule",
        {"connectorId": 9, "duration": 60},
        "Rejected",
    ),
    "a composite of nothing": (
        "GetCompositeSchedule",
        {"connectorId": 1, "duration": 0},
        "Rejected",
    ),
    "a composite of a negative duration": (
        "GetCompositeSchedule",
        {"connectorId": 1, "duration": -60},
        "Rejected",
    ),
}

SECURITY: dict[str, Row] = {
    "a root that is none": (
        "InstallCertificate",
        {"certificateType": "CentralSystemRootCertificate", "certificate": "rubbish"},
        "Rejected",
    ),
    "a huge root that is none": (
        "InstallCertificate",
        {"certificateType": "ManufacturerRootCertificate", "certificate": "x" * 5500},
        "Rejected",
    ),
    "a certificate that nobody asked for": (
        "CertificateSigned",
        {"certificateChain": "rubbish"},
        "Rejected",
    ),
    "a certificate that is not there": (
        "DeleteCertificate",
        {
            "certificateHashData": {
                "hashAlgorithm": "SHA256",
                "issuerNameHash": "0a1b",
                "issuerKeyHash": "2c3d",
                "serialNumber": "FFF",
            }
        },
        "NotFound",
    ),
    "a security profile that does not exist": (
        "ChangeConfiguration",
        change("SecurityProfile", "7"),
        "Rejected",
    ),
    "a security profile without its certificates": (
        "ChangeConfiguration",
        change("SecurityProfile", "3"),
        "Rejected",
    ),
    "a key that is too short": (
        "ChangeConfiguration",
        change("AuthorizationKey", "0123456789ABCDEF"[:14]),
        "Rejected",
    ),
    "a log to nowhere": (
        "GetLog",
        {
            "logType": "SecurityLog",
            "requestId": HUGE,
            "log": {"remoteLocation": "nonsense://x"},
        },
        "Rejected",
    ),
    "firmware signed by nobody for a station without an installer": (
        "SignedUpdateFirmware",
        {
            "requestId": 1,
            "firmware": {
                "location": "https://x.invalid/",
                "retrieveDateTime": LONG_AGO,
                "signingCertificate": "rubbish",
                "signature": "rubbish",
            },
        },
        "Rejected",
    ),
}

ROWS = {**CORE, **PROFILES, **SECURITY}


async def thrown(victim: Victim, action: str, payload: dict[str, Any]) -> str:
    """Throw a request; return the status or the code of its answer."""
    await victim.settled()
    before = victim.kept()
    answer = await victim.throw([2, "bad", action, payload], "bad")
    assert victim.kept() == before
    if answer[0] == ERROR:
        return str(answer[2])
    schemas.validate(V16, action, json.dumps(answer[2]), response=True)
    return str(answer[2].get("status"))


@pytest.mark.parametrize("name", ROWS)
def test_what_contradicts_the_station_is_refused(name: str) -> None:
    action, payload, word = ROWS[name]

    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            assert await thrown(victim, action, payload) == word
            await charging(victim)
            assert await thrown(victim, action, payload) == word
            assert victim.evse.outlet_closed
            assert victim.evse.offer_a == 32.0
            await victim.settled(30.0)
            assert victim.evse.outlet_closed

    run(life())


def test_a_list_of_ten_thousand_tags_is_not_even_read() -> None:
    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            before = victim.kept()
            tags = [entry(f"T{number}") for number in range(10_000)]
            frame = [2, "bad", "SendLocalList", listed(1, "Full", *tags)]
            answer = await victim.throw(frame, "bad")
            assert answer[:3] == [ERROR, "bad", "FormationViolation"]
            assert victim.kept() == before
            await victim.lives()

    run(life())


def test_lists_never_grow_beyond_what_the_station_says() -> None:
    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            words = []
            for part in range(8):
                tags = [entry(f"T{part}-{number}") for number in range(200)]
                sent = listed(part + 1, "Differential", *tags)
                answer = await victim.throw([2, f"{part}", "SendLocalList", sent], f"{part}")
                words.append(answer[2]["status"])
            assert words == ["Accepted"] * 5 + ["Failed"] * 3
            assert len(victim.kept()["listed"]) == 1000

    run(life())


def test_profiles_never_grow_beyond_what_the_station_says() -> None:
    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            for number in range(60):
                wanted = limited(number % 2, chargingProfileId=number, stackLevel=number % 10)
                await victim.throw([2, f"{number}", "SetChargingProfile", wanted], f"{number}")
            most = {"key": ["MaxChargingProfilesInstalled"]}
            read = await victim.throw([2, "most", "GetConfiguration", most], "most")
            limit = int(read[2]["configurationKey"][0]["value"])
            assert len(victim.kept()["profile"]) <= limit

    run(life())


def test_a_composite_of_half_a_century_is_cut_to_a_week() -> None:
    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            asked = {"connectorId": 1, "duration": HUGE}
            answer = await victim.throw([2, "q", "GetCompositeSchedule", asked], "q")
            assert answer[2]["status"] == "Accepted"
            assert answer[2]["chargingSchedule"]["duration"] == 604_800

    run(life())


def test_thousands_of_unknown_keys_get_one_bounded_answer() -> None:
    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            asked = {"key": [f"K{number}" for number in range(5_000)]}
            answer = await victim.throw([2, "q", "GetConfiguration", asked], "q")
            assert len(json.dumps(answer)) < 65_536
            await victim.lives()

    run(life())
