"""The driver of a safety microcontroller on a pseudo terminal, against the reference board."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest

from hal.bus.serial_line import LineSettings
from hal.drivers.safety_mcu import SafetyMcu
from hal.errors import BusError, DeviceError
from hal.protocols.safety_line import TO_HOST, framed
from hal.sim.evse import SimulatedEvse
from hal.sim.safety_mcu import SafetyMcuDevice
from hal.types import Fault, Light, PilotState
from tests.support import vloop
from tests.support.contract_hal import (
    BOARD_CLAUSES,
    CLAUSES,
    PHASES_CLAUSES,
    TEMPERATURE_CLAUSES,
    Recorder,
    charging,
    clause_name,
    served,
)
from tests.support.line_rig import PTY_PATIENCE_S, LineRig


class Rig(LineRig):
    """A driver and the board behind it."""

    closes_by_itself = False

    def __init__(self, board: SafetyMcuDevice, **options: bool) -> None:
        super().__init__(board, SafetyMcu(LineSettings(board.path, 115_200), **options))

    async def spoil(self) -> None:
        self.evse.set("rcd_broken", 1.0)

    def phases(self) -> int:
        return self.evse.live_phases


@asynccontextmanager
async def rigged(
    *, tethered: bool = False, lacks: str = "", **options: bool
) -> AsyncIterator[Rig]:
    asyncio.get_running_loop().patience_s = PTY_PATIENCE_S
    async with SafetyMcuDevice(SimulatedEvse(is_tethered=tethered)) as device:
        device.lacks = set(lacks)
        yield Rig(device, **options)


def played(scene: Callable[[Rig, Recorder], Coroutine[None, None, None]], **options) -> None:
    async def main() -> None:
        async with rigged(**options) as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            rig.board.heard.clear()
            await scene(rig, recorder)

    vloop.run(main())


@pytest.mark.parametrize(
    "clause",
    [*CLAUSES, *TEMPERATURE_CLAUSES, *BOARD_CLAUSES, *PHASES_CLAUSES],
    ids=clause_name,
)
def test_contract(clause):
    async def main() -> None:
        async with rigged() as rig:
            await clause(rig)

    vloop.run(main())


def test_the_words_on_the_line_are_those_of_the_page():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        assert recorder.cable_a is None
        await rig.plug()
        await recorder.until(lambda now: now.cable_a == 32.0)
        await rig.controller.lock(locked=True)
        assert await rig.controller.self_test()
        await rig.controller.show(Light.CHARGING)
        await rig.controller.switch(3)
        await rig.controller.offer(16.09, valid_s=12.0)
        await recorder.until(lambda now: now.pilot is PilotState.C)
        await rig.controller.energize(closed=True)
        await recorder.until(lambda now: now.outlet_closed)
        await rig.controller.energize(closed=False)
        await rig.controller.offer(0.0, valid_s=9999.0)
        assert rig.board.heard == [
            "LOCK 1",
            "TEST",
            "LIGHT CHARGING",
            "PHASES 3",
            "OFFER 160 12000",
            "CLOSE",
            "OPEN",
            "OFFER 0 3600000",
        ]

    played(scene)


def test_what_the_board_can_is_told_as_it_says():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        found = recorder.capabilities
        assert (found.max_a, found.phases, found.is_tethered, found.has_lock) == (
            32.0,
            3,
            True,
            False,
        )
        assert not found.can_switch_phases
        assert recorder.cable_a is None

    played(scene, tethered=True, lacks="S")


def test_when_the_agent_dies_the_board_ends_the_charge_by_itself():
    async def main() -> None:
        async with rigged() as rig:
            async with served(rig.controller) as recorder:
                await charging(rig, recorder, valid_s=12.0)
            assert rig.evse.outlet_closed
            await asyncio.sleep(11)
            assert rig.evse.outlet_closed
            await asyncio.sleep(1.1)
            assert not rig.evse.outlet_closed

    vloop.run(main())


def test_a_board_that_starts_anew_is_greeted_and_offered_something_again():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        rig.board.heard.clear()
        rig.board.restart()
        await recorder.until(lambda now: now.outlet_closed is False)
        await asyncio.sleep(0.1)
        assert rig.board.heard == ["HELLO 1"]
        await rig.controller.offer(16.0, valid_s=600.0)
        await recorder.until(lambda now: now.pilot is PilotState.C)
        await rig.controller.energize(closed=True)
        await recorder.until(lambda now: now.outlet_closed)
        assert not recorder.faults

    played(scene)


def test_a_line_that_is_away_for_a_moment_costs_nothing():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        recorder.log.clear()
        rig.board.heard.clear()
        rig.board.is_silent = True
        await asyncio.sleep(1.2)
        rig.board.is_silent = False
        await asyncio.sleep(2.0)
        assert recorder.kinds() == []
        assert "HELLO 1" not in rig.board.heard
        assert rig.evse.outlet_closed

    played(scene)


def test_a_command_before_the_greeting_is_refused_and_not_lost():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        rig.board._is_greeted = False
        with pytest.raises(DeviceError, match="refuses LOCK 1: NO HELLO"):
            await rig.controller.lock(locked=True)

    played(scene)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("NO VERSION 2", "refuses HELLO 1: NO VERSION 2"),
        ("OK", "answers a greeting with 'OK'"),
        ("OK 2 320 3 LS acme 1.0", "answers a greeting with"),
        ("OK 1 9999 3 LS acme 1.0", "answers a greeting with"),
    ],
)
def test_a_board_that_cannot_be_understood_is_lost_with_what_it_says(answer, says):
    async def main() -> None:
        async with rigged() as rig:
            rig.board._greet = lambda version: answer
            async with served(rig.controller) as recorder:
                told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
                recorder.fault_raised = lambda fault, info: told.set_result(info)
                assert says in await told

    vloop.run(main())


def test_a_board_that_shall_switch_phases_and_cannot_is_not_used():
    async def main() -> None:
        async with (
            rigged(lacks="S", switches_phases=True) as rig,
            served(rig.controller) as recorder,
        ):
            await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
            assert recorder.pilot is None

    vloop.run(main())


def test_a_board_that_answers_and_does_not_report_is_lost():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        rig.board.is_mute = True
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        with pytest.raises(BusError, match="does not answer"):
            await rig.controller.offer(16.0, valid_s=60.0)

    played(scene)


@pytest.mark.parametrize(
    "text",
    [
        "STATE G 0 0 0 0 - 0000 1",
        "STATE C 1600 1 0 0 - 0000 1",
        "STATE C 160 2 0 0 - 0000 1",
        "STATE C 160 1 0 0 - 0000",
        "STATES C 160 1 0 0 - 0000 1",
        "HELLO",
    ],
)
def test_a_report_that_makes_no_sense_changes_nothing(text):
    async def scene(rig: Rig, recorder: Recorder) -> None:
        recorder.log.clear()
        for _ in range(20):
            rig.board.say(framed(TO_HOST, 7, text))
            await asyncio.sleep(0.05)
        assert recorder.kinds() == []

    played(scene)


def test_hostile_lines_from_the_board_change_nothing():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        await charging(rig, recorder, valid_s=600.0)
        recorder.log.clear()
        for noise in (
            b"<" * 10_000,
            b"\xff\x00\n" * 500,
            framed(TO_HOST, 9, "OK"),  # nobody asked
            framed(TO_HOST, 9, "NO LOAD"),
            framed(">", 9, "STATE A 0 0 0 0 - 0000 1"),  # an echo
            b"<01 STATE A 0 0 0 0 - 0000 1*0000\n",
        ):
            rig.board.say(noise)
            await asyncio.sleep(0.2)
        assert recorder.kinds() == []
        assert rig.evse.outlet_closed

    played(scene)


def test_a_test_of_the_residual_current_device_may_take_its_time():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        quick = rig.evse.self_test

        async def slow() -> bool:
            await asyncio.sleep(2.0)
            return await quick()

        rig.evse.self_test = slow
        assert await rig.controller.self_test()

    played(scene)


def test_an_answer_to_a_test_that_is_neither_yes_nor_no_proves_nothing():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        async def vague(word, numbers, words):
            return "OK"

        rig.board._obeyed = vague
        with pytest.raises(DeviceError, match="says 'OK' to a test"):
            await rig.controller.self_test()

    played(scene)


def test_faults_of_the_board_are_raised_and_cleared():
    async def scene(rig: Rig, recorder: Recorder) -> None:
        for fault in (Fault.DIODE_FAULT, Fault.EMERGENCY_STOP, Fault.OTHER_ERROR):
            rig.evse.fault(fault)
        await recorder.until(
            lambda now: (
                now.faults == {Fault.DIODE_FAULT, Fault.EMERGENCY_STOP, Fault.OTHER_ERROR}
            )
        )
        rig.evse.clear(Fault.DIODE_FAULT)
        await recorder.until(lambda now: Fault.DIODE_FAULT not in now.faults)

    played(scene)


# --- the reference board ---


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [
        ("OFFER 160 0", "NO RANGE"),
        ("OFFER 160 3600001", "NO RANGE"),
        ("OFFER 59 1000", "NO RANGE"),
        ("OFFER 801 1000", "NO RANGE"),
        ("OFFER x 1000", "NO RANGE"),
        ("OFFER 160", "NO RANGE"),
        ("LOCK 2", "NO RANGE"),
        ("PHASES 2", "NO RANGE"),
        ("LIGHT PINK", "NO RANGE"),
        ("LIGHT", "NO RANGE"),
        ("HELLO", "NO RANGE"),
        ("HELLO 0", "NO VERSION 1"),
        ("FLASH 1", "NO WORD"),
        ("OPEN 1", "NO WORD"),
    ],
)
def test_what_a_board_cannot_do_it_refuses_with_a_reason(request_text, answer):
    async def scene(rig: Rig, recorder: Recorder) -> None:
        before = rig.board._state()
        with pytest.raises(DeviceError, match=f": {answer}$"):
            await rig.controller._commanded(request_text)
        assert rig.board._state() == before

    played(scene)
