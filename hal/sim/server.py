"""The socket of the simulated board: answers drivers and benches, sends reports to drivers.

One JSON object per line (`hal.sim.wire`). A connection becomes a driver's when it asks for
the reports of an EVSE or a reader. Requests of a connection are answered in their order; a
client that does not read what it is sent is hung up on.
"""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from hal import schema
from hal.errors import BusError
from hal.sim import wire
from hal.sim.unit import Unit
from hal.sim.vehicle import SimRefused
from hal.types import IdToken

MAX_CLIENTS = 32
MAX_UNREAD = 4 * wire.MAX_LINE
"""Bytes that may wait for a client before it is hung up on."""


class Client:
    """One connection; a `Subscriber` of the units it asks for."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def report(self, reported: wire.Reported) -> None:
        """Send a report."""
        self.send(wire.Notification(reported))

    def send(self, message: wire.Answer | wire.Notification) -> None:
        """Send a line; hang up when too much waits already."""
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD:
            self._writer.transport.abort()
        elif not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class SimulatorServer:
    """Serves the units of a board on a Unix socket.

    Args:
        units: by EVSE id.
        linger_s: how long to stay without a driver's connection.
    """

    def __init__(self, units: Mapping[int, Unit], *, linger_s: float) -> None:
        self._units = units
        self._linger_s = linger_s
        self._clients: dict[asyncio.Task[None], Client] = {}
        self._drivers: set[Client] = set()
        self._inputs: set[Client] = set()
        self._input_active = False
        self._path: Path | None = None
        self._socket_inode: int | None = None
        self._server: asyncio.Server | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._deserted = asyncio.Event()

    async def start(self, path: Path) -> None:
        """Listen, in place of whatever was there; only this user can connect.

        Raises:
            OSError: the socket cannot be bound.
        """
        self._server = await asyncio.start_unix_server(
            self._serve, sock=_bound(path), limit=wire.MAX_LINE
        )
        self._path, self._socket_inode = path, _inode(path)
        self._linger()

    async def stop(self) -> None:
        """Hang up on everybody, and stop listening. Harmless when not started."""
        if self._leaving is not None:
            self._leaving.cancel()
        if self._server is not None:
            self._server.close()
            for client in self._clients.values():
                client.close()
            if self._clients:
                await asyncio.wait(self._clients)
            await self._server.wait_closed()
        if self._path is not None and _inode(self._path) == self._socket_inode:
            _removed(self._path)  # unless another board has taken its place meanwhile

    async def deserted(self) -> None:
        """Wait until there has been no driver for the linger time."""
        await self._deserted.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, task = Client(writer), asyncio.current_task()
        if task is None or len(self._clients) >= MAX_CLIENTS:
            client.close()
            return
        self._clients[task] = client
        try:
            # A line that is too long is a ValueError of readline, and ends the connection.
            with suppress(ConnectionError, ValueError):
                while line := await reader.readline():
                    client.send(await self._answer(client, line))
        finally:
            del self._clients[task]
            self._forget(client)
            client.close()

    def _forget(self, client: Client) -> None:
        self._inputs.discard(client)
        for unit in self._units.values():
            unit.detach(client)
        if client in self._drivers:
            self._drivers.discard(client)
            self._linger()

    def _stay_for(self, client: Client) -> None:
        self._drivers.add(client)
        if self._leaving is not None:
            self._leaving.cancel()

    def _linger(self) -> None:
        if not self._drivers:
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(self._linger_s, self._deserted.set)

    async def _answer(self, client: Client, line: bytes) -> wire.Answer:
        try:
            request = msgspec.json.decode(line, type=wire.Request)
        except msgspec.ValidationError as error:
            return wire.failed(None, wire.INVALID_REQUEST, str(error))
        except msgspec.DecodeError as error:
            return wire.failed(None, wire.PARSE_ERROR, str(error))
        if request.method not in wire.METHODS:
            text = f"no method {request.method!r}; allowed: {', '.join(wire.METHODS)}"
            return wire.failed(request.id, wire.UNKNOWN_METHOD, text)
        type_ = wire.METHODS[request.method]
        given = msgspec.json.decode(request.params)
        wrong = [
            f"{schema.path_text(v.path)} {v.message}" for v in schema.violations(given, type_)
        ]
        if wrong:
            return wire.failed(request.id, wire.INVALID_PARAMS, "; ".join(wrong))
        try:
            result = await self._done(client, msgspec.convert(given, type_))
        except BusError as error:
            return wire.failed(request.id, wire.SILENT, str(error))
        except (SimRefused, ValueError) as error:
            return wire.failed(request.id, wire.REFUSED, str(error))
        return wire.Answer(request.id, msgspec.Raw(msgspec.json.encode(result)))

    async def _done(self, client: Client, params: wire.Params) -> object:
        """Do what is asked for, and return the result."""
        match params:
            case wire.Meters():
                return {
                    number: unit.meter.port
                    for number, unit in self._units.items()
                    if unit.meter is not None
                }
            case wire.RunEvse():
                self._unit(params.evse_id).attach_controller(client)
                self._stay_for(client)
            case wire.RunInput():
                self._inputs.add(client)
                client.report(self._input_report())
                self._stay_for(client)
            case wire.RunReader():
                self._unit(params.evse_id).attach_reader(client)
                self._stay_for(client)
            case wire.Offer():
                evse = self._unit(params.evse_id).evse
                await evse.offer(params.limit_a, valid_s=params.valid_s)
            case wire.Energize():
                await self._unit(params.evse_id).evse.energize(closed=params.closed)
            case wire.Switch():
                await self._unit(params.evse_id).evse.switch(params.phases)
            case wire.Test():
                return await self._unit(params.evse_id).evse.self_test()
            case wire.Show():
                await self._unit(params.evse_id).evse.show(params.light)
            case wire.Lock():
                await self._unit(params.evse_id).evse.lock(locked=params.locked)
            case _:
                self._bench(params)
        return True

    def _bench(self, params: wire.Params) -> None:
        match params:
            case wire.Plug():
                self._unit(params.evse_id).evse.plug(params.connector_id, params.vehicle)
            case wire.Unplug():
                evse = self._unit(params.evse_id).evse
                evse.unplug(params.connector_id, leaves_cable=params.leaves_cable)
            case wire.Ready():
                self._unit(params.evse_id).evse.set_ready(params.ready)
            case wire.Token():
                self._present(params)
            case wire.Break():
                self._unit(params.evse_id).evse.fault(params.fault, params.info)
            case wire.Mend():
                self._unit(params.evse_id).evse.clear(params.fault)
            case wire.Set():
                self._set(params)
            case wire.Bus():
                self._set_line(params)
            case _:
                raise AssertionError(f"{type(params).__name__} is no parameter of a method")

    def _present(self, params: wire.Token) -> None:
        evse_id = params.evse_id
        if evse_id is None:
            readers = (n for n, unit in self._units.items() if unit.wiring.has_reader)
            evse_id = next(readers, 1)
        self._unit(evse_id).present(IdToken(params.id_token, params.type))

    def _input_report(self) -> wire.Reported:
        return wire.Reported(0, wire.Input(self._input_active))

    def _set_input(self, params: wire.Set) -> None:
        if params.point != "input" or params.value not in {0, 1}:
            raise SimRefused("device grid has the point input, which is 0 or 1")
        self._input_active = bool(params.value)
        for client in self._inputs:
            client.report(self._input_report())

    def _set(self, params: wire.Set) -> None:
        if params.device == "grid":
            self._set_input(params)
            return
        kind, _, number = params.device.partition("-")
        unit = self._units.get(int(number)) if number.isdecimal() else None
        if unit is None or kind not in {"evse", "meter"}:
            devices = ", ".join(f"evse-{n}, meter-{n}" for n in self._units)
            raise SimRefused(f"no device {params.device!r}; there are {devices}, grid")
        if kind == "evse":
            unit.evse.set(params.point, params.value)
        else:
            unit.set_meter(params.point, params.value)

    def _set_line(self, params: wire.Bus) -> None:
        units = [unit for unit in self._units.values() if unit.wiring.port == params.port]
        if not units:
            ports = ", ".join(sorted({unit.wiring.port for unit in self._units.values()}))
            raise SimRefused(f"no port {params.port!r}; there are {ports}")
        for unit in units:
            unit.set_line(params.state)

    def _unit(self, evse_id: int) -> Unit:
        if evse_id not in self._units:
            raise SimRefused(f"no EVSE {evse_id}; there are 1 to {len(self._units)}")
        return self._units[evse_id]


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _removed(path: Path) -> None:
    path.unlink(missing_ok=True)


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _removed(path)
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener
