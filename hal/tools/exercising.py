"""`hal exercise`: a guided first charge with a controller, one step at a time.

Nothing is offered without the tester's word, and whatever happens, the offer is 0 and the
contactor told to open at the end. The driver is the one that the agent uses, so what works
here works there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hal.api import EvseController, EvseListener
from hal.bus.modbus import ModbusPort
from hal.drivers.modbus_evse import ModbusEvse
from hal.errors import HalError
from hal.registers.map import RegisterMap
from hal.types import (
    PLUGGED_STATES,
    READY_STATES,
    EvseCapabilities,
    Fault,
    IdToken,
    MeterReading,
    PilotState,
)

OFFERS_A: Final = (6.0, 16.0)
VALID_S: Final = 600.0
_LOOK_S: Final = 5.0

Say = Callable[[str], None]
Ask = Callable[[str], Awaitable[bool]]


def controller_of(port: ModbusPort, unit: int, register_map: RegisterMap) -> EvseController:
    """Return the driver of a controller.

    Raises:
        BoardError: the map is not that of a controller.
    """
    return ModbusEvse(port, unit, register_map)


class Exercise(EvseListener):
    """One exercise; it says everything that the controller reports.

    Args:
        say: takes a line for the tester.
        ask: asks the tester; False ends the exercise.
        patience_s: how long a step may take.
    """

    def __init__(self, say: Say, ask: Ask, *, patience_s: float) -> None:
        self._say, self._ask, self._patience_s = say, ask, patience_s
        self._pilot: PilotState | None = None
        self._is_closed: bool | None = None
        self._changed = asyncio.Event()

    async def run(self, controller: EvseController) -> bool:
        """Lead through the steps; return whether all of them went well."""
        serving = asyncio.ensure_future(controller.run(self))
        try:
            return await self._steps(controller)
        except HalError as error:
            self._say(f"the controller did not obey: {error}")
            return False
        finally:
            # In a task of its own: a bus does nothing more for one that is being cancelled.
            await asyncio.shield(self._made_safe(controller))
            serving.cancel()
            await asyncio.wait([serving])

    async def _steps(self, controller: EvseController) -> bool:
        if not await self._until("the controller answers", lambda: self._pilot is not None):
            return False
        self._say("plug a vehicle in, or turn the tester to state B or C")
        if not await self._until("a vehicle comes", lambda: self._pilot in PLUGGED_STATES):
            return False
        for offer_a in OFFERS_A:
            if not await self._ask(f"offer {offer_a:g} A?"):
                return False
            await controller.offer(offer_a, valid_s=VALID_S)
            if not await self._until("the vehicle asks", lambda: self._pilot in READY_STATES):
                return False
            await controller.energize(closed=True)
            if not await self._until("the contactor closes", lambda: bool(self._is_closed)):
                return False
            self._say(f"{offer_a:g} A are offered; compare with the tester or a clamp meter")
            await asyncio.sleep(_LOOK_S)
        await controller.offer(0.0, valid_s=VALID_S)
        return await self._until("the contactor opens", lambda: self._is_closed is False)

    async def _until(self, what: str, holds: Callable[[], bool]) -> bool:
        try:
            async with asyncio.timeout(self._patience_s):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._say(f"not within {self._patience_s:g} s: {what}")
            return False
        self._say(f"done: {what}")
        return True

    async def _made_safe(self, controller: EvseController) -> None:
        try:
            await controller.offer(0.0, valid_s=VALID_S)
            await controller.energize(closed=False)
        except HalError as error:
            self._say(f"it could not be told to stop: {error}")
        else:
            self._say("nothing is offered any more")

    # What the controller reports

    def pilot_changed(self, pilot: PilotState, connector_id: int = 1) -> None:
        """Say it."""
        self._pilot = pilot
        self._told(f"pilot {pilot.value} at connector {connector_id}")

    def outlet_changed(self, *, closed: bool) -> None:
        """Say it."""
        self._is_closed = closed
        self._told(f"contactor {'closed' if closed else 'open'}")

    def lock_changed(self, *, locked: bool) -> None:
        """Say it."""
        self._told(f"plug {'held' if locked else 'released'}")

    def cable_changed(self, ampacity_a: float | None) -> None:
        """Say it."""
        self._told("no cable rating" if ampacity_a is None else f"cable of {ampacity_a:g} A")

    def meter_read(self, reading: MeterReading) -> None:
        """Nothing to say: a controller has no meter here."""

    def meter_failed(self, reason: str) -> None:
        """Nothing to say: a controller has no meter here."""

    def temperature_read(self, temperature_c: float) -> None:
        """Nothing to say: it comes at every poll."""

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        """Say it."""
        self._told(f"FAULT {fault.value} {info}".rstrip())

    def fault_cleared(self, fault: Fault) -> None:
        """Say it."""
        self._told(f"no {fault.value}")

    def token_presented(self, id_token: IdToken) -> None:
        """Nothing to say: a controller has no reader here."""

    def detected(self, capabilities: EvseCapabilities) -> None:
        """Say it."""
        self._told(f"{capabilities.phases} phases, up to {capabilities.max_a:g} A")

    def _told(self, text: str) -> None:
        self._say(f"  {text}")
        self._changed.set()
