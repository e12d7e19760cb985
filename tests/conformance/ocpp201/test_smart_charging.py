"""Certification cases of smart charging on 2.0.1 (reference, chapter 11, block K).

Every case sends what the tool sends, and looks at the answers, at what is reported and, where it
matters, at the current. The frames are held to the official schemas.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.bench.desk import Payload
from agent.bench.events import BenchEvent, MessageReceived
from agent.bench.script import Refusal
from agent.core.events import ExternalLimitSet
from agent.ocpp.wire_time import to_text
from tests.support.lab import IDENTITY, TAG, WALL_S, Lab, check_bills, run

EVSES = 2
NOW = int(WALL_S)
DEFAULT, TX, MAX = "TxDefaultProfile", "TxProfile", "ChargingStationMaxProfile"


def schedule(*periods: tuple[int, float], starts_s: int | None = NOW, **more: Any) -> Payload:
    """Return a schedule in A."""
    start = {} if starts_s is None else {"startSchedule": to_text(starts_s)}
    return {
        "id": 1,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [
            {"startPeriod": begin_s, "limit": limit} for begin_s, limit in periods
        ],
        **start,
        **more,
    }


def profile(profile_id: int, *periods: tuple[int, float], **members: Any) -> Payload:
    """Return an absolute default profile, unless the members say otherwise."""
    terms = members.pop("schedule", None) or schedule(*periods)
    return {
        "id": profile_id,
        "stackLevel": 0,
        "chargingProfilePurpose": DEFAULT,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [terms],
        **members,
    }


class Case:
    """A station in the hands of a case."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._reports: list[Payload] = []
        lab.csms.watch(self._heard)

    def _heard(self, event: BenchEvent) -> None:
        if isinstance(event, MessageReceived) and event.action == "ReportChargingProfiles":
            self._reports.append(event.payload)

    async def ask(self, action: str, payload: Payload) -> Payload:
        """Return the answer to a request, which is no error."""
        answer = await self.lab.csms.request(IDENTITY, action, payload)
        assert isinstance(answer, dict), answer
        return answer

    async def install(self, what: Payload, evse_id: int = 1) -> str:
        """Return the status of SetChargingProfile, and its reason when it is refused."""
        wanted = {"evseId": evse_id, "chargingProfile": what}
        answer = await self.ask("SetChargingProfile", wanted)
        reason = answer.get("statusInfo", {}).get("reasonCode", "")
        return f"{answer['status']} {reason}".strip()

    async def charging(self) -> str:
        """Charge at EVSE 1; return the id of the transaction."""
        await self.lab.charging()
        station = self.lab.csms.ledger.station(IDENTITY)
        await self.lab.until(lambda: station.open_transactions)
        (entry,) = station.open_transactions
        assert entry.transaction_id is not None
        return entry.transaction_id

    async def reported(self, evse_id: int | None = None, **criteria: Any) -> Any:
        """Return (source, EVSE, ids) of all that is reported, or the status when nothing is."""
        self._reports.clear()
        place = {} if evse_id is None else {"evseId": evse_id}
        payload = {"requestId": 7, "chargingProfile": criteria, **place}
        answer = await self.ask("GetChargingProfiles", payload)
        if answer["status"] != "Accepted":
            await asyncio.sleep(1)
            assert not self._reports
            return answer["status"]
        await self.lab.until(lambda: self._reports and not self._reports[-1].get("tbc"))
        assert {report["requestId"] for report in self._reports} == {7}
        return [
            (
                report["chargingLimitSource"],
                report["evseId"],
                [item["id"] for item in report["chargingProfile"]],
            )
            for report in self._reports
        ]

    async def clear(self, **members: Any) -> str:
        """Return the status of ClearChargingProfile."""
        return str((await self.ask("ClearChargingProfile", members))["status"])

    async def composite(self, duration_s: int = 60, evse_id: int = 1, **members: Any) -> Any:
        """Return the periods of a composite schedule, or the status when there is none."""
        wanted = {"duration": duration_s, "evseId": evse_id, **members}
        answer = await self.ask("GetCompositeSchedule", wanted)
        if answer["status"] != "Accepted":
            assert "schedule" not in answer
            return answer["status"]
        assert answer["schedule"]["evseId"] == evse_id
        return [
            (item["startPeriod"], item["limit"])
            for item in answer["schedule"]["chargingSchedulePeriod"]
        ]


