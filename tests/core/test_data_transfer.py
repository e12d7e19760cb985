"""Vendor data of local clients."""

import pytest

from agent.core.data_transfer import LONGEST_DATA
from agent.core.effects import DataAnswer, DataTransferSent, Done, HeartbeatSent, Reply, Verdict
from agent.core.events import (
    DataTransferAnswered,
    DataTransferReceived,
    DataTransferRequested,
    MessageFailed,
)
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


# --- from the CSMS ---


@pytest.mark.parametrize(
    ("known", "vendor", "message", "status"),
    [
        ("", "com.example", None, "UnknownVendorId"),
        ("org.other", "com.example", None, "UnknownVendorId"),
        ("com.example", "COM.Example", "anything", "Accepted"),
        ("org.other, com.example/tariff", "com.example", "tariff", "Accepted"),
        ("com.example/tariff,com.example/text", "com.example", "text", "Accepted"),
        ("com.example/tariff", "com.example", "Tariff", "UnknownMessageId"),
        ("com.example/tariff", "com.example", None, "UnknownMessageId"),
        ("com.example", "", None, "UnknownVendorId"),
    ],
)
def test_the_operators_list_says_what_is_understood(
    known: str, vendor: str, message: str | None, status: str
) -> None:
    bench = Bench(CustomizationCtrlr__DataTransferVendors=known)
    bench.post(DataTransferReceived(7, vendor, message, "x"))
    assert bench.reply(7) == DataAnswer(status)


def test_too_much_data_is_rejected() -> None:
    bench = Bench(CustomizationCtrlr__DataTransferVendors="com.example")
    bench.post(DataTransferReceived(7, "com.example", None, "x" * LONGEST_DATA))
    bench.post(DataTransferReceived(8, "com.example", None, "x" * (LONGEST_DATA + 1)))
    assert bench.reply(7) == DataAnswer("Accepted")
    assert bench.reply(8) == DataAnswer("Rejected")
