"""The session of one EVSE, driven through the station."""

import pytest

from agent.core.effects import (
    Record,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import (
    AuthorizationAnswered,
    AvailabilityRequested,
    EvseDetected,
    FaultCleared,
    FaultRaised,
    LinkDown,
    MeterFailed,
    OutletChanged,
    RemoteStartRequested,
    RemoteStopRequested,
    ResetKind,
    ResetRequested,
    StorageFailed,
    StorageRecovered,
    TokenLearned,
    TransactionAcknowledged,
)
from agent.core.session import BOOT_WAIT_S, ENDING_WAIT_S, READY_WAIT_S, deadline_s, durable
from agent.core.standing import digest
from agent.core.states import (
    Active,
    Authorized,
    Ending,
    Finished,
    Idle,
    Resuming,
    Transaction,
)
from agent.core.station import deadline, targets
from agent.core.values import (
    AuthorizationStatus,
    BootReason,
    ChargingState,
    EvseCapabilities,
    ReadingContext,
    SessionPhase,
    StopReason,
    TokenInfo,
    Trigger,
)
from hal.types import Fault, PilotState
from tests.support.core import OTHER, TAG, WALL_S, Bench

A, B, C, D, E, F = PilotState
RESUME = {"TxCtrlr__ResumeAfterPowerLoss": "true"}
GOES_ON = {"TxCtrlr__StopTxOnInvalidId": "false"}
REFUSED = TokenInfo(AuthorizationStatus.INVALID)


def a_bench(**settings: str) -> Bench:
    return Bench(**settings).ready()


def charging(**settings: str) -> Bench:
    bench = a_bench(**settings)
    bench.charge()
    return bench


def charging_second() -> Bench:
    bench = Bench(2).ready(2)
    bench.charge(2)
    return bench


def transaction(bench: Bench) -> Transaction:
    found = bench.station.evses[1].transaction
    assert found is not None
    return found


def last(bench: Bench) -> Record:
    return bench.records[-1]


def ended(bench: Bench) -> TransactionEnded:
    (record,) = bench.told_records(TransactionEnded)
    return record


def states(bench: Bench) -> list[ChargingState]:
    """Return the charging states in the order in which they were told."""
    return [record.charging_state for record in bench.records]


def wake_s(bench: Bench) -> float | None:
    return deadline_s(bench.station.evses[1], bench.station.settings)


def found(max_a: float) -> EvseDetected:
    return EvseDetected(1, EvseCapabilities(max_a, 3))


def refuse(bench: Bench, info: TokenInfo = REFUSED) -> None:
    """Let the CSMS answer the start with a verdict on its token."""
    key = transaction(bench).transaction_id
    bench.post(TransactionAcknowledged(key, info=info))


def settle(bench: Bench, energy_wh: float) -> None:
    """Let the contactor open and the meter be read."""
    bench.obey()
    bench.meter(energy_wh)


# --- how it begins ---


def test_vehicle_first_begins_with_the_token() -> None:
    bench = a_bench()
    bench.pilot(B)
    bench.now_s += 5.0
    bench.tap()
    bench.grant()
    record = last(bench)
    assert isinstance(record, TransactionStarted)
    assert record.trigger is Trigger.AUTHORIZED
    assert (record.evse_id, record.connector_id, record.id_token) == (1, 1, TAG)
    assert record.at.wall_s == WALL_S + bench.now_s
    assert record.meter_start_wh == 1000.0
    assert not record.offline


def test_token_first_begins_with_the_vehicle() -> None:
    bench = a_bench()
    bench.tap()
    bench.grant()
    assert isinstance(bench.session(), Authorized)
    bench.now_s += 5.0
    bench.pilot(B)
    assert last(bench).trigger is Trigger.CABLE_PLUGGED_IN


@pytest.mark.parametrize("is_first", [True, False])
def test_a_remote_start_names_itself_whatever_came_last(is_first: bool) -> None:
    bench = a_bench()
    if not is_first:
        bench.pilot(B)
    bench.post(RemoteStartRequested(1, TAG, 1, remote_start_id=77, group="G"))
    bench.now_s += 1.0
    bench.pilot(B)
    record = last(bench)
    assert isinstance(record, TransactionStarted)
    assert (record.trigger, record.remote_start_id) == (Trigger.REMOTE_START, 77)
    assert record.group == transaction(bench).group == "G"


def test_a_transaction_that_begins_without_a_link_says_so() -> None:
    bench = a_bench(AuthCtrlr__OfflineTxForUnknownIdEnabled="true")
    bench.post(LinkDown("lost"))
    bench.pilot(B)
    bench.tap()
    assert last(bench).offline


def test_no_transaction_begins_without_a_fresh_register() -> None:
    bench = a_bench()
    bench.now_s += 11.0
    bench.pilot(C)
    bench.tap()
    bench.grant()
    assert bench.records == []
    assert not targets(bench.station).of(1).energize
    bench.meter(1500.0)
    assert last(bench).meter_start_wh == 1500.0


@pytest.mark.parametrize("pilot", [A, E, F])
def test_no_transaction_begins_without_a_vehicle(pilot: PilotState) -> None:
    bench = a_bench()
    bench.pilot(pilot)
    bench.tap()
    bench.grant()
    assert isinstance(bench.session(), Authorized)


def test_a_fault_holds_the_start_back_until_it_is_cleared() -> None:
    bench = a_bench()
    bench.tap()
    bench.grant()
    bench.post(FaultRaised(1, Fault.CONNECTOR_LOCK_FAILURE))
    bench.pilot(B)
    assert isinstance(bench.session(), Authorized)
    bench.post(FaultCleared(1, Fault.CONNECTOR_LOCK_FAILURE))
    assert isinstance(bench.session(), Active)


def test_an_inoperative_evse_holds_the_start_back() -> None:
    bench = a_bench()
    bench.tap()
    bench.grant()
    bench.post(AvailabilityRequested(1, operative=False))
    bench.pilot(B)
    assert isinstance(bench.session(), Authorized)


def test_an_authorization_that_nobody_uses_ends_after_the_connection_timeout() -> None:
    bench = a_bench(TxCtrlr__EVConnectionTimeOut="45")
    bench.tap()
    bench.grant()
    assert wake_s(bench) == bench.now_s + 45.0
    bench.wait(44.9)
    assert isinstance(bench.session(), Authorized)
    bench.wait(0.2)
    assert isinstance(bench.session(), Idle)
    assert wake_s(bench) is None


def test_a_connection_timeout_of_zero_waits_without_end() -> None:
    bench = a_bench(TxCtrlr__EVConnectionTimeOut="0")
    bench.tap()
    bench.grant()
    assert wake_s(bench) is None
    bench.wait(100_000.0)
    assert isinstance(bench.session(), Authorized)


def test_a_vehicle_that_comes_too_late_finds_no_authorization() -> None:
    bench = a_bench()
    bench.tap()
    bench.grant()
    bench.now_s += 60.0
    bench.pilot(C)
    assert isinstance(bench.session(), Idle)


def test_the_same_token_again_withdraws_the_authorization() -> None:
    bench = Bench(2).ready(2)
    for evse_id, token in ((1, TAG), (2, OTHER)):
        bench.tap(token, evse_id)
        bench.grant(evse_id, token)
    bench.tap(TAG, 1)
    assert isinstance(bench.session(1), Idle)
    assert isinstance(bench.session(2), Authorized)


def test_the_authorization_goes_with_the_vehicle_that_could_not_begin() -> None:
    bench = a_bench(TxCtrlr__EVConnectionTimeOut="0")
    bench.post(FaultRaised(1, Fault.OVER_VOLTAGE))
    bench.pilot(B)
    bench.post(FaultCleared(1, Fault.OVER_VOLTAGE))
    bench.tap()
    bench.now_s += 20.0  # the register is too old
    bench.post(RemoteStartRequested(1, TAG, 1))
    bench.pilot(C)
    assert isinstance(bench.session(), Authorized)
    bench.pilot(A)
    assert isinstance(bench.session(), Idle)


def test_a_driver_that_repeats_that_no_vehicle_is_there_keeps_the_authorization() -> None:
    bench = a_bench()
    bench.tap()
    bench.grant()
    bench.pilot(E)
    bench.pilot(A)
    assert isinstance(bench.session(), Authorized)


def test_a_token_for_one_evse_means_no_other() -> None:
    bench = Bench(2).ready(2)
    bench.tap(TAG, 2)
    bench.grant(2)
    assert isinstance(bench.session(1), Idle)
    assert isinstance(bench.session(2), Authorized)


# --- the charging state ---


def test_energy_flows_once_the_contactor_has_closed() -> None:
    bench = a_bench()
    bench.pilot(C)
    bench.tap()
    bench.grant()
    assert states(bench) == [ChargingState.EV_CONNECTED]
    bench.obey()
    assert states(bench) == [ChargingState.EV_CONNECTED, ChargingState.CHARGING]
    assert last(bench).trigger is Trigger.CHARGING_STATE_CHANGED
    assert last(bench).phases_used is None


def test_a_contactor_that_never_closes_leaves_the_state_as_it_is() -> None:
    bench = a_bench()
    bench.pilot(C)
    bench.tap()
    bench.grant()
    bench.wait(120.0)
    assert states(bench) == [ChargingState.EV_CONNECTED]


def test_a_vehicle_gets_some_seconds_before_it_counts_as_the_one_that_pauses() -> None:
    bench = a_bench()
    bench.pilot(B)
    bench.tap()
    bench.grant()
    assert wake_s(bench) == bench.now_s + READY_WAIT_S
    bench.wait(READY_WAIT_S - 0.1)
    bench.meter(1000.0)  # just before, or with the instant: it is the deadline that tells
    bench.wait(0.1)
    assert states(bench) == [ChargingState.EV_CONNECTED, ChargingState.SUSPENDED_EV]


def test_a_pause_of_the_vehicle_is_told_at_once_later_on() -> None:
    bench = charging()
    bench.pilot(B)
    bench.pilot(C)
    bench.obey()
    assert states(bench)[1:] == [
        ChargingState.CHARGING,
        ChargingState.SUSPENDED_EV,
        ChargingState.CHARGING,
    ]


def test_a_pilot_in_error_is_a_pause_of_the_evse_and_opens_the_contactor() -> None:
    bench = charging()
    bench.pilot(E)
    assert states(bench)[-1] is ChargingState.SUSPENDED_EVSE
    assert not targets(bench.station).of(1).energize
    bench.pilot(C)
    bench.obey()
    assert states(bench)[-1] is ChargingState.CHARGING


def test_a_limit_below_six_amperes_is_a_pause_of_the_evse() -> None:
    bench = charging()
    bench.post(found(5.0))
    assert states(bench)[-1] is ChargingState.SUSPENDED_EVSE
    bench.post(found(16.0))
    bench.wait(60.0)  # the shortest pause
    assert states(bench)[-1] is ChargingState.CHARGING


def test_a_vehicle_gets_some_seconds_to_come_back_from_a_pause() -> None:
    bench = charging()
    bench.post(found(5.0))
    bench.pilot(B)  # it lets go, as it must without an offer
    bench.wait(60.0)
    bench.post(found(16.0))
    assert wake_s(bench) == bench.now_s + READY_WAIT_S
    bench.wait(READY_WAIT_S - 0.2)
    bench.meter(1000.0)  # takes a tenth of a second
    assert states(bench)[-1] is ChargingState.SUSPENDED_EVSE
    bench.wait(0.1)
    assert states(bench)[-2:] == [ChargingState.SUSPENDED_EVSE, ChargingState.SUSPENDED_EV]


def test_a_vehicle_that_comes_back_from_a_pause_was_never_the_one_that_paused() -> None:
    bench = charging()
    bench.post(found(5.0))
    bench.pilot(B)
    bench.wait(60.0)
    bench.post(found(16.0))
    bench.wait(1.0)
    bench.pilot(C)
    bench.obey()
    assert states(bench)[-2:] == [ChargingState.SUSPENDED_EVSE, ChargingState.CHARGING]


def test_storage_that_cannot_write_is_a_pause_of_the_evse() -> None:
    bench = charging()
    bench.post(StorageFailed("disk full"))
    bench.post(StorageRecovered())
    updates = bench.told_records(TransactionUpdated)[-2:]
    assert [update.charging_state for update in updates] == [
        ChargingState.SUSPENDED_EVSE,
        ChargingState.CHARGING,
    ]


def test_a_single_phase_evse_says_on_how_many_phases_energy_flows() -> None:
    bench = Bench()
    bench.specs = (type(bench.specs[0])(1, 1, 32.0, 1),)
    bench.power_cut()
    bench.hardware()
    bench.connect()
    bench.charge()
    assert last(bench).phases_used == 1


def test_the_time_during_which_energy_flowed_is_counted() -> None:
    bench = charging()
    bench.now_s += 100.0
    bench.pilot(B)
    bench.now_s += 50.0
    bench.pilot(C)
    bench.obey()
    bench.now_s += 25.0
    bench.pilot(A)
    settle(bench, 1500.0)
    assert ended(bench).charging_s == pytest.approx(125.0)


# --- how it ends ---


def test_a_vehicle_that_leaves_ends_the_transaction_after_the_last_register() -> None:
    bench = charging()
    bench.meter(2000.0)
    bench.pilot(A)
    assert isinstance(bench.session(), Ending)
    assert targets(bench.station).of(1).at_once
    told_at = transaction(bench).last_at
    bench.obey()
    assert bench.told_records(TransactionEnded) == []
    bench.meter(2000.5)
    record = ended(bench)
    assert record.stop_reason is StopReason.EV_DISCONNECTED
    assert record.trigger is Trigger.EV_COMMUNICATION_LOST
    assert record.charging_state is ChargingState.IDLE
    assert record.meter_stop_wh == 2000.5
    assert record.at.monotonic_s >= told_at.monotonic_s
    assert isinstance(bench.session(), Idle)


def test_the_same_token_again_ends_the_transaction_and_the_vehicle_stays() -> None:
    bench = charging()
    bench.tap()
    settle(bench, 1800.0)
    record = ended(bench)
    assert record.stop_reason is StopReason.LOCAL
    assert record.trigger is Trigger.STOP_AUTHORIZED
    assert record.id_token == TAG
    assert record.charging_state is ChargingState.EV_CONNECTED
    assert isinstance(bench.session(), Finished)
    bench.pilot(A)
    assert isinstance(bench.session(), Idle)


def test_a_register_read_after_the_contactor_opened_long_ago_needs_no_wait() -> None:
    bench = charging()
    bench.pilot(B)
    settle(bench, 1800.0)
    bench.tap()
    assert ended(bench).meter_stop_wh == 1800.0


def test_a_remote_stop_ends_the_transaction_it_names_and_no_other() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.charge(2, OTHER)
    key = bench.station.evses[2].transaction.transaction_id
    bench.post(RemoteStopRequested(1, transaction_id=key))
    assert isinstance(bench.session(1), Active)
    session = bench.session(2)
    assert isinstance(session, Ending)
    assert (session.reason, session.trigger) == (StopReason.REMOTE, Trigger.REMOTE_STOP)
    assert session.id_token is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ResetKind.IMMEDIATE, StopReason.IMMEDIATE_RESET),
        (ResetKind.GRACEFUL, StopReason.SOFT_RESET),
    ],
)
def test_a_reset_ends_every_transaction(kind: ResetKind, reason: StopReason) -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.charge(2, OTHER)
    bench.post(ResetRequested(1, kind))
    for evse_id in (1, 2):
        session = bench.session(evse_id)
        assert isinstance(session, Ending)
        assert (session.reason, session.trigger) == (reason, Trigger.RESET_COMMAND)


