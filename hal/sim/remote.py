"""Drivers for the simulated board in its own process, and the hand that moves it.

`Simulator` is the connection that all drivers of a board share. It connects when somebody
needs it, starts the process when nobody listens on the socket, and connects again after a
loss. The process is not a child in any other sense: it has its own session, survives the
agent, and ends by itself when no driver has been connected for a while.

There is no task in here. Answers and reports arrive through `asyncio.Protocol`, and whoever
waits for the connection makes it.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, Never

import msgspec

from hal.api import (
    DigitalInput,
    EvseController,
    EvseListener,
    Indicator,
    PhaseSwitch,
    ResidualCurrent,
    TokenReader,
    check_offer,
)
from hal.errors import BoardError, BusError
from hal.sim import wire
from hal.sim.vehicle import SimRefused
from hal.types import Fault, Light, Value

ANSWER_S = 1.0
"""Bus timeout: how long an answer may take."""

START_S = 20.0
"""How long the process may take until it listens; an armv7 board needs several seconds."""

RETRY_S = 0.5
"""Pause between two attempts to reach the board."""

MAX_PENDING = 64
MAX_SOCKET_PATH = 107
"""Longest path of a Unix socket in bytes (Linux `sockaddr_un`, without its final zero)."""

_POLL_S = 0.05

Role = Literal["evse", "reader", "input"]
Sink = Callable[[wire.Report], None]


class Link(asyncio.Protocol):
    """One connection to the simulated board."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._last_id = 0
        self._pending: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._sinks: dict[tuple[Role, int], Sink] = {}

    async def request(self, method: str, params: object) -> msgspec.Raw:
        """Return the result of a request, as JSON.

        Raises:
            BusError: the board did not answer, or its device is silent.
            SimRefused: the board will not do it, and why.
        """
        if self._transport is None or self.lost.done():
            raise BusError("the connection to the simulated board is lost")
        if len(self._pending) >= MAX_PENDING:
            raise BusError(f"{MAX_PENDING} requests wait for the simulated board already")
        self._last_id += 1
        request_id = self._last_id
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = answer
        raw = msgspec.Raw(msgspec.json.encode(params))
        line = msgspec.json.encode(wire.Request(method=method, id=request_id, params=raw))
        try:
            self._transport.write(line + b"\n")
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            raise BusError(f"the simulated board did not answer {method}") from None
        finally:
            self._pending.pop(request_id, None)

    async def subscribed(self, role: Role, evse_id: int, sink: Sink) -> None:
        """Have the reports for a role sent to `sink` until the connection is lost.

        Raises:
            BusError, SimRefused: as `request` does; nothing is sent to `sink` any more.
        """
        self._sinks[role, evse_id] = sink
        try:
            await self.request(f"{role}.run", {"evse_id": evse_id})
            await asyncio.shield(self.lost)
        finally:
            if self._sinks.get((role, evse_id)) is sink:
                del self._sinks[role, evse_id]

    def close(self) -> None:
        """Hang up; `lost` is done a moment later."""
        if self._transport is not None:
            self._transport.close()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # Only stream transports are ever given to this protocol.
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take the bytes of any number of lines."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > wire.MAX_LINE:
            self.close()
            return
        for line in lines:
            self._take(line)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail everything that waits."""
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(BusError(f"the simulated board has hung up: {exc}"))
        if not self.lost.done():
            self.lost.set_result(None)

    def _take(self, line: bytes) -> None:
        try:
            message = msgspec.json.decode(line, type=wire.Incoming)
        except msgspec.MsgspecError:
            self.close()
            return
        if message.params is not None:
            role: Role = "evse"
            if isinstance(message.params.report, wire.Presented):
                role = "reader"
            elif isinstance(message.params.report, wire.Input):
                role = "input"
            sink = self._sinks.get((role, message.params.evse_id))
            if sink is not None:
                sink(message.params.report)
        elif isinstance(message.id, int):
            self._answered(message.id, message)

    def _answered(self, request_id: int, message: wire.Incoming) -> None:
        answer = self._pending.get(request_id)
        if answer is None or answer.done():
            return  # whoever asked has given up
        if message.error is None:
            answer.set_result(message.result)
        elif message.error.code == wire.SILENT:
            answer.set_exception(BusError(message.error.message))
        else:
            answer.set_exception(SimRefused(message.error.message))


class Place(Value, frozen=True):
    """Where a simulated board lives.

    Attributes:
        board: its board file.
        socket: the Unix socket that its process listens on, at most 107 bytes.
        state: the file that keeps its meters' registers.
        linger_s: how long the process stays without a driver.
    """

    board: Path
    socket: Path
    state: Path
    linger_s: float = 30.0


class Simulator:
    """The connection to a simulated board, its drivers' and the bench's.

    Raises:
        BoardError: the socket's path is too long.
    """

    def __init__(self, place: Place) -> None:
        if len(os.fsencode(place.socket)) > MAX_SOCKET_PATH:
            raise BoardError(
                f"{place.socket}: the path of a Unix socket has at most {MAX_SOCKET_PATH} bytes"
            )
        self._place = place
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """Return the process that this object has started, if it has and it still runs."""
        return self._pid

    async def start(self) -> None:
        """Connect, and start the process if nobody listens.

        Raises:
            BusError: the process does not come up.
        """
        await self.link()

    async def close(self) -> None:
        """Hang up; the process stays for its linger time. Harmless when not connected."""
        if self._link is not None:
            self._link.close()
            await asyncio.shield(self._link.lost)
        self._ended()

    async def call(self, method: str, params: dict[str, object]) -> object:
        """Do what a bench asks for: a `sim.*` method of contract.md, section 5.

        Raises:
            SimRefused: the board will not do it, and why; nothing has changed.
            BusError: the board does not answer.
        """
        if not method.startswith("sim."):
            raise SimRefused(f"{method!r} is not a method of the simulated board (sim.*)")
        link = await self.link()
        return msgspec.json.decode(await link.request(method, params))

    async def meter_port(self, evse_id: int) -> int:
        """Return the TCP port on which an EVSE's meter answers now.

        Raises:
            BusError: the board does not answer.
            SimRefused: the board has no such EVSE.
        """
        link = await self.link()
        ports = msgspec.json.decode(await link.request("board.meters", {}), type=dict[int, int])
        if evse_id not in ports:
            raise SimRefused(f"EVSE {evse_id}: the simulated board has {sorted(ports)}")
        return ports[evse_id]

    def present_link(self) -> Link:
        """Return the connection if there is one.

        Raises:
            BusError: there is none now.
        """
        if self._link is None or self._link.lost.done():
            raise BusError("the simulated board is not connected")
        return self._link

    async def link(self) -> Link:
        """Return a living connection, made if necessary.

        Raises:
            BusError: the process does not come up.
        """
        async with self._connecting:
            if self._link is None or self._link.lost.done():
                self._link = await self._connect()
            return self._link

    async def _connect(self) -> Link:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + START_S
        while loop.time() < give_up_at:
            try:
                _, link = await loop.create_unix_connection(Link, str(self._place.socket))
            except OSError:
                self._ensure_process()
                await asyncio.sleep(_POLL_S)
            else:
                return link
        raise BusError(f"the simulated board does not listen on {self._place.socket}")

    def _ensure_process(self) -> None:
        code = self._ended()
        if code:
            raise BusError(
                f"the simulated board ended with exit code {code}; it has said why on stderr"
            )
        if self._pid is None:
            self._pid = _spawn(self._place)

    def _ended(self) -> int | None:
        """Return the exit code of a process that has just been found to be over."""
        if self._pid is None:
            return None
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:  # where SIGCHLD is ignored, nothing is left to ask about
            pid, status = self._pid, 0
        if pid == 0:
            return None
        self._pid = None
        return max(0, os.waitstatus_to_exitcode(status))


class RemoteController(EvseController, PhaseSwitch, ResidualCurrent, Indicator):
    """The control pilot, contactor, lock and lamp of one EVSE of the simulated board."""

    def __init__(self, simulator: Simulator, evse_id: int) -> None:
        self._simulator = simulator
        self._evse_id = evse_id
        self._told: set[Fault] = set()
        self._is_first = True

    async def run(self, listener: EvseListener) -> None:
        """Keep connected and report until cancelled.

        Raises:
            SimRefused: the board has no such EVSE.
        """
        self._is_first = True

        def deliver(report: wire.Report) -> None:
            self._deliver(listener, report)

        while True:
            try:
                link = await self._simulator.link()
                await link.subscribed("evse", self._evse_id, deliver)
                reason = "the simulated board has hung up"
            except BusError as error:
                reason = str(error)
            if Fault.COMMUNICATION_FAULT not in self._told:
                self._told.add(Fault.COMMUNICATION_FAULT)
                listener.fault_raised(Fault.COMMUNICATION_FAULT, reason)
            await asyncio.sleep(RETRY_S)

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current; see `EvseController.offer`.

        Raises:
            BusError: the board did not answer.
            ValueError: the limit is neither 0 nor 6 to 80 A, or valid_s is not positive.
        """
        check_offer(limit_a, valid_s)
        await self._command("evse.offer", wire.Offer(self._evse_id, limit_a, valid_s))

    async def energize(self, *, closed: bool) -> None:
        """Close or open the contactor; see `EvseController.energize`.

        Raises:
            BusError: the board did not answer.
        """
        await self._command("evse.energize", wire.Energize(self._evse_id, closed))

    async def lock(self, *, locked: bool) -> None:
        """Lock or release the plug; see `EvseController.lock`.

        Raises:
            BusError: the board did not answer.
        """
        await self._command("evse.lock", wire.Lock(self._evse_id, locked))

    async def switch(self, phases: int) -> None:
        """Connect one phase or three; see `PhaseSwitch.switch`.

        Raises:
            BusError: the board did not answer, or its contactor is closed.
        """
        one_or_three: Literal[1, 3] = 1 if phases == 1 else 3
        await self._command("evse.switch", wire.Switch(self._evse_id, one_or_three))

    async def self_test(self) -> bool:
        """Test the residual current device; see `ResidualCurrent.self_test`.

        Raises:
            BusError: the board did not answer, or its contactor is closed.
        """
        answer = await self._command("evse.test", wire.Test(self._evse_id))
        return msgspec.json.decode(answer, type=bool)

    async def show(self, light: Light) -> None:
        """Show a light; see `Indicator.show`.

        Raises:
            BusError: the board did not answer.
        """
        await self._command("evse.show", wire.Show(self._evse_id, light))

    async def _command(self, method: str, params: wire.Params) -> msgspec.Raw:
        return await self._simulator.present_link().request(method, params)

    def _deliver(self, listener: EvseListener, report: wire.Report) -> None:
        match report:
            case wire.Pilot():
                listener.pilot_changed(report.pilot, report.connector_id)
            case wire.Outlet():
                listener.outlet_changed(closed=report.closed)
            case wire.Locked():
                listener.lock_changed(locked=report.locked)
            case wire.Cable():
                listener.cable_changed(report.ampacity_a)
            case wire.Temperature():
                listener.temperature_read(report.temperature_c)
            case wire.Detected():
                listener.detected(report.capabilities)
            case wire.Faults():
                self._compare(listener, report.faults)
            case wire.Input():
                pass  # the board's, not an EVSE's
            case wire.Presented():
                listener.token_presented(report.id_token)

    def _compare(self, listener: EvseListener, faults: dict[Fault, str]) -> None:
        """Report what differs from what this listener knows; all of it after a start."""
        for fault, info in faults.items():
            if self._is_first or fault not in self._told:
                listener.fault_raised(fault, info)
        for fault in self._told - faults.keys():
            listener.fault_cleared(fault)
        self._told, self._is_first = set(faults), False


