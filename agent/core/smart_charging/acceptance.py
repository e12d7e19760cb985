"""Every rule by which a charging profile is accepted or refused, with its reason.

A rule is one function: it looks at an `Offer` and returns why it has to be refused, or None.
The first rule that refuses decides (OCPP 2.0.1 5.2 of the reference, whose rows the rules
name; OCPP 1.6 6.4). Where the versions differ an offer says so itself: a `lenient` one comes
from a CSMS that may leave out or repeat what the stricter version forbids.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final, TypeAlias

from msgspec.structs import replace

from agent.core.smart_charging.offer import Offer, Refusal
from agent.core.smart_charging.profile import (
    MOST_MILLI,
    Book,
    Installed,
    Kind,
    Period,
    Profile,
    Purpose,
    Schedule,
)

LONGEST_S: Final = 2**31 - 1
"""OCPP's integers have 32 bits; in seconds that is 68 years."""

LATEST_S: Final = 4_102_444_800
"""2100-01-01T00:00:00Z: what begins later was never meant to begin."""

MOST_PHASES: Final = 3
MOST_SCHEDULES: Final = 3


Rule: TypeAlias = "Callable[[Offer], Refusal | None]"

# --- the rules, in the order in which they decide ---


def is_enabled(offer: Offer) -> Refusal | None:
    """Row 2: smart charging is switched on."""
    if offer.bounds.enabled:
        return None
    return Refusal("NotEnabled", "SmartChargingCtrlr.Enabled is false")


def names_a_known_evse(offer: Offer) -> Refusal | None:
    """Row 3 (K01.FR.28): the EVSE exists; 0 is the station."""
    if offer.evse_id == 0 or offer.evse_id in offer.specs:
        return None
    return Refusal("UnknownEvse", f"there are EVSEs 1 to {len(offer.specs)}")


def is_not_external(offer: Offer) -> Refusal | None:
    """Row 4 (K01.FR.22): external constraints do not come from a CSMS."""
    if offer.profile.purpose is not Purpose.EXTERNAL:
        return None
    return Refusal("InvalidProfile", "external constraints cannot be set by the CSMS")


def limits_the_station_as_a_whole(offer: Offer) -> Refusal | None:
    """Row 5 (K04.FR.03): the station's maximum is for EVSE 0."""
    if offer.profile.purpose is not Purpose.STATION_MAX or offer.evse_id == 0:
        return None
    return Refusal("InvalidProfile", f"{offer.profile.purpose} is for EVSE 0")


def has_a_start_without_transaction(offer: Offer) -> Refusal | None:
    """Row 6 (K01.FR.38): the station has no transaction to which a start could be relative."""
    profile = offer.profile
    if profile.purpose is not Purpose.STATION_MAX or profile.kind is not Kind.RELATIVE:
        return None
    return Refusal("InvalidProfile", f"{profile.purpose} cannot be Relative")


def is_for_one_evse(offer: Offer) -> Refusal | None:
    """Row 7 (K01.FR.16): a transaction runs at one EVSE."""
    if offer.profile.purpose is not Purpose.TX or offer.evse_id != 0:
        return None
    return Refusal("InvalidProfile", "a TxProfile is for an EVSE, not for the station")


def names_a_transaction(offer: Offer) -> Refusal | None:
    """Row 8 (K01.FR.03); a lenient offer means the running one."""
    if offer.profile.purpose is not Purpose.TX or offer.lenient or offer.names_transaction:
        return None
    return Refusal("MissingParam", "a TxProfile needs a transactionId")


def has_a_transaction(offer: Offer) -> Refusal | None:
    """Row 9 (K01.FR.09): there is a transaction at the EVSE."""
    if offer.profile.purpose is not Purpose.TX or offer.evse_id in offer.transactions:
        return None
    return Refusal("TxNotFound", f"there is no transaction at EVSE {offer.evse_id}")


def names_its_transaction(offer: Offer) -> Refusal | None:
    """Row 10 (K01.FR.33): it is the transaction at this EVSE."""
    if offer.profile.purpose is not Purpose.TX or not offer.names_transaction:
        return None
    if offer.profile.transaction_id == offer.transactions.get(offer.evse_id):
        return None
    return Refusal("UnknownTxId", f"another transaction runs at EVSE {offer.evse_id}")


def is_for_the_transaction_to_come(offer: Offer) -> Refusal | None:
    """K05.FR.02, F01.FR.26: a remote start brings a TxProfile without a transaction.

    A lenient offer may name one all the same; it means nothing.
    """
    if offer.profile.purpose is not Purpose.TX:
        return Refusal("InvalidProfile", "a remote start takes a TxProfile")
    if offer.lenient or not offer.names_transaction:
        return None
    return Refusal("InvalidProfile", "there is no transaction yet that could be named")


