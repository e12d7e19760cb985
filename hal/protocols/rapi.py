"""Lines between a host and an OpenEVSE board (RAPI), without any I/O.

    $SC 16 V :A1^0F<CR>          a request: command, words, sequence id, checksum
    $OK 16 :A1^..<CR>            its answer, OK or NK, which repeats the sequence id
    $AT 03 03 16 0140^33<CR>     told unasked: boot (AB), state (AT), button (AN), Wi-Fi (WF)

The checksum is the XOR of all bytes before the `^`, as two hex digits; older senders add them
up instead and write `*`. A sequence id is 01 to FF. Lines of the hardware reference 3.1 are
held byte for byte in the tests.

Lines without a checksum are passed over: the board accepts them, but a state that a bit error
has made must not be believed.
"""

import re
from typing import Final

from hal.types import Value

LONGEST_REQUEST: Final = 32
"""Bytes up to the carriage return: the input buffer of the board."""

LONGEST_LINE: Final = 96
"""Longer than any answer; what goes on without an end is noise."""

_LINE: Final = re.compile(rb"(\$[\x20-\x7e]*?)(?:\^([0-9A-Fa-f]{2})|\*([0-9A-Fa-f]{2}))")
_SEQUENCE: Final = re.compile(r":[0-9A-Fa-f]{2}")
_ANSWERS: Final = frozenset({"OK", "NK"})
_TOLD: Final = re.compile(r"A[A-Z]|WF")


class Line(Value, frozen=True):
    """A line whose checksum is right.

    Attributes:
        words: at least one; the first is a command, `OK` or `NK`, or what is told.
        sequence: id of the request, 0 without one.
    """

    words: tuple[str, ...]
    sequence: int = 0

    @property
    def is_answer(self) -> bool:
        """Return whether it answers a request."""
        return self.words[0] in _ANSWERS

    @property
    def is_ok(self) -> bool:
        """Return whether it answers that a request was obeyed."""
        return self.words[0] == "OK"

    @property
    def is_told(self) -> bool:
        """Return whether the board says it unasked; old firmware tells its state as `ST`."""
        is_state = self.words[0] == "ST" and len(self.words) == 2  # noqa: PLR2004 - and no timer
        return is_state or _TOLD.fullmatch(self.words[0]) is not None


def framed(text: str, sequence: int = 0) -> bytes:
    """Return a line.

    Args:
        text: words with single blanks between them.
        sequence: 1 to 255, or 0 for none.
    """
    body = f"${text} :{sequence:02X}" if sequence else f"${text}"
    return f"{body}^{_xor(body.encode()):02X}\r".encode()


class Lines:
    """Takes bytes as they come and finds the lines in them; what is broken is passed over."""

    def __init__(self) -> None:
        self._buffer = b""

    def fed(self, data: bytes) -> list[Line]:
        """Return the lines that are complete with these bytes."""
        *ended, rest = (self._buffer + data).split(b"\r")
        # A `$` begins a line wherever it stands: what came before it was cut off.
        begin = rest.rfind(b"$")
        rest = rest[begin:] if begin >= 0 else b""
        self._buffer = rest if len(rest) <= LONGEST_LINE else b""
        lines = (_read(raw[raw.rfind(b"$") :]) for raw in ended if b"$" in raw)
        return [line for line in lines if line is not None]


def _read(raw: bytes) -> Line | None:
    match = _LINE.fullmatch(raw)
    if match is None or len(raw) > LONGEST_LINE:
        return None
    body, by_xor, by_sum = match.groups()
    total = _xor(body) if by_xor is not None else sum(body) & 0xFF
    if total != int(by_xor or by_sum, 16):
        return None
    words = body[1:].decode("ascii").split()
    sequence = 0
    if len(words) > 1 and _SEQUENCE.fullmatch(words[-1]):
        sequence = int(words.pop()[1:], 16)
    return Line(tuple(words), sequence) if words else None


def _xor(data: bytes) -> int:
    total = 0
    for byte in data:
        total ^= byte
    return total
