"""What time it is, and what time it was before we knew.

The station's wall clock is the monotonic clock plus an offset that it learned in this boot:
from the CSMS, or from a system clock that is plausible. A system clock that shows less than
what has surely passed lost its battery, and would date the next bill before the last.

A stamp taken before the offset was known is dated afterwards, as long as it is of the same
boot. A stamp of an earlier boot that never knew the time cannot be repaired; it gets the
latest instant that was surely past, so that no 1970 ever reaches the wire and no order of
events is turned around.
"""

from agent.core.values import Stamp, Value

EARLIEST_WALL_S = 1_735_689_600.0
"""2025-01-01T00:00:00Z: no clock of this software can truthfully show less."""

STEP_S = 2.0
"""Smaller differences to the CSMS's clock are left alone (jitter of the network)."""


class Timebase(Value, frozen=True):
    """Relation of the monotonic clock to wall time.

    Attributes:
        boot: the present boot.
        offset_s: wall minus monotonic seconds; None while the time is unknown.
        floor_s: an instant that has surely passed, UTC seconds.
    """

    boot: int = 0
    offset_s: float | None = None
    floor_s: float = EARLIEST_WALL_S

    def wall_s(self, stamp: Stamp) -> float | None:
        """Return the wall time of an instant, None while it cannot be known."""
        if stamp.wall_s is not None:
            return stamp.wall_s
        if stamp.boot == self.boot and self.offset_s is not None:
            return stamp.monotonic_s + self.offset_s
        return None

    def told_s(self, stamp: Stamp) -> float:
        """Return the wall time to tell others: the best known, never before the floor."""
        wall = self.wall_s(stamp)
        return self.floor_s if wall is None else max(wall, EARLIEST_WALL_S)

    def dated(self, now: Stamp) -> Stamp:
        """Return the present instant with this clock's wall time on it."""
        if self.offset_s is None or now.boot != self.boot:
            return Stamp(now.boot, now.monotonic_s, None)
        return Stamp(now.boot, now.monotonic_s, now.monotonic_s + self.offset_s)


def booted(state: Timebase, now: Stamp) -> Timebase:
    """Return the clock of a new boot: what the system clock shows if it is plausible."""
    wall, floor_s = now.wall_s, state.floor_s
    offset_s = None if wall is None or wall < floor_s else wall - now.monotonic_s
    return Timebase(boot=now.boot, offset_s=offset_s, floor_s=floor_s)


def learned(state: Timebase, csms_wall_s: float, now: Stamp) -> Timebase:
    """Set the clock by the CSMS's (1.6 5.7, 2.0.1 B01.FR.06).

    What lies before this software existed is no time. A step never touches stamps that were
    dated already, nor any running interval: those count monotonic seconds. A step back takes
    the floor along: what was believed to have passed had not.
    """
    if csms_wall_s < EARLIEST_WALL_S:
        return state
    offset_s = csms_wall_s - now.monotonic_s
    if state.offset_s is not None and abs(offset_s - state.offset_s) <= STEP_S:
        return state
    floor_s = min(state.floor_s, csms_wall_s)
    return Timebase(boot=state.boot, offset_s=offset_s, floor_s=floor_s)


def stepped_s(before: Timebase, after: Timebase) -> float:
    """Return by how much a known clock was set within one boot, seconds; 0.0 for not at all."""
    if before.boot != after.boot or before.offset_s is None or after.offset_s is None:
        return 0.0
    return after.offset_s - before.offset_s


def passed(state: Timebase, now: Stamp) -> Timebase:
    """Note that the present instant has surely passed."""
    wall = state.wall_s(now)
    if wall is None or wall <= state.floor_s:
        return state
    return Timebase(boot=state.boot, offset_s=state.offset_s, floor_s=wall)
