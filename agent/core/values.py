"""Values that all of the core shares: instants, tokens' standing, samples, the world's offer.

Time has three faces. Deadlines are monotonic seconds of the present boot. Wall time is UTC
seconds since 1970 and may be unknown. A `Stamp` keeps both, so that what happened before
the clock was set can be dated later (agent.core.timebase).
"""

import enum
from collections.abc import Mapping

from hal.types import EvseCapabilities, IdToken, MeterReading, SignedReading, Value

__all__ = ["EvseCapabilities", "IdToken", "MeterReading", "SignedReading", "Value"]


class Stamp(Value, frozen=True, array_like=True):
    """An instant.

    Attributes:
        boot: number of the boot it belongs to; grows by one per start.
        monotonic_s: seconds of that boot's monotonic clock.
        wall_s: UTC seconds since 1970 if the clock was trusted then, else None.
    """

    boot: int
    monotonic_s: float
    wall_s: float | None = None


class Env(Value, frozen=True):
    """The world in one value; the core never asks for anything else.

    Attributes:
        now: the present instant; its `wall_s` is the system clock's, None if implausible.
        fresh_id: a UUID nobody has seen; good for one transaction per step.
        jitter: uniform in [0, 1).
    """

    now: Stamp
    fresh_id: str
    jitter: float = 0.0


class AuthorizationStatus(enum.Enum):
    """Standing of an id token (OCPP 2.0.1 AuthorizationStatusEnumType, the superset)."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    CONCURRENT_TX = "ConcurrentTx"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    NO_CREDIT = "NoCredit"
    NOT_ALLOWED_TYPE_EVSE = "NotAllowedTypeEVSE"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"
    UNKNOWN = "Unknown"


class TokenInfo(Value, frozen=True):
    """What the CSMS says of an id token.

    Attributes:
        expires_wall_s: until when it may be kept or used, UTC seconds; None: no end.
        group: value of the group it belongs to (1.6 parentIdTag, 2.0.1 groupIdToken).
        evse_ids: EVSEs it is valid at; empty means all (2.0.1 C01.FR.21).
        priority: of its transactions among others, -9 to 9; None: not said (2.0.1 K03).
    """

    status: AuthorizationStatus
    expires_wall_s: float | None = None
    group: str | None = None
    evse_ids: tuple[int, ...] = ()
    priority: int | None = None


class RegistrationStatus(enum.Enum):
    """Standing of the station at the CSMS (1.6 and 2.0.1 BootNotification)."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class ChargingState(enum.Enum):
    """OCPP 2.0.1 ChargingStateEnumType."""

    CHARGING = "Charging"
    EV_CONNECTED = "EVConnected"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    IDLE = "Idle"


class Trigger(enum.Enum):
    """Why a transaction record was made (OCPP 2.0.1 TriggerReasonEnumType)."""

    AUTHORIZED = "Authorized"
    CABLE_PLUGGED_IN = "CablePluggedIn"
    CHARGING_RATE_CHANGED = "ChargingRateChanged"
    CHARGING_STATE_CHANGED = "ChargingStateChanged"
    DEAUTHORIZED = "Deauthorized"
    EV_COMMUNICATION_LOST = "EVCommunicationLost"
    METER_VALUE_CLOCK = "MeterValueClock"
    METER_VALUE_PERIODIC = "MeterValuePeriodic"
    REMOTE_START = "RemoteStart"
    REMOTE_STOP = "RemoteStop"
    RESET_COMMAND = "ResetCommand"
    STOP_AUTHORIZED = "StopAuthorized"
    TRIGGER = "Trigger"
    UNLOCK_COMMAND = "UnlockCommand"
    ABNORMAL_CONDITION = "AbnormalCondition"


