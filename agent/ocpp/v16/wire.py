"""What the blocks of this package share: encoding, and the two words of most answers."""

from typing import TypeGuard

import msgspec

from agent.core.effects import Done, Outcome, Verdict
from agent.ocpp.adapter import Call
from agent.ocpp.v16.messages import Payload, YesNo
from agent.ocpp.wire_time import from_text
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.quirks import Quirk, noted

_ENCODER = msgspec.json.Encoder()


def encoded(payload: Payload) -> bytes:
    """Return a payload as JSON; members without a value are left out."""
    return _ENCODER.encode(payload)


def call(action: str, payload: Payload, *, settles: bool = True) -> Call:
    """Return a call to the CSMS."""
    return Call(action, encoded(payload), settles)


def done(outcome: Outcome) -> Done:
    """Return an outcome that has to be a verdict.

    Raises:
        RpcError: InternalError, because the core answered something else.
    """
    if isinstance(outcome, Done):
        return outcome
    raise RpcError(RpcErrorCode.INTERNAL_ERROR, "the request was decided in an unexpected way")


def yes_or_no(outcome: Outcome) -> YesNo:
    """Return a verdict as one of the two words that most 1.6 answers have.

    A refusal that the answer can express is never a CALLERROR (OCPP-J 1.6 chapter 4.2.3), so
    everything but a promise to act is "Rejected".
    """
    promises = {Verdict.ACCEPTED, Verdict.SCHEDULED}
    return "Accepted" if done(outcome).verdict in promises else "Rejected"


def says(text: object) -> TypeGuard[str]:
    """Tell whether an optional text says anything; an empty one counts as absent."""
    if text == "":
        noted(Quirk.EMPTY_TEXT)
    return isinstance(text, str) and text != ""


def instant(name: str, text: str | None) -> float | None:
    """Return an instant of a request in UTC seconds; an empty text counts as absent.

    Raises:
        RpcError: PropertyConstraintViolation, naming the member.
    """
    if not says(text):
        return None
    try:
        return from_text(text)
    except ValueError as error:
        code = RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
        raise RpcError(code, f"{name}: {error}") from None
