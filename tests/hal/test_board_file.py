"""Board files: every mistake with its line, and templates that are valid."""

import shutil
from pathlib import Path

import pytest

from hal.board_file import (
    check_board,
    load_board,
    map_directories,
)
from hal.board_template import board_template
from hal.files import FileProblems
from hal.input_settings import ModbusInputSettings, SimulatedInputSettings
from hal.port_settings import ModbusSerialSettings
from hal.site_settings import DeratingSettings, SiteSettings
from tests.support.simulated_board import MAPS

BOARDS = Path(__file__).parents[2] / "config" / "boards"

ONE = """\
[port.bus]
driver = "modbus_tcp"
port = 0

[[evse]]
id = 1
max_a = 32
phases = 3
meter = { driver = "modbus_meter", port = "bus", map = "eastron-sdm630" }
controller = { driver = "simulated" }
"""

SECOND = """
[[evse]]
id = 2
max_a = 16
phases = 1
meter = { driver = "modbus_meter", port = "bus", unit = 2, map = "eastron-sdm630" }
controller = { driver = "simulated" }
"""


def found(directory: Path, text: str) -> list[str]:
    """Return the mistakes in a board file as `line: message`."""
    path = directory / "board.toml"
    path.write_text(text)
    problems = check_board(path)
    assert all(problem.file == str(path) for problem in problems)
    return [f"{problem.line}: {problem.message}" for problem in problems]


@pytest.mark.parametrize("path", sorted(BOARDS.glob("*.toml")), ids=lambda path: path.name)
def test_every_shipped_board_has_no_mistake(path):
    assert check_board(path) == []


def test_the_shipped_boards_are_what_the_contract_says():
    (one,), two = (
        load_board(BOARDS / "sim.toml").evses,
        load_board(BOARDS / "sim-two-evse.toml"),
    )

    assert (one.max_a, one.phases, one.connectors, one.controller.energy_wh) == (32, 3, 1, 0)
    assert [evse.id for evse in two.evses] == [1, 2]
    assert two.is_simulated


def test_a_file_without_mistakes_gives_its_evses_by_id_and_its_maps(tmp_path):
    path = tmp_path / "board.toml"
    second = SECOND.replace('"bus"', '"other"')
    other = '\n[port.other]\ndriver = "modbus_serial"\npath = "/dev/ttyS1"\nparity = "E"\n'
    path.write_text(second + ONE + other)

    board = load_board(path)

    assert [evse.id for evse in board.evses] == [1, 2]
    assert list(board.maps) == ["eastron-sdm630"]
    assert board.ports["other"] == ModbusSerialSettings("/dev/ttyS1", parity="E")
    assert [board.is_served(evse) for evse in board.evses] == [True, False]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("max_a = 32", "max_a = 5", 7, "max_a must be a number (at least 6, at most 1000)"),
        (
            "max_a = 32",
            "max_a = 80.1",
            7,
            "evse[0].max_a must be a number (at least 6, at most 80)",
        ),
        ("max_a = 32", 'max_a = "32"', 7, "max_a must be a number"),
        ("max_a = 32", "max_a = nan", 7, "max_a must be"),
        ("phases = 3", "phases = 2", 8, "phases must be one of 1, 3"),
        ("phases = 3", "fases = 3", 8, "did you mean phases?"),
        ("id = 1", "id = 2", 6, "id 2 leaves a gap: 1 EVSEs have the ids 1 to 1"),
        ('port = "bus"', 'port = "bux"', 9, "there is no port bux (known: bus)"),
        ('port = "bus"', 'port = "bux"', 1, "nothing is on port bus"),
        ('"eastron-sdm630"', '"eastron"', 9, "there is no eastron.toml in "),
        ('"modbus_meter"', '"sunspec"', 9, 'driver must be one of "modbus_meter", "openevse"'),
        ('"modbus_tcp"', '"modbus"', 2, 'one of "modbus_tcp", "modbus_serial", "can"'),
        ("port = 0", "port = 70000", 3, "port must be an integer (at least 0, at most 65535)"),
        ("port = 0", 'port = 0\nhost = "10.0.0.1"', 3, "port 0 is for simulated meters"),
        (
            'driver = "simulated"',
            'driver = "magic"',
            10,
            'driver must be one of "simulated", "modbus_evse"',
        ),
        ("[port.bus]", '[port."b s"]', 1, "as a name must match"),
        ("[port.bus]", "[port.bus", 1, "is not valid TOML"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_allowed(tmp_path, old, new, line, says):
    mistakes = found(tmp_path, ONE.replace(old, new, 1))

    assert any(one.startswith(f"{line}: ") and says in one for one in mistakes), mistakes


CAN = """
[port.{name}]
driver = "can"
channel = "{channel}"
interface = "{interface}"
"""


def can(name: str, channel: str, interface: str = "socketcan") -> str:
    return CAN.format(name=name, channel=channel, interface=interface)


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        (can("modules", "can0"), 12, "nothing is on port modules"),
        (can("modules", "/dev/ttyACM0"), 14, "must be the name of a network interface"),
        (can("one", "can0") + can("other", "can0"), 19, "can0 is port one already"),
        (
            'reader = { driver = "pn532", path = "/dev/ttyACM0" }\n'
            + can("modules", "/dev/ttyACM0", "slcan"),
            11,
            "/dev/ttyACM0 belongs to port modules: a line has one owner",
        ),
    ],
)
def test_a_mistake_in_a_can_line_is_told_with_its_line(tmp_path, more, line, says):
    mistakes = found(tmp_path, ONE + more)

    assert any(one.startswith(f"{line}: ") and says in one for one in mistakes), mistakes


