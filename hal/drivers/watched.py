"""The life that every controller leads: it is looked at, believed, lost, and found again.

A look brings what the controller shows now. What is new in it is told as levels; looks that
bring nothing for `fail_after_s` are a loss (`Fault.COMMUNICATION_FAULT`), and with the first
good one after it everything is told anew. What a look is, and what makes a controller safe
that was not known before, is the driver's business.
"""

import asyncio
from abc import abstractmethod

from hal.api import EvseController, EvseListener
from hal.drivers.rhythm import together
from hal.errors import BusError, HalError
from hal.types import EvseCapabilities, Fault, PilotState, Value


class Seen(Value, frozen=True):
    """What one look shows.

    Attributes:
        closed: what is known of the contactor; True where it may be closed.
        locked: None for a lock without feedback, or none at all.
        cable_a: None without a cable, or with a fixed one.
        temperature_c: of the hottest sensor; None without one.
    """

    pilot: PilotState
    closed: bool
    locked: bool | None = None
    cable_a: float | None = None
    temperature_c: float | None = None
    faults: frozenset[Fault] = frozenset()


class WatchedController(EvseController):
    """A controller that is looked at; `name` is for people."""

    def __init__(self, name: str, *, poll_s: float, fail_after_s: float) -> None:
        """Take how often to look, and how long without a good look makes a loss.

        Raises:
            ValueError: a time is not more than 0.
        """
        if poll_s <= 0 or fail_after_s <= 0:
            raise ValueError(f"poll_s {poll_s} and fail_after_s {fail_after_s} must be above 0")
        self._name = name
        self._poll_s, self._fail_after_s = poll_s, fail_after_s
        self._is_lost = True
        self._seen: Seen | None = None
        self._wake = asyncio.Event()
        self._is_hurried = False

    async def run(self, listener: EvseListener) -> None:
        """Serve the controller until cancelled; trouble is reported, never raised."""
        loop = asyncio.get_running_loop()
        self._forget()
        well_at, is_told = loop.time(), False
        while True:
            begun_s = loop.time()
            due = together(begun_s + self._poll_s, begun_s=begun_s, every_s=self._poll_s)
            self._is_hurried = False
            try:
                seen = await self._look()
            except HalError as error:
                if not is_told and loop.time() - well_at >= self._fail_after_s:
                    is_told = True
                    self._forget()
                    listener.fault_raised(Fault.COMMUNICATION_FAULT, str(error))
            else:
                well_at = loop.time()
                if self._seen is None:
                    is_told = False
                    listener.fault_cleared(Fault.COMMUNICATION_FAULT)
                    listener.detected(self._capabilities())
                self._report(listener, seen)
            await self._rest(until=due)

    @abstractmethod
    async def _look(self) -> Seen:
        """Return what the controller shows; one that is lost is made safe before.

        Raises:
            HalError: it cannot be known now.
        """

    @abstractmethod
    def _capabilities(self) -> EvseCapabilities:
        """Return what it was found to be able to do."""

    def _forget(self) -> None:
        """Take nothing of it for granted any more."""
        self._is_lost, self._seen = True, None

    def _hurry(self) -> None:
        """Look again at once; for one that is lost there is time."""
        if not self._is_lost:
            self._is_hurried = True
            self._wake.set()

    def _shall_be_open(self) -> bool:
        """Tell whether its contactor has been told to open, or was not told to close."""
        return False

    def _early(self) -> float | None:
        """Return an instant before which it has to be looked at, None without one."""
        return None

    async def _rest(self, *, until: float) -> None:
        """Wait for the next look."""
        loop = asyncio.get_running_loop()
        while not self._is_hurried:
            self._wake.clear()
            early = self._early()
            ends_at = min(until, early) if early is not None and early > loop.time() else until
            alarm = loop.call_at(ends_at, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                alarm.cancel()
            if loop.time() >= ends_at:
                return

    def _report(self, listener: EvseListener, seen: Seen) -> None:
        """Tell every level that is new, what is broken before what is seen."""
        before = self._seen
        if seen.closed and self._shall_be_open():
            listener.outlet_changed(closed=True)  # hal.api, clause O4
        if seen is before:
            return
        self._seen = seen
        known = before.faults if before is not None else frozenset()
        for fault in sorted(seen.faults - known, key=lambda fault: fault.value):
            listener.fault_raised(fault, f"{self._name} says so")
        for fault in sorted(known - seen.faults, key=lambda fault: fault.value):
            listener.fault_cleared(fault)
        warmth_c = before.temperature_c if before is not None else None
        if seen.temperature_c is not None and seen.temperature_c != warmth_c:
            listener.temperature_read(seen.temperature_c)
        if seen.locked is not None and (before is None or before.locked is not seen.locked):
            listener.lock_changed(locked=seen.locked)
        if before is None or before.cable_a != seen.cable_a:
            listener.cable_changed(seen.cable_a)
        if before is None or before.pilot is not seen.pilot:
            listener.pilot_changed(seen.pilot)
        if before is None or before.closed is not seen.closed:
            listener.outlet_changed(closed=seen.closed)

    def _require_device(self) -> None:
        if self._is_lost:
            raise BusError(f"{self._name} does not answer")
