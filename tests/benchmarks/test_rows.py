from tests.benchmarks.__main__ import summary, table
from tests.benchmarks.measure import Figures, Result, Row, Sense
from tests.benchmarks.rows import BENCHMARKS

ROWS = [row for benchmark in BENCHMARKS for row in benchmark.rows]
BOUNDS = {
    "decode.1.6-MeterValues": 50.0,
    "decode.1.6-SetChargingProfile": 50.0,
    "decode.2.0.1-TransactionEvent": 50.0,
    "encode.1.6-MeterValues": 10.0,
    "encode.2.0.1-TransactionEvent": 10.0,
    "serve.1.6-SetChargingProfile": 4.0,
    "memory.resident": 1.25,
    "memory.proportional": None,
    "start.boot": 1.0,
    "storage.commits": 0.5,
    "storage.bytes": 0.2,
    "day.1.6": 20_000.0,
    "day.2.0.1": 20_000.0,
    "registers.decode": 3.0,
    "polling.idle": 1.5,
    "composite.cold": 4.0,
    "composite.again": 0.02,
    "composite.growth": 4.8,
    "setpoint.modbus-tcp": 5.0,
    "firmware.verify": 0.9,
    "firmware.memory": 1.0,
    "firmware.growth": 1.05,
    "transfer.memory": 1.0,
    "transfer.growth": 1.0,
}


def test_every_promised_ratio_has_its_row_and_its_bound():
    assert {row.name: row.demanded for row in ROWS} == BOUNDS
    assert len(ROWS) == len(BOUNDS)


def test_rows_that_are_measured_together_have_a_name_in_common():
    for benchmark in BENCHMARKS:
        assert len({row.name.partition(".")[0] for row in benchmark.rows}) == 1
        assert all(row.what for row in benchmark.rows)


def result(sense, ours, theirs, demanded):
    return Result(Row("some.row", "work", "us", sense, demanded), Figures(ours, theirs))


def test_a_time_is_good_when_theirs_is_enough_times_ours():
    assert result(Sense.FASTER, 2.0, 100.0, 50.0).holds
    assert not result(Sense.FASTER, 2.0, 99.0, 50.0).holds


def test_a_rate_is_good_when_ours_is_enough_times_theirs():
    assert result(Sense.MORE, 400.0, 100.0, 4.0).holds
    assert not result(Sense.MORE, 399.0, 100.0, 4.0).holds


def test_a_cost_is_good_when_it_is_a_small_enough_part_of_theirs():
    assert result(Sense.COST, 1.0, 5.0, 0.2).holds
    assert not result(Sense.COST, 1.1, 5.0, 0.2).holds


def test_a_row_without_a_bound_holds_and_is_not_counted():
    free = result(Sense.COST, 9.0, 1.0, None)
    assert free.holds
    assert free.verdict == "-"
    assert summary([free]) == "bench: 0 of 0 bounds hold"


def test_the_table_is_aligned_and_names_what_falls_short():
    results = [result(Sense.FASTER, 2.0, 100.0, 50.0), result(Sense.COST, 1_234.0, 5.0, 0.2)]
    lines = table(results).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith("ok")
    assert lines[2].endswith("short")
    assert summary(results) == "bench: 1 of 2 bounds hold; short: some.row"
