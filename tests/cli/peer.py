"""The other end of a control socket: a small JSON-RPC server in a thread."""

import json
import socketserver
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class RefusedError(Exception):
    """What a method raises to refuse."""

    def __init__(self, message: str, code: int = -32000) -> None:
        super().__init__(message)
        self.code = code


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = False
    block_on_close = True


class _Lines:
    """Accepts, and hands the lines of each connection to a function."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    lines.serve(self)

        self._server = _Server(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def serve(self, connection: socketserver.StreamRequestHandler) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Agent(_Lines):
    """Answers from a table: a result, or a function of the parameters that may refuse.

    After `events` it sends its notifications and hangs up.
    """

    def __init__(
        self,
        path: Path,
        answers: Mapping[str, Any] | None = None,
        notifications: tuple[dict[str, Any], ...] = (),
    ) -> None:
        self.answers = dict(answers or {})
        self.notifications = notifications
        self.requests: list[tuple[str, Any]] = []
        self.asked = threading.Semaphore(0)
        super().__init__(path)

    def serve(self, connection: socketserver.StreamRequestHandler) -> None:
        for line in connection.rfile:
            request = json.loads(line)
            assert request["jsonrpc"] == "2.0"
            self.requests.append((request["method"], request["params"]))
            answer = {"jsonrpc": "2.0", "id": request["id"]}
            try:
                answer["result"] = self._result(request["method"], request["params"])
            except RefusedError as refusal:
                answer["error"] = {"code": refusal.code, "message": str(refusal)}
            _write(connection, answer)
            self.asked.release()
            if request["method"] == "events":
                for params in self.notifications:
                    _write(connection, {"jsonrpc": "2.0", "method": "event", "params": params})
                return

    def _result(self, method: str, params: dict[str, Any]) -> Any:
        if method == "events":
            return True
        if method not in self.answers:
            raise RefusedError(f"{method!r}: known are {', '.join(self.answers)}", -32601)
        answer = self.answers[method]
        return answer(params) if isinstance(answer, Callable) else answer


class Script(_Lines):
    """Answers the first request with fixed bytes; then hangs up, or waits for the client."""

    def __init__(self, path: Path, reply: bytes, *, then: str = "hang up") -> None:
        self.reply, self.then = reply, then
        super().__init__(path)

    def serve(self, connection: socketserver.StreamRequestHandler) -> None:
        connection.rfile.readline()
        connection.wfile.write(self.reply)
        if self.then == "wait":
            connection.rfile.readline()


def _write(connection: socketserver.StreamRequestHandler, message: dict[str, Any]) -> None:
    connection.wfile.write(json.dumps(message).encode() + b"\n")
