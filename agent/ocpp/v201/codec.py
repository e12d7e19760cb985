"""JSON in and out, and the times that the CSMS's answers name."""

from typing import TypeVar

import msgspec

from agent.core.timebase import EARLIEST_WALL_S
from agent.ocpp.v201.datatypes import Wire
from agent.ocpp.wire_time import from_text
from agent.ocppj import explain
from agent.ocppj.errors import RpcError, RpcErrorCode

T = TypeVar("T", bound=Wire)

LATEST_WALL_S = 4_102_444_800.0
"""2100-01-01T00:00:00Z: no clock that a CSMS truthfully shows while this software runs."""

_ENCODER = msgspec.json.Encoder()


def encode(value: Wire) -> bytes:
    """Return the JSON object of a message."""
    return _ENCODER.encode(value)


def decode(kind: type[T], payload: msgspec.Raw) -> T:
    """Return the payload of a call as a typed message.

    Raises:
        RpcError: it does not fit, with the code to answer (reference 1.5).
    """
    return explain.decode(payload, kind)


def decode_answer(kind: type[T], payload: msgspec.Raw) -> T:
    """Return the payload of an answer; its words may come in another case.

    Raises:
        RpcError: it does not fit; the answer is unusable.
    """
    return explain.decode(payload, kind, any_case=True)


def instant(value: object) -> float | None:
    """Return the instant that a member names, UTC seconds; None if it names none."""
    if not isinstance(value, str):
        return None
    try:
        return from_text(value)
    except ValueError:
        return None


def checked_instant(name: str, text: str | None) -> float | None:
    """Return the instant that a member of a call names, UTC seconds.

    Raises:
        RpcError: PropertyConstraintViolation, naming the member: nobody may have meant *now*.
    """
    if text is None:
        return None
    try:
        return from_text(text)
    except ValueError as error:
        code = RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
        raise RpcError(code, f"{name}: {error}") from None


def clock(value: object) -> float | None:
    """Return the CSMS's clock, UTC seconds; None when it is missing or absurd."""
    wall_s = instant(value)
    if wall_s is None or not EARLIEST_WALL_S <= wall_s < LATEST_WALL_S:
        return None
    return wall_s
