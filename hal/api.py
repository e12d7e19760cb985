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

Each capability adds clauses of its own, with a letter; `tests/support/contract_hal.py` tells
them all as tests, and every driver passes them against a simulated device on its wire.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from hal.types import (
    MAX_OFFER_A,
    MIN_OFFER_A,
    ConverterLimits,
    ConverterReading,
    EvseCapabilities,
    Fault,
    IdToken,
    Light,
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


class ControlPilot(Protocol):
    """The pilot wire of one EVSE (IEC 61851-1 annex A).

    P1. An offer that PWM cannot make is a `ValueError`, and nothing changes.
    P2. What the device can only make coarser is rounded down, never up.
    P3. The driver debounces and does not interpret: `pilot_changed` tells settled states.
    """

    @abstractmethod
    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current per phase by PWM; 0 stops the PWM (state x1).

        Args:
            limit_a: 0, or 6 to 80 A (IEC 61851-1 annex A); the driver rounds down.
            valid_s: without another call within this time the device stops offering and
                opens its contactor.

        Raises:
            BusError: the device did not answer; the old offer stands until it expires.
            ValueError: P1.
        """


class Outlet(Protocol):
    """The contactor of one EVSE, with its mirror contact.

    O1. Closing is refused silently unless the pilot is C or D with PWM on.
    O2. Opening is never refused and overtakes everything else on the bus.
    O3. `outlet_changed` tells the mirror contact, or whatever else the device measures
        behind the contactor; of one without feedback the driver tells the worse: closed
        while it may be.
    O4. One that stays closed against a command is told as closed again, at least every second
        while the device is looked at: so a lost look is no welded contactor. Of a driver that
        cannot, it is believed after 5 s.
    """

    @abstractmethod
    async def energize(self, *, closed: bool) -> None:
        """Close or open the contactor; the outcome arrives as `outlet_changed`.

        Many controllers close by themselves as soon as a vehicle in C or D is offered
        current; for these the offer is what closes, and opening withholds it until the next
        closing.

        Raises:
            BusError: the device did not answer; the offer's expiry opens it.
        """


class ConnectorLock(Protocol):
    """What holds the plug in its socket.

    L1. With feedback every command is followed by `lock_changed`, and a start as well.
    L2. It does not move by itself, neither at a start of `run` nor at its end: what it held
        stays held.
    """

    @abstractmethod
    async def lock(self, *, locked: bool) -> None:
        """Lock or release the plug; without a lock this does nothing.

        The outcome arrives as `lock_changed`, where the lock has feedback.

        Raises:
            BusError: the device did not answer; the lock is as it was.
        """


class ProximityPilot(Device, Protocol):
    """What reads the rating of the plugged cable (IEC 61851-1 annex B), A per phase.

    X1. At a start, and at every plug, `cable_changed` comes before `pilot_changed`: nothing
        may be offered to a vehicle before its cable is known.
    X2. A resistance between the windows of two ratings, or shorted, is
        `Fault.PROXIMITY_FAULT` and no rating.
    """


class Temperature(Device, Protocol):
    """What feels how hot plug, contactor or board are, °C.

    T1. `temperature_read` tells the hottest of its sensors at a start and on every change.
    T2. A sensor that fails is told as nothing new: it is never replaced by a made-up value.
    """


class EvseController(
    ControlPilot, Outlet, ConnectorLock, ProximityPilot, Temperature, Device, Protocol
):
    """Pilot, contactor, lock, cable and heat of one EVSE, as controllers have them in one box.

    Whoever has them in several boxes signs this with a class that holds these.
    """


@runtime_checkable
class PhaseSwitch(Protocol):
    """The contactor that connects L2 and L3, of an EVSE that has one.

    W1. One phase and three can be connected in any order; the same again does nothing.
    W2. Nothing is switched under load: while the main contactor is closed, or current is
        offered, that is an error, and the phases stay as they are.
    """

    @abstractmethod
    async def switch(self, phases: int) -> None:
        """Connect one phase or three; the same again does nothing.

        The caller keeps the pauses before and after.

        Raises:
            BusError: the device did not answer, or its main contactor is closed; the phases
                are as they were.
        """


@runtime_checkable
class ResidualCurrent(Protocol):
    """What trips on residual current, and can be told to prove it.

    It trips by itself and in hardware; a trip arrives as `Fault.GROUND_FAILURE`.

    R1. A self test tells whether it tripped as it should; it leaves it ready to trip.
    R2. It is not tested under load: with the contactor closed that is an error, and nothing
        opens.
    """

    @abstractmethod
    async def self_test(self) -> bool:
        """Let it trip on a test current, and return whether it did.

        Raises:
            BusError: the device did not answer, or its contactor is closed; nobody knows
                whether it would trip.
        """


@runtime_checkable
class Indicator(Protocol):
    """A lamp at one EVSE that tells people what they can do here.

    I1. Every light can be shown in any order; the same again is harmless.
    I2. It keeps what it shows until it is told something else.
    """

    @abstractmethod
    async def show(self, light: Light) -> None:
        """Show it; how is the lamp's business.

        Raises:
            BusError: the device did not answer; it shows what it showed.
        """


class Meter(Device, Protocol):
    """An energy meter that reports plausible readings through its listener.

    M1. The first reading comes as soon as the meter has answered, the next ones at least
        every 5 s while it is well.
    M2. Energy is the meter's own register in Wh. A reading whose register fell, or rose more
        than possible, or with any value that cannot be, is a failed poll.
    M3. A poll that brought no plausible reading is told as `meter_failed` with its reason, and
        no older reading is repeated for it.
    M4. A meter without a good poll for a while is `Fault.POWER_METER_FAILURE`, until a good
        one, which comes after the end of the fault.
    """


class SignedMeter(Meter, Protocol):
    """A meter that signs its import register.

    S1. The signed register is that of the very reading that carries it.
    S2. An old signature is never repeated beside a new register.
    S3. The key to check it with comes with it, unless the signed text contains it.
    """


class DigitalInput(Protocol):
    """A contact that is closed or open, such as the grid operator's.

    D1. Its state is told at once, and on every settled change.
    D2. One that cannot be read is told as active: it stands for a limit, and a limit that may
        be there is there.
    """

    @abstractmethod
    async def run(self, changed: Callable[[bool], None]) -> None:
        """Report whether it is active until cancelled."""


class TokenReader(Device, Protocol):
    """A reader of id tokens.

    K1. One tap is one call of `token_presented`, however long the token lies there and however
        often the reader repeats it.
    K2. The same token after it was taken away is another tap.
    K3. A reader that is lost makes `run` raise, or is told as `Fault.READER_FAILURE`, unless
        it shares the line of a controller that tells so; it reads again when it is back.
    """


class ConverterListener(Protocol):
    """Where a DC power converter reports to; every method returns at once and never raises."""

    def converter_read(self, reading: ConverterReading) -> None:
        """Take what comes out, at least once a second while the converter is well."""

    def converter_available(self, limits: ConverterLimits) -> None:
        """Take what can be put out now: when it is known first, and on every change."""

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        """Take a new fault; `info` is for people."""

    def fault_cleared(self, fault: Fault) -> None:
        """Take that a fault is over."""


class PowerConverter(Protocol):
    """What turns AC into the DC that goes to a vehicle; one or many modules that share it.

    C1. `run` turns the output off before it says anything; it is off as well when it ends.
    C2. An output outside the limits that were told last is a `ValueError`, and nothing
        changes. Neither voltage nor current of all modules together exceeds what was set:
        what can only be made coarser is rounded down.
    C3. An output is kept up on the wire without further calls until `valid_s` is over; then
        it is turned off without one.
    C4. Turning off is never refused and overtakes everything else on the bus. It holds: what
        was set before does not come back by itself, whatever is lost and returns.
    C5. Limits are those of the modules that are there. A module that is not heard of counts
        as delivering until its own watchdog has turned it off for certain; what it may still
        deliver is not asked of the others before (hardware reference 1.5, rule 11).
    C6. Without any module, or without the bus, it is `Fault.COMMUNICATION_FAULT`. What is
        wanted is on the wire before that fault is cleared, and readings come after it.
    C7. A reading is made of fresh measurements; for a module that is silent the most that it
        may deliver is counted. None is told while no module measures.
    """

    @abstractmethod
    async def run(self, listener: ConverterListener) -> None:
        """Connect, turn off, and report until cancelled.

        Raises:
            HalError: the converter cannot be served; nothing stays open.
        """

    @abstractmethod
    async def set_output(self, voltage_v: float, current_a: float, *, valid_s: float) -> None:
        """Put out at most this voltage and at most this current; 0 A holds the voltage.

        Args:
            voltage_v: what is regulated while the vehicle takes less than `current_a`.
            current_a: of all modules together.
            valid_s: without another call within this time the output is turned off.

        Raises:
            BusError: nobody is there to be told; the output is off, or going off by itself.
            ValueError: C2.
        """

    @abstractmethod
    async def turn_off(self) -> None:
        """Turn the output off.

        Raises:
            BusError: nobody is there to be told; their own watchdogs turn them off, and they
                are told so as soon as they are back.
        """


def check_output(
    limits: ConverterLimits, voltage_v: float, current_a: float, valid_s: float
) -> None:
    """Check the arguments of `PowerConverter.set_output`.

    Their product counts too, for it is what comes out when the vehicle takes all of it.

    Raises:
        ValueError: something is outside the limits, or valid_s is not positive.
    """
    if not limits.min_v <= voltage_v <= limits.max_v:
        raise ValueError(
            f"voltage_v = {voltage_v}: {limits.min_v:g} to {limits.max_v:g} V can be put out"
        )
    if not 0 <= current_a <= limits.max_a:
        raise ValueError(f"current_a = {current_a}: 0 to {limits.max_a:g} A can be put out")
    if voltage_v * current_a > limits.max_w * (1 + _ROUNDING):
        raise ValueError(
            f"{voltage_v} V x {current_a} A: at most {limits.max_w:g} W can be put out"
        )
    if not valid_s > 0:
        raise ValueError(f"valid_s = {valid_s}: an output is valid for more than 0 s")


_ROUNDING: Final = 1e-9
"""A current that was divided out of the power may come to this much more when multiplied."""


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
