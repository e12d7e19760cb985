"""Boot, registration, heartbeat and reset."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import provisioning, variables
from agent.core.effects import (
    BootReported,
    Done,
    Effect,
    HeartbeatSent,
    Reply,
    Restart,
    StatusReported,
    TransactionEnded,
    Verdict,
)
from agent.core.events import (
    BootAnswered,
    DeadlinePassed,
    Event,
    HeartbeatAnswered,
    LinkDown,
    LinkUp,
    MessageFailed,
    Origin,
    PowerUp,
    ResetKind,
    ResetRequested,
    SecurityEventRaised,
    SettingsWriteRequested,
    TriggerKind,
    TriggerRequested,
)
from agent.core.states import Active
from agent.core.values import BootReason, RegistrationStatus, Stamp, StopReason, Trigger
from hal.types import PilotState
from tests.support.core import OTHER, WALL_S, Bench

ACCEPTED, PENDING, REJECTED = RegistrationStatus


def up(bench: Bench, profile: int = 0) -> list[Effect]:
    return bench.post(LinkUp(profile, "ocpp2.0.1", "ws://csms", 0))


def answer(
    bench: Bench, status: RegistrationStatus, interval_s: int, wall_s: float | None = None
) -> list[Effect]:
    return bench.post(BootAnswered(status, interval_s, wall_s))


def introductions(effects: list[Effect]) -> list[BootReason]:
    return [effect.reason for effect in effects if isinstance(effect, BootReported)]


def beats(effects: list[Effect]) -> int:
    return sum(isinstance(effect, HeartbeatSent) for effect in effects)


def interval_s(bench: Bench) -> int:
    return bench.station.settings.integer(variables.HEARTBEAT_INTERVAL)


# --- introduction ---


def test_the_station_introduces_itself_as_soon_as_there_is_a_link() -> None:
    bench = Bench()
    assert introductions(bench.effects) == []
    assert introductions(up(bench)) == [BootReason.POWER_UP]
    assert bench.wait(3600.0) == []  # and waits for the answer


def test_a_machine_that_knows_why_it_started_says_so() -> None:
    bench = Bench()
    bench.power_cut(BootReason.WATCHDOG)
    assert introductions(up(bench)) == [BootReason.WATCHDOG]


@pytest.mark.parametrize("status", [PENDING, REJECTED])
@pytest.mark.parametrize(
    ("interval_s", "wait_s"),
    [(20, 20.0), (0, 60.0), (-5, 60.0), (10**9, 604_800.0)],
)
def test_a_station_that_is_put_off_comes_back_after_the_interval(
    status: RegistrationStatus, interval_s: int, wait_s: float
) -> None:
    bench = Bench()
    up(bench)
    assert answer(bench, status, interval_s) == []
    assert bench.station.provisioning.registration is status
    assert not bench.station.is_online
    assert introductions(bench.wait(wait_s)) == []
    assert introductions(bench.wait(0.3)) == [BootReason.POWER_UP]


def test_a_reconnect_does_not_shorten_the_interval() -> None:
    bench = Bench()
    up(bench)
    answer(bench, REJECTED, 100)
    bench.wait(30.0)
    bench.post(LinkDown("lost"))
    bench.wait(20.0)
    assert introductions(up(bench)) == []
    assert introductions(bench.wait(50.0)) == []
    assert introductions(bench.wait(0.3)) == [BootReason.POWER_UP]


def test_an_interval_that_passed_without_a_link_is_over_at_the_next_one() -> None:
    bench = Bench()
    up(bench)
    answer(bench, PENDING, 100)
    bench.post(LinkDown("lost"))
    assert introductions(bench.wait(200.0)) == []
    assert introductions(bench.post(DeadlinePassed())) == []
    assert introductions(up(bench)) == [BootReason.POWER_UP]


def test_an_introduction_without_an_answer_is_repeated() -> None:
    bench = Bench()
    up(bench)
    bench.post(MessageFailed(BootReported(BootReason.POWER_UP), "no answer"))
    assert introductions(bench.wait(29.9)) == []
    assert introductions(bench.wait(0.1)) == [BootReason.POWER_UP]
    answer(bench, PENDING, 100)
    bench.wait(100.2)
    bench.post(MessageFailed(BootReported(BootReason.POWER_UP), "no answer"))
    assert introductions(bench.wait(99.0)) == []
    assert introductions(bench.wait(1.0)) == [BootReason.POWER_UP]


def test_an_introduction_that_the_link_took_along_is_repeated() -> None:
    bench = Bench()
    up(bench)
    bench.post(LinkDown("lost"))
    bench.wait(10.0)
    assert introductions(up(bench)) == []
    assert introductions(bench.wait(20.0)) == [BootReason.POWER_UP]


def test_after_acceptance_nothing_is_introduced_again_on_this_boot() -> None:
    bench = Bench().ready()
    bench.post(LinkDown("lost"))
    assert introductions(up(bench)) == []
    assert bench.station.is_online
    assert introductions(bench.wait(86_400.0)) == []


def test_an_answer_that_comes_after_all_ends_the_introductions_too() -> None:
    bench = Bench()
    up(bench)
    bench.post(MessageFailed(BootReported(BootReason.POWER_UP), "no answer"))
    bench.accept()
    assert introductions(bench.wait(3600.0)) == []


@pytest.mark.parametrize("status", list(RegistrationStatus))
def test_another_csms_has_its_own_say(status: RegistrationStatus) -> None:
    bench = Bench(profiles=2)
    up(bench, 0)
    answer(bench, status, 100_000)
    bench.post(LinkDown("lost"))
    assert introductions(up(bench, 1)) == [BootReason.POWER_UP]
    assert bench.station.provisioning.registration is None
    assert not bench.station.is_online
    bench.post(MessageFailed(BootReported(BootReason.POWER_UP), "no answer"))
    assert introductions(bench.wait(30.0)) == [BootReason.POWER_UP]
    answer(bench, ACCEPTED, 300)
    assert bench.station.is_online
    bench.post(LinkDown("lost"))
    assert introductions(up(bench, 0)) == [BootReason.POWER_UP]
    assert not bench.station.is_online


def test_a_new_boot_introduces_itself_anew() -> None:
    bench = Bench().ready()
    bench.power_cut()
    assert not bench.station.is_online
    assert introductions(up(bench)) == [BootReason.POWER_UP]


def test_acceptance_ends_the_introductions_and_statuses_follow() -> None:
    bench = Bench()
    up(bench)
    assert not bench.told(StatusReported)
    effects = answer(bench, ACCEPTED, 300)
    assert [type(effect) for effect in effects] == [StatusReported, StatusReported]
    assert introductions(bench.wait(3600.0)) == []


LINK_EVENTS = st.one_of(
    st.builds(LinkUp, st.integers(0, 1), st.just("ocpp1.6"), st.just("ws://csms"), st.just(0)),
    st.just(LinkDown("lost")),
    st.builds(
        BootAnswered,
        st.sampled_from(RegistrationStatus),
        st.sampled_from((-1, 0, 5, 100, 10**9)),
        st.none() | st.just(WALL_S),
    ),
    st.just(MessageFailed(BootReported(BootReason.POWER_UP), "no answer")),
)


@settings(deadline=None)
@given(st.lists(st.tuples(LINK_EVENTS, st.sampled_from((0.0, 1.0, 50.0, 200.0))), max_size=20))
def test_a_station_with_a_link_is_accepted_or_waits_for_an_answer_or_has_a_date(
    events: list[tuple[Event, float]],
) -> None:
    bench = Bench(profiles=2)
    waits = False
    for event, seconds in events:
        linked = bench.station.provisioning.profile is not None
        is_answer = isinstance(event, BootAnswered | MessageFailed)
        if (is_answer and not waits) or (isinstance(event, LinkUp) and linked):
            continue
        effects = bench.post(event)
        waits = waits and not is_answer and not isinstance(event, LinkDown)
        waits = waits or bool(introductions(effects))
        waits = bool(introductions(bench.wait(seconds))) or waits
        state = bench.station.provisioning
        assert (
            state.profile is None or waits or state.registration is ACCEPTED or state.boot_due_s
        )
        assert not (waits and state.boot_due_s is not None)


# --- the clock ---


@pytest.mark.parametrize(
    ("status", "is_believed"), [(ACCEPTED, True), (PENDING, True), (REJECTED, False)]
)
def test_the_csms_tells_the_time_unless_it_rejects(
    status: RegistrationStatus, is_believed: bool
) -> None:
    bench = Bench(wall_s=None)
    up(bench)
    answer(bench, status, 300, WALL_S)
    dated = bench.station.timebase.dated(Stamp(1, bench.now_s)).wall_s
    assert dated == (WALL_S if is_believed else None)


def test_the_answer_to_a_heartbeat_tells_the_time() -> None:
    bench = Bench(wall_s=None)
    up(bench)
    answer(bench, ACCEPTED, 300)
    bench.post(HeartbeatAnswered(None))
    assert bench.station.timebase.offset_s is None
    bench.post(HeartbeatAnswered(WALL_S))
    assert bench.station.timebase.offset_s == WALL_S - bench.now_s


# --- heartbeats ---


@pytest.mark.parametrize(
    ("named_s", "kept_s"),
    [(120, 120), (0, 300), (-1, 300), (1, 10), (300_000_000, 86_400)],
)
def test_the_csms_names_the_interval_and_mistakes_are_clamped(
    named_s: int, kept_s: int
) -> None:
    bench = Bench()
    up(bench)
    answer(bench, ACCEPTED, named_s)
    assert interval_s(bench) == kept_s
    assert beats(bench.post(DeadlinePassed())) == 0
    assert beats(bench.wait(kept_s - 0.5)) == 0
    assert beats(bench.wait(0.5)) == 1
    assert beats(bench.wait(2.0 * kept_s)) == 2


def test_without_an_interval_life_is_shown_once_a_day() -> None:
    bench = Bench(OCPPCommCtrlr__HeartbeatInterval="0")
    up(bench)
    answer(bench, ACCEPTED, 0)
    assert beats(bench.wait(86_399.0)) == 0
    assert beats(bench.wait(1.0)) == 1


def test_no_heart_beats_without_acceptance_or_without_a_link() -> None:
    bench = Bench()
    up(bench)
    answer(bench, PENDING, 1000)
    assert beats(bench.wait(900.0)) == 0
    bench.accept()
    bench.post(LinkDown("lost"))
    assert beats(bench.wait(900.0)) == 0
    up(bench)
    assert beats(bench.wait(300.0)) == 1


def test_a_new_interval_counts_from_now() -> None:
    bench = Bench().ready()
    bench.wait(200.0)
    bench.post(SettingsWriteRequested(1, (("HeartbeatInterval", "50"),)))
    assert beats(bench.wait(49.0)) == 0
    assert beats(bench.wait(1.0)) == 1


def test_a_new_interval_starts_no_heart_of_a_station_that_is_offline() -> None:
    bench = Bench()
    bench.post(SettingsWriteRequested(1, (("HeartbeatInterval", "50"),)))
    assert bench.station.provisioning.heartbeat_due_s is None
    bench.ready()
    bench.post(SettingsWriteRequested(2, (("ConnectionTimeOut", "50"),)))
    assert beats(bench.wait(300.0)) == 1


# --- reset ---


def reset(
    bench: Bench, kind: ResetKind, request_id: int = 70, origin: Origin = Origin.CSMS
) -> list[Effect]:
    return bench.post(ResetRequested(request_id, kind, origin=origin))


def restarts(effects: list[Effect]) -> list[BootReason]:
    return [effect.reason for effect in effects if isinstance(effect, Restart)]


def charging() -> Bench:
    bench = Bench().ready()
    bench.charge()
    bench.deliver()
    return bench


@pytest.mark.parametrize("kind", list(ResetKind))
@pytest.mark.parametrize(
    ("origin", "reason"),
    [(Origin.CSMS, BootReason.REMOTE_RESET), (Origin.LOCAL, BootReason.LOCAL_RESET)],
)
def test_an_idle_station_restarts_at_once_and_says_why_afterwards(
    kind: ResetKind, origin: Origin, reason: BootReason
) -> None:
    bench = Bench().ready()
    effects = reset(bench, kind, origin=origin)
    assert effects[0] == Reply(70, Done(Verdict.ACCEPTED))
    assert restarts(effects) == [reason]
    assert provisioning.deadline_s(bench.station.provisioning) is not None  # the heart beats on
    bench.power_cut()
    assert introductions(up(bench)) == [reason]
    bench.power_cut()
    assert introductions(up(bench)) == [BootReason.POWER_UP]


def test_one_evse_cannot_be_reset_alone() -> None:
    bench = Bench().ready()
    bench.post(ResetRequested(70, ResetKind.IMMEDIATE, evse_id=1))
    assert bench.reply(70).verdict is Verdict.REJECTED
    assert bench.station.provisioning.reset is None


@pytest.mark.parametrize(
    ("kind", "origin", "stop", "trigger"),
    [
        (ResetKind.IMMEDIATE, Origin.CSMS, StopReason.IMMEDIATE_RESET, Trigger.RESET_COMMAND),
        (ResetKind.GRACEFUL, Origin.CSMS, StopReason.SOFT_RESET, Trigger.RESET_COMMAND),
        (ResetKind.IMMEDIATE, Origin.LOCAL, StopReason.REBOOT, Trigger.ABNORMAL_CONDITION),
        (ResetKind.GRACEFUL, Origin.LOCAL, StopReason.REBOOT, Trigger.ABNORMAL_CONDITION),
    ],
)
def test_a_reset_ends_transactions_and_waits_until_the_csms_knows(
    kind: ResetKind, origin: Origin, stop: StopReason, trigger: Trigger
) -> None:
    bench = charging()
    effects = reset(bench, kind, origin=origin)
    assert effects[0] == Reply(70, Done(Verdict.ACCEPTED))
    assert restarts(effects) == []
    bench.obey()
    effects = bench.meter(1100.0)
    assert restarts(effects) == []
    (ended,) = bench.told_records(TransactionEnded)
    assert (ended.stop_reason, ended.trigger) == (stop, trigger)
    bench.effects.clear()
    bench.deliver()
    assert len(restarts(bench.effects)) == 1


@pytest.mark.parametrize(
    ("kind", "patience_s"),
    [(ResetKind.IMMEDIATE, 5.0), (ResetKind.GRACEFUL, 30.0), (ResetKind.ON_IDLE, 30.0)],
)
def test_a_reset_does_not_wait_for_ever_for_the_csms(
    kind: ResetKind, patience_s: float
) -> None:
    bench = Bench().ready()
    bench.post(SecurityEventRaised("Some"))
    assert restarts(reset(bench, kind)) == []
    assert restarts(bench.wait(patience_s - 0.1)) == []
    assert restarts(bench.wait(0.1)) == [BootReason.REMOTE_RESET]


def test_a_reset_on_idle_waits_for_the_end_of_every_transaction() -> None:
    bench = charging()
    effects = reset(bench, ResetKind.ON_IDLE)
    assert effects[0] == Reply(70, Done(Verdict.SCHEDULED))
    assert restarts(bench.wait(7200.0)) == []
    assert isinstance(bench.session(), Active)
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1100.0)
    bench.effects.clear()
    bench.deliver()
    assert restarts(bench.effects) == [BootReason.SCHEDULED_RESET]
    bench.power_cut()
    assert introductions(up(bench)) == [BootReason.SCHEDULED_RESET]


def test_a_power_cut_before_a_scheduled_reset_is_a_power_cut() -> None:
    bench = charging()
    reset(bench, ResetKind.ON_IDLE)
    bench.power_cut()
    assert bench.station.provisioning.reset is None
    assert introductions(up(bench)) == [BootReason.POWER_UP]


def test_nobody_begins_while_a_reset_pends() -> None:
    bench = Bench(2).ready(2)
    bench.charge(1)
    reset(bench, ResetKind.ON_IDLE)
    bench.pilot(PilotState.C, 2)
    bench.tap(OTHER, 2)
    assert not bench.station.authorization.pending


def test_a_sharper_reset_overtakes_a_patient_one_but_not_the_reverse() -> None:
    bench = charging()
    reset(bench, ResetKind.ON_IDLE, 70)
    reset(bench, ResetKind.IMMEDIATE, 71)
    reset(bench, ResetKind.ON_IDLE, 72)
    assert bench.reply(72) == Done(Verdict.SCHEDULED)
    assert bench.station.provisioning.reset.kind is ResetKind.IMMEDIATE
    bench.obey()
    bench.meter(1100.0)
    assert restarts(bench.wait(5.0)) == [BootReason.REMOTE_RESET]


def test_a_station_that_restarts_already_does_not_restart_twice() -> None:
    bench = Bench().ready()
    assert len(restarts(reset(bench, ResetKind.GRACEFUL, 70))) == 1
    assert restarts(reset(bench, ResetKind.GRACEFUL, 71)) == []
    assert bench.reply(71) == Done(Verdict.ACCEPTED)


def test_a_restart_of_the_agent_is_told_by_the_machines_boot() -> None:
    bench = Bench()
    bench.post(PowerUp(BootReason.APPLICATION_RESET, "boot-1"))
    assert bench.station.provisioning.machine == "boot-1"
    assert introductions(up(bench)) == [BootReason.APPLICATION_RESET]


# --- CSMSs that want more than the rules ---


def test_24_one_that_wants_an_introduction_on_each_connection_gets_it() -> None:
    bench = Bench(OCPPCommCtrlr__BootOnReconnect="true").ready()
    bench.post(LinkDown("lost"))
    assert len(introductions(up(bench))) == 1
    assert not bench.station.is_online
    bench.accept()
    assert bench.station.is_online


def test_26_one_that_triggers_an_introduction_is_refused_unless_allowed() -> None:
    boot = TriggerRequested(7, TriggerKind.BOOT)
    assert introductions(Bench().ready().post(boot)) == []
    bench = Bench(OCPPCommCtrlr__BootWhenTriggered="true").ready()
    assert introductions(bench.post(boot)) == [BootReason.TRIGGERED]
    assert bench.station.is_online
