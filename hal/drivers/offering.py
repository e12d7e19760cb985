"""Controllers that close their contactor by themselves (docs/adr/0036).

They close as soon as a vehicle in state C or D is offered current, so the current is all there
is to command:

    current on the wire =  the offer, while it is valid
                           0 when it is not, and from an opening to the next closing

At every start, and when the controller comes back after a loss, it is told to stop offering
before anything else. While the driver lives it ends an offer itself when its validity is
over, whether or not the device has a watchdog.
"""

import asyncio
from abc import abstractmethod

from hal.api import check_offer
from hal.bus.turns import Priority
from hal.drivers.watched import Seen, WatchedController
from hal.types import READY_STATES, PilotState


class OfferingController(WatchedController):
    """A controller that is commanded by its current alone."""

    def __init__(self, name: str, *, poll_s: float, fail_after_s: float) -> None:
        """Take what `WatchedController` wants to know."""
        super().__init__(name, poll_s=poll_s, fail_after_s=fail_after_s)
        self._offer_a = 0.0
        self._expires_at: float | None = None
        self._is_withheld = False  # opened by command, and not closed again
        self._written_a: float | None = None  # None: nobody knows what the device has
        self._writing = asyncio.Lock()

    # --- commands ---

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current; see `EvseController.offer`.

        Raises:
            BusError: the controller is lost, or did not answer.
            DeviceError: it refused, or holds something else than what was written.
            ValueError: the limit is neither 0 nor 6 to 80 A, or valid_s is not positive.
        """
        check_offer(limit_a, valid_s)
        self._require_device()
        lowers = limit_a < self._offer_a
        self._offer_a = limit_a
        self._expires_at = asyncio.get_running_loop().time() + valid_s
        if limit_a == 0:
            self._is_withheld = False
        self._wake.set()
        await self._apply(Priority.SAFETY if lowers else Priority.COMMAND)

    async def energize(self, *, closed: bool) -> None:
        """Let the controller close, or make it open; see `EvseController.energize`.

        Opening is tried even while the controller is lost.

        Raises:
            BusError: the controller is lost, or did not answer.
            DeviceError: it refused, or holds something else than what was written.
        """
        if self._is_lost and not closed:
            async with self._writing:
                await self._put(0.0, Priority.SAFETY)
            return
        self._require_device()
        # A vehicle in A or B has nothing to be opened, and must still see what it may ask for.
        may_flow = self._seen is None or self._seen.pilot in READY_STATES
        self._is_withheld = not closed and may_flow and self._offer_a > 0
        await self._apply(Priority.COMMAND if closed else Priority.SAFETY)

    # --- what a driver says ---

    @abstractmethod
    async def _found(self) -> None:
        """Find a controller that is lost; nothing is offered by it yet.

        Raises:
            HalError: it cannot be found now.
        """

    @abstractmethod
    async def _armed(self) -> None:
        """Set up one that has just been made safe, its watchdog above all.

        Raises:
            HalError: it did not take that; it is still lost.
        """

    @abstractmethod
    async def _kept(self) -> None:
        """Keep its watchdog content, and what it holds what was written.

        Raises:
            HalError: it did not take that.
        """

    @abstractmethod
    async def _put(self, wanted_a: float, priority: Priority) -> None:
        """Bring a current onto the wire: 0, or one that is clipped.

        Raises:
            HalError: the device may have this or the former one.
        """

    @abstractmethod
    async def _read(self) -> Seen:
        """Return what it shows.

        Raises:
            HalError: it did not answer, or with something that cannot be.
        """

    @abstractmethod
    def _clipped(self, limit_a: float) -> float:
        """Return what the device can make of an offer, never more."""

    # --- life ---

    async def _look(self) -> Seen:
        if self._is_lost:
            await self._found()
            self._offer_a, self._expires_at, self._is_withheld = 0.0, None, False
            self._written_a = None
            await self._apply(Priority.SAFETY)
            await self._armed()
        await self._kept_up()  # before anything is read: an end must not wait for a look
        seen = await self._read()
        self._is_lost = False
        if seen.pilot is PilotState.A:
            self._is_withheld = False
        return seen

    def _forget(self) -> None:
        super()._forget()
        self._written_a = None

    def _shall_be_open(self) -> bool:
        return self._written_a == 0

    def _early(self) -> float | None:
        return self._expires_at

    async def _kept_up(self) -> None:
        """End what is over, and repeat what was lost."""
        now_s = asyncio.get_running_loop().time()
        if self._expires_at is not None and now_s >= self._expires_at:
            self._offer_a, self._expires_at = 0.0, None
        await self._kept()
        await self._apply(Priority.SAFETY)

    async def _apply(self, priority: Priority) -> None:
        """Bring the current on the wire to what it should be, if it is not there.

        One at a time: a higher current that still waits for the line must not go out after
        the lower one that overtook it.

        Raises:
            HalError: the device may have either current; the next look tries again.
        """
        if self._written_a == self._wanted_a():
            return
        async with self._writing:
            wanted_a = self._wanted_a()
            if wanted_a == self._written_a:
                return
            self._written_a = None
            await self._put(wanted_a, priority)
            self._written_a = wanted_a

    def _wanted_a(self) -> float:
        return 0.0 if self._is_withheld else self._clipped(self._offer_a)
