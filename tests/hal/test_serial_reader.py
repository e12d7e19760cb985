"""Readers that talk by themselves, on a pseudo-terminal, and what their bytes mean."""

import asyncio
import os
import re

import pytest

from hal.bus.serial_line import LineSettings
from hal.drivers.serial_reader import (
    ABSENT_S,
    MOST_BUFFERED,
    Presence,
    Rdm6300,
    SerialReader,
    TextLines,
)
from hal.drivers.uid import UidFormat
from hal.errors import BusError
from hal.sim.readers import SimulatedRdm6300, pty_pair, rdm6300_frame
from hal.types import IdToken, TokenType
from tests.support.contract_hal import Recorder

KIND = TokenType.LOCAL
FRAME = bytes.fromhex("0231303030383646343434323603")  # hardware reference 5.2
SECOND = rdm6300_frame(bytes.fromhex("010063E9AE"))


def rdm6300(**more: object) -> Rdm6300:
    return Rdm6300(UidFormat(notation="dec10"), KIND, **more)  # type: ignore[arg-type]


def test_the_examples_of_the_maker_are_read() -> None:
    assert SECOND[11:13] == b"25"
    assert rdm6300().fed(FRAME + SECOND) == [
        IdToken("0008844356", KIND),
        IdToken("0006547886", KIND),
    ]


def test_the_version_byte_may_belong_to_the_id() -> None:
    framing = Rdm6300(UidFormat(), KIND, with_version=True)
    assert framing.fed(FRAME) == [IdToken("100086F444", KIND)]


def test_a_frame_may_arrive_byte_by_byte_and_after_noise() -> None:
    framing = rdm6300()
    found = [token for byte in b"\x03\x0212" + FRAME for token in framing.fed(bytes((byte,)))]
    assert found == [IdToken("0008844356", KIND)]


@pytest.mark.parametrize("at", range(1, 13))
def test_a_frame_with_a_wrong_digit_is_dropped(at: int) -> None:
    broken = bytearray(FRAME)
    broken[at] = ord("9") if broken[at] != ord("9") else ord("8")
    assert rdm6300().fed(bytes(broken)) == []


def test_endless_noise_is_not_kept() -> None:
    framing = rdm6300()
    for _ in range(100):
        framing.fed(b"\x02" * 50)
    assert len(framing._buffer) < len(FRAME)
    assert framing.fed(FRAME) == [IdToken("0008844356", KIND)]


TEXT = re.compile(r"(?:UID=)?(?P<id>[0-9A-F]{8})")


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b"UID=04A1B2C3\r\n", ["04A1B2C3"]),
        (b"04A1B2C3\n\n0BADCAFE\r", ["04A1B2C3", "0BADCAFE"]),
        (b"\x0204A1B2C3\x03\r\n", ["04A1B2C3"]),
        (b"04A1B2C3", []),
        (b"04A1B2C3 and more\n", []),
        (b"\xff\xfe04A1B2C3\n", []),
    ],
    ids=["named", "two", "framed", "no end", "no match", "no text"],
)
def test_a_line_that_matches_is_a_card(data: bytes, values: list[str]) -> None:
    assert [token.value for token in TextLines(TEXT, KIND).fed(data)] == values


def test_the_whole_line_is_the_id_of_a_pattern_without_a_group() -> None:
    framing = TextLines(re.compile("[0-9]+"), KIND, prefix="K-")
    assert framing.fed(b"12\n34") == [IdToken("K-12", KIND)]
    assert framing.fed(b"56\n") == [IdToken("K-3456", KIND)]


def test_a_line_that_never_ends_is_forgotten() -> None:
    framing = TextLines(TEXT, KIND)
    framing.fed(b"x" * (MOST_BUFFERED + 1))
    assert framing._buffer == b""
    assert framing.fed(b"04A1B2C3\n") == [IdToken("04A1B2C3", KIND)]


def test_a_card_that_stays_is_one_tap() -> None:
    presence, card, other = Presence(), IdToken("A"), IdToken("B")
    assert presence.is_new(card, 10.0)
    assert not presence.is_new(card, 10.1)
    assert not presence.is_new(card, 10.1 + ABSENT_S - 0.1)
    assert presence.is_new(card, 20.0)
    assert presence.is_new(other, 20.1)
    assert presence.is_new(card, 20.2)


async def heard(recorder: Recorder, count: int) -> list[IdToken]:
    await recorder.until(lambda _: len(recorder.tokens) >= count)
    return recorder.tokens


def test_a_card_before_a_real_line_is_one_token_and_an_unplugged_adapter_an_error() -> None:
    async def story() -> None:
        recorder = Recorder()
        with pty_pair() as (device, path):
            reader = SerialReader(LineSettings(path), rdm6300)
            running = asyncio.create_task(reader.run(recorder))
            sim = SimulatedRdm6300(device)
            sim.card = bytes.fromhex("100086F444")
            assert await heard(recorder, 1) == [IdToken("0008844356", KIND)]
            sim.card = bytes.fromhex("010063E9AE")
            assert await heard(recorder, 2) == [
                IdToken("0008844356", KIND),
                IdToken("0006547886", KIND),
            ]
            sim.close()
            os.close(device)
            with pytest.raises(BusError, match=path):
                await running
            assert len(recorder.tokens) == 2

    asyncio.run(story())
