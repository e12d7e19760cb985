"""What the pilot and proximity wires say, for boards without a controller of their own. Pure.

    pilot, peak of the high half     A 12 V   B 9 V   C 6 V   D 3 V   E 0 V
    its low half while PWM is on     -12 V through the vehicle's diode; higher: no diode there
    duty of the PWM                  I / 60 up to 51 A, I / 250 + 0.64 above

IEC 61851-1 annexes A and B (hardware reference 1.1 and 1.2).
"""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Final, Generic, TypeVar

from hal.types import PilotState

PERIOD_NS: Final = 1_000_000
"""1 kHz."""

HYSTERESIS_V: Final = 0.3
"""How far a voltage must be beyond a bound to leave a state."""

DIODE_V: Final = -10.0
"""The low half must be below: -12 V, less what the circuit is off by (-11 V is allowed)."""

_BOUNDS: Final = (
    (PilotState.A, 10.5),
    (PilotState.B, 7.5),
    (PilotState.C, 4.5),
    (PilotState.D, 1.5),
    (PilotState.E, -math.inf),
)
_STEEP_A: Final = 51
_WINDOWS: Final = ((1000.0, 13.0), (330.0, 20.0), (150.0, 32.0))
_OPEN_OHM: Final = 4500.0
_RESISTOR_OHM: Final = (50.0, 2700.0)
_THREE: Final = 3

T = TypeVar("T")


def on_ns(limit_a: float) -> int:
    """Return how long the pilot is high in each period, for an offer.

    Args:
        limit_a: 0, or 6 to 80 A; what a nanosecond cannot say is rounded down.

    Returns:
        Nanoseconds of `PERIOD_NS`; all of them for 0 A, which is no PWM (x1).
    """
    if limit_a == 0:
        return PERIOD_NS
    current = Fraction(Decimal(repr(limit_a)))
    duty = current / 60 if current <= _STEEP_A else current / 250 + Fraction(64, 100)
    return math.floor(duty * PERIOD_NS)


def state_of(high_v: float, before: PilotState | None) -> PilotState:
    """Return the state of a voltage.

    Args:
        high_v: of the high half, in V.
        before: what it was; it stays within `HYSTERESIS_V` around its bounds.
    """
    above = math.inf
    for state, low in _BOUNDS:
        if state is before and low - HYSTERESIS_V <= high_v <= above + HYSTERESIS_V:
            return state
        above = low
    return next(state for state, low in _BOUNDS if high_v >= low)


def ampacity_of(ohm: float, phases: int) -> float | None:
    """Return the rating of the cable whose resistor this is, None without a plug.

    Args:
        ohm: between proximity and protective earth; infinite when open.
        phases: 1 or 3; the largest resistor means 70 A or 63 A.

    Raises:
        ValueError: no cable has such a resistor: it is shorted, or between the windows.
    """
    least, most = _RESISTOR_OHM
    if ohm > _OPEN_OHM:
        return None
    if not least <= ohm <= most:
        raise ValueError(f"{ohm:.0f} ohm at the proximity wire are no cable")
    for low, rating_a in _WINDOWS:
        if ohm >= low:
            return rating_a
    return 63.0 if phases == _THREE else 70.0


class Settled(Generic[T]):
    """What has been the same for some samples.

    Attributes:
        value: None until something was.
    """

    def __init__(self, samples: int) -> None:
        self.value: T | None = None
        self._samples, self._seen = samples, 0
        self._candidate: T | None = None

    def feed(self, value: T) -> T | None:
        """Take a sample, and return what is settled now."""
        self._seen = self._seen + 1 if value == self._candidate else 1
        self._candidate = value
        if self._seen >= self._samples:
            self.value = value
        return self.value
