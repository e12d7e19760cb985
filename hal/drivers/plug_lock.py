"""A motor that locks a plug: a pulse one way or the other, and a switch that says how it went.

    pulse ── settle ── as told: done
                  └─── not: again, up to `TRIES` times; then it has failed

Hardware reference 1.3. Pure: the time is an argument, the coils are the answer.
"""

from typing import Final

from hal.types import Value

TRIES: Final = 3
SETTLE_S: Final = 0.2
"""From the end of a pulse until its switch is believed."""


class Coils(Value, frozen=True):
    """What the motor's two outputs should be; never both."""

    lock: bool = False
    unlock: bool = False


class LockMotor:
    """Moves a lock to where it was told to be.

    Attributes:
        has_failed: its last move did not get there.
        is_moving: a move is under way.
    """

    def __init__(self, *, pulse_s: float) -> None:
        """Say how long a pulse is; nothing moves before the first `order`."""
        self.has_failed = self.is_moving = False
        self._pulse_s = pulse_s
        self._locked, self._tries, self._begun_at = False, 0, 0.0

    def order(self, now: float, *, locked: bool) -> None:
        """Begin to move; a move that is under way is given up."""
        self._locked, self._begun_at, self._tries = locked, now, 1
        self.is_moving = True

    def coils(self, now: float, feedback: bool | None) -> Coils:
        """Return what the outputs should be now.

        Args:
            now: on the clock of `order`, s.
            feedback: whether its switch says that it is locked; None without one, which
                believes every pulse.
        """
        if self.is_moving and now >= self._begun_at + self._pulse_s + SETTLE_S:
            is_there = feedback in {None, self._locked}
            if is_there or self._tries >= TRIES:
                self.is_moving, self.has_failed = False, not is_there
            else:
                self._tries, self._begun_at = self._tries + 1, now
        if self.is_moving and now < self._begun_at + self._pulse_s:
            return Coils(lock=self._locked, unlock=not self._locked)
        return Coils()
