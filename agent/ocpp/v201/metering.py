"""Block J on the wire: samples as MeterValueType."""

import math
from collections.abc import Iterable
from typing import cast

from agent.core.effects import MeterSampled, MeterValuesReported
from agent.core.values import Measurand, Quantity, ReadingContext, Sample
from agent.ocpp.adapter import View
from agent.ocpp.v201.datatypes import MeterValue, Phase, SampledValue, UnitOfMeasure
from agent.ocpp.v201.messages import MeterValuesRequest
from agent.ocpp.wire_time import to_text

_DECIMALS = 6
"""Most fractional digits that a decimal has on the wire (OCPP 2.0.1 part 2, 2.1.3)."""

_WATT_HOURS, _WATTS = UnitOfMeasure("Wh"), UnitOfMeasure("W")
_AMPERES, _VOLTS, _HERTZ = UnitOfMeasure("A"), UnitOfMeasure("V"), UnitOfMeasure("Hz")

_UNITS = {
    Measurand.CURRENT_IMPORT: _AMPERES,
    Measurand.CURRENT_OFFERED: _AMPERES,
    Measurand.ENERGY_IMPORT: _WATT_HOURS,
    Measurand.ENERGY_EXPORT: _WATT_HOURS,
    Measurand.FREQUENCY: _HERTZ,
    Measurand.POWER_IMPORT: _WATTS,
    Measurand.POWER_OFFERED: _WATTS,
    Measurand.VOLTAGE: _VOLTS,
}


def meter_values(samples: Iterable[Sample], view: View) -> tuple[MeterValue, ...] | None:
    """Return one meter value per instant, in order; None when there is none to tell."""
    values = tuple(
        MeterValue(to_text(view.told_s(sample.at)), figures)
        for sample in samples
        if (figures := _figures(sample))
    )
    return values or None


def sampled(record: MeterSampled, view: View) -> MeterValuesRequest | None:
    """Return the message for a sample outside a transaction; None without any figure."""
    return _message(record.evse_id, record.sample, view)


def present(message: MeterValuesReported, view: View) -> MeterValuesRequest | None:
    """Return the message that a trigger asked for; None without any figure."""
    return _message(message.evse_id, message.sample, view)


def _message(evse_id: int, sample: Sample, view: View) -> MeterValuesRequest | None:
    values = meter_values((sample,), view)
    return None if values is None else MeterValuesRequest(evse_id, values)


def _figures(sample: Sample) -> tuple[SampledValue, ...]:
    # JSON has no word for infinity or "not a number".
    return tuple(
        _figure(quantity, sample.context)
        for quantity in sample.quantities
        if math.isfinite(quantity.value)
    )


def _figure(quantity: Quantity, context: ReadingContext) -> SampledValue:
    return SampledValue(
        round(quantity.value, _DECIMALS),
        context=context.value,
        measurand=quantity.measurand.value,
        # Quantity names its six phases in words of the version.
        phase=cast("Phase | None", quantity.phase),
        location="Outlet",
        unit_of_measure=_UNITS[quantity.measurand],
    )
