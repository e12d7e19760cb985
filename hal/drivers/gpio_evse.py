"""An EVSE whose controller is this machine: PWM for the pilot, an ADC to see it, GPIO lines.

The driver samples the board every `POLL_S` and drives the outputs from what has settled:

    pilot PWM   the offer, while it is valid and nothing is wrong; otherwise none (x1)
    contactor   closed by command only, in C or D with PWM on and nothing wrong, and not
                before the vehicle's diode has been seen;
                open again at once when that ends, but `GRACE_S` after a mere end of the PWM,
                in which the vehicle opens S2 and nothing is switched under load

A welded contactor, which its mirror shows closed though it was opened, is never closed again by
this process. What else is wrong ends with its cause, some of it not before the vehicle is gone.

Everything here is software on a general-purpose kernel: no reaction time is guaranteed. The
residual current device and the emergency stop must open the contactor without it, and a
circuit that watches `alive` must when it hangs (docs/devices/gpio.md).
"""

import asyncio
from typing import Final

from hal.api import EvseController, EvseListener, check_offer
from hal.drivers.direct_board import DirectBoard, Sample
from hal.drivers.pilot_signal import DIODE_V, PERIOD_NS, Settled, ampacity_of, on_ns, state_of
from hal.drivers.plug_lock import LockMotor
from hal.errors import BusError
from hal.types import PLUGGED_STATES, READY_STATES, EvseCapabilities, Fault, PilotState, Value

POLL_S: Final = 0.02
SAMPLES: Final = 3
"""So many in a row are a state: within 0.1 s of a change (IEC 61851-1), and no glitch."""

GRACE_S: Final = 6.0
"""How long a vehicle may take to open S2 after the PWM has ended (hardware reference 1.1)."""

MIRROR_S: Final = 0.5
"""How long a contactor and its mirror may take (hardware reference 1.3)."""

DIODE_S: Final = 0.2
"""From the start of the PWM until its low half is believed: the circuit has to follow."""

CABLE_S: Final = 0.5
"""How long a vehicle may be seen before its cable: a plug goes in slowly."""

RETRY_S: Final = 0.5
_UNTIL_UNPLUGGED: Final = frozenset({Fault.DIODE_FAULT, Fault.GROUND_FAILURE})


class _Levels(Value, frozen=True):
    """What has been told."""

    pilot: PilotState
    closed: bool
    locked: bool | None
    cable_a: float | None


