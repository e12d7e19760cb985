"""Every shipped board of direct current charges a vehicle, on both versions, over its wires."""

import asyncio
from pathlib import Path

import pytest

from agent.bench.desk import ProfileWish
from agent.core.bounds import Site
from agent.core.events import ExternalLimitSet, TokenPresented
from hal.board_file import load_board
from hal.types import IdToken
from tests.support.dc_board import Cabinet, cabinet
from tests.support.lab import IDENTITY, TAG, VERSIONS, Lab, run

BOARDS = Path(__file__).parents[2] / "config/boards"
CABINETS = [path for path in sorted(BOARDS.glob("*.toml")) if load_board(path).evses[0].is_dc]
SETTINGS: dict[str, object] = {
    "MeterValuesSampledData": "Energy.Active.Import.Register,Voltage,Current.Import,SoC",
    "MeterValueSampleInterval": 30,
}


def tap(lab: Lab) -> None:
    lab.post(TokenPresented(IdToken(TAG), 1))


async def charging(lab: Lab, found: Cabinet) -> None:
    await lab.start()
    await lab.online()
    await lab.until(lambda: lab.connector() == "Available")
    found.vehicle.is_plugged = True
    await lab.until(lambda: lab.connector() == "Preparing")
    tap(lab)
    await lab.until(lambda: found.outlet.output().current_a > 1.0)
    await lab.until(lambda: lab.connector() == "Charging")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", CABINETS, ids=lambda path: path.stem)
def test_a_whole_session(path, version, tmp_path):
    async def story(lab: Lab) -> None:
        async with cabinet(lab, path, tmp_path) as found:
            await charging(lab, found)
            await asyncio.sleep(35)
            assert found.outlet.output().current_a == pytest.approx(100.0, abs=1.0)
            meter = lab.status()["evses"][0]["meter"]
            assert meter["dc"]["voltage_v"] == pytest.approx(405.0, abs=1.0)
            assert meter["dc"]["soc_pct"] == 40.0
            tap(lab)
            await lab.until(lambda: lab.connector() == "Finishing")
            await lab.until(lambda: not found.outlet.contactor_closed)
            assert not found.outlet.is_on
            await lab.delivered()
            found.vehicle.is_plugged = False
            await lab.until(lambda: lab.connector() == "Available")
            billed_wh.append(found.outlet.reading().energy_import_wh)

    billed_wh: list[float] = []
    lab = run(Lab(version, evses=1, settings=SETTINGS), story)
    (bill,) = lab.bills
    assert bill.complete
    assert not bill.missing_seq_nos
    assert bill.energy_wh == pytest.approx(billed_wh[0], abs=2.0)


CABINET = BOARDS / "dc-cabinet-60kw.toml"
EFFICIENCY = 0.94


@pytest.mark.parametrize("version", VERSIONS)
def test_a_profile_in_watts_is_kept_to_the_watt_before_the_converters_losses(version, tmp_path):
    async def story(lab: Lab) -> None:
        async with cabinet(lab, CABINET, tmp_path) as found:
            await charging(lab, found)
            for limit_w in (20_000, 4_999):
                wish = ProfileWish(1, "default", 1, ((0, limit_w),), unit="W")
                assert await lab.csms.set_profile(IDENTITY, wish) == "Accepted"
                await asyncio.sleep(8)
                power_w = found.outlet.reading().power_w
                # What is asked for is voltage times current; the battery's is a little less.
                asked_w = found.vehicle.max_v / 400.0 * power_w
                assert power_w <= limit_w * EFFICIENCY
                assert asked_w == pytest.approx(limit_w * EFFICIENCY, rel=0.03)
                supply = lab.status()["evses"][0]
                assert supply["setpoint_a"] == int(limit_w / 0.69) / 1000
                assert max(supply["meter"]["current_a"]) <= supply["setpoint_a"]
            found.vehicle.is_plugged = False
            await lab.delivered()

    run(Lab(version, evses=1), story)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_fuse_of_the_site_is_kept_with_the_converters_losses(version, tmp_path):
    async def story(lab: Lab) -> None:
        async with cabinet(lab, CABINET, tmp_path) as found:
            await charging(lab, found)
            await asyncio.sleep(5)
            power_w = found.outlet.reading().power_w
            assert 0.85 * 40.0 * 690.0 * EFFICIENCY <= power_w <= 40.0 * 690.0 * EFFICIENCY
            lab.post(ExternalLimitSet(0, "ems", 600.0, limit_a=4.0))
            await lab.until(lambda: not found.outlet.contactor_closed, limit_s=10.0)
            assert not found.outlet.is_on
            await lab.until(lambda: lab.connector() == "SuspendedEVSE")
            found.vehicle.is_plugged = False
            await lab.delivered()

    run(Lab(version, evses=1, site=Site(fuse_a=40.0)), story)


@pytest.mark.parametrize("version", VERSIONS)
def test_rules_10_and_11_a_bad_isolation_and_a_lost_converter_end_the_transaction(
    version, tmp_path
):
    async def story(lab: Lab) -> None:
        async with cabinet(lab, CABINET, tmp_path) as found:
            await charging(lab, found)
            found.outlet.isolation_ohm = 50_000.0
            await lab.until(lambda: not found.outlet.contactor_closed, limit_s=2.0)
            assert not found.outlet.is_on
            await lab.until(lambda: lab.connector() == "Faulted")
            found.outlet.isolation_ohm = 5e6
            found.vehicle.is_plugged = False
            await lab.until(lambda: lab.connector() == "Available")
            await lab.delivered()
            found.vehicle.is_plugged = True
            await lab.until(lambda: lab.connector() == "Preparing")
            tap(lab)
            await lab.until(lambda: found.outlet.output().current_a > 1.0)
            # A line that goes: the modules go on until their own watchdog ends it.
            for module in found.outlet.rack.modules:
                module.is_deaf = True
            await lab.until(lambda: not found.outlet.contactor_closed, limit_s=30.0)
            assert found.outlet.output().current_a == 0.0
            await lab.until(lambda: lab.connector() == "Faulted")
            for module in found.outlet.rack.modules:
                module.is_deaf = False
            found.vehicle.is_plugged = False
            await lab.until(lambda: lab.connector() == "Available")
            await lab.delivered()

    lab = run(Lab(version, evses=1), story)
    assert [bill.complete for bill in lab.bills] == [True, True]
