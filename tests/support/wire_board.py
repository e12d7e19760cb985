"""A real board file in a lab: its own drivers, and a simulated device behind every unit.

The vehicles are the lab's. Each port of the board becomes a TCP line of this machine with the
same framing; every unit on it hears every frame and answers those that are its own. A controller
with a line of its own is on a pseudo terminal.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import structs

from agent.core.values import EvseSpec
from hal.board import Hardware, build
from hal.board_file import Board, load_board
from hal.controller_settings import (
    LineControllerSettings,
    OpenEvseMeterSettings,
    OpenEvseSettings,
    SafetyMcuSettings,
)
from hal.gpio_settings import GpioEvseSettings
from hal.modbus_settings import ModbusEvseSettings
from hal.port_settings import ModbusTcpSettings, PortSettings
from hal.registers.map import RegisterMap
from hal.sim.direct_board import SimulatedDirectBoard, moved_into
from hal.sim.evse import SimulatedEvse
from hal.sim.frames import Framing
from hal.sim.line_device import LineDevice
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.modbus_evse import ModbusEvseDevice
from hal.sim.openevse import OpenEvseDevice
from hal.sim.process import meter_points
from hal.sim.safety_mcu import SafetyMcuDevice
from tests.support.lab import Lab

Place = tuple[str, int]

DEVICES: dict[type, type[LineDevice]] = {
    OpenEvseSettings: OpenEvseDevice,
    SafetyMcuSettings: SafetyMcuDevice,
}
"""What serves a controller that has a line of its own, by its settings."""


class _Bus:
    """One line with several units: what a client sends goes to all of them."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        units = [await asyncio.open_connection("127.0.0.1", port) for port in self._ports]
        tasks = [asyncio.create_task(self._pass(unit[0], writer)) for unit in units]
        while data := await reader.read(300):
            for _, out in units:
                out.write(data)
        for task in tasks:
            task.cancel()
        for _, out in units:
            out.close()
        writer.close()

    async def _pass(self, unit: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await unit.read(300):
            writer.write(data)


Wire = Callable[[int, str], Awaitable[PortSettings]]
"""Lays a line of its own to a TCP port whose frames are "rtu", "ascii" or "tcp"."""


Line = Callable[[str], Awaitable[str]]
"""Draws a line of its own to a pseudo terminal; both are paths."""


@asynccontextmanager
async def on_the_wire(
    lab: Lab,
    path: Path,
    directory: Path,
    laid: Wire | None = None,
    drawn: Line | None = None,
) -> AsyncIterator[Hardware]:
    """Serve every device of a board, and let the lab's station be wired to them.

    Args:
        laid: puts something between the station and a port of the board.
        drawn: the same for the line of a controller that has its own.
    """
    board = load_board(path)
    async with AsyncExitStack() as stack:
        board = await _lines(lab, board, directory, stack, drawn)
        lines: dict[str, list[int]] = {name: [] for name in board.ports}
        lab.devices = await _devices(lab, board, stack)
        for place, server in lab.devices.items():
            lines[place[0]].append(server.port)
        ports: dict[str, PortSettings] = {}
        for name, numbers in lines.items():
            bus = await asyncio.start_server(_Bus(numbers).serve, "127.0.0.1", 0)
            stack.callback(bus.close)
            number = bus.sockets[0].getsockname()[1]
            framing = _framing(board, name)
            ports[name] = (
                ModbusTcpSettings("127.0.0.1", number, framing=framing)
                if laid is None
                else await laid(number, framing)
            )
        hardware = build(structs.replace(board, ports=ports), state_directory=directory)
        for evse_id, sim in lab.boards.items():
            if isinstance(sim, SimulatedDirectBoard):
                hardware.evses[evse_id - 1].controller._board._requested = sim.request
        lab.specs = tuple(
            EvseSpec(
                evse.id,
                evse.connectors,
                evse.max_a,
                evse.phases,
                switches_phases=evse.phase_switching,
            )
            for evse in board.evses
        )
        lab.wired = lambda spec, _: hardware.evses[spec.evse_id - 1]
        try:
            yield hardware
        finally:
            await lab.stop()
            await hardware.close()


def _framing(board: Board, name: str) -> Framing:
    return board.ports[name].framing


async def _lines(
    lab: Lab, board: Board, directory: Path, stack: AsyncExitStack, drawn: Line | None
) -> Board:
    """Return a board whose controllers with lines of their own are on pseudo terminals.

    Those that are wired to this machine are below the directory.
    """
    evses = []
    for evse in board.evses:
        controller = evse.controller
        if isinstance(controller, LineControllerSettings):
            device = DEVICES[type(controller)](lab.evse(evse.id))
            await stack.enter_async_context(device)
            lab.boards[evse.id] = device
            path = device.path if drawn is None else await drawn(device.path)
            controller = structs.replace(controller, path=path)
        elif isinstance(controller, GpioEvseSettings):
            place = directory / f"evse-{evse.id}"
            controller = moved_into(place, controller)
            lab.boards[evse.id] = SimulatedDirectBoard(place, lab.evse(evse.id), controller)
            await stack.enter_async_context(lab.boards[evse.id])
        evses.append(structs.replace(evse, controller=controller))
    return structs.replace(board, evses=tuple(evses))


async def _devices(
    lab: Lab, board: Board, stack: AsyncExitStack
) -> dict[Place, ModbusDeviceServer]:
    servers: dict[Place, ModbusDeviceServer] = {}
    for evse in board.evses:
        sim, controller, meter = lab.evse(evse.id), evse.controller, evse.meter
        if isinstance(controller, ModbusEvseSettings):
            device = ModbusEvseDevice(
                board.maps[controller.map],
                sim,
                unit=controller.unit,
                framing=_framing(board, controller.port),
            )
            await stack.enter_async_context(device)
            servers[controller.port, controller.unit] = device.server
        if isinstance(meter, OpenEvseMeterSettings):
            continue  # the controller serves it
        if (meter.port, meter.unit) not in servers:
            server = _meter(board.maps[meter.map], sim, meter.unit, _framing(board, meter.port))
            await stack.enter_async_context(server)
            servers[meter.port, meter.unit] = server
    return servers


def _meter(
    register_map: RegisterMap, sim: SimulatedEvse, unit: int, framing: Framing
) -> ModbusDeviceServer:
    return ModbusDeviceServer(
        register_map,
        unit=unit,
        read_points=lambda: meter_points(sim.reading()),
        framing=framing,
    )
