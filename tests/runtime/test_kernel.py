import asyncio
import logging

from agent.core.effects import (
    Done,
    Reply,
    Report,
    SecurityEvent,
    TransactionEnded,
    TransactionStarted,
    Verdict,
)
from agent.core.events import (
    AvailabilityRequested,
    DeadlinePassed,
    ExternalLimitSet,
    FaultRaised,
    LinkUp,
    MeterRead,
    OutletChanged,
    PilotChanged,
    RecordDelivered,
    SecurityEventRaised,
    SettingsReadRequested,
    StorageFailed,
    StorageRecovered,
    TokenPresented,
)
from agent.core.setpoint import limits
from agent.core.states import Authorized, Idle
from agent.runtime.kernel import MOST_PER_TURN, RETRY_S
from hal.types import Fault, PilotState
from tests.support.core import TAG, reading
from tests.support.shell import Rig, hardware
from tests.support.vloop import run

SLOW_S = 0.2
NOISE = SecurityEventRaised("SettingSystemTime")


def energized(rig):
    return [targets.of(1).energize for _, targets in rig.targets]


def now_s():
    return asyncio.get_running_loop().time()


def kinds(log):
    return [kind for kind, _ in log]


def test_at_the_start_everything_is_off_whatever_was_stored():
    async def story():
        async with Rig() as rig:
            assert not rig.targets[0][1].of(1).energize
            assert rig.targets[0][1].of(1).offer_a == 0.0

    run(story())


def test_energy_flows_only_once_the_start_is_on_the_disk():
    async def story():
        async with Rig() as rig:
            rig.post(*hardware())
            await rig.settled()
            rig.disk.commit_s = SLOW_S
            rig.log.clear()
            begun = now_s()
            rig.post(TokenPresented(TAG, 1))
            await rig.settled()
            assert rig.is_energized
            assert rig.targets[-1][0] >= begun + SLOW_S
            order = [
                kind
                for kind, item in rig.log
                if kind in {"write", "written"} or (kind == "hardware" and item.energize)
            ]
            assert order == ["write", "written", "hardware"]
            told = next(i for i, (kind, item) in enumerate(rig.log) if kind == "told")
            assert told > kinds(rig.log).index("hardware")
            (started,) = rig.told(TransactionStarted)
            assert started.seq_no == 0

    run(story())


def test_the_contactor_opens_before_the_write():
    async def story():
        async with Rig() as rig:
            await rig.charging()
            rig.disk.commit_s = SLOW_S
            rig.log.clear()
            begun = now_s()
            rig.post(FaultRaised(1, Fault.GROUND_FAILURE))
            await rig.settled()
            assert kinds(rig.log)[:2] == ["hardware", "write"]
            opened = [at for at, targets in rig.targets if at >= begun]
            assert opened[0] == begun
            assert not rig.is_energized

    run(story())


def test_a_token_and_an_unplugging_in_one_batch_never_energize():
    async def story():
        async with Rig() as rig:
            rig.post(*hardware())
            await rig.settled()
            rig.post(TokenPresented(TAG, 1), PilotChanged(1, PilotState.A))
            await rig.settled()
            assert not any(energized(rig))

    run(story())


def test_opening_does_not_wait_for_a_commit_that_is_under_way():
    async def story():
        async with Rig() as rig:
            await rig.charging()
            rig.disk.commit_s = SLOW_S
            begun = now_s()
            rig.post(NOISE)
            await asyncio.sleep(0.05)
            rig.post(FaultRaised(1, Fault.GROUND_FAILURE))
            assert not rig.is_energized
            assert rig.targets[-1][0] == begun + 0.05
            changes = len(rig.targets)
            await rig.settled()
            assert not any(energized(rig)[changes:])
            await asyncio.sleep(1)
            assert not rig.is_energized

    run(story())


def test_a_vehicle_that_leaves_while_its_start_is_written_never_gets_energy():
    async def story():
        async with Rig() as rig:
            rig.post(*hardware())
            await rig.settled()
            rig.disk.commit_s = SLOW_S
            rig.post(TokenPresented(TAG, 1))
            await asyncio.sleep(0.1)
            rig.post(PilotChanged(1, PilotState.A))
            await rig.settled()
            await asyncio.sleep(5)
            assert not any(energized(rig))
            rig.post(MeterRead(1, reading(1000.0)))
            await rig.settled()
            assert len(rig.told(TransactionStarted)) == len(rig.told(TransactionEnded)) == 1

    run(story())


