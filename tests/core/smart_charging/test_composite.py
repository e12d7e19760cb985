"""Composite schedules: the worked examples of the reference, and what lies between them."""

import pytest

from agent.core.smart_charging.composite import (
    Allowed,
    Place,
    allowed,
    at_instant,
    effective,
    lowest,
    own,
    station,
)
from agent.core.smart_charging.profile import Book, Kind, Profile, Purpose, Recurrency
from agent.core.smart_charging.schedule import Cap, Origin, at, clip, join
from tests.support.profiles import DAY, T0, TX, book, composite, profile, schedule

DAILY, WEEKLY = Recurrency.DAILY, Recurrency.WEEKLY
MAX, TX_PROFILE, EXTERNAL = Purpose.STATION_MAX, Purpose.TX, Purpose.EXTERNAL
RELATIVE = Kind.RELATIVE
MIDNIGHT = T0 // DAY * DAY
MONDAY = MIDNIGHT
SUNDAY = MIDNIGHT + 6 * DAY


# --- OCPP 1.6 reference 6.12 ---


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (0, [(0, 7), (100, 9), (150, 8), (200, 10)]),
        (5, [(0, 7), (95, 9), (145, 8), (195, 10)]),
    ],
)
def test_x1_stacking(now: int, expected: list[tuple[float, ...]]) -> None:
    low = profile(1, [(0, 6), (100, 8), (200, 10)], duration=400, valid_to=T0 + 401)
    high = profile(2, [(0, 7), (100, 9)], level=1, duration=150, valid_to=T0 + 401)
    assert composite(book(low, high), 350, now=T0 + now) == expected


def three_purposes(more: int = 0) -> Book:
    return book(
        profile(1, [(0, 10)], MAX, duration=86_400 + more),
        profile(2, [(0, 6), (60, 10), (120, 8), (180, 15), (260, 8)], duration=300 + more),
        profile(
            3,
            [(0, 8), (50, 11), (140, 16), (200, 6), (240, 12)],
            TX_PROFILE,
            duration=260 + more,
            valid_to=T0 + 401,
        ),
    )


def test_x2_three_purposes() -> None:
    found = composite(three_purposes(), 400, transaction=TX)
    assert found == [(0, 8), (50, 10), (200, 6), (240, 10), (260, 8), (300, 10)]


def test_x2_without_falling_back_to_the_default() -> None:
    found = composite(three_purposes(), 400, transaction=TX, falls_back=False)
    assert found == [(0, 8), (50, 10), (200, 6), (240, 10)]


def test_x2_asked_a_little_later() -> None:
    found = composite(three_purposes(4), 400, now=T0 + 4, transaction=TX)
    assert found == [(0, 8), (46, 10), (196, 6), (236, 10), (260, 8), (300, 10)]


def test_x3_clearing() -> None:
    first = profile(1, [(0, 6), (60, 8), (200, 10)], level=1, duration=400)
    second = profile(2, [(0, 7), (100, 9)], duration=400, valid_to=T0 + 401)
    third = profile(3, [(0, 11), (200, 12)], MAX, duration=86_400, valid_to=T0 + 401)
    assert composite(book(first, second, third), 350) == [(0, 6), (60, 8), (200, 10)]
    assert composite(book(second, third), 350) == [(0, 7), (100, 9)]
    assert composite(book(third), 350) == [(0, 11), (200, 12)]
    assert composite(book(), 350) == [(0, 32)]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("W", [(0, 11_000, 3), (1800, 6000, 3), (45_000, 11_000, 3)]),
        ("A", [(0, 15.9, 3), (1800, 8.6, 3), (45_000, 15.9, 3)]),
    ],
)
def test_x4_daily_in_w(unit: str, expected: list[tuple[float, ...]]) -> None:
    periods = [(0, 11_000, 3), (28_800, 6000, 3), (72_000, 11_000, 3)]
    daily = profile(1, periods, every=DAILY, unit="W", start=MIDNIGHT - DAY, duration=DAY)
    found = composite(book((0, daily)), 50_400, now=MIDNIGHT + 27_000, unit=unit)
    assert found == expected


def test_x5_recurring_shorter_than_the_day() -> None:
    night = profile(1, [(0, 32)], level=1, every=DAILY, start=MIDNIGHT - 3600, duration=25_200)
    always = profile(2, [(0, 10)], start=MIDNIGHT - DAY)
    now = MIDNIGHT + 22 * 3600
    found = composite(book(night, always), 36_000, now=now)
    assert found == [(0, 10), (3600, 32), (28_800, 10)]
    assert composite(book(night), 36_000, now=now, local=20) == [(0, 20)]


