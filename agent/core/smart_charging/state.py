"""The slice of charging profiles, and what they allow at this instant.

What profiles allow now stands in the slice, with the instant at which it changes: that the
hardware may do no more needs no clock to be seen. While the time is unknown the least that the
profiles ever allow is all that is allowed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from agent.core import phase_switching, variables
from agent.core.setpoint import standing_limits
from agent.core.smart_charging import composite
from agent.core.smart_charging.composite import Allowed, Place
from agent.core.smart_charging.needs import Talk
from agent.core.smart_charging.profile import (
    HARDWARE,
    Book,
    Entry,
    Kind,
    Purpose,
    Unit,
    is_over,
)
from agent.core.smart_charging.schedule import Cap, Origin
from agent.core.states import Evse, Transaction
from agent.core.values import Bound, Bounds, Limit, Stamp, Value
from agent.core.variables import Settings

IDLE_LOOK_S: Final = 60
"""Without a transaction nothing flows, and relative schedules have no start: what is shown is
renewed this often."""

PROFILE: Final = "profile"
"""Origin of the limits of charging profiles, as people read it."""

MOST_PHASES: Final = 3

MOST_MA: Final = 80_000
"""Nothing is offered more (IEC 61851-1 annex A): as good as no limit."""

EARLY_S: Final = 0.001
"""An instant counts as reached a little early: sums of floats may fall short of it."""


class Seen(Value, frozen=True, eq=False):
    """What the limits in force were computed from.

    Attributes:
        transactions: id of the open transaction, by EVSE.
        offset_s: wall minus monotonic seconds, None while the time is unknown.
    """

    book: Book
    settings: Settings
    transactions: Mapping[int, str]
    offset_s: float | None


class SmartCharging(Value, frozen=True):
    """The slice of this block.

    Attributes:
        own: what the profiles for each EVSE allow it now; an EVSE without limit is missing.
        station: what the profiles allow all EVSEs together now.
        bounds: the same, as it is enforced.
        talks: with vehicles that have told their needs, by EVSE.
        chosen: id of the schedule that this vehicle has chosen, by EVSE.
        wake_s: when that changes, monotonic seconds; None for never.
    """

    book: Book = Book()
    own: Mapping[int, Allowed] = {}
    station: Allowed = Allowed()
    bounds: Bounds = Bounds()
    talks: Mapping[int, Talk] = {}
    chosen: Mapping[int, int] = {}
    wake_s: float | None = None
    seen: Seen | None = None


def composed(
    state: SmartCharging,
    evse_id: int,
    unit: Unit,
    window: tuple[int, int],
    evses: Mapping[int, Evse],
    settings: Settings,
    now: Stamp,
    around: Bounds,
) -> tuple[Entry, ...]:
    """Return the composite schedule of an EVSE, or of the station (0), over a window.

    Without a transaction it is computed as if one started with the window (K08.FR.06).

    Args:
        window: first second, UTC, and the second after its last.
        around: limits in force that do not come from profiles. Nobody knows how long those
            will last, so they count to the end of the window: more is never told than can
            be offered now.
    """
    start_s, end_s = window
    parts = {}
    for key, evse in evses.items():
        anchor_s = _anchor_s(evse.transaction, now) if evse.transaction else start_s
        place = _place(state, evse, settings, anchor_s or start_s)
        given = (*around.evses.get(key, ()), *around.station)
        parts[key] = (place, _local(_hardware(evse), given, place))
    if evse_id != 0:
        place, limits = parts[evse_id]
        return composite.entries(state.book, place, unit, limits, start_s, end_s)
    place = _whole(evses, settings)
    whole = (place, _local((), around.station, place))
    return composite.station_entries(
        state.book, whole, tuple(parts.values()), unit, start_s, end_s
    )


def _hardware(evse: Evse) -> tuple[Limit, ...]:
    """Return what hardware, wiring, plug and heat allow; undetected hardware limits nothing."""
    found, capabilities = standing_limits(evse), evse.inputs.capabilities
    return found if capabilities is None else (Limit(HARDWARE, capabilities.max_a), *found)


def _local(own: Sequence[Limit], given: Sequence[Bound], place: Place) -> Cap:
    """Return limits that do not come from profiles, of an EVSE or of the station."""
    found = [*own, *_amps(given)]
    watts = [(item.limit_w, Origin(item.origin)) for item in given if item.limit_w is not None]
    return composite.local(
        [(_milli(item.limit_a), Origin(item.origin)) for item in found],
        [(_milli(power_w), origin) for power_w, origin in watts],
        place,
    )


def _amps(given: Sequence[Bound]) -> list[Limit]:
    return [Limit(one.origin, one.limit_a) for one in given if one.limit_a is not None]


def _milli(amount: float) -> int:
    """Return thousandths, rounded down; the tolerance keeps a float from losing a whole one."""
    return int(amount * 1000 + 1e-6)


# --- places ---


def second(now: Stamp) -> int | None:
    """Return the second of an instant, UTC since 1970; None while the time is unknown."""
    return None if now.wall_s is None else math.floor(now.wall_s + EARLY_S)


def transactions(evses: Mapping[int, Evse]) -> dict[int, str]:
    """Return the ids of the open transactions, by EVSE."""
    return {
        evse_id: evse.transaction.transaction_id
        for evse_id, evse in evses.items()
        if evse.transaction is not None
    }


def _place(state: SmartCharging, evse: Evse, settings: Settings, anchor_s: int) -> Place:
    """Return the place of an EVSE; `anchor_s` is from when relative schedules count."""
    transaction = evse.transaction
    return Place(
        evse_id=evse.spec.evse_id,
        phases=evse.spec.phases,
        voltage_v=settings.integer(variables.SUPPLY_VOLTAGE),
        transaction_id=None if transaction is None else transaction.transaction_id,
        anchor_s=anchor_s,
        falls_back=settings.text(variables.TX_PROFILE_FALLBACK) == "txdefault",
        chosen=state.chosen.get(evse.spec.evse_id),
        is_dc=evse.spec.is_dc,
    )


def _anchor_s(transaction: Transaction | None, now: Stamp) -> int | None:
    """Return from when relative schedules count: the start of the transaction, else now.

    Within one boot the monotonic clock tells, whatever happened to the other one. None when
    nobody knows when the transaction started.
    """
    if now.wall_s is None:
        return None
    if transaction is None:
        return second(now)
    started_at = transaction.started_at
    if started_at.boot != now.boot:
        return second(started_at)
    since_s = now.monotonic_s - started_at.monotonic_s
    return math.floor(now.wall_s - since_s + EARLY_S)


def _whole(evses: Mapping[int, Evse], settings: Settings) -> Place:
    """Return the place of the station, as wide as its widest EVSE."""
    phases = max(evse.spec.phases for evse in evses.values())
    return Place(0, phases, settings.integer(variables.SUPPLY_VOLTAGE))


# --- now ---


def current(
    state: SmartCharging, evses: Mapping[int, Evse], settings: Settings, now: Stamp
) -> SmartCharging:
    """Return the slice with the limits of this instant; the same one while they hold."""
    seen, running = state.seen, transactions(evses)
    if (
        seen is not None
        and seen.book is state.book
        and seen.settings is settings
        and seen.transactions == running
        and _is_same_clock(seen.offset_s, _offset_s(now))
        and (state.wake_s is None or now.monotonic_s < state.wake_s)
    ):
        return state
    book = pruned(state.book, running, second(now))
    seen = Seen(book, settings, running, _offset_s(now))
    talks = {
        key: talk
        for key, talk in state.talks.items()
        if running.get(key) == talk.transaction_id
    }
    chosen = {key: item for key, item in state.chosen.items() if key in talks}
    if not book.entries:
        return SmartCharging(book, talks=talks, chosen=chosen, seen=seen)
    state = replace(state, book=book, talks=talks, chosen=chosen, seen=seen)
    return _computed(state, evses, settings, now)


def pruned(book: Book, running: Mapping[int, str], now_s: int | None) -> Book:
    """Return a book without the profiles that can never limit anything again.

    Args:
        running: ids of the open transactions, by EVSE.
    """
    left = {
        key: entry
        for key, entry in book.entries.items()
        if (
            entry.profile.purpose is not Purpose.TX
            or running.get(entry.evse_id) == entry.profile.transaction_id
        )
        and (now_s is None or not is_over(entry.profile, now_s))
    }
    return book if len(left) == len(book.entries) else Book(left)


def _computed(
    state: SmartCharging, evses: Mapping[int, Evse], settings: Settings, now: Stamp
) -> SmartCharging:
    now_s, own, changes = second(now), dict[int, Allowed](), list[int]()
    kinds = {entry.profile.kind for entry in state.book.entries.values()}
    for evse_id, evse in evses.items():
        anchor_s = _anchor_s(evse.transaction, now)
        place = _place(state, evse, settings, anchor_s or 0)
        known_s = None if anchor_s is None else now_s
        allowed = _allowed(state.book, place, known_s, changes)
        if allowed.limit_ma is not None:
            own[evse_id] = allowed
        if now_s is not None and evse.transaction is None and Kind.RELATIVE in kinds:
            changes.append(now_s + IDLE_LOOK_S)
    whole = _allowed(state.book, _whole(evses, settings), now_s, changes)
    ahead_s = None if now.wall_s is None else min(changes) - now.wall_s
    wake_s = None if ahead_s is None else now.monotonic_s + ahead_s
    bounds = _bounds(own, whole, evses, settings.integer(variables.SUPPLY_VOLTAGE))
    return replace(state, own=own, station=whole, bounds=bounds, wake_s=wake_s)


def _bounds(
    own: Mapping[int, Allowed], whole: Allowed, evses: Mapping[int, Evse], voltage_v: int
) -> Bounds:
    """Return what to enforce.

    A limit in W on an EVSE, or one in A on fewer phases than it has, is spread over all of
    them: its vehicle may use them all. Where the phases can be switched it stays as it is, and
    leaves its amperes to those that are connected. For the station as a whole one in A on
    fewer phases is one on the sum of them.
    """
    found: dict[int, tuple[Bound, ...]] = {}
    for evse_id, evse in evses.items():
        mine = own.get(evse_id, Allowed())
        given = _switched(mine, whole) if phase_switching.is_able(evse) else ()
        phases = evse.spec.phases
        amps = [] if mine.current_ma is None else [_spread_ma(mine.current_ma, mine, phases)]
        amps += [] if whole.current_ma is None else [whole.current_ma]
        watts = [one.limit_mw for one in (mine, whole) if one.limit_mw is not None]
        amps += [limit_mw // (voltage_v * phases) for limit_mw in watts]
        if given or amps:
            found[evse_id] = given or (Bound(PROFILE, limit_a=min(amps) / 1000),)
    return Bounds(_together(whole, voltage_v), found)


def _switched(mine: Allowed, whole: Allowed) -> tuple[Bound, ...]:
    """Return the bounds of an EVSE whose phases can be switched, empty without any."""
    watts = [one.limit_mw for one in (mine, whole) if one.limit_mw is not None]
    found = [Bound(PROFILE, limit_w=min(watts) / 1000)] if watts else []
    if mine.current_ma is not None or mine.phases is not None:
        limit_ma = MOST_MA if mine.current_ma is None else mine.current_ma
        found.append(Bound(PROFILE, limit_a=limit_ma / 1000, phases=mine.phases))
    if whole.current_ma is not None:
        found.append(Bound(PROFILE, limit_a=whole.current_ma / 1000))
    return tuple(found)


def _together(whole: Allowed, voltage_v: int) -> tuple[Bound, ...]:
    """Return the bounds of all EVSEs together."""
    found = []
    if whole.current_ma is not None:
        found.append(Bound(PROFILE, limit_a=whole.current_ma / 1000))
        if whole.phases is not None and whole.phases < MOST_PHASES:
            sum_mw = whole.current_ma * voltage_v * whole.phases
            found.append(Bound(PROFILE, limit_w=sum_mw / 1000))
    if whole.limit_mw is not None:
        found.append(Bound(PROFILE, limit_w=whole.limit_mw / 1000))
    return tuple(found)


def _spread_ma(limit_ma: int, allowed: Allowed, phases: int) -> int:
    """Return what a limit leaves each phase of an EVSE if its vehicle uses all of them."""
    named = phases if allowed.phases is None else min(allowed.phases, phases)
    return limit_ma * named // phases


def _allowed(book: Book, place: Place, now_s: int | None, changes: list[int]) -> Allowed:
    """Return what is allowed at a place, and note when that changes."""
    if now_s is None:
        return composite.allowed(composite.lowest(book, place))
    cap, change_s = composite.at_instant(book, place, now_s)
    changes.append(change_s)
    return composite.allowed(cap)


def _offset_s(now: Stamp) -> float | None:
    return None if now.wall_s is None else now.wall_s - now.monotonic_s


def _is_same_clock(one_s: float | None, other_s: float | None) -> bool:
    if one_s is None or other_s is None:
        return one_s is other_s
    return abs(one_s - other_s) <= EARLY_S
