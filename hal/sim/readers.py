"""Simulated RFID readers on a pseudo-terminal: the bytes that the real ones send.

with pty_pair() as (fd, path):
    reader = SimulatedPn532(fd)       # a driver opens `path`
    reader.card = bytes.fromhex("04A1B2C3D4E5F6")
"""

import asyncio
import os
import struct
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hal.protocols import pn532

EV_SYN, EV_KEY = 0, 1
SYN_DROPPED: Final = 3
KEY_ENTER, KEY_LEFTSHIFT = 28, 42
"""<linux/input-event-codes.h>"""

_CODES: Final = dict(
    zip(
        "1234567890qwertyuiopasdfghjklzxcvbnm",
        (*range(2, 12), *range(16, 26), *range(30, 39), *range(44, 51)),
        strict=True,
    )
)

RDM6300_EVERY_S: Final = 0.06
"""How often an RDM6300 repeats a card that lies there (hardware reference 5.2)."""


@contextmanager
def pty_pair() -> Iterator[tuple[int, str]]:
    """Return the device's end, non-blocking, and the path of the host's end."""
    device, host = os.openpty()
    try:
        tty.setraw(host)
        os.set_blocking(device, False)
        yield device, os.ttyname(host)
    finally:
        for end in (device, host):
            try:
                os.close(end)
            except OSError:
                continue  # whoever pulled the plug has closed it


def rdm6300_frame(uid: bytes) -> bytes:
    """Return the frame of a card: version and four bytes of id."""
    total = 0
    for byte in uid:
        total ^= byte
    return b"\x02" + uid.hex().upper().encode() + f"{total:02X}".encode() + b"\x03"


class SimulatedRdm6300:
    """Repeats the card that lies there, until `close`."""

    def __init__(self, fd: int) -> None:
        self.card: bytes | None = None
        self._fd, self._loop = fd, asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        if self.card is not None:
            os.write(self._fd, rdm6300_frame(self.card))
        self._next = self._loop.call_later(RDM6300_EVERY_S, self._tell)

    def close(self) -> None:
        """Fall silent."""
        self._next.cancel()


class SimulatedPn532:
    """Answers commands as a PN532 does.

    Attributes:
        card: UID of the card that lies there, None without one.
        is_silent: it takes commands and answers none, as without power.
        asked: commands so far.
        on_asked: called after each.
        version: what it says of its firmware.
    """

    def __init__(self, fd: int) -> None:
        self.card: bytes | None = None
        self.is_silent = False
        self.asked: list[int] = []
        self.on_asked: Callable[[], None] = lambda: None
        self.version = bytes((0x32, 0x01, 0x06, 0x07))
        self._fd, self._loop = fd, asyncio.get_running_loop()
        self._frames = pn532.Frames(pn532.TO_READER)
        self._loop.add_reader(fd, self._received)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._fd)

    def _received(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except OSError:
            self.close()  # the host has closed its end
            return
        for frame in self._frames.fed(data):
            if isinstance(frame, pn532.Answer) and not self.is_silent:
                self.asked.append(frame.command)
                self.on_asked()
                self._told(pn532.ACK + self._answer(frame.command))

    def _told(self, data: bytes) -> None:
        os.write(self._fd, data)

    def _answer(self, command: int) -> bytes:
        match command:
            case pn532.GET_FIRMWARE_VERSION:
                data = self.version
            case pn532.SAM_CONFIGURATION | pn532.RF_CONFIGURATION:
                data = b""
            case pn532.RELEASE:
                data = b"\x00"
            case pn532.LIST_TARGETS:
                data = self._targets()
            case _:
                return bytes.fromhex("0000FF01FF7F8100")
        return pn532.framed(command + 1, data, tfi=pn532.FROM_READER)

    def _targets(self) -> bytes:
        if self.card is None:
            return b"\x00"
        atqa = b"\x00\x04" if len(self.card) == 4 else b"\x00\x44"  # noqa: PLR2004  # single size
        sak = b"\x08" if len(self.card) == 4 else b"\x00"  # noqa: PLR2004
        return b"\x01\x01" + atqa + sak + bytes((len(self.card),)) + self.card


class SimulatedKeyboard:
    """Types into a named pipe what a USB reader with an American layout types.

    Attributes:
        is_capital: it types letters with shift.
    """

    def __init__(self, path: Path) -> None:
        """Make the pipe, and keep it open: a reader that types nothing is still there."""
        self.is_capital = True
        os.mkfifo(path)
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def enter(self, text: str) -> None:
        """Type a line, and Enter."""
        for letter in text:
            is_shifted = self.is_capital and letter.isalpha()
            if is_shifted:
                self.send(EV_KEY, KEY_LEFTSHIFT, 1)
            self.press(_CODES[letter.lower()])
            if is_shifted:
                self.send(EV_KEY, KEY_LEFTSHIFT, 0)
        self.press(KEY_ENTER)

    def press(self, code: int) -> None:
        """Press a key and let it go; the kernel repeats one that is held, and so does this."""
        for value in (1, 2, 0):
            self.send(EV_KEY, code, value)
            self.send(EV_SYN, 0, 0)

    def send(self, kind: int, code: int, value: int) -> None:
        """Send one event."""
        if self._fd is not None:
            os.write(self._fd, struct.pack("@llHHi", 1_764_000_000, 0, kind, code, value))

    def close(self) -> None:
        """Be pulled out; harmless when it was."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
