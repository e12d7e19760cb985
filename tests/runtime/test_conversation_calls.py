import asyncio
import contextlib

import pytest

from agent.core import variables
from agent.core.effects import (
    AuthorizationWanted,
    DataTransferSent,
    Done,
    SecurityEvent,
    Verdict,
)
from agent.core.events import (
    DataTransferAnswered,
    DataTransferRequested,
    LinkDown,
    LinkHeld,
    MessageFailed,
    RecordDelivered,
    RecordFailed,
    SecurityEventRaised,
    SettingsWriteRequested,
)
from agent.ocpp.negotiation import adapter_for
from agent.runtime.conversation import FLUSH_S
from agent.runtime.silence import HALF_DEAD
from agent.runtime.waiting import MESSAGES_IN_A_ROW
from agent.transport.link import LinkClosed
from agent.transport.memory import CAPACITY, MemoryDialer, MemoryLink
from hal.sim.vehicle import Vehicle
from hal.types import IdToken
from tests.support.shell import Talk, defective, story, watched
from tests.support.vloop import run

VERSIONS = ("ocpp1.6", "ocpp2.0.1")
both = pytest.mark.parametrize("version", VERSIONS)
SECURITY = "SecurityEventNotification"
TIMEOUT_S = 30.0
CHANGE = {
    "ocpp1.6": {"connectorId": 0, "type": "Inoperative"},
    "ocpp2.0.1": {"operationalStatus": "Inoperative"},
}
# --- our calls ---


@both
def test_one_call_is_in_flight_and_crossing_calls_are_answered_meanwhile(version):
    async def told(talk):
        talk.post(SecurityEventRaised("First"), SecurityEventRaised("Second"))
        first = await talk.hear_call(SECURITY)
        await talk.lives()
        await talk.silent(5)
        await talk.answer(first)
        second = await talk.hear_call(SECURITY)
        assert second[3]["type"] == "Second"
        await talk.answer(second)
        await talk.silent()
        assert not talk.station.outbox.entries

    story(version, told)


@both
def test_an_answer_that_comes_twice_counts_once(version):
    async def told(talk):
        delivered = watched(talk, RecordDelivered)
        talk.post(SecurityEventRaised("First"))
        call = await talk.hear_call(SECURITY)
        await talk.answer(call)
        await talk.answer(call)
        await talk.silent()
        assert len(delivered) == 1
        await talk.lives()

    story(version, told)


@both
def test_a_record_without_an_answer_is_repeated_under_its_id(version):
    async def told(talk):
        failed = watched(talk, RecordFailed)
        talk.post(SecurityEventRaised("First"))
        first = await talk.hear_call(SECURITY)
        second = await talk.hear_call(SECURITY)
        assert second == first
        assert [event.reason for event in failed] == ["no answer in time"]
        await talk.answer(second)
        await talk.silent()
        assert not talk.station.outbox.entries

    story(version, told)


@both
def test_a_record_that_was_refused_is_repeated_under_a_new_id(version):
    async def told(talk):
        talk.post(SecurityEventRaised("First"))
        first = await talk.hear_call(SECURITY)
        await talk.say([4, first[1], "GenericError", "not now", {}])
        second = await talk.hear_call(SECURITY)
        assert second[1] != first[1]
        assert second[3] == first[3]

    story(version, told)


@both
def test_a_record_that_timed_out_and_then_was_refused_gets_a_new_id_too(version):
    async def told(talk):
        talk.post(SecurityEventRaised("First"))
        first = await talk.hear_call(SECURITY)
        second = await talk.hear_call(SECURITY)
        await talk.say([4, second[1], "GenericError", "", {}])
        third = await talk.hear_call(SECURITY)
        assert third[1] != first[1]

    story(version, told)


@both
def test_a_record_that_was_under_way_when_the_link_broke_keeps_its_id_on_the_next(version):
    async def told(talk):
        talk.post(SecurityEventRaised("First"))
        first = await talk.hear_call(SECURITY)
        await talk.link.close(1000, "")
        talk.link = await talk.dialer.accept()
        again = await talk.hear_call(SECURITY)
        assert again == first
        await talk.answer(again)
        await talk.silent()

    story(version, told)


