"""Readers in a board file, from their line to the driver that comes of it."""

import asyncio
from pathlib import Path

import pytest

from hal.board import build
from hal.board_file import check_board, load_board
from hal.drivers.hid_reader import HidReader
from hal.sim.readers import SimulatedPn532, SimulatedRdm6300, pty_pair
from hal.types import IdToken, TokenType
from tests.support.contract_hal import Recorder

BOARD = """\
[port.bus]
driver = "modbus_serial"
path   = "/dev/ttyS0"

[[evse]]
id         = 1
max_a      = 32
phases     = 3
meter      = { driver = "modbus_meter", port = "bus", map = "eastron-sdm630" }
controller = { driver = "simulated" }
"""


def board(directory: Path, reader: str) -> Path:
    path = directory / "board.toml"
    path.write_text(f"{BOARD}reader     = {reader}\n")
    return path


@pytest.mark.parametrize(
    ("reader", "says"),
    [
        ('{ driver = "pn532" }', "path"),
        ('{ driver = "pn532", path = "/dev/x", format = "octal" }', "hex"),
        ('{ driver = "pn532", path = "/dev/x", prefix = "two words" }', "prefix"),
        ('{ driver = "rdm6300", path = "/dev/x", baudrate = 1 }', "300"),
        ('{ driver = "rdm6300", path = "/dev/x", type = "EM4100" }', "ISO14443"),
        ('{ driver = "serial_text", path = "/dev/x", pattern = "(" }', "regular expression"),
        ('{ driver = "pn532", path = "/dev/ttyS0" }', "/dev/ttyS0 belongs to port bus"),
        ('{ driver = "hid_keyboard", path = "/dev/ttyS0" }', "/dev/ttyS0 belongs to port bus"),
        ('{ driver = "hid_keyboard", path = "/dev/x", layout = "dvorak" }', "us"),
        ('{ driver = "hid_keyboard", path = "/dev/x", pattern = "(" }', "regular expression"),
        (
            '{ driver = "hid_keyboard", path = "/dev/x", format = "dec10" }',
            'needs number = "hex"',
        ),
        (
            '{ driver = "hid_keyboard", path = "/dev/x", byte_order = "reversed" }',
            "needs number",
        ),
        ('{ driver = "hid_keyboard", path = "/dev/x", number = "dec", size = 3 }', "4"),
        ('{ driver = "wiegand", path = "/dev/x" }', "rdm6300"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, reader: str, says: str) -> None:
    [problem] = check_board(board(tmp_path, reader))
    assert problem.line == 11
    assert says in problem.message


def test_two_readers_do_not_share_a_line(tmp_path: Path) -> None:
    reader = '{ driver = "pn532", path = "/dev/ttyUSB0" }'
    path = board(tmp_path, reader)
    second = BOARD[BOARD.index("[[evse]]") :].replace("= 1\n", "= 2\n", 1)
    second = second.replace('port = "bus"', 'port = "bus", unit = 2')
    path.write_text(f"{path.read_text()}\n{second}reader     = {reader}\n")
    [problem] = check_board(path)
    assert "/dev/ttyUSB0 belongs to the reader of EVSE 1: a line has one owner" in str(problem)


def tapped(directory: Path, reader: str, tap: object) -> list[IdToken]:
    """Return the tokens that a board's reader hears of what happens on its line."""

    async def story() -> list[IdToken]:
        recorder = Recorder()
        with pty_pair() as (device, path):
            hardware = build(
                load_board(board(directory, reader.replace("PATH", path))),
                state_directory=directory,
            )
            [driver] = hardware.evses[0].readers
            running = asyncio.create_task(driver.run(recorder))
            end = tap(device)  # type: ignore[operator]
            await recorder.until(lambda _: recorder.tokens)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            end()
            await hardware.close()
        return recorder.tokens

    return asyncio.run(story())


def test_a_pn532_is_built_with_its_way_of_writing(tmp_path: Path) -> None:
    def tap(device: int) -> object:
        sim = SimulatedPn532(device)
        sim.card = bytes.fromhex("DEADBEEF")
        return sim.close

    text = '{ driver = "pn532", path = "PATH", byte_order = "reversed", prefix = "F-" }'
    assert tapped(tmp_path, text, tap) == [IdToken("F-EFBEADDE")]


def test_an_rdm6300_is_built_with_its_way_of_writing(tmp_path: Path) -> None:
    def tap(device: int) -> object:
        sim = SimulatedRdm6300(device)
        sim.card = bytes.fromhex("100086F444")
        return sim.close

    text = '{ driver = "rdm6300", path = "PATH", format = "dec10", type = "Local" }'
    assert tapped(tmp_path, text, tap) == [IdToken("0008844356", TokenType.LOCAL)]


def test_a_reader_of_text_lines_is_built_with_its_pattern(tmp_path: Path) -> None:
    def tap(device: int) -> object:
        writing = asyncio.get_running_loop().call_later(0.05, _write, device)
        return writing.cancel

    text = '{ driver = "serial_text", path = "PATH", pattern = "C(?P<id>.+)", prefix = "T" }'
    assert tapped(tmp_path, text, tap) == [IdToken("T042")]


@pytest.mark.parametrize(
    ("more", "typed", "token"),
    [
        ('pattern = "C(?P<id>.+)", prefix = "T", type = "Local"', "C042", IdToken("T042", TokenType.LOCAL)),
        ('layout = "fr"', "04a1b2c3", IdToken("04a1b2c3")),
        ('number = "dec"', "0008844356", IdToken("0086F444")),
        ('number = "hex", byte_order = "reversed", format = "dec"', "DEADBEEF", IdToken("4022250974")),
        ('number = "dec", size = 7, prefix = "F-"', "1303689068602870", IdToken("F-04A1B2C3D4E5F6")),
    ],
)  # fmt: skip
def test_a_reader_that_types_is_built_with_its_way_of_writing(
    tmp_path: Path, more: str, typed: str, token: IdToken
) -> None:
    text = f'{{ driver = "hid_keyboard", path = "/dev/input/event0", {more} }}'
    hardware = build(load_board(board(tmp_path, text)), state_directory=tmp_path)
    [driver] = hardware.evses[0].readers
    assert isinstance(driver, HidReader)
    assert driver._layout == ("fr" if "fr" in more else "us")
    assert driver._meaning(typed) == token


def _write(device: int) -> None:
    import os  # noqa: PLC0415

    os.write(device, b"C042\r\n")
