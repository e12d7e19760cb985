"""Controllers with a serial line of their own in a board file, and what comes of them."""

from pathlib import Path

import pytest

from hal.board import build
from hal.board_file import check_board, load_board
from hal.bus.counters import PortCounters
from hal.controller_settings import OPENEVSE_MEASURES
from hal.drivers.openevse import OpenEvse
from hal.drivers.openevse_meter import OpenEvseMeter
from hal.drivers.safety_mcu import SafetyMcu

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
SAFETY_MCU = '{ driver = "safety_mcu", path = "/dev/ttyUSB0" }'


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
        ('{ driver = "safety_mcu", path = "/dev/x", unit = 1 }', "unit"),
        ('{ driver = "safety_mcu", path = "/dev/ttyS0" }', "belongs to port bus"),
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


@pytest.mark.parametrize(
    ("settings", "driver", "has_lamp"),
    [(OPENEVSE, OpenEvse, False), (SAFETY_MCU, SafetyMcu, True)],
)
def test_a_controller_is_built_with_its_line_and_its_counters(
    tmp_path, settings, driver, has_lamp
):
    hardware = build(load_board(board(tmp_path, settings)), state_directory=tmp_path)
    (evse,) = hardware.evses
    assert isinstance(evse.controller, driver)
    assert (evse.indicator is not None) is has_lamp
    assert (evse.residual_current is not None) is has_lamp
    assert evse.phase_switch is None
    assert hardware.ports()["/dev/ttyUSB0"]["requests"] == PortCounters().requests


def test_a_board_of_ones_own_may_be_told_to_switch_phases(tmp_path):
    path = board(tmp_path, SAFETY_MCU, "phase_switching = true")
    hardware = build(load_board(path), state_directory=tmp_path)
    assert hardware.evses[0].phase_switch is hardware.evses[0].controller


OWN_METER = BOARD[BOARD.index("[[evse]]") :].replace(
    '{ driver = "modbus_meter", port = "bus", map = "eastron-sdm630" }',
    '{ driver = "openevse" }',
)


def own_meter(directory: Path, *, phases: int, controller: str) -> Path:
    path = directory / "board.toml"
    text = OWN_METER.replace("phases     = 3", f"phases     = {phases}")
    path.write_text(f"{text}controller = {controller}\n")
    return path


def test_the_meter_of_a_board_is_built_on_its_controller(tmp_path):
    board = load_board(own_meter(tmp_path, phases=1, controller=OPENEVSE))
    assert board.measures(board.evses[0]) == OPENEVSE_MEASURES
    (evse,) = build(board, state_directory=tmp_path).evses
    assert isinstance(evse.meter, OpenEvseMeter)
    assert evse.meter._board is evse.controller


@pytest.mark.parametrize(
    ("phases", "controller", "says"),
    [
        (3, OPENEVSE, "measures 1 phase, the EVSE has 3"),
        (1, SAFETY_MCU, "is in a controller of the driver openevse"),
    ],
)
def test_a_meter_of_a_board_that_cannot_be_is_told_with_its_line(
    tmp_path, phases, controller, says
):
    [problem] = check_board(own_meter(tmp_path, phases=phases, controller=controller))
    assert problem.line == 5
    assert says in problem.message
