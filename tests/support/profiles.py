"""Charging profiles in few words, at random, and what is made of them."""

from collections.abc import Sequence

from hypothesis import strategies as st

from agent.core.smart_charging.composite import Place, entries, station_entries
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
    milli,
)
from agent.core.smart_charging.schedule import Cap, Origin

T0 = 1_736_157_600
"""2025-01-06T10:00:00Z, a Monday."""

DAY = 86_400
TX = "tx-1"


def schedule(
    periods: Sequence[tuple[float, ...]],
    *,
    unit: str = "A",
    start: int | None = T0,
    duration: int | None = None,
    schedule_id: int = 0,
) -> Schedule:
    """Return a schedule of (start, limit[, phases[, phase to use]])."""
    found = [
        Period(int(start_s), milli(limit), *map(int, more)) for start_s, limit, *more in periods
    ]
    return Schedule(Unit(unit), tuple(found), schedule_id, start, duration)


def profile(
    profile_id: int,
    periods: Sequence[tuple[float, ...]],
    purpose: Purpose = Purpose.TX_DEFAULT,
    *,
    level: int = 0,
    kind: Kind = Kind.ABSOLUTE,
    every: Recurrency | None = None,
    unit: str = "A",
    start: int | None = T0,
    duration: int | None = None,
    valid_from: int | None = None,
    valid_to: int | None = None,
    transaction: str | None = TX,
) -> Profile:
    """Return a profile; a recurring one when `every` says how often."""
    if every is not None:
        kind = Kind.RECURRING
    start_s = None if kind is Kind.RELATIVE else start
    return Profile(
        profile_id=profile_id,
        stack_level=level,
        purpose=purpose,
        kind=kind,
        schedules=(schedule(periods, unit=unit, start=start_s, duration=duration),),
        recurrency=every,
        valid_from_s=valid_from,
        valid_to_s=valid_to,
        transaction_id=transaction if purpose is Purpose.TX else None,
    )


def book(*installed: Profile | tuple[int, Profile]) -> Book:
    """Return a book; what limits the station stands at EVSE 0, all else at EVSE 1."""
    found = {}
    for item in installed:
        if isinstance(item, tuple):
            evse_id, one = item
        else:
            evse_id, one = (0 if item.purpose is Purpose.STATION_MAX else 1), item
        found[one.key] = Installed(evse_id, one)
    return Book(found)


def hardware(limit_ma: int) -> Cap:
    """Return what hardware allows that nothing else limits."""
    return Cap(current=(limit_ma, Origin(HARDWARE)))


def composite(
    installed: Book,
    duration: int,
    *,
    now: int = T0,
    unit: str = "A",
    evse_id: int = 1,
    phases: int = 3,
    transaction: str | None = None,
    started: int | None = None,
    falls_back: bool = True,
    local: float = 32.0,
    evses: int = 1,
) -> list[tuple[float, ...]]:
    """Return the composite schedule as (start, limit[, phases])."""
    where = Place(
        evse_id, phases, 230, transaction, now if started is None else started, falls_back
    )
    end, of_unit, limits = now + duration, Unit(unit), hardware(milli(local))
    if evse_id == 0:
        parts = tuple((where._replace(evse_id=n + 1), limits) for n in range(evses))
        found = station_entries(installed, (where, Cap()), parts, of_unit, now, end)
    else:
        found = entries(installed, where, of_unit, limits, now, end)
    return [
        (item.start_s, item.limit / 1000, *(() if item.phases is None else (item.phases,)))
        for item in found
    ]


# --- at random ---

_SPANS = st.one_of(st.integers(1, 900), st.integers(1, 200_000))
_LIMITS = {
    Unit.AMPERE: st.integers(0, 40_000),
    Unit.WATT: st.integers(0, 25_000_000),
}


@st.composite
def schedules(draw: st.DrawFn, around: int, kind: Kind, schedule_id: int = 0) -> Schedule:
    """Return a schedule that is accepted, with starts near an instant."""
    unit = draw(st.sampled_from(Unit))
    gaps = draw(st.lists(_SPANS, max_size=6))
    starts = [sum(gaps[:count]) for count in range(len(gaps) + 1)]
    phases = st.one_of(st.none(), st.integers(1, 3))
    periods = tuple(Period(start, draw(_LIMITS[unit]), draw(phases)) for start in starts)
    return Schedule(
        unit,
        periods,
        schedule_id,
        None if kind is Kind.RELATIVE else around + draw(st.integers(-400_000, 100_000)),
        draw(st.one_of(st.none(), _SPANS)),
    )


@st.composite
def profiles(draw: st.DrawFn, around: int, ids: int = 4) -> Profile:
    """Return a profile; most of them are accepted somewhere."""
    purpose = draw(st.sampled_from([Purpose.TX, Purpose.TX_DEFAULT, Purpose.STATION_MAX]))
    kinds = list(Kind)
    if purpose is Purpose.STATION_MAX:
        kinds.remove(Kind.RELATIVE)
    kind = draw(st.sampled_from(kinds))
    valid_from = draw(st.one_of(st.none(), st.integers(-100_000, 100_000)))
    valid_s = draw(st.one_of(st.none(), _SPANS))
    from_s = None if valid_from is None else around + valid_from
    return Profile(
        profile_id=draw(st.integers(1, ids)),
        stack_level=draw(st.integers(0, 3)),
        purpose=purpose,
        kind=kind,
        schedules=(draw(schedules(around, kind)),),
        recurrency=draw(st.sampled_from(Recurrency)) if kind is Kind.RECURRING else None,
        valid_from_s=from_s,
        valid_to_s=None if valid_s is None else (from_s or around) + valid_s,
        transaction_id=TX if purpose is Purpose.TX else None,
    )
