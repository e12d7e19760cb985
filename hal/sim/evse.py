"""A simulated EVSE in this process: control pilot, contactor, lock, meter and token reader.

It lives in the event loop's time and sets a timer only for what will change, so a station
in virtual time costs nothing while nothing happens. Like a real board it protects itself:

    the contactor closes   only in state C or D, with PWM on and without a fault
    it opens by itself     when the vehicle unplugs or opens S2, on a fault, and when the
                           offer's validity has passed

One vehicle at a time is plugged into any of the EVSE's connectors. The methods that a bench
calls (`plug`, `unplug`, `set_ready`, `present`, `fault`, `clear`, `set`) act at once and
need a running loop; what they cause arrives at the listener as from hardware.
"""

import asyncio

from msgspec import structs

from hal.api import (
    EvseController,
    EvseListener,
    Indicator,
    PhaseSwitch,
    ResidualCurrent,
    SignedMeter,
    TokenReader,
    check_offer,
)
from hal.errors import BusError, DeviceError
from hal.sim.meter import Register
from hal.sim.plugs import Plugs
from hal.sim.reports import Reports
from hal.sim.signer import Signer
from hal.sim.timer import Timer
from hal.sim.vehicle import SWITCH_OFF_S, Draw, SimRefused, Vehicle
from hal.types import (
    READY_STATES,
    EvseCapabilities,
    Fault,
    IdToken,
    Light,
    MeterReading,
    PilotState,
)

CONTACTOR_S, REPEAT_S = 0.05, 0.9
"""Time a contactor takes to move, its mirror contact with it (IEC 61851-1: within 0.1 s), and
how often one that does not is told again as it is (hal.api, clause O4)."""

MAX_DRAW_A = 100.0
"""The most that a disobedient vehicle can be made to draw, A per phase."""

TEMPERATURES_C = (-50.0, 150.0)
"""What a bench may let the temperature sensor show; it has none before."""

_PWM_STEP_MA = 100  # the finest step a duty cycle of 0.17 % makes

HARMLESS_FAULTS = frozenset(
    {Fault.POWER_METER_FAILURE, Fault.READER_FAILURE, Fault.COMMUNICATION_FAULT}
)
"""Faults under which the board itself keeps charging; all others open the contactor."""