class RemoteInput(DigitalInput):
    """The grid operator's input of the simulated board."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def run(self, changed: Callable[[bool], None]) -> None:
        """Report until cancelled; without a connection it counts as active."""

        def deliver(report: wire.Report) -> None:
            if isinstance(report, wire.Input):
                changed(report.active)

        while True:
            with suppress(BusError):
                await (await self._simulator.link()).subscribed("input", 0, deliver)
            changed(True)
            await asyncio.sleep(RETRY_S)


class RemoteReader(TokenReader):
    """The token reader of one EVSE of the simulated board.

    Its loss is reported by the EVSE's controller, which shares the connection.
    """

    def __init__(self, simulator: Simulator, evse_id: int) -> None:
        self._simulator = simulator
        self._evse_id = evse_id

    async def run(self, listener: EvseListener) -> None:
        """Keep connected and report until cancelled.

        Raises:
            SimRefused: the board has no such EVSE.
        """
        await _read_tokens(self._simulator, self._evse_id, listener)


async def _read_tokens(simulator: Simulator, evse_id: int, listener: EvseListener) -> Never:
    def deliver(report: wire.Report) -> None:
        if isinstance(report, wire.Presented):
            listener.token_presented(report.id_token)

    while True:
        with suppress(BusError):  # tried again below; the controller tells
            await (await simulator.link()).subscribed("reader", evse_id, deliver)
        await asyncio.sleep(RETRY_S)


def _spawn(place: Place) -> int:
    """Start the process in its own session, with nothing on its standard input and output."""
    packages = str(Path(__file__).parents[2])
    command = [
        *(sys.executable, "-P", "-m", "hal.sim", str(place.board)),
        *("--socket", str(place.socket), "--state", str(place.state)),
        *("--linger", str(place.linger_s)),
    ]
    inherited = os.environ.get("PYTHONPATH")
    paths = [packages, inherited] if inherited else [packages]
    return os.posix_spawn(
        sys.executable,
        command,
        {**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        ],
        setsid=True,
    )
