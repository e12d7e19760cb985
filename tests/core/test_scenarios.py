"""Whole stories, told to the core alone: what a driver, a vehicle and a CSMS live through.

No story depends on the version that is spoken: the core does not know it.
"""

from dataclasses import dataclass

import pytest

from agent.core.effects import (
    AuthorizationWanted,
    BootReported,
    Done,
    Restart,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Verdict,
)
from agent.core.events import (
    AuthorizationAnswered,
    BootAnswered,
    EvseDetected,
    FaultCleared,
    FaultRaised,
    LinkDown,
    LinkUp,
    MeterFailed,
    OutletChanged,
    RemoteStartRequested,
    RemoteStopRequested,
    ResetKind,
    ResetRequested,
    StorageFailed,
    StorageRecovered,
    TransactionAcknowledged,
)
from agent.core.states import Active, Authorized, Ending, Finished, Idle, Resuming
from agent.core.station import targets
from agent.core.values import (
    AuthorizationStatus,
    BootReason,
    ChargingState,
    EvseCapabilities,
    RegistrationStatus,
    SessionPhase,
    StopReason,
    TokenInfo,
    Trigger,
)
from hal.types import Fault, PilotState
from tests.support.core import OTHER, TAG, Bench

STOP_ON_INVALID = "TxCtrlr__StopTxOnInvalidId"
ALLOWANCE = "TxCtrlr__MaxEnergyOnInvalidId"
RESUME = "TxCtrlr__ResumeAfterPowerLoss"
AUTHORIZE_REMOTE = "AuthCtrlr__AuthorizeRemoteStart"
UNKNOWN_OFFLINE = "AuthCtrlr__OfflineTxForUnknownIdEnabled"
INVALID = TokenInfo(AuthorizationStatus.INVALID)

Story = TransactionStarted | TransactionUpdated | TransactionEnded


def flows(bench: Bench, evse_id: int = 1) -> bool:
    """Tell whether the contactor should be closed."""
    return targets(bench.station).of(evse_id).energize


def offer(bench: Bench, evse_id: int = 1) -> float:
    return targets(bench.station).of(evse_id).offer_a


def settle(bench: Bench, energy_wh: float = 2000.0, evse_id: int = 1) -> None:
    """Let the contactor follow, and read the meter after it."""
    bench.obey(evse_id)
    bench.meter(energy_wh, evse_id)


def leave(bench: Bench, energy_wh: float = 2000.0, evse_id: int = 1) -> None:
    bench.pilot(PilotState.A, evse_id)
    settle(bench, energy_wh, evse_id)


def story(bench: Bench) -> list[tuple[type, Trigger, ChargingState]]:
    """Return what the CSMS is told of transactions, without its samples."""
    return [
        (type(record), record.trigger, record.charging_state)
        for record in bench.records
        if isinstance(record, Story) and not _is_sample(record)
    ]


def _is_sample(record: Story) -> bool:
    return record.trigger is Trigger.METER_VALUE_PERIODIC


def the_end(bench: Bench) -> TransactionEnded:
    (ended,) = bench.told_records(TransactionEnded)
    return ended


def phases(bench: Bench, evse_id: int = 1) -> list[SessionPhase]:
    return [
        effect.status.phase
        for effect in bench.told(StatusReported)
        if effect.status.evse_id == evse_id
    ]


# --- boot ---


def test_a_station_is_put_off_twice_and_then_accepted() -> None:
    bench = Bench()
    bench.hardware()
    bench.pilot(PilotState.B)
    bench.post(LinkUp(0, "ocpp1.6", "ws://csms", 0))
    bench.post(BootAnswered(RegistrationStatus.REJECTED, 0, None))
    bench.tap()
    assert isinstance(bench.session(), Idle)
    bench.wait(61.0)
    bench.post(BootAnswered(RegistrationStatus.PENDING, 10**9, None))
    bench.wait(7 * 86_400 + 1.0)
    assert len(bench.told(BootReported)) == 3
    assert not bench.told(StatusReported)
    bench.accept()
    assert phases(bench) == [SessionPhase.PREPARING]
    bench.meter(1000.0)
    bench.tap()
    bench.grant()
    assert isinstance(bench.session(), Active)


# --- from the first token or plug to the flow of energy ---


