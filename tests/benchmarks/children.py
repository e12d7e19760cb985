"""A CSMS on a real socket, and the two child processes that are measured at it.

The CSMS does as little as it can, because its time counts for both: it accepts boots, answers
every call, and sends frames that were encoded before. It checks nothing.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.benchmarks.measure import BenchmarkError

REPOSITORY = Path(__file__).parents[2]
STATION, PEER = "CP001", "PEER"
"""Identities: ours, and theirs."""

PATIENCE_S = 30.0
"""How long a child may take for anything."""

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
_NOW = "2027-01-15T08:00:00Z"

_CONFIG = """\
[station]
identity = "{identity}"
vendor = "Example"
model = "Wallbox One"

[[csms]]
url = "ws://127.0.0.1:{port}/ocpp"
protocols = ["ocpp1.6"]
security_profile = 0

[hardware]
board = "{board}"

[storage]
directory = "{directory}/state"

[control]
socket = "{directory}/control.sock"
"""


def telling(module: str) -> tuple[str, ...]:
    """Return the command of a helper process that tells its status when it is done."""
    told = "sys.stderr.write(Path('/proc/self/status').read_text())"
    lines = ("import sys", "from pathlib import Path", f"from {module}.__main__ import main")
    return (sys.executable, "-c", "\n".join((*lines, "main()", told)))


def mib(status: str, key: str) -> float:
    """Return a figure of a text of /proc, which tells KiB.

    Raises:
        BenchmarkError: it is not there.
    """
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) / 1024
    raise BenchmarkError(f"there is no {key}: {status[:200]}")


class Guest:
    """One connected child, as the CSMS sees it.

    Attributes:
        booted_at: `perf_counter` when its BootNotification arrived, None before.
        calls: how many of its calls came, by action.
    """

    def __init__(
        self, connection: ServerConnection, interval_s: int, changed: asyncio.Event
    ) -> None:
        self._connection, self._interval_s, self._changed = connection, interval_s, changed
        self._answer: asyncio.Future[str] | None = None
        self.booted_at: float | None = None
        self.calls: dict[str, int] = {}

    async def converse(self) -> None:
        """Serve the child until its link is gone."""
        try:
            async for frame in self._connection:
                if frame[1] == "2":
                    await self._called(str(frame))
                elif self._answer is not None:
                    self._answer.set_result(str(frame))
        except ConnectionClosed:
            pass

    async def ask(self, frame: str) -> str:
        """Send a call, and return the frame that comes back."""
        self._answer = asyncio.get_running_loop().create_future()
        await self._connection.send(frame)
        try:
            return await self._answer
        finally:
            self._answer = None

    async def _called(self, frame: str) -> None:
        arrived = perf_counter()
        _, message_id, action, *_ = json.loads(frame)
        answer: dict[str, Any] = {}
        if action == "BootNotification":
            self.booted_at = arrived
            answer = {"status": "Accepted", "currentTime": _NOW, "interval": self._interval_s}
        elif action == "Heartbeat":
            answer = {"currentTime": _NOW}
        self.calls[action] = self.calls.get(action, 0) + 1
        self._changed.set()
        await self._connection.send(json.dumps([3, message_id, answer]))


class Hall:
    """The CSMS, and the children that are started to visit it; made by `hall`.

    Attributes:
        directory: for the children's files; it is removed with the hall.
        guests: by identity, the latest connection of each.
        commands: how to start each child so that it boots, by identity.
    """

    def __init__(self, directory: Path, interval_s: int) -> None:
        self.directory = directory
        self.guests: dict[str, Guest] = {}
        self.commands: dict[str, tuple[str, ...]] = {}
        self._interval_s = interval_s
        self._changed = asyncio.Event()
        # Installed packages have their bytecode; a checkout gets it here, for both children.
        self._environment = {
            **{key: value for key, value in os.environ.items() if key != _NO_BYTECODE},
            "PYTHONPYCACHEPREFIX": str(directory / "bytecode"),
        }

    def open(self, port: int) -> None:
        """Take the port, and prepare the children's commands."""
        config = self.directory / "agent.toml"
        board = REPOSITORY / "config" / "boards" / "sim.toml"
        config.write_text(
            _CONFIG.format(identity=STATION, port=port, board=board, directory=self.directory)
        )
        url = f"ws://127.0.0.1:{port}/ocpp/{PEER}"
        self.commands = {
            STATION: ("agent", "run", "-c", str(config)),
            PEER: ("tests.benchmarks.peer", url, "boot"),
        }

    @asynccontextmanager
    async def running(self, *command: str) -> AsyncIterator[int]:
        """Run a Python module as a child and yield its PID; it is ended on the way out."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *command,
            cwd=REPOSITORY,
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process.pid
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def start_s(self, identity: str) -> float:
        """Start a child, end it again, and return how long its BootNotification took."""
        self.guests.pop(identity, None)
        begun = perf_counter()
        async with self.running(*self.commands[identity]):
            guest = await self.booted(identity)
        return (guest.booted_at or begun) - begun

    async def warm_up(self) -> None:
        """Start every child once: bytecode, page cache and our database are there then."""
        for identity in self.commands:
            await self.start_s(identity)
        self.guests.clear()

    async def attend(self, connection: ServerConnection) -> None:
        """Serve one connection."""
        path = connection.request.path if connection.request else ""
        guest = Guest(connection, self._interval_s, self._changed)
        self.guests[path.rpartition("/")[2]] = guest
        self._changed.set()
        await guest.converse()

    async def booted(self, identity: str) -> Guest:
        """Wait until a child has introduced itself."""
        await self.until(lambda: identity in self.guests, f"{identity} does not connect")
        guest = self.guests[identity]
        await self.until(lambda: guest.booted_at is not None, f"{identity} does not boot")
        return guest

    async def until(
        self, holds: Callable[[], bool], complaint: str, limit_s: float = PATIENCE_S
    ) -> None:
        """Wait until something holds; it is looked at when a child connects or calls.

        Raises:
            BenchmarkError: it did not hold in time.
        """
        try:
            async with asyncio.timeout(limit_s):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise BenchmarkError(f"{complaint} within {limit_s:g} s") from None


@asynccontextmanager
async def hall(*, interval_s: int = 300) -> AsyncIterator[Hall]:
    """Open the CSMS on a free port of the loopback interface, its children warmed up.

    Args:
        interval_s: heartbeat interval that it hands out with every boot.
    """
    # The simulated board outlives the agent for half a minute, and may still write.
    with tempfile.TemporaryDirectory(prefix="pw-bench-", ignore_cleanup_errors=True) as name:
        opened = Hall(Path(name), interval_s)
        async with serve(
            opened.attend,
            "127.0.0.1",
            0,
            subprotocols=["ocpp1.6"],
            compression=None,
            ping_interval=None,
        ) as server:
            opened.open(next(iter(server.sockets)).getsockname()[1])
            await opened.warm_up()
            yield opened
