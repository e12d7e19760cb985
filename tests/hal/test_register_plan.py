from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hal.registers.codec import Exponent, Point, RawType
from hal.registers.plan import Read, narrow, plan, unpack


def point(address: int, raw_type: RawType = "uint32", **changes) -> Point:
    fields = {
        "name": f"p{address}",
        "unit": "V",
        "fc": 4,
        "word_order": "big",
        "factor": Fraction(1),
        "offset": Fraction(0),
        "minimum": 0.0,
        "maximum": 1e12,
        "step": 1.0,
        "na": frozenset(),
    }
    return Point(address=address, type=raw_type, **{**fields, **changes})


def spans(reads) -> list[tuple[int, int, int]]:
    return [(read.fc, read.address, read.count) for read in reads]


def test_neighbours_are_read_at_once_in_whatever_order_they_come():
    reads = plan([point(4), point(0), point(2)], max_registers=80, max_gap=0)
    assert spans(reads) == [(4, 0, 6)]
    assert [each.address for each in reads[0].points] == [0, 2, 4]


def test_a_read_runs_across_a_small_hole_and_stops_at_a_large_one():
    assert spans(plan([point(0), point(10)], max_registers=80, max_gap=8)) == [(4, 0, 12)]
    assert spans(plan([point(0), point(11)], max_registers=80, max_gap=8)) == [
        (4, 0, 2),
        (4, 11, 2),
    ]


def test_a_read_is_never_longer_than_the_device_allows():
    points = [point(address) for address in range(0, 20, 2)]
    assert spans(plan(points, max_registers=8, max_gap=8)) == [(4, 0, 8), (4, 8, 8), (4, 16, 4)]


def test_input_and_holding_registers_are_never_mixed():
    assert spans(plan([point(0), point(2, fc=3)], max_registers=80, max_gap=8)) == [
        (3, 2, 2),
        (4, 0, 2),
    ]


def test_points_may_share_words():
    reads = plan(
        [point(0, "uint64"), point(0), point(2, "uint16")], max_registers=80, max_gap=0
    )
    assert spans(reads) == [(4, 0, 4)]
    assert len(reads[0].points) == 3


@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from([3, 4])), min_size=1, max_size=40),
    st.integers(4, 125),
    st.integers(0, 50),
)
def test_every_point_is_read_exactly_once_within_the_bounds(places, max_registers, max_gap):
    points = [
        point(address, fc=fc, name=f"p{index}") for index, (address, fc) in enumerate(places)
    ]
    reads = plan(points, max_registers=max_registers, max_gap=max_gap)
    planned = [each.name for read in reads for each in read.points]
    assert sorted(planned) == sorted(each.name for each in points)
    for read in reads:
        assert read.count <= max_registers
        assert all(
            read.fc == each.fc
            and read.address <= each.address
            and each.address + each.count <= read.address + read.count
            for each in read.points
        )


def test_a_refused_read_is_first_cut_at_its_holes():
    (read,) = plan([point(0), point(2), point(8)], max_registers=80, max_gap=8)
    assert spans(narrow(read)) == [(4, 0, 4), (4, 8, 2)]


def test_a_refused_run_is_cut_into_its_points():
    (read,) = plan([point(0), point(2)], max_registers=80, max_gap=8)
    assert spans(narrow(read)) == [(4, 0, 2), (4, 2, 2)]


def test_a_refused_optional_point_is_left_out():
    assert narrow(Read(4, 0, 2, (point(0, is_optional=True),))) == ()


def test_a_refused_needed_point_cannot_be_made_smaller():
    assert narrow(Read(4, 0, 2, (point(0),))) is None


def test_an_answer_is_taken_apart_by_point():
    (read,) = plan(
        [point(10), point(14, "uint16", na=frozenset({0xFFFF}))], max_registers=8, max_gap=8
    )
    assert unpack(read, [0, 7, 99, 99, 0xFFFF]) == {"p10": 7.0, "p14": None}


def test_a_point_is_read_together_with_its_exponent():
    scaled = point(4, "int16", exponent=Exponent(9, -1))
    assert spans(plan([scaled], max_registers=80, max_gap=0)) == [(4, 4, 6)]
    earlier = point(4, "int16", exponent=Exponent(2, -1))
    reads = plan([earlier, point(0)], max_registers=80, max_gap=0)
    assert spans(reads) == [(4, 0, 5)]
    assert unpack(reads[0], [0, 7, 0xFFFF, 0, 2301]) == {"p0": 7.0, "p4": 230.1}


def test_a_refused_read_keeps_points_and_exponents_together():
    (read,) = plan(
        [point(0, "int16"), point(1, "int16", exponent=Exponent(5, 0))],
        max_registers=80,
        max_gap=8,
    )
    assert spans(narrow(read)) == [(4, 0, 1), (4, 1, 5)]