def test_a_modbus_device_is_not_on_a_can_line(tmp_path):
    text = ONE.replace('"modbus_tcp"\nport = 0', '"can"\nchannel = "can0"')
    grid = '\n[grid_input]\ndriver = "modbus_input"\nport = "bus"\nlimit_w = 4200\n'

    mistakes = found(tmp_path, text + grid)

    says = "port bus is a CAN line; this device is on Modbus"
    assert mistakes == [f"9: {says}", f"14: {says}"]


SITE = """
[site]
max_a = 32
sharing = "weighted"
rotate_s = 300
"""
SHARED = (
    ONE
    + 'conductors = ["L2", "L3", "L1"]\nweight = 3\nderating = { from_c = 60, to_c = 80 }\n'
    + SITE
)


def test_a_site_and_the_places_of_its_evses_are_taken_over(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(SHARED)
    board = load_board(path)
    (evse,) = board.evses
    assert board.site == SiteSettings(32.0, 230.0, "weighted", 300.0)
    assert (evse.conductors, evse.weight) == (("L2", "L3", "L1"), 3)
    assert evse.derating == DeratingSettings(60.0, 80.0)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        (
            "max_a = 32\nsharing",
            "max_a = 5\nsharing",
            16,
            "max_a must be a number (at least 6",
        ),
        ('"weighted"', '"clever"', 17, 'must be one of "fair", "first-come", "weighted"'),
        ('"weighted"', '"fair"', 12, 'counts only with sharing = "weighted"'),
        ("rotate_s = 300", "rotate_s = 60", 18, "rotate_s must be a number (at least 120"),
        (
            '"L2", "L3", "L1"',
            '"L2"',
            11,
            "must name 3 different conductors",
        ),
        ('"L2", "L3", "L1"', '"L2", "L3", "L2"', 11, "must name 3 different conductors"),
        ('"L2"', '"N"', 11, 'must be one of "L1", "L2", "L3"'),
        ("to_c = 80", "to_c = 60", 13, "must be more than from_c, 60"),
        (
            "phases = 3\n",
            "phases = 1\nphase_switching = true\n",
            9,
            "needs an EVSE of three phases",
        ),
    ],
)
def test_a_mistake_in_sharing_is_told_with_its_line(tmp_path, old, new, line, says):
    mistakes = found(tmp_path, SHARED.replace(old, new, 1))

    assert any(one.startswith(f"{line}: ") and says in one for one in mistakes), mistakes


def test_every_mistake_is_told_at_once(tmp_path):
    text = (ONE + SECOND).replace("eastron-sdm630", "nothing").replace("id = 2", "id = 1")

    mistakes = found(tmp_path, text)

    assert [one.split(" ")[0] for one in mistakes] == ["1:", "9:", "13:", "16:"]


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("id = 2", "id = 1"), 13, "id 1 is there twice"),
        (("id = 2", "id = 3"), 13, "id 3 leaves a gap: 2 EVSEs have the ids 1 to 2"),
        (("unit = 2", "unit = 1"), 16, "unit 1 of port bus is another EVSE's meter"),
    ],
)
def test_two_evses_may_not_share_what_is_one_s_own(tmp_path, change, line, says):
    mistakes = found(tmp_path, (ONE + SECOND).replace(*change))

    assert f"{line}: {says}" in mistakes


