"""What the lamp of an EVSE shows."""

import pytest

from agent.core.lamps import light
from agent.core.states import (
    Active,
    ActiveFault,
    Authorized,
    Evse,
    Finished,
    Idle,
    Inputs,
    Session,
    Transaction,
)
from agent.core.values import ChargingState, EvseSpec, Stamp
from hal.types import Fault, Light, PilotState
from tests.support.core import TAG

AT = Stamp(1, 0.0)


def active(state: ChargingState) -> Active:
    return Active(Transaction("id-1", 1, 1, TAG, AT, AT, 0.0, 0.0, AT, state))


def shown(
    session: Session,
    pilot: PilotState = PilotState.A,
    *faults: Fault,
    storage_ok: bool = True,
    is_operative: bool = True,
) -> Light:
    inputs = Inputs(pilot=pilot, faults=tuple(ActiveFault(fault, AT) for fault in faults))
    evse = Evse(EvseSpec(1, 1, 16.0, 3), inputs, session)
    return light(evse, storage_ok=storage_ok, is_operative=is_operative)


@pytest.mark.parametrize(
    ("session", "pilot", "expected"),
    [
        (Idle(), PilotState.A, Light.AVAILABLE),
        (Idle(), PilotState.B, Light.WAITING),
        (Authorized(TAG, AT), PilotState.A, Light.WAITING),
        (active(ChargingState.EV_CONNECTED), PilotState.B, Light.WAITING),
        (active(ChargingState.CHARGING), PilotState.C, Light.CHARGING),
        (active(ChargingState.SUSPENDED_EV), PilotState.B, Light.WAITING),
        (active(ChargingState.SUSPENDED_EVSE), PilotState.B, Light.WAITING),
        (Finished(), PilotState.B, Light.WAITING),
    ],
)
def test_it_follows_the_session(session: Session, pilot: PilotState, expected: Light) -> None:
    assert shown(session, pilot) is expected


def test_what_prevents_charging_is_red_and_a_warning_is_not() -> None:
    assert shown(Idle(), PilotState.A, Fault.GROUND_FAILURE) is Light.FAULTED
    assert shown(Idle(), PilotState.A, Fault.READER_FAILURE) is Light.AVAILABLE
    assert shown(Idle(), storage_ok=False) is Light.FAULTED


def test_an_inoperative_evse_is_dark_but_not_in_the_middle_of_a_transaction() -> None:
    assert shown(Idle(), is_operative=False) is Light.OFF
    charging = active(ChargingState.CHARGING)
    assert shown(charging, PilotState.C, is_operative=False) is Light.CHARGING
