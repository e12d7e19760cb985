"""What the values of the core say about an EVSE."""

from agent.core.states import (
    READING_FRESH_S,
    Active,
    ActiveFault,
    Authorized,
    Ending,
    Evse,
    Idle,
    Inputs,
    Resuming,
    Transaction,
)
from agent.core.values import ChargingState, EvseCapabilities, EvseSpec, Stamp
from hal.types import Fault, PilotState
from tests.support.core import TAG, Bench, reading

NOW = Stamp(1, 100.0)


def test_a_vehicle_is_plugged_in_b_c_and_d_only() -> None:
    plugged = [state for state in (None, *PilotState) if Inputs(pilot=state).is_plugged]
    assert plugged == [PilotState.B, PilotState.C, PilotState.D]


def test_a_vehicle_asks_for_energy_in_c_and_d_only() -> None:
    ready = [state for state in (None, *PilotState) if Inputs(pilot=state).is_ready]
    assert ready == [PilotState.C, PilotState.D]


def test_a_cable_is_fixed_when_the_hardware_says_so() -> None:
    assert not Inputs().is_tethered
    for is_tethered in (True, False):
        found = EvseCapabilities(32.0, 3, is_tethered=is_tethered)
        assert Inputs(capabilities=found).is_tethered is is_tethered


def test_a_broken_reader_does_not_prevent_charging() -> None:
    reader, ground = (
        ActiveFault(fault, NOW) for fault in (Fault.READER_FAILURE, Fault.GROUND_FAILURE)
    )
    assert Inputs(faults=(reader,)).blocking is None
    assert Inputs(faults=(reader, ground)).blocking is ground


def test_a_reading_is_fresh_for_ten_seconds() -> None:
    value = reading()
    for age_s, fresh in ((0.0, value), (READING_FRESH_S, value), (READING_FRESH_S + 0.1, None)):
        inputs = Inputs(reading=value, reading_at=Stamp(1, 100.0 - age_s))
        assert inputs.fresh_reading(NOW) is fresh


def test_without_a_reading_none_is_fresh() -> None:
    assert Inputs().fresh_reading(NOW) is None
    assert Inputs(reading=reading()).fresh_reading(NOW) is None


def test_what_nobody_has_said_is_not_so() -> None:
    transaction = Transaction(
        "id-1", 1, 1, TAG, NOW, NOW, 0.0, 0.0, NOW, ChargingState.EV_CONNECTED
    )
    assert not transaction.is_suspended
    assert not Authorized(TAG, NOW).is_remote
    assert not Authorized(TAG, NOW).was_plugged
    assert not Inputs().is_meter_failing


def test_every_state_with_a_transaction_shows_it() -> None:
    bench = Bench().ready()
    bench.charge()
    active = bench.session()
    assert isinstance(active, Active)
    transaction = active.transaction
    bench.power_cut()
    ending = bench.session()
    assert isinstance(ending, Ending)
    spec = EvseSpec(1, 1, 32.0, 3)
    resuming = Resuming(transaction, NOW, ending.reason)
    for session in (active, resuming):
        assert Evse(spec, session=session).transaction is transaction
    assert Evse(spec, session=ending).transaction is ending.transaction
    assert Evse(spec, session=Idle()).transaction is None
