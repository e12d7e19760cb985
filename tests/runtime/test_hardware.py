import asyncio
import contextlib
from itertools import pairwise

import pytest

from agent.core.events import (
    CableChanged,
    EvseDetected,
    FaultCleared,
    FaultRaised,
    LockChanged,
    MeterFailed,
    MeterRead,
    OutletChanged,
    PilotChanged,
    TokenPresented,
)
from agent.core.targets import EvseTarget, Targets
from agent.runtime.hardware import (
    LOCK_S,
    RENEW_S,
    RESTART_BOUNDS_S,
    RETRY_S,
    SOFT_STOP_S,
    VALID_S,
    HardwareRunner,
)
from hal.api import EvseController, Indicator, Meter, ResidualCurrent, TokenReader
from hal.board import EvseHardware
from hal.errors import BusError, DeviceError
from hal.sim.evse import SimulatedEvse
from hal.sim.vehicle import Vehicle
from hal.types import EvseCapabilities, Fault, IdToken, Light, PilotState
from tests.support.core import reading
from tests.support.vloop import run

CHARGE = EvseTarget(energize=True, offer_a=16.0, lock=True)
PAUSE = EvseTarget(lock=True)
OFF = EvseTarget()
CUT = EvseTarget(at_once=True)
MOVES_S = 0.05


class Board(EvseController, Meter, TokenReader):
    """A controller that does what a test says.

    Attributes:
        log: commands with their instant.
        command_s: how long each takes.
        lost: names of commands that the bus loses.
        is_welded: the contactor, once closed, stays so.
        failure: what the next run raises; None: it runs until cancelled.
    """

    def __init__(self):
        self.log = []
        self.command_s = 0.0
        self.lost = set()
        self.is_welded = self.is_closed = False
        self.failure = None
        self.listener = None
        self.runs = []

    async def run(self, listener):
        self.runs.append(now_s())
        if self.failure is not None:
            raise self.failure
        self.listener = listener
        try:
            listener.outlet_changed(closed=self.is_closed)
            self.end = asyncio.get_running_loop().create_future()
            await self.end
        finally:
            self.listener = None

    async def offer(self, limit_a, *, valid_s):
        await self._command("offer", limit_a)
        assert valid_s == VALID_S

    async def energize(self, *, closed):
        await self._command("energize", closed)
        if closed or not self.is_welded:
            self.is_closed = closed
        asyncio.get_running_loop().call_later(MOVES_S, self._moved)

    async def lock(self, *, locked):
        await self._command("lock", locked)

    async def _command(self, name, value):
        self.log.append((now_s(), name, value))
        await asyncio.sleep(self.command_s)
        if name in self.lost:
            raise BusError(f"{name} was lost")

    def _moved(self):
        if self.listener is not None:
            self.listener.outlet_changed(closed=self.is_closed)

    def given(self, since_s=0.0):
        """Return the commands since an instant, without their instants."""
        return [(name, value) for at, name, value in self.log if at >= since_s]

    def at(self, name, value):
        """Return the instants of a command."""
        return [at for at, *command in self.log if command == [name, value]]


