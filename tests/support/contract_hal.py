"""The clauses of `hal.api` as tests that every controller must pass.

A test module builds a `Rig` around its driver and the simulated or real device behind it,
and runs every entry of `CLAUSES` against a fresh one:

    @pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
    def test_contract(clause):
        asyncio.run(with_my_rig(clause))

The number in a clause's name is the number of the clause in the docstring of `hal.api`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import pytest

from hal.api import Device, EvseController, EvseListener
from hal.errors import BusError
from hal.types import EvseCapabilities, Fault, IdToken, MeterReading, PilotState

PATIENCE_S = 20.0
"""How long a report may take before a test gives up."""


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


async def clause_3_closing_is_refused_silently_without_a_ready_vehicle(rig: Rig) -> None:
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


async def clause_3_opening_is_never_refused(rig: Rig) -> None:
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


async def clause_3_an_offer_that_pwm_cannot_make_is_an_error(rig: Rig) -> None:
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


Clause = Callable[[Rig], Awaitable[None]]

CLAUSES: tuple[Clause, ...] = tuple(
    clause for name, clause in sorted(globals().items()) if name.startswith("clause_")
)


def clause_name(clause: Clause) -> str:
    """Return the name of a clause, for the ids of parametrized tests."""
    return getattr(clause, "__name__", "clause")
