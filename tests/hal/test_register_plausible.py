from pathlib import Path

import pytest

from hal.registers.map import load_map
from hal.registers.plausible import Plausibility

SDM630 = load_map(Path(__file__).parents[2] / "config/registers/eastron-sdm630.toml")
POINTS = {point.name: point for point in SDM630.points}
ENERGY, POWER, FREQUENCY = (
    POINTS[name] for name in ("energy_import", "power_total", "frequency")
)


@pytest.fixture
def judge() -> Plausibility:
    return Plausibility(60_000.0)


def test_a_value_that_is_not_there_is_not_plausible(judge):
    assert judge.problem(POWER, None, 0.0) == "has no value"


@pytest.mark.parametrize("value", [44.9, 65.1])
def test_a_value_out_of_its_range_is_not_plausible(judge, value):
    assert judge.problem(FREQUENCY, value, 0.0) == f"is {value} Hz; plausible is 45 to 65"


def test_an_energy_register_never_falls(judge):
    judge.accept(ENERGY, 1000.0, 0.0)
    assert judge.problem(ENERGY, 999.0, 1e9) == "fell from 1000.0 to 999.0 Wh"
    assert judge.problem(ENERGY, 1000.0, 0.0) is None


def test_an_energy_register_rises_no_faster_than_twice_the_greatest_power(judge):
    judge.accept(ENERGY, 1000.0, 0.0)
    judge.accept(ENERGY, None, 5.0)
    assert judge.problem(ENERGY, 1000.0 + 120_000 + 10, 3600.0) is None
    assert judge.problem(ENERGY, 1000.0 + 120_000 + 11, 3600.0) == (
        "rose by 120011 Wh; possible are 120010"
    )


def test_power_may_jump(judge):
    judge.accept(POWER, 60_000.0, 0.0)
    assert judge.problem(POWER, -60_000.0, 0.0) is None
