"""Lines that go bad between a station and its devices, on real sockets and pseudo terminals.

A line passes requests on as they are. What happens to the answers is its `mishap`:

    silence     they are lost
    garbage     other bytes of the same length come instead
    bit error   one bit of each is wrong; on TCP, which has checksums of its own, one of the
                header, as a gateway may make it
    late        they come after everybody has given up
    duplicated  each comes twice
    half        only their first half comes
    gone        the line is not there at all: the adapter is out, the port closed

All but silence and gone strike every second answer, as bad contacts do.
"""

import asyncio
import os
import random
import select
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Protocol

from tests.support.stable_pty import StablePty

Mishap = Literal["silence", "garbage", "bit error", "late", "duplicated", "half", "gone"]
MISHAPS: Final[tuple[Mishap, ...]] = (
    "silence",
    "garbage",
    "bit error",
    "late",
    "duplicated",
    "half",
    "gone",
)
LATE_S: Final = 1.3
"""Longer than any device of the shipped maps is waited for."""

_TCP_HEADER: Final = 6


class BadLine(Protocol):
    """A line whose mishap a test chooses."""

    def suffer(self, mishap: Mishap | None) -> None:
        """Go bad from now on; None: be well again."""


class Spoiler:
    """Makes of each answer what arrives of it."""

    def __init__(self, *, has_checksum: bool = True) -> None:
        self.mishap: Mishap | None = None
        self._random = random.Random(7)
        self._has_checksum = has_checksum
        self._count = 0

    def spoiled(self, data: bytes) -> list[tuple[float, bytes]]:
        """Return what arrives, and how much later."""
        self._count += 1
        match self.mishap:
            case "silence" | "gone":
                return []
            case None:
                return [(0.0, data)]
            case _ if self._count % 2:
                return [(0.0, data)]
            case "garbage":
                return [(0.0, self._random.randbytes(len(data)))]
            case "bit error":
                return [(0.0, self._flipped(data))]
            case "late":
                return [(LATE_S, data)]
            case "duplicated":
                return [(0.0, data), (0.0, data)]
            case "half":
                return [(0.0, data[: len(data) // 2])]

    def _flipped(self, data: bytes) -> bytes:
        size = len(data) if self._has_checksum else min(len(data), _TCP_HEADER)
        at = self._random.randrange(size * 8)
        spoiled = bytearray(data)
        spoiled[at // 8] ^= 1 << at % 8
        return bytes(spoiled)


class SerialLine(BadLine):
    """A serial adapter under a stable name; `answered` is what the devices have said."""

    def __init__(self, path: Path, to_devices: Callable[[bytes], None]) -> None:
        self._pty, self._to_devices = StablePty(path), to_devices
        self._loop = asyncio.get_running_loop()
        self._spoiler = Spoiler()
        self.path = self._pty.path
        self._put()

    def suffer(self, mishap: Mishap | None) -> None:
        was_gone = self._spoiler.mishap == "gone"
        self._spoiler.mishap = mishap
        if mishap == "gone" and not was_gone:
            self.close()
        elif was_gone and mishap != "gone":
            self._put()

    def answered(self, data: bytes) -> None:
        """Take what the devices say."""
        for delay_s, part in self._spoiler.spoiled(data):
            if delay_s:
                self._loop.call_later(delay_s, self._arrives, part)
            else:
                self._arrives(part)

    def close(self) -> None:
        """Pull the adapter out."""
        if self._pty.device >= 0:
            self._loop.remove_reader(self._pty.device)
            self._pty.pull()

    def _put(self) -> None:
        self._pty.put()
        self._loop.add_reader(self._pty.device, self._asked)

    def _asked(self) -> None:
        with suppress(OSError):
            self._to_devices(os.read(self._pty.device, 300))

    def _arrives(self, data: bytes) -> None:
        if self._pty.device < 0 or not data:
            return
        with suppress(BlockingIOError):  # nobody reads the line, and its buffer is full
            os.write(self._pty.device, data)
        select.select([self._pty.host], [], [], 1.0)  # until the kernel has handed it on


class TcpLine(BadLine):
    """A TCP port with devices behind it, with the framing of Modbus TCP."""

    def __init__(self, port: int) -> None:
        self._device_port, self._spoiler = port, Spoiler(has_checksum=False)
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def suffer(self, mishap: Mishap | None) -> None:
        was_gone = self._spoiler.mishap == "gone"
        self._spoiler.mishap = mishap
        if mishap == "gone" and not was_gone:
            self.close()
        elif was_gone and mishap != "gone":
            self._keep(self.start())

    def close(self) -> None:
        """Hang up on everybody, and listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.close()
        for task in self._tasks:
            task.cancel()

    def _keep(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[arg-type]  # a coroutine
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, device = await asyncio.open_connection("127.0.0.1", self._device_port)
        self._writers |= {writer, device}
        self._keep(self._answer(answers, writer))
        with suppress(OSError):
            while data := await reader.read(300):
                device.write(data)
        device.close()
        self._writers -= {writer, device}

    async def _answer(
        self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await answers.read(300):
            for delay_s, part in self._spoiler.spoiled(data):
                if delay_s:
                    self._loop.call_later(delay_s, writer.write, part)
                elif not writer.is_closing():
                    writer.write(part)
        writer.close()
