"""Profiles are set, cleared and shown; what they allow is what is offered."""

import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from agent.core import durable
from agent.core.effects import (
    ChargingNeedsTold,
    CompositeAnswer,
    Done,
    ProfilesReported,
    Reply,
    SettingsAnswer,
    VehicleScheduleTold,
    Verdict,
)
from agent.core.events import (
    ChargingProfileOffered,
    ChargingProfilesCleared,
    ChargingProfilesRequested,
    CompositeScheduleRequested,
    EvseDetected,
    LinkDown,
    OutletChanged,
    PilotChanged,
    RemoteStartRequested,
    SettingsReadRequested,
    TimeLearned,
    TransactionAcknowledged,
    VehicleNeedsAnswered,
    VehicleNeedsTold,
    VehicleScheduleAnswered,
    VehicleScheduleChosen,
)
from agent.core.smart_charging.block import LONGEST_COMPOSITE_S, PROFILES_PER_REPORT
from agent.core.smart_charging.needs import ChargingNeeds, NeedsAnswer, Transfer
from agent.core.smart_charging.profile import (
    Book,
    Entry,
    Installed,
    Kind,
    Profile,
    Purpose,
    Recurrency,
    Unit,
)
from agent.core.station import deadline, targets
from agent.core.values import EvseCapabilities
from hal.types import PilotState
from tests.support.core import OTHER, TAG, WALL_S, Bench
from tests.support.profiles import profile, schedule

NOW = int(WALL_S)
TX, MAX, DEFAULT = Purpose.TX, Purpose.STATION_MAX, Purpose.TX_DEFAULT
ACCEPTED = Done(Verdict.ACCEPTED)
REQUESTS = itertools.count(1000)


def limiting(profile_id: int, limit: float, purpose: Purpose = DEFAULT, **more: Any) -> Profile:
    """Return a profile that began long ago and never ends."""
    periods = more.pop("periods", [(0, limit)])
    return profile(profile_id, periods, purpose, start=NOW - 86_400, **more)


def offer(
    bench: Bench,
    what: Profile,
    evse_id: int = 1,
    *,
    lenient: bool = False,
    number: int | None = None,
) -> Done:
    request_id = next(REQUESTS)
    bench.post(ChargingProfileOffered(request_id, evse_id, what, number, lenient))
    done = bench.reply(request_id)
    assert isinstance(done, Done)
    return done


def clear(bench: Bench, **criteria: Any) -> bool:
    request_id = next(REQUESTS)
    bench.post(ChargingProfilesCleared(request_id, **criteria))
    done = bench.reply(request_id)
    assert isinstance(done, Done)
    return done.verdict is Verdict.ACCEPTED


def composite(bench: Bench, evse_id: int = 1, duration_s: int = 60, **more: Any) -> Any:
    request_id = next(REQUESTS)
    bench.post(CompositeScheduleRequested(request_id, evse_id, duration_s, **more))
    answer = bench.reply(request_id)
    if not isinstance(answer, CompositeAnswer):
        return answer
    return [(item.start_s, item.limit / 1000) for item in answer.entries]


def offered(bench: Bench, evse_id: int = 1) -> float:
    return targets(bench.station).of(evse_id).offer_a


def transaction(bench: Bench, evse_id: int = 1) -> str:
    found = bench.station.evses[evse_id].transaction
    assert found is not None
    return found.transaction_id


def tx_profile(bench: Bench, profile_id: int, limit: float, **more: Any) -> Profile:
    return limiting(profile_id, limit, TX, transaction=transaction(bench), **more)


def charging(evses: int = 1, **settings: str) -> Bench:
    bench = Bench(evses, **settings).ready(evses)
    bench.charge()
    bench.wait(10)
    assert offered(bench) == 32.0
    return bench


# --- set ---


def test_an_accepted_profile_limits_in_the_same_turn() -> None:
    bench = charging()
    assert offer(bench, limiting(1, 10)) == ACCEPTED
    assert offered(bench) == 10.0


