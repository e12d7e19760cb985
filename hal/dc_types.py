"""Values of direct current: what the vehicle's side, the isolation monitor and we tell.

The vehicle's side is whatever speaks ISO 15118 or DIN 70121 with the vehicle. It tells where
its conversation stands (`VehicleState`), we tell how far we are (`SupplyState`); both are
levels, complete each time they are told.
"""

import enum
from typing import Annotated, TypeAlias

from msgspec import Meta

from hal.types import PilotState, Value

Volts: TypeAlias = Annotated[float, Meta(ge=0.0, le=1500.0)]
Amps: TypeAlias = Annotated[float, Meta(ge=0.0, le=3000.0)]
Watts: TypeAlias = Annotated[float, Meta(ge=0.0, le=4_500_000.0)]
"""As far as a vehicle can ask: low voltage ends at 1500 V, the largest plug at 3000 A."""


class VehicleStage(enum.Enum):
    """Where the conversation with the vehicle stands; the order is that of a session."""

    NONE = "none"  # no conversation
    SESSION = "session"  # it has begun; nothing electrical is asked for
    CABLE_CHECK = "cable_check"
    PRE_CHARGE = "pre_charge"
    CHARGE = "charge"  # CurrentDemand: the vehicle's contactors are closed
    STOP = "stop"  # it wants no more current
    WELDING_CHECK = "welding_check"  # it looks whether its own contactors are open


class Isolation(enum.Enum):
    """What the vehicle is told about the isolation (DIN 70121 DC_EVSEStatus)."""

    INVALID = "invalid"  # not measured
    VALID = "valid"
    WARNING = "warning"
    FAULT = "fault"


class Halt(enum.Enum):
    """Whether the vehicle is asked to end the session."""

    NONE = "none"
    NORMAL = "normal"  # ramp down, and say goodbye
    EMERGENCY = "emergency"  # the output is off already


class VehicleState(Value, frozen=True, forbid_unknown_fields=True):
    """What the vehicle's side knows.

    Attributes:
        pilot: the settled control pilot; whoever does SLAC owns it.
        voltage_v, current_a: what the vehicle asks for now, at least 0.
        max_v, max_a: what it may be given at most; None until it has said so.
        max_w: likewise; None also when it never says.
        soc_pct: of its battery, 0 to 100; None when it does not tell.
    """

    pilot: PilotState
    stage: VehicleStage = VehicleStage.NONE
    voltage_v: Volts = 0.0
    current_a: Amps = 0.0
    max_v: Volts | None = None
    max_a: Amps | None = None
    max_w: Watts | None = None
    soc_pct: Annotated[float, Meta(ge=0.0, le=100.0)] | None = None


class SupplyState(Value, frozen=True):
    """What the vehicle's side has to know of us.

    Attributes:
        is_offered: the vehicle may have a session: 5 % PWM and SLAC; otherwise neither.
        stage: the stage that we have done what it takes for: a check has passed, a voltage is
            there, a current may flow.
        voltage_v, current_a: of the output now.
        min_v, max_v, max_a, max_w: what we can give now; all 0 when that is nothing.
    """

    is_offered: bool = False
    stage: VehicleStage = VehicleStage.NONE
    voltage_v: float = 0.0
    current_a: float = 0.0
    min_v: float = 0.0
    max_v: float = 0.0
    max_a: float = 0.0
    max_w: float = 0.0
    isolation: Isolation = Isolation.INVALID
    halt: Halt = Halt.NONE


class IsolationReading(Value, frozen=True):
    """What an isolation monitor shows.

    Attributes:
        resistance_ohm: between the output and protective earth, and never more than it
            surely is: the end of the monitor's range when it is beyond, 0 when it is below.
        voltage_v: between the poles; None when it does not measure it.
        is_alarm: the monitor's own alarm has gone off.
    """

    resistance_ohm: float
    voltage_v: float | None = None
    is_alarm: bool = False


class DcRating(Value, frozen=True):
    """What an output may carry by its cable, contactors and board file, all more than 0."""

    max_v: float
    max_a: float
    max_w: float
