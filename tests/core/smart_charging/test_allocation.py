"""How a station-wide limit is divided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.smart_charging.allocation import (
    LEAST_MA,
    STEP_MA,
    Claim,
    Room,
    queue,
    shares,
    turn_ends_s,
)
from agent.core.values import Sharing, Terms

ALL = (0, 1, 2)
FAIR, FIRST = Terms(), Terms(Sharing.FIRST_COME)
WEIGHTED = Terms(Sharing.WEIGHTED)


def a_claim(evse_id: int, conductors=ALL, cap_a: float = 32.0, **more) -> Claim:
    cap_ma = int(cap_a * 1000)
    return Claim(
        evse_id, conductors, cap_ma, more.pop("demand_ma", cap_ma), float(evse_id), **more
    )


def fuse(limit_a: float) -> Room:
    limit_ma = int(limit_a * 1000)
    return Room((limit_ma, limit_ma, limit_ma))


def divided(claims, room, terms=FAIR, now_s=0.0) -> list[float]:
    found = shares(claims, room, terms, now_s)
    return [found[claim.evse_id] / 1000 for claim in claims]


@st.composite
def claims(draw) -> list[Claim]:
    found = []
    for evse_id in range(1, draw(st.integers(1, 8)) + 1):
        cap = draw(st.integers(60, 800)) * STEP_MA
        found.append(
            Claim(
                evse_id=evse_id,
                conductors=draw(st.sampled_from(((0, 1, 2), (1, 2, 0), (0,), (1,), (2,)))),
                cap_ma=cap,
                demand_ma=draw(st.integers(60, cap // STEP_MA)) * STEP_MA,
                came_s=draw(st.floats(0, 100)),
                served_s=draw(st.none() | st.floats(0, 2000)),
                waits_s=draw(st.floats(0, 2000)),
                is_sated=draw(st.booleans()),
                weight=draw(st.integers(1, 100)),
                priority=draw(st.sampled_from((0, 0, -9, 5))),
            )
        )
    return found


LIMIT = st.none() | st.integers(-20_000, 300_000)
ROOMS = st.builds(Room, st.tuples(LIMIT, LIMIT, LIMIT), LIMIT)
TERMS = st.builds(Terms, st.sampled_from(Sharing), st.sampled_from((120.0, 900.0)))


@given(claims=claims(), room=ROOMS, terms=TERMS, now_s=st.floats(0, 4000))
def test_the_sum_on_every_conductor_and_in_all_stays_within_the_room(
    claims, room, terms, now_s
) -> None:
    found = shares(claims, room, terms, now_s)
    assert found.keys() == {claim.evse_id for claim in claims}
    for claim in claims:
        share = found[claim.evse_id]
        assert share == 0 or LEAST_MA <= share <= claim.cap_ma
        assert share % STEP_MA == 0
    for at, limit in enumerate(room.conductors_ma):
        drawn = sum(found[claim.evse_id] for claim in claims if at in claim.conductors)
        assert limit is None or drawn <= max(limit, 0)
    total = sum(found[claim.evse_id] * len(claim.conductors) for claim in claims)
    assert room.total_ma is None or total <= max(room.total_ma, 0)


@given(claims=claims(), room=ROOMS, terms=TERMS, now_s=st.floats(0, 4000))
def test_nobody_is_held_back_by_room_that_nobody_uses(claims, room, terms, now_s) -> None:
    found = shares(claims, room, terms, now_s)
    one_step_for_all = sum(len(claim.conductors) for claim in claims) * STEP_MA
    left = room
    for claim in claims:
        left = left.less(found[claim.evse_id], claim.conductors)
    for claim in claims:
        share, fits = found[claim.evse_id], left.fits_ma(claim.conductors)
        needs = LEAST_MA if share == 0 else one_step_for_all
        if share < claim.cap_ma:
            assert fits is not None
            assert fits < max(needs, min(needs, claim.cap_ma - share))


@given(claims=claims(), limit=st.integers(6_000, 200_000), now_s=st.floats(0, 4000))
def test_who_has_less_than_another_could_not_have_more(claims, limit, now_s) -> None:
    """Max-min fairness on one conductor: less than another only by its own cap or demand."""
    claims = [
        replace(claim, conductors=(0,), demand_ma=claim.cap_ma, priority=0) for claim in claims
    ]
    found = shares(claims, Room((limit, None, None)), FAIR, now_s)
    served = [claim for claim in claims if found[claim.evse_id]]
    most = max((found[claim.evse_id] for claim in served), default=0)
    for claim in served:
        assert found[claim.evse_id] in {claim.cap_ma, most}


@given(
    claims=claims(), limit=st.integers(6_000, 200_000), terms=TERMS, now_s=st.floats(0, 4000)
)
def test_nobody_has_more_than_its_least_while_one_of_a_higher_priority_has_less_than_it_could(
    claims, limit, terms, now_s
) -> None:
    """2.0.1 K03; what even steps leave over may go to anybody."""
    claims = [
        replace(claim, conductors=(0,), demand_ma=claim.cap_ma, is_sated=False)
        for claim in claims
    ]
    found = shares(claims, Room((limit, None, None)), terms, now_s)
    for one in claims:
        rest_ma = len(claims) * STEP_MA
        if found[one.evse_id] >= one.cap_ma - rest_ma:
            continue
        lower = [other for other in claims if other.priority < one.priority]
        assert all(found[other.evse_id] <= LEAST_MA + rest_ma for other in lower)


def test_the_higher_priority_is_served_first_and_filled_first() -> None:
    claims = [a_claim(1, served_s=0.0), a_claim(2, priority=5), a_claim(3, priority=-5)]
    assert ids(queue(claims, FAIR, 10.0)) == [2, 1, 3]
    assert ids(queue(claims, FIRST, 10.0)) == [2, 1, 3]
    assert divided(claims, fuse(32.0)) == [6.0, 20.0, 6.0]
    assert divided(claims, fuse(80.0)) == [32.0, 32.0, 16.0]
    assert divided(claims, fuse(12.0)) == [6.0, 6.0, 0.0]
    assert divided(claims, fuse(32.0), FIRST) == [0.0, 32.0, 0.0]


def test_what_it_does_not_take_is_for_the_others() -> None:
    small = a_claim(1, priority=5, demand_ma=8_000)
    assert divided([small, a_claim(2, cap_a=16.0)], fuse(32.0)) == [16.0, 16.0]
    assert divided([small, a_claim(2)], fuse(32.0)) == [8.0, 24.0]


def test_without_a_common_limit_everybody_has_all_it_could_take() -> None:
    assert divided([a_claim(1), a_claim(2, cap_a=16.0)], Room()) == [32.0, 16.0]


def test_a_fuse_is_divided_evenly_in_steps_rounded_down() -> None:
    assert divided([a_claim(1), a_claim(2), a_claim(3)], fuse(32.0)) == [10.6, 10.6, 10.6]


def test_what_one_cannot_take_goes_to_the_others() -> None:
    assert divided([a_claim(1, cap_a=8.0), a_claim(2), a_claim(3)], fuse(40.0)) == [8, 16, 16]


def test_what_a_vehicle_was_seen_not_to_take_goes_to_others_first() -> None:
    small = a_claim(1, demand_ma=7_000)
    assert divided([small, a_claim(2)], fuse(32.0)) == [7.0, 25.0]
    assert divided([small, a_claim(2, cap_a=16.0)], fuse(32.0)) == [16.0, 16.0]


def test_conductors_are_counted_each_by_itself() -> None:
    one, other, three = a_claim(1, (0,)), a_claim(2, (1,)), a_claim(3)
    assert divided([one, other, three], fuse(20.0)) == [10.0, 10.0, 10.0]
    assert divided([one, other], fuse(20.0)) == [20.0, 20.0]


def test_power_is_counted_over_all_conductors() -> None:
    room = Room(total_ma=int(11_000 / 230 * 1000))
    assert divided([a_claim(1, (0,)), a_claim(2)], room) == [11.9, 11.9]


def test_the_tightest_conductor_holds_only_those_that_load_it() -> None:
    room = Room((12_000, 40_000, 40_000))
    assert divided([a_claim(1), a_claim(2, (0,)), a_claim(3, (1,))], room) == [6.0, 6.0, 32.0]


def test_nobody_gets_less_than_six_amperes() -> None:
    assert divided([a_claim(1), a_claim(2), a_claim(3)], fuse(17.9)) == [8.9, 8.9, 0.0]
    assert divided([a_claim(1)], fuse(5.9)) == [0.0]
    assert divided([a_claim(1)], Room((-3_000, None, None))) == [0.0]


def test_weights_divide_what_is_there_above_six_amperes_for_all() -> None:
    heavy, light = a_claim(1, weight=3), a_claim(2, weight=1)
    assert divided([heavy, light], fuse(32.0), WEIGHTED) == [24.0, 8.0]
    assert divided([heavy, light], fuse(16.0), WEIGHTED) == [10.0, 6.0]
    assert divided([heavy, light], fuse(32.0), FAIR) == [16.0, 16.0]


def test_first_come_first_served() -> None:
    claims = [a_claim(1, cap_a=20.0), a_claim(2), a_claim(3)]
    assert divided(claims, fuse(50.0), FIRST) == [20.0, 30.0, 0.0]
    assert divided(claims, fuse(23.0), FIRST) == [20.0, 0.0, 0.0]


def test_first_come_leaves_what_the_first_does_not_take() -> None:
    claims = [a_claim(1, demand_ma=10_000), a_claim(2, cap_a=16.0)]
    assert divided(claims, fuse(32.0), FIRST) == [16.0, 16.0]
    assert divided([claims[0], a_claim(2)], fuse(32.0), FIRST) == [10.0, 22.0]


def test_first_come_counts_only_the_conductors_that_are_limited() -> None:
    room = Room((10_000, None, None))
    assert divided([a_claim(1, (0,)), a_claim(2, (1,))], room, FIRST) == [10.0, 32.0]


def test_what_a_vehicle_draws_against_its_offer_is_taken_from_the_others() -> None:
    greedy = a_claim(1, cap_a=16.0, drawn_ma=20_000)
    assert divided([greedy, a_claim(2)], fuse(32.0)) == [16.0, 12.0]
    assert divided([greedy, a_claim(2)], fuse(25.0)) == [12.5, 0.0]


def ids(claims) -> list[int]:
    return [claim.evse_id for claim in claims]


def test_a_turn_lasts_then_who_waited_longest_comes_first() -> None:
    served, waiting = a_claim(1, served_s=0.0), a_claim(2, waits_s=10.0)
    earlier = a_claim(3, waits_s=5.0)
    assert ids(queue([waiting, served, earlier], FAIR, 899.0)) == [1, 3, 2]
    assert ids(queue([waiting, served, earlier], FAIR, 900.0)) == [3, 2, 1]


def test_of_those_whose_turn_is_over_the_longest_served_yields_first() -> None:
    claims = [a_claim(1, served_s=0.0), a_claim(2, served_s=50.0), a_claim(3, waits_s=60.0)]
    assert ids(queue(claims, FAIR, 2000.0)) == [3, 2, 1]
    assert divided(claims, fuse(12.0), FAIR, 2000.0) == [0.0, 6.0, 6.0]


def test_a_vehicle_that_takes_nothing_comes_last() -> None:
    claims = [a_claim(1, served_s=0.0, is_sated=True), a_claim(2, waits_s=9.0)]
    assert ids(queue(claims, FAIR, 10.0)) == [2, 1]
    assert ids(queue(claims, FIRST, 10.0)) == [2, 1]


def test_a_turn_ends_for_those_who_wait_and_for_nobody_else() -> None:
    served, waiting = a_claim(1, served_s=100.0), a_claim(2)
    assert turn_ends_s([served, waiting], FAIR, 200.0) == 1000.0
    assert turn_ends_s([served], FAIR, 200.0) is None
    assert turn_ends_s([served, waiting], FIRST, 200.0) is None
    assert turn_ends_s([served, waiting], FAIR, 1000.0) is None


@pytest.mark.parametrize("count", [2, 5, 8])
def test_turns_go_round(count: int) -> None:
    """With room for one, each is served once before anybody is served again."""
    claims = [a_claim(evse_id, waits_s=float(evse_id)) for evse_id in range(1, count + 1)]
    order, now_s = [], 100.0
    for _ in range(2 * count):
        found = shares(claims, fuse(10.0), FAIR, now_s)
        (served,) = [evse_id for evse_id, share in found.items() if share]
        order.append(served)
        claims = [
            replace(claim, served_s=now_s)
            if claim.evse_id == served
            else replace(claim, served_s=None, waits_s=now_s)
            if claim.served_s is not None
            else claim
            for claim in claims
        ]
        now_s += FAIR.rotate_s
    assert order == 2 * list(range(1, count + 1))
