"""Frames of the hardware reference, section 4.2, byte for byte in both directions."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.protocols.mxr import DPM1000, EVERY, WINLINE, Message, Mxr, framed, read
from hal.protocols.power_module import (
    Accepted,
    Alarm,
    Codec,
    Condition,
    Current,
    Refused,
    Report,
    Temperature,
    Voltage,
)
from hal.types import CanFrame
from tests.support.can_frames import frame

WIN: Codec = Mxr(WINLINE, rated_a=40)
DPM: Codec = Mxr(DPM1000, rated_a=40)


FRAMES = {
    "06080780 10 00 00 01": Message(0x10, 0x0001, 0, 0xF0),
    "06080F80 10 00 00 01": Message(0x10, 0x0001, 1, 0xF0),
    "0607FF80 03 00 00 30": Message(0x03, 0x0030, EVERY, 0xF0),
    "06080783 01 F0 00 01": Message(0x01, 0x0001, 0, 0xF0, status=0xF0, tail=3),
    "060F8000 41 F0 00 01 43 FA 00 00": Message(
        0x41, 0x0001, 0xF0, 0, struct.pack(">f", 500), status=0xF0
    ),
    "060F8008 42 F0 00 40 00 40 00 00": Message(
        0x42, 0x0040, 0xF0, 1, bytes.fromhex("00400000"), status=0xF0
    ),
}


@pytest.mark.parametrize(("text", "message"), FRAMES.items(), ids=FRAMES)
def test_a_message_is_its_frame_in_both_directions(text: str, message: Message) -> None:
    assert framed(message) == frame(text)
    assert read(frame(text)) == message


@pytest.mark.parametrize(
    ("sent", "frames"),
    [
        (WIN.switched(0, on=True), ["06080780 03 00 00 30 00 00 00 00"]),
        (WIN.switched(0, on=False), ["06080780 03 00 00 30 00 01 00 00"]),
        (WIN.switched(None, on=False), ["0607FF80 03 00 00 30 00 01 00 00"]),
        (
            WIN.output(0, 500, 20),
            ["06080780 03 00 00 1B 00 00 50 00", "06080780 03 00 00 21 43 FA 00 00"],
        ),
        (
            DPM.output(0, 500, 20),
            ["06080783 03 F0 00 22 3F 00 00 00", "06080783 03 F0 00 21 43 FA 00 00"],
        ),
        (
            WIN.polls(0),
            ["06080780 10 00 00 01", "06080780 10 00 00 02", "06080780 10 00 00 40"],
        ),
        (
            DPM.polls(0),
            ["06080783 01 F0 00 01", "06080783 01 F0 00 02", "06080783 01 F0 00 40"],
        ),
    ],
    ids=str,
)
def test_what_the_controller_sends(sent: tuple[CanFrame, ...], frames: list[str]) -> None:
    assert list(sent) == [frame(text) for text in frames]


@given(st.floats(0, 1000), st.floats(0, 40))
def test_what_is_set_is_never_above_what_was_meant(voltage_v: float, current_a: float) -> None:
    _, volts = WIN.output(0, voltage_v, current_a)
    assert struct.unpack(">f", volts.data[4:])[0] <= voltage_v
    point, _ = DPM.output(0, voltage_v, current_a)
    assert struct.unpack(">f", point.data[4:])[0] <= current_a / 40


@pytest.mark.parametrize("codec", [WIN, DPM], ids=["winline", "dpm1000"])
@pytest.mark.parametrize(
    ("voltage_v", "current_a"),
    [(-1, 0), (float("nan"), 0), (float("inf"), 0), (0, -1), (0, float("nan")), (0, 5e6)],
)
def test_an_output_that_cannot_be_said_is_not_sent(
    codec: Codec, voltage_v: float, current_a: float
) -> None:
    with pytest.raises(ValueError, match="cannot be set"):
        codec.output(0, voltage_v, current_a)


def test_a_current_point_is_never_more_than_the_rated_current() -> None:
    assert DPM.output(0, 0, 40)[0] == frame("06080783 03 F0 00 22 3F 80 00 00")
    with pytest.raises(ValueError, match=r"40\.1 A cannot be set: 0 to 40"):
        DPM.output(0, 0, 40.1)


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        ("060F8000 41 F0 00 01 43 FA 00 00", [Voltage(0, 500.0)]),
        ("060F8008 41 F0 00 02 41 A0 00 00", [Current(1, 20.0)]),
        ("060F8008 41 F0 00 04 42 04 00 00", [Temperature(1, 33.0)]),
        ("060F8000 42 F0 00 40 00 40 00 00", [Condition(0, False, frozenset())]),
        ("060F8003 41 F0 00 40 00 00 00 00", [Condition(0, True, frozenset())]),
        ("060F8003 43 F0 00 21 43 FA 00 00", [Accepted(0)]),
        ("060F8008 42 F0 00 30 00 00 00 00", [Accepted(1)]),
        ("060F8000 41 F2 00 01", [Refused(0, 0xF2)]),
        ("060F8000 C1 F0 00 01", [Refused(0, 0xF0)]),
        ("060F8000 41 F0 00 01 7F C0 00 00", []),  # not a number
        ("060F8000 42 F0 00 01 43 FA 00 00", []),  # a voltage is no integer
        ("060F8000 41 F0 00 99", []),
        (
            "06078000 41 F0 00 01 43 FA 00 00",
            [Voltage(0, 500.0)],
        ),  # without the bit for one module
        ("060F8800 41 F0 00 01 43 FA 00 00", []),  # to another controller
        ("060F8780 41 F0 00 01 43 FA 00 00", []),  # of a controller
        ("0283F000 43 F9 E6 66 41 C4 00 00", []),  # of another protocol
    ],
)
def test_what_a_module_says(text: str, reports: list[Report]) -> None:
    assert list(WIN.heard(frame(text))) == reports


def test_a_short_frame_says_nothing() -> None:
    assert WIN.heard(CanFrame(0x060F8000, bytes.fromhex("41F0000143FA00"))) == ()


ALARMS = {
    0: Alarm.FAULT,
    1: Alarm.PROTECTION,
    2: Alarm.FUSE,
    3: Alarm.INTERNAL_COMMUNICATION,
    4: Alarm.INPUT_MODE,
    5: Alarm.INPUT_MODE,
    6: Alarm.INTERNAL_BUS,
    7: Alarm.INTERNAL_BUS,
    8: Alarm.PFC,
    9: Alarm.INPUT_OVER_VOLTAGE,
    10: Alarm.ADDRESS_DUPLICATE,
    11: Alarm.INTERNAL_BUS,
    12: Alarm.INPUT_PHASE_LOST,
    14: Alarm.INPUT_UNDER_VOLTAGE,
    16: Alarm.COMMUNICATION_LOST,
    17: Alarm.LOAD_SHARING,
    19: Alarm.PFC_OFF,
    21: Alarm.FAN,
    23: Alarm.POWER_LIMITED,
    24: Alarm.TEMPERATURE_DERATED,
    25: Alarm.INPUT_LIMITED,
    26: Alarm.MEMORY,
    27: Alarm.FAN,
    28: Alarm.OUTPUT_SHORT,
    29: Alarm.MEMORY,
    30: Alarm.OVER_TEMPERATURE,
    31: Alarm.OUTPUT_OVER_VOLTAGE,
}


@pytest.mark.parametrize("bit", range(32))
def test_each_bit_of_the_alarms_is_its_alarm(bit: int) -> None:
    data = bytes.fromhex("42F00040") + (1 << bit).to_bytes(4)
    alarms = frozenset({ALARMS[bit]} if bit in ALARMS else ())
    assert WIN.heard(CanFrame(0x060F8000, data)) == (Condition(0, bit != 22, alarms),)
