"""One conversation with the CSMS, as long as its link lives.

Three tasks share it on one loop: the reader takes frames, the pump chooses our next call, the
writer sends frames in order. Answers to the CSMS overtake our calls, because they go to the
writer at once; our calls wait until the one in flight is answered. A CSMS that sends and does
not read is not read either, once a number of frames waits for it.

Which call is next, agent.runtime.waiting says.

Two calls in a row without an answer are a link that is half dead: it is closed, and the
second does not count as a transmission (field lessons, 24).

Nothing that a CSMS sends ends the conversation, nor does a record that cannot be encoded: a
defect in the code that reads or writes one message is logged, and costs that message only.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from agent.core import outbox, variables
from agent.core.effects import (
    DataTransferSent,
    Done,
    Message,
    MeterSampled,
    Outcome,
    SecurityEvent,
    StatusReported,
    TransactionUpdated,
    Verdict,
)
from agent.core.events import (
    Event,
    MessageFailed,
    QuirksTolerated,
    RecordDelivered,
    RecordFailed,
    SecurityEventRaised,
)
from agent.core.station import Station
from agent.ocpp.adapter import Adapter, Answered, Call, Incoming
from agent.ocppj import quirks
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.frames import Flaw
from agent.ocppj.quirks import Quirk
from agent.ocppj.rpc import (
    AnswerReceived,
    CallReceived,
    Dropped,
    ErrorReceived,
    Refused,
    Rpc,
)
from agent.runtime.clock import World
from agent.runtime.exchange import Inbox, Records, Sent, WireObserver
from agent.runtime.guard import guarded
from agent.runtime.requests import Requests
from agent.runtime.silence import Silence
from agent.runtime.waiting import Waiting
from agent.store.database import StoreError
from agent.transport.link import Link, LinkClosed

logger = logging.getLogger(__name__)

MOST_UNSENT: Final = 32
"""Frames that may wait for the socket before the CSMS is no longer read."""

FLUSH_S: Final = 5.0
"""How long the socket may take for the last frames; one that is stuck would never."""

_MINOR: Final = (StatusReported, MeterSampled, TransactionUpdated)
"""What a CSMS may think needs no answer."""

UNKNOWN_TO_CSMS: Final = frozenset({"NotImplemented", "NotSupported"})


class Conversation:
    """Runs until the link is gone.

    Attributes:
        unanswered: the record that was sent last and not answered; when it is sent again, on
            this link or the next, it goes under the same message id, so that the CSMS can
            tell that it has it already (OCPP 1.6J errata, 2.0.1 E13).
    """

    def __init__(  # see CsmsLink
        self,
        link: Link,
        adapter: Adapter,
        station: Station,
        *,
        world: World,
        kernel: Inbox,
        requests: Requests,
        records: Records,
        on_wire: WireObserver,
        unanswered: Sent | None = None,
        answered: set[str] | None = None,
    ) -> None:
        self._link, self._adapter, self._world = link, adapter, world
        self._kernel, self._requests, self._records = kernel, requests, records
        self._on_wire = on_wire
        self._rpc = Rpc(link.subprotocol)
        self._station = station
        link.set_ping_interval(float(station.settings.integer(variables.PING_INTERVAL)))
        self._waiting = Waiting()
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._sent: Sent | None = None
        self.unanswered = unanswered
        self._settling = 0
        self._is_held = False  # a record waits for more than the station's word
        self._open: dict[int, Incoming] = {}
        self._has_events = True  # the CSMS knows the security extension, for all we know
        self._silence = Silence(set() if answered is None else answered)
        self._close_reason = ""

    @staticmethod
    def lost(message: Message) -> MessageFailed:
        """Return the event of a message that the link took with it."""
        return MessageFailed(message, "the link is down")

    @property
    def unsent(self) -> list[DataTransferSent]:
        """Return what somebody at the station still waits for."""
        in_flight = self._sent.message if self._sent else None
        sent = [in_flight] if isinstance(in_flight, DataTransferSent) else []
        return [*sent, *self._waiting.data]

    def update(self, station: Station) -> None:
        """Take the station after a turn."""
        past = self._station
        if past.settings is not station.settings:
            before, after = (
                item.settings.integer(variables.PING_INTERVAL) for item in (past, station)
            )
            if before != after:
                self._link.set_ping_interval(float(after))
        self._station = station
        # A mere reading changes nothing that is sent; it comes every second.
        if (
            self._is_held
            or station.outbox is not past.outbox
            or station.is_online != past.is_online
        ):
            self._changed.set()

    def tell(self, message: Message) -> None:
        """Let a message wait for its turn."""
        dropped = self._waiting.put(message)
        if dropped is not None:
            self._kernel.post(MessageFailed(dropped, "too many messages wait"))
        self._changed.set()

    def close(self, reason: str) -> None:
        """End the conversation."""
        self._close_reason = reason
        self._changed.set()

    async def flush(self) -> None:
        """Return once every frame is handed to the socket."""
        await self._outgoing.join()

    async def run(self) -> str:
        """Converse until the link is gone; return why."""
        tasks = [
            asyncio.create_task(part(), name=f"csms {part.__name__.strip('_')}")
            for part in (self._read, self._pump, self._write)
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            for request_id in self._open:
                self._requests.forgotten(request_id)
            self._drain()
            if self._sent is not None and self._sent.record is not None:
                self.unanswered = self._sent
        reason = self._close_reason or _reason(ends)
        await self._link.close(1000, reason)
        return reason

    def _drain(self) -> None:
        """Let nobody wait for frames that will never be sent."""
        while not self._outgoing.empty():
            self._outgoing.get_nowait()
            self._outgoing.task_done()

    # --- sending ---

    async def _write(self) -> None:
        while True:
            frame = await self._outgoing.get()
            try:
                await self._link.send(frame)
            finally:
                self._outgoing.task_done()
            self._on_wire("sent", frame)

    async def _pump(self) -> None:
        while not self._close_reason:
            self._changed.clear()
            if self._sent is None:
                await self._send_next()
            try:
                async with asyncio.timeout_at(self._rpc.deadline_s):
                    await self._changed.wait()
            except TimeoutError:
                self._expired()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self.flush()

    async def _send_next(self) -> None:
        station = self._station
        while self._sent is None:
            sent = await self._next(station)
            if sent is None:
                return
            self._sent = sent
            timeout_s = station.settings.integer(variables.MESSAGE_TIMEOUT)
            now_s = self._world.monotonic_s()
            call = sent.call
            frame = self._rpc.call(
                call.action, call.payload, sent.message_id, now_s, float(timeout_s)
            )
            self._outgoing.put_nowait(frame)

    async def _next(self, station: Station) -> Sent | None:
        """Return what to send next; what cannot be said is settled on the way."""
        while (message := self._waiting.urgent()) is not None:
            sent = self._encoded(message, station)
            if sent is not None:
                return sent
        sent = await self._next_record(station)
        while sent is None and (message := self._waiting.idle()) is not None:
            sent = self._encoded(message, station)
        if sent is None and self._waiting.is_urgent:
            self._changed.set()
        return sent

    def _encoded(self, message: Message, station: Station) -> Sent | None:
        try:
            first, *rest = guarded(self._adapter.expand, message)
            call = guarded(self._adapter.encode_message, first, station)
        except RpcError as error:
            self._kernel.post(MessageFailed(message, error.description))
            return None
        self._waiting.put_back(*rest)
        if call is not None:
            return Sent(call, self._world.env().fresh_id, message=first)
        if not isinstance(first, StatusReported):  # its projection need not have changed
            self._kernel.post(MessageFailed(first, "this version has no message for it"))
        return None

    async def _next_record(self, station: Station) -> Sent | None:
        self._is_held = False
        if not station.is_online:
            return None
        entry = outbox.ready(station.outbox)
        if entry is None:
            return None
        self._is_held = True
        if self._kernel.taken < self._settling:
            return None  # the station has yet to learn what became of the last one
        if entry.record_id > self._records.saved_up_to:
            return None
        record_id = entry.record_id
        try:
            record = await self._records.read(record_id)
        except StoreError as error:
            logger.warning("record %d cannot be read now: %s", record_id, error)
            return None
        if record is None:
            self._settled(RecordDelivered(record_id))
            return None
        offline = record_id <= station.outbox.offline_up_to
        encode = self._adapter.encode_record
        try:
            call = guarded(encode, record, station, offline=offline)
        except RpcError as error:
            self._settled(RecordFailed(record_id, error.description))
            return None
        is_unwanted = isinstance(record, SecurityEvent) and not self._has_events
        if call is None or is_unwanted:
            self._settled(RecordDelivered(record_id))
            return None
        return Sent(call, self._id_for(record_id, call), record_id=record_id, record=record)

    def _id_for(self, record_id: int, call: Call) -> str:
        """Return the id of an earlier transmission of the same, or a fresh one."""
        last = self.unanswered
        if last is not None and (last.record_id, last.call.action) == (record_id, call.action):
            return last.message_id
        return self._world.env().fresh_id

    # --- answers ---

    def _expired(self) -> None:
        sent = self._sent
        if self._rpc.expire(self._world.monotonic_s()) is None or sent is None:
            return
        is_minor = isinstance(sent.message or sent.record, _MINOR)
        if self._silence.kept(sent.call.action, is_minor=is_minor):
            self._forgive((Quirk.UNANSWERED_ACTION,))
        if self._silence.is_half_dead:
            self.close(f"{self._silence.count} calls in a row without an answer")
            return
        self._sent = None
        if sent.record is not None:
            self.unanswered = sent
        self._failed(sent, "no answer in time")

    def _failed(self, sent: Sent, reason: str) -> None:
        if sent.message is not None:
            self._kernel.post(MessageFailed(sent.message, reason))
        else:
            self._settled(RecordFailed(sent.record_id, reason))

    def _settled(self, event: Event) -> None:
        """Post what became of a record; the next one waits until the station knows."""
        self._settling = self._kernel.post(event)

    def _accepted(self, sent: Sent, answer: AnswerReceived) -> None:
        try:
            if sent.message is not None:
                accepted = self._adapter.message_accepted
                events = guarded(accepted, sent.message, answer.payload)
            else:
                events = self._record_events(sent, answer)
        except RpcError as error:
            self._failed(sent, f"unusable answer: {error.description}")
            return
        for event in events:
            self._settled(event)

    def _record_events(self, sent: Sent, answer: AnswerReceived) -> tuple[Event, ...]:
        if sent.record is None:
            return ()
        accepted = self._adapter.record_accepted
        events = guarded(accepted, sent.record, sent.call, answer.payload)
        if sent.call.settles:
            return (*events, RecordDelivered(sent.record_id))
        return events

    # --- receiving ---

    async def _read(self) -> None:
        while True:
            frame = await self._link.receive()
            self._on_wire("received", frame)
            forgiven = quirks.begin()
            self._received(frame)
            self._forgive(forgiven)
            if self._outgoing.qsize() >= MOST_UNSENT:
                await self._outgoing.join()

    def _received(self, frame: str | bytes) -> None:
        match self._rpc.receive(frame):
            case CallReceived() as call:
                self._called(call)
            case AnswerReceived() as answer:
                self._answered(answer)
            case ErrorReceived() as error:
                self._refused(error)
            case Refused() as refused:
                logger.warning("refused a frame: %s", refused.reason.value)
                self._outgoing.put_nowait(refused.frame)
                self._invalid(refused.reason)
            case Dropped() as dropped:
                is_usual = dropped.reason is Flaw.UNSOLICITED
                level = logging.DEBUG if is_usual else logging.WARNING
                logger.log(level, "dropped a frame: %s", dropped.reason.value)
                if not is_usual:
                    self._invalid(dropped.reason)

    def _forgive(self, forgiven: Iterable[Quirk]) -> None:
        """Let the station count what of the CSMS had to be tolerated."""
        names = tuple(quirk.value for quirk in forgiven)
        if names:
            self._kernel.post(QuirksTolerated(names))

    def _invalid(self, flaw: Flaw) -> None:
        """Have a frame that is no OCPP in the security log; what it says is not repeated."""
        self._kernel.post(SecurityEventRaised("InvalidMessages", flaw.value))

    def _answered(self, answer: AnswerReceived) -> None:
        if answer.is_late:
            self._late(answer)
            return
        self._accepted(self._taken(), answer)

    def _late(self, answer: AnswerReceived) -> None:
        """Use a late answer to the record that waits to be sent again; drop any other.

        Otherwise a CSMS that is merely slow would open a second transaction (1.6 1.6, D).
        """
        self._silence.broken()
        sent = self.unanswered
        if sent is None or sent.message_id != answer.message_id:
            logger.info("dropped a late answer to %s", answer.action)
            return
        self.unanswered = None
        self._accepted(sent, answer)

    def _refused(self, error: ErrorReceived) -> None:
        sent = self._taken()
        if isinstance(sent.record, SecurityEvent) and error.code in UNKNOWN_TO_CSMS:
            # It would say so again, and transactions wait behind (1.6 reference 9.1).
            self._has_events = False
            self._settled(RecordDelivered(sent.record_id))
            return
        self._failed(sent, f"{error.code}: {error.description}")

    def _taken(self) -> Sent:
        """Return the call that has been answered; a repetition of it gets a new id."""
        sent, self._sent = self._sent, None
        if sent is None:
            raise AssertionError("an answer to a call that was not sent")
        if sent.record is not None:
            self.unanswered = None
        self._silence.broken(sent.call.action)
        self._changed.set()
        return sent

    def _called(self, call: CallReceived) -> None:
        request_id = self._requests.opened(
            lambda outcome: self._replied(request_id, call, outcome)
        )
        try:
            decoded = self._decoded(call, request_id)
        except RpcError as error:
            self._requests.forgotten(request_id)
            self._outgoing.put_nowait(self._rpc.error(call, error.code, error.description))
            return
        if isinstance(decoded, Incoming):
            self._open[request_id] = decoded
            self._kernel.post(decoded.request)
            return
        self._requests.forgotten(request_id)
        if decoded is None:
            self._rpc.forget(call)
        else:
            self._outgoing.put_nowait(self._rpc.result(call, decoded.payload))

    def _decoded(self, call: CallReceived, request_id: int) -> Incoming | Answered | None:
        """Return what a call asks, None when it must be left without an answer."""
        station = self._station
        if station.provisioning.registration is None:
            quirks.noted(Quirk.EARLY_CALL)
        if not self._adapter.admit(station.provisioning.registration, call.action):
            return None
        decode = self._adapter.decode
        return guarded(decode, call.action, call.payload, request_id, station)

    def _replied(self, request_id: int, call: CallReceived, outcome: Outcome) -> None:
        incoming = self._open.pop(request_id)
        if isinstance(outcome, Done) and outcome.verdict is Verdict.FAILED:
            if incoming.failed is not None:
                frame = self._rpc.result(call, incoming.failed)
            else:
                frame = self._rpc.error(call, RpcErrorCode.INTERNAL_ERROR, outcome.info)
        else:
            frame = self._answer(call, incoming, outcome)
        self._outgoing.put_nowait(frame)

    def _answer(self, call: CallReceived, incoming: Incoming, outcome: Outcome) -> bytes:
        try:
            payload = guarded(self._adapter.respond, incoming, outcome, self._station)
        except RpcError as error:
            return self._rpc.error(call, error.code, error.description)
        return self._rpc.result(call, payload)


def _reason(ends: Iterable[object]) -> str:
    """Return why a link ended, by how its tasks did.

    Raises:
        BaseException: what ended a task for any other reason.
    """
    reason = "closed"
    for end in ends:
        if isinstance(end, LinkClosed):
            reason = str(end)
        elif isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError):
            raise end
    return reason
