"""Uploads of logs: one at a time, told from beginning to end."""

import pytest

from agent.core import diagnostics
from agent.core.effects import Done, LogAnswer, Note, Reply, StatusRepeated, Verdict
from agent.core.events import LogRequested, TriggerKind, TriggerRequested, UploadEnded
from agent.core.orders import (
    LogKind,
    LogOrder,
    LogReported,
    UploadStatus,
    UploadWork,
)
from tests.support.core import Bench

ORDER = LogOrder(9, LogKind.DIAGNOSTICS, "https://host/logs", retries=1, retry_interval_s=30)
OLD = LogOrder(None, LogKind.DIAGNOSTICS, "ftp://host/", retries=0)
SECURITY = LogOrder(10, LogKind.SECURITY, "https://host/logs", retries=0)
NAME = "CP001_20270115T080000Z.tar.gz"


def ready(**more) -> Bench:
    return Bench(protocols=("FTP", "HTTPS"), **more).ready()


def request(bench: Bench, order: LogOrder, request_id: int = 1) -> object:
    bench.post(LogRequested(request_id, order))
    return bench.reply(request_id)


def work(bench: Bench) -> UploadWork | None:
    return diagnostics.work(bench.station.diagnostics)


def end(bench: Bench, status: UploadStatus) -> None:
    present = work(bench)
    assert present is not None
    bench.post(UploadEnded(present, status, "why"))


def statuses(bench: Bench) -> list[tuple[UploadStatus, int | None]]:
    return [(record.status, record.request_id) for record in bench.told_records(LogReported)]


def test_a_log_is_promised_by_name_and_then_sent():
    bench = ready()
    assert request(bench, ORDER) == LogAnswer(Verdict.ACCEPTED, NAME)
    assert work(bench) == UploadWork(1, ORDER, NAME)
    end(bench, UploadStatus.UPLOADED)
    assert statuses(bench) == [(UploadStatus.UPLOADING, 9), (UploadStatus.UPLOADED, 9)]
    assert work(bench) is None


def test_the_name_says_which_log_it_is():
    assert request(ready(), SECURITY) == LogAnswer(
        Verdict.ACCEPTED, "CP001_20270115T080000Z.security.log.gz"
    )


def test_without_a_clock_the_name_says_which_boot_it_was():
    bench = Bench(wall_s=None, protocols=("HTTPS",)).ready()
    answer = request(bench, ORDER)
    assert isinstance(answer, LogAnswer)
    assert answer.file_name == "CP001_boot1-0.tar.gz"


def test_a_failed_attempt_is_made_again_after_the_interval_and_told_once():
    bench = ready()
    request(bench, ORDER)
    end(bench, UploadStatus.UPLOAD_FAILURE)
    assert work(bench) is None
    bench.wait(29.0)
    assert work(bench) is None
    bench.wait(1.0)
    assert work(bench) == UploadWork(1, ORDER, NAME, attempt=1)
    end(bench, UploadStatus.PERMISSION_DENIED)
    assert statuses(bench) == [(UploadStatus.UPLOADING, 9), (UploadStatus.PERMISSION_DENIED, 9)]
    assert "log.failed" in {note.kind for note in bench.told(Note)}


def test_no_retries_means_one_attempt():
    bench = ready()
    request(bench, OLD)
    end(bench, UploadStatus.UPLOAD_FAILURE)
    assert statuses(bench)[-1] == (UploadStatus.UPLOAD_FAILURE, None)
    assert work(bench) is None


def test_another_request_cancels_the_running_upload():
    bench = ready()
    request(bench, ORDER)
    first = work(bench)
    assert first is not None
    answer = request(bench, SECURITY, 2)
    assert isinstance(answer, LogAnswer)
    assert answer.verdict is Verdict.ACCEPTED_CANCELED
    assert statuses(bench) == [
        (UploadStatus.UPLOADING, 9),
        (UploadStatus.ACCEPTED_CANCELED, 9),
        (UploadStatus.UPLOADING, 10),
    ]
    bench.post(UploadEnded(first, UploadStatus.UPLOADED))
    assert statuses(bench)[-1] == (UploadStatus.UPLOADING, 10)


def test_the_same_request_said_twice_is_one_upload():
    bench = ready()
    assert request(bench, OLD) == request(bench, OLD, 2) == LogAnswer(Verdict.ACCEPTED, NAME)
    assert statuses(bench) == [(UploadStatus.UPLOADING, None)]


def test_a_scheme_that_is_not_served_is_refused_where_it_can_be():
    bench = ready()
    refused = request(bench, LogOrder(9, LogKind.DIAGNOSTICS, "gopher://host/"))
    assert refused == Done(Verdict.REJECTED, "InvalidURL", "served are: FTP, HTTPS")
    request(bench, LogOrder(9, LogKind.DIAGNOSTICS, "/etc/passwd"), 2)
    assert work(bench) is None
    answer = request(bench, LogOrder(None, LogKind.DIAGNOSTICS, "gopher://host/"), 3)
    assert isinstance(answer, LogAnswer)


def test_a_station_that_cannot_send_files_has_nothing_to_send():
    bench = Bench().ready()
    outcome = request(bench, OLD)
    assert isinstance(outcome, Done)
    assert outcome.verdict is Verdict.REJECTED
    assert statuses(bench) == []


def test_an_upload_that_a_restart_has_interrupted_has_failed():
    bench = ready()
    request(bench, ORDER)
    bench.power_cut()
    assert statuses(bench) == [(UploadStatus.UPLOADING, 9), (UploadStatus.UPLOAD_FAILURE, 9)]
    assert work(bench) is None
    bench.power_cut()
    assert len(statuses(bench)) == 2


def test_an_end_of_nothing_means_nothing():
    bench = ready()
    bench.post(UploadEnded(UploadWork(1, ORDER, NAME), UploadStatus.UPLOADED))
    assert statuses(bench) == []


@pytest.mark.parametrize(
    ("kind", "order", "status"),
    [
        (TriggerKind.LOG_STATUS, None, UploadStatus.IDLE),
        (TriggerKind.LOG_STATUS, ORDER, UploadStatus.UPLOADING),
        (TriggerKind.LOG_STATUS, OLD, UploadStatus.IDLE),
        (TriggerKind.DIAGNOSTICS_STATUS, OLD, UploadStatus.UPLOADING),
        (TriggerKind.DIAGNOSTICS_STATUS, ORDER, UploadStatus.IDLE),
    ],
)
def test_who_asks_is_told_whether_an_upload_runs(kind, order, status):
    bench = ready()
    if order is not None:
        request(bench, order)
    reply, repeated = bench.post(TriggerRequested(7, kind))
    assert reply == Reply(7, Done(Verdict.ACCEPTED))
    assert isinstance(repeated, StatusRepeated)
    assert repeated.record.status is status
    assert repeated.is_extended is (kind is TriggerKind.LOG_STATUS)
    assert repeated.record.request_id == (
        9
        if order is ORDER and repeated.is_extended and status is not UploadStatus.IDLE
        else None
    )


def test_other_triggers_are_none_of_this_block():
    bench = ready()
    bench.post(TriggerRequested(7, TriggerKind.HEARTBEAT))
    assert bench.told(StatusRepeated) == []
