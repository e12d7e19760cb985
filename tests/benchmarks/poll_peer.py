"""A child process: loops of a bare pymodbus client.

    python -m tests.benchmarks.poll_peer '[[PORT, EVERY_S, [[FC, ADDRESS, COUNT], …]], …]'

Each loop has a connection of its own, reads its registers as often as it is told, and drops
them.
"""

import asyncio
import json
import sys

from pymodbus.client import AsyncModbusTcpClient


async def polled(port: int, every_s: float, reads: list[tuple[int, int, int]]) -> None:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    ask = {3: client.read_holding_registers, 4: client.read_input_registers}
    while True:
        for function, address, count in reads:
            await ask[function](address, count=count, device_id=1)
        await asyncio.sleep(every_s)


async def main(loops: list[tuple[int, float, list[tuple[int, int, int]]]]) -> None:
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(polled(*loop))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
