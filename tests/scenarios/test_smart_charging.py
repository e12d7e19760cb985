"""Charging profiles from the CSMS's request to the current of a simulated vehicle."""

import asyncio
from typing import Any

import pytest

from agent.bench.desk import ProfileWish
from agent.bench.events import BenchEvent, MessageReceived
from agent.bench.ledger import Transaction
from agent.core.events import ExternalLimitSet, VehicleNeedsTold, VehicleScheduleChosen
from agent.core.smart_charging.needs import ChargingNeeds, Transfer
from agent.core.smart_charging.profile import Period, Schedule, Unit
from agent.ocpp.wire_time import to_text
from tests.support.lab import IDENTITY, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def wish(profile_id: int, *periods: tuple[int, float], **more: Any) -> ProfileWish:
    """Return a default profile for EVSE 1."""
    facts: dict[str, Any] = {"purpose": "default", "evse_id": 1, **more}
    return ProfileWish(profile_id=profile_id, periods=periods, **facts)


def running(lab: Lab) -> Transaction:
    (entry,) = lab.csms.ledger.station(IDENTITY).open_transactions
    return entry


def current_a(lab: Lab, evse_id: int = 1) -> float:
    return lab.evse(evse_id).reading().current_a.l1


async def charging(lab: Lab, **vehicle: float) -> None:
    await lab.start()
    await lab.online()
    await lab.charging(**vehicle)
    await asyncio.sleep(30)


async def told(lab: Lab) -> None:
    await lab.until(lambda: lab.csms.ledger.station(IDENTITY).open_transactions)


def test_an_accepted_profile_is_on_the_wire_to_the_vehicle(version: str) -> None:
    """1.6 TC_082; 2.0.1 TC_K_28."""

    async def story(lab: Lab) -> None:
        await charging(lab)
        assert current_a(lab) == 32.0
        assert await lab.csms.set_profile(IDENTITY, wish(1, (0, 10))) == "Accepted"
        await asyncio.sleep(10)
        assert current_a(lab) == 10.0
        limits = {
            item["origin"]: item["limit_a"] for item in lab.status()["evses"][0]["limits"]
        }
        assert limits["profile"] == 10.0
        assert await lab.csms.composite(IDENTITY, 600) == ((0, 10.0),)
        assert await lab.csms.clear_profiles(IDENTITY, 1) == "Accepted"
        assert await lab.csms.clear_profiles(IDENTITY, 1) == "Unknown"
        await asyncio.sleep(30)
        assert current_a(lab) == 32.0
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_a_schedule_moves_the_current_at_its_seconds(version: str) -> None:
    """1.6 TC_072; 2.0.1 TC_K_40."""

    async def story(lab: Lab) -> None:
        await charging(lab)
        low = wish(1, (0, 8), (120, 16), (240, 12), starts_at=to_text(lab.csms.now_s))
        high = wish(
            2, (0, 6), (60, 10), starts_at=to_text(lab.csms.now_s), lasts_s=100, level=1
        )
        for one in (low, high):
            assert await lab.csms.set_profile(IDENTITY, one) == "Accepted"
        seen = []
        await asyncio.sleep(30)
        for _ in range(5):
            seen.append(current_a(lab))
            await asyncio.sleep(55)
        assert seen == [6.0, 10.0, 16.0, 16.0, 12.0]
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_a_pause_keeps_the_transaction_open(version: str) -> None:
    """X14; field lesson 33."""

    async def story(lab: Lab) -> None:
        await charging(lab)
        await told(lab)
        pause = wish(1, (0, 0), (300, 16), purpose="tx", transaction=running(lab))
        assert await lab.csms.set_profile(IDENTITY, pause) == "Accepted"
        await lab.until(lambda: lab.connector() == "SuspendedEVSE")
        await asyncio.sleep(10)
        assert current_a(lab) == 0.0
        await asyncio.sleep(600)
        assert lab.connector() == "Charging"
        assert current_a(lab) == 16.0
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert len(lab.bills) == 1


