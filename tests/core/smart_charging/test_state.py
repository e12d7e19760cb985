"""What is told of the limits agrees with what is offered, wherever the limits come from."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.bounds import Site
from agent.core.effects import CompositeAnswer, Verdict
from agent.core.events import (
    CableChanged,
    CompositeScheduleRequested,
    EvseDetected,
    ExternalLimitSet,
    GridInputChanged,
    TemperatureRead,
)
from agent.core.setpoint import offerable_ma
from agent.core.smart_charging.profile import Entry, Profile, Purpose, Unit
from agent.core.smart_charging.state import PROFILE
from agent.core.station import targets
from agent.core.values import Bound, EvseCapabilities
from tests.core.smart_charging.test_block import MAX, NOW, REQUESTS, limiting, offer, offered
from tests.support.core import OTHER, Bench
from tests.support.profiles import profiles

SETTLED_S = 300.0
"""After this time nothing moves any more that is not made to."""


def charging(site: Site = Site(), evses: int = 1) -> Bench:  # noqa: B008 - a value
    bench = Bench(evses, site=site).ready(evses)
    bench.charge()
    bench.wait(SETTLED_S)
    return bench


def told(bench: Bench, evse_id: int = 1, unit: Unit = Unit.AMPERE) -> tuple[Entry, ...]:
    request_id = next(REQUESTS)
    bench.post(CompositeScheduleRequested(request_id, evse_id, 60, unit))
    answer = bench.reply(request_id)
    assert isinstance(answer, CompositeAnswer)
    return answer.entries


def first(bench: Bench, evse_id: int = 1, unit: Unit = Unit.AMPERE) -> tuple[float, str]:
    entry = told(bench, evse_id, unit)[0]
    return entry.limit / 1000, entry.origin


def managed(bench: Bench, evse_id: int = 0, **limit: float) -> None:
    bench.post(ExternalLimitSet(0, "ems", 3600.0, evse_id, **limit))


def hot(bench: Bench) -> None:
    evse = bench.station.evses[1]
    spec = replace(evse.spec, derates_c=(50.0, 76.0))
    bench.station = replace(bench.station, evses={1: replace(evse, spec=spec)})
    bench.post(TemperatureRead(1, 60.0))


def weak_hardware(bench: Bench) -> None:
    bench.post(EvseDetected(1, EvseCapabilities(20.0, 3)))


@pytest.mark.parametrize(
    ("limit", "current_a", "origin"),
    [
        (lambda bench: managed(bench, 1, limit_a=12.5), 12.5, "ems"),
        (lambda bench: managed(bench, limit_a=13.0), 13.0, "ems"),
        (lambda bench: managed(bench, 1, limit_w=6_900.0), 10.0, "ems"),
        (lambda bench: managed(bench, limit_w=6_900.0), 10.0, "ems"),
        (lambda bench: bench.post(CableChanged(1, 20.0)), 20.0, "cable"),
        (hot, 22.0, "temperature"),
        (weak_hardware, 20.0, "hardware"),
    ],
)
def test_every_limit_in_force_is_told(
    limit: Callable[[Bench], None], current_a: float, origin: str
) -> None:
    bench = charging()
    assert first(bench) == (32.0, "hardware")
    limit(bench)
    bench.wait(SETTLED_S)
    assert first(bench) == (current_a, origin)
    assert first(bench, unit=Unit.WATT)[0] <= current_a * 690
    assert offered(bench) == current_a


def test_the_fuse_and_the_grid_operator_are_told() -> None:
    bench = charging(Site(fuse_a=16.0, grid_w=5_520.0))
    bench.post(GridInputChanged(active=False))
    bench.wait(SETTLED_S)
    assert first(bench) == first(bench, 0) == (16.0, "fuse")
    assert first(bench, 0, Unit.WATT) == (11_040.0, "fuse")
    bench.post(GridInputChanged(active=True))
    assert first(bench) == first(bench, 0) == (8.0, "grid")
    assert first(bench, 0, Unit.WATT) == (5_520.0, "grid")
    assert offered(bench) == 8.0


def test_the_station_tells_no_more_than_its_fuse_for_all_evses_together() -> None:
    bench = charging(Site(fuse_a=40.0), evses=2)
    assert first(bench, 0) == (40.0, "fuse")
    assert first(bench, 2) == (32.0, "hardware")
    managed(bench, 2, limit_a=6.0)
    assert first(bench, 0) == (38.0, "ems")


def test_a_limit_that_is_in_force_counts_for_the_whole_schedule() -> None:
    bench = charging()
    managed(bench, limit_a=10.0)
    offer(bench, limiting(1, 0, periods=[(0, 16), (86_730, 8)]))
    assert [(one.start_s, one.limit) for one in told(bench)] == [(0, 10_000), (30, 8_000)]
    offer(bench, limiting(1, 8))
    assert first(bench) == (8.0, Purpose.TX_DEFAULT)


@given(
    installed=st.lists(profiles(NOW, ids=9), max_size=4),
    evse_a=st.none() | st.integers(0, 33),
    whole_w=st.none() | st.integers(0, 24_000),
    fuse_a=st.none() | st.integers(6, 40),
)
@settings(max_examples=150, deadline=None)
def test_a_vehicle_alone_is_offered_what_is_told_for_this_moment(
    installed: list[Profile], evse_a: int | None, whole_w: int | None, fuse_a: int | None
) -> None:
    bench = charging(Site(fuse_a=fuse_a))
    for one in installed:
        offer(bench, one, 0 if one.purpose is MAX else 1, lenient=True)
    if evse_a is not None:
        managed(bench, 1, limit_a=float(evse_a))
    if whole_w is not None:
        managed(bench, limit_w=float(whole_w))
    for _ in range(3):
        bench.wait(SETTLED_S)
        (limit_a, _), phases = first(bench), told(bench)[0].phases
        offer_ma = round(offered(bench) * 1000)
        assert offer_ma <= offerable_ma(limit_a)
        if phases in {None, 3}:  # those for fewer are spread over all that there are
            assert offer_ma == offerable_ma(limit_a)


# --- limits for fewer phases than there are ---


def test_a_lenient_limit_for_one_phase_is_spread_over_all_of_them() -> None:
    bench = charging()
    offer(bench, limiting(1, 0, periods=[(0, 24, 1)]), lenient=True)
    assert first(bench) == (24.0, Purpose.TX_DEFAULT)
    assert first(bench, unit=Unit.WATT) == (5_520.0, Purpose.TX_DEFAULT)
    assert offered(bench) == 8.0


def test_a_limit_of_the_station_for_one_phase_bounds_the_sum_of_all() -> None:
    bench = Bench(2).ready(2)
    offer(bench, limiting(1, 0, MAX, periods=[(0, 60, 1)]), 0)
    bench.charge(1)
    bench.charge(2, OTHER)
    bench.wait(SETTLED_S)
    assert first(bench, 0, Unit.WATT) == (13_800.0, Purpose.STATION_MAX)
    both = [targets(bench.station).of(evse_id).offer_a for evse_id in (1, 2)]
    assert both == [10.0, 10.0]


@pytest.mark.parametrize(
    ("own", "whole", "expected"),
    [
        (limiting(1, 0, periods=[(0, 16, 1)]), None, [Bound(PROFILE, 16.0, None, 1)]),
        (
            limiting(1, 0, periods=[(0, 3_680, 1)], unit="W"),
            None,
            [Bound(PROFILE, None, 3_680.0), Bound(PROFILE, 80.0, None, 1)],
        ),
        (
            limiting(1, 7_360, unit="W"),
            limiting(2, 20, MAX),
            [Bound(PROFILE, None, 7_360.0), Bound(PROFILE, 20.0)],
        ),
        (limiting(1, 10), None, [Bound(PROFILE, 10.0)]),
    ],
)
def test_where_phases_can_be_switched_limits_stay_as_they_are(
    own: Profile, whole: Profile | None, expected: list[Bound]
) -> None:
    bench = Bench()
    bench.specs = (replace(bench.specs[0], switches_phases=True),)
    bench.power_cut()
    bench.ready()
    bench.post(EvseDetected(1, EvseCapabilities(32.0, 3, can_switch_phases=True)))
    assert offer(bench, own).verdict is Verdict.ACCEPTED
    if whole is not None:
        offer(bench, whole, 0)
    assert bench.station.smart_charging.bounds.evses == {1: tuple(expected)}


@pytest.mark.parametrize(("unit", "limit"), [("A", 16), ("W", 11_040)])
def test_direct_current_has_no_phases_to_spread_a_limit_over(unit: str, limit: float) -> None:
    bench = Bench()
    bench.specs = (replace(bench.specs[0], is_dc=True),)
    bench.power_cut()
    bench.ready()
    bench.post(EvseDetected(1, EvseCapabilities(32.0, 3)))
    assert offer(bench, limiting(1, 0, periods=[(0, limit, 1)], unit=unit)).verdict is (
        Verdict.ACCEPTED
    )
    assert first(bench) == (16.0, Purpose.TX_DEFAULT)
    assert told(bench)[0].phases is None
    assert bench.station.smart_charging.bounds.evses == {1: (Bound(PROFILE, 16.0),)}
