"""Frames of the hardware reference, section 4.4, byte for byte in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.protocols import r48xx
from hal.protocols.power_module import (
    Accepted,
    Codec,
    Current,
    Refused,
    Report,
    Temperature,
    Voltage,
)
from hal.protocols.r48xx import Message, R48xx, framed, read
from hal.types import CanFrame
from tests.support.can_frames import frame

CODEC: Codec = R48xx(counts_per_a=20)

FRAMES = {
    "108140FE": Message(r48xx.REQUEST, 1),
    "108040FE": Message(r48xx.REQUEST, 0),
    "108180FE 01 00 00 00 00 00 D6 00": Message(r48xx.SET, 1, r48xx.SET_VOLTAGE, 0xD600),
    "108080FE 01 32 00 01": Message(r48xx.SET, 0, r48xx.STANDBY, detail=1),
    "1081407F 01 75 00 00 00 00 D5 C8": Message(
        r48xx.REQUEST, 1, r48xx.VOLTAGE, 0xD5C8, is_request=False, is_more=True
    ),
    "1081407E 01 81 00 00 00 00 07 B2": Message(
        r48xx.REQUEST, 1, r48xx.CURRENT, 0x7B2, is_request=False
    ),
    "1081807E 21 00 00 00 00 00 D6 00": Message(
        r48xx.SET, 1, r48xx.SET_VOLTAGE, 0xD600, error=2, is_request=False
    ),
}


@pytest.mark.parametrize(("text", "message"), FRAMES.items(), ids=FRAMES)
def test_a_message_is_its_frame_in_both_directions(text: str, message: Message) -> None:
    assert framed(message) == frame(text)
    assert read(frame(text)) == message


@pytest.mark.parametrize(
    ("sent", "frames"),
    [
        (CODEC.switched(1, on=True), ["108180FE 01 32 00 00 00 00 00 00"]),
        (CODEC.switched(1, on=False), ["108180FE 01 32 00 01 00 00 00 00"]),
        (CODEC.switched(None, on=False), ["108080FE 01 32 00 01 00 00 00 00"]),
        (
            CODEC.output(1, 53.5, 25),
            ["108180FE 01 03 00 00 00 00 01 F4", "108180FE 01 00 00 00 00 00 D6 00"],
        ),
        (CODEC.polls(0), ["108040FE"]),
    ],
    ids=str,
)
def test_what_the_controller_sends(sent: tuple[CanFrame, ...], frames: list[str]) -> None:
    assert list(sent) == [frame(text) for text in frames]


@pytest.mark.parametrize(("counts_per_a", "value"), [(20, 500), (30, 750), (20.48, 512)])
def test_a_current_is_counted_as_the_model_does(counts_per_a: float, value: int) -> None:
    amps, _ = R48xx(counts_per_a).output(1, 48, 25)
    assert int.from_bytes(amps.data[4:]) == value


@given(st.floats(r48xx.MIN_V, r48xx.MAX_V), st.floats(0, 62.5))
def test_what_is_set_is_never_above_what_was_meant(voltage_v: float, current_a: float) -> None:
    amps, volts = CODEC.output(1, voltage_v, current_a)
    assert int.from_bytes(volts.data[4:]) <= voltage_v * 1024
    assert int.from_bytes(amps.data[4:]) <= current_a * 20


@pytest.mark.parametrize(
    ("voltage_v", "current_a"),
    [(41.4, 0), (58.6, 0), (float("nan"), 0), (48, -1), (48, float("nan")), (48, 4000)],
)
def test_an_output_that_cannot_be_said_is_not_sent(voltage_v: float, current_a: float) -> None:
    with pytest.raises(ValueError, match="cannot be set"):
        CODEC.output(1, voltage_v, current_a)


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        ("1081407F 01 75 00 00 00 00 D5 C8", [Voltage(1, 53.4453125)]),
        ("1081407E 01 81 00 00 00 00 07 B2", [Current(1, 1.923828125)]),
        ("1081407F 01 7F 00 00 FF FF F8 00", [Temperature(1, -2.0)]),
        ("1081407F 01 70 00 00 00 01 A6 84", []),  # input power
        ("1081807E 01 00 00 00 00 00 D6 00", [Accepted(1)]),
        ("1081807E 21 00 00 00 00 00 D6 00", [Refused(1, 2)]),
        ("108140FE 01 75 00 00 00 00 D5 C8", []),  # a request
        ("1080407F 01 75 00 00 00 00 D5 C8", []),  # of no module
        ("1081D27F 01 75 00 00 00 00 D5 C8", []),  # a description
        ("1001117E 00 00 00 00 00 00 00 28", []),  # unsolicited, another protocol number
        ("0681407C 01 91 00 00 01 2A 0F 9F", []),  # a 1000 V module
    ],
)
def test_what_a_module_says(text: str, reports: list[Report]) -> None:
    assert list(CODEC.heard(frame(text))) == reports


def test_a_short_frame_says_nothing() -> None:
    assert CODEC.heard(CanFrame(0x1081407E, bytes.fromhex("017500000000D5"))) == ()
