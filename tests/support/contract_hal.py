"""The clauses of `hal.api` as tests that every driver and every simulator must pass.

A test module builds a rig around its driver and the simulated or real device behind it, and
runs every entry against a fresh one:

    @pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
    def test_contract(clause):
        asyncio.run(with_my_rig(clause))

    driver of                   rig          entries
    EvseController              Rig          CLAUSES
      with a temperature        WarmRig      TEMPERATURE_CLAUSES
    ResidualCurrent, Indicator  BoardRig     BOARD_CLAUSES
      with a phase switch       SwitchRig    PHASES_CLAUSES
    Meter, SignedMeter          MeterRig     METER_CLAUSES, SIGNED_CLAUSES
    TokenReader                 ReaderRig    READER_CLAUSES
    DigitalInput                InputRig     INPUT_CLAUSES
    PowerConverter              ConverterRig, in contract_converter.py

The number in a clause's name is the number of the clause in the docstrings of `hal.api`.
"""

import asyncio
import json
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import pytest

from hal.api import (
    Device,
    DigitalInput,
    EvseController,
    EvseListener,
    Indicator,
    Meter,
    PhaseSwitch,
    ResidualCurrent,
    TokenReader,
)
from hal.errors import BusError, HalError
from hal.types import EvseCapabilities, Fault, IdToken, Light, MeterReading, PilotState

PATIENCE_S = 20.0
"""How long a report may take before a test gives up."""

REPORT_S = 5.0
"""The longest pause between two readings (M1)."""

LISTEN_S = 0.1
"""What a reader gets to open its line before a token is held before it."""