def test_a_simulated_port_serves_one_meter(tmp_path):
    assert found(tmp_path, ONE + SECOND) == ["1: a simulated port serves one meter, bus has 2"]


def test_a_real_port_serves_many(tmp_path):
    text = (ONE + SECOND).replace("port = 0", 'host = "10.0.0.1"')

    assert found(tmp_path, text) == []


def test_two_ports_may_not_be_one_address(tmp_path):
    text = (ONE + SECOND.replace('"bus"', '"two"')).replace("port = 0", "port = 5020")
    text += '\n[port.two]\ndriver = "modbus_tcp"\nport = 5020\n'

    assert found(tmp_path, text) == ["19: 127.0.0.1:5020 is port bus already"]


def test_a_board_needs_an_evse(tmp_path):
    assert found(tmp_path, "evse = []\n[port]\n") == ["1: evse must have at least 1 members"]


def test_a_meter_must_measure_every_phase(tmp_path):
    (tmp_path / "registers").mkdir()
    single = (MAPS / "eastron-sdm630.toml").read_text().replace("phases = 3", "phases = 1")
    (tmp_path / "registers" / "single.toml").write_text(single)

    mistakes = found(tmp_path, ONE.replace("eastron-sdm630", "single"))

    assert mistakes == ["9: single measures 1 phase, the EVSE has 3"]


def test_a_mistake_in_a_map_is_told_with_the_map_s_own_line_and_once(tmp_path):
    (tmp_path / "registers").mkdir()
    broken = tmp_path / "registers" / "broken.toml"
    broken.write_text((MAPS / "eastron-sdm630.toml").read_text() + "\nsurprise = 1\n")
    path = tmp_path / "board.toml"
    path.write_text(
        (ONE + SECOND).replace("eastron-sdm630", "broken").replace("id = 1", "id = 9")
    )

    problems = check_board(path)

    in_map = [problem for problem in problems if problem.file == str(broken)]
    assert len(in_map) == 1
    assert "surprise" in in_map[0].message
    assert any(problem.file == str(path) for problem in problems)


def test_a_map_beside_the_boards_directory_comes_first(tmp_path):
    board = tmp_path / "boards" / "board.toml"
    for directory in (tmp_path / "registers", board.parent / "registers"):
        directory.mkdir(parents=True)
        shutil.copy(MAPS / "eastron-sdm630.toml", directory / "mine.toml")
    (board.parent / "registers" / "mine.toml").write_text("nonsense")
    board.write_text(ONE.replace("eastron-sdm630", "mine"))

    assert check_board(board) == []
    assert map_directories(board)[:3] == (
        tmp_path / "registers",
        board.parent / "registers",
        Path("/usr/share/pilotwire/registers"),
    )


def test_a_missing_file_is_a_mistake_in_its_first_line(tmp_path):
    with pytest.raises(FileProblems, match=r"none\.toml:1: the file cannot be read"):
        load_board(tmp_path / "none.toml")


@pytest.mark.parametrize("phases", [1, 3])
@pytest.mark.parametrize("evses", [1, 2, 64])
def test_a_template_is_a_valid_simulated_board(tmp_path, evses, phases):
    path = tmp_path / "board.toml"
    path.write_text(board_template(evses=evses, connectors=2, max_a=20.5, phases=phases))

    board = load_board(path)

    assert board.is_simulated
    assert [evse.id for evse in board.evses] == list(range(1, evses + 1))
    assert {(evse.connectors, evse.max_a, evse.phases) for evse in board.evses} == {
        (2, 20.5, phases)
    }
    assert all(board.is_served(evse) and evse.reader for evse in board.evses)


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"evses": 0}, "1 to 64"),
        ({"evses": 65}, "1 to 64"),
        ({"connectors": 0}, "connectors must be"),
        ({"max_a": 100.0}, "max_a must be"),
        ({"phases": 2}, "phases must be one of 1, 3"),
    ],
)
def test_a_template_of_what_cannot_be_is_refused(properties, says):
    with pytest.raises(ValueError, match=says):
        board_template(**properties)


