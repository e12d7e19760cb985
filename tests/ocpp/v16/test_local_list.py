"""SendLocalList and GetLocalListVersion (1.6 reference 2.3)."""

import json

import pytest

from agent.core.effects import Done, ListVersion, Verdict
from agent.core.events import ListedToken, LocalListSent, LocalListVersionRequested
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.quirks import Quirk, begin
from tests.ocpp.v16.facts import ADAPTER, VIEW, answer, asked
from tests.support.schemas import validate

ACCEPTED = {"status": "Accepted"}


def send(*entries, version=5, kind="Full"):
    payload = {"listVersion": version, "updateType": kind}
    if entries:
        payload["localAuthorizationList"] = list(entries)
    return asked("SendLocalList", json.dumps(payload))


def refused(*entries):
    with pytest.raises(RpcError) as caught:
        send(*entries)
    return caught.value


def test_an_update_is_asked_of_the_core():
    entries = [
        {"idTag": "A1", "idTagInfo": ACCEPTED},
        {"idTag": "B2", "idTagInfo": {"status": "Blocked", "parentIdTag": "FLEET"}},
        {"idTag": "C3"},
    ]
    good, bad = AuthorizationStatus.ACCEPTED, AuthorizationStatus.BLOCKED
    assert send(*entries, kind="Differential").request == LocalListSent(
        9,
        5,
        False,
        (
            ListedToken(IdToken("A1"), TokenInfo(good)),
            ListedToken(IdToken("B2"), TokenInfo(bad, group="FLEET")),
            ListedToken(IdToken("C3")),
        ),
    )


def test_a_list_without_entries_is_an_empty_one():
    assert send().request == LocalListSent(9, 5, True)


@pytest.mark.parametrize("name", ["expiryDate", "expireDate"])
def test_an_expiry_is_read_in_both_spellings(name):
    found = begin()
    info = {"status": "Accepted", name: "2026-01-15T10:00:00Z"}
    (item,) = send({"idTag": "A1", "idTagInfo": info}).request.items
    assert item.info.expires_wall_s == 1_768_471_200.0
    assert found == ([Quirk.OLD_NAME] if name == "expireDate" else [])


def test_empty_texts_are_absent():
    info = {"status": "Accepted", "expiryDate": "", "parentIdTag": ""}
    (item,) = send({"idTag": "A1", "idTagInfo": info}).request.items
    assert item.info == TokenInfo(AuthorizationStatus.ACCEPTED)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"idTagInfo": ACCEPTED}, RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ({"idTag": "x" * 21}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        (
            {"idTag": "A", "idTagInfo": {"status": "Good"}},
            RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        ),
        (
            {"idTag": "A", "idTagInfo": {**ACCEPTED, "expiryDate": "soon"}},
            RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        ),
        ("A1", RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
    ],
)
def test_a_broken_entry_is_refused(entry, code):
    assert refused(entry).code is code


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.REJECTED, "Failed"),
        (Verdict.VERSION_MISMATCH, "VersionMismatch"),
        (Verdict.NOT_SUPPORTED, "NotSupported"),
    ],
)
def test_a_verdict_becomes_a_status(verdict, word):
    assert answer(send(), Done(verdict)) == {"status": word}


def test_a_list_that_cannot_be_kept_has_failed():
    told = validate("ocpp1.6", "SendLocalList", send().failed, response=True)
    assert told == {"status": "Failed"}


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        (ListVersion(7, 2, is_enabled=True), 7),
        (ListVersion(7, 0, is_enabled=True), 0),
        (ListVersion(0, 0, is_enabled=True), 0),
        (ListVersion(7, 2, is_enabled=False), -1),
    ],
)
def test_the_version_is_that_of_a_list_with_entries_that_is_switched_on(version, shown):
    incoming = asked("GetLocalListVersion", "{}")
    assert incoming.request == LocalListVersionRequested(9)
    assert answer(incoming, version) == {"listVersion": shown}


def test_a_version_that_could_not_be_read_is_an_internal_error():
    with pytest.raises(RpcError) as caught:
        ADAPTER.respond(asked("GetLocalListVersion", "{}"), Done(Verdict.ACCEPTED), VIEW)
    assert caught.value.code is RpcErrorCode.INTERNAL_ERROR