class SimulatedEvse(
    EvseController, PhaseSwitch, ResidualCurrent, Indicator, SignedMeter, TokenReader
):
    """One EVSE with its meter and reader, without any bus in between.

    `run` may be entered once per role (controller, meter, reader) with the same listener;
    every report is made once.

    Args:
        connectors: how many connectors share this EVSE, numbered from 1.
        max_a: what the hardware carries, A per phase; a higher offer is cut to it.
        phases: 1 or 3.
        energy_wh: the register at the start.
        signs: its meter signs every reading (hal.sim.signer).
        is_tethered: the cable is fixed; otherwise there is a socket with a lock.
        report_s, idle_report_s: between two meter reports, with and without current.
    """

    def __init__(
        self,
        *,
        connectors: int = 1,
        max_a: float = 32.0,
        phases: int = 3,
        energy_wh: float = 0.0,
        is_tethered: bool = False,
        report_s: float = 1.0,
        idle_report_s: float = 5.0,
        signs: bool = False,
    ) -> None:
        self._signer = Signer("SIM-0001") if signs else None
        self._phases = self._live_phases = phases
        self._max_ma = int(max_a * 1000)
        self._capabilities = EvseCapabilities(
            max_a=max_a,
            phases=phases,
            is_tethered=is_tethered,
            has_lock=not is_tethered,
            can_switch_phases=phases == 3,  # noqa: PLR2004 - one phase is no choice
            meter_type="simulated",
        )
        self._report_s, self._idle_report_s = report_s, idle_report_s
        self._register = Register(phases=phases, energy_wh=energy_wh)
        self._roles = 0
        self._plugs = Plugs(connectors, is_tethered=is_tethered)
        self._s2_closed = False
        self._offer_ma = 0
        self._outlet_closed = False
        self._locked = self._is_jammed = self._is_rcd_broken = False
        self._light = Light.OFF
        self._forced_ma: int | None = None
        self._temperature_c: float | None = None
        self._faults: dict[Fault, str] = {}
        self._reports = Reports(self._faults)
        self._expiry = Timer(self.make_safe)
        self._reaction = Timer(self._react)
        self._contactor = Timer(self._move_contactor)
        self._next_reading = Timer(self._report_meter)
        self._target_closed = False

    # What the agent sees

    async def run(self, listener: EvseListener) -> None:
        """Make safe, then report to this listener until cancelled.

        Raises:
            DeviceError: another listener is being served.
        """
        if self._roles and listener is not self._reports.listener:
            raise DeviceError("this simulated EVSE already reports to another listener")
        self._roles += 1
        try:
            if self._roles == 1:
                self.make_safe()
                self._reports.listener = listener
                listener.detected(self._capabilities)
                self._reports.all_faults()
                self._report_levels()
                self._report_meter()
            await asyncio.get_running_loop().create_future()
        finally:
            self._roles -= 1
            if self._roles == 0:
                self._reports.listener = None
                self._next_reading.stop()

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current; see `EvseController.offer`.

        Raises:
            BusError: the controller has been made silent by `Fault.COMMUNICATION_FAULT`.
            ValueError: the limit is neither 0 nor 6 to 80 A, or valid_s is not positive.
        """
        check_offer(limit_a, valid_s)
        self._require_answer()
        # The tolerance keeps a float such as 16.4 from losing a whole step.
        limit_ma = min(self._max_ma, int(limit_a * 1000 + 1e-6))
        self._offer_ma = limit_ma - limit_ma % _PWM_STEP_MA
        self._expiry.start(valid_s)
        self._consider()

    async def energize(self, *, closed: bool) -> None:
        """Close or open the contactor; see `EvseController.energize`.

        Raises:
            BusError: the controller has been made silent by `Fault.COMMUNICATION_FAULT`.
        """
        self._require_answer()
        if not closed or self._may_close():
            self._operate(closed=closed)

    async def lock(self, *, locked: bool) -> None:
        """Lock or release the plug; a tethered cable or a failed lock stays as it is.

        Raises:
            BusError: the controller has been made silent by `Fault.COMMUNICATION_FAULT`.
        """
        self._require_answer()
        is_stuck = self._is_jammed or Fault.CONNECTOR_LOCK_FAILURE in self._faults
        if self._capabilities.has_lock and not is_stuck and locked is not self._locked:
            self._locked = locked
            self._reports.lock(locked=locked)

    async def switch(self, phases: int) -> None:
        """Connect one phase or three; see `PhaseSwitch.switch`.

        Raises:
            BusError: the contactor is closed, or the controller has been made silent.
        """
        self._require_answer()
        if self._outlet_closed:
            raise BusError("the simulated EVSE switches no phases under load")
        self._live_phases = min(phases, self._phases)

    async def self_test(self) -> bool:
        """Test the residual current device; see `ResidualCurrent.self_test`.

        Raises:
            BusError: the contactor is closed, or the controller has been made silent.
        """
        self._require_answer()
        if self._outlet_closed:
            raise BusError("the simulated residual current device is not tested under load")
        return not self._is_rcd_broken

    async def show(self, light: Light) -> None:
        """Show a light; see `Indicator.show`.

        Raises:
            BusError: the controller has been made silent by `Fault.COMMUNICATION_FAULT`.
        """
        self._require_answer()
        self._light = light

    def make_safe(self) -> None:
        """Withdraw the offer and open the contactor, as when an offer expires."""
        self._expiry.stop()
        self._offer_ma = 0
        self._operate(closed=False)
        self._consider()

    # What the bench does

    def plug(self, connector_id: int = 1, vehicle: Vehicle | None = None) -> None:
        """Plug a vehicle in, by default an ordinary one of 32 A on three phases.

        Raises:
            SimRefused: no such connector, or a vehicle is plugged already.
        """
        self._plugs.plug(connector_id, vehicle or Vehicle())
        self._forced_ma = None
        self._reports.cable(self._plugs.cable_a)
        self._consider()

    def unplug(self, connector_id: int = 1, *, leaves_cable: bool = False) -> None:
        """Take the vehicle away, under load if it must be.

        Args:
            leaves_cable: unplug at the vehicle; the cable stays in the socket.

        Raises:
            SimRefused: no such connector, or nothing is plugged into it.
        """
        self._plugs.unplug(connector_id, leaves_cable=leaves_cable)
        self._reports.cable(self._plugs.cable_a)
        self._consider()

    def set_ready(self, ready: bool) -> None:
        """Let the vehicle want energy or not; not wanting opens S2 at once.

        Raises:
            SimRefused: no vehicle is plugged.
        """
        self._plugs.set_ready(ready=ready)
        self._consider()

    def present(self, id_token: IdToken) -> None:
        """Hold a token before the reader; a failed reader does not notice."""
        self._reports.token(id_token)

    def fault(self, fault: Fault, info: str = "simulated") -> None:
        """Break something; see `HARMLESS_FAULTS` for what opens the contactor.

        `CONTACTOR_FAULT` welds a closed contactor, or jams an open one. `PILOT_FAULT` shows
        state E. `COMMUNICATION_FAULT` makes the controller silent, `POWER_METER_FAILURE` the
        meter, `READER_FAILURE` the reader.
        """
        if fault in self._faults:
            return
        self._faults[fault] = info
        self._reports.faults()
        if fault not in HARMLESS_FAULTS:
            self._operate(closed=False)
        self._consider()
        if fault is Fault.POWER_METER_FAILURE:
            self._report_meter()

    def clear(self, fault: Fault) -> None:
        """Mend it; what is well already stays well."""
        if fault not in self._faults:
            return
        del self._faults[fault]
        self._reports.faults()
        if fault is Fault.COMMUNICATION_FAULT:
            self._report_levels()
        if fault is Fault.CONTACTOR_FAULT:
            self._operate(closed=False)
        self._consider()
        if fault is Fault.POWER_METER_FAILURE:
            self._report_meter()

    def set(self, point: str, value: float | None) -> None:
        """Change a signal from now on.

        Args:
            point: `voltage_l1` to `voltage_l3` in V (0 to 500), `frequency` in Hz (0 to 100),
                `energy_import` in Wh (0 to 1e12; an exchanged meter), `temperature` in °C
                (-50 to 150) of the hottest sensor, `lock_jam` 0 or 1: whether the lock stays
                as it is whatever it is told, `rcd_broken` 0 or 1: whether the residual
                current device does not trip on its test, or `draw` in A per phase (0 to
                100): a vehicle that draws this whatever it is offered.
            value: None only for `draw`: back to obeying the offer.

        Raises:
            SimRefused: no such point, or the value is out of range.
        """
        if point == "temperature":
            self._heat(value)
            return
        if point == "lock_jam":
            self._is_jammed = _flag(point, value)
            return
        if point == "rcd_broken":
            self._is_rcd_broken = _flag(point, value)
            return
        if point != "draw":
            self._register.set(point, value, _now_us())
        elif value is None:
            self._forced_ma = None
        elif 0.0 <= value <= MAX_DRAW_A:
            self._forced_ma = int(value * 1000)
        else:
            raise SimRefused(
                f"draw = {value}: 0 to {MAX_DRAW_A:g} A, or null to obey the offer"
            )
        self._flow()
        self._report_meter()

    def _heat(self, value: float | None) -> None:
        low, high = TEMPERATURES_C
        if value is None or not low <= value <= high:
            raise SimRefused(f"temperature = {value}: {low:g} to {high:g} °C can be set")
        self._temperature_c = value
        self._reports.temperature(value)

    # What the bench and the simulator process look at

    @property
    def pilot(self) -> PilotState:
        """Return the present pilot state."""
        if Fault.PILOT_FAULT in self._faults:
            return PilotState.E
        if self._plugs.vehicle is None:
            return PilotState.A
        if not self._s2_closed:
            return PilotState.B
        return PilotState.D if self._plugs.vehicle.needs_ventilation else PilotState.C

    @property
    def outlet_closed(self) -> bool:
        """Return what the mirror contact shows."""
        return self._outlet_closed

    @property
    def locked(self) -> bool:
        """Return whether the plug is locked."""
        return self._locked

    @property
    def light(self) -> Light:
        """Return what the lamp shows."""
        return self._light

    @property
    def offer_a(self) -> float:
        """Return the current on offer in A; 0 while PWM is off."""
        return self._effective_ma / 1000

    @property
    def live_phases(self) -> int:
        """Return how many phases a vehicle has before it."""
        return self._live_phases

    @property
    def faults(self) -> frozenset[Fault]:
        """Return what is broken now."""
        return frozenset(self._faults)

    def reading(self) -> MeterReading:
        """Return what the meter would show now, whether or not it is well."""
        reading = self._register.reading(_now_us())
        if self._signer is None:
            return reading
        signed = self._signer.signed(reading.energy_import_wh)
        return structs.replace(reading, signed=signed)

    def ceiling_wh(self, ahead_s: float) -> float:
        """Return what the register cannot exceed within this time from now, in Wh."""
        reading = self.reading()
        if not self._outlet_closed:
            return reading.energy_import_wh
        most_ma = max(self._max_ma, self._forced_ma or 0, self._register.draw.from_ma)
        most_w = sum((reading.voltage_v.l1, reading.voltage_v.l2, reading.voltage_v.l3))
        return reading.energy_import_wh + most_w * most_ma / 1000 * ahead_s / 3600

    # The board's own logic

    @property
    def _is_well(self) -> bool:
        return self._faults.keys() <= HARMLESS_FAULTS

    @property
    def _effective_ma(self) -> int:
        return self._offer_ma if self._is_well else 0

    def _may_close(self) -> bool:
        return self.pilot in READY_STATES and self._effective_ma > 0

    def _require_answer(self) -> None:
        if self._reports.is_silent:
            raise BusError("the simulated controller does not answer")

    def _consider(self) -> None:
        """Let vehicle and board follow what has just changed."""
        vehicle = self._plugs.vehicle
        if vehicle is None or not vehicle.ready:
            self._reaction.stop()
            self._s2_closed = False
        elif vehicle.wants(self._effective_ma) == self._s2_closed:
            self._reaction.stop()
        elif not self._reaction.is_set:
            least_s = min(vehicle.reaction_s, SWITCH_OFF_S)
            self._reaction.start(least_s if self._s2_closed else vehicle.reaction_s)
        self._settle_pilot()

    def _react(self) -> None:
        self._s2_closed = not self._s2_closed
        self._settle_pilot()

    def _settle_pilot(self) -> None:
        if self.pilot not in READY_STATES:
            self._operate(closed=False)
        self._flow()
        if self._reports.shown != (self.pilot, self._plugs.connector_id):
            self._reports.pilot(self.pilot, self._plugs.connector_id)

    def _operate(self, *, closed: bool) -> None:
        self._target_closed = closed
        if closed == self._outlet_closed:
            self._contactor.stop()
        elif not self._contactor.is_set:
            self._contactor.start(CONTACTOR_S)

    def _move_contactor(self) -> None:
        if Fault.CONTACTOR_FAULT in self._faults:
            self._contactor.start(REPEAT_S)  # hal.api, clause O4
        else:
            self._outlet_closed = self._target_closed
            self._flow()
        self._reports.outlet(closed=self._outlet_closed)

    def _flow(self) -> None:
        """Set the current that vehicle, offer and contactor make now."""
        now_us, old, vehicle = _now_us(), self._register.draw, self._plugs.vehicle
        phases, aim_ma, span_s = 0, 0, 0.0
        if vehicle is not None and self._s2_closed and self._outlet_closed:
            phases = min(vehicle.phases, self._live_phases)
            aim_ma, span_s = vehicle.draws_ma(self._effective_ma), vehicle.adapt_s
            if self._forced_ma is not None:
                aim_ma, span_s = self._forced_ma, 0.0
        if (aim_ma, phases) == (old.to_ma, self._register.energized_phases) and span_s:
            return
        start_ma = old.current_ma(now_us) if span_s else aim_ma
        draw = Draw(
            start_us=now_us, from_ma=start_ma, to_ma=aim_ma, span_us=round(span_s * 1e6)
        )
        self._register.follow(draw, phases)
        if draw.flows != old.flows:
            self._report_meter()

    # Reports

    def _report_levels(self) -> None:
        self._reports.cable(self._plugs.cable_a)
        if self._capabilities.has_lock:
            self._reports.lock(locked=self._locked)
        self._reports.pilot(self.pilot, self._plugs.connector_id)
        self._reports.outlet(closed=self._outlet_closed)
        if self._temperature_c is not None:
            self._reports.temperature(self._temperature_c)

    def _report_meter(self) -> None:
        if self._reports.listener is None:
            return
        self._reports.meter(self.reading())
        flows = self._register.draw.flows
        self._next_reading.start(self._report_s if flows else self._idle_report_s)


def _flag(point: str, value: float | None) -> bool:
    if value not in (0.0, 1.0):
        raise SimRefused(f"{point} = {value}: 0 and 1 can be set")
    return value == 1.0


def _now_us() -> int:
    return round(asyncio.get_running_loop().time() * 1e6)
