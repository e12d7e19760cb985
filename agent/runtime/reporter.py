"""Turns one EVSE's reports into events, and judges what no driver may be believed.

A reading that cannot be is a failed poll, whichever driver brought it (hardware reference
1.5, rule 12). A trip that comes again and again is not reset again and again (rule 8).
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from agent.core.events import (
    CableChanged,
    Event,
    EvseDetected,
    FaultCleared,
    FaultRaised,
    LockChanged,
    MeterFailed,
    MeterRead,
    OutletChanged,
    PilotChanged,
    TemperatureRead,
    TokenPresented,
)
from agent.runtime.sanity import Sanity
from hal.api import EvseListener
from hal.types import MAX_OFFER_A, EvseCapabilities, Fault, IdToken, MeterReading, PilotState

TRIPS: Final = frozenset({Fault.GROUND_FAILURE, Fault.DIODE_FAULT})
"""What protects people from a vehicle's defects; a vehicle that has one will trip again."""

RETRY_TRIP_S: Final = 300.0
MOST_RETRIES: Final = 6
"""The first trip of a vehicle is over when the device says so; after each further one it has
to wait, and after the last it has to be unplugged (hardware reference 1.5, rule 8)."""

QUIET_S: Final = 4.5
"""Without a vehicle, an open contactor and no current, a reading is passed on this often: every
fifth of a meter that is read once a second, and often enough to count as fresh."""

FLOWS_A: Final = 0.5
"""Below 0.5 A nothing flows (hardware reference 1.3)."""


class Reporter(EvseListener):
    """Turns one EVSE's reports into events.

    Attributes:
        pilot, is_closed, is_locked: the controller's latest word, None while it is not to be
            trusted; a lock without feedback never says any.
        closed_at: when the contactor was last told to be closed, by the loop's clock.
        is_anew: the controller has just spoken for the first time, or again: it is in its
            safe state, whatever it was told before.
        changed: set whenever one of them may have changed.
        is_proved: its residual current device has passed its test since the last plug.
        latched: faults that stay until the next start, whatever the device says (hardware
            reference 1.5, rule 8).
    """

    def __init__(
        self, evse_id: int, post: Callable[[Event], None], *, rated_a: float = MAX_OFFER_A
    ) -> None:
        self._evse_id, self._post = evse_id, post
        self.pilot: PilotState | None = None
        self.is_closed: bool | None = None
        self.closed_at = -math.inf
        self.is_locked: bool | None = None
        self.is_anew = False
        self.is_proved = False
        self.latched: set[Fault] = set()
        self.changed = asyncio.Event()
        self._raised: set[Fault] = set()
        self._failed: set[Fault] = set()
        self._sanity = Sanity(rated_a=rated_a)
        self._quiet_until = -math.inf
        self._trips = 0  # of the present vehicle
        self._waiting: dict[Fault, asyncio.TimerHandle | None] = {}  # None: for the unplug

    def pilot_changed(self, pilot: PilotState, connector_id: int = 1) -> None:
        self.pilot = pilot
        if pilot is PilotState.A:
            self._unplugged()
        self.changed.set()
        self._post(PilotChanged(self._evse_id, pilot, connector_id))

    def outlet_changed(self, *, closed: bool) -> None:
        self.is_anew = self.is_anew or self.is_closed is None
        self.is_closed = closed
        if closed:
            self.closed_at = asyncio.get_running_loop().time()
        self.changed.set()
        self._post(OutletChanged(self._evse_id, closed))

    def lock_changed(self, *, locked: bool) -> None:
        self.is_locked = locked
        self.changed.set()
        self._post(LockChanged(self._evse_id, locked))

    def cable_changed(self, ampacity_a: float | None) -> None:
        self._post(CableChanged(self._evse_id, ampacity_a))

    def temperature_read(self, temperature_c: float) -> None:
        self._post(TemperatureRead(self._evse_id, temperature_c))

    def meter_read(self, reading: MeterReading) -> None:
        now_s = asyncio.get_running_loop().time()
        problem = self._sanity.problem(reading, now_s)
        if problem:
            self.meter_failed(f"implausible: {problem}")
        elif now_s >= self._quiet_until or not self._is_quiet(reading):
            self._quiet_until = now_s + QUIET_S
            self._post(MeterRead(self._evse_id, reading))

    def meter_failed(self, reason: str) -> None:
        self._quiet_until = -math.inf
        self._post(MeterFailed(self._evse_id, reason))

    def _is_quiet(self, reading: MeterReading) -> bool:
        """Tell whether nothing is here that a reading could tell anything new of."""
        amps = reading.current_a
        flows = max(abs(amps.l1), abs(amps.l2), abs(amps.l3)) >= FLOWS_A
        return self.pilot is PilotState.A and self.is_closed is False and not flows

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        if fault in TRIPS and fault not in self._raised:
            self._trips += 1
            self._end_wait(fault)
        self._raised.add(fault)
        self._told(fault, info)

    def fault_cleared(self, fault: Fault) -> None:
        is_again = fault in TRIPS and fault in self._raised and self._trips > 1
        self._raised.discard(fault)
        if fault in self.latched or fault in self._waiting:
            return
        if is_again and self.pilot is not PilotState.A:
            self._wait(fault)
        else:
            self._post(FaultCleared(self._evse_id, fault))

    def latch(self, fault: Fault, info: str) -> None:
        """Raise a fault that stays until the next start."""
        self.latched.add(fault)
        self.fault_raised(fault, info)

    def token_presented(self, id_token: IdToken) -> None:
        self._post(TokenPresented(id_token, self._evse_id))

    def detected(self, capabilities: EvseCapabilities) -> None:
        self._post(EvseDetected(self._evse_id, capabilities))

    def failed(self, fault: Fault, info: str) -> None:
        """Take that a driver has failed; what it had raised by itself it will raise again."""
        self._raised.discard(fault)
        self._failed.add(fault)
        self._told(fault, info)

    def recovered(self, fault: Fault) -> None:
        """Take that a driver runs; after a failure it may have raised the fault by itself."""
        if fault in self._failed:
            self._failed.discard(fault)
            if fault not in self._raised:
                self._post(FaultCleared(self._evse_id, fault))

    def _told(self, fault: Fault, info: str) -> None:
        if fault is Fault.COMMUNICATION_FAULT:
            self.pilot = self.is_closed = self.is_locked = None
            self.changed.set()
        self._post(FaultRaised(self._evse_id, fault, info))

    # --- trips ---

    def _wait(self, fault: Fault) -> None:
        """Keep a trip for a while, or until the unplug."""
        if self._trips > MOST_RETRIES:
            self._waiting[fault] = None
        else:
            loop = asyncio.get_running_loop()
            self._waiting[fault] = loop.call_later(RETRY_TRIP_S, self._waited, fault)

    def _waited(self, fault: Fault) -> None:
        del self._waiting[fault]
        self._post(FaultCleared(self._evse_id, fault))

    def _end_wait(self, fault: Fault) -> None:
        timer = self._waiting.pop(fault, None)
        if timer is not None:
            timer.cancel()

    def _unplugged(self) -> None:
        """A new vehicle begins anew; what waited for the old one to go is over."""
        self._trips, self.is_proved = 0, False
        for fault in tuple(self._waiting):
            self._end_wait(fault)
            self._post(FaultCleared(self._evse_id, fault))
