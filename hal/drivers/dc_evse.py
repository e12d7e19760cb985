"""An EVSE that charges with direct current, as one more controller.

What the core offers, A per phase of the supply, becomes the power that may leave the
converter:

    power = offer x supply voltage x phases x efficiency

so that limits of the grid connection hold for a DC outlet as for any other, and what is lost
in the converter counts against the vehicle. `energize` allows the contactor to close; when it
does is decided by the sequence (`hal.dc.sequence`), which is looked at on every report and
ten times a second while a vehicle is charged.

What is reported as the EVSE's own:

    pilot    what the vehicle's side says; without it the EVSE is lost
    outlet   what the mirror contact says
    faults   those of every device, and the reason for which a charge was cut
    meter    the outlet's, its power also as currents of the supply
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from hal.api import EvseController, EvseListener, Meter
from hal.dc.seen import NEVER
from hal.dc.sequence import Sequence, Stage, outputs, step
from hal.dc_api import OutletOwner
from hal.dc_types import DcRating
from hal.drivers.dc_parts import Crew, Parts, Picture, now_s
from hal.errors import BusError
from hal.types import (
    MIN_OFFER_A,
    EvseCapabilities,
    Fault,
    MeterReading,
    Phases,
    PilotState,
    Value,
)

logger = logging.getLogger(__name__)

LOOK_S: Final = 0.1
REST_S: Final = 1.0
"""From one look to the next, with a vehicle that is being charged and without."""

GRACE_S: Final = 5.0
"""After a start it may take so long until everything has been heard."""

_RESTING: Final = frozenset({Stage.IDLE, Stage.OFFERED})


class Supply(Value, frozen=True):
    """What the EVSE draws from, and what of it reaches the vehicle.

    Attributes:
        max_a: A per phase, 6 or more.
        phases: 1 or 3.
        voltage_v: nominal, line to neutral.
        efficiency: of the converter at its worst, more than 0, at most 1.
    """

    max_a: float
    phases: int
    voltage_v: float
    efficiency: float

    @property
    def watts_per_a(self) -> float:
        """Return what may leave the converter for each A per phase."""
        return self.voltage_v * self.phases * self.efficiency


class DcEvse(EvseController, OutletOwner):
    """Converter, isolation monitor, vehicle's side and contactor of one outlet."""

    def __init__(self, parts: Parts, rating: DcRating, supply: Supply) -> None:
        """Say what it is made of; nothing is sent yet."""
        self._parts, self._rating, self._supply = parts, rating, supply
        self._picture: Picture | None = None  # None: it does not run
        self._sequence = Sequence()
        self._offer_a, self._expires_s = 0.0, NEVER
        self._is_wanted = False
        self._is_known: bool | None = None
        self._told_faults: set[Fault] = set()
        self._told_pilot: PilotState | None = None
        self._told_closed: bool | None = None

    @property
    def stage(self) -> Stage:
        """Return where the charge stands."""
        return self._sequence.stage

    def metered(self, meter: Meter) -> Meter:
        """Return the outlet's meter as that of this EVSE."""
        return _OutletMeter(meter, self)

    # --- commands ---

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Allow a power, as A per phase of the supply; see `EvseController.offer`.

        Raises:
            BusError: the vehicle's side is not there.
            ValueError: the limit is neither 0 nor 6 A to that of the supply, or valid_s is not
                positive.
        """
        most_a = self._supply.max_a
        if not (limit_a == 0 or MIN_OFFER_A <= limit_a <= most_a) or not valid_s > 0:
            raise ValueError(
                f"limit_a = {limit_a}, valid_s = {valid_s}: 0 or {MIN_OFFER_A:g} to"
                f" {most_a:g} A can be offered, for more than 0 s"
            )
        picture = self._required()
        self._offer_a, self._expires_s = limit_a, now_s() + valid_s
        picture.changed.set()

    async def energize(self, *, closed: bool) -> None:
        """Allow the contactor to close, or have it opened; see `EvseController.energize`.

        Raises:
            BusError: it shall close, and the vehicle's side is not there.
        """
        if closed:
            self._required()
        self._is_wanted = closed
        if self._picture is not None:
            self._picture.changed.set()

    async def lock(self, *, locked: bool) -> None:
        """Do nothing: the plug of a DC cable is held by the vehicle."""

    def _required(self) -> Picture:
        """Return the picture of an EVSE that is known.

        Raises:
            BusError: it is not.
        """
        if self._picture is None or not self._is_known:
            raise BusError("the vehicle's side, or another device, is not there")
        return self._picture

    # --- life ---

    async def run(self, listener: EvseListener) -> None:
        """Serve every device until cancelled; trouble is reported, never raised."""
        self._picture = picture = Picture(self._rating)
        self._sequence = Sequence(since_s=now_s())
        self._offer_a, self._expires_s, self._is_wanted = 0.0, NEVER, False
        self._is_known, self._told_faults = None, set()
        crew = Crew(self._parts, picture, outputs(self._sequence, picture.seen))
        grace_until_s = now_s() + GRACE_S
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(crew.run())
                while True:
                    self._look(picture, crew)
                    self._report(listener, picture, may_wait=now_s() < grace_until_s)
                    await self._rest(picture)
        finally:
            self._picture = self._is_known = None

    async def _rest(self, picture: Picture) -> None:
        pause_s = REST_S if self._sequence.stage in _RESTING else LOOK_S
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await picture.changed.wait()
        picture.changed.clear()

    def _look(self, picture: Picture, crew: Crew) -> None:
        """Look at everything once, and aim the devices by it."""
        instant_s = now_s()
        if instant_s >= self._expires_s:
            self._offer_a, self._is_wanted = 0.0, False
        picture.seen = replace(
            picture.seen,
            now_s=instant_s,
            offer_w=self._offer_a * self._supply.watts_per_a,
            is_wanted=self._is_wanted,
            faults=frozenset(fault for _, fault in picture.faults),
        )
        before = self._sequence
        self._sequence = step(before, picture.seen)
        if self._sequence.stage is not before.stage:
            cut = self._sequence.cut
            reason = f": {cut.info}" if cut is not None else ""
            logger.info("%s to %s%s", before.stage.value, self._sequence.stage.value, reason)
        crew.aim(outputs(self._sequence, picture.seen))

    # --- reports ---

    def _report(self, listener: EvseListener, picture: Picture, *, may_wait: bool) -> None:
        """Tell every level that is new: what is broken before what is seen."""
        vehicle = picture.seen.present
        faults = {fault: info for (_, fault), info in picture.faults.items()}
        cut = self._sequence.cut
        if cut is not None and cut.fault is not None:
            faults.setdefault(cut.fault, cut.info)
        if vehicle is None and (self._is_known is not None or not may_wait):
            faults.setdefault(Fault.COMMUNICATION_FAULT, "the vehicle's side is silent")
        for fault in sorted(faults.keys() - self._told_faults, key=lambda fault: fault.value):
            listener.fault_raised(fault, faults[fault])
        for fault in sorted(self._told_faults - faults.keys(), key=lambda fault: fault.value):
            listener.fault_cleared(fault)
        self._told_faults = set(faults)
        is_known = vehicle is not None and Fault.COMMUNICATION_FAULT not in faults
        if not is_known or vehicle is None:
            self._is_known = False if self._is_known else self._is_known
            return
        if not self._is_known:
            self._is_known = True
            self._told_pilot = self._told_closed = None
            listener.detected(
                EvseCapabilities(self._supply.max_a, self._supply.phases, is_tethered=True)
            )
            listener.cable_changed(None)
        if vehicle.pilot is not self._told_pilot:
            self._told_pilot = vehicle.pilot
            listener.pilot_changed(vehicle.pilot)
        is_closed = picture.seen.is_closed
        if is_closed is not None and is_closed is not self._told_closed:
            self._told_closed = is_closed
            listener.outlet_changed(closed=is_closed)

    # --- the outlet's meter ---

    def completed(self, reading: MeterReading) -> MeterReading:
        """Return a reading of the outlet with what it means for the supply, and the battery.

        Its currents are those that the power takes from the supply: what the offer is compared
        with, and what others cannot have.
        """
        picture, supply = self._picture, self._supply
        soc_pct: float | None = None
        if picture is not None:
            if reading.dc is not None:
                picture.see(meter_v=reading.dc.voltage_v, meter_s=now_s())
            vehicle = picture.seen.present
            soc_pct = vehicle.soc_pct if vehicle is not None else None
        drawn_a = reading.power_w / supply.watts_per_a
        phases = [drawn_a if phase < supply.phases else 0.0 for phase in range(3)]
        volts = [supply.voltage_v if phase < supply.phases else 0.0 for phase in range(3)]
        return replace(
            reading, current_a=Phases(*phases), voltage_v=Phases(*volts), soc_pct=soc_pct
        )


class _OutletMeter(Meter):
    """A meter whose readings are completed by what the EVSE knows."""

    def __init__(self, meter: Meter, evse: DcEvse) -> None:
        self._meter, self._evse = meter, evse

    async def run(self, listener: EvseListener) -> None:
        """Report as the meter does.

        Raises:
            HalError: as the meter does.
        """
        completing: Any = _Completing(listener, self._evse)
        await self._meter.run(completing)


class _Completing:
    """A listener that completes readings, and passes everything else on as it is."""

    def __init__(self, listener: EvseListener, evse: DcEvse) -> None:
        self._listener, self._evse = listener, evse

    def meter_read(self, reading: MeterReading) -> None:
        self._listener.meter_read(self._evse.completed(reading))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)
