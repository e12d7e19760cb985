"""What the CSMS is told of a rate that somebody at the site has changed."""

import pytest

from agent.core.effects import TransactionUpdated
from agent.core.events import (
    ChargingProfileOffered,
    ExternalLimitCleared,
    ExternalLimitSet,
    GridInputChanged,
)
from agent.core.rates import MEASURANDS, Rates
from agent.core.values import ReadingContext, Trigger
from hal.types import PilotState
from tests.support.core import WALL_S, Bench
from tests.support.profiles import profile


def charging(evses: int = 1, **settings: str) -> Bench:
    bench = Bench(evses, **settings).ready(evses)
    for evse_id in range(1, evses + 1):
        bench.charge(evse_id)
    return bench


def limit(bench: Bench, limit_a: float, evse_id: int = 1) -> None:
    bench.post(ExternalLimitSet(9, "ems", 3600.0, evse_id, limit_a=limit_a))
    live(bench, 7)


def release(bench: Bench) -> None:
    bench.post(ExternalLimitCleared(9, "ems"))
    live(bench, 7)


def live(bench: Bench, seconds: int) -> None:
    """Let time pass with readings, so that offers may be raised again."""
    for _ in range(seconds):
        bench.wait(0.9)
        for evse_id, evse in bench.station.evses.items():
            reading = evse.inputs.reading
            assert reading is not None
            bench.meter(reading.energy_import_wh, evse_id)


def told(bench: Bench, evse_id: int = 1) -> list[float]:
    """Return what was offered in each record of a changed rate, A."""
    return [
        quantity.value
        for record in bench.told_records(TransactionUpdated)
        if record.trigger is Trigger.CHARGING_RATE_CHANGED and record.evse_id == evse_id
        for sample in record.samples
        for quantity in sample.quantities
        if quantity.measurand.value == "Current.Offered"
    ]


def test_a_limit_of_somebody_else_is_told_with_what_it_leaves_and_so_is_its_end() -> None:
    bench = charging()
    limit(bench, 16.0)
    assert told(bench) == [16.0]
    live(bench, 60)
    release(bench)
    assert told(bench) == [16.0, 32.0]


def test_a_record_holds_what_is_offered_and_the_register() -> None:
    bench = charging()
    limit(bench, 16.0)
    (record,) = [
        item
        for item in bench.told_records(TransactionUpdated)
        if item.trigger is Trigger.CHARGING_RATE_CHANGED
    ]
    (sample,) = record.samples
    assert sample.context is ReadingContext.OTHER
    assert {item.measurand.value for item in sample.quantities} == set(MEASURANDS)


def test_what_changes_a_little_is_not_told_until_it_is_more() -> None:
    bench = charging(SmartChargingCtrlr__LimitChangeSignificance="10")
    limit(bench, 20.0)
    limit(bench, 19.0)
    live(bench, 60)
    assert told(bench) == [20.0]
    limit(bench, 17.0)
    assert told(bench) == [20.0, 17.0]


def test_with_a_significance_of_nothing_every_change_is_told() -> None:
    bench = charging(SmartChargingCtrlr__LimitChangeSignificance="0")
    limit(bench, 20.0)
    live(bench, 60)
    limit(bench, 19.9)
    assert told(bench) == [20.0, 19.9]


def test_a_rate_that_is_regulated_all_the_time_is_told_once_a_minute_as_it_is_then() -> None:
    bench = charging()
    for limit_a in (20.0, 10.0, 25.0, 8.0, 12.0):
        limit(bench, limit_a)
    assert told(bench) == [20.0]
    live(bench, 60)
    assert told(bench) == [20.0, 12.0]
    live(bench, 120)
    assert told(bench) == [20.0, 12.0]


def test_what_is_back_where_it_was_by_then_is_not_told() -> None:
    bench = charging()
    for limit_a in (20.0, 10.0, 20.0):
        limit(bench, limit_a)
    live(bench, 60)
    assert told(bench) == [20.0]


def test_that_energy_pauses_and_comes_back_is_a_change_of_state_only() -> None:
    bench = charging()
    limit(bench, 0.0)
    release(bench)
    bench.wait(70.0)
    live(bench, 7)
    assert told(bench) == []


def test_the_grid_operator_and_who_limits_the_whole_station_concern_every_evse() -> None:
    bench = charging(2)
    limit(bench, 40.0, 0)
    assert [told(bench, evse_id) for evse_id in (1, 2)] == [[20.0], [20.0]]
    grid = charging()
    grid.post(GridInputChanged(active=True))  # a site without a limit for it: nothing changes
    live(grid, 7)
    assert told(grid) == []


def test_a_limit_that_the_csms_knows_is_not_told() -> None:
    bench = charging()
    bench.post(ExternalLimitSet(9, "ems", 3600.0, 1, limit_a=32.0))
    bench.post(ExternalLimitCleared(9, "ems"))
    live(bench, 7)
    assert told(bench) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("Energy.Active.Import.Register", []),
        ("Energy.Active.Import.Register,Current.Offered", [16.0]),
        ("Power.Offered", [16.0]),
    ],
)
def test_what_its_own_profiles_change_is_told_where_the_csms_wants_what_is_offered(
    wanted: str, expected: list[float]
) -> None:
    bench = charging(SampledDataCtrlr__TxUpdatedMeasurands=wanted)
    mine = profile(1, [(0, 16)], start=int(WALL_S) - 60)
    bench.post(ChargingProfileOffered(8, 1, mine))
    live(bench, 7)
    assert told(bench) == expected


def test_of_a_transaction_that_is_over_nothing_is_kept() -> None:
    bench = charging()
    limit(bench, 16.0)
    assert bench.station.rates.known
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1010.0)
    assert bench.station.rates == Rates()
    bench.charge()
    live(bench, 7)
    assert told(bench) == [16.0]


def test_a_power_cut_forgets_the_rate() -> None:
    bench = charging()
    limit(bench, 16.0)
    bench.power_cut()
    assert bench.station.rates == Rates()


@pytest.mark.parametrize("age_s", [60.0])
def test_without_a_reading_of_now_nothing_is_told(age_s: float) -> None:
    bench = charging()
    bench.wait(age_s)
    bench.post(ExternalLimitSet(9, "ems", 3600.0, 1, limit_a=16.0))
    assert told(bench) == []
