"""From stacked profiles to what an EVSE may draw over time.

    TxProfiles of the transaction   ─ overlay by level ─┐
    TxDefaultProfiles of EVSE and 0 ─ overlay by level ─┴ overlay ─┐
    external constraints of the EVSE ─ overlay by level ───────────┴ least ─ own limits
    maximum of the station ─ overlay by level ─┐
    external constraints of EVSE 0 ────────────┴ least ─ limits of the station as a whole

Within a stack the highest level that is active at an instant counts, not the lowest limit; a
TxProfile that is not active lets the TxDefaultProfiles through (1.6 6.6; 2.0.1 5.3). Limits in
A and in W are carried side by side; the conversion comes last. What is told also keeps to the
limits that do not come from profiles, of hardware and site, as if they stayed as they are.

Curves are computed in pieces of whole days and remembered: what is asked about an unchanged
book is only cut out of what is known already.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple, TypeAlias

from agent.core.smart_charging.profile import (
    Book,
    Entry,
    Installed,
    Kind,
    Period,
    Profile,
    Purpose,
    Schedule,
    Unit,
)
from agent.core.smart_charging.schedule import (
    Cap,
    Curve,
    Mark,
    Origin,
    at,
    clip,
    combine,
    constant,
    convert,
    curve,
    least,
    met,
    next_change,
    overlay,
    truncated,
)
from agent.core.values import Value

DAY_S: Final = 86_400

USUAL_DAYS: Final = 2
"""Least length of a piece: a schedule over 24 hours lies in two days."""

REMEMBERED: Final = 32
"""Pieces that are remembered: enough for the EVSEs of a large station."""

_UNLIMITED: Final = Cap()
"""What hides the profiles below it without limiting anything."""


class Place(NamedTuple):
    """What of an EVSE decides about its limits; EVSE 0 is the station.

    Attributes:
        phases: that it has.
        voltage_v: nominal, line to neutral.
        transaction_id: of the open transaction, None without one.
        anchor_s: start of the transaction; without one, when it is supposed to start.
        falls_back: a TxProfile that is not active lets TxDefaultProfiles through.
        chosen: id of the schedule that the vehicle has chosen, None while it has not.
        is_dc: what a profile says of phases means nothing here (2.0.1 K01.FR.44).
    """

    evse_id: int
    phases: int
    voltage_v: int
    transaction_id: str | None = None
    anchor_s: int = 0
    falls_back: bool = True
    chosen: int | None = None
    is_dc: bool = False


class Allowed(Value, frozen=True):
    """What profiles allow at one instant.

    Attributes:
        limit_ma: per phase; of limits in W what they leave on their phases. None: no limit.
        current_ma: per phase, as far as a limit in A says so.
        limit_mw: for all phases, as far as a limit in W says so.
        phases: the fewest that may be used, None for all.
        origin: purpose of the strictest profile.
        profile_id: its id.
    """

    limit_ma: int | None = None
    current_ma: int | None = None
    limit_mw: int | None = None
    phases: int | None = None
    origin: str = ""
    profile_id: int = 0


# --- curves ---


def own(book: Book, place: Place, start_s: int, end_s: int) -> Curve[Cap]:
    """Return what the profiles for one EVSE allow it, without the station's limits."""
    return _days(book, _settled(book, place), start_s, end_s)


def station(book: Book, place: Place, start_s: int, end_s: int) -> Curve[Cap]:
    """Return what the profiles allow all EVSEs together.

    Args:
        place: EVSE 0, with the phases of the grid connection.
    """
    return _days(book, place._replace(evse_id=0, transaction_id=None), start_s, end_s)


def effective(book: Book, place: Place, start_s: int, end_s: int) -> Curve[Cap]:
    """Return what one EVSE may draw if the others draw nothing."""
    parts = (own(book, place, start_s, end_s), station(book, place, start_s, end_s))
    return clip(least(parts), start_s, end_s)


