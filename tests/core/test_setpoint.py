"""The current that may be offered."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.setpoint import LOWEST_OFFER_A, Limit, limits, offered_a, setpoint_a
from agent.core.states import Active, ActiveFault, Evse, Idle, Inputs, Transaction
from agent.core.values import ChargingState, EvseCapabilities, EvseSpec, Stamp
from hal.types import Fault, PilotState
from tests.support.core import TAG, reading

AT = Stamp(1, 0.0)
TRANSACTION = Transaction("id-1", 1, 1, TAG, AT, AT, 0.0, 0.0, AT, ChargingState.CHARGING)
AMPS = st.floats(0.0, 100.0)


def an_evse(
    hardware_a: float | None = 32.0, board_a: float = 32.0, cable_a: float | None = None
) -> Evse:
    capabilities = None if hardware_a is None else EvseCapabilities(hardware_a, 3)
    inputs = Inputs(pilot=PilotState.C, cable_a=cable_a, capabilities=capabilities)
    return Evse(EvseSpec(1, 1, board_a, 3), inputs, Active(TRANSACTION))


def suspended(evse: Evse, cap_wh: float | None, register_wh: float | None) -> Evse:
    transaction = replace(TRANSACTION, is_suspended=True, energy_cap_wh=cap_wh)
    held = None if register_wh is None else reading(register_wh)
    return replace(evse, session=Active(transaction), inputs=replace(evse.inputs, reading=held))


def test_every_limit_names_its_origin() -> None:
    assert limits(an_evse(40.0, 32.0, 20.0)) == (
        Limit("hardware", 40.0),
        Limit("board", 32.0),
        Limit("cable", 20.0),
    )


def test_a_fixed_cable_sets_no_limit() -> None:
    assert [limit.origin for limit in limits(an_evse())] == ["hardware", "board"]


def test_hardware_that_was_not_found_carries_nothing() -> None:
    assert setpoint_a(an_evse(hardware_a=None)) == 0.0


@given(hardware_a=AMPS, board_a=AMPS, cable_a=st.none() | AMPS)
def test_the_setpoint_is_the_least_limit_or_nothing(
    hardware_a: float, board_a: float, cable_a: float | None
) -> None:
    least = min(hardware_a, board_a, hardware_a if cable_a is None else cable_a)
    wanted = least if least >= LOWEST_OFFER_A else 0.0
    assert setpoint_a(an_evse(hardware_a, board_a, cable_a)) == wanted


def test_below_six_amperes_the_evse_pauses() -> None:
    assert setpoint_a(an_evse(cable_a=6.0)) == 6.0
    assert setpoint_a(an_evse(cable_a=5.9)) == 0.0


def test_an_open_transaction_is_offered_the_setpoint() -> None:
    assert offered_a(an_evse(cable_a=13.0), storage_ok=True) == 13.0


def test_without_a_transaction_nothing_is_offered() -> None:
    assert offered_a(replace(an_evse(), session=Idle()), storage_ok=True) == 0.0


def test_storage_that_cannot_write_offers_nothing() -> None:
    assert offered_a(an_evse(), storage_ok=False) == 0.0


def test_a_fault_offers_nothing_and_a_warning_does_not_matter() -> None:
    for fault, offer in ((Fault.OVER_VOLTAGE, 0.0), (Fault.READER_FAILURE, 32.0)):
        evse = an_evse()
        inputs = replace(evse.inputs, faults=(ActiveFault(fault, AT),))
        assert offered_a(replace(evse, inputs=inputs), storage_ok=True) == offer


def test_a_refused_token_without_allowance_is_offered_nothing() -> None:
    assert offered_a(suspended(an_evse(), None, 100.0), storage_ok=True) == 0.0


def test_a_refused_token_is_offered_current_until_its_allowance_is_drawn() -> None:
    for register_wh, offer in ((499.9, 32.0), (500.0, 0.0), (None, 0.0)):
        evse = suspended(an_evse(), 500.0, register_wh)
        assert offered_a(evse, storage_ok=True) == offer