def certify(steps: Callable[[Case], Awaitable[None]], **settings: Any) -> None:
    """Live a case on an accepted station."""

    async def story(lab: Lab) -> None:
        case = Case(lab)
        await lab.start()
        await lab.online()
        await asyncio.sleep(1)
        await steps(case)
        if lab.station.evses[1].transaction is not None:
            lab.unplug()
        await lab.delivered()

    check_bills(run(Lab("ocpp2.0.1", evses=EVSES, settings=settings), story))


# --- set ---


@pytest.mark.parametrize("evse_id", [1, 0], ids=["TC_K_01", "TC_K_10"])
def test_tc_k_01_10_tx_default_profile_for_one_evse_and_for_all(evse_id: int) -> None:
    async def steps(case: Case) -> None:
        assert await case.install(profile(1, (0, 10)), evse_id) == "Accepted"
        assert await case.reported(evse_id) == [("CSO", evse_id, [1])]
        assert await case.composite() == [(0, 10.0)]

    certify(steps)


def test_tc_k_60_02_16_tx_profile_with_without_and_for_another_transaction() -> None:
    async def steps(case: Case) -> None:
        mine = {"chargingProfilePurpose": TX, "transactionId": "nobody-knows-it"}
        assert await case.install(profile(1, (0, 10), **mine)) == "Rejected TxNotFound"
        mine["transactionId"] = await case.charging()
        assert await case.install(profile(1, (0, 10), **mine)) == "Accepted"
        assert await case.reported(1) == [("CSO", 1, [1])]
        other = {**mine, "transactionId": "nobody-knows-it"}
        assert await case.install(profile(2, (0, 8), **other)) == "Rejected UnknownTxId"
        assert await case.composite() == [(0, 10.0)]

    certify(steps)


def test_tc_k_11_tx_profile_on_all_evses_at_once() -> None:
    async def steps(case: Case) -> None:
        mine = {"chargingProfilePurpose": TX, "transactionId": await case.charging()}
        assert await case.install(profile(1, (0, 10), **mine), 0) == "Rejected InvalidProfile"

    certify(steps)


def test_tc_k_03_charging_station_max_profile() -> None:
    async def steps(case: Case) -> None:
        most = profile(1, (0, 10), chargingProfilePurpose=MAX)
        assert await case.install(most, 0) == "Accepted"
        assert await case.reported(0) == [("CSO", 0, [1])]
        assert await case.composite() == [(0, 10.0)]

    certify(steps)


def test_tc_k_19_recurring() -> None:
    async def steps(case: Case) -> None:
        daily = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"}
        terms = schedule((0, 10), (30, 8), starts_s=NOW - 86_400, duration=86_400)
        assert await case.install(profile(1, **daily, schedule=terms)) == "Accepted"
        begun_s = int(case.lab.csms.now_s) - NOW
        assert await case.composite(90_000) == [
            (0, 10.0),
            (30 - begun_s, 8.0),
            (86_400 - begun_s, 10.0),
            (86_430 - begun_s, 8.0),
        ]

    certify(steps)


def test_tc_k_12_42_a_unit_that_is_not_supported() -> None:
    async def steps(case: Case) -> None:
        terms = schedule((0, 2000), chargingRateUnit="W")
        assert await case.install(profile(1, schedule=terms)) == "Rejected UnsupportedRateUnit"
        assert await case.composite(chargingRateUnit="W") == "Rejected"
        assert await case.composite(chargingRateUnit="A") == [(0, 32.0)]

    certify(steps, **{"SmartChargingCtrlr.RateUnit": "A"})


def test_tc_k_13_persistent_over_reboot() -> None:
    async def steps(case: Case) -> None:
        assert await case.install(profile(1, (0, 10)), 1) == "Accepted"
        assert await case.install(profile(2, (0, 12), stackLevel=1), 0) == "Accepted"
        await case.ask("Reset", {"type": "Immediate"})
        await case.lab.until(lambda: case.lab.lives == 2)
        await case.lab.online()
        assert await case.reported() == [("CSO", 0, [2]), ("CSO", 1, [1])]

    certify(steps)


def test_tc_k_14_47_an_evse_that_does_not_exist() -> None:
    async def steps(case: Case) -> None:
        assert await case.install(profile(1, (0, 10)), EVSES + 1) == "Rejected UnknownEvse"
        assert await case.composite(evse_id=EVSES + 1) == "Rejected"

    certify(steps)


