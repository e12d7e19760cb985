import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.registers.codec import Exponent, Point, RawType, decode, default_na, exponent_of
from hal.registers.layout import Layout

RAW_TYPES: tuple[RawType, ...] = (
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
    "bcd16", "bcd32", "bcd64",
)  # fmt: skip
FACTORS = [
    Fraction(1), Fraction(1000), Fraction(-1), Fraction(1, 10), Fraction(-1, 1000),
    Fraction(3, 2), Fraction(10**20), Fraction(1, 10**20),
]  # fmt: skip


def point(address: int, raw_type: RawType = "float32", **changes) -> Point:
    fields = {
        "name": f"p{address}",
        "unit": "V",
        "fc": 4,
        "word_order": "big",
        "factor": Fraction(1),
        "offset": Fraction(0),
        "minimum": -1e30,
        "maximum": 1e30,
        "step": 1.0,
        "na": default_na(raw_type),
    }
    return Point(address=address, type=raw_type, **{**fields, **changes})


@st.composite
def points(draw) -> list[Point]:
    """Return points of all kinds within 40 words; some of them share words."""
    found = []
    for number in range(draw(st.integers(1, 12))):
        raw_type = draw(st.sampled_from(RAW_TYPES))
        mask = draw(st.sampled_from([0, 0, 0x00FF, 0x0FF0])) if raw_type == "uint16" else 0
        exponent = draw(st.sampled_from([None, None, Exponent(39, -2)]))
        found.append(
            point(
                draw(st.integers(0, 35)),
                raw_type,
                name=f"n{number}",
                word_order=draw(st.sampled_from(["big", "little"])),
                factor=draw(st.sampled_from(FACTORS)),
                offset=draw(st.sampled_from([Fraction(0), Fraction(0), Fraction(-40)])),
                mask=mask,
                exponent=exponent if raw_type.startswith(("int", "uint")) else None,
            )
        )
    return found


@given(points(), st.lists(st.integers(0, 0xFFFF), min_size=40, max_size=40))
def test_a_read_as_a_whole_means_what_its_points_mean_one_by_one(some, words):
    values = Layout(0, 40, some).values(words)
    assert values == {
        each.name: decode(
            each,
            words[each.address : each.address + each.count],
            0 if each.exponent is None else exponent_of(words[39]),
        )
        for each in some
    }


@given(st.integers(0, (1 << 64) - 1), st.sampled_from([Fraction(1, 10), Fraction(10)]))
def test_every_digit_of_an_energy_register_arrives(raw, factor):
    register = point(0, "uint64", factor=factor, na=frozenset())
    words = struct.unpack(">4H", raw.to_bytes(8, "big"))
    assert Layout(0, 4, [register]).values(words)["p0"] == float(raw * factor)


@pytest.mark.parametrize("words", [[0x7FC0, 0], [0x7F80, 0], [0xFF80, 0], [0xFFFF, 0xFFFF]])
def test_floats_that_are_no_numbers_are_absent(words):
    assert Layout(0, 2, [point(0)]).values(words) == {"p0": None}


def test_a_float_that_grows_beyond_all_bounds_is_absent():
    register = point(0, "float64", factor=Fraction(1000))
    assert Layout(0, 4, [register]).values([0x7FEF, 0xFFFF, 0xFFFF, 0xFFFF]) == {"p0": None}


def test_a_listed_pattern_of_a_float_is_absent():
    register = point(0, na=frozenset({0x4366_199A}))
    layout = Layout(0, 2, [register])
    assert layout.values([0x4366, 0x199A]) == {"p0": None}
    assert math.isclose(layout.values([0x4366, 0x1999])["p0"], 230.1, rel_tol=1e-6)


def test_an_answer_of_another_length_is_refused():
    with pytest.raises(ValueError, match="3 words instead of 2"):
        Layout(0, 2, [point(0)]).values([0, 0, 0])


def test_one_float_that_is_no_number_spoils_no_other():
    layout = Layout(0, 4, [point(0), point(2)])
    assert layout.values([0x7FC0, 0, 0x3F80, 0]) == {"p0": None, "p2": 1.0}
