"""Records on their way: order, retries, stepping aside, fullness, and what answers teach."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core import outbox, variables
from agent.core.effects import (
    Delivery,
    Forget,
    MeterSampled,
    Note,
    Record,
    Report,
    SecurityEvent,
    SetAside,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import (
    LinkDown,
    LinkUp,
    RecordDelivered,
    RecordFailed,
    SecurityEventRaised,
    TransactionAcknowledged,
)
from agent.core.outbox import CAPACITY, NEARLY_FULL, Entry, Outbox, appended, entry_of, ready
from agent.core.standing import digest
from agent.core.states import Active, Ending
from agent.core.values import (
    AuthorizationStatus,
    ChargingState,
    Measurand,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
    StopReason,
    TokenInfo,
    Trigger,
)
from hal.types import PilotState
from tests.support.core import OTHER, TAG, Bench

ATTEMPTS = variables.MESSAGE_ATTEMPTS.name
INTERVAL = variables.MESSAGE_ATTEMPT_INTERVAL.name
AT = Stamp(1, 5.0)
SAMPLE = Sample(AT, ReadingContext.CLOCK, (Quantity(Measurand.ENERGY_IMPORT, 1.0),))
ACCEPTED = TokenInfo(AuthorizationStatus.ACCEPTED)
INVALID = TokenInfo(AuthorizationStatus.INVALID)


def started(name: str = "tx") -> TransactionStarted:
    return TransactionStarted(
        name, 1, 1, AT, Trigger.AUTHORIZED, ChargingState.EV_CONNECTED, TAG, 0.0
    )


def updated(trigger: Trigger = Trigger.CHARGING_STATE_CHANGED) -> TransactionUpdated:
    return TransactionUpdated("tx", 1, 1, 1, AT, trigger, ChargingState.CHARGING)


def ended(name: str = "tx") -> TransactionEnded:
    return TransactionEnded(
        name, 1, 1, 2, AT, Trigger.REMOTE_STOP, ChargingState.IDLE, StopReason.REMOTE, 5.0
    )


def ids(state: Outbox) -> list[int]:
    return [entry.record_id for entry in state.entries]


def kinds(bench: Bench) -> list[str]:
    return [entry.kind for entry in bench.station.outbox.entries]


def head(bench: Bench) -> int:
    return bench.station.outbox.entries[0].record_id


def charging(**settings: str) -> Bench:
    bench = Bench(**settings).ready()
    bench.charge()
    return bench


# --- the index ---


def test_an_entry_knows_what_it_needs_of_its_record() -> None:
    assert entry_of(1, started()) == Entry(1, "started", "tx", AT)
    assert entry_of(2, updated()) == Entry(2, "updated", "tx", AT)
    for trigger in (Trigger.METER_VALUE_PERIODIC, Trigger.METER_VALUE_CLOCK):
        assert entry_of(2, updated(trigger)) == Entry(2, "updated", "tx", AT, is_sample=True)
    assert entry_of(3, ended()) == Entry(3, "ended", "tx", AT)
    assert entry_of(4, MeterSampled(1, 1, SAMPLE)) == Entry(
        4, "sampled", "", AT, is_sample=True
    )
    assert entry_of(5, SecurityEvent("Some", AT)) == Entry(5, "security", "", AT)


# --- order and retries ---


def test_the_oldest_record_is_sent_first_and_forgotten_when_it_is_delivered() -> None:
    bench = charging()
    assert kinds(bench) == ["started", "updated"]
    first = head(bench)
    assert ready(bench.station.outbox).record_id == first
    assert bench.post(RecordDelivered(first)) == [Forget(first)]
    assert ready(bench.station.outbox).record_id == first + 1
    bench.deliver()
    assert ready(bench.station.outbox) is None


def test_an_echo_of_the_past_changes_nothing() -> None:
    bench = charging()
    before = bench.station.outbox
    for event in (RecordDelivered(head(bench) + 1), RecordFailed(head(bench) + 1, "late")):
        bench.post(event)
        assert bench.station.outbox is before
    bench.deliver()
    empty = bench.station.outbox
    for event in (RecordDelivered(1), RecordFailed(1, "late")):
        bench.post(event)
        assert bench.station.outbox is empty


def test_a_refused_record_waits_longer_each_time_and_then_steps_aside() -> None:
    bench = charging()
    first = head(bench)
    for wait in (60.0, 120.0):
        bench.post(RecordFailed(first, "InternalError"))
        assert ready(bench.station.outbox) is None  # and those behind it wait as well
        assert outbox.deadline_s(bench.station.outbox) == bench.now_s + wait
        bench.wait(wait - 1.0)
        assert ready(bench.station.outbox) is None
        bench.wait(1.0)
        assert ready(bench.station.outbox).record_id == first
    effects = bench.post(RecordFailed(first, "InternalError"))
    assert SetAside(first, "refused 3 times: InternalError") in effects
    assert [item.kind for item in effects if isinstance(item, Note)] == ["outbox.set_aside"]
    assert ready(bench.station.outbox).record_id == first + 1
    assert outbox.deadline_s(bench.station.outbox) is None


def test_each_record_has_its_own_attempts() -> None:
    bench = charging(**{ATTEMPTS: "2"})
    bench.post(RecordFailed(head(bench), "no answer"))
    bench.wait(60.0)
    bench.post(RecordDelivered(head(bench)))
    assert bench.station.outbox.transmissions == 0
    second = head(bench)
    effects = bench.post(RecordFailed(second, "no answer"))
    assert not [item for item in effects if isinstance(item, SetAside)]


def test_a_single_attempt_is_one_transmission() -> None:
    bench = charging(**{ATTEMPTS: "1"})
    first = head(bench)
    assert SetAside(first, "refused 1 times: no") in bench.post(RecordFailed(first, "no"))


def test_a_lost_link_is_no_transmission() -> None:
    bench = charging()
    for _ in range(5):
        bench.post(LinkDown("lost"))
        bench.post(LinkUp(0, "ocpp1.6", "ws://csms", 0))
    assert kinds(bench)[0] == "started"
    assert bench.station.outbox.transmissions == 0


def test_what_was_queued_when_the_link_was_lost_counts_as_offline() -> None:
    bench = charging()
    last = bench.station.outbox.entries[-1].record_id
    bench.post(LinkDown("lost"))
    bench.connect()
    bench.deliver()
    bench.post(LinkDown("lost"))
    assert bench.station.outbox.offline_up_to == last


def test_what_waited_over_a_power_cut_counts_as_offline_and_keeps_its_order() -> None:
    bench = charging()
    before = ids(bench.station.outbox)
    bench.power_cut()
    assert ids(bench.station.outbox)[: len(before)] == before
    assert bench.station.outbox.offline_up_to == before[-1]
    assert bench.station.outbox.next_id > before[-1]


def test_a_start_that_steps_aside_is_remembered_as_lost() -> None:
    bench = charging(**{INTERVAL: "0"})
    (transaction_id,) = bench.station.outbox.deliveries
    for _ in range(3):
        bench.post(RecordFailed(head(bench), "no"))
        bench.wait(0.0)
    assert bench.station.delivery(transaction_id).is_start_lost
    assert kinds(bench)[0] == "updated"


def test_a_transaction_is_known_until_its_last_record_is_delivered() -> None:
    bench = charging()
    transaction_id = bench.session().transaction.transaction_id
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1100.0)
    assert bench.station.delivery(transaction_id) is not None
    bench.deliver()
    assert bench.station.delivery(transaction_id) is None


def test_the_end_of_a_transaction_may_step_aside_too() -> None:
    bench = charging()
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1100.0)
    while kinds(bench) != ["ended"]:
        bench.post(RecordDelivered(head(bench)))
    for _ in range(3):
        bench.post(RecordFailed(head(bench), "no"))
        bench.wait(200.0)
    assert bench.station.outbox.deliveries == {}
    assert kinds(bench) == []


# --- fullness ---

STARTS = tuple(entry_of(n + 1, started()) for n in range(CAPACITY))


def filled(*records: Record) -> Outbox:
    """Return a queue that is full of starts, after these records."""
    state = Outbox()
    for record in records:
        state, _ = appended(state, record)
    return Outbox(
        entries=(*state.entries, *STARTS[len(records) :]),
        next_id=CAPACITY + 1,
        deliveries={"tx": Delivery(started())},
    )


def dropped(state: Outbox) -> list[int]:
    after, effects = appended(state, ended())
    forgotten = [item.record_id for item in effects if isinstance(item, Forget)]
    assert isinstance(effects[-1], Report)
    assert set(ids(state)) - set(ids(after)) == set(forgotten)
    assert ids(after) == sorted(ids(after))
    notes = [item for item in effects if isinstance(item, Note)]
    assert len(notes) == bool(forgotten)
    return forgotten


def test_a_full_queue_gives_up_idle_samples_first() -> None:
    idle, sample = MeterSampled(1, 1, SAMPLE), updated(Trigger.METER_VALUE_PERIODIC)
    assert dropped(filled(started(), idle, idle, sample, idle)) == [2, 3, 5]


def test_then_every_second_sample_of_a_transaction() -> None:
    sample = updated(Trigger.METER_VALUE_CLOCK)
    assert dropped(filled(started(), sample, updated(), sample, sample)) == [2, 5]


def test_then_every_second_other_update() -> None:
    records = (started(), updated(), SecurityEvent("Some", AT), updated(), updated())
    assert dropped(filled(*records)) == [2, 5]


def test_then_every_second_security_event() -> None:
    event = SecurityEvent("Some", AT)
    assert dropped(filled(started(), event, event, event)) == [2, 4]


def test_a_start_or_an_end_never_gives_way() -> None:
    assert dropped(filled(started(), ended())) == []


def test_the_head_never_gives_way_for_it_may_be_in_flight() -> None:
    idle = MeterSampled(1, 1, SAMPLE)
    assert dropped(filled(idle, idle)) == [2]


RECORDS = st.sampled_from(
    (
        started(),
        updated(),
        updated(Trigger.METER_VALUE_PERIODIC),
        ended(),
        MeterSampled(1, 1, SAMPLE),
        SecurityEvent("Some", AT),
    )
)


@settings(max_examples=30, deadline=None)
@given(before=st.lists(RECORDS, min_size=1, max_size=30), after=st.lists(RECORDS, max_size=10))
def test_a_full_queue_keeps_its_order_its_head_and_every_bill(
    before: list[Record], after: list[Record]
) -> None:
    state = filled(*before)
    kept = [item.record_id for item in state.entries if item.kind in {"started", "ended"}]
    first = state.entries[0]
    for record in after:
        state, effects = appended(state, record)
        assert effects[-1] == Report(state.next_id - 1, record)
    assert state.entries[0] == first
    assert ids(state) == sorted(set(ids(state)))
    assert set(kept) <= set(ids(state))


# --- what answers teach ---


def acknowledge(bench: Bench, **more: object) -> None:
    (transaction_id,) = bench.station.outbox.deliveries
    bench.post(TransactionAcknowledged(transaction_id, **more))


def test_the_number_that_the_csms_gives_is_kept_over_a_power_cut() -> None:
    bench = charging()
    transaction_id = bench.session().transaction.transaction_id
    acknowledge(bench, remote_id=77)
    assert bench.station.outbox.remote_ids == {transaction_id: 77}
    before = bench.station.outbox
    acknowledge(bench, remote_id=77)
    assert bench.station.outbox is before
    bench.power_cut()
    assert bench.station.outbox.remote_ids == {transaction_id: 77}


def test_an_answer_about_a_transaction_nobody_knows_teaches_nothing() -> None:
    bench = Bench().ready()
    before = bench.station
    bench.post(TransactionAcknowledged("unknown", remote_id=1, info=INVALID))
    assert bench.station.outbox is before.outbox
    assert bench.station.authorization is before.authorization


def test_a_refused_token_ends_its_running_transaction() -> None:
    bench = charging()
    acknowledge(bench, info=INVALID)
    assert isinstance(bench.session(), Ending)
    assert bench.station.authorization.cache[digest(TAG)].info == INVALID


def test_a_good_verdict_goes_to_the_cache_and_names_the_group() -> None:
    bench = charging()
    info = TokenInfo(AuthorizationStatus.ACCEPTED, group="G")
    acknowledge(bench, info=info)
    assert isinstance(bench.session(), Active)
    assert bench.session().transaction.group == "G"
    assert bench.station.authorization.cache[digest(TAG)].info == info


def test_a_verdict_on_another_token_does_not_touch_the_transaction() -> None:
    bench = charging()
    acknowledge(bench, id_token=OTHER, info=INVALID)
    assert isinstance(bench.session(), Active)
    assert bench.station.authorization.cache[digest(OTHER)].info == INVALID


def test_a_verdict_on_a_transaction_that_is_over_only_teaches_the_cache() -> None:
    bench = charging()
    first = bench.session().transaction.transaction_id
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1100.0)
    bench.charge(id_token=OTHER)
    bench.post(TransactionAcknowledged(first, info=INVALID))
    assert isinstance(bench.session(), Active)
    assert bench.station.authorization.cache[digest(TAG)].info == INVALID


def test_a_verdict_on_a_transaction_of_an_evse_that_was_removed_only_teaches_the_cache() -> (
    None
):
    bench = Bench(2).ready(2)
    bench.charge(2)
    bench.specs = bench.specs[:1]
    bench.power_cut()
    acknowledge(bench, info=INVALID)
    assert bench.station.authorization.cache[digest(TAG)].info == INVALID


def test_a_queue_that_is_nearly_full_is_told_once() -> None:
    bench = Bench().ready()
    bench.post(LinkDown("lost"))
    at = Stamp(1, 1.0)
    entries = tuple(
        Entry(number, "sampled", "", at, is_sample=True) for number in range(1, NEARLY_FULL)
    )
    full = replace(bench.station.outbox, entries=entries, next_id=NEARLY_FULL)
    bench.station = replace(bench.station, outbox=full)
    for _ in range(2):
        bench.post(SecurityEventRaised("StartupOfTheDevice"))
    types = [record.type for record in bench.told_records(SecurityEvent)]
    assert types.count("MemoryExhaustion") == 1