class GpioEvse(EvseController):
    """An EVSE on PWM, ADC and GPIO lines of this machine."""

    _state: PilotState | None
    _levels: _Levels | None
    _offer_a: float
    _on_ns: int
    _is_alive_high: bool
    _expires_at: float | None
    _differs_since: float | None
    _outlet_told_at: float

    def __init__(
        self,
        board: DirectBoard,
        *,
        max_a: float,
        phases: int,
        is_tethered: bool,
        lock_pulse_s: float | None = None,
        has_alive: bool = False,
    ) -> None:
        """Say what is there; nothing is opened yet.

        Args:
            board: its wires.
            max_a: the most that is ever offered, A per phase.
            phases: 1 or 3.
            is_tethered: the cable is fixed; there is no proximity wire.
            lock_pulse_s: of its lock's motor; None without a lock.
            has_alive: a line toggles while all is well.
        """
        self._board = board
        self._capabilities = EvseCapabilities(
            max_a=max_a,
            phases=phases,
            is_tethered=is_tethered,
            has_lock=lock_pulse_s is not None,
        )
        self._motor = LockMotor(pulse_s=lock_pulse_s) if lock_pulse_s is not None else None
        self._has_alive = has_alive
        self._is_welded = self._has_failed = False
        self._faults: dict[Fault, str] = {}
        self._told: frozenset[Fault] = frozenset()
        self._forget()

    # --- commands ---

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current; see `EvseController.offer`.

        Raises:
            BusError: the board is lost.
            ValueError: the limit is neither 0 nor 6 to 80 A, or valid_s is not positive.
        """
        check_offer(limit_a, valid_s)
        self._require_board()
        self._offer_a = min(limit_a, self._capabilities.max_a)
        self._expires_at = self._now() + valid_s
        try:
            self._drive_pilot()
        except OSError as error:
            raise BusError(f"the PWM is gone: {error}") from error

    async def energize(self, *, closed: bool) -> None:
        """Close or open the contactor; see `EvseController.energize`.

        Raises:
            BusError: the board is lost; opening it has been tried all the same.
        """
        if not closed and self._is_lost and not self._has_failed:
            return  # it has not begun yet, and begins open
        try:
            if not closed:
                self._switch(closed=False)
        except OSError as error:
            raise BusError(f"the contactor's line is gone: {error}") from error
        finally:
            self._closes = closed and self._may_close()
        self._require_board()

    async def lock(self, *, locked: bool) -> None:
        """Lock or release the plug; see `EvseController.lock`.

        Raises:
            BusError: the board is lost.
        """
        self._require_board()
        if self._motor is not None:
            self._motor.order(self._now(), locked=locked)
            self._tells_lock = True

    # --- life ---

    async def run(self, listener: EvseListener) -> None:
        """Serve the board until cancelled; trouble is reported, never raised.

        Raises:
            BoardError: gpiod is not installed.
        """
        self._has_failed = False
        self._faults, self._told = {}, frozenset()
        while True:
            self._forget()
            try:
                self._board.open()
                sample = await self._sampled()
                if self._has_failed:
                    listener.fault_cleared(Fault.COMMUNICATION_FAULT)
                    self._has_failed = False
                listener.detected(self._capabilities)
                await self._serve(listener, sample)
            except (OSError, ValueError) as error:
                if not self._has_failed:
                    self._has_failed = True
                    listener.fault_raised(Fault.COMMUNICATION_FAULT, str(error))
            finally:
                self._is_lost = True
                self._board.close()
            await asyncio.sleep(RETRY_S)

    async def _serve(self, listener: EvseListener, sample: Sample) -> None:
        self._is_lost = False
        while True:
            self._see(sample)
            self._act(sample)
            self._report(listener, sample)
            await asyncio.sleep(POLL_S)
            sample = await self._sampled()

    async def _sampled(self) -> Sample:
        """Return a sample; a wire that fails once is asked again.

        Raises:
            OSError, ValueError: it fails again and again.
        """
        for _ in range(SAMPLES - 1):
            try:
                return await asyncio.to_thread(self._board.sample)
            except (OSError, ValueError):
                await asyncio.sleep(POLL_S)
        return await asyncio.to_thread(self._board.sample)

    # --- what is seen ---

    def _see(self, sample: Sample) -> None:
        before = self._pilot.value
        self._state = state_of(sample.high_v, self._state)
        pilot = self._pilot.feed(self._state)
        try:
            ohm = sample.proximity_ohm
            cable = None if ohm is None else ampacity_of(ohm, self._capabilities.phases)
            self._cable.feed((cable, None))
        except ValueError as error:
            self._cable.feed((None, str(error)))
        if pilot is PilotState.A and before is not PilotState.A:
            self._faults = {
                fault: info
                for fault, info in self._faults.items()
                if fault not in _UNTIL_UNPLUGGED
            }
            self._has_jammed = False
        if pilot is not before and before in {None, PilotState.A}:
            self._plugged_at = self._now()
        self._judge(sample)

    def _judge(self, sample: Sample) -> None:
        """Find out what is wrong."""
        found = {fault: self._faults[fault] for fault in self._faults.keys() & _UNTIL_UNPLUGGED}
        now, pilot = self._now(), self._pilot.value
        if sample.is_stopped:
            found[Fault.EMERGENCY_STOP] = "the emergency stop is pressed"
        if sample.has_tripped:
            found[Fault.GROUND_FAILURE] = "the residual current device has tripped"
        if pilot is PilotState.E:
            found[Fault.PILOT_FAULT] = f"the pilot is at {sample.high_v:.1f} V"
        lacks_diode = pilot in PLUGGED_STATES and sample.low_v > DIODE_V
        self._lacks_diode.feed(lacks_diode and now >= self._pwm_since + DIODE_S)
        if self._lacks_diode.value:
            found[Fault.DIODE_FAULT] = f"the pilot's low half is at {sample.low_v:.1f} V"
        if (reason := self._cable_trouble()) is not None:
            found[Fault.PROXIMITY_FAULT] = reason
        self._watch_contactor(sample)
        if self._is_welded or self._has_jammed:
            how = "stays closed" if self._is_welded else "does not close"
            found[Fault.CONTACTOR_FAULT] = f"the contactor {how}"
        if self._motor is not None and self._motor.has_failed:
            found[Fault.CONNECTOR_LOCK_FAILURE] = "the lock does not get where it is told to"
        self._faults = found

    def _cable_trouble(self) -> str | None:
        if self._capabilities.is_tethered or self._cable.value is None:
            return None
        cable_a, reason = self._cable.value
        is_late = self._now() >= self._plugged_at + CABLE_S
        if (
            reason is None
            and cable_a is None
            and self._pilot.value in PLUGGED_STATES
            and is_late
        ):
            return "a vehicle is there, and no cable"
        return reason

    def _watch_contactor(self, sample: Sample) -> None:
        if sample.is_closed is None or sample.is_closed is self._is_closed:
            self._differs_since = None
        elif self._differs_since is None:
            self._differs_since = self._now()
        elif self._now() >= self._differs_since + MIRROR_S:
            self._is_welded = self._is_welded or sample.is_closed
            self._has_jammed = self._has_jammed or not sample.is_closed

    # --- what is done ---

    def _act(self, sample: Sample) -> None:
        if self._expires_at is not None and self._now() >= self._expires_at:
            self._offer_a, self._expires_at = 0.0, None
        self._drive_pilot()
        if self._is_closed and not self._may_stay_closed():
            self._switch(closed=False)
        self._closes = self._closes and self._may_close()
        if self._closes and self._has_diode():
            self._closes = False
            self._switch(closed=True)
        if self._motor is not None:
            coils = self._motor.coils(self._now(), sample.is_locked)
            self._board.switch("lock", active=coils.lock)
            self._board.switch("unlock", active=coils.unlock)
        if self._has_alive:
            self._is_alive_high = not self._is_alive_high
            self._board.switch("alive", active=self._is_alive_high)

    def _drive_pilot(self) -> None:
        """Bring the PWM to what it should be."""
        wanted = PERIOD_NS if self._faults else on_ns(self._offer_a)
        if wanted == self._on_ns:
            return
        if (wanted == PERIOD_NS) is not (self._on_ns == PERIOD_NS):
            self._pwm_since = self._now() if wanted < PERIOD_NS else float("inf")
            self._ended_at = self._now()
        self._board.pilot(wanted)
        self._on_ns = wanted

    def _may_close(self) -> bool:
        is_ready = self._pilot.value in READY_STATES and self._state in READY_STATES
        return is_ready and self._on_ns < PERIOD_NS and not self._faults and not self._is_lost

    def _has_diode(self) -> bool:
        """Tell whether the PWM has run long enough to know; without one there is a fault."""
        return self._now() >= self._pwm_since + DIODE_S + SAMPLES * POLL_S

    def _may_stay_closed(self) -> bool:
        if self._faults or self._pilot.value not in READY_STATES:
            return False
        return self._on_ns < PERIOD_NS or self._now() < self._ended_at + GRACE_S

    def _switch(self, *, closed: bool) -> None:
        self._board.switch("contactor", active=closed)
        self._is_closed = closed

    # --- what is told ---

    def _report(self, listener: EvseListener, sample: Sample) -> None:
        """Tell every level that is new, what is broken before what is seen."""
        pilot, cable = self._pilot.value, self._cable.value
        if pilot is None or cable is None:
            return
        for fault in sorted(self._faults.keys() - self._told, key=lambda one: one.value):
            listener.fault_raised(fault, self._faults[fault])
        for fault in sorted(self._told - self._faults.keys(), key=lambda one: one.value):
            listener.fault_cleared(fault)
        self._told = frozenset(self._faults)
        is_early = pilot in PLUGGED_STATES and self._now() < self._plugged_at + CABLE_S
        if is_early and cable[0] is None and not self._capabilities.is_tethered:
            return  # the cable is told before the vehicle
        is_closed = self._is_closed if sample.is_closed is None else sample.is_closed
        now = _Levels(pilot, is_closed, sample.is_locked, cable[0])
        before, self._levels = self._levels, now
        if now.locked is not None and self._is_lock_news(before, now.locked):
            listener.lock_changed(locked=now.locked)
        if before is None or before.cable_a != now.cable_a:
            listener.cable_changed(now.cable_a)
        if before is None or before.pilot is not now.pilot:
            listener.pilot_changed(now.pilot)
        disobeys = now.closed and not self._is_closed  # told again: hal.api, clause O4
        is_due = disobeys and self._now() >= self._outlet_told_at + MIRROR_S
        if before is None or before.closed is not now.closed or is_due:
            self._outlet_told_at = self._now()
            listener.outlet_changed(closed=now.closed)

    def _is_lock_news(self, before: _Levels | None, locked: bool) -> bool:
        """Tell whether the lock has moved, or has done what it was told to."""
        is_done = self._tells_lock and self._motor is not None and not self._motor.is_moving
        if is_done:
            self._tells_lock = False
        return is_done or before is None or before.locked is not locked

    def _forget(self) -> None:
        self._is_lost = True
        self._state = None
        self._pilot = Settled[PilotState](SAMPLES)
        self._cable = Settled[tuple[float | None, str | None]](SAMPLES)
        self._lacks_diode = Settled[bool](SAMPLES)
        self._levels, self._expires_at = None, None
        self._offer_a, self._on_ns = 0.0, PERIOD_NS
        self._is_closed = self._closes = self._has_jammed = False
        self._tells_lock = self._is_alive_high = False
        self._differs_since = None
        self._pwm_since = float("inf")
        self._ended_at = self._plugged_at = self._outlet_told_at = float("-inf")

    def _require_board(self) -> None:
        if self._is_lost:
            raise BusError("the board is lost")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