def test_a_refused_profile_changes_nothing() -> None:
    bench = charging()
    offer(bench, limiting(1, 10))
    before = bench.station.smart_charging.book
    done = offer(bench, limiting(1, -1))
    assert (done.verdict, done.reason) == (Verdict.REJECTED, "InvalidSchedule")
    assert bench.station.smart_charging.book is before
    assert offered(bench) == 10.0


def test_an_unknown_evse_is_told_apart() -> None:
    bench = Bench(2).ready(2)
    assert offer(bench, limiting(1, 10), 3).verdict is Verdict.UNKNOWN_EVSE
    assert offer(bench, limiting(1, 10), -1).reason == "UnknownEvse"


def test_x22_replacement() -> None:
    bench = Bench(2).ready(2)
    offer(bench, limiting(1, 16), 0, lenient=True)
    offer(bench, limiting(2, 10), 0, lenient=True)
    assert list(bench.station.smart_charging.book.entries) == ["2"]
    assert not clear(bench, profile_id=1)
    offer(bench, limiting(2, 20, MAX, level=1), 0, lenient=True)
    assert composite(bench) == [(0, 20)]


def test_x23_refusals() -> None:
    bench = charging(2)
    for what, evse_id in (
        (limiting(1, 10, MAX), 1),
        (limiting(1, 10, TX), 0),
        (limiting(1, 10, TX), 2),
        (limiting(1, 10, level=10), 1),
        (limiting(1, 0, periods=[(10, 6)]), 1),
    ):
        assert offer(bench, what, evse_id, lenient=True).verdict is Verdict.REJECTED
    other = limiting(1, 10, TX, transaction=None)
    assert offer(bench, other, 1, lenient=True, number=99).reason == "UnknownTxId"


def test_a_transaction_may_be_named_by_its_number() -> None:
    bench = charging()
    bench.post(TransactionAcknowledged(transaction(bench), remote_id=7))
    mine = limiting(1, 10, TX, transaction=None)
    assert offer(bench, mine, lenient=True, number=7) == ACCEPTED
    assert offered(bench) == 10.0


def test_without_a_number_the_running_transaction_is_meant() -> None:
    bench = charging()
    assert offer(bench, limiting(1, 10, TX, transaction=None), lenient=True) == ACCEPTED
    assert offered(bench) == 10.0


# --- in force ---


def test_a_period_ends_by_itself() -> None:
    bench = charging()
    start = NOW + int(bench.now_s)
    offer(bench, profile(1, [(0, 10), (30, 8), (60, 20)], start=start))
    bench.wait(30)
    assert offered(bench) == 8.0
    bench.wait(40)
    assert offered(bench) == 20.0


def test_below_six_ampere_the_offer_pauses_and_the_transaction_goes_on() -> None:
    bench = charging()
    offer(bench, limiting(1, 5.9))
    assert offered(bench) == 0.0
    assert bench.station.evses[1].transaction is not None


def test_the_stations_maximum_holds_for_the_sum() -> None:
    bench = Bench(2).ready(2)
    offer(bench, limiting(1, 20, MAX), 0)
    bench.charge(1)
    bench.charge(2, OTHER)
    bench.wait(300)
    assert 12.0 <= offered(bench, 1) + offered(bench, 2) <= 20.0


def test_a_limit_in_w_is_spread_over_all_phases() -> None:
    bench = charging()
    offer(bench, limiting(1, 6900, unit="W"))
    assert offered(bench) == 10.0
    one_phase = limiting(1, 0, unit="W", periods=[(0, 6900, 1)])
    offer(bench, one_phase, lenient=True)
    assert composite(bench) == [(0, 30)]
    assert offered(bench) == 10.0  # nothing keeps the vehicle from using all of them
    offer(bench, limiting(1, 5520, unit="W"))
    assert offered(bench) == 8.0


def test_the_stations_maximum_in_w_holds_for_the_sum() -> None:
    bench = Bench(2).ready(2)
    offer(bench, limiting(1, 13_800, MAX, unit="W"), 0)
    bench.charge(1)
    bench.charge(2, OTHER)
    bench.wait(300)
    assert 12.0 <= offered(bench, 1) + offered(bench, 2) <= 20.0