def test_plug_first() -> None:
    bench = Bench().ready()
    bench.pilot(PilotState.C)
    assert not flows(bench)
    bench.tap()
    bench.grant()
    assert flows(bench)
    assert offer(bench) == 32.0
    bench.obey()
    assert story(bench) == [
        (TransactionStarted, Trigger.AUTHORIZED, ChargingState.EV_CONNECTED),
        (TransactionUpdated, Trigger.CHARGING_STATE_CHANGED, ChargingState.CHARGING),
    ]
    assert phases(bench) == [SessionPhase.FREE, SessionPhase.PREPARING, SessionPhase.CHARGING]


def test_token_first() -> None:
    bench = Bench().ready()
    bench.tap()
    bench.grant()
    assert isinstance(bench.session(), Authorized)
    assert offer(bench) == 0.0
    bench.now_s += 5.0
    bench.pilot(PilotState.B)
    assert not flows(bench)
    assert offer(bench) == 32.0
    bench.pilot(PilotState.C)
    assert flows(bench)
    bench.obey()
    assert story(bench) == [
        (TransactionStarted, Trigger.CABLE_PLUGGED_IN, ChargingState.EV_CONNECTED),
        (TransactionUpdated, Trigger.CHARGING_STATE_CHANGED, ChargingState.CHARGING),
    ]


def test_a_refused_token_gives_no_energy() -> None:
    bench = Bench().ready()
    bench.pilot(PilotState.C)
    bench.tap()
    bench.post(AuthorizationAnswered(1, TAG, INVALID))
    assert not flows(bench)
    assert story(bench) == []


def test_nobody_comes() -> None:
    bench = Bench().ready()
    bench.tap()
    bench.grant()
    bench.wait(59.9)
    assert isinstance(bench.session(), Authorized)
    bench.wait(0.1)
    assert isinstance(bench.session(), Idle)
    assert phases(bench) == [SessionPhase.FREE, SessionPhase.PREPARING, SessionPhase.FREE]
    bench.meter(1000.0)
    bench.pilot(PilotState.C)
    assert not flows(bench)
    assert story(bench) == []


def test_the_wait_for_a_vehicle_may_be_without_end() -> None:
    bench = Bench(TxCtrlr__EVConnectionTimeOut="0").ready()
    bench.tap()
    bench.grant()
    bench.wait(86_400.0)
    assert isinstance(bench.session(), Authorized)


def test_two_drivers_at_two_evses() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1, TAG)
    bench.charge(2, OTHER)
    assert flows(bench, 1)
    assert flows(bench, 2)
    leave(bench, 3000.0, 1)
    assert not flows(bench, 1)
    assert flows(bench, 2)
    assert the_end(bench).evse_id == 1


# --- how it ends ---


def test_stopped_by_token_and_unplugged_later() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.wait(3600.0)
    bench.meter(8000.0)
    bench.tap()
    assert not flows(bench)
    settle(bench, 8010.0)
    ended = the_end(bench)
    assert (ended.stop_reason, ended.trigger) == (StopReason.LOCAL, Trigger.STOP_AUTHORIZED)
    assert (ended.id_token, ended.meter_stop_wh) == (TAG, 8010.0)
    assert ended.charging_state is ChargingState.EV_CONNECTED
    assert isinstance(bench.session(), Finished)
    bench.pilot(PilotState.A)
    assert phases(bench)[-2:] == [SessionPhase.FINISHING, SessionPhase.FREE]


def test_stopped_by_a_token_of_the_group() -> None:
    bench = Bench().ready()
    bench.charge(group="FAMILY")
    bench.tap(OTHER)
    bench.grant(id_token=OTHER, group="FAMILY")
    settle(bench)
    assert (the_end(bench).stop_reason, the_end(bench).id_token) == (StopReason.LOCAL, OTHER)


def test_unplugged_while_charging() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.pilot(PilotState.A)
    assert not flows(bench)
    settle(bench)
    ended = the_end(bench)
    assert ended.stop_reason is StopReason.EV_DISCONNECTED
    assert ended.trigger is Trigger.EV_COMMUNICATION_LOST
    assert ended.charging_state is ChargingState.IDLE
    assert isinstance(bench.session(), Idle)


