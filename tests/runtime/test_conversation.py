import asyncio
import contextlib
import gc

import pytest

from agent.core.events import SecurityEventRaised
from agent.transport.memory import CAPACITY
from tests.support.shell import Talk, defective, fails, story, watched
from tests.support.vloop import run

VERSIONS = ("ocpp1.6", "ocpp2.0.1")
both = pytest.mark.parametrize("version", VERSIONS)
SECURITY = "SecurityEventNotification"
TIMEOUT_S = 30.0
CHANGE = {
    "ocpp1.6": {"connectorId": 0, "type": "Inoperative"},
    "ocpp2.0.1": {"operationalStatus": "Inoperative"},
}
OCCURRENCE = {
    "ocpp1.6": "OccurenceConstraintViolation",
    "ocpp2.0.1": "OccurrenceConstraintViolation",
}
FORMAT = {"ocpp1.6": "FormationViolation", "ocpp2.0.1": "FormatViolation"}


# --- what a CSMS may send ---

DEEP = "[" * 100_000
NAUGHTY = [
    "",
    "hello",
    "{}",
    "[]",
    "null",
    "17",
    '[2,"a"',
    b"\xff\xfe[2]",
    '[2,"\xc3\x28","Reset",{}]'.encode("latin-1"),
    DEEP,
    "NaN",
]


@both
@pytest.mark.parametrize("frame", [item or " " for item in NAUGHTY])
def test_what_is_no_frame_is_dropped_in_16_and_told_in_201(version, frame, caplog):
    async def told(talk):
        seen = watched(talk, SecurityEventRaised)
        await talk.say(frame)
        if version == "ocpp1.6":
            await talk.silent()
        else:
            kind, message_id, code, *_ = await talk.hear()
            assert (kind, message_id, code) == (4, "-1", "RpcFrameworkError")
        await talk.silent()
        assert [event.type for event in seen] == ["InvalidMessages"]
        await talk.lives()

    story(version, told)
    assert "a frame" in caplog.text


@both
def test_a_call_that_is_too_long_to_be_read_is_refused_under_its_id(version, caplog):
    async def told(talk):
        seen = watched(talk, SecurityEventRaised)
        await talk.say(f'[2,"a","Reset",{DEEP}')
        assert (await talk.hear())[:3] == [4, "a", FORMAT[version]]
        await talk.silent()
        assert [event.type for event in seen] == ["InvalidMessages"]
        await talk.lives()

    story(version, told)
    assert "longer than the limit" in caplog.text


@both
def test_an_unknown_message_type_is_ignored_in_16_and_told_in_201(version):
    async def told(talk):
        await talk.say([5, "a", "Reset", {}])
        if version == "ocpp1.6":
            await talk.silent()
        else:
            assert (await talk.hear())[:3] == [4, "a", "MessageTypeNotSupported"]
        await talk.lives()

    story(version, told)


@both
@pytest.mark.parametrize("message_id", [{"a": 1}, None, True, [1]])
def test_an_id_that_cannot_be_echoed_is_dropped_in_16_and_told_in_201(version, message_id):
    async def told(talk):
        await talk.say([2, message_id, "Reset", {}])
        if version == "ocpp1.6":
            await talk.silent()
        else:
            assert (await talk.hear())[:3] == [4, "-1", "RpcFrameworkError"]
        await talk.lives()

    story(version, told)


@both
def test_an_id_that_is_far_too_long_is_refused_and_echoed(version):
    async def told(talk):
        await talk.say([2, "a" * 500, "Reset", {}])
        code = "FormationViolation" if version == "ocpp1.6" else "RpcFrameworkError"
        assert (await talk.hear())[:3] == [4, "a" * 500, code]
        await talk.lives()

    story(version, told)


@both
def test_an_id_that_is_a_number_is_echoed_as_a_number(version):
    async def told(talk):
        await talk.say([2, 17, "ClearCache", {}])
        assert (await talk.hear())[:2] == [3, 17]

    story(version, told)


