"""`hal probe` and `hal watch`: what a device shows now, with a mark on what cannot be."""

import asyncio
from collections.abc import Collection

from hal.bus.modbus import ModbusPort
from hal.drivers.mapped import MappedDevice
from hal.registers.codec import Point
from hal.registers.map import RegisterMap
from hal.registers.plausible import Plausibility
from hal.types import Value


class Row(Value, frozen=True):
    """One point as it was read.

    Attributes:
        value: in the canonical unit; None when the device has none.
        meaning: what the value means in words: a state, faults; empty for a quantity.
        doubt: what is wrong with it; empty when it is plausible.
        is_needed: a reading without it is none.
    """

    name: str
    value: float | None
    unit: str
    meaning: str
    doubt: str
    is_needed: bool


class Look(Value, frozen=True):
    """A device at one instant."""

    rows: tuple[Row, ...]

    @property
    def is_plausible(self) -> bool:
        """Return whether everything needed is there and can be true."""
        return not any(row.doubt and row.is_needed for row in self.rows)


class Looker:
    """Reads a device again and again, and judges what it shows."""

    def __init__(
        self,
        port: ModbusPort,
        unit: int,
        register_map: RegisterMap,
        *,
        names: Collection[str] | None = None,
    ) -> None:
        """Say where the device is, and which points are of interest; None for all."""
        self._device = MappedDevice(port, unit, register_map, names=names)
        self._plausibility = Plausibility(register_map.max_power_w or float("inf"))

    async def identity(self) -> dict[str, str]:
        """Find the device and return what it says about itself.

        Raises:
            BusError: the line did not carry an exchange.
            DeviceError: the device does not have what its map says.
        """
        await self.prepare()
        return await self._device.identity()

    async def prepare(self) -> None:
        """Find the device.

        Raises:
            BusError: the line did not carry an exchange.
            DeviceError: the device does not have what its map says.
        """
        await self._device.prepare()

    async def look(self) -> Look:
        """Return what the device shows now.

        Raises:
            BusError: the line did not carry an exchange.
            DeviceError: the device refused, or answered with something else.
        """
        values = await self._device.values()
        at_s = asyncio.get_running_loop().time()
        return Look(
            tuple(
                self._row(point, values.get(point.name), at_s) for point in self._device.points
            )
        )

    def _row(self, point: Point, value: float | None, at_s: float) -> Row:
        doubt = self._plausibility.problem(point, value, at_s) or ""
        if not doubt:
            self._plausibility.accept(point, value, at_s)
        meaning = "" if value is None else meant(point, int(value))
        if point.labels and not meaning and value is not None:
            doubt = "is not in the map"
        return Row(point.name, value, point.unit, meaning, doubt, not point.is_optional)


def meant(point: Point, raw: int) -> str:
    """Return what a number means: a pilot state, the faults of its bits; else nothing."""
    faults = [fault for bit, fault in point.bits.items() if raw >> bit & 1]
    if point.bits:
        return ", ".join(faults) or "none"
    label = point.labels.get(raw, "")
    fault = point.faults.get(raw)
    return f"{label} ({fault})" if fault else label
