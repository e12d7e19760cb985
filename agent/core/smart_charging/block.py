"""Charging profiles: set, cleared, shown, and what they allow at this instant (block K).

What is accepted is durable with the same commit as the reply, and limits from that turn on.

A TxProfile goes with its transaction. A profile that can never limit anything again goes when
the limits are looked at next, at the latest at midnight UTC.
"""

from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import (
    CompositeAnswer,
    Done,
    Effect,
    ProfilesReported,
    Reply,
    Verdict,
)
from agent.core.events import (
    ChargingProfileOffered,
    ChargingProfilesCleared,
    ChargingProfilesRequested,
    CompositeScheduleRequested,
    Event,
    LinkDown,
    TransactionOpened,
    VehicleNeedsAnswered,
    VehicleNeedsTold,
    VehicleScheduleAnswered,
    VehicleScheduleChosen,
)
from agent.core.smart_charging import negotiation
from agent.core.smart_charging.acceptance import checked, installed
from agent.core.smart_charging.offer import Bounds, Offer, Refusal, bounds
from agent.core.smart_charging.outside import constraints
from agent.core.smart_charging.profile import (
    Book,
    Entry,
    Installed,
    Profile,
    Purpose,
    Unit,
)
from agent.core.smart_charging.state import (
    SmartCharging,
    composed,
    current,
    pruned,
    second,
    transactions,
)
from agent.core.turn import Context, Turn

LONGEST_COMPOSITE_S: Final = 7 * 86_400
"""Longest composite schedule that is told (1.6 6.10)."""

PROFILES_PER_REPORT: Final = 5
"""Some of 48 periods fill a message; the rest of a report follows in further ones."""


def step(state: SmartCharging, event: Event, context: Context) -> Turn[SmartCharging]:
    """Advance the profiles by one event, and the limits to this instant."""
    turn = _decided(state, event, context)
    after = current(turn.state, context.evses, context.settings, context.now)
    return Turn(negotiation.led(after, context), turn.effects, turn.raised)


def _decided(state: SmartCharging, event: Event, context: Context) -> Turn[SmartCharging]:
    match event:
        case ChargingProfileOffered():
            return _offered(state, event, context)
        case ChargingProfilesCleared():
            return _cleared(state, event)
        case ChargingProfilesRequested():
            return Turn(state, _shown(state, event, context))
        case CompositeScheduleRequested():
            return Turn(state, (Reply(event.request_id, _composed(state, event, context)),))
        case VehicleNeedsTold():
            return negotiation.needed(state, event, context)
        case VehicleNeedsAnswered():
            return Turn(negotiation.needs_answered(state, event, context))
        case LinkDown():
            return Turn(negotiation.unheard(state, context))
        case VehicleScheduleChosen():
            return negotiation.chosen(state, event, context)
        case VehicleScheduleAnswered():
            return Turn(negotiation.choice_answered(state, event))
        case TransactionOpened(evse_id=evse_id, profile=Profile() as profile):
            return Turn(_begun(state, evse_id, profile, context))
        case _:
            return Turn(state)


# --- set and clear ---


def _offered(
    state: SmartCharging, event: ChargingProfileOffered, context: Context
) -> Turn[SmartCharging]:
    found = checked(_offer(state, event, context))
    if isinstance(found, Refusal):
        known = event.evse_id == 0 or event.evse_id in context.evses
        verdict = Verdict.REJECTED if known else Verdict.UNKNOWN_EVSE
        done = Done(verdict, found.reason, found.info)
        return Turn(state, (Reply(event.request_id, done),))
    state = replace(state, book=installed(found))
    if found.profile.purpose is Purpose.TX:
        state = negotiation.forgotten(state, event.evse_id)
        state = negotiation.answered(state, event.evse_id, context)
    return Turn(state, (Reply(event.request_id, Done(Verdict.ACCEPTED)),))


def _offer(state: SmartCharging, event: ChargingProfileOffered, context: Context) -> Offer:
    profile, running = event.profile, transactions(context.evses)
    number = event.transaction_number
    is_named = number is not None or profile.transaction_id is not None
    if number is not None:
        numbers = {number: key for key, number in context.remote_ids.items()}
        named = numbers.get(number, profile.transaction_id)
        profile = replace(profile, transaction_id=named)
    return Offer(
        evse_id=event.evse_id,
        profile=profile,
        specs={evse_id: evse.spec for evse_id, evse in context.evses.items()},
        transactions=running,
        book=pruned(state.book, running, second(context.now)),
        bounds=bounds(context.settings),
        now_s=second(context.now),
        lenient=event.lenient,
        names_transaction=is_named,
        told_needs=event.evse_id in state.talks,
        switches_phase=context.settings.flag(variables.AC_PHASE_SWITCHING),
    )


