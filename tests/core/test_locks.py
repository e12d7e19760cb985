"""The plug: released on request, kept for its owner, and locked before anything begins."""

import pytest

from agent.core import variables
from agent.core.effects import (
    Done,
    Note,
    Reply,
    Report,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    Verdict,
)
from agent.core.events import (
    AuthorizationAnswered,
    CableChanged,
    EvseDetected,
    LockChanged,
    OutletChanged,
    PilotChanged,
    RemoteStopRequested,
    SettingsWriteRequested,
    TransactionAcknowledged,
    UnlockRequested,
)
from agent.core.locks import ACTUATOR_S, ENDING_S, fixed
from agent.core.session import BOOT_WAIT_S
from agent.core.states import Active, Authorized, Ending, Finished, Idle
from agent.core.station import targets
from agent.core.values import (
    AuthorizationStatus,
    ChargingState,
    EvseCapabilities,
    StopReason,
    TokenInfo,
)
from hal.types import Fault, PilotState
from tests.support.core import OTHER, TAG, Bench

INVALID = TokenInfo(AuthorizationStatus.INVALID)
GROUP = "FLEET"


def socket(**settings: str) -> Bench:
    """Return an online station with a socket whose lock has feedback."""
    bench = Bench(**settings).ready()
    bench.post(EvseDetected(1, EvseCapabilities(32.0, 3, has_lock=True)))
    bench.post(LockChanged(1, locked=False))
    return bench


def obey(bench: Bench) -> None:
    """Let lock and contactor follow their targets."""
    for _ in range(3):
        bench.post(LockChanged(1, locked=targets(bench.station).of(1).lock))
        bench.obey()


def charging(bench: Bench, group: str | None = None) -> Bench:
    bench.post(CableChanged(1, 32.0))
    bench.pilot(PilotState.C)
    bench.tap()
    bench.grant(group=group)
    obey(bench)
    assert isinstance(bench.session(), Active)
    return bench


def unlock(bench: Bench, *, connector_id: int = 1, stops: bool = True) -> int:
    bench.ids += 1
    request_id = bench.ids
    bench.post(UnlockRequested(request_id, 1, connector_id, stops))
    return request_id


def verdict(bench: Bench, request_id: int) -> Verdict | None:
    found = [e for e in bench.effects if isinstance(e, Reply) and e.request_id == request_id]
    assert len(found) <= 1
    if not found:
        return None
    assert isinstance(found[0].outcome, Done)
    return found[0].outcome.verdict


def set_flag(bench: Bench, variable: variables.Variable, on: bool) -> None:
    text = "true" if on else "false"
    bench.post(SettingsWriteRequested(900, ((variable.name, text),)))
    bench.effects.clear()


def is_held(bench: Bench) -> bool:
    return targets(bench.station).of(1).lock


def leave(bench: Bench) -> None:
    """Unplug at the vehicle: the cable stays."""
    bench.pilot(PilotState.A)


def settle(bench: Bench) -> None:
    obey(bench)
    bench.meter(1500.0)
    obey(bench)


def warned(bench: Bench) -> set[str | None]:
    return {status.warning for status in bench.station.statuses() if status.evse_id}


# --- locked first ---


def test_a_transaction_begins_when_the_plug_is_held() -> None:
    bench = socket()
    bench.pilot(PilotState.C)
    bench.tap()
    bench.grant()
    assert isinstance(bench.session(), Authorized)
    assert is_held(bench)
    bench.post(LockChanged(1, locked=True))
    assert isinstance(bench.session(), Active)
    assert len(bench.told_records(TransactionStarted)) == 1


def test_a_lock_without_feedback_is_not_waited_for() -> None:
    bench = Bench().ready()
    bench.post(EvseDetected(1, EvseCapabilities(32.0, 3, has_lock=True)))
    bench.pilot(PilotState.C)
    bench.tap()
    bench.grant()
    assert isinstance(bench.session(), Active)


# --- requests ---


def test_a_connector_that_does_not_exist_or_has_no_lock_is_told_apart() -> None:
    bench = Bench().ready()
    assert verdict(bench, unlock(bench)) is Verdict.NOT_SUPPORTED
    bench.charge()
    assert verdict(bench, unlock(bench)) is Verdict.NOT_SUPPORTED
    assert isinstance(bench.session(), Active)  # and it goes on
    for connector_id in (0, 2, -1):
        found = verdict(bench, unlock(bench, connector_id=connector_id))
        assert found is Verdict.UNKNOWN_EVSE
    bench.post(UnlockRequested(99, 2, 1, stops=True))
    assert verdict(bench, 99) is Verdict.UNKNOWN_EVSE


