"""Levels of the hardware: what is taken down, and that repetitions change nothing."""

import pytest

from agent.core.events import (
    CableChanged,
    EvseDetected,
    FaultCleared,
    FaultRaised,
    LinkDown,
    LockChanged,
    MeterFailed,
    MeterRead,
    OutletChanged,
    PilotChanged,
    PowerUp,
    TemperatureRead,
)
from agent.core.inputs import step
from agent.core.states import ActiveFault, Inputs
from agent.core.values import EvseCapabilities, Stamp
from hal.types import Fault, PilotState
from tests.support.core import reading

THEN, NOW = Stamp(1, 10.0), Stamp(1, 20.0)


@pytest.mark.parametrize(
    "event",
    [
        PilotChanged(1, PilotState.B),
        PilotChanged(1, PilotState.A),
        PilotChanged(1, PilotState.E),
        OutletChanged(1, closed=True),
        LockChanged(1, locked=True),
        CableChanged(1, 20.0),
        TemperatureRead(1, 65.0),
        MeterFailed(1, "silent"),
        FaultRaised(1, Fault.OVER_CURRENT, "47 A"),
    ],
    ids=repr,
)
def test_a_level_that_repeats_changes_nothing(event) -> None:
    first = step(Inputs(), event, THEN)
    assert first != Inputs()
    assert step(first, event, NOW) is first


def test_a_restart_forgets_what_the_hardware_said() -> None:
    known = step(Inputs(), CableChanged(1, 20.0), THEN)
    assert step(known, PowerUp(), NOW) == Inputs()


def test_an_event_without_meaning_for_hardware_changes_nothing() -> None:
    inputs = Inputs(cable_a=13.0)
    assert step(inputs, LinkDown("lost"), NOW) is inputs


def test_a_reading_replaces_the_last_and_ends_the_failure() -> None:
    failing = step(Inputs(), MeterFailed(1, "silent"), THEN)
    inputs = step(failing, MeterRead(1, reading(5.0)), NOW)
    assert (inputs.reading, inputs.reading_at) == (reading(5.0), NOW)
    assert not inputs.is_meter_failing


def test_a_failing_meter_keeps_the_last_reading() -> None:
    inputs = step(Inputs(), MeterRead(1, reading(5.0)), THEN)
    inputs = step(inputs, MeterFailed(1, "silent"), NOW)
    assert (inputs.reading, inputs.reading_at) == (reading(5.0), THEN)
    assert inputs.is_meter_failing


def test_a_contactor_dates_its_change() -> None:
    inputs = step(Inputs(), OutletChanged(1, closed=False), THEN)
    assert inputs.is_closed is False
    inputs = step(inputs, OutletChanged(1, closed=True), NOW)
    assert (inputs.is_closed, inputs.outlet_at) == (True, NOW)


def test_a_vehicle_is_dated_by_its_arrival() -> None:
    inputs = step(Inputs(), PilotChanged(1, PilotState.B), THEN)
    inputs = step(inputs, PilotChanged(1, PilotState.C), NOW)
    assert (inputs.pilot, inputs.plugged_at) == (PilotState.C, THEN)


def test_a_pilot_in_error_does_not_forget_the_vehicle() -> None:
    inputs = step(Inputs(), PilotChanged(1, PilotState.B), THEN)
    inputs = step(inputs, PilotChanged(1, PilotState.E), NOW)
    assert inputs.plugged_at == THEN


def test_a_vehicle_that_leaves_is_forgotten() -> None:
    inputs = step(Inputs(), PilotChanged(1, PilotState.B), THEN)
    inputs = step(inputs, PilotChanged(1, PilotState.A), NOW)
    assert inputs.plugged_at is None


def test_a_vehicle_on_another_connector_is_another_vehicle() -> None:
    inputs = step(Inputs(), PilotChanged(1, PilotState.B, 1), THEN)
    inputs = step(inputs, PilotChanged(1, PilotState.B, 2), NOW)
    assert (inputs.connector_id, inputs.plugged_at) == (2, NOW)
    inputs = step(inputs, PilotChanged(1, PilotState.E, 1), NOW)
    assert inputs.plugged_at is None


def test_faults_stand_in_order_until_they_are_cleared() -> None:
    inputs = step(Inputs(), FaultRaised(1, Fault.OVER_CURRENT, "47 A"), THEN)
    inputs = step(inputs, FaultRaised(1, Fault.OVER_VOLTAGE), NOW)
    first = ActiveFault(Fault.OVER_CURRENT, THEN, "47 A")
    assert inputs.faults == (first, ActiveFault(Fault.OVER_VOLTAGE, NOW))
    inputs = step(inputs, FaultCleared(1, Fault.OVER_VOLTAGE), NOW)
    assert inputs.faults == (first,)
    assert step(inputs, FaultCleared(1, Fault.OVER_VOLTAGE), NOW) is inputs


def test_hardware_that_is_found_says_what_it_can() -> None:
    found = EvseCapabilities(16.0, 1)
    assert step(Inputs(), EvseDetected(1, found), NOW).capabilities is found


def test_heat_follows_the_sensor_upwards_at_once_and_downwards_three_kelvin_behind() -> None:
    inputs, seen = Inputs(), []
    for temperature_c in (60.0, 65.0, 64.0, 62.0, 61.0, 50.0, 52.0, 55.0):
        inputs = step(inputs, TemperatureRead(1, temperature_c), NOW)
        seen.append(inputs.heat_c)
    assert seen == [60.0, 65.0, 65.0, 65.0, 64.0, 53.0, 53.0, 55.0]
