"""Every row of the validation tables: what is taken, and what is refused for which reason."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from agent.core.smart_charging.acceptance import (
    LATEST_S,
    LONGEST_S,
    RULES,
    START_RULES,
    checked,
    installed,
    replaced,
)
from agent.core.smart_charging.offer import Bounds, Offer, Refusal, bounds
from agent.core.smart_charging.profile import (
    MOST_MILLI,
    Book,
    Installed,
    Kind,
    Period,
    Profile,
    Purpose,
    Recurrency,
    Unit,
    milli,
)
from agent.core.values import EvseSpec
from agent.core.variables import RATE_UNIT, Settings
from tests.support.profiles import DAY, T0, TX, book, profile, schedule

MAX, TXP, DEFAULT, EXTERNAL = (
    Purpose.STATION_MAX,
    Purpose.TX,
    Purpose.TX_DEFAULT,
    Purpose.EXTERNAL,
)
SPECS = {1: EvseSpec(1, 1, 32.0, 3), 2: EvseSpec(2, 1, 16.0, 1)}
SWITCHED = {**SPECS, 1: EvseSpec(1, 1, 32.0, 3, switches_phases=True)}
PLAIN = [(0, 16)]


def offer(what: Profile, evse_id: int = 1, *, have: Book | None = None, **more: Any) -> Offer:
    """Return an offer to a station whose EVSE 1 charges."""
    facts: dict[str, Any] = {
        "specs": SPECS,
        "transactions": {1: TX},
        "bounds": Bounds(),
        "now_s": T0,
        "names_transaction": what.transaction_id is not None,
        **more,
    }
    return Offer(evse_id=evse_id, profile=what, book=have or Book(), **facts)


def reason(what: Profile, evse_id: int = 1, **more: Any) -> str | None:
    """Return why an offer is refused, None when it is taken."""
    found = checked(offer(what, evse_id, **more))
    if isinstance(found, Refusal):
        assert 0 < len(found.reason) <= 20
        assert found.info
        return found.reason
    return None


def several(count: int) -> Profile:
    schedules = tuple(schedule(PLAIN, schedule_id=number) for number in range(count))
    return replace(profile(1, PLAIN, TXP), schedules=schedules)


# --- OCPP 2.0.1 reference 5.2, row by row ---


@pytest.mark.parametrize(("enabled", "expected"), [(True, None), (False, "NotEnabled")])
def test_row_2_smart_charging_is_switched_on(enabled: bool, expected: str | None) -> None:
    assert reason(profile(1, PLAIN), bounds=Bounds(enabled=enabled)) == expected


@pytest.mark.parametrize(
    ("evse_id", "expected"),
    [(0, None), (1, None), (2, None), (3, "UnknownEvse"), (-1, "UnknownEvse")],
)
def test_row_3_the_evse_exists(evse_id: int, expected: str | None) -> None:
    assert reason(profile(1, PLAIN), evse_id) == expected


def test_row_4_external_constraints_do_not_come_from_a_csms() -> None:
    assert reason(profile(1, PLAIN, EXTERNAL)) == "InvalidProfile"
    assert reason(profile(1, PLAIN, DEFAULT)) is None


@pytest.mark.parametrize(("evse_id", "expected"), [(0, None), (1, "InvalidProfile")])
def test_row_5_the_maximum_is_for_the_station(evse_id: int, expected: str | None) -> None:
    assert reason(profile(1, PLAIN, MAX), evse_id) == expected


def test_row_6_the_maximum_is_not_relative() -> None:
    assert reason(profile(1, PLAIN, MAX, kind=Kind.RELATIVE), 0) == "InvalidProfile"
    assert reason(profile(1, PLAIN, MAX, every=Recurrency.DAILY), 0) is None
    assert reason(profile(1, PLAIN, DEFAULT, kind=Kind.RELATIVE), 0) is None


@pytest.mark.parametrize(("evse_id", "expected"), [(0, "InvalidProfile"), (1, None)])
def test_row_7_a_tx_profile_is_for_one_evse(evse_id: int, expected: str | None) -> None:
    assert reason(profile(1, PLAIN, TXP), evse_id) == expected


def test_row_8_a_tx_profile_names_its_transaction() -> None:
    nameless = profile(1, PLAIN, TXP, transaction=None)
    assert reason(nameless) == "MissingParam"
    assert reason(nameless, lenient=True) is None
    assert reason(profile(1, PLAIN, DEFAULT)) is None


def test_row_9_there_is_a_transaction() -> None:
    assert reason(profile(1, PLAIN, TXP), 2) == "TxNotFound"
    assert reason(profile(1, PLAIN, TXP, transaction=None), 2, lenient=True) == "TxNotFound"
    assert reason(profile(1, PLAIN, TXP), 1) is None


@pytest.mark.parametrize("lenient", [True, False])
def test_row_10_it_is_the_transaction_of_this_evse(lenient: bool) -> None:
    assert reason(profile(1, PLAIN, TXP, transaction="other"), lenient=lenient) == "UnknownTxId"
    assert reason(profile(1, PLAIN, TXP), lenient=lenient) is None


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0, None), (9, None), (10, "InvalidStackLevel"), (-1, "InvalidStackLevel")],
)
def test_row_11_the_level_is_known(level: int, expected: str | None) -> None:
    assert reason(profile(1, PLAIN, level=level)) == expected


def test_row_12_there_is_room_and_a_replacement_takes_none() -> None:
    full = book(profile(1, PLAIN), profile(2, PLAIN, level=1))
    few = Bounds(capacity=2)
    assert reason(profile(3, PLAIN, level=2), have=full, bounds=few) == "TooManyElements"
    assert reason(profile(2, PLAIN, level=2), have=full, bounds=few) is None
    assert reason(profile(3, PLAIN, level=1), have=full, bounds=few, lenient=True) is None
    assert reason(profile(3, PLAIN, level=2), have=full, bounds=Bounds(capacity=3)) is None


def test_row_13_several_schedules_need_a_vehicle_that_chooses() -> None:
    chooses = Bounds(chooses=True)
    assert reason(several(2)) == "InvalidSchedule"
    assert reason(several(3), bounds=chooses, told_needs=True) is None
    assert reason(several(4), bounds=chooses, told_needs=True) == "InvalidSchedule"
    assert reason(several(0)) == "InvalidSchedule"


def test_row_14_the_unit_is_known() -> None:
    amps = Bounds(units=frozenset({Unit.AMPERE}))
    assert reason(profile(1, PLAIN, unit="W"), bounds=amps) == "UnsupportedRateUnit"
    assert reason(profile(1, PLAIN), bounds=amps) is None


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "InvalidSchedule"),
        (1, None),
        (48, None),
        (49, "InvalidSchedule"),
        (10_000, "InvalidSchedule"),
    ],
)
def test_row_15_there_are_few_periods(count: int, expected: str | None) -> None:
    assert reason(profile(1, [(start, 16) for start in range(count)])) == expected


@pytest.mark.parametrize(
    ("first", "expected"), [(0, None), (10, "InvalidSchedule"), (-1, "InvalidSchedule")]
)
def test_row_16_the_first_period_is_the_start(first: int, expected: str | None) -> None:
    assert reason(profile(1, [(first, 16), (20, 8)])) == expected


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ((0, 1, 2), None),
        ((0, 20, 10), "InvalidSchedule"),
        ((0, 10, 10), "InvalidSchedule"),
        ((0, 0), "InvalidSchedule"),
        ((0, LONGEST_S), None),
        ((0, LONGEST_S + 1), "InvalidSchedule"),
        ((0, 2**62), "InvalidSchedule"),
    ],
)
def test_row_17_starts_grow(starts: tuple[int, ...], expected: str | None) -> None:
    assert reason(profile(1, [(start, 16) for start in starts])) == expected


@pytest.mark.parametrize("kind", [Kind.ABSOLUTE, Kind.RECURRING])
def test_row_18_a_start_is_needed(kind: Kind) -> None:
    every = Recurrency.DAILY if kind is Kind.RECURRING else None
    missing = profile(1, PLAIN, kind=kind, every=every, start=None)
    assert reason(missing) == "InvalidSchedule"
    assert reason(profile(1, PLAIN, kind=kind, every=every, start=T0)) is None
    assert (
        reason(profile(1, PLAIN, kind=kind, every=every, start=LATEST_S)) == "InvalidSchedule"
    )
    assert reason(profile(1, PLAIN, kind=kind, every=every, start=0)) is None


def test_row_18_a_lenient_offer_without_a_start_begins_now() -> None:
    """1.6 reference 6.4, number 8."""
    missing = profile(1, PLAIN, start=None)
    found = checked(offer(missing, lenient=True))
    assert isinstance(found, Offer)
    assert found.profile.schedules[0].start_s == T0
    strict = Bounds(fills_start=False)
    assert reason(missing, lenient=True, bounds=strict) == "InvalidSchedule"
    assert reason(missing, lenient=True, now_s=None) == "InvalidSchedule"


def test_row_19_relative_has_no_start() -> None:
    plain = profile(1, PLAIN, kind=Kind.RELATIVE)
    odd = replace(plain, schedules=(schedule(PLAIN, start=T0),))
    assert reason(plain) is None
    assert reason(odd) == "InvalidSchedule"
    found = checked(offer(odd, lenient=True))
    assert isinstance(found, Offer)
    assert found.profile.schedules[0].start_s is None


def test_row_20_recurring_says_how_often() -> None:
    plain = profile(1, PLAIN, every=Recurrency.WEEKLY)
    assert reason(plain) is None
    assert reason(replace(plain, recurrency=None)) == "InvalidProfile"


def test_row_20_elsewhere_a_recurrency_means_nothing() -> None:
    found = checked(offer(replace(profile(1, PLAIN), recurrency=Recurrency.DAILY)))
    assert isinstance(found, Offer)
    assert found.profile.recurrency is None


@pytest.mark.parametrize(
    ("every", "longest"), [(Recurrency.DAILY, 86_400), (Recurrency.WEEKLY, 604_800)]
)
def test_row_21_what_is_longer_than_the_recurrence_is_shortened(
    every: Recurrency, longest: int
) -> None:
    for duration, kept in ((longest + 1, longest), (longest - 1, longest - 1)):
        found = checked(offer(profile(1, PLAIN, every=every, duration=duration)))
        assert isinstance(found, Offer)
        assert found.profile.schedules[0].duration_s == kept


@pytest.mark.parametrize(
    ("evse_id", "phases", "strict", "lenient"),
    [
        (1, 3, None, None),
        (1, 2, "InvalidSchedule", None),
        (1, 1, "InvalidSchedule", None),
        (2, 1, None, None),
        (2, 3, "InvalidSchedule", None),
        (0, 3, None, None),
        (0, 1, "InvalidSchedule", None),
        (1, 0, "InvalidSchedule", "InvalidSchedule"),
        (1, 4, "InvalidSchedule", "InvalidSchedule"),
    ],
)
def test_row_22_the_phases_are_there(
    evse_id: int, phases: int, strict: str | None, lenient: str | None
) -> None:
    what = profile(1, [(0, 16, phases)])
    assert reason(what, evse_id) == strict
    assert reason(what, evse_id, lenient=True) == lenient


def test_row_22_fewer_phases_can_be_guaranteed_where_they_are_switched() -> None:
    what = profile(1, [(0, 16, 1)])
    assert reason(what, specs=SWITCHED) is None
    assert reason(what, 0, specs=SWITCHED) is None
    assert reason(what, 0, specs={**SWITCHED, 3: EvseSpec(3, 1, 32.0, 3)}) == "InvalidSchedule"


@pytest.mark.parametrize("period", [(0, 16, 1), (0, 16, 2), (0, 16, 9), (0, 16, 3, 2)])
def test_direct_current_has_no_phases(period: tuple[float, ...]) -> None:
    outlet = EvseSpec(1, 1, 100.0, 3, is_dc=True)
    assert reason(profile(1, [period]), specs={1: outlet}) is None
    assert reason(profile(1, [period]), 0, specs={1: outlet}) is None
    beside = {1: outlet, 2: EvseSpec(2, 1, 32.0, 3)}
    assert reason(profile(1, [period]), 0, specs=beside) == "InvalidSchedule"


def test_row_22_fewer_phases_of_the_station_bound_the_sum() -> None:
    assert reason(profile(1, [(0, 20, 1)], MAX), 0) is None


@pytest.mark.parametrize(
    ("phases", "phase", "switches", "expected"),
    [
        (1, 1, False, None),
        (1, 2, False, "InvalidSchedule"),
        (1, 2, True, None),
        (1, 4, True, "InvalidSchedule"),
        (1, 0, True, "InvalidSchedule"),
        (3, 1, True, "InvalidSchedule"),
    ],
)
def test_row_23_the_phase_can_be_used(
    phases: int, phase: int, switches: bool, expected: str | None
) -> None:
    what = profile(1, [(0, 16, phases, phase)])
    assert reason(what, switches_phase=switches, specs=SWITCHED) == expected


def test_row_23_a_phase_needs_the_number_of_phases() -> None:
    what = replace(
        profile(1, PLAIN),
        schedules=(replace(schedule(PLAIN), periods=(Period(0, 16_000, None, 1),)),),
    )
    assert reason(what) == "InvalidSchedule"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (0.0, None),
        (16.0, None),
        (999_999.0, None),
        (1e9, None),
        (-0.1, "InvalidSchedule"),
        (-1e-9, "InvalidSchedule"),
        (1.1e9, "InvalidSchedule"),
        (1e308, "InvalidSchedule"),
        (-1e308, "InvalidSchedule"),
        (float("inf"), "InvalidSchedule"),
        (float("nan"), "InvalidSchedule"),
    ],
)
def test_row_24_limits_are_sane(limit: float, expected: str | None) -> None:
    assert reason(profile(1, [(0, limit)])) == expected
    least = replace(schedule(PLAIN), least_rate=milli(limit))
    assert reason(replace(profile(1, PLAIN), schedules=(least,))) == expected


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "expected"),
    [
        (None, None, None),
        (T0, T0 + 1, None),
        (T0, T0, "InvalidProfile"),
        (T0 + 10, T0 + 5, "InvalidProfile"),
        (None, T0, "InvalidProfile"),
        (None, 0, "InvalidProfile"),
        (None, 253_402_300_799, None),  # 9999-12-31: for ever
        (253_402_300_799, None, "InvalidProfile"),
        (0, None, None),
    ],
)
def test_row_25_it_is_valid_some_day(
    valid_from: int | None, valid_to: int | None, expected: str | None
) -> None:
    assert reason(profile(1, PLAIN, valid_from=valid_from, valid_to=valid_to)) == expected


def test_row_25_without_the_time_nothing_has_passed() -> None:
    assert reason(profile(1, PLAIN, valid_to=1), now_s=None) is None


def test_row_26_purpose_and_level_are_free_while_it_is_valid() -> None:
    have = book(profile(1, PLAIN, valid_to=T0 + 100))
    assert reason(profile(2, PLAIN), have=have) == "DuplicateProfile"
    assert reason(profile(2, PLAIN, valid_from=T0 + 99), have=have) == "DuplicateProfile"
    assert reason(profile(2, PLAIN, valid_from=T0 + 100), have=have) is None
    assert reason(profile(2, PLAIN, level=1), have=have) is None
    assert reason(profile(2, PLAIN), 2, have=have) is None
    assert reason(profile(2, PLAIN), have=have, lenient=True) is None
    assert reason(profile(1, PLAIN), have=have) is None


def test_row_26_a_transaction_has_one_profile_of_a_level_whatever_its_validity() -> None:
    """K01.FR.39."""
    have = book(profile(1, PLAIN, TXP, valid_to=T0 + 100))
    later = profile(2, PLAIN, TXP, valid_from=T0 + 100)
    assert reason(later, have=have) == "DuplicateProfile"
    assert reason(replace(later, stack_level=1), have=have) is None


@pytest.mark.parametrize(("there", "here"), [(0, 1), (1, 0)])
def test_row_27_station_and_evse_have_their_defaults_on_other_levels(
    there: int, here: int
) -> None:
    have = book((there, profile(1, PLAIN)))
    assert reason(profile(2, PLAIN), here, have=have) == "DuplicateProfile"
    assert reason(profile(2, PLAIN), here, have=have, lenient=True) is None
    assert reason(profile(2, PLAIN, level=1), here, have=have) is None


def test_row_28_an_id_replaces_unless_it_is_an_external_constraint() -> None:
    have = book(profile(1, PLAIN), (0, profile(-5, PLAIN, EXTERNAL)))
    what = profile(1, PLAIN, MAX, level=3)
    found = checked(offer(what, 0, have=have))
    assert isinstance(found, Offer)
    assert installed(found).entries == {"1": Installed(0, what), "-5": have.entries["-5"]}
    assert reason(profile(-5, PLAIN, level=1), have=have) == "InvalidProfile"


def test_row_29_several_schedules_answer_a_vehicle_that_has_told_its_needs() -> None:
    chooses = Bounds(chooses=True)
    assert reason(several(2), bounds=chooses) == "InvalidMessageSeq"
    assert reason(several(2), bounds=chooses, told_needs=True) is None
    assert reason(several(1), bounds=chooses) is None


# --- what 1.6 adds, and what no table says ---


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (None, None),
        (1, None),
        (0, "InvalidSchedule"),
        (-5, "InvalidSchedule"),
        (LONGEST_S, None),
        (LONGEST_S + 1, "InvalidSchedule"),
        (2**63, "InvalidSchedule"),
    ],
)
def test_a_duration_is_positive_and_fits(duration: int | None, expected: str | None) -> None:
    """1.6 reference 6.4, number 7."""
    assert reason(profile(1, PLAIN, duration=duration)) == expected


def test_a_schedule_that_is_over_is_refused() -> None:
    gone = profile(1, PLAIN, start=T0 - 100, duration=100)
    assert reason(gone) == "InvalidSchedule"
    assert reason(gone, now_s=None) is None
    assert reason(profile(1, PLAIN, start=T0 - 100, duration=101)) is None
    assert (
        reason(profile(1, PLAIN, start=T0 - DAY, duration=100, every=Recurrency.DAILY)) is None
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (2**63 - 1, None),
        (2**63, "InvalidProfile"),
        (-(2**63), None),
        (-(2**64), "InvalidProfile"),
    ],
)
def test_ids_fit_what_is_stored(number: int, expected: str | None) -> None:
    assert reason(profile(number, PLAIN)) == expected
    odd = replace(profile(1, PLAIN), schedules=(schedule(PLAIN, schedule_id=number),))
    assert reason(odd) == expected


def test_a_lenient_offer_takes_the_place_of_its_id_and_of_its_level() -> None:
    """1.6 reference 6.2."""
    have = book(
        (1, profile(1, PLAIN)),
        (0, profile(2, PLAIN)),
        (2, profile(3, PLAIN)),
        (1, profile(4, PLAIN, level=1)),
    )
    what = offer(profile(4, PLAIN), 1, have=have, lenient=True)
    assert replaced(what) == {"1", "4"}
    assert installed(what).entries.keys() == {"2", "3", "4"}


def test_a_tx_profile_is_kept_with_our_id_of_the_transaction() -> None:
    found = checked(offer(profile(1, PLAIN, TXP, transaction=None), lenient=True))
    assert isinstance(found, Offer)
    assert installed(found).entries["1"].profile.transaction_id == TX


def test_elsewhere_a_transaction_means_nothing() -> None:
    found = checked(offer(replace(profile(1, PLAIN), transaction_id="tx")))
    assert isinstance(found, Offer)
    assert found.profile.transaction_id is None


def start(what: Profile, **more: Any) -> str | None:
    found = checked(offer(what, **{"transactions": {}, **more}), START_RULES)
    return found.reason if isinstance(found, Refusal) else None


@pytest.mark.parametrize(
    ("what", "more", "expected"),
    [
        (profile(1, PLAIN, TXP, transaction=None), {}, None),
        (profile(1, PLAIN, TXP), {}, "InvalidProfile"),
        (profile(1, PLAIN, TXP), {"lenient": True}, None),
        (profile(1, PLAIN, DEFAULT), {}, "InvalidProfile"),
        (profile(1, PLAIN, MAX), {"lenient": True}, "InvalidProfile"),
        (profile(1, [(5, 6)], TXP, transaction=None), {}, "InvalidSchedule"),
        (profile(1, PLAIN, TXP, transaction=None, level=10), {}, "InvalidStackLevel"),
        (
            profile(1, PLAIN, TXP, transaction=None),
            {"bounds": Bounds(enabled=False)},
            "NotEnabled",
        ),
    ],
)
def test_a_profile_of_a_remote_start(
    what: Profile, more: Mapping[str, Any], expected: str | None
) -> None:
    """K05.FR.02, F01.FR.26; 1.6 reference 6.8."""
    assert start(what, **more) == expected


def test_every_rule_is_asked() -> None:
    assert len(set(RULES)) == len(RULES) == 29
    assert set(START_RULES) - set(RULES) == {START_RULES[1]}


def test_the_settings_say_what_is_allowed() -> None:
    assert bounds(Settings()) == Bounds()
    only_w = bounds(Settings(factory={RATE_UNIT.name: "W"}))
    assert only_w.units == {Unit.WATT}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (8.1, 8100),
        (15.9999999, 15_999),
        (16, 16_000),
        (0.0009, 0),
        (-0.0001, -1),
        (1e9, MOST_MILLI),
        (1e300, MOST_MILLI + 1),
        (float("-inf"), -1),
    ],
)
def test_thousandths_are_exact_and_rounded_down(value: float, expected: int) -> None:
    assert milli(value) == expected