def test_what_does_not_fit_into_a_turn_lowers_before_its_commit_all_the_same():
    async def story():
        async with Rig() as rig:
            await rig.charging()
            rig.disk.commit_s = SLOW_S
            begun = now_s()
            rig.post(*[NOISE] * MOST_PER_TURN, FaultRaised(1, Fault.GROUND_FAILURE))
            await asyncio.sleep(0.01)
            assert not rig.is_energized
            assert rig.targets[-1][0] == begun

    run(story())


def test_what_falls_due_while_the_disk_is_busy_is_looked_at_with_the_next_event():
    async def story():
        async with Rig() as rig:
            rig.post(*hardware(pilot=PilotState.A), TokenPresented(TAG, 1))
            await rig.settled()
            assert isinstance(rig.kernel.station.evses[1].session, Authorized)
            rig.disk.commit_s = 100.0
            rig.post(NOISE)
            await asyncio.sleep(90)  # the connection timeout is 60 s
            rig.post(MeterRead(1, reading(1000.0)))
            assert isinstance(rig.kernel.station.evses[1].session, Authorized)
            await rig.settled()
            assert isinstance(rig.kernel.station.evses[1].session, Idle)

    run(story())


def test_a_burst_costs_one_commit():
    async def story():
        async with Rig() as rig:
            before = len(rig.disk.writes)
            rig.post(*[NOISE] * 40)
            await rig.settled()
            assert len(rig.disk.writes) == before + 1
            assert len(rig.disk.writes[-1][0].reports) == 40

    run(story())


def test_a_turn_takes_64_events_and_the_next_the_rest():
    async def story():
        async with Rig() as rig:
            rig.turns.clear()
            rig.post(*[NOISE] * 100)
            await rig.settled()
            assert [len(turn) for turn in rig.turns] == [MOST_PER_TURN, 36]

    run(story())


def test_a_turn_that_changes_nothing_durable_commits_nothing():
    async def story():
        async with Rig() as rig:
            await rig.charging()
            rig.log.clear()
            rig.post(*[MeterRead(1, reading(1001.0 + index)) for index in range(5)])
            await rig.settled()
            assert "write" not in kinds(rig.log)

    run(story())


def test_an_acknowledgement_rides_on_the_next_commit():
    async def story():
        async with Rig() as rig:
            rig.post(LinkUp(0, "ocpp1.6", "ws://csms", 0), NOISE)
            await rig.settled()
            (report,) = rig.told(Report)
            before = len(rig.disk.writes)
            rig.post(RecordDelivered(report.record_id))
            await rig.settled()
            assert not rig.kernel.station.outbox.entries
            assert len(rig.disk.writes) == before
            rig.post(NOISE)
            await rig.settled()
            ((changes, forgotten),) = rig.disk.writes[before:]
            assert forgotten == (report.record_id,)
            assert len(changes.reports) == 1

    run(story())


def test_a_record_that_the_disk_refuses_is_told_to_nobody_until_it_is_written(caplog):
    async def story():
        async with Rig() as rig:
            told = ["First", "MemoryExhaustion", "Second"]
            rig.disk.refusal = "disk I/O error"
            rig.post(SecurityEventRaised("First"))
            await asyncio.sleep(1)
            rig.post(SecurityEventRaised("Second"))
            await asyncio.sleep(1)
            assert not rig.told(SecurityEvent)
            assert not rig.kernel.station.storage_ok
            assert [type(event) for turn in rig.turns for event in turn].count(
                StorageFailed
            ) == 1
            rig.disk.refusal = None
            await asyncio.sleep(RETRY_S)
            assert [record.type for record in rig.told(SecurityEvent)] == told
            (written, _) = rig.disk.writes[-1]
            assert [report.record.type for report in written.reports] == told
            ids = [report.record_id for report in written.reports]
            assert ids == sorted(ids)
            assert rig.kernel.station.storage_ok
            assert [type(event) for turn in rig.turns for event in turn].count(
                StorageRecovered
            ) == 1
            loaded = await rig.disk.read_record(ids[0])
            assert loaded.type == "First"

    run(story())
    messages = [
        record.message for record in caplog.records if record.levelno >= logging.WARNING
    ]
    assert messages == ["storage refuses to write: disk I/O error", "storage writes again"]


