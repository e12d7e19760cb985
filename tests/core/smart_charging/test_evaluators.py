"""The engine and a slow evaluator that is written from the formulas agree.

`python -m tests.core.smart_charging.test_evaluators --sets 50000` tries as many random sets of
profiles; the suite tries some.
"""

import argparse
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.smart_charging.composite import Place, at_instant, effective, entries
from agent.core.smart_charging.profile import (
    Book,
    Entry,
    Installed,
    Kind,
    Period,
    Profile,
    Purpose,
    Recurrency,
    Schedule,
    Unit,
)
from agent.core.smart_charging.schedule import at
from tests.support.profiles import T0, TX, hardware, profiles
from tests.support.slow_limits import limit_at

LOCAL_MA = 32_000


def books() -> st.SearchStrategy[Book]:
    """Return books whose profiles stand wherever their purpose allows."""
    placed = st.tuples(st.integers(0, 2), profiles(T0, ids=12))
    return st.lists(placed, max_size=9).map(
        lambda items: Book(
            {one.key: Installed(_place(one, evse_id), one) for evse_id, one in items}
        )
    )


def _place(one: Profile, evse_id: int) -> int:
    if one.purpose is Purpose.STATION_MAX:
        return 0
    return max(1, evse_id) if one.purpose is Purpose.TX else evse_id


@given(
    book=books(),
    start=st.integers(T0 - 200_000, T0 + 200_000),
    length=st.integers(1, 200_000),
    phases=st.sampled_from((1, 3)),
    unit=st.sampled_from(Unit),
    tx=st.sampled_from((TX, None)),
    falls_back=st.booleans(),
    moments=st.lists(st.integers(0, 200_000), max_size=20),
)
@settings(max_examples=300, deadline=None)
def test_both_evaluators_agree(
    book: Book,
    start: int,
    length: int,
    phases: int,
    unit: Unit,
    tx: str | None,
    falls_back: bool,
    moments: list[int],
) -> None:
    place = Place(1, phases, 230, tx, start - 500, falls_back)
    compare(book, place, unit, start, length, moments)


def compare(
    book: Book, place: Place, unit: Unit, start: int, length: int, moments: list[int]
) -> None:
    """Compare at given moments, and at every boundary and the seconds around it."""
    found = entries(book, place, unit, hardware(LOCAL_MA), start, start + length)
    assert found[0].start_s == 0
    assert all(one.start_s < length for one in found)
    near = {one.start_s + more for one in found for more in (-1, 0, 1)}
    for offset in sorted({moment % length for moment in moments} | near):
        if not 0 <= offset < length:
            continue
        told = [one for one in found if one.start_s <= offset][-1]
        expected = limit_at(
            book,
            place.evse_id,
            place.transaction_id,
            start + offset,
            place.anchor_s,
            unit=unit,
            phases=place.phases,
            local_ma=LOCAL_MA,
            falls_back=place.falls_back,
        )
        assert (told.limit, told.phases) == expected, (offset, told, expected)


@given(
    book=books(),
    less=st.dictionaries(st.integers(1, 12), st.integers(0, 100), max_size=4),
    local_ma=st.integers(0, LOCAL_MA),
    unit=st.sampled_from(Unit),
    tx=st.sampled_from((TX, None)),
)
@settings(max_examples=200, deadline=None)
def test_a_lower_limit_never_allows_more_at_any_instant(
    book: Book, less: dict[int, int], local_ma: int, unit: Unit, tx: str | None
) -> None:
    """The engine is monotone: in every profile, and in what the hardware allows."""
    place, end = Place(1, 3, 230, tx, T0 - 500), T0 + 200_000
    lower = Book({key: _lowered(one, less) for key, one in book.entries.items()})
    whole = entries(book, place, unit, hardware(LOCAL_MA), T0, end)
    within = entries(lower, place, unit, hardware(local_ma), T0, end)
    for offset in {one.start_s for one in (*whole, *within)}:
        assert _told(within, offset) <= _told(whole, offset)