def test_x6_weekly() -> None:
    weekly = profile(1, [(0, 8), (432_000, 16)], every=WEEKLY, start=MONDAY, duration=604_800)
    friday = MONDAY + 4 * DAY + 22 * 3600
    found = composite(book(weekly), 259_200, now=friday)
    assert found == [(0, 8), (7200, 16), (180_000, 8)]


def test_x7_relative_to_the_transaction() -> None:
    relative = profile(1, [(0, 32), (900, 16), (1800, 8)], TX_PROFILE, kind=RELATIVE)
    found = composite(book(relative), 1800, transaction=TX, started=T0 - 600)
    assert found == [(0, 32), (300, 16), (1200, 8)]


def test_x8_relative_default() -> None:
    relative = profile(1, [(0, 10), (600, 20)], kind=RELATIVE)
    assert composite(book(relative), 1200) == [(0, 10), (600, 20)]
    found = composite(book(relative), 1200, transaction=TX, started=T0 - 300)
    assert found == [(0, 10), (300, 20)]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("A", [(0, 15.9, 3), (300, 10, 3)]), ("W", [(0, 11_000, 3), (300, 6900, 3)])],
)
def test_x9_mixed_units(unit: str, expected: list[tuple[float, ...]]) -> None:
    most = profile(1, [(0, 11_000, 3)], MAX, unit="W")
    mine = profile(2, [(0, 20), (300, 10)], TX_PROFILE)
    assert composite(book(most, mine), 600, unit=unit, transaction=TX) == expected


def test_x9b_one_phase_in_w() -> None:
    assert composite(book(profile(1, [(0, 7360, 1)], MAX, unit="W")), 60) == [(0, 32, 1)]


def test_x9c_three_phases_are_assumed() -> None:
    assert composite(book(profile(1, [(0, 11_000)], MAX, unit="W")), 60) == [(0, 15.9)]


def test_x10_connector_0_versus_n() -> None:
    both = book((0, profile(1, [(0, 16)])), (1, profile(2, [(0, 10)])))
    assert composite(both, 60) == [(0, 10)]
    assert composite(both, 60, evse_id=2) == [(0, 16)]


def test_x10b_the_level_beats_the_place() -> None:
    both = book((0, profile(1, [(0, 16)], level=3)), (1, profile(2, [(0, 10)], level=1)))
    assert composite(both, 60) == [(0, 16)]


def test_x11_validity_window() -> None:
    window = profile(1, [(0, 6)], level=5, valid_from=T0 + 120, valid_to=T0 + 240)
    always = profile(2, [(0, 12)])
    assert composite(book(window, always), 360) == [(0, 12), (120, 6), (240, 12)]


def test_x12_duration_longer_than_the_last_period() -> None:
    found = composite(book(profile(1, [(0, 6), (100, 9)], duration=250)), 400)
    assert found == [(0, 6), (100, 9), (250, 32)]


def test_x13_a_period_beyond_the_duration_never_runs() -> None:
    found = composite(book(profile(1, [(0, 6), (100, 9), (300, 12)], duration=200)), 400)
    assert found == [(0, 6), (100, 9), (200, 32)]


def test_x14_pause() -> None:
    pause = profile(1, [(0, 0), (120, 16)], TX_PROFILE)
    assert composite(book(pause), 300, transaction=TX) == [(0, 0), (120, 16)]


def test_x15_a_higher_level_starts_later() -> None:
    later = profile(1, [(0, 6)], level=2, start=T0 + 200, duration=100)
    always = profile(2, [(0, 13)])
    assert composite(book(later, always), 400) == [(0, 13), (200, 6), (300, 13)]


@pytest.mark.parametrize("falls_back", [True, False])
def test_x16_validity_of_the_tx_profile_ends(falls_back: bool) -> None:
    mine = profile(1, [(0, 20)], TX_PROFILE, valid_to=T0 + 100)
    both = book(mine, profile(2, [(0, 8)]))
    found = composite(both, 200, transaction=TX, falls_back=falls_back)
    assert found == [(0, 20), (100, 8)]


def test_x17_stacked_tx_profiles() -> None:
    low = profile(1, [(0, 16)], TX_PROFILE)
    high = profile(2, [(0, 6), (60, 10)], TX_PROFILE, level=1, start=T0 + 60, duration=120)
    found = composite(book(low, high), 300, transaction=TX)
    assert found == [(0, 16), (60, 6), (120, 10), (180, 16)]


