"""Virtual time for tests: an event loop that jumps to its next timer instead of waiting.

Real sockets and threads still work: the loop polls them first, and while work runs on a
thread no virtual time passes. When every task waits and no timer is set it raises instead
of hanging.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    """Polls for real I/O, and otherwise turns waiting into an advance of ``loop.now``."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.loop.threads_in_flight or self.loop.io_in_flight:
            return super().select(timeout if timeout == 0 else None)
        if timeout is not None and len(self.get_map()) == 1:
            # Only the loop's own pipe is open: there is nobody who could send anything.
            self.loop.now += timeout
            return []
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.patience_s and (ready := super().select(self.loop.patience_s)):
            return ready
        if timeout is None:
            raise RuntimeError("deadlock: every task waits and no timer is set")
        self.loop.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs ``asyncio.sleep(86_400)`` in microseconds, in the right order.

    `io_in_flight` is a counter that a test raises while it waits for a real peer (another
    process, a socket): virtual time stands still meanwhile. `patience_s` is real time that the
    loop waits for I/O before each jump: pseudo terminals hand bytes on a moment later.
    """

    def __init__(self) -> None:
        self.now, self.threads_in_flight, self.io_in_flight = 0.0, 0, 0
        self.patience_s = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        self.threads_in_flight += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: self._thread_done())
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        self.threads_in_flight += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._thread_done()

    def _thread_done(self) -> None:
        self.threads_in_flight -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
