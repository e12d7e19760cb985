"""What the CSMS wants to hear at once: the answer first, then the message, or a truthful no."""

import pytest

from agent.core.effects import (
    BootReported,
    Done,
    Effect,
    HeartbeatSent,
    MeterValuesReported,
    Reply,
    StatusReported,
    TransactionUpdated,
    Verdict,
)
from agent.core.events import (
    BootAnswered,
    LinkUp,
    MeterFailed,
    TriggerKind,
    TriggerRequested,
)
from agent.core.values import BootReason, Measurand, ReadingContext, RegistrationStatus, Trigger
from tests.support.core import Bench

YES = Reply(7, Done(Verdict.ACCEPTED))
VOLTAGE = ("Voltage",)


def trigger(
    bench: Bench,
    kind: TriggerKind,
    evse_id: int | None = None,
    connector_id: int | None = None,
    measurands: tuple[str, ...] = (),
) -> list[Effect]:
    return bench.post(TriggerRequested(7, kind, evse_id, connector_id, measurands))


def verdict(effects: list[Effect]) -> Verdict:
    (reply,) = effects
    assert isinstance(reply, Reply)
    assert isinstance(reply.outcome, Done)
    return reply.outcome.verdict


def pending(bench: Bench) -> Bench:
    bench.hardware()
    bench.post(LinkUp(0, "ocpp1.6", "ws://csms", 0))
    bench.post(BootAnswered(RegistrationStatus.PENDING, 300, None))
    return bench


@pytest.mark.parametrize(
    "kind",
    [
        TriggerKind.FIRMWARE_STATUS,
        TriggerKind.SIGNED_FIRMWARE_STATUS,
    ],
)
def test_what_no_block_tells_is_not_implemented(kind: TriggerKind) -> None:
    bench = Bench().ready()
    (reply,) = trigger(bench, kind)
    assert isinstance(reply, Reply)
    info = f"this station has no {kind.value} to tell"
    assert reply.outcome == Done(Verdict.NOT_SUPPORTED, "UnsupportedRequest", info)


@pytest.mark.parametrize("kind", TriggerKind)
def test_every_kind_is_answered_once_and_before_it_is_told(kind: TriggerKind) -> None:
    bench = Bench().ready()
    first, *told = trigger(bench, kind)
    assert isinstance(first, Reply)
    assert not any(isinstance(effect, Reply) for effect in told)


# --- boot and heartbeat ---


def test_an_accepted_station_needs_no_introduction() -> None:
    assert verdict(trigger(Bench().ready(), TriggerKind.BOOT)) is Verdict.REJECTED


def test_a_pending_station_introduces_itself_at_once_and_not_again_at_its_time() -> None:
    bench = pending(Bench())
    assert trigger(bench, TriggerKind.BOOT) == [YES, BootReported(BootReason.TRIGGERED)]
    assert not [item for item in bench.wait(400) if isinstance(item, BootReported)]
    assert trigger(bench, TriggerKind.BOOT) == [YES]  # it is under way


def test_a_heartbeat_is_sent_between_the_others() -> None:
    bench = Bench().ready()
    bench.wait(100)
    assert trigger(bench, TriggerKind.HEARTBEAT) == [YES, HeartbeatSent(is_triggered=True)]
    assert [item for item in bench.wait(201) if isinstance(item, HeartbeatSent)] == [
        HeartbeatSent()
    ]


def test_a_pending_station_may_be_asked_for_a_heartbeat() -> None:
    effects = trigger(pending(Bench()), TriggerKind.HEARTBEAT)
    assert effects == [YES, HeartbeatSent(is_triggered=True)]


# --- statuses ---


def places(effects: list[Effect]) -> list[tuple[int, int]]:
    assert effects[0] == YES
    told = [effect for effect in effects[1:] if isinstance(effect, StatusReported)]
    assert all(report.is_triggered for report in told)
    return [(report.status.evse_id, report.status.connector_id) for report in told]


@pytest.mark.parametrize(
    ("evse_id", "connector_id", "expected"),
    [
        (None, None, [(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)]),
        (0, None, [(0, 0)]),
        (2, None, [(2, 1), (2, 2)]),
        (1, 2, [(1, 2)]),
    ],
)
def test_the_statuses_asked_for_are_told_although_they_are_known(
    evse_id: int | None, connector_id: int | None, expected: list[tuple[int, int]]
) -> None:
    bench = Bench(2, connectors=2).ready(2)
    assert places(trigger(bench, TriggerKind.STATUS, evse_id, connector_id)) == expected
    assert not [item for item in bench.wait(1) if isinstance(item, StatusReported)]