def test_the_vehicle_pauses_and_goes_on() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.pilot(PilotState.B)
    bench.obey()
    bench.pilot(PilotState.C)
    bench.obey()
    states = [state for _, _, state in story(bench)]
    assert states[1:] == [
        ChargingState.CHARGING,
        ChargingState.SUSPENDED_EV,
        ChargingState.CHARGING,
    ]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.GROUND_FAILURE, StopReason.GROUND_FAULT),
        (Fault.EMERGENCY_STOP, StopReason.EMERGENCY_STOP),
        (Fault.CONTACTOR_FAULT, StopReason.OTHER),
    ],
)
def test_a_fault_ends_it_and_nobody_begins_before_it_is_cleared(
    fault: Fault, reason: StopReason
) -> None:
    bench = Bench().ready()
    bench.charge()
    bench.post(FaultRaised(1, fault))
    assert not flows(bench)
    settle(bench)
    assert the_end(bench).stop_reason is reason
    bench.tap()
    assert isinstance(bench.session(), Finished)
    bench.post(FaultCleared(1, fault))
    bench.tap()
    bench.grant()
    assert isinstance(bench.session(), Active)


def test_a_passing_fault_only_pauses() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.post(FaultRaised(1, Fault.OVER_VOLTAGE))
    assert not flows(bench)
    bench.obey()
    bench.wait(30.0)
    bench.meter(1500.0)
    bench.post(FaultCleared(1, Fault.OVER_VOLTAGE))
    assert flows(bench)
    assert bench.told_records(TransactionEnded) == []
    bench.post(FaultRaised(1, Fault.OVER_VOLTAGE))
    bench.wait(60.0)
    settle(bench, 1600.0)
    assert the_end(bench).stop_reason is StopReason.POWER_QUALITY


def test_storage_that_cannot_write_pauses_and_lets_nobody_begin() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.post(StorageFailed("disk full"))
    assert not flows(bench, 1)
    bench.pilot(PilotState.C, 2)
    bench.tap(OTHER, 2)
    assert isinstance(bench.session(2), Idle)
    bench.post(StorageRecovered())
    assert flows(bench, 1)


def test_a_silent_meter_ends_with_the_last_register() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.meter(4000.0)
    bench.pilot(PilotState.A)
    bench.obey()
    bench.post(MeterFailed(1, "no answer"))
    bench.wait(10.0)
    assert the_end(bench).meter_stop_wh == 4000.0


# --- the CSMS changes its mind ---


def revoke(bench: Bench, info: TokenInfo = INVALID) -> None:
    (started,) = bench.told_records(TransactionStarted)
    bench.post(TransactionAcknowledged(started.transaction_id, info=info))


REFUSALS = [item for item in AuthorizationStatus if item is not AuthorizationStatus.ACCEPTED]


@pytest.mark.parametrize("allowance", ["0", "500"])
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refused_token_ends_its_transaction_whatever_the_allowance(
    status: AuthorizationStatus, allowance: str
) -> None:
    bench = Bench(**{ALLOWANCE: allowance}).ready()
    bench.charge()
    revoke(bench, TokenInfo(status))
    assert not flows(bench)
    settle(bench)
    ended = the_end(bench)
    assert (ended.stop_reason, ended.trigger) == (
        StopReason.DE_AUTHORIZED,
        Trigger.DEAUTHORIZED,
    )
    assert ended.id_token is None


def test_a_refused_token_may_be_suspended_instead() -> None:
    bench = Bench(**{STOP_ON_INVALID: "false"}).ready()
    bench.charge()
    revoke(bench)
    assert not flows(bench)
    assert offer(bench) == 0.0
    assert story(bench)[-1][2] is ChargingState.SUSPENDED_EVSE
    assert isinstance(bench.session(), Active)
    leave(bench)
    assert the_end(bench).stop_reason is StopReason.EV_DISCONNECTED


def test_a_refused_token_may_draw_its_allowance_from_the_start_on() -> None:
    bench = Bench(**{STOP_ON_INVALID: "false", ALLOWANCE: "500"}).ready()
    bench.charge()
    bench.meter(1300.0)
    revoke(bench)
    assert flows(bench)
    bench.meter(1499.0)
    assert flows(bench)
    bench.meter(1500.0)
    assert not flows(bench)
    assert story(bench)[-1][2] is ChargingState.SUSPENDED_EVSE
    bench.tap()
    settle(bench, 1500.0)
    assert the_end(bench).stop_reason is StopReason.LOCAL


