"""Remote start and stop."""

import pytest

from agent.core.effects import (
    Done,
    Effect,
    Outcome,
    TransactionEnded,
    TransactionStarted,
    Verdict,
)
from agent.core.events import (
    AuthorizationAnswered,
    AvailabilityRequested,
    BootAnswered,
    FaultRaised,
    LinkDown,
    LinkUp,
    ListedToken,
    LocalListSent,
    RemoteStartRequested,
    RemoteStopRequested,
    ReservationRequested,
    ResetKind,
    ResetRequested,
    TransactionAcknowledged,
)
from agent.core.states import Active, Authorized, Ending, Finished, Idle, Resuming
from agent.core.values import (
    AuthorizationStatus,
    IdToken,
    RegistrationStatus,
    StopReason,
    TokenInfo,
    Trigger,
)
from hal.types import Fault, PilotState, TokenType
from tests.support.core import OTHER, TAG, WALL_S, Bench

REMOTE = "AuthCtrlr__AuthorizeRemoteStart"
ACCEPTED = Done(Verdict.ACCEPTED)


def rejected(reason: str) -> Done:
    return Done(Verdict.REJECTED, reason)


def start(
    bench: Bench,
    evse_id: int | None = 1,
    id_token: IdToken = TAG,
    *,
    request_id: int = 50,
    start_id: int | None = 7,
    group: str | None = None,
) -> Outcome:
    bench.post(RemoteStartRequested(request_id, id_token, evse_id, start_id, group))
    return bench.reply(request_id)


def stop(
    bench: Bench, transaction_id: str | None = None, remote_id: int | None = None
) -> Outcome:
    bench.effects = [effect for effect in bench.effects if not _is_reply(effect)]
    bench.post(RemoteStopRequested(60, transaction_id, remote_id))
    return bench.reply(60)


def _is_reply(effect: Effect) -> bool:
    return getattr(effect, "request_id", None) == 60


def sessions(bench: Bench) -> list[type]:
    return [type(evse.session) for evse in bench.station.evses.values()]


# --- start ---


def test_a_remote_start_waits_for_the_vehicle() -> None:
    bench = Bench().ready()
    assert start(bench, group="FAMILY") == ACCEPTED
    session = bench.session()
    assert isinstance(session, Authorized)
    assert (session.is_remote, session.remote_start_id, session.group) == (True, 7, "FAMILY")
    bench.pilot(PilotState.B)
    (started,) = bench.told_records(TransactionStarted)
    assert (started.trigger, started.remote_start_id) == (Trigger.REMOTE_START, 7)


def test_a_remote_start_begins_at_once_where_the_vehicle_waits() -> None:
    bench = Bench().ready()
    bench.pilot(PilotState.B)
    assert start(bench) == ACCEPTED
    assert isinstance(bench.session(), Active)


def test_an_offline_station_starts_nothing() -> None:
    bench = Bench().ready()
    bench.post(LinkDown("lost"))
    assert start(bench) == rejected("CSNotAccepted")


@pytest.mark.parametrize("status", [RegistrationStatus.PENDING, RegistrationStatus.REJECTED])
def test_a_station_that_is_not_accepted_starts_and_stops_nothing(
    status: RegistrationStatus,
) -> None:
    bench = Bench(
        TxCtrlr__TxBeforeAcceptedEnabled="true", AuthCtrlr__OfflineTxForUnknownIdEnabled="true"
    )
    bench.hardware()
    bench.post(LinkUp(0, "ocpp2.0.1", "ws://csms", 0))
    bench.post(BootAnswered(status, 30, None))
    assert start(bench) == rejected("CSNotAccepted")
    bench.pilot(PilotState.C)
    bench.tap()
    running = bench.session()
    assert isinstance(running, Active)
    assert stop(bench, running.transaction.transaction_id) == rejected("CSNotAccepted")
    assert isinstance(bench.session(), Active)


@pytest.mark.parametrize("evse_id", [0, -1, 3])
def test_an_unknown_evse_is_told_apart(evse_id: int) -> None:
    bench = Bench(2).ready(2)
    assert start(bench, evse_id) == Done(Verdict.UNKNOWN_EVSE, "UnknownEvse")


