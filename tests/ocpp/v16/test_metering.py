"""Samples on the wire of 1.6."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.effects import MeterSampled
from agent.core.values import Measurand, Quantity, ReadingContext, Sample
from agent.ocpp.v16.metering import UNITS, decimal_text
from hal.types import SignedReading
from tests.ocpp.v16.facts import ADAPTER, TWO, VIEW, raw, sample, stamp, told


def values(*quantities, context=ReadingContext.CLOCK):
    record = MeterSampled(1, 1, sample(0, context, *quantities))
    return told(record)[1]["meterValue"][0]["sampledValue"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (-0.0001, "0"),
        (16.1, "16.1"),
        (230.0, "230"),
        (100.0, "100"),
        (0.0015, "0.002"),
        (-16.25, "-16.25"),
        (1e-9, "0"),
        (999_999_999_999_999.0, "999999999999999"),
        (1e21, "1000000000000000000000"),
    ],
)
def test_numbers_are_decimal_text(number, text):
    assert decimal_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_decimal_text_has_no_exponent_and_keeps_three_decimals(number):
    text = decimal_text(number)
    assert set(text) <= set("-.0123456789")
    assert math.isclose(float(text), number, abs_tol=0.0006)


@pytest.mark.parametrize(
    ("measurand", "unit"),
    [
        ("Current.Import", "A"),
        ("Current.Offered", "A"),
        ("Energy.Active.Import.Register", "Wh"),
        ("Energy.Active.Export.Register", "Wh"),
        ("Frequency", None),
        ("Power.Active.Import", "W"),
        ("Power.Active.Export", "W"),
        ("Power.Factor", None),
        ("Power.Offered", "W"),
        ("Power.Reactive.Export", "var"),
        ("Power.Reactive.Import", "var"),
        ("Temperature", "Celcius"),
        ("Voltage", "V"),
    ],
)
def test_every_measurand_has_its_unit_and_frequency_none(measurand, unit):
    (value,) = values(Quantity(Measurand(measurand), 5.0))
    assert (value["measurand"], value.get("unit")) == (measurand, unit)


def test_no_measurand_is_missing():
    assert set(UNITS) == set(Measurand)


@pytest.mark.parametrize("phase", ["L1", "L2", "L3", "L1-N", "L2-N", "L3-N"])
def test_a_phase_is_told(phase):
    assert values(Quantity(Measurand.VOLTAGE, 230.1, phase))[0]["phase"] == phase


def test_the_whole_and_an_unknown_phase_have_none():
    found = values(Quantity(Measurand.VOLTAGE, 1.0), Quantity(Measurand.VOLTAGE, 1.0, "L9"))
    assert all("phase" not in value for value in found)


@pytest.mark.parametrize("context", list(ReadingContext))
def test_context_and_location_are_explicit(context):
    (value,) = values(Quantity(Measurand.ENERGY_IMPORT, 1.0), context=context)
    assert (value["context"], value["location"]) == (context.value, "Outlet")


def test_a_sample_outside_a_transaction_has_no_number():
    assert "transactionId" not in told(MeterSampled(1, 1, sample()))[1]


def test_a_sample_names_its_connector():
    assert told(MeterSampled(2, 1, sample()), TWO)[1]["connectorId"] == 3
    assert told(MeterSampled(0, 0, sample()), TWO)[1]["connectorId"] == 0


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_left_out(number):
    bad = Quantity(Measurand.VOLTAGE, number)
    assert len(values(bad, Quantity(Measurand.ENERGY_IMPORT, 1.0))) == 1
    assert told(MeterSampled(1, 1, sample(0, ReadingContext.CLOCK, bad))) is None


def test_the_answer_teaches_nothing():
    record = MeterSampled(1, 1, sample())
    call = ADAPTER.encode_record(record, VIEW, offline=False)
    assert ADAPTER.record_accepted(record, call, raw("null")) == ()


def test_what_the_meter_signed_stands_beside_the_plain_value():
    signed = SignedReading("OCMF|{}|{}", "OCMF")
    energy = Quantity(Measurand.ENERGY_IMPORT, 1234.0)
    record = MeterSampled(1, 1, Sample(stamp(), ReadingContext.CLOCK, (energy,), signed))
    plain, proof = told(record)[1]["meterValue"][0]["sampledValue"]
    assert (plain["value"], "format" in plain) == ("1234", False)
    assert proof == {
        "value": "OCMF|{}|{}",
        "context": "Sample.Clock",
        "format": "SignedData",
        "measurand": "Energy.Active.Import.Register",
        "location": "Outlet",
        "unit": "Wh",
    }


def test_a_state_of_charge_is_that_of_the_vehicle():
    (value,) = values(Quantity(Measurand.SOC, 40.0))
    assert (value["location"], value["unit"]) == ("EV", "Percent")


def test_a_temperature_is_that_of_the_body():
    (value,) = values(Quantity(Measurand.TEMPERATURE, 35.5))
    assert (value["location"], value["unit"]) == ("Body", "Celcius")
