"""What a sample contains."""

from msgspec.structs import replace

from agent.core.samples import take
from agent.core.states import Evse, Inputs
from agent.core.values import (
    EvseSpec,
    Measurand,
    MeterReading,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
)
from hal.types import DcReading, Phases, SignedReading

AT = Stamp(1, 60.0, 1_800_000_060.0)
READING = MeterReading(
    energy_import_wh=1234.5,
    power_w=6900.0,
    current_a=Phases(10.0, 11.0, 12.0),
    voltage_v=Phases(229.0, 230.0, 231.0),
    energy_export_wh=7.0,
    frequency_hz=50.01,
    power_phases_w=Phases(2200.0, 2300.0, 2400.0),
    current_n_a=0.5,
    reactive_var=-30.0,
    power_factor=0.99,
    soc_pct=40.0,
    signed=SignedReading("OCMF|…", "OCMF"),
)
BARE = MeterReading(1.0, 2.0, Phases(0.0, 0.0, 0.0), Phases(230.0, 230.0, 230.0))
ALL = [measurand.value for measurand in Measurand]


def an_evse(reading: MeterReading | None, phases: int = 3, heat_c: float | None = 40.0) -> Evse:
    return Evse(EvseSpec(1, 1, 32.0, phases), Inputs(reading=reading, heat_c=heat_c))


def taken(
    reading: MeterReading, *measurands: Measurand | str, phases: int = 3
) -> list[Quantity]:
    names = [one.value if isinstance(one, Measurand) else one for one in measurands]
    evse = an_evse(reading, phases)
    sample = take(evse, AT, ReadingContext.PERIODIC, names, offered_a=16.0)
    assert sample is not None
    return list(sample.quantities)


def test_a_sample_names_its_instant_and_its_reason() -> None:
    sample = take(an_evse(READING), AT, ReadingContext.CLOCK, ALL, offered_a=0.0)
    assert isinstance(sample, Sample)
    assert (sample.at, sample.context) == (AT, ReadingContext.CLOCK)
    assert {quantity.measurand for quantity in sample.quantities} == set(Measurand)


def test_an_outlet_of_direct_current_has_no_phases_and_no_offer_in_amperes() -> None:
    outlet = replace(READING, dc=DcReading(402.0, 120.0))
    wanted = (
        Measurand.VOLTAGE,
        Measurand.CURRENT_IMPORT,
        Measurand.CURRENT_OFFERED,
        Measurand.POWER_OFFERED,
        Measurand.SOC,
    )
    assert taken(outlet, *wanted) == [
        Quantity(Measurand.VOLTAGE, 402.0),
        Quantity(Measurand.CURRENT_IMPORT, 120.0),
        Quantity(Measurand.POWER_OFFERED, 16.0 * 690.0),
        Quantity(Measurand.SOC, 40.0),
    ]


def test_values_stand_in_the_order_of_the_setting() -> None:
    wanted = (Measurand.POWER_IMPORT, Measurand.ENERGY_IMPORT, Measurand.ENERGY_EXPORT)
    assert taken(READING, *wanted) == [
        Quantity(Measurand.POWER_IMPORT, 6900.0),
        Quantity(Measurand.POWER_IMPORT, 2200.0, "L1"),
        Quantity(Measurand.POWER_IMPORT, 2300.0, "L2"),
        Quantity(Measurand.POWER_IMPORT, 2400.0, "L3"),
        Quantity(Measurand.ENERGY_IMPORT, 1234.5),
        Quantity(Measurand.ENERGY_EXPORT, 7.0),
    ]


def test_currents_and_voltages_come_per_phase() -> None:
    assert taken(READING, Measurand.CURRENT_IMPORT, Measurand.VOLTAGE) == [
        Quantity(Measurand.CURRENT_IMPORT, 10.0, "L1"),
        Quantity(Measurand.CURRENT_IMPORT, 11.0, "L2"),
        Quantity(Measurand.CURRENT_IMPORT, 12.0, "L3"),
        Quantity(Measurand.CURRENT_IMPORT, 0.5, "N"),
        Quantity(Measurand.VOLTAGE, 229.0, "L1-N"),
        Quantity(Measurand.VOLTAGE, 230.0, "L2-N"),
        Quantity(Measurand.VOLTAGE, 231.0, "L3-N"),
    ]


def test_an_evse_with_one_phase_tells_one() -> None:
    assert taken(BARE, Measurand.CURRENT_IMPORT, phases=1) == [
        Quantity(Measurand.CURRENT_IMPORT, 0.0, "L1")
    ]


def test_the_offer_is_told_per_phase_and_as_power_of_all_phases() -> None:
    wanted = (Measurand.CURRENT_OFFERED, Measurand.POWER_OFFERED)
    assert [item.value for item in taken(READING, *wanted)] == [16.0, 16.0 * 690.0]
    assert [item.value for item in taken(READING, *wanted, phases=1)] == [16.0, 16.0 * 229.0]


def test_frequency_is_told_where_it_is_measured() -> None:
    assert taken(READING, Measurand.FREQUENCY) == [Quantity(Measurand.FREQUENCY, 50.01)]


def test_what_the_meter_does_not_measure_is_left_out() -> None:
    names = [Measurand.ENERGY_EXPORT.value, Measurand.FREQUENCY.value]
    context = ReadingContext.PERIODIC
    assert take(an_evse(BARE), AT, context, names, offered_a=0.0) is None
    assert taken(BARE, Measurand.FREQUENCY, Measurand.ENERGY_IMPORT) == [
        Quantity(Measurand.ENERGY_IMPORT, 1.0)
    ]


def test_nothing_wanted_is_no_sample() -> None:
    assert take(an_evse(READING), AT, ReadingContext.PERIODIC, (), offered_a=0.0) is None


def test_a_phase_can_be_wanted_alone() -> None:
    assert taken(READING, "Voltage.L2", "Power.Active.Import.L3") == [
        Quantity(Measurand.VOLTAGE, 230.0, "L2-N"),
        Quantity(Measurand.POWER_IMPORT, 2400.0, "L3"),
    ]


def test_power_flows_one_way_or_the_other() -> None:
    back = replace(READING, power_w=-100.0, power_phases_w=None, reactive_var=20.0)
    ways = (Measurand.POWER_IMPORT, Measurand.POWER_EXPORT)
    assert [item.value for item in taken(READING, *ways) if not item.phase] == [6900.0, 0.0]
    assert [item.value for item in taken(back, *ways)] == [0.0, 100.0]
    kinds = (Measurand.REACTIVE_IMPORT, Measurand.REACTIVE_EXPORT)
    assert [item.value for item in taken(READING, *kinds)] == [0.0, 30.0]
    assert [item.value for item in taken(back, *kinds)] == [20.0, 0.0]


def test_temperature_is_that_of_the_controller() -> None:
    assert taken(BARE, Measurand.TEMPERATURE) == [Quantity(Measurand.TEMPERATURE, 40.0)]
    cold, names = an_evse(BARE, heat_c=None), [Measurand.TEMPERATURE.value]
    assert take(cold, AT, ReadingContext.PERIODIC, names, offered_a=0.0) is None


def test_what_the_meter_signed_goes_along_on_request() -> None:
    for signs in (True, False):
        sample = take(
            an_evse(READING), AT, ReadingContext.CLOCK, ALL, offered_a=0.0, signs=signs
        )
        assert sample is not None
        assert sample.signed == (READING.signed if signs else None)


def test_without_a_reading_there_is_no_sample() -> None:
    assert take(an_evse(None), AT, ReadingContext.CLOCK, ALL, offered_a=0.0) is None
