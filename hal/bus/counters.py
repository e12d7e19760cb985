"""What a line has seen, and which units on it do not answer.

`PortCounters` and `CanCounters` are for people; `Tally` keeps them. `Silence` keeps one dead
unit from taking the time of the others: after `PATIENCE` unanswered requests its polls are
refused at once, for longer and longer, at most `LONGEST_S`. Commands always go out.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from hal.types import Value

PATIENCE: Final = 3
SHORTEST_S: Final = 1.0
LONGEST_S: Final = 5.0

_WINDOW_S: Final = 10.0


class PortCounters(Value, frozen=True):
    """What a port has seen since it was made.

    Attributes:
        connects: connections that came about.
        requests: exchanges begun, the good ones too.
        retries: those of them that repeated one without an answer.
        timeouts: requests without an answer in time.
        late: answers that came when nobody waited for them any more; they are dropped.
        errors: requests that failed otherwise, and connections that did not come about.
        refusals: answers that a device refused with an exception.
        skipped: polls that were not sent, because their unit has not answered for a while.
        load: part of the time that the line was taken, 0 to 1, over some ten seconds.
    """

    connects: int = 0
    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    late: int = 0
    errors: int = 0
    refusals: int = 0
    skipped: int = 0
    load: float = 0.0


class CanCounters(Value, frozen=True):
    """What a CAN port has seen since it was made.

    Attributes:
        connects: how often it was opened.
        sent, received: frames.
        ignored: frames that are no data frames with 29-bit identifiers.
        errors: frames that the line did not take, attempts to open it, and losses.
        bus_offs: how often the controller has left the line because of errors on it.
        load: part of the time that it sends, 0 to 1, over some ten seconds.
    """

    connects: int = 0
    sent: int = 0
    received: int = 0
    ignored: int = 0
    errors: int = 0
    bus_offs: int = 0
    load: float = 0.0


_Counters = TypeVar("_Counters", bound=PortCounters | CanCounters)


class Tally(Generic[_Counters]):
    """Counts; `of` names one of the whole-number counters.

    Args:
        kind: what the counters are handed out as.
    """

    def __init__(self, kind: type[_Counters]) -> None:
        self._kind: Callable[..., _Counters] = kind
        self._counts: dict[str, int] = {}
        self._load = self._busy_s = 0.0
        self._window_at: float | None = None

    def count(self, of: str) -> None:
        """Add one."""
        self._counts[of] = self._counts.get(of, 0) + 1

    def busy(self, since_s: float, until_s: float) -> None:
        """Take that the line was taken between two instants of the loop's clock."""
        if self._window_at is None:
            self._window_at = since_s
        self._busy_s += until_s - since_s
        if (window_s := until_s - self._window_at) >= _WINDOW_S:
            self._load = min(1.0, self._busy_s / window_s)
            self._window_at, self._busy_s = until_s, 0.0

    def counters(self) -> _Counters:
        """Return what has happened so far."""
        return self._kind(**self._counts, load=round(self._load, 3))


class Silence:
    """Which units do not answer, and when they are asked again."""

    def __init__(self) -> None:
        self._missed: dict[int, int] = {}
        self._until_s: dict[int, float] = {}

    def heard(self, unit: int) -> None:
        """Take that a unit answered."""
        self._missed.pop(unit, None)
        self._until_s.pop(unit, None)

    def missed(self, unit: int, now_s: float) -> None:
        """Take that a unit did not answer."""
        missed = self._missed[unit] = self._missed.get(unit, 0) + 1
        if missed >= PATIENCE:
            pause_s = min(SHORTEST_S * 2.0 ** min(missed - PATIENCE, 8), LONGEST_S)
            self._until_s[unit] = now_s + pause_s

    def wait_s(self, unit: int, now_s: float) -> float:
        """Return how long a unit is left in peace, 0 when it may be asked."""
        return max(0.0, self._until_s.get(unit, now_s) - now_s)