def test_x18_a_daily_schedule_longer_than_a_day() -> None:
    long = profile(
        1, [(0, 10), (43_200, 20), (90_000, 5)], every=DAILY, start=MIDNIGHT, duration=100_000
    )
    found = composite(book(long), 172_800, now=MIDNIGHT + 2 * DAY)
    assert found == [(0, 10), (43_200, 20), (86_400, 10), (129_600, 20)]


def test_x19_recurring_before_its_first_start() -> None:
    noon = profile(1, [(0, 10)], every=DAILY, start=MIDNIGHT + 43_200, duration=3600)
    found = composite(book(noon), 10_800, now=MIDNIGHT + 41_400)
    assert found == [(0, 32), (1800, 10), (5400, 32)]
    assert composite(book(noon), 10_800, now=MIDNIGHT - 45_000) == [(0, 32)]


def test_x20_stack_of_the_stations_maximum() -> None:
    low = profile(1, [(0, 25)], MAX)
    high = profile(2, [(0, 12)], MAX, level=1, start=T0 + 100, duration=100)
    assert composite(book(low, high), 300) == [(0, 25), (100, 12), (200, 25)]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("A", [(0, 16, 1), (300, 16, 3)]), ("W", [(0, 3680, 1), (300, 11_040, 3)])],
)
def test_x21_phases(unit: str, expected: list[tuple[float, ...]]) -> None:
    mine = profile(1, [(0, 16, 1), (300, 16, 3)], TX_PROFILE)
    assert composite(book(mine), 600, unit=unit, transaction=TX) == expected


# X22 to X24 are about installing and removing: test_block.py.


# --- OCPP 2.0.1 reference 5.5 ---


def test_example_1_nothing_installed() -> None:
    assert composite(book(), 300) == [(0, 32)]


def test_example_2_stacking() -> None:
    low = profile(1, [(0, 6), (100, 8), (200, 10)], duration=400)
    high = profile(2, [(0, 7), (100, 9)], level=1, duration=150)
    assert composite(book(low, high), 350) == [(0, 7), (100, 9), (150, 8), (200, 10)]


def test_example_3_combining_purposes() -> None:
    found = composite(
        book(
            profile(1, [(0, 10)], MAX),
            profile(2, [(0, 6), (60, 10), (120, 8), (180, 15), (260, 8)], duration=300),
            profile(
                3, [(0, 8), (50, 11), (140, 16), (200, 6), (240, 12)], TX_PROFILE, duration=260
            ),
        ),
        400,
        transaction=TX,
    )
    assert found == [(0, 8), (50, 10), (200, 6), (240, 10), (260, 8), (300, 10)]


def test_example_4_daily() -> None:
    daily = profile(
        1,
        [(0, 16), (28_800, 10), (72_000, 16)],
        every=DAILY,
        start=MIDNIGHT - 5 * DAY,
        duration=DAY,
    )
    found = composite(book(daily), 50_400, now=MIDNIGHT + 6 * 3600)
    assert found == [(0, 16), (7200, 10)]


def peak_rule() -> Profile:
    start = MIDNIGHT + 17 * 3600
    return profile(
        1, [(0, 2000)], level=1, every=DAILY, start=start - 7 * DAY, duration=10_800, unit="W"
    )


def test_example_5_peak_hours_in_w() -> None:
    found = composite(book(peak_rule()), 18_000, now=MIDNIGHT + 16 * 3600, unit="W")
    assert found == [(0, 22_080), (3600, 2000), (14_400, 22_080)]


def test_example_6_a_higher_level_hides_the_peak_rule() -> None:
    sundays = profile(
        2, [(0, 999_999)], level=2, every=WEEKLY, start=SUNDAY - 7 * DAY, duration=DAY, unit="W"
    )
    both = book(peak_rule(), sundays)
    found = composite(both, 18_000, now=SUNDAY + 16 * 3600, unit="W")
    assert found == [(0, 22_080)]
    assert len(composite(both, 18_000, now=MONDAY + 16 * 3600, unit="W")) == 3


def test_example_7_relative() -> None:
    relative = profile(1, [(0, 16), (600, 6)], TX_PROFILE, kind=RELATIVE)
    found = composite(book(relative), 1200, transaction=TX, started=T0 - 300)
    assert found == [(0, 16), (300, 6)]


def test_example_8_validity() -> None:
    window = profile(2, [(0, 20)], level=3, valid_from=T0 + 120, valid_to=T0 + 240)
    found = composite(book(profile(1, [(0, 16)]), window), 600)
    assert found == [(0, 16), (120, 20), (240, 16)]


def test_example_9_w_asked_in_a() -> None:
    assert composite(book(profile(1, [(0, 11_040, 3)], unit="W")), 300) == [(0, 16, 3)]


