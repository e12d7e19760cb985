"""The meter in an OpenEVSE board: the register that its two counters make."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise

import pytest

from hal.drivers.openevse_meter import OpenEvseMeter
from hal.types import Fault, PilotState
from tests.hal.test_openevse import Rig, rigged
from tests.support import vloop
from tests.support.contract_hal import METER_CLAUSES, Recorder, clause_name, served
from tests.support.line_rig import QUICK


class MeterRig:
    def __init__(self, rig: Rig) -> None:
        self.rig, self.evse = rig, rig.evse
        self.meter = OpenEvseMeter(rig.controller)

    async def count(self) -> float:
        await asyncio.sleep(4.0)
        before_wh = self.evse.reading().energy_import_wh
        self.evse.set("energy_import", before_wh + 10.0)
        return 10.0

    async def lose(self) -> None:
        await self.rig.lose()

    async def restore(self) -> None:
        await self.rig.restore()


@pytest.mark.parametrize("clause", METER_CLAUSES, ids=clause_name)
@pytest.mark.parametrize("is_plugged", [False, True])
def test_contract(clause, is_plugged):
    async def main() -> None:
        async with rigged() as rig:
            rig.evse.set("energy_import", 1234.0)
            if is_plugged:
                rig.evse.plug(1, QUICK)
            async with served(rig.controller):
                await clause(MeterRig(rig))

    vloop.run(main())


def metered(
    scene: Callable[[Rig, Recorder], Coroutine[None, None, None]],
    shown: dict[str, str] | None = None,
) -> None:
    async def main() -> None:
        async with rigged() as rig:
            rig.evse.set("energy_import", 1234.0)
            if shown is not None:
                told = rig.board._shown
                rig.board._shown = lambda command: (
                    (True, shown[command]) if command in shown else told(command)
                )
            meter = OpenEvseMeter(rig.controller)
            async with served(rig.controller), served(meter) as recorder:
                await scene(rig, recorder)

    vloop.run(main())


def test_the_register_neither_jumps_nor_falls_when_vehicles_come_and_go():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await recorder.until(lambda now: now.readings)
        for _ in range(2):
            rig.evse.plug(1, QUICK)
            await asyncio.sleep(2.5)
            await rig.controller.offer(16.0, valid_s=600.0)
            await asyncio.sleep(30.0)
            await rig.controller.offer(0.0, valid_s=600.0)
            await asyncio.sleep(5.0)
            rig.evse.unplug()
            await asyncio.sleep(5.0)
        register_wh = [reading.energy_import_wh for reading in recorder.readings]
        assert register_wh == sorted(register_wh)
        assert all(wh == int(wh) for wh in register_wh)  # a fraction would fall off at the end
        assert max(b - a for a, b in pairwise(register_wh)) < 15.0
        assert register_wh[-1] == pytest.approx(rig.evse.reading().energy_import_wh, abs=2.0)
        assert register_wh[-1] > 1234.0 + 150.0
        assert Fault.POWER_METER_FAILURE not in recorder.faults

    metered(scene)


@pytest.mark.parametrize(
    "shown",
    [
        {"GG": "-1 230000"},  # no ammeter
        {"GG": "1000 999000"},
        {"GG": "1000"},
        {"GU": "12 x"},
        {"GU": "-5 -7"},
    ],
)
def test_what_cannot_be_is_a_failed_poll(shown):
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await recorder.until(lambda now: Fault.POWER_METER_FAILURE in now.faults)
        assert "meter" not in recorder.kinds()

    metered(scene, shown)


def test_a_vehicle_that_comes_between_two_counters_costs_one_reading():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await recorder.until(lambda now: now.readings)
        told = rig.board._shown

        def shown(command: str) -> tuple[bool, str]:
            if command == "GU" and rig.evse.pilot is PilotState.A:
                rig.evse.plug(1, QUICK)
            return told(command)

        rig.board._shown = shown
        assert "came or went" in (await recorder.next("meter_failed"))[1]
        await recorder.next("meter")

    metered(scene)


def test_a_register_that_falls_is_not_believed():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await recorder.until(lambda now: now.readings)
        rig.evse.set("energy_import", 1000.0)
        recorder.log.clear()
        await recorder.until(lambda now: "meter_failed" in now.kinds())
        await asyncio.sleep(3.0)
        assert "meter" not in recorder.kinds()

    metered(scene)