def test_nothing_starts_where_nobody_may_begin() -> None:
    bench = Bench().ready()
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE))
    assert start(bench) == rejected("Faulted")
    bench = Bench().ready()
    bench.post(AvailabilityRequested(1, operative=False))
    assert start(bench) == rejected("Unavailable")
    bench = Bench(2).ready(2)
    bench.charge(2)
    bench.post(ResetRequested(1, ResetKind.ON_IDLE))
    assert start(bench) == rejected("NotEnabled")


def test_nothing_starts_where_a_transaction_runs_or_another_token_waits() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    assert start(bench, 1) == rejected("TxInProgress")
    start(bench, 2, OTHER, request_id=51)
    assert start(bench, 2, request_id=52) == rejected("TxInProgress")


def test_asking_twice_is_one_attempt() -> None:
    bench = Bench().ready()
    assert start(bench) == ACCEPTED
    assert start(bench, request_id=51) == ACCEPTED
    bench.pilot(PilotState.C)
    assert len(bench.told_records(TransactionStarted)) == 1


def test_a_vehicle_that_stayed_may_be_started_again() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.tap()
    bench.obey()
    bench.meter(1100.0)
    assert isinstance(bench.session(), Finished)
    assert start(bench) == ACCEPTED
    assert isinstance(bench.session(), Active)


# --- where, when none is named ---


def test_the_vehicle_that_waits_is_meant() -> None:
    bench = Bench(3).ready(3)
    bench.pilot(PilotState.B, 2)
    assert start(bench, None) == ACCEPTED
    assert sessions(bench) == [Idle, Active, Idle]


def test_a_vehicle_whose_transaction_is_over_does_not_wait() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.tap(evse_id=1)
    bench.obey(1)
    bench.meter(1100.0)
    assert start(bench, None) == rejected("NoFreeEvse")
    bench.pilot(PilotState.B, 2)
    assert start(bench, None, request_id=51) == ACCEPTED
    assert sessions(bench) == [Finished, Active]


def test_the_only_free_evse_is_meant() -> None:
    bench = Bench(2).ready(2)
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE))
    assert start(bench, None) == ACCEPTED
    assert sessions(bench) == [Idle, Authorized]


def test_several_free_evses_without_a_vehicle_are_ambiguous() -> None:
    assert start(Bench(2).ready(2), None) == rejected("NoFreeEvse")


def test_no_free_evse_is_refused() -> None:
    bench = Bench().ready()
    bench.charge()
    assert start(bench, None, OTHER) == rejected("NoFreeEvse")


# --- with authorization ---


@pytest.mark.parametrize(
    ("status", "kind"),
    [(AuthorizationStatus.ACCEPTED, Active), (AuthorizationStatus.INVALID, Idle)],
)
def test_the_csms_may_want_to_be_asked(status: AuthorizationStatus, kind: type) -> None:
    bench = Bench(**{REMOTE: "true"}).ready()
    bench.pilot(PilotState.C)
    assert start(bench) == ACCEPTED
    assert isinstance(bench.session(), Idle)
    bench.post(AuthorizationAnswered(1, TAG, TokenInfo(status)))
    assert isinstance(bench.session(), kind)


@pytest.mark.parametrize("kind", [TokenType.CENTRAL, TokenType.NO_AUTHORIZATION])
def test_about_some_tokens_nobody_can_be_asked(kind: TokenType) -> None:
    bench = Bench(**{REMOTE: "true"}).ready()
    assert start(bench, id_token=IdToken("C-1", kind)) == ACCEPTED
    assert isinstance(bench.session(), Authorized)


# --- stop ---


def test_a_transaction_is_stopped_by_its_id() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.charge(2, OTHER)
    assert stop(bench, bench.session(2).transaction.transaction_id) == ACCEPTED
    assert sessions(bench) == [Active, Ending]
    bench.obey(2)
    bench.meter(1500.0, 2)
    (ended,) = bench.told_records(TransactionEnded)
    assert (ended.stop_reason, ended.trigger) == (StopReason.REMOTE, Trigger.REMOTE_STOP)
    assert ended.id_token is None


