"""Whether a meter's reading can be true, whichever driver brought it.

Hardware reference 1.5, rule 12: the last judge, behind the ranges of a register map and behind
the drivers of others.

The bounds are those of the hardware and not of the setpoint: a vehicle that draws too much must
be seen to do so.
"""

import math
from typing import Final

from hal.types import MAX_OFFER_A, MeterReading

MOST_V: Final = 300.0
MOST_A: Final = 1.5 * MAX_OFFER_A
FREQUENCIES_HZ: Final = (45.0, 65.0)
MOST_W: Final = 3 * MOST_V * MOST_A
MOST_DC_V: Final = 1500.0
MOST_DC_A: Final = 3000.0
STEP_WH: Final = 1000.0
"""One step of the coarsest register, of whole kWh."""

_SECONDS_PER_HOUR: Final = 3600.0


class Sanity:
    """The judge of one meter; it remembers the register that was accepted last."""

    def __init__(self, *, rated_a: float = MAX_OFFER_A) -> None:
        """Say what the EVSE is wired for, in A per phase; PWM can offer no more than 80."""
        self._larger = max(1.0, rated_a / MAX_OFFER_A)
        self._accepted: tuple[float, float] | None = None  # Wh, instant

    def problem(self, reading: MeterReading, at_s: float) -> str:
        """Return what cannot be in a reading, empty when it is accepted.

        Args:
            at_s: when it came, in seconds of a clock that never goes back.
        """
        problem = _problem(reading, self._larger) or self._register_problem(
            reading.energy_import_wh, at_s
        )
        if not problem:
            self._accepted = (reading.energy_import_wh, at_s)
        return problem

    def _register_problem(self, energy_wh: float, at_s: float) -> str:
        if not 0.0 <= energy_wh < math.inf:
            return f"the register is {energy_wh:g} Wh"
        if self._accepted is None:
            return ""
        before_wh, before_s = self._accepted
        if energy_wh < before_wh:
            return f"the register fell from {before_wh:g} to {energy_wh:g} Wh"
        most_wh = self._larger * MOST_W * (at_s - before_s) / _SECONDS_PER_HOUR + STEP_WH
        if energy_wh - before_wh > most_wh:
            return (
                f"the register rose by {energy_wh - before_wh:g} Wh, possible are {most_wh:g}"
            )
        return ""


def _problem(reading: MeterReading, larger: float) -> str:
    """Return which value is out of the range of what hardware can show; NaN always is.

    Args:
        larger: how many times the largest EVSE with PWM this one is, at least 1.
    """
    volts, amps, most_a = reading.voltage_v, reading.current_a, larger * MOST_A
    if not (
        0.0 <= volts.l1 <= MOST_V and 0.0 <= volts.l2 <= MOST_V and 0.0 <= volts.l3 <= MOST_V
    ):
        return f"voltages of {volts} V"
    if not (abs(amps.l1) <= most_a and abs(amps.l2) <= most_a and abs(amps.l3) <= most_a):
        return f"currents of {amps} A"
    if not abs(reading.power_w) <= larger * MOST_W:
        return f"a power of {reading.power_w:g} W"
    if reading.dc is not None and not (
        0.0 <= reading.dc.voltage_v <= MOST_DC_V and abs(reading.dc.current_a) <= MOST_DC_A
    ):
        return f"{reading.dc.voltage_v:g} V and {reading.dc.current_a:g} A of direct current"
    least_hz, most_hz = FREQUENCIES_HZ
    if reading.frequency_hz is not None and not least_hz <= reading.frequency_hz <= most_hz:
        return f"a frequency of {reading.frequency_hz:g} Hz"
    return ""
