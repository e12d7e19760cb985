"""What a vehicle that negotiates is offered, and what it makes of it (ISO 15118; K15 to K17).

    needs told ──► the CSMS is told; its profile is waited for, 60 s at most
       profile comes · CSMS declines · nobody answers · no link
          └──► offered: one limit over time for each schedule of its TxProfile, else one
                 chosen ──► within the offer: the CSMS is told · beyond it: offered anew
                 the limits change, the CSMS disagrees, the time is over ──► offered anew
                 needs told again ──► from the beginning

What is offered is a level: whoever talks to the vehicle compares the number of the offer with
the one that the vehicle knows, and asks it to choose again when they differ. It keeps to the
profiles and to the hardware; what the site leaves in a moment is the business of the setpoint.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import ChargingNeedsTold, Note, VehicleScheduleTold
from agent.core.events import (
    VehicleNeedsAnswered,
    VehicleNeedsTold,
    VehicleScheduleAnswered,
    VehicleScheduleChosen,
)
from agent.core.smart_charging.needs import NeedsAnswer, Talk
from agent.core.smart_charging.profile import Entry, Period, Profile, Purpose, Schedule, Unit
from agent.core.smart_charging.schedule import Curve, clip, combine, curve
from agent.core.smart_charging.state import SmartCharging, composed, second, transactions
from agent.core.turn import Context, Turn
from agent.core.values import Bounds

WAIT_S: Final = 60.0
"""How long a profile is waited for (K15.FR.15); a vehicle waits no longer either."""

USUAL_S: Final = 86_400
"""Length of an offer to a vehicle that does not say when it leaves."""

LONGEST_S: Final = 7 * USUAL_S

MOST_TUPLES: Final = 1024
"""Periods of a schedule, unless the vehicle takes fewer (K15 maxScheduleTuples)."""

CLOCK_S: Final = 2.0
"""By how much the clock may be set without another offer: more than a second's rounding."""

MOST_REFUSED: Final = 8
"""After so many choices that were none nobody asks the vehicle again."""


# --- what the vehicle and the CSMS say ---


def needed(
    state: SmartCharging, event: VehicleNeedsTold, context: Context
) -> Turn[SmartCharging]:
    """Pass on what a vehicle needs (K15.FR.01), the first time or again (K17).

    Its transaction is told before: messages of this kind wait for the records (K15.FR.16).
    """
    evse_id, running = event.evse_id, transactions(context.evses)
    if not context.settings.flag(variables.ISO15118_ENABLED) or evse_id not in running:
        return Turn(state, (Note("vehicle.needs", "nobody asked for them", evse_id),))
    before = state.talks.get(evse_id)
    number = 0 if before is None else before.number
    until_s = context.now.monotonic_s + WAIT_S
    talk = Talk(running[evse_id], event.needs, until_s, number=number)
    told = (ChargingNeedsTold(evse_id, event.needs),) if context.is_online else ()
    return Turn(_with(state, evse_id, talk), told)


def needs_answered(
    state: SmartCharging, event: VehicleNeedsAnswered, context: Context
) -> SmartCharging:
    """Wait no longer for a CSMS that declines; one that takes its time has the usual one."""
    if event.answer is not NeedsAnswer.REJECTED:
        return state
    return answered(state, event.evse_id, context)


def unheard(state: SmartCharging, context: Context) -> SmartCharging:
    """Wait no longer for a CSMS that is out of reach."""
    for evse_id in state.talks:
        state = answered(state, evse_id, context)
    return state


def answered(state: SmartCharging, evse_id: int, context: Context) -> SmartCharging:
    """Wait no longer for the CSMS: it has sent its profile, or sends none."""
    talk = state.talks.get(evse_id)
    if talk is None or not talk.waits:
        return state
    return _with(state, evse_id, replace(talk, until_s=context.now.monotonic_s))


