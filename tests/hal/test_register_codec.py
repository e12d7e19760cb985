import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.registers.codec import (
    Exponent,
    Point,
    RawType,
    Text,
    TextType,
    decode,
    default_na,
    encode,
    exponent_of,
    text_of,
    word_count,
    words_of,
)

RAW_TYPES: tuple[RawType, ...] = (
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
)  # fmt: skip
WORDS = st.integers(0, 0xFFFF)


def point(raw_type: RawType = "float32", **changes) -> Point:
    fields = {
        "name": "energy_import",
        "unit": "Wh",
        "fc": 4,
        "address": 0,
        "word_order": "big",
        "factor": Fraction(1),
        "offset": Fraction(0),
        "minimum": -1e30,
        "maximum": 1e30,
        "step": 1.0,
        "na": default_na(raw_type),
    }
    return Point(type=raw_type, **{**fields, **changes})


@pytest.mark.parametrize(
    ("raw_type", "order", "factor", "words", "value"),
    [
        # worked frames of the makers: Eastron SDM630, ABB B23, Carlo Gavazzi
        ("float32", "big", Fraction(1), [0x4366, 0x199A], 230.10000610351562),
        ("float32", "big", Fraction(1000), [0x449A, 0x5000], 1_234_500.0),
        ("int32", "big", Fraction(1, 100), [0xFFFE, 0x1DC0], -1234.56),
        ("uint64", "big", Fraction(10), [0, 0, 1, 0xE240], 1_234_560.0),
        ("int32", "little", Fraction(1, 10), [0x08FD, 0x0000], 230.1),
        ("int32", "little", Fraction(1, 10), [0xCFC7, 0xFFFF], -1234.5),
        ("int16", "big", Fraction(1, 10), [0xFFFF], -0.1),
        ("uint16", "big", Fraction(1, 10), [500], 50.0),
        ("uint32", "big", Fraction(100), [0x0001, 0x0000], 6_553_600.0),
        ("int64", "little", Fraction(1), [0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF], -2.0),
        ("float64", "big", Fraction(1), [0x4009, 0x21FB, 0x5444, 0x2D18], math.pi),
    ],
)
def test_words_of_real_devices_decode_to_their_figures(raw_type, order, factor, words, value):
    assert decode(point(raw_type, word_order=order, factor=factor), words) == value


def test_an_energy_register_keeps_all_its_fifteen_digits():
    register = point("uint64", factor=Fraction(1, 10))
    words = struct.unpack(">4H", (123_456_789_012_345).to_bytes(8, "big"))
    assert decode(register, words) == 12_345_678_901_234.5


def test_a_tenth_is_a_tenth_at_every_count():
    register = point("uint32", factor=Fraction(1, 10), na=frozenset())
    assert all(decode(register, [0, raw]) == raw / 10 for raw in range(0, 65_536, 7))


def test_the_offset_is_added_after_scaling():
    assert decode(point("uint16", factor=Fraction(1, 10), offset=Fraction(-40)), [655]) == 25.5


@pytest.mark.parametrize(
    "words", [[0x7FC0, 0], [0xFFC0, 0], [0x7F80, 0], [0xFF80, 0], [0xFFFF] * 2]
)
def test_not_a_number_and_infinity_are_absent(words):
    assert decode(point("float32"), words) is None


@pytest.mark.parametrize(
    ("raw_type", "words"),
    [
        ("uint16", [0xFFFF]),
        ("uint32", [0xFFFF, 0xFFFF]),
        ("uint64", [0xFFFF] * 4),
        ("int16", [0x7FFF]),
        ("int16", [0x8000]),
        ("int32", [0x7FFF, 0xFFFF]),
        ("int32", [0x8000, 0x0000]),
        ("int64", [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF]),
    ],
)
def test_the_usual_markers_are_absent_when_the_map_lists_none(raw_type, words):
    assert decode(point(raw_type), words) is None