@pytest.mark.parametrize(("evse_id", "connector_id"), [(3, None), (1, 3), (-1, None), (0, 1)])
def test_the_status_of_what_does_not_exist_is_refused(
    evse_id: int, connector_id: int | None
) -> None:
    bench = Bench(2, connectors=2).ready(2)
    effects = trigger(bench, TriggerKind.STATUS, evse_id, connector_id)
    assert verdict(effects) is Verdict.REJECTED


def test_a_pending_station_tells_the_status_asked_for_and_all_once_it_is_accepted() -> None:
    bench = pending(Bench())
    assert places(trigger(bench, TriggerKind.STATUS, 1)) == [(1, 1)]
    reports = [item for item in bench.accept() if isinstance(item, StatusReported)]
    assert [report.status.evse_id for report in reports] == [0, 1]


# --- meters ---


def test_present_readings_are_told_of_each_meter() -> None:
    bench = Bench(2).ready(2)
    bench.charge(2)
    bench.meter(1500.0, 2)
    first, *told = trigger(bench, TriggerKind.METER_VALUES, measurands=VOLTAGE)
    assert first == YES
    transaction = bench.station.evses[2].transaction
    assert transaction is not None
    assert [(item.evse_id, item.connector_id, item.transaction_id) for item in told] == [
        (1, 1, None),
        (2, 1, transaction.transaction_id),
    ]
    for item in told:
        assert isinstance(item, MeterValuesReported)
        assert item.sample.context is ReadingContext.TRIGGER
        assert {quantity.measurand for quantity in item.sample.quantities} == {
            Measurand.VOLTAGE
        }


def test_without_measurands_the_register_is_told() -> None:
    _, told = trigger(Bench().ready(), TriggerKind.METER_VALUES, 1, 1)
    assert isinstance(told, MeterValuesReported)
    assert [item.measurand for item in told.sample.quantities] == [Measurand.ENERGY_IMPORT]


def test_the_connector_asked_for_is_the_one_that_is_named() -> None:
    bench = Bench(2, connectors=2).ready(2)
    _, told = trigger(bench, TriggerKind.METER_VALUES, 2, 2)
    assert isinstance(told, MeterValuesReported)
    assert (told.evse_id, told.connector_id) == (2, 2)


def test_the_station_without_a_main_meter_tells_those_of_its_evses() -> None:
    effects = trigger(Bench(2).ready(2), TriggerKind.METER_VALUES, 0)
    assert len(effects) == 3


@pytest.mark.parametrize("place", [(3, None), (1, 2), (-1, None)])
def test_the_meter_of_what_does_not_exist_is_refused(place: tuple[int, int | None]) -> None:
    effects = trigger(Bench(2).ready(2), TriggerKind.METER_VALUES, *place)
    assert verdict(effects) is Verdict.REJECTED


@pytest.mark.parametrize("kind", [TriggerKind.METER_VALUES, TriggerKind.TRANSACTION])
def test_a_meter_that_is_silent_tells_nothing(kind: TriggerKind) -> None:
    bench = Bench().ready()
    bench.charge()
    bench.post(MeterFailed(1, "silent"))
    bench.wait(11)
    assert verdict(trigger(bench, kind)) is Verdict.REJECTED


def test_a_running_transaction_tells_where_it_stands() -> None:
    bench = Bench(2).ready(2)
    assert verdict(trigger(bench, TriggerKind.TRANSACTION)) is Verdict.REJECTED
    bench.charge()
    bench.meter(1500.0)
    bench.effects.clear()
    assert trigger(bench, TriggerKind.TRANSACTION, 1, measurands=VOLTAGE)[0] == YES
    last = bench.told_records(TransactionUpdated)[-1]
    assert last.trigger is Trigger.TRIGGER
    assert last.samples[0].context is ReadingContext.TRIGGER
    bench.effects.clear()
    assert verdict(trigger(bench, TriggerKind.TRANSACTION, 2)) is Verdict.REJECTED
