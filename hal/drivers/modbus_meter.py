"""Any energy meter on Modbus: polls, decodes by its register map, and refuses what cannot be.

A poll is good when every needed quantity is present, within its range, and the energy
registers moved as energy can move. Only a good poll is reported as a reading; any other is
reported as failed, with its reason, and nothing of it is used. Nothing is interpolated.

How an energy register may move is in `hal.registers.plausible`. A meter that was replaced or
reset stays failed until the agent is restarted; one that comes back after a gap with what was
drawn meanwhile is accepted.

When no poll has been good for `fail_after_s`, the meter is faulty until the next good one
(`Fault.POWER_METER_FAILURE`). The last accepted reading survives a restart of `run`.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from hal.api import EvseListener, Meter
from hal.bus.modbus import ModbusPort
from hal.drivers.mapped import MappedDevice
from hal.errors import DeviceError, HalError
from hal.registers.codec import Point
from hal.registers.map import RegisterMap
from hal.registers.plausible import Plausibility
from hal.registers.vocabulary import DC_POINTS
from hal.types import DcReading, Fault, MeterReading, Phases

FORGETTING: Final = 0.9
"""How much of the longest wait counts a poll later."""

_CONDUCTORS = ("l1", "l2", "l3")
_NEEDED = frozenset(
    {"power_total", "energy_import", "energy_export", "frequency", *DC_POINTS}
    | {f"{kind}_{name}" for kind in ("voltage", "current", "power") for name in _CONDUCTORS}
)
_BESIDE = frozenset({"current_n", "power_factor", "reactive_total"})
"""What is told if it is there; a value that cannot be costs only itself."""

USED: Final = _NEEDED | _BESIDE
POLL_S: Final = 1.0


class ModbusMeter(Meter):
    """An energy meter at one unit of a Modbus port.

    A conductor for which the map has no point, or an optional one without a value, is
    reported as 0.0: a single-phase meter has nothing on L2 and L3, and one of direct current
    has no conductor. Without a power of its own that one's is voltage times current.
    """

    def __init__(
        self,
        port: ModbusPort,
        unit: int,
        register_map: RegisterMap,
        *,
        poll_s: float = POLL_S,
        fail_after_s: float = 10.0,
    ) -> None:
        """Say where the meter is; nothing is sent yet.

        Args:
            port: the line that it is on; shared with other devices.
            unit: its address, 1 to 255.
            register_map: what its registers mean.
            poll_s: from one reading to the next, more than 0. A poll begins as much earlier
                as those before it had to wait for the line, but not in half of the time.
            fail_after_s: how long without a good reading makes a fault, more than 0.

        Raises:
            ValueError: a time is not more than 0.
        """
        if poll_s <= 0 or fail_after_s <= 0:
            raise ValueError(f"poll_s {poll_s} and fail_after_s {fail_after_s} must be above 0")
        self._device = MappedDevice(port, unit, register_map, names=USED)
        self._plausibility = Plausibility(register_map.max_power_w)
        self._poll_s, self._fail_after_s = poll_s, fail_after_s
        self._is_prepared = False

    async def run(self, listener: EvseListener) -> None:
        """Poll and report until cancelled; trouble is reported, never raised."""
        loop = asyncio.get_running_loop()
        self._is_prepared = False
        well_at, waits_s = loop.time(), 0.0
        is_faulty: bool | None = None  # None: nothing is known yet
        while True:
            begun_at = loop.time()
            try:
                reading = await self._poll()
            except HalError as error:
                listener.meter_failed(str(error))
                if not is_faulty and loop.time() - well_at >= self._fail_after_s:
                    is_faulty = True
                    listener.fault_raised(Fault.POWER_METER_FAILURE, str(error))
            else:
                well_at = loop.time()
                if is_faulty is not False:
                    is_faulty = False
                    listener.fault_cleared(Fault.POWER_METER_FAILURE)
                listener.meter_read(reading)
            # The longest wait of late, so that a reading comes in time even after such a one.
            waits_s = max(loop.time() - begun_at, waits_s * FORGETTING)
            due = begun_at + max(self._poll_s - waits_s, self._poll_s / 2)
            await asyncio.sleep(max(due - loop.time(), 0.0))

    async def _poll(self) -> MeterReading:
        """Return one plausible reading.

        Raises:
            BusError: the line did not carry the exchange.
            DeviceError: the meter refused, or said what cannot be.
        """
        if not self._is_prepared:
            await self._device.prepare()
            self._is_prepared = True
        values = await self._device.values()
        at_s = asyncio.get_running_loop().time()
        points = self._device.points
        checked = {point.name: self._checked(point, values, at_s) for point in points}
        reading = _reading(checked)
        for point in points:
            self._plausibility.accept(point, checked[point.name], at_s)
        return reading

    def _checked(
        self, point: Point, values: Mapping[str, float | None], at_s: float
    ) -> float | None:
        """Return a plausible value, or None for an optional point that has none.

        Raises:
            DeviceError: a needed value is absent or cannot be.
        """
        value = values.get(point.name)
        problem = self._plausibility.problem(point, value, at_s)
        if problem is None:
            return value
        if point.is_optional or point.name in _BESIDE:
            return None
        raise DeviceError(f"{point.name} {problem}")


def _reading(values: Mapping[str, float | None]) -> MeterReading:
    """Return the reading that checked values make.

    Raises:
        DeviceError: neither the total nor the power of a conductor has a value.
    """
    power_w, dc = values.get("power_total"), _dc(values)
    if power_w is None and dc is not None:
        power_w = dc.voltage_v * dc.current_a
    if power_w is None:
        parts = [
            part for name in _CONDUCTORS if (part := values.get(f"power_{name}")) is not None
        ]
        if not parts:
            raise DeviceError("power_total has no value, and no conductor has one")
        power_w = sum(parts)
    energy_wh = values["energy_import"]
    if energy_wh is None:
        raise AssertionError("a register map cannot make energy_import optional")
    return MeterReading(
        energy_import_wh=energy_wh,
        power_w=power_w,
        current_a=_phases(values, "current"),
        voltage_v=_phases(values, "voltage"),
        energy_export_wh=values.get("energy_export"),
        frequency_hz=values.get("frequency"),
        power_phases_w=_all_phases(values, "power"),
        current_n_a=values.get("current_n"),
        reactive_var=values.get("reactive_total"),
        power_factor=values.get("power_factor"),
        dc=dc,
    )


def _dc(values: Mapping[str, float | None]) -> DcReading | None:
    """Return what a meter of direct current shows, None of another one."""
    volts, amps = (values.get(name) for name in DC_POINTS)
    return None if volts is None or amps is None else DcReading(volts, amps)


def _all_phases(values: Mapping[str, float | None], quantity: str) -> Phases | None:
    """Return a quantity of each conductor if the meter has it for the first."""
    if values.get(f"{quantity}_l1") is None:
        return None
    return _phases(values, quantity)


def _phases(values: Mapping[str, float | None], quantity: str) -> Phases:
    return Phases(*(values.get(f"{quantity}_{name}") or 0.0 for name in _CONDUCTORS))
