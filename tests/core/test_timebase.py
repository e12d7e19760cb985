"""Dating: clocks that come late, clocks that lie, and stamps of other boots."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.timebase import (
    EARLIEST_WALL_S,
    MOST_PAST,
    STEP_S,
    Timebase,
    booted,
    learned,
    passed,
    stepped_s,
    system_s,
)
from agent.core.values import Stamp
from tests.support.core import WALL_S

UNSET = Timebase(boot=3)


def test_a_system_clock_gives_the_time_from_the_start() -> None:
    clock = booted(UNSET, Stamp(4, 10.0, WALL_S))
    assert clock.boot == 4
    assert clock.dated(Stamp(4, 15.0)) == Stamp(4, 15.0, WALL_S + 5.0)


def test_without_a_system_clock_the_time_is_unknown() -> None:
    clock = booted(UNSET, Stamp(4, 10.0))
    assert clock.dated(Stamp(4, 15.0, WALL_S)) == Stamp(4, 15.0)


def test_a_system_clock_that_lost_its_battery_is_no_clock() -> None:
    before = passed(booted(UNSET, Stamp(4, 10.0, WALL_S)), Stamp(4, 20.0))
    after = booted(before, Stamp(5, 1.0, WALL_S - 86_400.0))
    assert after.dated(Stamp(5, 2.0)).wall_s is None
    assert after.told_s(Stamp(5, 2.0)) == WALL_S + 10.0


def test_a_system_clock_that_shows_just_what_has_passed_is_believed() -> None:
    floor = Timebase(boot=4, floor_s=WALL_S)
    assert booted(floor, Stamp(5, 1.0, WALL_S)).offset_s == WALL_S - 1.0


def test_a_stamp_of_another_boot_is_not_dated() -> None:
    clock = booted(UNSET, Stamp(4, 10.0, WALL_S))
    assert clock.dated(Stamp(3, 15.0)) == Stamp(3, 15.0)
    assert clock.wall_s(Stamp(3, 15.0)) is None


def test_what_happened_before_the_csms_told_the_time_is_dated_afterwards() -> None:
    stamp = Stamp(4, 15.0)
    clock = booted(UNSET, Stamp(4, 10.0))
    assert clock.wall_s(stamp) is None
    clock = learned(clock, WALL_S, Stamp(4, 100.0))
    assert clock.told_s(stamp) == WALL_S - 85.0


def test_a_stamp_that_was_dated_stays_as_it_was() -> None:
    clock = learned(booted(UNSET, Stamp(4, 0.0, WALL_S)), WALL_S + 900.0, Stamp(4, 10.0))
    assert clock.told_s(Stamp(4, 5.0, WALL_S + 5.0)) == WALL_S + 5.0


def test_a_stamp_of_an_earlier_boot_is_dated_by_what_that_boot_learned() -> None:
    first = learned(booted(UNSET, Stamp(4, 0.0)), WALL_S, Stamp(4, 100.0))
    second = booted(first, Stamp(5, 3.0))
    assert second.told_s(Stamp(4, 15.0)) == WALL_S - 85.0
    assert learned(second, WALL_S + 900.0, Stamp(5, 7.0)).told_s(Stamp(4, 15.0)) == WALL_S - 85


def test_a_boot_without_the_time_is_told_as_if_it_had_ended_when_the_next_began() -> None:
    first = passed(booted(UNSET, Stamp(4, 5.0)), Stamp(4, 65.0))
    second = passed(booted(first, Stamp(5, 6.0)), Stamp(5, 46.0))
    clock = learned(booted(second, Stamp(6, 2.0)), WALL_S, Stamp(6, 10.0))
    began_s = WALL_S - 8.0
    clock = booted(clock, Stamp(7, 1.0, WALL_S + 500.0))
    for moment in (clock, passed(clock, Stamp(7, 900.0))):
        told = [
            moment.told_s(Stamp(boot, at)) for boot, at in ((5, 90.0), (5, 46.0), (5, 16.0))
        ]
        assert told == [began_s, began_s, began_s - 30.0]
        assert moment.told_s(Stamp(4, 65.0)) == began_s - 40.0
        assert moment.told_s(Stamp(4, 5.0)) == began_s - 100.0


def test_a_boot_that_nobody_remembers_is_told_as_before_all_others() -> None:
    clock = booted(UNSET, Stamp(4, 10.0, WALL_S))
    assert clock.told_s(Stamp(2, 5.0)) == WALL_S


def test_only_so_many_boots_are_remembered() -> None:
    clock = UNSET
    for boot in range(4, 40):
        clock = booted(clock, Stamp(boot, 1.0, WALL_S + boot))
    assert [past.boot for past in clock.past] == [*range(38, 38 - MOST_PAST, -1)]
    assert clock.told_s(Stamp(5, 1.0)) == WALL_S + 39 - MOST_PAST
    assert clock.told_s(Stamp(39, 1.0)) == WALL_S + 39


def test_while_the_time_is_unknown_the_latest_instant_that_had_passed_is_told() -> None:
    before = passed(booted(UNSET, Stamp(4, 0.0, WALL_S)), Stamp(4, 20.0))
    assert booted(before, Stamp(5, 1.0)).told_s(Stamp(5, 7.0)) == WALL_S + 20.0


def test_no_instant_before_this_software_is_ever_told() -> None:
    assert UNSET.told_s(Stamp(3, 5.0)) == EARLIEST_WALL_S
    assert UNSET.told_s(Stamp(3, 5.0, 0.0)) == EARLIEST_WALL_S


def test_a_small_difference_to_the_csms_is_left_alone() -> None:
    clock = booted(UNSET, Stamp(4, 0.0, WALL_S))
    for difference in (-STEP_S, STEP_S):
        assert learned(clock, WALL_S + 10.0 + difference, Stamp(4, 10.0)) is clock
    stepped = learned(clock, WALL_S + 10.0 + STEP_S + 0.1, Stamp(4, 10.0))
    assert stepped.dated(Stamp(4, 10.0)).wall_s == WALL_S + 12.1


def test_a_csms_that_lives_in_the_past_is_not_believed() -> None:
    clock = booted(UNSET, Stamp(4, 0.0))
    assert learned(clock, 0.0, Stamp(4, 10.0)) is clock


def test_a_step_back_takes_along_what_was_believed_to_have_passed() -> None:
    clock = passed(booted(UNSET, Stamp(4, 0.0, WALL_S + 9e8)), Stamp(4, 1.0))
    clock = learned(clock, WALL_S, Stamp(4, 10.0))
    assert clock.floor_s == WALL_S
    assert booted(clock, Stamp(5, 0.0, WALL_S + 60.0)).offset_s == WALL_S + 60.0


def test_a_step_forward_leaves_what_has_passed() -> None:
    clock = passed(booted(UNSET, Stamp(4, 0.0, WALL_S)), Stamp(4, 1.0))
    assert learned(clock, WALL_S + 900.0, Stamp(4, 10.0)).floor_s == WALL_S + 1.0


def test_what_has_passed_never_goes_back_and_needs_a_clock() -> None:
    clock = booted(UNSET, Stamp(4, 0.0, WALL_S))
    later = passed(clock, Stamp(4, 50.0))
    assert later.floor_s == WALL_S + 50.0
    assert passed(later, Stamp(4, 40.0)) is later
    assert passed(UNSET, Stamp(3, 1.0)).floor_s == UNSET.floor_s


@settings(deadline=None)
@given(
    instants=st.lists(st.floats(0, 1e6), min_size=2, max_size=10).map(sorted),
    told_at=st.floats(0, 1e6),
    wall_s=st.none() | st.floats(0, 4e9),
    csms_wall_s=st.floats(0, 4e9),
)
def test_the_order_within_a_boot_is_told_as_it_was(
    instants: list[float], told_at: float, wall_s: float | None, csms_wall_s: float
) -> None:
    clock = booted(UNSET, Stamp(4, 0.0, wall_s))
    clock = learned(clock, csms_wall_s, Stamp(4, told_at))
    for instant in instants:
        clock = passed(clock, Stamp(4, instant))
    walls = [clock.told_s(Stamp(4, instant)) for instant in instants]
    assert walls == sorted(walls)
    assert min(walls) >= EARLIEST_WALL_S


def test_only_a_known_clock_can_be_stepped() -> None:
    known = booted(UNSET, Stamp(4, 10.0, WALL_S))
    later = learned(known, WALL_S + 30.0, Stamp(4, 10.0))
    assert stepped_s(known, later) == 30.0
    assert stepped_s(known, known) == 0.0
    assert stepped_s(booted(UNSET, Stamp(4, 10.0)), later) == 0.0
    assert stepped_s(UNSET, known) == 0.0
    assert stepped_s(known, booted(known, Stamp(4, 10.0))) == 0.0


# --- a system clock that is set while we run ---


def test_a_system_clock_that_becomes_plausible_is_taken_while_nothing_is_known() -> None:
    unknown = booted(UNSET, Stamp(4, 0.0))
    now = Stamp(4, 30.0, WALL_S)
    assert system_s(unknown, now, is_followed=False) == WALL_S
    assert system_s(unknown, Stamp(4, 30.0), is_followed=True) is None
    assert system_s(unknown, Stamp(4, 30.0, 0.0), is_followed=True) is None
    floored = replace(unknown, floor_s=WALL_S + 1.0)
    assert system_s(floored, now, is_followed=True) is None


def test_a_known_time_follows_the_system_clock_only_where_ntp_keeps_it() -> None:
    known = booted(UNSET, Stamp(4, 0.0, WALL_S))
    stepped = Stamp(4, 30.0, WALL_S + 3600.0)
    assert system_s(known, stepped, is_followed=True) == WALL_S + 3600.0
    assert system_s(known, stepped, is_followed=False) is None
    near = Stamp(4, 30.0, WALL_S + 30.0 + STEP_S)
    assert system_s(known, near, is_followed=True) is None
