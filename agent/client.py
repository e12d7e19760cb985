"""The client of the control socket: what the command line and the bench speak through.

    with ControlClient(Path("/run/pilotwire/control.sock")) as agent:
        agent.call("settings.set", {"name": "HeartbeatInterval", "value": 60})
        for event in agent.events():
            print(event["at"], event["kind"])

JSON-RPC 2.0, one object per line each way (contract, section 5). The client is synchronous
and belongs to one thread. Requests go out one after the other; notifications that arrive
while an answer is awaited are kept for `events`.

    ClientError
        AgentAbsentError   nobody answers at the socket, or it may not be opened
        BrokenLinkError    the conversation has ended in its middle; connect anew
        ControlError       the agent has refused; the connection can still be used
"""

import socket
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

LONGEST_LINE: Final = 1 << 20
"""Bytes; a status of 64 EVSEs has 60 kB."""

CONNECT_S: Final = 5.0
ANSWER_S: Final = 65.0
"""Longer than the 60 s after which the agent itself says that there is no answer."""

MOST_WAITING: Final = 10_000
"""Notifications that are kept while an answer is awaited."""

_CHUNK: Final = 65_536


class ClientError(Exception):
    """A request was not served. Only subclasses are raised."""


class AgentAbsentError(ClientError):
    """There is no connection.

    Attributes:
        path: of the socket.
        cause: what the system says.
    """

    def __init__(self, path: Path, cause: OSError) -> None:
        if isinstance(cause, PermissionError):
            text = (
                f"{path} may not be opened: allowed are root and the members of its group "
                "(usually pilotwire)"
            )
        elif isinstance(cause, FileNotFoundError | ConnectionError | TimeoutError):
            text = (
                f"no agent answers at {path}: is pilotwire running? "
                "(systemctl status pilotwire)"
            )
        else:
            text = f"{path} is no control socket: {cause.strerror or cause}"
        super().__init__(text)
        self.path, self.cause = path, cause


class BrokenLinkError(ClientError):
    """The conversation cannot go on; whether a pending request was served is not known.

    Attributes:
        path: of the socket.
        reason: what happened.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the agent at {path} {reason}")
        self.path, self.reason = path, reason


class ControlError(ClientError):
    """The agent has understood the request and refuses it, or does not know it.

    Attributes:
        code: of JSON-RPC 2.0: -32601 unknown method, -32602 wrong parameters, -32000 and
            below refused.
        message: why, in the agent's words.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class _Failure(msgspec.Struct):
    code: int
    message: str


class _Line(msgspec.Struct):
    """An answer, or a notification when there is a method."""

    id: int | str | None = None
    result: Any = None
    error: _Failure | None = None
    method: str | None = None
    params: dict[str, Any] = {}


class ControlClient:
    """One connection to the agent.

    Args:
        path: of the Unix socket.
        answer_s: longest silence while an answer is awaited.

    Raises:
        AgentAbsentError: there is no connection.
    """

    def __init__(self, path: Path, *, answer_s: float = ANSWER_S) -> None:
        self._path = path
        self._answer_s = answer_s
        self._unread = bytearray()
        self._waiting: deque[dict[str, Any]] = deque()
        self._last_id = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(CONNECT_S)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise AgentAbsentError(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; harmless when that has happened already."""
        self._socket.close()

    def call(self, method: str, params: Mapping[str, object] | None = None) -> Any:
        """Return the result of a request, as JSON decodes it.

        Raises:
            ControlError: the agent refuses; other requests are still possible.
            BrokenLinkError: there is no answer; the connection is closed.
        """
        self._last_id += 1
        request = {
            "jsonrpc": "2.0",
            "id": self._last_id,
            "method": method,
            "params": dict(params or {}),
        }
        self._send(msgspec.json.encode(request) + b"\n")
        while (line := self._received(self._answer_s)).method is not None:
            if len(self._waiting) >= MOST_WAITING:
                raise self._broken(f"has sent {MOST_WAITING} events and no answer")
            self._waiting.append(line.params)
        if line.error is not None:
            raise ControlError(line.error.code, line.error.message)
        if line.id != self._last_id:
            raise self._broken(f"has answered request {line.id!r} instead of {self._last_id}")
        return line.result

    def events(self) -> Iterator[dict[str, Any]]:
        """Subscribe at once, and return the notifications' parameters without end.

        Each has at least `at` (an instant as text, None while the clock is unknown) and
        `kind`. The iterator waits for the next one as long as it takes.

        Raises:
            ControlError: the agent refuses.
            BrokenLinkError: here or from the iterator: the agent has hung up.
        """
        self.call("events")
        return self._notified()

    def _notified(self) -> Iterator[dict[str, Any]]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            line = self._received(None)
            if line.method is None:
                raise self._broken("has answered what nobody has asked")
            self._waiting.append(line.params)

    def _send(self, line: bytes) -> None:
        if len(line) > LONGEST_LINE:
            raise self._broken(f"would not take {len(line)} bytes: {LONGEST_LINE} are allowed")
        try:
            self._socket.settimeout(self._answer_s)
            self._socket.sendall(line)
        except TimeoutError as error:
            raise self._broken(f"takes no request within {self._answer_s:g} s") from error
        except OSError as error:
            raise self._broken("has hung up") from error

    def _received(self, silence_s: float | None) -> _Line:
        line = self._read(silence_s)
        try:
            return msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._broken(f"has sent what is no JSON-RPC message: {error}") from error

    def _read(self, silence_s: float | None) -> bytes:
        """Return the next line, without its end."""
        self._socket.settimeout(silence_s)
        seen = 0
        while (end := self._unread.find(b"\n", seen)) < 0:
            seen = len(self._unread)
            if seen > LONGEST_LINE:
                raise self._broken(f"has sent a line of more than {LONGEST_LINE} bytes")
            try:
                chunk = self._socket.recv(_CHUNK)
            except TimeoutError as error:
                raise self._broken(f"has not answered within {silence_s:g} s") from error
            except OSError:
                chunk = b""
            if not chunk:
                raise self._broken("has hung up")
            self._unread += chunk
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line

    def _broken(self, reason: str) -> BrokenLinkError:
        """Hang up, since what comes next could be taken for an answer to something else."""
        self.close()
        return BrokenLinkError(self._path, reason)
