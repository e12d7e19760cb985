"""Power modules of every family on a CAN line: the contract, and lines and modules that go bad."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import NoReturn

import can
import pytest
from can.interfaces.virtual import VirtualBus

from hal.bus.can import virtual
from hal.bus.turns import Priority
from hal.converter_settings import (
    ConverterSettings,
    InfypowerSettings,
    MaxwellSettings,
    ModuleSettings,
    R48xxSettings,
    UUGreenSettings,
    WinlineSettings,
)
from hal.drivers.module_families import power_modules
from hal.errors import BusError
from hal.protocols.mxr import DPM1000, WINLINE
from hal.protocols.power_module import Alarm
from hal.sim.module_line import InfypowerLine, ModuleLine, MxrLine, R48xxLine, UUGreenLine
from hal.sim.module_line import served as answering
from hal.sim.power_module import Load, SimulatedModule, SimulatedRack
from hal.types import NO_OUTPUT, CanFrame, ConverterLimits, Fault
from tests.support import vloop
from tests.support.can_frames import frame
from tests.support.contract_converter import (
    CONVERTER_CLAUSES,
    ConverterRig,
    charging_v,
    delivering,
    ready,
    served,
    some_a,
)
from tests.support.contract_hal import clause_name

_CHANNELS = itertools.count()

HV = ModuleSettings(min_v=150.0, max_v=1000.0, max_a=100.0, max_w=30_000.0)
TELECOM = ModuleSettings(min_v=41.5, max_v=58.5, max_a=50.0, max_w=2_900.0)
ADDRESSES = (1, 2, 5)
BOARD = {"port": "can", "max_v": 920.0, "max_a": 250.0, "max_w": 80_000.0}
LOW_BOARD = {"port": "can", "max_v": 58.0, "max_a": 120.0, "max_w": 8_000.0}


class Rig(ConverterRig):
    """Three modules of a family, a battery, and a line between them and the driver."""

    def __init__(
        self,
        settings: ConverterSettings,
        line: Callable[[SimulatedRack], ModuleLine],
        module: ModuleSettings = HV,
        battery_v: float = 400.0,
        lost_s: float = 15.0,
        watchdog_s: float = 10.0,
        addresses: tuple[int, ...] = ADDRESSES,
    ) -> None:
        channel = f"power modules {next(_CHANNELS)}"
        self.port, self.far = virtual(channel), virtual(channel)
        self.converter = power_modules(self.port, settings)
        self.battery_v, self.lost_s = battery_v, lost_s
        self.modules = [
            SimulatedModule(
                address,
                module.min_v,
                module.max_v,
                module.max_a,
                module.max_w,
                watchdog_s=watchdog_s,
                is_high=False,
            )
            for address in addresses
        ]
        self.rack = SimulatedRack(self.modules, Load(battery_v, 0.05))
        self.line = line(self.rack)
        self.most = ConverterLimits(
            module.min_v,
            min(settings.max_v, module.max_v),
            min(settings.max_a, len(addresses) * module.max_a),
            min(settings.max_w, len(addresses) * module.max_w),
        )

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def delivered_a(self) -> float:
        return self.rack.delivered_a(self.now_s)

    def output_v(self) -> float:
        if self.far._bus is not None:
            self.far._take(self.far._bus)  # what is on the wire has arrived
        return max(one.wanted_v(self.now_s) for one in self.modules)

    def most_set_a(self) -> float:
        return sum(one.set_a for one in self.modules if one.is_on)

    def leave_on(self) -> None:
        for one in self.modules:
            one.is_on, one.set_v, one.set_a = True, 1.05 * self.battery_v, 10.0

    def lose(self) -> None:
        for one in self.modules:
            one.is_deaf = True

    def lose_one(self) -> None:
        self.modules[1].is_away, self.modules[1].is_on = True, False

    def restore(self) -> None:
        for one in self.modules:
            one.is_deaf = one.is_away = False

    async def run(self, clause: Callable[["Rig"], Awaitable[None]]) -> None:
        try:
            async with answering(self.far, self.line):
                await clause(self)
        finally:
            self.port.close()
            self.far.close()


def infypower(**changes: object) -> Rig:
    settings = {**BOARD, "modules": ADDRESSES, **changes}
    return Rig(InfypowerSettings(**settings), InfypowerLine)


FAMILIES: dict[str, Callable[[], Rig]] = {
    "infypower": infypower,
    "infypower discovered": lambda: infypower(modules="discover", module=HV),
    "winline": lambda: Rig(
        WinlineSettings(**BOARD, modules=ADDRESSES, module=HV),
        lambda rack: MxrLine(rack, WINLINE),
    ),
    "maxwell": lambda: Rig(
        MaxwellSettings(**BOARD, modules="discover", module=HV),
        lambda rack: MxrLine(rack, DPM1000),
    ),
    "uugreen": lambda: Rig(UUGreenSettings(**BOARD, modules=ADDRESSES, module=HV), UUGreenLine),
    "uugreen in its high range": lambda: Rig(
        UUGreenSettings(**BOARD, modules=ADDRESSES, module=HV), UUGreenLine, battery_v=700.0
    ),
    "r48xx": lambda: Rig(
        R48xxSettings(**LOW_BOARD, modules=ADDRESSES, module=TELECOM, counts_per_a=20.0),
        lambda rack: R48xxLine(rack, 20.0),
        TELECOM,
        battery_v=50.0,
        lost_s=65.0,
        watchdog_s=60.0,
    ),
}


@pytest.mark.parametrize("clause", CONVERTER_CLAUSES, ids=clause_name)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_contract(family, clause):
    rig = FAMILIES[family]
    vloop.run(_with(rig, clause))


async def _with(rig: Callable[[], Rig], clause: Callable[[Rig], Awaitable[None]]) -> None:
    await rig().run(clause)


# --- what each family is told, as frames ---


def test_what_goes_out_is_in_the_order_that_the_makers_ask_for():
    """Infypower: off, and only then how to start, voltage and current, on."""

    async def clause(rig):
        sent = []
        with rig.far.heard_by(sent.append):
            async with served(rig.converter) as recorder:
                await ready(rig, recorder)
                assert sent[:3] == [frame(f"029A0{one}F0 01") for one in ADDRESSES]
                assert not {one.can_id for one in sent} & {0x029C01F0, 0x029301F0}
                sent.clear()
                await rig.converter.set_output(500.0, 150.0, valid_s=60.0)
                await asyncio.sleep(0.1)
                assert sent[:3] == [
                    frame("029301F0 00"),
                    frame("029C01F0 00 07 A1 20 00 00 C3 50"),
                    frame("029A01F0 00"),
                ]
                await asyncio.sleep(2.0)
                sent.clear()
                await asyncio.sleep(0.6)
                assert frame("029C01F0 00 07 A1 20 00 00 C3 50") in sent
                assert frame("029A01F0 00") not in sent  # it says that it is on

    vloop.run(infypower().run(clause))


def test_a_converter_is_ready_as_soon_as_its_modules_have_answered():
    """Not a round later: a vehicle waits 7 s for its voltage."""

    async def clause(rig):
        began_s = rig.now_s
        async with served(rig.converter) as recorder:
            await recorder.until(lambda now: now.limits == rig.most)
            while True:
                with suppress(BusError):
                    await rig.converter.set_output(450.0, 30.0, valid_s=60.0)
                    break
                await asyncio.sleep(0.01)
            assert rig.now_s - began_s < 0.5
            assert not recorder.faults

    vloop.run(infypower().run(clause))


def test_those_that_are_listed_share_their_line_with_others():
    """Nothing is said to all modules: two converters may be on one line."""

    async def clause(rig):
        sent = []
        with rig.far.heard_by(sent.append):
            async with served(rig.converter) as recorder:
                await ready(rig, recorder)
                await delivering(rig, 30.0)
                await rig.converter.turn_off()
        assert {one.can_id >> 8 & 0xFF for one in sent} == set(ADDRESSES)

    vloop.run(infypower().run(clause))


def test_turning_off_overtakes_a_round_that_is_under_way():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            sent = []
            with rig.far.heard_by(sent.append):
                await rig.converter.set_output(450.0, 60.0, valid_s=60.0)
                await asyncio.sleep(0.003)  # a frame takes 1.28 ms
                await rig.converter.turn_off()
                await asyncio.sleep(1.0)
            turned_on = [
                one for one in sent if one.can_id & 0xFF0000 == 0x9A0000 and not one.data[0]
            ]
            first_off = next(at for at, one in enumerate(sent) if one == frame("029A01F0 01"))
            assert first_off <= 4
            assert all(sent.index(one) < first_off for one in turned_on)
            assert rig.output_v() == 0

    vloop.run(infypower().run(clause))


def test_turning_off_overtakes_what_others_have_to_say_on_the_same_line():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            sent = []
            other = CanFrame(0x02204000, bytes(8))
            with rig.far.heard_by(sent.append):
                async with asyncio.TaskGroup() as group:
                    for _ in range(20):
                        group.create_task(rig.port.send(other, priority=Priority.COMMAND))
                    await asyncio.sleep(0)
                    group.create_task(rig.converter.turn_off())
                await asyncio.sleep(0.1)
            assert sent.index(frame("029A05F0 01")) <= 4

    vloop.run(infypower().run(clause))


def test_the_range_changes_with_the_output_off_and_a_pause_on_both_sides():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, 30.0)
            rig.rack.load.emf_v = 700.0
            seen = []
            with rig.far.heard_by(
                lambda one: seen.append((rig.now_s, one.data[:2], rig.output_v()))
            ):
                await rig.converter.set_output(750.0, 30.0, valid_s=60.0)
                async with asyncio.timeout(10):
                    while rig.delivered_a() < 25.0:  # noqa: ASYNC110 - a battery sets no event
                        await asyncio.sleep(0.05)
            changed = [at for at in seen if at[1] == bytes((0, 95))]
            assert len(changed) == len(ADDRESSES)
            assert all(voltage_v == 0 for *_, voltage_v in changed)
            on = [at_s for at_s, *_, voltage_v in seen if voltage_v]
            off_s = min(at_s for at_s, *_, voltage_v in seen if not voltage_v)
            assert min(at for at, *_ in changed) - off_s >= 2.0
            assert min(at for at in on if at > off_s) - max(at for at, *_ in changed) >= 1.9
            await rig.converter.set_output(450.0, 30.0, valid_s=60.0)  # stays in that range
            await asyncio.sleep(1.0)
            assert rig.output_v() == 450.0

    vloop.run(FAMILIES["uugreen"]().run(clause))


def test_modules_walk_in_when_the_board_file_says_so():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await rig.converter.set_output(450.0, 30.0, valid_s=60.0)
            await asyncio.sleep(2.0)
            assert 100.0 < rig.output_v() < 250.0
            await asyncio.sleep(4.0)
            assert rig.output_v() == 450.0

    vloop.run(infypower(walk_in=True).run(clause))


# --- modules that go bad ---


def alarm(rig: Rig, which: int, found: Alarm) -> None:
    rig.modules[which].alarms.add(found)


def test_a_hot_module_is_turned_off_and_the_others_go_on():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, 30.0)
            alarm(rig, 0, Alarm.OVER_TEMPERATURE)
            await recorder.until(lambda now: now.limits.max_a == 200.0)
            await asyncio.sleep(2.0)
            assert not rig.modules[0].is_on
            assert rig.most_set_a() == 30.0
            assert not recorder.faults
            for which in (1, 2):
                alarm(rig, which, Alarm.OVER_TEMPERATURE)
            await recorder.until(lambda now: now.faults == {Fault.HIGH_TEMPERATURE})
            assert recorder.limits == NO_OUTPUT
            assert rig.output_v() == 0
            for module in rig.modules:
                module.alarms.clear()
            await recorder.until(lambda now: not now.faults and now.limits == rig.most)
            await asyncio.sleep(2.0)
            assert rig.output_v() == 0  # what was cut does not come back by itself

    vloop.run(infypower().run(clause))


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (Alarm.OUTPUT_OVER_VOLTAGE, Fault.OVER_VOLTAGE),
        (Alarm.OUTPUT_SHORT, Fault.OVER_CURRENT),
        (Alarm.ADDRESS_DUPLICATE, Fault.INTERNAL_ERROR),
    ],
)
def test_what_is_dangerous_in_one_module_turns_all_off(found, fault):
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, 30.0)
            alarm(rig, 1, found)
            await recorder.until(lambda now: now.faults == {fault})
            await asyncio.sleep(0.1)
            assert rig.output_v() == 0
            with pytest.raises(ValueError, match="0 to 0 V"):
                await rig.converter.set_output(450.0, 1.0, valid_s=1.0)

    vloop.run(infypower().run(clause))


def test_a_module_that_hears_and_is_silent_is_off_before_it_stops_counting():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, 30.0)
            rig.modules[1].is_silent = True
            await asyncio.sleep(5.0)
            assert not rig.modules[1].is_on
            while recorder.limits == rig.most:
                assert rig.most_set_a() <= 20.0
                await asyncio.sleep(0.1)
            await asyncio.sleep(2.0)
            assert rig.most_set_a() == 30.0

    vloop.run(infypower().run(clause))


def test_a_module_that_loses_its_power_for_a_moment_is_turned_on_again():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, 30.0)
            rig.modules[1].is_on, rig.modules[1].set_a = False, 0.0
            await asyncio.sleep(2.0)
            assert rig.modules[1].is_on
            assert rig.most_set_a() == 30.0

    vloop.run(infypower().run(clause))


def test_who_comes_and_goes_and_whom_an_alarm_takes_out_is_in_the_log(caplog):
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            alarm(rig, 0, Alarm.FAULT)
            alarm(rig, 0, Alarm.POWER_LIMITED)  # no reason for a line
            await recorder.until(lambda now: now.limits != rig.most)
            rig.modules[0].alarms.clear()
            await recorder.until(lambda now: now.limits == rig.most)
            rig.lose_one()
            await recorder.until(lambda now: now.limits != rig.most)

    caplog.set_level("INFO")
    vloop.run(infypower().run(clause))
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "module 1 is there",
        "module 2 is there",
        "module 5 is there",
        "module 1: fault",
        "module 1: no alarm any more",
        "module 2 is lost",
    ]


def test_less_does_not_wait_for_questions():
    """Thirty modules are asked for a tenth of a second; less is on the wire before that."""

    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, 150.0)
            await asyncio.sleep(2.0)  # they have said that they are on
            sent = []
            with rig.far.heard_by(lambda one: sent.append((rig.now_s, one))):
                await rig.converter.set_output(450.0, 149.0, valid_s=60.0)
                await asyncio.sleep(0.060)  # in the middle of its questions
                began_s = rig.now_s
                await rig.converter.set_output(450.0, 30.0, valid_s=60.0)
                await asyncio.sleep(0.5)
            less = [
                at_s
                for at_s, one in sent
                if one.can_id & 0xFF0000 == 0x9C0000 and int.from_bytes(one.data[4:]) <= 1000
            ]
            assert len(less) >= 30
            assert less[29] - began_s < 30 * 0.00128 + 0.025

    addresses = tuple(range(30))
    settings = InfypowerSettings(**BOARD, modules=addresses)
    vloop.run(Rig(settings, InfypowerLine, addresses=addresses).run(clause))


# --- lines that go bad ---


class Spoiled(ModuleLine):
    """A line on which some frames are lost, and some answers are something else."""

    def __init__(self, line: ModuleLine, seed: int, lost: float, spoiled: float) -> None:
        super().__init__(line.rack)
        self._line, self._lost, self._spoiled = line, lost, spoiled
        self._random = random.Random(seed)

    def answers(self, frame: CanFrame, now_s: float) -> Iterator[CanFrame]:
        if self._random.random() < self._lost:
            return
        for answer in self._line.answers(frame, now_s):
            if self._random.random() < self._spoiled:
                yield self._other(answer)
            elif self._random.random() >= self._lost:
                yield answer

    def _other(self, answer: CanFrame) -> CanFrame:
        dice = self._random
        return dice.choice(
            [
                CanFrame(answer.can_id, answer.data[: dice.randrange(8)]),
                CanFrame(answer.can_id, dice.randbytes(2) + b"\xff" * 6),
                CanFrame(answer.can_id ^ 1 << dice.randrange(29), answer.data),
                CanFrame(dice.getrandbits(29), dice.randbytes(8)),
            ]
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_on_a_bad_line_nothing_is_exceeded_and_everything_ends(family):
    """A tenth of all frames lost, and a tenth of the answers something else."""

    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            rig.line.is_bad = True
            for part in (0.5, 1.0, 0.3):
                wanted_a = part * some_a(rig)
                with suppress(BusError, ValueError):
                    await rig.converter.set_output(charging_v(rig), wanted_a, valid_s=20.0)
                await asyncio.sleep(3.0)  # a lost frame is made up for
                for _ in range(100):
                    assert rig.most_set_a() <= wanted_a + 1e-9
                    assert rig.output_v() <= charging_v(rig)
                    await asyncio.sleep(0.1)
            with suppress(BusError):
                await rig.converter.turn_off()
            await asyncio.sleep(3.0)
            for _ in range(50):
                assert rig.output_v() == 0
                await asyncio.sleep(0.1)

    rig = FAMILIES[family]
    vloop.run(_spoiled(rig, clause))


async def _spoiled(rig: Callable[[], Rig], clause: Callable[[Rig], Awaitable[None]]) -> None:
    made = rig()
    made.line = Turning(made.line)
    await made.run(clause)


class Turning(ModuleLine):
    """A line that goes bad in the middle of a test."""

    def __init__(self, line: ModuleLine) -> None:
        super().__init__(line.rack)
        self.is_bad = False
        self._good, self._bad = line, Spoiled(line, seed=7, lost=0.1, spoiled=0.1)

    def answers(self, frame: CanFrame, now_s: float) -> Iterator[CanFrame]:
        return (self._bad if self.is_bad else self._good).answers(frame, now_s)


def test_bus_off_during_an_output_is_got_over():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, 30.0)
            with VirtualBus(rig.port.name) as other:
                other.send(can.Message(arbitration_id=0x40, is_error_frame=True))
            await asyncio.sleep(2.0)
            assert rig.port.counters.bus_offs == 1
            assert rig.port.counters.connects == 2
            assert rig.most_set_a() == 30.0
            assert not recorder.faults

    vloop.run(infypower().run(clause))


def test_without_an_adapter_an_output_ends_by_the_modules_own_watchdog():
    async def clause(rig):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, 30.0, valid_s=5.0)
            rig.port._open_bus = _no_adapter
            rig.port.close()
            await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
            raised = next(entry for entry in recorder.log if entry[0] == "raised")
            assert "No such device" in raised[2] or "not open" in raised[2]
            await asyncio.sleep(8.0)
            rig.rack.settle(rig.now_s)
            assert rig.output_v() == 0
            with pytest.raises(BusError):
                await rig.converter.turn_off()

    vloop.run(infypower().run(clause))


def _no_adapter() -> NoReturn:
    raise can.CanInitializationError("No such device")
