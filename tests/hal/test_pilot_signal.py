import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.pilot_signal import (
    HYSTERESIS_V,
    PERIOD_NS,
    Settled,
    ampacity_of,
    on_ns,
    state_of,
)
from hal.sim.direct_board import offered_a
from hal.types import PilotState

A, B, C, D, E = (PilotState[name] for name in "ABCDE")


@pytest.mark.parametrize(
    ("limit_a", "percent"),
    [
        (6, 10.0),
        (8, 13.3333),
        (10, 16.6666),
        (13, 21.6666),
        (16, 26.6666),
        (20, 33.3333),
        (24, 40.0),
        (32, 53.3333),
        (40, 66.6666),
        (48, 80.0),
        (51, 85.0),
        (63, 89.2),
        (64, 89.6),
        (70, 92.0),
        (80, 96.0),
    ],
)
def test_the_duty_is_that_of_the_table(limit_a, percent):
    """IEC 61851-1 table A.7 (hardware reference 1.1), rounded down to the nanosecond."""
    assert math.floor(on_ns(limit_a) / PERIOD_NS * 1e6) / 1e4 == percent


def test_no_current_is_no_pwm():
    assert on_ns(0) == on_ns(0.0) == PERIOD_NS


@given(st.floats(6.0, 80.0))
def test_a_vehicle_never_reads_more_than_was_offered(limit_a):
    read_a = offered_a(on_ns(limit_a) / PERIOD_NS)
    assert read_a <= limit_a + 1e-9
    assert read_a >= min(limit_a, 51.0 if limit_a < 52.5 else limit_a) - 1.5


@given(st.floats(6.0, 80.0), st.floats(6.0, 80.0))
def test_more_current_is_never_a_lower_duty_on_the_same_slope(one_a, other_a):
    low_a, high_a = sorted((one_a, other_a))
    if (low_a <= 51) is (high_a <= 51):
        assert on_ns(low_a) <= on_ns(high_a)


@pytest.mark.parametrize(
    ("volts", "state"),
    [
        (15, A), (12, A), (11, A), (10.5, A), (10.49, B), (9, B), (7.5, B), (7.49, C), (6, C),
        (4.5, C), (4.49, D), (3, D), (1.5, D), (1.49, E), (0, E), (-12, E),
    ],
)  # fmt: skip
def test_a_voltage_is_a_state(volts, state):
    assert state_of(volts, None) is state


@pytest.mark.parametrize(
    ("bound", "above", "below"), [(10.5, A, B), (7.5, B, C), (4.5, C, D), (1.5, D, E)]
)
def test_a_voltage_near_a_bound_leaves_the_state_what_it_was(bound, above, below):
    for before in (above, below):
        for volts in (bound - HYSTERESIS_V + 0.01, bound, bound + HYSTERESIS_V - 0.01):
            assert state_of(volts, before) is before
    assert state_of(bound - HYSTERESIS_V - 0.01, above) is below
    assert state_of(bound + HYSTERESIS_V + 0.01, below) is above


@pytest.mark.parametrize(
    ("ohm", "rating_a"),
    [
        (math.inf, None),
        (4501, None),
        (2700, 13.0),
        (1500, 13.0),
        (1000, 13.0),
        (999, 20.0),
        (680, 20.0),
        (330, 20.0),
        (329, 32.0),
        (220, 32.0),
        (150, 32.0),
        (149, 63.0),
        (100, 63.0),
        (50, 63.0),
    ],
)
def test_a_resistor_is_the_rating_of_its_cable(ohm, rating_a):
    assert ampacity_of(ohm, 3) == rating_a


def test_the_largest_cable_carries_more_on_one_phase():
    assert ampacity_of(100, 1) == 70.0


@pytest.mark.parametrize("ohm", [0, 49.9, 2701, 4500])
def test_what_no_cable_has_is_an_error(ohm):
    with pytest.raises(ValueError, match="ohm at the proximity wire are no cable"):
        ampacity_of(ohm, 3)


def test_what_is_the_same_for_some_samples_has_settled():
    settled = Settled[str](3)
    assert [settled.feed(one) for one in "aabaaab"] == [None, None, None, None, None, "a", "a"]
    assert [settled.feed(one) for one in "bb"] == ["a", "b"]
    assert settled.value == "b"