def test_tc_k_15_without_smart_charging() -> None:
    async def steps(case: Case) -> None:
        wanted = {"evseId": 1, "chargingProfile": profile(1, (0, 10))}
        answer = await case.lab.csms.request(IDENTITY, "SetChargingProfile", wanted)
        assert isinstance(answer, Refusal)
        assert answer.code == "NotSupported"

    certify(steps, **{"SmartChargingCtrlr.Available": False})


def test_tc_k_28_09_a_default_holds_at_once_and_so_does_its_end() -> None:
    async def steps(case: Case) -> None:
        await case.charging()
        await asyncio.sleep(10)
        for limit in (10.0, 8.0):
            assert await case.install(profile(1, (0, limit))) == "Accepted"
            await asyncio.sleep(10)
            assert case.lab.evse().reading().current_a.l1 == limit
        assert await case.clear(chargingProfileId=1) == "Accepted"
        await asyncio.sleep(20)
        assert case.lab.evse().reading().current_a.l1 == 32.0

    certify(steps)


def test_tc_k_21_22_valid_from_and_to() -> None:
    async def steps(case: Case) -> None:
        now = int(case.lab.csms.now_s)
        valid = {"validFrom": to_text(now + 120), "validTo": to_text(now + 240)}
        assert await case.install(profile(1, (0, 10), **valid)) == "Accepted"
        assert await case.composite(600) == [(0, 32.0), (120, 10.0), (240, 32.0)]

    certify(steps)


def test_tc_k_23_start_schedule() -> None:
    async def steps(case: Case) -> None:
        now = int(case.lab.csms.now_s)
        terms = schedule((0, 10), (60, 8), starts_s=now + 100, duration=120)
        assert await case.install(profile(1, schedule=terms)) == "Accepted"
        assert await case.composite(600) == [(0, 32.0), (100, 10.0), (160, 8.0), (220, 32.0)]

    certify(steps)


def test_tc_k_04_replace_with_the_same_id() -> None:
    async def steps(case: Case) -> None:
        assert await case.install(profile(1, (0, 10)), 1) == "Accepted"
        assert await case.install(profile(1, (0, 8), stackLevel=2), 0) == "Accepted"
        assert await case.reported() == [("CSO", 0, [1])]
        assert await case.composite() == [(0, 8.0)]

    certify(steps)


@pytest.mark.parametrize(
    "switch", [{}, {"SmartChargingCtrlr.Available": False}], ids=["TC_K_37", "TC_K_38"]
)
def test_tc_k_37_38_remote_start_with_a_profile(switch: dict[str, Any]) -> None:
    async def steps(case: Case) -> None:
        case.lab.plug()
        await asyncio.sleep(1)
        own = profile(
            1,
            chargingProfilePurpose=TX,
            chargingProfileKind="Relative",
            schedule=schedule((0, 10), (600, 8), starts_s=None),
        )
        token = {"idToken": TAG, "type": "ISO14443"}
        start = {"evseId": 1, "remoteStartId": 1, "idToken": token, "chargingProfile": own}
        assert (await case.ask("RequestStartTransaction", start))["status"] == "Accepted"
        await case.lab.until(lambda: case.lab.connector() == "Charging")
        await asyncio.sleep(10)
        assert case.lab.evse().offer_a == (32.0 if switch else 10.0)
        await asyncio.sleep(600)
        assert case.lab.evse().offer_a == (32.0 if switch else 8.0)

    certify(steps, **switch)


# --- composite ---


def test_tc_k_39_composite_without_any_profile() -> None:
    async def steps(case: Case) -> None:
        assert await case.composite(300) == [(0, 32.0)]

    certify(steps)


def test_tc_k_40_composite_of_stacked_profiles() -> None:
    async def steps(case: Case) -> None:
        now = int(case.lab.csms.now_s)
        low = schedule((0, 6), (100, 8), (200, 10), starts_s=now, duration=400)
        high = schedule((0, 7), (100, 9), starts_s=now, duration=150)
        assert await case.install(profile(1, schedule=low)) == "Accepted"
        assert await case.install(profile(2, schedule=high, stackLevel=1)) == "Accepted"
        assert await case.composite(350) == [(0, 7.0), (100, 9.0), (150, 8.0), (200, 10.0)]

    certify(steps)