def test_a_transaction_is_stopped_by_the_number_that_the_csms_gave() -> None:
    bench = Bench().ready()
    bench.charge()
    assert stop(bench, remote_id=-1) == rejected("TxNotFound")
    transaction_id = bench.session().transaction.transaction_id
    bench.post(TransactionAcknowledged(transaction_id, remote_id=-1))
    assert stop(bench, remote_id=5) == rejected("TxNotFound")
    assert stop(bench, remote_id=-1) == ACCEPTED
    assert isinstance(bench.session(), Ending)
    assert stop(bench, remote_id=-1) == ACCEPTED  # it ends already


def test_what_does_not_run_cannot_be_stopped() -> None:
    bench = Bench().ready()
    assert stop(bench, "unknown") == rejected("TxNotFound")
    assert stop(bench) == rejected("TxNotFound")
    bench.charge()
    transaction_id = bench.session().transaction.transaction_id
    bench.tap()
    bench.obey()
    bench.meter(1100.0)
    assert stop(bench, transaction_id) == rejected("TxNotFound")


def test_a_transaction_that_waits_to_go_on_after_a_power_cut_can_be_stopped() -> None:
    bench = Bench(TxCtrlr__ResumeAfterPowerLoss="true").ready()
    bench.charge()
    bench.power_cut()
    bench.connect()
    running = bench.session()
    assert isinstance(running, Resuming)
    assert stop(bench, running.transaction.transaction_id) == ACCEPTED
    assert isinstance(bench.session(), Ending)
    bench.hardware()
    (ended,) = bench.told_records(TransactionEnded)
    assert ended.stop_reason is StopReason.REMOTE


# --- reserved places, tokens that are being checked ---


def reserve(bench: Bench, evse_id: int | None = 1, group: str | None = None) -> None:
    bench.post(ReservationRequested(800, 11, TAG, WALL_S + 1e6, evse_id, group))


def test_an_evse_that_is_reserved_is_only_for_its_holder() -> None:
    bench = Bench().ready()
    reserve(bench)
    assert start(bench, id_token=OTHER) == rejected("Occupied")
    assert start(bench, request_id=51) == ACCEPTED


@pytest.mark.parametrize(
    ("group", "outcome"), [("FLEET", ACCEPTED), ("X", rejected("Occupied"))]
)
def test_a_group_that_the_request_names_may_be_the_one_the_evse_is_kept_for(
    group: str, outcome: Done
) -> None:
    for settings in ({}, {REMOTE: "true"}):
        bench = Bench(**settings).ready()
        reserve(bench, group="FLEET")
        assert start(bench, id_token=OTHER, group=group) == outcome


def test_a_group_that_the_local_list_names_counts_as_well() -> None:
    bench = Bench().ready()
    info = TokenInfo(AuthorizationStatus.ACCEPTED, group="FLEET")
    bench.post(LocalListSent(700, 1, is_full=True, items=(ListedToken(OTHER, info),)))
    reserve(bench, group="FLEET")
    assert start(bench, id_token=OTHER) == ACCEPTED
    assert bench.session().group == "FLEET"


def test_a_token_whose_group_is_asked_for_may_try() -> None:
    bench = Bench(**{REMOTE: "true"}).ready()
    reserve(bench, group="FLEET")
    assert start(bench, id_token=OTHER) == ACCEPTED
    bench.post(AuthorizationAnswered(1, OTHER, TokenInfo(AuthorizationStatus.ACCEPTED)))
    assert sessions(bench) == [Idle]
    bench = Bench(**{REMOTE: "true"}).ready()
    reserve(bench)  # for nobody's group
    assert start(bench, id_token=OTHER) == rejected("Occupied")


def test_without_an_evse_the_reserved_one_is_chosen_before_a_vehicle() -> None:
    bench = Bench(3).ready(3)
    reserve(bench, 2)
    bench.pilot(PilotState.B, 3)
    assert start(bench, None) == ACCEPTED
    assert sessions(bench) == [Idle, Authorized, Idle]


def test_without_an_evse_those_reserved_for_others_are_passed_by() -> None:
    bench = Bench(2).ready(2)
    reserve(bench, 1)
    assert start(bench, None, OTHER) == ACCEPTED
    assert sessions(bench) == [Idle, Authorized]


def test_another_token_that_is_being_checked_is_not_pushed_aside() -> None:
    bench = Bench(**{REMOTE: "true"}).ready()
    bench.tap(OTHER)
    assert start(bench) == rejected("TxInProgress")
    assert start(bench, id_token=OTHER, request_id=51) == ACCEPTED