def has_a_known_level(offer: Offer) -> Refusal | None:
    """Row 11: the stack level is within what the station keeps apart."""
    if 0 <= offer.profile.stack_level <= offer.bounds.highest_level:
        return None
    return Refusal("InvalidStackLevel", f"levels are 0 to {offer.bounds.highest_level}")


def has_a_known_id(offer: Offer) -> Refusal | None:
    """An id fits what is stored: 64 bits, twice what OCPP means."""
    if all(-(2**63) <= number < 2**63 for number in _ids(offer.profile)):
        return None
    return Refusal("InvalidProfile", "an id has 64 bits")


def fits_in(offer: Offer) -> Refusal | None:
    """Row 12: there is room; a replacement takes none (1.6 6.2)."""
    left = len(offer.book.entries) - len(replaced(offer))
    if left < offer.bounds.capacity:
        return None
    return Refusal("TooManyElements", f"{offer.bounds.capacity} profiles are installed")


def has_schedules_to_choose(offer: Offer) -> Refusal | None:
    """Row 13 (K01.FR.34): only a vehicle that chooses gets several schedules."""
    count = len(offer.profile.schedules)
    if count == 1 or (offer.bounds.chooses and 1 <= count <= MOST_SCHEDULES):
        return None
    return Refusal("InvalidSchedule", "one schedule: no vehicle here chooses among several")


def has_a_known_unit(offer: Offer) -> Refusal | None:
    """Row 14 (K01.FR.26): the unit is one of RateUnit."""
    if all(schedule.unit in offer.bounds.units for schedule in offer.profile.schedules):
        return None
    units = " or ".join(sorted(offer.bounds.units))
    return Refusal("UnsupportedRateUnit", f"limits are in {units}")


def has_few_periods(offer: Offer) -> Refusal | None:
    """Row 15: as many periods as the station keeps; one at least."""
    most = offer.bounds.most_periods
    if all(1 <= len(schedule.periods) <= most for schedule in offer.profile.schedules):
        return None
    return Refusal("InvalidSchedule", f"a schedule has 1 to {most} periods")


def begins_with_its_start(offer: Offer) -> Refusal | None:
    """Row 16 (K01.FR.31): the first period starts at 0."""
    if all(schedule.periods[0].start_s == 0 for schedule in offer.profile.schedules):
        return None
    return Refusal("InvalidSchedule", "the first startPeriod has to be 0")


def has_ordered_periods(offer: Offer) -> Refusal | None:
    """Row 17 (K01.FR.35): starts grow strictly, within 32 bits."""
    for schedule in offer.profile.schedules:
        starts = [period.start_s for period in schedule.periods]
        is_ordered = all(one < other for one, other in pairwise(starts))
        if not is_ordered or starts[-1] > LONGEST_S:
            return Refusal("InvalidSchedule", "startPeriods have to grow")
    return None


def has_its_start(offer: Offer) -> Refusal | None:
    """Row 18 (K01.FR.40): Absolute and Recurring need startSchedule, a sensible one."""
    if offer.profile.kind is Kind.RELATIVE:
        return None
    for schedule in offer.profile.schedules:
        if schedule.start_s is None:
            return Refusal("InvalidSchedule", f"{offer.profile.kind} needs a startSchedule")
        if schedule.start_s >= LATEST_S:
            return Refusal("InvalidSchedule", "startSchedule is after the year 2099")
    return None


def has_no_start_if_relative(offer: Offer) -> Refusal | None:
    """Row 19 (K01.FR.41): Relative has no startSchedule."""
    if offer.profile.kind is not Kind.RELATIVE:
        return None
    if all(schedule.start_s is None for schedule in offer.profile.schedules):
        return None
    return Refusal("InvalidSchedule", "Relative has no startSchedule")


def recurs_somehow(offer: Offer) -> Refusal | None:
    """Row 20: Recurring says how often; elsewhere a recurrencyKind is passed over."""
    profile = offer.profile
    if profile.kind is not Kind.RECURRING or profile.recurrency is not None:
        return None
    return Refusal("InvalidProfile", "Recurring needs a recurrencyKind")


def has_a_duration(offer: Offer) -> Refusal | None:
    """A duration is positive, within 32 bits, and not over yet (1.6 6.4 number 7)."""
    for schedule in offer.profile.schedules:
        lasts_s = schedule.duration_s
        if lasts_s is None:
            continue
        if not 0 < lasts_s <= LONGEST_S:
            return Refusal("InvalidSchedule", f"a duration is 1 to {LONGEST_S} s")
        if schedule.start_s is None or offer.now_s is None:
            continue
        is_over = schedule.start_s + lasts_s <= offer.now_s
        if is_over and offer.profile.kind is Kind.ABSOLUTE:
            return Refusal("InvalidSchedule", "the schedule is over already")
    return None


