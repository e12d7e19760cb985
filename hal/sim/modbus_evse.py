"""A simulated EVSE controller on Modbus: a vehicle, a contactor, and the map read backwards.

`SimulatedEvse` is the electrical side; here it is put behind the registers of a map. Like the
controllers that the maps describe, it closes its contactor by itself as soon as a vehicle in
state C or D is offered current, and falls back when its watchdog hears nothing any more.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from hal.api import EvseListener
from hal.errors import BusError
from hal.registers.commands import Command, EvsePart, Switch
from hal.registers.map import RegisterMap
from hal.sim.evse import SimulatedEvse
from hal.sim.frames import Framing
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.process import meter_points
from hal.types import (
    PLUGGED_STATES,
    READY_STATES,
    EvseCapabilities,
    Fault,
    IdToken,
    MeterReading,
    PilotState,
)

_FOREVER_S: Final = 1e9  # without a watchdog such a controller keeps its last current


class ModbusEvseDevice(EvseListener):
    """One simulated controller and the server in front of it.

    Attributes:
        evse: the electrical side; a bench plugs vehicles into it.
        server: what answers on the wire; its line can be made to fail.
    """

    def __init__(
        self,
        register_map: RegisterMap,
        evse: SimulatedEvse,
        *,
        unit: int = 1,
        framing: Framing = "tcp",
    ) -> None:
        """Prepare a controller; nothing is opened yet.

        Args:
            register_map: of kind "evse".
            evse: what is behind it.
            unit: which unit it answers as.
            framing: of the messages.
        """
        if register_map.evse is None:
            raise ValueError(f"{register_map.id} is no map of an EVSE controller")
        self._part: EvsePart = register_map.evse
        self._state = next(point for point in register_map.points if point.name == "state")
        bits = next((one.bits for one in register_map.points if one.name == "error_bits"), {})
        self._bits = {Fault(name): bit for bit, name in bits.items()}
        self.evse = evse
        table = self._part.set_current.table
        self._index = unit - 1 if table is not None else 0
        labels = self._state.labels
        self._asks = {labels[grant.state][0]: grant for grant in self._part.grants}
        self._granted: set[str] = set()
        self.server = ModbusDeviceServer(
            register_map,
            unit=unit,
            read_points=self._points,
            framing=framing,
            listens_to=table.unit if table is not None else None,
        )
        self.server.on_write = self._written
        self.server.on_request = self._heard
        self._current_a = 0.0
        self._is_enabled = self._part.enable is None
        self._cable_a: float | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._start(self.evse.run(self))
        await self.server.start()
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.server.stop()
        if self._watching is not None:
            self._watching.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What the electrical side reports

    def pilot_changed(
        self,
        pilot: PilotState,
        connector_id: int = 1,  # noqa: ARG002 - there is one connector
    ) -> None:
        """Close by itself for a vehicle that asks and is offered current."""
        if pilot not in PLUGGED_STATES:
            self._granted.clear()
        if pilot not in READY_STATES:
            self._granted.discard("C")
        elif self._may_go_on("C"):
            self._start(self.evse.energize(closed=True))

    def outlet_changed(self, *, closed: bool) -> None:
        """Nothing to do: the register shows it."""

    def lock_changed(self, *, locked: bool) -> None:
        """Nothing to do: the register shows it."""

    def cable_changed(self, ampacity_a: float | None) -> None:
        """Keep it for the register."""
        self._cable_a = ampacity_a

    def meter_read(self, reading: MeterReading) -> None:
        """Nothing to do: the register shows it."""

    def meter_failed(self, reason: str) -> None:
        """Nothing to do."""

    def temperature_read(self, temperature_c: float) -> None:
        """Nothing to do."""

    def fault_raised(self, fault: Fault, info: str = "") -> None:  # noqa: ARG002 - as above
        """Be silent when the controller is; the register shows the rest."""
        if fault is Fault.COMMUNICATION_FAULT:
            self.server.mode = "down"

    def fault_cleared(self, fault: Fault) -> None:
        """Answer again."""
        if fault is Fault.COMMUNICATION_FAULT:
            self.server.mode = "up"

    def token_presented(self, id_token: IdToken) -> None:
        """Nothing to do: these controllers have no reader."""

    def detected(self, capabilities: EvseCapabilities) -> None:
        """Nothing to do."""

    # What the registers show

    def _points(self) -> dict[str, float]:
        evse = self.evse
        faults = evse.faults
        errors = sum(1 << bit for fault, bit in self._bits.items() if fault in faults)
        return {
            **meter_points(evse.reading()),
            "state": float(self._state_of(evse.pilot, faults)),
            "outlet": float(evse.outlet_closed),
            "locked": float(evse.locked),
            "cable_limit": self._cable_a or 0.0,
            "plugged_limit": self._cable_a or 13.0,
            "error_bits": float(errors),
            "offered": evse.offer_a,
            "temperature": 25.0,
        }

    def _state_of(self, pilot: PilotState, faults: frozenset[Fault]) -> int:
        """Return the number that the map has for a state, with PWM where it tells."""
        for number, name in self._state.faults.items():
            if Fault(name) in faults:
                return number
        asked = self._asks.get(pilot.value)
        if asked is not None and self._is_enabled and not self._may_go_on(pilot.value):
            return asked.state
        pwm = "2" if self.evse.offer_a > 0 else "1"
        wanted = (f"{pilot.value}{pwm}", pilot.value, f"{pilot.value}1", f"{pilot.value}2")
        return next(
            number
            for label in wanted
            for number, one in self._state.labels.items()
            if one == label
        )

    # What is written

    def _heard(self) -> None:
        """Be content for as long as the watchdog is."""
        watchdog = self._part.watchdog
        if watchdog is None:
            return
        if self._watching is not None:
            self._watching.cancel()
        loop = asyncio.get_running_loop()
        self._watching = loop.call_later(watchdog.timeout_s, self._fall_back)

    def _fall_back(self) -> None:
        self._current_a = 0.0
        self._offer()

    def _written(self, table: int, address: int, words: Sequence[int]) -> None:
        part, index = self._part, self._index
        if _is_of(part.set_current, table, address):
            own = tuple(words)[index : index + part.set_current.count]
            self._current_a = part.set_current.value(own)
            if part.set_current.table is not None:
                self.server.set_words(part.set_current.table.confirm, own)
            self._offer()
        elif part.enable is not None and _is_of(part.enable, table, address):
            self._is_enabled = words[0] == part.enable.on
            if not self._is_enabled:
                self._granted.clear()
            self._offer()
        elif part.lock is not None and _is_of(part.lock, table, address):
            self._start(self.evse.lock(locked=words[0] == part.lock.on))
        elif part.three_phases is not None and _is_of(part.three_phases, table, address):
            self._start(self._switched(3 if words[0] == part.three_phases.on else 1))

        self._hear_grant(address, tuple(words))

    def _hear_grant(self, address: int, words: tuple[int, ...]) -> None:
        shown = self._state_of(self.evse.pilot, self.evse.faults)
        for letter, grant in self._asks.items():
            is_it = (grant.write.address, grant.write.words) == (address, words)
            if is_it and grant.state == shown:
                self._granted.add(letter)
                self._offer()

    def _may_go_on(self, letter: str) -> bool:
        """Tell whether it need not ask before it goes to this state, or has been let."""
        return letter not in self._asks or letter in self._granted

    def _offer(self) -> None:
        has_pwm = self._is_enabled and self._may_go_on("B")
        self._start(self._offered(self._current_a if has_pwm else 0.0))

    async def _offered(self, current_a: float) -> None:
        await self.evse.offer(current_a, valid_s=_FOREVER_S)
        is_ready = self.evse.pilot in READY_STATES
        if current_a > 0 and is_ready and self._may_go_on("C"):
            await self.evse.energize(closed=True)
        elif current_a == 0:
            await self.evse.energize(closed=False)

    async def _switched(self, phases: int) -> None:
        with suppress(BusError):  # under load such a controller stays as it is
            await self.evse.switch(phases)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_of(target: Command | Switch, table: int, address: int) -> bool:
    is_coil = target.fc == 5  # noqa: PLR2004 - function 5 writes a coil
    return table == (1 if is_coil else 3) and address == target.address
