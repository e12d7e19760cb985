"""The electrical side of a simulated meter: voltage, current and the energy register.

The register is an integer in picojoules (mV · mA · µs), so adding up a million small pieces
gives the same as one large piece, and a later reading is never smaller than an earlier one.
"""

from hal.sim.vehicle import Draw, SimRefused
from hal.types import MeterReading, Phases

VOLTAGE_V = 230.0
"""Nominal voltage between line and neutral (IEC 60038)."""

FREQUENCY_HZ = 50.0

RANGES = {
    "voltage_l1": (0.0, 500.0),
    "voltage_l2": (0.0, 500.0),
    "voltage_l3": (0.0, 500.0),
    "frequency": (0.0, 100.0),
    "energy_import": (0.0, 1e12),
}
"""What a bench may set, and from where to where: V, Hz and Wh."""

_PJ_PER_WH = 3_600 * 10**12


class Register:
    """Voltage and current of up to three phases, and the energy that has flowed.

    Args:
        phases: how many are wired, 1 or 3; the others have no voltage.
        energy_wh: the register at the start.
    """

    def __init__(self, *, phases: int, energy_wh: float) -> None:
        self.draw = Draw()
        self.energized_phases = 0
        self._frequency_hz = FREQUENCY_HZ
        self._settled_pj = round(energy_wh * _PJ_PER_WH)
        self._voltage_mv = [round(VOLTAGE_V * 1000) if n < phases else 0 for n in range(3)]
        self._voltage_v = self._shown_v()

    def energy_wh(self, at_us: int) -> float:
        """Return the import register in Wh at an instant not before the last change."""
        return self._energy_pj(at_us) / _PJ_PER_WH

    def follow(self, draw: Draw, phases: int) -> None:
        """Continue with another draw, from its start on, on the first `phases` phases."""
        self._settled_pj = self._energy_pj(draw.start_us)
        self.draw, self.energized_phases = draw, phases

    def set(self, point: str, value: float | None, at_us: int) -> None:
        """Change one of `RANGES` from now on; `energy_import` as if the meter was exchanged.

        Raises:
            SimRefused: no such point, or the value is out of its range; nothing changed.
        """
        if point not in RANGES:
            raise SimRefused(
                f"point {point!r}: there are {', '.join(RANGES)}, temperature, draw"
            )
        low, high = RANGES[point]
        if value is None or not low <= value <= high:
            raise SimRefused(f"{point} = {value}: {low:g} to {high:g} can be set")
        self._settle(at_us)
        match point:
            case "frequency":
                self._frequency_hz = value
            case "energy_import":
                self._settled_pj = round(value * _PJ_PER_WH)
            case _:
                self._voltage_mv[int(point[-1]) - 1] = round(value * 1000)
                self._voltage_v = self._shown_v()

    def power_w(self, current_ma: int) -> float:
        """Return the power in W at this current on the energized phases."""
        return self._live_mv() * current_ma / 1e6

    def reading(self, at_us: int) -> MeterReading:
        """Return what the meter shows at an instant not before the last change."""
        now_ma = self.draw.current_ma(at_us)
        live = [now_ma / 1000] * self.energized_phases + [0.0] * (3 - self.energized_phases)
        return MeterReading(
            energy_import_wh=self.energy_wh(at_us),
            power_w=self.power_w(now_ma),
            current_a=Phases(*live),
            voltage_v=self._voltage_v,
            frequency_hz=self._frequency_hz,
        )

    def _shown_v(self) -> Phases:
        return Phases(*(millivolts / 1000 for millivolts in self._voltage_mv))

    def _live_mv(self) -> int:
        return sum(self._voltage_mv[: self.energized_phases])

    def _energy_pj(self, at_us: int) -> int:
        return self._settled_pj + self._live_mv() * self.draw.charge_ma_us(at_us)

    def _settle(self, at_us: int) -> None:
        draw = self.draw
        left_us = max(0, draw.start_us + draw.span_us - at_us)
        rest = Draw(
            start_us=at_us, from_ma=draw.current_ma(at_us), to_ma=draw.to_ma, span_us=left_us
        )
        self.follow(rest, self.energized_phases)
