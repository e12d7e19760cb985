"""One EVSE of the simulated board: the simulation, its meter's server, and who is told.

A unit is the only listener of its simulation. It keeps the last report of each kind, so a
driver that connects is told the present levels first, and then every change.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from hal.api import EvseListener
from hal.errors import BusError
from hal.sim import wire
from hal.sim.evse import SimulatedEvse
from hal.sim.modbus_device import ModbusDeviceServer, Mode
from hal.sim.vehicle import SimRefused
from hal.types import EvseCapabilities, Fault, IdToken, MeterReading, PilotState, Value

_LEVELS = (
    wire.Faults,
    wire.Detected,
    wire.Cable,
    wire.Locked,
    wire.Pilot,
    wire.Outlet,
    wire.Temperature,
)
"""In the order in which a new driver is told: what is broken before what is seen, and a cable
before the vehicle at its end. What the hardware does not have is never told."""


class Subscriber(Protocol):
    """Where reports go."""

    def report(self, reported: wire.Reported) -> None:
        """Take a report; returns at once."""


class Wiring(Value, frozen=True):
    """What belongs to an EVSE beside its controller.

    Attributes:
        evse_id: its number.
        port: name of its meter's port in the board file.
        has_reader: whether it has a token reader.
    """

    evse_id: int
    port: str
    has_reader: bool


class Unit(EvseListener):
    """One simulated EVSE and its subscribers.

    Attributes:
        wiring: what belongs to it.
        evse: the simulation itself.
        meter: the server of its meter; None when the board has a real meter there.
        on_switched: called when the contactor has moved.
    """

    def __init__(
        self, wiring: Wiring, evse: SimulatedEvse, meter: ModbusDeviceServer | None
    ) -> None:
        self.wiring, self.evse, self.meter = wiring, evse, meter
        self.on_switched: Callable[[], None] | None = None
        self._line: Mode = "up"
        self._levels: dict[type, wire.Report] = {}
        self._faults: dict[Fault, str] = {}
        self._controllers: set[Subscriber] = set()
        self._readers: set[Subscriber] = set()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the simulation; its levels are known afterwards."""
        self._levels = {wire.Faults: wire.Faults({})}
        self._running = asyncio.create_task(self.evse.run(self))
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop the simulation and its meter."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self.meter is not None:
            await self.meter.stop()

    def attach_controller(self, subscriber: Subscriber) -> None:
        """Make the board safe for a driver that starts, tell it the levels, then changes.

        Raises:
            BusError: the controller has been made silent.
        """
        if Fault.COMMUNICATION_FAULT in self.evse.faults:
            raise BusError(f"the controller of EVSE {self.wiring.evse_id} does not answer")
        self.evse.make_safe()
        self._controllers.add(subscriber)
        for kind in _LEVELS:
            if kind in self._levels:
                subscriber.report(self._reported(self._levels[kind]))

    def attach_reader(self, subscriber: Subscriber) -> None:
        """Tell a driver which tokens are read from now on.

        Raises:
            SimRefused: this EVSE has no reader.
        """
        self._require_reader()
        self._readers.add(subscriber)

    def detach(self, subscriber: Subscriber) -> None:
        """Tell it nothing any more; harmless when it was told nothing."""
        self._controllers.discard(subscriber)
        self._readers.discard(subscriber)

    def present(self, id_token: IdToken) -> None:
        """Hold a token before the reader.

        Raises:
            SimRefused: this EVSE has no reader.
        """
        self._require_reader()
        self.evse.present(id_token)

    def set_line(self, line: Mode) -> None:
        """Let the meter's line work or fail.

        Raises:
            SimRefused: the board has a real meter there.
        """
        self._require_meter()
        self._line = line
        self._apply_line()

    def set_meter(self, point: str, value: float | None) -> None:
        """Fix a point of the meter's register map, whatever flows; None lets go of it.

        Raises:
            SimRefused: the map has no such point, its type cannot carry the value, or the
                board has a real meter there.
        """
        meter = self._require_meter()
        try:
            if value is None:
                meter.release_point(point)
            else:
                meter.set_point(point, value)
        except ValueError as error:
            raise SimRefused(str(error)) from error

    # What the simulation reports

    def pilot_changed(self, pilot: PilotState, connector_id: int = 1) -> None:
        """Pass it on."""
        self._level(wire.Pilot(pilot, connector_id))

    def outlet_changed(self, *, closed: bool) -> None:
        """Pass it on."""
        self._level(wire.Outlet(closed))
        if self.on_switched is not None:
            self.on_switched()

    def lock_changed(self, *, locked: bool) -> None:
        """Pass it on."""
        self._level(wire.Locked(locked))

    def cable_changed(self, ampacity_a: float | None) -> None:
        """Pass it on."""
        self._level(wire.Cable(ampacity_a))

    def temperature_read(self, temperature_c: float) -> None:
        """Pass it on."""
        self._level(wire.Temperature(temperature_c))

    def meter_read(self, reading: MeterReading) -> None:
        """Ignore it: the meter is asked over Modbus."""

    def meter_failed(self, reason: str) -> None:
        """Ignore it: the meter is asked over Modbus."""

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        """Pass on all faults there are."""
        self._faults = {**self._faults, fault: info}
        self._level(wire.Faults(self._faults))
        self._apply_line()

    def fault_cleared(self, fault: Fault) -> None:
        """Pass on all faults that are left."""
        self._faults = {one: info for one, info in self._faults.items() if one is not fault}
        self._level(wire.Faults(self._faults))
        self._apply_line()

    def token_presented(self, id_token: IdToken) -> None:
        """Pass it on to the reader's drivers."""
        for subscriber in self._readers:
            subscriber.report(self._reported(wire.Presented(id_token)))

    def detected(self, capabilities: EvseCapabilities) -> None:
        """Pass it on."""
        self._level(wire.Detected(capabilities))

    def _level(self, report: wire.Report) -> None:
        self._levels[type(report)] = report
        for subscriber in self._controllers:
            subscriber.report(self._reported(report))

    def _reported(self, report: wire.Report) -> wire.Reported:
        return wire.Reported(self.wiring.evse_id, report)

    def _apply_line(self) -> None:
        """A failed meter is as silent as a broken line."""
        if self.meter is not None:
            is_dead = Fault.POWER_METER_FAILURE in self._faults
            self.meter.mode = "down" if is_dead else self._line

    def _require_reader(self) -> None:
        if not self.wiring.has_reader:
            raise SimRefused(f"EVSE {self.wiring.evse_id} has no token reader")

    def _require_meter(self) -> ModbusDeviceServer:
        if self.meter is None:
            raise SimRefused(f"the meter of EVSE {self.wiring.evse_id} is not simulated")
        return self.meter
