"""The simulated board's socket: who owns its name."""

import asyncio

from hal.sim.server import SimulatorServer
from tests.support.simulated_board import short_directory


def test_a_board_that_ends_late_leaves_the_socket_of_its_successor_alone():
    path = short_directory() / "s"

    async def story() -> bool:
        first, second = (SimulatorServer({}, linger_s=30.0) for _ in range(2))
        await first.start(path)
        path.unlink()
        await second.start(path)
        await first.stop()
        is_there = path.exists()
        await second.stop()
        return is_there and not path.exists()

    assert asyncio.run(story())