def test_tc_k_41_composite_of_three_purposes() -> None:
    async def steps(case: Case) -> None:
        mine = {"chargingProfilePurpose": TX, "transactionId": await case.charging()}
        now = int(case.lab.csms.now_s)
        day = schedule((0, 10), starts_s=now, duration=86_400)
        default = schedule((0, 6), (60, 10), (120, 8), (180, 15), (260, 8), starts_s=now)
        own = schedule((0, 8), (50, 11), (140, 16), (200, 6), (240, 12), starts_s=now)
        for number, members in enumerate(
            (
                {"chargingProfilePurpose": MAX, "schedule": day},
                {"schedule": {**default, "duration": 300}},
                {**mine, "schedule": {**own, "duration": 260}},
            )
        ):
            evse_id = 0 if number == 0 else 1
            assert await case.install(profile(number + 1, **members), evse_id) == "Accepted"
        expected = [(0, 8.0), (50, 10.0), (200, 6.0), (240, 10.0), (260, 8.0), (300, 10.0)]
        assert await case.composite(400) == expected

    certify(steps)


# --- get ---


async def installed(case: Case) -> None:
    """Install what the cases about reports look for, and let an energy manager limit EVSE 1."""
    most = profile(1, (0, 30), chargingProfilePurpose=MAX)
    assert await case.install(most, 0) == "Accepted"
    assert await case.install(profile(2, (0, 20)), 1) == "Accepted"
    assert await case.install(profile(3, (0, 18), stackLevel=1), 1) == "Accepted"
    assert await case.install(profile(4, (0, 16), stackLevel=2), 2) == "Accepted"
    case.lab.post(ExternalLimitSet(1, "ems", 3600.0, 1, limit_a=25.0))


@pytest.mark.parametrize(
    ("evse_id", "criteria", "expected"),
    [
        (0, {}, [("CSO", 0, [1])]),
        (1, {"chargingLimitSource": ["CSO"]}, [("CSO", 1, [2, 3])]),
        (
            None,
            {},
            [("CSO", 0, [1]), ("CSO", 1, [2, 3]), ("CSO", 2, [4]), ("EMS", 1, [-1])],
        ),
        (None, {"chargingProfileId": [1, 4, 9]}, [("CSO", 0, [1]), ("CSO", 2, [4])]),
        (1, {"stackLevel": 1}, [("CSO", 1, [3])]),
        (1, {"chargingLimitSource": ["EMS"]}, [("EMS", 1, [-1])]),
        (1, {"chargingLimitSource": ["SO"]}, "NoProfiles"),
        (1, {"chargingProfilePurpose": DEFAULT}, [("CSO", 1, [2, 3])]),
        (1, {"chargingProfilePurpose": DEFAULT, "stackLevel": 0}, [("CSO", 1, [2])]),
        (
            1,
            {"chargingProfilePurpose": "ChargingStationExternalConstraints"},
            [("EMS", 1, [-1])],
        ),
    ],
    ids=["29", "30", "31", "32", "33", "34", "34 other", "35", "36", "52"],
)
def test_tc_k_29_to_36_and_52_what_is_installed_is_reported(
    evse_id: int | None, criteria: dict[str, Any], expected: Any
) -> None:
    async def steps(case: Case) -> None:
        await installed(case)
        assert await case.reported(evse_id, **criteria) == expected

    certify(steps)


# --- clear ---


@pytest.mark.parametrize(
    ("members", "status", "left"),
    [
        ({"chargingProfileId": 3}, "Accepted", [1, 2, 4]),
        (
            {
                "chargingProfileCriteria": {
                    "evseId": 1,
                    "chargingProfilePurpose": DEFAULT,
                    "stackLevel": 0,
                }
            },
            "Accepted",
            [1, 3, 4],
        ),
        (
            {"chargingProfileCriteria": {"chargingProfilePurpose": DEFAULT}},
            "Accepted",
            [1],
        ),
        (
            {"chargingProfileCriteria": {"chargingProfilePurpose": DEFAULT, "stackLevel": 9}},
            "Unknown",
            [1, 2, 3, 4],
        ),
        ({"chargingProfileId": -1}, "Unknown", [1, 2, 3, 4]),
    ],
    ids=["05", "06", "24", "07", "of another"],
)
def test_tc_k_05_06_07_24_what_fits_is_cleared(
    members: dict[str, Any], status: str, left: list[int]
) -> None:
    async def steps(case: Case) -> None:
        await installed(case)
        assert await case.clear(**members) == status
        found = await case.reported(chargingLimitSource=["CSO"])
        assert sorted(number for _, _, ids in found for number in ids) == left

    certify(steps)


def test_tc_k_08_clear_without_a_previous_profile() -> None:
    async def steps(case: Case) -> None:
        assert await case.clear(chargingProfileId=1) == "Unknown"
        assert await case.clear() == "Unknown"
        assert await case.reported() == "NoProfiles"

    certify(steps)