def test_all_ones_is_minus_one_in_a_signed_register():
    assert decode(point("int32"), [0xFFFF, 0xFFFF]) == -1.0


def test_listed_markers_replace_the_usual_ones():
    register = point("uint16", na=frozenset({0x8000}))
    assert decode(register, [0x8000]) is None
    assert decode(register, [0xFFFF]) == 65_535.0


def test_a_marker_is_compared_after_the_words_are_put_in_order():
    register = point("uint32", word_order="little", na=frozenset({0x8000_0000}))
    assert decode(register, [0x0000, 0x8000]) is None
    assert decode(register, [0x8000, 0x0000]) == 32_768.0


def test_a_value_beyond_a_float_is_absent():
    register = point("float64", factor=Fraction(1000))
    assert decode(register, [0x7FEF, 0xFFFF, 0xFFFF, 0xFFFF]) is None


def test_the_wrong_number_of_words_is_refused():
    with pytest.raises(ValueError, match="energy_import takes 2 words, not 1"):
        decode(point("float32"), [0])


@given(st.sampled_from(RAW_TYPES), st.sampled_from(["big", "little"]), st.data())
def test_any_words_decode_to_a_finite_number_or_to_absent(raw_type, order, data):
    words = data.draw(
        st.lists(WORDS, min_size=word_count(raw_type), max_size=word_count(raw_type))
    )
    value = decode(point(raw_type, word_order=order, factor=Fraction(1000)), words)
    assert value is None or math.isfinite(value)


@given(
    st.sampled_from(["int16", "uint16", "int32", "uint32"]),
    st.sampled_from(["big", "little"]),
    st.sampled_from(
        [Fraction(1), Fraction(1, 10), Fraction(-1, 100), Fraction(1000), Fraction(3, 7)]
    ),
    st.sampled_from([Fraction(0), Fraction(-40), Fraction(1, 3)]),
    st.data(),
)
def test_integer_registers_come_back_word_for_word(raw_type, order, factor, offset, data):
    size = word_count(raw_type)
    words = tuple(data.draw(st.lists(WORDS, min_size=size, max_size=size)))
    register = point(raw_type, word_order=order, factor=factor, offset=offset, na=frozenset())
    assert encode(register, decode(register, words)) == words


@given(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from(["big", "little"]),
)
def test_float_registers_come_back_value_for_value(value, order):
    register = point("float32", word_order=order, factor=Fraction(1000))
    assert decode(register, encode(register, value * 1000)) == value * 1000


@pytest.mark.parametrize("raw_type", RAW_TYPES)
def test_absent_comes_back_as_absent(raw_type):
    register = point(raw_type, word_order="little")
    assert decode(register, encode(register, None)) is None


def test_an_integer_without_markers_cannot_say_absent():
    with pytest.raises(ValueError, match="no pattern that means absent"):
        encode(point("uint16", na=frozenset()), None)


@pytest.mark.parametrize(
    ("raw_type", "value"),
    [("uint16", -1.0), ("uint16", 65_536.0), ("int16", 40_000.0), ("float32", 1e39)],
)
def test_a_value_that_the_type_cannot_carry_is_refused(raw_type, value):
    with pytest.raises(ValueError, match=f"{raw_type} cannot carry"):
        encode(point(raw_type), value)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_only_finite_numbers_can_be_encoded(value):
    with pytest.raises(ValueError, match="None means absent"):
        encode(point("float32"), value)


@pytest.mark.parametrize(
    ("raw_type", "order", "words", "value"),
    [
        ("bcd16", "big", [0x1234], 1234.0),
        ("bcd32", "big", [0x0123, 0x4567], 1_234_567.0),
        ("bcd32", "little", [0x4567, 0x0123], 1_234_567.0),
        ("bcd64", "big", [0x0123, 0x4567, 0x8901, 0x2345], 123_456_789_012_345.0),
        ("bcd16", "big", [0x12A4], None),
        ("bcd16", "big", [0xFFFF], None),
    ],
)
def test_decimal_digits_are_read_as_written(raw_type, order, words, value):
    assert decode(point(raw_type, word_order=order), words) == value
    if value is not None:
        assert encode(point(raw_type, word_order=order), value) == tuple(words)