@both
def test_three_elements_and_null_stand_for_an_empty_payload(version):
    async def told(talk):
        await talk.say([2, "a", "ClearCache"])
        assert (await talk.hear())[:2] == [3, "a"]
        await talk.say([2, "b", "ClearCache", None])
        assert (await talk.hear())[:2] == [3, "b"]

    story(version, told)


@both
def test_an_action_that_is_no_text_is_refused(version):
    async def told(talk):
        await talk.say([2, "u", {"a": 1}, {}])
        code = "FormationViolation" if version == "ocpp1.6" else "RpcFrameworkError"
        assert (await talk.hear())[:3] == [4, "u", code]
        await talk.lives()

    story(version, told)


@both
def test_an_id_that_is_still_being_processed_is_refused_and_not_executed_twice(version):
    async def told(talk):
        talk.disk.commit_s = 1.0
        await talk.say([2, "a", "ChangeAvailability", CHANGE[version]])
        await talk.say([2, "a", "ChangeAvailability", CHANGE[version]])
        assert (await talk.hear())[:3] == [4, "a", "GenericError"]
        assert (await talk.hear())[:2] == [3, "a"]
        talk.disk.commit_s = 0.0

    story(version, told)


@both
def test_an_unknown_action_is_not_implemented(version):
    async def told(talk):
        assert (await talk.call("MakeCoffee", {}))[2] == "NotImplemented"

    story(version, told)


@both
def test_an_action_of_a_profile_that_is_absent_is_not_supported(version):
    async def told(talk):
        # Of 1.6 only what goes the other way is left.
        action = "BootNotification" if version == "ocpp1.6" else "CostUpdated"
        assert (await talk.call(action, {}))[2] == "NotSupported"

    story(version, told)


@both
@pytest.mark.parametrize("payload", [[], "text", 17, True])
def test_a_payload_that_is_no_object_is_refused(version, payload):
    async def told(talk):
        frame = await talk.call("ChangeAvailability", payload)
        assert frame[0] == 4
        assert frame[2] in {FORMAT[version], "TypeConstraintViolation"}

    story(version, told)


@both
def test_a_missing_member_is_refused(version):
    async def told(talk):
        assert (await talk.call("ChangeAvailability", {}))[2] == OCCURRENCE[version]

    story(version, told)


@both
def test_a_wrong_type_is_refused(version):
    name = next(reversed(CHANGE[version]))

    async def told(talk):
        frame = await talk.call("ChangeAvailability", {**CHANGE[version], name: {"a": 1}})
        assert frame[2] == "TypeConstraintViolation"

    story(version, told)


def test_a_harmless_difference_in_type_is_taken():
    async def told(talk):
        payload = {"connectorId": "0", "type": "Operative"}
        assert (await talk.call("ChangeAvailability", payload))[2] == {"status": "Accepted"}

    story("ocpp1.6", told)


@both
def test_an_unknown_word_is_refused(version):
    name = next(reversed(CHANGE[version]))

    async def told(talk):
        frame = await talk.call("ChangeAvailability", {**CHANGE[version], name: "Sleepy"})
        assert frame[2] == "PropertyConstraintViolation"

    story(version, told)


@both
def test_what_nobody_knows_is_ignored_and_null_is_absent(version):
    optional = "evse" if version == "ocpp2.0.1" else "vendorExtension"

    async def told(talk):
        payload = {**CHANGE[version], "zzz": 1, optional: None}
        assert (await talk.call("ChangeAvailability", payload))[2] == {"status": "Accepted"}

    story(version, told)


@both
def test_a_refusal_that_the_answer_can_express_is_an_answer(version):
    payload = {
        "ocpp1.6": {"connectorId": 9, "type": "Operative"},
        "ocpp2.0.1": {"operationalStatus": "Operative", "evse": {"id": 9}},
    }

    async def told(talk):
        frame = await talk.call("ChangeAvailability", payload[version])
        assert frame[0] == 3
        assert frame[2]["status"] == "Rejected"

    story(version, told)