class Silent(Meter, TokenReader):
    """A device that says nothing, and fails as often as a test wants."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.runs = []

    async def run(self, listener):
        self.runs.append(now_s())
        self.listener = listener
        if self.failures:
            failure = self.failures.pop(0)
            if failure is None:
                return
            raise failure
        await asyncio.get_running_loop().create_future()


class Rig:
    def __init__(self, controller, meter=None, *readers, **more):
        self.events = []
        self.board = controller
        hardware = EvseHardware(1, 1, 32.0, 3, controller, meter or Silent(), readers, **more)
        self.runner = HardwareRunner((hardware,), self.events.append)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.runner.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def aim(self, target):
        self.runner.apply(Targets({1: target}))

    async def charging(self):
        """Let a vehicle ask and get energy."""
        self.board.listener.pilot_changed(PilotState.C)
        self.aim(CHARGE)
        await asyncio.sleep(0.1)
        assert self.board.is_closed

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def now_s():
    return asyncio.get_running_loop().time()


def story(coroutine):
    """Tell a story of one board."""

    async def told():
        async with Rig(Board()) as rig:
            await asyncio.sleep(0.01)
            await coroutine(rig)

    run(told())


def test_reports_become_events_of_their_evse():
    async def told():
        async with Rig(Board()) as rig:
            await asyncio.sleep(0.01)
            listener = rig.board.listener
            capabilities = EvseCapabilities(32.0, 3)
            listener.detected(capabilities)
            listener.pilot_changed(PilotState.B, 2)
            listener.cable_changed(20.0)
            listener.meter_read(reading())
            listener.meter_failed("no answer")
            listener.fault_raised(Fault.GROUND_FAILURE, "tripped")
            listener.fault_cleared(Fault.GROUND_FAILURE)
            listener.token_presented(IdToken("04AA"))
            assert rig.events == [
                OutletChanged(1, closed=False),
                EvseDetected(1, capabilities),
                PilotChanged(1, PilotState.B, 2),
                CableChanged(1, 20.0),
                MeterRead(1, reading()),
                MeterFailed(1, "no answer"),
                FaultRaised(1, Fault.GROUND_FAILURE, "tripped"),
                FaultCleared(1, Fault.GROUND_FAILURE),
                TokenPresented(IdToken("04AA"), 1),
            ]

    run(told())


def test_nothing_is_commanded_before_anybody_has_said_what_is_wanted():
    async def told(rig):
        await asyncio.sleep(60)
        assert not rig.board.log
        rig.aim(OFF)
        await asyncio.sleep(1)
        assert rig.board.given() == [("offer", 0.0), ("energize", False), ("lock", False)]

    story(told)


def test_a_plug_that_is_held_at_the_start_stays_held():
    async def told(rig):
        rig.aim(PAUSE)
        await asyncio.sleep(60)
        assert ("lock", False) not in rig.board.given()
        assert ("lock", True) in rig.board.given()

    story(told)


def test_raising_goes_lock_offer_contactor():
    async def told(rig):
        rig.aim(OFF)
        await asyncio.sleep(1)
        begun = now_s()
        rig.board.listener.pilot_changed(PilotState.C)
        rig.aim(CHARGE)
        await asyncio.sleep(1)
        expected = [("lock", True), ("offer", 16.0), ("energize", True)]
        assert rig.board.given(begun) == expected

    story(told)


def test_lowering_goes_offer_contactor_lock_once_the_vehicle_has_let_go():
    async def told(rig):
        await rig.charging()
        begun = now_s()
        rig.aim(OFF)
        await asyncio.sleep(2)
        assert rig.board.given(begun) == [("offer", 0.0)]
        rig.board.listener.pilot_changed(PilotState.B)
        await asyncio.sleep(1)
        expected = [("offer", 0.0), ("energize", False), ("lock", False)]
        assert rig.board.given(begun) == expected
        assert rig.board.at("lock", False)[-1] >= rig.board.at("energize", False)[-1] + MOVES_S

    story(told)


def test_a_vehicle_that_draws_on_is_cut_off_after_six_seconds():
    async def told(rig):
        await rig.charging()
        begun = now_s()
        rig.aim(OFF)
        await asyncio.sleep(20)
        assert rig.board.at("energize", False)[-1] == pytest.approx(begun + SOFT_STOP_S)

    story(told)


def test_the_six_seconds_do_not_begin_again_when_the_bus_loses_a_command():
    async def told(rig):
        await rig.charging()
        begun = now_s()
        rig.aim(OFF)
        await asyncio.sleep(5)
        rig.board.lost = {"energize"}
        await asyncio.sleep(1.2)
        rig.board.lost = set()
        await asyncio.sleep(5)
        expected = [begun + SOFT_STOP_S, begun + SOFT_STOP_S + RETRY_S]
        assert rig.board.at("energize", False)[-2:] == pytest.approx(expected)

    story(told)


def test_at_once_means_at_once():
    async def told(rig):
        await rig.charging()
        begun = now_s()
        rig.aim(CUT)
        await asyncio.sleep(0.001)
        assert rig.board.given(begun)[:2] == [("offer", 0.0), ("energize", False)]

    story(told)


def test_at_once_ends_a_soft_stop_that_has_begun():
    async def told(rig):
        await rig.charging()
        rig.aim(OFF)
        await asyncio.sleep(2)
        rig.aim(CUT)
        await asyncio.sleep(0.001)
        assert rig.board.at("energize", False) == [now_s() - 0.001]

    story(told)


def test_a_target_that_is_raised_during_a_soft_stop_never_opens_the_contactor():
    async def told(rig):
        await rig.charging()
        begun = now_s()
        rig.aim(PAUSE)
        await asyncio.sleep(2)
        rig.aim(CHARGE)
        await asyncio.sleep(60)
        assert ("energize", False) not in rig.board.given(begun)
        assert rig.board.given(begun)[:2] == [("offer", 0.0), ("offer", 16.0)]
        again = now_s()
        rig.aim(OFF)
        await asyncio.sleep(20)
        assert rig.board.at("energize", False)[-1] == pytest.approx(again + SOFT_STOP_S)

    story(told)


def test_a_target_that_changes_while_the_contactor_opens_is_taken_up_at_once():
    async def told(rig):
        await rig.charging()
        rig.aim(PAUSE)
        await asyncio.sleep(SOFT_STOP_S + MOVES_S / 2)
        rig.aim(OFF)
        await asyncio.sleep(0.2)
        assert rig.board.given()[-1] == ("lock", False)

    story(told)


def test_a_target_that_changes_while_a_command_is_under_way_is_never_energized():
    async def told(rig):
        rig.aim(OFF)
        await asyncio.sleep(1)
        rig.board.command_s = 0.4
        rig.aim(CHARGE)
        await asyncio.sleep(0.2)
        rig.aim(OFF)
        await asyncio.sleep(5)
        assert ("energize", True) not in rig.board.given()
        assert ("offer", 16.0) not in rig.board.given()
        assert rig.board.given()[-1] == ("lock", False)

    story(told)


def test_a_lock_that_does_not_answer_holds_no_lowering_back():
    async def told(rig):
        rig.aim(EvseTarget(offer_a=16.0))
        await asyncio.sleep(1)
        rig.board.lost = {"lock"}
        begun = now_s()
        rig.aim(EvseTarget(offer_a=10.0, lock=True))
        await asyncio.sleep(2)
        assert rig.board.given(begun)[0] == ("offer", 10.0)

    story(told)


def test_an_offer_is_renewed_however_much_the_driver_has_to_say():
    async def told(rig):
        await rig.charging()
        begun = now_s()
        for _ in range(120):
            await asyncio.sleep(0.5)
            rig.board.listener.pilot_changed(PilotState.C)
        times = [at for at in rig.board.at("offer", 16.0) if at >= begun]
        assert len(times) == 60 / RENEW_S
        assert all(after - before <= RENEW_S + 0.6 for before, after in pairwise(times))
        assert ("energize", False) not in rig.board.given(begun)

    story(told)


def test_without_an_offer_there_is_nothing_to_renew():
    async def told(rig):
        rig.aim(OFF)
        await asyncio.sleep(1)
        commands = len(rig.board.log)
        await asyncio.sleep(3600)
        assert len(rig.board.log) == commands

    story(told)


def test_hardware_that_does_not_hear_from_us_falls_back_by_itself():
    async def told():
        board = SimulatedEvse()
        rig = Rig(board)
        task = asyncio.create_task(rig.runner.run())
        await asyncio.sleep(0)
        board.plug(1, Vehicle())
        rig.aim(EvseTarget(offer_a=16.0, lock=True))
        await asyncio.sleep(1)
        rig.aim(CHARGE)
        await asyncio.sleep(30)
        assert board.outlet_closed
        assert board.offer_a == 16.0
        rig.runner._runners[1]._renew_at = now_s() + 3600  # as if the loop were stuck
        await asyncio.sleep(VALID_S + 1)
        assert not board.outlet_closed
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(told())


def test_a_command_that_the_bus_loses_is_repeated(caplog):
    async def told(rig):
        rig.aim(OFF)
        await asyncio.sleep(1)
        rig.board.lost = {"offer"}
        begun = now_s()
        rig.aim(CHARGE)
        await asyncio.sleep(2.2)
        rig.board.lost = set()
        await asyncio.sleep(1)
        tries = rig.board.at("offer", 16.0)
        assert [after - before for before, after in pairwise(tries)] == pytest.approx(
            [RETRY_S] * (len(tries) - 1)
        )
        assert rig.board.given(begun).count(("lock", True)) == 1
        assert ("energize", True) in rig.board.given(begun)
        rig.board.lost = {"offer"}
        await asyncio.sleep(RENEW_S + 1)

    story(told)
    assert caplog.text.count("evse=1 command lost: offer was lost") == 2  # once per streak


def test_a_contactor_that_opened_by_itself_is_closed_again_while_it_is_wanted():
    async def told(rig):
        await rig.charging()
        await asyncio.sleep(1)
        rig.board.is_closed = False
        rig.board.listener.outlet_changed(closed=False)
        await asyncio.sleep(0.2)
        assert rig.board.is_closed

    story(told)


def test_a_contactor_that_closed_by_itself_is_opened():
    async def told(rig):
        rig.aim(OFF)
        await asyncio.sleep(1)
        rig.board.is_closed = True
        rig.board.listener.outlet_changed(closed=True)
        await asyncio.sleep(0.2)
        assert not rig.board.is_closed

    story(told)


def test_a_contactor_that_shows_closed_after_opening_is_welded_until_the_next_start():
    async def told(rig):
        await rig.charging()
        rig.board.is_welded = True
        rig.aim(CUT)
        await asyncio.sleep(60)
        assert rig.of(FaultRaised) == [
            FaultRaised(1, Fault.CONTACTOR_FAULT, "welded: closed after opening")
        ]
        assert ("lock", False) not in rig.board.given()
        assert len(rig.board.at("energize", False)) <= 1 + 60 / RETRY_S
        rig.board.is_welded = False
        await asyncio.sleep(10)
        assert not rig.board.is_closed
        assert rig.board.given()[-1] == ("lock", False)
        rig.board.listener.fault_cleared(Fault.CONTACTOR_FAULT)
        assert not rig.of(FaultCleared)
        closings = len(rig.board.at("energize", True))
        rig.aim(CHARGE)
        await asyncio.sleep(30)
        assert len(rig.board.at("energize", True)) == closings

    story(told)


def test_one_that_is_seen_closed_when_it_had_its_time_is_welded_at_once():
    async def told(rig):
        await rig.charging()
        rig.board.is_welded = True
        rig.aim(CUT)
        await asyncio.sleep(0.7)
        rig.board.listener.outlet_changed(closed=True)
        await asyncio.sleep(0.4)
        assert [event.fault for event in rig.of(FaultRaised)] == [Fault.CONTACTOR_FAULT]

    story(told)


@pytest.mark.parametrize("blind_s", [2.0, 4.5])
def test_one_that_nobody_could_see_for_a_while_is_not_welded(blind_s):
    async def told(rig):
        await rig.charging()
        rig.board.is_welded = True  # as far as anybody hears
        rig.aim(CUT)
        await asyncio.sleep(blind_s)
        rig.board.listener.outlet_changed(closed=False)
        await asyncio.sleep(10)
        assert not rig.of(FaultRaised)

    story(told)


def test_one_whose_controller_is_lost_meanwhile_is_not_welded():
    async def told(rig):
        await rig.charging()
        rig.board.is_welded = True
        rig.aim(CUT)
        await asyncio.sleep(3.0)
        rig.board.listener.fault_raised(Fault.COMMUNICATION_FAULT)
        await asyncio.sleep(10)
        assert [event.fault for event in rig.of(FaultRaised)] == [Fault.COMMUNICATION_FAULT]

    story(told)


def test_a_target_that_changes_while_the_contactor_is_watched_does_not_wait_for_more():
    async def told(rig):
        await rig.charging()
        rig.board.is_welded = True
        rig.aim(CUT)
        await asyncio.sleep(0.5)
        since_s = now_s()
        rig.aim(CHARGE)
        await asyncio.sleep(0.6)
        assert ("offer", 16.0) in rig.board.given(since_s)

    story(told)


def test_a_welded_contactor_with_a_vehicle_that_draws_on_is_no_busy_loop():
    async def told(rig):
        await rig.charging()
        rig.board.is_welded = True
        rig.aim(OFF)
        await asyncio.sleep(600)
        assert len(rig.board.log) < 600

    story(told)


def test_a_controller_that_is_lost_while_it_opens_is_not_taken_for_welded():
    async def told(rig):
        await rig.charging()
        rig.board.is_welded = True  # nothing is heard of the contactor any more
        rig.aim(CUT)
        await asyncio.sleep(0.02)
        rig.board.listener.fault_raised(Fault.COMMUNICATION_FAULT, "no answer")
        rig.board.listener = None
        await asyncio.sleep(10)
        assert [event.fault for event in rig.of(FaultRaised)] == [Fault.COMMUNICATION_FAULT]

    story(told)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (BusError("no answer"), "Silent: no answer"),
        (None, "Silent: it ended"),
        (KeyError("secret"), "Silent: KeyError"),
        (ExceptionGroup("two", [DeviceError("a"), DeviceError("b")]), "Silent: ExceptionGroup"),
    ],
)
def test_a_driver_that_fails_is_started_again_and_nobody_else_notices(failure, reason, caplog):
    async def told():
        meter = Silent(failure)
        async with Rig(Board(), meter) as rig:
            await asyncio.sleep(0.01)
            await rig.charging()
            assert rig.of(FaultRaised) == [FaultRaised(1, Fault.POWER_METER_FAILURE, reason)]
            await asyncio.sleep(RESTART_BOUNDS_S[0] + 0.5)
            assert len(meter.runs) == 2
            assert not rig.of(FaultCleared)
            await asyncio.sleep(1)
            assert rig.of(FaultCleared) == [FaultCleared(1, Fault.POWER_METER_FAILURE)]
            assert rig.board.is_closed

    run(told())
    assert f"evse=1 driver failed: {reason}" in caplog.text


def test_a_driver_that_keeps_failing_is_started_ever_later():
    async def told():
        meter = Silent(*[BusError("no answer")] * 30)
        async with Rig(Board(), meter) as rig:
            await asyncio.sleep(300)
            pauses = [after - before for before, after in pairwise(meter.runs)]
            assert pauses[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
            assert not rig.of(FaultCleared)

    run(told())


def test_a_driver_that_ran_for_long_is_started_soon():
    class Moody(Meter):
        runs = ()

        async def run(self, listener):
            self.runs = (*self.runs, now_s())
            await asyncio.sleep(60 if len(self.runs) == 4 else 0)
            raise BusError("no answer")

    async def told():
        meter = Moody()
        async with Rig(Board(), meter):
            await asyncio.sleep(120)
            first, second, third, fourth, fifth, *_ = meter.runs
            assert (second - first, third - second, fourth - third) == (1.0, 2.0, 4.0)
            assert fifth - fourth == 61.0

    run(told())


def test_a_reader_that_fails_is_no_more_than_a_broken_reader():
    async def told():
        async with Rig(Board(), Silent(), Silent(DeviceError("no antenna"))) as rig:
            await asyncio.sleep(0.5)
            assert [event.fault for event in rig.of(FaultRaised)] == [Fault.READER_FAILURE]

    run(told())


def test_what_a_restarted_driver_says_of_itself_is_not_cleared():
    async def told():
        meter = Silent(BusError("no answer"))
        async with Rig(Board(), meter) as rig:
            await asyncio.sleep(RESTART_BOUNDS_S[0] + 0.5)
            meter.listener.fault_raised(Fault.POWER_METER_FAILURE, "nonsense")
            await asyncio.sleep(60)
            assert not rig.of(FaultCleared)
            meter.listener.fault_cleared(Fault.POWER_METER_FAILURE)
            assert len(rig.of(FaultCleared)) == 1

    run(told())


def test_a_contactor_that_does_not_obey_is_told_again_but_not_all_the_time():
    async def told(rig):
        await rig.charging()
        await asyncio.sleep(1)
        rig.board.energize = lambda *, closed: Board._command(rig.board, "energize", closed)
        rig.board.is_closed = False
        begun = now_s()
        for _ in range(100):
            rig.board.listener.outlet_changed(closed=False)
            await asyncio.sleep(0.1)
        assert 10 <= rig.board.given(begun).count(("energize", True)) <= 20

    story(told)


@pytest.mark.parametrize("is_driver", [True, False])
def test_a_controller_that_comes_back_gets_every_output_anew(is_driver):
    async def told(rig):
        await rig.charging()
        await asyncio.sleep(1)
        if is_driver:
            rig.board.end.set_result(None)
            await asyncio.sleep(0.5)
        else:
            rig.board.lost = {"offer", "energize", "lock"}
            rig.board.listener.fault_raised(Fault.COMMUNICATION_FAULT, "no answer")
            await asyncio.sleep(60)
            rig.board.lost = set()
        assert [event.fault for event in rig.of(FaultRaised)] == [Fault.COMMUNICATION_FAULT]
        begun = now_s()
        rig.board.is_closed = False
        if is_driver:
            await asyncio.sleep(1)
        else:
            rig.board.listener.outlet_changed(closed=False)
            await asyncio.sleep(1)
        expected = [("offer", 0.0), ("lock", True), ("offer", 16.0), ("energize", True)]
        assert rig.board.given(begun)[-4:] == expected
        assert rig.board.is_closed

    story(told)


def test_at_the_end_the_outputs_are_safe_and_the_drivers_still_carried_the_commands():
    async def told():
        board = Board()
        rig = Rig(board)
        served = []

        async def offer(limit_a, *, valid_s):
            served.append(board.listener is not None)
            await Board.offer(board, limit_a, valid_s=valid_s)

        board.offer = offer
        async with rig:
            await asyncio.sleep(0.01)
            await rig.charging()
            begun = now_s()
        assert board.given(begun) == [("offer", 0.0), ("energize", False)]
        assert all(served)
        assert not board.is_closed

    run(told())


def test_the_end_waits_until_the_contactor_has_moved():
    async def told(rig):
        await rig.charging()
        begun = now_s()
        await rig.__aexit__()
        assert now_s() - begun == pytest.approx(MOVES_S)

    story(told)


def test_but_not_for_a_welded_one(caplog):
    async def told(rig):
        await rig.charging()
        rig.board.is_welded = True
        begun = now_s()
        await rig.__aexit__()
        assert now_s() - begun == pytest.approx(1.0)

    story(told)
    assert "evse=1 contactor still closed" in caplog.text


def test_an_end_does_not_wait_for_hardware_that_does_not_answer(caplog):
    async def told(rig):
        await rig.charging()
        rig.board.command_s = 3600.0
        begun = now_s()
        await rig.__aexit__()
        assert now_s() - begun == pytest.approx(3.0)
        assert rig.board.given(begun) == [("offer", 0.0), ("energize", False)]

    story(told)
    assert caplog.text.count("not released, its offer ends by itself: no answer in time") == 2


def test_an_offer_that_is_lost_at_the_end_does_not_spare_the_contactor():
    async def told(rig):
        await rig.charging()
        rig.board.lost = {"offer"}
        await rig.__aexit__()
        assert not rig.board.is_closed

    story(told)


def test_a_defect_ends_everything_and_leaves_the_outputs_safe():
    async def told():
        boards = SimulatedEvse(), SimulatedEvse()
        hardware = tuple(
            EvseHardware(index + 1, 1, 32.0, 3, board, board, (board,))
            for index, board in enumerate(boards)
        )
        runner = HardwareRunner(hardware, lambda _: None)
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(0)
        for board in boards:
            board.plug(1, Vehicle())
        offers = EvseTarget(offer_a=16.0, lock=True)
        runner.apply(Targets({1: offers, 2: offers}))
        await asyncio.sleep(1)
        runner.apply(Targets({1: CHARGE, 2: CHARGE}))
        await asyncio.sleep(1)
        assert all(board.outlet_closed for board in boards)
        nonsense = EvseTarget(energize=True, offer_a=3.0, lock=True)  # no offer at all
        runner.apply(Targets({1: CHARGE, 2: nonsense}))
        with pytest.raises(ExceptionGroup) as caught:
            await task
        assert caught.group_contains(ValueError, match="6 to 80 A")
        await asyncio.sleep(0.1)
        assert not any(board.outlet_closed for board in boards)
        assert not any(board.offer_a for board in boards)

    run(told())


# --- the lock's feedback ---


class Lockable(Board):
    """A board whose lock says what it is, and may jam."""

    def __init__(self, *, jammed=False):
        super().__init__()
        self.is_locked, self.is_jammed = False, jammed

    async def run(self, listener):
        listener.lock_changed(locked=self.is_locked)
        await super().run(listener)

    async def lock(self, *, locked):
        await super().lock(locked=locked)
        if not self.is_jammed:
            self.is_locked = locked
            self.listener.lock_changed(locked=locked)


def lock_story(coroutine, **properties):
    async def told():
        async with Rig(Lockable(**properties)) as rig:
            await asyncio.sleep(0.01)
            rig.board.listener.pilot_changed(PilotState.B)
            await coroutine(rig)

    run(told())


def faults(rig):
    kinds = (FaultRaised, FaultCleared)
    return [(type(event), event.fault) for event in rig.events if isinstance(event, kinds)]


def test_a_lock_that_holds_the_plug_is_told_and_no_fault():
    async def told(rig):
        rig.aim(PAUSE)
        await asyncio.sleep(10)
        assert rig.of(LockChanged)[-1] == LockChanged(1, locked=True)
        assert len(rig.board.at("lock", True)) == 1
        assert faults(rig) == []

    lock_story(told)


@pytest.mark.parametrize("ending", ["it holds", "the plug is gone"])
def test_a_lock_that_does_not_hold_the_plug_is_a_fault_until(ending):
    async def told(rig):
        rig.aim(PAUSE)
        await asyncio.sleep(LOCK_S + 0.5)
        failure = Fault.CONNECTOR_LOCK_FAILURE
        assert faults(rig) == [(FaultRaised, failure)]
        if ending == "it holds":
            rig.board.is_jammed = False
            await asyncio.sleep(RENEW_S + 1)  # it is tried again
        else:
            rig.board.listener.pilot_changed(PilotState.A)
            rig.aim(OFF)
            await asyncio.sleep(1)
        assert faults(rig)[-1] == (FaultCleared, failure)

    lock_story(told, jammed=True)


def test_a_lock_that_stays_closed_is_told_to_open_again_and_again():
    async def told(rig):
        rig.aim(PAUSE)
        await asyncio.sleep(1)
        rig.board.is_jammed = True
        rig.aim(OFF)
        await asyncio.sleep(3 * RENEW_S)
        assert len(rig.board.at("lock", False)) >= 3
        rig.board.is_jammed = False
        await asyncio.sleep(RENEW_S + 1)
        assert rig.of(LockChanged)[-1] == LockChanged(1, locked=False)
        commands = len(rig.board.log)
        await asyncio.sleep(600)
        assert len(rig.board.log) == commands  # nothing is left to do

    lock_story(told)


class ProvingBoard(Board, ResidualCurrent, Indicator):
    """A board whose residual current device can be tested, and that has a lamp."""

    def __init__(self):
        super().__init__()
        self.trips = True

    async def self_test(self):
        await self._command("self_test", None)
        return self.trips

    async def show(self, light):
        await self._command("show", light)


def proving_story(coroutine):
    async def told():
        board = ProvingBoard()
        async with Rig(board, residual_current=board, indicator=board) as rig:
            await asyncio.sleep(0.01)
            await coroutine(rig)

    run(told())


def test_the_residual_current_device_is_tested_before_each_vehicle_is_offered_any():
    async def told(rig):
        rig.board.listener.pilot_changed(PilotState.B)
        rig.aim(CHARGE)
        await asyncio.sleep(20.0)
        given = [name for name, _ in rig.board.given()]
        assert given.index("self_test") < given.index("offer", given.index("lock"))
        assert given.count("self_test") == 1
        for pilot in (PilotState.A, PilotState.B):
            rig.board.listener.pilot_changed(pilot)
        begun = now_s()
        rig.aim(CUT)
        await asyncio.sleep(1.0)
        rig.aim(CHARGE)
        await asyncio.sleep(1.0)
        assert rig.board.given(begun).count(("self_test", None)) == 1

    proving_story(told)


def test_without_a_passed_test_nothing_is_offered_until_the_next_start():
    async def told(rig):
        rig.board.trips = False
        rig.board.listener.pilot_changed(PilotState.C)
        rig.aim(CHARGE)
        await asyncio.sleep(20.0)
        assert not rig.board.at("offer", 16.0)
        assert not rig.board.at("energize", True)
        (fault,) = rig.of(FaultRaised)
        assert fault.fault is Fault.GROUND_FAILURE
        rig.board.trips = True
        rig.board.listener.fault_cleared(Fault.GROUND_FAILURE)
        rig.board.listener.pilot_changed(PilotState.A)
        rig.board.listener.pilot_changed(PilotState.C)
        await asyncio.sleep(20.0)
        assert not rig.of(FaultCleared)
        assert not rig.board.at("offer", 16.0)

    proving_story(told)


def test_a_test_that_the_bus_loses_is_repeated_and_nothing_is_offered_meanwhile():
    async def told(rig):
        rig.board.lost = {"self_test"}
        rig.board.listener.pilot_changed(PilotState.B)
        rig.aim(CHARGE)
        await asyncio.sleep(5.0)
        assert len(rig.board.at("self_test", None)) > 3
        assert not rig.board.at("offer", 16.0)
        rig.board.lost = set()
        await asyncio.sleep(1.0)
        assert rig.board.at("offer", 16.0)
        assert not rig.of(FaultRaised)

    proving_story(told)


def test_the_lamp_is_told_what_changes_and_again_after_a_restart_of_the_controller():
    async def told(rig):
        for light in (Light.AVAILABLE, Light.AVAILABLE, Light.WAITING):
            rig.aim(EvseTarget(light=light))
            await asyncio.sleep(0.1)
        assert [value for name, value in rig.board.given() if name == "show"] == [
            Light.AVAILABLE,
            Light.WAITING,
        ]
        rig.board.listener.fault_raised(Fault.COMMUNICATION_FAULT)
        rig.board.listener.outlet_changed(closed=False)
        await asyncio.sleep(0.1)
        assert len(rig.board.at("show", Light.WAITING)) == 2

    proving_story(told)


def test_a_lamp_that_does_not_answer_holds_nothing_up(caplog):
    async def told(rig):
        rig.board.lost = {"show"}
        rig.board.listener.pilot_changed(PilotState.C)
        rig.aim(CHARGE)
        await asyncio.sleep(1.0)
        assert rig.board.is_closed
        assert "lamp not changed" in caplog.text
        rig.board.lost = set()
        await asyncio.sleep(RENEW_S)
        rig.board.log.clear()
        await asyncio.sleep(RENEW_S)
        assert not [entry for entry in rig.board.log if entry[1] == "show"]

    proving_story(told)
