"""Limits that others than the CSMS set, as profiles: so the CSMS can ask for them (K09).

They are reported as external constraints that hold from now on. Their ids are negative, and
none that a CSMS has given away; they are counted anew with every report.
"""

from collections.abc import Iterable, Iterator
from itertools import count

from agent.core.smart_charging.profile import (
    Book,
    Installed,
    Kind,
    Period,
    Profile,
    Purpose,
    Schedule,
    Unit,
    milli,
)
from agent.core.smart_charging.schedule import truncated
from agent.core.values import Bound, ExternalLimit


def constraints(
    limits: Iterable[ExternalLimit], book: Book, now_s: int | None
) -> Iterator[Installed]:
    """Yield limits as installed profiles.

    Args:
        book: what the CSMS has installed.
        now_s: UTC second, None while the time is unknown.
    """
    free = (number for number in count(-1, -1) if str(number) not in book.entries)
    for limit in limits:
        schedule = Schedule(*_terms(limit.bound), start_s=now_s)
        profile = Profile(next(free), 0, Purpose.EXTERNAL, Kind.ABSOLUTE, (schedule,))
        yield Installed(limit.evse_id, profile, limit.source)


def _terms(bound: Bound) -> tuple[Unit, tuple[Period, ...]]:
    if bound.limit_a is None:
        return Unit.WATT, (Period(0, truncated(milli(bound.limit_w or 0.0))),)
    return Unit.AMPERE, (Period(0, truncated(milli(bound.limit_a))),)