def test_a_relative_profile_counts_from_the_start_of_the_transaction() -> None:
    bench = Bench().ready()
    offer(bench, profile(1, [(0, 10), (60, 16)], kind=Kind.RELATIVE))
    bench.wait(500)
    bench.meter(1000)
    bench.charge()
    bench.wait(59)
    assert offered(bench) == 10.0
    bench.wait(10)
    assert offered(bench) == 16.0


def test_an_idle_evse_shows_a_relative_profile_from_its_beginning() -> None:
    bench = Bench().ready()
    offer(bench, profile(1, [(0, 10), (60, 16)], kind=Kind.RELATIVE))
    for _ in range(4):
        bench.wait(45)
        assert bench.station.smart_charging.own[1].limit_ma in {10_000, 16_000}
    assert composite(bench, duration_s=100) == [(0, 10), (60, 16)]


def test_without_the_time_the_least_of_all_periods_holds() -> None:
    bench = Bench(wall_s=None).ready()
    offer(bench, profile(1, [(0, 16), (60, 8)], kind=Kind.RELATIVE))
    offer(bench, limiting(2, 12, MAX), 0)
    bench.charge()
    bench.wait(10)
    assert offered(bench) == 8.0
    assert bench.station.smart_charging.wake_s is None
    bench.post(TimeLearned(WALL_S))
    bench.wait(10)
    assert offered(bench) == 12.0


def test_a_clock_that_is_set_moves_what_holds() -> None:
    bench = charging()
    offer(bench, profile(1, [(0, 10), (3600, 8)], start=NOW - 100))
    assert offered(bench) == 10.0
    bench.post(TimeLearned(WALL_S + 4000))
    assert offered(bench) == 8.0


# --- the end of a transaction ---


def test_x24_a_tx_profile_goes_with_its_transaction() -> None:
    bench = charging()
    offer(bench, tx_profile(bench, 1, 6))
    assert offered(bench) == 6.0
    bench.tap()
    bench.obey()
    bench.meter(1100)
    bench.pilot(PilotState.A)
    assert bench.station.smart_charging.book.entries == {}
    assert not clear(bench, profile_id=1)
    bench.charge()
    bench.wait(10)
    assert offered(bench) == 32.0


def test_a_tx_profile_that_is_exhausted_gives_way_to_the_default() -> None:
    bench = charging()
    offer(bench, limiting(2, 8))
    start = NOW + int(bench.now_s)
    offer(
        bench,
        profile(1, [(0, 20)], TX, start=start, duration=60, transaction=transaction(bench)),
    )
    bench.wait(30)
    assert offered(bench) == 20.0
    bench.wait(40)
    assert offered(bench) == 8.0


def test_what_is_over_goes() -> None:
    bench = Bench().ready()
    offer(bench, profile(1, [(0, 10)], start=NOW, duration=600))
    offer(bench, limiting(2, 10, level=1, valid_to=NOW + 900))
    bench.wait(1000)
    assert bench.station.smart_charging.book.entries == {}
    assert bench._rows.get("profile", {}) == {}


# --- durable ---


def test_profiles_survive_a_reboot_per_evse() -> None:
    bench = Bench(2).ready(2)
    offer(bench, limiting(1, 10), 1)
    offer(bench, limiting(2, 12, level=1), 2)
    offer(bench, limiting(3, 30, MAX), 0)
    before = bench.station.smart_charging.book.entries
    bench.power_cut()
    assert bench.station.smart_charging.book.entries == before
    bench.ready(2)
    assert (composite(bench, 1), composite(bench, 2)) == ([(0, 10)], [(0, 12)])


def find_the_vehicle_again(bench: Bench) -> None:
    bench.post(EvseDetected(1, EvseCapabilities(max_a=32.0, phases=3)))
    bench.post(PilotChanged(1, PilotState.C))
    bench.post(OutletChanged(1, closed=False))
    bench.meter(1010)
    bench.obey()


