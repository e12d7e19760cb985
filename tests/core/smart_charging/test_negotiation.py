"""What a vehicle that negotiates is offered, and when it is offered anew (K15, K16, K17)."""

from typing import Any

import pytest
from msgspec.structs import replace

from agent.core.effects import ChargingNeedsTold, Note, VehicleScheduleTold
from agent.core.events import (
    ChargingProfileOffered,
    ChargingProfilesCleared,
    ExternalLimitSet,
    LinkDown,
    TimeLearned,
    VehicleNeedsAnswered,
    VehicleNeedsTold,
    VehicleScheduleAnswered,
    VehicleScheduleChosen,
)
from agent.core.smart_charging.needs import ChargingNeeds, NeedsAnswer, Talk, Transfer
from agent.core.smart_charging.negotiation import LONGEST_S, MOST_REFUSED, USUAL_S, WAIT_S
from agent.core.smart_charging.profile import Profile, Purpose, Schedule, Unit
from agent.core.station import deadline, targets
from tests.support.core import OTHER, WALL_S, Bench
from tests.support.profiles import profile, schedule

NEEDS = ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 32, 230)
START = int(WALL_S) - 3600
ASSUMED = VehicleNeedsAnswered(1, NeedsAnswer.ACCEPTED)
DECLINED = VehicleNeedsAnswered(1, NeedsAnswer.REJECTED)
LATER = VehicleNeedsAnswered(1, NeedsAnswer.PROCESSING)


def negotiating(needs: ChargingNeeds = NEEDS, *, online: bool = True, **more: Any) -> Bench:
    bench = Bench(ISO15118Ctrlr__Enabled="true", **more).ready()
    bench.charge()
    bench.wait(10)
    if not online:
        bench.post(LinkDown("gone"))
    bench.post(VehicleNeedsTold(1, needs))
    return bench


def talk(bench: Bench) -> Talk:
    return bench.station.smart_charging.talks[1]


def offers(bench: Bench) -> dict[int, list[tuple[int, float]]]:
    """Return what the vehicle may choose from, in A, by id."""
    return {
        item.schedule_id: [(one.start_s, one.limit / 1000) for one in item.periods]
        for item in talk(bench).offers
    }


def install(bench: Bench, what: Profile, evse_id: int = 1) -> None:
    bench.post(ChargingProfileOffered(bench.ids + 5000, evse_id, what))
    key = what.key
    assert key in bench.station.smart_charging.book.entries


def default(limit_a: float, profile_id: int = 50) -> Profile:
    return profile(profile_id, [(0, limit_a)], Purpose.TX_DEFAULT, start=START)


def of_the_transaction(bench: Bench, *schedules: Schedule) -> Profile:
    found = bench.station.evses[1].transaction
    assert found is not None
    own = profile(9, [(0, 6)], Purpose.TX, start=START, transaction=found.transaction_id)
    return replace(own, schedules=schedules)


def three(bench: Bench) -> Profile:
    return of_the_transaction(
        bench,
        schedule([(0, 16), (7200, 10)], start=START, schedule_id=1),
        schedule([(0, 25)], start=START, schedule_id=2),
        schedule([(0, 8)], start=START, schedule_id=3),
    )


def choose(bench: Bench, *periods: tuple[int, float], **more: Any) -> None:
    facts = {"start": None, "schedule_id": 1, **more}
    bench.post(VehicleScheduleChosen(1, schedule(list(periods), **facts)))


# --- who is waited for, and how long ---


def test_k15_fr_16_needs_without_a_transaction_or_unasked_are_only_noted() -> None:
    asked, unasked = Bench(ISO15118Ctrlr__Enabled="true").ready(), Bench().ready()
    unasked.charge()
    for bench in (asked, unasked):
        bench.post(VehicleNeedsTold(1, NEEDS))
        assert not bench.told(ChargingNeedsTold)
        assert bench.told(Note)[-1].kind == "vehicle.needs"


@pytest.mark.parametrize("answer", [None, ASSUMED, LATER])
def test_k15_fr_15_a_profile_is_waited_for_and_then_the_default_is_offered(
    answer: VehicleNeedsAnswered | None,
) -> None:
    bench = negotiating()
    install(bench, default(16))
    if answer is not None:
        bench.post(answer)
    assert talk(bench).waits
    assert deadline(bench.station) is not None
    bench.wait(WAIT_S - 0.5)
    assert talk(bench).waits
    bench.wait(0.5)
    assert offers(bench) == {1: [(0, 16.0)]}


def test_k15_fr_15_a_csms_that_declines_is_not_waited_for() -> None:
    bench = negotiating()
    bench.post(DECLINED)
    assert offers(bench) == {1: [(0, 32.0)]}, "without a profile: what the hardware carries"
    bench.post(DECLINED)
    assert talk(bench).number == 1


