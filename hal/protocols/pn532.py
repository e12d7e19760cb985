"""Frames between a host and a PN532 over its serial port (HSU), without any I/O.

    00 00 FF LEN LCS TFI data… DCS 00       LEN counts TFI and data, LCS = -LEN,
                                            DCS = -(TFI + data), all modulo 256
    00 00 FF 00 FF 00                       acknowledge

TFI is D4 towards the reader and D5 from it; the answer to a command has its number plus one.
A reader may pad zeros before the preamble, so a frame is looked for by `00 FF` (hardware
reference 5.1). Neither side's frames are longer than 255 bytes here: no command that a
charger needs has more.
"""

from typing import Final

from hal.types import Value

ACK: Final = bytes.fromhex("0000FF00FF00")
TO_READER: Final = 0xD4
FROM_READER: Final = 0xD5

GET_FIRMWARE_VERSION: Final = 0x02
SAM_CONFIGURATION: Final = 0x14
RF_CONFIGURATION: Final = 0x32
LIST_TARGETS: Final = 0x4A
RELEASE: Final = 0x52

WAKE_UP: Final = b"\x55\x55" + bytes(14)
"""Longer than it takes the reader to start its clock after a sleep."""

_START: Final = b"\x00\xff"
_ERROR_TFI: Final = 0x7F
_MOST_BUFFERED: Final = 1024


class Answer(Value, frozen=True):
    """What the reader answers.

    Attributes:
        command: the one that it answers.
    """

    command: int
    data: bytes


class Acknowledged(Value, frozen=True):
    """The reader has taken the command."""


class Refused(Value, frozen=True):
    """The reader does not know the command, or not in this state (application error)."""


Frame = Answer | Acknowledged | Refused


def framed(command: int, data: bytes = b"", *, tfi: int = TO_READER) -> bytes:
    """Return the frame of a command with its data, at most 253 bytes."""
    body = bytes((tfi, command)) + data
    length = len(body)
    return (
        b"\x00\x00\xff"
        + bytes((length, -length & 0xFF))
        + body
        + bytes((-sum(body) & 0xFF, 0x00))
    )


class Frames:
    """Takes bytes as they come and finds the frames in them; what is broken is passed over.

    Args:
        tfi: direction of the frames that are taken.
    """

    def __init__(self, tfi: int = FROM_READER) -> None:
        self._tfi, self._buffer = tfi, b""

    def fed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete with these bytes."""
        self._buffer = (self._buffer + data)[-_MOST_BUFFERED:]
        found: list[Frame] = []
        while True:
            frame, used = self._first()
            self._buffer = self._buffer[used:]
            if frame is not None:
                found.append(frame)
            elif not used:
                return found

    def _first(self) -> tuple[Frame | None, int]:
        """Return the first frame, if one is complete, and how many bytes are done with."""
        start = self._buffer.find(_START)
        if start < 0:
            return None, max(0, len(self._buffer) - 1)  # the last byte may begin a frame
        head = self._buffer[start + 2 : start + 4]
        if len(head) < 2:  # noqa: PLR2004  # LEN and LCS
            return None, 0
        if head == b"\x00\xff":
            return Acknowledged(), start + 4
        length = head[0]
        if (length + head[1]) & 0xFF or not length:
            return None, start + 2
        body = self._buffer[start + 4 : start + 5 + length]
        if len(body) <= length:
            return None, 0
        if sum(body) & 0xFF:
            return None, start + 2
        return self._meant(body[:-1]), start + 5 + length

    def _meant(self, body: bytes) -> Frame | None:
        if body[0] == _ERROR_TFI:
            return Refused()
        if body[0] != self._tfi or len(body) < 2:  # noqa: PLR2004  # TFI and command
            return None
        is_answer = self._tfi == FROM_READER
        return Answer(body[1] - 1 if is_answer else body[1], body[2:])


def uid_of(data: bytes) -> bytes | None:
    """Return the UID in the answer to LIST_TARGETS (106 kbit/s type A), None without a card.

    number, then per target: Tg, ATQA (2), SAK, length of the UID, UID, and perhaps an ATS.
    """
    if len(data) < 6 or data[0] == 0:  # noqa: PLR2004  # up to the length of the UID
        return None
    length = data[5]
    uid = data[6 : 6 + length]
    return uid if length in {4, 7, 10} and len(uid) == length else None