def test_a_silent_meter_is_billed_by_its_last_register() -> None:
    bench = charging()
    bench.meter(2000.0)
    bench.post(MeterFailed(1, "silent"))
    bench.tap()
    bench.obey()
    assert wake_s(bench) == bench.now_s + ENDING_WAIT_S
    bench.wait(ENDING_WAIT_S)
    assert ended(bench).meter_stop_wh == 2000.0


def test_a_contactor_that_says_nothing_does_not_keep_a_transaction_open() -> None:
    bench = charging()
    bench.tap()
    bench.meter(2000.0)
    bench.wait(ENDING_WAIT_S)
    assert ended(bench).meter_stop_wh == 2000.0


def test_a_register_that_falls_is_not_billed() -> None:
    bench = charging()
    bench.meter(5.0)
    bench.tap()
    settle(bench, 5.0)
    assert ended(bench).meter_stop_wh == 1000.0


def test_a_vehicle_on_another_connector_ends_the_transaction() -> None:
    bench = Bench(connectors=2).ready()
    bench.charge()
    bench.pilot(C, connector_id=2)
    assert not targets(bench.station).of(1).energize
    settle(bench, 1200.0)
    record = ended(bench)
    assert record.stop_reason is StopReason.EV_DISCONNECTED
    assert record.charging_state is ChargingState.IDLE
    assert record.connector_id == 1
    assert isinstance(bench.session(), Idle)


