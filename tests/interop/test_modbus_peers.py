"""Our meters and ports against Modbus servers that know nothing of our maps.

The servers are pymodbus's own, over TCP and over a pseudo terminal; what their registers hold
is written here word by word, from the makers' examples.
"""

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hal.bus.modbus import ModbusPort, SerialPort, TcpPort
from hal.bus.modbus_request import ExceptionReplyError
from hal.drivers.modbus_meter import ModbusMeter
from hal.registers.map import load_map
from hal.types import Phases
from tests.support.contract_hal import Recorder, served

pytestmark = pytest.mark.interop

MAPS = Path(__file__).parents[2] / "config/registers"

SDM630 = {
    0x0000: [0x4366, 0x199A] * 3,  # 230.1 V
    0x0006: [0x4180, 0x0000] * 3,  # 16 A
    0x000C: [0x4566, 0x6000] * 3,  # 3686 W
    0x0034: [0x462C, 0xC800],  # 11058 W
    0x0046: [0x4248, 0x0000],  # 50 Hz
    0x0048: [0x449A, 0x5000],  # 1234.5 kWh
    0x004A: [0x0000, 0x0000],
}
B23 = {
    0x5000: [0, 0, 1, 0xE240],  # 1234.56 kWh
    0x5004: [0, 0, 0, 0],
    0x5B00: [0, 2301] * 3,
    0x5B0C: [0, 1600] * 3,
    0x5B14: [0xFFFE, 0x1DC0],  # -1234.56 W
    0x5B2C: [5000],
}
EM340 = {
    0x0000: [0x08FD, 0x0000] * 3,  # 230.1 V, low word first
    0x000C: [0x3E80, 0x0000] * 3,
    0x0028: [0xCFC7, 0xFFFF],  # -1234.5 W
    0x0033: [500],
    0x0034: [0x3039, 0x0000],  # 1234.5 kWh
    0x004E: [0x0000, 0x0000],
}


def unit(number: int, content: dict[int, list[int]]) -> SimDevice:
    """Return a unit that has these words and, as devices do, zeros between them."""
    end = max(address + len(words) for address, words in content.items())
    image = [0] * end
    for address, words in content.items():
        image[address : address + len(words)] = words
    return SimDevice(number, [SimData(0, values=image, datatype=DataType.REGISTERS)])


@asynccontextmanager
async def tcp_line(*units: SimDevice) -> AsyncIterator[ModbusPort]:
    server = ModbusTcpServer(list(units), address=("127.0.0.1", 0))
    await server.listen()
    number = server.transport.sockets[0].getsockname()[1]
    try:
        async with TcpPort("127.0.0.1", number) as port:
            yield port
    finally:
        await server.shutdown()


@asynccontextmanager
async def serial_line(*units: SimDevice) -> AsyncIterator[ModbusPort]:
    """A pair of pseudo terminals with a server at one end, as socat makes them."""
    ours, theirs = os.openpty(), os.openpty()
    loop = asyncio.get_running_loop()
    for descriptor in (*ours, *theirs):
        tty.setraw(descriptor)
    for here, there in ((ours[0], theirs[0]), (theirs[0], ours[0])):
        loop.add_reader(here, lambda a=here, b=there: os.write(b, os.read(a, 300)))
    server = ModbusSerialServer(
        list(units), framer=FramerType.RTU, port=os.ttyname(theirs[1]), baudrate=9600
    )
    await server.listen()
    try:
        async with SerialPort(os.ttyname(ours[1]), parity="E") as port:
            yield port
    finally:
        await server.shutdown()
        for descriptor in (*ours, *theirs):
            loop.remove_reader(descriptor)
            os.close(descriptor)


async def first_reading(port: ModbusPort, number: int, name: str) -> Recorder:
    meter = ModbusMeter(port, number, load_map(MAPS / f"{name}.toml"))
    async with served(meter) as recorder:
        await recorder.until(lambda now: now.readings or "meter_failed" in now.kinds())
        assert recorder.readings, recorder.log
    return recorder


@pytest.mark.parametrize("line", [tcp_line, serial_line])
def test_three_makes_of_meters_on_one_line_are_read(line):
    async def main():
        async with line(unit(1, SDM630), unit(2, B23), unit(3, EM340)) as port:
            eastron, abb, gavazzi = await asyncio.gather(
                first_reading(port, 1, "eastron-sdm630"),
                first_reading(port, 2, "abb-b23"),
                first_reading(port, 3, "carlo-gavazzi-em340"),
            )
        assert eastron.readings[0].energy_import_wh == 1_234_500.0
        assert eastron.readings[0].power_w == 11_058.0
        assert abb.readings[0].energy_import_wh == 1_234_560.0
        assert abb.readings[0].power_w == -1234.56
        assert gavazzi.readings[0].energy_import_wh == 1_234_500.0
        assert gavazzi.readings[0].power_w == -1234.5
        assert gavazzi.readings[0].voltage_v == Phases(230.1, 230.1, 230.1)
        assert port.counters.errors == port.counters.timeouts == 0

    asyncio.run(main())


def test_what_a_server_refuses_is_told_with_its_code():
    async def main():
        async with tcp_line(unit(1, SDM630)) as port:
            with pytest.raises(ExceptionReplyError):
                await port.read(1, 3, 0xF000, 2)

    asyncio.run(main())


def test_what_is_written_is_what_the_server_holds():
    async def main():
        async with serial_line(unit(1, {0: [0] * 8})) as port:
            await port.write(1, 2, [7, 8])
            await port.write(1, 4, [9], fc=6)
            assert await port.read(1, 3, 2, 3) == (7, 8, 9)

    asyncio.run(main())
