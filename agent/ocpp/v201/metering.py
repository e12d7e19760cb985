"""Block J on the wire: samples as MeterValueType."""

import base64
import math
from collections.abc import Iterable, Mapping
from typing import cast

from agent.core import variables
from agent.core.effects import MeterSampled, MeterValuesReported
from agent.core.values import Measurand, Quantity, ReadingContext, Sample
from agent.ocpp.adapter import View
from agent.ocpp.v201.datatypes import Measurand as MeasurandWord
from agent.ocpp.v201.datatypes import (
    MeterValue,
    Phase,
    SampledValue,
    SignedMeterValue,
    UnitOfMeasure,
)
from agent.ocpp.v201.messages import MeterValuesRequest
from agent.ocpp.wire_time import to_text
from hal.types import LONGEST_SIGNED

_DECIMALS = 6
"""Most fractional digits that a decimal has on the wire (OCPP 2.0.1 part 2, 2.1.3)."""

_WATT_HOURS, _WATTS = UnitOfMeasure("Wh"), UnitOfMeasure("W")
_REACTIVE = UnitOfMeasure("var")
_PERCENT = UnitOfMeasure("Percent")
_AMPERES, _VOLTS, _HERTZ = UnitOfMeasure("A"), UnitOfMeasure("V"), UnitOfMeasure("Hz")

_UNITS: Mapping[Measurand, UnitOfMeasure | None] = {
    Measurand.CURRENT_IMPORT: _AMPERES,
    Measurand.CURRENT_OFFERED: _AMPERES,
    Measurand.ENERGY_IMPORT: _WATT_HOURS,
    Measurand.ENERGY_EXPORT: _WATT_HOURS,
    Measurand.FREQUENCY: _HERTZ,
    Measurand.POWER_IMPORT: _WATTS,
    Measurand.POWER_OFFERED: _WATTS,
    Measurand.POWER_EXPORT: _WATTS,
    Measurand.POWER_FACTOR: None,
    Measurand.REACTIVE_EXPORT: _REACTIVE,
    Measurand.REACTIVE_IMPORT: _REACTIVE,
    Measurand.SOC: _PERCENT,
    Measurand.VOLTAGE: _VOLTS,
}
"""Units by measurand; what is not here has no word in 2.0.1."""


def meter_values(samples: Iterable[Sample], view: View) -> tuple[MeterValue, ...] | None:
    """Return one meter value per instant, in order; None when there is none to tell."""
    values = tuple(
        MeterValue(to_text(view.told_s(sample.at)), figures)
        for sample in samples
        if (figures := _figures(sample, view))
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


def _figures(sample: Sample, view: View) -> tuple[SampledValue, ...]:
    # JSON has no word for infinity or "not a number".
    return tuple(
        _figure(quantity, sample, view)
        for quantity in sample.quantities
        if math.isfinite(quantity.value) and quantity.measurand in _UNITS
    )


def _figure(quantity: Quantity, sample: Sample, view: View) -> SampledValue:
    is_signed = quantity.measurand is Measurand.ENERGY_IMPORT
    context = sample.context
    return SampledValue(
        round(quantity.value, _DECIMALS),
        context=context.value,
        # What has a unit above is a word of the version.
        measurand=cast("MeasurandWord", quantity.measurand.value),
        # Quantity names its six phases in words of the version.
        phase=cast("Phase | None", quantity.phase),
        location="EV" if quantity.measurand is Measurand.SOC else "Outlet",
        signed_meter_value=_signed(sample, view) if is_signed else None,
        unit_of_measure=_UNITS[quantity.measurand],
    )


def _signed(sample: Sample, view: View) -> SignedMeterValue | None:
    """Return what the meter signed, in base64; None when it is too long to be carried."""
    signed = sample.signed
    if signed is None or len(signed.data.encode()) > LONGEST_SIGNED:
        return None
    when = view.settings.text(variables.PUBLIC_KEY)
    is_first = sample.context is ReadingContext.TRANSACTION_BEGIN
    is_told = when == "EveryMeterValue" or (when == "OncePerTransaction" and is_first)
    key = signed.public_key if is_told and len(signed.public_key) <= LONGEST_SIGNED else ""
    return SignedMeterValue(
        _base64(signed.data), signed.method[:50], signed.encoding[:50], _base64(key)
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