@both
def test_a_late_answer_to_a_record_that_waits_for_its_repetition_delivers_it(version):
    async def told(talk):
        talk.post(SecurityEventRaised("First"))
        first = await talk.hear_call(SECURITY)
        await asyncio.sleep(TIMEOUT_S + 1)
        assert talk.station.outbox.transmissions == 1
        await talk.answer(first)
        await talk.silent(300)
        assert not talk.station.outbox.entries

    story(version, told)


@both
def test_a_late_answer_to_a_message_is_dropped(version):
    async def told(talk):
        answered = watched(talk, DataTransferAnswered)
        talk.post(DataTransferRequested(7, "Vendor"))
        call = await talk.hear_call("DataTransfer")
        await asyncio.sleep(TIMEOUT_S + 1)
        await talk.answer(call, {"status": "Accepted"})
        await talk.silent()
        assert not answered
        await talk.lives()

    story(version, told)


@both
def test_two_calls_in_a_row_without_an_answer_end_the_link(version):
    async def told(talk):
        down = watched(talk, LinkDown)
        talk.post(DataTransferRequested(7, "Vendor"), SecurityEventRaised("First"))
        await talk.hear_call(SECURITY)
        await talk.hear_call("DataTransfer")
        with pytest.raises(LinkClosed, match="2 calls in a row without an answer"):
            await talk.hear()
        talk.link = await talk.dialer.accept()
        assert [event.reason for event in down] == ["2 calls in a row without an answer"]
        assert talk.station.outbox.transmissions == 1
        assert HALF_DEAD == 2

    story(version, told)


@both
def test_an_answer_in_between_keeps_the_link(version):
    async def told(talk):
        for _ in range(3):
            talk.post(DataTransferRequested(7, "Vendor"))
            await talk.hear_call("DataTransfer")
            await asyncio.sleep(TIMEOUT_S + 1)
            talk.post(DataTransferRequested(8, "Vendor"))
            call = await talk.hear_call("DataTransfer")
            await talk.answer(call, {"status": "Accepted"})
            await asyncio.sleep(1)
        await talk.lives()

    story(version, told)


@both
def test_a_late_answer_is_a_sign_of_life_too(version):
    async def told(talk):
        for _ in range(4):
            talk.post(DataTransferRequested(7, "Vendor"))
            call = await talk.hear_call("DataTransfer")
            await asyncio.sleep(TIMEOUT_S + 1)
            await talk.answer(call, {"status": "Accepted"})
            await asyncio.sleep(1)
        await talk.lives()

    story(version, told)


@both
def test_a_socket_that_is_stuck_does_not_hold_the_end_of_the_link_back(version):
    async def told(talk):
        down = watched(talk, LinkDown)
        for index in range(CAPACITY + 10):  # nobody reads the answers
            await talk.say([2, f"c{index}", "MakeCoffee", {}])
        talk.post(DataTransferRequested(7, "Vendor"))
        await asyncio.sleep(TIMEOUT_S / 2)
        talk.post(DataTransferRequested(8, "Vendor"))
        await asyncio.sleep(2 * TIMEOUT_S + FLUSH_S)
        assert [event.reason for event in down] == ["2 calls in a row without an answer"]

    story(version, told)


# --- order ---


@both
def test_messages_go_before_records_and_the_record_has_its_turn_after_ten(version):
    async def told(talk):
        first = DataTransferRequested(1, "Vendor")
        talk.post(first)
        blocking = await talk.hear_call("DataTransfer")
        talk.post(SecurityEventRaised("Record"))
        talk.post(DataTransferRequested(2, "Vendor"))
        for index in range(MESSAGES_IN_A_ROW + 5):
            wanted = AuthorizationWanted(1, IdToken(f"T{index}"))
            talk.shell._link._conversation.tell(wanted)
        await asyncio.sleep(1)
        await talk.answer(blocking, {"status": "Accepted"})
        order = []
        for _ in range(MESSAGES_IN_A_ROW + 7):
            call = await talk.hear()
            order.append(call[2])
            await talk.say([4, call[1], "GenericError", "", {}])
        index = order.index(SECURITY)
        assert index == MESSAGES_IN_A_ROW
        assert order[index + 1 : index + 6] == ["Authorize"] * 5
        assert order[-1] == "DataTransfer"

    story(version, told)