def test_k15_fr_15_offline_nobody_is_told_and_nothing_waited_for() -> None:
    bench = negotiating(online=False)
    assert offers(bench) == {1: [(0, 32.0)]}
    assert not bench.told(ChargingNeedsTold)


def test_a_link_that_is_lost_ends_the_waiting_but_not_what_was_offered() -> None:
    bench = negotiating()
    bench.post(LinkDown("gone"))
    assert offers(bench) == {1: [(0, 32.0)]}
    bench = negotiating()
    install(bench, three(bench))
    bench.post(LinkDown("gone"))
    assert (talk(bench).number, set(offers(bench))) == (1, {1, 2, 3})


def test_an_answer_to_nothing_means_nothing() -> None:
    bench = Bench(ISO15118Ctrlr__Enabled="true").ready()
    before = bench.station.smart_charging
    bench.post(DECLINED)
    bench.post(VehicleScheduleAnswered(1, is_accepted=False))
    assert bench.station.smart_charging is before


def test_while_nobody_knows_the_time_the_vehicle_waits() -> None:
    bench = negotiating(wall_s=None)
    bench.post(DECLINED)
    bench.wait(3 * WAIT_S)
    assert talk(bench).waits
    choose(bench, (0, 6))
    assert bench.told(Note)[-1].kind == "vehicle.schedule"
    bench.post(TimeLearned(WALL_S, by_system=True))
    bench.wait(WAIT_S)
    assert offers(bench) == {1: [(0, 32.0)]}


# --- what is offered ---


def test_k15_fr_22_each_schedule_keeps_to_all_other_limits() -> None:
    bench = negotiating()
    install(bench, profile(60, [(0, 20)], Purpose.STATION_MAX, start=START), evse_id=0)
    install(bench, three(bench))
    step_s = 7200 - int(WALL_S + bench.now_s - START)
    assert offers(bench) == {
        1: [(0, 16.0), (step_s, 10.0)],
        2: [(0, 20.0)],
        3: [(0, 8.0)],
    }


def test_of_two_levels_the_highest_is_offered() -> None:
    bench = negotiating()
    install(bench, three(bench))
    high = of_the_transaction(bench, schedule([(0, 12)], start=START, schedule_id=7))
    install(bench, replace(high, profile_id=10, stack_level=1))
    assert offers(bench) == {7: [(0, 12.0)]}


def test_a_profile_of_another_transaction_is_not_offered() -> None:
    bench = Bench(2, ISO15118Ctrlr__Enabled="true").ready(2)
    bench.charge(1)
    bench.charge(2, OTHER)
    bench.wait(10)
    install(bench, of_the_transaction(bench, schedule([(0, 12)], start=START, schedule_id=7)))
    bench.post(VehicleNeedsTold(2, NEEDS))
    bench.post(LinkDown("gone"))
    (found,) = bench.station.smart_charging.talks[2].offers
    assert (found.schedule_id, found.periods[0].limit) == (1, 32_000)


def test_what_the_site_leaves_for_a_moment_is_not_offered() -> None:
    bench = negotiating()
    bench.post(ExternalLimitSet(99, "ems", 60.0, 0, limit_a=8.0))
    bench.post(DECLINED)
    assert offers(bench) == {1: [(0, 32.0)]}
    assert targets(bench.station).of(1).offer_a == 8.0


@pytest.mark.parametrize(
    ("departs_in_s", "lasts_s"),
    [(None, USUAL_S), (-60, USUAL_S), (7200, 7200), (2 * LONGEST_S, LONGEST_S)],
)
def test_an_offer_lasts_until_the_vehicle_leaves(
    departs_in_s: int | None, lasts_s: int
) -> None:
    leaves_s = None if departs_in_s is None else int(WALL_S) + 10 + departs_in_s
    bench = negotiating(replace(NEEDS, departs_s=leaves_s), online=False)
    (found,) = talk(bench).offers
    assert found.start_s == int(WALL_S) + 10
    assert found.duration_s == lasts_s


@pytest.mark.parametrize(("tuples", "expected"), [(2, 2), (-1, 1), (0, 3), (None, 3)])
def test_an_offer_has_no_more_entries_than_the_vehicle_takes(
    tuples: int | None, expected: int
) -> None:
    bench = negotiating(replace(NEEDS, most_tuples=tuples))
    hours = [(0, 16), (3660, 10), (7320, 8)]
    install(bench, profile(50, hours, Purpose.TX_DEFAULT, start=START))
    bench.post(DECLINED)
    (found,) = talk(bench).offers
    assert len(found.periods) == expected
    if expected < len(hours):
        assert found.duration_s == hours[expected][0] - (found.start_s or 0) + START


# --- what the vehicle chooses ---


