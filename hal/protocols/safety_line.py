"""Lines between a host and a safety microcontroller, without any I/O (docs/safety-mcu.md).

    >07 OFFER 160 12000*8C31<LF>        host to board: a request, with its number
    <07 OK*5A0C<LF>                     board to host: its answer, OK or NO, with that number
    <2A STATE C 160 1 1 32 315 0000 1*…<LF>     a report, numbered by the board

The first byte says the direction, so that an echo is never an answer. The checksum is CRC-16
(polynomial 1021, beginning with FFFF, nothing reflected) over everything before the `*`, as
four hex digits.
"""

import binascii
import re
from typing import Final, Literal

from hal.types import Fault, PilotState, Value

VERSION: Final = 1
LONGEST: Final = 80
"""Bytes of a line, its end included."""

MOST_VALID_MS: Final = 3_600_000
FAULTS: Final = (
    Fault.CONNECTOR_LOCK_FAILURE,
    Fault.GROUND_FAILURE,
    Fault.HIGH_TEMPERATURE,
    Fault.OVER_CURRENT,
    Fault.OVER_VOLTAGE,
    Fault.UNDER_VOLTAGE,
    Fault.EMERGENCY_STOP,
    Fault.PILOT_FAULT,
    Fault.DIODE_FAULT,
    Fault.PROXIMITY_FAULT,
    Fault.CONTACTOR_FAULT,
    Fault.INTERNAL_ERROR,
)
"""By bit; those above them are `OTHER_ERROR`."""

Direction = Literal[">", "<"]
TO_BOARD: Final = ">"
TO_HOST: Final = "<"

_LINE: Final = re.compile(rb"([<>])([0-9A-F]{2}) ([\x20-\x7e]+)\*([0-9A-F]{4})\r?")
_STATE: Final = re.compile(
    r"STATE ([A-F]) (\d{1,3}) ([01]) ([01-]) (\d{1,2}|-) (-?\d{1,4}|-) ([0-9A-F]{4}) ([01])"
    r"(?: .*)?"
)
_HELLO: Final = re.compile(
    r"OK (\d{1,3}) (\d{1,3}) ([13]) (-|[A-Z]{1,8}) (\S{1,16}) (\S{1,16})(?: .*)?"
)


class Line(Value, frozen=True):
    """A line whose checksum is right.

    Attributes:
        number: of the request, or of the report.
        text: words with single blanks between them.
    """

    direction: Direction
    number: int
    text: str

    @property
    def is_answer(self) -> bool:
        """Return whether it answers a request."""
        return self.direction == TO_HOST and self.text.split(" ")[0] in {"OK", "NO"}

    @property
    def is_ok(self) -> bool:
        """Return whether it answers that a request was obeyed."""
        return self.text.split(" ")[0] == "OK"


class BoardState(Value, frozen=True):
    """What a STATE report says.

    Attributes:
        offer_a: what PWM offers now, 0 without it.
        closed: what the mirror contact says.
        locked: None for a lock without feedback, or none.
        cable_a: 0 without a cable, None for a fixed one.
        temperature_c: of the hottest sensor; None without one.
        is_greeted: the host has said HELLO since the board has started.
    """

    pilot: PilotState
    offer_a: float
    closed: bool
    locked: bool | None
    cable_a: float | None
    temperature_c: float | None
    faults: frozenset[Fault]
    is_greeted: bool


class Board(Value, frozen=True):
    """What a board says of itself when it is greeted.

    Attributes:
        version: of the protocol, as both will speak it.
        max_a: what it carries, A per phase.
        features: letters: F fixed cable, L lock, S switches phases; others are for later.
    """

    version: int
    max_a: float
    phases: int
    features: frozenset[str]
    name: str
    firmware: str


def crc(data: bytes) -> int:
    """Return the CRC-16 of bytes: 29B1 for the digits 1 to 9."""
    return binascii.crc_hqx(data, 0xFFFF)


def framed(direction: Direction, number: int, text: str) -> bytes:
    """Return a line.

    Args:
        number: 0 to 255; 0 is no request's.
    """
    body = f"{direction}{number:02X} {text}".encode()
    return body + f"*{crc(body):04X}\n".encode()


class Lines:
    """Takes bytes as they come and finds the lines in them; what is broken is passed over.

    Args:
        direction: of the lines that are taken; others are echoes.
    """

    def __init__(self, direction: Direction = TO_HOST) -> None:
        self._direction = direction
        self._begin = direction.encode()
        self._buffer = b""

    def fed(self, data: bytes) -> list[Line]:
        """Return the lines that are complete with these bytes."""
        *ended, rest = (self._buffer + data).split(b"\n")
        begin = rest.rfind(self._begin)
        rest = rest[begin:] if begin >= 0 else b""
        self._buffer = rest if len(rest) < LONGEST else b""
        found = (_read(raw[raw.rfind(self._begin) :]) for raw in ended if self._begin in raw)
        return [line for line in found if line is not None]


def _read(raw: bytes) -> Line | None:
    match = _LINE.fullmatch(raw)
    if match is None or len(raw) >= LONGEST:
        return None
    direction, number, text, total = match.groups()
    if crc(raw[: match.end(3)]) != int(total, 16):
        return None
    return Line(
        TO_HOST if direction == b"<" else TO_BOARD, int(number, 16), text.decode("ascii")
    )


def state_text(state: BoardState) -> str:
    """Return the words of a STATE report."""
    bits = sum(1 << FAULTS.index(one) for one in state.faults if one in FAULTS)
    bits |= 0x8000 * any(one not in FAULTS for one in state.faults)
    locked = "-" if state.locked is None else f"{state.locked:d}"
    cable = "-" if state.cable_a is None else f"{state.cable_a:.0f}"
    hot = "-" if state.temperature_c is None else f"{state.temperature_c * 10:.0f}"
    return (
        f"STATE {state.pilot.value} {state.offer_a * 10:.0f} {state.closed:d} {locked} {cable}"
        f" {hot} {bits:04X} {state.is_greeted:d}"
    )


def board_state(text: str) -> BoardState | None:
    """Return what a report says; None when it is no STATE, or one that cannot be.

    Words behind the last one that is known belong to later versions.
    """
    match = _STATE.fullmatch(text)
    if match is None:
        return None
    pilot, offer, closed, locked, cable, hot, bits, greeted = match.groups()
    faults = int(bits, 16)
    found = {fault for bit, fault in enumerate(FAULTS) if faults >> bit & 1}
    if faults >> len(FAULTS):
        found.add(Fault.OTHER_ERROR)
    return BoardState(
        pilot=PilotState(pilot),
        offer_a=int(offer) / 10,
        closed=closed == "1",
        locked=None if locked == "-" else locked == "1",
        cable_a=None if cable == "-" else float(cable),
        temperature_c=None if hot == "-" else int(hot) / 10,
        faults=frozenset(found),
        is_greeted=greeted == "1",
    )


def board_text(board: Board) -> str:
    """Return the words of the answer to HELLO."""
    features = "".join(sorted(board.features)) or "-"
    return (
        f"OK {board.version} {board.max_a * 10:.0f} {board.phases} {features}"
        f" {board.name} {board.firmware}"
    )


def greeted(text: str) -> Board | None:
    """Return what the answer to HELLO says; None when it is none that can be used."""
    match = _HELLO.fullmatch(text)
    if match is None:
        return None
    version, most, phases, features, name, firmware = match.groups()
    return Board(
        version=int(version),
        max_a=int(most) / 10,
        phases=int(phases),
        features=frozenset(features) - {"-"},
        name=name,
        firmware=firmware,
    )
