"""One day of three lives, with every run of the tests."""

import pytest

from tests.simulation.life import Life


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_day_ends_with_balanced_books(seed):
    figures = Life(seed).live(1)
    assert figures.days == 1
    assert figures.transactions > 0
    assert figures.energy_wh > 0