def chosen(
    state: SmartCharging, event: VehicleScheduleChosen, context: Context
) -> Turn[SmartCharging]:
    """Take over what a vehicle chose; more than it was offered is no choice (K15.FR.09)."""
    evse_id, schedule, now_s = event.evse_id, event.schedule, second(context.now)
    talk = state.talks.get(evse_id)
    if talk is None or talk.waits or now_s is None:
        return Turn(state, (Note("vehicle.schedule", "it was offered none", evse_id),))
    offers = (item for item in talk.offers if item.schedule_id == schedule.schedule_id)
    offer = next(offers, None)
    if offer is None or _exceeds(schedule, offer, now_s):
        note = Note("vehicle.schedule", "it exceeds what was offered", evse_id)
        return Turn(_disagreed(state, evse_id, talk), (note,))
    picked = {**state.chosen, evse_id: schedule.schedule_id}
    state = replace(state, chosen=picked, seen=None)
    return Turn(state, (VehicleScheduleTold(evse_id, now_s, schedule),))


def choice_answered(state: SmartCharging, event: VehicleScheduleAnswered) -> SmartCharging:
    """Have the vehicle choose again what the CSMS does not agree to."""
    talk = state.talks.get(event.evse_id)
    if event.is_accepted or talk is None or talk.waits:
        return state
    return _disagreed(state, event.evse_id, talk)


def forgotten(state: SmartCharging, evse_id: int) -> SmartCharging:
    """Forget what a vehicle chose: it was of another profile."""
    left = {key: item for key, item in state.chosen.items() if key != evse_id}
    return replace(state, chosen=left)


def _disagreed(state: SmartCharging, evse_id: int, talk: Talk) -> SmartCharging:
    if talk.refused >= MOST_REFUSED:
        return replace(forgotten(state, evse_id), seen=None)
    talk = replace(talk, number=talk.number + 1, refused=talk.refused + 1)
    return _with(replace(forgotten(state, evse_id), seen=None), evse_id, talk)


def _with(state: SmartCharging, evse_id: int, talk: Talk) -> SmartCharging:
    return replace(state, talks={**state.talks, evse_id: talk})


def _exceeds(wish: Schedule, offer: Schedule, now_s: int) -> bool:
    """Tell whether a schedule is anywhere above an offer.

    Vehicles count from when they choose, or from when they were offered. What comes after the
    end of the offer will be offered anew by then.
    """
    if wish.unit is not offer.unit:
        return True
    starts = (now_s, offer.start_s or now_s)
    return all(_is_above(replace(wish, start_s=start_s), offer) for start_s in starts)


def _is_above(wish: Schedule, offer: Schedule) -> bool:
    window = wish.start_s or 0, _end_s(offer)
    both = combine(
        (_curve(offer, *window), _curve(wish, *window)), lambda said: said[-1] - said[0]
    )
    return any(more is not None and more > 0 for _, more in both)


# --- what is offered ---


def led(state: SmartCharging, context: Context) -> SmartCharging:
    """Return the slice with every vehicle's offer as it has to be now."""
    for evse_id, talk in state.talks.items():
        after = _led(state, evse_id, talk, context)
        if after is not talk:
            state = _with(state, evse_id, after)
    return state


def deadline_s(state: SmartCharging) -> float | None:
    """Return when an offer has to be looked at, monotonic seconds; None for never."""
    return min((talk.until_s for talk in state.talks.values()), default=None)


def _led(state: SmartCharging, evse_id: int, talk: Talk, context: Context) -> Talk:
    monotonic_s, now_s = context.now.monotonic_s, second(context.now)
    is_over = monotonic_s >= talk.until_s or (talk.waits and not context.is_online)
    is_over = is_over or _is_misdated(talk, monotonic_s, now_s)
    is_same = talk.book is state.book and talk.settings is context.settings
    if not is_over and (talk.waits or is_same):
        return talk
    if now_s is None:  # a schedule without its date is none
        return replace(talk, until_s=monotonic_s + WAIT_S) if is_over else talk
    found = _offers(state, evse_id, talk, now_s, context)
    talk = replace(talk, book=state.book, settings=context.settings)
    if not is_over and _agree(talk.offers, found, now_s):
        return talk
    until_s = monotonic_s + min(offer.duration_s or 0 for offer in found)
    return replace(talk, offers=found, until_s=until_s, number=talk.number + 1)