def test_example_10_a_asked_in_w() -> None:
    assert composite(book(profile(1, [(0, 16, 1)])), 300, unit="W") == [(0, 3680, 1)]


def test_example_11_the_fewest_phases_win() -> None:
    both = book(profile(1, [(0, 16, 3)], TX_PROFILE), profile(2, [(0, 20, 1)], MAX))
    assert composite(both, 300, transaction=TX) == [(0, 16, 1)]


def test_example_12_a_gap_before_the_tx_profile() -> None:
    mine = profile(1, [(0, 10), (300, 12)], TX_PROFILE, start=T0 + 120, duration=300)
    found = composite(book(mine, profile(2, [(0, 14)])), 600, transaction=TX)
    assert found == [(0, 14), (120, 10), (420, 14)]


def test_example_13_external_constraint() -> None:
    mine = profile(1, [(0, 20)], TX_PROFILE, kind=RELATIVE)
    grid = profile(-1, [(0, 8)], EXTERNAL, start=T0 + 60, duration=120)
    for evse_id in (0, 1):
        found = composite(book(mine, (evse_id, grid)), 600, transaction=TX)
        assert found == [(0, 20), (60, 8), (180, 20)]


def test_example_14_a_pause_on_a_higher_level() -> None:
    pause = profile(1, [(0, 0)], TX_PROFILE, level=1, kind=RELATIVE, duration=60)
    flow = profile(2, [(0, 10)], TX_PROFILE, kind=RELATIVE)
    assert composite(book(pause, flow), 300, transaction=TX) == [(0, 0), (60, 10)]


def test_example_15_daily_ends_within_the_window() -> None:
    daily = profile(1, [(0, 12)], every=DAILY, start=T0 - 3600, duration=3660)
    assert composite(book(daily), 300) == [(0, 12), (60, 32)]


def test_example_16_the_station_below_its_maximum() -> None:
    both = book(profile(1, [(0, 40)], MAX), (0, profile(2, [(0, 16)])))
    assert composite(both, 300, evse_id=0, evses=2) == [(0, 32)]


def test_example_17_the_station_at_its_maximum() -> None:
    both = book(profile(1, [(0, 20)], MAX), (0, profile(2, [(0, 16)])))
    assert composite(both, 300, evse_id=0, evses=2) == [(0, 20)]
    assert composite(both, 300) == [(0, 16)]


def test_example_18_the_level_beats_the_place() -> None:
    both = book((0, profile(1, [(0, 10)], level=1)), (1, profile(2, [(0, 20)])))
    assert composite(both, 60) == [(0, 10)]


def test_example_19_less_than_anybody_can_offer() -> None:
    assert composite(book(profile(1, [(0, 4)], TX_PROFILE)), 300, transaction=TX) == [(0, 4)]


def test_example_20_the_tx_profile_overrules_the_default() -> None:
    both = book(profile(1, [(0, 16)]), profile(2, [(0, 25)], TX_PROFILE))
    assert composite(both, 300, transaction=TX) == [(0, 25)]


# --- between the examples ---


PLACE = Place(1, 3, 230, TX, T0)


def test_a_tx_profile_of_another_transaction_limits_nothing() -> None:
    assert composite(book(profile(1, [(0, 6)], TX_PROFILE)), 60, transaction="other") == [
        (0, 32)
    ]


def test_the_station_in_w_adds_what_its_evses_may_draw() -> None:
    found = composite(book(), 60, unit="W", evse_id=0, evses=2)
    assert found == [(0, 44_160)]
    found = composite(
        book(profile(1, [(0, 30_000)], MAX, unit="W")), 60, unit="W", evse_id=0, evses=2
    )
    assert found == [(0, 30_000)]


def test_the_station_tells_the_fewest_phases_that_a_profile_names() -> None:
    both = book((1, profile(1, [(0, 16, 1)])), (2, profile(2, [(0, 10)])))
    assert composite(both, 60, evse_id=0, evses=2) == [(0, 26, 1)]


def test_a_limit_in_w_is_spread_over_the_phases_that_there_are() -> None:
    most = book(profile(1, [(0, 7360)], unit="W"))
    assert composite(most, 60, phases=1) == [(0, 32)]
    assert composite(most, 60, phases=3) == [(0, 10.6)]


def test_named_phases_that_are_missing_leave_the_limit_per_phase_alone() -> None:
    """1.6 reference 6.4, number 10."""
    assert composite(book(profile(1, [(0, 11_040, 3)], unit="W")), 60, phases=1) == [(0, 16, 3)]
    found = composite(book(profile(1, [(0, 16, 3)])), 60, unit="W", phases=1)
    assert found == [(0, 3680, 3)]


