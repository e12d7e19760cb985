"""The slice of charging profiles, and what they allow at this instant.

What profiles allow now stands in the slice, with the instant at which it changes: that the
hardware may do no more needs no clock to be seen. While the time is unknown the least that the
profiles ever allow is all that is allowed.
"""

import math
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import phase_switching, variables
from agent.core.smart_charging import composite
from agent.core.smart_charging.composite import Allowed, Place
from agent.core.smart_charging.profile import Book, Entry, Kind, Purpose, Unit, is_over
from agent.core.states import Evse, Transaction
from agent.core.values import Bound, Bounds, Stamp, Value
from agent.core.variables import Settings

IDLE_LOOK_S: Final = 60
"""Without a transaction nothing flows, and relative schedules have no start: what is shown is
renewed this often."""

PROFILE: Final = "profile"
"""Origin of the limits of charging profiles, as people read it."""

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
        told: id of the transaction whose vehicle has told its needs, by EVSE.
        chosen: id of the schedule that this vehicle has chosen, by EVSE.
        wake_s: when that changes, monotonic seconds; None for never.
    """

    book: Book = Book()
    own: Mapping[int, Allowed] = {}
    station: Allowed = Allowed()
    bounds: Bounds = Bounds()
    told: Mapping[int, str] = {}
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
) -> tuple[Entry, ...]:
    """Return the composite schedule of an EVSE, or of the station (0), over a window.

    Without a transaction it is computed as if one started with the window (K08.FR.06).

    Args:
        window: first second, UTC, and the second after its last.
    """
    start_s, end_s = window
    parts = {}
    for key, evse in evses.items():
        anchor_s = _anchor_s(evse.transaction, now) if evse.transaction else start_s
        parts[key] = (_place(state, evse, settings, anchor_s or start_s), _local_ma(evse))
    if evse_id != 0:
        place, local_ma = parts[evse_id]
        return composite.entries(state.book, place, unit, local_ma, start_s, end_s)
    whole = _whole(evses, settings)
    return composite.station_entries(
        state.book, whole, tuple(parts.values()), unit, start_s, end_s
    )


def _local_ma(evse: Evse) -> int:
    """Return what hardware and board allow, mA per phase."""
    capabilities = evse.inputs.capabilities
    most_a = evse.spec.max_a
    return int(1000 * (min(most_a, capabilities.max_a) if capabilities else most_a))


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
    told = {key: item for key, item in state.told.items() if running.get(key) == item}
    chosen = {key: item for key, item in state.chosen.items() if key in told}
    if not book.entries:
        return SmartCharging(book, told=told, chosen=chosen, seen=seen)
    state = replace(state, book=book, told=told, chosen=chosen, seen=seen)
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

    A limit in W on an EVSE is spread over all its phases, whatever the profile names: its
    vehicle may use them all. Where the phases can be switched it stays one in W, and leaves
    its amperes to those that are connected.
    """
    found: dict[int, tuple[Bound, ...]] = {}
    for evse_id, evse in evses.items():
        mine = own.get(evse_id, Allowed())
        watts = [one.limit_mw for one in (mine, whole) if one.limit_mw is not None]
        if phase_switching.is_able(evse) and watts:
            amps = [one.current_ma for one in (mine, whole) if one.current_ma is not None]
            current = (Bound(PROFILE, limit_a=min(amps) / 1000),) if amps else ()
            found[evse_id] = (Bound(PROFILE, limit_w=min(watts) / 1000), *current)
            continue
        per_w = voltage_v * evse.spec.phases
        amps = [item for item in (mine.limit_ma, whole.current_ma) if item is not None]
        amps += [limit_mw // per_w for limit_mw in watts]
        if amps:
            found[evse_id] = (Bound(PROFILE, limit_a=min(amps) / 1000),)
    station = []
    if whole.current_ma is not None:
        station.append(Bound(PROFILE, limit_a=whole.current_ma / 1000))
    if whole.limit_mw is not None:
        station.append(Bound(PROFILE, limit_w=whole.limit_mw / 1000))
    return Bounds(tuple(station), found)


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
