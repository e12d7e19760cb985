"""What a simulated vehicle tells by ISO 15118, through the control socket.

    sim.needs     {evse_id, energy_wh, max_a?, min_a?, voltage_v?, phases?, departs_at?}
    sim.negotiate the same: from its transaction on the vehicle tells and chooses by itself
    sim.choose    {evse_id, schedule_id, periods: [[start_s, limit_a], ...], duration_s?}

The simulated board knows no digital communication: these go to the core as its driver would
bring them. `ISO15118Ctrlr.Enabled` has to be true.
"""

import datetime as dt
import math
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.core.events import VehicleNeedsTold, VehicleScheduleChosen
from agent.core.smart_charging.needs import ChargingNeeds, Transfer
from agent.core.smart_charging.profile import Period, Schedule, Unit, milli

EvseId = Annotated[int, Meta(ge=1, le=64)]
Ampere = Annotated[int, Meta(ge=0, le=80)]
Seconds = Annotated[int, Meta(ge=0, le=604_800)]
Step = tuple[Seconds, Annotated[float, Meta(ge=0.0, le=80.0)]]

_TRANSFERS: Final = {
    1: Transfer.SINGLE_PHASE,
    2: Transfer.TWO_PHASE,
    3: Transfer.THREE_PHASE,
}


class NeedsParams(msgspec.Struct, forbid_unknown_fields=True):
    """What the vehicle needs until it leaves."""

    evse_id: EvseId
    energy_wh: Annotated[int, Meta(ge=0, le=1_000_000)]
    max_a: Ampere = 32
    min_a: Ampere = 6
    voltage_v: Annotated[int, Meta(ge=0, le=1_000)] = 230
    phases: Annotated[int, Meta(ge=1, le=3)] = 3
    departs_at: Annotated[dt.datetime, Meta(tz=True)] | None = None

    def event(self) -> VehicleNeedsTold:
        """Return what happened."""
        departs_s = None if self.departs_at is None else math.floor(self.departs_at.timestamp())
        needs = ChargingNeeds(
            _TRANSFERS[self.phases],
            self.energy_wh,
            self.min_a,
            self.max_a,
            self.voltage_v,
            departs_s,
        )
        return VehicleNeedsTold(self.evse_id, needs)


class ChooseParams(msgspec.Struct, forbid_unknown_fields=True):
    """How the vehicle is going to charge, in A per phase from now on."""

    evse_id: EvseId
    schedule_id: int
    periods: Annotated[list[Step], Meta(min_length=1, max_length=1024)]
    duration_s: Annotated[int, Meta(ge=1, le=604_800)] | None = None

    def __post_init__(self) -> None:
        starts = [start_s for start_s, _ in self.periods]
        if starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError("periods start at 0 and grow")

    def event(self) -> VehicleScheduleChosen:
        """Return what happened."""
        periods = tuple(Period(start_s, milli(limit_a)) for start_s, limit_a in self.periods)
        schedule = Schedule(Unit.AMPERE, periods, self.schedule_id, duration_s=self.duration_s)
        return VehicleScheduleChosen(self.evse_id, schedule)


class NegotiateParams(NeedsParams, forbid_unknown_fields=True):
    """What a vehicle needs that negotiates by itself."""


VEHICLE: Final[Mapping[str, type[NeedsParams] | type[ChooseParams]]] = {
    "sim.needs": NeedsParams,
    "sim.negotiate": NegotiateParams,
    "sim.choose": ChooseParams,
}
