"""What the hardware should be doing, and the meet of two such wishes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.setpoint import offered_a
from agent.core.states import (
    Active,
    ActiveFault,
    Authorized,
    Ending,
    Evse,
    Finished,
    Idle,
    Inputs,
    Resuming,
    Session,
    Supply,
    Transaction,
)
from agent.core.targets import NOTHING, EvseTarget, Targets, evse_target
from agent.core.values import (
    ChargingState,
    EvseCapabilities,
    EvseSpec,
    Stamp,
    StopReason,
    Trigger,
)
from hal.types import Fault, PilotState
from tests.support.core import TAG

AT = Stamp(1, 0.0)
TRANSACTION = Transaction("id-1", 1, 1, TAG, AT, AT, 0.0, 0.0, AT, ChargingState.CHARGING)
ENDING = Ending(TRANSACTION, StopReason.LOCAL, Trigger.STOP_AUTHORIZED, AT, AT)
RESUMING = Resuming(TRANSACTION, AT, StopReason.POWER_LOSS)
SESSIONS: tuple[Session, ...] = (
    Idle(),
    Authorized(TAG, AT),
    Active(TRANSACTION),
    ENDING,
    RESUMING,
    Finished(),
)
ONE = st.builds(
    EvseTarget, st.booleans(), st.sampled_from((0.0, 6.0, 16.0)), st.booleans(), st.booleans()
)
ALL = st.builds(Targets, st.dictionaries(st.integers(1, 3), ONE), st.sampled_from((None, 0, 1)))


def an_evse(session: Session, pilot: PilotState | None = PilotState.C, **inputs) -> Evse:
    found = {"capabilities": EvseCapabilities(32.0, 3), **inputs}
    heard = Inputs(pilot=pilot, **found)
    return Evse(EvseSpec(1, 1, 16.0, 3), heard, session, Supply(offer_ma=16_000))


@pytest.mark.parametrize("session", SESSIONS, ids=lambda item: type(item).__name__)
@pytest.mark.parametrize("pilot", [None, *PilotState])
@pytest.mark.parametrize("storage_ok", [True, False])
@pytest.mark.parametrize("is_faulted", [True, False])
def test_energy_flows_in_a_transaction_for_a_vehicle_that_asks_and_in_no_other_case(
    session: Session, pilot: PilotState | None, storage_ok: bool, is_faulted: bool
) -> None:
    faults = (ActiveFault(Fault.OVER_CURRENT, AT),) if is_faulted else ()
    evse = an_evse(session, pilot, faults=faults)
    asks = pilot in {PilotState.C, PilotState.D}
    wanted = isinstance(session, Active) and asks and storage_ok and not is_faulted
    target = evse_target(evse, storage_ok=storage_ok)
    assert target.energize is wanted
    assert target.offer_a == offered_a(evse, storage_ok=storage_ok)


def test_an_open_transaction_locks_and_offers_before_the_vehicle_asks() -> None:
    target = evse_target(an_evse(Active(TRANSACTION), PilotState.B), storage_ok=True)
    assert target == EvseTarget(energize=False, offer_a=16.0, lock=True)


def test_a_pause_keeps_the_plug_and_opens_the_contactor() -> None:
    evse = an_evse(Active(TRANSACTION), cable_a=5.0)
    assert evse_target(evse, storage_ok=True) == EvseTarget(lock=True)


@pytest.mark.parametrize(("is_closed", "lock"), [(True, True), (None, True), (False, False)])
def test_the_plug_is_held_until_the_contactor_is_known_to_be_open(
    is_closed: bool | None, lock: bool
) -> None:
    target = evse_target(an_evse(ENDING, is_closed=is_closed), storage_ok=True)
    assert target == EvseTarget(lock=lock)


def test_a_transaction_that_may_go_on_after_a_power_cut_holds_the_plug() -> None:
    assert evse_target(an_evse(RESUMING), storage_ok=True) == EvseTarget(lock=True)


@pytest.mark.parametrize("session", [Idle(), Authorized(TAG, AT), Finished()], ids=repr)
def test_without_a_transaction_nothing_is_done(session: Session) -> None:
    assert evse_target(an_evse(session), storage_ok=True) == NOTHING


@pytest.mark.parametrize("session", SESSIONS, ids=lambda item: type(item).__name__)
def test_a_fault_or_a_missing_vehicle_opens_under_load(session: Session) -> None:
    fault = ActiveFault(Fault.GROUND_FAILURE, AT)
    warning = ActiveFault(Fault.READER_FAILURE, AT)
    for evse, at_once in (
        (an_evse(session), False),
        (an_evse(session, faults=(warning,)), False),
        (an_evse(session, faults=(fault,)), True),
        (an_evse(session, PilotState.A), True),
        (an_evse(session, PilotState.E), True),
        (an_evse(session, None), True),
    ):
        assert evse_target(evse, storage_ok=True).at_once is at_once


def test_an_evse_nobody_speaks_of_should_do_nothing() -> None:
    nothing = EvseTarget(energize=False, offer_a=0.0, lock=False, at_once=False)
    assert Targets().of(3) == nothing


@given(ONE, ONE)
def test_the_meet_wants_no_more_energy_than_either(one: EvseTarget, other: EvseTarget) -> None:
    meet = one.safer(other)
    assert meet.energize is (one.energize and other.energize)
    assert meet.offer_a == min(one.offer_a, other.offer_a)
    assert meet.lock is (one.lock or other.lock)
    assert meet.at_once is (one.at_once or other.at_once)


@given(ONE, ONE, ONE)
def test_the_meet_knows_no_order_and_no_repetition(
    one: EvseTarget, two: EvseTarget, three: EvseTarget
) -> None:
    assert one.safer(two) == two.safer(one)
    assert one.safer(two).safer(three) == one.safer(two.safer(three))
    assert one.safer(one) == one


@given(ALL, ALL)
def test_the_meet_of_all_is_the_meet_of_each_and_the_later_dial(
    old: Targets, new: Targets
) -> None:
    meet = old.safer(new)
    assert meet.evses.keys() == old.evses.keys() | new.evses.keys()
    for evse_id, target in meet.evses.items():
        assert target == old.of(evse_id).safer(new.of(evse_id))
    assert meet.dial == new.dial


def test_an_evse_that_only_one_side_knows_is_switched_off_meanwhile() -> None:
    busy = EvseTarget(energize=True, offer_a=16.0, lock=True)
    meet = Targets({1: busy}).safer(Targets({2: busy}))
    assert meet.evses == {1: EvseTarget(lock=True), 2: EvseTarget(lock=True)}
    assert replace(meet, evses={}) == Targets()


LOCKABLE = EvseCapabilities(32.0, 3, has_lock=True)


def test_the_plug_is_held_before_a_transaction_begins() -> None:
    evse = an_evse(Authorized(TAG, AT), capabilities=LOCKABLE)
    assert evse_target(evse, storage_ok=True) == EvseTarget(lock=True)
    assert evse_target(evse, storage_ok=True, is_releasing=True) == NOTHING


@pytest.mark.parametrize("session", [Finished(owner=TAG), replace(ENDING, keeps_plug=True)])
def test_a_plug_that_is_kept_for_its_owner_stays_held_unless_it_is_released(
    session: Session,
) -> None:
    evse = an_evse(session, is_closed=False)
    assert evse_target(evse, storage_ok=True).lock
    assert not evse_target(evse, storage_ok=True, is_releasing=True).lock
    live = an_evse(replace(ENDING, keeps_plug=True), is_closed=True)
    assert evse_target(live, storage_ok=True, is_releasing=True).lock  # never under load