def test_a_tx_profile_survives_with_its_transaction() -> None:
    bench = charging(TxCtrlr__ResumeAfterPowerLoss="true")
    offer(bench, tx_profile(bench, 1, 10, kind=Kind.RELATIVE, periods=[(0, 10), (3600, 6)]))
    bench.power_cut()
    find_the_vehicle_again(bench)
    bench.wait(30)
    assert offered(bench) == 10.0
    bench.wait(3600)
    assert offered(bench) == 6.0


def test_without_knowing_the_start_the_least_of_a_relative_profile_holds() -> None:
    bench = Bench(wall_s=None, TxCtrlr__ResumeAfterPowerLoss="true").ready()
    bench.charge()
    mine = tx_profile(bench, 1, 10, kind=Kind.RELATIVE, periods=[(0, 10), (3600, 6)])
    offer(bench, mine)
    bench.power_cut()
    find_the_vehicle_again(bench)
    bench.post(TimeLearned(WALL_S))
    bench.wait(60)
    assert offered(bench) == 6.0


def test_a_tx_profile_whose_transaction_is_gone_does_not_come_back() -> None:
    bench = charging()
    offer(bench, tx_profile(bench, 1, 10))
    bench._rows.pop("session")
    bench.power_cut()
    assert bench.station.smart_charging.book.entries == {}


def test_the_reply_and_the_profile_are_in_one_commit() -> None:
    bench = Bench().ready()
    before = bench.station
    bench.post(ChargingProfileOffered(5, 1, limiting(1, 10)))
    assert not durable.is_untouched(before, bench.station)
    assert list(bench._rows["profile"]) == ["1"]
    assert bench.reply(5) == ACCEPTED


def test_an_event_that_has_no_meaning_here_leaves_the_slice_alone() -> None:
    bench = charging()
    offer(bench, limiting(1, 10))
    before = bench.station.smart_charging
    bench.pilot(PilotState.C)
    assert bench.station.smart_charging is before


def test_how_many_are_installed_can_be_read() -> None:
    bench = Bench().ready()
    name = "SmartChargingCtrlr.Entries[ChargingProfiles]"
    offer(bench, limiting(1, 10))
    bench.post(SettingsReadRequested(900, (name,)))
    answer = bench.reply(900)
    assert isinstance(answer, SettingsAnswer)
    assert answer.results[0].value == "1"


# --- remote start ---


def start(bench: Bench, what: Profile, request_id: int = 800, **more: Any) -> Done:
    bench.post(RemoteStartRequested(request_id, TAG, 1, profile=what, **more))
    done = bench.reply(request_id)
    assert isinstance(done, Done)
    return done


def brought(profile_id: int = 1, **more: Any) -> Profile:
    return limiting(profile_id, 10, TX, transaction=None, kind=Kind.RELATIVE, **more)


@pytest.mark.parametrize("asked", ["true", "false"])
def test_a_profile_that_comes_with_a_start_holds_from_the_first_second(asked: str) -> None:
    """K05.FR.03; 1.6 TC_059."""
    bench = Bench(AuthCtrlr__AuthorizeRemoteStart=asked).ready()
    bench.pilot(PilotState.C)
    assert start(bench, brought()) == ACCEPTED
    if asked == "true":
        bench.grant()
    bench.obey()
    assert bench.station.smart_charging.book.entries["1"].profile.transaction_id == transaction(
        bench
    )
    bench.wait(10)
    assert offered(bench) == 10.0


def test_a_start_that_comes_to_nothing_leaves_no_profile() -> None:
    bench = Bench(AuthCtrlr__AuthorizeRemoteStart="false").ready()
    start(bench, brought())
    bench.wait(600)
    bench.meter(1000)
    bench.charge()
    bench.wait(10)
    assert offered(bench) == 32.0


