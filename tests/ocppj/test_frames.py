"""Frames: what can be read, what cannot, and that nothing but FrameError ever comes out."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ocppj import frames
from agent.ocppj.frames import CallFrame, ErrorFrame, Flaw, FrameError, ResultFrame


def parsed(text):
    frame, id_json = frames.parse(text)
    return frame, id_json


def flaw(text):
    with pytest.raises(FrameError) as caught:
        frames.parse(text)
    return caught.value


def test_a_call_keeps_its_payload_undecoded():
    frame, id_json = parsed('[2,"m1","Reset",{"type":"Soft"}]')
    assert isinstance(frame, CallFrame)
    assert (frame.message_id, frame.action, id_json) == ("m1", "Reset", b'"m1"')
    assert bytes(frame.payload) == b'{"type":"Soft"}'


def test_a_result_and_an_error_are_told_apart():
    assert isinstance(parsed('[3,"m1",{}]')[0], ResultFrame)
    error, _ = parsed('[4,"m1","NotSupported","no",{"a":1}]')
    assert error == ErrorFrame("m1", "NotSupported", "no")


def test_bytes_are_read_like_text():
    assert parsed(b'[3,"m1",{"a":"\xc3\xa4"}]')[0].message_id == "m1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{}",
        '"text"',
        "5",
        "null",
        "[]",
        '[2,"m1","A",{}',
        '[2,"m1","A",{}]x',
        '[2,"\ud800","A",{}]',
        "\ufeff[]",
        b'[2,"m1","A",{"x":"\xff"}]',
        "[" * 100_000,
        '{"a":' * 100_000,
        '[5,{"x":NaN}]',
        '[2,"es\\"caped","A",{"x":NaN}]',
        '[2,007,"A",{"x":NaN}]',
        '[2,"' + "x" * 129 + '","A",{"x":NaN}]',
    ],
)
def test_what_is_no_json_array_is_unreadable(text):
    error = flaw(text)
    assert (error.flaw, error.id_json, error.is_answer) == (Flaw.UNREADABLE, None, False)


@pytest.mark.parametrize(
    "rest",
    [
        '"A",{"x":NaN}]',
        '"A",{"x":-Infinity}] \n',
        '"A",{"x":"\\ud800 lone"}]',
        '"A",{"x":"\ud800"}]',
        '{"x":"\\ud800 lone"}]',
        '"A",' + "[" * 100_000 + "]" * 100_000 + "]",
    ],
)
@pytest.mark.parametrize("written", ['"m1"', '"ä"', "5", "-5", "0"])
def test_a_payload_that_cannot_be_read_leaves_the_id(written, rest):
    error = flaw(f"[2,{written},{rest}")
    assert (error.flaw, error.id_json) == (Flaw.BAD_PAYLOAD, written.encode())
    assert not error.is_answer
    assert flaw(f"[3,{written},{rest}").is_answer
    assert flaw(f" [ 4 , {written} , {rest}").is_answer


@pytest.mark.parametrize(
    ("text", "id_json"),
    [
        ('[2,"m1","A",{', b'"m1"'),
        (b'[2,7,"A",{', b"7"),
        ('[2,"ä","A",{', '"ä"'.encode()),
        ('[2,"ä","A",{'.encode(), None),
        ("{", None),
        (" " * frames.LONGEST_BEGINNING + '[2,"m1","A",{', None),
    ],
)
def test_of_a_frame_that_is_too_long_the_beginning_is_read(text, id_json):
    error = frames.beginning(text, Flaw.TOO_LONG)
    assert (error.flaw, error.id_json) == (Flaw.TOO_LONG, id_json)


def test_a_missing_and_a_null_payload_count_as_empty():
    for text in ('[2,"m1","Heartbeat"]', '[2,"m1","Heartbeat",null]', '[2,7,"Heartbeat"]'):
        frame, _ = parsed(text)
        assert bytes(frames.payload_of(frame)) == b"{}"
    assert bytes(frames.payload_of(parsed('[3,"m1"]')[0])) == b"{}"
    assert bytes(frames.payload_of(parsed('[3,"m1", null ]')[0])) == b"{}"


def test_a_payload_of_another_kind_is_kept_for_the_adapter_to_refuse():
    assert bytes(frames.payload_of(parsed('[2,"m1","Reset",[1]]')[0])) == b"[1]"


@pytest.mark.parametrize("written", ["7", "-7", "7.50", "123456789012345678901234567890"])
def test_a_numeric_id_is_kept_as_it_was_written(written):
    for text in (f'[2,{written},"Reset",{{}}]', f"[3,{written},{{}}]"):
        frame, id_json = parsed(text)
        assert frame.message_id == written
        assert id_json == written.encode()


def test_extra_elements_are_ignored():
    frame, _ = parsed('[2,"m1","Reset",{},{"extra":1},9]')
    assert frame.action == "Reset"
    assert parsed('[3,7,{"a":1},9]')[0].message_id == "7"


@pytest.mark.parametrize(
    ("text", "code", "description"),
    [
        ('[4,"m1"]', "", ""),
        ('[4,"m1","GenericError"]', "GenericError", ""),
        ('[4,"m1","GenericError","why"]', "GenericError", "why"),
        ('[4,"m1",500,null,{}]', "500", ""),
        ('[4,"m1",null,{"deep":1},{}]', "", ""),
        ('[4,"m1","",""]', "", ""),
        ('[4,7,"GenericError","why",{}]', "GenericError", "why"),
    ],
)
def test_an_error_may_be_short_and_its_code_a_number(text, code, description):
    frame, _ = parsed(text)
    assert (frame.code, frame.description) == (code, description)


def test_a_type_number_with_a_fraction_of_zero_is_taken():
    assert parsed('[2.0,"m1","Reset",{}]')[0].action == "Reset"


@pytest.mark.parametrize("kind", ["1", "5", "6", '"2"', "true", "null", "{}", "[2]"])
def test_an_unknown_type_is_told_with_its_id(kind):
    error = flaw(f'[{kind},"m1","Reset",{{}}]')
    assert (error.flaw, error.id_json) == (Flaw.UNKNOWN_TYPE, b'"m1"')


@pytest.mark.parametrize("bad", ["null", "true", "{}", "[1]", "1e999", "1" * 5000])
def test_an_id_that_is_no_string_or_number_cannot_be_echoed(bad):
    for text in (f'[2,{bad},"Reset",{{}}]', f"[9,{bad}]"):
        error = flaw(text)
        assert (error.flaw, error.is_answer) == (Flaw.BAD_ID, False)
    assert flaw(f"[3,{bad},{{}}]").is_answer
    assert flaw(f"[4,{bad}]").is_answer


def test_a_frame_without_an_id_is_refused():
    assert flaw("[2]").flaw is Flaw.BAD_ID
    assert flaw("[3]").is_answer


def test_ids_are_taken_up_to_the_limit_and_echoed_beyond_it():
    longest = "x" * frames.LONGEST_ID
    assert parsed(f'[2,"{longest}","Reset",{{}}]')[0].message_id == longest
    too_long = f'"{longest}x"'
    for text in (f'[2,{too_long},"Reset",{{}}]', f"[2,{too_long},7]"):
        error = flaw(text)
        assert (error.flaw, error.id_json, error.is_answer) == (
            Flaw.BAD_ID,
            too_long.encode(),
            False,
        )
    assert flaw(f"[3,{too_long},{{}}]").is_answer


@pytest.mark.parametrize(
    "text", ['[2,"m1"]', '[2,"m1",{"a":1},{}]', '[2,"m1",7,{}]', '[2,"m1",null]']
)
def test_a_call_without_an_action_is_refused_with_its_id(text):
    error = flaw(text)
    assert (error.flaw, error.id_json) == (Flaw.BAD_CALL, b'"m1"')


def test_written_frames_are_what_the_standard_says():
    assert json.loads(frames.call("m1", "Reset", b'{"type":"Soft"}')) == [
        2,
        "m1",
        "Reset",
        {"type": "Soft"},
    ]
    assert json.loads(frames.result(b"7", b"{}")) == [3, 7, {}]
    assert json.loads(frames.error(b'"m1"', "GenericError", 'a "b"' + "x" * 300)) == [
        4,
        "m1",
        "GenericError",
        ('a "b"' + "x" * 300)[:255],
        {},
    ]


@given(st.text() | st.binary())
def test_any_text_is_a_frame_or_a_frame_error(text):
    try:
        frame, id_json = frames.parse(text)
    except FrameError:
        return
    assert isinstance(frame, CallFrame | ResultFrame | ErrorFrame)
    assert msgspec.json.decode(id_json) is not None


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(st.sampled_from([2, 3, 4, "m1"]) | _json, max_size=6))
def test_any_array_is_a_frame_or_a_frame_error(parts):
    try:
        frame, _ = frames.parse(json.dumps(parts, ensure_ascii=False))
    except FrameError:
        return
    assert parts[0] in (2, 3, 4)
    assert isinstance(frame, CallFrame | ResultFrame | ErrorFrame)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=128),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_what_we_write_can_be_read_again(message_id, action):
    frame, id_json = frames.parse(frames.call(message_id, action, b'{"a":1}'))
    assert frame == CallFrame(message_id, action, msgspec.Raw(b'{"a":1}'))
    assert msgspec.json.decode(id_json) == message_id
