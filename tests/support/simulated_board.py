"""A simulated board in its own process, for tests: started on demand, ended at the end."""

import asyncio
import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from hal.board_template import board_template
from hal.sim.remote import Place, Simulator

MAPS = Path(__file__).parents[2] / "config" / "registers"


def short_directory() -> Path:
    """Return a fresh directory whose path leaves room for a Unix socket's 107 bytes.

    It is removed when the tests are over.
    """
    path = Path(tempfile.mkdtemp(prefix="pw-", dir="/tmp"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def write_board(directory: Path, text: str | None = None) -> Path:
    """Write a board file, by default one simulated EVSE, and return its path."""
    path = directory / "board.toml"
    path.write_text(board_template() if text is None else text)
    return path


def place_in(directory: Path, text: str | None = None, *, linger_s: float = 30.0) -> Place:
    """Return where a simulated board may live in a directory."""
    return Place(
        board=write_board(directory, text),
        socket=directory / "s",
        state=directory / "state.json",
        linger_s=linger_s,
    )


async def end(simulator: Simulator, number: int = signal.SIGTERM) -> None:
    """End the process that a simulator has started, and wait until it is over."""
    if simulator.pid is not None:
        os.kill(simulator.pid, number)
        with suppress(ChildProcessError):
            await asyncio.to_thread(os.waitid, os.P_PID, simulator.pid, os.WEXITED | os.WNOWAIT)


@asynccontextmanager
async def simulated_board(text: str | None = None) -> AsyncIterator[Simulator]:
    """Provide a simulated board in its own process."""
    directory = short_directory()
    simulator = Simulator(place_in(directory, text))
    try:
        await simulator.start()
        yield simulator
    finally:
        await end(simulator)
        await simulator.close()
