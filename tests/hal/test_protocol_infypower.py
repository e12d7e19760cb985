"""Frames of the hardware reference, section 4.1, byte for byte in both directions."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.protocols import infypower
from hal.protocols.infypower import Infypower, Message, barcode_of, framed, read
from hal.protocols.power_module import (
    Accepted,
    Alarm,
    Codec,
    Condition,
    Current,
    Rating,
    Refused,
    Report,
    Temperature,
    Voltage,
)
from hal.types import CanFrame
from tests.support.can_frames import frame

CODEC: Codec = Infypower()

FRAMES = {
    "02823FF0": Message(infypower.MODULE_COUNT, 0x3F, 0xF0),
    "02C201F0": Message(infypower.MODULE_COUNT, 1, 0xF0, is_group=True),
    "02C2F001 00 00 06": Message(
        infypower.MODULE_COUNT, 0xF0, 1, bytes((0, 0, 6, 0, 0, 0, 0, 0)), is_group=True
    ),
    "028300F0": Message(infypower.OUTPUT, 0, 0xF0),
    "0283F000 43F9E66641C40000": Message(
        infypower.OUTPUT, 0xF0, 0, bytes.fromhex("43F9E66641C40000")
    ),
    "028C00F0": Message(infypower.EXTERNAL, 0, 0xF0),
    "029400F0 01": Message(infypower.IDENTIFY, 0, 0xF0, b"\1" + bytes(7)),
    "0E9AF002": Message(infypower.SWITCH, 0xF0, 2, error=3),
    "1E9AF002": Message(infypower.SWITCH, 0xF0, 2, error=7),
}


@pytest.mark.parametrize(("text", "message"), FRAMES.items(), ids=FRAMES)
def test_a_message_is_its_frame_in_both_directions(text: str, message: Message) -> None:
    assert framed(message) == frame(text)
    assert read(frame(text)) == message


@given(
    st.integers(0, 0x3F),
    st.integers(0, 0xFF),
    st.integers(0, 0xFF),
    st.binary(min_size=8, max_size=8),
    st.integers(0, 7),
    st.booleans(),
)
def test_every_message_comes_back(
    command: int, destination: int, source: int, data: bytes, error: int, is_group: bool
) -> None:
    message = Message(command, destination, source, data, error, is_group)
    assert framed(message).can_id < 1 << 29
    assert read(framed(message)) == message


@pytest.mark.parametrize(
    ("sent", "frames"),
    [
        (CODEC.switched(None, on=True), ["029A3FF0"]),
        (CODEC.switched(0, on=True), ["029A00F0"]),
        (CODEC.switched(None, on=False), ["029A3FF0 01"]),
        (CODEC.output(None, 500, 50), ["029C3FF0 00 07 A1 20 00 00 C3 50"]),
        (CODEC.output(None, 750, 15), ["029C3FF0 00 0B 71 B0 00 00 3A 98"]),
        (CODEC.output(2, 500, 50), ["029C02F0 00 07 A1 20 00 00 C3 50"]),
        (Infypower().walked_in(None, on=True), ["02933FF0 01"]),
        (Infypower().walked_in(None, on=False), ["02933FF0 00"]),
        (Infypower().discovery(0), ["028A00F0"]),
        (CODEC.polls(0), ["028300F0", "028400F0"]),
    ],
    ids=str,
)
def test_what_the_controller_sends(sent: tuple[CanFrame, ...], frames: list[str]) -> None:
    assert list(sent) == [frame(text) for text in frames]


@pytest.mark.parametrize(
    ("voltage_v", "current_a"), [(-1, 0), (0, -1), (float("nan"), 0), (5e6, 0)]
)
def test_an_output_that_cannot_be_said_is_not_sent(voltage_v: float, current_a: float) -> None:
    with pytest.raises(ValueError, match="cannot be set"):
        CODEC.output(0, voltage_v, current_a)


def test_a_module_says_its_voltage_and_current() -> None:
    voltage, current = CODEC.heard(frame("0283F000 43 F9 E6 66 41 C4 00 00"))
    assert voltage == Voltage(0, pytest.approx(499.8))
    assert current == Current(0, 24.5)


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        ("028AF000 03E8009603E80BB8", [Rating(0, 150, 1000, 100.0, 30_000)]),
        (
            "0284F000 00 00 02 00 1B 00 40 00",
            [Temperature(0, 27), Condition(0, True, frozenset(), group=2, is_walk_in=True)],
        ),
        ("029AF000", [Accepted(0)]),
        ("029CF002", [Accepted(2)]),
        ("0293F002", [Accepted(2)]),
        ("0E9CF002", [Refused(2, 3)]),
    ],
)
def test_what_a_module_says(text: str, reports: list[Report]) -> None:
    assert list(CODEC.heard(frame(text))) == reports


ALARMS = {
    5: [
        Alarm.POWER_LIMITED,
        Alarm.ADDRESS_DUPLICATE,
        Alarm.LOAD_SHARING,
        Alarm.INPUT_PHASE_LOST,
        Alarm.INPUT_UNBALANCED,
        Alarm.INPUT_UNDER_VOLTAGE,
        Alarm.INPUT_OVER_VOLTAGE,
        Alarm.PFC_OFF,
    ],
    6: [
        None,
        Alarm.FAULT,
        Alarm.PROTECTION,
        Alarm.FAN,
        Alarm.OVER_TEMPERATURE,
        Alarm.OUTPUT_OVER_VOLTAGE,
        None,
        Alarm.COMMUNICATION_LOST,
    ],
    7: [Alarm.OUTPUT_SHORT, None, None, None, None, Alarm.DISCHARGE, None, None],
}


@pytest.mark.parametrize(
    ("byte", "bit", "alarm"),
    [(byte, bit, alarm) for byte, row in ALARMS.items() for bit, alarm in enumerate(row)],
)
def test_each_bit_of_the_status_is_its_alarm(byte: int, bit: int, alarm: Alarm | None) -> None:
    data = bytes(1 << bit if at == byte else 0 for at in range(8))
    _, condition = CODEC.heard(CanFrame(0x0284F000, data))
    assert isinstance(condition, Condition)
    assert condition.alarms == ({alarm} if alarm else set())
    assert condition.is_on == ((byte, bit) != (6, 0))
    assert condition.is_walk_in == ((byte, bit) == (6, 6))


def test_a_module_may_be_colder_than_freezing() -> None:
    assert CODEC.heard(frame("0284F000 00 00 00 00 EC"))[0] == Temperature(0, -20)


@pytest.mark.parametrize(
    "said",
    [
        frame("0283F100 43F9E66641C40000"),  # to another controller
        frame("02C3F000 43F9E66641C40000"),  # of a group
        frame("0283F03F 43F9E66641C40000"),  # of all
        frame("060F8000 41F0000143FA0000"),  # of another protocol
        frame("0282F000"),  # not asked for
        CanFrame(0x0283F000, bytes(7)),
        CanFrame(0x0283F000, b""),
        CanFrame(0x0283F000, struct.pack(">ff", float("nan"), float("inf"))),
    ],
    ids=str,
)
def test_what_says_nothing_to_this_controller(said: CanFrame) -> None:
    assert CODEC.heard(said) == ()


@pytest.mark.parametrize(
    ("data", "barcode"),
    [
        ("56130C15A3FB06A8", "081807123451V1704"),
        ("56E8D4A5100006A8", None),  # thirteen digits
        ("56130C15A3FB2710", None),  # five digits
        ("00130C15A3FB06A8", None),
        ("E9130C15A3FB06A8", None),
    ],
)
def test_the_barcode_of_a_module(data: str, barcode: str | None) -> None:
    assert barcode_of(bytes.fromhex(data)) == barcode
