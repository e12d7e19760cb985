"""Readers that type: what their events mean, and what happens to the device."""

import asyncio
import os
import re
import struct

import pytest

from hal.drivers.hid_reader import (
    FORGOTTEN_S,
    MOST_TYPED,
    HidReader,
    Keyboard,
    TypedNumber,
    TypedText,
    grab,
    keys,
)
from hal.drivers.uid import UidFormat
from hal.errors import BusError
from hal.sim.readers import EV_KEY, EV_SYN, KEY_ENTER, SYN_DROPPED, SimulatedKeyboard
from hal.types import IdToken, TokenType
from tests.support import vloop
from tests.support.contract_hal import Recorder, served

KIND = TokenType.LOCAL
ANY = TypedText(re.compile(".+"), KIND)
SHIFT, RIGHT_SHIFT, KEYPAD_ENTER = 42, 54, 96


def event(kind: int, code: int, value: int) -> bytes:
    return struct.pack("@llHHi", 1_764_000_000, 250_000, kind, code, value)


def press(*codes: int) -> bytes:
    return b"".join(
        event(EV_KEY, code, value) + event(EV_SYN, 0, 0) for code in codes for value in (1, 0)
    )


@pytest.mark.parametrize("enter", [KEY_ENTER, KEYPAD_ENTER])
def test_what_is_typed_up_to_enter_is_a_line(enter):
    keyboard = Keyboard("us")
    assert keyboard.fed(press(11, 9, 10, enter, 2, enter)) == ["089", "1"]
    assert keyboard.fed(press(82, 79, 71, enter)) == ["017"]  # the keypad


@pytest.mark.parametrize("shift", [SHIFT, RIGHT_SHIFT])
def test_shift_holds_from_its_press_to_its_release(shift):
    data = press(30) + event(EV_KEY, shift, 1) + press(30, 48)
    data += event(EV_KEY, shift, 0) + press(46, KEY_ENTER)
    assert Keyboard("us").fed(data) == ["aABc"]


def test_a_key_that_is_held_is_one_letter():
    data = event(EV_KEY, 2, 1) + event(EV_KEY, 2, 2) * 20 + event(EV_KEY, 2, 0)
    assert Keyboard("us").fed(data + press(KEY_ENTER)) == ["1"]


def test_events_may_come_in_pieces():
    keyboard, data = Keyboard("us"), press(2, 3, 4, KEY_ENTER)
    found = [line for at in range(len(data)) for line in keyboard.fed(data[at : at + 1])]
    assert found == ["123"]


def test_keys_that_type_nothing_are_passed_over():
    assert Keyboard("us").fed(press(59, 105, 2, 29, 3, 125, KEY_ENTER)) == ["12"]


def test_a_line_of_which_the_kernel_lost_keys_is_none():
    keyboard = Keyboard("us")
    data = press(2, 3) + event(EV_SYN, SYN_DROPPED, 0) + press(4, KEY_ENTER)
    assert keyboard.fed(data) == []
    assert keyboard.fed(press(5, KEY_ENTER)) == ["4"]


def test_what_never_ends_is_bounded_and_no_line():
    keyboard = Keyboard("us")
    assert keyboard.fed(press(*[2] * 10_000)) == []
    assert len(keyboard._text) == MOST_TYPED + 1
    assert keyboard.fed(press(KEY_ENTER, 3, KEY_ENTER)) == ["2"]


@pytest.mark.parametrize(
    ("layout", "codes", "typed"),
    [
        ("us", (21, 44, 12, 39), "yz-;"),
        ("de", (21, 44, 53), "zy-"),
        ("fr", (16, 30, 44, 39), "aqwm"),
        ("fr", (2, 3, 11), "&éà"),
    ],
)
def test_the_place_of_a_letter_depends_on_the_layout(layout, codes, typed):
    assert Keyboard(layout).fed(press(*codes, KEY_ENTER)) == [typed]


