"""OpenEVSE on a pseudo terminal, against its simulator; and what the driver owes us."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest

from hal.bus.serial_line import LineSettings
from hal.drivers.openevse import OpenEvse, board_state
from hal.errors import BusError, DeviceError
from hal.protocols.rapi import framed
from hal.sim.evse import SimulatedEvse
from hal.sim.openevse import OpenEvseDevice
from hal.sim.vehicle import Vehicle
from hal.types import Fault, PilotState
from tests.support import vloop
from tests.support.contract_hal import (
    CLAUSES,
    TEMPERATURE_CLAUSES,
    Recorder,
    charging,
    clause_name,
    served,
)
from tests.support.line_rig import PTY_PATIENCE_S, QUICK, LineRig

STUBBORN = Vehicle(reaction_s=60.0, adapt_s=0.0)


class Rig(LineRig):
    """A driver and the board behind it."""

    closes_by_itself = True

    def __init__(self, board: OpenEvseDevice) -> None:
        super().__init__(board, OpenEvse(LineSettings(board.path, 115_200), phases=3))

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.sleep(1.5)


@asynccontextmanager
async def rigged(**board: object) -> AsyncIterator[Rig]:
    asyncio.get_running_loop().patience_s = PTY_PATIENCE_S
    async with OpenEvseDevice(SimulatedEvse(is_tethered=True)) as device:
        for name, value in board.items():
            setattr(device, name, value)
        yield Rig(device)


def played(
    scene: Callable[[Rig, Recorder], Coroutine[None, None, None]], **board: object
) -> None:
    async def main() -> None:
        async with rigged(**board) as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            rig.board.heard.clear()
            await scene(rig, recorder)

    vloop.run(main())


@pytest.mark.parametrize("clause", [*CLAUSES, *TEMPERATURE_CLAUSES], ids=clause_name)
def test_contract(clause):
    async def main() -> None:
        async with rigged() as rig:
            await clause(rig)

    vloop.run(main())


def test_at_its_start_a_board_sleeps_before_it_is_asked_anything_and_is_then_supervised():
    async def main() -> None:
        async with rigged(timer="22 0 6 0") as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            assert rig.board.heard[:6] == ["FS", "SY 15 6", "GV", "FF B 0", "GD", "ST 0 0 0 0"]
            assert rig.board.timer == "0 0 0 0"
            assert rig.board.watchdog == (15, 6)
            assert rig.controller.firmware == "8.2.3 5.2.1"

    vloop.run(main())


@pytest.mark.parametrize("timer", ["22 15 6 30", "0 0 6 0"])
def test_a_timer_that_could_start_a_charge_is_turned_off(timer):
    async def main() -> None:
        async with rigged(timer=timer) as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            assert rig.board.timer == "0 0 0 0"

    vloop.run(main())


def commands(rig: Rig) -> list[str]:
    return [text for text in rig.board.heard if text[0] in "FS" and text != "SY"]


def test_a_limit_is_there_before_the_board_wakes_and_nothing_is_asleep():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await rig.plug()
        for limit_a in (16.9, 20.0, 10.0, 0.0):
            await rig.controller.offer(limit_a, valid_s=600.0)
        assert commands(rig) == ["SC 16 V", "FE", "SC 20 V", "SC 10 V", "FS"]
        await recorder.until(lambda now: now.outlet_closed is False)
        assert rig.evse.offer_a == 0.0

    played(scene)


def test_a_vehicle_that_does_not_let_go_is_cut_off_by_an_opening_at_once():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        rig.evse.plug(1, QUICK)
        await rig.controller.offer(16.0, valid_s=600.0)
        await recorder.until(lambda now: now.outlet_closed)
        rig.evse._plugs.vehicle = STUBBORN
        rig.board.heard.clear()
        await rig.controller.offer(0.0, valid_s=600.0)
        await asyncio.sleep(1.2)
        assert rig.evse.outlet_closed  # it has 3 s
        assert recorder.pilot is PilotState.C
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await rig.controller.energize(closed=False)
        await recorder.until(lambda now: now.outlet_closed is False)
        assert loop.time() - begun_s < 0.1
        assert rig.board.mode == "disabled"
        await asyncio.sleep(0.25)
        assert rig.board.mode == "disabled"
        await asyncio.sleep(0.2)
        assert rig.board.mode == "asleep"
        assert commands(rig) == ["FS", "FD", "FS"]
        assert recorder.pilot is PilotState.B
        assert ("pilot", PilotState.F, 1) not in recorder.log
        assert ("pilot", PilotState.A, 1) not in list(recorder.log)[-4:]

    played(scene)


def test_a_sleeping_board_opens_by_itself_when_a_vehicle_does_not_let_go():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        rig.evse._plugs.vehicle = STUBBORN
        await rig.controller.offer(0.0, valid_s=600.0)
        begun_s = asyncio.get_running_loop().time()
        await recorder.until(lambda now: now.outlet_closed is False)
        assert 2.9 < asyncio.get_running_loop().time() - begun_s < 3.2
        assert recorder.pilot is PilotState.B

    played(scene)


def test_an_opening_holds_until_the_next_closing():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await rig.plug()
        await rig.controller.offer(16.0, valid_s=600.0)
        await recorder.until(lambda now: now.outlet_closed)
        await rig.controller.energize(closed=False)
        await rig.settled()
        await rig.controller.offer(12.0, valid_s=600.0)
        await asyncio.sleep(10)
        assert not rig.evse.outlet_closed
        await rig.controller.energize(closed=True)
        await recorder.until(lambda now: now.outlet_closed)
        assert rig.evse.offer_a == 12.0

    played(scene)


def test_a_board_that_starts_anew_is_put_back_to_what_was_offered():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        await rig.board.restart()
        assert rig.evse.offer_a == 32.0  # the current of its EEPROM
        await asyncio.sleep(0.2)
        assert rig.evse.offer_a == 16.0
        await rig.controller.offer(0.0, valid_s=600.0)
        await rig.settled()
        await rig.board.restart()
        await asyncio.sleep(0.2)
        assert rig.board.mode == "asleep"
        assert not rig.evse.outlet_closed

    played(scene)


def test_a_start_that_nobody_heard_is_found_at_the_next_look():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        rig.board.is_silent = True
        await rig.board.restart()
        rig.board.is_silent = False
        await asyncio.sleep(2.5)
        assert rig.evse.offer_a == 16.0

    played(scene)


def test_a_board_that_came_back_with_less_is_raised_to_what_was_offered():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        rig.board.capacity_a = 10  # of its EEPROM
        await rig.board._follow()
        await asyncio.sleep(1.5)
        assert rig.evse.offer_a == 16.0

    played(scene)


def test_a_maximum_that_the_board_restores_by_itself_is_taken_back():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        await rig.board.cool_down()
        assert rig.evse.offer_a == 32.0
        await asyncio.sleep(0.2)
        assert rig.evse.offer_a == 16.0

    played(scene)


def test_somebody_who_wakes_the_board_is_not_given_anything():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await rig.plug()
        await rig.settled()
        rig.board.mode = "awake"  # its button
        await rig.board.cool_down()
        await asyncio.sleep(0.2)
        assert rig.board.mode == "asleep"

    played(scene)


def test_a_missed_pulse_arms_supervision_anew_and_never_raises_the_current():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        offers: set[float] = set()
        rig.board._fall_back()
        for _ in range(60):
            await asyncio.sleep(0.1)
            offers.add(rig.evse.offer_a)
        assert offers == {6.0, 16.0}
        assert "SY 15 6" in rig.board.heard
        assert "SY 165" not in rig.board.heard
        assert rig.board._trigger == 0

    played(scene)


def test_when_the_agent_dies_the_board_falls_back_to_6_a_and_not_to_nothing():
    async def main() -> None:
        async with rigged() as rig:
            async with served(rig.controller) as recorder:
                await charging(rig, recorder, valid_s=600.0)
            await asyncio.sleep(10)
            assert rig.evse.offer_a == 16.0
            await asyncio.sleep(6)
            assert rig.evse.offer_a == 6.0
            assert rig.evse.outlet_closed

    vloop.run(main())


def test_a_board_whose_maximum_is_lower_offers_that():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        assert recorder.capabilities.max_a == 13.0
        await charging(rig, recorder, valid_s=600.0)
        assert rig.evse.offer_a == 13.0
        assert "SC 13 V" in commands(rig)

    played(scene, most_a=13)


def test_a_board_that_makes_more_of_a_current_than_was_written_is_refused():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        async def more(amperes: int) -> tuple[bool, str]:
            return False, str(amperes + 1)

        rig.board._set_capacity = more
        with pytest.raises(DeviceError, match="16 A were written, and it offers 17 A"):
            await rig.controller.offer(16.0, valid_s=60.0)

    played(scene)


def test_a_lock_after_the_boards_start_is_opened_for_a_vehicle_that_may_charge():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        assert "SB" in rig.board.heard

    played(scene, is_boot_locked=True)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault.DIODE_FAULT, Fault.DIODE_FAULT),
        (Fault.GROUND_FAILURE, Fault.GROUND_FAILURE),
        (Fault.CONTACTOR_FAULT, Fault.CONTACTOR_FAULT),
        (Fault.HIGH_TEMPERATURE, Fault.HIGH_TEMPERATURE),
        (Fault.OVER_CURRENT, Fault.OVER_CURRENT),
    ],
)
def test_a_fault_of_the_board_is_raised_and_cleared(fault, told):
    async def scene(rig: Rig, recorder: Recorder) -> None:
        rig.evse.fault(fault)
        await recorder.until(lambda now: now.faults == {told})
        rig.evse.clear(fault)
        await recorder.until(lambda now: not now.faults)

    played(scene)


def test_a_vehicle_that_wants_ventilation_is_a_fault_because_there_is_none():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        rig.evse.plug(1, Vehicle(reaction_s=0.0, needs_ventilation=True))
        await rig.controller.offer(16.0, valid_s=60.0)
        await recorder.until(lambda now: now.pilot is PilotState.D)
        await recorder.until(lambda now: now.faults == {Fault.OTHER_ERROR})

    played(scene)


def test_what_some_firmware_lacks_is_done_without():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder)
        assert recorder.temperature_c is None

    played(scene, lacks={"FF", "GD", "GP"})


@pytest.mark.parametrize("command", ["SY", "GS", "GV"])
def test_firmware_that_lacks_what_is_needed_is_a_loss(command):
    async def main() -> None:
        async with rigged(lacks={command}) as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.faults == {Fault.COMMUNICATION_FAULT})
            assert recorder.pilot is None
            with pytest.raises(BusError, match="OpenEVSE does not answer"):
                await rig.controller.offer(16.0, valid_s=60.0)

    vloop.run(main())


@pytest.mark.parametrize("words", [("1", "0"), ("01", "0", "01"), (), ("xx", "0", "01", "0")])
def test_a_state_that_is_not_told_in_four_words_is_refused_by_name(words):
    """Firmware up to 3 tells it in decimal: 10 would be no fault but a wrong one."""
    with pytest.raises(DeviceError, match="RAPI 4 or newer"):
        board_state(words)


def test_a_stuck_relay_is_told_as_closed_and_a_disabled_board_as_not_available():
    assert board_state(("08", "0", "02", "0100")).is_closed
    assert not board_state(("fe", "0", "02", "0100")).is_closed


@pytest.mark.parametrize("state", [0x00, 0x33])
def test_a_state_that_nobody_knows_is_a_lost_board(state):
    async def scene(rig: Rig, recorder: Recorder) -> None:
        rig.board._state = lambda: state
        await recorder.until(lambda now: now.faults == {Fault.COMMUNICATION_FAULT})
        del rig.board._state
        await recorder.until(lambda now: not now.faults)

    played(scene)


@pytest.mark.parametrize("answer", ["6 32 x 32", "6 32 32"])
def test_currents_that_make_no_sense_are_a_lost_board(answer):
    async def scene(rig: Rig, recorder: Recorder) -> None:
        shown = rig.board._shown
        rig.board._shown = lambda command: (True, answer) if command == "GC" else shown(command)
        await recorder.until(lambda now: now.faults == {Fault.COMMUNICATION_FAULT})

    played(scene)


def test_noise_and_what_others_are_told_do_not_disturb_a_charge():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        recorder.log.clear()
        for noise in (b"$OK 3 1^00\r", b"\xff" * 500, framed("AN 1"), framed("OK", 0x7F)):
            rig.board.say(noise)
            await asyncio.sleep(0.3)
        assert recorder.kinds() == []
        assert rig.evse.offer_a == 16.0

    played(scene)


def test_what_the_line_has_seen_is_counted():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        before = rig.controller.counters
        assert before.connects == 1
        await rig.lose()
        await recorder.until(lambda now: now.faults)
        after = rig.controller.counters
        assert after.requests > before.requests
        assert after.timeouts == after.retries * 2

    played(scene)
