import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.effects import MeterSampled
from agent.core.values import Measurand, Quantity, ReadingContext, Sample, Stamp
from agent.ocpp.adapter import Call
from agent.ocpp.v201.adapter import Adapter201
from tests.ocpp.v201.facts import Facts, ended, raw, sent

UNITS = {
    Measurand.CURRENT_IMPORT: "A",
    Measurand.CURRENT_OFFERED: "A",
    Measurand.ENERGY_IMPORT: "Wh",
    Measurand.ENERGY_EXPORT: "Wh",
    Measurand.FREQUENCY: "Hz",
    Measurand.POWER_IMPORT: "W",
    Measurand.POWER_OFFERED: "W",
    Measurand.VOLTAGE: "V",
}


def sampled(*quantities, context=ReadingContext.CLOCK, evse_id=1):
    sample = Sample(Stamp(1, 0.0), context, quantities)
    return MeterSampled(evse_id, 1, sample)


def told(record):
    call = Adapter201().encode_record(record, Facts(), offline=False)
    return sent(call, "MeterValues")


def figure(quantity, **more):
    return told(sampled(quantity, **more))["meterValue"][0]["sampledValue"][0]


def test_a_sample_outside_a_transaction_names_its_evse():
    """J01.FR.03: evseId 0 is the station's own meter."""
    record = sampled(Quantity(Measurand.POWER_IMPORT, 11_000.0))
    assert told(record)["evseId"] == 1
    assert told(sampled(Quantity(Measurand.POWER_IMPORT, 0.0), evse_id=0))["evseId"] == 0


@pytest.mark.parametrize("measurand", list(Measurand))
def test_every_measurand_has_its_unit(measurand):
    told_figure = figure(Quantity(measurand, 1.0))
    assert told_figure["measurand"] == measurand.value
    assert told_figure["unitOfMeasure"] == {"unit": UNITS[measurand]}
    assert told_figure["location"] == "Outlet"
    assert "phase" not in told_figure


@pytest.mark.parametrize("context", list(ReadingContext))
def test_every_context_is_told_as_it_is(context):
    assert figure(Quantity(Measurand.VOLTAGE, 230.0), context=context)["context"] == (
        context.value
    )


@pytest.mark.parametrize("phase", ["L1", "L2", "L3", "L1-N", "L2-N", "L3-N"])
def test_every_phase_is_told_as_it_is(phase):
    assert figure(Quantity(Measurand.VOLTAGE, 230.0, phase))["phase"] == phase


def test_figures_have_at_most_six_decimals():
    assert figure(Quantity(Measurand.CURRENT_IMPORT, 15.123_456_789))["value"] == 15.123_457


@settings(deadline=None)
@given(st.floats(min_value=-1e9, max_value=1e9))
def test_a_register_is_told_to_the_microwatthour(value):
    assert figure(Quantity(Measurand.ENERGY_IMPORT, value))["value"] == pytest.approx(
        value, abs=1e-6
    )


def test_one_instant_is_one_meter_value_with_all_its_figures():
    record = sampled(
        Quantity(Measurand.CURRENT_IMPORT, 16.0, "L1"),
        Quantity(Measurand.CURRENT_IMPORT, 15.0, "L2"),
        Quantity(Measurand.CURRENT_IMPORT, 14.0, "L3"),
    )
    (value,) = told(record)["meterValue"]
    assert [(one["phase"], one["value"]) for one in value["sampledValue"]] == [
        ("L1", 16.0),
        ("L2", 15.0),
        ("L3", 14.0),
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_left_out(value):
    bad, good = Quantity(Measurand.FREQUENCY, value), Quantity(Measurand.VOLTAGE, 230.0)
    (told_value,) = told(sampled(bad, good))["meterValue"]
    assert [one["measurand"] for one in told_value["sampledValue"]] == ["Voltage"]
    assert Adapter201().encode_record(sampled(bad), Facts(), offline=False) is None
    empty = Sample(Stamp(1, 0.0), ReadingContext.TRANSACTION_END, (bad,))
    call = Adapter201().encode_record(ended(samples=(empty,)), Facts(), offline=False)
    assert "meterValue" not in sent(call, "TransactionEvent")


def test_the_answer_teaches_nothing():
    record = sampled(Quantity(Measurand.VOLTAGE, 230.0))
    assert Adapter201().record_accepted(record, Call("MeterValues", b"{}"), raw({})) == ()
