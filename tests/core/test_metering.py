"""When samples are taken: grids of transactions and grids of the clock."""

from hypothesis import given
from hypothesis import strategies as st

from agent.core.effects import MeterSampled, TransactionEnded, TransactionUpdated
from agent.core.events import (
    BootAnswered,
    DeadlinePassed,
    HeartbeatAnswered,
    SettingsWriteRequested,
    StorageFailed,
    StorageRecovered,
    TimeLearned,
)
from agent.core.metering import DAY_S, SLACK_S, deadline_s, next_aligned_s
from agent.core.values import (
    Measurand,
    ReadingContext,
    RegistrationStatus,
    Stamp,
    Trigger,
)
from hal.types import PilotState
from tests.support.core import WALL_S, Bench

QUIET = {"OCPPCommCtrlr__HeartbeatInterval": "86400"}
ALIGNED = {**QUIET, "SampledDataCtrlr__TxUpdatedInterval": "0"}
PERIODIC, CLOCK = Trigger.METER_VALUE_PERIODIC, Trigger.METER_VALUE_CLOCK


def a_bench(**settings: str) -> Bench:
    bench = Bench(**QUIET, **settings)
    bench.hardware()
    bench.connect(interval_s=0)
    return bench


def live(bench: Bench, seconds: int, evse_id: int = 1, *, wh_per_s: float = 1.0) -> None:
    """Let time pass with a reading each second."""
    for _ in range(seconds):
        bench.wait(0.9)
        held = bench.station.evses[evse_id].inputs.reading
        assert held is not None
        bench.meter(held.energy_import_wh + wh_per_s, evse_id)


def samples(bench: Bench, trigger: Trigger = PERIODIC) -> list[TransactionUpdated]:
    updates = bench.told_records(TransactionUpdated)
    return [record for record in updates if record.trigger is trigger]


def instants(found: list[TransactionUpdated], origin_s: float) -> list[float]:
    return [round(record.at.monotonic_s - origin_s, 6) for record in found]


def write(bench: Bench, name: str, value: str) -> None:
    bench.post(SettingsWriteRequested(1000 + len(bench.effects), ((name, value),)))


# --- transactions ---


def test_samples_stand_on_the_grid_of_the_transaction() -> None:
    bench = a_bench(SampledDataCtrlr__TxUpdatedInterval="20")
    bench.now_s += 0.37
    bench.charge()
    origin_s = bench.now_s
    live(bench, 65)
    assert instants(samples(bench), origin_s) == [20.0, 40.0, 60.0]


def test_a_sample_carries_the_nominal_instant_however_late_the_wake_up() -> None:
    bench = a_bench(SampledDataCtrlr__TxUpdatedInterval="20")
    bench.charge()
    origin_s = bench.now_s
    bench.meter(1010.0)
    bench.now_s = origin_s + 21.5
    bench.meter(1020.0)
    bench.post(DeadlinePassed())
    (record,) = samples(bench)
    assert instants([record], origin_s) == [20.0]
    assert record.samples[0].at.wall_s == round(WALL_S + origin_s + 20.0, 3)
    assert deadline_s(bench.station.metering) == origin_s + 40.0


def test_a_wake_up_that_is_far_too_late_yields_no_sample() -> None:
    bench = a_bench(SampledDataCtrlr__TxUpdatedInterval="20")
    bench.charge()
    origin_s = bench.now_s
    bench.now_s = origin_s + 31.0
    bench.meter(1020.0)
    bench.post(DeadlinePassed())
    assert samples(bench) == []
    assert deadline_s(bench.station.metering) == origin_s + 40.0


def test_a_reading_that_is_too_old_yields_no_sample() -> None:
    bench = a_bench(SampledDataCtrlr__TxUpdatedInterval="20")
    bench.charge()
    bench.wait(25.0)
    assert samples(bench) == []


def test_an_interval_of_zero_takes_no_samples() -> None:
    bench = a_bench(SampledDataCtrlr__TxUpdatedInterval="0")
    bench.charge()
    live(bench, 130)
    assert samples(bench) == []
    assert deadline_s(bench.station.metering) is None


def test_a_new_interval_counts_from_the_start_of_the_transaction() -> None:
    bench = a_bench(SampledDataCtrlr__TxUpdatedInterval="60")
    bench.charge()
    origin_s = bench.now_s
    live(bench, 35)
    write(bench, "SampledDataCtrlr.TxUpdatedInterval", "20")
    live(bench, 30)
    assert instants(samples(bench), origin_s) == [40.0, 60.0]


def test_a_sample_that_is_due_is_not_lost_to_news_of_the_same_instant() -> None:
    for event in (
        HeartbeatAnswered(None),
        TimeLearned(WALL_S + 30.0),
        SettingsWriteRequested(1, (("SampledDataCtrlr.TxUpdatedInterval", "30"),)),
    ):
        bench = a_bench(SampledDataCtrlr__TxUpdatedInterval="20")
        bench.charge()
        origin_s = bench.now_s
        live(bench, 19)
        bench.now_s = origin_s + 20.0
        bench.post(event)
        bench.wait(0.0)
        assert instants(samples(bench), origin_s) == [20.0]


