"""The algebra of limits over time: piecewise constant, exact, in whole seconds.

A curve is a tuple of steps `(from_s, value)`: the value holds from that second, UTC since
1970, until the next step; None means that nothing is said. Before the first step nothing is
said either. Instants grow strictly and neighbours differ, so that equal curves are equal
tuples.

        None │ 16 A │ 8 A │ None           curve = ((10, 16 A), (60, 8 A), (90, None))
             10     60    90

Limits are whole mA per phase and whole mW for all phases together (`Cap`). Both are carried
side by side: the way from one to the other rounds down, and is gone once, at the end.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple, TypeAlias, TypeVar

V = TypeVar("V")
W = TypeVar("W")

Curve: TypeAlias = tuple[tuple[int, V | None], ...]

STEP_MILLI = 100
"""What the wire carries of a limit: one decimal (1.6 multipleOf 0.1), rounded down."""


class Origin(NamedTuple):
    """Where a limit comes from.

    Attributes:
        purpose: of the profile, or the name of a limit that does not come from one.
        profile_id: 0 when there is no profile.
    """

    purpose: str
    profile_id: int = 0


Mark: TypeAlias = tuple[int, Origin]
"""A limit and where it comes from; the lesser one is the stricter one."""

Ordered = TypeVar("Ordered", int, Mark)


class Cap(NamedTuple):
    """What several limits allow together at one instant; None where none of them says so.

    Attributes:
        current: the least limit in mA per phase.
        power: the least limit in mW for all phases.
        as_current: what the limits in mW leave per phase, each on its own phases, in mA.
        phases: the fewest phases that any of them names.
    """

    current: Mark | None = None
    power: Mark | None = None
    as_current: Mark | None = None
    phases: int | None = None

    def meet(self, other: "Cap") -> "Cap":
        """Return what both allow."""
        return Cap(
            _less(self.current, other.current),
            _less(self.power, other.power),
            _less(self.as_current, other.as_current),
            _less(self.phases, other.phases),
        )

    def amps(self) -> Mark | None:
        """Return the limit in mA per phase."""
        return _less(self.current, self.as_current)

    def watts(self, voltage_v: int, phases: int) -> Mark | None:
        """Return the limit in mW for all phases.

        Args:
            voltage_v: nominal, line to neutral.
            phases: of the EVSE; counts when no limit names fewer.
        """
        if self.current is None:
            return self.power
        current_ma, origin = self.current
        used = phases if self.phases is None else min(phases, self.phases)
        return _less(self.power, (current_ma * voltage_v * used, origin))


def _less(one: Ordered | None, other: Ordered | None) -> Ordered | None:
    if one is None:
        return other
    if other is None:
        return one
    return min(one, other)


def truncated(milli: int) -> int:
    """Return a limit as the wire carries it: one decimal, rounded down."""
    return milli // STEP_MILLI * STEP_MILLI


# --- building ---


def curve(steps: Iterable[tuple[int, V | None]]) -> Curve[V]:
    """Return a curve from steps in order of time.

    Of several steps at one instant the last one counts; a step that changes nothing is left
    out.
    """
    found: list[tuple[int, V | None]] = []
    last_s, last, before = None, None, None  # before: what held before the last step
    for step in steps:
        from_s, value = step
        if from_s == last_s:
            found.pop()
            last = before
        if value is last or value == last:
            last_s = None
            continue
        found.append(step)
        last_s, before, last = from_s, last, value
    return tuple(found)


def constant(value: V, start_s: int, end_s: int) -> Curve[V]:
    """Return a curve that says the same from `start_s` until before `end_s`."""
    return ((start_s, value), (end_s, None)) if start_s < end_s else ()


# --- asking ---


def at(steps: Curve[V], second: int) -> V | None:
    """Return what a curve says at an instant."""
    place = bisect_right(steps, second, key=itemgetter(0)) - 1
    return steps[place][1] if place >= 0 else None


def next_change(steps: Curve[V], second: int) -> int | None:
    """Return the first instant after `second` at which a curve changes, None for never."""
    place = bisect_right(steps, second, key=itemgetter(0))
    return steps[place][0] if place < len(steps) else None


# --- changing ---


def clip(steps: Curve[V], start_s: int, end_s: int) -> Curve[V]:
    """Return the part of a curve from `start_s` until before `end_s`."""
    if start_s >= end_s:
        return ()
    first = bisect_right(steps, start_s, key=itemgetter(0))
    inside = [step for step in steps[first:] if step[0] < end_s]
    return curve([(start_s, at(steps, start_s)), *inside, (end_s, None)])


def shift(steps: Curve[V], seconds: int) -> Curve[V]:
    """Return a curve moved in time."""
    return tuple((from_s + seconds, value) for from_s, value in steps)


def convert(steps: Curve[V], change: Callable[[V], W | None]) -> Curve[W]:
    """Return a curve with other values; what was silent stays silent."""
    return curve((from_s, None if value is None else change(value)) for from_s, value in steps)


def join(parts: Iterable[Curve[V]]) -> Curve[V]:
    """Return one curve of parts that follow one another without overlap."""
    return curve(step for part in parts for step in part)


# --- combining ---


def overlay(layers: Sequence[Curve[V]]) -> Curve[V]:
    """Return at each instant what the first layer says that says anything.

    n steps in k layers take n log n: the layers that speak are the bits of one number.

    Args:
        layers: steps in order of time; what holds for curves need not hold for them yet.
    """
    if len(layers) == 1:
        return curve(layers[0])
    values: list[V | None] = [None] * len(layers)
    speaking = 0
    found: list[tuple[int, V | None]] = []
    shown: V | None = None
    bits = [1 << layer for layer in range(len(layers))]
    for from_s, layer, value in _merged(layers):
        values[layer] = value
        if value is None:
            speaking &= ~bits[layer]
        else:
            speaking |= bits[layer]
        first = (speaking & -speaking).bit_length() - 1
        top = values[first] if speaking else None
        if found and found[-1][0] == from_s:
            found.pop()
            shown = found[-1][1] if found else None
        if top is not shown:  # what happens beneath changes nothing
            found.append((from_s, top))
            shown = top
    return curve(found)


def combine(layers: Sequence[Curve[V]], choose: Callable[[Sequence[V]], W | None]) -> Curve[W]:
    """Return at each instant what `choose` makes of all that is said, None where nothing is."""
    values: list[V | None] = [None] * len(layers)
    found: list[tuple[int, W | None]] = []
    for from_s, layer, value in _merged(layers):
        values[layer] = value
        said = [item for item in values if item is not None]
        found.append((from_s, choose(said) if said else None))
    return curve(found)


def least(layers: Sequence[Curve[Cap]]) -> Curve[Cap]:
    """Return at each instant what all layers allow together."""
    spoken = [layer for layer in layers if layer]
    if len(spoken) <= 1:
        return spoken[0] if spoken else ()
    return combine(spoken, met)


def met(caps: Sequence[Cap]) -> Cap:
    """Return what all caps allow together; at least one is given."""
    found = caps[0]
    for cap in caps[1:]:
        found = found.meet(cap)
    return found


def _merged(layers: Sequence[Curve[V]]) -> list[tuple[int, int, V | None]]:
    """Return the steps of all layers in order of time, each with the number of its layer."""
    steps = [
        (from_s, layer, value)
        for layer, layer_steps in enumerate(layers)
        for from_s, value in layer_steps
    ]
    steps.sort(key=itemgetter(0))  # stable: at one instant a layer's later step comes later
    return steps