@both
def test_a_record_is_not_sent_before_the_station_knows_what_became_of_the_last(version):
    async def told(talk):
        talk.disk.commit_s = 1.0
        talk.post(SecurityEventRaised("First"), SecurityEventRaised("Second"))
        first = await talk.hear_call(SECURITY)
        talk.post(SettingsWriteRequested(9, (("OCPPCommCtrlr.HeartbeatInterval", "77"),)))
        await asyncio.sleep(0.1)
        await talk.answer(first)
        await talk.silent(0.5)
        second = await talk.hear_call(SECURITY)
        assert second[3]["type"] == "Second"
        talk.disk.commit_s = 0.0
        await talk.answer(second)

    story(version, told)


# --- poison ---


@both
def test_a_record_that_is_refused_for_good_steps_aside_and_the_next_follows(version):
    async def told(talk):
        talk.post(SecurityEventRaised("First"), SecurityEventRaised("Second"))
        for _ in range(3):
            call = await talk.hear_call(SECURITY)
            assert call[3]["type"] == "First"
            await talk.say([4, call[1], "InternalError", "poison", {}])
        call = await talk.hear_call(SECURITY)
        assert call[3]["type"] == "Second"
        await talk.answer(call)

    story(version, told)


@both
@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported"])
def test_a_csms_that_does_not_know_security_events_has_them_all_the_same(version, code):
    async def told(talk):
        delivered, failed = watched(talk, RecordDelivered), watched(talk, RecordFailed)
        talk.post(SecurityEventRaised("First"), SecurityEventRaised("Second"))
        call = await talk.hear_call(SECURITY)
        await talk.say([4, call[1], code, "", {}])
        talk.post(SecurityEventRaised("Third"))
        await talk.silent(300)
        assert len(delivered) == 3
        assert not failed
        assert not talk.station.outbox.entries
        await talk.link.close(1012, "a new version of the CSMS")
        talk.link = await talk.dialer.accept()
        talk.post(SecurityEventRaised("Fourth"))
        call = await talk.hear_call(SECURITY)
        assert call[3]["type"] == "Fourth"
        await talk.answer(call)

    story(version, told)


@both
def test_a_record_that_cannot_be_encoded_steps_aside_like_one_that_is_refused(version, caplog):
    base = type(adapter_for(version))

    def encode_record(self, record, view, *, offline):
        if isinstance(record, SecurityEvent) and record.type == "First":
            raise KeyError("broken")
        return base.encode_record(self, record, view, offline=offline)

    async def told(talk):
        talk.post(SecurityEventRaised("First"), SecurityEventRaised("Second"))
        call = await talk.hear_call(SECURITY)
        assert call[3]["type"] == "Second"
        await talk.answer(call)

    adapters = defective(version, encode_record=encode_record)
    story(version, told, adapters=adapters)
    assert "defect in the code of a message" in caplog.text


@both
@pytest.mark.parametrize("function", ["encode_message", "expand", "message_accepted"])
def test_a_message_that_cannot_be_encoded_or_understood_has_failed(version, function):
    base = type(adapter_for(version))

    def broken(self, message, *args):
        if isinstance(message, DataTransferSent):
            raise KeyError("broken")
        return getattr(base, function)(self, message, *args)

    async def told(talk):
        failed = watched(talk, MessageFailed)
        talk.post(DataTransferRequested(7, "Vendor"))
        if function == "message_accepted":
            await talk.answer(await talk.hear_call("DataTransfer"), {"status": "Accepted"})
        await talk.silent()
        assert [event.message.request_id for event in failed] == [7]
        await talk.lives()

    story(version, told, adapters=defective(version, **{function: broken}))


@both
def test_an_answer_that_cannot_be_used_is_a_failed_delivery(version):
    async def told(talk):
        failed = watched(talk, MessageFailed)
        talk.post(DataTransferRequested(7, "Vendor"))
        await talk.answer(await talk.hear_call("DataTransfer"), {"status": 17})
        await talk.silent()
        assert failed[0].reason.startswith("unusable answer: ")

    story(version, told)


