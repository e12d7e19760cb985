"""Brings every EVSE's hardware to its target, and its reports to the kernel.

Per EVSE there is one task that reconciles and one supervised task per device. The order is
fixed: first what lowers (offer, contactor), then what raises (lock, offer, contactor), and
at last the plug is released. A vehicle that still draws is asked first, by ending the offer,
unless the target says at once. A target that changes while a command is under way is taken
up as soon as that command has returned.

An offer is renewed well within its validity, so that hardware that loses this agent falls
back by itself (hardware reference 1.5, rules 2 and 9). Of a controller that has just been
started nothing is taken for granted: every output is commanded anew.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from agent.core.events import Event
from agent.core.targets import NOTHING, EvseTarget, Targets
from agent.runtime.reporter import Reporter
from hal.api import Device, EvseController
from hal.board import EvseHardware
from hal.errors import HalError
from hal.types import READY_STATES, Fault, Light, PilotState

logger = logging.getLogger(__name__)

VALID_S: Final = 12.0
"""How long hardware keeps an offer that is not renewed."""

RENEW_S: Final = 4.0
"""A third of the validity: two renewals may be lost."""

RETRY_S: Final = 0.5
"""Pause before a command is repeated that the bus lost, or that was not obeyed."""

SOFT_STOP_S: Final = 6.0
"""A vehicle that still draws this long after the end of the offer is cut off (IEC 61851-1)."""

LOCK_S: Final = 3.0
"""A lock that does not show locked this long after its command does not hold the plug."""

WELD_S: Final = 1.0
"""A mirror contact that shows closed this long after opening is welded (hardware 1.3)."""

BLIND_S: Final = 5.0
"""How long nobody may have looked at it since; a controller that is out of reach is told as
that by then, and is no welded one."""

RESTART_BOUNDS_S: Final = (1.0, 30.0)
"""First and longest pause before a failed driver is started again."""

STEADY_S: Final = 1.0
"""A driver that has run this long after a failure is well again."""

RELEASE_S: Final = 1.0
"""How long each of the last two commands, and then the contactor, may take: the exit stays
within 5 s."""


class EvseRunner:
    """One EVSE: its devices, and the way to its target."""

    def __init__(self, hardware: EvseHardware, post: Callable[[Event], None]) -> None:
        self._hardware = hardware
        self._controller: EvseController = hardware.controller
        self.reporter = Reporter(hardware.evse_id, post, rated_a=hardware.max_a)
        self._wake = self.reporter.changed
        self._target = NOTHING
        self._is_aimed = asyncio.Event()
        # What was commanded; None: nobody knows.
        self._offer_a: float | None = None
        self._is_energized: bool | None = None
        self._is_locked: bool | None = None
        self._phases: int | None = None
        self._light: Light | None = None
        self._renew_at = self._repeat_at = 0.0
        self._cut_at: float | None = None

    def aim(self, target: EvseTarget) -> None:
        """Bring the EVSE there, from now on."""
        if target != self._target:
            self._target = target
            self._wake.set()
        self._is_aimed.set()

    async def run(self) -> None:
        """Serve the devices and reconcile until cancelled; the outputs are safe afterwards."""
        hardware = self._hardware
        devices: list[tuple[Device, Fault]] = [
            (hardware.controller, Fault.COMMUNICATION_FAULT),
            (hardware.meter, Fault.POWER_METER_FAILURE),
            *((reader, Fault.READER_FAILURE) for reader in hardware.readers),
        ]
        async with asyncio.TaskGroup() as group:
            for device, fault in devices:
                group.create_task(self._supervised(device, fault))
            try:
                await self._reconciled()
            finally:
                # The drivers still run: some cannot carry a command otherwise.
                await asyncio.shield(self._released())

    async def _released(self) -> None:
        await self._last(self._controller.offer(0.0, valid_s=VALID_S))
        await self._last(self._controller.energize(closed=False))
        now_s = asyncio.get_running_loop().time()
        if not await self._until(lambda: not self.reporter.is_closed, now_s + RELEASE_S):
            logger.warning("evse=%d contactor still closed", self._hardware.evse_id)

    async def _last(self, command: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(RELEASE_S):
                await command
        except (HalError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            logger.warning(
                "evse=%d not released, its offer ends by itself: %s",
                self._hardware.evse_id,
                reason,
            )

    # --- devices ---

    async def _supervised(self, device: Device, fault: Fault) -> None:
        """Run a device; start it again when it fails, ever later."""
        low, high = RESTART_BOUNDS_S
        pause = low
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            reason = f"{type(device).__name__}: {await self._failure(device, fault)}"
            logger.error("evse=%d driver failed: %s", self._hardware.evse_id, reason)
            self.reporter.failed(fault, reason)
            if loop.time() - begun > high:
                pause = low
            await asyncio.sleep(pause)
            pause = min(pause * 2, high)

    async def _failure(self, device: Device, fault: Fault) -> str:
        """Run a device until it fails, and return why."""
        loop = asyncio.get_running_loop()
        steady = loop.call_later(STEADY_S, self.reporter.recovered, fault)
        try:
            await device.run(self.reporter)
        except HalError as error:
            return str(error)
        except Exception as error:
            # A driver's defect must not take the other EVSEs with it.
            logger.exception("evse=%d defect in a driver", self._hardware.evse_id)
            return type(error).__name__
        finally:
            steady.cancel()
        return "it ended"

    # --- reconciling ---

    async def _reconciled(self) -> None:
        await self._is_aimed.wait()  # a plug that is held now may have to stay so
        is_failing = False
        while True:
            self._wake.clear()
            if self.reporter.is_anew:
                self.reporter.is_anew = False
                self._offer_a = self._is_energized = self._is_locked = self._phases = None
                self._light = None
            try:
                await self._approached(self._target)
            except HalError as error:
                if not is_failing:
                    logger.warning("evse=%d command lost: %s", self._hardware.evse_id, error)
                is_failing = True
                await asyncio.sleep(RETRY_S)
                continue
            is_failing = False
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if self._is_at_rest else self._renew_at):
                    await self._wake.wait()

    @property
    def _is_at_rest(self) -> bool:
        """Whether there is nothing to keep up: the state in which hardware falls by itself."""
        target = self._target
        wanted = target.energize or target.offer_a or target.lock or self.reporter.is_locked
        return not (wanted or self._offer_a or self._is_energized or self.reporter.is_closed)

    async def _approached(self, target: EvseTarget) -> None:
        """Give the commands that lead to a target, as long as it is the target.

        Raises:
            HalError: a command was lost; what had been given before it stands.
        """
        parts = (self._lowered, self._opened, self._switched, self._shown, self._held)
        for part in (*parts, self._proved, self._raised, self._closed):
            await part(target)
            if self._target is not target:
                return
        is_held = self._is_locked is not False or self.reporter.is_locked
        if not target.lock and is_held and not self.reporter.is_closed:
            await self._controller.lock(locked=False)
            self._is_locked = False

    async def _lowered(self, target: EvseTarget) -> None:
        if self._offer_a is None or target.offer_a < self._offer_a:
            await self._offered(0.0 if self._offer_a is None else target.offer_a)

    async def _opened(self, target: EvseTarget) -> None:
        """Open the contactor: after the vehicle let go, or at once."""
        if target.energize:
            self._cut_at = None
            return
        if self._is_given(energized=False):
            return
        if not await self._let_go(target):
            return
        await self._energize(closed=False)
        self._cut_at = None
        if Fault.CONTACTOR_FAULT in self.reporter.latched:
            return
        if await self._is_welded(target):
            self.reporter.latch(Fault.CONTACTOR_FAULT, "welded: closed after opening")

    async def _is_welded(self, target: EvseTarget) -> bool:
        """Tell whether a contactor that was told to open stays closed; nobody has seen it yet.

        A line that goes bad in this moment must not condemn it: what counts is that it was
        seen closed when it had had the time to open, or that nothing came of it for long.
        """
        now_s = asyncio.get_running_loop().time()
        if await self._until(lambda: not self.reporter.is_closed, now_s + WELD_S):
            return False
        seen_s = now_s + WELD_S / 2
        await self._until(
            lambda: (
                not self.reporter.is_closed
                or self.reporter.closed_at >= seen_s
                or self._target is not target
            ),
            now_s + BLIND_S,
        )
        return bool(self.reporter.is_closed) and self._target is target

    async def _let_go(self, target: EvseTarget) -> bool:
        """Wait for the vehicle, as long as it may take; False when the target has changed."""
        if self._cut_at is None:
            self._cut_at = asyncio.get_running_loop().time() + SOFT_STOP_S
        await self._until(
            lambda: (
                self.reporter.pilot not in READY_STATES
                or target.at_once
                or self._target is not target
            ),
            self._cut_at,
        )
        return self._target is target

    async def _switched(self, target: EvseTarget) -> None:
        """Connect the wanted phases; never while the contactor is, or may be, closed."""
        switch, phases = self._hardware.phase_switch, target.phases
        if switch is None or phases is None or phases == self._phases:
            return
        if not target.energize and self.reporter.is_closed is False:
            await switch.switch(phases)
            self._phases = phases

    async def _held(self, target: EvseTarget) -> None:
        """Hold the plug; one that its lock cannot hold is a fault until it is gone or held."""
        fault = Fault.CONNECTOR_LOCK_FAILURE
        if self.reporter.is_locked or self.reporter.pilot is PilotState.A:
            self.reporter.recovered(fault)
        if not target.lock or (self._is_locked and self.reporter.is_locked is not False):
            return
        await self._controller.lock(locked=True)
        self._is_locked = True
        if self.reporter.is_locked is None:
            return
        until_s = asyncio.get_running_loop().time() + LOCK_S
        await self._until(
            lambda: bool(self.reporter.is_locked) or self._target is not target, until_s
        )
        if not self.reporter.is_locked and self._target is target:
            self.reporter.failed(fault, "the lock does not hold the plug")

    async def _shown(self, target: EvseTarget) -> None:
        """Show the light; a lamp that does not answer holds up nothing else."""
        indicator = self._hardware.indicator
        if indicator is None or target.light is self._light:
            return
        self._light = target.light
        try:
            await indicator.show(target.light)
        except HalError as error:
            self._light = None  # tried again with the next command
            logger.warning("evse=%d lamp not changed: %s", self._hardware.evse_id, error)

    async def _proved(self, target: EvseTarget) -> None:
        """Let the residual current device prove itself, before each vehicle is offered any."""
        device = self._hardware.residual_current
        if device is None or not target.offer_a or self._may_offer:
            return
        if self.reporter.is_closed is False and not self.reporter.latched:
            self.reporter.is_proved = await device.self_test()
            if not self.reporter.is_proved:
                text = "the residual current device failed its test"
                self.reporter.latch(Fault.GROUND_FAILURE, text)

    @property
    def _may_offer(self) -> bool:
        """Whether nothing is latched, and whatever has to be proved first has been."""
        is_proved = self._hardware.residual_current is None or self.reporter.is_proved
        return is_proved and not self.reporter.latched

    async def _raised(self, target: EvseTarget) -> None:
        """Offer more, or the same again before it runs out."""
        now_s = asyncio.get_running_loop().time()
        offer_a = target.offer_a if self._may_offer else 0.0
        if offer_a != self._offer_a or now_s >= self._renew_at:
            await self._offered(offer_a)

    async def _offered(self, offer_a: float) -> None:
        await self._controller.offer(offer_a, valid_s=VALID_S)
        self._offer_a = offer_a
        self._renew_at = asyncio.get_running_loop().time() + RENEW_S

    async def _closed(self, target: EvseTarget) -> None:
        if target.energize and self._may_offer and not self._is_given(energized=True):
            await self._energize(closed=True)

    def _is_given(self, *, energized: bool) -> bool:
        """Tell whether the contactor was told so, and obeys or may be about to."""
        if self._is_energized is not energized:
            return False
        obeys = bool(self.reporter.is_closed) is energized
        return obeys or asyncio.get_running_loop().time() < self._repeat_at

    async def _energize(self, *, closed: bool) -> None:
        await self._controller.energize(closed=closed)
        self._is_energized = closed
        self._repeat_at = asyncio.get_running_loop().time() + RETRY_S

    async def _until(self, condition: Callable[[], bool], at_s: float) -> bool:
        """Wait for a condition on reports or target; tell whether it came true in time."""
        try:
            async with asyncio.timeout_at(at_s):
                while not condition():
                    self._wake.clear()
                    try:
                        await self._wake.wait()
                    finally:
                        self._wake.set()  # it may mean more than what is waited for here
        except TimeoutError:
            return False
        return True


class HardwareRunner:
    """All EVSEs; takes targets without waiting."""

    def __init__(self, evses: tuple[EvseHardware, ...], post: Callable[[Event], None]) -> None:
        self._runners = {item.evse_id: EvseRunner(item, post) for item in evses}

    def apply(self, targets: Targets) -> None:
        """Bring every EVSE to its target, from now on."""
        for evse_id, runner in self._runners.items():
            runner.aim(targets.of(evse_id))

    async def run(self) -> None:
        """Serve every EVSE until cancelled; the outputs are safe afterwards."""
        async with asyncio.TaskGroup() as group:
            for runner in self._runners.values():
                group.create_task(runner.run())