def test_an_allowance_that_is_used_up_already_is_none() -> None:
    bench = Bench(**{STOP_ON_INVALID: "false", ALLOWANCE: "500"}).ready()
    bench.charge()
    bench.meter(1700.0)
    revoke(bench)
    assert not flows(bench)


def test_a_suspended_transaction_stays_so_over_a_power_cut() -> None:
    bench = Bench(**{STOP_ON_INVALID: "false", RESUME: "true"}).ready()
    bench.charge()
    revoke(bench)
    bench.power_cut()
    wake(bench, 1000.0)
    assert isinstance(bench.session(), Active)
    assert not flows(bench)


def test_offline_a_stranger_charges_and_is_refused_afterwards() -> None:
    bench = Bench(**{UNKNOWN_OFFLINE: "true"}).ready()
    bench.post(LinkDown("lost"))
    bench.pilot(PilotState.C)
    bench.tap()
    assert flows(bench)
    (started,) = bench.told_records(TransactionStarted)
    assert started.offline
    bench.wait(100.0)
    bench.connect()
    revoke(bench)
    assert not flows(bench)
    settle(bench)
    assert not the_end(bench).offline
    bench.pilot(PilotState.A)
    bench.post(LinkDown("lost"))
    bench.pilot(PilotState.C)
    bench.tap()
    assert not flows(bench)  # the cache knows him now


def test_begun_and_ended_offline_everything_waits_in_order() -> None:
    bench = Bench(**{UNKNOWN_OFFLINE: "true"}).ready()
    bench.post(LinkDown("lost"))
    for _ in range(2):
        bench.pilot(PilotState.C)
        bench.tap()
        bench.obey()
        leave(bench)
    bench.power_cut()
    kinds = [entry.kind for entry in bench.station.outbox.entries]
    assert kinds == ["started", "updated", "ended"] * 2
    assert all(record.offline for record in bench.records)
    bench.connect()
    bench.deliver()
    assert bench.stored == {}


# --- remote control ---


@pytest.mark.parametrize("authorizes", ["true", "false"])
def test_a_remote_start_and_a_remote_stop(authorizes: str) -> None:
    bench = Bench(**{AUTHORIZE_REMOTE: authorizes}).ready()
    bench.post(RemoteStartRequested(1, TAG, 1, 7))
    assert bench.reply(1) == Done(Verdict.ACCEPTED)
    assert bool(bench.told(AuthorizationWanted)) is (authorizes == "true")
    if authorizes == "true":
        bench.grant()
    bench.pilot(PilotState.C)
    bench.obey()
    (started,) = bench.told_records(TransactionStarted)
    assert (started.trigger, started.remote_start_id) == (Trigger.REMOTE_START, 7)
    bench.post(RemoteStopRequested(2, started.transaction_id))
    assert bench.reply(2) == Done(Verdict.ACCEPTED)
    settle(bench)
    ended = the_end(bench)
    assert (ended.stop_reason, ended.trigger) == (StopReason.REMOTE, Trigger.REMOTE_STOP)


def test_a_remote_start_that_the_driver_ends_with_his_card() -> None:
    bench = Bench().ready()
    bench.post(RemoteStartRequested(1, TAG, 1, 7))
    bench.pilot(PilotState.C)
    bench.obey()
    bench.tap()
    settle(bench)
    assert the_end(bench).stop_reason is StopReason.LOCAL


def test_a_remote_start_to_which_nobody_comes() -> None:
    bench = Bench().ready()
    bench.post(RemoteStartRequested(1, TAG, 1, 7))
    bench.wait(60.0)
    assert isinstance(bench.session(), Idle)
    assert story(bench) == []


