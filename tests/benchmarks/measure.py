"""Rows, their verdicts, and how the time of a function is taken.

Every row compares ours with theirs: a peer, or the yardstick that the row names. What is
demanded of the ratio is decided here and nowhere else, so that a row cannot flatter itself.
"""

import enum
import statistics
from collections.abc import Callable, Sequence
from itertools import repeat
from time import perf_counter

import msgspec


class BenchmarkError(Exception):
    """A measurement could not be taken; the message says what is missing."""


class Sense(enum.Enum):
    """How a row's ratio is formed, and which side of the bound is good."""

    FASTER = "theirs / ours, at least"
    """Both figures are times: how many times faster we are."""

    MORE = "ours / theirs, at least"
    """Both figures are rates: how many times more we do."""

    COST = "ours / theirs, at most"
    """Both figures are expenses: what we need of what they need."""


class Row(msgspec.Struct, frozen=True):
    """One line of the table.

    Attributes:
        name: unique; the part before the dot is the benchmark that measures it.
        what: the work that is compared, for people.
        unit: of both figures.
        demanded: bound of the ratio; None: for information.
    """

    name: str
    what: str
    unit: str
    sense: Sense
    demanded: float | None


class Figures(msgspec.Struct, frozen=True):
    """What was measured for a row, in its unit."""

    ours: float
    theirs: float


class Benchmark(msgspec.Struct, frozen=True):
    """Rows that are measured together.

    Attributes:
        measure: returns the figures of the rows, in their order; may take minutes.
    """

    rows: tuple[Row, ...]
    measure: Callable[[], Sequence[Figures]]


class Result(msgspec.Struct, frozen=True):
    """A measured row."""

    row: Row
    figures: Figures

    @property
    def ratio(self) -> float:
        ours, theirs = self.figures.ours, self.figures.theirs
        if self.row.sense is Sense.FASTER:
            return theirs / ours
        return ours / theirs

    @property
    def holds(self) -> bool:
        """Tell whether the row keeps its bound; one without a bound always does."""
        demanded = self.row.demanded
        if demanded is None:
            return True
        if self.row.sense is Sense.COST:
            return self.ratio <= demanded
        return self.ratio >= demanded

    @property
    def verdict(self) -> str:
        if self.row.demanded is None:
            return "-"
        return "ok" if self.holds else "short"


def alternated(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int = 9,
    round_s: float = 0.1,
) -> tuple[float, float]:
    """Return the median seconds per call of two functions.

    Rounds of the two alternate, so that a busy moment of the machine meets both. The first
    round warms caches up and only finds out how many calls fill `round_s`. The garbage
    collector stays on: its work belongs to the work.
    """
    counts = [_calls_in(function, round_s) for function in (ours, theirs)]
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for times, function, count in zip(taken, (ours, theirs), counts, strict=True):
            times.append(_seconds(function, count) / count)
    return statistics.median(taken[0]), statistics.median(taken[1])


def _calls_in(function: Callable[[], object], round_s: float) -> int:
    count = 1
    while (seconds := _seconds(function, count)) < round_s / 4:
        count *= 2
    return max(1, round(count * round_s / seconds))


def _seconds(function: Callable[[], object], count: int) -> float:
    begun = perf_counter()
    for _ in repeat(None, count):
        function()
    return perf_counter() - begun
