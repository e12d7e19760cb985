import pytest

from agent.core.effects import Done, ListVersion, Verdict
from agent.core.events import ListedToken, LocalListSent, LocalListVersionRequested
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError, RpcErrorCode
from hal.types import TokenType
from tests.ocpp.v201.facts import Facts, answer, asked

A1 = {"idToken": "A1", "type": "ISO14443"}
MAIL = {"idToken": "DE-8AC", "type": "eMAID"}


def send(*entries, kind="Full"):
    payload = {"versionNumber": 5, "updateType": kind}
    if entries:
        payload["localAuthorizationList"] = list(entries)
    return asked("SendLocalList", payload)


def responded(incoming, outcome):
    return answer(incoming.action, Adapter201().respond(incoming, outcome, Facts()))


def test_an_update_is_asked_of_the_core():
    """D01."""
    info = {
        "status": "Accepted",
        "cacheExpiryDateTime": "2025-01-01T12:00:00Z",
        "groupIdToken": {"idToken": "FLEET", "type": "Central"},
        "evseId": [2, 1],
    }
    entries = (
        {"idToken": A1, "idTokenInfo": info},
        {"idToken": MAIL, "idTokenInfo": {"status": "NoCredit"}},
        {"idToken": {**A1, "idToken": "B2"}},
    )
    good = TokenInfo(AuthorizationStatus.ACCEPTED, 1_735_732_800.0, "FLEET", (1, 2))
    assert send(*entries, kind="Differential").request == LocalListSent(
        7,
        5,
        False,
        (
            ListedToken(IdToken("A1"), good),
            ListedToken(
                IdToken("DE-8AC", TokenType.EMAID), TokenInfo(AuthorizationStatus.NO_CREDIT)
            ),
            ListedToken(IdToken("B2")),
        ),
    )


def test_without_entries_a_full_list_is_empty():
    """D01.FR.04."""
    assert send().request == LocalListSent(7, 5, True)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Done(Verdict.ACCEPTED), "Accepted"),
        (Done(Verdict.VERSION_MISMATCH), "VersionMismatch"),
        (Done(Verdict.REJECTED, "InvalidValue"), "Failed"),
        (Done(Verdict.NOT_SUPPORTED, "NotEnabled"), "Failed"),
    ],
)
def test_a_verdict_becomes_a_status(outcome, word):
    told = responded(send(), outcome)
    assert told["status"] == word
    assert told.get("statusInfo", {}).get("reasonCode", "") == outcome.reason


def test_a_list_that_cannot_be_kept_has_failed():
    assert answer("SendLocalList", send().failed)["status"] == "Failed"


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        (ListVersion(7, 2, is_enabled=True), 7),
        (ListVersion(7, 0, is_enabled=True), 7),
        (ListVersion(7, 2, is_enabled=False), 0),
    ],
)
def test_the_version_of_an_emptied_list_stays_and_that_of_one_switched_off_is_0(version, shown):
    """D02.FR.01 to 03."""
    incoming = asked("GetLocalListVersion", {})
    assert incoming.request == LocalListVersionRequested(7)
    assert responded(incoming, version) == {"versionNumber": shown}


def test_a_version_that_could_not_be_read_is_an_internal_error():
    with pytest.raises(RpcError) as caught:
        responded(asked("GetLocalListVersion", {}), Done(Verdict.ACCEPTED))
    assert caught.value.code is RpcErrorCode.INTERNAL_ERROR
