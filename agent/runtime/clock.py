"""Time, chance and fresh names: the only file that asks the system for any of them.

Everything else is handed a `World`. Monotonic seconds are those of the running event loop,
so that a deadline of the core is an instant of the loop, and so that a virtual-time loop
carries the whole agent along. A wall clock that shows a time before this software existed is
no clock: boards without a battery start in the past.
"""

import asyncio
import random
import time
import uuid
from typing import Final, Protocol

from agent.core.timebase import EARLIEST_WALL_S
from agent.core.values import Env, Stamp

START_WALL_S: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z, where scripted worlds begin."""


class World(Protocol):
    """Where time, chance and fresh names come from."""

    def env(self) -> Env:
        """Return the world of this instant; every call brings another fresh id."""

    def monotonic_s(self) -> float:
        """Return seconds of the running loop's clock; without a loop, of the system's."""

    def fresh_id(self) -> str:
        """Return a UUID nobody has seen, as text of 36 characters."""


class SystemWorld:
    """The real world."""

    def __init__(self, boot: int) -> None:
        """Begin a boot, whose number is one more than that of the last."""
        self._boot = boot
        self._chance = random.SystemRandom()

    def env(self) -> Env:
        """Return the world of this instant."""
        wall_s = time.time()
        now = Stamp(
            self._boot, self.monotonic_s(), wall_s if wall_s >= EARLIEST_WALL_S else None
        )
        return Env(now, self.fresh_id(), self._chance.random())

    def monotonic_s(self) -> float:
        """Return seconds of the running loop's clock; without a loop, of the system's."""
        loop_s = _loop_s()
        return time.monotonic() if loop_s is None else loop_s

    def fresh_id(self) -> str:
        """Return a random UUID."""
        return str(uuid.uuid4())


class ScriptedWorld:
    """A world that does the same again for the same seed; for simulations and tests.

    Its monotonic clock is the running loop's, 0 without one. Its wall clock starts where it
    is told to and runs with the monotonic one, until somebody sets it.
    """

    def __init__(
        self, seed: int = 0, *, boot: int = 1, wall_s: float | None = START_WALL_S
    ) -> None:
        """Begin a boot.

        Args:
            seed: of ids and jitter; give each boot of a life another one.
            wall_s: what the wall clock shows now, UTC seconds; None: it does not know.
        """
        self._boot = boot
        self._chance = random.Random(seed)  # noqa: S311  # repeatable on purpose
        self._offset_s: float | None = None
        self.set_wall(wall_s)

    def env(self) -> Env:
        """Return the world of this instant."""
        monotonic_s = self.monotonic_s()
        wall_s = None if self._offset_s is None else monotonic_s + self._offset_s
        if wall_s is not None and wall_s < EARLIEST_WALL_S:
            wall_s = None
        return Env(
            Stamp(self._boot, monotonic_s, wall_s), self.fresh_id(), self._chance.random()
        )

    def monotonic_s(self) -> float:
        """Return seconds of the running loop's clock, 0 without a loop."""
        return _loop_s() or 0.0

    def fresh_id(self) -> str:
        """Return the next UUID of this seed."""
        digits = f"{self._chance.getrandbits(128):032x}"
        parts = (
            digits[:8],
            digits[8:12],
            f"4{digits[13:16]}",
            f"a{digits[17:20]}",
            digits[20:],
        )
        return "-".join(parts)  # as uuid.uuid4 writes it, at a fraction of its cost

    def set_wall(self, wall_s: float | None) -> None:
        """Set the wall clock, UTC seconds; None: it does not know the time."""
        self._offset_s = None if wall_s is None else wall_s - self.monotonic_s()

    def jump(self, by_s: float) -> None:
        """Move the wall clock forwards, or backwards; one that knows nothing stays so."""
        if self._offset_s is not None:
            self._offset_s += by_s


def _loop_s() -> float | None:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return None
