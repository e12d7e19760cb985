"""One day of three lives, and an hour of a site, with every run of the tests."""

import pytest

from tests.simulation.life import Life
from tests.simulation.site import FUSE_A, SiteLife


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_day_ends_with_balanced_books(seed):
    figures = Life(seed).live(1)
    assert figures.days == 1
    assert figures.transactions > 0
    assert figures.energy_wh > 0


def test_an_hour_of_a_site_stays_within_every_limit():
    figures = SiteLife(3).live(1 / 24)
    assert figures.seconds >= 3_600
    assert figures.transactions > 0
    assert 0.0 < figures.busiest_a <= FUSE_A