def test_of_two_starts_for_one_token_the_last_profile_counts() -> None:
    bench = Bench(AuthCtrlr__AuthorizeRemoteStart="false").ready()
    start(bench, brought(1))
    start(bench, brought(2), 801)
    bench.pilot(PilotState.C)
    assert list(bench.station.smart_charging.book.entries) == ["2"]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (limiting(1, 10), "InvalidProfile"),
        (replace(brought(), transaction_id="tx"), "InvalidProfile"),
        (brought(level=10), "InvalidStackLevel"),
        (brought(unit="W", periods=[(0, -1)]), "InvalidSchedule"),
    ],
)
def test_a_start_with_a_wrong_profile_is_refused(what: Profile, reason: str) -> None:
    """F01.FR.26, K05.FR.05; 1.6 TC_060."""
    bench = Bench().ready()
    assert start(bench, what).reason == reason


def test_a_lenient_start_may_name_a_transaction() -> None:
    bench = Bench().ready()
    assert start(bench, replace(brought(), transaction_id="tx"), lenient=True) == ACCEPTED


def test_a_tx_profile_of_the_same_level_replaces_the_one_of_the_start() -> None:
    bench = Bench(AuthCtrlr__AuthorizeRemoteStart="false").ready()
    bench.pilot(PilotState.C)
    start(bench, brought())
    offer(bench, tx_profile(bench, 9, 12), lenient=True)
    assert list(bench.station.smart_charging.book.entries) == ["9"]


# --- clear ---


def test_an_id_clears_its_profile_whatever_else_is_named() -> None:
    bench = Bench().ready()
    offer(bench, limiting(1, 10))
    assert clear(bench, profile_id=1, evse_id=7, stack_level=5)
    assert composite(bench) == [(0, 32)]


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        ({}, set()),
        ({"evse_id": 1}, {"2", "3"}),
        ({"evse_id": 0}, {"1"}),
        ({"purpose": MAX}, {"1", "2"}),
        ({"purpose": DEFAULT, "stack_level": 1}, {"1", "3"}),
        ({"evse_id": 2}, {"1", "2", "3"}),
        ({"stack_level": 5}, {"1", "2", "3"}),
    ],
)
def test_everything_that_fits_is_cleared(criteria: dict[str, Any], left: set[str]) -> None:
    bench = Bench(2).ready(2)
    offer(bench, limiting(1, 10), 1)
    offer(bench, limiting(2, 10, level=1), 0)
    offer(bench, limiting(3, 10, MAX), 0)
    assert clear(bench, **criteria) is (len(left) < 3)
    assert bench.station.smart_charging.book.entries.keys() == left


def test_clearing_takes_effect_at_once() -> None:
    """K10.FR.07."""
    bench = charging()
    offer(bench, limiting(1, 10))
    bench.wait(10)
    assert clear(bench)
    assert offered(bench) == 32.0
    assert not clear(bench)


def test_an_external_constraint_is_not_the_csmss_to_clear() -> None:
    """K10.FR.05."""
    bench = Bench().ready()
    grid = limiting(-1, 10, Purpose.EXTERNAL)
    book = Book({grid.key: Installed(0, grid, "SO")})
    state = replace(bench.station.smart_charging, book=book)
    bench.station = replace(bench.station, smart_charging=state)
    assert composite(bench) == [(0, 10)]
    assert not clear(bench)
    assert not clear(bench, profile_id=-1)
    assert reports(bench, sources=("SO",))[0].source == "SO"


# --- report ---


def reports(bench: Bench, **criteria: Any) -> list[ProfilesReported]:
    request_id = next(REQUESTS)
    effects = bench.post(ChargingProfilesRequested(request_id, 77, **criteria))
    found = [effect for effect in effects if isinstance(effect, ProfilesReported)]
    first = effects[0]
    assert isinstance(first, Reply)  # the answer comes before what it announces
    assert isinstance(first.outcome, Done)
    assert (first.outcome.verdict is Verdict.ACCEPTED) is bool(found)
    return found


