"""Four meters and two controllers on one line of 9600 baud, which carries 960 characters a second.

The line is a pseudo terminal on a virtual clock: every frame takes as long as its characters do.
"""

import asyncio
import os
import select
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from operator import sub
from pathlib import Path

from hal.bus.modbus import SerialPort
from hal.drivers.modbus_evse import ModbusEvse
from hal.drivers.modbus_meter import ModbusMeter
from hal.registers.map import load_map
from hal.sim.evse import SimulatedEvse
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.modbus_evse import ModbusEvseDevice
from hal.sim.process import meter_points
from hal.sim.vehicle import Vehicle
from hal.types import PilotState
from tests.support import vloop
from tests.support.contract_hal import Recorder, served
from tests.support.stable_pty import StablePty

MAPS = Path(__file__).parents[2] / "config/registers"
SDM630 = load_map(MAPS / "eastron-sdm630.toml")
EVSE_DIN = load_map(MAPS / "evse-din.toml")
CHARACTER_S = 10 / 9600
"""Start bit, eight data bits, stop bit."""

METERS, CONTROLLERS = (1, 2, 3, 4), (11, 12)
QUICK = Vehicle(reaction_s=0.0, adapt_s=0.0, ampacity_a=32.0)
READS, WRITE = (3, 4), 6
FRESH_S = 1.0
TURNAROUND_S = 0.005
"""What a device takes to think of its answer."""

LONGEST_S = (8 + 157) * CHARACTER_S + TURNAROUND_S + 3.5 * 11 / 9600
"""The longest exchange here, with the pause after it: 76 registers of a meter."""

PTY_PATIENCE_S = 0.001


class SlowLine:
    """An adapter with units behind it, at the speed of its characters."""

    def __init__(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, vloop.VirtualTimeLoop)
        loop.patience_s = PTY_PATIENCE_S
        self._pty, self._loop = StablePty(path), loop
        self._units: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.requests: list[tuple[float, bytes]] = []
        self.answers: list[tuple[float, bytes]] = []
        self._pty.put()
        self.path = self._pty.path
        self._loop.add_reader(self._pty.device, self._asked)

    async def attach(self, port: int) -> None:
        answers, unit = await asyncio.open_connection("127.0.0.1", port)
        self._units.append(unit)
        self._tasks.append(asyncio.ensure_future(self._hear(answers)))

    def close(self) -> None:
        self._loop.remove_reader(self._pty.device)
        self._pty.pull()
        for task in self._tasks:
            task.cancel()
        for unit in self._units:
            unit.close()

    def _asked(self) -> None:
        data = os.read(self._pty.device, 300)
        self.requests.append((self._loop.time(), data))
        self._loop.call_later(len(data) * CHARACTER_S + TURNAROUND_S, self._spread, data)

    def _spread(self, data: bytes) -> None:
        self._loop.io_in_flight += 1  # one unit answers each request
        for unit in self._units:
            unit.write(data)

    async def _hear(self, answers: asyncio.StreamReader) -> None:
        while data := await answers.read(300):
            self._loop.io_in_flight -= 1
            self._loop.call_later(len(data) * CHARACTER_S, self._arrived, data)

    def _arrived(self, data: bytes) -> None:
        self.answers.append((self._loop.time(), data))
        if self._pty.device >= 0:
            os.write(self._pty.device, data)
            select.select([self._pty.host], [], [], 1.0)  # until the kernel has handed it on


@dataclass
class Site:
    """What is on the line, and its drivers."""

    line: SlowLine
    vehicles: list[SimulatedEvse]
    controllers: list[ModbusEvse]
    told: list[Recorder]


@asynccontextmanager
async def site(directory: Path) -> AsyncIterator[Site]:
    """Serve a site whose two vehicles charge."""
    line = SlowLine(directory / "usb-FTDI-if00")
    vehicles = [SimulatedEvse() for _ in CONTROLLERS]
    async with AsyncExitStack() as stack:
        stack.callback(line.close)
        for unit, vehicle in zip(CONTROLLERS, vehicles, strict=True):
            device = ModbusEvseDevice(EVSE_DIN, vehicle, unit=unit, framing="rtu")
            await stack.enter_async_context(device)
            await line.attach(device.server.port)
        for unit in METERS:
            shown = partial(_shown, vehicles[unit % 2])
            server = ModbusDeviceServer(SDM630, unit=unit, framing="rtu", read_points=shown)
            await stack.enter_async_context(server)
            await line.attach(server.port)
        port = SerialPort(line.path, baudrate=9600)
        stack.callback(port.close)
        controllers = [ModbusEvse(port, unit, EVSE_DIN) for unit in CONTROLLERS]
        meters = [ModbusMeter(port, unit, SDM630) for unit in METERS]
        told = [await stack.enter_async_context(served(one)) for one in controllers]
        for meter in meters:
            await stack.enter_async_context(served(meter))
        for controller, vehicle, recorder in zip(controllers, vehicles, told, strict=True):
            await recorder.until(lambda now: now.pilot is PilotState.A)
            vehicle.plug(1, QUICK)
            await controller.offer(16.0, valid_s=600.0)
            await controller.energize(closed=True)
            await recorder.until(lambda now: now.outlet_closed)
        yield Site(line, vehicles, controllers, told)


def _shown(evse: SimulatedEvse) -> dict[str, float]:
    return meter_points(evse.reading())


def longest_pauses(line: SlowLine, since_s: float) -> dict[int, float]:
    """Return the longest time from one answer of each unit to its next, s."""
    times: dict[int, list[float]] = {}
    for at_s, answer in line.answers:
        if at_s >= since_s and answer[1] in READS:
            times.setdefault(answer[0], []).append(at_s)
    return {unit: max(map(sub, at[1:], at)) for unit, at in times.items()}


def test_what_decisions_hang_on_is_never_older_than_a_second(tmp_path):
    async def main() -> None:
        async with site(tmp_path) as found:
            since_s = asyncio.get_running_loop().time()
            await asyncio.sleep(20)
            pauses = longest_pauses(found.line, since_s)
            assert pauses.keys() == {*METERS, *CONTROLLERS}
            assert max(pauses.values()) <= FRESH_S

    vloop.run(main())


def test_an_opening_waits_for_one_exchange_at_most(tmp_path):
    """Whenever it comes: during a meter's long answer, and right after its own unit's."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with site(tmp_path) as found:
            controller, told = found.controllers[0], found.told[0]
            for count in range(40):
                await asyncio.sleep(0.029 * count % 0.5)
                asked_s = loop.time()
                await controller.energize(closed=False)
                begun_s = next(
                    at_s
                    for at_s, request in found.line.requests
                    if at_s >= asked_s and request[:2] == bytes((CONTROLLERS[0], WRITE))
                )
                assert begun_s - asked_s <= LONGEST_S
                await told.until(lambda now: now.outlet_closed is False)
                await controller.energize(closed=True)
                await told.until(lambda now: now.outlet_closed)

    vloop.run(main())
