"""`hal simulate`: a device that does not exist, served by its map on a port or a line.

What it shows is a charge that goes on: 230 V, 10 A on each phase, and a register that rises.
Any point can be fixed, and so can the way in which the line fails.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from hal.registers.map import RegisterMap
from hal.registers.vocabulary import CONDUCTORS
from hal.sim.modbus_device import ModbusDeviceServer

VOLTAGE_V: Final = 230.0
CURRENT_A: Final = 10.0
START_WH: Final = 1_000_000.0
_SECONDS_PER_HOUR: Final = 3600.0


@asynccontextmanager
async def simulated(
    register_map: RegisterMap,
    *,
    unit: int,
    tcp_port: int | None,
    fixed: Mapping[str, float] | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[tuple[ModbusDeviceServer, str]]:
    """Serve a device around a block; yield it and where it is.

    Args:
        tcp_port: of this machine, 0 for any free one; None for a pseudo terminal.
        fixed: points that keep a value, in the canonical unit.

    Raises:
        OSError: the port is taken.
        ValueError: the map has no such point, or its type cannot carry the value.
    """
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    framing = "tcp" if tcp_port is not None else "rtu"
    device = ModbusDeviceServer(
        register_map,
        unit=unit,
        read_points=lambda: charging(register_map, loop.time() - begun_s),
        framing="tcp" if framing == "tcp" else "rtu",
    )
    for name, value in (fixed or {}).items():
        device.set_point(name, value)
    try:
        if tcp_port is None:
            yield device, await device.start_pty()
        else:
            await device.start(host, tcp_port)
            yield device, f"{host}:{device.port}"
    finally:
        await device.stop()


def charging(register_map: RegisterMap, elapsed_s: float) -> dict[str, float]:
    """Return every point of a charge at 230 V and 10 A that began at 1000 kWh."""
    conductors = CONDUCTORS[: register_map.phases]
    power_w = VOLTAGE_V * CURRENT_A * len(conductors)
    states = next((point for point in register_map.points if point.labels), None)
    values = {
        "power_total": power_w,
        "apparent_total": power_w,
        "reactive_total": 0.0,
        "power_factor": 1.0,
        "frequency": 50.0,
        "temperature": 25.0,
        "energy_import": START_WH + power_w * elapsed_s / _SECONDS_PER_HOUR,
        "energy_export": 0.0,
        "current_n": 0.0,
        "state": float(next(iter(states.labels))) if states is not None else 0.0,
        "outlet": 0.0,
        "locked": 0.0,
        "cable_limit": 32.0,
        "error_bits": 0.0,
        "offered": 0.0,
    }
    for name in conductors:
        values[f"voltage_{name}"] = VOLTAGE_V
        values[f"current_{name}"] = CURRENT_A
        values[f"power_{name}"] = VOLTAGE_V * CURRENT_A
    return values