@both
def test_a_record_that_the_disk_does_not_give_is_tried_again(version, caplog):
    async def told(talk):
        talk.disk.commit_s = 0.1
        talk.post(*[SecurityEventRaised(f"E{index}") for index in range(3)])
        first = await talk.hear_call(SECURITY)
        for record_id in range(10):
            talk.shell._link._records._records.pop(record_id, None)
        talk.disk.read_refusal = "disk I/O error"
        await talk.answer(first)
        await talk.silent(20)
        talk.disk.read_refusal = None
        second = await talk.hear_call(SECURITY)
        assert second[3]["type"] == "E1"
        await talk.answer(second)
        await talk.answer(await talk.hear_call(SECURITY))
        talk.disk.commit_s = 0.0

    story(version, told)
    assert "cannot be read now: disk I/O error" in caplog.text


@both
def test_a_record_that_is_gone_from_the_disk_is_as_good_as_delivered(version):
    async def told(talk):
        talk.disk.commit_s = 0.1
        talk.post(*[SecurityEventRaised(f"E{index}") for index in range(3)])
        first = await talk.hear_call(SECURITY)
        records = talk.shell._link._records._records
        gone = min(records)
        del records[gone]
        talk.disk._forgotten.add(gone)
        await talk.answer(first)
        third = await talk.hear_call(SECURITY)
        assert third[3]["type"] == "E2"
        await talk.answer(third)
        talk.disk.commit_s = 0.0

    story(version, told)


# --- data of vendors ---


