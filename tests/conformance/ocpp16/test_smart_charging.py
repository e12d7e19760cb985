"""Smart charging (10.7), with the worked examples of chapter 6.12."""

import asyncio
from typing import Any

import pytest

from agent.ocpp.wire_time import from_text, to_text
from tests.conformance.ocpp16.script import TAG, Case, certify, status

Periods = list[tuple[int, float]]


def profile(
    number: int,
    periods: Periods,
    *,
    purpose: str = "TxDefaultProfile",
    level: int = 0,
    duration_s: int | None = None,
    start_at: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a charging profile of limits in A; Absolute with a start, else Relative."""
    schedule: dict[str, Any] = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [
            {"startPeriod": begin, "limit": limit} for begin, limit in periods
        ],
    }
    if duration_s is not None:
        schedule["duration"] = duration_s
    if start_at is not None:
        schedule["startSchedule"] = start_at
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute" if start_at else "Relative",
        "chargingSchedule": schedule,
        **more,
    }


async def install(case: Case, connector: int, wanted: dict[str, Any]) -> str:
    answer = await case.ask(
        "SetChargingProfile", connectorId=connector, csChargingProfiles=wanted
    )
    word: str = answer["status"]
    return word


async def composite(case: Case, duration_s: int, connector: int = 1) -> Periods:
    """Return the periods of a composite schedule, whose frame is as asked."""
    asked_at = case.lab.csms.now_s
    answer = await case.ask(
        "GetCompositeSchedule",
        connectorId=connector,
        duration=duration_s,
        chargingRateUnit="A",
    )
    assert answer["status"] == "Accepted"
    assert answer["connectorId"] == connector
    assert from_text(answer["scheduleStart"]) == pytest.approx(asked_at, abs=1.5)
    schedule = answer["chargingSchedule"]
    assert schedule["duration"] == duration_s
    assert schedule["chargingRateUnit"] == "A"
    return [(one["startPeriod"], one["limit"]) for one in schedule["chargingSchedulePeriod"]]


async def whole_second(case: Case) -> str:
    """Wait for the next whole second of the CSMS's clock, and return it."""
    await asyncio.sleep(-case.lab.csms.now_s % 1.0)
    return to_text(round(case.lab.csms.now_s))


def test_tc_056_central_smart_charging_tx_default_profile() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        now = await whole_second(case)
        assert await install(case, 1, profile(1, [(0, 6)], start_at=now)) == "Accepted"
        assert await composite(case, 300) == [(0, 6)]

    certify(steps)


def test_tc_057_central_smart_charging_tx_profile() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        number = await case.charging()
        wanted = profile(1, [(0, 10)], purpose="TxProfile", transactionId=number)
        assert await install(case, 1, wanted) == "Accepted"
        assert await composite(case, 300) == [(0, 10)]
        await case.lab.until(lambda: case.offer_a() == 10.0)

    certify(steps)


def test_tc_058_1_tx_profile_without_a_transaction() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        wanted = profile(1, [(0, 10)], purpose="TxProfile")
        assert await install(case, 1, wanted) == "Rejected"

    certify(steps)


def test_tc_058_2_tx_profile_with_a_wrong_transaction_id() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        number = await case.charging()
        wanted = profile(1, [(0, 10)], purpose="TxProfile", transactionId=number + 1)
        assert await install(case, 1, wanted) == "Rejected"
        assert case.offer_a() == 32.0

    certify(steps)


def test_tc_059_remote_start_with_a_tx_profile() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        case.plug()
        await case.expect(status("Preparing"))
        answer = await case.ask(
            "RemoteStartTransaction",
            connectorId=1,
            idTag=TAG,
            chargingProfile=profile(1, [(0, 8)], purpose="TxProfile"),
        )
        assert answer == {"status": "Accepted"}
        await case.started()
        assert case.offer_a() == 8.0
        assert await composite(case, 300) == [(0, 8)]

    certify(steps)


def test_tc_060_remote_start_with_another_purpose() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        answer = await case.ask(
            "RemoteStartTransaction",
            connectorId=1,
            idTag=TAG,
            chargingProfile=profile(1, [(0, 8)], purpose="TxDefaultProfile"),
        )
        assert answer == {"status": "Rejected"}
        await case.quiet()

    certify(steps)


def test_tc_066_composite_schedule_of_three_purposes() -> None:
    """Example X2."""

    async def steps(case: Case) -> None:
        await case.online()
        number = await case.charging()
        now = await whole_second(case)
        most = profile(
            1, [(0, 10)], purpose="ChargePointMaxProfile", duration_s=86_400, start_at=now
        )
        default = profile(
            2,
            [(0, 6), (60, 10), (120, 8), (180, 15), (260, 8)],
            duration_s=300,
            start_at=now,
        )
        own = profile(
            3,
            [(0, 8), (50, 11), (140, 16), (200, 6), (240, 12)],
            purpose="TxProfile",
            duration_s=260,
            start_at=now,
            transactionId=number,
        )
        assert await install(case, 0, most) == "Accepted"
        assert await install(case, 1, default) == "Accepted"
        assert await install(case, 1, own) == "Accepted"
        assert await composite(case, 400) == [
            (0, 8),
            (50, 10),
            (200, 6),
            (240, 10),
            (260, 8),
            (300, 10),
        ]

    certify(steps)


def test_tc_067_clear_charging_profiles() -> None:
    """Example X3."""

    async def steps(case: Case) -> None:
        await case.online()
        now = await whole_second(case)
        first = profile(1, [(0, 6), (60, 8), (200, 10)], level=1, duration_s=400, start_at=now)
        second = profile(2, [(0, 7), (100, 9)], duration_s=400, start_at=now)
        third = profile(
            3,
            [(0, 11), (200, 12)],
            purpose="ChargePointMaxProfile",
            duration_s=86_400,
            start_at=now,
        )
        assert await install(case, 1, first) == "Accepted"
        assert await install(case, 1, second) == "Accepted"
        assert await install(case, 0, third) == "Accepted"
        assert await composite(case, 350) == [(0, 6), (60, 8), (200, 10)]
        assert await case.ask("ClearChargingProfile", id=1) == {"status": "Accepted"}
        assert await composite(case, 350) == [(0, 7), (100, 9)]
        cleared = await case.ask(
            "ClearChargingProfile", chargingProfilePurpose="TxDefaultProfile", stackLevel=0
        )
        assert cleared == {"status": "Accepted"}
        assert await composite(case, 350) == [(0, 11), (200, 12)]
        assert await case.ask("ClearChargingProfile") == {"status": "Accepted"}
        assert await composite(case, 350) == [(0, 32)]
        assert await case.ask("ClearChargingProfile") == {"status": "Unknown"}

    certify(steps)


def test_tc_072_stacking_charging_profiles() -> None:
    """Example X1."""

    async def steps(case: Case) -> None:
        await case.online()
        now = await whole_second(case)
        low = profile(1, [(0, 6), (100, 8), (200, 10)], duration_s=400, start_at=now)
        high = profile(2, [(0, 7), (100, 9)], level=1, duration_s=150, start_at=now)
        assert await install(case, 1, low) == "Accepted"
        assert await install(case, 1, high) == "Accepted"
        assert await composite(case, 350) == [(0, 7), (100, 9), (150, 8), (200, 10)]
        await asyncio.sleep(5)
        assert await composite(case, 350) == [(0, 7), (95, 9), (145, 8), (195, 10)]

    certify(steps)


def test_tc_082_tx_default_profile_during_a_transaction() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()
        now = await whole_second(case)
        assert await install(case, 1, profile(1, [(0, 6)], start_at=now)) == "Accepted"
        assert await composite(case, 300) == [(0, 6)]
        await case.lab.until(lambda: case.offer_a() == 6.0)

    certify(steps)


def test_a_pause_is_told_and_opens_the_contactor() -> None:
    """Example X14."""

    async def steps(case: Case) -> None:
        await case.online()
        number = await case.charging()
        pause = profile(1, [(0, 0), (120, 16)], purpose="TxProfile", transactionId=number)
        pause["chargingProfileKind"] = "Absolute"
        pause["chargingSchedule"]["startSchedule"] = await whole_second(case)
        assert await install(case, 1, pause) == "Accepted"
        [paused] = await case.expect(status("SuspendedEVSE"))
        assert case.offer_a() == 0.0
        await case.lab.until(lambda: not case.energized())
        [resumed] = await case.expect(status("Charging"))
        assert resumed.at_s - paused.at_s == pytest.approx(121, abs=2)
        assert case.offer_a() == 16.0

    certify(steps)


def test_profiles_survive_a_power_cut() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await install(case, 1, profile(1, [(0, 6)])) == "Accepted"
        assert await install(case, 2, profile(2, [(0, 7)])) == "Accepted"
        most = profile(
            3, [(0, 20)], purpose="ChargePointMaxProfile", start_at=await whole_second(case)
        )
        assert await install(case, 0, most) == "Accepted"
        await case.power_cycle()
        await case.booted()
        assert await composite(case, 60, 1) == [(0, 6)]
        assert await composite(case, 60, 2) == [(0, 7)]
        assert await case.ask("ClearChargingProfile", id=1) == {"status": "Accepted"}
        assert await composite(case, 60, 1) == [(0, 20)]

    certify(steps)
