"""Clocks that come late or are set while somebody charges: nothing is lost, nothing bends."""

import asyncio
from itertools import pairwise

import pytest

from agent.ocpp.wire_time import from_text
from tests.support.lab import VERSIONS, WALL_S, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

NTP: dict[str, object] = {"ClockCtrlr.TimeSource": "NTP"}
GRIDS: dict[str, object] = {"ClockAlignedDataInterval": 20, "MeterValueSampleInterval": 30}
OFFLINE: dict[str, object] = {
    "AllowOfflineTxForUnknownId": True,
    "TxCtrlr.TxBeforeAcceptedEnabled": True,
}


def instants(lab: Lab, context: str) -> list[float]:
    """Return when samples of the only bill were taken, seconds of this world."""
    [bill] = lab.bills
    return [
        round(from_text(one.at) - WALL_S, 3) for one in bill.samples if one.context == context
    ]


async def charged_through(lab: Lab, jump_s: float) -> None:
    """Charge for 130 s, and let the system clock jump in the middle."""
    await lab.start()
    await lab.online()
    await lab.charging()
    await asyncio.sleep(65)
    lab.world.jump(jump_s)
    await asyncio.sleep(65)
    lab.unplug()
    await lab.delivered()


@pytest.mark.parametrize("jump_s", [86_400.0, -86_400.0], ids=["forward", "back"])
def test_a_system_clock_that_jumps_is_nothing_to_a_station_that_asks_its_csms(
    version: str, jump_s: float
) -> None:
    lab = run(Lab(version, settings=GRIDS), lambda lab: charged_through(lab, jump_s))
    check_bills(lab)
    aligned = instants(lab, "Sample.Clock")
    assert aligned == [20.0 * (index + 1) for index in range(len(aligned))]
    assert len(aligned) >= 6


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0], ids=["forward", "back"])
def test_where_ntp_keeps_the_time_a_jump_dates_what_follows_and_bends_no_interval(
    version: str, jump_s: float
) -> None:
    lab = run(Lab(version, settings={**GRIDS, **NTP}), lambda lab: charged_through(lab, jump_s))
    check_bills(lab)
    periodic = instants(lab, "Sample.Periodic")
    steps = [round(after - before, 3) for before, after in pairwise(periodic)]
    assert sorted(steps) == sorted([30.0, 30.0, 30.0 + jump_s])
    assert all(instant % 20 == 0 for instant in instants(lab, "Sample.Clock"))


def test_a_clock_that_ntp_sets_after_the_start_dates_what_happened_before(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.lose_link()
        await lab.start()
        await lab.charging()
        await asyncio.sleep(65)
        lab.world.set_wall(WALL_S + lab.now_s)
        await asyncio.sleep(65)
        assert lab.status()["clock"]["known"]
        lab.unplug()
        await asyncio.sleep(20)
        lab.restore_link()
        await lab.delivered()

    lab = run(Lab(version, settings={**OFFLINE, **NTP}, knows_time=False), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.started_at is not None
    assert abs(from_text(bill.started_at) - WALL_S) < 60.0
