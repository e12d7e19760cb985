"""Vendor data of local clients."""

from agent.core.effects import DataAnswer, DataTransferSent, Done, HeartbeatSent, Reply, Verdict
from agent.core.events import DataTransferAnswered, DataTransferRequested, MessageFailed
from tests.support.core import Bench

REQUEST = DataTransferRequested(5, "com.example", "hello", "world")
SENT = DataTransferSent(5, "com.example", "hello", "world")


def test_data_goes_to_the_csms_and_its_answer_comes_back() -> None:
    bench = Bench().ready()
    assert bench.post(REQUEST) == [SENT]
    effects = bench.post(DataTransferAnswered(5, "UnknownVendorId", "because"))
    assert effects == [Reply(5, DataAnswer("UnknownVendorId", "because"))]


def test_without_a_link_the_client_learns_so_at_once() -> None:
    bench = Bench()
    assert bench.post(REQUEST) == [Reply(5, Done(Verdict.FAILED, info="offline"))]


def test_data_that_fails_on_the_way_is_answered_with_the_reason() -> None:
    bench = Bench().ready()
    bench.post(REQUEST)
    effects = bench.post(MessageFailed(SENT, "the link is down"))
    assert effects == [Reply(5, Done(Verdict.FAILED, info="the link is down"))]


def test_the_failure_of_another_message_answers_nobody() -> None:
    bench = Bench().ready()
    bench.post(REQUEST)
    assert bench.post(MessageFailed(HeartbeatSent(), "no answer")) == []
