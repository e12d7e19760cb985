import pytest

from agent.core.effects import Done, LogAnswer, StatusRepeated, Verdict
from agent.core.events import LogRequested
from agent.core.orders import LogKind, LogOrder, LogReported, UploadStatus
from agent.core.values import Stamp
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError
from tests.ocpp.v201.facts import NOON, NOON_S, Facts, answer, asked, raw, sent

WIRE = {
    "logType": "SecurityLog",
    "requestId": 5,
    "log": {"remoteLocation": "https://host/logs", "oldestTimestamp": NOON},
}


def test_a_log_is_ordered_by_kind_and_span():
    payload = {**WIRE, "retries": 1, "retryInterval": 9}
    order = LogOrder(5, LogKind.SECURITY, "https://host/logs", NOON_S, None, 1, 9)
    assert asked("GetLog", payload).request == LogRequested(7, order)


def test_a_date_that_is_none_is_refused():
    log = {**WIRE["log"], "latestTimestamp": "now"}
    with pytest.raises(RpcError, match="latestTimestamp"):
        Adapter201().decode("GetLog", raw({**WIRE, "log": log}), 7, Facts())


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (LogAnswer(Verdict.ACCEPTED, "a"), {"status": "Accepted", "filename": "a"}),
        (
            LogAnswer(Verdict.ACCEPTED_CANCELED, "a"),
            {"status": "AcceptedCanceled", "filename": "a"},
        ),
        (
            Done(Verdict.REJECTED, "InvalidURL"),
            {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidURL"}},
        ),
    ],
)
def test_the_answer_has_the_name_of_the_file(outcome, expected):
    incoming = asked("GetLog", WIRE)
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("GetLog", payload) == expected


@pytest.mark.parametrize("status", UploadStatus)
def test_every_status_is_told_with_the_id_of_its_order(status):
    record = LogReported(status, Stamp(1, 0.0), 5)
    call = Adapter201().encode_record(record, Facts(), offline=False)
    assert sent(call, "LogStatusNotification") == {"status": status.value, "requestId": 5}


def test_an_upload_that_was_ordered_over_16_is_not_told():
    record = LogReported(UploadStatus.UPLOADED, Stamp(1, 0.0))
    assert Adapter201().encode_record(record, Facts(), offline=False) is None


def test_idle_needs_no_id():
    idle = StatusRepeated(LogReported(UploadStatus.IDLE, Stamp(1, 0.0)), is_extended=True)
    call = Adapter201().encode_message(idle, Facts())
    assert sent(call, "LogStatusNotification") == {"status": "Idle"}


def test_the_answer_teaches_nothing():
    record = LogReported(UploadStatus.UPLOADED, Stamp(1, 0.0), 5)
    call = Adapter201().encode_record(record, Facts(), offline=False)
    assert Adapter201().record_accepted(record, call, raw({})) == ()
