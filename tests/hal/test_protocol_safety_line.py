"""The vectors of docs/safety-mcu.md, byte for byte in both directions, and hostile lines."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.protocols.safety_line import (
    LONGEST,
    TO_BOARD,
    TO_HOST,
    Board,
    BoardState,
    Line,
    Lines,
    board_state,
    board_text,
    crc,
    framed,
    greeted,
    state_text,
)
from hal.types import Fault, PilotState

PAGE = (Path(__file__).parents[2] / "docs/safety-mcu.md").read_text()
VECTORS = re.findall(r"^([<>])([0-9A-F]{2}) (.+)\*([0-9A-F]{4})$", PAGE, re.MULTILINE)


def by_the_page(data: bytes) -> int:
    """Reckon as the page's C code does, bit by bit."""
    total = 0xFFFF
    for byte in data:
        total ^= byte << 8
        for _ in range(8):
            total = (total << 1 ^ 0x1021 if total & 0x8000 else total << 1) & 0xFFFF
    return total


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector[0]}{vector[1]}")
def test_every_vector_of_the_page_is_written_and_read(vector):
    direction, number, text, total = vector
    line = f"{direction}{number} {text}*{total}\n".encode()
    assert by_the_page(line[: line.index(b"*")]) == int(total, 16)
    assert framed(direction, int(number, 16), text) == line
    assert Lines(direction).fed(line) == [Line(direction, int(number, 16), text)]


def test_the_page_has_vectors_of_every_word():
    words = {text.split()[0] for _, _, text, _ in VECTORS}
    assert words == {
        *("HELLO", "OFFER", "CLOSE", "OPEN", "LOCK", "TEST", "LIGHT", "PHASES"),
        *("OK", "NO", "STATE"),
    }


@given(st.binary(max_size=100))
def test_the_checksum_is_the_one_of_the_page(data):
    assert crc(data) == by_the_page(data)
    assert crc(b"123456789") == 0x29B1


def test_a_state_says_what_the_table_says():
    assert board_state("STATE C 160 1 1 32 315 0000 1") == BoardState(
        pilot=PilotState.C,
        offer_a=16.0,
        closed=True,
        locked=True,
        cable_a=32.0,
        temperature_c=31.5,
        faults=frozenset(),
        is_greeted=True,
    )
    assert board_state("STATE A 0 0 - - -55 8102 0") == BoardState(
        pilot=PilotState.A,
        offer_a=0.0,
        closed=False,
        locked=None,
        cable_a=None,
        temperature_c=-5.5,
        faults=frozenset({Fault.GROUND_FAILURE, Fault.DIODE_FAULT, Fault.OTHER_ERROR}),
        is_greeted=False,
    )


def test_words_of_later_versions_are_passed_over():
    assert board_state("STATE B 0 0 0 20 - 0000 1 fan=3 7") is not None
    assert greeted("OK 1 320 3 - acme 1.0 more words") is not None


STATES = st.builds(
    BoardState,
    pilot=st.sampled_from(PilotState),
    offer_a=st.integers(0, 800).map(lambda tenths: tenths / 10),
    closed=st.booleans(),
    locked=st.none() | st.booleans(),
    cable_a=st.none() | st.sampled_from([0.0, 13.0, 20.0, 32.0, 63.0]),
    temperature_c=st.none() | st.integers(-400, 1500).map(lambda tenths: tenths / 10),
    faults=st.frozensets(
        st.sampled_from([Fault.CONTACTOR_FAULT, Fault.EMERGENCY_STOP, Fault.OTHER_ERROR])
    ),
    is_greeted=st.booleans(),
)


@given(STATES)
def test_every_state_survives_the_line(state):
    [line] = Lines().fed(framed(TO_HOST, 7, state_text(state)))
    assert board_state(line.text) == state


@pytest.mark.parametrize("features", [frozenset(), frozenset("FS"), frozenset("L")])
def test_a_board_survives_the_line(features):
    board = Board(1, 31.5, 3, features, "acme", "1.0")
    assert greeted(board_text(board)) == board


@pytest.mark.parametrize(
    "text",
    ["OK", "OK 1", "OK 1 320 2 - a 1", "OK 1 320 3 l a 1", "OK 1 320 3 - a", "NO", ""],
)
def test_what_is_no_greeting_is_none(text):
    assert greeted(text) is None


OK = framed(TO_HOST, 1, "OK")
FOUND = Line(TO_HOST, 1, "OK")


@pytest.mark.parametrize(
    "noise",
    [
        b"<01 OK*858C\n",
        b"<01 OK*XXXX\n",
        b"<01 OK\n",
        b"<1 OK*0000\n",
        b"<01 *0000\n",
        b"\n\n\r\n",
        framed(TO_BOARD, 1, "OPEN"),
        framed(TO_HOST, 1, "STATE" + " 0" * LONGEST),
        b"<" * 1000 + b"\n",
        b"<01 \xff*0000\n",
        b"<01 OK*" + f"{crc(b'<01 OK'):04x}".encode() + b"\n",  # not uppercase
    ],
)
def test_what_is_broken_is_passed_over_and_what_follows_is_read(noise):
    assert Lines().fed(noise + OK) == [FOUND]


def test_a_line_begins_at_its_last_direction_and_may_end_with_a_return():
    assert Lines().fed(b"<2A STATE C 16" + OK) == [FOUND]
    assert Lines().fed(OK.replace(b"\n", b"\r\n")) == [FOUND]


def test_bytes_may_come_one_by_one():
    lines = Lines()
    assert [line for byte in OK for line in lines.fed(bytes((byte,)))] == [FOUND]


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_noise_is_bounded_and_never_hides_what_comes_after(chunks):
    lines = Lines()
    for chunk in chunks:
        lines.fed(chunk)
        assert len(lines._buffer) < LONGEST
    assert lines.fed(b"\n" + OK)[-1] == FOUND


@given(st.sampled_from(VECTORS), st.data())
def test_no_error_of_up_to_three_bits_is_believed(vector, data):
    direction, number, text, total = vector
    line = bytearray(f"{direction}{number} {text}*{total}".encode())
    bits = data.draw(st.sets(st.integers(0, len(line) * 8 - 1), min_size=1, max_size=3))
    for at in bits:
        line[at // 8] ^= 1 << at % 8
    assert Line(direction, int(number, 16), text) not in Lines(direction).fed(
        bytes(line) + b"\n"
    )
    assert Lines(direction).fed(bytes(line) + b"\n") == []


def test_answers_are_told_apart_from_reports_and_requests():
    assert Line(TO_HOST, 1, "OK 1").is_answer
    assert Line(TO_HOST, 1, "NO LOAD").is_answer
    assert not Line(TO_HOST, 1, "NO LOAD").is_ok
    assert not Line(TO_HOST, 1, "STATE A").is_answer
    assert not Line(TO_BOARD, 1, "OK").is_answer
