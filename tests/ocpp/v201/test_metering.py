import base64
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.effects import MeterSampled
from agent.core.values import Measurand, Quantity, ReadingContext, Sample, Stamp
from agent.core.variables import PUBLIC_KEY, Settings
from agent.ocpp.adapter import Call
from agent.ocpp.v201.adapter import Adapter201
from hal.types import LONGEST_SIGNED, SignedReading
from tests.ocpp.v201.facts import Facts, ended, raw, sent

UNITS = {
    Measurand.CURRENT_IMPORT: "A",
    Measurand.CURRENT_OFFERED: "A",
    Measurand.ENERGY_IMPORT: "Wh",
    Measurand.ENERGY_EXPORT: "Wh",
    Measurand.FREQUENCY: "Hz",
    Measurand.POWER_IMPORT: "W",
    Measurand.POWER_OFFERED: "W",
    Measurand.POWER_EXPORT: "W",
    Measurand.REACTIVE_EXPORT: "var",
    Measurand.REACTIVE_IMPORT: "var",
    Measurand.SOC: "Percent",
    Measurand.VOLTAGE: "V",
}
WORDLESS = {Measurand.POWER_FACTOR, Measurand.TEMPERATURE}
SIGNED = SignedReading("OCMF|{}|{}", "OCMF", "ECDSA", "3059")


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


@pytest.mark.parametrize("measurand", [one for one in Measurand if one not in WORDLESS])
def test_every_measurand_has_its_unit(measurand):
    told_figure = figure(Quantity(measurand, 1.0))
    assert told_figure["measurand"] == measurand.value
    assert told_figure["unitOfMeasure"] == {"unit": UNITS[measurand]}
    assert told_figure["location"] == ("EV" if measurand is Measurand.SOC else "Outlet")
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


def test_a_power_factor_has_no_unit():
    assert "unitOfMeasure" not in figure(Quantity(Measurand.POWER_FACTOR, 0.9))


def test_what_201_has_no_word_for_is_left_out():
    warm = Quantity(Measurand.TEMPERATURE, 40.0)
    assert Adapter201().encode_record(sampled(warm), Facts(), offline=False) is None
    both = told(sampled(warm, Quantity(Measurand.VOLTAGE, 230.0, "L1-N")))
    assert len(both["meterValue"][0]["sampledValue"]) == 1


def signed_figure(signed=SIGNED, context=ReadingContext.TRANSACTION_BEGIN, keys=None):
    energy = Quantity(Measurand.ENERGY_IMPORT, 1234.0)
    sample = Sample(Stamp(1, 0.0), context, (energy,), signed)
    facts = Facts()
    if keys is not None:
        facts.settings = Settings(factory={PUBLIC_KEY.name: keys})
    call = Adapter201().encode_record(MeterSampled(1, 1, sample), facts, offline=False)
    return sent(call, "MeterValues")["meterValue"][0]["sampledValue"][0]


def test_what_the_meter_signed_is_told_beside_the_register():
    found = signed_figure()["signedMeterValue"]
    assert base64.b64decode(found["signedMeterData"]) == SIGNED.data.encode()
    assert found["signingMethod"] == "ECDSA"
    assert found["encodingMethod"] == "OCMF"
    assert base64.b64decode(found["publicKey"]) == b"3059"


@pytest.mark.parametrize(
    ("keys", "context", "is_told"),
    [
        ("Never", ReadingContext.TRANSACTION_BEGIN, False),
        ("OncePerTransaction", ReadingContext.TRANSACTION_BEGIN, True),
        ("OncePerTransaction", ReadingContext.TRANSACTION_END, False),
        ("EveryMeterValue", ReadingContext.TRANSACTION_END, True),
    ],
)
def test_the_public_key_is_told_as_often_as_the_setting_says(keys, context, is_told):
    found = signed_figure(context=context, keys=keys)["signedMeterValue"]
    assert bool(found["publicKey"]) is is_told


def test_only_the_register_is_signed_and_too_much_is_not_told():
    power = Quantity(Measurand.POWER_IMPORT, 1.0)
    sample = Sample(Stamp(1, 0.0), ReadingContext.CLOCK, (power,), SIGNED)
    payload = told(MeterSampled(1, 1, sample))
    assert "signedMeterValue" not in payload["meterValue"][0]["sampledValue"][0]
    long = SignedReading("x" * (LONGEST_SIGNED + 1), "OCMF")
    assert "signedMeterValue" not in signed_figure(long)
    keyed = SignedReading("x", "OCMF", "", "k" * (LONGEST_SIGNED + 1))
    assert signed_figure(keyed)["signedMeterValue"]["publicKey"] == ""
