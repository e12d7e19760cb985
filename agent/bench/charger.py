"""The agent as shipped, as a child process on a simulated board, for the demonstration.

The directory keeps what a charger keeps on its flash, so the next start goes on where a
kill left off: `state/` is the agent's storage, `agent.toml` its configuration, `agent.log`
what it logs.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from agent.client import AgentAbsentError, ClientError, ControlClient

PLACES: Final = (
    Path(__file__).parents[2] / "config",
    Path("/usr/share/pilotwire"),
    Path("/etc/pilotwire"),
)
"""Where the shipped configuration may be: the repository, or an installed package."""

LONGEST_DIRECTORY: Final = 80
"""Characters; the paths of Unix sockets in it have at most 107 (unix(7))."""

START_S: Final = 30.0
STOP_S: Final = 10.0
"""Twice what the agent promises for its end (contract, section 3)."""

_POLL_S: Final = 0.2
_PEER: Final = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid

SETTINGS: Final[Mapping[str, int]] = {
    "SampledDataCtrlr.TxUpdatedInterval": 3,
    "OCPPCommCtrlr.WebSocketPingInterval": 10,
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": 1,
    "OCPPCommCtrlr.RetryBackOffRandomRange": 0,
}
"""What a person who watches has patience for, in s."""


class ChargerError(Exception):
    """The charger does not do as it should; the text says what to look at."""


class Charger:
    """One agent process.

    Args:
        directory: its own; created when it is not there.

    Raises:
        ChargerError: the directory's path is too long, or no shipped configuration is found.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        if len(str(self.directory)) > LONGEST_DIRECTORY:
            raise ChargerError(
                f"{self.directory}: at most {LONGEST_DIRECTORY} characters are allowed, "
                "because Unix sockets are made in it"
            )
        self._shipped = _shipped()
        self.config = self.directory / "agent.toml"
        self.socket = self.directory / "control.sock"
        self.log = self.directory / "agent.log"
        self._process: asyncio.subprocess.Process | None = None
        self._control: ControlClient | None = None

    @property
    def pid(self) -> int | None:
        """Return the agent's process id; None before `start`."""
        return self._process.pid if self._process else None

    @property
    def identity(self) -> str:
        """Return the station's identity, as shipped."""
        station = tomllib.loads((self._shipped / "agent.toml").read_text())["station"]
        return str(station["identity"])

    def configure(self, *, url: str, password: str, protocols: Sequence[str]) -> None:
        """Write its configuration: the shipped one, with this CSMS and the simulated board.

        Args:
            url: without the identity.
            password: for security profile 1: 16 to 20 characters fit both versions.
        """
        shipped = tomllib.loads((self._shipped / "agent.toml").read_text())
        csms = {
            "url": url,
            "protocols": list(protocols),
            "security_profile": 1,
            "password": {"text": password},
        }
        tables = {
            "station": shipped["station"],
            "hardware": {"board": str(self._shipped / "boards" / "sim.toml")},
            "settings": {**shipped.get("settings", {}), **SETTINGS},
            "storage": {"directory": str(self.directory / "state")},
            "control": {"socket": str(self.socket)},
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "state").mkdir(exist_ok=True)
        text = "".join(toml(f"[{name}]", table) for name, table in tables.items())
        self.config.write_text(toml("[[csms]]", csms) + text)
        self.config.chmod(0o600)

    def stop_leftover(self) -> int | None:
        """End an agent of an earlier run that still answers; return its process id."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            try:
                link.connect(str(self.socket))
            except OSError:
                return None
            peer = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            pid: int = _PEER.unpack(peer)[0]
            os.kill(pid, signal.SIGTERM)
            # The connection ends with the process.
            link.settimeout(STOP_S)
            with suppress(OSError):
                link.recv(1)
            return pid

    async def start(self) -> None:
        """Start the agent's process."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "agent", "run", "-c", str(self.config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until the agent answers at its control socket.

        Raises:
            ChargerError: it ended, or does not answer in time.
        """
        process = self._process
        try:
            async with asyncio.timeout(START_S):
                while self._control is None:
                    if process is None or process.returncode is not None:
                        raise self._ended()
                    with suppress(AgentAbsentError):
                        self._control = ControlClient(self.socket)
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise ChargerError(
                f"the agent does not answer within {START_S:g} s; see {self.log}"
            ) from None

    async def call(self, method: str, **params: object) -> Any:
        """Ask its control socket (contract, section 5), and return the result.

        Raises:
            ChargerError: it refuses, or is gone.
        """
        control = self._control
        if control is None:
            raise ChargerError("the agent is not running")
        try:
            return await asyncio.to_thread(control.call, method, params)
        except ClientError as error:
            raise ChargerError(f"{method}: {error}") from error

    async def status(self) -> Any:
        """Return its status (contract, section 5).

        Raises:
            ChargerError: it is gone.
        """
        return await self.call("status")

    async def gone(self) -> ChargerError:
        """Wait until the process ends, and return what there is to say about it."""
        if self._process is None:
            raise AssertionError("the agent was not started")
        await self._process.wait()
        return self._ended()

    async def stop(self) -> None:
        """End the agent as systemd would; harmless when it is gone or never ran."""
        if self._control is not None:
            self._control.close()
            self._control = None
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _ended(self) -> ChargerError:
        code = self._process.returncode if self._process else None
        if code == -signal.SIGKILL:
            return ChargerError("the agent was killed: its power is cut")
        return ChargerError(f"the agent ended with exit code {code}; see {self.log}")


def toml(header: str, table: Mapping[str, object]) -> str:
    """Return a TOML table of plain values, lists of them, and inline tables.

    Args:
        header: "[name]", or "[[name]]" for an entry of an array of tables.
    """
    lines = [f"{_key(name)} = {_value(value)}" for name, value in table.items()]
    return "\n".join([header, *lines, ""]) + "\n"


def _key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else json.dumps(name)


def _value(value: object) -> str:
    match value:
        case Mapping():
            inner = ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items())
            return f"{{ {inner} }}"
        case list():
            return f"[{', '.join(_value(one) for one in value)}]"
        case _:
            # Strings, numbers and booleans are written as in JSON.
            return json.dumps(value, ensure_ascii=True)


def _shipped() -> Path:
    for place in PLACES:
        if (place / "agent.toml").is_file() and (place / "boards" / "sim.toml").is_file():
            return place
    listed = ", ".join(str(place) for place in PLACES)
    raise ChargerError(f"agent.toml and boards/sim.toml are in none of {listed}")
