"""N01 on the wire: logs for the CSMS."""

from agent.core.effects import LogAnswer, Outcome, Verdict
from agent.core.events import LogRequested
from agent.core.orders import LogKind, LogOrder, LogReported, UploadStatus, bounded
from agent.ocpp.location import mended
from agent.ocpp.v201 import codec, status
from agent.ocpp.v201.messages import (
    GetLogRequest,
    GetLogResponse,
    LogStatusNotificationRequest,
    LogWord,
)


def log(wire: GetLogRequest, request_id: int) -> LogRequested:
    """Return what a GetLog asks for.

    Raises:
        RpcError: a date is none.
    """
    retries, interval_s = bounded(wire.retries, wire.retry_interval)
    order = LogOrder(
        wire.request_id,
        LogKind(wire.log_type),
        mended(wire.log.remote_location),
        codec.checked_instant("oldestTimestamp", wire.log.oldest_timestamp),
        codec.checked_instant("latestTimestamp", wire.log.latest_timestamp),
        retries,
        interval_s,
    )
    return LogRequested(request_id, order)


def answer(outcome: Outcome) -> GetLogResponse:
    """Return the answer to a GetLog (N01.FR.01, FR.05, FR.12)."""
    if isinstance(outcome, LogAnswer):
        is_first = outcome.verdict is Verdict.ACCEPTED
        word: LogWord = "Accepted" if is_first else "AcceptedCanceled"
        return GetLogResponse(word, None, outcome.file_name)
    done = status.done(outcome)
    return GetLogResponse("Rejected", status.info(done.reason, done.info))


def notification(record: LogReported) -> LogStatusNotificationRequest | None:
    """Return how far an upload is; an upload without an id came over 1.6, and is not told.

    Only *Idle* may do without an id (N01.FR.07).
    """
    if record.request_id is None and record.status is not UploadStatus.IDLE:
        return None
    return LogStatusNotificationRequest(record.status.value, record.request_id)
