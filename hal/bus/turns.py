"""Turns on a shared line: who may talk next.

A line carries one exchange at a time. The most urgent request goes next; of equals the one
whose device has not been asked for longest, so that none is left behind on a busy line, and
of these the one that has waited longest. One whose device wants a pause first lets the others
go meanwhile. An exchange under way is never broken off.
"""

import asyncio
import enum
from collections.abc import Callable
from operator import itemgetter
from types import TracebackType
from typing import Final, NamedTuple

from hal.errors import BusError

MAX_WAITING: Final = 64  # a line has at most 32 RS-485 loads, with a poll and a command each
NEVER: Final = float("-inf")


def at_once() -> float:
    """Return the instant from which on a device is ready that wants no pause."""
    return NEVER


class Priority(enum.IntEnum):
    """Who goes first when several wait for the line."""

    SAFETY = 0
    COMMAND = 1
    STATE = 2  # what decisions hang on: pilot, contactor, faults, inputs
    POLL = 3


class _Waiting(NamedTuple):
    """Who waits; in order of urgency."""

    priority: Priority
    asked_at: float
    arrival: int
    ready_at: Callable[[], float]
    ticket: asyncio.Future[None]


class Turns:
    """A lock that goes to the most urgent of those who wait and are ready."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_taken = False
        self._rest_until = NEVER
        self._arrivals = 0
        self._waiting: list[_Waiting] = []
        self._alarm: asyncio.TimerHandle | None = None

    def turn(
        self,
        priority: Priority,
        *,
        ready_at: Callable[[], float] = at_once,
        asked_at: float = NEVER,
    ) -> "_Turn":
        """Hold the line for the length of a block.

        Args:
            ready_at: returns from when on it can be taken, by the loop's clock; it may become
                later while somebody else has the line.
            asked_at: when the device was asked last, by the same clock.

        Raises:
            BusError: too many wait with the same priority.
        """
        return _Turn(self, priority, ready_at, asked_at)

    def rest(self, *, until: float) -> None:
        """Give out no turn after this one before an instant of the loop's clock."""
        self._rest_until = until

    def give(self) -> None:
        """Let the next one have the line, once it has rested."""
        loop = asyncio.get_running_loop()
        if self._rest_until > loop.time():
            loop.call_at(self._rest_until, self._pass_on)
        else:
            self._pass_on()

    def is_free(self, ready_at: Callable[[], float]) -> bool:
        """Tell whether nobody has the line, and the device is ready."""
        return not self._is_taken and ready_at() <= asyncio.get_running_loop().time()

    def seize(self) -> None:
        """Take the free line."""
        self._is_taken = True

    async def take(
        self, priority: Priority, ready_at: Callable[[], float], asked_at: float
    ) -> None:
        """Wait for the line; whoever has it has to `give` it again.

        Raises:
            BusError: too many wait with the same priority.
        """
        if self.is_free(ready_at):
            self.seize()
            return
        loop = asyncio.get_running_loop()
        # Counted by priority, so that a jam of polls cannot keep a command out.
        if sum(waiting.priority is priority for waiting in self._waiting) >= MAX_WAITING:
            raise BusError(f"{self._name}: {MAX_WAITING} requests are waiting already")
        ticket = loop.create_future()
        waiting = _Waiting(priority, asked_at, self._arrivals, ready_at, ticket)
        self._waiting.append(waiting)
        self._arrivals += 1
        if not self._is_taken:
            self._look_again()
        try:
            await waiting.ticket
        except asyncio.CancelledError:
            if waiting.ticket.cancelled():
                self._waiting.remove(waiting)
            else:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        now_s = asyncio.get_running_loop().time()
        ready = (
            one for one in self._waiting if one.ready_at() <= now_s and not one.ticket.done()
        )
        first = min(ready, key=itemgetter(0, 1, 2), default=None)
        self._is_taken = first is not None
        if first is None:
            self._look_again()
            return
        self._waiting.remove(first)
        first.ticket.set_result(None)

    def _look_again(self) -> None:
        """Pass the free line on as soon as the first of those who wait is ready."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._waiting:
            earliest = min(one.ready_at() for one in self._waiting)
            self._alarm = asyncio.get_running_loop().call_at(earliest, self._rung)

    def _rung(self) -> None:
        self._alarm = None
        if not self._is_taken:
            self._pass_on()


class _Turn:
    """The block in which somebody has the line; a class because every exchange is one."""

    __slots__ = ("_asked_at", "_priority", "_ready_at", "_turns")

    def __init__(
        self, turns: Turns, priority: Priority, ready_at: Callable[[], float], asked_at: float
    ) -> None:
        self._turns, self._priority = turns, priority
        self._ready_at, self._asked_at = ready_at, asked_at

    async def __aenter__(self) -> None:
        if self._turns.is_free(self._ready_at):  # as most lines at most times
            self._turns.seize()
            return
        await self._turns.take(self._priority, self._ready_at, self._asked_at)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._turns.give()
