"""The hardware contract: small Protocols, each a capability with units and behaviour clauses.

A driver subclasses the Protocols it fulfils, so that the type checker compares signatures
where the driver is written and an incomplete one cannot be constructed. Clauses that hold
for every driver:

1. `run` brings the device to a safe state first (contactor open, no offer), then serves
   until cancelled; it raises only when it cannot go on, and is safe to run again.
2. Reports are levels: each callback is called with the present state as soon as it is
   known and again on every settled change; repeating an unchanged state is harmless.
3. Commands set a wish and return at once or raise `BusError` within the bus timeout;
   cancelling one leaves the device in its old or its new state, never between.
4. A device that is lost is reported as `Fault.COMMUNICATION_FAULT` and cleared when it
   answers again; the last state before the loss is not repeated as if it were fresh.
5. Without a renewed offer within `valid_s` the device opens its contactor by itself.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from hal.types import (
    MAX_OFFER_A,
    MIN_OFFER_A,
    EvseCapabilities,
    Fault,
    IdToken,
    MeterReading,
    PilotState,
)


class EvseListener(Protocol):
    """Where a driver reports to; every method returns at once and never raises."""

    def pilot_changed(self, pilot: PilotState, connector_id: int = 1) -> None:
        """Take the settled control pilot state, and on which connector of the EVSE it is."""

    def outlet_changed(self, *, closed: bool) -> None:
        """Take what the contactor's mirror contact says, not what was commanded."""

    def lock_changed(self, *, locked: bool) -> None:
        """Take what the plug's lock says of itself, not what was commanded.

        A lock without feedback is never reported: nobody waits for it then.
        """

    def cable_changed(self, ampacity_a: float | None) -> None:
        """Take the cable's rating in A; None when no cable is plugged or it is fixed.

        After a start it is told before the pilot: a cable may be there without a vehicle.
        """

    def temperature_read(self, temperature_c: float) -> None:
        """Take what the hottest sensor of plug, contactor and board shows, on every change."""

    def meter_read(self, reading: MeterReading) -> None:
        """Take a plausible reading; at least every 5 s while the meter is well."""

    def meter_failed(self, reason: str) -> None:
        """Take that a poll brought no plausible reading, and why."""

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        """Take a new fault; `info` is for people."""

    def fault_cleared(self, fault: Fault) -> None:
        """Take that a fault is over."""

    def token_presented(self, id_token: IdToken) -> None:
        """Take that a token was read; one tap is one call."""

    def detected(self, capabilities: EvseCapabilities) -> None:
        """Take what was found at connect."""


class Device(Protocol):
    """Anything with a life of its own."""

    @abstractmethod
    async def run(self, listener: EvseListener) -> None:
        """Connect, make safe, and report until cancelled.

        Raises:
            HalError: the device cannot be served; nothing stays open.
        """


class EvseController(Device, Protocol):
    """Control pilot, contactor and lock of one EVSE (IEC 61851-1)."""

    @abstractmethod
    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current per phase by PWM; 0 stops the PWM (state x1).

        Args:
            limit_a: 0, or 6 to 80 A (IEC 61851-1 annex A); the driver rounds down.
            valid_s: without another call within this time the device stops offering and
                opens its contactor.

        Raises:
            BusError: the device did not answer; the old offer stands until it expires.
        """

    @abstractmethod
    async def energize(self, *, closed: bool) -> None:
        """Close or open the contactor; the outcome arrives as `outlet_changed`.

        Closing is refused silently by the device unless its pilot is C or D with PWM on;
        opening is never refused and overtakes everything else on the bus. Many controllers
        close by themselves as soon as a vehicle in C or D is offered current; for these
        the offer is what closes, and opening withholds it until the next closing.

        Raises:
            BusError: the device did not answer; the offer's expiry opens it.
        """

    @abstractmethod
    async def lock(self, *, locked: bool) -> None:
        """Lock or release the plug; without a lock this does nothing.

        The outcome arrives as `lock_changed`, where the lock has feedback.

        Raises:
            BusError: the device did not answer; the lock is as it was.
        """


@runtime_checkable
class PhaseSwitch(Protocol):
    """The contactor that connects L2 and L3, of an EVSE that has one."""

    @abstractmethod
    async def switch(self, phases: int) -> None:
        """Connect one phase or three; the same again does nothing.

        The caller keeps the pauses before and after.

        Raises:
            BusError: the device did not answer, or its main contactor is closed; the phases
                are as they were.
        """


class Meter(Device, Protocol):
    """An energy meter that reports plausible readings through its listener.

    One that signs puts the signed register into the reading whose register it is; it never
    repeats an old signature beside a new register.
    """


class DigitalInput(Protocol):
    """A contact that is closed or open, such as the grid operator's."""

    @abstractmethod
    async def run(self, changed: Callable[[bool], None]) -> None:
        """Report whether it is active, at once and on every settled change, until cancelled.

        An input that cannot be read is reported as active: it stands for a limit, and a
        limit that may be there is there.
        """


class TokenReader(Device, Protocol):
    """A reader of id tokens."""


def check_offer(limit_a: float, valid_s: float) -> None:
    """Check the arguments of `EvseController.offer`.

    Raises:
        ValueError: the limit is neither 0 nor 6 to 80 A, or valid_s is not positive.
    """
    if not (limit_a == 0 or MIN_OFFER_A <= limit_a <= MAX_OFFER_A):
        raise ValueError(
            f"limit_a = {limit_a}: 0 or {MIN_OFFER_A:g} to {MAX_OFFER_A:g} A can be offered"
        )
    if not valid_s > 0:
        raise ValueError(f"valid_s = {valid_s}: an offer is valid for more than 0 s")
