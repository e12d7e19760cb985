"""A board of direct current in a lab: its own drivers, and a device behind every wire."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import structs

from agent.core.values import EvseSpec
from hal.board import build
from hal.board_file import load_board
from hal.bus.can import virtual
from hal.dc_settings import VehicleSocketSettings
from hal.port_settings import CanSettings, ModbusTcpSettings, PortSettings
from hal.sim.dc_devices import ContactorDevice, IsoChaDevice
from hal.sim.dc_outlet import RackOutlet
from hal.sim.dc_vehicle import SimulatedDcVehicle
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.module_line import InfypowerLine, ModuleLine, served
from hal.sim.power_module import Load, SimulatedModule, SimulatedRack
from hal.sim.process import meter_points
from tests.support.lab import Lab

_CHANNELS = itertools.count()


class Cabinet:
    """What a test moves and looks at."""

    def __init__(self, outlet: RackOutlet, monitor: IsoChaDevice) -> None:
        self.outlet, self.monitor = outlet, monitor
        self.vehicle = SimulatedDcVehicle(outlet)


@asynccontextmanager
async def cabinet(
    lab: Lab,
    path: Path,
    directory: Path,
    laid: Callable[[SimulatedRack], ModuleLine] = InfypowerLine,
) -> AsyncIterator[Cabinet]:
    """Serve every device of a cabinet with one outlet, and wire the lab's station to it.

    Args:
        laid: returns the line of its modules.
    """
    board = load_board(path)
    (evse,) = board.evses
    assert evse.converter is not None
    modules = [
        SimulatedModule(number, max_a=30.0, max_w=10_000.0) for number in evse.converter.modules
    ]
    outlet = RackOutlet(SimulatedRack(modules, Load()))
    channel, socket = f"cabinet-{next(_CHANNELS)}", directory / "vehicle.sock"
    async with AsyncExitStack() as stack:
        monitor = await stack.enter_async_context(IsoChaDevice(outlet, framing="rtu"))
        contactor = await stack.enter_async_context(ContactorDevice(outlet))
        meter = ModbusDeviceServer(
            board.maps[evse.meter.map],
            read_points=lambda: meter_points(outlet.reading()),
            framing="rtu",
        )
        await stack.enter_async_context(meter)
        line = virtual(channel)
        stack.callback(line.close)
        await stack.enter_async_context(served(line, laid(outlet.rack)))
        ports: dict[str, PortSettings] = {
            "modules": CanSettings(channel, "virtual"),
            "isolation": _tcp(monitor.server, "rtu"),
            "meter": _tcp(meter, "rtu"),
            "io": _tcp(contactor.server, "tcp"),
        }
        evses = (structs.replace(evse, vehicle=VehicleSocketSettings(str(socket))),)
        hardware = build(
            structs.replace(board, ports=ports, evses=evses), state_directory=directory
        )
        spec = EvseSpec(
            1, 1, evse.max_a, evse.phases, measures=board.measures(evse), is_dc=True
        )
        lab.specs, lab.wired = (spec,), lambda _, __: hardware.evses[0]
        found = Cabinet(outlet, monitor)
        speaking = asyncio.create_task(found.vehicle.run(socket))
        try:
            yield found
        finally:
            await lab.stop()
            await hardware.close()
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)


def _tcp(server: ModbusDeviceServer, framing: str) -> ModbusTcpSettings:
    return ModbusTcpSettings("127.0.0.1", server.port, framing=framing)