def test_remote_starts_twice_unknown_and_without_a_place() -> None:
    bench = Bench(2).ready(2)
    bench.post(RemoteStartRequested(1, TAG, 1, 7))
    bench.post(RemoteStartRequested(2, TAG, 1, 7))
    bench.post(RemoteStartRequested(3, TAG, 9, 8))
    bench.post(RemoteStartRequested(4, OTHER, None, 9))
    verdicts = [bench.reply(request_id).verdict for request_id in (1, 2, 3, 4)]
    assert verdicts == [
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
        Verdict.UNKNOWN_EVSE,
        Verdict.ACCEPTED,
    ]
    assert [bench.session(evse_id).id_token for evse_id in (1, 2)] == [TAG, OTHER]


# --- reset ---


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ResetKind.IMMEDIATE, StopReason.IMMEDIATE_RESET),
        (ResetKind.GRACEFUL, StopReason.SOFT_RESET),
    ],
)
def test_a_reset_while_charging(kind: ResetKind, reason: StopReason) -> None:
    bench = Bench().ready()
    bench.charge()
    bench.post(ResetRequested(1, kind))
    assert not flows(bench)
    settle(bench)
    assert the_end(bench).stop_reason is reason
    assert the_end(bench).trigger is Trigger.RESET_COMMAND
    bench.deliver()
    assert bench.told(Restart) == [Restart(BootReason.REMOTE_RESET)]
    bench.power_cut()
    bench.hardware()
    bench.pilot(PilotState.C)
    bench.connect()
    assert bench.told(BootReported)[-1] == BootReported(BootReason.REMOTE_RESET)
    assert not flows(bench)


def test_a_reset_whose_end_the_csms_does_not_take_is_told_afterwards() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.deliver()
    bench.post(ResetRequested(1, ResetKind.IMMEDIATE))
    settle(bench)
    bench.wait(5.0)
    assert bench.told(Restart)
    bench.power_cut()
    assert [entry.kind for entry in bench.station.outbox.entries] == ["ended"]


def test_a_reset_on_idle_lets_the_driver_finish() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.post(ResetRequested(1, ResetKind.ON_IDLE))
    bench.wait(3600.0)
    assert flows(bench)
    leave(bench)
    bench.deliver()
    assert bench.told(Restart) == [Restart(BootReason.SCHEDULED_RESET)]


# --- power cuts ---


def wake(bench: Bench, energy_wh: float) -> None:
    """Let the hardware report a vehicle that asks, an open contactor and the register."""
    bench.post(EvseDetected(1, EvseCapabilities(max_a=32.0, phases=3)))
    bench.pilot(PilotState.C)
    bench.post(OutletChanged(1, closed=False))
    bench.meter(energy_wh)


@dataclass(frozen=True)
class Moment:
    """A moment of a session: how to come to it, and whether a transaction is open then."""

    name: str
    is_open: bool

    def reached(self, **settings: str) -> Bench:
        bench = Bench(**{STOP_ON_INVALID: "false", **settings}).ready()
        getattr(self, f"_{self.name}")(bench)
        return bench

    def _idle(self, bench: Bench) -> None:
        assert isinstance(bench.session(), Idle)

    def _plugged(self, bench: Bench) -> None:
        bench.pilot(PilotState.C)

    def _asked(self, bench: Bench) -> None:
        bench.tap()

    def _authorized(self, bench: Bench) -> None:
        bench.tap()
        bench.grant()

    def _started(self, bench: Bench) -> None:
        bench.pilot(PilotState.B)
        self._authorized(bench)

    def _charging(self, bench: Bench) -> None:
        bench.charge()
        bench.wait(70.0)
        bench.meter(1700.0)

    def _suspended_by_vehicle(self, bench: Bench) -> None:
        self._charging(bench)
        bench.pilot(PilotState.B)
        bench.obey()

    def _suspended_by_station(self, bench: Bench) -> None:
        self._charging(bench)
        revoke(bench)
        bench.obey()

    def _faulted(self, bench: Bench) -> None:
        self._charging(bench)
        bench.post(FaultRaised(1, Fault.OVER_VOLTAGE))
        bench.obey()

    def _resuming(self, bench: Bench) -> None:
        self._charging(bench)
        bench.power_cut()

    def _ending(self, bench: Bench) -> None:
        self._charging(bench)
        bench.tap()

    def _finished(self, bench: Bench) -> None:
        self._ending(bench)
        settle(bench)