def _lowered(one: Installed, percent: dict[int, int]) -> Installed:
    part = percent.get(one.profile.profile_id, 100)

    def schedule(of: Schedule) -> Schedule:
        periods = (replace(item, limit=item.limit * part // 100) for item in of.periods)
        return replace(of, periods=tuple(periods))

    schedules = tuple(map(schedule, one.profile.schedules))
    return replace(one, profile=replace(one.profile, schedules=schedules))


def _told(found: tuple[Entry, ...], offset: int) -> int:
    return [one.limit for one in found if one.start_s <= offset][-1]


@given(book=books(), order=st.randoms(use_true_random=False), unit=st.sampled_from(Unit))
@settings(max_examples=100, deadline=None)
def test_the_order_in_which_profiles_came_does_not_matter(
    book: Book, order: random.Random, unit: Unit
) -> None:
    place, items = Place(1, 3, 230, TX, T0 - 500), list(book.entries.items())
    order.shuffle(items)
    facts = (place, unit, hardware(LOCAL_MA), T0, T0 + 200_000)
    assert entries(Book(dict(items)), *facts) == entries(book, *facts)


@given(book=books(), more=profiles(T0), unit=st.sampled_from(Unit), evse_id=st.integers(0, 1))
@settings(max_examples=100, deadline=None)
def test_a_limit_of_somebody_else_never_allows_more(
    book: Book, more: Profile, unit: Unit, evse_id: int
) -> None:
    """Nobody but the CSMS limits in these books: no level hides another."""
    external = replace(more, profile_id=99, purpose=Purpose.EXTERNAL)
    both = Book({**book.entries, external.key: Installed(evse_id, external)})
    facts = (Place(1, 3, 230, TX, T0 - 500), unit, hardware(LOCAL_MA), T0, T0 + 200_000)
    without, within = entries(book, *facts), entries(both, *facts)
    for offset in {one.start_s for one in (*without, *within)}:
        assert _told(within, offset) <= _told(without, offset)


@given(book=books(), by_s=st.integers(-400_000, 400_000), tx=st.sampled_from((TX, None)))
@settings(max_examples=100, deadline=None)
def test_all_that_matters_of_time_is_how_far_things_are_apart(
    book: Book, by_s: int, tx: str | None
) -> None:
    """Neither midnight nor the day of the week has a say of its own."""
    place, limits = Place(1, 3, 230, tx, T0 - 500), hardware(LOCAL_MA)
    moved = Book({key: _moved(one, by_s) for key, one in book.entries.items()})
    later = place._replace(anchor_s=place.anchor_s + by_s)
    start, end = T0, T0 + 200_000
    found = entries(moved, later, Unit.AMPERE, limits, start + by_s, end + by_s)
    assert found == entries(book, place, Unit.AMPERE, limits, start, end)


def _moved(one: Installed, by_s: int) -> Installed:
    """Return a profile with all its instants moved."""

    def later(second: int | None) -> int | None:
        return None if second is None else second + by_s

    own = one.profile
    schedules = tuple(replace(item, start_s=later(item.start_s)) for item in own.schedules)
    valid = {"valid_from_s": later(own.valid_from_s), "valid_to_s": later(own.valid_to_s)}
    return replace(one, profile=replace(own, schedules=schedules, **valid))


@given(book=books(), second=st.integers(T0 - 200_000, T0 + 200_000))
@settings(max_examples=200, deadline=None)
def test_what_holds_now_is_what_the_composite_says(book: Book, second: int) -> None:
    place = Place(1, 3, 230, TX, second - 500)
    both = effective(book, place, second, second + 1)
    cap, until_s = at_instant(book, place, second)
    whole, whole_until_s = at_instant(book, place._replace(evse_id=0), second)
    together = whole if cap is None else cap if whole is None else cap.meet(whole)
    assert at(both, second) == together
    assert until_s > second
    assert whole_until_s > second
    same, _ = at_instant(book, place, until_s - 1)
    assert same == cap


# --- by the thousand ---


def random_profile(chance: random.Random, profile_id: int) -> Profile:
    purpose = chance.choice(
        [Purpose.TX, Purpose.TX_DEFAULT, Purpose.STATION_MAX, Purpose.EXTERNAL]
    )
    kinds = [Kind.ABSOLUTE, Kind.RECURRING]
    kind = chance.choice(kinds if purpose is Purpose.STATION_MAX else [*kinds, Kind.RELATIVE])
    unit = chance.choice(list(Unit))
    starts = sorted({0, *(chance.randrange(200_000) for _ in range(chance.randrange(8)))})
    most = 40_000 if unit is Unit.AMPERE else 25_000_000
    periods = tuple(
        Period(start, chance.randrange(most), chance.choice([None, 1, 2, 3]))
        for start in starts
    )
    schedule = Schedule(
        unit,
        periods,
        0,
        None if kind is Kind.RELATIVE else T0 + chance.randrange(-800_000, 200_000),
        chance.choice([None, chance.randrange(1, 300_000)]),
    )
    valid_from = chance.choice([None, T0 + chance.randrange(-100_000, 100_000)])
    valid_s = chance.choice([None, chance.randrange(1, 200_000)])
    return Profile(
        profile_id,
        chance.randrange(5),
        purpose,
        kind,
        (schedule,),
        chance.choice(list(Recurrency)) if kind is Kind.RECURRING else None,
        valid_from,
        None if valid_s is None else (valid_from or T0) + valid_s,
        TX if purpose is Purpose.TX else None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    for _ in range(options.sets):
        placed = [
            (chance.randrange(3), random_profile(chance, number))
            for number in range(chance.randrange(8))
        ]
        book = Book({one.key: Installed(_place(one, place), one) for place, one in placed})
        start, length = T0 + chance.randrange(-200_000, 200_000), chance.randrange(1, 200_000)
        place = Place(
            1,
            chance.choice([1, 3]),
            230,
            chance.choice([TX, None]),
            start - chance.randrange(3000),
            chance.random() < 0.7,
        )
        moments = [chance.randrange(length) for _ in range(10)]
        compare(book, place, chance.choice(list(Unit)), start, length, moments)
    print(
        f"evaluators: {options.sets} random sets of profiles, seed {options.seed}: they agree"
    )


if __name__ == "__main__":
    main()
