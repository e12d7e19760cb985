"""What time it is, and what time it was before we knew.

The station's wall clock is the monotonic clock plus an offset that it learned in this boot:
from the CSMS, or from a system clock that is plausible. A system clock that shows less than
what has surely passed lost its battery, and would date the next bill before the last.

A stamp taken before the offset was known is dated afterwards, also in a later boot: the
offsets of the last boots are kept. A boot that never knew the time is taken to have ended
when the next one began: the intervals in it stay as they were, no 1970 ever reaches the wire,
and no order of events is turned around.
"""

from typing import Final

from msgspec.structs import replace

from agent.core.values import Stamp, Value

EARLIEST_WALL_S = 1_735_689_600.0
"""2025-01-01T00:00:00Z: no clock of this software can truthfully show less."""

STEP_S = 2.0
"""Smaller differences to the CSMS's clock are left alone (jitter of the network)."""


MOST_PAST: Final = 8
"""Boots that are remembered; records of a transaction seldom lie further apart."""


class Past(Value, frozen=True):
    """An earlier boot.

    Attributes:
        offset_s: wall minus monotonic seconds; None when it never knew the time.
        began_s, last_s: when it began, and when it last kept a record, monotonic seconds.
    """

    boot: int
    offset_s: float | None
    began_s: float
    last_s: float


class Timebase(Value, frozen=True):
    """Relation of the monotonic clock to wall time.

    Attributes:
        boot: the present boot.
        offset_s: wall minus monotonic seconds; None while the time is unknown.
        floor_s: an instant that has surely passed, UTC seconds.
        began_s, last_s: when the present boot began, and last kept a record, monotonic
            seconds.
        past: the boots before, the latest first.
    """

    boot: int = 0
    offset_s: float | None = None
    floor_s: float = EARLIEST_WALL_S
    began_s: float = 0.0
    last_s: float = 0.0
    past: tuple[Past, ...] = ()

    def wall_s(self, stamp: Stamp) -> float | None:
        """Return the wall time of an instant, None while it cannot be known."""
        if stamp.wall_s is not None:
            return stamp.wall_s
        for boot in self._boots():
            if boot.boot == stamp.boot and boot.offset_s is not None:
                return stamp.monotonic_s + boot.offset_s
        return None

    def told_s(self, stamp: Stamp) -> float:
        """Return the wall time to tell others: the best known, never before this software."""
        wall = self.wall_s(stamp)
        return max(self._guessed_s(stamp) if wall is None else wall, EARLIEST_WALL_S)

    def _guessed_s(self, stamp: Stamp) -> float:
        """Return when it may have been: counted back from the beginning of a later boot."""
        begin: float | None = None
        for boot in self._boots():
            offset_s = boot.offset_s
            if offset_s is None and begin is not None:
                offset_s = begin - boot.last_s
            if offset_s is None:
                continue
            begin = offset_s + boot.began_s
            if boot.boot == stamp.boot:
                return offset_s + min(stamp.monotonic_s, boot.last_s)
        is_present = stamp.boot == self.boot
        return self.floor_s if begin is None or is_present else begin

    def _boots(self) -> tuple[Past, ...]:
        """Return every boot that is known, the present one first."""
        present = Past(self.boot, self.offset_s, self.began_s, self.last_s)
        return (present, *self.past)

    def dated(self, now: Stamp) -> Stamp:
        """Return the present instant with this clock's wall time on it."""
        if self.offset_s is None or now.boot != self.boot:
            return Stamp(now.boot, now.monotonic_s, None)
        return Stamp(now.boot, now.monotonic_s, now.monotonic_s + self.offset_s)


def booted(state: Timebase, now: Stamp) -> Timebase:
    """Return the clock of a new boot: what the system clock shows if it is plausible."""
    wall, floor_s = now.wall_s, state.floor_s
    offset_s = None if wall is None or wall < floor_s else wall - now.monotonic_s
    ended = Past(state.boot, state.offset_s, state.began_s, state.last_s)
    past = (ended, *state.past)[:MOST_PAST]
    return Timebase(now.boot, offset_s, floor_s, now.monotonic_s, now.monotonic_s, past)


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
    return replace(state, offset_s=offset_s, floor_s=min(state.floor_s, csms_wall_s))


def system_s(state: Timebase, now: Stamp, *, is_followed: bool) -> float | None:
    """Return the system clock's time if the station should take it over, UTC seconds.

    Args:
        is_followed: the system clock is kept by NTP and believed, whatever it does; otherwise
            it is only good enough while nothing else is known, like at the boot.
    """
    wall_s = now.wall_s
    if wall_s is None or wall_s < EARLIEST_WALL_S:
        return None
    if state.offset_s is None:
        return wall_s if wall_s >= state.floor_s else None
    is_apart = abs(wall_s - now.monotonic_s - state.offset_s) > STEP_S
    return wall_s if is_followed and is_apart else None


def stepped_s(before: Timebase, after: Timebase) -> float:
    """Return by how much a known clock was set within one boot, seconds; 0.0 for not at all."""
    if before.boot != after.boot or before.offset_s is None or after.offset_s is None:
        return 0.0
    return after.offset_s - before.offset_s


def passed(state: Timebase, now: Stamp) -> Timebase:
    """Note that a record of the present instant is kept: it has surely passed."""
    wall = state.wall_s(now)
    floor_s = state.floor_s if wall is None else max(wall, state.floor_s)
    last_s = max(now.monotonic_s, state.last_s)
    if (floor_s, last_s) == (state.floor_s, state.last_s):
        return state
    return replace(state, floor_s=floor_s, last_s=last_s)