@both
@pytest.mark.parametrize(
    "status", ["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]
)
def test_the_csms_answer_to_vendor_data_goes_to_who_sent_it(version, status):
    async def told(talk):
        request_id, outcome = talk.shell._requests.awaited()
        talk.post(DataTransferRequested(request_id, "Vendor", "Hello", "data"))
        call = await talk.hear_call("DataTransfer")
        assert call[3] == {"vendorId": "Vendor", "messageId": "Hello", "data": "data"}
        await talk.answer(call, {"status": status, "data": "back"})
        answer = await outcome
        assert (answer.status, answer.data) == (status, "back")

    story(version, told)


@both
@pytest.mark.parametrize("is_sent", [True, False])
def test_vendor_data_that_the_link_took_with_it_has_failed(version, is_sent):
    async def told(talk):
        first_id, first = talk.shell._requests.awaited()
        talk.post(DataTransferRequested(first_id, "Vendor"))
        await talk.hear_call("DataTransfer")
        outcome = first
        if not is_sent:
            second_id, outcome = talk.shell._requests.awaited()
            talk.post(DataTransferRequested(second_id, "Vendor"))
            await asyncio.sleep(1)
        await talk.link.close(1000, "")
        answer = await outcome
        assert isinstance(answer, Done)
        assert (answer.verdict, answer.info) == (Verdict.FAILED, "the link is down")
        talk.link = await talk.dialer.accept()

    story(version, told)


@both
def test_more_vendor_data_than_anybody_needs_fails_at_once(version):
    async def told(talk):
        failed = watched(talk, MessageFailed)
        for index in range(210):
            talk.post(DataTransferRequested(index, "Vendor"))
        await talk.hear_call("DataTransfer")
        await asyncio.sleep(1)
        assert [event.message.request_id for event in failed] == list(range(10))
        assert {event.reason for event in failed} == {"too many messages wait"}

    story(version, told)


def test_what_a_version_has_no_message_for_has_failed():
    async def told(talk):
        failed = watched(talk, MessageFailed)
        talk.post(DataTransferRequested(7, "V" * 300))  # 1.6 cannot carry it, and nobody cuts
        await talk.silent()
        assert failed[0].reason == "this version has no message for it"

    story("ocpp1.6", told)


# --- statuses ---


@both
def test_of_a_connectors_statuses_that_wait_only_the_latest_is_told(version):
    async def told(talk):
        talk.post(DataTransferRequested(7, "Vendor"))
        blocking = await talk.hear_call("DataTransfer")
        for _ in range(3):
            talk.evse.plug(1, Vehicle(ready=False))
            await asyncio.sleep(1)
            talk.evse.unplug(1)
            await asyncio.sleep(1)
        talk.evse.plug(1, Vehicle(ready=False))
        await asyncio.sleep(1)
        await talk.answer(blocking, {"status": "Accepted"})
        status = await talk.hear_call("StatusNotification")
        word = status[3].get("status") or status[3].get("connectorStatus")
        assert word in {"Preparing", "Occupied"}
        await talk.answer(status)
        await talk.silent()

    story(version, told)


@both
def test_a_status_that_is_back_where_it_was_is_not_told(version):
    async def told(talk):
        talk.post(DataTransferRequested(7, "Vendor"))
        blocking = await talk.hear_call("DataTransfer")
        talk.evse.plug(1, Vehicle(ready=False))
        await asyncio.sleep(1)
        talk.evse.unplug(1)
        await asyncio.sleep(1)
        await talk.answer(blocking, {"status": "Accepted"})
        await talk.silent()

    story(version, told)


def test_the_step_that_has_to_come_first_in_16_comes_first():
    async def told(talk):
        talk.evse.plug(1, Vehicle())
        await asyncio.sleep(1)
        talk.evse.present(IdToken("04A1B2C3"))
        words = []
        for _ in range(6):
            try:
                call = await talk.hear(5)
            except TimeoutError:
                break
            payload = {}
            if call[2] == "StatusNotification":
                words.append(call[3]["status"])
            if call[2] == "Authorize":
                payload = {"idTagInfo": {"status": "Accepted"}}
            if call[2] == "StartTransaction":
                payload = {"transactionId": 5, "idTagInfo": {"status": "Accepted"}}
            await talk.answer(call, payload)
        assert words[0] == "Preparing"
        assert words[-1] == "Charging"

    story("ocpp1.6", told)


# --- the end of a link ---


@both
def test_a_reply_whose_link_is_gone_is_said_to_nobody(version):
    async def told(talk):
        talk.disk.commit_s = 5.0
        await talk.say([2, "a", "ChangeAvailability", CHANGE[version]])
        await asyncio.sleep(0.1)
        await talk.link.close(1000, "")
        await asyncio.sleep(20)
        talk.disk.commit_s = 0.0
        talk.link = await talk.dialer.accept()
        frames = [await talk.hear(30)]
        assert frames[0][0] == 2
        assert frames[0][1] != "a"
        assert talk.station.availability.inoperative == {"station"}
        assert not talk.shell._requests._open

    story(version, told)


@both
@pytest.mark.parametrize("turns", range(12))
def test_a_link_may_break_at_any_moment_of_an_exchange(version, turns):
    async def told(talk):
        talk.post(SecurityEventRaised("First"), DataTransferRequested(7, "Vendor"))
        call = await talk.hear()
        await talk.say([2, "a", "ChangeAvailability", CHANGE[version]])
        await talk.answer(call)
        for _ in range(turns):
            await asyncio.sleep(0)
        await talk.link.close(1000, "")
        talk.link = await talk.dialer.accept()
        async with asyncio.timeout(600):
            while talk.station.outbox.entries:
                frame = await talk.hear()
                if frame[0] == 2:
                    await talk.answer(frame, {"status": "Accepted"})
        await asyncio.sleep(1)
        assert talk.station.connection.up is not None

    story(version, told)


@both
def test_after_the_last_answer_is_sent_the_link_is_closed_when_the_station_wants_it(version):
    async def told(talk):
        payload = {**CHANGE[version], next(reversed(CHANGE[version])): "Operative"}
        await talk.say([2, "a", "ChangeAvailability", payload])
        talk.post(LinkHeld(held=True))
        assert (await talk.hear())[:2] == [3, "a"]
        with pytest.raises(LinkClosed, match="closed with 1000 held down locally"):
            await talk.hear()

    story(version, told)


@both
def test_a_new_ping_interval_reaches_the_link_at_once(version):
    async def told(talk):
        (ours,) = [talk.dialer._link]
        assert ours.ping_interval_s == float(
            talk.station.settings.integer(variables.PING_INTERVAL)
        )
        talk.post(SettingsWriteRequested(9, ((variables.PING_INTERVAL.name, "17"),)))
        await asyncio.sleep(1)
        assert ours.ping_interval_s == 17.0
        talk.post(SettingsWriteRequested(9, ((variables.HEARTBEAT_INTERVAL.name, "1700"),)))
        await asyncio.sleep(1)
        assert ours.ping_interval_s == 17.0

    story(version, told)


class DefectError(Exception):
    pass


class BrokenLink(MemoryLink):
    """A link with a defect of ours, from the second frame on."""

    sent = 0

    async def send(self, frame):
        self.sent += 1
        if self.sent > 1:
            raise DefectError
        await super().send(frame)


class BrokenDialer(MemoryDialer):
    async def dial(self, target, **options):
        link = await super().dial(target, **options)
        return BrokenLink(link.subprotocol, link.url, link._outward, link._inward)


@both
def test_a_defect_of_ours_ends_the_agent(version):
    async def told():
        async with Talk(version, dialer=BrokenDialer) as talk:
            await talk.boot()
            await asyncio.sleep(10)

    with pytest.raises(ExceptionGroup) as caught:
        run(told())
    assert caught.group_contains(DefectError)


@both
def test_more_than_ten_messages_in_a_row_go_on_when_there_is_no_record(version):
    async def told(talk):
        for index in range(MESSAGES_IN_A_ROW + 5):
            wanted = AuthorizationWanted(1, IdToken(f"T{index}"))
            talk.shell._link._conversation.tell(wanted)
        for _ in range(MESSAGES_IN_A_ROW + 5):
            call = await talk.hear_call("Authorize")
            await talk.say([4, call[1], "GenericError", "", {}])

    story(version, told)


@both
def test_a_record_that_is_not_on_the_disk_yet_is_not_sent(version):
    async def told(talk):
        talk.disk.refusal = "disk I/O error"
        talk.post(SecurityEventRaised("First"))
        frames = []
        with contextlib.suppress(TimeoutError):
            while True:
                frames.append(await talk.hear(20))
                await talk.answer(frames[-1])
        assert SECURITY not in [frame[2] for frame in frames]
        talk.disk.refusal = None
        while (frame := await talk.hear(20))[2] != SECURITY:
            await talk.answer(frame)

    story(version, told)


@both
def test_begun_under_one_version_and_told_under_the_other(version):
    other = VERSIONS[1 - VERSIONS.index(version)]

    async def told(talk):
        talk.evse.plug(1, Vehicle())
        await asyncio.sleep(1)
        talk.evse.present(IdToken("04A1B2C3"))
        started = "StartTransaction" if version == "ocpp1.6" else "TransactionEvent"
        while (frame := await talk.hear())[2] != started:
            payload = {
                "idTagInfo": {"status": "Accepted"},
                "idTokenInfo": {"status": "Accepted"},
            }
            await talk.answer(frame, payload if frame[2] == "Authorize" else {})
        answer = {"transactionId": 5, "idTagInfo": {"status": "Accepted"}}
        await talk.answer(frame, answer if version == "ocpp1.6" else {})
        await asyncio.sleep(0.1)
        talk.evse.unplug(1)
        await talk.link.close(1000, "")
        talk.version, talk.dialer.choose = other, lambda _: other
        talk.link = await talk.dialer.accept()
        actions = []
        while talk.station.outbox.entries or talk.station.evses[1].transaction:
            frame = await talk.hear()
            actions.append(frame[2])
            payload = {"StartTransaction": {**answer, "transactionId": 6}}.get(frame[2], {})
            await talk.answer(frame, payload)
            await asyncio.sleep(0.1)
        if other == "ocpp1.6":
            assert "StartTransaction" in actions
            assert actions[-1] == "StopTransaction"
            assert frame[3]["transactionId"] == 6
        else:
            assert actions[-1] == "TransactionEvent"

    story(version, told)


def test_the_same_record_in_another_message_is_no_repetition():
    async def told(talk):
        talk.evse.plug(1, Vehicle())
        await asyncio.sleep(1)
        talk.evse.present(IdToken("04A1B2C3"))
        while (frame := await talk.hear())[2] != "StartTransaction":
            answer = {"idTagInfo": {"status": "Accepted"}} if frame[2] == "Authorize" else {}
            await talk.answer(frame, answer)
        await talk.link.close(1000, "")
        talk.version, talk.dialer.choose = "ocpp2.0.1", lambda _: "ocpp2.0.1"
        talk.link = await talk.dialer.accept()
        while (other := await talk.hear())[2] != "TransactionEvent":
            await talk.answer(other)
        assert other[3]["eventType"] == "Started"
        assert other[1] != frame[1]

    story("ocpp1.6", told)