def test_k15_fr_08_a_choice_within_the_offer_is_told() -> None:
    bench = negotiating()
    install(bench, three(bench))
    bench.wait(20)
    choose(bench, (0, 25), (600, 6), schedule_id=2, duration=3600)
    (told,) = bench.told(VehicleScheduleTold)
    assert isinstance(told, VehicleScheduleTold)
    assert (told.evse_id, told.start_s) == (1, int(WALL_S + bench.now_s))
    bench.post(VehicleScheduleAnswered(1, is_accepted=True))
    bench.wait(10)
    assert targets(bench.station).of(1).offer_a == 25.0
    assert talk(bench).number == 1


def test_a_vehicle_may_count_from_when_it_was_offered() -> None:
    bench = negotiating()
    install(bench, three(bench))
    (step_s, _) = offers(bench)[1][1]
    bench.wait(20)
    choose(bench, (0, 16), (step_s, 10))
    assert len(bench.told(VehicleScheduleTold)) == 1


@pytest.mark.parametrize(
    ("periods", "more"),
    [
        ([(0, 16.1)], {}),
        ([(0, 10), (7200, 11)], {}),
        ([(0, 6)], {"schedule_id": 4}),
        ([(0, 1000)], {"unit": Unit.WATT}),
    ],
)
def test_k15_fr_09_what_was_not_offered_is_asked_for_again(
    periods: list[tuple[int, float]], more: dict[str, Any]
) -> None:
    bench = negotiating()
    install(bench, three(bench))
    before = talk(bench)
    choose(bench, *periods, **more)
    assert not bench.told(VehicleScheduleTold)
    assert bench.told(Note)[-1].kind == "vehicle.schedule"
    assert (talk(bench).number, talk(bench).offers) == (before.number + 1, before.offers)


def test_what_the_csms_does_not_agree_to_is_chosen_again_but_not_for_ever() -> None:
    bench = negotiating()
    install(bench, three(bench))
    for _ in range(MOST_REFUSED + 3):
        choose(bench, (0, 25), schedule_id=2)
        assert bench.station.smart_charging.chosen == {1: 2}
        bench.post(VehicleScheduleAnswered(1, is_accepted=False))
        assert bench.station.smart_charging.chosen == {}
    assert talk(bench).number == 1 + MOST_REFUSED
    bench.wait(10)
    assert targets(bench.station).of(1).offer_a == 8.0, "until it has, all of them limit"


# --- anew ---


def test_k16_a_new_profile_is_offered_anew() -> None:
    bench = negotiating()
    install(bench, three(bench))
    choose(bench, (0, 25), schedule_id=2)
    install(bench, of_the_transaction(bench, schedule([(0, 13)], start=START, schedule_id=5)))
    assert talk(bench).number == 2
    assert offers(bench) == {5: [(0, 13.0)]}


def test_k16_a_lower_purpose_that_changes_the_offer_is_told() -> None:
    bench = negotiating()
    install(bench, three(bench))
    most = profile(60, [(0, 20)], Purpose.STATION_MAX, start=START)
    install(bench, most, evse_id=0)
    assert talk(bench).number == 2
    assert offers(bench)[2] == [(0, 20.0)]
    bench.post(ChargingProfilesCleared(7, profile_id=60))
    assert talk(bench).number == 3


def test_what_changes_nothing_of_the_offer_leaves_it_alone() -> None:
    bench = negotiating()
    install(bench, three(bench))
    before = talk(bench).offers
    install(bench, default(6))
    bench.wait(3600)
    install(bench, default(7))
    assert talk(bench).number == 1
    assert talk(bench).offers is before


@pytest.mark.parametrize(("by_s", "number"), [(1, 1), (3600, 2), (-3600, 2), (172_800, 2)])
def test_a_clock_that_is_set_makes_another_offer(by_s: int, number: int) -> None:
    bench = negotiating()
    install(bench, three(bench))
    bench.wait(600)
    assert bench.wall_s is not None
    bench.wall_s += by_s
    bench.post(TimeLearned(bench.wall_s + bench.now_s, by_system=True))
    bench.wait(1)
    assert talk(bench).number == number
    if number > 1:
        assert {one.start_s for one in talk(bench).offers} <= {
            int(bench.wall_s + bench.now_s) - late_s for late_s in (0, 1)
        }


def test_an_offer_that_is_over_is_followed_by_another() -> None:
    bench = negotiating(replace(NEEDS, departs_s=int(WALL_S) + 610), online=False)
    bench.wait(599)
    assert talk(bench).number == 1
    bench.wait(1)
    assert talk(bench).number == 2
    (found,) = talk(bench).offers
    assert found.duration_s == USUAL_S


def test_k17_a_vehicle_may_tell_other_needs() -> None:
    bench = negotiating()
    install(bench, three(bench))
    more = replace(NEEDS, energy_wh=40_000)
    bench.post(VehicleNeedsTold(1, more))
    assert bench.told(ChargingNeedsTold)[-1] == ChargingNeedsTold(1, more)
    assert talk(bench).waits
    bench.wait(WAIT_S)
    assert talk(bench).number == 2
    assert set(offers(bench)) == {1, 2, 3}