@pytest.mark.parametrize(
    ("criteria", "ids"),
    [
        ({}, {1, 2, 3}),
        ({"evse_id": 0}, {2, 3}),
        ({"evse_id": 1}, {1}),
        ({"evse_id": 2}, set()),
        ({"purpose": DEFAULT}, {1, 2}),
        ({"stack_level": 1}, {2}),
        ({"profile_ids": (1, 3, 9)}, {1, 3}),
        ({"sources": ("CSO",)}, {1, 2, 3}),
        ({"sources": ("EMS",)}, set()),
    ],
)
def test_profiles_are_shown_by_criteria(criteria: dict[str, Any], ids: set[int]) -> None:
    """K09; TC_K_29 to TC_K_36."""
    bench = Bench(2).ready(2)
    offer(bench, limiting(1, 10), 1)
    offer(bench, limiting(2, 10, level=1), 0)
    offer(bench, limiting(3, 10, MAX), 0)
    found = reports(bench, **criteria)
    assert {item.profile_id for report in found for item in report.profiles} == ids


def test_a_report_has_a_part_per_evse_and_a_few_profiles_in_each() -> None:
    bench = Bench(2).ready(2)
    for level in range(PROFILES_PER_REPORT + 1):
        offer(bench, limiting(level + 1, 10, level=level), 1)
    offer(bench, limiting(90, 10, MAX), 0)
    found = reports(bench)
    assert [(part.evse_id, len(part.profiles), part.is_last) for part in found] == [
        (0, 1, False),
        (1, PROFILES_PER_REPORT, False),
        (1, 1, True),
    ]


# --- composite schedule ---


def test_a_composite_schedule_counts_from_the_present_second() -> None:
    bench = Bench().ready()
    bench.now_s = 100.7
    bench.post(CompositeScheduleRequested(5, 1, 60))
    assert bench.reply(5) == CompositeAnswer(1, NOW + 100, 60, Unit.AMPERE, (Entry(0, 32_000),))


def test_the_stations_composite_adds_its_evses() -> None:
    bench = Bench(2).ready(2)
    offer(bench, limiting(1, 10), 0)
    assert composite(bench, 0) == [(0, 20)]
    assert composite(bench, 0, unit=Unit.WATT) == [(0, 13_800)]


@pytest.mark.parametrize(
    ("evse_id", "duration_s", "more", "reason"),
    [
        (3, 60, {}, "UnknownEvse"),
        (-1, 60, {}, "UnknownEvse"),
        (1, 0, {}, "InvalidValue"),
        (1, -5, {}, "InvalidValue"),
        (1, 60, {"unit": Unit.WATT}, "UnsupportedRateUnit"),
    ],
)
def test_what_cannot_be_composed_is_refused(
    evse_id: int, duration_s: int, more: dict[str, Any], reason: str
) -> None:
    """K08.FR.05, K08.FR.07."""
    bench = Bench(SmartChargingCtrlr__RateUnit="A").ready()
    assert composite(bench, evse_id, duration_s, **more).reason == reason


def test_a_lenient_request_converts_to_any_unit() -> None:
    bench = Bench(SmartChargingCtrlr__RateUnit="A").ready()
    assert composite(bench, unit=Unit.WATT, converts=True) == [(0, 22_080)]


def test_where_only_w_is_allowed_w_is_told() -> None:
    bench = Bench(SmartChargingCtrlr__RateUnit="W").ready()
    assert composite(bench) == [(0, 22_080)]


def test_without_the_time_there_is_no_composite_schedule() -> None:
    assert composite(Bench(wall_s=None).ready()).verdict is Verdict.REJECTED


def test_a_long_composite_schedule_is_cut_and_says_so() -> None:
    bench = Bench(SmartChargingCtrlr__PeriodsPerSchedule="5").ready()
    bench.post(CompositeScheduleRequested(5, 1, 10**9))
    answer = bench.reply(5)
    assert isinstance(answer, CompositeAnswer)
    assert answer.duration_s == LONGEST_COMPOSITE_S
    daily = limiting(1, 0, every=Recurrency.DAILY, periods=[(0, 10), (3600, 12)])
    offer(bench, daily)
    bench.post(CompositeScheduleRequested(6, 1, 10**9))
    answer = bench.reply(6)
    assert isinstance(answer, CompositeAnswer)
    assert len(answer.entries) == 5
    assert answer.entries[-1].start_s < answer.duration_s < LONGEST_COMPOSITE_S


