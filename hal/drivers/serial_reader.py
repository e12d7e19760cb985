"""RFID readers that talk by themselves over a serial line: RDM6300, EM-18, text lines.

The reader repeats a card for as long as it lies there (RDM6300: about every 60 ms). One tap
is one token: a card counts again once nothing has been heard of it for `ABSENT_S`.
"""

import asyncio
import re
from abc import abstractmethod
from collections.abc import Callable
from typing import Final, Protocol

from hal.api import EvseListener, TokenReader
from hal.bus.serial_line import LineSettings, opened
from hal.drivers.uid import UidFormat, token
from hal.types import IdToken, TokenType

ABSENT_S: Final = 3.0
"""How long a card must not be heard of before it counts again (hardware reference 5.1)."""

MOST_BUFFERED: Final = 512
"""Bytes without an end of line or frame that are kept; more is noise."""

_STX, _ETX = b"\x02", b"\x03"
_RDM6300: Final = re.compile(rb"\x02([0-9A-Fa-f]{10})([0-9A-Fa-f]{2})\x03")
_LONGEST_RDM6300: Final = 14


class Framing(Protocol):
    """What a reader's bytes mean."""

    @abstractmethod
    def fed(self, data: bytes) -> list[IdToken]:
        """Take bytes as they come; return the tokens that are complete with them."""


class Rdm6300(Framing):
    """RDM6300: STX, version and id as ten hex digits, their XOR as two more, ETX.

    Frames with a wrong sum are dropped; the reader repeats them.

    Args:
        kind: of the tokens; OCPP has none for cards of 125 kHz.
        with_version: the first of the five bytes belongs to the id; on the fob it does not.
    """

    def __init__(self, form: UidFormat, kind: TokenType, *, with_version: bool = False) -> None:
        self._form, self._kind, self._skipped = form, kind, 0 if with_version else 1
        self._buffer = b""

    def fed(self, data: bytes) -> list[IdToken]:
        self._buffer += data
        found = []
        while frame := _RDM6300.search(self._buffer):
            self._buffer = self._buffer[frame.end() :]
            uid = bytes.fromhex(frame[1].decode())
            if _xor(uid) == int(frame[2], 16):
                found.append(token(uid[self._skipped :], self._form, self._kind))
        begin = self._buffer.rfind(_STX)
        self._buffer = b"" if begin < 0 else self._buffer[begin:][: _LONGEST_RDM6300 - 1]
        return [item for item in found if item is not None]


def _xor(data: bytes) -> int:
    total = 0
    for byte in data:
        total ^= byte
    return total


class TextLines(Framing):
    r"""Readers that send text, a card a line: EM-18, TWN4, barcode and keypad units.

    Args:
        pattern: what a line must match as a whole; its group `id`, or all of it, is the id.
        kind: of the tokens that it reads.
    """

    def __init__(self, pattern: re.Pattern[str], kind: TokenType, prefix: str = "") -> None:
        self._pattern, self._kind, self._prefix = pattern, kind, prefix
        self._buffer = b""

    def fed(self, data: bytes) -> list[IdToken]:
        *lines, rest = re.split(rb"[\r\n]+", self._buffer + data)
        self._buffer = rest if len(rest) <= MOST_BUFFERED else b""
        found = []
        for line in lines:
            text = line.strip(_STX + _ETX + b" \t").decode("ascii", "replace")
            match = self._pattern.fullmatch(text)
            if match is not None:
                value = match["id"] if "id" in self._pattern.groupindex else text
                found.append(IdToken(self._prefix + value, self._kind))
        return found


class Presence:
    """Makes one tap of a card that is read again and again."""

    def __init__(self, absent_s: float = ABSENT_S) -> None:
        self._absent_s = absent_s
        self._key, self._heard_s = "", float("-inf")

    def is_new(self, id_token: IdToken, now_s: float) -> bool:
        """Take that a card is there now; tell whether it was not before."""
        is_new = id_token.key != self._key or now_s >= self._heard_s + self._absent_s
        self._key, self._heard_s = id_token.key, now_s
        return is_new


class SerialReader(TokenReader):
    """A reader that sends what it reads.

    Args:
        framing: called for every life of the line, so that nothing half remains.
    """

    def __init__(self, line: LineSettings, framing: Callable[[], Framing]) -> None:
        self._settings, self._framing = line, framing

    async def run(self, listener: EvseListener) -> None:
        loop, presence = asyncio.get_running_loop(), Presence()
        async with opened(self._settings) as line:
            framing = self._framing()
            while True:
                for id_token in framing.fed(await line.read()):
                    if presence.is_new(id_token, loop.time()):
                        listener.token_presented(id_token)
