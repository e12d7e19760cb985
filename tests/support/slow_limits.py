"""A second evaluator of charging profiles: slow, and written from the reference's formulas.

It knows one instant at a time and shares nothing with the engine but the profiles themselves
(1.6 reference 6.5 and 6.6; 2.0.1 reference 5.3). Limits are fractions; nothing is rounded
before the end.
"""

from fractions import Fraction

from agent.core.smart_charging.profile import Book, Period, Profile, Schedule

VOLTAGE = 230


def anchor(profile: Profile, schedule: Schedule, t: int, started: int) -> int | None:
    if profile.kind == "Relative":
        return started
    start = schedule.start_s
    assert start is not None
    if profile.kind == "Absolute":
        return start
    if t < start:
        return None
    assert profile.recurrency is not None
    every = 86_400 if profile.recurrency == "Daily" else 604_800
    k = 0
    while start + (k + 1) * every <= t:
        k += max(1, (t - start) // every - k)
    return start + k * every


def active(profile: Profile, t: int, started: int) -> tuple[Schedule, Period] | None:
    """Return the period of a profile that is active at t."""
    if profile.valid_from_s is not None and t < profile.valid_from_s:
        return None
    if profile.valid_to_s is not None and t >= profile.valid_to_s:
        return None
    (schedule,) = profile.schedules
    begin = anchor(profile, schedule, t, started)
    if begin is None:
        return None
    off = t - begin
    if off < 0 or (schedule.duration_s is not None and off >= schedule.duration_s):
        return None
    if profile.recurrency == "Daily" and off >= 86_400:
        return None
    if profile.recurrency == "Weekly" and off >= 604_800:
        return None
    running = [period for period in schedule.periods if period.start_s <= off]
    return schedule, running[-1]


def chosen(
    book: Book, purpose: str, evse_id: int, tx: str | None, t: int, started: int
) -> tuple[Schedule, Period] | None:
    """Return what the highest active profile of a purpose says."""
    found = []
    for entry in book.entries.values():
        profile = entry.profile
        if profile.purpose != purpose:
            continue
        if purpose == "TxProfile":
            is_here = entry.evse_id == evse_id and profile.transaction_id == tx
        elif purpose == "TxDefaultProfile":
            is_here = entry.evse_id in (0, evse_id)
        elif purpose == "ChargingStationMaxProfile":
            is_here = entry.evse_id == 0
        else:
            is_here = entry.evse_id == evse_id
        said = active(profile, t, started)
        if is_here and said is not None:
            is_own = entry.evse_id == evse_id
            found.append(((profile.stack_level, is_own, -profile.profile_id), said))
    return max(found, key=lambda item: item[0])[1] if found else None


def limit_at(
    book: Book,
    evse_id: int,
    tx: str | None,
    t: int,
    started: int,
    *,
    unit: str,
    phases: int,
    local_ma: int,
    falls_back: bool = True,
) -> tuple[int, int | None]:
    """Return (thousandths in steps of 0.1, phases) at t, as a composite schedule tells them."""
    session = chosen(book, "TxProfile", evse_id, tx, t, started)
    if session is None and not (not falls_back and _has_valid_tx(book, evse_id, tx, t)):
        session = chosen(book, "TxDefaultProfile", evse_id, tx, t, started)
    said = [
        session,
        chosen(book, "ChargingStationMaxProfile", evse_id, tx, t, started),
        chosen(book, "ChargingStationExternalConstraints", evse_id, tx, t, started),
    ]
    if evse_id != 0:
        said.append(chosen(book, "ChargingStationExternalConstraints", 0, tx, t, started))
    given = [one for one in said if one is not None]
    named = [period.phases for _, period in given if period.phases is not None]
    fewest = min(named) if named else None
    amps, watts = [Fraction(local_ma)], []
    spread = []
    for schedule, period in given:
        if schedule.unit == "A":
            amps.append(Fraction(period.limit))
        else:
            watts.append(Fraction(period.limit))
            spread.append(Fraction(period.limit, VOLTAGE * (period.phases or phases)))
    if unit == "A":
        value = min([*amps, *spread])
    else:
        used = phases if fewest is None else min(phases, fewest)
        value = min([*watts, min(amps) * VOLTAGE * used])
    return value // 100 * 100, fewest


def _has_valid_tx(book: Book, evse_id: int, tx: str | None, t: int) -> bool:
    for entry in book.entries.values():
        profile = entry.profile
        if profile.purpose != "TxProfile" or entry.evse_id != evse_id:
            continue
        is_valid = (profile.valid_from_s is None or t >= profile.valid_from_s) and (
            profile.valid_to_s is None or t < profile.valid_to_s
        )
        if profile.transaction_id == tx and is_valid:
            return True
    return False
