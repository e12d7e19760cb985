"""Whether a value can be true: its range, and how an energy register may move.

An energy register never falls, however often the lower value is repeated: the difference of
two meters is not an energy that anybody drew. It rises by no more than twice what the
device's greatest power makes possible in the time since the last accepted value, and one
step of the register. After a gap the bound is as wide as the gap.
"""

from typing import Final

from hal.registers.codec import Point

_SECONDS_PER_HOUR: Final = 3600.0


class Plausibility:
    """The judge of one device's values; it remembers the energies that were accepted."""

    def __init__(self, max_power_w: float) -> None:
        """Say what the greatest power is that the device can show, W."""
        self._max_power_w = max_power_w
        self._accepted: dict[str, tuple[float, float]] = {}  # energy: value, instant

    def problem(self, point: Point, value: float | None, at_s: float) -> str | None:
        """Return what is wrong with a value, None when it is plausible.

        Args:
            at_s: when it was read, in seconds of a clock that never goes back.
        """
        if value is None:
            return "has no value"
        if not point.minimum <= value <= point.maximum:
            return (
                f"is {value:g} {point.unit}; "
                f"plausible is {point.minimum:g} to {point.maximum:g}"
            )
        if point.name not in self._accepted:
            return None
        before, before_at_s = self._accepted[point.name]
        if value < before:
            return f"fell from {before} to {value} {point.unit}"
        elapsed_h = (at_s - before_at_s) / _SECONDS_PER_HOUR
        most = 2 * self._max_power_w * elapsed_h + point.step
        if value - before > most:
            return f"rose by {value - before:g} {point.unit}; possible are {most:g}"
        return None

    def accept(self, point: Point, value: float | None, at_s: float) -> None:
        """Remember a plausible energy; everything else may move as it likes."""
        if point.is_monotonic and value is not None:
            self._accepted[point.name] = (value, at_s)
