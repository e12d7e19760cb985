"""The vehicle's wishes and the exactness of its draw."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.sim.vehicle import Draw, SimRefused, Vehicle


def test_a_ready_vehicle_wants_energy_from_six_amperes_on():
    vehicle = Vehicle()

    assert not vehicle.wants(5_999)
    assert vehicle.wants(6_000)


def test_a_vehicle_that_is_not_ready_wants_nothing():
    assert not Vehicle(ready=False).wants(32_000)


@pytest.mark.parametrize(
    ("offer_ma", "draws_ma"),
    [(0, 0), (5_900, 0), (6_000, 6_000), (16_000, 16_000), (32_000, 20_000)],
)
def test_a_vehicle_draws_the_lesser_of_offer_and_its_charger(offer_ma, draws_ma):
    assert Vehicle(max_a=20.0).draws_ma(offer_ma) == draws_ma


def test_a_vehicle_does_not_look_at_its_cable():
    assert Vehicle(ampacity_a=13.0).draws_ma(32_000) == 32_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_a": 5},
        {"max_a": 81},
        {"phases": 0},
        {"phases": 4},
        {"ampacity_a": 1},
        {"colour": 1},
    ],
)
def test_an_impossible_vehicle_is_refused_where_it_is_decoded(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Vehicle)


def test_a_refusal_carries_its_reason():
    assert SimRefused("no vehicle").reason == "no vehicle"


def test_a_slope_rises_linearly_and_then_stays():
    draw = Draw(start_us=1_000_000, from_ma=0, to_ma=16_000, span_us=4_000_000)

    assert [draw.current_ma(at * 1_000_000) for at in (1, 2, 3, 5, 9)] == [
        0,
        4_000,
        8_000,
        16_000,
        16_000,
    ]


def test_the_charge_under_a_slope_is_the_area_under_it():
    draw = Draw(start_us=0, from_ma=6_000, to_ma=16_000, span_us=4_000_000)

    assert draw.charge_ma_us(4_000_000) == 11_000 * 4_000_000
    assert draw.charge_ma_us(5_000_000) == 11_000 * 4_000_000 + 16_000 * 1_000_000


def test_a_step_has_its_level_at_once():
    draw = Draw(start_us=5, from_ma=0, to_ma=10, span_us=0)

    assert draw.current_ma(5) == 10
    assert draw.charge_ma_us(8) == 30


@pytest.mark.parametrize(("levels", "flows"), [((0, 0), False), ((1, 0), True), ((0, 1), True)])
def test_a_draw_flows_when_either_end_does(levels, flows):
    assert Draw(from_ma=levels[0], to_ma=levels[1]).flows is flows


@given(
    from_ma=st.integers(0, 80_000),
    to_ma=st.integers(0, 80_000),
    span_us=st.integers(0, 5_000_000),
    instants=st.lists(st.integers(0, 10_000_000), min_size=2, max_size=20),
)
def test_charge_never_decreases(from_ma, to_ma, span_us, instants):
    draw = Draw(start_us=0, from_ma=from_ma, to_ma=to_ma, span_us=span_us)

    charges = [draw.charge_ma_us(at) for at in sorted(instants)]

    assert charges == sorted(charges)
    assert charges[0] >= 0
