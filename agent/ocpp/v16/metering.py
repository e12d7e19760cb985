"""MeterValues, and samples as 1.6 writes them (1.6 reference, chapter 5).

Values are decimal text. Context, measurand, location and unit are always written, because
many CSMSs do not apply the defaults. Frequency and power factor have no unit in 1.6, and
temperature one that is misspelt on purpose (OCPP-J errata 2025-04).
"""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, TypeGuard, get_args

from agent.core.effects import MeterSampled, MeterValuesReported
from agent.core.values import Measurand, Quantity, ReadingContext, Sample, SignedReading
from agent.ocpp.adapter import Call, View
from agent.ocpp.v16 import numbering, wire
from agent.ocpp.v16.messages import (
    MeterValue,
    MeterValuesRequest,
    PhaseWord,
    SampledValue,
    UnitWord,
)
from agent.ocpp.wire_time import to_text

UNITS: Mapping[Measurand, UnitWord | None] = {
    Measurand.CURRENT_IMPORT: "A",
    Measurand.CURRENT_OFFERED: "A",
    Measurand.ENERGY_IMPORT: "Wh",
    Measurand.ENERGY_EXPORT: "Wh",
    Measurand.FREQUENCY: None,
    Measurand.POWER_IMPORT: "W",
    Measurand.POWER_OFFERED: "W",
    Measurand.POWER_EXPORT: "W",
    Measurand.POWER_FACTOR: None,
    Measurand.REACTIVE_EXPORT: "var",
    Measurand.REACTIVE_IMPORT: "var",
    Measurand.SOC: "Percent",
    Measurand.TEMPERATURE: "Celcius",
    Measurand.VOLTAGE: "V",
}

_LOCATIONS: Mapping[Measurand, Literal["Body", "EV"]] = {
    Measurand.SOC: "EV",
    Measurand.TEMPERATURE: "Body",
}
"""Where it is measured, if not at the outlet."""

_PHASE_WORDS = frozenset(get_args(PhaseWord))


def decimal_text(value: float) -> str:
    """Return a finite number with at most three decimals and without an exponent."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def meter_values(samples: Iterable[Sample], view: View) -> tuple[MeterValue, ...]:
    """Return samples in their order; what holds no finite number is left out."""
    values = (_meter_value(sample, view) for sample in samples)
    return tuple(value for value in values if value.sampled_value)


def sampled(record: MeterSampled, view: View) -> Call | None:
    """Return a MeterValues outside of transactions."""
    connector = numbering.number(view.specs, record.evse_id, record.connector_id)
    return call(connector, None, (record.sample,), view)


def present(message: MeterValuesReported, view: View) -> Call | None:
    """Return a MeterValues that the CSMS asked for.

    A transaction whose start it has not yet taken has no number to name.
    """
    connector = numbering.number(view.specs, message.evse_id, message.connector_id)
    delivery = view.delivery(message.transaction_id) if message.transaction_id else None
    return call(connector, numbering.transaction(delivery), (message.sample,), view)


def call(
    connector: int, transaction_id: int | None, samples: Iterable[Sample], view: View
) -> Call | None:
    """Return a MeterValues, None when the samples hold nothing to tell."""
    values = meter_values(samples, view)
    if not values:
        return None
    payload = MeterValuesRequest(
        connector_id=connector, meter_value=values, transaction_id=transaction_id
    )
    return wire.call("MeterValues", payload)


def _meter_value(sample: Sample, view: View) -> MeterValue:
    values = tuple(
        _sampled_value(quantity, sample.context)
        for quantity in sample.quantities
        if math.isfinite(quantity.value)
    )
    if sample.signed is not None:
        values += (_signed_value(sample.signed, sample.context),)
    return MeterValue(timestamp=to_text(view.told_s(sample.at)), sampled_value=values)


def _signed_value(signed: SignedReading, context: ReadingContext) -> SampledValue:
    """Pass on what the meter signed, beside the plain value (1.6 reference 5.6)."""
    return SampledValue(
        value=signed.data,
        context=context.value,
        format="SignedData",
        measurand=Measurand.ENERGY_IMPORT.value,
        location="Outlet",
        unit="Wh",
    )


def _sampled_value(quantity: Quantity, context: ReadingContext) -> SampledValue:
    return SampledValue(
        value=decimal_text(quantity.value),
        context=context.value,
        measurand=quantity.measurand.value,
        phase=quantity.phase if _is_phase(quantity.phase) else None,
        location=_LOCATIONS.get(quantity.measurand, "Outlet"),
        unit=UNITS[quantity.measurand],
    )


def _is_phase(text: str | None) -> TypeGuard[PhaseWord]:
    return text in _PHASE_WORDS
