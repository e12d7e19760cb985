"""A simulated DC outlet: converter, contactor, cable, and the battery behind it.

    converter ── contactor ── outlet: monitor, meter ── vehicle's contactors ── battery

The output follows its set point by a slope and falls by itself when it is off. Current flows
while both contactors are closed and the output would be above the battery; it is what the
converter may give, or what the resistance of the way lets through. Everything is a function
of the event loop's time: nothing runs by itself.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from hal.api import ConverterListener, PowerConverter, check_output
from hal.errors import BusError
from hal.sim.power_module import Load, SimulatedRack
from hal.types import ConverterLimits, ConverterReading, DcReading, Fault, MeterReading, Phases

RISE_V_PER_S: Final = 400.0
FALL_V_PER_S: Final = 1000.0
WAY_OHM: Final = 0.05
LIMITS: Final = ConverterLimits(min_v=50.0, max_v=1000.0, max_a=200.0, max_w=60_000.0)
REPORT_S: Final = 0.5
_SECONDS_PER_HOUR: Final = 3600.0


class DcOutlet:
    """The electrical side of one outlet.

    Attributes:
        contactor_closed: that of the station.
        vehicle_closed: those of the vehicle.
        battery_v: what the battery has.
        isolation_ohm: what the monitor would measure.
        welded: the station's contactor stays as it is, whatever it is told.
    """

    def __init__(self) -> None:
        self.isolation_ohm = 5e6
        self.welded = False
        self.battery_v = 400.0
        self._contactor_closed = self._vehicle_closed = False
        self._set: tuple[float, float] | None = None
        self._off_at = 0.0
        self._voltage_v = 0.0
        self._energy_wh = 0.0
        self._at_s = 0.0

    @property
    def contactor_closed(self) -> bool:
        """Return whether the station's contactor is closed."""
        return self._contactor_closed

    @property
    def vehicle_closed(self) -> bool:
        """Return whether the vehicle's contactors are closed."""
        return self._vehicle_closed

    def switch(self, *, closed: bool) -> None:
        """Close or open the station's contactor, unless it is welded."""
        self._advance()
        if not self.welded:
            self._contactor_closed = closed
        self._advance()

    def switch_vehicle(self, *, closed: bool) -> None:
        """Close or open the vehicle's contactors."""
        self._advance()
        self._vehicle_closed = closed
        self._advance()

    def set_output(self, voltage_v: float, current_a: float, valid_s: float) -> None:
        """Let the converter give; it ends by itself."""
        self._advance()
        self._set, self._off_at = (voltage_v, current_a), _now_s() + valid_s

    def turn_off(self) -> None:
        """Let the converter give nothing."""
        self._advance()
        self._set = None

    @property
    def is_on(self) -> bool:
        """Return whether the converter gives."""
        self._advance()
        return self._set is not None

    def output(self) -> ConverterReading:
        """Return what the converter measures at its output."""
        self._advance()
        amps = self._amps()
        volts = self.battery_v + amps * WAY_OHM if amps else self._voltage_v
        return ConverterReading(volts, amps)

    def outlet_v(self) -> float:
        """Return the voltage behind the contactor, where monitor and meter are."""
        output = self.output()
        if self._contactor_closed:
            return output.voltage_v
        return self.battery_v if self._vehicle_closed else 0.0

    def reading(self) -> MeterReading:
        """Return what the meter shows."""
        output, volts = self.output(), self.outlet_v()
        return MeterReading(
            energy_import_wh=self._energy_wh,
            power_w=volts * output.current_a,
            current_a=Phases(0.0, 0.0, 0.0),
            voltage_v=Phases(0.0, 0.0, 0.0),
            dc=DcReading(volts, output.current_a),
        )

    def _amps(self) -> float:
        if self._set is None or not (self._contactor_closed and self._vehicle_closed):
            return 0.0
        volts, amps = self._set
        return max(0.0, min(amps, (min(volts, self._voltage_v) - self.battery_v) / WAY_OHM))

    def _advance(self) -> None:
        """Let time pass since the last look, up to the end of an output that ends by itself."""
        now_s = _now_s()
        if self._set is not None and self._off_at <= now_s:
            self._pass(self._off_at)
            self._set = None
        self._pass(now_s)

    def _pass(self, until_s: float) -> None:
        passed_s = max(0.0, until_s - self._at_s)
        self._at_s = max(self._at_s, until_s)
        amps = self._amps()
        self._energy_wh += (
            amps * (self.battery_v + amps * WAY_OHM) * passed_s / _SECONDS_PER_HOUR
        )
        wanted_v = self._set[0] if self._set is not None else 0.0
        if self._contactor_closed and self._vehicle_closed:
            self._voltage_v = max(self._voltage_v, self.battery_v)  # the battery is on it
            wanted_v = max(wanted_v, self.battery_v)
        if wanted_v >= self._voltage_v:
            self._voltage_v = min(wanted_v, self._voltage_v + RISE_V_PER_S * passed_s)
        else:
            self._voltage_v = max(wanted_v, self._voltage_v - FALL_V_PER_S * passed_s)


