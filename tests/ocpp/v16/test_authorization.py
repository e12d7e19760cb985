"""Authorize and ClearCache."""

import json

import pytest

from agent.core.effects import AuthorizationWanted, Done, Verdict
from agent.core.events import AuthorizationAnswered, CacheClearRequested
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.quirks import Quirk, begin
from hal.types import TokenType
from tests.ocpp.v16.facts import ADAPTER, TOKEN, answer, asked, raw, said

WANTED = AuthorizationWanted(1, TOKEN)


def verdict(payload):
    (event,) = ADAPTER.message_accepted(WANTED, raw(payload))
    assert (event.evse_id, event.id_token) == (1, TOKEN)
    return event.info


def test_a_token_is_asked_about_as_it_was_read():
    assert said(WANTED) == ("Authorize", {"idTag": "04A1B2C3D4E5F6"})
    assert said(AuthorizationWanted(1, IdToken("aB-ü", TokenType.KEY_CODE)))[1] == {
        "idTag": "aB-ü"
    }


@pytest.mark.parametrize("value", ["", "x" * 21, "x" * 255])
def test_a_token_that_16_cannot_carry_is_never_sent(value):
    assert said(AuthorizationWanted(1, IdToken(value))) is None


@pytest.mark.parametrize("word", ["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"])
def test_every_standing_is_understood(word):
    assert verdict(f'{{"idTagInfo":{{"status":"{word}"}}}}') == TokenInfo(
        AuthorizationStatus(word)
    )


def test_expiry_and_group_come_along():
    info = verdict(
        '{"idTagInfo":{"status":"Accepted","parentIdTag":"FLEET7","expiryDate":"2027-01-01T01:00:00+01:00"}}'
    )
    assert info == TokenInfo(AuthorizationStatus.ACCEPTED, 1_798_761_600.0, "FLEET7")


def test_another_case_is_tolerated():
    assert verdict('{"idTagInfo":{"status":"ACCEPTED"}}').status is AuthorizationStatus.ACCEPTED


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("{}", RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"idTagInfo":null}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('{"idTagInfo":{}}', RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"idTagInfo":{"status":"Perhaps"}}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ('{"idTagInfo":{"status":1}}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ("7", RpcErrorCode.FORMAT_VIOLATION),
    ],
)
def test_an_answer_without_a_verdict_is_unusable(payload, code):
    with pytest.raises(RpcError) as caught:
        verdict(payload)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("members", "expires", "group", "noted"),
    [
        ({"expiryDate": ""}, None, None, [Quirk.EMPTY_TEXT]),
        ({"expiryDate": "soon"}, None, None, [Quirk.UNREADABLE_TIME]),
        ({"expiryDate": 1_768_471_200}, None, None, [Quirk.UNREADABLE_TIME]),
        ({"expiryDate": None, "parentIdTag": ""}, None, None, []),
        ({"parentIdTag": "x" * 20}, None, "x" * 20, []),
        ({"parentIdTag": "x" * 21}, None, "x" * 21, [Quirk.LONG_GROUP]),
        ({"parentIdTag": "x" * 256}, None, None, [Quirk.LONG_GROUP]),
        ({"parentIdTag": 7}, None, None, [Quirk.LONG_GROUP]),
    ],
)
def test_what_is_odd_beside_the_status_does_no_harm_and_is_noted(
    members, expires, group, noted
):
    found = begin()
    told = TokenInfo(AuthorizationStatus.ACCEPTED, expires, group)
    payload = json.dumps({"idTagInfo": {"status": "Accepted", **members}})
    assert verdict(payload) == told
    assert found == noted


def test_the_event_names_the_question():
    event = ADAPTER.message_accepted(WANTED, raw('{"idTagInfo":{"status":"Invalid"}}'))
    assert event == (AuthorizationAnswered(1, TOKEN, TokenInfo(AuthorizationStatus.INVALID)),)


@pytest.mark.parametrize(
    ("verdict_", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.NOT_SUPPORTED, "Rejected"),
        (Verdict.FAILED, "Rejected"),
    ],
)
def test_clear_cache(verdict_, word):
    incoming = asked("ClearCache", "{}")
    assert incoming.request == CacheClearRequested(9, even_if_off=True)
    assert answer(incoming, Done(verdict_)) == {"status": word}