def test_a_french_keyboard_types_digits_with_shift():
    data = event(EV_KEY, SHIFT, 1) + press(11, 5, 16) + event(EV_KEY, SHIFT, 0)
    assert Keyboard("fr").fed(data + press(KEY_ENTER)) == ["04A"]


@pytest.mark.parametrize("layout", ["us", "de", "fr"])
def test_every_layout_has_all_letters_and_digits_once(layout):
    both = [letter for pair in keys(layout).values() for letter in pair]
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
        assert both.count(letter) == 1
    for digit in "0123456789":
        assert both.count(digit) == 3  # above the letters, and on the keypad with and without


@pytest.mark.parametrize(
    ("pattern", "line", "value"),
    [
        ("[0-9]{4}", "0042", "F-0042"),
        ("[0-9]{4}", "42", None),
        (r";(?P<id>\d+)\?", ";0042?", "F-0042"),
        (".*", "", "F-"),
        (".*", "x" * 34, "F-" + "x" * 34),
        (".*", "x" * 35, None),  # longer than an id token may be
    ],
)
def test_a_line_is_the_id_or_holds_it(pattern, line, value):
    found = TypedText(re.compile(pattern), KIND, "F-")(line)
    assert found == (None if value is None else IdToken(value, KIND))


@pytest.mark.parametrize(
    ("base", "line", "value"),
    [
        ("dec", "0008844356", "0086F444"),  # hardware reference 5.2
        ("dec", "4294967295", "FFFFFFFF"),
        ("dec", "4294967296", None),
        ("dec", "-1", None),
        ("dec", "12 3", None),
        ("dec", "", None),
        ("hex", "04a1b2c3d4e5f6", "04A1B2C3D4E5F6"),
        ("hex", "04A", None),
        ("hex", "0G", None),
        ("hex", "", None),
    ],
)
def test_a_number_is_the_uid(base, line, value):
    found = TypedNumber(base, UidFormat(), KIND, size=4)(line)
    assert found == (None if value is None else IdToken(value, KIND))


def test_half_a_card_is_not_the_beginning_of_the_next(tmp_path):
    async def main():
        keyboard = SimulatedKeyboard(tmp_path / "event0")
        reader = HidReader(str(tmp_path / "event0"), ANY, grab=lambda _: None)
        async with served(reader) as recorder:
            await asyncio.sleep(0.1)
            keyboard.press(2)
            await asyncio.sleep(FORGOTTEN_S + 0.1)
            keyboard.enter("04a1")
            await recorder.until(lambda now: now.tokens)
        assert recorder.tokens == [IdToken("04A1", KIND)]
        keyboard.close()

    vloop.run(main())


def test_the_device_is_grabbed_and_let_go(tmp_path):
    grabbed: list[int] = []

    async def main():
        keyboard = SimulatedKeyboard(tmp_path / "event0")
        reader = HidReader(str(tmp_path / "event0"), ANY, grab=grabbed.append)
        async with served(reader):
            await asyncio.sleep(0.1)
            os.fstat(grabbed[0])
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(grabbed[0])
        keyboard.close()

    vloop.run(main())


def test_what_is_no_input_device_cannot_be_grabbed(tmp_path):
    async def main():
        keyboard = SimulatedKeyboard(tmp_path / "event0")
        with pytest.raises(BusError, match="event0: cannot be grabbed: Inappropriate ioctl"):
            await HidReader(str(tmp_path / "event0"), ANY).run(Recorder())
        keyboard.close()
        with pytest.raises(BusError, match="event1: No such file"):
            await HidReader(str(tmp_path / "event1"), ANY).run(Recorder())

    vloop.run(main())


def test_grabbing_asks_the_kernel(monkeypatch):
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr("fcntl.ioctl", lambda *request: asked.append(request))
    grab(7)
    assert asked == [(7, 0x40044590, 1)]  # _IOW('E', 0x90, int)
