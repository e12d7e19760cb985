"""What a board file may say of direct current, and what it is built into."""

import re
from pathlib import Path

import pytest

from hal.board import build
from hal.board_file import check_board, load_board
from hal.drivers.dc_evse import DcEvse

BOARDS = Path(__file__).parents[2] / "config/boards"
CABINET = (BOARDS / "dc-cabinet-60kw.toml").read_text()
CONVERTER = re.search(r"\[evse\.converter\].*", CABINET, re.DOTALL).group()


def second(*changes: tuple[str, str]) -> str:
    """Return another EVSE beside the first, with its own devices but for some."""
    text = CABINET[CABINET.index("[[evse]]") :]
    for old, new in (
        ("id         = 1", "id         = 2"),
        ('map = "acrel-djsf1352"', 'unit = 2, map = "acrel-djsf1352"'),
        ('port = "isolation"', 'port = "isolation", unit = 4'),
        ("coil = 0", "coil = 1"),
        ("vehicle-1.sock", "vehicle-2.sock"),
        ("[0, 1, 2, 3, 4, 5]", "[6, 7, 8, 9, 10, 11]"),
        *changes,
    ):
        assert old in text
        text = text.replace(old, new, 1)
    return CABINET + "\n" + text


def found(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "board.toml").write_text(text)
    return [str(problem) for problem in check_board(tmp_path / "board.toml")]


def test_two_outlets_may_share_lines_and_an_io_module(tmp_path):
    assert found(tmp_path, second()) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (CONVERTER, "", "needs converter beside"),
        ("isolation  = {", "# isolation  = {", "needs isolation beside"),
        ("efficiency = 0.94", "efficiency = 1.1", "efficiency must be"),
        ("phases     = 3", "phases     = 3\nconnectors = 2", "has one connector"),
        ('"acrel-djsf1352"', '"eastron-sdm630"', "is no meter of direct current"),
        ('"acrel-djsf1352"', '"acrel-djsf1352", turned = true', "cannot be turned"),
        ('port = "isolation"', 'port = "iso"', "there is no port iso"),
        ('port = "isolation"', 'port = "modules"', "modules is a CAN line"),
        ('port    = "modules"', 'port    = "io"', "is no CAN line"),
        ('port = "isolation"', 'port = "meter", unit = 1', "is the meter of EVSE 1"),
        ("/run/pilotwire/vehicle-1.sock", "vehicle-1.sock", "path must match"),
        ("coil = 0", "coil = 65536", "coil must be"),
        (
            'controller = { driver = "dc", efficiency = 0.94 }',
            'controller = { driver = "modbus_evse", port = "io", map = "phoenix-charx" }',
            "is for an EVSE whose controller has",
        ),
    ],
)
def test_a_mistake_is_told(old, new, says, tmp_path):
    assert old in CABINET
    problems = found(tmp_path, CABINET.replace(old, new, 1))
    assert any(says in one for one in problems), problems


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("unit = 4", "unit = 3", "is another device already"),
        ('"isolation", unit = 4', '"io", unit = 1', "is another device already"),
        ("coil = 1", "coil = 0", "is another contactor's"),
        ("vehicle-2.sock", "vehicle-1.sock", "is another EVSE's"),
        ("[6, 7, 8, 9, 10, 11]", "[5, 6, 7, 8, 9, 10]", "is another converter's"),
    ],
)
def test_what_another_outlet_has_cannot_be_had(old, new, says, tmp_path):
    problems = found(tmp_path, second((old, new)))
    assert any(says in one for one in problems), problems


def test_a_contactor_cannot_be_where_a_monitor_is(tmp_path):
    text = CABINET.replace(
        '"modbus_contactor", port = "io"', '"modbus_contactor", port = "isolation", unit = 3'
    )
    assert any("is another device already" in one for one in found(tmp_path, text))


def test_a_control_pilot_offers_80_a_and_a_meter_of_direct_current_is_none_for_it(tmp_path):
    text = (
        '[port.bus]\ndriver = "modbus_tcp"\nhost = "10.0.0.1"\n[[evse]]\nid = 1\nmax_a = 96\n'
        'phases = 1\nmeter = { driver = "modbus_meter", port = "bus", map = "acrel-djsf1352" }\n'
        'controller = { driver = "simulated" }\n'
    )
    problems = found(tmp_path, text)
    assert any("at most 80" in one for one in problems), problems
    assert any("is no meter of alternating current" in one for one in problems), problems


def test_an_outlet_is_built_with_its_meter(tmp_path):
    hardware = build(load_board(BOARDS / "dc-cabinet-60kw.toml"), state_directory=tmp_path)
    (evse,) = hardware.evses
    assert isinstance(evse.controller, DcEvse)
    assert set(hardware.ports()) == {"modules", "isolation", "meter", "io"}
