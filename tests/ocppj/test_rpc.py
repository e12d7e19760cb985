"""The conversation: one call in flight, every bad frame answered or dropped, nothing kept."""

import json

import pytest

from agent.ocppj.errors import RpcErrorCode
from agent.ocppj.frames import Flaw
from agent.ocppj.quirks import Quirk, begin
from agent.ocppj.rpc import (
    OPEN_MOST,
    REMEMBERED_MOST,
    AnswerReceived,
    CallReceived,
    Dropped,
    ErrorReceived,
    Refused,
    Rpc,
)

BOTH = pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])


def rpc_16():
    return Rpc("ocpp1.6")


def rpc_201():
    return Rpc("ocpp2.0.1")


def refusal(received):
    assert isinstance(received, Refused)
    kind, message_id, code, description, details = json.loads(received.frame)
    assert (kind, details) == (4, {})
    assert description
    return message_id, code


# --- our calls -----------------------------------------------------------------------------


@BOTH
def test_a_call_is_in_flight_until_its_answer(version):
    rpc = Rpc(version)
    frame = rpc.call("Heartbeat", b"{}", "m1", now_s=10.0, timeout_s=30.0)
    assert json.loads(frame) == [2, "m1", "Heartbeat", {}]
    assert rpc.in_flight.message_id == "m1"
    assert rpc.deadline_s == 40.0
    answer = rpc.receive('[3,"m1",{"currentTime":"x"}]')
    assert answer == AnswerReceived("m1", "Heartbeat", answer.payload)
    assert bytes(answer.payload) == b'{"currentTime":"x"}'
    assert rpc.in_flight is None
    assert rpc.deadline_s is None


def test_a_second_call_in_flight_is_a_defect():
    rpc = rpc_16()
    rpc.call("Heartbeat", b"{}", "m1", 0.0, 30.0)
    with pytest.raises(AssertionError, match="Heartbeat is still in flight"):
        rpc.call("Authorize", b"{}", "m2", 1.0, 30.0)


def test_an_error_ends_the_call_and_is_cut():
    rpc = rpc_16()
    rpc.call("Heartbeat", b"{}", "m1", 0.0, 30.0)
    error = rpc.receive(json.dumps([4, "m1", "c" * 100, "d" * 300, {}]))
    assert error == ErrorReceived("m1", "Heartbeat", "c" * 64, "d" * 255)
    assert rpc.in_flight is None


def test_a_null_answer_reads_as_empty():
    rpc = rpc_16()
    rpc.call("StatusNotification", b"{}", "m1", 0.0, 30.0)
    assert bytes(rpc.receive('[3,"m1",null]').payload) == b"{}"


def test_calls_cross_without_a_deadlock():
    rpc = rpc_16()
    rpc.call("Heartbeat", b"{}", "m1", 0.0, 30.0)
    asked = rpc.receive('[2,"c1","ClearCache",{}]')
    assert isinstance(asked, CallReceived)
    assert json.loads(rpc.result(asked, b'{"status":"Accepted"}')) == [
        3,
        "c1",
        {"status": "Accepted"},
    ]
    assert isinstance(rpc.receive('[3,"m1",{}]'), AnswerReceived)


# --- time ----------------------------------------------------------------------------------


def test_a_call_expires_at_its_deadline_and_not_before():
    rpc = rpc_16()
    assert rpc.expire(99.0) is None
    rpc.call("Heartbeat", b"{}", "m1", 10.0, 30.0)
    assert rpc.expire(39.9) is None
    assert rpc.expire(40.0) == "m1"
    assert rpc.expire(40.0) is None
    assert rpc.in_flight is None


def test_a_late_answer_is_recognised_once():
    rpc = rpc_16()
    rpc.call("StartTransaction", b"{}", "m1", 0.0, 30.0)
    rpc.expire(30.0)
    late = rpc.receive('[3,"m1",{"transactionId":5}]')
    assert late == AnswerReceived("m1", "StartTransaction", late.payload, is_late=True)
    assert rpc.receive('[3,"m1",{"transactionId":5}]') == Dropped(Flaw.UNSOLICITED)


