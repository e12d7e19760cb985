"""Profiles as values."""

import msgspec
import pytest
from hypothesis import given

from agent.core.smart_charging.profile import (
    Book,
    Installed,
    Kind,
    Profile,
    Purpose,
    Recurrency,
    is_over,
    milli,
)
from tests.support.profiles import T0, book, profile, profiles


@given(profiles(T0))
def test_a_profile_comes_back_from_its_row_as_it_was(what: Profile) -> None:
    raw = msgspec.json.encode(Installed(1, what))
    assert msgspec.json.decode(raw, type=Installed) == Installed(1, what)


@pytest.mark.parametrize(
    ("what", "at", "expected"),
    [
        (profile(1, [(0, 6)]), T0 + 10**9, False),
        (profile(1, [(0, 6)], duration=60), T0 + 59, False),
        (profile(1, [(0, 6)], duration=60), T0 + 60, True),
        (profile(1, [(0, 6)], valid_to=T0 + 60), T0 + 59, False),
        (profile(1, [(0, 6)], valid_to=T0 + 60), T0 + 60, True),
        (profile(1, [(0, 6)], kind=Kind.RELATIVE, duration=60), T0 + 600, False),
        (profile(1, [(0, 6)], every=Recurrency.DAILY, duration=60), T0 + 600, False),
        (profile(1, [(0, 6)], start=None, duration=60), T0 + 600, False),
    ],
)
def test_a_profile_that_cannot_limit_any_more_is_over(
    what: Profile, at: int, expected: bool
) -> None:
    """1.6 reference 6.3."""
    assert is_over(what, at) is expected


def test_recurrences_are_plain_seconds() -> None:
    assert (Recurrency.DAILY.seconds, Recurrency.WEEKLY.seconds) == (86_400, 604_800)


def test_books_are_told_apart_by_identity() -> None:
    one = book(profile(1, [(0, 6)]))
    assert one != Book(one.entries)
    assert len({one, Book(one.entries), one}) == 2


def test_purposes_have_the_words_of_the_specification() -> None:
    assert {purpose.value for purpose in Purpose} == {
        "ChargingStationExternalConstraints",
        "ChargingStationMaxProfile",
        "TxDefaultProfile",
        "TxProfile",
    }


def test_what_is_no_number_is_no_limit() -> None:
    assert milli(float("nan")) == -1
