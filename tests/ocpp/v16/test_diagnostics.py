"""Logs over 1.6: GetDiagnostics and GetLog."""

import json

import pytest

from agent.core.effects import Done, LogAnswer, StatusRepeated, Verdict
from agent.core.events import LogRequested
from agent.core.orders import LogKind, LogOrder, LogReported, UploadStatus
from agent.ocpp.v16.diagnostics import WORDS
from agent.ocppj.errors import RpcError
from tests.ocpp.v16 import facts
from tests.ocpp.v16.facts import ADAPTER, T0, VIEW, answer, raw, said, stamp, told

AT, LATER = "2026-01-15T10:00:00Z", "2026-01-15T11:00:00Z"
DIAGNOSTICS = {"location": "ftp://user:pw@host/logs", "startTime": AT, "stopTime": LATER}
LOG = {
    "logType": "SecurityLog",
    "requestId": 5,
    "log": {
        "remoteLocation": "https://host/logs",
        "oldestTimestamp": AT,
        "latestTimestamp": LATER,
    },
}


def asked(action, payload):
    return facts.asked(action, json.dumps(payload))


def test_diagnostics_are_ordered_for_a_span_of_time():
    request = asked("GetDiagnostics", {**DIAGNOSTICS, "retries": 0, "retryInterval": 7}).request
    order = LogOrder(None, LogKind.DIAGNOSTICS, "ftp://user:pw@host/logs", T0, T0 + 3600, 0, 7)
    assert request == LogRequested(9, order)


def test_without_a_span_everything_is_ordered():
    order = asked("GetDiagnostics", {"location": "ftp://host/"}).request.order
    assert (order.oldest_s, order.latest_s) == (None, None)


def test_diagnostics_are_answered_with_the_name_of_the_file():
    incoming = asked("GetDiagnostics", DIAGNOSTICS)
    assert answer(incoming, LogAnswer(Verdict.ACCEPTED, "a.gz")) == {"fileName": "a.gz"}
    assert answer(incoming, Done(Verdict.REJECTED)) == {}


def test_a_log_is_ordered_by_kind():
    request = asked("GetLog", LOG).request
    order = LogOrder(5, LogKind.SECURITY, "https://host/logs", T0, T0 + 3600)
    assert request == LogRequested(9, order)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (LogAnswer(Verdict.ACCEPTED, "a"), {"status": "Accepted", "filename": "a"}),
        (
            LogAnswer(Verdict.ACCEPTED_CANCELED, "a"),
            {"status": "AcceptedCanceled", "filename": "a"},
        ),
        (Done(Verdict.REJECTED, "InvalidURL"), {"status": "Rejected"}),
    ],
)
def test_a_log_is_answered_by_its_outcome(outcome, expected):
    assert answer(asked("GetLog", LOG), outcome) == expected


def test_a_date_that_is_none_is_refused():
    with pytest.raises(RpcError, match="startTime"):
        asked("GetDiagnostics", {**DIAGNOSTICS, "startTime": "yesterday"})


@pytest.mark.parametrize("status", list(WORDS))
def test_every_status_of_a_log_is_told(status):
    assert told(LogReported(status, stamp(), 5)) == (
        "LogStatusNotification",
        {"status": status.value, "requestId": 5},
    )


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (UploadStatus.UPLOADING, "Uploading"),
        (UploadStatus.UPLOADED, "Uploaded"),
        (UploadStatus.UPLOAD_FAILURE, "UploadFailed"),
        (UploadStatus.PERMISSION_DENIED, "UploadFailed"),
        (UploadStatus.NOT_SUPPORTED_OPERATION, "UploadFailed"),
        (UploadStatus.BAD_MESSAGE, "UploadFailed"),
    ],
)
def test_diagnostics_are_told_in_the_old_words(status, word):
    expected = ("DiagnosticsStatusNotification", {"status": word})
    assert told(LogReported(status, stamp())) == expected


def test_16_says_nothing_of_what_was_cancelled():
    assert told(LogReported(UploadStatus.ACCEPTED_CANCELED, stamp())) is None
    assert told(LogReported(UploadStatus.ACCEPTED_CANCELED, stamp(), 5)) is None


def test_who_asks_is_told_in_the_message_that_was_asked_for():
    idle = LogReported(UploadStatus.IDLE, stamp())
    extended = ("LogStatusNotification", {"status": "Idle"})
    assert said(StatusRepeated(idle, is_extended=True)) == extended
    plain = ("DiagnosticsStatusNotification", {"status": "Idle"})
    assert said(StatusRepeated(idle, is_extended=False)) == plain


def test_the_answer_teaches_nothing():
    record = LogReported(UploadStatus.UPLOADED, stamp())
    call = ADAPTER.encode_record(record, VIEW, offline=False)
    assert ADAPTER.record_accepted(record, call, raw("{}")) == ()
