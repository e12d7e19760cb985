"""Links in memory: for simulations and tests, without sockets and without a network.

`pair()` makes the two ends of one link. `MemoryDialer` is a dialer whose CSMS is whoever
calls `accept()` on it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.core.events import DialRefusal
from agent.transport.link import DialError, DialTarget, LinkClosed, as_text

CAPACITY: Final = 64
"""Frames that may be under way in one direction; the sender of more waits."""


class _Way:
    """One direction of a link: frames under way, and whether it has ended."""

    def __init__(self) -> None:
        self.closed: str | None = None
        self._frames: deque[bytes] = deque()
        self._changed = asyncio.Event()

    async def put(self, frame: bytes) -> None:
        while self.closed is None and len(self._frames) >= CAPACITY:
            await self._change()
        if self.closed is not None:
            raise LinkClosed(self.closed)
        self._frames.append(frame)
        self._changed.set()

    async def take(self) -> bytes:
        while not self._frames:
            if self.closed is not None:
                raise LinkClosed(self.closed)
            await self._change()
        frame = self._frames.popleft()
        self._changed.set()
        return frame

    def end(self, reason: str) -> None:
        if self.closed is None:
            self.closed = reason
            self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class MemoryLink:
    """One end of a link in memory.

    Attributes:
        ping_interval_s: as it was last set; nothing is ever sent for it.
    """

    def __init__(self, subprotocol: str, url: str, outward: _Way, inward: _Way) -> None:
        self.subprotocol = self.named = subprotocol
        self.url, self.root = url, ""
        self.ping_interval_s = 0.0
        self._outward, self._inward = outward, inward

    @property
    def is_open(self) -> bool:
        """Return whether nobody has closed the link yet."""
        return self._outward.closed is None

    async def send(self, frame: bytes) -> None:
        """Send one frame; waits while the other end is `CAPACITY` frames behind.

        Raises:
            LinkClosed: one of the ends closed it.
        """
        await self._outward.put(frame)

    async def receive(self) -> str | bytes:
        """Return the next frame; what was sent before the end still arrives.

        Raises:
            LinkClosed: one of the ends closed it.
        """
        return as_text(await self._inward.take())

    def set_ping_interval(self, interval_s: float) -> None:
        """Take note of the interval."""
        self.ping_interval_s = interval_s

    async def close(self, code: int, reason: str) -> None:
        """End the link for both ends; the first reason stays."""
        for way in (self._outward, self._inward):
            way.end(f"closed with {code} {reason}".rstrip())


def pair(
    subprotocol: str = "ocpp2.0.1", url: str = "memory://csms"
) -> tuple[MemoryLink, MemoryLink]:
    """Return the station's end and the CSMS's end of a new link."""
    up, down = _Way(), _Way()
    return MemoryLink(subprotocol, url, up, down), MemoryLink(subprotocol, url, down, up)


def first_offered(target: DialTarget) -> str:
    """Choose the subprotocol that the station likes best."""
    return target.protocols[0]


class MemoryDialer:
    """A dialer whose links end at `accept`.

    Attributes:
        choose: returns the subprotocol for a target, or raises `DialError`; may be replaced
            at any time.
    """

    def __init__(self, choose: Callable[[DialTarget], str] = first_offered) -> None:
        self.choose = choose
        self._accepted: asyncio.Queue[MemoryLink] = asyncio.Queue(CAPACITY)
        self._link: MemoryLink | None = None

    async def dial(
        self, target: DialTarget, *, ping_interval_s: float, ping_timeout_s: float
    ) -> MemoryLink:
        """Connect to whoever accepts next; a link of an earlier dial is closed first.

        Raises:
            DialError: `choose` raised it, or nobody has accepted the last `CAPACITY` links.
        """
        del ping_timeout_s  # nothing gets lost in memory
        if self._link is not None:
            await self._link.close(1001, "dialing again")
            self._link = None
        subprotocol = self.choose(target)
        if self._accepted.full():
            raise DialError(DialRefusal.UNREACHABLE, "nobody accepts")
        self._link, csms = pair(subprotocol, target.url)
        self._link.set_ping_interval(ping_interval_s)
        self._accepted.put_nowait(csms)
        return self._link

    async def accept(self) -> MemoryLink:
        """Return the CSMS's end of the next link that is dialed; it may be closed already."""
        return await self._accepted.get()
