"""Reservations: a place kept free for a token or its group (1.6 2.3, 2.0.1 block H).

A reservation holds an EVSE as a whole: its connectors share one supply, and whoever charged
at one of them would keep the holder from the other (ADR 0010). One that leaves the EVSE open
holds none as long as more are free than such reservations stand; when they are as many, each
free EVSE is held for all of their holders.

    ReserveNow ──► in force ──► used up: the holder's transaction began
                       │──────► cancelled by the CSMS
                       │──────► expired
                       └──────► removed: its place broke down or was taken out of service

A fault that may pass while a transaction waits for it (`GRACE_S`) removes no reservation.
Reservations survive power cuts; one that expired meanwhile ends as soon as the time is known.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Done, Reply, ReservationEnd, ReservationEnded, Verdict
from agent.core.events import (
    Event,
    PowerUp,
    ReservationCancelRequested,
    ReservationRequested,
    TimeLearned,
    TransactionOpened,
)
from agent.core.states import GRACE_S, Evse, Idle, Reservation
from agent.core.turn import Context, Turn
from agent.core.values import Value
from agent.core.variables import Settings

SLACK_S = 0.001
"""An instant nearer than this has come: sums of floating-point seconds differ by less."""

Held = Mapping[int, tuple[Reservation, ...]]


class Reservations(Value, frozen=True):
    """The slice of this block.

    Attributes:
        items: by number of the CSMS.
        due_s: when the next one expires, monotonic seconds; None while that is unknown.
    """

    items: Mapping[int, Reservation] = {}
    due_s: float | None = None


def in_force(state: Reservations, settings: Settings) -> tuple[Reservation, ...]:
    """Return the reservations that count; none while they rest."""
    counts = state.items and settings.flag(variables.RESERVATIONS)
    return tuple(state.items.values()) if counts else ()


def held(
    reservations: tuple[Reservation, ...], evses: Mapping[int, Evse], operative: frozenset[int]
) -> Held:
    """Return which EVSEs are kept free, and for whom.

    Of the EVSEs that no reservation names those are held that a holder would find free, and
    then those with the vehicle that came last: it may be the holder's.
    """
    named = {item.evse_id: (item,) for item in reservations if item.evse_id is not None}
    general = tuple(item for item in reservations if item.evse_id is None)
    if not general:
        return named
    places = [evse for evse_id, evse in evses.items() if evse_id not in named]
    usable = [
        evse
        for evse in places
        if isinstance(evse.session, Idle) and _trouble(evse, operative) is None
    ]
    free = sum(evse.inputs.plugged_at is None for evse in usable)
    if free > len(general):
        return named
    kept = sorted(usable, key=_arrival, reverse=True)[: len(general)]
    return {**named, **{evse.spec.evse_id: general for evse in kept}}


def _arrival(evse: Evse) -> float:
    plugged_at = evse.inputs.plugged_at
    return float("inf") if plugged_at is None else plugged_at.monotonic_s


def _trouble(evse: Evse, operative: frozenset[int]) -> Verdict | None:
    """Return why nobody can charge at an EVSE, None if somebody could."""
    if evse.inputs.blocking is not None:
        return Verdict.FAULTED
    return None if evse.spec.evse_id in operative else Verdict.UNAVAILABLE


def deadline_s(state: Reservations) -> float | None:
    """Return when the next reservation expires."""
    return state.due_s


def step(state: Reservations, event: Event, context: Context) -> Turn[Reservations]:
    """Advance the reservations by one event."""
    match event:
        case ReservationRequested():
            turn = _requested(state, event, context)
        case ReservationCancelRequested():
            turn = _cancelled(state, event)
        case TransactionOpened(reservation_id=reservation_id) if reservation_id is not None:
            turn = Turn(_without(state, reservation_id))
        case _:
            turn = Turn(state)
    if not turn.state.items and not state.items:
        return turn
    ended = _ended(turn.state, context)
    kept = _without(turn.state, *(record.reservation_id for record in ended))
    is_moved = isinstance(event, PowerUp | TimeLearned)  # the clock's relation to the wall
    if kept.items is not state.items or is_moved:
        kept = replace(kept, due_s=_due_s(kept, context))
    return Turn(kept, (*turn.effects, *ended), turn.raised)


# --- requests ---


def _requested(
    state: Reservations, event: ReservationRequested, context: Context
) -> Turn[Reservations]:
    others = _without(state, event.reservation_id)
    verdict, reason = _refusal(others, event, context) or (Verdict.ACCEPTED, "")
    reply = Reply(event.request_id, Done(verdict, reason))
    if verdict is not Verdict.ACCEPTED:
        return Turn(state, (reply,))
    made = Reservation(
        event.reservation_id, event.id_token, event.expires_wall_s, event.evse_id, event.group
    )
    return Turn(replace(others, items={**others.items, made.reservation_id: made}), (reply,))


def _refusal(
    others: Reservations, event: ReservationRequested, context: Context
) -> tuple[Verdict, str] | None:
    """Return why a place cannot be kept, in the order of the reference (1.6 2.3)."""
    if not context.settings.flag(variables.RESERVATIONS):
        return Verdict.REJECTED, "NotEnabled"
    if event.evse_id is not None and event.evse_id not in context.evses:
        return Verdict.REJECTED, "UnknownEvse"
    if event.evse_id is None and not context.settings.flag(variables.RESERVE_ANY):
        return Verdict.REJECTED, "UnsupportedParam"
    wall_s = context.now.wall_s
    if wall_s is not None and event.expires_wall_s <= wall_s:
        return Verdict.REJECTED, "InvalidValue"
    named = {item.evse_id for item in others.items.values()}
    found = [
        _state(evse, named, context)
        for evse_id, evse in context.evses.items()
        if event.evse_id in (None, evse_id)
    ]
    if None not in found:
        return _worst(verdict for verdict in found if verdict is not None), ""
    return None if _leaves_enough(others, named, context) else (Verdict.OCCUPIED, "")


def _state(evse: Evse, named: set[int | None], context: Context) -> Verdict | None:
    """Return why this EVSE cannot be promised, None if it can."""
    trouble = _trouble(evse, context.operative)
    if trouble is not None:
        return trouble
    is_free = isinstance(evse.session, Idle) and evse.inputs.plugged_at is None
    return None if is_free and evse.spec.evse_id not in named else Verdict.OCCUPIED


def _worst(found: Iterable[Verdict]) -> Verdict:
    """Return one word for EVSEs of which none can be promised.

    One that is merely busy will be free again; that all are broken is said only of all.
    """
    seen = set(found)
    if Verdict.OCCUPIED in seen:
        return Verdict.OCCUPIED
    return Verdict.UNAVAILABLE if Verdict.UNAVAILABLE in seen else Verdict.FAULTED


def _leaves_enough(others: Reservations, named: set[int | None], context: Context) -> bool:
    """Tell whether those who were promised any EVSE will still find one."""
    general = sum(item.evse_id is None for item in others.items.values())
    free = sum(_state(evse, named, context) is None for evse in context.evses.values())
    return free > general


def _cancelled(state: Reservations, event: ReservationCancelRequested) -> Turn[Reservations]:
    if event.reservation_id not in state.items:
        done = Done(Verdict.REJECTED, "NotFound")
        return Turn(state, (Reply(event.request_id, done),))
    accepted = Reply(event.request_id, Done(Verdict.ACCEPTED))
    return Turn(_without(state, event.reservation_id), (accepted,))


# --- ends ---


def _ended(state: Reservations, context: Context) -> list[ReservationEnded]:
    """Return the ends of what has expired, or has lost its place."""
    found: list[ReservationEnded] = []
    wall_s = context.now.wall_s
    for number, item in state.items.items():
        if wall_s is not None and item.expires_wall_s <= wall_s + SLACK_S:
            found.append(ReservationEnded(number, ReservationEnd.EXPIRED, context.now))
        elif _is_lost(item, context):
            found.append(ReservationEnded(number, ReservationEnd.REMOVED, context.now))
    return found


def _is_lost(item: Reservation, context: Context) -> bool:
    """Tell whether no EVSE is left that the reservation could be used at."""
    places = [
        evse
        for evse_id, evse in context.evses.items()
        if item.evse_id in (None, evse_id) and evse_id in context.operative
    ]
    return all(_is_broken(evse) for evse in places)


def _is_broken(evse: Evse) -> bool:
    fault = evse.inputs.blocking
    return fault is not None and fault.fault not in GRACE_S


def _due_s(state: Reservations, context: Context) -> float | None:
    now = context.now
    if now.wall_s is None or not state.items:
        return None
    first = min(item.expires_wall_s for item in state.items.values())
    return now.monotonic_s + (first - now.wall_s)


def _without(state: Reservations, *numbers: int) -> Reservations:
    if not any(number in state.items for number in numbers):
        return state
    left = {number: item for number, item in state.items.items() if number not in numbers}
    return replace(state, items=left)
