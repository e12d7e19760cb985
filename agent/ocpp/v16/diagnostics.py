"""GetDiagnostics, GetLog and their notifications (1.6 reference 8.3, 8.4).

An upload is told by the notification that belongs to the request it came with.
"""

from collections.abc import Mapping

import msgspec

from agent.core.effects import LogAnswer, Outcome, StatusRepeated, Verdict
from agent.core.events import LogRequested
from agent.core.orders import LogKind, LogOrder, LogReported, UploadStatus, bounded
from agent.ocpp.adapter import Call, Incoming, View
from agent.ocpp.location import mended
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import (
    DiagnosticsStatusNotificationRequest,
    DiagnosticsWord,
    GetDiagnosticsRequest,
    GetDiagnosticsResponse,
    GetLogRequest,
    GetLogResponse,
    LogStatusNotificationRequest,
    LogStatusWord,
    LogWord,
)
from agent.ocppj.explain import decode

WORDS: Mapping[UploadStatus, LogStatusWord] = {
    UploadStatus.BAD_MESSAGE: "BadMessage",
    UploadStatus.IDLE: "Idle",
    UploadStatus.NOT_SUPPORTED_OPERATION: "NotSupportedOperation",
    UploadStatus.PERMISSION_DENIED: "PermissionDenied",
    UploadStatus.UPLOADED: "Uploaded",
    UploadStatus.UPLOADING: "Uploading",
    UploadStatus.UPLOAD_FAILURE: "UploadFailure",
}
"""Of LogStatusNotification; 1.6 says nothing of an upload that was cancelled."""

_OLD_WORDS: Mapping[UploadStatus, DiagnosticsWord] = {
    UploadStatus.IDLE: "Idle",
    UploadStatus.UPLOADED: "Uploaded",
    UploadStatus.UPLOADING: "Uploading",
}


def decode_diagnostics(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode GetDiagnostics."""
    request = decode(payload, GetDiagnosticsRequest)
    retries, interval_s = bounded(request.retries, request.retry_interval)
    order = LogOrder(
        None,
        LogKind.DIAGNOSTICS,
        mended(request.location),
        wire.instant("$.startTime", request.start_time),
        wire.instant("$.stopTime", request.stop_time),
        retries,
        interval_s,
    )
    return Incoming("GetDiagnostics", LogRequested(request_id, order), request)


def respond_diagnostics(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to GetDiagnostics; without a name nothing will come."""
    name = outcome.file_name if isinstance(outcome, LogAnswer) else None
    return wire.encoded(GetDiagnosticsResponse(file_name=name))


def decode_log(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode GetLog."""
    request = decode(payload, GetLogRequest)
    retries, interval_s = bounded(request.retries, request.retry_interval)
    order = LogOrder(
        request.request_id,
        LogKind(request.log_type),
        mended(request.log.remote_location),
        wire.instant("$.log.oldestTimestamp", request.log.oldest_timestamp),
        wire.instant("$.log.latestTimestamp", request.log.latest_timestamp),
        retries,
        interval_s,
    )
    return Incoming("GetLog", LogRequested(request_id, order), request)


def respond_log(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to GetLog."""
    if not isinstance(outcome, LogAnswer):
        return wire.encoded(GetLogResponse(status="Rejected"))
    is_first = outcome.verdict is Verdict.ACCEPTED
    word: LogWord = "Accepted" if is_first else "AcceptedCanceled"
    return wire.encoded(GetLogResponse(status=word, filename=outcome.file_name))


def notification(record: LogReported) -> Call | None:
    """Return how far an upload is; None when 1.6 has no word for it."""
    return _log(record) if record.request_id is not None else _diagnostics(record)


def repeated(message: StatusRepeated, record: LogReported) -> Call | None:
    """Return the status that somebody asks for, in the message that was asked for."""
    return _log(record) if message.is_extended else _diagnostics(record)


def _log(record: LogReported) -> Call | None:
    word = WORDS.get(record.status)
    if word is None:
        return None
    payload = LogStatusNotificationRequest(status=word, request_id=record.request_id)
    return wire.call("LogStatusNotification", payload)


def _diagnostics(record: LogReported) -> Call | None:
    if record.status is UploadStatus.ACCEPTED_CANCELED:
        return None
    word = _OLD_WORDS.get(record.status, "UploadFailed")
    payload = DiagnosticsStatusNotificationRequest(status=word)
    return wire.call("DiagnosticsStatusNotification", payload)
