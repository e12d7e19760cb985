"""Every shipped controller on the wire, against its simulator; and what the driver owes us."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from hal.bus.modbus import SerialPort, TcpPort
from hal.drivers.modbus_evse import ModbusEvse, SwitchingModbusEvse
from hal.errors import BoardError, BusError, DeviceError
from hal.registers.map import RegisterMap, load_map
from hal.sim.evse import SimulatedEvse
from hal.sim.modbus_evse import ModbusEvseDevice
from hal.sim.vehicle import Vehicle
from hal.tools.exercising import Exercise
from hal.types import Fault, PilotState
from tests.support import vloop
from tests.support.contract_hal import (
    CLAUSES,
    PHASES_CLAUSES,
    Recorder,
    charging,
    clause_name,
    served,
)

MAPS = Path(__file__).parents[2] / "config/registers"
SHIPPED = [path for path in sorted(MAPS.glob("*.toml")) if load_map(path).evse is not None]
CONTROLLERS = [path for path in SHIPPED if not path.stem.startswith("_")]
HEIDELBERG = load_map(MAPS / "heidelberg-energy-control.toml")
EVSE_DIN = load_map(MAPS / "evse-din.toml")
ABL = load_map(MAPS / "abl-emh1.toml")
SMARTEVSE = load_map(MAPS / "smartevse-3.toml")
TEMPLATE = load_map(MAPS / "_template-evse.toml")
QUICK = Vehicle(reaction_s=0.0, adapt_s=0.0, ampacity_a=32.0)


class Rig:
    """A driver, the controller behind it on a TCP port, and a vehicle."""

    closes_by_itself = True

    def __init__(self, device: ModbusEvseDevice, driver: ModbusEvse) -> None:
        self.device, self.evse, self.server = device, device.evse, device.server
        self.controller = driver

    async def plug(self) -> None:
        self.evse.plug(1, QUICK)

    async def unplug(self) -> None:
        self.evse.unplug()

    async def lose(self) -> None:
        self.server.mode = "down"

    async def restore(self) -> None:
        self.server.mode = "up"

    def phases(self) -> int:
        return self.evse.live_phases

    async def wire(self) -> float:
        """Return what the electrical side offers, once nothing is under way."""
        await asyncio.sleep(0.2)
        return self.evse.offer_a


@asynccontextmanager
async def rigged(register_map: RegisterMap, **options) -> AsyncIterator[Rig]:
    async with (
        ModbusEvseDevice(register_map, SimulatedEvse()) as device,
        TcpPort("127.0.0.1", device.server.port) as port,
    ):
        part = register_map.evse
        is_able = part is not None and part.three_phases is not None
        kind = SwitchingModbusEvse if is_able else ModbusEvse
        yield Rig(device, kind(port, 1, register_map, **options))


def played(
    register_map: RegisterMap,
    scene: Callable[[Rig, Recorder], Coroutine[None, None, None]],
    **options,
) -> None:
    async def main() -> None:
        async with rigged(register_map, **options) as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            await scene(rig, recorder)

    vloop.run(main())


@pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_contract(path, clause):
    async def main() -> None:
        async with rigged(load_map(path)) as rig:
            await clause(rig)

    vloop.run(main())


@pytest.mark.parametrize("clause", PHASES_CLAUSES, ids=clause_name)
@pytest.mark.parametrize(
    "path",
    [path for path in SHIPPED if load_map(path).evse.three_phases],
    ids=lambda path: path.stem,
)
def test_phases_are_switched_by_register(path, clause):
    async def main() -> None:
        async with rigged(load_map(path)) as rig:
            await clause(rig)

    vloop.run(main())


@pytest.mark.parametrize("path", CONTROLLERS, ids=lambda path: path.stem)
def test_a_whole_charge_is_offered_lowered_paused_and_ended(path):
    register_map = load_map(path)

    async def scene(rig, recorder):
        assert recorder.capabilities.phases == register_map.phases
        await charging(rig, recorder, valid_s=600.0)
        assert await rig.wire() == pytest.approx(16.0, abs=0.1)
        await rig.controller.offer(10.9, valid_s=600.0)
        assert 10.0 <= await rig.wire() <= 10.9
        await rig.controller.offer(0.0, valid_s=600.0)
        await recorder.until(lambda now: now.outlet_closed is False)
        assert await rig.wire() == 0.0
        await rig.controller.offer(80.0, valid_s=600.0)
        await recorder.until(lambda now: now.outlet_closed)
        assert rig.evse.offer_a <= min(32.0, register_map.evse.set_current.most)
        await rig.unplug()
        await recorder.until(lambda now: now.pilot is PilotState.A)

    played(register_map, scene)


def test_a_current_is_written_as_what_the_register_can_say():
    async def main():
        frames: list[bytes] = []
        async with rigged(EVSE_DIN) as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            rig.server.on_write = lambda table, at, words: frames.append((table, at, *words))
            await rig.controller.offer(16.9, valid_s=60.0)
        assert frames == [(3, 1000, 16)]

    vloop.run(main())


def test_at_its_start_a_controller_is_made_safe_and_its_watchdog_armed():
    async def main():
        written: list[tuple[int, ...]] = []
        async with rigged(HEIDELBERG) as rig:
            rig.server.on_write = lambda _, at, words: written.append((at, *words))
            async with served(rig.controller) as recorder:
                await recorder.until(lambda now: now.pilot is PilotState.A)
        assert written == [(261, 0), (258, 4), (259, 1), (262, 0), (257, 15_000)]

    vloop.run(main())


def test_when_the_agent_dies_the_watchdog_of_the_device_ends_the_charge():
    async def main():
        async with rigged(HEIDELBERG) as rig:
            async with served(rig.controller) as recorder:
                await charging(rig, recorder)
            assert rig.evse.outlet_closed
            await asyncio.sleep(14)
            assert rig.evse.outlet_closed
            await asyncio.sleep(2)
            assert not rig.evse.outlet_closed

    vloop.run(main())


def test_without_a_watchdog_it_is_the_driver_that_ends_an_offer():
    async def scene(rig, recorder):
        await charging(rig, recorder, valid_s=5.0)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await recorder.until(lambda now: now.outlet_closed is False)
        assert loop.time() - begun < 6.0

    played(EVSE_DIN, scene)


def test_an_end_of_the_offer_that_the_line_loses_is_tried_again():
    async def scene(rig, recorder):
        await charging(rig, recorder, valid_s=1.0)
        rig.server.fail_next("silent", times=4)
        await asyncio.sleep(6)
        assert rig.evse.offer_a == 0.0

    played(EVSE_DIN, scene, fail_after_s=30.0)


def test_a_controller_that_comes_back_is_made_safe_before_it_is_believed():
    async def scene(rig, recorder):
        await charging(rig, recorder, valid_s=3600.0)
        await rig.lose()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        assert rig.evse.outlet_closed  # this one has no watchdog
        await rig.restore()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT not in now.faults)
        assert await rig.wire() == 0.0

    played(EVSE_DIN, scene)


def test_a_controller_that_is_not_there_at_the_start_is_a_fault_and_then_found():
    async def main():
        async with rigged(HEIDELBERG) as rig:
            await rig.lose()
            async with served(rig.controller) as recorder:
                await recorder.until(lambda now: now.faults)
                assert recorder.pilot is None
                with pytest.raises(BusError, match="Energy Control does not answer"):
                    await rig.controller.offer(16.0, valid_s=60.0)
                await rig.restore()
                await recorder.until(lambda now: now.pilot is PilotState.A)
                assert recorder.kinds().index("cleared") < recorder.kinds().index("pilot")

    vloop.run(main())


def test_a_state_that_the_map_does_not_know_is_a_lost_device():
    async def scene(rig, recorder):
        rig.server.set_point("state", 77.0)
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        rig.server.release_point("state")
        await recorder.until(lambda now: not now.faults)

    played(HEIDELBERG, scene)


@pytest.mark.parametrize("fault", [Fault.INTERNAL_ERROR, Fault.PILOT_FAULT])
def test_a_fault_of_the_controller_is_raised_and_cleared(fault):
    async def scene(rig, recorder):
        rig.evse.fault(fault)
        await recorder.until(lambda now: now.faults == {fault})
        rig.evse.clear(fault)
        await recorder.until(lambda now: not now.faults)

    played(HEIDELBERG, scene)


def test_error_bits_are_faults():
    async def scene(rig, recorder):
        rig.evse.fault(Fault.DIODE_FAULT)
        rig.evse.fault(Fault.GROUND_FAILURE)
        await recorder.until(
            lambda now: now.faults == {Fault.DIODE_FAULT, Fault.GROUND_FAILURE}
        )
        rig.evse.clear(Fault.DIODE_FAULT)
        await recorder.until(lambda now: now.faults == {Fault.GROUND_FAILURE})

    played(EVSE_DIN, scene)


def test_an_opening_holds_until_the_next_closing():
    async def scene(rig, recorder):
        await charging(rig, recorder, valid_s=600.0)
        await rig.controller.energize(closed=False)
        await recorder.until(lambda now: now.outlet_closed is False)
        await rig.controller.offer(12.0, valid_s=600.0)
        await asyncio.sleep(10)
        assert rig.evse.offer_a == 0.0
        await rig.controller.energize(closed=True)
        await recorder.until(lambda now: now.outlet_closed)
        assert await rig.wire() == 12.0

    played(HEIDELBERG, scene)


def test_an_opening_without_an_offer_withholds_nothing_from_the_next_one():
    async def scene(rig, recorder):
        await charging(rig, recorder)
        await rig.controller.offer(0.0, valid_s=60.0)
        await rig.controller.energize(closed=False)
        await recorder.until(lambda now: now.pilot is PilotState.B)
        await rig.controller.offer(16.0, valid_s=60.0)
        await recorder.until(lambda now: now.outlet_closed)

    played(HEIDELBERG, scene)


def test_a_lowered_offer_is_never_overtaken_by_the_higher_one_before_it():
    async def scene(rig, recorder):
        await charging(rig, recorder, valid_s=600.0)
        offers: list[float] = []
        rig.server.on_write = lambda _, at, words: offers.append(words[0])
        await asyncio.gather(
            *(rig.controller.offer(limit_a, valid_s=600.0) for limit_a in (12.0, 14.0, 6.0))
        )
        assert offers[-1] == 60
        assert 140 not in offers[offers.index(60) :]

    played(HEIDELBERG, scene)


def test_a_current_that_reads_back_differently_is_an_error():
    async def scene(rig, recorder):
        rig.server.on_write = lambda _, at, words: rig.server.set_words(200, [320], fc=3)
        with pytest.raises(DeviceError, match=r"written as \(160,\), and reads \(320,\)"):
            await rig.controller.offer(16.0, valid_s=60.0)

    played(TEMPLATE, scene)


def test_charging_is_enabled_after_its_limit_and_disabled_before_it():
    async def scene(rig, recorder):
        written: list[tuple[int, ...]] = []
        rig.server.on_write = lambda table, at, words: written.append((table, at, *words))
        await rig.controller.offer(16.0, valid_s=60.0)
        await rig.controller.offer(0.0, valid_s=60.0)
        await rig.controller.lock(locked=True)
        await rig.controller.lock(locked=False)
        assert written == [
            (3, 200, 160), (1, 400, 1), (1, 400, 0), (3, 200, 0), (3, 201, 1), (3, 201, 0),
        ]  # fmt: skip

    played(TEMPLATE, scene)


def test_a_lock_with_feedback_tells_what_it_is():
    async def scene(rig, recorder):
        await rig.controller.lock(locked=True)
        assert (await recorder.next("lock"))[1] is True
        await rig.controller.lock(locked=False)
        assert (await recorder.next("lock"))[1] is False

    played(TEMPLATE, scene)


@pytest.mark.parametrize("refresh", ["set_current", "heartbeat"])
def test_a_watchdog_that_wants_more_than_requests_gets_it(refresh):
    watchdog = structs.replace(
        TEMPLATE.evse.watchdog,
        refresh=refresh,
        heartbeat=TEMPLATE.evse.startup[0] if refresh == "heartbeat" else None,
    )
    register_map = structs.replace(
        TEMPLATE, evse=structs.replace(TEMPLATE.evse, watchdog=watchdog)
    )

    async def scene(rig, recorder):
        await rig.controller.offer(16.0, valid_s=600.0)
        written: list[int] = []
        rig.server.on_write = lambda _, at, words: written.append(at)
        await asyncio.sleep(16)
        assert written.count(258 if refresh == "heartbeat" else 200) >= 3

    played(register_map, scene)


def test_a_tethered_cable_has_no_rating_to_be_read():
    async def scene(rig, recorder):
        await rig.plug()
        await recorder.until(lambda now: now.pilot is PilotState.B)
        assert recorder.cable_a is None
        assert recorder.capabilities.is_tethered

    played(EVSE_DIN, scene, is_tethered=True)


def test_the_temperature_of_the_controller_is_told_when_it_changes():
    async def scene(rig, recorder):
        for temperature_c in (40.0, 41.5):
            rig.server.set_point("temperature", temperature_c)
            assert (await recorder.next("temperature"))[1] == temperature_c
        recorder.log.clear()
        await asyncio.sleep(10)
        assert "temperature" not in recorder.kinds()

    played(HEIDELBERG, scene)


def test_what_cannot_be_is_refused():
    port = TcpPort("127.0.0.1", 1)
    with pytest.raises(BoardError, match="eastron-sdm630 is no map of an EVSE controller"):
        ModbusEvse(port, 1, load_map(MAPS / "eastron-sdm630.toml"))
    with pytest.raises(ValueError, match="must be above 0"):
        ModbusEvse(port, 1, HEIDELBERG, poll_s=0.0)
    with pytest.raises(ValueError, match="is no map of an EVSE controller"):
        ModbusEvseDevice(load_map(MAPS / "eastron-sdm630.toml"), SimulatedEvse())


# --- controllers that ask, and hear their current among those of others: SmartEVSE ---


def test_a_controller_that_asks_gets_its_answer_while_it_is_offered_something():
    async def scene(rig, recorder):
        written: list[tuple[int, ...]] = []
        rig.server.on_write = chained(rig, lambda at, *words: written.append((at, *words)))
        await rig.plug()
        await recorder.until(lambda now: now.pilot is PilotState.B)
        await asyncio.sleep(30)
        assert (0, 5, 0) not in written
        await rig.controller.offer(16.0, valid_s=600.0)
        await recorder.until(lambda now: now.outlet_closed)
        assert [write for write in written if write[0] == 0] == [(0, 5, 0), (0, 7, 0)]
        assert rig.evse.offer_a == 16.0

    played(SMARTEVSE, scene)


def test_a_controller_that_asks_stays_open_until_it_may_close():
    async def scene(rig, recorder):
        rig.device.evse.plug(1, QUICK)
        await rig.controller.offer(16.0, valid_s=600.0)
        await recorder.until(lambda now: now.pilot is PilotState.C)
        await rig.controller.energize(closed=False)
        await recorder.until(lambda now: now.outlet_closed is False)
        await asyncio.sleep(30)
        assert not rig.evse.outlet_closed
        await rig.controller.energize(closed=True)
        await recorder.until(lambda now: now.outlet_closed)

    played(SMARTEVSE, scene)


def test_what_is_plugged_has_a_limit_only_with_a_vehicle():
    async def scene(rig, recorder):
        assert recorder.cable_a is None  # the register says 13 A all the same
        await rig.plug()
        await recorder.until(lambda now: now.pilot is PilotState.B)
        assert recorder.cable_a == 32.0

    played(SMARTEVSE, scene)


def test_a_current_for_all_that_the_device_did_not_hear_is_an_error_and_sent_again():
    async def scene(rig, recorder):
        await charging(rig, recorder, valid_s=600.0)
        rig.server._listens_to = None
        with pytest.raises(DeviceError, match=r"written as \(80,\), and reads \(160,\)"):
            await rig.controller.offer(8.0, valid_s=600.0)
        rig.server._listens_to = 9
        await asyncio.sleep(1)
        assert rig.evse.offer_a == 8.0

    played(SMARTEVSE, scene, fail_after_s=30.0)


def test_a_controller_that_hears_but_does_not_answer_is_sent_nothing_to_charge_with():
    """The currents of the others go on; its own word among them is 0."""

    async def scene(rig, recorder):
        await charging(rig, recorder, valid_s=600.0)
        rig.server._unit = 77
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        await asyncio.sleep(1)
        assert not rig.evse.outlet_closed

    played(SMARTEVSE, scene)


def test_the_watchdog_of_a_controller_that_hears_no_current_ends_the_charge():
    async def main():
        async with rigged(SMARTEVSE) as rig:
            async with served(rig.controller) as recorder:
                await charging(rig, recorder, valid_s=600.0)
                await asyncio.sleep(60)
                assert rig.evse.outlet_closed
            await asyncio.sleep(12)
            assert not rig.evse.outlet_closed

    vloop.run(main())


def test_two_controllers_of_one_line_keep_their_own_currents():
    async def main():
        sent: list[tuple[int, ...]] = []
        async with (
            ModbusEvseDevice(SMARTEVSE, SimulatedEvse(), unit=2) as device,
            TcpPort("127.0.0.1", device.server.port) as port,
        ):
            heard = device.server.on_write

            def on_write(table: int, address: int, words: Sequence[int]) -> None:
                heard(table, address, words)
                if address == 0x20:
                    sent.append(tuple(words))

            device.server.on_write = on_write
            await port.share(9, 0x20, 8, (6, 100))  # another one's, of unit 7
            driver = ModbusEvse(port, 2, SMARTEVSE)
            async with served(driver) as recorder:
                await recorder.until(lambda now: now.pilot is PilotState.A)
                await driver.offer(16.0, valid_s=60.0)
        assert sent[0] == (0, 0, 0, 0, 0, 0, 100, 0)
        assert sent[-1] == (0, 160, 0, 0, 0, 0, 100, 0)

    vloop.run(main())


def chained(rig: Rig, also: Callable[..., None]) -> Callable[[int, int, Sequence[int]], None]:
    """Return what the device does on a write, and something besides."""
    own = rig.server.on_write

    def on_write(table: int, address: int, words: Sequence[int]) -> None:
        also(address, *words)
        own(table, address, words)

    return on_write


# --- Modbus ASCII on a serial line: ABL ---


@asynccontextmanager
async def abl_on_a_line(**options) -> AsyncIterator[Rig]:
    asyncio.get_running_loop().patience_s = 0.001  # a pseudo terminal hands on a moment later
    async with ModbusEvseDevice(ABL, SimulatedEvse(), framing="ascii") as device:
        path = await device.server.start_pty()
        async with SerialPort(path, baudrate=38_400, parity="E", framing="ascii") as port:
            yield Rig(device, ModbusEvse(port, 1, ABL, **options))


@pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
def test_contract_in_ascii_frames(clause):
    async def main() -> None:
        async with abl_on_a_line() as rig:
            await clause(rig)

    vloop.run(main())


def test_a_box_that_sleeps_is_woken_and_asked_again():
    async def main():
        async with abl_on_a_line(poll_s=4.0) as rig:
            rig.server.sleeps_s = 2.0
            async with served(rig.controller) as recorder:
                await charging(rig, recorder, valid_s=600.0)
                await asyncio.sleep(60)
                assert not recorder.faults
                await rig.controller.offer(0.0, valid_s=600.0)
                await recorder.until(lambda now: now.outlet_closed is False)

    vloop.run(main())


def test_an_ascii_line_that_goes_bad_is_a_lost_device_until_it_is_well():
    async def main():
        async with abl_on_a_line() as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            for bad in ("garbage", "down"):
                rig.server.mode = bad
                await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
                rig.server.mode = "up"
                await recorder.until(lambda now: not now.faults)
                assert recorder.pilot is PilotState.A

    vloop.run(main())


# --- the exercise of the bring-up tools ---


def exercised(answer: bool, *, lose: bool = False) -> tuple[bool, list[str], list[float]]:
    """Lead through an exercise; return its outcome, what was said, and what was offered."""
    lines: list[str] = []
    offers: list[float] = []

    async def main() -> bool:
        async with rigged(HEIDELBERG) as rig:

            async def ask(question: str) -> bool:
                offers.append(rig.evse.offer_a)
                if lose:
                    await rig.lose()
                return answer

            await rig.plug()
            outcome = await Exercise(lines.append, ask, patience_s=30.0).run(rig.controller)
            offers.append(await rig.wire())
            return outcome

    return vloop.run(main()), lines, offers


def test_an_exercise_offers_on_the_testers_word_and_ends_with_nothing():
    outcome, lines, offers = exercised(answer=True)
    assert outcome
    assert offers == [0.0, 6.0, 0.0]
    assert "16 A are offered; compare with the tester or a clamp meter" in lines
    assert lines[-1] == "nothing is offered any more"


def test_an_exercise_that_is_refused_offers_nothing():
    outcome, lines, offers = exercised(answer=False)
    assert not outcome
    assert offers == [0.0, 0.0]
    assert not any("are offered" in line for line in lines)


def test_an_exercise_whose_line_breaks_says_that_it_could_not_stop():
    outcome, lines, _ = exercised(answer=True, lose=True)
    assert not outcome
    assert any(line.startswith("the controller did not obey: ") for line in lines)
    assert lines[-1].startswith("it could not be told to stop: ")


def test_an_exercise_that_is_interrupted_takes_the_offer_back():
    lines: list[str] = []

    async def yes(_: str) -> bool:
        return True

    async def main() -> tuple[float, float]:
        offered = asyncio.Event()

        def say(text: str) -> None:
            lines.append(text)
            if text.startswith("6 A are offered"):
                offered.set()

        async with rigged(HEIDELBERG) as rig:
            await rig.plug()
            task = asyncio.ensure_future(
                Exercise(say, yes, patience_s=30.0).run(rig.controller)
            )
            await offered.wait()
            before_a = await rig.wire()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            return before_a, await rig.wire()

    assert vloop.run(main()) == (6.0, 0.0)
    assert lines[-1] == "nothing is offered any more"