class StopReason(enum.Enum):
    """What initiated the end of a transaction (2.0.1 ReasonEnumType, and two of 1.6)."""

    DE_AUTHORIZED = "DeAuthorized"
    EMERGENCY_STOP = "EmergencyStop"
    EV_DISCONNECTED = "EVDisconnected"
    GROUND_FAULT = "GroundFault"
    IMMEDIATE_RESET = "ImmediateReset"
    LOCAL = "Local"
    OTHER = "Other"
    OVERCURRENT_FAULT = "OvercurrentFault"
    POWER_LOSS = "PowerLoss"
    POWER_QUALITY = "PowerQuality"
    REBOOT = "Reboot"
    REMOTE = "Remote"
    SOFT_RESET = "SoftReset"
    UNLOCK_COMMAND = "UnlockCommand"


class ReadingContext(enum.Enum):
    """Why a sample was taken (the same words in 1.6 and 2.0.1)."""

    INTERRUPTION_BEGIN = "Interruption.Begin"
    INTERRUPTION_END = "Interruption.End"
    OTHER = "Other"
    CLOCK = "Sample.Clock"
    PERIODIC = "Sample.Periodic"
    TRANSACTION_BEGIN = "Transaction.Begin"
    TRANSACTION_END = "Transaction.End"
    TRIGGER = "Trigger"


class Measurand(enum.Enum):
    """Measurands this station can sample; units are Wh, W, var, A, V, Hz, °C and %."""

    CURRENT_IMPORT = "Current.Import"
    CURRENT_OFFERED = "Current.Offered"
    ENERGY_IMPORT = "Energy.Active.Import.Register"
    ENERGY_EXPORT = "Energy.Active.Export.Register"
    FREQUENCY = "Frequency"
    POWER_EXPORT = "Power.Active.Export"
    POWER_FACTOR = "Power.Factor"
    POWER_IMPORT = "Power.Active.Import"
    POWER_OFFERED = "Power.Offered"
    REACTIVE_EXPORT = "Power.Reactive.Export"
    REACTIVE_IMPORT = "Power.Reactive.Import"
    SOC = "SoC"
    TEMPERATURE = "Temperature"
    VOLTAGE = "Voltage"


class Quantity(Value, frozen=True, array_like=True):
    """One measured value in SI units.

    Attributes:
        phase: "L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N"; None for the whole.
    """

    measurand: Measurand
    value: float
    phase: str | None = None


class Sample(Value, frozen=True):
    """Everything that was measured at one instant; never empty.

    Attributes:
        signed: the import register of that instant as the meter signed it.
    """

    at: Stamp
    context: ReadingContext
    quantities: tuple[Quantity, ...]
    signed: SignedReading | None = None


class BootReason(enum.Enum):
    """Why the station started (OCPP 2.0.1 BootReasonEnumType, as far as it can be told)."""

    APPLICATION_RESET = "ApplicationReset"
    FIRMWARE_UPDATE = "FirmwareUpdate"
    LOCAL_RESET = "LocalReset"
    POWER_UP = "PowerUp"
    REMOTE_RESET = "RemoteReset"
    SCHEDULED_RESET = "ScheduledReset"
    TRIGGERED = "Triggered"
    UNKNOWN = "Unknown"
    WATCHDOG = "Watchdog"


class SessionPhase(enum.Enum):
    """Where the session of an EVSE stands, without regard to a protocol version."""

    FREE = "free"
    PREPARING = "preparing"  # a vehicle without authorization, or the reverse
    CHARGING = "charging"
    SUSPENDED_EV = "suspended_ev"
    SUSPENDED_EVSE = "suspended_evse"
    FINISHING = "finishing"  # transaction over, vehicle still connected


class ConnectorStatus(Value, frozen=True):
    """The neutral, orthogonal facts from which each version projects its status.

    Attributes:
        connector_id: 0 with `evse_id` 0 stands for the station itself.
        fault: MREC name of the fault that prevents charging, None when there is none.
        info: for people, at most 50 characters.
        warning: what is wrong and prevents nothing, None when nothing is.
        is_reserved: kept free for somebody who has not come yet, even if a vehicle has.
    """

    evse_id: int
    connector_id: int
    is_plugged: bool
    phase: SessionPhase
    is_operative: bool
    fault: str | None = None
    info: str = ""
    warning: str | None = None
    is_reserved: bool = False