def _days(book: Book, place: Place, start_s: int, end_s: int) -> Curve[Cap]:
    first = start_s // DAY_S
    days = max(USUAL_DAYS, -(-end_s // DAY_S) - first)
    return clip(_piece(book, place, first, days), start_s, end_s)


def _settled(book: Book, place: Place) -> Place:
    """Return a place without the start that no profile asks for: it is the same later on."""
    kinds = (entry.profile.kind for entry in book.entries.values())
    return place if Kind.RELATIVE in kinds else place._replace(anchor_s=0)


@lru_cache(REMEMBERED)
def _piece(book: Book, place: Place, day: int, days: int) -> Curve[Cap]:
    """Return the curve of some UTC days; a book is recognized by its identity."""
    start_s, end_s = day * DAY_S, (day + days) * DAY_S
    if place.evse_id == 0:
        purposes = (Purpose.STATION_MAX, Purpose.EXTERNAL)
        layers = [_stacked(book, purpose, place, start_s, end_s) for purpose in purposes]
        return least(layers)
    external = _stacked(book, Purpose.EXTERNAL, place, start_s, end_s)
    return least((_session(book, place, start_s, end_s), external))


def _session(book: Book, place: Place, start_s: int, end_s: int) -> Curve[Cap]:
    """Return what limits the transaction: TxProfile before TxDefaultProfile."""
    layers = [_stacked(book, Purpose.TX, place, start_s, end_s)]
    if not place.falls_back:
        layers += [
            constant(_UNLIMITED, *_validity(entry.profile, start_s, end_s))
            for entry in _stack(book, Purpose.TX, place)
        ]
    layers.append(_stacked(book, Purpose.TX_DEFAULT, place, start_s, end_s))
    return overlay([layer for layer in layers if layer])


def _stacked(
    book: Book, purpose: Purpose, place: Place, start_s: int, end_s: int
) -> Curve[Cap]:
    """Return what the highest active profile of a purpose says.

    From the top down, every profile only fills the gaps that those above it have left: what is
    hidden is not even unrolled.
    """
    steps: list[tuple[int, Cap | None]] = []
    gaps = [(start_s, end_s)]
    for entry in _stack(book, purpose, place):
        left: list[tuple[int, int]] = []
        for gap in gaps:
            said = _unrolled(entry.profile, place, *gap)
            ends = [from_s for from_s, _ in said[1:]]
            for (from_s, terms), to_s in zip(said, [*ends, gap[1]], strict=True):
                if terms is None:
                    left.append((from_s, to_s))
                else:
                    steps.append((from_s, met([_cap(term, place) for term in terms])))
        gaps = left
    steps += [(from_s, None) for from_s, _ in gaps]
    steps.append((end_s, None))
    return curve(sorted(steps, key=itemgetter(0)))


def _stack(book: Book, purpose: Purpose, place: Place) -> list[Installed]:
    """Return the profiles of a purpose that apply here, the most important one first.

    At equal levels the EVSE's own profile comes before the station's (1.6 6.2).
    """

    def applies(entry: Installed) -> bool:
        match purpose:
            case Purpose.TX:
                is_here = entry.evse_id == place.evse_id
                return is_here and entry.profile.transaction_id == place.transaction_id
            case Purpose.TX_DEFAULT:
                return entry.evse_id in {0, place.evse_id}
            case _:
                return entry.evse_id == place.evse_id

    found = [
        entry
        for entry in book.entries.values()
        if entry.profile.purpose is purpose and applies(entry)
    ]
    return sorted(found, key=_importance)


def _importance(entry: Installed) -> tuple[int, bool, int]:
    return -entry.profile.stack_level, entry.evse_id == 0, entry.profile.profile_id


# --- one profile ---


def _validity(profile: Profile, start_s: int, end_s: int) -> tuple[int, int]:
    """Return the part of a window in which a profile is valid; it may have no length."""
    from_s = start_s if profile.valid_from_s is None else max(start_s, profile.valid_from_s)
    to_s = end_s if profile.valid_to_s is None else min(end_s, profile.valid_to_s)
    return from_s, max(from_s, to_s)


def _unrolled(
    profile: Profile, place: Place, start_s: int, end_s: int
) -> "Sequence[tuple[int, _Terms | None]]":
    """Return what one profile says from `start_s` on, until before `end_s`.

    Until the vehicle has chosen among several schedules, all of them limit it.
    """
    from_s, to_s = _validity(profile, start_s, end_s)
    if from_s >= to_s:
        return [(start_s, None)]
    schedules = [item for item in profile.schedules if item.schedule_id == place.chosen]
    runs = [
        tuple(_run(profile, schedule, place, from_s, to_s))
        for schedule in schedules or profile.schedules
    ]
    found = runs[0] if len(runs) == 1 else combine(runs, _all_terms)
    before = [(start_s, None)] if not found or start_s < found[0][0] else []
    after = [(to_s, None)] if to_s < end_s else []
    return [*before, *found, *after]


def _run(
    profile: Profile, schedule: Schedule, place: Place, start_s: int, end_s: int
) -> "list[tuple[int, _Terms | None]]":
    """Return what one schedule says from `start_s` on, until before `end_s`."""
    periods = schedule.periods
    steps: list[tuple[int, _Terms | None]] = [(start_s, None)]
    for base_s, length_s in _starts(profile, schedule, place, start_s, end_s):
        stop_s = end_s if length_s is None else min(base_s + length_s, end_s)
        if stop_s <= start_s:
            continue
        # Of the periods that have begun by then only the last one counts.
        begun = bisect_right(periods, start_s - base_s, key=attrgetter("start_s"))
        for period in periods[max(begun - 1, 0) :]:
            from_s = max(base_s + period.start_s, start_s)
            if from_s >= stop_s:
                break
            if steps[-1][0] == from_s:
                steps.pop()
            steps.append((from_s, ((period, schedule, profile),)))
        if stop_s < end_s:
            steps.append((stop_s, None))
    return steps


_Term: TypeAlias = tuple[Period, Schedule, Profile]
_Terms: TypeAlias = tuple[_Term, ...]
"""Periods that hold at one instant, each with where it stands."""


def _all_terms(said: Sequence[_Terms]) -> _Terms:
    return tuple(term for terms in said for term in terms)


def _starts(
    profile: Profile, schedule: Schedule, place: Place, start_s: int, end_s: int
) -> Iterable[tuple[int, int | None]]:
    """Yield when a schedule starts, and for how long it runs then; None for ever."""
    if profile.kind is Kind.RELATIVE or schedule.start_s is None:
        yield place.anchor_s, schedule.duration_s
        return
    if profile.recurrency is None:
        yield schedule.start_s, schedule.duration_s
        return
    every_s = profile.recurrency.seconds
    lasts_s = min(schedule.duration_s or every_s, every_s)
    first = max(0, (start_s - schedule.start_s) // every_s)
    for base_s in range(schedule.start_s + first * every_s, end_s, every_s):
        yield base_s, lasts_s


def _cap(term: "_Term", place: Place) -> Cap:
    """Return a period's limit; one in W is spread over its phases, or all of the EVSE's.

    A period that names more phases than there are keeps its limit per phase (1.6 6.4
    number 10).
    """
    period, schedule, profile = term
    origin = Origin(profile.purpose, profile.profile_id)
    named = None if place.is_dc else period.phases
    if schedule.unit is Unit.AMPERE:
        return Cap(current=(period.limit, origin), phases=named)
    phases = place.phases if named is None else named
    per_phase_ma = period.limit // (place.voltage_v * phases)
    return Cap(power=(period.limit, origin), as_current=(per_phase_ma, origin), phases=named)


# --- answers ---


def allowed(cap: Cap | None) -> Allowed:
    """Return a cap as a limit to enforce."""
    strictest = None if cap is None else cap.amps()
    if cap is None or strictest is None:
        return Allowed()
    limit_ma, origin = strictest
    return Allowed(
        limit_ma=limit_ma,
        current_ma=None if cap.current is None else cap.current[0],
        limit_mw=None if cap.power is None else cap.power[0],
        phases=cap.phases,
        origin=origin.purpose,
        profile_id=origin.profile_id,
    )


def at_instant(book: Book, place: Place, second: int) -> tuple[Cap | None, int]:
    """Return what the profiles of a place allow at an instant, and until when that holds.

    Args:
        place: an EVSE, for its own profiles; or EVSE 0, for those of the station.

    Returns:
        The cap, and the next change or the end of the day, whichever comes first.
    """
    day = second // DAY_S
    steps = _piece(book, _settled(book, place), day, USUAL_DAYS)
    change_s, end_s = next_change(steps, second), (day + 1) * DAY_S
    return at(steps, second), end_s if change_s is None else min(change_s, end_s)


def lowest(book: Book, place: Place) -> Cap | None:
    """Return the least that the profiles of a place ever allow.

    That is all that is sure while nobody knows the time.
    """
    purposes = (
        (Purpose.STATION_MAX, Purpose.EXTERNAL)
        if place.evse_id == 0
        else (Purpose.TX, Purpose.TX_DEFAULT, Purpose.EXTERNAL)
    )
    caps = [
        _cap((period, schedule, entry.profile), place)
        for purpose in purposes
        for entry in _stack(book, purpose, place)
        for schedule in entry.profile.schedules
        for period in schedule.periods
    ]
    return met(caps) if caps else None


def local(amps: Iterable[Mark], watts: Iterable[Mark], place: Place) -> Cap:
    """Return limits that do not come from profiles, as they hold at a place.

    Args:
        amps: in mA per phase; of equal ones the first one counts.
        watts: in mW for all phases; in A each is spread over all phases of the place.
    """
    current = min(amps, key=itemgetter(0), default=None)
    power = min(watts, key=itemgetter(0), default=None)
    per_w = place.voltage_v * place.phases
    as_current = None if power is None else (power[0] // per_w, power[1])
    return Cap(current, power, as_current)


@lru_cache(REMEMBERED)
def entries(
    book: Book, place: Place, unit: Unit, limits: Cap, start_s: int, end_s: int
) -> tuple[Entry, ...]:
    """Return the composite schedule of one EVSE from `start_s` until before `end_s`.

    It is what the EVSE may draw if the others draw nothing.

    Args:
        limits: what holds there beside the profiles; at least the hardware's own in A.
    """
    return _listed(_numbers(book, place, unit, limits, start_s, end_s), start_s)


@lru_cache(REMEMBERED)
def station_entries(
    book: Book,
    whole: tuple[Place, Cap],
    parts: tuple[tuple[Place, Cap], ...],
    unit: Unit,
    start_s: int,
    end_s: int,
) -> tuple[Entry, ...]:
    """Return the composite schedule of the station: all its EVSEs, within its own limits.

    Args:
        whole: EVSE 0, and what holds for all EVSEs together beside the profiles.
        parts: every EVSE, and what holds there beside the profiles.
    """
    curves = [_numbers(book, place, unit, limits, start_s, end_s) for place, limits in parts]
    total, (place, limits) = combine(curves, _summed), whole
    caps = (station(book, place, start_s, end_s), constant(limits, start_s, end_s))
    bound = convert(least(caps), lambda cap: _number(cap, place, unit))
    return _listed(combine((total, bound), _least), start_s)


_Number: TypeAlias = tuple[int, Origin, int | None]
"""A limit in thousandths of a unit, where it comes from, and its phases."""


def _number(cap: Cap, place: Place, unit: Unit) -> "_Number | None":
    mark = cap.amps() if unit is Unit.AMPERE else cap.watts(place.voltage_v, place.phases)
    return None if mark is None else (truncated(mark[0]), mark[1], cap.phases)


def _numbers(
    book: Book, place: Place, unit: Unit, limits: Cap, start_s: int, end_s: int
) -> "Curve[_Number]":
    surroundings = constant(limits, start_s, end_s)
    limited = least((effective(book, place, start_s, end_s), surroundings))
    return convert(limited, lambda cap: _number(cap, place, unit))


def _summed(numbers: "Sequence[_Number]") -> "_Number":
    phases = [item[2] for item in numbers if item[2] is not None]
    _, origin, _ = min(numbers, key=lambda item: item[0])
    total = sum(item[0] for item in numbers)
    return total, origin, min(phases, default=None)


def _least(numbers: "Sequence[_Number]") -> "_Number":
    return min(numbers, key=lambda item: item[0])


def _listed(steps: "Curve[_Number]", start_s: int) -> tuple[Entry, ...]:
    found: list[Entry] = []
    for from_s, number in steps:
        if number is None:
            continue
        limit, origin, phases = number
        if found and (found[-1].limit, found[-1].phases) == (limit, phases):
            continue
        found.append(Entry(from_s - start_s, limit, phases, origin.purpose, origin.profile_id))
    return tuple(found)
