"""A timer that can be set anew, in the event loop's time."""

import asyncio
from collections.abc import Callable


class Timer:
    """One callback at a time, later in the loop's time."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Return whether it will fire."""
        return self._handle is not None

    def start(self, delay_s: float) -> None:
        """Fire after a delay, and not as it was set before."""
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def stop(self) -> None:
        """Do not fire."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._callback()
