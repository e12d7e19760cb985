"""A serial line of this machine, for devices that speak something else than Modbus.

One owner: the port is opened exclusively, read on the event loop and written without waiting.
A USB adapter that is pulled out makes every waiting `read` raise `BusError`; naming ports by
`/dev/serial/by-id/…` lets the same adapter be found again wherever it is plugged in.

`pyserial` is imported when a line is opened, so a board without one does not pay the memory.
"""

import asyncio
import os
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol

from hal.errors import BoardError, BusError
from hal.types import Value

if TYPE_CHECKING:
    from serial import Serial

MOST_BYTES: Final = 4096
"""Bytes that are taken at once; the kernel buffers no more for a serial line."""

Parity = Literal["N", "E", "O"]


class LineSettings(Value, frozen=True):
    """How a device wants its line.

    Attributes:
        path: of the device file.
    """

    path: str
    baudrate: int = 9600
    parity: Parity = "N"
    stopbits: Literal[1, 2] = 1


class Port(Protocol):
    """What a line is on: an open device that does not block."""

    def fileno(self) -> int:
        """Return its descriptor."""

    def close(self) -> None:
        """Let go of it."""


class SerialLine:
    """An open line; made by `opened`, or of any device that is read like one."""

    def __init__(self, port: Port, path: str) -> None:
        self._port, self._path = port, path
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        """Wait for bytes and return what there is, at least one.

        Raises:
            BusError: the line is gone.
        """
        while True:
            self._loop.add_reader(self._port.fileno(), self._became_readable)
            await self._readable.wait()
            self._readable.clear()
            try:
                data = os.read(self._port.fileno(), MOST_BYTES)
            except OSError as error:
                raise BusError(f"{self._path}: {error.strerror}") from error
            if data:
                return data
            if self._is_hung_up():
                raise BusError(f"{self._path}: hung up")

    def _became_readable(self) -> None:
        """Look no more until somebody reads: a line that is hung up stays readable for ever."""
        self._loop.remove_reader(self._port.fileno())
        self._readable.set()

    def _is_hung_up(self) -> bool:
        """Tell whether a read brought nothing because nobody is there (VMIN is 0)."""
        poll = select.poll()
        poll.register(self._port.fileno(), select.POLLIN)
        return any(state & (select.POLLHUP | select.POLLERR) for _, state in poll.poll(0))

    def write(self, data: bytes) -> None:
        """Hand bytes to the line; they are on the wire when it has sent what came before.

        Raises:
            BusError: the line is gone, or takes nothing more.
        """
        try:
            written = os.write(self._port.fileno(), data)
        except OSError as error:
            raise BusError(f"{self._path}: {error.strerror}") from error
        if written < len(data):
            raise BusError(f"{self._path}: the line does not take what is written")

    def drop_input(self) -> None:
        """Forget what has arrived and nobody has read."""
        with suppress(OSError):
            while os.read(self._port.fileno(), MOST_BYTES):
                pass

    def close(self) -> None:
        """Let go of the line."""
        self._loop.remove_reader(self._port.fileno())
        self._port.close()


@asynccontextmanager
async def opened(settings: LineSettings) -> AsyncIterator[SerialLine]:
    """Open a line for the duration of a block.

    Raises:
        BoardError: pyserial is not installed.
        BusError: there is no such device, it is in use, or it does not take the settings.
    """
    line = SerialLine(_port(settings), settings.path)
    try:
        yield line
    finally:
        line.close()


def _port(settings: LineSettings) -> "Serial":
    try:
        import serial  # noqa: PLC0415 - see the module
    except ImportError as error:
        raise BoardError(
            f"{settings.path}: serial lines need pyserial: pip install 'pilotwire[serial]'"
        ) from error
    try:
        return serial.Serial(
            settings.path,
            settings.baudrate,
            parity=settings.parity,
            stopbits=settings.stopbits,
            timeout=0,
            exclusive=True,
        )
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise BusError(f"{settings.path}: {error}") from error
