import pytest

from agent.core.effects import DataAnswer, DataTransferSent, Done, Verdict
from agent.core.events import DataTransferAnswered, DataTransferReceived
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError
from tests.ocpp.v201.facts import Facts, answer, asked, raw, sent

MESSAGE = DataTransferSent(3, "com.example", "hello", "data")


def test_local_data_is_passed_to_the_csms():
    call = Adapter201().encode_message(MESSAGE, Facts())
    assert sent(call, "DataTransfer") == {
        "vendorId": "com.example",
        "messageId": "hello",
        "data": "data",
    }
    call = Adapter201().encode_message(DataTransferSent(3, "com.example"), Facts())
    assert sent(call, "DataTransfer") == {"vendorId": "com.example"}


def test_long_names_are_cut():
    message = DataTransferSent(3, "v" * 300, "m" * 60)
    payload = sent(Adapter201().encode_message(message, Facts()), "DataTransfer")
    assert payload == {"vendorId": "v" * 255, "messageId": "m" * 50}


@pytest.mark.parametrize(
    "status", ["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]
)
def test_the_answer_goes_to_the_local_request(status):
    (event,) = Adapter201().message_accepted(MESSAGE, raw({"status": status}))
    assert event == DataTransferAnswered(3, status)


@pytest.mark.parametrize(
    ("data", "text"),
    [("plain", "plain"), ({"a": [1, None]}, '{"a":[1,null]}'), (5, "5"), (None, None)],
)
def test_data_that_is_no_text_becomes_json_text(data, text):
    (event,) = Adapter201().message_accepted(MESSAGE, raw({"status": "Accepted", "data": data}))
    assert event == DataTransferAnswered(3, "Accepted", text)


@pytest.mark.parametrize("payload", ["{}", '{"status": "Done"}'])
def test_an_answer_without_a_known_status_is_unusable(payload):
    with pytest.raises(RpcError):
        Adapter201().message_accepted(MESSAGE, raw(payload))


@pytest.mark.parametrize(
    ("data", "text"), [(None, None), ("text", "text"), (5, "5"), ({"a": [[]]}, '{"a":[[]]}')]
)
def test_what_the_csms_sends_reaches_the_station_as_text(data, text):
    """P01."""
    payload = {"vendorId": "com.example", "messageId": "m", "data": data}
    incoming = asked("DataTransfer", payload)
    assert incoming.request == DataTransferReceived(7, "com.example", "m", text)


@pytest.mark.parametrize(
    "word", ["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]
)
def test_every_answer_to_it_has_its_word(word):
    incoming = asked("DataTransfer", {"vendorId": "com.example"})
    for outcome, status in ((DataAnswer(word), word), (Done(Verdict.REJECTED), "Rejected")):
        payload = Adapter201().respond(incoming, outcome, Facts())
        assert answer("DataTransfer", payload) == {"status": status}


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_data_of_any_depth_is_answered_and_never_breaks_the_station(depth):
    text = '{"vendorId":"v","data":' + "[" * depth + "]" * depth + "}"
    try:
        answered = Adapter201().decode("DataTransfer", raw(text), 7, Facts())
    except RpcError:
        assert depth == 100_000
    else:
        assert answered.request.data == "[" * depth + "]" * depth
    text = '{"status":"Accepted","data":' + "[" * depth + "]" * depth + "}"
    try:
        (event,) = Adapter201().message_accepted(MESSAGE, raw(text))
    except RpcError:
        assert depth == 100_000
    else:
        assert event.data == "[" * depth + "]" * depth
