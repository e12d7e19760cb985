"""The current that may be offered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.setpoint import (
    limits,
    offerable_ma,
    offered_a,
    setpoint_a,
    why_paused,
)
from agent.core.states import Active, ActiveFault, Evse, Idle, Inputs, Supply, Transaction
from agent.core.values import ChargingState, EvseCapabilities, EvseSpec, Limit, Stamp
from hal.types import Fault, PilotState
from tests.support.core import TAG, reading

AT = Stamp(1, 0.0)
TRANSACTION = Transaction("id-1", 1, 1, TAG, AT, AT, 0.0, 0.0, AT, ChargingState.CHARGING)
AMPS = st.floats(0.0, 80.0)


def an_evse(
    hardware_a: float | None = 32.0, board_a: float = 32.0, cable_a: float | None = None
) -> Evse:
    capabilities = None if hardware_a is None else EvseCapabilities(hardware_a, 3)
    inputs = Inputs(pilot=PilotState.C, cable_a=cable_a, capabilities=capabilities)
    supply = Supply(offer_ma=80_000)  # whatever the others do
    return Evse(EvseSpec(1, 1, board_a, 3), inputs, Active(TRANSACTION), supply)


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
    offer_a = setpoint_a(an_evse(hardware_a, board_a, cable_a))
    assert offer_a == 0.0 or 6.0 <= offer_a <= least + 1e-6
    assert (offer_a > 0.0) is (least >= 6.0 - 1e-7)
    assert offer_a == 0.0 or offer_a > least - 0.1


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


@pytest.mark.parametrize(
    ("limit_a", "offer_ma"),
    [(0.0, 0), (5.99, 0), (6.0, 6_000), (16.1, 16_100), (16.19, 16_100), (15.942, 15_900)],
)
def test_what_is_offered_is_rounded_down_to_steps_of_a_tenth(limit_a, offer_ma) -> None:
    assert offerable_ma(limit_a) == offer_ma


def test_an_outlet_of_direct_current_is_offered_to_the_milliampere() -> None:
    evse = an_evse(hardware_a=96.0, board_a=28.9857)
    evse = replace(evse, spec=replace(evse.spec, is_dc=True))
    assert setpoint_a(evse) == 28.985


def hot(heat_c: float, derates_c: tuple[float, float] | None = (60.0, 80.0)) -> Evse:
    evse = an_evse()
    spec = EvseSpec(1, 1, 32.0, 3, derates_c=derates_c)
    return replace(evse, spec=spec, inputs=replace(evse.inputs, heat_c=heat_c))


@pytest.mark.parametrize(
    ("heat_c", "limit_a"), [(60.0, 32.0), (70.0, 19.0), (79.0, 7.3), (80.0, 0.0), (120.0, 0.0)]
)
def test_heat_lowers_the_offer_evenly_down_to_a_pause(heat_c: float, limit_a: float) -> None:
    assert limits(hot(heat_c))[2] == Limit("temperature", pytest.approx(limit_a))


def test_without_heat_or_without_bounds_for_it_nothing_is_lowered() -> None:
    assert [limit.origin for limit in limits(hot(59.9))] == ["hardware", "board"]
    assert [limit.origin for limit in limits(hot(90.0, None))] == ["hardware", "board"]


def test_a_share_is_a_limit_like_any_other() -> None:
    evse = replace(an_evse(), supply=Supply(offer_ma=10_500, share_ma=10_500, asks_s=0.0))
    assert limits(evse)[-1] == Limit("share", 10.5)
    assert setpoint_a(evse) == 10.5
    assert why_paused(evse) == ""


def test_an_offer_that_has_still_to_rise_says_so() -> None:
    evse = replace(an_evse(), supply=Supply(offer_ma=8_000, asks_s=0.0))
    assert limits(evse)[-1] == Limit("ramp", 8.0)


def test_an_offer_that_waits_for_the_end_of_its_pause_says_so() -> None:
    evse = replace(an_evse(), supply=Supply(asks_s=0.0, paused_s=0.0))
    assert limits(evse)[-1] == Limit("pause", 0.0)
    assert why_paused(evse) == "pause"


def test_a_pause_names_the_limit_that_leaves_nothing() -> None:
    evse = replace(an_evse(), supply=Supply(asks_s=0.0, limits=(Limit("profile", 4.0),)))
    assert why_paused(evse) == "profile"