class RackOutlet(DcOutlet):
    """An outlet behind power modules that have a line of their own.

    Attributes:
        rack: the modules; what they deliver into is the battery, while all is closed.
    """

    def __init__(self, rack: SimulatedRack) -> None:
        super().__init__()
        self.rack = rack
        self._amps_now = 0.0

    @property
    def is_on(self) -> bool:
        """Return whether a module gives."""
        self._advance()
        return any(one.is_on for one in self.rack.modules)

    def output(self) -> ConverterReading:
        """Return what the modules give together."""
        self._advance()
        volts = max((one.voltage_v for one in self.rack.modules), default=0.0)
        if self._contactor_closed and self._vehicle_closed:
            volts = max(volts, self.battery_v)
        return ConverterReading(volts, self._amps_now)

    def _advance(self) -> None:
        """Let time pass; what flows is as it was at the last look."""
        now_s = _now_s()
        passed_s, self._at_s = max(0.0, now_s - self._at_s), now_s
        volts = self.battery_v + self._amps_now * WAY_OHM
        self._energy_wh += self._amps_now * volts * passed_s / _SECONDS_PER_HOUR
        is_closed = self._contactor_closed and self._vehicle_closed
        self.rack.load = Load(self.battery_v, WAY_OHM) if is_closed else Load()
        self._amps_now = self.rack.delivered_a(now_s)


class SimulatedConverter(PowerConverter):
    """A converter that is one with its outlet.

    Attributes:
        limits: what it says that it can give.
        is_silent: nobody answers, and what was set goes on until it is over.
        skew_v: by how much it shows more than there is.
        told_s: when it was last told what to give, up to a hundred instants.
    """

    def __init__(self, outlet: DcOutlet, limits: ConverterLimits = LIMITS) -> None:
        self._outlet = outlet
        self.limits = limits
        self.is_silent = False
        self.skew_v = 0.0
        self.told_s: list[float] = []

    async def run(self, listener: ConverterListener) -> None:
        """Report until cancelled."""
        self._outlet.turn_off()
        was_silent: bool | None = None
        told: ConverterLimits | None = None
        try:
            while True:
                if self.is_silent is not was_silent:
                    was_silent, told = self.is_silent, None
                    tell: Callable[[Fault], None] = (
                        listener.fault_raised if self.is_silent else listener.fault_cleared
                    )
                    tell(Fault.COMMUNICATION_FAULT)
                if not self.is_silent:
                    if told != self.limits:
                        told = self.limits
                        listener.converter_available(told)
                    shown = self._outlet.output()
                    listener.converter_read(
                        ConverterReading(shown.voltage_v + self.skew_v, shown.current_a)
                    )
                await asyncio.sleep(REPORT_S)
        finally:
            self._outlet.turn_off()

    async def set_output(self, voltage_v: float, current_a: float, *, valid_s: float) -> None:
        """Give at most this; see `PowerConverter.set_output`.

        Raises:
            BusError: it is silent.
            ValueError: something is outside its limits.
        """
        check_output(self.limits, voltage_v, current_a, valid_s)
        self._answer()
        self.told_s = [*self.told_s[-99:], _now_s()]
        self._outlet.set_output(voltage_v, current_a, valid_s)

    async def turn_off(self) -> None:
        """Give nothing.

        Raises:
            BusError: it is silent.
        """
        self._answer()
        self._outlet.turn_off()

    def _answer(self) -> None:
        if self.is_silent:
            raise BusError("the simulated converter does not answer")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
