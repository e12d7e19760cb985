"""Events on their way through the station, and the promises under random ones."""

from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core import variables
from agent.core.effects import (
    SettingsAnswer,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import (
    AuthorizationAnswered,
    CableChanged,
    Event,
    LinkDown,
    LinkUp,
    MeterFailed,
    MeterRead,
    PilotChanged,
    Raised,
    RemoteStopRequested,
    Request,
    SettingsReadRequested,
    SettingsWriteRequested,
    StorageFailed,
    StorageRecovered,
    TimeLearned,
    TokenPresented,
)
from agent.core.routing import until_quiet
from agent.core.states import Active, Authorized, Idle
from agent.core.station import targets
from agent.core.values import (
    AuthorizationStatus,
    SessionPhase,
    TokenInfo,
)
from hal.types import PilotState
from tests.support.core import OTHER, TAG, WALL_S, Bench, reading
from tests.support.lives import EVENTS, ITEMS, MADE_BY_THE_RUN, STARTS, Run, Step

# --- routing ---


def test_a_mere_reading_tells_nothing() -> None:
    bench = Bench().ready()
    assert bench.meter(1001.0) == []


@pytest.mark.parametrize(
    "event", [SettingsReadRequested(1), RemoteStopRequested(1, remote_id=99)]
)
def test_what_changes_nothing_leaves_the_station_the_same_object(event: Event) -> None:
    bench = Bench().ready()
    before = bench.station
    assert bench.post(event)
    assert bench.station is before


def test_a_failing_meter_tells_nothing_by_itself() -> None:
    bench = Bench().ready()
    assert bench.post(MeterFailed(1, "no answer")) == []


def test_a_reading_that_ends_an_authorization_tells_the_status_at_once() -> None:
    bench = Bench().ready()
    bench.tap()
    bench.grant()
    bench.now_s += 61.0
    told = bench.post(MeterRead(1, reading()))
    assert [effect.status.phase for effect in told] == [SessionPhase.FREE]


def test_a_status_is_told_once() -> None:
    bench = Bench().ready()
    first = [e for e in bench.pilot(PilotState.B) if isinstance(e, StatusReported)]
    again = [e for e in bench.pilot(PilotState.B) if isinstance(e, StatusReported)]
    assert len(first) == 1
    assert again == []


def test_two_evses_that_begin_in_one_turn_get_two_transactions() -> None:
    bench = Bench(2, AuthCtrlr__LocalAuthorizeOffline="true").ready(2)
    good = TokenInfo(AuthorizationStatus.ACCEPTED)
    for evse_id, token in ((1, TAG), (2, OTHER)):
        bench.pilot(PilotState.C, evse_id)
        bench.post(AuthorizationAnswered(evse_id, token, good))
        bench.tap(token, evse_id)
    bench.post(LinkDown("lost"))
    assert isinstance(bench.station.evses[1].session, Active)
    assert isinstance(bench.station.evses[2].session, Authorized)
    bench.meter(1000.0, evse_id=2)
    started = bench.told_records(TransactionStarted)
    assert [(record.evse_id, record.id_token) for record in started] == [(1, TAG), (2, OTHER)]
    assert len({record.transaction_id for record in started}) == 2


def test_two_evses_that_storage_held_back_get_two_transactions() -> None:
    bench = Bench(2).ready(2)
    good = TokenInfo(AuthorizationStatus.ACCEPTED)
    for evse_id, token in ((1, TAG), (2, OTHER)):
        bench.tap(token, evse_id)
        bench.post(AuthorizationAnswered(evse_id, token, good))
    bench.post(StorageFailed("disk full"))
    for evse_id in (1, 2):
        bench.pilot(PilotState.C, evse_id)
    assert bench.told_records(TransactionStarted) == []
    bench.post(StorageRecovered())
    bench.meter(1000.0, evse_id=2)
    started = bench.told_records(TransactionStarted)
    assert len({record.transaction_id for record in started}) == len(started) == 2


def test_storage_that_cannot_write_pauses_and_that_writes_again_goes_on() -> None:
    bench = Bench().ready()
    bench.charge()
    assert targets(bench.station).of(1).energize
    bench.post(StorageFailed("disk full"))
    assert not targets(bench.station).of(1).energize
    assert targets(bench.station).of(1).offer_a == 0.0
    bench.post(StorageRecovered())
    assert targets(bench.station).of(1).energize


def test_a_request_of_hundreds_of_settings_is_one_turn() -> None:
    bench = Bench().ready()
    name = variables.SAMPLE_INTERVAL.name
    items = tuple((name, str(30 + number % 2)) for number in range(500))
    bench.post(SettingsWriteRequested(1, items))
    answer = bench.reply(1)
    assert isinstance(answer, SettingsAnswer)
    assert len(answer.results) == 500


def test_blocks_that_raise_events_for_ever_are_a_defect() -> None:
    with pytest.raises(AssertionError, match="for ever: StorageRecovered"):
        until_quiet(StorageRecovered(), lambda event: [event])


def test_what_one_event_raises_is_routed_after_what_its_elders_raised() -> None:
    children = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}
    routed: list[str] = []

    def route(event: StorageFailed) -> list[StorageFailed]:
        routed.append(event.reason)
        return [StorageFailed(name) for name in children.get(event.reason, [])]

    until_quiet(StorageFailed("a"), route)
    assert routed == ["a", "b", "c", "d", "e"]