def test_a_disk_that_refuses_stops_energy_without_waiting_for_another_turn():
    async def story():
        async with Rig() as rig:
            await rig.charging()
            rig.disk.refusal = "disk I/O error"
            rig.post(NOISE)
            await asyncio.sleep(0.01)
            assert not rig.is_energized
            await asyncio.sleep(60)
            assert not rig.is_energized
            rig.disk.refusal = None
            await asyncio.sleep(RETRY_S + 1)
            assert rig.is_energized

    run(story())


def test_energy_that_waits_for_its_record_does_not_flow_when_the_disk_refuses():
    async def story():
        async with Rig() as rig:
            rig.post(*hardware())
            await rig.settled()
            rig.disk.refusal = "disk I/O error"
            rig.post(TokenPresented(TAG, 1))
            await asyncio.sleep(20)
            assert not any(energized(rig))
            rig.disk.refusal = None
            await asyncio.sleep(RETRY_S + 1)
            assert rig.is_energized
            assert len(rig.told(TransactionStarted)) == 1

    run(story())


def test_without_anything_to_write_the_disk_is_tried_with_the_boot():
    async def story():
        async with Rig() as rig:
            rig.disk.refusal = "disk I/O error"
            rig.post(AvailabilityRequested(1, operative=False))
            await rig.settled()
            rig.post(AvailabilityRequested(2, operative=True))
            await rig.settled()
            rig.disk.refusal = None
            await asyncio.sleep(RETRY_S)
            (changes, _) = rig.disk.writes[-1]
            assert [row[0] for row in changes.rows] == ["boot"]
            assert rig.kernel.station.storage_ok

    run(story())


def test_a_request_whose_outcome_might_be_forgotten_has_failed():
    async def story():
        async with Rig() as rig:
            rig.disk.refusal = "disk I/O error"
            rig.post(AvailabilityRequested(1, operative=False))
            await rig.settled()
            (reply,) = rig.told(Reply)
            assert isinstance(reply.outcome, Done)
            assert reply.outcome.verdict is Verdict.FAILED
            assert reply.outcome.info == "storage cannot write"

    run(story())


def test_a_request_that_failed_changes_nothing_but_the_hardware_beside_it_does():
    async def story():
        async with Rig() as rig:
            rig.post(*hardware())
            await rig.settled()
            was_operative = rig.kernel.station.availability
            rig.disk.refusal = "disk I/O error"
            rig.post(
                FaultRaised(1, Fault.READER_FAILURE),
                AvailabilityRequested(1, operative=False),
                SettingsReadRequested(2, ("ClockCtrlr.DateTime",)),
            )
            await rig.settled()
            replies = {reply.request_id: reply.outcome for reply in rig.told(Reply)}
            assert replies[1].verdict is Verdict.FAILED
            assert not isinstance(replies[2], Done)
            assert rig.kernel.station.evses[1].inputs.faults
            assert rig.kernel.station.availability == was_operative
            rig.disk.refusal = None
            await asyncio.sleep(6.0)
            await rig.settled()
            assert rig.kernel.station.storage_ok
            assert rig.kernel.station.availability == was_operative

    run(story())


def test_a_limit_of_the_site_holds_although_it_cannot_be_remembered():
    async def story():
        async with Rig() as rig:
            rig.post(*hardware())
            rig.disk.refusal = "disk I/O error"
            rig.post(ExternalLimitSet(1, "ems", 600.0, evse_id=1, limit_a=8.0))
            await rig.settled()
            (reply,) = rig.told(Reply)
            held = min(limit.limit_a for limit in limits(rig.kernel.station.evses[1]))
            assert held == 8.0
            assert reply.outcome.verdict is Verdict.FAILED

    run(story())


def test_what_is_only_asked_for_is_answered_although_the_disk_refuses():
    async def story():
        async with Rig() as rig:
            rig.disk.refusal = "disk I/O error"
            rig.post(NOISE)
            await rig.settled()
            rig.post(SettingsReadRequested(7, ("ClockCtrlr.DateTime",)))
            await rig.settled()
            (reply,) = rig.told(Reply)
            assert reply.request_id == 7
            assert not isinstance(reply.outcome, Done)

    run(story())


def test_an_event_has_had_its_effect_once_its_ticket_is_taken():
    async def story():
        async with Rig() as rig:
            rig.disk.commit_s = SLOW_S
            ticket = rig.post(NOISE)
            assert rig.kernel.taken == ticket - 1
            await asyncio.sleep(SLOW_S / 2)
            assert rig.kernel.taken == ticket - 1
            await asyncio.sleep(SLOW_S)
            assert rig.kernel.taken == ticket
            assert rig.told(SecurityEvent)

    run(story())