def test_the_end_of_a_transaction_ends_its_grid() -> None:
    bench = a_bench(SampledDataCtrlr__TxUpdatedInterval="20")
    bench.charge()
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1005.0)
    assert bench.station.metering.rhythms == {}
    assert deadline_s(bench.station.metering) is None


def test_a_resumed_transaction_begins_a_new_grid() -> None:
    bench = a_bench(
        SampledDataCtrlr__TxUpdatedInterval="20", TxCtrlr__ResumeAfterPowerLoss="true"
    )
    bench.charge()
    live(bench, 5)
    bench.power_cut()
    bench.now_s = 7.0
    bench.pilot(PilotState.C)
    bench.meter(1010.0)
    resumed_s = bench.now_s
    live(bench, 25)
    assert instants(samples(bench), resumed_s) == [20.0]


def test_an_empty_list_of_measurands_still_tells_the_register() -> None:
    bench = a_bench(
        SampledDataCtrlr__TxUpdatedInterval="20", SampledDataCtrlr__TxUpdatedMeasurands=""
    )
    bench.charge()
    live(bench, 25)
    (record,) = samples(bench)
    (quantity,) = record.samples[0].quantities
    assert quantity.measurand is Measurand.ENERGY_IMPORT


def test_samples_for_the_end_are_kept_and_not_told() -> None:
    bench = a_bench(
        SampledDataCtrlr__TxUpdatedInterval="0", SampledDataCtrlr__TxEndedInterval="20"
    )
    bench.charge()
    live(bench, 45)
    assert samples(bench) == []
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1100.0)
    (ended,) = bench.told_records(TransactionEnded)
    assert [sample.context for sample in ended.samples] == [
        ReadingContext.TRANSACTION_BEGIN,
        ReadingContext.PERIODIC,
        ReadingContext.PERIODIC,
        ReadingContext.TRANSACTION_END,
    ]


def test_an_empty_list_for_the_end_keeps_nothing() -> None:
    bench = a_bench(
        SampledDataCtrlr__TxEndedMeasurands="", SampledDataCtrlr__TxEndedInterval="20"
    )
    bench.charge()
    live(bench, 45)
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1100.0)
    (ended,) = bench.told_records(TransactionEnded)
    assert ended.samples == ()


def test_a_sample_tells_what_is_offered() -> None:
    bench = a_bench(
        SampledDataCtrlr__TxUpdatedInterval="20",
        SampledDataCtrlr__TxUpdatedMeasurands="Current.Offered",
    )
    bench.charge()
    live(bench, 19)
    bench.post(StorageFailed("disk full"))
    live(bench, 19)
    bench.post(StorageRecovered())
    live(bench, 25)
    offers = [record.samples[0].quantities[0].value for record in samples(bench)]
    assert offers == [0.0, 32.0, 32.0]


# --- the clock ---


def test_aligned_samples_stand_on_whole_multiples_since_midnight() -> None:
    bench = Bench(**ALIGNED, AlignedDataCtrlr__Interval="20", wall_s=WALL_S + 0.3)
    bench.hardware()
    live(bench, 65)
    found = bench.told_records(MeterSampled)
    walls = [record.sample.at.wall_s for record in found]
    assert walls == [WALL_S + 20.0, WALL_S + 40.0, WALL_S + 60.0]
    assert {record.sample.context for record in found} == {ReadingContext.CLOCK}
    assert {(record.evse_id, record.connector_id) for record in found} == {(1, 1)}


def test_aligned_samples_belong_to_the_transaction_that_runs() -> None:
    bench = Bench(2, **ALIGNED, AlignedDataCtrlr__Interval="20")
    for evse_id in (1, 2):
        bench.hardware(evse_id)
    bench.connect(interval_s=0)
    bench.charge(2)
    live(bench, 25, 2)
    assert [record.evse_id for record in samples(bench, CLOCK)] == [2]
    assert bench.told_records(MeterSampled) == []  # EVSE 1 has no fresh reading


def test_aligned_samples_for_the_end_are_kept_in_order_of_time() -> None:
    bench = Bench(
        **ALIGNED,
        AlignedDataCtrlr__TxEndedInterval="20",
        AlignedDataCtrlr__TxEndedMeasurands="Voltage",
        SampledDataCtrlr__TxEndedInterval="15",
    )
    bench.hardware()
    bench.connect(interval_s=0)
    bench.charge()
    live(bench, 32)
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1100.0)
    (ended,) = bench.told_records(TransactionEnded)
    assert [sample.context for sample in ended.samples] == [
        ReadingContext.TRANSACTION_BEGIN,
        ReadingContext.PERIODIC,
        ReadingContext.CLOCK,
        ReadingContext.PERIODIC,
        ReadingContext.TRANSACTION_END,
    ]
    assert bench.told_records(MeterSampled) == []


