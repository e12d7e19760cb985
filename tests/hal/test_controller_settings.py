"""Controllers with a serial line of their own in a board file, and what comes of them."""

from pathlib import Path

import pytest

from hal.board import build
from hal.board_file import check_board, load_board
from hal.bus.counters import PortCounters
from hal.drivers.openevse import OpenEvse

BOARD = """\
[port.bus]
driver = "modbus_serial"
path   = "/dev/ttyS0"

[[evse]]
id         = 1
max_a      = 32
phases     = 3
meter      = { driver = "modbus_meter", port = "bus", map = "eastron-sdm630" }
"""
OPENEVSE = '{ driver = "openevse", path = "/dev/ttyUSB0" }'


def board(directory: Path, controller: str, more: str = "") -> Path:
    path = directory / "board.toml"
    path.write_text(f"{BOARD}controller = {controller}\n{more}")
    return path


@pytest.mark.parametrize(
    ("controller", "says"),
    [
        ('{ driver = "openevse" }', "path"),
        ('{ driver = "openevse", path = "" }', "path"),
        ('{ driver = "openevse", path = "/dev/x", baudrate = 1 }', "300"),
        ('{ driver = "openevse", path = "/dev/x", tethered = true }', "tethered"),
        ('{ driver = "openevse", path = "/dev/ttyS0" }', "/dev/ttyS0 belongs to port bus"),
        ('{ driver = "rapi", path = "/dev/x" }', "openevse"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, controller, says):
    [problem] = check_board(board(tmp_path, controller))
    assert problem.line == 10
    assert says in problem.message


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("phase_switching = true", "this controller cannot switch phases"),
        (
            'reader = { driver = "pn532", path = "/dev/ttyUSB0" }',
            "/dev/ttyUSB0 belongs to the controller of EVSE 1: a line has one owner",
        ),
    ],
)
def test_what_does_not_go_together_is_told_with_its_line(tmp_path, more, says):
    [problem] = check_board(board(tmp_path, OPENEVSE, more))
    assert problem.line == 11
    assert says in problem.message


def test_a_controller_is_built_with_its_line_and_its_counters(tmp_path):
    hardware = build(load_board(board(tmp_path, OPENEVSE)), state_directory=tmp_path)
    assert isinstance(hardware.evses[0].controller, OpenEvse)
    assert hardware.evses[0].indicator is None
    assert hardware.ports()["evse-1"]["requests"] == PortCounters().requests