def _begun(
    state: SmartCharging, evse_id: int, profile: Profile, context: Context
) -> SmartCharging:
    """Install the profile that a remote start brought; it was checked then (K05.FR.03)."""
    profile = replace(profile, transaction_id=transactions(context.evses)[evse_id])
    entries = {**state.book.entries, profile.key: Installed(evse_id, profile)}
    return replace(state, book=Book(entries))


def _cleared(state: SmartCharging, event: ChargingProfilesCleared) -> Turn[SmartCharging]:
    """Remove what fits; external constraints are not the CSMS's to clear (K10)."""

    def fits(entry: Installed) -> bool:
        profile = entry.profile
        if profile.purpose is Purpose.EXTERNAL:
            return False
        if event.profile_id is not None:
            return profile.profile_id == event.profile_id
        return (
            event.evse_id in {None, entry.evse_id}
            and event.purpose in {None, profile.purpose}
            and event.stack_level in {None, profile.stack_level}
        )

    left = {key: entry for key, entry in state.book.entries.items() if not fits(entry)}
    if len(left) == len(state.book.entries):
        done = Done(Verdict.REJECTED, "NoProfile", "no profile fits")
        return Turn(state, (Reply(event.request_id, done),))
    state = replace(state, book=Book(left))
    return Turn(state, (Reply(event.request_id, Done(Verdict.ACCEPTED)),))


# --- show ---


def _shown(
    state: SmartCharging, event: ChargingProfilesRequested, context: Context
) -> tuple[Effect, ...]:
    """Answer, and then show what fits: by source and EVSE, a few at a time (K09)."""
    found: dict[tuple[str, int], list[Profile]] = {}
    others = constraints(context.external(), state.book, second(context.now))
    for entry in (*state.book.entries.values(), *others):
        if _is_wanted(entry, event):
            found.setdefault((entry.source, entry.evse_id), []).append(entry.profile)
    if not found:
        return (Reply(event.request_id, Done(Verdict.REJECTED, "NoProfile")),)
    parts = [
        (source, evse_id, tuple(profiles[first : first + PROFILES_PER_REPORT]))
        for (source, evse_id), profiles in sorted(found.items())
        for first in range(0, len(profiles), PROFILES_PER_REPORT)
    ]
    reports = [
        ProfilesReported(event.report_id, evse_id, source, profiles, number == len(parts))
        for number, (source, evse_id, profiles) in enumerate(parts, 1)
    ]
    return (Reply(event.request_id, Done(Verdict.ACCEPTED)), *reports)


def _is_wanted(entry: Installed, event: ChargingProfilesRequested) -> bool:
    profile = entry.profile
    return (
        event.evse_id in {None, entry.evse_id}
        and event.purpose in {None, profile.purpose}
        and event.stack_level in {None, profile.stack_level}
        and (not event.profile_ids or profile.profile_id in event.profile_ids)
        and (not event.sources or entry.source in event.sources)
    )


def _composed(
    state: SmartCharging, event: CompositeScheduleRequested, context: Context
) -> CompositeAnswer | Done:
    allows = bounds(context.settings)
    refusal = _uncomposable(event, allows, context)
    if refusal is not None:
        verdict = Verdict.UNKNOWN_EVSE if refusal.reason == "UnknownEvse" else Verdict.REJECTED
        return Done(verdict, refusal.reason, refusal.info)
    now_s = second(context.now) or 0
    duration_s = min(event.duration_s, LONGEST_COMPOSITE_S)
    unit = event.unit or (Unit.AMPERE if Unit.AMPERE in allows.units else Unit.WATT)
    window = (now_s, now_s + duration_s)
    found = _over(state, event.evse_id, unit, window, context)
    if len(found) > allows.most_periods:
        duration_s = found[allows.most_periods].start_s
        found = found[: allows.most_periods]
    return CompositeAnswer(event.evse_id, now_s, duration_s, unit, found)


def _over(
    state: SmartCharging, evse_id: int, unit: Unit, window: tuple[int, int], context: Context
) -> tuple[Entry, ...]:
    """Return the composite schedule over a window, UTC seconds."""
    evses, settings, around = context.evses, context.settings, context.bounds()
    return composed(state, evse_id, unit, window, evses, settings, context.now, around)


def _uncomposable(
    event: CompositeScheduleRequested, allows: Bounds, context: Context
) -> Refusal | None:
    if not allows.enabled:
        return Refusal("NotEnabled", "SmartChargingCtrlr.Enabled is false")
    if event.evse_id and event.evse_id not in context.evses:
        return Refusal("UnknownEvse", f"there are EVSEs 1 to {len(context.evses)}")
    if event.duration_s <= 0:
        return Refusal("InvalidValue", "a duration is positive")
    if event.unit is not None and event.unit not in allows.units and not event.converts:
        return Refusal("UnsupportedRateUnit", "RateUnit names the units")
    if context.now.wall_s is None:
        return Refusal("UnspecifiedTime", "the station does not know the time yet")
    return None
