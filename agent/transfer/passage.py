"""How bytes pass: no faster than allowed, told by the mebibyte, and not without end.

The rate is a token bucket that holds a second's worth: a transfer that was held up may catch
up by one second, never by more. A piece is at most what one second allows, so that nobody
waits longer than that and the server sees bytes move.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from agent.transfer.job import CHUNK, Job, Progressed

Tell = Callable[[Progressed], None]

_MEBI_BITS: Final = 20
_BURST_S: Final = 1.0

_now_s: Callable[[], float] = time.monotonic  # noqa: TID251  the agent's clock is not here
_sleep: Callable[[float], None] = time.sleep  # noqa: TID251  nothing else is to be done here


class Passage:
    """Through which everything of one transfer passes.

    Attributes:
        chunk: how many bytes to pass at once, at most.
        moved: set whenever some have; whoever watches clears it.
    """

    def __init__(
        self,
        tell: Tell,
        bytes_per_s: int = 0,
        now_s: Callable[[], float] = _now_s,
        sleep: Callable[[float], None] = _sleep,
    ) -> None:
        """Open it; a rate of 0 is none."""
        self.chunk = min(CHUNK, bytes_per_s) if bytes_per_s else CHUNK
        self.moved = threading.Event()
        self._tell, self._bytes_per_s = tell, bytes_per_s
        self._now_s, self._sleep = now_s, sleep
        self._paid_until_s = now_s() - _BURST_S

    def passed(self, size: int, done: int, total: int | None) -> None:
        """Take note of bytes, and wait until more may pass.

        Args:
            size: how many.
            done: how many of the file have passed with them.
            total: of the whole file, None when nobody knows.
        """
        self.moved.set()
        if done >> _MEBI_BITS != (done - size) >> _MEBI_BITS:
            self._tell(Progressed(done, total))
        if self._bytes_per_s:
            self._wait(size / self._bytes_per_s)

    def _wait(self, cost_s: float) -> None:
        now_s = self._now_s()
        self._paid_until_s = max(self._paid_until_s, now_s - _BURST_S) + cost_s
        if self._paid_until_s > now_s:
            self._sleep(self._paid_until_s - now_s)
            self.moved.set()


def watch(job: Job, moved: threading.Event, give_up: Callable[[str], None]) -> None:
    """Begin to watch that a transfer neither stands still nor takes too long.

    A thread does it, because a server that keeps silent holds the other one in the system.

    Args:
        give_up: is told why, on that thread.
    """
    limit = threading.Timer(job.limit_s, give_up, (f"not done within {job.limit_s} s",))
    limit.daemon = True
    limit.start()

    def standing() -> None:
        while moved.wait(job.idle_s):
            moved.clear()
        give_up(f"no byte has moved for {job.idle_s} s")

    threading.Thread(target=standing, daemon=True).start()
