"""The vehicle's side as a process of its own: it connects to a Unix socket and speaks lines.

`hal.protocols.vehicle_lines` has the lines, docs/dc.md explains them to who writes such a
process. One client at a time; another one is hung up on while the first is there. We tell
where we stand on every change and every `REPEAT_S`, so that the other side notices as well
when nobody is here any more.
"""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from hal.dc_api import DcVehicle, VehicleListener
from hal.dc_types import SupplyState
from hal.errors import DeviceError
from hal.protocols import vehicle_lines

REPEAT_S: Final = 0.5
MOST_UNREAD: Final = 16 * vehicle_lines.LONGEST
"""Bytes that may wait for a client before it is hung up on."""


class VehicleSocket(DcVehicle):
    """Listens for the process that speaks with the vehicle."""

    def __init__(self, path: Path) -> None:
        """Say where the socket is to be; its directory exists."""
        self._path = path
        self._told = SupplyState()
        self._writer: asyncio.StreamWriter | None = None

    def tell(self, state: SupplyState) -> None:
        """Take where we stand."""
        if state != self._told:
            self._told = state
            self._send(vehicle_lines.line_of(state))

    async def run(self, listener: VehicleListener) -> None:
        """Listen and report until cancelled.

        Raises:
            DeviceError: the socket cannot be made.
        """

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(reader, writer, listener)

        try:
            server = await asyncio.start_unix_server(
                serve, sock=_bound(self._path), limit=vehicle_lines.LONGEST
            )
        except OSError as error:
            raise DeviceError(f"{self._path} cannot be listened on: {error}") from error
        try:
            while True:
                await asyncio.sleep(REPEAT_S)
                self._send(vehicle_lines.line_of(self._told))
        finally:
            server.close()
            if self._writer is not None:
                self._writer.close()
            self._path.unlink(missing_ok=True)

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        listener: VehicleListener,
    ) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        self._send(vehicle_lines.line_of(self._told))
        try:
            # A line that is too long is a ValueError of readline, and ends the connection.
            with suppress(ConnectionError, ValueError):
                while line := await reader.readline():
                    self._took(line, listener)
        finally:
            self._writer = None
            writer.close()
            listener.vehicle_lost("its process has hung up")

    def _took(self, line: bytes, listener: VehicleListener) -> None:
        try:
            state = vehicle_lines.vehicle_state(line)
        except ValueError as error:
            self._send(vehicle_lines.refusal(str(error)))
        else:
            listener.vehicle_read(state)

    def _send(self, line: bytes) -> None:
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > MOST_UNREAD:
            writer.transport.abort()
        else:
            writer.write(line)


def _bound(path: Path) -> socket.socket:
    """Return a socket at a path, in place of whatever was there.

    Raises:
        OSError: it cannot be bound.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o660)
    except OSError:
        listener.close()
        raise
    return listener
