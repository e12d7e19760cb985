"""Modules that share an output: who counts, who delivers how much, and that it is never more."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.module_group import (
    DANGEROUS,
    DISABLING,
    FRESH_S,
    TAKEN,
    Member,
    ModuleGroup,
)
from hal.protocols.power_module import (
    Accepted,
    Alarm,
    Condition,
    Current,
    Rating,
    Refused,
    Temperature,
    Voltage,
)
from hal.types import NO_OUTPUT, ConverterLimits, ConverterReading, Fault

LOST_S = 15.0
MOST = ConverterLimits(0.0, 920.0, 250.0, 80_000.0)
RATING = Rating(0, 150.0, 1000.0, 100.0, 30_000.0)


def group(addresses=(0, 1, 2), rating=RATING, most=MOST, **options) -> ModuleGroup:
    return ModuleGroup(addresses, rating, most, lost_s=LOST_S, **options)


def cleared(found: ModuleGroup, now_s: float = 0.0) -> ModuleGroup:
    """Let all modules be there and off."""
    for address in found.members:
        found.heard(Condition(address, is_on=False, alarms=frozenset()), now_s)
    return found


def say(found: ModuleGroup, shares: dict[int, float], now_s: float = 0.0) -> None:
    for address, share_a in shares.items():
        found.members[address].said(share_a, now_s)


# --- who is there ---


def test_a_module_is_found_when_it_is_heard_and_takes_part_once_it_is_off():
    found = group()
    assert found.heard(Voltage(1, 400.0), 0.0)
    assert not found.heard(Voltage(1, 400.0), 0.1)
    assert found.shares(400.0, 30.0, 0.2) == {}
    found.members[1].said(None, 0.2)
    assert found.heard(Accepted(1), 0.3)
    assert found.shares(400.0, 30.0, 0.3) == {1: 30.0}


def test_what_is_none_of_ours_says_nothing():
    found = group()
    assert not found.heard(Voltage(7, 400.0), 0.0)
    assert found.known() == []


def test_a_module_that_is_warm_or_refuses_is_heard_of():
    found = group()
    found.heard(Temperature(0, 30.0), 0.0)
    found.heard(Refused(1, 7), 0.0)
    assert [one.address for one in found.present(0.0)] == [0, 1]
    assert found.is_heard(FRESH_S)
    assert not found.is_heard(FRESH_S + 0.1)


def test_limits_are_those_of_the_modules_that_are_there_and_of_the_board():
    found = group()
    assert found.limits(0.0) == NO_OUTPUT
    found.heard(Voltage(0, 0.0), 0.0)
    assert found.limits(0.0) == ConverterLimits(150.0, 920.0, 100.0, 30_000.0)
    cleared(found)
    assert found.limits(0.0) == ConverterLimits(150.0, 920.0, 250.0, 80_000.0)


def test_a_silent_module_counts_until_its_own_watchdog_has_acted():
    found = cleared(group((0, 1)))
    say(found, found.shares(400.0, 100.0, 0.0))
    found.heard(Accepted(0), 0.1)
    found.heard(Voltage(0, 400.0), LOST_S)
    found.forget_lost(LOST_S)
    assert found.limits(LOST_S).max_a == 200.0
    assert found.members[1].bound_a == 50.0
    found.forget_lost(LOST_S + 0.1)
    assert found.limits(LOST_S + 0.1).max_a == 100.0
    assert found.members[1].bound_a == 0.0


def test_what_does_not_turn_itself_off_keeps_what_it_may_deliver():
    found = cleared(group((0, 1), stops_alone=False))
    say(found, found.shares(400.0, 100.0, 0.0))
    found.heard(Accepted(0), LOST_S)
    found.forget_lost(LOST_S + 1.0)
    assert found.members[1].bound_a == 50.0
    assert found.shares(400.0, 100.0, LOST_S + 1.0) == {0: 50.0}


def test_a_module_that_returns_may_be_delivering_all_it_can_until_it_is_off():
    found = cleared(group((0, 1)))
    found.heard(Voltage(0, 400.0), 20.0)
    found.forget_lost(20.0)
    assert found.heard(Voltage(1, 400.0), 20.0)
    assert found.members[1].bound_a == 100.0
    assert not found.members[1].is_cleared


# --- what they can do ---


def test_a_module_says_what_it_can_do_and_the_board_file_can_only_lower_it():
    told = group(rating=None)
    told.heard(Voltage(0, 0.0), 0.0)
    assert told.limits(0.0) == NO_OUTPUT
    told.heard(Rating(0, 200.0, 750.0, 80.0, 20_000.0), 0.0)
    assert told.limits(0.0) == ConverterLimits(200.0, 750.0, 80.0, 20_000.0)
    both = group()
    both.heard(Rating(0, 100.0, 750.0, 120.0, 20_000.0), 0.0)
    assert both.limits(0.0) == ConverterLimits(150.0, 750.0, 100.0, 20_000.0)


@pytest.mark.parametrize(
    "rating",
    [
        Rating(0, 500.0, 500.0, 10.0, 1000.0),
        Rating(0, -1.0, 500.0, 10.0, 1000.0),
        Rating(0, 100.0, 6553.5, 10.0, 1000.0),
        Rating(0, 100.0, 500.0, 0.0, 1000.0),
        Rating(0, 100.0, 500.0, 6553.5, 1000.0),
        Rating(0, 100.0, 500.0, 10.0, 0.0),
        Rating(0, 100.0, 500.0, 10.0, 655_350.0),
    ],
)
def test_what_no_module_can_do_is_no_rating(rating):
    found = group(rating=None)
    found.heard(rating, 0.0)
    assert found.members[0].rating is None
    assert found.members[0].capacity_a(400.0) == 0.0


# --- sharing ---


def test_current_is_shared_by_what_each_can_deliver_at_that_voltage():
    found = group(rating=None)
    found.heard(Rating(0, 150.0, 1000.0, 100.0, 30_000.0), 0.0)
    found.heard(Rating(1, 150.0, 1000.0, 50.0, 30_000.0), 0.0)
    cleared(found)
    assert found.shares(300.0, 90.0, 0.0) == {0: 60.0, 1: 30.0}
    assert found.shares(1000.0, 60.0, 0.0) == {0: 30.0, 1: 30.0}
    assert found.shares(1000.0, 90.0, 0.0) == {0: 30.0, 1: 30.0}


def test_those_that_shall_deliver_less_come_first():
    found = cleared(group((0, 1)))
    say(found, {0: 20.0, 1: 80.0})
    found.heard(Accepted(0), 0.0)
    found.heard(Accepted(1), 0.0)
    shares = found.shares(300.0, 120.0, 0.0)
    assert list(shares) == [1, 0]
    assert shares[1] == 60.0


def test_a_share_is_raised_only_into_room_that_is_confirmed():
    found = cleared(group((0, 1)))
    say(found, {0: 20.0, 1: 80.0})
    found.heard(Accepted(0), 0.0)
    found.heard(Accepted(1), 0.0)
    say(found, found.shares(300.0, 100.0, 0.0))
    assert found.members[1].set_a == 50.0
    assert found.members[0].set_a == 20.0
    found.heard(Accepted(1), 0.1)
    assert found.shares(300.0, 100.0, 0.1)[0] == 50.0


def test_a_clone_that_never_confirms_is_believed_after_a_while_if_it_goes_on_talking():
    found = cleared(group((0,)))
    say(found, {0: 80.0})
    found.heard(Accepted(0), 0.0)
    for number in range(1, TAKEN + 2):
        assert found.members[0].bound_a == 80.0
        found.members[0].said(20.0, number)
        found.heard(Voltage(0, 300.0), number + 0.1)
    assert found.members[0].bound_a == 20.0


def test_one_that_is_silent_or_refuses_is_not_believed():
    for report in (None, Refused(0, 3)):
        found = cleared(group((0,)))
        say(found, {0: 80.0})
        found.heard(Accepted(0), 0.0)
        for number in range(1, 3 * TAKEN):
            found.members[0].said(20.0, number)
            if report is not None:
                found.heard(report, number + 0.1)
        assert found.members[0].bound_a == 80.0


def test_one_that_says_it_is_on_after_it_was_told_off_is_not_believed_either():
    found = cleared(group((0,)))
    say(found, {0: 80.0})
    for number in range(1, 3 * TAKEN):
        found.members[0].said(None, number)
        found.heard(Condition(0, is_on=True, alarms=frozenset()), number + 0.1)
    assert found.members[0].bound_a == 80.0


class Real:
    """A module as it is: what has reached it, and whether anything does."""

    def __init__(self) -> None:
        self.is_on, self.set_a, self.heard_s, self.is_deaf = False, 0.0, 0.0, False

    def delivers_a(self, now_s: float) -> float:
        if now_s - self.heard_s > 10.0:
            self.is_on = False
        return self.set_a if self.is_on else 0.0


def round_of(found: ModuleGroup, real: list[Real], total_a: float, now_s: float) -> None:
    """Say and ask everything once, as the driver does."""
    found.forget_lost(now_s)
    shares = found.shares(400.0, total_a, now_s) if total_a else {}
    for member in found.known():
        if member.address not in shares or not member.is_heard(now_s):
            shares.pop(member.address, None)
            member.said(None, now_s)
            _told(found, real, member, None, now_s)
    for address, share_a in shares.items():
        found.members[address].said(share_a, now_s)
        _told(found, real, found.members[address], share_a, now_s)
    for address, module in enumerate(real):
        if not module.is_deaf:
            module.heard_s = now_s
            found.heard(Voltage(address, 400.0), now_s)


def _told(
    found: ModuleGroup, real: list[Real], member: Member, share_a: float | None, now_s: float
) -> None:
    module = real[member.address]
    if module.is_deaf:
        return
    module.is_on, module.heard_s = share_a is not None, now_s
    module.set_a = share_a or 0.0
    found.heard(Accepted(member.address), now_s)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 10.0, 33.333, 90.0, 250.0]),
            st.sets(st.integers(0, 2)),
            st.integers(1, 40),
        ),
        max_size=12,
    )
)
def test_the_sum_never_rises_above_the_total_whatever_is_lost_and_returns(steps):
    found, real, now_s = group(), [Real() for _ in range(3)], 0.0
    before_a = 0.0
    for total_a, deaf, rounds in steps:
        for address, module in enumerate(real):
            module.is_deaf = address in deaf
        for _ in range(rounds):
            now_s += 0.5
            round_of(found, real, min(total_a, found.limits(now_s).max_a), now_s)
            delivered_a = sum(module.delivers_a(now_s) for module in real)
            assert delivered_a <= max(total_a, before_a) + 1e-9
            for address, module in enumerate(real):
                assert module.delivers_a(now_s) <= found.members[address].bound_a + 1e-9
            before_a = delivered_a


# --- what they measure ---


def test_a_reading_is_the_highest_voltage_and_the_sum_of_the_currents():
    found = cleared(group((0, 1)))
    assert found.reading(0.0) is None
    found.heard(Voltage(0, 399.0), 0.0)
    assert found.reading(0.0) is None
    found.heard(Current(0, 20.0), 0.0)
    found.heard(Voltage(1, 401.0), 0.0)
    found.heard(Current(1, 22.0), 0.0)
    assert found.reading(0.0) == ConverterReading(401.0, 42.0)


def test_of_a_module_whose_current_is_not_known_the_most_that_it_may_deliver_is_counted():
    found = cleared(group((0, 1)))
    for address in (0, 1):
        found.heard(Voltage(address, 400.0), 0.0)
        found.heard(Current(address, 20.0), 0.0)
    say(found, found.shares(400.0, 60.0, 0.0))
    found.heard(Voltage(0, 400.0), 5.0)
    found.heard(Current(0, 30.0), 5.0)
    assert found.reading(5.0) == ConverterReading(400.0, 60.0)


def test_a_module_of_which_nothing_is_known_yet_adds_nothing_to_a_reading():
    found = group((0, 1), rating=None)
    found.heard(Voltage(0, 400.0), 0.0)
    found.heard(Current(0, 1.0), 0.0)
    found.heard(Voltage(1, 400.0), 0.0)
    assert found.reading(0.0) == ConverterReading(400.0, 1.0)


@pytest.mark.parametrize(
    "report",
    [Voltage(0, -101.0), Voltage(0, 1201.0), Current(0, -11.0), Current(0, 151.0)],
)
def test_what_cannot_be_true_is_not_measured(report):
    found = cleared(group((0,)))
    found.heard(Voltage(0, 400.0), 0.0)
    found.heard(Current(0, 20.0), 0.0)
    found.heard(report, 1.0)
    assert found.reading(1.0) == ConverterReading(400.0, 20.0)
    unrated = group((0,), rating=None)
    unrated.heard(Voltage(0, 1e9), 0.0)
    unrated.heard(Current(0, 1.0), 0.0)
    assert unrated.reading(0.0) is None


# --- what is wrong with them ---


def alarmed(found: ModuleGroup, address: int, *alarms: Alarm) -> None:
    found.heard(Condition(address, is_on=False, alarms=frozenset(alarms)), 0.0)


@pytest.mark.parametrize("alarm", DISABLING)
def test_an_alarm_takes_a_module_out_and_is_a_fault_when_no_other_is_left(alarm):
    found = cleared(group((0, 1)))
    alarmed(found, 0, alarm)
    assert found.faults(0.0) == {}
    assert found.limits(0.0).max_a == 100.0
    assert list(found.shares(400.0, 50.0, 0.0)) == [1]
    alarmed(found, 1, alarm)
    text = f"module 0: {alarm.value}, module 1: {alarm.value}"
    assert found.faults(0.0) == {DISABLING[alarm]: text}
    assert found.limits(0.0) == NO_OUTPUT


@pytest.mark.parametrize("alarm", DANGEROUS)
def test_what_is_dangerous_in_one_module_is_a_fault_of_all(alarm):
    found = cleared(group((0, 1)))
    alarmed(found, 1, alarm)
    assert found.faults(0.0) == {DANGEROUS[alarm]: f"module 1: {alarm.value}"}
    assert found.limits(0.0) == NO_OUTPUT


def test_every_alarm_that_is_neither_is_a_note_that_changes_nothing():
    notes = [one for one in Alarm if one not in DANGEROUS and one not in DISABLING]
    found = cleared(group((0, 1)))
    before = found.limits(0.0)
    alarmed(found, 0, *notes)
    assert found.faults(0.0) == {}
    assert found.limits(0.0) == before


def test_nothing_is_a_fault_of_modules_while_none_is_there():
    assert group().faults(0.0) == {}
    assert math.isinf(Member(0, None).heard_s)
    assert Fault.COMMUNICATION_FAULT not in cleared(group()).faults(100.0)