def test_the_limit_outlives_the_link_and_the_power(version: str) -> None:
    """K06, K07; field lesson 24: a limit is not forgotten when the link goes down."""

    async def story(lab: Lab) -> None:
        await charging(lab)
        assert await lab.csms.set_profile(IDENTITY, wish(1, (0, 10))) == "Accepted"
        await lab.lose_link()
        await asyncio.sleep(3600)
        assert current_a(lab) == 10.0
        lab.restore_link()
        await lab.online()
        lab.unplug()
        await lab.delivered()
        await lab.cut()
        await lab.start()
        await lab.online()
        assert await lab.csms.composite(IDENTITY, 60) == ((0, 10.0),)
        await lab.charging()
        await asyncio.sleep(30)
        assert current_a(lab) == 10.0
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_a_tx_profile_goes_with_its_transaction(version: str) -> None:
    """X24; 1.6 TC_057 to TC_058; 2.0.1 TC_K_02, TC_K_16, TC_K_60."""

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        early = wish(1, (0, 10), purpose="tx")
        assert await lab.csms.set_profile(IDENTITY, early) == "Rejected"
        await lab.charging()
        await told(lab)
        mine = wish(1, (0, 10), purpose="tx", transaction=running(lab))
        assert await lab.csms.set_profile(IDENTITY, mine) == "Accepted"
        await asyncio.sleep(10)
        assert current_a(lab) == 10.0
        lab.unplug()
        await lab.delivered()
        assert await lab.csms.set_profile(IDENTITY, mine) == "Rejected"
        assert await lab.csms.clear_profiles(IDENTITY) == "Unknown"
        await lab.charging()
        await asyncio.sleep(30)
        assert current_a(lab) == 32.0
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_the_stations_maximum_is_shared(version: str) -> None:
    """K04.FR.05; field lesson 23."""

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        most = wish(1, (0, 20), purpose="station", evse_id=0, starts_at=to_text(lab.csms.now_s))
        assert await lab.csms.set_profile(IDENTITY, most) == "Accepted"
        assert await lab.csms.composite(IDENTITY, 60, evse_id=0) == ((0, 20.0),)
        for evse_id in (1, 2):
            await lab.charging(evse_id, token=f"TAG-{evse_id}")
            for _ in range(300):
                await asyncio.sleep(0.1)
                assert current_a(lab, 1) + current_a(lab, 2) <= 20.0 + 1e-6
        assert [current_a(lab, 1), current_a(lab, 2)] == [10.0, 10.0]
        for evse_id in (1, 2):
            lab.unplug(evse_id)
        await lab.delivered()

    check_bills(run(Lab(version, evses=2), story))