def test_a_turned_meter_needs_the_register_that_it_is_billed_by(tmp_path):
    text = ONE.replace("phases = 3", "phases = 1")
    turned = text.replace('"eastron-sdm630"', '"orno-we-514", turned = true')
    assert found(tmp_path, turned) == [
        "9: orno-we-514 has no energy_export, which a turned meter is billed by"
    ]
    assert (
        found(tmp_path, text.replace('"eastron-sdm630"', '"eastron-sdm630", turned = true'))
        == []
    )


def test_the_map_of_a_controller_is_no_meter(tmp_path):
    registers = tmp_path / "registers"
    registers.mkdir()
    template = (BOARDS.parent / "registers/_template-evse.toml").read_text()
    (registers / "box.toml").write_text(template)
    assert found(tmp_path, ONE.replace('"eastron-sdm630"', '"box"')) == [
        "9: box is no meter: a meter with phases = 3 needs energy_import"
    ]


def test_an_input_of_the_grid_operator_is_taken_over(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(ONE + '\n[grid_input]\ndriver = "simulated"\nlimit_w = 4200\n')
    assert load_board(path).grid_input == SimulatedInputSettings(4200.0)


IO_MODULE = """
[port.io]
driver = "modbus_tcp"
host = "192.0.2.1"

[grid_input]
driver = "modbus_input"
port = "io"
limit_w = 4200
"""


def test_the_operators_contact_may_be_on_an_io_module(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(ONE + IO_MODULE + 'unit = 5\ntable = "holding"\nbit = 3\nactive = 0\n')
    wanted = ModbusInputSettings("io", 4200.0, 5, "holding", 0, 3, 0)
    assert load_board(path).grid_input == wanted


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ('table = "holding"\n', 16, "bit is missing: which bit of the register it is, 0 to 15"),
        ("bit = 1\n", 20, "bit is not for a discrete input, which is one bit already"),
        ("bit = 16\n", 20, "bit must be an integer (at least 0, at most 15)"),
    ],
)
def test_an_input_on_an_io_module_names_one_bit(tmp_path, more, line, says):
    (problem,) = found(tmp_path, ONE + IO_MODULE + more)
    assert problem.startswith(f"{line}: ")
    assert says in problem


def test_the_port_of_the_operators_contact_is_there(tmp_path):
    text = ONE + IO_MODULE.replace('port = "io"', 'port = "bux"')
    assert any("there is no port bux (known: bus, io)" in one for one in found(tmp_path, text))


@pytest.mark.parametrize(
    ("controller", "says"),
    [
        ('port = "bux", unit = 3, map = "evse-din"', "there is no port bux (known: bus)"),
        ('port = "bus", unit = 3, map = "abb-b23"', "abb-b23 is the map of a meter, not of an EVSE controller"),
        ('port = "bus", unit = 3, map = "none"', "there is no none.toml in "),
        ('port = "bus", unit = 1, map = "evse-din"', "unit 1 of port bus is the meter of EVSE 1"),
        ('port = "bus", unit = 256, map = "evse-din"', "unit must be an integer"),
    ],
)  # fmt: skip
def test_a_controller_that_cannot_be_is_refused(tmp_path, controller, says):
    text = ONE.replace("port = 0", "port = 502")
    text = text.replace(
        'controller = { driver = "simulated" }',
        f'controller = {{ driver = "modbus_evse", {controller} }}',
    )
    mistakes = found(tmp_path, text)
    assert any(says in one for one in mistakes), mistakes


def test_a_controller_on_modbus_switches_phases_only_if_its_map_can(tmp_path):
    text = (BOARDS / "amperfied-connect-solar.toml").read_text()
    assert found(tmp_path, text) == []
    unable = text.replace(
        'map = "amperfied-connect-solar"', 'map = "heidelberg-energy-control"'
    )
    (mistake,) = found(tmp_path, unable)
    assert mistake.endswith("heidelberg-energy-control cannot switch phases")


def test_two_controllers_cannot_be_the_same_unit(tmp_path):
    text = (BOARDS / "pillar-two-evse-din.toml").read_text()
    text = text.replace('unit = 2, map = "evse-din"', 'unit = 1, map = "evse-din"')
    assert any(
        "unit 1 of port bus is the controller of EVSE 1" in one for one in found(tmp_path, text)
    )


def test_a_controller_that_measures_is_its_evse_s_meter(tmp_path):
    path = BOARDS / "phoenix-charx.toml"
    assert load_board(path).evses[0].meter.map == "phoenix-charx"
    assert not load_board(path).is_simulated
