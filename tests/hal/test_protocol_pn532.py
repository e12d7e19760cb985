"""Frames of the hardware reference, section 5.1, byte for byte in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.protocols import pn532
from hal.protocols.pn532 import Acknowledged, Answer, Frames, Refused, framed, uid_of


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("command", "data", "frame"),
    [
        (pn532.SAM_CONFIGURATION, "010001", "0000FF05FBD414010001" + "1600"),
        (pn532.GET_FIRMWARE_VERSION, "", "0000FF02FED4022A00"),
        (pn532.RF_CONFIGURATION, "05FF0114", "0000FF06FAD43205FF0114E100"),
        (pn532.LIST_TARGETS, "0100", "0000FF04FCD44A0100E100"),
        (pn532.RELEASE, "00", "0000FF03FDD45200DA00"),
    ],
    ids=str,
)
def test_a_command_is_framed(command: int, data: str, frame: str) -> None:
    assert framed(command, hexed(data)) == hexed(frame)


CARD4 = hexed("0000FF0CF4D54B0101000408" + "04DEADBEEF9600")
CARD7 = hexed("0000FF0FF1D54B01010044000704A1B2C3D4E5F6CA00")
VERSION = hexed("0000FF06FAD50332010607E800")
NO_CARD = framed(0x4B, b"\x00", tfi=pn532.FROM_READER)


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (hexed("0000FF02FED5151600"), Answer(pn532.SAM_CONFIGURATION, b"")),
        (VERSION, Answer(pn532.GET_FIRMWARE_VERSION, hexed("32010607"))),
        (CARD4, Answer(pn532.LIST_TARGETS, hexed("010100040804DEADBEEF"))),
        (pn532.ACK, Acknowledged()),
        (hexed("0000FF01FF7F8100"), Refused()),
    ],
    ids=["configured", "version", "card", "ack", "error"],
)
def test_an_answer_is_read(frame: bytes, answer: object) -> None:
    assert Frames().fed(frame) == [answer]


@pytest.mark.parametrize(
    ("frame", "uid"),
    [(CARD4, "DEADBEEF"), (CARD7, "04A1B2C3D4E5F6"), (NO_CARD, None)],
    ids=["single size", "double size", "no card"],
)
def test_the_uid_of_a_card(frame: bytes, uid: str | None) -> None:
    [answer] = Frames().fed(frame)
    assert isinstance(answer, Answer)
    assert uid_of(answer.data) == (None if uid is None else hexed(uid))


@pytest.mark.parametrize(
    "data",
    ["", "01", "0101000408", "010100040805DEADBEEF00", "010100040804DEAD", "01010004080A00"],
    ids=["empty", "no target", "no length", "odd size", "cut off", "too short"],
)
def test_no_uid_is_made_of_what_is_none(data: str) -> None:
    assert uid_of(hexed(data)) is None


def test_an_ats_behind_the_uid_is_no_part_of_it() -> None:
    assert uid_of(hexed("010103442004DEADBEEF0578807002")) == hexed("DEADBEEF")


@given(st.lists(st.integers(1, 5), min_size=1), st.binary(max_size=3))
def test_frames_are_found_however_the_bytes_arrive(cuts: list[int], padding: bytes) -> None:
    stream = b"\x00" * len(padding) + pn532.ACK + b"\x00" + CARD7 + VERSION
    frames, found, at = Frames(), list[object](), 0
    while at < len(stream):
        step = cuts[at % len(cuts)]
        found += frames.fed(stream[at : at + step])
        at += step
    kinds = [type(frame) for frame in found]
    assert kinds == [Acknowledged, Answer, Answer]


@given(st.binary(max_size=300))
def test_noise_before_a_frame_does_not_hide_it_for_long(noise: bytes) -> None:
    frames = Frames()
    frames.fed(noise)
    found = []
    for _ in range(40):  # a broken length swallows at most one frame's worth of bytes
        found += frames.fed(VERSION)
    assert Answer(pn532.GET_FIRMWARE_VERSION, hexed("32010607")) in found


@pytest.mark.parametrize("at", range(3, len(VERSION) - 1))
def test_a_flipped_bit_is_noticed(at: int) -> None:
    broken = bytearray(VERSION)
    broken[at] ^= 0x10
    assert Answer(pn532.GET_FIRMWARE_VERSION, hexed("32010607")) not in Frames().fed(
        bytes(broken)
    )
    assert all(not isinstance(frame, Answer) for frame in Frames().fed(bytes(broken)))


def test_frames_of_the_other_direction_are_nobodys_answer() -> None:
    assert Frames().fed(framed(pn532.RELEASE, b"\x00")) == []
    assert Frames().fed(hexed("0000FF01FFD52B00")) == []  # no command


def test_what_is_kept_of_endless_noise_is_bounded() -> None:
    frames = Frames()
    for _ in range(100):
        frames.fed(b"\x00\xff\xfe\x02" + b"\x55" * 200)
    assert len(frames._buffer) <= 1024