def test_a_profile_that_makes_no_sense_changes_nothing(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        assert await lab.csms.set_profile(IDENTITY, wish(1, (0, 10))) == "Accepted"
        await asyncio.sleep(10)
        many = tuple((second, 32.0) for second in range(1000))
        for bad in (
            wish(2, (10, 32)),
            wish(2, (0, 32), (0, 16)),
            wish(2, (0, 32), (20, 16), (10, 8)),
            wish(2, (0, -1)),
            wish(2, (0, 1e308)),
            wish(2, *many),
            wish(2, (0, 32), lasts_s=2**40),
            wish(2, (0, 32), lasts_s=-1),
            wish(2, (0, 32), purpose="station"),
            wish(2, (0, 32), purpose="tx", evse_id=0),
            wish(2, (0, 32), level=99),
            wish(2, (0, 32), starts_at="1970-01-01T00:00:00Z", lasts_s=60),
            wish(2, (0, 32), starts_at="9999-01-01T00:00:00Z"),
        ):
            assert await lab.csms.set_profile(IDENTITY, bad) == "Rejected", bad
        assert await lab.csms.composite(IDENTITY, 60) == ((0, 10.0),)
        assert current_a(lab) == 10.0
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_a_remote_start_brings_its_profile(version: str) -> None:
    """K05; 1.6 TC_059, TC_060."""

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.plug()
        await asyncio.sleep(1)
        is_16 = version == "ocpp1.6"
        clerk = lab.csms._session(IDENTITY).clerk
        start = clerk.remote_start(TAG, 1, 1)
        inner = "csChargingProfiles" if is_16 else "chargingProfile"
        for purpose, status in (("default", "Rejected"), ("tx", "Accepted")):
            profile = clerk.profile(wish(1, (0, 10), (600, 8), purpose=purpose)).payload[inner]
            payload = {**start.payload, "chargingProfile": profile}
            answer = await lab.csms.request(IDENTITY, start.action, payload)
            assert isinstance(answer, dict)
            assert answer["status"] == status
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(10)
        assert current_a(lab) == 10.0
        await asyncio.sleep(600)
        assert current_a(lab) == 8.0
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_installed_profiles_are_reported(version: str) -> None:
    """K09; 2.0.1 TC_K_29 to TC_K_36. 1.6 cannot ask."""

    async def story(lab: Lab) -> None:
        reports: list[dict[str, Any]] = []

        def heard(event: BenchEvent) -> None:
            if isinstance(event, MessageReceived) and event.action == "ReportChargingProfiles":
                reports.append(event.payload)

        lab.csms.watch(heard)
        await lab.start()
        await lab.online()
        ask = {"requestId": 5, "chargingProfile": {}}
        answer = await lab.csms.request(IDENTITY, "GetChargingProfiles", ask)
        if version == "ocpp1.6":
            assert not isinstance(answer, dict)
            return
        assert isinstance(answer, dict)
        assert answer["status"] == "NoProfiles"
        await lab.csms.set_profile(IDENTITY, wish(1, (0, 10.1), (60, 8)))
        most = wish(2, (0, 20), purpose="station", evse_id=0, starts_at=to_text(lab.csms.now_s))
        await lab.csms.set_profile(IDENTITY, most)
        answer = await lab.csms.request(IDENTITY, "GetChargingProfiles", ask)
        assert isinstance(answer, dict)
        assert answer["status"] == "Accepted"
        await lab.until(lambda: len(reports) == 2)
        assert [report["evseId"] for report in reports] == [0, 1]
        assert [report.get("tbc", False) for report in reports] == [True, False]
        (mine,) = reports[1]["chargingProfile"]
        periods = mine["chargingSchedule"][0]["chargingSchedulePeriod"]
        assert [(one["startPeriod"], one["limit"]) for one in periods] == [(0, 10.1), (60, 8.0)]
        lab.post(ExternalLimitSet(0, "ems", 600.0, 1, limit_a=16.0))
        del reports[:]
        outside = {"requestId": 6, "chargingProfile": {"chargingLimitSource": ["EMS", "SO"]}}
        await lab.csms.request(IDENTITY, "GetChargingProfiles", outside)
        await lab.until(lambda: reports)
        (report,) = reports
        assert (report["chargingLimitSource"], report["evseId"]) == ("EMS", 1)
        (external,) = report["chargingProfile"]
        assert external["id"] == -1
        assert external["chargingProfilePurpose"] == "ChargingStationExternalConstraints"
        (schedule,) = external["chargingSchedule"]
        (period,) = schedule["chargingSchedulePeriod"]
        assert period == {"startPeriod": 0, "limit": 16.0}
        assert await lab.csms.clear_profiles(IDENTITY, -1) == "Unknown"

    run(Lab(version), story)


def test_a_vehicle_tells_its_needs_and_chooses_a_schedule(version: str) -> None:
    """K15. 1.6 has no messages for it."""

    async def story(lab: Lab) -> None:
        heard: list[str] = []

        def listen(event: BenchEvent) -> None:
            if isinstance(event, MessageReceived) and event.action.startswith("NotifyEV"):
                heard.append(event.action)

        lab.csms.watch(listen)
        await charging(lab)
        await told(lab)
        await lab.csms.set_setting(IDENTITY, "ISO15118Ctrlr.Enabled", "true")
        lab.post(VehicleNeedsTold(1, ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 32, 230)))
        await asyncio.sleep(1)
        if version == "ocpp1.6":
            assert heard == []
        else:
            assert heard == ["NotifyEVChargingNeeds"]
            asked = lab.csms._session(IDENTITY).clerk.profile(
                wish(1, (0, 16), purpose="tx", transaction=running(lab))
            )
            (one,) = asked.payload["chargingProfile"]["chargingSchedule"]
            other = {
                **one,
                "id": 2,
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
            }
            asked.payload["chargingProfile"]["chargingSchedule"] = [one, other]
            answer = await lab.csms.request(IDENTITY, asked.action, asked.payload)
            assert isinstance(answer, dict)
            assert answer["status"] == "Accepted"
            await asyncio.sleep(10)
            assert current_a(lab) == 10.0
            mine = Schedule(Unit.AMPERE, (Period(0, 14_000),), schedule_id=1)
            lab.post(VehicleScheduleChosen(1, mine))
            await asyncio.sleep(20)
            assert heard == ["NotifyEVChargingNeeds", "NotifyEVChargingSchedule"]
            assert current_a(lab) == 16.0
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))
