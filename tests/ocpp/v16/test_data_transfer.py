"""DataTransfer in both directions."""

import pytest

from agent.core.effects import DataAnswer, DataTransferSent, Done, Verdict
from agent.core.events import DataTransferAnswered, DataTransferReceived
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16.facts import ADAPTER, answer, asked, raw, said

SENT = DataTransferSent(5, "com.example", "hello", '{"a":1}')


def test_data_are_sent_as_text():
    assert said(SENT) == (
        "DataTransfer",
        {"vendorId": "com.example", "messageId": "hello", "data": '{"a":1}'},
    )


def test_what_is_absent_is_left_out():
    assert said(DataTransferSent(5, "com.example"))[1] == {"vendorId": "com.example"}


def test_names_that_16_cannot_carry_are_not_cut():
    assert said(DataTransferSent(5, "v" * 255, "m" * 50)) is not None
    assert said(DataTransferSent(5, "v" * 256)) is None
    assert said(DataTransferSent(5, "v", "m" * 51)) is None


@pytest.mark.parametrize(
    "word", ["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]
)
def test_every_answer_goes_to_the_local_request(word):
    events = ADAPTER.message_accepted(SENT, raw(f'{{"status":"{word}","data":"x"}}'))
    assert events == (DataTransferAnswered(5, word, "x"),)


@pytest.mark.parametrize(
    ("data", "text"),
    [('{"a":[1]}', '{"a":[1]}'), ("[1]", "[1]"), ("7", "7"), ("null", None), ('""', "")],
)
def test_an_answer_that_is_no_text_is_passed_on_as_its_json(data, text):
    (event,) = ADAPTER.message_accepted(SENT, raw(f'{{"status":"Accepted","data":{data}}}'))
    assert event.data == text


def test_an_answer_without_a_status_is_unusable():
    with pytest.raises(RpcError) as caught:
        ADAPTER.message_accepted(SENT, raw("{}"))
    assert caught.value.code is RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION


@pytest.mark.parametrize(
    ("data", "text"),
    [("null", None), ('"text"', "text"), ('{"a":1}', '{"a":1}'), ("[1]", "[1]")],
)
def test_what_the_csms_sends_reaches_the_station_as_text(data, text):
    found = asked("DataTransfer", '{"vendorId":"Acme","messageId":"m","data":' + data + "}")
    assert found.request == DataTransferReceived(9, "Acme", "m", text)


@pytest.mark.parametrize(
    "word", ["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]
)
def test_every_answer_to_it_has_its_word(word):
    incoming = asked("DataTransfer", '{"vendorId":"Acme"}')
    assert answer(incoming, DataAnswer(word)) == {"status": word}
    assert answer(incoming, Done(Verdict.REJECTED)) == {"status": "Rejected"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("{}", RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"vendorId":7}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('{"vendorId":"' + "v" * 256 + '"}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
    ],
)
def test_a_broken_transfer_is_refused(payload, code):
    with pytest.raises(RpcError) as caught:
        asked("DataTransfer", payload)
    assert caught.value.code is code
