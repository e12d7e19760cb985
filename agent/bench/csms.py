"""A CSMS for benches and tests: checks, keeps a ledger, and behaves as it is told.

    csms = Csms(now=clock)
    csms.behaviour.on("StartTransaction", Silence(), times=1)
    await csms.attend("CP001", link)          # until the link is gone
    await csms.remote_start("CP001", "04AABBCC")
    csms.ledger.transactions[0].energy_wh

It holds the other end of any `agent.transport.link.Link`: of a pair in memory under virtual
time, or of a WebSocket (agent.bench.listener). It reads no clock: `now` is the wall time it
tells, and its timers are the event loop's.

Every frame of a station is checked strictly. What is wrong is answered with the CALLERROR it
deserves, or answered normally where OCPP wants that, and either way kept in `violations`.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec

from agent.bench import strict
from agent.bench.asking import ANSWER_TIMEOUT_S, Asking
from agent.bench.desk import Clerk, Desk, Payload
from agent.bench.events import (
    BenchEvent,
    CommandAnswered,
    MessageReceived,
    StationConnected,
    StationDisconnected,
    ViolationFound,
)
from agent.bench.ledger import Ledger
from agent.bench.script import (
    Behaviour,
    Delay,
    Hangup,
    Reaction,
    Refusal,
    Reply,
    Silence,
    Twice,
)
from agent.bench.session import (
    NoAnswerError,
    NotConnectedError,
    Session,
    Violation,
)
from agent.bench.v16 import Clerk16
from agent.bench.v201 import Clerk201
from agent.ocppj import frames
from agent.ocppj.errors import RpcError, RpcErrorCode, spelled
from agent.ocppj.rpc import AnswerReceived, CallReceived, Dropped, ErrorReceived, Refused
from agent.transport.link import Link, LinkClosed

T = TypeVar("T")

MOST_VIOLATIONS: Final = 1_000
MOST_FRAMES: Final = 10_000
"""Entries of `violations` and `wire`; the oldest give way."""

CLERKS: Final[Mapping[str, Clerk]] = {
    clerk.subprotocol: clerk for clerk in (Clerk201(), Clerk16())
}
"""Versions that the CSMS speaks, by subprotocol."""

_BOOT = "BootNotification"


class Csms(Asking):
    """The CSMS.

    Args:
        now: the wall time, UTC seconds since 1970; `behaviour.clock_offset_s` is added.
        ledger: of an earlier life, to go on with.

    Attributes:
        ledger: what the stations told.
        behaviour: how it reacts.
        violations: what stations did wrong, by arrival.
        wire: frames as (direction, text), "received" or "sent", by time.
    """

    def __init__(self, *, now: Callable[[], float], ledger: Ledger | None = None) -> None:
        super().__init__(Ledger() if ledger is None else ledger)
        self.behaviour = Behaviour()
        self.violations: deque[Violation] = deque(maxlen=MOST_VIOLATIONS)
        self.wire: deque[tuple[str, str]] = deque(maxlen=MOST_FRAMES)
        self._now = now
        self._watchers: list[Callable[[BenchEvent], None]] = []
        self._sessions: dict[str, Session] = {}
        self._changed = asyncio.Event()

    @property
    def now_s(self) -> float:
        """Return the time that it tells, UTC seconds since 1970."""
        return self._now() + self.behaviour.clock_offset_s

    @property
    def connected(self) -> tuple[str, ...]:
        """Return the identities of the stations that have a link."""
        return tuple(self._sessions)

    def protocol(self, identity: str) -> str | None:
        """Return the version a station speaks now; None without a link."""
        session = self._sessions.get(identity)
        return session.link.subprotocol if session else None

    def watch(self, watcher: Callable[[BenchEvent], None]) -> None:
        """Call `watcher` with every event from now on; it must not raise."""
        self._watchers.append(watcher)

    def tell(self, event: BenchEvent) -> None:
        """Show an event to those who watch."""
        for watcher in self._watchers:
            watcher(event)
        self._changed.set()

    async def until(self, holds: Callable[[], T], timeout_s: float = 60.0) -> T:
        """Wait until something holds, and return it; it is looked at after every event.

        Raises:
            TimeoutError: it did not hold in time.
        """
        async with asyncio.timeout(timeout_s):
            while not (found := holds()):
                self._changed.clear()
                await self._changed.wait()
        return found

    # --- a link ------------------------------------------------------------------------

    async def attend(self, identity: str, link: Link) -> None:
        """Serve a station until its link is gone; an older link of it is closed.

        Raises:
            ValueError: the link's subprotocol is not spoken here; it is left open.
        """
        session = self._opened(identity, link)
        older = self._sessions.get(identity)
        self._sessions[identity] = session
        if older is not None:
            await older.link.close(1000, "a newer connection took its place")
        session.desk.station.connections += 1
        self.tell(
            StationConnected(at_s=self.now_s, identity=identity, protocol=link.subprotocol)
        )
        reason = "closed here"
        try:
            if not self.behaviour.closes_at_once:
                reason = await self._converse(session)
        finally:
            if self._sessions.get(identity) is session:
                del self._sessions[identity]
            session.end()
            await link.close(1000, "")
            event = StationDisconnected(at_s=self.now_s, identity=identity, reason=reason)
            self.tell(event)

    async def drop(self, identity: str) -> None:
        """Close a station's link.

        Raises:
            NotConnectedError: it has none.
        """
        await self._session(identity).link.close(1000, "dropped by the bench")

    def _opened(self, identity: str, link: Link) -> Session:
        clerk = CLERKS.get(link.subprotocol)
        if clerk is None:
            raise ValueError(f"{link.subprotocol!r}: {', '.join(CLERKS)} are spoken here")
        desk = Desk(
            ledger=self.ledger,
            station=self.ledger.station(identity),
            behaviour=self.behaviour,
            now=self._now,
            tell=self.tell,
            complain=lambda text: self._complained(identity, text),
        )
        return Session(link, clerk, desk)

    async def _converse(self, session: Session) -> str:
        try:
            while True:
                frame = await session.link.receive()
                text = frame if isinstance(frame, str) else frame.decode(errors="replace")
                self.wire.append(("received", text))
                await self._received(session, frame)
        except LinkClosed as closed:
            return str(closed)

    async def _received(self, session: Session, frame: str | bytes) -> None:
        match session.rpc.receive(frame):
            case CallReceived() as call:
                await self._called(session, call)
            case AnswerReceived() | ErrorReceived() as answer:
                if session.waiting is not None and not session.waiting.done():
                    session.waiting.set_result(answer)
            case Refused(answer, flaw):
                self._violated(session.desk.identity, "", flaw.value, "sent back")
                await self._send(session, answer)
            case Dropped(flaw):
                self._violated(session.desk.identity, "", flaw.value, None)

    # --- calls of the station ----------------------------------------------------------

    async def _called(self, session: Session, call: CallReceived) -> None:
        reaction = self.behaviour.reaction(call.action)
        if isinstance(reaction, Refusal):
            session.rpc.forget(call)
            frame = frames.error(call.id_json, reaction.code, reaction.description)
            await self._send(session, frame)
            return
        if isinstance(reaction, Silence | Hangup) and not reaction.takes:
            session.rpc.forget(call)
        else:
            answer = self._answer(session, call, reaction)
            if not isinstance(reaction, Silence | Hangup):
                await self._deliver(session, answer, reaction)
        if isinstance(reaction, Hangup):
            await session.link.close(1000, "hung up as the script says")

    def _answer(self, session: Session, call: CallReceived, reaction: Reaction | None) -> bytes:
        """Enter a call in the ledger, and return the frame that answers it."""
        try:
            payload = self._taken(session, call)
        except RpcError as error:
            identity, protocol = session.desk.identity, session.link.subprotocol
            code = spelled(error.code, protocol)
            self._violated(identity, call.action, error.description, code)
            return session.rpc.error(call, error.code, error.description)
        finally:
            self._changed.set()
        if isinstance(reaction, Reply):
            payload = reaction.payload
        return session.rpc.result(call, msgspec.json.encode(payload))

    async def _deliver(
        self, session: Session, answer: bytes, reaction: Reaction | None
    ) -> None:
        if isinstance(reaction, Delay):
            late = asyncio.create_task(self._send_late(session, answer, reaction.delay_s))
            session.late.add(late)
            late.add_done_callback(session.late.discard)
            return
        await self._send(session, answer)
        if isinstance(reaction, Twice):
            await self._send(session, answer)

    def _taken(self, session: Session, call: CallReceived) -> Payload:
        clerk, desk = session.clerk, session.desk
        type_ = clerk.requests.get(call.action)
        unchecked = clerk.unchecked.get(call.action)
        if type_ is None and unchecked is None:
            known = sorted({*clerk.requests, *clerk.unchecked})
            raise RpcError(
                RpcErrorCode.NOT_IMPLEMENTED,
                f"{call.action[:50]} is none of {', '.join(known)}",
            )
        self._admit(session, call.action)
        desk.station.take_message(call.action)
        if type_ is None:
            return self._passed(desk, call, unchecked or {})
        request = strict.decode(call.payload, type_, extensible=_is_extensible(clerk))
        if unchecked is not None:
            return self._passed(desk, call, unchecked)
        try:
            return clerk.take(request, desk)
        except ValueError as error:
            code = RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
            raise RpcError(code, str(error)) from None

    def _admit(self, session: Session, action: str) -> None:
        """Refuse what a station may not say before it is accepted (2.0.1 FR.04, JE 1.6).

        A station that never booted here may have booted in an earlier life of the bench. In
        Pending a request of ours may have asked for anything.
        """
        if action != _BOOT and session.desk.station.registration == "Rejected":
            raise RpcError(RpcErrorCode.SECURITY_ERROR, "the boot was not accepted")

    def _passed(self, desk: Desk, call: CallReceived, answer: Payload) -> Payload:
        try:
            payload = msgspec.json.decode(call.payload)
        except (msgspec.DecodeError, RecursionError):
            raise RpcError(RpcErrorCode.FORMAT_VIOLATION, "the payload is no JSON") from None
        self.tell(
            MessageReceived(
                at_s=self.now_s, identity=desk.identity, action=call.action, payload=payload
            )
        )
        return answer

    async def _send(self, session: Session, frame: bytes) -> None:
        self.wire.append(("sent", frame.decode()))
        with suppress(LinkClosed):
            await session.link.send(frame)

    async def _send_late(self, session: Session, frame: bytes, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self._send(session, frame)

    def _complained(self, identity: str, description: str) -> None:
        self._violated(identity, "", description, None)

    def _violated(self, identity: str, action: str, description: str, code: str | None) -> None:
        frame = self.wire[-1][1] if self.wire else ""
        self.violations.append(Violation(identity, action, description, code, frame[:2_000]))
        self.tell(
            ViolationFound(
                at_s=self.now_s,
                identity=identity,
                action=action,
                description=description,
                code=code,
            )
        )

    # --- requests of ours --------------------------------------------------------------

    async def request(
        self,
        identity: str,
        action: str,
        payload: Payload,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Payload | Refusal:
        """Send any request, as it is, and return the station's answer.

        Requests to one station wait for each other.

        Raises:
            NotConnectedError: there is no link, or it was lost meanwhile.
            NoAnswerError: no answer came in time.
        """
        session = self._session(identity)
        async with session.turn:
            answer = await self._asked_for(session, action, payload, timeout_s)
        if isinstance(answer, ErrorReceived):
            self.tell(
                CommandAnswered(
                    at_s=self.now_s, identity=identity, action=action, code=answer.code
                )
            )
            return Refusal(answer.code, answer.description)
        return self._checked(session, answer)

    async def _asked_for(
        self, session: Session, action: str, payload: Payload, timeout_s: float
    ) -> AnswerReceived | ErrorReceived:
        loop = asyncio.get_running_loop()
        message_id = f"{int(self._now() * 1000):x}-{self._next_id()}"
        encoded = msgspec.json.encode(payload)
        frame = session.rpc.call(action, encoded, message_id, loop.time(), timeout_s)
        session.waiting = loop.create_future()
        try:
            await self._send(session, frame)
            async with asyncio.timeout(timeout_s):
                return await session.waiting
        except TimeoutError:
            raise NoAnswerError(f"{action}: no answer within {timeout_s:g} s") from None
        finally:
            session.waiting = None
            session.rpc.expire(math.inf)

    def _checked(self, session: Session, answer: AnswerReceived) -> Payload:
        identity, clerk = session.desk.identity, session.clerk
        type_ = clerk.responses.get(answer.action)
        if type_ is not None:
            try:
                strict.decode(answer.payload, type_, extensible=_is_extensible(clerk))
            except RpcError as error:
                self._violated(identity, answer.action, error.description, None)
        payload: Any = msgspec.json.decode(answer.payload)
        self.tell(
            CommandAnswered(
                at_s=self.now_s, identity=identity, action=answer.action, payload=payload
            )
        )
        return payload if isinstance(payload, dict) else {}

    def _session(self, identity: str) -> Session:
        session = self._sessions.get(identity)
        if session is None:
            raise NotConnectedError(f"{identity} is not connected")
        return session


def _is_extensible(clerk: Clerk) -> bool:
    return clerk.subprotocol != "ocpp1.6"
