"""Which profile to hold a link with, and when to dial."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import connection, variables
from agent.core.connection import LONGEST_RETRY_AFTER_S, STABLE_S
from agent.core.effects import CloseLink, Effect
from agent.core.events import DialFailed, DialRefusal, Event, LinkDown, LinkHeld, LinkUp
from tests.support.core import Bench


def dial(bench: Bench) -> int | None:
    return connection.dial(bench.station.connection)


def refused(
    bench: Bench,
    refusal: DialRefusal = DialRefusal.UNREACHABLE,
    retry_after_s: float | None = None,
) -> float:
    """Let a dial fail; return how long the next one has to wait."""
    profile = dial(bench)
    assert profile is not None
    bench.post(DialFailed(profile, refusal, "because", retry_after_s))
    assert dial(bench) is None
    due = connection.deadline_s(bench.station.connection)
    assert due is not None
    return due - bench.now_s


def up(bench: Bench, profile: int = 0) -> list[Effect]:
    return bench.post(LinkUp(profile, "ocpp2.0.1", "ws://csms", 0))


def steady(profiles: int = 1, **settings: str) -> Bench:
    """Return a station whose waits have no random part."""
    return Bench(profiles=profiles, OCPPCommCtrlr__RetryBackOffRandomRange="0", **settings)


def test_a_station_dials_its_first_profile_at_once() -> None:
    assert dial(Bench(profiles=3)) == 0


def test_a_station_without_profiles_never_dials() -> None:
    bench = Bench(profiles=0)
    assert dial(bench) is None
    bench.post(LinkHeld(True))
    bench.post(LinkHeld(False))
    assert dial(bench) is None
    assert connection.deadline_s(bench.station.connection) is None


def test_waits_double_with_every_failure() -> None:
    bench = steady()
    waits = []
    for _ in range(8):
        waits.append(refused(bench))
        bench.wait(waits[-1])
        assert dial(bench) == 0
    assert waits == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_a_wait_has_a_fresh_random_part() -> None:
    bench = Bench()
    bench.jitter = 0.25
    assert refused(bench) == 7.5
    bench.wait(7.5)
    bench.jitter = 0.75
    assert refused(bench) == 17.5


def test_before_its_time_nobody_dials() -> None:
    bench = steady()
    refused(bench)
    bench.wait(4.9)
    assert dial(bench) is None
    bench.wait(0.1)
    assert dial(bench) == 0


@pytest.mark.parametrize("refusal", [DialRefusal.CREDENTIALS, DialRefusal.UNKNOWN_STATION])
def test_a_station_that_is_not_welcome_comes_back_later(refusal: DialRefusal) -> None:
    assert refused(steady(), refusal) == 30.0


@pytest.mark.parametrize(
    ("asked_s", "wait_s"), [(1.0, 5.0), (120.0, 120.0), (1e9, LONGEST_RETRY_AFTER_S)]
)
def test_a_server_may_ask_for_a_longer_pause(asked_s: float, wait_s: float) -> None:
    assert refused(steady(), DialRefusal.BUSY, asked_s) == wait_s


def test_the_next_profile_has_its_turn_after_so_many_failures_in_a_ring() -> None:
    bench = steady(profiles=2, OCPPCommCtrlr__NetworkProfileConnectionAttempts="2")
    dialed = []
    for _ in range(6):
        dialed.append(dial(bench))
        bench.wait(refused(bench))
    assert dialed == [0, 0, 1, 1, 0, 0]


def test_a_link_is_held_as_long_as_it_lives() -> None:
    bench = Bench()
    up(bench)
    assert dial(bench) == 0
    assert connection.deadline_s(bench.station.connection) is None
    assert bench.station.connection.reason == ""
    bench.post(LinkDown("pong missing"))
    assert dial(bench) is None
    assert bench.station.connection.reason == "pong missing"


def test_a_link_that_held_earns_a_fresh_back_off() -> None:
    for held_s, wait_s in ((STABLE_S, 5.0), (STABLE_S - 1.0, 20.0)):
        bench = steady()
        bench.wait(refused(bench))
        bench.wait(refused(bench))
        up(bench)
        bench.wait(held_s)
        bench.post(LinkDown("lost"))
        due = connection.deadline_s(bench.station.connection)
        assert due == bench.now_s + wait_s


def test_a_server_that_closes_at_once_is_not_dialed_at_once() -> None:
    bench = steady()
    up(bench)
    bench.post(LinkDown("closed"))
    assert connection.deadline_s(bench.station.connection) == bench.now_s + 5.0


def test_losing_what_is_not_there_changes_nothing() -> None:
    bench = steady()
    refused(bench)
    before = bench.station.connection
    bench.post(LinkDown("again"))
    assert bench.station.connection is before


def test_a_dial_that_ends_as_a_lost_link_is_a_failure() -> None:
    bench = steady()
    bench.post(LinkDown("lost while dialing"))
    assert dial(bench) is None
    assert connection.deadline_s(bench.station.connection) == bench.now_s + 5.0


# --- held down ---


def test_a_link_that_is_held_down_is_closed_and_nobody_dials() -> None:
    bench = Bench()
    up(bench)
    assert [type(item) for item in bench.post(LinkHeld(True))] == [CloseLink]
    assert dial(bench) is None
    bench.post(LinkDown("closed"))
    bench.wait(3600.0)
    assert dial(bench) is None


def test_a_dial_under_way_is_given_up() -> None:
    bench = Bench()
    assert bench.post(LinkHeld(True)) == []
    assert dial(bench) is None


def test_a_link_that_comes_up_although_it_is_held_down_is_closed() -> None:
    bench = Bench()
    bench.post(LinkHeld(True))
    effects = up(bench)
    assert CloseLink("held down locally") in effects
    assert dial(bench) is None
    bench.post(LinkDown("closed"))
    assert connection.deadline_s(bench.station.connection) is None


def test_a_dial_that_fails_while_held_down_sets_no_other() -> None:
    bench = Bench()
    bench.post(LinkHeld(True))
    bench.post(DialFailed(0, DialRefusal.UNREACHABLE, "because"))
    assert connection.deadline_s(bench.station.connection) is None


def test_a_wait_is_given_up_while_held_down() -> None:
    bench = steady()
    refused(bench)
    bench.post(LinkHeld(True))
    assert connection.deadline_s(bench.station.connection) is None
    bench.wait(100.0)
    assert dial(bench) is None


def test_a_released_link_is_dialed_at_once_with_a_fresh_back_off() -> None:
    bench = steady()
    bench.wait(refused(bench))
    bench.wait(refused(bench))
    bench.post(LinkHeld(True))
    bench.post(LinkHeld(False))
    assert dial(bench) == 0
    assert refused(bench) == 5.0


def test_a_link_that_is_released_while_it_still_closes_is_dialed_after_that() -> None:
    bench = steady()
    up(bench)
    bench.post(LinkHeld(True))
    bench.post(LinkHeld(False))
    assert not bench.station.connection.is_dialing
    bench.post(LinkDown("closed"))
    assert connection.deadline_s(bench.station.connection) == bench.now_s + 5.0


def test_releasing_what_is_not_held_changes_nothing() -> None:
    bench = steady()
    refused(bench)
    before = bench.station.connection
    bench.post(LinkHeld(False))
    assert bench.station.connection is before


def test_a_deadline_of_somebody_else_dials_nothing() -> None:
    bench = Bench().ready()
    before = bench.station.connection
    bench.wait(3600.0)
    assert bench.station.connection is before


def test_the_profile_in_use_shows_in_the_settings() -> None:
    bench = Bench(profiles=2)
    bench.post(LinkUp(1, "ocpp2.0.1", "wss://csms", 2))
    assert bench.station.settings.text(variables.ACTIVE_PROFILE) == "1"
    assert bench.station.settings.text(variables.SECURITY_PROFILE) == "2"


EVENTS = st.one_of(
    st.just(LinkUp(0, "ocpp1.6", "ws://csms", 0)),
    st.just(LinkDown("lost")),
    st.builds(LinkHeld, st.booleans()),
    st.builds(
        DialFailed,
        st.just(0),
        st.sampled_from(DialRefusal),
        st.just("because"),
        st.none() | st.floats(0, 1e6),
    ),
)


@settings(deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 600)), max_size=30), st.integers(0, 3))
def test_there_is_always_a_link_a_dial_or_a_date_for_one_unless_it_is_held(
    events: list[tuple[Event, float]], profiles: int
) -> None:
    bench = Bench(profiles=max(profiles, 1))
    for event, seconds in events:
        bench.post(event)
        state = bench.station.connection
        due = connection.deadline_s(state)
        wants = dial(bench) is not None
        assert state.is_held is not (wants or due is not None) or state.up
        assert not (wants and due is not None)
        assert 0 <= state.profile < state.profiles
        bench.wait(seconds)
