"""What simulated boards on a serial line share: a pseudo terminal, and an EVSE behind it."""

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from hal.api import EvseListener
from hal.sim.evse import SimulatedEvse
from hal.sim.pty import Pty, open_pty
from hal.types import EvseCapabilities, Fault, IdToken, MeterReading, PilotState

FOREVER_S = 1e9
"""For an offer that the board itself ends."""


class LineDevice(EvseListener, ABC):
    """A board on a pseudo terminal.

    Attributes:
        evse: the electrical side; a bench plugs vehicles into it.
        path: of the line that a host opens.
        is_silent: it hears nothing and says nothing, as without power.
        heard: the requests that it has taken, newest last.
    """

    def __init__(self, evse: SimulatedEvse) -> None:
        self.evse = evse
        self.path = ""
        self.is_silent = False
        self.heard: list[str] = []
        self._pty: Pty | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.capabilities = EvseCapabilities(max_a=6.0, phases=1)
        self._cable_a: float | None = None
        self._is_locked: bool | None = None
        self._temperature_c: float | None = None

    async def __aenter__(self) -> Self:
        self._pty = await open_pty()
        self.path = self._pty.path
        self._tasks = [
            asyncio.ensure_future(self.evse.run(self)),
            asyncio.ensure_future(self._serve(self._pty)),
        ]
        await asyncio.sleep(0)  # the electrical side reports its levels
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stop()
        if self._pty is not None:
            self._pty.close()

    @abstractmethod
    async def _received(self, data: bytes) -> None:
        """Take bytes of the host."""

    @abstractmethod
    def _changed(self) -> None:
        """Take that a level has changed."""

    @abstractmethod
    def _stop(self) -> None:
        """Let go of every timer."""

    def say(self, data: bytes) -> None:
        """Put bytes on the line."""
        if self._pty is not None and not self.is_silent:
            self._pty.writer.write(data)

    async def _serve(self, pty: Pty) -> None:
        while data := await pty.reader.read(300):
            if not self.is_silent:
                await self._received(data)

    # What the electrical side reports

    def pilot_changed(self, pilot: PilotState, connector_id: int = 1) -> None:  # noqa: ARG002
        """Pass it on."""
        self._changed()

    def outlet_changed(self, *, closed: bool) -> None:  # noqa: ARG002 - it is looked up
        """Pass it on."""
        self._changed()

    def lock_changed(self, *, locked: bool) -> None:
        """Keep it."""
        self._is_locked = locked
        self._changed()

    def cable_changed(self, ampacity_a: float | None) -> None:
        """Keep it."""
        self._cable_a = ampacity_a
        self._changed()

    def temperature_read(self, temperature_c: float) -> None:
        """Keep it."""
        self._temperature_c = temperature_c
        self._changed()

    def fault_raised(self, fault: Fault, info: str = "") -> None:  # noqa: ARG002 - as above
        """Be silent when the board is, and pass the others on."""
        self.is_silent = self.is_silent or fault is Fault.COMMUNICATION_FAULT
        self._changed()

    def fault_cleared(self, fault: Fault) -> None:
        """Answer again, or pass it on."""
        self.is_silent = self.is_silent and fault is not Fault.COMMUNICATION_FAULT
        self._changed()

    def detected(self, capabilities: EvseCapabilities) -> None:
        """Keep it."""
        self.capabilities = capabilities

    def meter_read(self, reading: MeterReading) -> None:
        """Nothing to do: it is looked up."""

    def meter_failed(self, reason: str) -> None:
        """Nothing to do: the board has no meter on its line."""

    def token_presented(self, id_token: IdToken) -> None:
        """Nothing to do: the board has no reader."""
