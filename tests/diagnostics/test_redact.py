"""Planted secrets: none of them leaves the station."""

import pytest

from agent.diagnostics.redact import Redactor, shortened

SECRETS = ("hunter2hunter2", "hunter2hunter2-and-more", "a.b*c(d")
REDACTOR = Redactor(SECRETS)
TOKEN = "04A1B2C3D4E5F6"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIH\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("dial failed: hunter2hunter2", "hunter2hunter2"),
        ("hunter2hunter2-and-more", "and-more"),
        ("regular: a.b*c(d!", "a.b*c(d"),
        ("Authorization: Basic Q1AwMDE6cGFzcw==", "Q1AwMDE6cGFzcw"),
        ('{"authorization": "Bearer abc.def.ghi"}', "abc.def.ghi"),
        ("GET ftp://user:pw123@host/logs", "pw123"),
        ("https://tok3n@host/", "tok3n"),
        ("ftp://user:pw@123@host/logs", "123"),
        ("ftp://user:pw/123@host/logs", "123"),
        ("FTP://user:pw123@host/logs", "pw123"),
        ("PUT https://bucket/log?X-Amz-Signature=abc123&x=1", "abc123"),
        ('{"location":"https://h/up?a=1&access_token=abc123"}', "abc123"),
        ('{"password": "s3cret', "s3cret"),
        ('a "b"\n{"idTag":"04A1B2C3D4', "04A1B2C3D4"),
        ('{"location":"sftp://u:p%40ss@host/x"}', "p%40ss"),
        ('{"password": "s3cret"}', "s3cret"),
        ('"{\\"password\\":\\"s3cret\\"}"', "s3cret"),
        ("password=s3cret, next", "s3cret"),
        (f"key:\n{KEY}\nend", "MHcCAQEEIH"),
        (KEY.partition("\n-----END")[0], "MHcCAQEEIH"),
        (f'[2,"1","Authorize",{{"idTag":"{TOKEN}"}}]', TOKEN),
        (f'{{"idToken":{{"idToken":"{TOKEN}","type":"ISO14443"}}}}', TOKEN),
        (f'"frame":"[2,\\"1\\",\\"Authorize\\",{{\\"idTag\\":\\"{TOKEN}\\"}}]"', TOKEN),
        (f"evse=1 id_token={TOKEN} accepted", TOKEN),
        (f"idTag='{TOKEN}'", TOKEN),
    ],
)
def test_a_planted_secret_is_hidden(text, secret):
    assert secret not in REDACTOR.text(text)
    assert "***" in REDACTOR.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evse=1 contactor closed",
        "https://host:8443/path?x=1",
        '{"status": "Accepted", "idTokenInfo": {"status": "Accepted"}}',
        "2027-01-15T08:00:00Z mail to support@example.com",
        "GET https://host:8443/of/support@example.com",
        "https://host/x?sigma=1&monkeys=2",
    ],
)
def test_what_is_no_secret_stays(text):
    assert REDACTOR.text(text) == text
    assert Redactor(()).text(text) == text


def test_tokens_can_be_told_apart_and_not_used():
    assert shortened(TOKEN) == "***E5F6"
    assert shortened("1234") == "***"


def test_what_is_too_short_is_no_secret():
    assert Redactor(("a", "")).text("a banana") == "a banana"


def test_a_known_secret_is_hidden_in_every_form():
    redactor = Redactor(['p"w/ü@1'])
    for text in ('x p"w/ü@1', '{"a": "p\\"w/\\u00fc@1"}', "ftp://u:p%22w%2F%C3%BC%401@h"):
        assert "1" not in redactor.text(text), text


def test_a_key_of_many_lines_is_hidden_in_whatever_a_log_makes_of_it():
    text = "".join(f"Jan 15 host pilotwire: {line}\n" for line in KEY.splitlines())
    assert "MHcCAQEEIH" not in REDACTOR.text(f"before\n{text}after\n")
    assert REDACTOR.text(f"before\n{text}after\n").endswith("after\n")