def test_a_late_error_is_dropped_and_forgotten():
    rpc = rpc_16()
    rpc.call("StartTransaction", b"{}", "m1", 0.0, 30.0)
    rpc.expire(30.0)
    assert rpc.receive('[4,"m1","GenericError","",{}]') == Dropped(Flaw.UNSOLICITED)
    assert rpc.receive('[3,"m1",{}]') == Dropped(Flaw.UNSOLICITED)


def test_a_repetition_under_the_same_id_takes_the_first_answer_that_comes():
    rpc = rpc_16()
    rpc.call("StartTransaction", b"{}", "m1", 0.0, 30.0)
    rpc.expire(30.0)
    rpc.call("StartTransaction", b"{}", "m1", 60.0, 30.0)
    answer = rpc.receive('[3,"m1",{}]')
    assert isinstance(answer, AnswerReceived)
    assert not answer.is_late
    assert rpc.receive('[3,"m1",{}]') == Dropped(Flaw.UNSOLICITED)


def test_only_the_latest_timed_out_calls_are_remembered():
    rpc = rpc_16()
    for number in range(REMEMBERED_MOST + 1):
        rpc.call("Heartbeat", b"{}", f"m{number}", number, 0.5)
        rpc.expire(number + 1)
    assert rpc.receive('[3,"m0",{}]') == Dropped(Flaw.UNSOLICITED)
    for number in range(1, REMEMBERED_MOST + 1):
        assert rpc.receive(f'[3,"m{number}",{{}}]').is_late


# --- answers nobody waits for --------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "frame",
    [
        '[3,"m9",{}]',
        '[4,"m9","GenericError","",{}]',
        "[3,9,{}]",
        '[4,"-1","RpcFrameworkError","",{}]',
    ],
)
def test_an_unsolicited_answer_is_dropped_and_the_call_in_flight_stays(version, frame):
    rpc = Rpc(version)
    rpc.call("Heartbeat", b"{}", "m1", 0.0, 30.0)
    assert rpc.receive(frame) == Dropped(Flaw.UNSOLICITED)
    assert rpc.in_flight.message_id == "m1"


def test_a_duplicate_answer_is_dropped():
    rpc = rpc_16()
    rpc.call("Heartbeat", b"{}", "m1", 0.0, 30.0)
    rpc.receive('[3,"m1",{}]')
    assert rpc.receive('[3,"m1",{}]') == Dropped(Flaw.UNSOLICITED)


def test_a_flood_of_unsolicited_answers_leaves_nothing_behind():
    rpc = rpc_16()
    for number in range(5000):
        assert rpc.receive(f'[3,"x{number}",{{"a":1}}]') == Dropped(Flaw.UNSOLICITED)
    held = [value for value in vars(rpc).values() if hasattr(value, "__len__")]
    assert all(len(value) < 20 for value in held)


@BOTH
@pytest.mark.parametrize(
    "frame", ["[3]", "[4]", "[3,null,{}]", '[4,{"a":1}]', '[3,"' + "x" * 129 + '",{}]']
)
def test_a_broken_answer_is_never_answered(version, frame):
    assert Rpc(version).receive(frame) == Dropped(Flaw.BAD_ID)


# --- calls of the other side ---------------------------------------------------------------


def test_a_call_is_handed_over_with_what_its_answer_needs():
    call = rpc_16().receive('[2,"c1","Reset",{"type":"Hard"}]')
    assert (call.message_id, call.id_json, call.action) == ("c1", b'"c1"', "Reset")
    assert bytes(call.payload) == b'{"type":"Hard"}'


def test_a_numeric_id_is_echoed_as_a_number():
    rpc = rpc_16()
    call = rpc.receive('[2,17,"Reset",{}]')
    assert rpc.result(call, b"{}") == b"[3,17,{}]"
    call = rpc.receive('[2,18,"Reset",{}]')
    assert json.loads(rpc.error(call, RpcErrorCode.NOT_SUPPORTED))[1] == 18


def test_three_elements_and_a_null_payload_read_as_empty():
    rpc = rpc_16()
    assert bytes(rpc.receive('[2,"c1","ClearCache"]').payload) == b"{}"
    assert bytes(rpc.receive('[2,"c2","ClearCache",null]').payload) == b"{}"


