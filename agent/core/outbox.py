"""Records on their way to the CSMS: order, retries, what steps aside, what full means.

The records themselves lie in the store. Here is only an index of them, in order of delivery,
and how far the CSMS knows each transaction. Rules (OCPP 1.6 4.5, 2.0.1 E13):

* One queue, oldest first; the head blocks the others, but nothing else of the station.
* A refusal or a time-out while the link stays up counts as a transmission; a lost link does
  not. After `MessageAttempts` transmissions the record steps aside, with the reason.
* While a record waits for its next try, so do the others: order is kept.
* When full, idle samples go first, then every second periodic sample, then every second
  other update of a transaction (2.0.1 E04.FR.07), then every second security event. A start
  or an end is never dropped.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.backoff import resend_s
from agent.core.effects import (
    Delivery,
    Effect,
    Forget,
    MeterSampled,
    Note,
    Record,
    Report,
    ReservationEnded,
    SecurityEvent,
    SetAside,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import (
    DeadlinePassed,
    Event,
    LinkDown,
    RecordDelivered,
    RecordFailed,
    TokenLearned,
    TokenRejected,
    TransactionAcknowledged,
)
from agent.core.orders import FirmwareReported, LogReported
from agent.core.turn import Context, Turn
from agent.core.values import AuthorizationStatus, Stamp, Trigger, Value

CAPACITY: Final = 10_000
"""Records; a week of samples a minute, about 5 MB on disk."""

NEARLY_FULL: Final = CAPACITY * 9 // 10
"""Records from which on the CSMS should know that there will be gaps."""


class Entry(Value, frozen=True):
    """What must be known of a queued record without reading it.

    Attributes:
        kind: tag of the record.
        transaction_id: empty when it belongs to none.
        is_sample: a periodic or clock sample, which may be dropped when the queue is full.
    """

    record_id: int
    kind: str
    transaction_id: str
    at: Stamp
    is_sample: bool = False


class Outbox(Value, frozen=True):
    """The slice of this block.

    Attributes:
        entries: in order of delivery.
        next_id: for the next record.
        deliveries: by transaction, until its last record is delivered.
        transmissions: of the head, so far.
        retry_at_s: when the head may be sent again, None for now.
        offline_up_to: records up to this id were queued when the link was last lost.
    """

    entries: tuple[Entry, ...] = ()
    next_id: int = 1
    deliveries: Mapping[str, Delivery] = {}
    transmissions: int = 0
    retry_at_s: float | None = None
    offline_up_to: int = 0

    @property
    def remote_ids(self) -> dict[str, int]:
        """Return the numbers that the CSMS gave to transactions (1.6)."""
        return {
            transaction_id: delivery.remote_id
            for transaction_id, delivery in self.deliveries.items()
            if delivery.remote_id is not None
        }


def entry_of(record_id: int, record: Record) -> Entry:
    """Return the index entry of a record."""
    match record:
        case TransactionStarted(transaction_id=transaction_id, at=at):
            return Entry(record_id, "started", transaction_id, at)
        case TransactionUpdated(transaction_id=transaction_id, at=at, trigger=trigger):
            is_sample = trigger in {Trigger.METER_VALUE_PERIODIC, Trigger.METER_VALUE_CLOCK}
            return Entry(record_id, "updated", transaction_id, at, is_sample)
        case TransactionEnded(transaction_id=transaction_id, at=at):
            return Entry(record_id, "ended", transaction_id, at)
        case MeterSampled(sample=sample):
            return Entry(record_id, "sampled", "", sample.at, is_sample=True)
        case ReservationEnded(at=at):
            return Entry(record_id, "reservation", "", at)
        case SecurityEvent(at=at):
            return Entry(record_id, "security", "", at)
        case FirmwareReported(at=at):
            return Entry(record_id, "firmware", "", at)
        case LogReported(at=at):  # pragma: no branch  # exhaustive
            return Entry(record_id, "log", "", at)


def ready(state: Outbox) -> Entry | None:
    """Return the record to send next, None while there is none or its next try is not due."""
    if not state.entries or state.retry_at_s is not None:
        return None
    return state.entries[0]


def deadline_s(state: Outbox) -> float | None:
    """Return when the head may be sent again."""
    return state.retry_at_s


def appended(state: Outbox, record: Record) -> tuple[Outbox, tuple[Effect, ...]]:
    """Queue a record; what had to give way when full is forgotten."""
    effects: list[Effect] = []
    if len(state.entries) >= CAPACITY:
        state, dropped = _thinned(state)
        effects += [Forget(record_id) for record_id in dropped]
        text = f"{len(dropped)} records dropped: {CAPACITY} wait for the CSMS"
        effects += [Note("outbox.full", text)] if dropped else []
    record_id = state.next_id
    deliveries = state.deliveries
    if isinstance(record, TransactionStarted):
        deliveries = {**deliveries, record.transaction_id: Delivery(record)}
    state = replace(
        state,
        entries=(*state.entries, entry_of(record_id, record)),
        next_id=record_id + 1,
        deliveries=deliveries,
    )
    return state, (*effects, Report(record_id, record))


def fills_up(before: Outbox, after: Outbox) -> bool:
    """Tell whether the queue has just become nearly full (1.6 4.5, MemoryExhaustion)."""
    return len(before.entries) < NEARLY_FULL <= len(after.entries)


def _thinned(state: Outbox) -> tuple[Outbox, list[int]]:
    """Drop what may give way; never the head, which may be in flight."""
    head, rest = state.entries[:1], state.entries[1:]
    samples = [entry.record_id for entry in rest if entry.is_sample]

    def of(kind: str) -> list[int]:
        return [entry.record_id for entry in rest if entry.kind == kind]

    dropped = set(of("sampled") or samples[::2] or of("updated")[::2] or of("security")[::2])
    kept = tuple(entry for entry in rest if entry.record_id not in dropped)
    return replace(state, entries=head + kept), sorted(dropped)


def step(state: Outbox, event: Event, context: Context) -> Turn[Outbox]:
    """Advance the queue by one event."""
    match event:
        case RecordDelivered(record_id=record_id):
            return _settled(state, record_id, (Forget(record_id),))
        case RecordFailed():
            return _failed(state, event, context)
        case TransactionAcknowledged():
            return _acknowledged(state, event, context)
        case LinkDown():
            last = state.entries[-1].record_id if state.entries else state.offline_up_to
            return Turn(replace(state, offline_up_to=last))
        case DeadlinePassed():
            due = state.retry_at_s
            if due is not None and context.now.monotonic_s >= due:
                return Turn(replace(state, retry_at_s=None))
            return Turn(state)
        case _:
            return Turn(state)


def _settled(state: Outbox, record_id: int, effects: tuple[Effect, ...]) -> Turn[Outbox]:
    """Take a record out of the queue; anything but the head is an echo of the past."""
    if not state.entries or state.entries[0].record_id != record_id:
        return Turn(state)
    head, deliveries = state.entries[0], state.deliveries
    if head.kind == "ended":
        deliveries = {
            key: item for key, item in deliveries.items() if key != head.transaction_id
        }
    state = replace(
        state,
        entries=state.entries[1:],
        deliveries=deliveries,
        transmissions=0,
        retry_at_s=None,
    )
    return Turn(state, effects)


def _failed(state: Outbox, event: RecordFailed, context: Context) -> Turn[Outbox]:
    if not state.entries or state.entries[0].record_id != event.record_id:
        return Turn(state)
    transmissions = state.transmissions + 1
    if transmissions < context.settings.integer(variables.MESSAGE_ATTEMPTS):
        interval = context.settings.integer(variables.MESSAGE_ATTEMPT_INTERVAL)
        retry_at_s = context.now.monotonic_s + resend_s(transmissions, interval)
        return Turn(replace(state, transmissions=transmissions, retry_at_s=retry_at_s))
    head = state.entries[0]
    if head.kind == "started" and head.transaction_id in state.deliveries:
        lost = replace(state.deliveries[head.transaction_id], is_start_lost=True)
        state = replace(state, deliveries={**state.deliveries, head.transaction_id: lost})
    note = f"refused {transmissions} times: {event.reason}"
    aside = SetAside(head.record_id, note)
    told = Note("outbox.set_aside", f"record {head.record_id} ({head.kind}) {note}")
    return _settled(state, head.record_id, (aside, told))


def _acknowledged(
    state: Outbox, event: TransactionAcknowledged, context: Context
) -> Turn[Outbox]:
    delivery = state.deliveries.get(event.transaction_id)
    if delivery is None:
        return Turn(state)
    if event.remote_id is not None and event.remote_id != delivery.remote_id:
        delivery = replace(delivery, remote_id=event.remote_id)
        deliveries = {**state.deliveries, event.transaction_id: delivery}
        state = replace(state, deliveries=deliveries)
    if event.info is None:
        return Turn(state)
    starting = delivery.started.id_token
    id_token = event.id_token or starting
    raised: list[Event] = [TokenLearned(id_token, event.info, event.transaction_id)]
    is_refused = event.info.status is not AuthorizationStatus.ACCEPTED
    evse = context.evses.get(delivery.started.evse_id)
    running = evse.transaction if evse else None
    is_running = running is not None and running.transaction_id == event.transaction_id
    if is_refused and is_running and id_token.key == starting.key:
        raised.append(TokenRejected(delivery.started.evse_id, event.transaction_id, event.info))
    return Turn(state, (), tuple(raised))