def test_what_is_not_locked_is_unlocked() -> None:
    bench = socket()
    assert verdict(bench, unlock(bench)) is Verdict.ACCEPTED
    bench.pilot(PilotState.B)
    assert verdict(bench, unlock(bench)) is Verdict.ACCEPTED


def test_the_other_connector_of_an_evse_holds_nothing() -> None:
    bench = Bench(connectors=2).ready()
    bench.post(EvseDetected(1, EvseCapabilities(32.0, 3, has_lock=True)))
    charging(bench)
    assert verdict(bench, unlock(bench, connector_id=2)) is Verdict.ACCEPTED
    assert isinstance(bench.session(), Active)


def test_a_transaction_ends_before_its_plug_is_released_and_is_told_after_the_answer() -> None:
    bench = charging(socket())
    bench.effects.clear()
    request_id = unlock(bench)
    assert isinstance(bench.session(), Ending)
    assert is_held(bench)  # the contactor is still closed
    bench.post(OutletChanged(1, closed=False))
    assert not is_held(bench)
    bench.meter(1500.0)
    assert verdict(bench, request_id) is None
    assert not bench.told_records(TransactionEnded)
    assert not bench.told(StatusReported)
    bench.effects.clear()
    bench.post(LockChanged(1, locked=False))
    assert verdict(bench, request_id) is Verdict.ACCEPTED
    kinds = [type(effect) for effect in bench.effects]
    assert kinds.index(Reply) < kinds.index(Report)
    assert kinds.index(Reply) < kinds.index(StatusReported)
    (ended,) = bench.told_records(TransactionEnded)
    assert ended.stop_reason is StopReason.UNLOCK_COMMAND
    assert ended.id_token is None
    assert isinstance(bench.session(), Finished)


def test_or_it_keeps_its_plug() -> None:
    bench = charging(socket())
    assert verdict(bench, unlock(bench, stops=False)) is Verdict.OCCUPIED
    assert isinstance(bench.session(), Active)


def test_a_lock_that_stays_closed_has_failed_and_is_told_until_it_opens() -> None:
    bench = charging(socket())
    request_id = unlock(bench)
    bench.post(OutletChanged(1, closed=False))
    bench.meter(1500.0)
    bench.wait(ACTUATOR_S + ENDING_S - 1)
    assert verdict(bench, request_id) is None
    bench.wait(2)
    assert verdict(bench, request_id) is Verdict.REJECTED
    assert len(bench.told_records(TransactionEnded)) == 1
    assert warned(bench) == {Fault.CONNECTOR_LOCK_FAILURE.value}
    assert not is_held(bench)
    bench.post(LockChanged(1, locked=False))
    assert warned(bench) == {None}


def test_an_idle_lock_gets_five_seconds() -> None:
    bench = socket()
    bench.post(LockChanged(1, locked=True))
    first, second = unlock(bench), unlock(bench)
    bench.wait(ACTUATOR_S - 0.1)
    assert verdict(bench, first) is None
    bench.post(LockChanged(1, locked=False))
    assert {verdict(bench, first), verdict(bench, second)} == {Verdict.ACCEPTED}
    bench.post(LockChanged(1, locked=True))
    third = unlock(bench)
    bench.wait(ACTUATOR_S)
    assert verdict(bench, third) is Verdict.REJECTED


def test_whoever_was_about_to_charge_is_not_any_more() -> None:
    bench = socket()
    bench.pilot(PilotState.B)
    bench.tap()
    bench.post(LockChanged(1, locked=True))
    bench.now_s += 20  # no fresh reading: nothing begins
    bench.grant()
    assert isinstance(bench.session(), Authorized)
    request_id = unlock(bench)
    assert isinstance(bench.session(), Idle)
    bench.post(LockChanged(1, locked=False))
    assert verdict(bench, request_id) is Verdict.ACCEPTED


def test_a_transaction_that_might_go_on_after_a_power_cut_ends_for_it() -> None:
    bench = charging(socket(TxCtrlr__ResumeAfterPowerLoss="true"))
    bench.power_cut()
    bench.post(EvseDetected(1, EvseCapabilities(32.0, 3, has_lock=True)))
    bench.post(LockChanged(1, locked=True))
    bench.connect()
    unlock(bench)
    assert isinstance(bench.session(), Ending)
    bench.wait(BOOT_WAIT_S + 1)
    (ended,) = bench.told_records(TransactionEnded)
    assert ended.stop_reason is StopReason.UNLOCK_COMMAND


