"""A digital input on the wire of an I/O module that knows nothing of ours."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hal.bus.modbus import TcpPort
from hal.drivers.modbus_input import FUNCTIONS, ModbusInput
from tests.support.contract_hal import INPUT_CLAUSES, clause_name, listening

UNIT, ADDRESS = 5, 3


class Module:
    """An I/O module with eight inputs, in all four tables."""

    def __init__(self, server: ModbusTcpServer, port: TcpPort, **options) -> None:
        self.port = port
        self._server, self._table = server, options.get("table", "discrete")
        self._bit, self._closed = options.get("bit"), options.get("active", 1)
        self.input = ModbusInput(
            port, UNIT, address=ADDRESS, poll_s=0.02, fail_after_s=0.2, **options
        )

    async def activate(self, *, active: bool) -> None:
        bit = self._closed if active else 1 - self._closed
        value = bool(bit) if self._bit is None else bit << self._bit
        function = FUNCTIONS[self._table]
        await self._server.async_setValues(UNIT, function, ADDRESS, [value])

    async def lose(self) -> None:
        await self._server.shutdown()


@asynccontextmanager
async def module(**options):
    bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    words = [SimData(0, values=[0] * 16, datatype=DataType.REGISTERS)]
    device = SimDevice(UNIT, simdata=(bits, bits, words, words))
    server = ModbusTcpServer([device], address=("127.0.0.1", 0))
    await server.listen()
    number = server.transport.sockets[0].getsockname()[1]
    try:
        async with TcpPort("127.0.0.1", number) as port:
            rig = Module(server, port, **options)
            await rig.activate(active=False)
            yield rig
    finally:
        await server.shutdown()


@pytest.mark.parametrize("clause", INPUT_CLAUSES, ids=clause_name)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"table": "coil"},
        {"table": "holding", "bit": 0},
        {"table": "input", "bit": 11},
        {"active": 0},
    ],
    ids=str,
)
def test_an_input_in_any_table_keeps_the_contract(clause, options):
    async def main():
        async with module(**options) as rig:
            await clause(rig)

    asyncio.run(main())


def test_an_input_that_bounces_is_active_until_it_stays_open():
    async def main():
        async with module() as rig, listening(rig) as (told, until):
            await until(lambda: told == [False])
            await rig.activate(active=True)
            await until(lambda: told[-1])
            for active in (False, True, False):
                await rig.activate(active=active)
            await until(lambda: not told[-1])
            assert told == [False, True, False]

    asyncio.run(main())


def test_one_that_is_back_is_told_as_it_is():
    async def main():
        async with module() as rig, listening(rig) as (told, until):
            await until(lambda: told == [False])
            await rig.lose()
            await until(lambda: told[-1])
            assert told == [False, True]

    asyncio.run(main())
