"""Samples: what of a reading the settings want to see, in the domain's units."""

from collections.abc import Iterable
from itertools import repeat

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
    reading: MeterReading,
    at: Stamp,
    context: ReadingContext,
    measurands: Iterable[str],
    *,
    offered_a: float,
    phases: int,
) -> Sample | None:
    """Return the wanted part of a reading, None when nothing of it is measured.

    Args:
        measurands: names as the settings hold them.
        offered_a: what the EVSE offers now, A per phase; 0 while it pauses.
        phases: of the EVSE, 1 or 3.
    """
    amps, volts = _figures(reading.current_a, phases), _figures(reading.voltage_v, phases)
    whole = {
        Measurand.ENERGY_IMPORT: reading.energy_import_wh,
        Measurand.ENERGY_EXPORT: reading.energy_export_wh,
        Measurand.POWER_IMPORT: reading.power_w,
        Measurand.FREQUENCY: reading.frequency_hz,
        Measurand.CURRENT_OFFERED: offered_a,
        Measurand.POWER_OFFERED: offered_a * sum(volts),
    }
    each = {
        Measurand.CURRENT_IMPORT: (amps, _PHASES),
        Measurand.VOLTAGE: (volts, _PHASES_N),
    }
    quantities: list[Quantity] = []
    for measurand in map(Measurand, measurands):
        if measurand in each:
            figures, names = each[measurand]
            quantities += map(Quantity, repeat(measurand), figures, names)
        elif (value := whole[measurand]) is not None:
            quantities.append(Quantity(measurand, value))
    return Sample(at, context, tuple(quantities)) if quantities else None


def _figures(values: Phases, phases: int) -> tuple[float, ...]:
    return (values.l1, values.l2, values.l3)[:phases]
