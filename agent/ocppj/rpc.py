"""The conversation of OCPP-J on one connection, without I/O and without a clock.

One `Rpc` lives as long as its connection; a new connection gets a new one, so that nothing
of the old conversation can be answered on it. Both ends use it: a station and a CSMS follow
the same rules.

* One CALL of ours is in flight at a time (1.6 reference 1.6, 2.0.1 reference FR.01): `call`
  returns the frame to send, `receive` brings its answer, `expire` ends the wait.
* CALLs of the other side are taken at any time, also while ours is in flight, and answered
  by `result` or `error`, in any order. Whoever will never answer one says so by `forget`.
* An answer nobody waits for is dropped and nothing of it is kept. The last few calls that
  timed out are remembered, so that their late CALLRESULT can still be used once.

Frames that break the rules never raise: `receive` returns `Refused` with the CALLERROR to
send, or `Dropped`. OCPP 1.6 drops what carries no message id; 2.0.1 answers it with the id
"-1" (part 4, chapter 4.2.3).
"""

from typing import TypeAlias

import msgspec

from agent.ocppj import frames
from agent.ocppj.errors import RpcErrorCode, is_known, spelled
from agent.ocppj.frames import CallFrame, ErrorFrame, Flaw, FrameError, ResultFrame
from agent.ocppj.quirks import Quirk, noted

LONGEST_FRAME = 65_536
"""Characters of a frame that we take unless told otherwise (1.6 reference 1.2).

Of a longer one that the link still lets through only the id is read, to refuse it under."""

OPEN_MOST = 16
"""Calls of the other side that may wait for our answers (1.6 reference 1.6)."""

REMEMBERED_MOST = 16
"""Timed-out calls whose late answer is still recognised."""

_CODES = {
    Flaw.UNKNOWN_TYPE: RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED,
    Flaw.BUSY: RpcErrorCode.GENERIC_ERROR,
    Flaw.DUPLICATE: RpcErrorCode.GENERIC_ERROR,
    Flaw.BAD_PAYLOAD: RpcErrorCode.FORMAT_VIOLATION,
    Flaw.TOO_LONG: RpcErrorCode.FORMAT_VIOLATION,
}


class CallReceived(msgspec.Struct, frozen=True):
    """The other side asks for something; it waits for `result` or `error`.

    Attributes:
        message_id: as text, for logs.
        id_json: as written on the wire (a string or a number), for the echo.
        payload: JSON text, not yet checked; `null` and a missing payload read as `{}`.
    """

    message_id: str
    id_json: bytes
    action: str
    payload: msgspec.Raw


class AnswerReceived(msgspec.Struct, frozen=True):
    """Our call was answered.

    Attributes:
        action: of our call.
        is_late: its wait had been given up already; use it only where that prevents harm.
    """

    message_id: str
    action: str
    payload: msgspec.Raw
    is_late: bool = False


class ErrorReceived(msgspec.Struct, frozen=True):
    """Our call was refused.

    Attributes:
        code: as received, at most 64 characters; peers write any version's spelling.
        description: at most 255 characters.
    """

    message_id: str
    action: str
    code: str
    description: str


class Refused(msgspec.Struct, frozen=True):
    """The frame is unusable, and the other side has to be told.

    Attributes:
        frame: the CALLERROR to send.
    """

    frame: bytes
    reason: Flaw


class Dropped(msgspec.Struct, frozen=True):
    """The frame is unusable or unexpected; nothing is sent."""

    reason: Flaw


Received: TypeAlias = CallReceived | AnswerReceived | ErrorReceived | Refused | Dropped


class InFlight(msgspec.Struct, frozen=True):
    """Our call that waits for its answer until `deadline_s`."""

    message_id: str
    action: str
    deadline_s: float