WITHOUT = [
    Moment(name, is_open=False)
    for name in ("idle", "plugged", "asked", "authorized", "finished")
]
WITHIN = [
    Moment(name, is_open=True)
    for name in (
        "started",
        "charging",
        "suspended_by_vehicle",
        "suspended_by_station",
        "faulted",
        "resuming",
    )
]
by_name = {"ids": lambda item: getattr(item, "name", str(item))}


@pytest.mark.parametrize("resume", ["true", "false"])
@pytest.mark.parametrize("moment", WITHOUT, **by_name)
def test_a_power_cut_without_a_transaction_leaves_nothing_behind(
    moment: Moment, resume: str
) -> None:
    bench = moment.reached(**{RESUME: resume})
    before = list(bench.records)
    bench.power_cut()
    bench.hardware()
    bench.pilot(PilotState.C)
    bench.wait(60.0)
    assert isinstance(bench.session(), Idle)
    assert not flows(bench)
    assert bench.records == before


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("resume", ["true", "false"])
@pytest.mark.parametrize("moment", WITHIN, **by_name)
def test_a_power_cut_within_a_transaction_resumes_or_ends_it(
    moment: Moment, resume: str, is_there: bool
) -> None:
    bench = moment.reached(**{RESUME: resume})
    (started,) = bench.told_records(TransactionStarted)
    bench.power_cut()
    assert not flows(bench)
    if is_there:
        wake(bench, 1800.0)
    else:
        bench.hardware(energy_wh=1800.0)
    bench.wait(60.0)
    if resume == "true" and is_there:
        session = bench.session()
        assert isinstance(session, Active)
        assert session.transaction.transaction_id == started.transaction_id
        assert flows(bench) is (moment.name != "suspended_by_station")
        leave(bench)
        assert the_end(bench).stop_reason is StopReason.EV_DISCONNECTED
        return
    ended = the_end(bench)
    assert ended.transaction_id == started.transaction_id
    assert (ended.stop_reason, ended.trigger) == (
        StopReason.POWER_LOSS,
        Trigger.ABNORMAL_CONDITION,
    )
    assert ended.offline
    assert ended.meter_stop_wh == 1800.0
    assert ended.at.boot < bench.boot


@pytest.mark.parametrize("resume", ["true", "false"])
def test_a_power_cut_while_a_transaction_ends_keeps_its_reason(resume: str) -> None:
    bench = Moment("ending", is_open=True).reached(**{RESUME: resume})
    decided_at = bench.session().at
    bench.power_cut()
    assert isinstance(bench.session(), Ending)
    bench.hardware(energy_wh=1800.0)
    bench.wait(1.0)
    ended = the_end(bench)
    assert (ended.stop_reason, ended.id_token) == (StopReason.LOCAL, TAG)
    assert (ended.at, ended.meter_stop_wh) == (decided_at, 1800.0)


def test_a_restart_of_the_agent_is_no_power_loss() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.power_cut(BootReason.APPLICATION_RESET)
    bench.hardware(energy_wh=1800.0)
    assert the_end(bench).stop_reason is StopReason.REBOOT


def test_power_cuts_in_a_row_make_one_bill() -> None:
    bench = Bench(**{RESUME: "true"}).ready()
    bench.charge()
    for n in range(1, 6):
        bench.power_cut()
        assert isinstance(bench.session(), Resuming)
        wake(bench, 1000.0 + 100.0 * n)
        assert isinstance(bench.session(), Active)
        bench.obey()
    leave(bench, 1700.0)
    assert len(bench.told_records(TransactionStarted)) == 1
    assert the_end(bench).meter_stop_wh == 1700.0


def test_hardware_that_never_comes_back_does_not_keep_a_bill_open() -> None:
    bench = Bench(**{RESUME: "true"}).ready()
    bench.charge()
    bench.meter(1400.0)
    bench.wait(60.0)
    bench.power_cut()
    bench.wait(120.0)
    assert the_end(bench).meter_stop_wh == 1400.0
    assert the_end(bench).stop_reason is StopReason.POWER_LOSS


def test_a_driver_whose_transaction_was_cut_may_begin_another() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.power_cut()
    bench.ready()
    bench.pilot(PilotState.C)
    bench.wait(40.0)
    bench.meter(1100.0)
    bench.tap()
    bench.grant()
    assert flows(bench)
    assert len(bench.told_records(TransactionStarted)) == 2