def test_a_pilot_in_error_after_the_end_is_still_the_same_vehicle() -> None:
    bench = charging()
    bench.tap()
    bench.pilot(E)
    settle(bench, 1200.0)
    assert isinstance(bench.session(), Finished)
    bench.pilot(B)
    assert isinstance(bench.session(), Finished)


def test_after_the_end_a_token_begins_a_new_transaction_on_the_same_vehicle() -> None:
    bench = charging()
    bench.tap()
    settle(bench, 1800.0)
    bench.tap()
    bench.grant()
    started = bench.told_records(TransactionStarted)
    assert [record.meter_start_wh for record in started] == [1000.0, 1800.0]


def test_what_happens_while_it_ends_changes_nothing() -> None:
    bench = charging()
    bench.tap()
    before = bench.session()
    bench.post(RemoteStopRequested(1, transaction_id=transaction(bench).transaction_id))
    bench.pilot(A)
    refuse(bench)
    assert bench.session() is before


def test_a_power_cut_while_it_ends_does_not_change_the_end() -> None:
    bench = charging()
    bench.meter(1700.0)
    bench.tap()
    decided = bench.session()
    bench.power_cut()
    bench.hardware(energy_wh=1701.0)
    record = ended(bench)
    assert (record.at, record.stop_reason) == (decided.at, StopReason.LOCAL)
    assert record.offline
    assert record.meter_stop_wh == 1701.0