def test_a_power_cut_forgets_the_request_and_not_the_transaction() -> None:
    bench = charging(socket())
    unlock(bench)
    bench.power_cut()
    bench.hardware(energy_wh=1500.0)
    bench.wait(BOOT_WAIT_S + 1)
    assert len(bench.told_records(TransactionEnded)) == 1


# --- unplugged at the vehicle (1.6 reference 4.8) ---


@pytest.mark.parametrize(
    ("stops", "unlocks", "session", "held"),
    [
        (True, True, Finished, False),
        (True, False, Finished, True),
        (False, True, Active, True),
        (False, False, Active, True),
    ],
)
def test_what_becomes_of_a_cable_that_its_vehicle_left(
    stops: bool, unlocks: bool, session: type, held: bool
) -> None:
    bench = charging(socket())
    set_flag(bench, variables.STOP_ON_EV_DISCONNECT, stops)
    set_flag(bench, variables.UNLOCK_ON_EV_DISCONNECT, unlocks)
    leave(bench)
    settle(bench)
    assert isinstance(bench.session(), session)
    assert is_held(bench) is held
    ended = bench.told_records(TransactionEnded)
    assert [item.stop_reason for item in ended] == [StopReason.EV_DISCONNECTED] * stops


def waiting(bench: Bench) -> Bench:
    """Return a station whose transaction waits for the return of its vehicle."""
    charging(bench)
    set_flag(bench, variables.STOP_ON_EV_DISCONNECT, on=False)
    leave(bench)
    obey(bench)
    return bench


def test_a_transaction_that_waits_says_so_draws_nothing_and_goes_on() -> None:
    bench = waiting(socket())
    (status,) = [item for item in bench.station.statuses() if item.evse_id]
    assert status.info == "EV side disconnected"
    transaction = bench.station.evses[1].transaction
    assert transaction is not None
    assert transaction.charging_state is ChargingState.SUSPENDED_EV
    assert not targets(bench.station).of(1).energize
    bench.pilot(PilotState.C)
    obey(bench)
    (status,) = [item for item in bench.station.statuses() if item.evse_id]
    assert status.info == ""
    assert targets(bench.station).of(1).energize
    assert bench.station.evses[1].transaction is not None


def test_a_transaction_that_waits_can_be_stopped_from_afar() -> None:
    bench = waiting(socket())
    transaction = bench.station.evses[1].transaction
    assert transaction is not None
    bench.post(RemoteStopRequested(77, transaction.transaction_id))
    settle(bench)
    assert not is_held(bench)
    assert isinstance(bench.session(), Finished)  # the cable is still there
    bench.post(CableChanged(1, None))
    assert isinstance(bench.session(), Idle)


def test_a_cable_that_is_gone_as_well_ends_the_transaction() -> None:
    bench = waiting(socket())
    bench.post(CableChanged(1, None))
    settle(bench)
    (ended,) = bench.told_records(TransactionEnded)
    assert ended.stop_reason is StopReason.EV_DISCONNECTED
    assert isinstance(bench.session(), Idle)


def test_a_tethered_cable_waits_as_well() -> None:
    bench = Bench(TxCtrlr__StopTxOnEVSideDisconnect="false").ready()
    bench.post(EvseDetected(1, EvseCapabilities(32.0, 3, is_tethered=True)))
    bench.charge()
    bench.pilot(PilotState.A)
    assert isinstance(bench.session(), Active)


def detect(bench: Bench, evse_id: int, *, is_tethered: bool, has_lock: bool = False) -> None:
    found = EvseCapabilities(32.0, 3, is_tethered=is_tethered, has_lock=has_lock)
    bench.post(EvseDetected(evse_id, found))


def unlocks(bench: Bench) -> tuple[str, variables.Access]:
    """Return what the setting reads, and who may change it."""
    settings = bench.station.settings
    found = settings.find(variables.UNLOCK_ON_EV_DISCONNECT.name)
    assert found is not None
    return settings.text(found), found.access


FREE = ("true", variables.Access.READ_WRITE)
FIXED = ("false", variables.Access.READ_ONLY)