def test_deadlines_come_without_anybody_setting_a_timer():
    async def story():
        async with Rig() as rig:
            rig.post(*hardware(pilot=PilotState.A), TokenPresented(TAG, 1))
            await rig.settled()
            rig.turns.clear()
            await asyncio.sleep(59.9)
            assert isinstance(rig.kernel.station.evses[1].session, Authorized)
            assert not rig.turns
            await asyncio.sleep(0.2)
            assert isinstance(rig.kernel.station.evses[1].session, Idle)
            assert [type(event) for turn in rig.turns for event in turn] == [DeadlinePassed]

    run(story())


def test_an_earlier_deadline_replaces_a_later_one():
    async def story():
        async with Rig(evses=2) as rig:
            rig.post(*hardware(1, PilotState.A), *hardware(2, PilotState.A))
            await rig.settled()
            rig.post(TokenPresented(TAG, 1))
            await asyncio.sleep(30)
            rig.disk.refusal = "disk I/O error"  # to be tried again before the timeout
            rig.post(NOISE)
            await asyncio.sleep(RETRY_S + 0.1)
            rig.disk.refusal = None
            await asyncio.sleep(RETRY_S)
            assert rig.kernel.station.storage_ok
            await asyncio.sleep(30)
            assert isinstance(rig.kernel.station.evses[1].session, Idle)

    run(story())


def test_a_pulse_passes_through_kernel_and_store():
    async def story():
        async with Rig() as rig:
            turns = len(rig.turns)
            await asyncio.wait_for(rig.kernel.pulse(), 1)
            assert len(rig.turns) == turns + 1

    run(story())


def test_a_pulse_hangs_while_a_commit_hangs():
    async def story():
        async with Rig() as rig:
            rig.disk.commit_s = 3600.0
            rig.post(NOISE)
            await asyncio.sleep(1)
            pulse = asyncio.create_task(rig.kernel.pulse())
            await asyncio.sleep(60)
            assert not pulse.done()
            pulse.cancel()
            rig.disk.commit_s = 0.0
            await asyncio.sleep(3600)
            await rig.kernel.pulse()  # one that was given up is in nobody's way

    run(story())


def test_a_pulse_hangs_while_the_store_hangs_and_the_kernel_goes_on():
    async def story():
        async with Rig() as rig:
            rig.disk.ping_s = 3600.0
            pulse = asyncio.create_task(rig.kernel.pulse())
            await asyncio.sleep(60)
            assert not pulse.done()
            rig.post(NOISE)
            await rig.settled()
            assert rig.told(SecurityEvent)
            pulse.cancel()

    run(story())


def test_a_store_that_answers_with_an_error_is_alive(caplog):
    async def story():
        async with Rig() as rig:
            rig.disk.refusal = "disk I/O error"
            await asyncio.wait_for(rig.kernel.pulse(), 1)

    run(story())
    assert "storage answers with an error: disk I/O error" in caplog.text


def test_a_pulse_that_was_given_up_before_its_turn_is_in_nobodys_way():
    async def story():
        async with Rig() as rig:
            pulse = asyncio.create_task(rig.kernel.pulse())
            await asyncio.sleep(0)
            pulse.cancel()
            await rig.kernel.pulse()
            assert rig.failure is None

    run(story())


def test_a_commit_that_was_under_way_at_the_end_is_on_the_disk():
    async def story():
        rig = Rig()
        await rig.__aenter__()
        rig.post(NOISE)
        while not any(what == "write" and it.reports for what, it in rig.disk.log):  # noqa: ASYNC110  # the disk sets no event
            await asyncio.sleep(0)  # the next step of the loop, not a poll
        await rig.__aexit__()
        assert len(rig.disk.writes[-1][0].reports) == 1

    run(story())


def test_a_defect_in_the_core_ends_the_kernel():
    class DefectError(Exception):
        pass

    def observer(*_):
        raise DefectError

    async def story():
        async with Rig() as rig:
            rig.kernel.observers.append(observer)
            rig.post(OutletChanged(1, closed=False))
            await asyncio.sleep(1)
            assert isinstance(rig.failure, DefectError)

    run(story())


def test_a_turn_is_logged_by_kinds_and_never_by_content(caplog):
    caplog.set_level(logging.DEBUG)

    async def story():
        async with Rig() as rig:
            rig.post(*hardware(), TokenPresented(TAG, 1))
            await rig.settled()

    run(story())
    assert "PilotChanged" in caplog.text
    assert "TokenPresented" in caplog.text
    assert TAG.value not in caplog.text
