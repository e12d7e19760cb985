"""One phase or three: for vehicles whose power is to go below what three phases can be offered.

    wanted    three phases where they leave at least 6 A of the power that is allowed, and no
              profile names fewer; else one
    idle      no offer, contactor open, less than 0.5 A for 10 s
    switch    the hardware connects the wanted phases; never under load
    rest      10 s, and then an offer again, not before the shortest pause is over

Some vehicles are harmed by a change from one phase to three without a pause (hardware
reference 1.3), so this happens only where the board file says so, and at most six times an
hour. After a start, and after a controller was out of reach, nobody knows which phases are
connected: the same way leads to knowing it.
"""

from typing import Final, NamedTuple

from agent.core.states import Evse, Lines
from hal.types import Fault

IDLE_S: Final = 10.0
REST_S: Final = 10.0
"""Before and after a switch (hardware reference 1.3: EVerest and SmartEVSE wait 10 s)."""

EVERY_S: Final = 600.0
"""Shortest time from one switch to the next: the contactor is made for switching without
load, and for a limited number of times (hardware reference 1.3)."""

IDLE_MA: Final = 500
"""Below 0.5 A nothing flows (hardware reference 1.3)."""

LEAST_A: Final = 6.0
_THREE: Final = 3


class Most(NamedTuple):
    """What limits leave an EVSE that is able to switch.

    Attributes:
        power_w: for all phases together, None without a limit of it.
        phases: that may be used, None for all.
    """

    power_w: float | None = None
    phases: int | None = None


def is_able(evse: Evse) -> bool:
    """Tell whether board file and hardware both say that the phases can be switched."""
    found = evse.inputs.capabilities
    return evse.spec.switches_phases and found is not None and found.can_switch_phases


def in_use(evse: Evse) -> int:
    """Return how many phases its vehicle may load."""
    return evse.supply.lines.phases or evse.spec.phases


def led(
    evse: Evse,
    most: Most,
    voltage_v: float,
    drawn: tuple[int, ...] | None,
    now_s: float,
) -> Lines:
    """Return the lines of an EVSE that is able to switch, one step further.

    Args:
        most: what its limits leave it.
        drawn: what its meter shows, mA per phase; None when it is silent.
    """
    lines = evse.supply.lines
    if any(item.fault is Fault.COMMUNICATION_FAULT for item in evse.inputs.faults):
        return Lines()
    wanted = _wanted(lines, most, voltage_v, now_s)
    is_open = not evse.supply.offer_ma and evse.inputs.is_closed is False
    is_idle = is_open and drawn is not None and max(drawn) < IDLE_MA
    idle_s = (now_s if lines.idle_s is None else lines.idle_s) if is_idle else None
    if wanted != lines.phases and idle_s is not None and now_s >= idle_s + IDLE_S:
        return Lines(wanted, wanted, idle_s, now_s)
    return Lines(wanted, lines.phases, idle_s, lines.switched_s)


def _wanted(lines: Lines, most: Most, voltage_v: float, now_s: float) -> int:
    if lines.phases and lines.switched_s is not None and now_s < lines.switched_s + EVERY_S:
        return lines.phases
    if most.phases is not None and most.phases < _THREE:
        return 1
    power_w = most.power_w
    if power_w is None or power_w / (voltage_v * _THREE) >= LEAST_A:
        return _THREE
    return 1 if power_w / voltage_v >= LEAST_A else lines.phases or _THREE


def is_switching(lines: Lines, now_s: float) -> bool:
    """Tell whether nothing may be offered because the phases are to change, or just have."""
    if lines.wanted is None:
        return False
    is_resting = lines.switched_s is not None and now_s < lines.switched_s + REST_S
    return lines.phases != lines.wanted or is_resting


def instants(lines: Lines) -> tuple[float, ...]:
    """Return when a step may be due, monotonic seconds."""
    found = [] if lines.idle_s is None else [lines.idle_s + IDLE_S]
    if lines.switched_s is not None:
        found += (lines.switched_s + REST_S, lines.switched_s + EVERY_S)
    return tuple(found)
