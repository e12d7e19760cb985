"""The simulated meter's register: exact, monotonic, adjustable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.sim.meter import Register
from hal.sim.vehicle import Draw, SimRefused
from hal.types import Phases

HOUR_US = 3_600_000_000


def steady(current_ma: int, start_us: int = 0) -> Draw:
    return Draw(start_us=start_us, from_ma=current_ma, to_ma=current_ma)


def test_an_hour_at_32_a_on_three_phases_is_22080_wh():
    register = Register(phases=3, energy_wh=1_000.0)
    register.follow(steady(32_000), 3)

    assert register.energy_wh(HOUR_US) == 1_000.0 + 22_080.0


def test_a_hundred_thousand_small_pieces_add_up_to_the_whole():
    register = Register(phases=3, energy_wh=0.0)
    for at_us in range(0, HOUR_US, HOUR_US // 100_000):
        register.follow(steady(32_000, at_us), 3)

    assert register.energy_wh(HOUR_US) == 22_080.0


def test_a_reading_shows_every_phase_that_carries_current():
    register = Register(phases=3, energy_wh=0.0)
    register.follow(steady(10_000), 1)

    reading = register.reading(HOUR_US)

    assert reading.current_a == Phases(10.0, 0.0, 0.0)
    assert reading.voltage_v == Phases(230.0, 230.0, 230.0)
    assert reading.power_w == 2_300.0
    assert reading.energy_import_wh == 2_300.0
    assert reading.frequency_hz == 50.0


def test_a_single_phase_meter_has_no_voltage_on_the_others():
    assert Register(phases=1, energy_wh=0.0).reading(0).voltage_v == Phases(230.0, 0.0, 0.0)


def test_a_changed_voltage_counts_from_then_on():
    register = Register(phases=1, energy_wh=0.0)
    register.follow(steady(10_000), 1)
    register.set("voltage_l1", 100.0, HOUR_US)

    assert register.energy_wh(2 * HOUR_US) == 2_300.0 + 1_000.0
    assert register.reading(2 * HOUR_US).power_w == 1_000.0


def test_a_change_within_a_slope_keeps_the_rest_of_the_slope():
    register = Register(phases=1, energy_wh=0.0)
    register.follow(Draw(start_us=0, from_ma=0, to_ma=8_000, span_us=4_000_000), 1)
    register.set("frequency", 49.5, 1_000_000)

    assert register.reading(2_000_000).current_a.l1 == 4.0
    assert register.reading(9_000_000).current_a.l1 == 8.0
    assert register.reading(9_000_000).frequency_hz == 49.5


def test_an_exchanged_meter_continues_from_its_own_register():
    register = Register(phases=1, energy_wh=50.0)
    register.follow(steady(10_000), 1)
    register.set("energy_import", 7.0, HOUR_US)

    assert register.energy_wh(HOUR_US) == 7.0
    assert register.energy_wh(2 * HOUR_US) == 2_307.0


@pytest.mark.parametrize(
    ("point", "value", "says"),
    [
        ("colour", 1.0, "voltage_l1, voltage_l2"),
        ("voltage_l1", 501.0, "0 to 500"),
        ("voltage_l1", None, "0 to 500"),
        ("energy_import", -1.0, "0 to 1e\\+12"),
        ("frequency", float("nan"), "0 to 100"),
    ],
)
def test_a_value_that_cannot_be_set_is_refused_with_what_can(point, value, says):
    register = Register(phases=1, energy_wh=5.0)

    with pytest.raises(SimRefused, match=says):
        register.set(point, value, 0)
    assert register.energy_wh(0) == 5.0


@given(st.lists(st.tuples(st.integers(0, 32_000), st.integers(1, 5_000_000)), max_size=50))
def test_the_register_never_runs_backwards(pieces):
    register, at_us, shown = Register(phases=3, energy_wh=1e9), 0, []
    for level_ma, length_us in pieces:
        now_ma = register.draw.current_ma(at_us)
        register.follow(
            Draw(start_us=at_us, from_ma=now_ma, to_ma=level_ma, span_us=2_000_000), 3
        )
        shown += [register.energy_wh(at_us), register.energy_wh(at_us + length_us // 2)]
        at_us += length_us

    assert shown == sorted(shown)
