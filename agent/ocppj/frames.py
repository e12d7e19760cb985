"""OCPP-J frames: text of the wire to typed frames, and back to bytes.

    CALL        [2, "<id>", "<action>", {payload}]
    CALLRESULT  [3, "<id>", {payload}]
    CALLERROR   [4, "<id>", "<code>", "<description>", {details}]

A frame that is written as it should be costs one typed decode in which the payload stays
undecoded. Everything else goes through `_examined`, which takes what the field is known to
send (numeric ids, a missing or `null` payload, short CALLERRORs, extra elements) and says of
the rest what is wrong with it. Nothing that arrives raises anything but `FrameError`: not
text that is no JSON, not NaN, not lone surrogates, not a hundred thousand brackets.

Whoever made a mistake wants to know which call it was: where a frame cannot be read as a whole,
its beginning is looked at, and a call whose id stands there is refused under it.
"""

import enum
import re
from typing import Any, TypeAlias

import msgspec

from agent.ocppj.quirks import Quirk, noted

LONGEST_ID = 128
"""Characters of a message id that we take; the specification says 36, and CSMSs that exceed
it expect an answer (1.6 reference, chapter 11, number 11)."""

LONGEST_RULED = 36
"""Characters that a message id may have (OCPP-J 1.6, chapter 4.1.4)."""

LONGEST_CODE = 64
"""Characters that are kept of a received error code; the longest official one has 29."""

LONGEST_DESCRIPTION = 255
"""Characters that are kept of an error description (OCPP 2.0.1 part 4, chapter 4.2.3)."""

LONGEST_BEGINNING = 512
"""Characters of an unreadable frame that are looked at for its id."""

_CALL, _RESULT, _ERROR = 2, 3, 4
_ACTION_AT = 2  # the place of the action in a CALL

EMPTY = msgspec.Raw(b"{}")
_NULL = msgspec.Raw(b"null")


class Flaw(enum.Enum):
    """What is wrong with a frame, or with its place in the conversation."""

    UNREADABLE = "not a JSON array"
    BAD_PAYLOAD = "the payload is not readable JSON"
    TOO_LONG = "longer than the limit"
    UNKNOWN_TYPE = "unknown message type"
    BAD_ID = "message id missing, too long, or neither string nor number"
    BAD_CALL = "a CALL needs an action, which is a string"
    BUSY = "too many calls are waiting for their answers"
    DUPLICATE = "a call with this id is still being processed"
    UNSOLICITED = "answers no call that is in flight"


class FrameError(Exception):
    """A frame cannot be used; the conversation is as it was before.

    Attributes:
        flaw: what is wrong.
        id_json: its message id as written on the wire, None when none could be read.
        is_answer: it is a CALLRESULT or CALLERROR, which must never be answered itself.
    """

    def __init__(
        self, flaw: Flaw, id_json: bytes | None = None, *, is_answer: bool = False
    ) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw
        self.id_json = id_json
        self.is_answer = is_answer


class CallFrame(msgspec.Struct, frozen=True, array_like=True, tag=_CALL):
    """A request."""

    message_id: str
    action: str
    payload: msgspec.Raw = EMPTY


class ResultFrame(msgspec.Struct, frozen=True, array_like=True, tag=_RESULT):
    """An answer."""

    message_id: str
    payload: msgspec.Raw = EMPTY


class ErrorFrame(msgspec.Struct, frozen=True, array_like=True, tag=_ERROR):
    """A refusal; the details are not kept."""

    message_id: str
    code: str = ""
    description: str = ""


Frame: TypeAlias = CallFrame | ResultFrame | ErrorFrame

_TYPED = msgspec.json.Decoder(CallFrame | ResultFrame | ErrorFrame)
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
_ANSWERS = (_RESULT, _ERROR)
_BEGINNING = re.compile(
    r"\s*\[\s*(?P<kind>[234])\s*,\s*"
    r'(?P<id>"[^"\\\x00-\x1f\ud800-\udfff]{1,128}"|-?(?:0|[1-9][0-9]{0,19}))\s*[,\]]'
)