def has_possible_phases(offer: Offer) -> Refusal | None:
    """Row 22 (K01.FR.43, K01.FR.45): 1 to 3 phases, as many as the EVSE has at most.

    Fewer than the EVSE has cannot be guaranteed unless it can switch them: its vehicle may
    use all that are connected. For the sum over all EVSEs they can.

    A lenient offer may name more: its limit holds for the phases there are (1.6 6.4
    number 10). It may also name fewer: its limit is spread over all of them then. Direct
    current has none: what is said of them means nothing there (K01.FR.44).
    """
    if not offer.has_phases:
        return None
    most = MOST_PHASES if offer.lenient else offer.phases
    least = (
        1
        if offer.lenient or offer.profile.purpose is Purpose.STATION_MAX
        else offer.fewest_phases
    )
    for period in _periods(offer):
        if period.phases is None:
            continue
        if not 1 <= period.phases <= most:
            return Refusal("InvalidSchedule", f"numberPhases is 1 to {most} here")
        if period.phases < least:
            text = f"the EVSE cannot keep a vehicle to {period.phases} of its phases"
            return Refusal("InvalidSchedule", text)
    return None


def uses_a_possible_phase(offer: Offer) -> Refusal | None:
    """Row 23 (K01.FR.19, K01.FR.48): phaseToUse needs numberPhases 1 and a switch for it.

    An EVSE that cannot choose uses its first phase.
    """
    if not offer.has_phases:
        return None
    for period in _periods(offer):
        if period.phase_to_use is None:
            continue
        if period.phases != 1 or not 1 <= period.phase_to_use <= offer.phases:
            return Refusal("InvalidSchedule", "phaseToUse needs numberPhases 1, and a phase")
        if period.phase_to_use != 1 and not offer.switches_phase:
            return Refusal("InvalidSchedule", "this EVSE cannot choose its phase")
    return None


def has_possible_limits(offer: Offer) -> Refusal | None:
    """Row 24: limits are numbers from 0 up, and so is minChargingRate."""
    least = [item.least_rate for item in offer.profile.schedules if item.least_rate is not None]
    limits = [period.limit for period in _periods(offer)]
    if all(0 <= limit <= MOST_MILLI for limit in (*limits, *least)):
        return None
    return Refusal("InvalidSchedule", f"limits are 0 to {MOST_MILLI // 1000}")


def is_valid_some_day(offer: Offer) -> Refusal | None:
    """Row 25: validity has a length, and is neither over nor unthinkably far."""
    from_s, to_s, now_s = offer.profile.valid_from_s, offer.profile.valid_to_s, offer.now_s
    if from_s is not None and from_s >= LATEST_S:
        return Refusal("InvalidProfile", "validFrom is after the year 2099")
    if from_s is not None and to_s is not None and to_s <= from_s:
        return Refusal("InvalidProfile", "validTo has to be after validFrom")
    if to_s is not None and now_s is not None and to_s <= now_s:
        return Refusal("InvalidProfile", "validTo has passed")
    return None


def is_the_only_one(offer: Offer) -> Refusal | None:
    """Row 26 (K01.FR.06, K01.FR.39): one profile per purpose, level, EVSE and time.

    A lenient offer replaces the other one.
    """
    if offer.lenient:
        return None
    profile = offer.profile
    for other in _others(offer):
        if other.evse_id != offer.evse_id or not _is_rival(other.profile, profile):
            continue
        if profile.purpose is Purpose.TX or _overlap(other.profile, profile):
            text = f"profile {other.profile.profile_id} has this purpose and level"
            return Refusal("DuplicateProfile", text)
    return None


def agrees_with_the_station(offer: Offer) -> Refusal | None:
    """Row 27 (K01.FR.52, K01.FR.53): TxDefault of EVSE 0 and of another on other levels."""
    if offer.lenient or offer.profile.purpose is not Purpose.TX_DEFAULT:
        return None
    for other in _others(offer):
        is_across = (other.evse_id == 0) is not (offer.evse_id == 0)
        if is_across and _is_rival(other.profile, offer.profile):
            where = f"EVSE {other.evse_id}"
            return Refusal("DuplicateProfile", f"{where} has a TxDefaultProfile of this level")
    return None


def replaces_nothing_external(offer: Offer) -> Refusal | None:
    """Row 28 (K01.FR.05): the same id replaces, unless it is an external constraint."""
    found = offer.book.entries.get(offer.profile.key)
    if found is None or found.profile.purpose is not Purpose.EXTERNAL:
        return None
    return Refusal("InvalidProfile", "an external constraint has this id")