def test_an_id_of_more_than_36_characters_is_answered_anyway():
    assert isinstance(
        rpc_16().receive(json.dumps([2, "x" * 128, "ClearCache", {}])), CallReceived
    )


@BOTH
def test_a_call_that_is_still_processed_is_not_executed_twice(version):
    rpc = Rpc(version)
    first = rpc.receive('[2,"c1","Reset",{}]')
    assert refusal(rpc.receive('[2,"c1","Reset",{}]')) == ("c1", "GenericError")
    rpc.result(first, b"{}")
    assert isinstance(rpc.receive('[2,"c1","Reset",{}]'), CallReceived)


def test_an_id_is_free_again_after_an_error_and_after_being_forgotten():
    rpc = rpc_16()
    rpc.error(rpc.receive('[2,"c1","Reset",{}]'), RpcErrorCode.INTERNAL_ERROR)
    rpc.forget(rpc.receive('[2,"c1","Reset",{}]'))
    assert isinstance(rpc.receive('[2,"c1","Reset",{}]'), CallReceived)


def test_a_burst_of_calls_is_bounded():
    rpc = rpc_16()
    calls = [rpc.receive(f'[2,"c{number}","ClearCache",{{}}]') for number in range(OPEN_MOST)]
    assert all(isinstance(call, CallReceived) for call in calls)
    assert refusal(rpc.receive('[2,"more","ClearCache",{}]')) == ("more", "GenericError")
    rpc.result(calls[0], b"{}")
    assert isinstance(rpc.receive('[2,"more","ClearCache",{}]'), CallReceived)


@pytest.mark.parametrize(
    ("code", "in_16", "in_201"),
    [
        (RpcErrorCode.FORMAT_VIOLATION, "FormationViolation", "FormatViolation"),
        (
            RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
            "OccurenceConstraintViolation",
            "OccurrenceConstraintViolation",
        ),
        (RpcErrorCode.RPC_FRAMEWORK_ERROR, "FormationViolation", "RpcFrameworkError"),
        (
            RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED,
            "FormationViolation",
            "MessageTypeNotSupported",
        ),
        (
            RpcErrorCode.TYPE_CONSTRAINT_VIOLATION,
            "TypeConstraintViolation",
            "TypeConstraintViolation",
        ),
    ],
)
def test_an_error_is_spelled_as_the_version_spells_it(code, in_16, in_201):
    for rpc, spelling in ((rpc_16(), in_16), (rpc_201(), in_201)):
        call = rpc.receive('[2,"c1","Reset",{}]')
        frame = json.loads(rpc.error(call, code, "x" * 300))
        assert frame == [4, "c1", spelling, "x" * 255, {}]


@pytest.mark.parametrize(
    ("code", "strange"),
    [
        ("GenericError", []),
        ("FormationViolation", ["ocpp2.0.1"]),
        ("FormatViolation", ["ocpp1.6"]),
        ("OccurenceConstraintViolation", ["ocpp2.0.1"]),
        ("OccurrenceConstraintViolation", ["ocpp1.6"]),
        ("Sorry", ["ocpp1.6", "ocpp2.0.1"]),
        ("", ["ocpp1.6", "ocpp2.0.1"]),
    ],
)
def test_a_code_that_the_version_does_not_have_is_noted(code, strange):
    noted = []
    for version in ("ocpp1.6", "ocpp2.0.1"):
        rpc, found = Rpc(version), begin()
        rpc.call("Heartbeat", b"{}", "m1", now_s=0.0, timeout_s=30.0)
        assert rpc.receive(json.dumps([4, "m1", code, "", {}])).code == code
        noted += [version] * found.count(Quirk.UNKNOWN_ERROR)
    assert noted == strange


# --- frames that break the rules (1.6 reference 1.8; 2.0.1 reference 1.3, 1.5) ---------------

GARBAGE = [
    "",
    "no json",
    "{}",
    "[]",
    b"\xff\xfe",
    "[" * 20_000,
    '[2,"c1","A",{"x":NaN}',
]

