"""Notes of what was forgiven: who hears them, and which are dropped."""

import contextvars

import pytest

from agent.ocppj import frames
from agent.ocppj.explain import decode
from agent.ocppj.quirks import MOST_NOTED, Quirk, begin, noted, tentative
from agent.ocppj.rpc import Rpc
from tests.ocppj.test_explain import Outer, refused


def test_a_note_goes_to_whoever_began_last() -> None:
    first = begin()
    noted(Quirk.LONG_ID)
    second = begin()
    noted(Quirk.NUMERIC_ID, Quirk.NUMERIC_ID)
    assert first == [Quirk.LONG_ID]
    assert second == [Quirk.NUMERIC_ID, Quirk.NUMERIC_ID]


def test_without_a_listener_a_note_is_nothing() -> None:
    contextvars.Context().run(noted, Quirk.LONG_ID)


def test_one_frame_makes_only_so_many_notes() -> None:
    found = begin()
    for _ in range(MOST_NOTED + 5):
        noted(Quirk.LONG_ID)
    assert len(found) == MOST_NOTED


def test_what_fails_in_the_end_was_not_forgiven() -> None:
    found = begin()

    def failing() -> None:
        with tentative():
            noted(Quirk.LONG_ID)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        failing()
    assert found == []
    with tentative():
        noted(Quirk.LONG_ID)
    assert found == [Quirk.LONG_ID]


def test_a_payload_that_fits_is_not_noted() -> None:
    found = begin()
    decode(b'{"connectorId":1,"kind":"Hard"}', Outer)
    assert found == []


@pytest.mark.parametrize(
    ("payload", "quirk"),
    [
        (b'{"connectorId":"5"}', Quirk.NUMBER_AS_TEXT),
        (b'{"connectorId":5.0}', Quirk.WHOLE_DECIMAL),
        (b'{"connectorId":1,"isOn":"True"}', Quirk.BOOLEAN_AS_TEXT),
        (
            b'{"connectorId":1,"periods":[{"startPeriod":0,"limit":"6.5"}]}',
            Quirk.NUMBER_AS_TEXT,
        ),
        (b'{"connectorId":1,"periods":[[{"startPeriod":0}]]}', None),
        (b'{"connectorId":1,"kind":"HARD"}', Quirk.OTHER_CASE),
    ],
)
def test_what_is_mended_in_a_payload_is_noted(payload: bytes, quirk: Quirk | None) -> None:
    found = begin()
    if quirk is None:
        refused(payload)
        assert found == []
        return
    decode(payload, Outer, any_case=True)
    assert found == [quirk]


def test_what_is_mended_in_a_payload_that_is_refused_is_not_noted() -> None:
    found = begin()
    refused(b'{"connectorId":"5","text":"much too long"}')
    assert found == []


@pytest.mark.parametrize(
    ("frame", "quirk"),
    [
        ('[2,17,"Reset",{}]', Quirk.NUMERIC_ID),
        ('[2,"' + "x" * 37 + '","Reset",{}]', Quirk.LONG_ID),
        ('[2,"a",17]', None),
        ('[2,"a","Reset"]', Quirk.NO_PAYLOAD),
        ('[2,"a","Reset",null]', Quirk.NO_PAYLOAD),
        ('[3,"nobody",{}]', Quirk.UNSOLICITED_ANSWER),
        ('[4,"nobody","InternalError","",{}]', Quirk.UNSOLICITED_ANSWER),
    ],
)
def test_what_is_odd_about_a_frame_is_noted(frame: str, quirk: Quirk | None) -> None:
    found = begin()
    Rpc("ocpp1.6").receive(frame)
    assert found == ([] if quirk is None else [quirk])


@pytest.mark.parametrize("frame", ['[4,"a",17,"",{}]', '[4,"a",null]'])
def test_an_error_without_a_text_for_its_code_is_noted(frame: str) -> None:
    found = begin()
    frames.parse(frame)
    assert found == [Quirk.SHORT_ERROR]


def test_a_second_call_before_the_first_is_answered_is_noted() -> None:
    found, rpc = begin(), Rpc("ocpp1.6")
    rpc.receive('[2,"a","Reset",{}]')
    assert found == []
    rpc.receive('[2,"b","Reset",{}]')
    assert found == [Quirk.SEVERAL_CALLS]


def test_an_answer_that_comes_too_late_is_noted() -> None:
    found, rpc = begin(), Rpc("ocpp1.6")
    rpc.call("Heartbeat", b"{}", "a", 0.0, 30.0)
    rpc.expire(31.0)
    rpc.receive('[3,"a",{}]')
    assert found == [Quirk.LATE_ANSWER]