# --- faults ---


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.GROUND_FAILURE, StopReason.GROUND_FAULT),
        (Fault.EMERGENCY_STOP, StopReason.EMERGENCY_STOP),
        (Fault.OVER_CURRENT, StopReason.OVERCURRENT_FAULT),
        (Fault.CONTACTOR_FAULT, StopReason.OTHER),
        (Fault.POWER_METER_FAILURE, StopReason.OTHER),
    ],
)
def test_a_dangerous_fault_ends_the_transaction_at_once(
    fault: Fault, reason: StopReason
) -> None:
    bench = charging()
    bench.post(FaultRaised(1, fault))
    session = bench.session()
    assert isinstance(session, Ending)
    assert (session.reason, session.trigger) == (reason, Trigger.ABNORMAL_CONDITION)
    assert targets(bench.station).of(1).at_once


def test_a_fault_that_may_pass_pauses_for_a_minute_and_then_ends() -> None:
    bench = charging()
    bench.wait(1.0)
    bench.post(FaultRaised(1, Fault.OVER_VOLTAGE))
    assert states(bench)[-1] is ChargingState.SUSPENDED_EVSE
    assert wake_s(bench) == bench.now_s + 60.0
    bench.wait(59.9)
    assert isinstance(bench.session(), Active)
    bench.wait(0.1)
    session = bench.session()
    assert isinstance(session, Ending)
    assert session.reason is StopReason.POWER_QUALITY