BAD_PAYLOADS = [
    '[2,"c1","A",{"x":NaN}]',
    '[2,"c1","A",{"x":"\\ud800"}]',
    '[2,"c1","A",' + "[" * 20_000 + "]" * 20_000 + "]",
]


@pytest.mark.parametrize("frame", GARBAGE)
def test_16_drops_what_it_cannot_parse(frame):
    assert rpc_16().receive(frame) == Dropped(Flaw.UNREADABLE)


@pytest.mark.parametrize("frame", GARBAGE)
def test_201_answers_what_it_cannot_parse_with_the_id_minus_one(frame):
    assert refusal(rpc_201().receive(frame)) == ("-1", "RpcFrameworkError")


@pytest.mark.parametrize("frame", BAD_PAYLOADS)
def test_a_call_with_a_payload_that_cannot_be_read_is_refused_under_its_id(frame):
    assert refusal(rpc_16().receive(frame)) == ("c1", "FormationViolation")
    assert refusal(rpc_201().receive(frame)) == ("c1", "FormatViolation")
    answer = frame.replace("2", "3", 1)
    assert rpc_201().receive(answer) == Dropped(Flaw.BAD_PAYLOAD)


@pytest.mark.parametrize("kind", ["5", "6", "1", '"2"', "null"])
def test_an_unknown_message_type_is_dropped_in_16_and_told_in_201(kind):
    frame = f'[{kind},"c1","Reset",{{}}]'
    assert rpc_16().receive(frame) == Dropped(Flaw.UNKNOWN_TYPE)
    assert refusal(rpc_201().receive(frame)) == ("c1", "MessageTypeNotSupported")


@pytest.mark.parametrize(
    "frame", ["[2]", '[2,null,"Reset",{}]', '[2,{"a":1},"Reset",{}]', "[5]"]
)
def test_a_frame_without_a_readable_id_is_dropped_in_16(frame):
    assert rpc_16().receive(frame) == Dropped(Flaw.BAD_ID)
    assert refusal(rpc_201().receive(frame)) == ("-1", "RpcFrameworkError")


def test_a_far_too_long_id_is_refused_and_echoed():
    long = "x" * 129
    frame = json.dumps([2, long, "Reset", {}])
    assert refusal(rpc_16().receive(frame)) == (long, "FormationViolation")
    assert refusal(rpc_201().receive(frame)) == (long, "RpcFrameworkError")


@pytest.mark.parametrize("frame", ['[2,"c1"]', '[2,"c1",{"a":1},{}]', '[2,"c1",7,{}]'])
def test_a_call_without_an_action_is_refused(frame):
    assert refusal(rpc_16().receive(frame)) == ("c1", "FormationViolation")
    assert refusal(rpc_201().receive(frame)) == ("c1", "RpcFrameworkError")


def test_a_frame_over_the_limit_is_not_parsed():
    frame = '[2,"c1","Reset",{}]'
    assert isinstance(Rpc("ocpp1.6", limit=len(frame)).receive(frame), CallReceived)
    for version, code in (("ocpp1.6", "FormationViolation"), ("ocpp2.0.1", "FormatViolation")):
        refused = Rpc(version, limit=len(frame) - 1).receive(frame)
        assert refusal(refused) == ("c1", code)
        assert refused.reason is Flaw.TOO_LONG


def test_without_an_id_it_is_what_cannot_be_parsed():
    frame = '{"2": "Reset"}'
    assert Rpc("ocpp1.6", limit=len(frame) - 1).receive(frame) == Dropped(Flaw.TOO_LONG)
    refused = Rpc("ocpp2.0.1", limit=len(frame) - 1).receive(frame)
    assert refusal(refused) == ("-1", "RpcFrameworkError")


def test_a_bad_frame_leaves_the_conversation_as_it_was():
    rpc = rpc_201()
    rpc.call("Heartbeat", b"{}", "m1", 0.0, 30.0)
    call = rpc.receive('[2,"c1","Reset",{}]')
    for frame in (*GARBAGE, *BAD_PAYLOADS):
        rpc.receive(frame)
    assert rpc.in_flight.message_id == "m1"
    assert json.loads(rpc.result(call, b"{}")) == [3, "c1", {}]
