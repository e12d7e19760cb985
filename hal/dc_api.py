"""The hardware contract of an EVSE that charges with direct current.

Its parts are a power converter (`hal.api.PowerConverter`), what watches the isolation, what
talks with the vehicle, and the contactor of the outlet. The clauses of `hal.api` hold here as
well; `tests/hal/test_dc_devices.py` tells these as tests of our own drivers.
"""

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from hal.api import Meter
from hal.dc_types import IsolationReading, SupplyState, VehicleState
from hal.types import Fault


@runtime_checkable
class OutletOwner(Protocol):
    """A controller that goes by its outlet's meter, and knows more of what it tells."""

    @abstractmethod
    def metered(self, meter: Meter) -> Meter:
        """Return the meter that is to be run in place of the one of the board file."""


class IsolationListener(Protocol):
    """Where an isolation monitor reports to; every method returns at once and never raises."""

    def isolation_read(self, reading: IsolationReading) -> None:
        """Take what it measures, at least twice a second while it is well and not testing."""

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        """Take a new fault; `info` is for people."""

    def fault_cleared(self, fault: Fault) -> None:
        """Take that a fault is over."""


class IsolationMonitor(Protocol):
    """What measures the resistance between an isolated output and protective earth.

    Z1. A reading never shows more resistance than there surely is; one that is none, or was
        taken during a self test, is not told.
    Z2. A self test tells whether the monitor can be trusted, within 30 s.
    Z3. A defect of the monitor is `Fault.INTERNAL_ERROR` until the next start of `run`,
        whatever it says later (hardware reference 1.5, rule 8).
    """

    @abstractmethod
    async def run(self, listener: IsolationListener) -> None:
        """Measure and report until cancelled.

        Raises:
            HalError: the monitor cannot be served.
        """

    @abstractmethod
    async def self_test(self) -> bool:
        """Let it prove itself, and return whether it has.

        Raises:
            BusError: it did not answer, or has not ended its test in time: nobody knows.
            DeviceError: it refused.
        """


class VehicleListener(Protocol):
    """Where the vehicle's side reports to; every method returns at once and never raises."""

    def vehicle_read(self, state: VehicleState) -> None:
        """Take everything that it knows; at least every second while it is there."""

    def vehicle_lost(self, reason: str) -> None:
        """Take that it is gone: what it said last is not true any more."""


class DcVehicle(Protocol):
    """Whatever speaks ISO 15118 or DIN 70121 with the vehicle, and owns the control pilot.

    V1. What it tells is complete, and not older than its last message.
    V2. A message that makes no sense is no message: it changes nothing, and counts as silence.
    V3. While nothing is offered there is no PWM and no conversation.
    """

    @abstractmethod
    async def run(self, listener: VehicleListener) -> None:
        """Report until cancelled.

        Raises:
            HalError: it cannot be reached at all.
        """

    @abstractmethod
    def tell(self, state: SupplyState) -> None:
        """Take where we stand; it is repeated by itself as long as it holds."""


class ContactorListener(Protocol):
    """Where a contactor reports to; every method returns at once and never raises."""

    def contactor_changed(self, *, closed: bool) -> None:
        """Take what the mirror contact says, on every change and after every start."""

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        """Take a new fault; `info` is for people."""

    def fault_cleared(self, fault: Fault) -> None:
        """Take that a fault is over; the state is told anew."""


class DcContactor(Protocol):
    """The contactor of both poles between converter and outlet, with its mirror contact.

    Q1. `run` opens it before it says anything; it is open as well when it ends.
    Q2. Opening is never refused and overtakes everything else on the bus.
    Q3. It closes on command only: what was wanted before a loss does not come back.
    """

    @abstractmethod
    async def run(self, listener: ContactorListener) -> None:
        """Open, and report until cancelled.

        Raises:
            HalError: the contactor cannot be served; it is open as far as we can make it.
        """

    @abstractmethod
    async def switch(self, *, closed: bool) -> None:
        """Close or open; the outcome arrives as `contactor_changed`.

        Raises:
            BusError: the device did not answer; it is as it was.
        """
