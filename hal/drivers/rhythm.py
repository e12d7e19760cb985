"""When devices are asked: together, where it makes no difference to them.

A processor that wakes up once for all of them does less than one that wakes up for each, and
its caches are warm for all but the first.
"""

import math
from typing import Final

TOLERANCE: Final = 0.05
"""How much later than it is due a look may be, as a part of its interval."""

LEAST: Final = 0.5
"""How much earlier it may be: not in less than this part of its interval."""


def together(due_s: float, *, begun_s: float, every_s: float) -> float:
    """Return when to look: with all others that are looked at as often, or when it is due.

    One that cannot join them with its next look does with the one after it, for which it looks
    once in half of the time; not on a line that is busy, where looks are due early.

    Args:
        due_s: when it is due, by the loop's clock.
        begun_s: when the last look began.
        every_s: the usual time between two looks.
    """
    shared_s = math.floor(due_s / every_s + TOLERANCE) * every_s
    soonest_s = begun_s + LEAST * every_s
    if shared_s >= soonest_s:
        return shared_s
    is_quiet = due_s >= begun_s + (1 - TOLERANCE) * every_s
    return soonest_s if is_quiet else due_s
