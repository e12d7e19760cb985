"""The words that register maps use: points, their units, states and faults.

A map may name nothing else, so whatever reads a device knows what every name means and in
which unit its value arrives. Ranges that a map does not give are those of an AC charging
station: at most 80 A per conductor (IEC 61851-1 annex A), read up to 120 A, and 250 V times
80 A of power.
"""

from fractions import Fraction
from typing import Final

from hal.types import PilotState, Value


class Quantity(Value, frozen=True):
    """A word of the vocabulary.

    Attributes:
        unit: the canonical unit; empty for a ratio or a plain number.
        minimum, maximum: what is plausible when a map is silent, in that unit.
    """

    unit: str
    minimum: float
    maximum: float


CONDUCTORS: Final = ("l1", "l2", "l3")
_MAX_ENERGY_WH: Final = 1e12  # far above any register, far below where a float loses a Wh

METER_POINTS: Final[dict[str, Quantity]] = {
    **{f"voltage_{name}": Quantity("V", 0, 300) for name in CONDUCTORS},
    **{f"current_{name}": Quantity("A", -120, 120) for name in (*CONDUCTORS, "n")},
    **{f"power_{name}": Quantity("W", -20_000, 20_000) for name in CONDUCTORS},
    "voltage_dc": Quantity("V", 0, 1500),  # of an outlet of direct current
    "current_dc": Quantity("A", -3000, 3000),
    "power_total": Quantity("W", -60_000, 60_000),
    "reactive_total": Quantity("var", -60_000, 60_000),
    "apparent_total": Quantity("VA", -60_000, 60_000),
    "power_factor": Quantity("", -1, 1),
    "frequency": Quantity("Hz", 45, 65),
    "temperature": Quantity("C", -40, 125),
    **{
        f"energy_{way}{suffix}": Quantity("Wh", 0, _MAX_ENERGY_WH)
        for way in ("import", "export")
        for suffix in ("", "_l1", "_l2", "_l3")
    },
}

DC_POINTS: Final = ("voltage_dc", "current_dc")
"""What a meter of direct current has in place of conductors."""

_NUMBER: Final = Quantity("", 0, 2**64)

EVSE_POINTS: Final[dict[str, Quantity]] = {
    "state": _NUMBER,  # of the control pilot, by `enum`
    "outlet": Quantity("", 0, 1),  # 1 while the contactor is closed
    "locked": Quantity("", 0, 1),  # 1 while the plug is held
    "cable_limit": Quantity("A", 0, 80),  # 0 without a cable
    "plugged_limit": Quantity("A", 0, 80),  # cable and settings; true with a vehicle only
    "error_bits": _NUMBER,  # faults, by `bits`
    "offered": Quantity("A", 0, 80),  # what the device says that its PWM signals
}
"""What a controller has beside, perhaps, a meter's points."""

VOCABULARY: Final = {**METER_POINTS, **EVSE_POINTS}

UNITS: Final[dict[str, dict[str, Fraction]]] = {
    "V": {"V": Fraction(1), "mV": Fraction(1, 1000), "kV": Fraction(1000)},
    "A": {"A": Fraction(1), "mA": Fraction(1, 1000)},
    "W": {"W": Fraction(1), "mW": Fraction(1, 1000), "kW": Fraction(1000)},
    "var": {"var": Fraction(1), "kvar": Fraction(1000)},
    "VA": {"VA": Fraction(1), "kVA": Fraction(1000)},
    "Wh": {"Wh": Fraction(1), "kWh": Fraction(1000), "MWh": Fraction(1_000_000)},
    "Hz": {"Hz": Fraction(1), "mHz": Fraction(1, 1000)},
    "C": {"C": Fraction(1)},
    "s": {"s": Fraction(1), "ms": Fraction(1, 1000)},
    "": {"": Fraction(1), "%": Fraction(1, 100)},
}
"""For each canonical unit, the units that a map may use and their factors."""

STATES: Final = frozenset(
    {state.value for state in PilotState}
    | {f"{state}{pwm}" for state in "ABCD" for pwm in "12"}
)
"""Pilot states as makers write them: with or without the digit for PWM."""

IDENTITIES: Final = ("serial_number", "model", "firmware")
"""What a device can tell about itself as text."""


def pilot_state(label: str) -> PilotState:
    """Return the state of a label of `STATES`: "C2" is C."""
    return PilotState(label[0])