class Recorder(EvseListener):
    """A listener that keeps the present levels and the last reports, and can be awaited."""

    def __init__(self) -> None:
        self.pilot: PilotState | None = None
        self.connector_id: int | None = None
        self.outlet_closed: bool | None = None
        self.locked: bool | None = None
        self.cable_a: float | None = None
        self.temperature_c: float | None = None
        self.faults: set[Fault] = set()
        self.readings: deque[MeterReading] = deque(maxlen=10_000)
        self.tokens: list[IdToken] = []
        self.capabilities: EvseCapabilities | None = None
        self.log: deque[tuple[Any, ...]] = deque(maxlen=1_000)
        self._changed = asyncio.Event()

    def pilot_changed(self, pilot: PilotState, connector_id: int = 1) -> None:
        self.pilot, self.connector_id = pilot, connector_id
        self._note("pilot", pilot, connector_id)

    def outlet_changed(self, *, closed: bool) -> None:
        self.outlet_closed = closed
        self._note("outlet", closed)

    def lock_changed(self, *, locked: bool) -> None:
        self.locked = locked
        self._note("lock", locked)

    def cable_changed(self, ampacity_a: float | None) -> None:
        self.cable_a = ampacity_a
        self._note("cable", ampacity_a)

    def temperature_read(self, temperature_c: float) -> None:
        self.temperature_c = temperature_c
        self._note("temperature", temperature_c)

    def meter_read(self, reading: MeterReading) -> None:
        self.readings.append(reading)
        self._note("meter")

    def meter_failed(self, reason: str) -> None:
        self._note("meter_failed", reason)

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        self.faults.add(fault)
        self._note("raised", fault)

    def fault_cleared(self, fault: Fault) -> None:
        self.faults.discard(fault)
        self._note("cleared", fault)

    def token_presented(self, id_token: IdToken) -> None:
        self.tokens.append(id_token)
        self._note("token", id_token)

    def detected(self, capabilities: EvseCapabilities) -> None:
        self.capabilities = capabilities
        self._note("detected", capabilities)

    def kinds(self) -> list[str]:
        """Return what was reported, in order, without the values."""
        return [entry[0] for entry in self.log]

    async def until(self, holds: Callable[["Recorder"], object]) -> None:
        """Wait until the recorded levels satisfy a condition."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()

    async def next(self, kind: str) -> tuple[Any, ...]:
        """Wait for the next report of a kind, and return it."""
        self.log.clear()
        await self.until(lambda recorder: kind in recorder.kinds())
        return next(entry for entry in self.log if entry[0] == kind)

    def _note(self, *entry: Any) -> None:
        self.log.append(entry)
        self._changed.set()


class Rig(Protocol):
    """A controller under test and the hand that moves what is behind it."""

    controller: EvseController
    closes_by_itself: bool
    """Its contactor follows the offer, as `EvseController.energize` allows."""

    async def plug(self) -> None:
        """Plug in a vehicle that wants energy and closes S2 as soon as it is offered."""

    async def unplug(self) -> None:
        """Take it away."""

    async def lose(self) -> None:
        """Make the device silent towards its driver."""

    async def restore(self) -> None:
        """Let it answer again."""


@asynccontextmanager
async def served(device: Device) -> AsyncIterator[Recorder]:
    """Run a device with a fresh recorder around a block."""
    recorder = Recorder()
    task = asyncio.create_task(device.run(recorder))
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def charging(rig: Rig, recorder: Recorder, *, valid_s: float = 60.0) -> None:
    """Bring a rig without a vehicle to a closed contactor."""
    await recorder.until(lambda now: now.pilot is PilotState.A)
    await rig.plug()
    await rig.controller.offer(16.0, valid_s=valid_s)
    await recorder.until(lambda now: now.pilot is PilotState.C)
    await rig.controller.energize(closed=True)
    await recorder.until(lambda now: now.outlet_closed)


async def clause_1_run_makes_safe_first(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await charging(rig, recorder)
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.B)
        await recorder.until(lambda now: now.outlet_closed is False)


async def clause_1_run_may_be_run_again(rig: Rig) -> None:
    for _ in range(3):
        async with served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)


async def clause_2_the_present_levels_are_reported_at_once(rig: Rig) -> None:
    await rig.plug()
    async with served(rig.controller) as recorder:
        await recorder.until(
            lambda now: {"detected", "pilot", "outlet", "cable"} <= set(now.kinds())
        )
        assert recorder.pilot is PilotState.B
        assert recorder.connector_id == 1
        assert recorder.outlet_closed is False
        assert recorder.capabilities is not None
        assert recorder.capabilities.max_a >= 6.0


async def clause_2_every_settled_change_is_reported(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await charging(rig, recorder)
        await rig.controller.offer(0.0, valid_s=60.0)
        await recorder.until(lambda now: now.pilot is PilotState.B)
        await recorder.until(lambda now: now.outlet_closed is False)
        await rig.unplug()
        await recorder.until(lambda now: now.pilot is PilotState.A)


async def clause_o1_closing_is_refused_silently_without_a_ready_vehicle(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        await rig.controller.offer(16.0, valid_s=60.0)
        await rig.controller.energize(closed=True)
        await rig.plug()
        await recorder.until(lambda now: now.pilot is PilotState.C)
        states = list(recorder.log)
        if not rig.closes_by_itself:
            assert ("outlet", True) not in states
        elif ("outlet", True) in states:
            assert states.index(("pilot", PilotState.C, 1)) < states.index(("outlet", True))


async def clause_o2_opening_is_never_refused(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await rig.controller.energize(closed=False)
        await charging(rig, recorder)
        await rig.controller.energize(closed=False)
        await recorder.until(lambda now: now.outlet_closed is False)


async def clause_3_a_cancelled_command_leaves_a_device_that_obeys_the_next(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await charging(rig, recorder)
        opening = asyncio.create_task(rig.controller.energize(closed=False))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        await rig.controller.energize(closed=False)
        await recorder.until(lambda now: now.outlet_closed is False)
        await rig.controller.energize(closed=True)
        await recorder.until(lambda now: now.outlet_closed is True)


async def clause_p1_an_offer_that_pwm_cannot_make_is_an_error(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        for limit_a in (5.9, -1.0, 80.1, float("nan")):
            with pytest.raises(ValueError, match="0 or 6 to 80 A"):
                await rig.controller.offer(limit_a, valid_s=60.0)
        with pytest.raises(ValueError, match="more than 0 s"):
            await rig.controller.offer(16.0, valid_s=0.0)


async def clause_4_a_lost_device_is_a_communication_fault_until_it_answers(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        await rig.lose()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        for command in (
            rig.controller.offer(16.0, valid_s=60.0),
            rig.controller.energize(closed=False),
            rig.controller.lock(locked=True),
        ):
            with pytest.raises(BusError):
                await command
        recorder.log.clear()
        await rig.plug()
        await rig.restore()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT not in now.faults)
        await recorder.until(lambda now: now.pilot is PilotState.B)
        kinds = recorder.kinds()
        assert kinds.index("cleared") < kinds.index("pilot")


async def clause_5_without_a_renewed_offer_the_contactor_opens(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await charging(rig, recorder, valid_s=0.5)
        await recorder.until(lambda now: now.outlet_closed is False)
        await recorder.until(lambda now: now.pilot is PilotState.B)


async def clause_5_a_renewed_offer_keeps_it_closed(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await charging(rig, recorder, valid_s=0.5)
        for _ in range(4):
            await rig.controller.offer(16.0, valid_s=60.0)
        recorder.log.clear()
        await rig.controller.offer(10.0, valid_s=0.2)
        await recorder.until(lambda now: now.outlet_closed is False)


async def clause_l1_a_lock_with_feedback_says_what_it_did(rig: Rig) -> None:
    await rig.plug()
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.B)
        is_known = recorder.locked is not None
        for locked in (True, False):
            await rig.controller.lock(locked=locked)
            if is_known:  # one without feedback, or without a lock, never says anything
                await recorder.until(lambda now, wanted=locked: now.locked is wanted)
        assert (recorder.locked is not None) is is_known


async def clause_l2_what_a_lock_holds_stays_held(rig: Rig) -> None:
    await rig.plug()
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.B)
        await rig.controller.lock(locked=True)
        if recorder.locked is None:
            return
        await recorder.until(lambda now: now.locked)
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.B)
        assert recorder.locked is True


async def clause_x1_a_cable_is_told_before_the_vehicle_at_its_end(rig: Rig) -> None:
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        recorder.log.clear()
        await rig.plug()
        await recorder.until(lambda now: now.pilot is PilotState.B)
        kinds = recorder.kinds()
        assert "cable" not in kinds[kinds.index("pilot") :]
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.B)
        assert recorder.kinds().index("cable") < recorder.kinds().index("pilot")


# --- what some controllers have besides ---


class WarmRig(Rig, Protocol):
    """A controller that has a temperature sensor."""

    async def heat(self, temperature_c: float) -> None:
        """Let the hottest sensor show this."""


class BoardRig(Rig, Protocol):
    """A controller that is also a `ResidualCurrent` and an `Indicator`."""

    async def spoil(self) -> None:
        """Let its residual current device not trip any more."""


class SwitchRig(Rig, Protocol):
    """A controller that is also a `PhaseSwitch`."""

    def phases(self) -> int:
        """Return how many phases a vehicle has before it, 1 or 3."""


async def temperature_t1_heat_is_told_at_a_start_and_on_every_change(rig: WarmRig) -> None:
    await rig.heat(31.0)
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.temperature_c == 31.0)
        for hot_c in (45.0, 40.0):
            await rig.heat(hot_c)
            await recorder.until(lambda now, wanted=hot_c: now.temperature_c == wanted)


async def board_r1_a_self_test_tells_whether_it_tripped(rig: BoardRig) -> None:
    device: ResidualCurrent = rig.controller
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        assert await device.self_test()
        assert await device.self_test()
        await rig.spoil()
        assert not await device.self_test()


async def board_r2_nothing_is_tested_under_load(rig: BoardRig) -> None:
    async with served(rig.controller) as recorder:
        await charging(rig, recorder)
        recorder.log.clear()
        with pytest.raises(BusError):
            await rig.controller.self_test()
        await rig.controller.offer(16.0, valid_s=60.0)
        assert ("outlet", False) not in recorder.log


async def board_r1_a_lost_device_proves_nothing(rig: BoardRig) -> None:
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        await rig.lose()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        with pytest.raises(BusError):
            await rig.controller.self_test()


async def board_i1_every_light_can_be_shown_in_any_order(rig: BoardRig) -> None:
    lamp: Indicator = rig.controller
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        for light in (*Light, *reversed(Light)):
            await lamp.show(light)
            await lamp.show(light)
        await rig.lose()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        with pytest.raises(BusError):
            await lamp.show(Light.OFF)


async def phases_w1_one_and_three_are_connected_in_any_order(rig: SwitchRig) -> None:
    switch: PhaseSwitch = rig.controller
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        assert recorder.capabilities.can_switch_phases
        for phases in (1, 1, 3, 1, 3, 3):
            await switch.switch(phases)
            await asyncio.sleep(0.2)
            assert rig.phases() == phases


async def phases_w2_nothing_is_switched_under_load(rig: SwitchRig) -> None:
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        await rig.controller.switch(3)
        await charging(rig, recorder)
        recorder.log.clear()
        with pytest.raises(BusError):
            await rig.controller.switch(1)
        await rig.controller.offer(16.0, valid_s=60.0)
        assert rig.phases() == 3
        assert ("outlet", False) not in recorder.log


async def phases_w2_a_lost_device_switches_nothing(rig: SwitchRig) -> None:
    async with served(rig.controller) as recorder:
        await recorder.until(lambda now: now.pilot is PilotState.A)
        await rig.lose()
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        with pytest.raises(BusError):
            await rig.controller.switch(1)


# --- meters ---


class MeterRig(Protocol):
    """A meter under test; its register stands at more than 0 Wh."""

    meter: Meter

    async def count(self) -> float:
        """Let the register rise at once by as much as it can show; return by how much, in Wh."""

    async def lose(self) -> None:
        """Make the meter silent towards its driver."""

    async def restore(self) -> None:
        """Let it answer again."""


async def meter_1_run_may_be_run_again(rig: MeterRig) -> None:
    for _ in range(3):
        async with served(rig.meter) as recorder:
            await recorder.until(lambda now: now.readings)


async def meter_m1_readings_come_at_least_every_five_seconds(rig: MeterRig) -> None:
    loop = asyncio.get_running_loop()
    async with served(rig.meter) as recorder:
        await recorder.until(lambda now: now.readings)
        for _ in range(3):
            count, since_s = len(recorder.readings), loop.time()
            await recorder.until(lambda now, before=count: len(now.readings) > before)
            assert loop.time() - since_s <= REPORT_S


async def meter_m2_energy_is_the_register(rig: MeterRig) -> None:
    async with served(rig.meter) as recorder:
        await recorder.until(lambda now: now.readings)
        before_wh = recorder.readings[-1].energy_import_wh
        assert before_wh > 0.0
        more_wh = await rig.count()
        await recorder.until(lambda now: now.readings[-1].energy_import_wh > before_wh)
        after_wh = recorder.readings[-1].energy_import_wh
        assert after_wh - before_wh == pytest.approx(more_wh, abs=1.0)


async def meter_m2_values_are_numbers(rig: MeterRig) -> None:
    async with served(rig.meter) as recorder:
        await recorder.until(lambda now: len(now.readings) > 1)
        for reading in recorder.readings:
            volts, amps = reading.voltage_v, reading.current_a
            figures = (volts.l1, volts.l2, volts.l3, amps.l1, amps.l2, amps.l3, reading.power_w)
            assert all(math.isfinite(figure) for figure in figures)


async def meter_m3_a_silent_meter_fails_and_repeats_nothing(rig: MeterRig) -> None:
    async with served(rig.meter) as recorder:
        await recorder.until(lambda now: now.readings)
        await rig.lose()
        await recorder.until(lambda now: "meter_failed" in now.kinds())
        recorder.log.clear()
        await recorder.until(lambda now: Fault.POWER_METER_FAILURE in now.faults)
        assert "meter" not in recorder.kinds()


async def meter_m4_the_fault_is_over_before_the_next_reading(rig: MeterRig) -> None:
    async with served(rig.meter) as recorder:
        await recorder.until(lambda now: now.readings)
        await rig.lose()
        await recorder.until(lambda now: Fault.POWER_METER_FAILURE in now.faults)
        recorder.log.clear()
        await rig.restore()
        await recorder.until(lambda now: "meter" in now.kinds())
        kinds = recorder.kinds()
        assert kinds.index("cleared") < kinds.index("meter")
        assert Fault.POWER_METER_FAILURE not in recorder.faults


async def signed_s1_what_is_signed_is_the_register_of_the_reading(rig: MeterRig) -> None:
    """Only OCMF is looked into: it is text that says what it signs."""
    async with served(rig.meter) as recorder:
        await recorder.until(lambda now: now.readings)
        await rig.count()
        await recorder.until(lambda now: len(now.readings) > 1)
        for reading in recorder.readings:
            assert reading.signed is not None
            assert reading.signed.encoding == "OCMF"
            payload = json.loads(reading.signed.data.split("|")[1])
            signed_wh = payload["RD"][-1]["RV"] * 1000
            assert signed_wh == pytest.approx(reading.energy_import_wh, abs=0.001)


async def signed_s2_a_signature_is_never_repeated_beside_a_new_register(rig: MeterRig) -> None:
    async with served(rig.meter) as recorder:
        await recorder.until(lambda now: now.readings)
        await rig.count()
        await recorder.until(lambda now: len(now.readings) > 1)
        by_text = {item.signed.data: item.energy_import_wh for item in recorder.readings}
        assert all(
            by_text[item.signed.data] == item.energy_import_wh for item in recorder.readings
        )


async def signed_s3_the_key_comes_with_it(rig: MeterRig) -> None:
    async with served(rig.meter) as recorder:
        await recorder.until(lambda now: now.readings)
        assert recorder.readings[0].signed.public_key


# --- readers ---


class ReaderRig(Protocol):
    """A reader under test and two tokens."""

    reader: TokenReader
    tokens: tuple[IdToken, IdToken]
    """As the reader should report them; they differ."""

    async def tap(self, which: int) -> None:
        """Hold a token there, for a while and without a pause, and take it away for good."""

    async def lose(self) -> None:
        """Take the reader away."""

    async def restore(self) -> None:
        """Bring it back."""


async def reader_k1_one_tap_is_one_token(rig: ReaderRig) -> None:
    async with reading(rig) as recorder:
        await rig.tap(0)
        await recorder.until(lambda now: now.tokens)
        await rig.tap(1)
        await recorder.until(lambda now: now.tokens[-1] == rig.tokens[1])
        assert recorder.tokens == [*rig.tokens]


async def reader_k2_the_same_token_again_is_another_tap(rig: ReaderRig) -> None:
    async with reading(rig) as recorder:
        for count in (1, 2, 3):
            await rig.tap(0)
            await recorder.until(lambda now, wanted=count: len(now.tokens) >= wanted)
        assert recorder.tokens == [rig.tokens[0]] * 3


async def reader_k3_a_lost_reader_says_so_and_reads_again_when_it_is_back(
    rig: ReaderRig,
) -> None:
    recorder = Recorder()
    running = asyncio.ensure_future(rig.reader.run(recorder))
    told = asyncio.ensure_future(recorder.until(lambda now: Fault.READER_FAILURE in now.faults))
    try:
        await rig.lose()
        await asyncio.wait([running, told], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            assert isinstance(running.exception(), HalError)
        else:
            await told
    finally:
        running.cancel()
        told.cancel()
        await asyncio.gather(running, told, return_exceptions=True)
    await rig.restore()
    async with reading(rig) as recorder:
        await rig.tap(0)
        await recorder.until(lambda now: now.tokens)
        assert recorder.tokens == [rig.tokens[0]]


@asynccontextmanager
async def reading(rig: ReaderRig) -> AsyncIterator[Recorder]:
    """Run a reader around a block, once it listens."""
    async with served(rig.reader) as recorder:
        await asyncio.sleep(LISTEN_S)
        yield recorder


# --- inputs ---


class InputRig(Protocol):
    """A digital input under test, inactive at first."""

    input: DigitalInput

    async def activate(self, *, active: bool) -> None:
        """Close or open the contact."""

    async def lose(self) -> None:
        """Make it unreadable."""


async def input_d1_its_state_is_told_at_once_and_on_every_change(rig: InputRig) -> None:
    async with listening(rig) as (told, until):
        await until(lambda: told == [False])
        for active in (True, False):
            await rig.activate(active=active)
            await until(lambda wanted=active: told[-1] is wanted)


async def input_d2_one_that_cannot_be_read_is_active(rig: InputRig) -> None:
    async with listening(rig) as (told, until):
        await until(lambda: told == [False])
        await rig.lose()
        await until(lambda: told[-1])


@asynccontextmanager
async def listening(
    rig: InputRig,
) -> AsyncIterator[tuple[list[bool], Callable[[Callable[[], object]], Awaitable[None]]]]:
    """Run an input around a block."""
    told: list[bool] = []
    changed = asyncio.Event()

    def take(active: bool) -> None:
        told.append(active)
        changed.set()

    async def until(holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                changed.clear()
                await changed.wait()

    running = asyncio.ensure_future(rig.input.run(take))
    try:
        yield told, until
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


Clause = Callable[[Any], Awaitable[None]]


def _clauses(prefix: str) -> tuple[Clause, ...]:
    return tuple(
        clause for name, clause in sorted(globals().items()) if name.startswith(f"{prefix}_")
    )


CLAUSES = _clauses("clause")
TEMPERATURE_CLAUSES = _clauses("temperature")
BOARD_CLAUSES = _clauses("board")
PHASES_CLAUSES = _clauses("phases")
METER_CLAUSES = _clauses("meter")
SIGNED_CLAUSES = _clauses("signed")
READER_CLAUSES = _clauses("reader")
INPUT_CLAUSES = _clauses("input")


def clause_name(clause: Clause) -> str:
    """Return the name of a clause, for the ids of parametrized tests."""
    return getattr(clause, "__name__", "clause")
