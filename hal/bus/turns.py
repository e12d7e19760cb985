"""Turns on a shared line: who may talk next.

A line carries one exchange at a time. Whoever waits longest goes next, except that a more
urgent request overtakes all less urgent ones. An exchange under way is never broken off.
"""

import asyncio
import enum
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from hal.errors import BusError

MAX_WAITING: Final = 64  # a line has at most 32 RS-485 loads, with a poll and a command each


class Priority(enum.IntEnum):
    """Who goes first when several wait for the line; equals in order of arrival."""

    SAFETY = 0
    COMMAND = 1
    POLL = 2


class Turns:
    """A lock that goes to the most urgent of those who wait."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_taken = False
        self._rest_until = float("-inf")
        self._arrivals = 0
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, priority: Priority) -> AsyncIterator[None]:
        """Hold the line for the length of the block.

        Raises:
            BusError: too many wait with the same priority.
        """
        await self._take(priority)
        try:
            yield
        finally:
            loop = asyncio.get_running_loop()
            if self._rest_until > loop.time():
                loop.call_at(self._rest_until, self._pass_on)
            else:
                self._pass_on()

    def rest(self, *, until: float) -> None:
        """Give out no turn after this one before an instant of the loop's clock."""
        self._rest_until = until

    async def _take(self, priority: Priority) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        # Counted by priority, so that a jam of polls cannot keep a command out.
        if sum(waiting[0] is priority for waiting in self._waiting) >= MAX_WAITING:
            raise BusError(f"{self._name}: {MAX_WAITING} requests are waiting already")
        ticket = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, self._arrivals, ticket))
        self._arrivals += 1
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.cancelled():
                self._waiting = [entry for entry in self._waiting if entry[2] is not ticket]
                heapq.heapify(self._waiting)
            else:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            ticket = heapq.heappop(self._waiting)[2]
            if not ticket.done():
                ticket.set_result(None)
                return
        self._is_taken = False
