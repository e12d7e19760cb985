from agent.core.events import DialRefusal
from agent.transport.link import (
    DialError,
    DialTarget,
    LinkClosed,
    TransportError,
    as_text,
)


def test_a_target_shows_neither_its_password_nor_its_query():
    target = DialTarget(
        "wss://csms.example/ocpp?token=hidden", "CP001", ("ocpp1.6",), 2, b"secret"
    )
    text = f"{target} {target!r}"
    assert "wss://csms.example/ocpp" in text
    assert "CP001" in text
    assert "secret" not in text
    assert "hidden" not in text


def test_errors_carry_their_reason_and_what_the_server_asked_for():
    error = DialError(DialRefusal.BUSY, "the server answered 503", 30.0)
    assert isinstance(error, TransportError)
    assert (str(error), error.reason) == ("the server answered 503",) * 2
    assert (error.refusal, error.retry_after_s) == (DialRefusal.BUSY, 30.0)
    assert LinkClosed("gone").reason == "gone"


def test_only_valid_utf_8_becomes_text():
    assert as_text('[2,"ä"]'.encode()) == '[2,"ä"]'
    assert as_text(b"\xff\xfe") == b"\xff\xfe"
