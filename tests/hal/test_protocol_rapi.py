"""Lines of the hardware reference, section 3.1, byte for byte in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.protocols.rapi import LONGEST_LINE, Line, Lines, framed

COMPUTED = [
    "$GS^30",
    "$GG^24",
    "$GU^36",
    "$GC^20",
    "$GE^26",
    "$GV^35",
    "$GP^33",
    "$GF^25",
    "$G0^53",
    "$FE^27",
    "$FD^26",
    "$FS^31",
    "$FR^30",
    "$SC 16^13",
    "$SC 16 V^65",
    "$SL 2^29",
    "$SY^2E",
    "$SY 100 6^29",
    "$SY 165^3C",
    "$GY^3A",
    "$ST 0 0 0 0^23",
    "$OK^20",
    "$NK^21",
    "$OK 3 1234 3 0140^21",
    "$OK 16000 230000^16",
    "$OK 3600000 123456^12",
    "$AT 03 03 16 0140^33",
]
OK = b"$OK^20\r"


@pytest.mark.parametrize("line", COMPUTED)
def test_every_line_of_the_reference_is_written_and_read(line: str) -> None:
    text = line[1:-3]
    assert framed(text) == f"{line}\r".encode()
    assert Lines().fed(f"{line}\r".encode()) == [Line(tuple(text.split()))]


def test_a_sequence_id_goes_out_and_comes_back() -> None:
    assert framed("SC 16 V", 0xA1) == b"$SC 16 V :A1^0F\r"
    assert Lines().fed(b"$SC 16 V :A1^0F\r") == [Line(("SC", "16", "V"), 0xA1)]
    assert Lines().fed(framed("OK", 0x0A)) == [Line(("OK",), 0x0A)]


def test_a_sum_of_older_senders_counts_as_well() -> None:
    assert Lines().fed(b"$FE*AF\r$FS*BD\r$SL 1*14\r") == [
        Line(("FE",)),
        Line(("FS",)),
        Line(("SL", "1")),
    ]


@pytest.mark.parametrize(
    ("text", "is_answer", "is_ok", "is_told"),
    [
        ("OK 16", True, True, False),
        ("NK", True, False, False),
        ("AB 00 8.2.3", False, False, True),
        ("AT 03 03 16 0140", False, False, True),
        ("AN 1", False, False, True),
        ("WF 00", False, False, True),
        ("ST 2", False, False, True),
        ("ST 0 0 0 0", False, False, False),
        ("GS", False, False, False),
    ],
)
def test_answers_are_told_apart_from_what_is_told_and_from_echoes(
    text: str, is_answer: bool, is_ok: bool, is_told: bool
) -> None:
    [line] = Lines().fed(framed(text))
    assert (line.is_answer, line.is_ok, line.is_told) == (is_answer, is_ok, is_told)


@pytest.mark.parametrize(
    "noise",
    [
        b"$OK^21\r",  # one bit
        b"$OK*20\r",  # the other sum
        b"$OK\r",  # none
        b"$OK^2\r",
        b"$OK^20x\r",
        b"$\xc3\xa4^00\r",
        b"$^24\r",
        b"\r\r^20\r",
        b"OK^20\r",
        b"$ :A1" + b"^4E\r",
        framed("NK " + "1" * LONGEST_LINE),
    ],
)
def test_what_is_broken_is_passed_over_and_what_follows_is_read(noise: bytes) -> None:
    assert [line for line in Lines().fed(noise + OK) if line.is_answer] == [Line(("OK",))]


def test_a_line_begins_at_its_last_dollar() -> None:
    assert Lines().fed(b"$AT 03 0$OK^20\r") == [Line(("OK",))]
    assert Lines().fed(b"\n$OK^20\r\n$NK^21\r") == [Line(("OK",)), Line(("NK",))]


def test_bytes_may_come_one_by_one() -> None:
    lines = Lines()
    found = [line for byte in b"x$AT 03 03 16 0140^33\r" for line in lines.fed(bytes((byte,)))]
    assert found == [Line(("AT", "03", "03", "16", "0140"))]


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_noise_is_bounded_and_never_hides_what_comes_after(chunks: list[bytes]) -> None:
    lines = Lines()
    for chunk in chunks:
        lines.fed(chunk)
        assert len(lines._buffer) <= LONGEST_LINE
    assert lines.fed(b"\r" + OK)[-1] == Line(("OK",))


@given(st.integers(0, 12 * 8 - 1))
def test_no_single_bit_error_is_believed(at: int) -> None:
    good = framed("SC 16 V :A1")[:-1]
    spoiled = bytearray(good[:12])
    spoiled[at // 8] ^= 1 << at % 8
    found = Lines().fed(bytes(spoiled) + good[12:] + b"\r")
    assert Line(("SC", "16", "V"), 0xA1) not in found
    assert not any(line.sequence == 0xA1 and line.words[0] == "SC" for line in found)
