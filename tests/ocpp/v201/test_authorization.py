import pytest

from agent.core.effects import AuthorizationWanted, Done, Verdict
from agent.core.events import AuthorizationAnswered, CacheClearRequested
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError
from hal.types import TokenType
from tests.ocpp.v201.facts import NOON, NOON_S, TOKEN, Facts, answer, asked, raw, sent

WANTED = AuthorizationWanted(2, TOKEN)


def info(verdict):
    (event,) = Adapter201().message_accepted(WANTED, raw({"idTokenInfo": verdict}))
    assert event == AuthorizationAnswered(2, TOKEN, event.info)
    return event.info


@pytest.mark.parametrize("kind", list(TokenType))
def test_the_question_names_the_token_as_it_was_read(kind):
    message = AuthorizationWanted(1, IdToken("04a2B3", kind))
    call = Adapter201().encode_message(message, Facts())
    assert sent(call, "Authorize") == {"idToken": {"idToken": "04a2B3", "type": kind.value}}


def test_a_token_that_the_version_cannot_name_is_not_asked_about():
    """Cut short it would be somebody else's."""
    longest = AuthorizationWanted(1, IdToken("x" * 36))
    assert Adapter201().encode_message(longest, Facts()) is not None
    longer = AuthorizationWanted(1, IdToken("x" * 37))
    assert Adapter201().encode_message(longer, Facts()) is None


@pytest.mark.parametrize("status", list(AuthorizationStatus))
def test_every_verdict_is_understood(status):
    assert info({"status": status.value}) == TokenInfo(status)


def test_expiry_group_and_evses_are_learned():
    """C09, C10.FR.04, C01.FR.21."""
    verdict = {
        "status": "Accepted",
        "cacheExpiryDateTime": NOON,
        "groupIdToken": {"idToken": "FLEET", "type": "Central"},
        "evseId": [2, 1, 2],
        "personalMessage": {"format": "ASCII", "content": "hello"},
    }
    assert info(verdict) == TokenInfo(AuthorizationStatus.ACCEPTED, NOON_S, "FLEET", (1, 2))


@pytest.mark.parametrize(("said", "counts"), [(-9, -9), (9, 9), (0, 0), (400, 9), (-10, -9)])
def test_a_priority_is_learned_within_bounds(said, counts):
    """K03."""
    assert info({"status": "Accepted", "chargingPriority": said}).priority == counts


@pytest.mark.parametrize("said", [None, True, "5", 5.5, [], {}])
def test_what_is_no_priority_says_nothing(said):
    assert info({"status": "Accepted", "chargingPriority": said}).priority is None


@pytest.mark.parametrize(
    "verdict",
    [
        {"cacheExpiryDateTime": "soon"},
        {"cacheExpiryDateTime": 5},
        {"cacheExpiryDateTime": None, "groupIdToken": None, "evseId": None},
        {"groupIdToken": {"idToken": ""}},
        {"groupIdToken": {"idToken": "g" * 37}},
        {"evseId": []},
        {"personalMessage": 5, "chargingPriority": "high", "language1": "much too long"},
    ],
)
def test_details_that_are_broken_do_not_spoil_the_verdict(verdict):
    assert info({"status": "Accepted", **verdict}) == TokenInfo(AuthorizationStatus.ACCEPTED)


def test_a_long_list_of_evses_is_kept_within_bounds():
    ids = info({"status": "Accepted", "evseId": list(range(1000, 0, -1))}).evse_ids
    assert ids == tuple(range(1, 65))


@pytest.mark.parametrize("payload", ["{}", '{"idTokenInfo": {"status": "Perhaps"}}', "null"])
def test_an_answer_without_a_verdict_is_unusable(payload):
    with pytest.raises(RpcError):
        Adapter201().message_accepted(WANTED, raw(payload))


def test_the_cache_is_cleared_by_the_core():
    """C11."""
    assert asked("ClearCache", {}).request == CacheClearRequested(7)


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (Done(Verdict.ACCEPTED), {"status": "Accepted"}),
        (
            Done(Verdict.REJECTED, "NotEnabled"),
            {"status": "Rejected", "statusInfo": {"reasonCode": "NotEnabled"}},
        ),
        (
            Done(Verdict.FAILED),
            {"status": "Rejected", "statusInfo": {"reasonCode": "InternalError"}},
        ),
    ],
)
def test_clearing_the_cache_is_answered_with_its_outcome(outcome, answered):
    """C11.FR.03, C11.FR.04, C11.FR.05."""
    incoming = asked("ClearCache", {})
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("ClearCache", payload) == answered