def test_aligned_samples_for_the_end_concern_nobody_without_a_transaction() -> None:
    bench = Bench(
        **ALIGNED,
        AlignedDataCtrlr__TxEndedInterval="20",
        AlignedDataCtrlr__TxEndedMeasurands="Voltage",
    )
    bench.hardware()
    live(bench, 25)
    assert bench.records == []


def test_samples_that_are_late_together_stand_in_order_of_time() -> None:
    bench = Bench(
        **QUIET,
        AlignedDataCtrlr__Interval="20",
        SampledDataCtrlr__TxUpdatedInterval="20",
    )
    bench.hardware()
    bench.connect(interval_s=0)
    bench.now_s = 1.0
    bench.charge()
    bench.now_s = 22.0
    bench.meter(1010.0)
    bench.post(DeadlinePassed())
    updates = bench.told_records(TransactionUpdated)[-2:]
    assert [record.trigger for record in updates] == [CLOCK, PERIODIC]


def test_without_the_time_there_is_no_grid_of_the_clock() -> None:
    bench = Bench(**ALIGNED, AlignedDataCtrlr__Interval="20", wall_s=None)
    bench.hardware()
    live(bench, 45)
    assert bench.told_records(MeterSampled) == []


def test_the_grid_of_the_clock_begins_when_the_time_is_learned() -> None:
    bench = Bench(**ALIGNED, AlignedDataCtrlr__Interval="20", wall_s=None)
    bench.hardware()
    bench.post(TimeLearned(WALL_S + 13.0))
    live(bench, 8)
    (record,) = bench.told_records(MeterSampled)
    assert record.sample.at.wall_s == WALL_S + 20.0


def test_samples_without_the_time_are_dated_by_the_monotonic_clock() -> None:
    bench = Bench(
        **QUIET,
        SampledDataCtrlr__TxUpdatedInterval="20",
        AuthCtrlr__OfflineTxForUnknownIdEnabled="true",
        TxCtrlr__TxBeforeAcceptedEnabled="true",
        wall_s=None,
    )
    bench.hardware()
    bench.pilot(PilotState.C)
    bench.tap()
    live(bench, 21)
    (record,) = samples(bench)
    assert record.at.wall_s is None
    bench.connect(interval_s=0)
    bench.post(BootAnswered(RegistrationStatus.ACCEPTED, 0, WALL_S))
    told_s = bench.station.told_s(record.at)
    assert told_s == WALL_S - bench.now_s + record.at.monotonic_s


def test_a_grid_that_does_not_fit_the_day_begins_anew_at_midnight() -> None:
    midnight = WALL_S // DAY_S * DAY_S + DAY_S
    now = Stamp(1, 100.0, midnight - 30.0)
    assert next_aligned_s(now, 7 * 3600) == 130.0
    assert next_aligned_s(Stamp(1, 130.0, midnight), 7 * 3600) == 130.0 + 7 * 3600


def test_no_interval_and_no_time_are_no_grid() -> None:
    assert next_aligned_s(Stamp(1, 0.0, WALL_S), 0) is None
    assert next_aligned_s(Stamp(1, 0.0, None), 20) is None


@given(
    monotonic_s=st.floats(0.0, 1e7),
    wall_s=st.floats(WALL_S, WALL_S + 1e8),
    interval_s=st.integers(1, 90_000),
)
def test_the_next_instant_of_the_clock_is_ahead_and_on_its_grid(
    monotonic_s: float, wall_s: float, interval_s: int
) -> None:
    following = next_aligned_s(Stamp(1, monotonic_s, wall_s), interval_s)
    assert following is not None
    ahead_s = following - monotonic_s
    assert SLACK_S / 2 < ahead_s <= min(interval_s, DAY_S) + SLACK_S
    since_midnight = round(wall_s + ahead_s, 3) % DAY_S
    assert since_midnight % interval_s == 0 or since_midnight == 0


@given(origin_s=st.floats(0.0, 1e6), interval_s=st.integers(1, 97), extra_s=st.floats(0.0, 5.0))
def test_no_instant_of_a_transaction_is_taken_twice_or_left_out(
    origin_s: float, interval_s: int, extra_s: float
) -> None:
    bench = a_bench(SampledDataCtrlr__TxUpdatedInterval=str(interval_s))
    bench.now_s += origin_s
    bench.meter(1000.0)
    bench.charge()
    origin_s = bench.now_s
    for number in range(1, 6):
        bench.now_s = origin_s + number * interval_s - 0.05
        bench.meter(1000.0 + number)
        bench.wait(min(extra_s, interval_s / 2))
        bench.wait(0.06)
    expected = [float(number * interval_s) for number in range(1, 6)]
    assert instants(samples(bench), origin_s)[:5] == expected
