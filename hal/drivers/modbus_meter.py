"""Any energy meter on Modbus: polls, decodes by its register map, and refuses what cannot be.

A poll is good when every needed quantity is present, within its range, and the energy
registers moved as energy can move. Only a good poll is reported as a reading; any other is
reported as failed, with its reason, and nothing of it is used. Nothing is interpolated.

How an energy register may move is in `hal.registers.plausible`. A meter that was replaced or
reset stays failed until the agent is restarted; one that comes back after a gap with what was
drawn meanwhile is accepted.

The last accepted reading survives a restart of `run`.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from hal.api import EvseListener
from hal.bus.modbus import ModbusPort
from hal.drivers.mapped import MappedDevice
from hal.drivers.polled_meter import PolledMeter
from hal.errors import DeviceError
from hal.registers.codec import Point
from hal.registers.map import RegisterMap
from hal.registers.plausible import Plausibility
from hal.registers.vocabulary import DC_POINTS
from hal.types import DcReading, MeterReading, Phases

_CONDUCTORS = ("l1", "l2", "l3")
_NEEDED = frozenset(
    {"power_total", "energy_import", "energy_export", "frequency", *DC_POINTS}
    | {f"{kind}_{name}" for kind in ("voltage", "current", "power") for name in _CONDUCTORS}
)
_BESIDE = frozenset({"current_n", "power_factor", "reactive_total"})
"""What is told if it is there; a value that cannot be costs only itself."""

USED: Final = _NEEDED | _BESIDE
POLL_S: Final = 1.0


class ModbusMeter(PolledMeter):
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
            poll_s, fail_after_s: of every `PolledMeter`.

        Raises:
            ValueError: a time is not more than 0.
        """
        super().__init__(poll_s=poll_s, fail_after_s=fail_after_s)
        self._device = MappedDevice(port, unit, register_map, names=USED)
        self._plausibility = Plausibility(register_map.max_power_w)
        self._is_prepared = False

    async def run(self, listener: EvseListener) -> None:
        """Poll and report until cancelled; trouble is reported, never raised."""
        self._is_prepared = False
        await super().run(listener)

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