def test_a_fault_that_passes_lets_the_energy_flow_again() -> None:
    bench = charging()
    bench.post(FaultRaised(1, Fault.HIGH_TEMPERATURE))
    bench.wait(30.0)
    bench.post(FaultCleared(1, Fault.HIGH_TEMPERATURE))
    bench.wait(100.0)
    assert states(bench)[-1] is ChargingState.CHARGING


def test_a_broken_reader_disturbs_nobody() -> None:
    bench = charging()
    bench.post(FaultRaised(1, Fault.READER_FAILURE))
    bench.wait(100.0)
    assert states(bench)[-1] is ChargingState.CHARGING


def test_a_meter_that_fails_only_pauses_where_the_setting_says_so() -> None:
    bench = charging(TxCtrlr__StopTxOnMeterFailure="false")
    bench.post(FaultRaised(1, Fault.POWER_METER_FAILURE))
    bench.wait(100.0)
    assert states(bench)[-1] is ChargingState.SUSPENDED_EVSE


# --- verdicts of the CSMS ---


def test_a_refused_token_ends_its_transaction() -> None:
    bench = charging()
    refuse(bench)
    session = bench.session()
    assert isinstance(session, Ending)
    assert session.reason is StopReason.DE_AUTHORIZED
    assert session.trigger is Trigger.DEAUTHORIZED


def test_a_refused_token_only_pauses_where_the_setting_says_so() -> None:
    bench = charging(**GOES_ON)
    refuse(bench)
    assert states(bench)[-1] is ChargingState.SUSPENDED_EVSE
    bench.wait(100.0)
    assert isinstance(bench.session(), Active)


def test_a_refused_token_draws_its_allowance_from_the_start_of_the_transaction() -> None:
    bench = charging(**GOES_ON, TxCtrlr__MaxEnergyOnInvalidId="500")
    bench.meter(1400.0)
    refuse(bench)
    assert states(bench)[-1] is ChargingState.CHARGING
    bench.meter(1499.0)
    assert targets(bench.station).of(1).energize
    bench.meter(1500.0)
    assert not targets(bench.station).of(1).energize
    assert states(bench)[-1] is ChargingState.SUSPENDED_EVSE


