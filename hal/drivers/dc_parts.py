"""The devices of a DC EVSE: what they report is gathered, and each is led to what is wanted.

Every device has a task of its own that runs it, and one that commands it; none waits for
another one. What a device says goes into one picture (`hal.dc.seen.Seen`), what it is to do
comes out of one look at it (`hal.dc.sequence.Outputs`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from hal.api import ConverterListener, PowerConverter
from hal.dc.seen import NEVER, Seen
from hal.dc.sequence import Output, Outputs
from hal.dc_api import (
    ContactorListener,
    DcContactor,
    DcVehicle,
    IsolationListener,
    IsolationMonitor,
    VehicleListener,
)
from hal.dc_types import DcRating, IsolationReading, VehicleState
from hal.errors import BusError, HalError
from hal.types import ConverterLimits, ConverterReading, Fault

logger = logging.getLogger(__name__)

VALID_S: Final = 3.0
RENEW_S: Final = 0.9
"""How long the converter keeps an output, and how often it is told (hardware reference 1.5,
rule 10: at least once a second)."""

REPEAT_S: Final = 1.0
RETRY_S: Final = 0.25
RESTART_S: Final = 1.0
"""Pauses before a contactor is told the same again, before a command is repeated that was
lost, and before a failed device is started again."""


@dataclass(frozen=True)
class Parts:
    """The devices of a DC EVSE."""

    converter: PowerConverter
    isolation: IsolationMonitor
    vehicle: DcVehicle
    contactor: DcContactor


class Picture:
    """What the devices have told.

    Attributes:
        seen: all of it, at the last look.
        faults: those of the devices, with what is known of them for people.
        changed: set whenever something was told.
    """

    def __init__(self, rating: DcRating) -> None:
        self.seen = Seen(now_s=now_s(), rating=rating)
        self.faults: dict[tuple[str, Fault], str] = {}
        self.changed = asyncio.Event()

    def see(self, **changes: Any) -> None:
        """Take what has changed; names are those of `Seen`."""
        self.seen = replace(self.seen, **changes)
        self.changed.set()


class _FaultEar:
    """Hears the faults of one device."""

    def __init__(self, picture: Picture, name: str) -> None:
        self._picture, self.name = picture, name

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        self._picture.faults[self.name, fault] = info or self.name
        self._picture.changed.set()

    def fault_cleared(self, fault: Fault) -> None:
        self._picture.faults.pop((self.name, fault), None)
        self._picture.changed.set()


class _ConverterEar(_FaultEar, ConverterListener):
    def converter_read(self, reading: ConverterReading) -> None:
        self._picture.see(
            output_v=reading.voltage_v, output_a=reading.current_a, output_s=now_s()
        )

    def converter_available(self, limits: ConverterLimits) -> None:
        self._picture.see(given=limits)


class _IsolationEar(_FaultEar, IsolationListener):
    def isolation_read(self, reading: IsolationReading) -> None:
        self._picture.see(isolation=reading, isolation_s=now_s())


class _ContactorEar(_FaultEar, ContactorListener):
    def contactor_changed(self, *, closed: bool) -> None:
        self._picture.see(is_closed=closed)

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        if fault is Fault.COMMUNICATION_FAULT:
            self._picture.see(is_closed=None)
        super().fault_raised(fault, info)


class _VehicleEar(_FaultEar, VehicleListener):
    def vehicle_read(self, state: VehicleState) -> None:
        self.fault_cleared(Fault.COMMUNICATION_FAULT)  # of a socket that could not be made
        self._picture.see(vehicle=state, heard_s=now_s())

    def vehicle_lost(self, reason: str) -> None:
        logger.info("the vehicle's side is gone: %s", reason)
        self._picture.see(heard_s=NEVER)


class Crew:
    """Runs the devices into a picture, and leads them to what is wanted.

    Attributes:
        wanted: what everything should be doing; set anew by `aim`.
    """

    def __init__(self, parts: Parts, picture: Picture, wanted: Outputs) -> None:
        self._parts, self._picture = parts, picture
        self.wanted = wanted
        self._told: tuple[Output, float] | None = None
        self._leads = (self._converted, self._switched, self._tested)
        self._aimed = [asyncio.Event() for _ in self._leads]

    def aim(self, wanted: Outputs) -> None:
        """Lead every device there, from now on."""
        self.wanted = wanted
        if not wanted.tests and self._picture.seen.is_tested is not None:
            self._picture.see(is_tested=None)
        for aimed in self._aimed:
            aimed.set()
        self._parts.vehicle.tell(wanted.told)

    async def run(self) -> None:
        """Serve until cancelled; the end of each device's own `run` leaves it safe."""
        parts, picture = self._parts, self._picture
        converter = _ConverterEar(picture, "converter")
        isolation = _IsolationEar(picture, "isolation monitor")
        contactor = _ContactorEar(picture, "contactor")
        vehicle = _VehicleEar(picture, "vehicle")
        async with asyncio.TaskGroup() as group:
            for ear, run in (
                (converter, lambda: parts.converter.run(converter)),
                (isolation, lambda: parts.isolation.run(isolation)),
                (contactor, lambda: parts.contactor.run(contactor)),
                (vehicle, lambda: parts.vehicle.run(vehicle)),
            ):
                group.create_task(self._kept(ear, run))
            for aimed, lead in zip(self._aimed, self._leads, strict=True):
                group.create_task(self._led(aimed, lead))

    async def _kept(self, ear: _FaultEar, run: Callable[[], Awaitable[None]]) -> None:
        """Run a device, again and again should it fail."""
        while True:
            try:
                await run()
            except HalError as error:
                ear.fault_raised(Fault.COMMUNICATION_FAULT, str(error))
            await asyncio.sleep(RESTART_S)

    async def _led(self, aimed: asyncio.Event, lead: Callable[[], Awaitable[float]]) -> None:
        """Lead one device whenever there is something new, and again after a pause."""
        while True:
            aimed.clear()
            try:
                pause_s = await lead()
            except HalError as error:
                logger.debug("tried again: %s", error)
                await asyncio.sleep(RETRY_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await aimed.wait()

    async def _converted(self) -> float:
        output = self.wanted.output
        if output is None:
            if self._told is not None:
                await self._parts.converter.turn_off()
                self._told = None
            return REPEAT_S
        if self._told is not None and self._told[0] == output:
            due_s = self._told[1] + RENEW_S
            if now_s() < due_s:
                return due_s - now_s()
        self._told = (output, now_s())  # from now on it may be on
        try:
            await self._parts.converter.set_output(
                output.voltage_v, output.current_a, valid_s=VALID_S
            )
        except ValueError as error:  # its limits have shrunk since the look
            raise BusError(str(error)) from error
        return RENEW_S

    async def _switched(self) -> float:
        closes, is_closed = self.wanted.closes, self._picture.seen.is_closed
        if is_closed is not closes:
            await self._parts.contactor.switch(closed=closes)
        return REPEAT_S

    async def _tested(self) -> float:
        if self.wanted.tests and self._picture.seen.is_tested is None:
            has_passed = await self._parts.isolation.self_test()
            if self.wanted.tests:
                self._picture.see(is_tested=has_passed)
        return REPEAT_S


def now_s() -> float:
    """Return the instant, in the event loop's seconds."""
    return asyncio.get_running_loop().time()
