"""Samples: what of a reading the settings want to see, in the domain's units."""

from collections.abc import Iterable, Mapping

from agent.core.states import Evse
from agent.core.values import (
    Measurand,
    MeterReading,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
)
from hal.types import Phases

_PHASES = ("L1", "L2", "L3")
_PHASES_N = ("L1-N", "L2-N", "L3-N")


def take(
    evse: Evse,
    at: Stamp,
    context: ReadingContext,
    measurands: Iterable[str],
    *,
    offered_a: float,
    signs: bool = False,
) -> Sample | None:
    """Return the wanted part of an EVSE's reading, None when nothing of it is measured.

    A measurand without a phase means all that is measured of it (1.6 reference 5.3).

    Args:
        measurands: names as the settings hold them, `Voltage` or `Voltage.L1`.
        offered_a: what the EVSE offers now, A per phase; 0 while it pauses.
        signs: add what the meter signed.
    """
    reading = evse.inputs.reading
    if reading is None:
        return None
    figures = _figures(reading, evse, offered_a)
    quantities: list[Quantity] = []
    for name in measurands:
        measurand, _, phase = name.partition(".L")
        found = figures.get(measurand, ())
        quantities += [
            one for one in found if not phase or (one.phase or "").startswith(f"L{phase}")
        ]
    if not quantities:
        return None
    return Sample(at, context, tuple(quantities), reading.signed if signs else None)


def _figures(
    reading: MeterReading, evse: Evse, offered_a: float
) -> Mapping[str, list[Quantity]]:
    """Return everything that is known now, by measurand; absent figures are not in it."""
    count = evse.spec.phases
    power_w, reactive_var = reading.power_w, reading.reactive_var
    volts = _each(reading.voltage_v, count)
    figures: dict[Measurand, list[tuple[float | None, str | None]]] = {
        Measurand.ENERGY_IMPORT: [(reading.energy_import_wh, None)],
        Measurand.ENERGY_EXPORT: [(reading.energy_export_wh, None)],
        Measurand.POWER_IMPORT: [
            (max(power_w, 0.0), None),
            *zip(_positive(reading.power_phases_w, count), _PHASES, strict=False),
        ],
        Measurand.POWER_EXPORT: [(max(-power_w, 0.0), None)],
        Measurand.REACTIVE_IMPORT: [(_part(reactive_var, 1), None)],
        Measurand.REACTIVE_EXPORT: [(_part(reactive_var, -1), None)],
        Measurand.POWER_FACTOR: [(reading.power_factor, None)],
        Measurand.FREQUENCY: [(reading.frequency_hz, None)],
        Measurand.TEMPERATURE: [(evse.inputs.heat_c, None)],
        Measurand.CURRENT_OFFERED: [(offered_a, None)],
        Measurand.POWER_OFFERED: [(offered_a * sum(volts), None)],
        Measurand.CURRENT_IMPORT: [
            *zip(_each(reading.current_a, count), _PHASES, strict=False),
            (reading.current_n_a, "N"),
        ],
        Measurand.SOC: [(reading.soc_pct, None)],
        Measurand.VOLTAGE: [*zip(volts, _PHASES_N, strict=False)],
    }
    if reading.dc is not None:  # an outlet has no phases, and no offer in A
        figures |= {
            Measurand.CURRENT_IMPORT: [(reading.dc.current_a, None)],
            Measurand.CURRENT_OFFERED: [],
            Measurand.VOLTAGE: [(reading.dc.voltage_v, None)],
        }
    return {
        measurand.value: [
            Quantity(measurand, value, phase) for value, phase in found if value is not None
        ]
        for measurand, found in figures.items()
    }


def _each(values: Phases | None, phases: int) -> tuple[float, ...]:
    return () if values is None else (values.l1, values.l2, values.l3)[:phases]


def _positive(values: Phases | None, phases: int) -> tuple[float, ...]:
    return tuple(max(value, 0.0) for value in _each(values, phases))


def _part(value: float | None, sign: int) -> float | None:
    """Return how far a value lies on one side of zero."""
    return None if value is None else max(sign * value, 0.0)