def test_the_group_that_the_csms_names_with_the_start_may_stop() -> None:
    bench = charging()
    refuse(bench, TokenInfo(AuthorizationStatus.ACCEPTED, group="G"))
    assert transaction(bench).group == "G"
    bench.tap(OTHER)
    bench.grant(1, OTHER, "G")
    session = bench.session()
    assert isinstance(session, Ending)
    assert session.id_token == OTHER


@pytest.mark.parametrize("info", [TokenInfo(AuthorizationStatus.ACCEPTED), REFUSED])
def test_news_without_a_group_keep_the_one_that_is_known(info: TokenInfo) -> None:
    bench = a_bench(**GOES_ON)
    bench.charge(group="G")
    refuse(bench, info)
    assert transaction(bench).group == "G"


def test_news_of_another_token_do_not_concern_the_transaction() -> None:
    bench = charging()
    key = transaction(bench).transaction_id
    good = TokenInfo(AuthorizationStatus.ACCEPTED, group="G")
    bench.post(TransactionAcknowledged(key, id_token=OTHER, info=good))
    assert transaction(bench).group is None


def test_the_verdict_on_one_transaction_leaves_the_others_alone() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.charge(2, OTHER)
    refuse(bench)
    assert isinstance(bench.session(1), Ending)
    assert isinstance(bench.session(2), Active)


# --- the register ---


def test_the_register_is_written_down_each_minute() -> None:
    bench = charging(SampledDataCtrlr__TxUpdatedInterval="0")
    noted_s = transaction(bench).last_at.monotonic_s
    assert wake_s(bench) == noted_s + 60.0
    bench.meter(1300.0)
    bench.wait(60.0)
    assert transaction(bench).last_wh == 1300.0
    assert transaction(bench).last_at.monotonic_s == noted_s + 60.0
    bench.power_cut()
    bench.wait(BOOT_WAIT_S)
    record = ended(bench)
    assert record.meter_stop_wh == 1300.0
    assert record.charging_s == pytest.approx(60.0)


def test_a_sample_kept_for_the_end_writes_the_register_down() -> None:
    bench = charging(
        SampledDataCtrlr__TxUpdatedInterval="0", SampledDataCtrlr__TxEndedInterval="20"
    )
    bench.now_s += 19.0
    bench.meter(1300.0)
    bench.wait(1.0)
    bench.power_cut()
    bench.wait(BOOT_WAIT_S)
    record = ended(bench)
    assert record.meter_stop_wh == 1300.0
    assert [sample.context for sample in record.samples[:-1]] == [
        ReadingContext.TRANSACTION_BEGIN,
        ReadingContext.PERIODIC,
    ]
    assert record.at.monotonic_s >= record.samples[-2].at.monotonic_s


def test_a_sample_of_one_evse_goes_to_no_other() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.charge(2, OTHER)
    bench.now_s += 59.0
    for evse_id in (1, 2):
        bench.meter(1100.0 * evse_id, evse_id)
    bench.wait(5.0)
    found = [r for r in bench.told_records(TransactionUpdated) if r.samples]
    registers = {r.evse_id: r.samples[0].quantities[0].value for r in found}
    assert registers == {1: 1100.0, 2: 2200.0}
    assert len(found) == 2


def test_a_sample_that_is_due_when_the_transaction_ends_is_left_to_the_end() -> None:
    bench = charging()
    bench.post(FaultRaised(1, Fault.OVER_VOLTAGE))
    bench.obey()
    bench.now_s += 59.0
    bench.meter(1100.0)
    bench.wait(5.0)
    assert [type(record) for record in bench.records[-2:]] == [
        TransactionUpdated,
        TransactionEnded,
    ]
    assert ended(bench).stop_reason is StopReason.POWER_QUALITY
    assert bench.records[-2].charging_state is ChargingState.SUSPENDED_EVSE
    assert bench.records[-2].samples == ()


# --- power cuts ---


def test_a_power_cut_ends_the_transaction_at_the_last_known_instant() -> None:
    bench = charging()
    bench.now_s += 30.0
    bench.meter(1200.0)
    bench.pilot(B)
    known_at = transaction(bench).last_at
    bench.now_s += 20.0
    bench.power_cut()
    assert isinstance(bench.session(), Ending)
    bench.hardware(energy_wh=1250.0)
    record = ended(bench)
    assert record.at == known_at
    assert record.offline
    assert record.stop_reason is StopReason.POWER_LOSS
    assert record.trigger is Trigger.ABNORMAL_CONDITION
    assert record.meter_stop_wh == 1250.0
    assert record.charging_s == pytest.approx(30.1)


