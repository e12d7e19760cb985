"""Our side of a meeting: the agent as shipped, as a process, on a simulated board."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from agent.bench.charger import Charger, toml
from agent.client import ControlClient
from tests.interop.peer import LIMIT_S, Peer
from tests.interop.points import POINTS
from tests.interop.strict_csms import StrictCsms, strict_csms
from tests.support.processes import end_processes

PASSWORD = "0123456789abcdef"
TAG = "04A1B2C3"
BOTH = ("ocpp2.0.1", "ocpp1.6")

SETTINGS = {
    "SampledDataCtrlr.TxUpdatedInterval": 1,
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": 1,
    "OCPPCommCtrlr.RetryBackOffRandomRange": 0,
    "OCPPCommCtrlr.RetryBackOffRepeatTimes": 0,
    "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": 1,
}

_BOARDS = Path(__file__).parents[2] / "config" / "boards"


class Station:
    """One agent process and its control socket."""

    def __init__(
        self, directory: Path, url: str, *, board: str = "sim.toml", **csms: object
    ) -> None:
        self.charger = Charger(directory)
        (directory / "state").mkdir()
        tables = {
            "[csms]": {"url": url, "protocols": list(BOTH), **csms},
            "station": {"identity": "CP001", "vendor": "Example", "model": "Wallbox One"},
            "hardware": {"board": str(_BOARDS / board)},
            "settings": SETTINGS,
            "storage": {"directory": str(directory / "state")},
            "control": {"socket": str(self.charger.socket)},
        }
        text = "".join(toml(f"[{name}]", table) for name, table in tables.items())
        self.charger.config.write_text(text)

    async def start(self) -> None:
        """Start the process, and wait until it answers."""
        await self.charger.start()
        await self.charger.ready()

    async def call(self, method: str, **params: object) -> Any:
        """Ask the control socket on a connection of its own: a restart ends old ones."""

        def asked() -> Any:
            with ControlClient(self.charger.socket) as client:
                return client.call(method, params)

        return await asyncio.to_thread(asked)

    async def status(self) -> Any:
        """Return its status."""
        return await self.call("status")

    async def evse(self) -> Any:
        """Return the status of its EVSE."""
        return (await self.status())["evses"][0]

    async def plug(self, evse_id: int = 1) -> None:
        """Plug a vehicle in."""
        await self.call("sim.plug", evse_id=evse_id)

    async def unplug(self, evse_id: int = 1) -> None:
        """Take the vehicle away."""
        await self.call("sim.unplug", evse_id=evse_id)

    async def tap(self, token: str = TAG, evse_id: int = 1) -> None:
        """Hold a card before the reader."""
        await self.call("sim.token", id_token=token, evse_id=evse_id)

    async def charging(self) -> None:
        """Plug in, present a token, and wait until energy flows."""
        await self.until(lambda status: status["evses"][0]["meter"])
        await self.plug()
        await self.until(lambda status: word(status) == "Preparing")
        await self.tap()
        await self.until(lambda status: status["evses"][0]["energized"])

    async def until(self, holds: Callable[[Any], Any]) -> Any:
        """Wait until a status holds, and return it; it is looked at after every event."""
        reader, writer = await asyncio.open_unix_connection(self.charger.socket, limit=1 << 20)
        try:
            writer.write(b'{"jsonrpc": "2.0", "id": 0, "method": "events"}\n')
            async with asyncio.timeout(LIMIT_S):
                while await reader.readline():
                    status = await self.status()
                    if holds(status):
                        return status
        except TimeoutError:
            text = json.dumps(await self.status())
            raise AssertionError(f"not within {LIMIT_S:g} s: {text}") from None
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        raise AssertionError("the agent has hung up")


def word(status: Any, evse_id: int = 1) -> str:
    """Return the status of an EVSE's connector."""
    text: str = status["evses"][evse_id - 1]["connectors"][0]["status"]
    return text


@asynccontextmanager
async def running(port: int, **more: Any) -> AsyncIterator[Station]:
    """Provide a station whose CSMS listens on a port of this machine."""
    directory = Path(tempfile.mkdtemp(prefix="pw-meet-", dir="/tmp"))
    station = Station(directory, f"ws://127.0.0.1:{port}/ocpp", **more)
    try:
        await station.start()
        yield station
    except BaseException as error:
        if station.charger.log.exists():
            error.add_note(station.charger.log.read_text()[-4_000:])
        raise
    finally:
        await station.charger.stop()
        end_processes(directory)
        shutil.rmtree(directory)


@asynccontextmanager
async def meeting(
    *spoken: str, password: str = PASSWORD, ours: str = PASSWORD, board: str = "sim.toml"
) -> AsyncIterator[tuple[Peer, Station]]:
    """Let a CSMS and a station meet; afterwards the CSMS must have no complaint.

    Args:
        spoken: subprotocols of the CSMS.
        password: that the CSMS wants; `ours` is the one that the station sends.
    """
    peer = Peer(spoken, POINTS, password=password)
    await peer.open()
    try:
        credentials = {"security_profile": 1, "password": {"text": ours}}
        async with running(peer.port, board=board, **credentials) as station:
            yield peer, station
            assert not peer.complaints
    finally:
        await peer.close()


@asynccontextmanager
async def strict_meeting(board: str) -> AsyncIterator[tuple[StrictCsms, Station]]:
    """Let a strict CSMS and a station meet."""
    async with (
        strict_csms() as csms,
        running(csms.port, board=board, protocols=["ocpp1.6"], security_profile=0) as station,
    ):
        yield csms, station
