"""The clauses of `hal.api.PowerConverter` as tests that every driver of one must pass.

    @pytest.mark.parametrize("clause", CONVERTER_CLAUSES, ids=clause_name)
    def test_contract(clause):
        vloop.run(with_my_rig(clause))

A rig has at least two modules, a battery at its output and nothing that makes the start soft.
Copy it beside `contract_hal.py`; it needs `pytest` and `hal` only.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any, Protocol

import pytest

from hal.api import ConverterListener, PowerConverter
from hal.errors import BusError
from hal.types import NO_OUTPUT, ConverterLimits, ConverterReading, Fault

PATIENCE_S = 120.0
"""How long a report may take: longer than any module's watchdog."""

PROMPT_S = 0.1
"""How long turning off may take on a line that works."""


class ConverterRecorder(ConverterListener):
    """A listener that keeps what was told last, and everything in order."""

    def __init__(self) -> None:
        self.reading: ConverterReading | None = None
        self.limits: ConverterLimits | None = None
        self.faults: set[Fault] = set()
        self.log: list[tuple[Any, ...]] = []
        self.readings_s: list[float] = []
        self.cleared: Callable[[], None] = lambda: None
        self._changed = asyncio.Event()

    def converter_read(self, reading: ConverterReading) -> None:
        self.reading = reading
        self.readings_s.append(asyncio.get_running_loop().time())
        self._note("reading")

    def converter_available(self, limits: ConverterLimits) -> None:
        self.limits = limits
        self._note("limits", limits)

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        self.faults.add(fault)
        self._note("raised", fault, info)

    def fault_cleared(self, fault: Fault) -> None:
        self.faults.discard(fault)
        self.cleared()
        self._note("cleared", fault)

    def kinds(self) -> list[str]:
        """Return what was told, in order, without the values."""
        return [entry[0] for entry in self.log]

    async def until(self, holds: Callable[["ConverterRecorder"], object]) -> None:
        """Wait until what was told satisfies a condition."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()

    def _note(self, *entry: Any) -> None:
        self.log.append(entry)
        self._changed.set()


class ConverterRig(Protocol):
    """A converter under test and the hand that moves what is behind it."""

    converter: PowerConverter
    battery_v: float
    """Of the battery: more than the converter's least voltage."""
    most: ConverterLimits
    """What it can put out with all modules."""
    lost_s: float
    """How long a module's capacity is kept when nothing is heard of it; 0: the test may end."""

    def delivered_a(self) -> float:
        """Return what flows into the battery now."""

    def output_v(self) -> float:
        """Return the voltage that modules regulate now, 0 when all are off."""

    def most_set_a(self) -> float:
        """Return what the modules that are on are set to deliver together."""

    def leave_on(self) -> None:
        """Let all modules deliver, as a former life may have left them."""

    def lose(self) -> None:
        """Make all modules silent and deaf towards the driver."""

    def lose_one(self) -> None:
        """Pull one module out."""

    def restore(self) -> None:
        """Let them all be there again."""


@asynccontextmanager
async def served(converter: PowerConverter) -> AsyncIterator[ConverterRecorder]:
    """Run a converter with a fresh recorder around a block."""
    recorder = ConverterRecorder()
    task = asyncio.create_task(converter.run(recorder))
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def ready(rig: ConverterRig, recorder: ConverterRecorder) -> None:
    """Wait until all modules are there and may be told what to put out."""
    await recorder.until(lambda now: now.limits == rig.most and now.reading is not None)
    await asyncio.sleep(5.0)


async def delivering(rig: ConverterRig, current_a: float, *, valid_s: float = 600.0) -> None:
    """Set an output that the battery takes, and wait until it flows."""
    await rig.converter.set_output(charging_v(rig), current_a, valid_s=valid_s)
    async with asyncio.timeout(PATIENCE_S):
        while rig.delivered_a() < 0.9 * current_a:  # noqa: ASYNC110 - a battery sets no event
            await asyncio.sleep(0.05)


def charging_v(rig: ConverterRig) -> float:
    """Return a voltage that charges the battery."""
    return min(1.1 * rig.battery_v, rig.most.max_v)


def some_a(rig: ConverterRig) -> float:
    """Return a current that the rig can deliver at any of its voltages."""
    return 0.25 * min(rig.most.max_a, rig.most.max_w / rig.most.max_v)


async def clause_c1_what_a_former_life_left_on_is_off_before_anything_can_be_set(
    rig: ConverterRig,
) -> None:
    rig.leave_on()
    async with served(rig.converter) as recorder:
        await recorder.until(lambda now: now.reading is not None)
        assert rig.output_v() == 0
        await ready(rig, recorder)
        assert rig.output_v() == 0


async def clause_c1_the_output_is_off_when_run_ends_and_it_may_be_run_again(
    rig: ConverterRig,
) -> None:
    for _ in range(2):
        async with served(rig.converter) as recorder:
            await ready(rig, recorder)
            await delivering(rig, some_a(rig))
        await asyncio.sleep(PROMPT_S)
        assert rig.output_v() == 0
        with pytest.raises(BusError):
            await rig.converter.set_output(charging_v(rig), 1.0, valid_s=1.0)


async def clause_c2_what_is_outside_the_limits_is_refused_and_changes_nothing(
    rig: ConverterRig,
) -> None:
    most = rig.most
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig))
        before = (rig.output_v(), rig.most_set_a())
        for voltage_v, current_a, valid_s in (
            (most.min_v - 0.1, 1.0, 1.0),
            (most.max_v + 0.1, 1.0, 1.0),
            (most.max_v, most.max_a + 0.1, 1.0),
            (most.max_v, 1.01 * most.max_w / most.max_v, 1.0),
            (most.max_v, -0.1, 1.0),
            (math.nan, 1.0, 1.0),
            (most.max_v, 1.0, 0.0),
        ):
            with pytest.raises(ValueError, match=r"can be put out|valid for more than"):
                await rig.converter.set_output(voltage_v, current_a, valid_s=valid_s)
        await asyncio.sleep(2.0)
        assert (rig.output_v(), rig.most_set_a()) == before


