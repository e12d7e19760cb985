"""Logs for the CSMS (1.6 GetDiagnostics and GetLog; 2.0.1 N01).

One upload at a time: a request that meets a running one cancels it (N01.FR.12), unless it is
the same one said twice (1.6 reference 8.3). What the shell should be doing is `work`, a level.
*Uploading* is told once, however many attempts are made. An upload that a restart has
interrupted is not taken up again: its file is gone, and the CSMS is told so.
"""

import datetime as dt
import re
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import (
    Done,
    Effect,
    LogAnswer,
    Note,
    Record,
    Reply,
    StatusRepeated,
    Verdict,
)
from agent.core.events import (
    DeadlinePassed,
    Event,
    LogRequested,
    PowerUp,
    TriggerKind,
    TriggerRequested,
    UploadEnded,
)
from agent.core.orders import (
    LogKind,
    LogOrder,
    LogReported,
    UploadStatus,
    UploadWork,
    scheme,
)
from agent.core.turn import Context, Turn
from agent.core.values import Value

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ENDINGS: Final = {LogKind.DIAGNOSTICS: "tar.gz", LogKind.SECURITY: "security.log.gz"}


class Upload(Value, frozen=True):
    """The upload that is under way; durable, so that a restart can tell of its end."""

    serial: int
    order: LogOrder
    file_name: str
    attempt: int = 0


class Diagnostics(Value, frozen=True):
    """The slice of this block.

    Attributes:
        serial: of the latest upload of this boot.
        retry_at_s: when the next attempt begins, monotonic seconds; None: it is made now.
    """

    upload: Upload | None = None
    serial: int = 0
    retry_at_s: float | None = None


def work(state: Diagnostics) -> UploadWork | None:
    """Return what the shell should be doing now."""
    upload = state.upload
    if upload is None or state.retry_at_s is not None:
        return None
    return UploadWork(upload.serial, upload.order, upload.file_name, upload.attempt)


def deadline_s(state: Diagnostics) -> float | None:
    """Return when this block wants to be woken."""
    return state.retry_at_s


def step(state: Diagnostics, event: Event, context: Context) -> Turn[Diagnostics]:
    """Advance the upload by one event."""
    match event:
        case PowerUp() if state.upload is not None:
            return Turn(
                Diagnostics(), (_record(state.upload, UploadStatus.UPLOAD_FAILURE, context),)
            )
        case PowerUp():
            return Turn(Diagnostics())
        case LogRequested():
            return _requested(state, event, context)
        case UploadEnded() if event.work == work(state):
            return _ended(state, event, context)
        case DeadlinePassed():
            due = state.retry_at_s
            is_due = due is not None and context.now.monotonic_s >= due
            return Turn(replace(state, retry_at_s=None) if is_due else state)
        case TriggerRequested():
            return _triggered(state, event, context)
        case _:
            return Turn(state)


def _requested(state: Diagnostics, event: LogRequested, context: Context) -> Turn[Diagnostics]:
    order, running = event.order, state.upload
    protocols = context.settings.members(variables.FILE_TRANSFER_PROTOCOLS)
    is_told_why = order.request_id is not None  # the answer of 1.6 GetDiagnostics cannot refuse
    if not protocols or (is_told_why and scheme(order.location) not in protocols):
        done = Done(Verdict.REJECTED, "InvalidURL", f"served are: {', '.join(protocols)}")
        return Turn(state, (Reply(event.request_id, done),))
    if running is not None and running.order == order:
        answer = LogAnswer(Verdict.ACCEPTED, running.file_name)
        return Turn(state, (Reply(event.request_id, answer),))
    upload = Upload(state.serial + 1, order, file_name(order.kind, context))
    verdict = Verdict.ACCEPTED if running is None else Verdict.ACCEPTED_CANCELED
    effects: list[Effect | Record] = [
        Reply(event.request_id, LogAnswer(verdict, upload.file_name))
    ]
    if running is not None:
        effects.append(_record(running, UploadStatus.ACCEPTED_CANCELED, context))
    effects.append(_record(upload, UploadStatus.UPLOADING, context))
    return Turn(Diagnostics(upload, upload.serial), tuple(effects))


def file_name(kind: LogKind, context: Context) -> str:
    """Return what an upload is called: by station and instant, fit for every file system."""
    identity = re.sub(r"[^A-Za-z0-9._-]", "_", context.settings.text(variables.IDENTITY))
    wall_s = context.now.wall_s
    if wall_s is None:
        instant = f"boot{context.now.boot}-{context.now.monotonic_s:.0f}"
    else:
        instant = (_EPOCH + dt.timedelta(seconds=wall_s)).strftime("%Y%m%dT%H%M%SZ")
    return f"{identity[:100]}_{instant}.{_ENDINGS[kind]}"


def _ended(state: Diagnostics, event: UploadEnded, context: Context) -> Turn[Diagnostics]:
    upload = state.upload
    assert upload is not None  # noqa: S101  the work was its
    over = Diagnostics(serial=state.serial)
    if event.status is UploadStatus.UPLOADED:
        return Turn(over, (_record(upload, event.status, context),))
    note = Note("log.failed", f"{upload.file_name}: {event.status.value}: {event.info}")
    if upload.attempt >= upload.order.retries:
        return Turn(over, (_record(upload, event.status, context), note))
    again = replace(upload, attempt=upload.attempt + 1)
    retry_at_s = context.now.monotonic_s + upload.order.retry_interval_s
    return Turn(replace(state, upload=again, retry_at_s=retry_at_s), (note,))


def _record(upload: Upload, status: UploadStatus, context: Context) -> LogReported:
    return LogReported(status, context.now, upload.order.request_id)


def _triggered(
    state: Diagnostics, event: TriggerRequested, context: Context
) -> Turn[Diagnostics]:
    """Tell whether an upload runs; in 1.6 each of its two kinds has a message of its own."""
    asked = {TriggerKind.DIAGNOSTICS_STATUS: False, TriggerKind.LOG_STATUS: True}
    if event.kind not in asked:
        return Turn(state)
    is_extended = asked[event.kind]
    record, upload = LogReported(UploadStatus.IDLE, context.now), state.upload
    if upload is not None and (upload.order.request_id is not None) is is_extended:
        record = _record(upload, UploadStatus.UPLOADING, context)
    repeated = StatusRepeated(record, is_extended=is_extended)
    return Turn(state, (Reply(event.request_id, Done(Verdict.ACCEPTED)), repeated))
