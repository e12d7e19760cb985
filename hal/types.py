"""Values that hardware speaks: what a pilot, a meter or a fault says, with units.

Everything here is an immutable value without behaviour, shared by drivers, simulators
and the agent's core. Units are SI and never scaled; the suffix of a field names its unit.
"""

import enum

import msgspec


class Value(msgspec.Struct, frozen=True):
    """Base of all immutable values."""


MIN_OFFER_A = 6.0
MAX_OFFER_A = 80.0
"""The least and the most current that PWM can offer (IEC 61851-1 annex A)."""


class PilotState(enum.Enum):
    """State of the control pilot, without its PWM suffix (IEC 61851-1 annex A)."""

    A = "A"  # no vehicle
    B = "B"  # vehicle connected, S2 open: it does not want energy
    C = "C"  # vehicle ready, no ventilation needed
    D = "D"  # vehicle ready, ventilation needed
    E = "E"  # pilot shorted to protective earth or lost
    F = "F"  # EVSE not available


PLUGGED_STATES = frozenset({PilotState.B, PilotState.C, PilotState.D})
READY_STATES = frozenset({PilotState.C, PilotState.D})


class Fault(enum.Enum):
    """What hardware can report as wrong; ChargeX MREC names where one exists."""

    CONNECTOR_LOCK_FAILURE = "ConnectorLockFailure"
    GROUND_FAILURE = "GroundFailure"
    HIGH_TEMPERATURE = "HighTemperature"
    OVER_CURRENT = "OverCurrent"
    OVER_VOLTAGE = "OverVoltage"
    UNDER_VOLTAGE = "UnderVoltage"
    EMERGENCY_STOP = "EmergencyStop"
    PILOT_FAULT = "PilotFault"
    DIODE_FAULT = "DiodeFault"
    PROXIMITY_FAULT = "ProximityFault"
    CONTACTOR_FAULT = "EVSEContactorFault"
    POWER_METER_FAILURE = "PowerMeterFailure"
    READER_FAILURE = "ReaderFailure"
    COMMUNICATION_FAULT = "CommunicationFault"
    INTERNAL_ERROR = "InternalError"
    OTHER_ERROR = "OtherError"


class Light(enum.Enum):
    """What the lamp of an EVSE tells people; colours as in the field (hardware reference 6)."""

    OFF = "off"  # it cannot be used: inoperative
    AVAILABLE = "available"  # green
    WAITING = "waiting"  # yellow: something is still missing, or the charge pauses
    CHARGING = "charging"  # blue
    FAULTED = "faulted"  # red


class Phases(Value, frozen=True, array_like=True):
    """One figure per line conductor."""

    l1: float
    l2: float
    l3: float


class SignedReading(Value, frozen=True):
    """An import register as the meter signed it; opaque to whoever passes it on.

    Attributes:
        data: text of the meter, such as OCMF; at most `LONGEST_SIGNED` characters.
        encoding: how `data` is written: "OCMF", "EDL", "Alfen", …
        method: how it is signed; empty when `data` says so itself.
        public_key: to check it with, in the maker's own form; empty when unknown.
    """

    data: str
    encoding: str
    method: str = ""
    public_key: str = ""


LONGEST_SIGNED = 1800
"""Characters of signed data that OCPP 2.0.1 can carry in base64 (string of 2500)."""


class DcReading(Value, frozen=True):
    """What a meter of direct current shows at an outlet, positive towards the vehicle."""

    voltage_v: float
    current_a: float


class MeterReading(Value, frozen=True):
    """What a meter shows at one instant.

    Attributes:
        energy_import_wh: the import register in Wh, as the meter keeps it. A 64-bit float
            carries a register of 15 digits; energies are differences of two registers
            and never sums of samples.
        power_w: total active power, positive towards the vehicle.
        current_a: per phase; of an outlet of direct current what its power takes from the
            supply.
        voltage_v: per phase, line to neutral; likewise the nominal one of the supply.
        energy_export_wh, frequency_hz: None when the meter does not measure it.
        power_phases_w: active power per phase; None likewise.
        current_n_a: in the neutral conductor.
        reactive_var: total reactive power, positive when inductive.
        power_factor: of the sum, -1 to 1.
        signed: the import register of this instant as the meter signs it.
        dc: of an outlet of direct current.
        soc_pct: how full the vehicle's battery is, 0 to 100, by its own word.
    """

    energy_import_wh: float
    power_w: float
    current_a: Phases
    voltage_v: Phases
    energy_export_wh: float | None = None
    frequency_hz: float | None = None
    power_phases_w: Phases | None = None
    current_n_a: float | None = None
    reactive_var: float | None = None
    power_factor: float | None = None
    signed: SignedReading | None = None
    dc: DcReading | None = None
    soc_pct: float | None = None


class ConverterReading(Value, frozen=True):
    """What a DC power converter measures at its output at one instant.

    Attributes:
        voltage_v: between DC+ and DC-.
        current_a: of all its modules together, positive towards the vehicle.
    """

    voltage_v: float
    current_a: float


class ConverterLimits(Value, frozen=True):
    """What a DC power converter can put out now, with the modules that it has left.

    Attributes:
        min_v, max_v: voltages that it regulates.
        max_a, max_w: of all its modules together; 0 when it can put out nothing.
    """

    min_v: float
    max_v: float
    max_a: float
    max_w: float


NO_OUTPUT = ConverterLimits(0.0, 0.0, 0.0, 0.0)
"""Limits of a converter of which nothing is there or known."""


class CanFrame(Value, frozen=True):
    """One data frame on a CAN line.

    Attributes:
        can_id: extended identifier, 29 bits.
        data: at most eight bytes.
    """

    can_id: int
    data: bytes


class TokenType(enum.Enum):
    """Kinds of id token (OCPP 2.0.1 IdTokenEnumType)."""

    CENTRAL = "Central"
    EMAID = "eMAID"
    ISO14443 = "ISO14443"
    ISO15693 = "ISO15693"
    KEY_CODE = "KeyCode"
    LOCAL = "Local"
    MAC_ADDRESS = "MacAddress"
    NO_AUTHORIZATION = "NoAuthorization"


class IdToken(Value, frozen=True):
    """A credential as presented: its value keeps the case in which it was read.

    Two tokens are the same when `key` agrees (OCPP 2.0.1 C01.FR.25: value without regard
    to case, and type; in 1.6 every token counts as ISO14443).
    """

    value: str
    type: TokenType = TokenType.ISO14443

    @property
    def key(self) -> str:
        """Return the form to compare and to index by."""
        return f"{self.type.value}:{self.value.casefold()}"


class EvseCapabilities(Value, frozen=True):
    """What the hardware of one EVSE was found to be able to do.

    Attributes:
        max_a: what controller and wiring carry, A per phase.
        phases: 1 or 3.
        is_tethered: the cable is fixed to the station.
        has_lock: the socket has a retention lock.
        can_switch_phases: it can connect one phase instead of three.
        meter_type, meter_serial: as the meter tells; None when it does not.
    """

    max_a: float
    phases: int
    is_tethered: bool = False
    has_lock: bool = False
    can_switch_phases: bool = False
    meter_type: str | None = None
    meter_serial: str | None = None