class EvseSpec(Value, frozen=True):
    """What the board file says of an EVSE.

    Attributes:
        evse_id: 1..n without gaps.
        connectors: how many connectors it has, at least 1.
        max_a: limit of the board file in A per phase.
        phases: 1 or 3.
        conductors: line conductors of the grid, 0 to 2, that its phases are wired to, in
            the order of its meter; empty for the first ones.
        weight: of its share, 1 to 100.
        switches_phases: its vehicle may be charged on one phase instead of three.
        derates_c: temperatures in °C from which the offer is lowered, and at which only
            6 A are left; None without a sensor.
        measures: points of its meter, as register maps name them; None: all there are.
        connector_type: of its connectors, in the words of 2.0.1 (ConnectorEnumType).
        is_dc: it charges with direct current; its A per phase are those of its supply.
    """

    evse_id: int
    connectors: int
    max_a: float
    phases: int
    conductors: tuple[int, ...] = ()
    weight: int = 1
    derates_c: tuple[float, float] | None = None
    switches_phases: bool = False
    measures: tuple[str, ...] | None = None
    is_dc: bool = False
    connector_type: str = "Unknown"

    @property
    def wiring(self) -> tuple[int, ...]:
        """Return the line conductors of its phases, in order."""
        return self.conductors or (0, 1, 2)[: self.phases]

    @property
    def step_ma(self) -> int:
        """Return the finest step of an offer: a duty cycle is coarser than a converter."""
        return 1 if self.is_dc else 100


class Sharing(enum.Enum):
    """How a station-wide limit is divided."""

    FAIR = "fair"
    WEIGHTED = "weighted"
    FIRST_COME = "first-come"  # who came first takes all it can; nobody takes turns


class Terms(Value, frozen=True):
    """What the board file says about sharing.

    Attributes:
        rotate_s: how long a turn lasts while somebody waits.
    """

    sharing: Sharing = Sharing.FAIR
    rotate_s: float = 900.0


class Limit(Value, frozen=True):
    """One bound in A per phase, and where it comes from."""

    origin: str
    limit_a: float


class Bound(Value, frozen=True):
    """One bound as it was given: in A per phase, or in W for all phases together.

    Attributes:
        origin: who set it, as people read it.
        phases: on how many the A per phase may flow, None for all.
    """

    origin: str
    limit_a: float | None = None
    limit_w: float | None = None
    phases: int | None = None


class ExternalLimit(Value, frozen=True):
    """A bound that somebody else than CSMS and hardware has set.

    Attributes:
        evse_id: 0 for the sum over all EVSEs.
        source: "EMS" an energy manager, "SO" the grid operator (OCPP 2.0.1
            ChargingLimitSourceEnumType).
    """

    evse_id: int
    source: str
    bound: Bound


class Bounds(Value, frozen=True):
    """What is in force now beside the hardware's own limits.

    Attributes:
        station: on the sum over all EVSEs; A per line conductor.
        evses: on single EVSEs, by id.
    """

    station: tuple[Bound, ...] = ()
    evses: Mapping[int, tuple[Bound, ...]] = {}

    def also(self, other: "Bounds") -> "Bounds":
        """Return these bounds and others."""
        if not (other.station or other.evses):
            return self
        evses = {
            evse_id: (*self.evses.get(evse_id, ()), *other.evses.get(evse_id, ()))
            for evse_id in sorted(self.evses.keys() | other.evses.keys())
        }
        return Bounds((*self.station, *other.station), evses)


class StationInfo(Value, frozen=True):
    """Who the station says it is; lengths are bounded where the config is read.

    Attributes:
        box_serial_number: of the cabinet, when that is another one (1.6).
        iccid, imsi: of the modem's SIM card.
        meter_type, meter_serial_number: of the main meter (1.6).
    """

    identity: str
    vendor: str
    model: str
    serial_number: str | None = None
    firmware_version: str | None = None
    box_serial_number: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None
