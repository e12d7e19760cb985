"""Composite schedules: of as many profiles as large sites stack, cold and asked again.

Theirs is `json.loads` of the same profiles: what it costs to read them at all.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from agent.core.smart_charging import composite
from agent.core.smart_charging.composite import Place
from agent.core.smart_charging.profile import (
    HARDWARE,
    Book,
    Installed,
    Kind,
    Period,
    Profile,
    Purpose,
    Recurrency,
    Schedule,
    Unit,
)
from agent.core.smart_charging.schedule import Cap, Origin
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense

MIDNIGHT = 1_767_225_600
NOW = MIDNIGHT + 3 * 86_400 + 37_001
"""In the middle of a day, so that 24 hours lie in two."""

PLACE = Place(1, 3, 230)
LIMITS = Cap(current=(32_000, Origin(HARDWARE)))
ROUNDS = 30
MANY, FEW = (100, 96), (50, 48)
"""Four times as much work, if it grows in line; n log n adds a fifth."""


def profile(number: int, periods: int) -> Profile:
    """Return a daily profile on a level of its own; every one has hours to itself."""
    purpose = (Purpose.TX_DEFAULT, Purpose.STATION_MAX)[number % 2]
    steps = tuple(
        Period(86_400 * n // periods, 6_000 + (37 * number + 11 * n) % 260 * 100)
        for n in range(periods)
    )
    lasts_s = 43_200 + 613 * number % 43_200
    schedule = Schedule(Unit.AMPERE, steps, number, MIDNIGHT, lasts_s)
    return Profile(number, number, purpose, Kind.RECURRING, (schedule,), Recurrency.DAILY)


def text(one: Profile) -> str:
    """Return a profile as the CSMS writes it."""
    (schedule,) = one.schedules
    periods = [
        {"startPeriod": item.start_s, "limit": item.limit / 1000, "numberPhases": 3}
        for item in schedule.periods
    ]
    payload: dict[str, Any] = {
        "chargingProfileId": one.profile_id,
        "stackLevel": one.stack_level,
        "chargingProfilePurpose": one.purpose.value,
        "chargingProfileKind": one.kind.value,
        "recurrencyKind": "Daily",
        "chargingSchedule": {
            "duration": schedule.duration_s,
            "startSchedule": "2026-01-01T00:00:00.000Z",
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": periods,
        },
    }
    return json.dumps(payload)


def composed(book: Book) -> object:
    """Return the composite schedule of 24 hours."""
    return composite.entries(book, PLACE, Unit.AMPERE, LIMITS, NOW, NOW + 86_400)


def _work(count: int, periods: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the composition of profiles that nobody has seen, and their reading."""
    profiles = [profile(number, periods) for number in range(count)]
    installed = {one.key: Installed(0, one) for one in profiles}
    texts = [text(one) for one in profiles]
    return (
        lambda: composed(Book(installed)),  # a book is known by its identity
        lambda: [json.loads(one) for one in texts],
    )


def _least(*works: Callable[[], object]) -> list[float]:
    """Return the shortest time of each, in us; they take turns."""
    least = [float("inf")] * len(works)
    for _, (place, work) in itertools.product(range(ROUNDS), enumerate(works)):
        began = perf_counter()
        work()
        least[place] = min(least[place], (perf_counter() - began) * 1e6)
    return least


def _measure() -> Sequence[Figures]:
    cold, read = _work(42, 24)
    book = Book({one.key: Installed(0, one) for one in (profile(n, 24) for n in range(42))})
    first = composed(book)
    if not isinstance(first, tuple) or len(first) < 2:
        raise BenchmarkError("the composite schedule has no periods")
    cold_us, read_us, again_us = _least(cold, read, lambda: composed(book))
    many_us, few_us = _least(_work(*MANY)[0], _work(*FEW)[0])
    return (
        Figures(cold_us, read_us),
        Figures(again_us, cold_us),
        Figures(many_us, few_us),
    )


COMPOSITE = Benchmark(
    rows=(
        Row(
            "composite.cold",
            "42 profiles x 24 periods over 24 h; theirs: json.loads of the same profiles",
            "us",
            Sense.COST,
            4.0,
        ),
        Row(
            "composite.again",
            "asked again, unchanged; theirs: the first time",
            "us",
            Sense.COST,
            0.02,
        ),
        Row(
            "composite.growth",
            "100 profiles x 96 periods; theirs: 50 x 48 (n log n: 4.8 times)",
            "us",
            Sense.COST,
            4.8,
        ),
    ),
    measure=_measure,
)