class Rpc:
    """One end of a conversation.

    Args:
        subprotocol: "ocpp1.6" or "ocpp2.0.1"; decides spelling and what is answered.
        limit: longest frame in characters; longer ones are not even parsed.
    """

    def __init__(self, subprotocol: str, limit: int = LONGEST_FRAME) -> None:
        self._subprotocol = subprotocol
        self._limit = limit
        self._in_flight: InFlight | None = None
        self._late: dict[str, str] = {}
        self._open: set[bytes] = set()

    @property
    def in_flight(self) -> InFlight | None:
        """Return our call that waits for its answer."""
        return self._in_flight

    @property
    def deadline_s(self) -> float | None:
        """Return when `expire` has to be called, None while nothing waits."""
        return self._in_flight.deadline_s if self._in_flight else None

    def call(
        self, action: str, payload: bytes, message_id: str, now_s: float, timeout_s: float
    ) -> bytes:
        """Return the frame of a call, which is in flight from now on.

        Args:
            payload: JSON object, encoded.
            message_id: unique, at most 36 characters; a repetition may reuse its own.
            now_s: monotonic clock.

        Raises:
            AssertionError: another call is in flight.
        """
        if self._in_flight is not None:
            raise AssertionError(f"{self._in_flight.action} is still in flight")
        self._late.pop(message_id, None)
        self._in_flight = InFlight(message_id, action, now_s + timeout_s)
        return frames.call(message_id, action, payload)

    def expire(self, now_s: float) -> str | None:
        """Give up the call in flight if its time is over, and return its message id."""
        waiting = self._in_flight
        if waiting is None or now_s < waiting.deadline_s:
            return None
        self._in_flight = None
        self._late[waiting.message_id] = waiting.action
        if len(self._late) > REMEMBERED_MOST:
            del self._late[next(iter(self._late))]
        return waiting.message_id

    def receive(self, text: str | bytes) -> Received:
        """Take a frame and return what it means."""
        if len(text) > self._limit:
            return self._turned_down(frames.beginning(text, Flaw.TOO_LONG))
        try:
            frame, id_json = frames.parse(text)
        except FrameError as error:
            return self._turned_down(error)
        if isinstance(frame, CallFrame):
            return self._called(frame, id_json)
        if isinstance(frame, ResultFrame):
            return self._answered(frame)
        return self._errored(frame)

    def result(self, call: CallReceived, payload: bytes) -> bytes:
        """Return the answer to a call; `payload` is a JSON object, encoded."""
        self.forget(call)
        return frames.result(call.id_json, payload)

    def error(self, call: CallReceived, code: RpcErrorCode, description: str = "") -> bytes:
        """Return the refusal of a call, in the spelling of the version."""
        self.forget(call)
        return frames.error(call.id_json, spelled(code, self._subprotocol), description)

    def forget(self, call: CallReceived) -> None:
        """Leave a call without an answer (1.6: while the registration is rejected)."""
        self._open.discard(call.id_json)

    def _called(self, frame: CallFrame, id_json: bytes) -> Received:
        if id_json in self._open:
            return self._turned_down(FrameError(Flaw.DUPLICATE, id_json))
        if len(self._open) >= OPEN_MOST:
            return self._turned_down(FrameError(Flaw.BUSY, id_json))
        if self._open:
            noted(Quirk.SEVERAL_CALLS)
        self._open.add(id_json)
        payload = frames.payload_of(frame)
        return CallReceived(frame.message_id, id_json, frame.action, payload)

    def _answered(self, frame: ResultFrame) -> Received:
        payload = frames.payload_of(frame)
        action = self._settled(frame.message_id)
        if action is not None:
            return AnswerReceived(frame.message_id, action, payload)
        action = self._late.pop(frame.message_id, None)
        if action is not None:
            noted(Quirk.LATE_ANSWER)
            return AnswerReceived(frame.message_id, action, payload, is_late=True)
        noted(Quirk.UNSOLICITED_ANSWER)
        return Dropped(Flaw.UNSOLICITED)

    def _errored(self, frame: ErrorFrame) -> Received:
        action = self._settled(frame.message_id)
        if action is None:
            self._late.pop(frame.message_id, None)
            noted(Quirk.UNSOLICITED_ANSWER)
            return Dropped(Flaw.UNSOLICITED)
        if not is_known(frame.code, self._subprotocol):
            noted(Quirk.UNKNOWN_ERROR)
        code = frame.code[: frames.LONGEST_CODE]
        description = frame.description[: frames.LONGEST_DESCRIPTION]
        return ErrorReceived(frame.message_id, action, code, description)

    def _settled(self, message_id: str) -> str | None:
        """End the call in flight if the id is its own, and return its action."""
        waiting = self._in_flight
        if waiting is None or waiting.message_id != message_id:
            return None
        self._in_flight = None
        return waiting.action

    def _turned_down(self, error: FrameError) -> Refused | Dropped:
        is_16 = self._subprotocol == "ocpp1.6"
        id_json = error.id_json
        if is_16 and error.flaw is Flaw.UNKNOWN_TYPE:
            return Dropped(error.flaw)
        if error.is_answer or (id_json is None and is_16):
            return Dropped(error.flaw)
        code = RpcErrorCode.RPC_FRAMEWORK_ERROR
        if id_json is not None:
            code = _CODES.get(error.flaw, code)
        text = spelled(code, self._subprotocol)
        return Refused(frames.error(id_json or b'"-1"', text, error.flaw.value), error.flaw)
