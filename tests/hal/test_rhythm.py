"""Devices are asked together where it makes no difference to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.rhythm import LEAST, TOLERANCE, together

EVERY = st.sampled_from((0.2, 0.5, 1.0, 5.0))


@given(begun_s=st.floats(0, 1e6), every_s=EVERY)
def test_on_a_quiet_line_everybody_is_asked_at_the_same_instants_after_two_looks(
    begun_s: float, every_s: float
) -> None:
    for _ in range(2):
        begun_s = together(begun_s + every_s, begun_s=begun_s, every_s=every_s)
    assert begun_s / every_s == pytest.approx(round(begun_s / every_s), abs=1e-6)
    after_s = together(begun_s + every_s, begun_s=begun_s, every_s=every_s)
    assert after_s == pytest.approx(begun_s + every_s, abs=1e-6)


@given(begun_s=st.floats(0, 1e5), part=st.floats(LEAST, 1.0), every_s=EVERY)
def test_nobody_is_asked_much_later_than_is_due_nor_again_at_once(
    begun_s: float, part: float, every_s: float
) -> None:
    due_s = begun_s + part * every_s
    found = together(due_s, begun_s=begun_s, every_s=every_s)
    assert begun_s + LEAST * every_s - 1e-6 <= found <= due_s + TOLERANCE * every_s + 1e-6


@pytest.mark.parametrize("due_s", [10.85, 10.9, 11.2])
def test_on_a_busy_line_a_look_that_is_due_early_is_not_held_up(due_s: float) -> None:
    assert together(due_s, begun_s=10.3, every_s=1.0) == (11.0 if due_s > 11 else due_s)
