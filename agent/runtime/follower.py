"""Does the work that a level names: one at a time, and another level interrupts it.

What a step of the core wants done outside is a value (`updates.work`, `diagnostics.work`).
The follower begins it, ends it when it is not wanted any more, and posts what became of it.
Work that was done is not begun again while it is still wanted: the core names other work when
it wants another try. What is wanted once more after something else is begun anew, for the core
may not have heard of an end that came when it had just changed its mind.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from agent.core.events import Event

Work = TypeVar("Work")


class Follower(Generic[Work]):
    """Follows one level."""

    def __init__(
        self, do: Callable[[Work], Awaitable[Event]], post: Callable[[Event], object]
    ) -> None:
        self._do, self._post = do, post
        self._wanted: Work | None = None
        self._done: Work | None = None
        self._changed = asyncio.Event()

    def want(self, work: Work | None) -> None:
        """Take the level after a turn."""
        if work != self._wanted:
            self._wanted, self._done = work, None
            self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            work = self._wanted
            if work is None or work == self._done:
                self._changed.clear()
                await self._changed.wait()
            elif (event := await self._tried(work)) is not None:
                self._done = work
                self._post(event)

    async def _tried(self, work: Work) -> Event | None:
        """Do the work; None when it was interrupted."""
        doing = asyncio.ensure_future(self._do(work))
        try:
            while not doing.done() and self._wanted == work:
                self._changed.clear()
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({doing, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
            return doing.result() if doing.done() else None
        finally:
            doing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await doing
