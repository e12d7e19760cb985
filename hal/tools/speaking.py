"""Controllers with a serial line of their own: the tools know them by name and need no map.

`probe` and `watch` only read: nothing that they send changes what the controller does. A safety
MCU says who it is when it is greeted, which would make it safe, so only its reports are read.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from hal.api import EvseController
from hal.bus.conversation import Conversation
from hal.bus.counters import PortCounters
from hal.bus.serial_line import LineSettings
from hal.bus.turns import Priority
from hal.drivers import openevse, safety_mcu
from hal.drivers.openevse import OpenEvse
from hal.drivers.safety_mcu import SafetyMcu
from hal.errors import BusError, DeviceError
from hal.protocols import rapi, safety_line
from hal.sim.evse import SimulatedEvse
from hal.sim.openevse import OpenEvseDevice
from hal.sim.safety_mcu import SafetyMcuDevice
from hal.tools.looking import Look, Row

OPENEVSE: Final = "openevse"
SAFETY_MCU: Final = "safety-mcu"
KNOWN: Final = (OPENEVSE, SAFETY_MCU)
BAUDRATE: Final = 115_200
PHASES: Final = 3
"""Of an OpenEVSE that is exercised: it cannot tell, and nothing depends on it then."""


class LineLooker(ABC):
    """One controller that is looked at; `serve` holds its line open meanwhile."""

    @property
    @abstractmethod
    def counters(self) -> PortCounters:
        """Return what the line has seen."""

    @abstractmethod
    async def serve(self) -> None:
        """Hold the line open until cancelled."""

    @abstractmethod
    async def identity(self) -> dict[str, str]:
        """Return what the controller says of itself without being disturbed.

        Raises:
            BusError: it does not answer.
            DeviceError: it refuses.
        """

    @abstractmethod
    async def look(self) -> Look:
        """Return what it shows now.

        Raises:
            BusError: it does not answer, or reports nothing.
            DeviceError: what it says makes no sense.
        """


def controller(name: str, line: LineSettings) -> EvseController:
    """Return the driver of one of the `KNOWN`."""
    return OpenEvse(line, phases=PHASES) if name == OPENEVSE else SafetyMcu(line)


@asynccontextmanager
async def listening(name: str, line: LineSettings) -> AsyncIterator[LineLooker]:
    """Look at one of the `KNOWN` for the length of a block."""
    looker = _OpenEvseLooker(line) if name == OPENEVSE else _SafetyMcuLooker(line)
    serving = asyncio.ensure_future(looker.serve())
    try:
        yield looker
    finally:
        serving.cancel()
        await asyncio.wait([serving])


@asynccontextmanager
async def simulated(name: str) -> AsyncIterator[str]:
    """Serve one of the `KNOWN`, with a vehicle before it; yield the path of its line."""
    evse = SimulatedEvse(is_tethered=name == OPENEVSE)
    device = OpenEvseDevice(evse) if name == OPENEVSE else SafetyMcuDevice(evse)
    async with device:
        evse.plug()
        yield device.path


class _OpenEvseLooker(LineLooker):
    def __init__(self, line: LineSettings) -> None:
        self._talk = Conversation(line, rapi.Lines, lambda _: None, timeout_s=openevse.ANSWER_S)

    @property
    def counters(self) -> PortCounters:
        return self._talk.counters

    async def serve(self) -> None:
        await self._talk.serve()

    async def identity(self) -> dict[str, str]:
        return {"firmware": " ".join(await self._asked("GV"))}

    async def look(self) -> Look:
        state = openevse.board_state(await self._asked("GS"))
        meaning = openevse.MEANINGS.get(state.state, "")
        doubt = "" if meaning else "is not known"
        rows = [
            Row("state", float(state.state), "", meaning, doubt, is_needed=True),
            Row("relay", float(state.is_closed), "", "", "", is_needed=False),
            Row("vehicle", float(state.is_plugged), "", "", "", is_needed=False),
        ]
        rows += await self._rows("GC", ("least", "", "offered", "most"), "A", 1.0)
        rows += await self._rows(
            "GP", ("temperature_1", "temperature_2", "temperature_3"), "C", 10.0
        )
        rows += await self._rows("GG", ("current",), "A", 1000.0)
        rows += await self._rows("GY", ("watchdog",), "s", 1.0)
        return Look(tuple(rows))

    async def _rows(
        self, command: str, names: tuple[str, ...], unit: str, scale: float
    ) -> list[Row]:
        """Return the numbers of an answer by their names; one without a name is left out."""
        try:
            words = await self._asked(command)
        except DeviceError:  # its firmware lacks this
            return []
        numbers = [float(word) for word in words if word.lstrip("-").isdecimal()]
        return [
            Row(name, number / scale, unit, "", "", is_needed=False)
            for name, number in zip(names, numbers, strict=False)
            if name and number != openevse.NO_SENSOR
        ]

    async def _asked(self, text: str) -> tuple[str, ...]:
        answer = await self._talk.ask(
            lambda number: rapi.framed(text, number), openevse.is_answer, Priority.POLL
        )
        if not answer.is_ok:
            raise DeviceError(f"OpenEVSE refuses {text}")
        return answer.words[1:]


class _SafetyMcuLooker(LineLooker):
    def __init__(self, line: LineSettings) -> None:
        self._talk = Conversation(
            line, safety_line.Lines, self._told, timeout_s=safety_mcu.ANSWER_S
        )
        self._latest: safety_line.BoardState | None = None
        self._reported = asyncio.Event()

    @property
    def counters(self) -> PortCounters:
        return self._talk.counters

    async def serve(self) -> None:
        await self._talk.serve()

    async def identity(self) -> dict[str, str]:
        return {}

    async def look(self) -> Look:
        self._reported.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(safety_mcu.FRESH_S):
                await self._reported.wait()
        state = self._latest
        self._latest = None
        if state is None:
            raise BusError(self._talk.trouble or "the safety MCU reports nothing")
        faults = ", ".join(sorted(fault.value for fault in state.faults)) or "none"
        known = "greeted" if state.is_greeted else "waits for a greeting"
        return Look(
            (
                Row("pilot", None, "", state.pilot.value, "", is_needed=True),
                Row("offered", state.offer_a, "A", "", "", is_needed=True),
                Row("outlet", float(state.closed), "", "", "", is_needed=True),
                Row("locked", _number(state.locked), "", "", "", is_needed=False),
                Row("cable_limit", state.cable_a, "A", "", "", is_needed=False),
                Row("temperature", state.temperature_c, "C", "", "", is_needed=False),
                Row("faults", float(len(state.faults)), "", faults, "", is_needed=False),
                Row("greeted", float(state.is_greeted), "", known, "", is_needed=False),
            )
        )

    def _told(self, line: safety_line.Line) -> None:
        state = safety_line.board_state(line.text)
        if state is not None:
            self._latest = state
            self._reported.set()


def _number(flag: bool | None) -> float | None:
    return None if flag is None else float(flag)