def test_neighbours_that_look_alike_are_one_period_whoever_limits() -> None:
    mine = profile(1, [(0, 20), (60, 10)])
    most = profile(2, [(0, 10), (30, 10.05)], MAX)
    assert composite(book(mine, most), 120) == [(0, 10)]


def test_limits_are_never_rounded_up() -> None:
    assert composite(book(profile(1, [(0, 15.99)])), 60) == [(0, 15.9)]
    assert composite(book(profile(1, [(0, 8.1)])), 60) == [(0, 8.1)]
    assert composite(book(profile(1, [(0, 6000.19)], unit="W")), 60, unit="W") == [(0, 6000.1)]


def test_until_the_vehicle_has_chosen_all_schedules_limit_it() -> None:
    several = Profile(
        1,
        0,
        TX_PROFILE,
        Kind.ABSOLUTE,
        (
            schedule([(0, 16), (100, 8)], schedule_id=1),
            schedule([(0, 10)], schedule_id=2),
        ),
        transaction_id=TX,
    )
    curve = effective(book(several), PLACE, T0, T0 + 200)
    assert [(from_s - T0, cap and cap.amps()) for from_s, cap in curve] == [
        (0, (10_000, Origin("TxProfile", 1))),
        (100, (8_000, Origin("TxProfile", 1))),
        (200, None),
    ]
    curve = effective(book(several), PLACE._replace(chosen=1), T0, T0 + 200)
    assert [cap and cap.amps() for _, cap in curve] == [
        (16_000, Origin("TxProfile", 1)),
        (8_000, Origin("TxProfile", 1)),
        None,
    ]


def test_the_station_is_told_apart_from_the_evse() -> None:
    both = book(profile(1, [(0, 20)], MAX), profile(2, [(0, 16)]))
    assert at(own(both, PLACE, T0, T0 + 60), T0) == Cap((16_000, Origin("TxDefaultProfile", 2)))
    whole = station(both, PLACE._replace(evse_id=0), T0, T0 + 60)
    assert at(whole, T0) == Cap((20_000, Origin("ChargingStationMaxProfile", 1)))


def test_what_holds_at_an_instant_names_its_origin_and_its_end() -> None:
    daily = profile(7, [(0, 16), (60, 8)], every=DAILY, start=T0)
    cap, until_s = at_instant(book(daily), PLACE, T0 + 10)
    assert allowed(cap) == Allowed(
        limit_ma=16_000, current_ma=16_000, origin="TxDefaultProfile", profile_id=7
    )
    assert until_s == T0 + 60
    _, until_s = at_instant(book(daily), PLACE, T0 + 60)
    assert until_s == MIDNIGHT + DAY  # looked at again at the end of the day


def test_what_holds_at_an_instant_in_w_says_so() -> None:
    cap, _ = at_instant(book(profile(7, [(0, 7000, 1)], unit="W")), PLACE, T0)
    assert allowed(cap) == Allowed(
        limit_ma=30_434,
        limit_mw=7_000_000,
        phases=1,
        origin="TxDefaultProfile",
        profile_id=7,
    )


def test_where_nothing_is_said_everything_is_allowed() -> None:
    assert allowed(None) == Allowed()
    assert allowed(Cap()) == Allowed()
    assert allowed(at_instant(book(), PLACE, T0)[0]) == Allowed()


def test_without_the_time_the_least_that_is_ever_allowed_is_sure() -> None:
    both = book(
        profile(1, [(0, 16), (60, 8)]),
        profile(2, [(0, 10)], MAX),
        profile(3, [(0, 7)], EXTERNAL),
    )
    assert lowest(both, PLACE) == Cap((7_000, Origin("ChargingStationExternalConstraints", 3)))
    assert lowest(both, PLACE._replace(evse_id=0)) == Cap(
        (10_000, Origin("ChargingStationMaxProfile", 2))
    )
    assert lowest(book(), PLACE) is None


@pytest.mark.parametrize("cut", [T0 + 1, T0 + 43_200, MIDNIGHT + DAY, T0 + 200_000])
def test_windows_compose(cut: int) -> None:
    installed = book(
        profile(1, [(0, 16), (3600, 8)], every=DAILY, start=MIDNIGHT - DAY, duration=40_000),
        profile(2, [(0, 12), (100_000, 20)], MAX),
        profile(3, [(0, 9), (7000, 11)], kind=RELATIVE, level=1, duration=9000),
    )
    end = T0 + 300_000
    whole = effective(installed, PLACE, T0, end)
    parts = (effective(installed, PLACE, T0, cut), effective(installed, PLACE, cut, end))
    assert join(parts) == whole
    assert clip(whole, cut, end) == parts[1]
