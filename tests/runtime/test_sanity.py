"""Which readings are believed."""

import math

import pytest
from msgspec.structs import replace

from agent.runtime.sanity import MOST_A, MOST_W, STEP_WH, Sanity
from hal.types import DcReading, Phases
from tests.support.core import reading

NAN = math.nan


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"voltage_v": Phases(NAN, 230.0, 230.0)}, "voltages"),
        ({"voltage_v": Phases(230.0, -1.0, 230.0)}, "voltages"),
        ({"voltage_v": Phases(230.0, 230.0, 300.1)}, "voltages"),
        ({"current_a": Phases(0.0, 0.0, NAN)}, "currents"),
        ({"current_a": Phases(-121.0, 0.0, 0.0)}, "currents"),
        ({"power_w": NAN}, "power"),
        ({"power_w": MOST_W + 1.0}, "power"),
        ({"frequency_hz": 44.9}, "frequency"),
        ({"dc": DcReading(1500.1, 0.0)}, "direct current"),
        ({"dc": DcReading(-0.1, 0.0)}, "direct current"),
        ({"dc": DcReading(400.0, -3000.1)}, "direct current"),
        ({"dc": DcReading(NAN, 0.0)}, "direct current"),
        ({"frequency_hz": NAN}, "frequency"),
        ({"energy_import_wh": NAN}, "register"),
        ({"energy_import_wh": math.inf}, "register"),
        ({"energy_import_wh": -1.0}, "register"),
    ],
    ids=lambda item: item if isinstance(item, str) else next(iter(item)),
)
def test_what_hardware_cannot_show_is_not_believed(changes, named):
    assert named in Sanity().problem(replace(reading(), **changes), 0.0)


def test_a_larger_evse_is_believed_to_draw_more():
    large = replace(reading(), current_a=Phases(230.0, 0.0, 0.0), power_w=2.0 * MOST_W)
    assert "currents" in Sanity().problem(large, 0.0)
    assert Sanity(rated_a=160.0).problem(large, 0.0) == ""
    assert "power" in Sanity(rated_a=160.0).problem(replace(large, power_w=2.1 * MOST_W), 0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"frequency_hz": None},
        {"dc": DcReading(402.0, 120.0)},
        {"frequency_hz": 45.0},
        {"frequency_hz": 65.0},
        {"voltage_v": Phases(300.0, 0.0, 0.0)},
        {"current_a": Phases(MOST_A, -MOST_A, 0.0)},
        {"power_w": -7_000.0},
        {"energy_import_wh": 0.0},
    ],
    ids=str,
)
def test_what_can_be_is_believed(changes):
    assert Sanity().problem(replace(reading(), **changes), 0.0) == ""


def test_a_register_never_falls_and_a_refused_one_is_not_remembered():
    judge = Sanity()
    assert judge.problem(reading(1000.0), 0.0) == ""
    assert "fell" in judge.problem(reading(999.0), 1.0)
    assert judge.problem(reading(1000.0), 2.0) == ""


def test_a_register_rises_no_faster_than_power_and_one_step_allow():
    judge = Sanity()
    most_wh = MOST_W * 3600.0 / 3600.0 + STEP_WH
    assert judge.problem(reading(0.0), 0.0) == ""
    assert "rose" in judge.problem(reading(most_wh + 1.0), 3600.0)
    assert judge.problem(reading(most_wh), 3600.0) == ""
