"""What is known of the vehicle at an EVSE: what it draws, may still draw, and is used to.

It is observed in windows: what it took in the last one is its demand, until it comes near to
its offer again. In the same way its phases are learned: a conductor that it has not loaded for
a window does not count for it, until it does. Without a fresh reading all of this is forgotten,
and the vehicle counts as drawing its whole offer on all its phases (hardware reference 1.5,
rule 3).
"""

import math
from typing import Final

from agent.core import phase_switching
from agent.core.states import READING_FRESH_S, Evse, Habit, Supply
from hal.types import Fault

SETTLED_S: Final = 6.0
"""After this time a lowered vehicle draws no more than its offer: 5 s to follow, and a second
for the way of command and reading (hardware reference 1.1: judged after 6 s at the least)."""

SILENT_S: Final = 18.0
"""A controller that is out of reach opens its contactor when its offer runs out, 12 s after
the last renewal (hal.api, clause 5); its vehicle then has the usual time."""

WINDOW_S: Final = 30.0
"""Length of a window of observation: long enough for a vehicle that wakes up, or ramps slowly
(hardware reference 1.1: 30 s before one that stays in state B counts as asleep)."""

NEAR_MA: Final = 500
"""Nearer than this to its offer, a vehicle takes all of it. A conductor with less than this
carries no load (hardware reference 1.3, phase switching: below 0.5 A)."""

OVER_S: Final = 7.0
OVER_PART: Final = 0.1
OVER_MA: Final = 1_000
"""More than 10 % and at least 1 A above the offer, for 7 s, is too much (reference 1.3)."""

UNKNOWN: Final = Habit()
"""Nothing is known of the vehicle: it may draw its whole offer on all its phases."""


def drawn_ma(evse: Evse, now_s: float) -> tuple[int, ...] | None:
    """Return what its meter shows, mA per phase, None when that is too old."""
    inputs = evse.inputs
    if inputs.reading is None or inputs.reading_at is None:
        return None
    if now_s >= inputs.reading_at.monotonic_s + READING_FRESH_S:
        return None
    amps = inputs.reading.current_a
    figures = (amps.l1, amps.l2, amps.l3)[: evse.spec.phases]
    return tuple(math.ceil(figure * 1000 - 1e-6) for figure in figures)


def held_ma(evse: Evse, drawn: tuple[int, ...] | None, now_s: float, *, was_above: bool) -> int:
    """Return what the vehicle may still draw under an earlier offer, 0 when that is over."""
    supply, inputs = evse.supply, evse.inputs
    if supply.held_ma <= supply.offer_ma:
        return 0
    is_silent = inputs.is_closed is None or any(
        item.fault is Fault.COMMUNICATION_FAULT for item in inputs.faults
    )
    if is_silent:
        return supply.held_ma if now_s < supply.held_s + SILENT_S else 0
    if not supply.offer_ma and not inputs.is_closed and not inputs.is_ready:
        return 0  # its contactor cannot even be about to close
    if now_s < supply.held_s + SETTLED_S:
        read_at = inputs.reading_at
        is_read = read_at is not None and read_at.monotonic_s > supply.held_s
        shows_less = drawn is not None and is_read and max(drawn) <= supply.offer_ma
        has_followed = shows_less and was_above and supply.offer_ma
        return 0 if has_followed else supply.held_ma
    if supply.offer_ma or not inputs.is_closed:
        return 0  # what it draws in spite of that is its excess
    return supply.held_ma if drawn is None else max(drawn)  # a contactor that does not open


def excess_ma(supply: Supply, drawn: tuple[int, ...] | None) -> int:
    """Return what is drawn above all that was allowed, in whole A; little of it is noise."""
    if drawn is None:
        return 0
    more_ma = max(drawn) - max(supply.offer_ma, supply.held_ma)
    return -(-more_ma // 1000) * 1000 if more_ma > NEAR_MA else 0


def habit(supply: Supply, drawn: tuple[int, ...] | None, now_s: float) -> Habit:
    """Return what is known of the vehicle, a reading later."""
    habit = supply.habit
    if drawn is None:
        return UNKNOWN
    if not supply.offer_ma:
        return habit if supply.held_ma else UNKNOWN
    since_s = now_s if habit.since_s is None else habit.since_s
    peaks = tuple(map(max, drawn, habit.peaks_ma or drawn))
    takes_ma, loaded = habit.takes_ma, habit.loaded
    near_ma = supply.offer_ma - NEAR_MA
    if max(drawn) >= near_ma:
        takes_ma = None
    if loaded is not None and any(
        current >= NEAR_MA and not is_loaded
        for current, is_loaded in zip(drawn, loaded, strict=True)
    ):
        loaded = None
    if now_s < since_s + WINDOW_S:
        return Habit(since_s, peaks, takes_ma, loaded)
    takes_ma = max(peaks) if max(peaks) < near_ma else None
    if max(peaks) >= NEAR_MA:
        loaded = tuple(current >= NEAR_MA for current in peaks)
    return Habit(now_s, drawn, takes_ma, loaded)


def over_s(evse: Evse, drawn: tuple[int, ...] | None, now_s: float) -> float | None:
    """Return since when the vehicle draws more than it may, None when it does not.

    Without an offer that is anything, once the contactor says that it is open.
    """
    supply = evse.supply
    may_flow = not supply.offer_ma and (supply.held_ma or evse.inputs.is_closed is not False)
    if drawn is None or may_flow:
        return None
    tolerance_ma = max(OVER_MA, int(supply.offer_ma * OVER_PART))
    if max(drawn) <= supply.offer_ma + tolerance_ma:
        return None
    return now_s if supply.over_s is None else supply.over_s


def conductors(evse: Evse) -> tuple[int, ...]:
    """Return the line conductors that its vehicle loads, or may load."""
    wiring = evse.spec.wiring[: phase_switching.in_use(evse)]
    loaded = evse.supply.habit.loaded
    if loaded is None:
        return wiring
    return tuple(
        conductor for conductor, is_loaded in zip(wiring, loaded, strict=False) if is_loaded
    )


def worst_ma(evse: Evse) -> int:
    """Return what the vehicle may be drawing per phase at this instant."""
    supply = evse.supply
    return max(supply.offer_ma, supply.held_ma) + supply.excess_ma
