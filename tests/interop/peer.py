"""An independent CSMS: the `ocpp` package on a `websockets` server, both as published.

Nothing of ours is in it. The package checks both directions against the official schemas
and answers what is wrong with a CALLERROR; `Peer.complaints` has every one of them that no
test has asked for.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ocpp.charge_point import (
    ChargePoint,
    camel_to_snake_case,
    remove_nones,
    snake_to_camel_case,
)
from ocpp.exceptions import InternalError
from ocpp.v16 import call as call16
from websockets.asyncio.server import Server, ServerConnection, basic_auth, serve
from websockets.exceptions import ConnectionClosed

LIMIT_S = 30.0
"""How long a condition may take; on a busy machine far more than it does take."""

CALL, RESULT, ERROR = 2, 3, 4


@dataclass
class Bill:
    """What the handlers have heard of a transaction; energy in Wh.

    Attributes:
        remote_id: 1.6: the id we gave it. 2.0.1: the id it came with.
        seq_nos: of 2.0.1, in order of arrival.
    """

    remote_id: int | str
    id_token: str
    start_wh: float
    samples_wh: list[float] = field(default_factory=list)
    stop_wh: float | None = None
    reason: str = ""
    seq_nos: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def energy_wh(self) -> float:
        """Return what is billed; the transaction has ended."""
        assert self.stop_wh is not None
        return self.stop_wh - self.start_wh


class Peer:
    """One CSMS, which may close and open again on the same port.

    Args:
        subprotocols: what it speaks, best first; empty: it selects none, and upgrades.
        points: the handlers' class for each subprotocol.
        password: what it wants from the station `CP001`; None: nothing.

    Attributes:
        calls: (action, payload as sent) by arrival.
        answered: actions of the station that the handlers have answered.
        bills: by remote id.
        refuse: how often an action is still to be refused with InternalError.
        blocked: tokens that nobody may charge with.
        links: upgrades so far; refused ones do not count.
        offered: subprotocols of the last upgrade request.
    """

    def __init__(
        self,
        subprotocols: Sequence[str],
        points: dict[str, type[ChargePoint]],
        *,
        password: str | None = None,
    ) -> None:
        self.port = 0
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answered: list[str] = []
        self.bills: dict[int | str, Bill] = {}
        self.refuse: Counter[str] = Counter()
        self.blocked: set[str] = set()
        self.links, self.requests = 0, 0
        self.offered: list[str] = []
        self.complaints: list[str] = []
        self._subprotocols, self._points, self._password = subprotocols, points, password
        self._point: ChargePoint | None = None
        self._connection: ServerConnection | None = None
        self._answers: dict[str, asyncio.Future[list[Any]]] = {}
        self._asked: dict[str, str] = {}
        self._changed = asyncio.Condition()
        self._server: Server | None = None

    # --- the door ---

    async def open(self) -> None:
        """Listen; the second time on the port of the first."""
        user = basic_auth(credentials=("CP001", self._password)) if self._password else None

        async def checked(connection: ServerConnection, request: Any) -> Any:
            self.requests += 1
            header = request.headers.get("Sec-WebSocket-Protocol", "")
            self.offered = [item.strip() for item in header.split(",")]
            await self.changed()
            return await user(connection, request) if user else None

        self._server = await serve(
            self._attended,
            "127.0.0.1",
            self.port,
            subprotocols=list(self._subprotocols) or None,
            process_request=checked,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Close every link, and listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _attended(self, connection: ServerConnection) -> None:
        self.links += 1
        protocol = connection.subprotocol or ""
        try:
            if protocol in self._points:
                self._connection = connection
                self._point = self._points[protocol]("CP001", _Tapped(self, connection))
                self._point.desk = self
                await self._point.start()
            await connection.wait_closed()
        except ConnectionClosed:
            pass
        finally:
            await self.changed()

    async def changed(self) -> None:
        """Let those who wait look again."""
        async with self._changed:
            self._changed.notify_all()

    async def until(self, holds: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
        """Wait until something holds, and return it; it is looked at after every frame."""
        try:
            async with asyncio.timeout(limit_s), self._changed:
                return await self._changed.wait_for(holds)
        except TimeoutError:
            heard = [action for action, _ in self.calls]
            raise AssertionError(f"not within {limit_s:g} s; heard {heard}") from None

    # --- what it has heard ---

    @property
    def protocol(self) -> str | None:
        """Return the subprotocol of the last link that has handlers."""
        return self._connection.subprotocol if self._connection else None

    def heard(self, action: str) -> list[dict[str, Any]]:
        """Return the payloads of an action, by arrival."""
        return [payload for name, payload in self.calls if name == action]

    @property
    def bill(self) -> Bill:
        """Return the only bill."""
        (bill,) = self.bills.values()
        return bill

    def has_ended(self, count: int = 1) -> bool:
        """Return whether that many transactions are here, and all have ended."""
        bills = self.bills.values()
        return len(bills) == count and all(bill.stop_wh is not None for bill in bills)

    async def received(self, text: str) -> None:
        """Look at a frame before the handlers do."""
        frame = json.loads(text)
        if frame[0] == CALL:
            self.calls.append((frame[2], frame[3]))
            self._asked[frame[1]] = frame[2]
        elif frame[1] in self._answers:
            self._answers.pop(frame[1]).set_result(frame)
        await self.changed()

    def sent(self, text: str) -> None:
        """Look at a frame that the handlers send."""
        frame = json.loads(text)
        if frame[0] == RESULT:
            self.answered.append(self._asked[frame[1]])
        if frame[0] == ERROR and "wanted by a test" not in text:
            self.complaints.append(text)

    def admit(self, action: str) -> None:
        """Refuse an action as often as a test wants it."""
        if self.refuse[action] > 0:
            self.refuse[action] -= 1
            raise InternalError("wanted by a test")

    # --- what it asks ---

    async def ask(self, request: Any) -> Any:
        """Send a request of the package, and return the answer, both validated."""
        assert self._point is not None
        return await self._point.call(request, suppress=False)

    async def request(self, action: str, /, **payload: Any) -> dict[str, Any]:
        """Send a request of 1.6 by its name on the wire, and return the answer as written."""
        answer = await self.ask(getattr(call16, action)(**camel_to_snake_case(payload)))
        written: dict[str, Any] = remove_nones(snake_to_camel_case(asdict(answer)))
        return written

    async def ask_raw(self, text: str, message_id: str) -> list[Any]:
        """Send a frame that no package would build; return the answer as it came."""
        assert self._connection is not None
        answer = self._answers[message_id] = asyncio.get_running_loop().create_future()
        await self._connection.send(text)
        async with asyncio.timeout(LIMIT_S):
            return await answer


class _Tapped:
    """A connection as the package wants it, under the eyes of the peer."""

    def __init__(self, peer: Peer, connection: ServerConnection) -> None:
        self._peer, self._connection = peer, connection

    async def recv(self) -> str:
        text = str(await self._connection.recv())
        await self._peer.received(text)
        return text

    async def send(self, text: str) -> None:
        self._peer.sent(text)
        await self._connection.send(text)
        await self._peer.changed()


def now() -> str:
    """Return the present instant as OCPP writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # noqa: TID251  # the peer has its own clock, as every CSMS