def test_switched_off_nothing_new_is_taken_and_nothing_forgotten() -> None:
    bench = Bench().ready()
    offer(bench, limiting(1, 10))
    off = Bench(SmartChargingCtrlr__Enabled="false").ready()
    assert offer(off, limiting(1, 10)).reason == "NotEnabled"
    assert composite(off).reason == "NotEnabled"


def test_the_limits_have_an_instant_at_which_they_change() -> None:
    bench = Bench().ready()
    offer(bench, profile(1, [(0, 10), (600, 12)], start=NOW))
    due = bench.station.smart_charging.wake_s
    assert due is not None
    assert due == pytest.approx(600, abs=0.01)
    assert deadline(bench.station) is not None


# --- vehicles that negotiate ---

NEEDS = ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 32, 230)


def negotiating() -> Bench:
    bench = charging(ISO15118Ctrlr__Enabled="true")
    bench.post(VehicleNeedsTold(1, NEEDS))
    return bench


def several(bench: Bench) -> Profile:
    one = tx_profile(bench, 1, 0)
    schedules = (
        schedule([(0, 16), (600, 10)], start=NOW - 60, schedule_id=1),
        schedule([(0, 12)], start=NOW - 60, schedule_id=2),
    )
    return replace(one, schedules=schedules)


def test_the_csms_is_told_what_a_vehicle_needs() -> None:
    """K15.FR.01; K15.FR.15: its answer is not waited for without a link."""
    bench = negotiating()
    assert bench.told(ChargingNeedsTold) == [ChargingNeedsTold(1, NEEDS)]
    assert bench.station.smart_charging.talks[1].waits
    bench.post(LinkDown("gone"))
    assert not bench.station.smart_charging.talks[1].waits


def test_of_several_schedules_the_vehicle_chooses_one() -> None:
    bench = negotiating()
    assert offer(bench, several(bench)) == ACCEPTED
    assert offered(bench) == 12.0  # until then all of them limit
    mine = schedule([(0, 16), (60, 8)], start=None, schedule_id=1, duration=300)
    bench.post(VehicleScheduleChosen(1, mine))
    (told,) = bench.told(VehicleScheduleTold)
    assert isinstance(told, VehicleScheduleTold)
    assert (told.evse_id, told.schedule) == (1, mine)
    assert told.start_s == int(WALL_S + bench.now_s)
    bench.post(VehicleNeedsAnswered(1, NeedsAnswer.ACCEPTED))
    bench.post(VehicleScheduleAnswered(1, is_accepted=True))
    bench.wait(10)
    assert offered(bench) == 16.0


def test_more_than_was_offered_is_no_choice() -> None:
    """K15.FR.09."""
    bench = negotiating()
    offer(bench, several(bench))
    for wish in ([(0, 16.1)], [(0, 10), (700, 16)]):
        bench.post(VehicleScheduleChosen(1, schedule(wish, start=None, schedule_id=1)))
    bench.wait(10)
    assert not bench.told(VehicleScheduleTold)
    assert offered(bench) == 12.0


def test_who_was_offered_nothing_chooses_nothing() -> None:
    bench = charging()
    bench.post(VehicleScheduleChosen(1, schedule([(0, 6)], start=None)))
    assert not bench.told(VehicleScheduleTold)


def test_a_new_profile_is_chosen_from_anew() -> None:
    """K16."""
    bench = negotiating()
    offer(bench, several(bench))
    bench.post(VehicleScheduleChosen(1, schedule([(0, 8)], start=None, schedule_id=1)))
    bench.wait(10)
    assert offered(bench) == 16.0
    offer(bench, several(bench))
    assert offered(bench) == 12.0


def test_the_next_vehicle_tells_its_own_needs() -> None:
    bench = negotiating()
    several_of_the_first = several(bench)
    bench.tap()
    bench.obey()
    bench.meter(1100)
    bench.pilot(PilotState.A)
    bench.charge()
    mine = replace(several_of_the_first, transaction_id=transaction(bench))
    assert offer(bench, mine).reason == "InvalidMessageSeq"
