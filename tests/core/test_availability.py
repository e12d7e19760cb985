"""Operative or not, and what is told of every connector."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import availability
from agent.core.availability import answered, operative_evses
from agent.core.effects import Done, Effect, HeartbeatSent, Reply, StatusReported, Verdict
from agent.core.events import (
    AvailabilityRequested,
    CableChanged,
    ExternalLimitSet,
    FaultCleared,
    FaultRaised,
    LinkDown,
    LinkUp,
    MessageFailed,
    OutletChanged,
    ResetKind,
    ResetRequested,
    SettingsWriteRequested,
    StatusAcknowledged,
    StorageFailed,
    StorageRecovered,
    TokenRejected,
    TriggerKind,
    TriggerRequested,
)
from agent.core.states import Active, Ending, Finished, Idle, Resuming
from agent.core.values import AuthorizationStatus, ConnectorStatus, SessionPhase, TokenInfo
from hal.types import Fault, PilotState
from tests.support.core import OTHER, Bench

Place = tuple[int, int]


def switch(
    bench: Bench, operative: bool, evse_id: int | None = None, connector_id: int | None = None
) -> Verdict:
    bench.ids += 1
    request_id = bench.ids
    bench.post(AvailabilityRequested(request_id, operative, evse_id, connector_id))
    done = bench.reply(request_id)
    assert isinstance(done, Done)
    return done.verdict


def closed(bench: Bench) -> set[Place]:
    """Return the connectors that show as inoperative, (0, 0) for the station."""
    return {
        (status.evse_id, status.connector_id)
        for status in bench.station.statuses()
        if not status.is_operative
    }


def status(bench: Bench, evse_id: int = 1, connector_id: int = 1) -> ConnectorStatus:
    (found,) = [
        item
        for item in bench.station.statuses()
        if (item.evse_id, item.connector_id) == (evse_id, connector_id)
    ]
    return found


def told(effects: list[Effect]) -> list[Place]:
    return [
        (effect.status.evse_id, effect.status.connector_id)
        for effect in effects
        if isinstance(effect, StatusReported)
    ]


def unplug(bench: Bench, evse_id: int = 1) -> None:
    bench.pilot(PilotState.A, evse_id)
    bench.post(OutletChanged(evse_id, closed=False))
    bench.meter(2000.0, evse_id)


# --- changing ---


@pytest.mark.parametrize(
    ("scope", "shut"),
    [
        ((None, None), {(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)}),
        ((0, 0), {(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)}),
        ((2, None), {(2, 1), (2, 2)}),
        ((2, 0), {(2, 1), (2, 2)}),
        ((2, 1), {(2, 1)}),
    ],
)
def test_a_scope_is_switched_off_and_on(scope: Place, shut: set[Place]) -> None:
    bench = Bench(2, connectors=2).ready(2)
    assert switch(bench, False, *scope) is Verdict.ACCEPTED
    assert closed(bench) == shut
    assert switch(bench, True, *scope) is Verdict.ACCEPTED
    assert closed(bench) == set()


def test_what_is_switched_off_at_a_lower_level_stays_off() -> None:
    bench = Bench(2).ready(2)
    switch(bench, False, 1)
    switch(bench, False)
    switch(bench, True)
    assert closed(bench) == {(1, 1)}


@pytest.mark.parametrize(
    "scope", [(9, None), (-1, None), (1, 3), (1, -1), (9, 1), (None, 1), (0, 1)]
)
def test_what_does_not_exist_cannot_be_switched(scope: Place) -> None:
    bench = Bench(2, connectors=2).ready(2)
    for operative in (True, False):
        assert switch(bench, operative, *scope) is Verdict.REJECTED
    assert closed(bench) == set()


def test_a_change_to_what_is_already_so_tells_nothing() -> None:
    bench = Bench().ready()
    switch(bench, False)
    before = bench.station.availability
    effects = bench.post(AvailabilityRequested(77, operative=False))
    assert effects == [Reply(77, Done(Verdict.ACCEPTED))]
    assert bench.station.availability is before


def test_only_the_connector_in_use_has_to_be_operative_to_charge() -> None:
    bench = Bench(connectors=2).ready()
    switch(bench, False, 1, 2)
    assert operative_evses(bench.station.availability, bench.station.evses) == {1}
    bench.pilot(PilotState.B, connector_id=2)
    assert operative_evses(bench.station.availability, bench.station.evses) == frozenset()


def test_a_running_transaction_is_not_cut_off() -> None:
    bench = Bench().ready()
    bench.charge()
    assert switch(bench, False, 1) is Verdict.SCHEDULED
    assert isinstance(bench.session(), Active)
    assert closed(bench) == set()
    unplug(bench)
    assert closed(bench) == {(1, 1)}


def test_when_the_station_waits_for_one_evse_the_free_ones_are_off_at_once() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.effects.clear()
    assert switch(bench, False) is Verdict.SCHEDULED
    assert closed(bench) == {(2, 1)}
    assert told(bench.effects) == [(2, 1)]
    bench.tap(OTHER, 2)
    assert isinstance(bench.session(2), Idle)
    unplug(bench)
    assert closed(bench) == {(0, 0), (1, 1), (2, 1)}


def test_a_transaction_at_one_connector_does_not_hold_up_the_other() -> None:
    bench = Bench(connectors=2).ready()
    bench.charge()
    assert switch(bench, False, 1, 2) is Verdict.ACCEPTED
    assert closed(bench) == {(1, 2)}
    assert switch(bench, False, 1) is Verdict.SCHEDULED
    assert closed(bench) == {(1, 2)}


def test_a_later_operative_cancels_what_is_scheduled() -> None:
    bench = Bench().ready()
    bench.charge()
    switch(bench, False)
    assert switch(bench, True) is Verdict.ACCEPTED
    unplug(bench)
    assert closed(bench) == set()


def test_one_transaction_that_ends_does_not_switch_off_what_waits_for_another() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.charge(2, OTHER)
    switch(bench, False)
    unplug(bench, 1)
    assert closed(bench) == {(1, 1)}
    assert "station" in bench.station.availability.scheduled
    unplug(bench, 2)
    assert closed(bench) == {(0, 0), (1, 1), (2, 1)}


def test_what_was_switched_off_stays_off_over_a_power_cut() -> None:
    bench = Bench(2).ready(2)
    switch(bench, False, 2)
    bench.power_cut()
    assert closed(bench) == {(2, 1)}


@pytest.mark.parametrize("resume", ["true", "false"])
def test_what_was_scheduled_is_executed_after_a_power_cut(resume: str) -> None:
    bench = Bench(TxCtrlr__ResumeAfterPowerLoss=resume).ready()
    bench.charge()
    switch(bench, False)
    bench.power_cut()
    assert "station" in bench.station.availability.scheduled
    bench.hardware()
    bench.wait(40.0)
    assert closed(bench) == {(0, 0), (1, 1)}


def test_what_was_scheduled_for_an_evse_that_was_removed_is_executed() -> None:
    bench = Bench(2).ready(2)
    bench.charge(2)
    switch(bench, False, 2)
    bench.specs = bench.specs[:1]
    bench.power_cut()
    assert bench.station.availability.scheduled == frozenset()


LEVELS = st.sampled_from(((None, None), (1, None), (1, 1), (1, 2), (2, None), (2, 1), (2, 2)))


@settings(deadline=None)
@given(st.lists(st.tuples(LEVELS, st.booleans()), max_size=12))
def test_a_connector_is_operative_if_the_last_word_at_every_level_says_so(
    words: list[tuple[Place, bool]],
) -> None:
    bench = Bench(2, connectors=2).ready(2)
    last: dict[Place, bool] = {}
    for level, operative in words:
        assert switch(bench, operative, *level) is Verdict.ACCEPTED
        last[level] = operative
    for evse_id in (1, 2):
        for connector_id in (1, 2):
            levels = ((None, None), (evse_id, None), (evse_id, connector_id))
            wanted = all(last.get(level, True) for level in levels)
            assert status(bench, evse_id, connector_id).is_operative is wanted


# --- the status of a connector ---


def test_the_phase_follows_the_session() -> None:
    bench = Bench(TxCtrlr__ResumeAfterPowerLoss="true").ready()
    phases = [status(bench).phase]
    bench.tap()
    bench.grant()
    phases.append(status(bench).phase)
    bench.pilot(PilotState.B)
    phases.append(status(bench).phase)
    bench.wait(5.0)
    phases.append(status(bench).phase)
    bench.pilot(PilotState.C)
    bench.obey()
    phases.append(status(bench).phase)
    bench.post(FaultRaised(1, Fault.OVER_VOLTAGE))
    phases.append(status(bench).phase)
    bench.post(FaultCleared(1, Fault.OVER_VOLTAGE))
    bench.power_cut()
    assert isinstance(bench.session(), Resuming)
    phases.append(status(bench).phase)
    assert phases == [
        SessionPhase.FREE,
        SessionPhase.PREPARING,
        SessionPhase.PREPARING,
        SessionPhase.SUSPENDED_EV,
        SessionPhase.CHARGING,
        SessionPhase.SUSPENDED_EVSE,
        SessionPhase.FINISHING,
    ]


def test_a_vehicle_without_authorization_is_preparing() -> None:
    bench = Bench().ready()
    bench.pilot(PilotState.B)
    assert status(bench).phase is SessionPhase.PREPARING
    assert status(bench).is_plugged


def test_a_vehicle_that_stays_is_finishing() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.tap()
    assert isinstance(bench.session(), Ending)
    assert status(bench).phase is SessionPhase.FINISHING
    bench.obey()
    bench.meter(1100.0)
    assert isinstance(bench.session(), Finished)
    assert status(bench).phase is SessionPhase.FINISHING


def test_only_the_connector_in_use_shows_the_vehicle_and_its_session() -> None:
    bench = Bench(connectors=2).ready()
    bench.charge()
    other = status(bench, 1, 2)
    assert not other.is_plugged
    assert other.phase is SessionPhase.FREE


def test_a_fault_shows_at_every_connector_with_its_text_cut() -> None:
    bench = Bench(2, connectors=2).ready(2)
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE, "x" * 60))
    assert [(status(bench, 1, n).fault, status(bench, 1, n).info) for n in (1, 2)] == [
        ("GroundFailure", "x" * 50)
    ] * 2
    assert status(bench, 2).fault is None


def test_storage_that_cannot_write_shows_everything_as_faulted() -> None:
    bench = Bench().ready()
    effects = bench.post(StorageFailed("disk full"))
    assert told(effects) == [(0, 0), (1, 1)]
    assert status(bench).fault == "InternalError"
    assert status(bench).info == "storage cannot write"
    bench.post(StorageRecovered())
    assert status(bench).fault is None


def test_before_a_reset_what_is_free_shows_as_inoperative() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.post(ResetRequested(1, ResetKind.ON_IDLE))
    assert closed(bench) == {(0, 0), (2, 1)}


# --- telling ---


def acknowledge(bench: Bench) -> None:
    for item in bench.station.statuses():
        bench.post(StatusAcknowledged(item))


def connected() -> Bench:
    bench = Bench(2)
    bench.hardware(1)
    bench.hardware(2)
    bench.effects.clear()
    return bench


EVERYTHING = [(0, 0), (1, 1), (2, 1)]


def test_nothing_is_told_before_the_csms_listens() -> None:
    bench = connected()
    bench.pilot(PilotState.B)
    assert told(bench.effects) == []


def test_after_acceptance_every_status_is_told_once() -> None:
    bench = connected()
    bench.connect()
    assert told(bench.effects) == EVERYTHING
    assert all(item.previous is None for item in bench.told(StatusReported))


def test_a_change_is_told_with_what_was_told_before() -> None:
    bench = connected()
    bench.connect()
    before = status(bench)
    (report,) = bench.pilot(PilotState.B)
    assert report.previous == before
    assert report.status == status(bench)
    assert report.at.monotonic_s == bench.now_s


def again(bench: Bench, *, outage_s: float = 5.0, restates: bool = False) -> list[Effect]:
    bench.post(LinkDown("lost"))
    bench.post(LinkDown("lost again"))
    bench.wait(outage_s)
    return bench.post(LinkUp(0, "ocpp2.0.1", "ws://csms", 0, restates_status=restates))


def test_after_a_reconnect_only_what_differs_from_the_acknowledged_is_told() -> None:
    bench = connected()
    bench.connect()
    acknowledge(bench)
    bench.pilot(PilotState.B, 2)  # told, but its answer never comes
    assert told(again(bench)) == [(2, 1)]


def test_what_changed_and_changed_back_while_offline_is_never_told() -> None:
    bench = connected()
    bench.connect()
    acknowledge(bench)
    bench.post(LinkDown("lost"))
    bench.pilot(PilotState.B)
    bench.pilot(PilotState.A)
    assert told(bench.post(LinkUp(0, "ocpp2.0.1", "ws://csms", 0))) == []


@pytest.mark.parametrize(
    ("restates", "outage_s", "is_everything"),
    [(True, 61.0, True), (True, 60.0, False), (False, 3600.0, False)],
)
def test_after_a_long_outage_a_version_may_want_everything_again(
    restates: bool, outage_s: float, is_everything: bool
) -> None:
    bench = connected()
    bench.connect()
    acknowledge(bench)
    effects = again(bench, outage_s=outage_s, restates=restates)
    assert told(effects) == (EVERYTHING if is_everything else [])


def test_a_csms_that_forgets_is_told_everything_after_any_outage() -> None:
    bench = Bench(2, OCPPCommCtrlr__StatusOnReconnect="true").ready(2)
    acknowledge(bench)
    assert told(again(bench)) == EVERYTHING


def test_another_csms_is_told_everything() -> None:
    bench = Bench(2, profiles=2).ready(2)
    acknowledge(bench)
    bench.post(LinkDown("lost"))
    bench.effects.clear()
    bench.post(LinkUp(1, "ocpp1.6", "ws://other", 0))
    assert told(bench.effects) == []
    assert told(bench.accept()) == EVERYTHING
    bench.post(LinkDown("lost before it answered"))
    assert told(bench.post(LinkUp(1, "ocpp1.6", "ws://other", 0))) == EVERYTHING


def test_a_status_that_failed_is_told_once_more() -> None:
    bench = connected()
    bench.connect()
    acknowledge(bench)
    known = status(bench)
    (report,) = bench.pilot(PilotState.B)
    (second,) = bench.post(MessageFailed(report, "no answer"))
    assert second.status == report.status
    assert second.previous == known
    assert bench.post(MessageFailed(second, "no answer")) == []
    bench.post(StatusAcknowledged(second.status))
    (third,) = bench.pilot(PilotState.A)
    assert told(bench.post(MessageFailed(third, "no answer"))) == [(1, 1)]


def test_a_status_that_failed_before_any_was_known_is_told_once_more() -> None:
    bench = connected()
    bench.connect()
    report = bench.told(StatusReported)[-1]
    (second,) = bench.post(MessageFailed(report, "no answer"))
    assert second.previous is None


def test_the_failure_of_another_message_tells_no_status() -> None:
    bench = connected()
    bench.connect()
    assert bench.post(MessageFailed(HeartbeatSent(), "no answer")) == []


def test_after_a_reconnect_a_status_may_fail_anew() -> None:
    bench = connected()
    bench.connect()
    acknowledge(bench)
    (report,) = bench.pilot(PilotState.B)
    bench.post(MessageFailed(report, "no answer"))
    again(bench)
    assert told(bench.post(MessageFailed(report, "no answer"))) == [(1, 1)]


def test_an_unchanged_status_leaves_the_slice_as_it_is() -> None:
    bench = connected()
    bench.connect()
    before = bench.station.availability
    bench.wait(300.0)
    assert bench.station.availability is before


def test_levels_have_names() -> None:
    assert [availability.scope(*place) for place in ((None, None), (0, 0), (2, 0), (2, 1))] == [
        "station",
        "station",
        "2",
        "2.1",
    ]


def test_a_status_that_failed_after_a_later_one_was_told_is_past() -> None:
    bench = Bench().ready()
    bench.effects.clear()
    bench.pilot(PilotState.B)
    bench.pilot(PilotState.A)
    plugged, _ = bench.told(StatusReported)
    assert bench.post(MessageFailed(plugged, "no answer in time")) == []


def test_a_status_whose_acknowledgement_the_link_took_is_told_again() -> None:
    bench = connected()
    bench.connect()
    acknowledge(bench)
    bench.pilot(PilotState.B)
    bench.post(LinkDown("lost"))
    bench.pilot(PilotState.A)
    bench.effects.clear()
    bench.connect()
    assert told(bench.effects) == [(1, 1)]


def test_a_pause_by_a_limit_tells_its_origin() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.post(CableChanged(1, 5.0))
    assert bench.told(StatusReported)[-1].status.info == "paused by limit: cable"


def test_the_reason_of_a_pause_stands_until_the_pause_is_over() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.effects.clear()
    bench.post(CableChanged(1, 5.0))
    bench.pilot(PilotState.B)
    bench.wait(10.0)
    bench.post(CableChanged(1, 16.0))  # the pause has a least length,
    bench.wait(50.0)
    bench.wait(2.0)  # and the vehicle takes its time
    bench.pilot(PilotState.C)
    bench.obey()
    told = [(item.status.phase, item.status.info) for item in bench.told(StatusReported)]
    assert told == [
        (SessionPhase.SUSPENDED_EVSE, "paused by limit: cable"),
        (SessionPhase.CHARGING, ""),
    ]


def test_a_limit_that_is_gone_is_not_the_reason_why_a_refused_token_gets_nothing() -> None:
    bench = Bench(TxCtrlr__StopTxOnInvalidId="false").ready()
    bench.charge()
    bench.effects.clear()
    bench.post(CableChanged(1, 5.0))
    transaction = bench.station.evses[1].transaction
    assert transaction is not None
    invalid = TokenInfo(AuthorizationStatus.INVALID)
    bench.post(TokenRejected(1, transaction.transaction_id, invalid))
    bench.post(CableChanged(1, 16.0))
    bench.wait(120.0)
    told = [(item.status.phase, item.status.info) for item in bench.told(StatusReported)]
    assert told == [
        (SessionPhase.SUSPENDED_EVSE, "paused by limit: cable"),
        (SessionPhase.SUSPENDED_EVSE, ""),
    ]


def test_another_limit_that_pauses_is_told_by_its_own_name() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.effects.clear()
    bench.post(CableChanged(1, 5.0))
    bench.post(ExternalLimitSet(1, "ems", 600.0, evse_id=1, limit_a=2.0))
    told = [item.status.info for item in bench.told(StatusReported)]
    assert told[0] == "paused by limit: cable"
    assert len(told) == 2
    assert told[1] not in ("", told[0])


# --- a status has to last ---


def lasting(bench: Bench) -> list[tuple[int, SessionPhase, float]]:
    """Return EVSE, phase and instant of what was told since the last look."""
    told = [item for item in bench.effects if isinstance(item, StatusReported)]
    bench.effects.clear()
    return [(item.status.evse_id, item.status.phase, item.at.monotonic_s) for item in told]


def patient(seconds: int = 10) -> Bench:
    bench = Bench(ChargingStation__MinimumStatusDuration=str(seconds)).ready()
    assert len(lasting(bench)) == 2  # the first report waits for nothing
    return bench


def test_a_change_is_told_once_it_has_lasted_and_dated_by_its_beginning() -> None:
    bench = patient()
    began_s = bench.now_s
    bench.pilot(PilotState.B)
    bench.wait(9.9)
    assert lasting(bench) == []
    bench.wait(0.2)
    assert lasting(bench) == [(1, SessionPhase.PREPARING, began_s)]


def test_a_change_that_is_gone_before_is_not_told() -> None:
    bench = patient()
    bench.pilot(PilotState.B)
    bench.wait(9)
    bench.pilot(PilotState.A)
    bench.wait(60)
    assert lasting(bench) == []
    bench.pilot(PilotState.B)
    bench.wait(9)
    assert lasting(bench) == []  # it counts anew


def test_a_fault_waits_for_nothing_and_its_end_has_to_last() -> None:
    bench = patient()
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE))
    assert len(lasting(bench)) == 1
    bench.post(FaultCleared(1, Fault.GROUND_FAILURE))
    assert lasting(bench) == []
    bench.wait(11)
    assert len(lasting(bench)) == 1


def test_what_the_csms_asks_for_is_told_as_it_is() -> None:
    bench = patient()
    bench.pilot(PilotState.B)
    bench.post(TriggerRequested(5, TriggerKind.STATUS, 1))
    assert lasting(bench) == [(1, SessionPhase.PREPARING, bench.now_s)]
    bench.wait(20)
    assert lasting(bench) == []


def test_a_shorter_duration_counts_at_once() -> None:
    bench = patient(3600)
    bench.pilot(PilotState.B)
    bench.wait(5)
    item = ("ChargingStation.MinimumStatusDuration", "0")
    bench.post(SettingsWriteRequested(5, (item,)))
    assert len(lasting(bench)) == 1


def test_a_change_that_the_loss_of_the_link_interrupts_counts_anew() -> None:
    bench = patient()
    for known in bench.station.statuses():
        bench.post(StatusAcknowledged(known))
    bench.pilot(PilotState.B)
    bench.wait(5)
    bench.post(LinkDown("gone"))
    bench.wait(60)
    assert lasting(bench) == []
    bench.post(LinkUp(0, "ocpp2.0.1", "ws://csms", 0))
    bench.wait(9)
    assert lasting(bench) == []
    bench.wait(2)
    assert len(lasting(bench)) == 1


def test_a_status_waits_for_the_answer_about_its_plug_and_a_fault_does_not() -> None:
    free = ConnectorStatus(1, 1, False, SessionPhase.FREE, True)
    broken = ConnectorStatus(1, 1, False, SessionPhase.FREE, True, fault="GroundFailure")
    other = ConnectorStatus(2, 1, False, SessionPhase.FREE, True)
    assert list(answered((free, other), {1}, ())) == [other]
    assert list(answered((free, other), (), ())) == [free, other]
    assert list(answered((broken, other), {1}, ())) == [broken, other]
    assert list(answered((free,), {1}, {(1, 1)})) == [free]