def comes_in_time(offer: Offer) -> Refusal | None:
    """Row 29 (K15.FR.17): several schedules answer a vehicle that has told its needs."""
    if len(offer.profile.schedules) == 1 or offer.told_needs:
        return None
    return Refusal("InvalidMessageSeq", "no vehicle has told its needs")


RULES: Final = (
    is_enabled,
    names_a_known_evse,
    is_not_external,
    limits_the_station_as_a_whole,
    has_a_start_without_transaction,
    is_for_one_evse,
    names_a_transaction,
    has_a_transaction,
    names_its_transaction,
    has_a_known_level,
    has_a_known_id,
    fits_in,
    has_schedules_to_choose,
    has_a_known_unit,
    has_few_periods,
    begins_with_its_start,
    has_ordered_periods,
    has_its_start,
    has_no_start_if_relative,
    recurs_somehow,
    has_a_duration,
    has_possible_phases,
    uses_a_possible_phase,
    has_possible_limits,
    is_valid_some_day,
    is_the_only_one,
    agrees_with_the_station,
    replaces_nothing_external,
    comes_in_time,
)

START_RULES: Final = (
    is_enabled,
    is_for_the_transaction_to_come,
    *RULES[RULES.index(has_a_known_level) :],
)
"""For a profile that comes with a remote start, before there is a transaction."""


def checked(offer: Offer, rules: Iterable[Rule] = RULES) -> Offer | Refusal:
    """Return the offer as it can be installed, or the first reason against it."""
    if names_a_known_evse(offer) is None:  # completing takes longer than all the rules
        offer = _completed(offer)
    refusals = (rule(offer) for rule in rules)
    return next((refusal for refusal in refusals if refusal is not None), offer)


def installed(offer: Offer) -> Book:
    """Return the book with a checked offer in it, in place of all that it replaces."""
    gone = replaced(offer)
    entries = {key: item for key, item in offer.book.entries.items() if key not in gone}
    profile = offer.profile
    if profile.purpose is Purpose.TX:
        profile = replace(profile, transaction_id=offer.transactions[offer.evse_id])
    entries[profile.key] = Installed(offer.evse_id, profile)
    return Book(entries)


def replaced(offer: Offer) -> frozenset[str]:
    """Return the keys of the profiles whose place an offer takes."""
    found = {offer.profile.key} & offer.book.entries.keys()
    if offer.lenient:
        found |= {
            other.profile.key
            for other in offer.book.entries.values()
            if other.evse_id == offer.evse_id and _is_rival(other.profile, offer.profile)
        }
    return frozenset(found)


def _completed(offer: Offer) -> Offer:
    """Return an offer without what means nothing, and with what goes without saying."""
    profile = offer.profile
    schedules = tuple(_completed_schedule(schedule, offer) for schedule in profile.schedules)
    recurrency = profile.recurrency if profile.kind is Kind.RECURRING else None
    transaction_id = profile.transaction_id if profile.purpose is Purpose.TX else None
    return replace(
        offer,
        profile=replace(
            profile,
            schedules=schedules,
            recurrency=recurrency,
            transaction_id=transaction_id,
        ),
    )


def _completed_schedule(schedule: Schedule, offer: Offer) -> Schedule:
    profile = offer.profile
    if offer.lenient and profile.kind is Kind.RELATIVE:
        return replace(schedule, start_s=None)
    if offer.lenient and schedule.start_s is None and offer.bounds.fills_start:
        schedule = replace(schedule, start_s=offer.now_s)
    if profile.kind is Kind.RECURRING and profile.recurrency and schedule.duration_s:
        # Row 21: what is longer than the recurrence never runs.
        lasts_s = min(schedule.duration_s, profile.recurrency.seconds)
        schedule = replace(schedule, duration_s=lasts_s)
    return schedule


def _ids(profile: Profile) -> Iterable[int]:
    return (profile.profile_id, *(schedule.schedule_id for schedule in profile.schedules))


def _periods(offer: Offer) -> Iterable[Period]:
    return (period for schedule in offer.profile.schedules for period in schedule.periods)


def _others(offer: Offer) -> Iterable[Installed]:
    entries = offer.book.entries.items()
    return (item for key, item in entries if key != offer.profile.key)


def _is_rival(one: Profile, other: Profile) -> bool:
    return one.purpose is other.purpose and one.stack_level == other.stack_level


def _overlap(one: Profile, other: Profile) -> bool:
    """Tell whether two profiles are valid at one instant."""
    return _begins_before_end(one, other) and _begins_before_end(other, one)


def _begins_before_end(one: Profile, other: Profile) -> bool:
    from_s, to_s = one.valid_from_s, other.valid_to_s
    return from_s is None or to_s is None or from_s < to_s
