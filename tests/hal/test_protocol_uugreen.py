"""Frames of the hardware reference, section 4.3, byte for byte in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.protocols import uugreen
from hal.protocols.power_module import Accepted, Codec, Current, Report, Voltage
from hal.protocols.uugreen import Message, UUGreen, framed, read
from hal.types import CanFrame
from tests.support.can_frames import frame

CODEC: Codec = UUGreen()

FRAMES = {
    "02200000 00 04": Message(uugreen.SET, uugreen.SHUTDOWN, 0),
    "02208000 02 00": Message(uugreen.READ, uugreen.VOLTAGE, 2),
    "02204000 03 00 00 00 00 07 A0 58": Message(
        uugreen.READ_ACKNOWLEDGED, uugreen.VOLTAGE, 1, 499_800
    ),
    "02206A5F 23 01 00 00 FF FF FF FF": Message(
        uugreen.READ_ACKNOWLEDGED, uugreen.CURRENT, 1, -1, group=2, serial=0x2A5F
    ),
    "02004000 01 04": Message(uugreen.SET_ACKNOWLEDGED, uugreen.SHUTDOWN, 1, monitor=0),
}


@pytest.mark.parametrize(("text", "message"), FRAMES.items(), ids=FRAMES)
def test_a_message_is_its_frame_in_both_directions(text: str, message: Message) -> None:
    assert framed(message) == frame(text)
    assert read(frame(text)) == message


@pytest.mark.parametrize(
    ("sent", "frames"),
    [
        (CODEC.switched(1, on=True), ["02204000 00 04 00 00 00 00 00 00"]),
        (CODEC.switched(1, on=False), ["02204000 00 04 00 00 00 00 00 01"]),
        (CODEC.switched(None, on=False), ["02200000 00 04 00 00 00 00 00 01"]),
        (
            CODEC.output(1, 500, 50),
            ["02204000 00 03 00 00 00 00 C3 50", "02204000 00 02 00 00 00 07 A1 20"],
        ),
        (UUGreen().ranged(1, high=True), ["02204000 00 5F 00 00 00 00 00 01"]),
        (UUGreen().ranged(1, high=False), ["02204000 00 5F 00 00 00 00 00 02"]),
        (CODEC.polls(1), ["02204000 02 00", "02204000 02 01"]),
    ],
    ids=str,
)
def test_what_the_controller_sends(sent: tuple[CanFrame, ...], frames: list[str]) -> None:
    assert list(sent) == [frame(text) for text in frames]


@given(st.floats(0, 1000), st.floats(0, 100))
def test_what_is_set_is_never_above_what_was_meant(voltage_v: float, current_a: float) -> None:
    amps, volts = CODEC.output(1, voltage_v, current_a)
    assert int.from_bytes(volts.data[4:]) <= voltage_v * 1000
    assert int.from_bytes(amps.data[4:]) <= current_a * 1000


@pytest.mark.parametrize(
    ("voltage_v", "current_a"), [(-1, 0), (0, -1), (float("nan"), 0), (3e6, 0)]
)
def test_an_output_that_cannot_be_said_is_not_sent(voltage_v: float, current_a: float) -> None:
    with pytest.raises(ValueError, match="cannot be set"):
        CODEC.output(1, voltage_v, current_a)


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        ("02204000 03 00 00 00 00 07 A0 58", [Voltage(1, 499.8)]),
        ("02206A5F 23 01 00 00 00 00 C3 50", [Current(1, 50.0)]),
        ("02004000 03 01 00 00 FF FF FF 9C", [Current(1, -0.1)]),
        ("02204000 01 02 00 00 00 07 A1 20", [Accepted(1)]),
        ("02204000 02 00", []),  # a request
        ("02204000 03 08 00 00 00 00 00 01", []),  # flags without a meaning
        ("02200000 03 00 00 00 00 07 A0 58", []),  # of no module
        ("02404000 03 00 00 00 00 07 A0 58", []),  # to another monitor
        ("0283F000 43 F9 E6 66 41 C4 00 00", []),  # group 4, to another monitor
        ("060F8000 41 F0 00 01 43 FA 00 00", []),  # of another protocol
    ],
)
def test_what_a_module_says(text: str, reports: list[Report]) -> None:
    assert list(CODEC.heard(frame(text))) == reports


def test_a_short_frame_says_nothing() -> None:
    assert CODEC.heard(CanFrame(0x02204000, bytes.fromhex("030000000007A0"))) == ()
