import msgspec
import pytest

from agent.ocpp.v201.codec import clock, decode, decode_answer, encode, instant
from agent.ocpp.v201.messages import ClearCacheResponse, ResetRequest
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v201.facts import NOON, NOON_S


def test_absent_members_are_not_written():
    assert encode(ClearCacheResponse("Accepted")) == b'{"status":"Accepted"}'
    assert encode(ResetRequest("OnIdle", 0)) == b'{"type":"OnIdle","evseId":0}'


def test_words_of_a_call_are_exact_and_those_of_an_answer_in_any_case():
    payload = msgspec.Raw(b'{"type":"onidle"}')
    with pytest.raises(RpcError) as caught:
        decode(ResetRequest, payload)
    assert caught.value.code is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    assert decode_answer(ResetRequest, payload) == ResetRequest("OnIdle")


@pytest.mark.parametrize(
    ("value", "wall_s"),
    [(NOON, NOON_S), ("1970-01-01T00:00:00Z", 0.0), ("soon", None), (5, None), (None, None)],
)
def test_an_instant_is_read_or_none(value, wall_s):
    assert instant(value) == wall_s


@pytest.mark.parametrize(
    ("text", "is_sane"),
    [
        ("2024-12-31T23:59:59.999Z", False),
        ("2025-01-01T00:00:00Z", True),
        ("2099-12-31T23:59:59Z", True),
        ("2100-01-01T00:00:00Z", False),
    ],
)
def test_a_clock_outside_the_life_of_this_software_is_none(text, is_sane):
    assert (clock(text) is not None) == is_sane