def parse(text: str | bytes) -> tuple[Frame, bytes]:
    """Return a frame, and its message id as it was written, for the echo.

    Raises:
        FrameError: it cannot be used.
    """
    if isinstance(text, bytes):
        # The undecoded payload escapes msgspec's own check of UTF-8.
        try:
            text = text.decode()
        except UnicodeDecodeError:
            raise FrameError(Flaw.UNREADABLE) from None
    try:
        frame: Frame = _TYPED.decode(text)
    except msgspec.ValidationError:
        return _examined(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _unreadable(text) from None
    id_json = msgspec.json.encode(frame.message_id)
    if len(frame.message_id) > LONGEST_RULED:
        noted(Quirk.LONG_ID)
    if len(frame.message_id) > LONGEST_ID:
        raise FrameError(Flaw.BAD_ID, id_json, is_answer=not isinstance(frame, CallFrame))
    return frame, id_json


def beginning(text: str | bytes, flaw: Flaw) -> FrameError:
    """Return what is wrong with a frame of which only the beginning is looked at.

    An id is repeated only as it was written, without escapes.
    """
    start = text[:LONGEST_BEGINNING]
    if isinstance(start, bytes):
        start = start.decode("ascii", "surrogateescape")
    found = _BEGINNING.match(start)
    if found is None:
        return FrameError(flaw)
    is_answer = int(found["kind"]) in _ANSWERS
    return FrameError(flaw, found["id"].encode(), is_answer=is_answer)


def payload_of(frame: CallFrame | ResultFrame) -> msgspec.Raw:
    """Return the payload; `null` counts as empty (OCPP-J 1.6, chapter 4.2.1)."""
    if frame.payload is not EMPTY and frame.payload != _NULL:
        return frame.payload
    noted(Quirk.NO_PAYLOAD)
    return EMPTY


def call(message_id: str, action: str, payload: bytes) -> bytes:
    """Return a CALL; `payload` is a JSON object."""
    encode = msgspec.json.encode
    return b"[2,%b,%b,%b]" % (encode(message_id), encode(action), payload)


def result(id_json: bytes, payload: bytes) -> bytes:
    """Return a CALLRESULT; `id_json` as `parse` gave it."""
    return b"[3,%b,%b]" % (id_json, payload)


def error(id_json: bytes, code: str, description: str) -> bytes:
    """Return a CALLERROR; the description is cut at 255 characters."""
    text = msgspec.json.encode(description[:LONGEST_DESCRIPTION])
    return b"[4,%b,%b,%b,{}]" % (id_json, msgspec.json.encode(code), text)


def _examined(text: str) -> tuple[Frame, bytes]:
    try:
        parts = _PARTS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise _unreadable(text) from None
    if not parts:
        raise FrameError(Flaw.UNREADABLE)
    kind = _scalar(parts[0])
    is_answer = kind in _ANSWERS
    id_json, message_id = _identity(parts, is_answer=is_answer)
    if is_answer:
        return _answer(kind, message_id, parts), id_json
    if kind != _CALL:
        raise FrameError(Flaw.UNKNOWN_TYPE, id_json)
    action = _scalar(parts[_ACTION_AT]) if len(parts) > _ACTION_AT else None
    if not isinstance(action, str):
        raise FrameError(Flaw.BAD_CALL, id_json)
    return CallFrame(message_id, action, *parts[3:4]), id_json


def _unreadable(text: str) -> FrameError:
    """Return what is wrong with text that is no JSON; one that was cut off is no frame."""
    if not text.rstrip().endswith("]"):
        return FrameError(Flaw.UNREADABLE)
    error = beginning(text, Flaw.BAD_PAYLOAD)
    return FrameError(Flaw.UNREADABLE) if error.id_json is None else error


def _answer(kind: Any, message_id: str, parts: list[msgspec.Raw]) -> Frame:
    if kind == _RESULT:
        return ResultFrame(message_id, *parts[2:3])
    texts = [_scalar(part) for part in parts[2:4]]
    if len(texts) < len(parts[2:4]) or not all(isinstance(text, str) for text in texts):
        noted(Quirk.SHORT_ERROR)
    return ErrorFrame(message_id, *("" if text is None else str(text) for text in texts))


def _identity(parts: list[msgspec.Raw], *, is_answer: bool) -> tuple[bytes, str]:
    written = bytes(parts[1]) if len(parts) > 1 else b"null"
    value = _scalar(parts[1]) if len(parts) > 1 else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise FrameError(Flaw.BAD_ID, is_answer=is_answer)
    text = value if isinstance(value, str) else written.decode()
    if not isinstance(value, str):
        noted(Quirk.NUMERIC_ID)
    if len(text) > LONGEST_ID:
        raise FrameError(Flaw.BAD_ID, written, is_answer=is_answer)
    return written, text


def _scalar(raw: msgspec.Raw) -> Any:
    """Return a string, number or boolean; None for anything else."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, str | int | float) else None
