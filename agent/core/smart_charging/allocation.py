"""Who gets how much of what the station as a whole may draw.

A station-wide limit is a room in mA: one for each line conductor of the grid connection, and
one for the sum over all of them (a limit in W). Every EVSE that charges claims a part:

    queue      the higher priority comes first (2.0.1 K03); among equals who is served has its
               turn, who waits comes next, who had its turn comes last; a vehicle that takes
               nothing comes after all who might
    admission  in this order everybody gets 6 A on the conductors that it loads, or waits:
               below that there is nothing to offer (IEC 61851-1 annex A)
    filling    what is left is filled in evenly (or by weight) up to what each vehicle was
               seen to take, and then up to what each could take; the higher priority first

Everything is counted in whole mA and given in steps of 0.1 A, rounded down, so that the sum
is exact and never above the room.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from agent.core.values import Sharing, Terms, Value

STEP_MA: Final = 100
"""The finest step of a duty cycle that hardware is asked for (hardware reference 1.1)."""

LEAST_MA: Final = 6_000
"""Least current that a control pilot can offer (IEC 61851-1 annex A)."""

_TOP: Final = 80_000
"""A level at which everybody has all it could take: 80 A in steps, at the least weight."""

_EVEN: Final = 100
"""Weight of everybody when weights do not count, and the greatest weight."""


class Claim(Value, frozen=True):
    """What one EVSE that charges could use.

    Attributes:
        conductors: line conductors that it loads, each from 0 to 2, none twice.
        cap_ma: the least of its own limits, per phase; at least `LEAST_MA`, whole steps.
        demand_ma: what its vehicle was seen to take, with a margin; `LEAST_MA` to `cap_ma`.
        came_s: when its transaction began.
        served_s: since when it has an offer, None while it waits.
        waits_s: since when it waits; of no matter while it is served.
        is_sated: its vehicle has had an offer for a while and takes nothing.
        weight: 1 to 100.
        priority: -9 to 9; who has a higher one comes before all others.
        drawn_ma: what its vehicle draws although it may not; 0 when it obeys.
    """

    evse_id: int
    conductors: tuple[int, ...]
    cap_ma: int
    demand_ma: int
    came_s: float
    served_s: float | None = None
    waits_s: float = 0.0
    is_sated: bool = False
    weight: int = 1
    drawn_ma: int = 0
    priority: int = 0


class Room(Value, frozen=True):
    """What the station as a whole may draw, in mA; None where nothing limits it.

    Attributes:
        conductors_ma: per line conductor.
        total_ma: the sum over all line conductors.
    """

    conductors_ma: tuple[int | None, int | None, int | None] = (None, None, None)
    total_ma: int | None = None

    @property
    def is_endless(self) -> bool:
        """Return whether nothing limits the station as a whole."""
        return self.total_ma is None and self.conductors_ma == (None, None, None)

    def less(self, drawn_ma: int, conductors: Iterable[int]) -> "Room":
        """Return what is left when somebody draws so much on each of these conductors."""
        left, total = list(self.conductors_ma), self.total_ma
        for conductor in conductors:
            limit = left[conductor]
            left[conductor] = None if limit is None else limit - drawn_ma
            total = None if total is None else total - drawn_ma
        return Room((left[0], left[1], left[2]), total)

    def fits_ma(self, conductors: Sequence[int]) -> int | None:
        """Return what can be drawn on each of these conductors, None for any current."""
        found = [limit for at in conductors if (limit := self.conductors_ma[at]) is not None]
        if self.total_ma is not None:
            found.append(self.total_ma // len(conductors))
        return min(found, default=None)


def shares(claims: Sequence[Claim], room: Room, terms: Terms, now_s: float) -> dict[int, int]:
    """Return what each EVSE may offer, mA per phase: 0, or 6 A to its cap in whole steps.

    The sum on every conductor is within the room whatever the vehicles do with it. What a
    vehicle draws against its offer is taken from the others, not from its own share: it is
    not to be lowered again and again instead of being judged.
    """
    if room.is_endless:
        return {claim.evse_id: claim.cap_ma for claim in claims}
    found = _shared(claims, room, terms, now_s)
    obeying, left = [], room
    for claim in claims:
        if claim.drawn_ma:
            left = left.less(claim.drawn_ma, claim.conductors)
        else:
            obeying.append(claim)
    if left is not room:
        found |= _shared(obeying, left, terms, now_s)
    return found


def _shared(claims: Sequence[Claim], room: Room, terms: Terms, now_s: float) -> dict[int, int]:
    waiting = queue(claims, terms, now_s)
    if terms.sharing is Sharing.FIRST_COME:
        return _taken(waiting, room)
    admitted = _admitted(waiting, room)
    found = dict.fromkeys((claim.evse_id for claim in claims), 0)
    bounds = _bounds(admitted, room)
    low = {claim.evse_id: LEAST_MA for claim in admitted}
    is_weighted = terms.sharing is Sharing.WEIGHTED
    weights = {claim.evse_id: claim.weight if is_weighted else _EVEN for claim in admitted}
    ranks = _ranks(admitted)
    demands = {claim.evse_id: claim.demand_ma for claim in admitted}
    caps = {claim.evse_id: claim.cap_ma for claim in admitted}
    for rank, high in [(rank, high) for high in (demands, caps) for rank in ranks]:
        low = _filled(low, low | {key: high[key] for key in rank}, bounds, weights)
    return found | low


def _ranks(claims: Iterable[Claim]) -> list[list[int]]:
    """Return who has the same priority, the highest first."""
    ordered = sorted(claims, key=lambda claim: -claim.priority)
    groups = groupby(ordered, key=lambda claim: claim.priority)
    return [[claim.evse_id for claim in group] for _, group in groups]


def queue(claims: Iterable[Claim], terms: Terms, now_s: float) -> list[Claim]:
    """Return the claims in the order in which they are admitted."""
    if terms.sharing is Sharing.FIRST_COME:
        return sorted(
            claims,
            key=lambda claim: (claim.is_sated, -claim.priority, claim.came_s, claim.evse_id),
        )

    def place(claim: Claim) -> tuple[int, float, int]:
        if claim.is_sated:
            return 3, claim.came_s, claim.evse_id
        if claim.served_s is None:
            return 1, claim.waits_s, claim.evse_id
        if now_s < claim.served_s + terms.rotate_s:
            return 0, claim.served_s, claim.evse_id
        return 2, -claim.served_s, claim.evse_id  # who has had the longest turn yields first

    return sorted(claims, key=lambda claim: (claim.is_sated, -claim.priority, place(claim)))


def turn_ends_s(claims: Iterable[Claim], terms: Terms, now_s: float) -> float | None:
    """Return when the next turn ends that somebody waits for, None for never."""
    claims = tuple(claims)
    if terms.sharing is Sharing.FIRST_COME or all(
        claim.served_s is not None for claim in claims
    ):
        return None
    ends = (claim.served_s + terms.rotate_s for claim in claims if claim.served_s is not None)
    return min((end for end in ends if end > now_s), default=None)


# --- admission ---


def _admitted(waiting: Iterable[Claim], room: Room) -> list[Claim]:
    """Return who gets at least 6 A; a later one may fit where an earlier one does not."""
    admitted = []
    for claim in waiting:
        fits_ma = room.fits_ma(claim.conductors)
        if fits_ma is None or fits_ma >= LEAST_MA:
            admitted.append(claim)
            room = room.less(LEAST_MA, claim.conductors)
    return admitted


def _taken(waiting: Sequence[Claim], room: Room) -> dict[int, int]:
    """Let each take what it needs of what those before it have left, then what is over."""
    found = {claim.evse_id: 0 for claim in waiting}
    for wanted in ("demand_ma", "cap_ma"):
        for claim in waiting:
            had_ma, most_ma = found[claim.evse_id], getattr(claim, wanted)
            fits_ma = room.fits_ma(claim.conductors)
            more_ma = most_ma - had_ma
            if fits_ma is not None:
                more_ma = min(more_ma, fits_ma // STEP_MA * STEP_MA)
            if more_ma > 0 and had_ma + more_ma >= LEAST_MA:
                found[claim.evse_id] += more_ma
                room = room.less(more_ma, claim.conductors)
    return found


# --- filling ---


class _Bound(NamedTuple):
    """One limit, and how many times the current of each EVSE counts for it."""

    steps: int
    counts: Mapping[int, int]


def _bounds(claims: Iterable[Claim], room: Room) -> list[_Bound]:
    claims = tuple(claims)
    found = [
        _Bound(
            limit // STEP_MA, {claim.evse_id: 1 for claim in claims if at in claim.conductors}
        )
        for at, limit in enumerate(room.conductors_ma)
        if limit is not None
    ]
    if room.total_ma is not None:
        counts = {claim.evse_id: len(claim.conductors) for claim in claims}
        found.append(_Bound(room.total_ma // STEP_MA, counts))
    return found


def _filled(
    low_ma: Mapping[int, int],
    high_ma: Mapping[int, int],
    bounds: Sequence[_Bound],
    weights: Mapping[int, int],
) -> dict[int, int]:
    """Raise everybody evenly from `low_ma`, until a bound or `high_ma` holds it (max-min)."""
    low = {evse_id: current // STEP_MA for evse_id, current in low_ma.items()}
    high = {
        evse_id: max(low[evse_id], current // STEP_MA) for evse_id, current in high_ma.items()
    }
    found: dict[int, int] = {}
    rising = set(low)

    def at(evse_id: int, level: int) -> int:
        if evse_id in found:
            return found[evse_id]
        return min(max(level * weights[evse_id] // _EVEN, low[evse_id]), high[evse_id])

    while rising:
        level, held = _TOP, rising
        for bound in bounds:
            members = rising & bound.counts.keys()
            if members and (most := _highest(bound, at, level)) < level:
                level, held = most, members
        found |= {evse_id: at(evse_id, level) for evse_id in held}
        rising = rising - held
    return {evse_id: steps * STEP_MA for evse_id, steps in found.items()}


def _highest(bound: _Bound, at: Callable[[int, int], int], top: int) -> int:
    """Return the highest level up to `top` at which the bound holds."""

    def holds(level: int) -> bool:
        return sum(n * at(evse_id, level) for evse_id, n in bound.counts.items()) <= bound.steps

    if holds(top):
        return top
    fits, exceeds = 0, top
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        fits, exceeds = (middle, exceeds) if holds(middle) else (fits, middle)
    return fits
