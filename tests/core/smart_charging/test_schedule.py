"""The algebra of limits over time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    join,
    least,
    met,
    next_change,
    overlay,
    shift,
    truncated,
)

ORIGINS = st.sampled_from([Origin("TxProfile", 1), Origin("TxDefaultProfile", 2)])
MARKS: st.SearchStrategy[Mark] = st.tuples(st.integers(0, 40), ORIGINS)
CAPS = st.builds(
    Cap,
    st.none() | MARKS,
    st.none() | MARKS,
    st.none() | MARKS,
    st.none() | st.integers(1, 3),
)
INSTANTS = st.integers(-5, 45)
STEPS = st.lists(st.tuples(INSTANTS, st.none() | CAPS), max_size=8)
CURVES: st.SearchStrategy[Curve[Cap]] = STEPS.map(
    lambda steps: curve(sorted(steps, key=lambda step: step[0]))
)
LAYERS = st.lists(CURVES, max_size=5)
MOMENTS = range(-7, 48)


def said(steps: Curve[Cap]) -> list[Cap | None]:
    """Return what a curve says at every second, read step by step."""
    found = []
    for second in MOMENTS:
        value = None
        for from_s, item in steps:
            if from_s <= second:
                value = item
        found.append(value)
    return found


def is_canonical(steps: Curve[Cap]) -> bool:
    instants = [from_s for from_s, _ in steps]
    values = [None, *(value for _, value in steps)]
    grows = instants == sorted(set(instants))
    return grows and all(one != other for one, other in itertools.pairwise(values))


def meet(one: Cap | None, other: Cap | None) -> Cap | None:
    if one is None or other is None:
        return one or other
    return one.meet(other)


# --- caps ---


@given(CAPS, CAPS, CAPS)
def test_what_several_limits_allow_does_not_depend_on_their_order(
    one: Cap, other: Cap, third: Cap
) -> None:
    assert one.meet(other) == other.meet(one)
    assert one.meet(other.meet(third)) == one.meet(other).meet(third)
    assert one.meet(one) == one
    assert one.meet(Cap()) == one
    assert met([one, other, third]) == one.meet(other).meet(third)


@given(CAPS, CAPS, st.integers(1, 3))
def test_together_they_never_allow_more_than_each(one: Cap, other: Cap, phases: int) -> None:
    both = one.meet(other)
    for cap in (one, other):
        amps, watts = cap.amps(), cap.watts(230, phases)
        if amps is not None:
            assert (both.amps() or amps)[0] <= amps[0]
            assert both.amps() is not None
        if watts is not None:
            mine = both.watts(230, phases)
            assert mine is not None
            assert mine[0] <= watts[0]


def test_w_are_what_a_limit_in_a_gives_on_the_phases_that_may_be_used() -> None:
    origin = Origin("TxProfile", 1)
    assert Cap((10_000, origin)).watts(230, 3) == (6_900_000, origin)
    assert Cap((10_000, origin), phases=1).watts(230, 3) == (2_300_000, origin)
    assert Cap((10_000, origin), phases=3).watts(230, 1) == (2_300_000, origin)
    assert Cap(power=(5_000_000, origin)).watts(230, 3) == (5_000_000, origin)
    assert Cap((10_000, origin), (5_000_000, origin)).watts(230, 3) == (5_000_000, origin)


@pytest.mark.parametrize(
    ("milli", "expected"), [(0, 0), (99, 0), (100, 100), (15_999, 15_900), (8_100, 8_100)]
)
def test_the_wire_carries_one_decimal(milli: int, expected: int) -> None:
    assert truncated(milli) == expected


# --- curves ---


@given(STEPS)
def test_a_curve_is_canonical_and_says_what_its_steps_say(
    steps: list[tuple[int, Cap | None]],
) -> None:
    steps.sort(key=lambda step: step[0])
    found = curve(steps)
    assert is_canonical(found)
    last = dict(steps)
    assert said(found) == said(tuple(last.items()))


@given(CURVES, INSTANTS)
def test_a_curve_is_asked_at_an_instant(steps: Curve[Cap], second: int) -> None:
    assert at(steps, second) == said(steps)[MOMENTS.index(second)]


@given(CURVES, INSTANTS)
def test_the_next_change_is_the_first_instant_that_differs(
    steps: Curve[Cap], second: int
) -> None:
    change = next_change(steps, second)
    here = at(steps, second)
    if change is None:
        assert all(at(steps, later) == here for later in range(second, 48))
    else:
        assert change > second
        assert all(at(steps, later) == here for later in range(second, change))
        assert at(steps, change) != here


@given(CURVES, INSTANTS, INSTANTS)
def test_a_part_says_the_same_within_and_nothing_outside(
    steps: Curve[Cap], start: int, end: int
) -> None:
    part = clip(steps, start, end)
    assert is_canonical(part)
    whole = said(steps)
    assert said(part) == [
        value if start <= second < end else None
        for second, value in zip(MOMENTS, whole, strict=True)
    ]


@given(CURVES, INSTANTS, INSTANTS, INSTANTS)
def test_parts_make_the_whole_again(steps: Curve[Cap], one: int, two: int, three: int) -> None:
    start, cut, end = sorted((one, two, three))
    assert join((clip(steps, start, cut), clip(steps, cut, end))) == clip(steps, start, end)


@given(CURVES, st.integers(-1000, 1000), INSTANTS)
def test_a_curve_that_is_moved_says_the_same_later(
    steps: Curve[Cap], seconds: int, second: int
) -> None:
    moved = shift(steps, seconds)
    assert at(moved, second + seconds) == at(steps, second)
    assert shift(moved, -seconds) == steps


@given(CURVES)
def test_a_curve_with_other_values_keeps_its_instants(steps: Curve[Cap]) -> None:
    found = convert(steps, lambda cap: cap.phases)
    assert [at(found, second) for second in MOMENTS] == [
        None if value is None else value.phases for value in said(steps)
    ]


def test_a_constant_lasts_from_its_start_until_before_its_end() -> None:
    assert constant(1, 5, 7) == ((5, 1), (7, None))
    assert constant(1, 5, 5) == ()
    assert constant(1, 7, 5) == ()


# --- many curves ---


@given(LAYERS)
def test_of_several_layers_the_first_that_speaks_counts(layers: list[Curve[Cap]]) -> None:
    found = overlay(layers)
    assert is_canonical(found)
    columns = zip(*(said(layer) for layer in layers), strict=True) if layers else []
    expected = [next((v for v in column if v is not None), None) for column in columns]
    assert said(found) == (expected or [None] * len(MOMENTS))


@given(LAYERS, LAYERS)
def test_layers_can_be_laid_in_groups(below: list[Curve[Cap]], above: list[Curve[Cap]]) -> None:
    whole = overlay([*above, *below])
    assert overlay([overlay(above), overlay(below)]) == whole
    assert overlay([whole, whole]) == whole


@given(LAYERS)
def test_together_curves_allow_at_each_instant_what_all_allow(
    layers: list[Curve[Cap]],
) -> None:
    found = least(layers)
    assert is_canonical(found)
    expected: list[Cap | None] = [None] * len(MOMENTS)
    for layer in layers:
        expected = [meet(one, other) for one, other in zip(expected, said(layer), strict=True)]
    assert said(found) == expected


@given(LAYERS, LAYERS)
def test_limits_can_be_met_in_any_order_and_in_groups(
    some: list[Curve[Cap]], others: list[Curve[Cap]]
) -> None:
    whole = least([*some, *others])
    assert least([*others, *some]) == whole
    assert least([least(some), least(others)]) == whole


@given(CURVES, CURVES, INSTANTS, INSTANTS)
def test_a_window_of_the_whole_is_the_whole_of_the_windows(
    one: Curve[Cap], other: Curve[Cap], start: int, end: int
) -> None:
    parts = (clip(one, start, end), clip(other, start, end))
    assert clip(least((one, other)), start, end) == least(parts)
    assert clip(overlay((one, other)), start, end) == overlay(parts)


@given(LAYERS)
def test_curves_are_combined_by_any_rule(layers: list[Curve[Cap]]) -> None:
    found = combine(layers, len)
    expected = [
        sum(value is not None for value in column) or None
        for column in zip(*(said(layer) for layer in layers), strict=True)
    ]
    assert [at(found, second) for second in MOMENTS] == (expected or [None] * len(MOMENTS))