def test_a_restart_of_the_agent_is_told_as_a_reboot() -> None:
    bench = charging()
    bench.power_cut(BootReason.WATCHDOG)
    bench.hardware()
    assert ended(bench).stop_reason is StopReason.REBOOT


def test_hardware_that_stays_silent_after_a_start_gets_half_a_minute() -> None:
    bench = charging()
    bench.power_cut()
    assert wake_s(bench) == BOOT_WAIT_S
    bench.wait(BOOT_WAIT_S)
    assert ended(bench).meter_stop_wh == 1000.0
    assert isinstance(bench.session(), Idle)


def test_where_the_setting_says_so_the_transaction_goes_on_with_its_vehicle() -> None:
    bench = charging(**RESUME)
    key = transaction(bench).transaction_id
    bench.power_cut()
    assert isinstance(bench.session(), Resuming)
    bench.hardware(energy_wh=1010.0)
    assert isinstance(bench.session(), Ending), "nobody is plugged"
    bench = charging(**RESUME)
    bench.power_cut()
    bench.post(found(32.0))
    bench.pilot(C)
    bench.meter(1010.0)
    record = bench.told_records(TransactionUpdated)[-1]
    assert record.charging_state is ChargingState.EV_CONNECTED
    assert record.trigger is Trigger.CHARGING_STATE_CHANGED
    assert record.samples[0].context is ReadingContext.INTERRUPTION_END
    assert record.transaction_id == key
    bench.obey()
    assert states(bench)[-1] is ChargingState.CHARGING


def test_a_vehicle_that_is_ready_later_than_the_meter_is_waited_for() -> None:
    bench = charging(**RESUME)
    bench.power_cut()
    bench.post(found(32.0))
    bench.meter(1010.0)
    assert isinstance(bench.session(), Resuming)
    bench.pilot(B)
    assert isinstance(bench.session(), Active)


def test_a_fault_of_the_first_seconds_does_not_end_what_may_go_on() -> None:
    bench = charging(**RESUME)
    bench.power_cut()
    bench.post(FaultRaised(1, Fault.COMMUNICATION_FAULT))
    bench.pilot(B)
    bench.meter(1010.0)
    assert isinstance(bench.session(), Resuming)
    bench.post(FaultCleared(1, Fault.COMMUNICATION_FAULT))
    assert isinstance(bench.session(), Active)


def test_what_cannot_go_on_in_time_ends() -> None:
    bench = charging(**RESUME)
    bench.power_cut()
    assert wake_s(bench) == BOOT_WAIT_S
    bench.wait(BOOT_WAIT_S)
    session = bench.session()
    assert isinstance(session, Ending)
    assert session.reason is StopReason.POWER_LOSS


def test_a_second_power_cut_begins_the_wait_anew() -> None:
    bench = charging(**RESUME)
    bench.power_cut()
    bench.wait(20.0)
    bench.power_cut()
    assert isinstance(bench.session(), Resuming)
    assert wake_s(bench) == BOOT_WAIT_S


def test_another_connector_is_not_the_vehicle_that_was_there() -> None:
    bench = Bench(connectors=2, **RESUME).ready()
    bench.charge()
    bench.power_cut()
    bench.meter(1010.0)
    bench.pilot(C, connector_id=2)
    assert isinstance(bench.session(), Ending)


def test_a_token_refused_while_the_vehicle_is_waited_for_ends_its_transaction() -> None:
    bench = charging(**RESUME)
    bench.power_cut()
    refuse(bench)
    session = bench.session()
    assert isinstance(session, Ending)
    assert session.reason is StopReason.DE_AUTHORIZED
    assert session.trigger is Trigger.DEAUTHORIZED


def test_a_token_refused_meanwhile_pauses_after_the_return_where_the_setting_says_so() -> None:
    bench = charging(**RESUME, **GOES_ON)
    bench.power_cut()
    refuse(bench)
    assert isinstance(bench.session(), Resuming)
    bench.post(found(32.0))
    bench.pilot(C)
    bench.meter(1010.0)
    assert isinstance(bench.session(), Active)
    assert targets(bench.station).of(1).offer_a == 0.0


