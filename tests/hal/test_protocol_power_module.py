"""What all power modules have in common: numbers that never exceed what was meant."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.protocols.power_module import (
    Accepted,
    Current,
    Temperature,
    Voltage,
    counts,
    known,
)


@given(st.floats(0, 4e6))
def test_a_number_is_counted_down_never_up(value: float) -> None:
    counted = counts(value, 1e3, 0xFFFFFFFF)
    assert counted <= value * 1e3 < counted + 1


@pytest.mark.parametrize("value", [-0.001, 65.536, math.nan, math.inf, -math.inf])
def test_what_the_wire_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"cannot be set: 0 to 65\.535"):
        counts(value, 1e3, 0xFFFF)


def test_the_most_that_the_wire_can_say_is_said() -> None:
    assert counts(65.535, 1e3, 0xFFFF) == 0xFFFF


def test_a_measurement_that_is_no_number_is_not_reported() -> None:
    good = (Voltage(1, 400.0), Current(1, 0.0), Temperature(1, -5.0), Accepted(1))
    bad = (Voltage(1, math.nan), Current(1, math.inf), Temperature(1, -math.inf))
    assert known(*bad, *good) == good
