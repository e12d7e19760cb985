"""The records of a transaction, made directly."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core import records
from agent.core.states import Authorized, Ending, Evse, Inputs, Transaction
from agent.core.turn import Context
from agent.core.values import (
    ChargingState,
    EvseSpec,
    Measurand,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
    StopReason,
    Trigger,
)
from agent.core.variables import Settings
from hal.types import SignedReading
from tests.support.core import TAG, reading

START, NOW = Stamp(1, 10.0), Stamp(1, 100.0, 1_800_000_100.0)
SPEC = EvseSpec(2, 1, 32.0, 1)
TRANSACTION = Transaction(
    "id-1", 2, 1, TAG, START, START, 1000.0, 1200.0, START, ChargingState.CHARGING, next_seq=4
)
ENDING = Ending(TRANSACTION, StopReason.LOCAL, Trigger.STOP_AUTHORIZED, at=NOW, since=NOW)


def a_context(**settings: str) -> Context:
    factory = {key.replace("__", "."): value for key, value in settings.items()}
    return Context(
        now=NOW,
        fresh_id="id-1",
        jitter=0.0,
        settings=Settings(factory=factory),
        is_online=True,
        may_start=True,
        evses={},
        operative=frozenset(),
        remote_ids={},
        undelivered=0,
    )


def an_evse(register_wh: float | None = 1500.0, read_at: Stamp = NOW) -> Evse:
    if register_wh is None:
        return Evse(SPEC)
    return Evse(SPEC, Inputs(reading=reading(register_wh), reading_at=read_at))


def a_sample(number: int) -> Sample:
    at = Stamp(1, float(number))
    return Sample(at, ReadingContext.PERIODIC, (Quantity(Measurand.VOLTAGE, 230.0),))


def test_the_first_record_has_number_zero_and_the_transaction_counts_on() -> None:
    session = Authorized(TAG, START)
    transaction, record = records.started(an_evse(), session, reading(1500.0), a_context())
    assert record.seq_no == 0
    assert transaction.next_seq == 1
    assert record.transaction_id == transaction.transaction_id == "id-1"
    assert record.meter_start_wh == transaction.meter_start_wh == transaction.last_wh == 1500.0
    assert record.samples == transaction.kept
    assert record.samples[0].context is ReadingContext.TRANSACTION_BEGIN


def test_the_start_is_triggered_by_what_came_last_or_from_afar() -> None:
    plugged = replace(an_evse(), inputs=replace(an_evse().inputs, plugged_at=Stamp(1, 50.0)))
    early, late = Authorized(TAG, START), Authorized(TAG, NOW)
    for evse, session, trigger in (
        (plugged, early, Trigger.CABLE_PLUGGED_IN),
        (plugged, late, Trigger.AUTHORIZED),
        (plugged, Authorized(TAG, Stamp(1, 50.0)), Trigger.AUTHORIZED),
        (plugged, replace(early, is_remote=True), Trigger.REMOTE_START),
    ):
        _, record = records.started(evse, session, reading(), a_context())
        assert record.trigger is trigger


def test_the_start_contains_what_its_settings_want() -> None:
    context = a_context(
        SampledDataCtrlr__TxStartedMeasurands="",
        SampledDataCtrlr__TxEndedMeasurands="Voltage",
    )
    session = Authorized(TAG, START)
    transaction, record = records.started(an_evse(), session, reading(1500.0), context)
    assert record.samples == ()
    assert transaction.kept[0].quantities == (Quantity(Measurand.VOLTAGE, 230.0, "L1-N"),)


def test_a_record_takes_the_next_number_and_notes_the_register() -> None:
    why = Trigger.CHARGING_STATE_CHANGED
    transaction, record = records.updated(an_evse(), TRANSACTION, a_context(), why)
    assert (record.seq_no, transaction.next_seq) == (4, 5)
    assert (record.at, record.trigger, record.phases_used) == (NOW, why, 1)
    assert (transaction.last_wh, transaction.last_at) == (1500.0, NOW)


def test_a_record_with_a_sample_is_dated_by_it() -> None:
    sample = a_sample(95)
    transaction, record = records.updated(
        an_evse(), TRANSACTION, a_context(), Trigger.METER_VALUE_PERIODIC, samples=(sample,)
    )
    assert (record.at, record.samples, record.phases_used) == (sample.at, (sample,), None)
    assert transaction.last_at == NOW


def test_the_phases_are_told_only_where_they_are_known() -> None:
    why = Trigger.CHARGING_STATE_CHANGED
    paused = replace(TRANSACTION, charging_state=ChargingState.SUSPENDED_EV)
    _, record = records.updated(an_evse(), paused, a_context(), why)
    assert record.phases_used is None
    evse = replace(an_evse(), spec=EvseSpec(2, 1, 32.0, 3))
    _, record = records.updated(evse, TRANSACTION, a_context(), why)
    assert record.phases_used is None


def test_the_noted_register_never_falls() -> None:
    for register_wh, noted_wh in ((1500.0, 1500.0), (1100.0, 1200.0), (None, 1200.0)):
        transaction = records.noted(an_evse(register_wh), TRANSACTION, NOW)
        assert (transaction.last_wh, transaction.last_at) == (noted_wh, NOW)


@given(st.integers(1, 2000))
def test_kept_samples_are_bounded_in_order_and_keep_the_first_and_the_last(number: int) -> None:
    transaction = TRANSACTION
    for index in range(number):
        transaction = records.kept(transaction, a_sample(index))
        assert len(transaction.kept) <= records.KEPT_MOST
    instants = [sample.at.monotonic_s for sample in transaction.kept]
    assert instants == sorted(set(instants))
    assert (instants[0], instants[-1]) == (0.0, number - 1)


def test_too_many_samples_lose_every_second_between_the_first_and_the_last() -> None:
    transaction = TRANSACTION
    for index in range(records.KEPT_MOST + 1):
        transaction = records.kept(transaction, a_sample(index))
    instants = [int(sample.at.monotonic_s) for sample in transaction.kept]
    assert instants == [0, *range(2, records.KEPT_MOST, 2), records.KEPT_MOST]


def test_the_clock_of_energy_runs_while_it_flows() -> None:
    flowing = records.clocked(TRANSACTION, ChargingState.CHARGING, START)
    assert (flowing.charging_s, flowing.charging_since) == (0.0, START)
    paused = records.clocked(flowing, ChargingState.SUSPENDED_EV, NOW)
    assert (paused.charging_s, paused.charging_since) == (90.0, None)
    assert paused.charging_state is ChargingState.SUSPENDED_EV


def test_the_clock_of_energy_never_runs_backwards() -> None:
    flowing = records.clocked(TRANSACTION, ChargingState.CHARGING, NOW)
    assert records.clocked(flowing, ChargingState.CHARGING, START).charging_s == 0.0


def test_the_bill_is_the_highest_register_known() -> None:
    for register_wh, billed_wh in ((1500.0, 1500.0), (900.0, 1200.0), (None, 1200.0)):
        record = records.ended(an_evse(register_wh), ENDING, Settings(), stays=True)
        assert record.meter_stop_wh == billed_wh


def test_a_register_that_never_rose_bills_nothing() -> None:
    session = replace(ENDING, transaction=replace(TRANSACTION, last_wh=0.0))
    record = records.ended(an_evse(0.0), session, Settings(), stays=False)
    assert record.meter_stop_wh == 1000.0
    assert record.charging_state is ChargingState.IDLE


def test_the_last_sample_shows_exactly_the_bill() -> None:
    factory = {"SampledDataCtrlr.TxEndedMeasurands": "Voltage,Energy.Active.Import.Register"}
    record = records.ended(an_evse(900.0), ENDING, Settings(factory=factory), stays=True)
    (sample,) = record.samples
    assert sample.context is ReadingContext.TRANSACTION_END
    assert sample.quantities == (
        Quantity(Measurand.ENERGY_IMPORT, 1200.0),
        Quantity(Measurand.VOLTAGE, 230.0, "L1-N"),
    )


def test_the_last_sample_shows_the_bill_even_without_a_reading() -> None:
    record = records.ended(an_evse(None), ENDING, Settings(), stays=True)
    (sample,) = record.samples
    assert sample == Sample(
        NOW, ReadingContext.TRANSACTION_END, (Quantity(Measurand.ENERGY_IMPORT, 1200.0),)
    )


def test_the_last_sample_is_dated_by_its_reading_but_not_before_the_end() -> None:
    later = Stamp(1, 103.0)
    for read_at, at in ((later, later), (NOW, NOW), (Stamp(1, 95.0), NOW)):
        record = records.ended(an_evse(1500.0, read_at), ENDING, Settings(), stays=True)
        assert record.samples[-1].at == at
        assert record.at == NOW


def test_without_anything_wanted_there_is_no_last_sample() -> None:
    for wanted in ("", "Frequency"):
        factory = {"SampledDataCtrlr.TxEndedMeasurands": wanted}
        record = records.ended(an_evse(), ENDING, Settings(factory=factory), stays=True)
        assert record.samples == ()


def test_kept_samples_come_before_the_last() -> None:
    session = replace(ENDING, transaction=replace(TRANSACTION, kept=(a_sample(20),)))
    record = records.ended(an_evse(), session, Settings(), stays=True)
    assert [sample.at.monotonic_s for sample in record.samples] == [20.0, 100.0]


def test_no_reading_is_no_sample() -> None:
    everything = tuple(measurand.value for measurand in Measurand)
    assert records.sampled(an_evse(None), NOW, ReadingContext.OTHER, everything) == ()


# --- what the meter signs ---

SIGNED = SignedReading("OCMF|…", "OCMF")


def test_begin_and_end_are_signed_on_request() -> None:
    evse = an_evse(1500.0)
    inputs = replace(evse.inputs, reading=replace(reading(1500.0), signed=SIGNED))
    evse, session = replace(evse, inputs=inputs), Authorized(TAG, since=START)
    for flag, proof in (("true", SIGNED), ("false", None)):
        context = a_context(SampledDataCtrlr__SignReadings=flag)
        transaction, started = records.started(evse, session, reading(1500.0), context)
        assert [sample.signed for sample in started.samples] == [proof]
        assert [sample.signed for sample in transaction.kept] == [proof]
        ended = records.ended(evse, ENDING, context.settings, stays=True)
        assert [sample.signed for sample in ended.samples] == [proof]
