"""PWM, ADC and GPIO lines on a directory laid out as sysfs: the contract, and what goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from hal.drivers.direct_board import DirectBoard
from hal.drivers.gpio_evse import GRACE_S, GpioEvse
from hal.drivers.pilot_signal import PERIOD_NS
from hal.errors import BoardError, BusError
from hal.gpio_settings import GpioEvseSettings
from hal.sim.direct_board import SimulatedDirectBoard, settings_in
from hal.sim.evse import SimulatedEvse
from hal.sim.vehicle import Vehicle
from hal.types import Fault, PilotState
from tests.support import vloop
from tests.support.contract_hal import CLAUSES, Recorder, charging, clause_name, served

QUICK = Vehicle(reaction_s=0.0, adapt_s=0.0, ampacity_a=32.0)


class Rig:
    """A driver, and the directory and lines behind it."""

    closes_by_itself = False

    def __init__(self, board: SimulatedDirectBoard, driver: GpioEvse) -> None:
        self.board, self.evse, self.controller = board, board.evse, driver

    async def plug(self) -> None:
        self.evse.plug(1, QUICK)

    async def unplug(self) -> None:
        self.evse.unplug()

    async def lose(self) -> None:
        self.board.is_gone = True

    async def restore(self) -> None:
        self.board.is_gone = False


def driver_of(settings: GpioEvseSettings, board: SimulatedDirectBoard) -> GpioEvse:
    lock = settings.lock
    return GpioEvse(
        DirectBoard(settings, requested=board.request),
        max_a=32.0,
        phases=3,
        is_tethered=settings.tethered,
        lock_pulse_s=None if lock is None else lock.pulse_ms / 1000,
        has_alive=settings.alive is not None,
    )


@asynccontextmanager
async def rigged(directory: Path, **changes) -> AsyncIterator[Rig]:
    settings = structs.replace(settings_in(directory), **changes)
    async with SimulatedDirectBoard(directory, SimulatedEvse(), settings) as board:
        yield Rig(board, driver_of(settings, board))


def played(
    directory: Path, scene: Callable[[Rig, Recorder], Coroutine[None, None, None]], **changes
) -> None:
    async def main() -> None:
        async with rigged(directory, **changes) as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            await scene(rig, recorder)

    vloop.run(main())


@pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
def test_contract(clause, tmp_path):
    async def main() -> None:
        async with rigged(tmp_path) as rig:
            await clause(rig)

    vloop.run(main())


BARE = {"lock": None, "alive": None, "emergency_stop": None, "residual_current": None}


@pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
def test_contract_of_a_tethered_board_without_anything_else(clause, tmp_path):
    contactor = structs.replace(settings_in(tmp_path).contactor, mirror=None)

    async def main() -> None:
        bare = rigged(tmp_path, proximity=None, tethered=True, contactor=contactor, **BARE)
        async with bare as rig:
            await clause(rig)

    vloop.run(main())


def test_an_offer_is_a_duty_and_none_is_steady_12_v(tmp_path):
    async def scene(rig, recorder):
        assert (rig.board.on_ns, recorder.capabilities.max_a) == (PERIOD_NS, 32.0)
        for offer_a, on_ns in (
            (6.0, 100_000),
            (16.0, 266_666),
            (80.0, 533_333),
            (0.0, PERIOD_NS),
        ):
            await rig.controller.offer(offer_a, valid_s=60.0)
            assert rig.board.on_ns == on_ns
        pwm = tmp_path / "pwmchip0/pwm0"
        assert (pwm / "period").read_text() == "1000000\n"
        assert (pwm / "enable").read_text() == "1\n"

    played(tmp_path, scene)


def test_an_inverted_pwm_is_low_for_as_long_as_the_pilot_is_high(tmp_path):
    pwm = structs.replace(settings_in(tmp_path).pwm, inverted=True)

    async def scene(rig, recorder):
        await rig.controller.offer(16.0, valid_s=60.0)
        duty_cycle = tmp_path / "pwmchip0/pwm0/duty_cycle"
        assert duty_cycle.read_text() == "733334\n"
        await charging(rig, recorder)
        await rig.controller.offer(0.0, valid_s=60.0)
        assert duty_cycle.read_text() == "0\n"

    played(tmp_path, scene, pwm=pwm)


def test_the_lines_are_switched_within_100_ms_of_an_unplugging(tmp_path):
    async def scene(rig, recorder):
        await charging(rig, recorder)
        rig.board.forced_v = (12.0, -12.0)
        await asyncio.sleep(0.1)
        assert not rig.board.driven("contactor")
        assert recorder.pilot is PilotState.A

    played(tmp_path, scene)


def test_a_glitch_of_the_pilot_switches_nothing(tmp_path):
    async def scene(rig, recorder):
        await charging(rig, recorder)
        recorder.log.clear()
        rig.board.forced_v = (9.0, -12.0)
        await asyncio.sleep(0.025)
        rig.board.forced_v = None
        await asyncio.sleep(1.0)
        assert rig.board.driven("contactor")
        assert not recorder.log

    played(tmp_path, scene)


def test_when_the_pwm_ends_the_vehicle_has_time_to_open_s2_and_no_more(tmp_path):
    async def scene(rig, recorder):
        await charging(rig, recorder)
        rig.board.forced_v = (6.0, -12.0)  # a vehicle that does not mind
        await rig.controller.offer(0.0, valid_s=60.0)
        await asyncio.sleep(GRACE_S - 0.2)
        assert rig.board.driven("contactor")
        await asyncio.sleep(0.4)
        assert not rig.board.driven("contactor")

    contactor = structs.replace(settings_in(tmp_path).contactor, mirror=None)
    played(tmp_path, scene, contactor=contactor)


def test_a_closed_contactor_does_not_come_back_by_itself(tmp_path):
    async def scene(rig, recorder):
        await charging(rig, recorder)
        rig.evse.set_ready(False)
        await recorder.until(lambda now: now.outlet_closed is False)
        rig.evse.set_ready(True)
        await recorder.until(lambda now: now.pilot is PilotState.C)
        await asyncio.sleep(10)
        assert not rig.board.driven("contactor")

    played(tmp_path, scene)


def test_a_missing_diode_ends_the_offer_until_the_vehicle_is_gone(tmp_path):
    async def scene(rig, recorder):
        await rig.plug()
        await recorder.until(lambda now: now.pilot is PilotState.B)
        rig.board.forced_v = (6.0, -6.0)  # a resistor, or a finger
        await rig.controller.offer(16.0, valid_s=600.0)
        await recorder.until(lambda now: Fault.DIODE_FAULT in now.faults)
        assert rig.board.on_ns == PERIOD_NS
        await rig.controller.energize(closed=True)
        rig.board.forced_v = None
        await asyncio.sleep(5)
        assert not rig.board.driven("contactor")
        assert Fault.DIODE_FAULT in recorder.faults
        await rig.unplug()
        await recorder.until(lambda now: not now.faults)
        assert rig.board.on_ns < PERIOD_NS

    played(tmp_path, scene)


def test_nothing_is_closed_before_the_diode_has_been_seen(tmp_path):
    async def scene(rig, recorder):
        rig.board.ohm = 220.0
        rig.board.forced_v = (6.0, 6.0)
        await recorder.until(lambda now: now.pilot is PilotState.C)
        rig.board.forced_v = (6.0, -6.0)
        await rig.controller.offer(16.0, valid_s=600.0)
        await rig.controller.energize(closed=True)
        while Fault.DIODE_FAULT not in recorder.faults:
            assert not rig.board.driven("contactor")
            await asyncio.sleep(0.005)
        await asyncio.sleep(5)
        assert not rig.board.driven("contactor")

    played(tmp_path, scene)


def test_a_closing_that_waits_for_the_diode_is_forgotten_by_an_opening(tmp_path):
    async def scene(rig, recorder):
        await rig.plug()
        await rig.controller.offer(16.0, valid_s=600.0)
        await recorder.until(lambda now: now.pilot is PilotState.C)
        await rig.controller.energize(closed=True)
        await rig.controller.energize(closed=False)
        await asyncio.sleep(5)
        assert not rig.board.driven("contactor")

    played(tmp_path, scene)


def test_a_shorted_pilot_is_state_e_and_a_fault(tmp_path):
    async def scene(rig, recorder):
        await charging(rig, recorder)
        rig.board.forced_v = (0.0, 0.0)
        await asyncio.sleep(0.1)
        assert not rig.board.driven("contactor")
        await recorder.until(lambda now: now.pilot is PilotState.E)
        assert Fault.PILOT_FAULT in recorder.faults
        rig.board.forced_v = None
        await recorder.until(lambda now: Fault.PILOT_FAULT not in now.faults)

    played(tmp_path, scene)


@pytest.mark.parametrize(
    ("name", "fault", "clears"),
    [
        ("emergency_stop", Fault.EMERGENCY_STOP, True),
        ("residual_current", Fault.GROUND_FAILURE, False),
    ],
)
def test_what_is_pressed_or_tripped_opens_and_one_of_them_stays(tmp_path, name, fault, clears):
    async def scene(rig, recorder):
        await charging(rig, recorder, valid_s=600.0)
        rig.board.pressed.add(name)
        await recorder.until(lambda now: fault in now.faults)
        assert not rig.board.driven("contactor")
        assert rig.board.on_ns == PERIOD_NS
        rig.board.pressed.clear()
        await asyncio.sleep(1)
        assert (fault not in recorder.faults) is clears
        assert not rig.board.driven("contactor")
        await rig.unplug()
        await recorder.until(lambda now: not now.faults)

    played(tmp_path, scene)


def test_a_welded_contactor_is_never_closed_again(tmp_path):
    async def main():
        async with rigged(tmp_path) as rig:
            async with served(rig.controller) as recorder:
                await charging(rig, recorder)
                rig.board.is_welded = True
                await rig.controller.energize(closed=False)
                await recorder.until(lambda now: Fault.CONTACTOR_FAULT in now.faults)
                assert recorder.outlet_closed  # what the mirror says
                recorder.log.clear()
                await asyncio.sleep(2.2)
                told = [entry for entry in recorder.log if entry[0] == "outlet"]
                assert told == [("outlet", True)] * 4  # clause O4
                rig.board.is_welded = False
                await rig.unplug()
                await recorder.until(lambda now: now.pilot is PilotState.A)
            async with served(rig.controller) as recorder:
                await rig.plug()
                await recorder.until(lambda now: now.pilot is PilotState.B)
                await rig.controller.offer(16.0, valid_s=60.0)
                assert Fault.CONTACTOR_FAULT in recorder.faults
                assert rig.board.on_ns == PERIOD_NS

    vloop.run(main())


def test_a_contactor_that_does_not_close_is_opened_until_the_vehicle_is_gone(tmp_path):
    async def scene(rig, recorder):
        rig.board.is_jammed = True
        await rig.plug()
        await rig.controller.offer(16.0, valid_s=600.0)
        await recorder.until(lambda now: now.pilot is PilotState.C)
        await rig.controller.energize(closed=True)
        await recorder.until(lambda now: Fault.CONTACTOR_FAULT in now.faults)
        assert not rig.board.driven("contactor")
        rig.board.is_jammed = False
        await rig.unplug()
        await recorder.until(lambda now: not now.faults)

    played(tmp_path, scene)


@pytest.mark.parametrize("ohm", [10.0, 3000.0])
def test_a_resistor_that_is_no_cable_is_a_fault_and_no_rating(tmp_path, ohm):
    async def scene(rig, recorder):
        rig.board.ohm = ohm
        await rig.plug()
        await recorder.until(lambda now: Fault.PROXIMITY_FAULT in now.faults)
        assert recorder.cable_a is None
        await rig.controller.offer(16.0, valid_s=60.0)
        assert rig.board.on_ns == PERIOD_NS
        rig.board.ohm = 680.0
        await recorder.until(lambda now: now.cable_a == 20.0)
        assert Fault.PROXIMITY_FAULT not in recorder.faults

    played(tmp_path, scene)


def test_a_vehicle_whose_cable_comes_late_is_told_after_it(tmp_path):
    async def scene(rig, recorder):
        recorder.log.clear()
        rig.board.ohm = 1e9
        await rig.plug()
        await asyncio.sleep(0.3)
        assert not recorder.log
        rig.board.ohm = None
        await recorder.until(lambda now: now.pilot is PilotState.B)
        assert recorder.kinds() == ["cable", "pilot"]

    played(tmp_path, scene)


def test_a_vehicle_without_a_cable_is_a_fault(tmp_path):
    async def scene(rig, recorder):
        rig.board.ohm = 1e9
        await rig.plug()
        await recorder.until(lambda now: now.pilot is PilotState.B)
        assert recorder.faults == {Fault.PROXIMITY_FAULT}

    played(tmp_path, scene)


def test_a_lock_that_does_not_move_is_a_fault_until_it_does(tmp_path):
    async def scene(rig, recorder):
        rig.board.is_stuck = True
        await rig.controller.lock(locked=True)
        await recorder.until(lambda now: Fault.CONNECTOR_LOCK_FAILURE in now.faults)
        assert not rig.board.driven("lock")
        rig.board.is_stuck = False
        await rig.controller.lock(locked=True)
        await recorder.until(lambda now: not now.faults)
        assert recorder.locked

    played(tmp_path, scene)


def test_alive_toggles_while_the_driver_is_well(tmp_path):
    async def scene(rig, recorder):
        await asyncio.sleep(1.0)
        assert rig.board.toggles >= 40
        rig.board.is_gone = True
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        before = rig.board.toggles
        await asyncio.sleep(1.0)
        assert rig.board.toggles == before

    played(tmp_path, scene)


def test_a_sample_that_fails_once_is_no_loss(tmp_path):
    async def scene(rig, recorder):
        await charging(rig, recorder)
        for _ in range(50):  # the simulator writes it again, as an ADC answers again
            (tmp_path / "adc/in_voltage0_raw").unlink(missing_ok=True)
            await asyncio.sleep(0.1)
        assert not recorder.faults
        assert rig.board.driven("contactor")

    played(tmp_path, scene)


def test_nothing_is_left_switched_when_the_driver_ends(tmp_path):
    async def main():
        async with rigged(tmp_path) as rig:
            async with served(rig.controller) as recorder:
                await charging(rig, recorder)
                await rig.controller.lock(locked=True)
                values = rig.board.lines.values
            assert not any(values.values())
            assert rig.board.lines is None
            assert rig.board.on_ns == PERIOD_NS

    vloop.run(main())


def test_a_channel_that_is_not_exported_is_exported(tmp_path):
    settings = settings_in(tmp_path)

    async def main():
        async with SimulatedDirectBoard(tmp_path, SimulatedEvse()) as board:
            (tmp_path / "pwmchip0/pwm0").rename(tmp_path / "pwmchip0/away")
            wires = DirectBoard(settings, requested=board.request)
            with pytest.raises(OSError, match="pwm0/period"):
                wires.open()  # nobody makes it on a plain directory
            assert (tmp_path / "pwmchip0/export").read_text() == "0\n"
            assert board.lines is None
            (tmp_path / "pwmchip0/away").rename(tmp_path / "pwmchip0/pwm0")

    vloop.run(main())


def test_scale_and_offset_may_be_those_of_a_channel(tmp_path):
    settings = settings_in(tmp_path)

    async def main():
        async with SimulatedDirectBoard(tmp_path, SimulatedEvse()) as board:
            wires = DirectBoard(settings, requested=board.request)
            wires.open()
            (tmp_path / "adc/in_voltage0_scale").write_text("1.0\n")
            (tmp_path / "adc/in_voltage0_offset").write_text("-3150\n")
            assert wires.sample().high_v == pytest.approx(12.0)
            wires.close()

    vloop.run(main())


def test_lines_need_the_library_and_a_chip(tmp_path, monkeypatch):
    async def main(expected, match):
        async with SimulatedDirectBoard(tmp_path / expected.__name__, SimulatedEvse()) as board:
            with pytest.raises(expected, match=match):
                DirectBoard(board.settings).open()

    vloop.run(main(OSError, "No such file"))
    monkeypatch.setitem(__import__("sys").modules, "gpiod", None)
    vloop.run(main(BoardError, r"pip install 'pilotwire\[gpio\]'"))


def test_a_board_that_is_not_there_is_a_fault_and_then_found(tmp_path):
    async def main():
        async with rigged(tmp_path) as rig:
            await rig.lose()
            async with served(rig.controller) as recorder:
                await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
                with pytest.raises(BusError, match="contactor's line is gone"):
                    await rig.controller.energize(closed=False)
                await rig.restore()
                await recorder.until(lambda now: now.pilot is PilotState.A)
                assert not recorder.faults

    vloop.run(main())