# --- what concerns no block in particular ---


def test_the_csms_tells_the_time_to_a_station_that_has_none() -> None:
    bench = Bench(wall_s=None)
    bench.post(TimeLearned(WALL_S))
    assert bench.station.timebase.dated(bench.env().now).wall_s == WALL_S


def test_a_clock_kept_by_ntp_is_not_set_by_the_csms() -> None:
    bench = Bench(ClockCtrlr__TimeSource="NTP")
    bench.post(TimeLearned(WALL_S + 3600))
    assert bench.station.timebase.dated(bench.env().now).wall_s == WALL_S


def test_a_clock_kept_by_ntp_that_knows_no_time_takes_the_csmss() -> None:
    bench = Bench(ClockCtrlr__TimeSource="NTP", wall_s=None)
    bench.post(TimeLearned(WALL_S))
    assert bench.station.timebase.dated(bench.env().now).wall_s == WALL_S


def test_a_link_shows_in_the_settings_that_the_station_computes() -> None:
    bench = Bench(profiles=2)
    bench.post(LinkUp(1, "ocpp2.0.1", "wss://csms", 2))
    assert bench.station.settings.text(variables.SECURITY_PROFILE) == "2"
    assert bench.station.settings.text(variables.ACTIVE_PROFILE) == "1"


def test_hardware_events_concern_the_evse_they_name() -> None:
    bench = Bench(2)
    bench.post(CableChanged(2, 20.0))
    assert [evse.inputs.cable_a for evse in bench.station.evses.values()] == [None, 20.0]


def test_an_evse_that_does_not_exist_changes_nothing() -> None:
    bench = Bench()
    before = bench.station
    assert bench.post(CableChanged(7, 20.0)) == []
    assert bench.station.evses == before.evses


def test_before_acceptance_a_transaction_begins_only_where_the_setting_allows_it() -> None:
    for allowed, kind in (("false", Idle), ("true", Active)):
        bench = Bench(
            TxCtrlr__TxBeforeAcceptedEnabled=allowed,
            AuthCtrlr__OfflineTxForUnknownIdEnabled="true",
        )
        bench.hardware()
        bench.pilot(PilotState.C)
        bench.tap()
        assert isinstance(bench.station.evses[1].session, kind)


# --- the promises, under whatever happens ---


def test_every_event_of_the_outside_takes_part() -> None:
    requests = set(get_args(Request))
    outside = (set(get_args(Event)) | requests) - set(get_args(Raised)) - {Request}
    assert outside == EVENTS.keys() | MADE_BY_THE_RUN


@given(
    start=st.sampled_from(STARTS),
    items=st.lists(ITEMS, max_size=6),
    steps=st.lists(Step, max_size=60),
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_promises_hold_whatever_happens(
    start: str, items: list[tuple[str, str]], steps: list[object]
) -> None:
    run = Run(start, items)
    for step in steps:
        run.take(step)
    run.answer()
    run.finish()


def test_the_random_run_reaches_the_flow_of_energy_and_the_end_of_a_bill() -> None:
    run = Run("online", [(variables.SAMPLE_INTERVAL.name, "7")])
    for step in (
        PilotChanged(1, PilotState.C),
        TokenPresented(TAG, 1),
        AuthorizationAnswered(1, TAG, TokenInfo(AuthorizationStatus.ACCEPTED)),
        "obey",
        "read",
        7.5,
        "cut",
    ):
        run.take(step)
    run.finish()
    kinds = [type(record) for record in run.bench.records]
    assert kinds == [
        TransactionStarted,
        TransactionUpdated,
        TransactionUpdated,
        TransactionEnded,
    ]


def test_what_the_setting_tells_of_the_wiring_counts_at_once_and_after_a_start() -> None:
    bench = Bench(2).ready(2)
    before = bench.station.evses
    items = ((variables.PHASE_ROTATION.name, "1.TRS,2.STR"),)
    bench.post(SettingsWriteRequested(1, items))
    assert [evse.spec.wiring for evse in bench.station.evses.values()] == [(2, 0, 1), (1, 2, 0)]
    assert before[1].spec.wiring == (0, 1, 2)
    bench.power_cut()
    assert [evse.spec.wiring for evse in bench.station.evses.values()] == [(2, 0, 1), (1, 2, 0)]
