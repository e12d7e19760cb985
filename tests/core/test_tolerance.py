"""Counting what the CSMS was forgiven."""

from agent.core.events import QuirksTolerated
from agent.core.tolerance import MOST, counted
from tests.support.core import Bench


def test_every_quirk_is_counted_by_its_name() -> None:
    first = counted({}, QuirksTolerated(("late_answer", "late_answer", "null")))
    assert first == {"late_answer": 2, "null": 1}
    assert counted(first, QuirksTolerated(("null",))) == {"late_answer": 2, "null": 2}


def test_a_count_ends_somewhere() -> None:
    assert counted({"null": MOST}, QuirksTolerated(("null",))) == {"null": MOST}


def test_the_station_keeps_the_counts_until_it_starts_again() -> None:
    bench = Bench()
    bench.post(QuirksTolerated(("null",)))
    assert bench.station.tolerated == {"null": 1}
    bench.power_cut()
    assert bench.station.tolerated == {}