def _is_misdated(talk: Talk, monotonic_s: float, now_s: int | None) -> bool:
    """Tell whether the clock was set since: the vehicle counts from another instant then."""
    if talk.waits or now_s is None:
        return False
    left_s = min(map(_end_s, talk.offers)) - now_s
    return abs(talk.until_s - monotonic_s - left_s) > CLOCK_S


def _offers(
    state: SmartCharging, evse_id: int, talk: Talk, now_s: int, context: Context
) -> tuple[Schedule, ...]:
    """Return a limit over time for each schedule that the vehicle may choose (K15.FR.22)."""
    leaves_s = talk.needs.departs_s
    lasts_s = USUAL_S if leaves_s is None or leaves_s <= now_s else leaves_s - now_s
    end_s = now_s + min(lasts_s, LONGEST_S)
    most = max(1, min(talk.needs.most_tuples or MOST_TUPLES, MOST_TUPLES))
    found = []
    for schedule_id in _choices(state, talk.transaction_id):
        entries = composed(
            replace(state, chosen={**state.chosen, evse_id: schedule_id}),
            evse_id,
            Unit.AMPERE,
            (now_s, end_s),
            context.evses,
            context.settings,
            context.now,
            Bounds(),
        )
        found.append(_schedule(schedule_id, entries, most, now_s, end_s))
    return tuple(found)


def _choices(state: SmartCharging, transaction_id: str) -> tuple[int, ...]:
    """Return the ids of the schedules of the transaction's highest profile; 1 without any."""
    profiles: Iterable[Profile] = (entry.profile for entry in state.book.entries.values())
    own = [
        profile
        for profile in profiles
        if profile.purpose is Purpose.TX and profile.transaction_id == transaction_id
    ]
    if not own:
        return (1,)
    highest = max(own, key=lambda profile: (profile.stack_level, -profile.profile_id))
    return tuple(schedule.schedule_id for schedule in highest.schedules)


def _schedule(
    schedule_id: int, entries: tuple[Entry, ...], most: int, now_s: int, end_s: int
) -> Schedule:
    lasts_s = entries[most].start_s if len(entries) > most else end_s - now_s
    periods = tuple(
        Period(entry.start_s, entry.limit, entry.phases) for entry in islice(entries, most)
    )
    return Schedule(Unit.AMPERE, periods, schedule_id, now_s, lasts_s)


def _agree(before: tuple[Schedule, ...], after: tuple[Schedule, ...], now_s: int) -> bool:
    """Tell whether two offers say the same for as long as both say anything."""
    if [one.schedule_id for one in before] != [one.schedule_id for one in after]:
        return False
    return all(_is_same(*pair, now_s) for pair in zip(before, after, strict=True))


def _is_same(one: Schedule, other: Schedule, now_s: int) -> bool:
    window = now_s, min(_end_s(one), _end_s(other))
    return _curve(one, *window) == _curve(other, *window)


def _end_s(offer: Schedule) -> int:
    return (offer.start_s or 0) + (offer.duration_s or 0)


def _curve(schedule: Schedule, from_s: int, to_s: int) -> Curve[int]:
    """Return the limits of a schedule that has a start, over a window."""
    start_s = schedule.start_s or 0
    steps: list[tuple[int, int | None]] = [
        (start_s + period.start_s, period.limit) for period in schedule.periods
    ]
    return clip(curve(steps), from_s, max(from_s, to_s))