def test_a_station_of_fixed_cables_has_no_plug_to_release() -> None:
    bench = Bench(evses=2).ready()
    detect(bench, 1, is_tethered=True)
    assert unlocks(bench) == FREE  # the other may have a socket
    detect(bench, 2, is_tethered=True)
    assert unlocks(bench) == FIXED
    set_flag(bench, variables.UNLOCK_ON_EV_DISCONNECT, on=True)
    assert unlocks(bench) == FIXED
    bench.power_cut()
    assert unlocks(bench) == FREE  # until the hardware has spoken again


def test_a_single_socket_leaves_the_choice() -> None:
    bench = Bench(evses=2).ready()
    detect(bench, 1, is_tethered=True)
    detect(bench, 2, is_tethered=False, has_lock=True)
    assert unlocks(bench) == FREE
    set_flag(bench, variables.UNLOCK_ON_EV_DISCONNECT, on=False)
    assert unlocks(bench) == ("false", variables.Access.READ_WRITE)


def test_a_station_without_evses_keeps_the_choice() -> None:
    assert fixed({}) == {}


@pytest.mark.parametrize("is_tethered", [True, False])
def test_only_a_plug_in_a_socket_is_kept_beside_a_fixed_cable(is_tethered: bool) -> None:
    bench = Bench(evses=2).ready()
    detect(bench, 1, is_tethered=is_tethered, has_lock=True)
    detect(bench, 2, is_tethered=False, has_lock=True)
    set_flag(bench, variables.UNLOCK_ON_EV_DISCONNECT, on=False)
    bench.post(LockChanged(1, locked=False))
    charging(bench)
    leave(bench)
    settle(bench)
    assert is_held(bench) is not is_tethered


# --- kept for its owner ---


def kept(bench: Bench) -> Bench:
    charging(bench, group=GROUP)
    set_flag(bench, variables.UNLOCK_ON_EV_DISCONNECT, on=False)
    leave(bench)
    settle(bench)
    assert is_held(bench)
    return bench


def test_the_owner_gets_the_plug_and_charges_nothing() -> None:
    bench = kept(socket())
    assert bench.tap(OTHER) == [Note("token.ignored", "the plug is somebody else's", 1)]
    assert is_held(bench)
    bench.tap(TAG)
    assert not is_held(bench)
    assert isinstance(bench.session(), Finished)


def test_another_of_the_owners_group_gets_it_too() -> None:
    bench = kept(socket())
    info = TokenInfo(AuthorizationStatus.ACCEPTED, group=GROUP)
    bench.post(AuthorizationAnswered(9, OTHER, info))
    bench.tap(OTHER)
    assert not is_held(bench)


def test_or_the_csms_releases_it() -> None:
    bench = kept(socket())
    request_id = unlock(bench)
    assert not is_held(bench)
    bench.post(LockChanged(1, locked=False))
    assert verdict(bench, request_id) is Verdict.ACCEPTED
    assert not is_held(bench)


def test_a_plug_is_kept_through_a_power_cut_and_until_it_is_gone() -> None:
    bench = kept(socket())
    bench.power_cut()
    assert is_held(bench)
    bench.post(EvseDetected(1, EvseCapabilities(32.0, 3, has_lock=True)))
    bench.post(CableChanged(1, 32.0))  # told before the pilot
    bench.post(PilotChanged(1, PilotState.A))
    assert is_held(bench)
    bench.post(CableChanged(1, None))
    assert not is_held(bench)
    assert isinstance(bench.session(), Idle)
    bench.power_cut()
    assert not is_held(bench)


@pytest.mark.parametrize("unlocks", [False, True])
def test_a_refused_token_leaves_its_plug_locked_unless_the_settings_say_otherwise(
    unlocks: bool,
) -> None:
    bench = socket()
    set_flag(bench, variables.UNLOCK_ON_DEAUTHORIZED, unlocks)
    charging(bench)
    transaction = bench.station.evses[1].transaction
    assert transaction is not None
    bench.post(TransactionAcknowledged(transaction.transaction_id, 7, info=INVALID))
    settle(bench)
    (ended,) = bench.told_records(TransactionEnded)
    assert ended.stop_reason is StopReason.DE_AUTHORIZED
    assert is_held(bench) is not unlocks


def test_a_tap_ends_a_transaction_and_releases_its_plug() -> None:
    bench = charging(socket())
    set_flag(bench, variables.UNLOCK_ON_EV_DISCONNECT, on=False)
    bench.tap()
    settle(bench)
    assert not is_held(bench)
