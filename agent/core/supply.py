"""How the offer of every EVSE moves: lowered at once, raised when there is surely room.

After every event the offers are led to what all limits allow now:

    lowering    at once, whoever asks for it
    raising     not within 5 s of the last change (hardware reference 1.1), and only into room
                that no other vehicle may still be drawing: what another one has to give up
                counts as drawn until its meter has shown it above its new offer and then
                within it, or until it has had the time that a vehicle may take
    pausing     below 6 A there is no offer; the transaction stays open, and the offer comes
                back not sooner than the shortest pause (hardware reference 1.3)

What a vehicle does not take is given to others; how it is watched is in
agent.core.watching.

A vehicle that draws more than it was offered, beyond the tolerance and for longer than it may
take to follow, trips: that is a fault, until it is unplugged (hardware reference 1.3). So is a
current through a contactor that says it is open: either it is welded or the meter shows what is
not there, and neither can be charged with.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from agent.core import phase_switching, watching
from agent.core.events import Event, FaultCleared, FaultRaised, OffersChanged
from agent.core.phase_switching import Most
from agent.core.setpoint import may_offer, offerable_ma, own_limits
from agent.core.smart_charging.allocation import (
    LEAST_MA,
    STEP_MA,
    Claim,
    Room,
    shares,
    turn_ends_s,
)
from agent.core.states import READING_FRESH_S, Active, Evse, Supply
from agent.core.values import Bound, Bounds, Limit, Terms, Value
from hal.types import Fault

RAISE_EVERY_S: Final = 5.0
"""A vehicle needs this long to follow a changed duty cycle (hardware reference 1.1)."""

MARGIN_MA: Final = 1_000
"""What a vehicle is offered above what it takes, so that it shows when it wants more."""

IDLE: Final = Supply()
"""Of an EVSE where nothing can flow; recognized by identity."""


class Rules(Value, frozen=True):
    """What configuration says about offers.

    Attributes:
        terms: how a station-wide limit is divided.
        voltage_v: nominal, line to neutral; turns W into A.
        pause_s: shortest time without an offer after a limit took it away.
        is_site: there are several EVSEs, so that the station's power is not that of one.
    """

    terms: Terms = Terms()
    voltage_v: float = 230.0
    pause_s: float = 60.0
    is_site: bool = True


class Seen(Value, frozen=True, eq=False):
    """What the offers were led by; as long as it stands, so do they.

    Attributes:
        evses: as they were left.
    """

    evses: Mapping[int, Evse]
    bounds: Bounds
    rules: Rules
    storage_ok: bool

    def is_of(self, bounds: Bounds, rules: Rules, *, storage_ok: bool) -> bool:
        """Tell whether everything but the EVSEs is the same."""
        same = (self.bounds, self.rules, self.storage_ok)
        return same == (bounds, rules, storage_ok)


class Division(Value, frozen=True):
    """The last division of the station's room; made anew when something in it changes.

    Attributes:
        ends_s: when a turn ends that somebody waits for, monotonic seconds.
        wake_s: when the offers have to be looked at again.
        seen: nobody has to look again before that while this stands.
    """

    claims: tuple[Claim, ...] = ()
    room: Room = Room()
    terms: Terms = Terms()
    shares_ma: Mapping[int, int] = {}
    ends_s: float | None = None
    wake_s: float | None = None
    seen: Seen | None = None


ENDLESS: Final = Room()
"""What a station has that nothing limits as a whole."""


class Outcome(NamedTuple):
    """EVSEs with their new offers, and what the blocks have to know of that."""

    evses: Mapping[int, Evse]
    division: Division
    raised: tuple[Event, ...]


def booted(evse: Evse, now_s: float) -> Evse:
    """Return an EVSE of a new boot: until its controller speaks, its vehicle may draw all."""
    return replace(evse, supply=Supply(held_ma=int(evse.spec.max_a * 1000), held_s=now_s))


def governed(
    evses: Mapping[int, Evse],
    division: Division,
    bounds: Bounds,
    rules: Rules,
    now_s: float,
    *,
    storage_ok: bool,
) -> Outcome:
    """Lead every offer to what is allowed now.

    A reading that tells nothing new costs the look at one EVSE, whatever their number.

    Args:
        bounds: what is in force beside the hardware's own limits.
        now_s: monotonic seconds.
        storage_ok: the last commit reached the disk; otherwise nothing is offered.
    """
    seen, wake_s = division.seen, division.wake_s
    known: Mapping[int, Evse] = {}
    if seen is not None and seen.is_of(bounds, rules, storage_ok=storage_ok):
        known = seen.evses if wake_s is None or now_s < wake_s else {}
    if known and all(evse is known.get(evse_id) for evse_id, evse in evses.items()):
        return Outcome(evses, division, ())
    after = {
        evse_id: evse
        if evse is known.get(evse_id)
        else _watched(evse, bounds, rules, now_s, storage_ok=storage_ok)
        for evse_id, evse in evses.items()
    }
    stands = bool(known) and all(
        _stands(evse, known.get(evse_id)) for evse_id, evse in after.items()
    )
    if not stands:
        room = _room(bounds.station, rules)
        division = _divided(division, after, room, rules, now_s)
        _move(after, room, division, now_s)
    for evse_id, evse in evses.items():
        if after[evse_id] is evse:
            continue
        if after[evse_id].supply == evse.supply:
            after[evse_id] = evse
        elif replace(after[evse_id].supply, moved_s=0.0, held_s=0.0) == IDLE:
            after[evse_id] = replace(after[evse_id], supply=IDLE)
    is_same = all(after[evse_id] is evse for evse_id, evse in evses.items())
    left = evses if is_same else after
    division = replace(
        division,
        wake_s=min(_instants(left, division, rules, now_s), default=None),
        seen=Seen(left, bounds, rules, storage_ok),
    )
    raised = () if stands else tuple(_raised(evses, left, now_s))
    return Outcome(left, division, raised)


def _stands(evse: Evse, before: Evse | None) -> bool:
    """Tell whether nothing about an EVSE has changed that the others have to do with."""
    if evse is before:
        return True
    if before is None or evse.supply != before.supply or evse.session is not before.session:
        return False
    now, then = evse.inputs, before.inputs
    return (
        now.capabilities is then.capabilities
        and now.cable_a == then.cable_a
        and now.heat_c == then.heat_c
    )


def _move(evses: dict[int, Evse], room: Room, division: Division, now_s: float) -> None:
    """Move every offer towards its share, raising only into room that nobody may draw from."""
    if room.is_endless:
        for evse_id, evse in evses.items():
            supply = _moved(evse.supply, division.shares_ma.get(evse_id, 0), None, now_s)
            if supply is not evse.supply or supply.share_ma is not None:
                evses[evse_id] = replace(evse, supply=replace(supply, share_ma=None))
        return
    left = room
    for evse in evses.values():
        left = left.less(watching.worst_ma(evse), watching.conductors(evse))
    for evse in sorted(evses.values(), key=_raised_first):
        evse_id = evse.spec.evse_id
        target_ma = division.shares_ma.get(evse_id, 0)
        fits_ma = left.fits_ma(watching.conductors(evse))
        reach_ma = None if fits_ma is None else watching.worst_ma(evse) + fits_ma
        supply = _moved(evse.supply, target_ma, reach_ma, now_s)
        share_ma = None if supply.asks_s is None else target_ma
        if (supply, share_ma) != (evse.supply, evse.supply.share_ma):
            evses[evse_id] = replace(evse, supply=replace(supply, share_ma=share_ma))
            more_ma = watching.worst_ma(evses[evse_id]) - watching.worst_ma(evse)
            left = left.less(more_ma, watching.conductors(evse))


def _raised_first(evse: Evse) -> tuple[bool, float]:
    """Who has waited longest gets the room that has become free."""
    supply = evse.supply
    return supply.served_s is not None, supply.asks_s or 0.0


# --- what each vehicle does ---


def _watched(
    evse: Evse, bounds: Bounds, rules: Rules, now_s: float, *, storage_ok: bool
) -> Evse:
    """Return the EVSE with what its meter has shown, and the bounds of this instant."""
    supply, drawn = evse.supply, watching.drawn_ma(evse, now_s)
    is_idle = supply is IDLE and not isinstance(evse.session, Active)
    is_still = not evse.inputs.is_closed and (drawn is None or max(drawn) <= watching.OVER_MA)
    if is_idle and is_still and evse.spec.evse_id not in bounds.evses:
        return evse  # most EVSEs at most times
    asks = may_offer(evse, storage_ok=storage_ok)
    given = bounds.evses.get(evse.spec.evse_id, ())
    if phase_switching.is_able(evse):
        shared = () if rules.is_site else bounds.station
        watts = [one.limit_w for one in (*given, *shared) if one.limit_w is not None]
        named = [one.phases for one in given if one.phases is not None]
        most = Most(min(watts, default=None), min(named, default=None))
        lines = phase_switching.led(evse, most, rules.voltage_v, drawn, now_s)
        is_switching = phase_switching.is_switching(lines, now_s)
        supply = replace(supply, lines=lines, is_switching=is_switching)
        evse = replace(evse, supply=supply)
    over_s = watching.over_s(evse, drawn, now_s)
    is_above = drawn is not None and max(drawn) > supply.offer_ma
    was_above = bool(supply.held_ma) and (supply.was_above or is_above)
    read_at = evse.inputs.reading_at
    is_over = (
        over_s is not None
        and read_at is not None
        and (
            read_at.monotonic_s >= over_s + watching.OVER_S  # one reading alone judges nobody
        )
    )
    watched = replace(
        supply,
        asks_s=(now_s if supply.asks_s is None else supply.asks_s) if asks else None,
        was_above=was_above,
        held_ma=watching.held_ma(evse, drawn, now_s, was_above=was_above),
        habit=watching.habit(supply, drawn, now_s),
        over_s=over_s,
        is_tripped=evse.inputs.is_plugged
        and (supply.is_tripped or (is_over and supply.offer_ma > 0)),
        is_disputed=evse.inputs.is_plugged
        and (supply.is_disputed or (is_over and not supply.offer_ma)),
        excess_ma=watching.excess_ma(supply, drawn),
        limits=tuple(_limit(bound, evse, rules) for bound in given),
    )
    return evse if watched == evse.supply else replace(evse, supply=watched)


# --- dividing ---


def _limit(bound: Bound, evse: Evse, rules: Rules) -> Limit:
    """Return a bound in A per phase; one for fewer phases is spread over those in use."""
    phases = phase_switching.in_use(evse)
    if bound.limit_a is not None:
        named = phases if bound.phases is None else min(bound.phases, phases)
        return Limit(bound.origin, bound.limit_a * named / phases)
    power_w = bound.limit_w or 0.0
    return Limit(bound.origin, power_w / (rules.voltage_v * phases))


def _room(bounds: Sequence[Bound], rules: Rules) -> Room:
    if not bounds:
        return ENDLESS
    amps = [int(bound.limit_a * 1000 + 1e-6) for bound in bounds if bound.limit_a is not None]
    watts = [bound.limit_w for bound in bounds if bound.limit_w is not None]
    most_ma = min(amps, default=None)
    total_ma = int(min(watts) * 1000 / rules.voltage_v + 1e-6) if watts else None
    return Room((most_ma, most_ma, most_ma), total_ma)


def _divided(
    division: Division, evses: Mapping[int, Evse], room: Room, rules: Rules, now_s: float
) -> Division:
    """Return the division of what those leave who claim nothing; the same one if it holds."""
    claims: list[Claim] = []
    for evse in evses.values():
        claim = _claim(evse, rules, now_s)
        if claim is None:
            room = room.less(watching.worst_ma(evse), watching.conductors(evse))
        else:
            claims.append(claim)
    found = (tuple(claims), room, rules.terms)
    is_over = division.ends_s is not None and now_s >= division.ends_s
    if found == (division.claims, division.room, division.terms) and not is_over:
        return division
    return Division(
        *found,
        shares_ma=shares(claims, room, rules.terms, now_s),
        ends_s=turn_ends_s(claims, rules.terms, now_s),
    )


def _claim(evse: Evse, rules: Rules, now_s: float) -> Claim | None:
    """Return what an EVSE could use, None while it can use nothing."""
    supply, session = evse.supply, evse.session
    if supply.asks_s is None or supply.is_switching or not isinstance(session, Active):
        return None
    cap_ma = min(offerable_ma(limit.limit_a, evse.spec.step_ma) for limit in own_limits(evse))
    if supply.excess_ma:
        cap_ma = min(cap_ma, supply.offer_ma)  # it takes more already
    if not cap_ma or now_s < _resumes_s(supply, rules):
        return None
    takes_ma, demand_ma = supply.habit.takes_ma, cap_ma
    if takes_ma is not None:
        wished_ma = -(-(takes_ma + MARGIN_MA) // STEP_MA) * STEP_MA
        demand_ma = min(max(LEAST_MA, wished_ma), cap_ma)
    return Claim(
        evse_id=evse.spec.evse_id,
        conductors=watching.conductors(evse),
        cap_ma=cap_ma,
        demand_ma=demand_ma,
        came_s=session.transaction.offered_since.monotonic_s,
        served_s=supply.served_s,
        waits_s=supply.asks_s,
        is_sated=takes_ma is not None and takes_ma < watching.NEAR_MA,
        weight=evse.spec.weight,
        priority=session.transaction.priority,
        drawn_ma=watching.worst_ma(evse) if supply.excess_ma else 0,
    )


def _resumes_s(supply: Supply, rules: Rules) -> float:
    return -math.inf if supply.paused_s is None else supply.paused_s + rules.pause_s


# --- moving ---


def _moved(supply: Supply, target_ma: int, reach_ma: int | None, now_s: float) -> Supply:
    """Return the supply after one move towards its target.

    Args:
        target_ma: what it may offer, 0 or at least 6 A.
        reach_ma: what it may offer while others still draw; None for anything.
    """
    offer_ma = supply.offer_ma
    if supply.asks_s is None and supply.paused_s is not None:
        supply = replace(supply, paused_s=None)
    if target_ma < offer_ma:
        is_pause = target_ma == 0 and supply.asks_s is not None
        return replace(
            supply,
            offer_ma=target_ma,
            moved_s=now_s,
            held_ma=max(offer_ma, supply.held_ma),
            held_s=now_s,
            was_above=False,
            over_s=None,
            paused_s=now_s if is_pause else None,
            served_s=supply.served_s if target_ma else None,
            asks_s=now_s if is_pause else supply.asks_s,
        )
    if target_ma == offer_ma or (offer_ma and now_s < supply.moved_s + RAISE_EVERY_S):
        return supply
    if reach_ma is not None:
        target_ma = min(target_ma, reach_ma // STEP_MA * STEP_MA)
    if target_ma <= offer_ma or target_ma < LEAST_MA:
        return supply
    return replace(
        supply,
        offer_ma=target_ma,
        moved_s=now_s,
        paused_s=None,
        served_s=now_s if supply.served_s is None else supply.served_s,
        habit=replace(supply.habit, since_s=None, peaks_ma=()),
    )


def _raised(
    before: Mapping[int, Evse], after: Mapping[int, Evse], now_s: float
) -> Iterator[Event]:
    """Yield what the blocks have to know."""
    for evse_id, evse in after.items():
        supply, old = evse.supply, before[evse_id].supply
        drawn_a = max(watching.drawn_ma(evse, now_s) or (0,)) / 1000
        if supply.is_tripped and not old.is_tripped:
            text = f"draws {drawn_a:g} A, offered {supply.offer_ma / 1000:g} A"
            yield FaultRaised(evse_id, Fault.OVER_CURRENT, text)
        elif old.is_tripped and not supply.is_tripped:
            yield FaultCleared(evse_id, Fault.OVER_CURRENT)
        if supply.is_disputed and not old.is_disputed:
            text = f"the meter shows {drawn_a:g} A, and the contactor that it is open"
            yield FaultRaised(evse_id, Fault.CONTACTOR_FAULT, text)
        elif old.is_disputed and not supply.is_disputed:
            yield FaultCleared(evse_id, Fault.CONTACTOR_FAULT)
    if any(
        evse.supply.offer_ma != before[evse_id].supply.offer_ma
        or evse.supply.share_ma != before[evse_id].supply.share_ma
        for evse_id, evse in after.items()
    ):
        yield OffersChanged()


def _instants(
    evses: Mapping[int, Evse], division: Division, rules: Rules, now_s: float
) -> Iterator[float]:
    """Yield when the offers have to be looked at again; only instants to come."""
    found = [] if division.ends_s is None else [division.ends_s]
    for evse in evses.values():
        supply, inputs = evse.supply, evse.inputs
        if supply.asks_s is not None:
            found += (supply.moved_s + RAISE_EVERY_S, _resumes_s(supply, rules))
        found += phase_switching.instants(supply.lines)
        if supply.held_ma:
            found += (supply.held_s + watching.SETTLED_S, supply.held_s + watching.SILENT_S)
        if supply.habit.since_s is not None:
            found.append(supply.habit.since_s + watching.WINDOW_S)
        is_measured = supply.habit != watching.UNKNOWN or supply.excess_ma
        if is_measured and inputs.reading_at is not None:
            found.append(inputs.reading_at.monotonic_s + READING_FRESH_S)
    return (instant for instant in found if instant > now_s)