async def clause_c2_neither_voltage_nor_current_exceeds_what_was_set(rig: ConverterRig) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig))
        for part in (0.9171, 0.1234567, 0.777777, 0.5, 0.3333333):
            voltage_v = charging_v(rig) - part
            current_a = part * some_a(rig)
            await rig.converter.set_output(voltage_v, current_a, valid_s=60.0)
            await asyncio.sleep(3.0)
            assert voltage_v - 0.1 < rig.output_v() <= voltage_v
            assert 0.95 * current_a < rig.most_set_a() <= current_a + 1e-9


async def clause_c2_the_product_is_what_counts_at_the_limits(rig: ConverterRig) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig))
        voltage_v = charging_v(rig)
        current_a = min(rig.most.max_a, rig.most.max_w / voltage_v)
        await rig.converter.set_output(voltage_v, current_a, valid_s=60.0)
        await asyncio.sleep(3.0)
        assert 0.99 * current_a < rig.most_set_a() <= current_a + 1e-9


async def clause_c3_an_output_is_kept_up_without_further_calls_and_ends_by_itself(
    rig: ConverterRig,
) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig), valid_s=30.0)
        await asyncio.sleep(25.0)  # longer than any watchdog that turns a module off
        assert rig.delivered_a() > 0
        await asyncio.sleep(5.0 + PROMPT_S)
        assert rig.output_v() == 0


async def clause_c3_each_call_counts_anew(rig: ConverterRig) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig), valid_s=30.0)
        await rig.converter.set_output(charging_v(rig), some_a(rig), valid_s=0.3)
        await asyncio.sleep(0.3 + PROMPT_S)
        assert rig.output_v() == 0


async def clause_c4_turning_off_overtakes_and_holds(rig: ConverterRig) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await rig.converter.turn_off()  # nothing is on; never refused
        await delivering(rig, some_a(rig))
        await rig.converter.turn_off()
        await asyncio.sleep(PROMPT_S)
        assert rig.output_v() == 0
        await asyncio.sleep(3.0)
        assert rig.output_v() == 0


async def clause_c4_what_was_turned_off_does_not_come_back_after_a_loss(
    rig: ConverterRig,
) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig))
        rig.lose()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        with pytest.raises(BusError):
            await rig.converter.turn_off()
        rig.restore()
        await recorder.until(lambda now: not now.faults)
        assert rig.output_v() == 0
        await asyncio.sleep(3.0)
        assert rig.output_v() == 0


async def clause_c5_a_lost_module_counts_until_its_own_watchdog_has_acted(
    rig: ConverterRig,
) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig))
        rig.lose_one()
        await asyncio.sleep(0.7 * rig.lost_s)
        assert recorder.limits == rig.most
        await recorder.until(lambda now: now.limits != rig.most)
        assert NO_OUTPUT.max_a < recorder.limits.max_a < rig.most.max_a
        assert not recorder.faults
        rig.restore()
        await recorder.until(lambda now: now.limits == rig.most)
        await asyncio.sleep(5.0)
        assert 0.95 * some_a(rig) < rig.most_set_a() <= some_a(rig)


async def clause_c6_without_any_module_it_is_a_fault_until_what_is_wanted_is_on_the_wire(
    rig: ConverterRig,
) -> None:
    await _lost_and_found(rig, 0.0)


async def clause_c6_so_it_is_when_they_come_back_after_their_watchdogs_have_acted(
    rig: ConverterRig,
) -> None:
    await _lost_and_found(rig, rig.lost_s + 5.0)


async def _lost_and_found(rig: ConverterRig, away_s: float) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig))
        rig.lose()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        with pytest.raises(BusError):
            await rig.converter.set_output(charging_v(rig), 1.0, valid_s=60.0)
        await asyncio.sleep(away_s)
        seen = []
        recorder.cleared = lambda: seen.append((rig.output_v(), rig.most_set_a()))
        recorder.log.clear()
        rig.restore()
        await recorder.until(lambda now: not now.faults)
        ((voltage_v, current_a),) = seen
        assert charging_v(rig) - 0.1 < voltage_v <= charging_v(rig)
        assert 0 < current_a <= some_a(rig)
        assert "reading" not in recorder.kinds()[: recorder.kinds().index("cleared")]


async def clause_c6_a_converter_that_is_not_there_is_a_fault(rig: ConverterRig) -> None:
    rig.lose()
    async with served(rig.converter) as recorder:
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        assert recorder.limits == NO_OUTPUT
        assert recorder.reading is None
        rig.restore()
        await recorder.until(lambda now: now.limits == rig.most and not now.faults)


async def clause_c7_readings_are_fresh_sums(rig: ConverterRig) -> None:
    async with served(rig.converter) as recorder:
        await ready(rig, recorder)
        await delivering(rig, some_a(rig))
        await asyncio.sleep(3.0)
        assert recorder.reading.current_a == pytest.approx(rig.delivered_a(), rel=0.01)
        assert rig.battery_v <= recorder.reading.voltage_v <= charging_v(rig) + 0.1
        told_s = recorder.readings_s[-3:]
        assert max(after - before for before, after in pairwise(told_s)) <= 1.1
        rig.lose()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        count = len(recorder.readings_s)
        await asyncio.sleep(3.0)
        assert len(recorder.readings_s) == count


CONVERTER_CLAUSES = [
    value for name, value in list(globals().items()) if name.startswith("clause_c")
]