@pytest.mark.parametrize("value", [-1.0, 10_000.0])
def test_digits_that_do_not_fit_are_refused(value):
    with pytest.raises(ValueError, match="bcd16 cannot carry"):
        encode(point("bcd16"), value)


def test_digits_have_no_way_to_say_absent():
    with pytest.raises(ValueError, match="no pattern that means absent"):
        encode(point("bcd16"), None)


@pytest.mark.parametrize(
    ("mask", "word", "value"),
    [(0x00FF, 0x1203, 3.0), (0xFF00, 0x1203, 0x12), (0x0010, 0x0010, 1)],
)
def test_a_mask_takes_some_bits_of_a_word(mask, word, value):
    register = point("uint16", mask=mask)
    assert decode(register, [word]) == value
    assert encode(register, value) == (word & mask,)


@pytest.mark.parametrize("value", [-1.0, 16.0])
def test_a_value_beyond_its_mask_is_refused(value):
    with pytest.raises(ValueError, match="uint16 cannot carry"):
        encode(point("uint16", mask=0x00F0), value)


@pytest.mark.parametrize(
    ("word", "exponent"),
    [(0, 0), (0xFFFE, -2), (10, 10), (0xFFF6, -10), (11, None), (0xFFF5, None), (0x8000, None)],
)
def test_a_scale_factor_is_minus_ten_to_ten_or_none(word, exponent):
    assert exponent_of(word) == exponent


def test_a_power_of_ten_scales_the_raw_number_exactly():
    register = point("int16", exponent=Exponent(9, -2))
    assert decode(register, [23_010], -2) == 230.1
    assert decode(register, [2301], 10) == 2301e10
    assert decode(register, [2301], None) is None
    assert encode(register, 230.1) == (23_010,)


@pytest.mark.parametrize(
    ("exponent", "span"), [(None, (4, 6)), (2, (2, 6)), (9, (4, 10)), (5, (4, 6))]
)
def test_a_point_reaches_to_its_exponent(exponent, span):
    register = point("int32", exponent=None if exponent is None else Exponent(exponent, 0))
    register = Point(
        **{name: getattr(register, name) for name in Point.__struct_fields__} | {"address": 4}
    )
    assert (register.start, register.end) == span


def text(kind: TextType, count: int, order: str = "big") -> Text:
    return Text("serial_number", 3, 0, count, kind, order)


@pytest.mark.parametrize(
    ("kind", "words", "content"),
    [
        ("string", [0x4142, 0x4331, 0x0000], "ABC1"),
        ("string", [0x4142, 0x2020, 0x2020], "AB"),
        ("bcd", [0x1234, 0x5678], "12345678"),
        ("hex", [0x00AB, 0xCDEF], "00ABCDEF"),
        ("uint16", [0x0102], "258"),
        ("uint32", [0x00BC, 0x614E], "12345678"),
        ("uint64", [0, 0, 0x00BC, 0x614E], "12345678"),
    ],
)
def test_what_a_device_says_about_itself_is_read_and_served(kind, words, content):
    one = text(kind, len(words))
    assert text_of(one, words) == content
    assert text_of(one, words_of(one, content)) == content


def test_text_of_a_device_is_printable_whatever_it_sends():
    assert text_of(text("string", 3), [0x1B5B, 0x3341, 0xFF42]) == "[3A\ufffdB"


def test_the_words_of_a_text_have_an_order_too():
    one = text("uint32", 2, "little")
    assert text_of(one, [0x614E, 0x00BC]) == "12345678"
    assert words_of(one, "12345678") == (0x614E, 0x00BC)