def test_a_reset_does_not_wait_for_a_vehicle_that_may_return() -> None:
    bench = charging(**RESUME)
    bench.power_cut()
    bench.post(ResetRequested(1, ResetKind.IMMEDIATE))
    session = bench.session()
    assert isinstance(session, Ending)
    assert session.reason is StopReason.IMMEDIATE_RESET


@pytest.mark.parametrize("cause", [BootReason.POWER_UP, BootReason.WATCHDOG])
def test_a_transaction_of_an_evse_that_is_gone_ends_at_the_next_start(
    cause: BootReason,
) -> None:
    bench = charging_second()
    bench.wait(59.0)
    bench.meter(1700.0, evse_id=2)
    bench.wait(2.0)
    bench.specs = bench.specs[:1]
    bench.power_cut(cause)
    [ended] = bench.told_records(TransactionEnded)
    is_cut = cause is BootReason.POWER_UP
    assert ended.stop_reason is (StopReason.POWER_LOSS if is_cut else StopReason.REBOOT)
    assert (ended.evse_id, ended.meter_stop_wh) == (2, 1700.0)
    assert ended.at.boot == 1
    bench.power_cut()
    assert len(bench.told_records(TransactionEnded)) == 1


def test_one_that_was_about_to_end_there_keeps_its_reason() -> None:
    bench = charging_second()
    bench.tap(evse_id=2)
    assert isinstance(bench.session(2), Ending)
    bench.specs = bench.specs[:1]
    bench.power_cut()
    [ended] = bench.told_records(TransactionEnded)
    assert ended.stop_reason is StopReason.LOCAL
    assert ended.id_token == TAG


def test_only_what_holds_a_transaction_is_durable() -> None:
    bench = charging()
    session = bench.session()
    assert durable(session) is session
    assert durable(Idle()) is None
    assert durable(Finished()) is None


# --- what everybody sees ---


def test_the_phases_of_a_session_are_told_in_their_order() -> None:
    bench = charging()
    bench.tap()
    settle(bench, 1500.0)
    bench.pilot(A)
    told = [
        effect.status.phase
        for effect in bench.told(StatusReported)
        if effect.status.connector_id
    ]
    assert told == [
        SessionPhase.FREE,
        SessionPhase.PREPARING,
        SessionPhase.CHARGING,
        SessionPhase.FINISHING,
        SessionPhase.FREE,
    ]


def test_the_contactor_never_closes_before_the_start_is_recorded() -> None:
    bench = a_bench()
    bench.pilot(C)
    bench.tap()
    assert not targets(bench.station).of(1).energize
    bench.grant()
    assert targets(bench.station).of(1).energize
    assert bench.stored
    bench.post(OutletChanged(1, closed=True))


@pytest.mark.parametrize("pilot", [PilotState.E, PilotState.F])
def test_a_pilot_in_error_is_not_waited_for_again_and_again(pilot: PilotState) -> None:
    bench = charging()
    bench.pilot(pilot)
    bench.wait(30.0)
    due = deadline(bench.station)
    assert due is not None
    assert due > bench.now_s


# --- priority (2.0.1 K03) ---


def prioritized(priority: int | None) -> Bench:
    """Charge with a token of priority 3, and take an answer that says another."""
    bench = a_bench()
    bench.pilot(C)
    bench.tap()
    info = TokenInfo(AuthorizationStatus.ACCEPTED, priority=3)
    bench.post(AuthorizationAnswered(1, TAG, info))
    bench.obey()
    assert transaction(bench).priority == 3
    again = TokenInfo(AuthorizationStatus.ACCEPTED, priority=priority)
    bench.post(TransactionAcknowledged(transaction(bench).transaction_id, info=again))
    return bench


@pytest.mark.parametrize(("told", "counts"), [(None, 3), (3, 3), (-9, -9), (0, 0)])
def test_the_answer_to_a_transaction_may_give_it_another_priority(
    told: int | None, counts: int
) -> None:
    bench = prioritized(told)
    assert transaction(bench).priority == counts
    cached = bench.station.authorization.cache[digest(TAG)].info
    assert cached.priority == 3, "K03.FR.05: the token keeps its own"


def test_the_priority_survives_a_power_cut() -> None:
    bench = prioritized(-4)
    bench.power_cut()
    assert transaction(bench).priority == -4


def test_a_word_about_another_transaction_of_the_token_gives_this_one_no_priority() -> None:
    bench = prioritized(None)
    info = TokenInfo(AuthorizationStatus.ACCEPTED, priority=9)
    bench.post(TokenLearned(TAG, info, "another"))
    assert transaction(bench).priority == 3