@both
def test_a_defect_in_reading_a_request_is_an_internal_error_without_its_details(
    version, caplog
):
    async def told(talk):
        frame = await talk.call("ChangeAvailability", CHANGE[version])
        assert frame[2:4] == ["InternalError", "internal error"]
        assert not talk.shell._requests._open

    story(version, told, adapters=defective(version, decode=fails))
    assert "defect in the code of a message" in caplog.text


@both
def test_a_defect_in_writing_an_answer_is_an_internal_error(version):
    async def told(talk):
        for _ in range(2):
            payload = {**CHANGE[version], next(reversed(CHANGE[version])): "Operative"}
            assert (await talk.call("ChangeAvailability", payload))[2] == "InternalError"

    story(version, told, adapters=defective(version, respond=fails))


@both
def test_a_station_that_is_pending_answers_and_one_that_is_rejected_does_as_its_version_says(
    version,
):
    async def told():
        async with Talk(version) as talk:
            await talk.boot("Pending", 30)
            await talk.lives()
            await talk.boot("Rejected", 3600)
            await asyncio.sleep(0.1)
            await talk.say([2, "x", "ClearCache", {}])
            if version == "ocpp1.6":
                await talk.silent()
                await talk.say([2, "x", "ClearCache", {}])  # the id is free again
                await talk.silent()
                assert not talk.shell._requests._open
            else:
                assert (await talk.hear())[:3] == [4, "x", "SecurityError"]

    run(told())


@both
def test_a_flood_of_replies_that_nobody_waits_for_leaves_nothing_behind(version):
    async def told(talk):
        async def flood():
            for index in range(5_000):
                await talk.link.send(b'[3,"nobody-%d",{"status":"Accepted"}]' % index)
            await talk.lives()

        await flood()
        gc.collect()
        before = len(gc.get_objects())
        await flood()
        gc.collect()
        assert len(gc.get_objects()) < before + 2_000
        await talk.lives()

    story(version, told)


@both
def test_several_calls_at_once_are_all_answered(version):
    async def told(talk):
        for index in range(16):
            await talk.say([2, f"c{index}", "ChangeAvailability", CHANGE[version]])
        answers = [await talk.hear() for _ in range(16)]
        assert [answer[1] for answer in answers] == [f"c{index}" for index in range(16)]
        assert {answer[0] for answer in answers} == {3}

    story(version, told)


@both
def test_more_calls_at_once_than_anybody_needs_are_refused(version):
    async def told(talk):
        talk.disk.commit_s = 1.0
        for index in range(20):
            await talk.say([2, f"c{index}", "ChangeAvailability", CHANGE[version]])
        answers = [await talk.hear() for _ in range(20)]
        refused = [answer for answer in answers if answer[0] == 4]
        assert len(refused) == 4
        assert {answer[2] for answer in refused} == {"GenericError"}
        talk.disk.commit_s = 0.0

    story(version, told)


@both
def test_a_csms_that_sends_and_does_not_read_is_not_read_either(version):
    async def told(talk):
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while sent < 10 * CAPACITY:
                    await talk.say([2, f"c{sent}", "MakeCoffee", {}])
                    sent += 1
        assert sent < 4 * CAPACITY
        answers = [await talk.hear() for _ in range(sent)]
        assert [answer[1] for answer in answers] == [f"c{index}" for index in range(sent)]
        await talk.lives()

    story(version, told)


@both
def test_a_request_whose_outcome_the_disk_might_forget_is_an_internal_error(version):
    async def told(talk):
        talk.disk.refusal = "disk I/O error"
        await talk.say([2, "x", "ChangeAvailability", CHANGE[version]])
        while (frame := await talk.hear())[1] != "x":
            await talk.answer(frame)
        assert frame[2:4] == ["InternalError", "storage cannot write"]
        talk.disk.refusal = None

    story(version, told)


@both
def test_what_a_csms_sends_before_the_station_has_an_answer_to_its_boot_is_answered(version):
    async def told():
        async with Talk(version) as talk:
            call = await talk.hear_call("BootNotification")
            await talk.lives()
            assert call[3]["reason" if version == "ocpp2.0.1" else "chargePointModel"]

    run(told())
