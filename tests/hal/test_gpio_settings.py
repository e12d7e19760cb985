"""Hardware that is wired to this machine, in a board file: mistakes, drivers, and `release`."""

from pathlib import Path

import pytest

from agent.cli import main
from hal.board import build
from hal.board_file import check_board, load_board
from hal.drivers.gpio_evse import GpioEvse
from hal.drivers.gpio_input import GpioInput
from hal.errors import BusError
from hal.sim.direct_board import SimulatedDirectBoard, moved_into
from hal.sim.evse import SimulatedEvse
from hal.tools.releasing import released
from tests.support import vloop

SHIPPED = Path(__file__).parents[2] / "config/boards/raspberry-pi-direct.toml"
MAPS = SHIPPED.parents[1] / "registers"
GRID = """
[grid_input]
driver  = "gpio_input"
chip    = "/dev/gpiochip0"
line    = 12
limit_w = 4200
"""


def board(directory: Path, *changes: tuple[str, str], more: str = "") -> Path:
    text = SHIPPED.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (directory / "registers").symlink_to(MAPS)
    path = directory / "boards/board.toml"
    path.parent.mkdir()
    path.write_text(text + more)
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("line = 27,", "line = 17,"), "line 17 is contactor already"),
        (("unlock = { line = 23 }", "unlock = { line = 22 }"), "line 22 is lock already"),
        (("alive            = { line = 25 }", "alive = { line = 24 }"), "line 24 is"),
        (('chip             = "/dev/gpiochip0"', 'chip = "gpiochip0"'), "chip"),
        (("high = { channel = 0, mv_at_0v = 1650.0, mv_per_v = 125.0 }", "high = { channel = 0, mv_at_0v = 0.0, mv_per_v = 0.0 }"), "high.mv_per_v is 0"),
        (("low  = { channel = 1, mv_at_0v = 1650.0, mv_per_v = 125.0 }", ""), "low"),
        (("pulse_ms = 400", "pulse_ms = 5000"), "2000"),
        (('driver           = "gpio"', 'driver = "gpio"\ntethered = true'), "has no proximity wire"),
        (('active_low = true, bias = "pull_up"', 'bias = "up"'), "pull_up"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(tmp_path, change, says):
    [problem] = check_board(board(tmp_path, change))
    assert says in problem.message


def test_a_socket_needs_its_proximity_wire_and_a_fixed_cable_no_lock(tmp_path):
    text = SHIPPED.read_text()
    at = text.index("[evse.controller.proximity]")
    [problem] = check_board(board(tmp_path, (text[at:], "")))
    assert "a socket must know its cable" in problem.message
    (tmp_path / "boards/board.toml").write_text(
        text[:at].replace('"gpio"', '"gpio"\ntethered = true')
    )
    [problem] = check_board(tmp_path / "boards/board.toml")
    assert "has no plug to be locked" in problem.message


def test_its_drivers_are_those_of_the_file(tmp_path):
    hardware = build(load_board(board(tmp_path, more=GRID)), state_directory=tmp_path)
    assert isinstance(hardware.evses[0].controller, GpioEvse)
    assert hardware.evses[0].phase_switch is None
    assert isinstance(hardware.grid_input, GpioInput)
    assert hardware.evses[0].controller._capabilities.has_lock


def test_release_leaves_nothing_switched(tmp_path):
    path = board(tmp_path)
    settings = load_board(path).evses[0].controller
    place = tmp_path / "board"

    async def story() -> None:
        async with SimulatedDirectBoard(
            place, SimulatedEvse(), moved_into(place, settings)
        ) as sim:
            text = path.read_text()
            for here, there in (
                (settings.chip, sim.settings.chip),
                (settings.pwm.chip, sim.settings.pwm.chip),
                (settings.pilot.adc, sim.settings.pilot.adc),
            ):
                text = text.replace(here, there)
            path.write_text(text)
            (place / "pwmchip0/pwm0/duty_cycle").write_text("266666\n")  # of one that died
            lines = list(released(path, requested=sim.request))
            assert lines == ["EVSE 1: the contactor is open, the PWM has stopped"]
            assert (place / "pwmchip0/pwm0/duty_cycle").read_text() == "1000000\n"
            assert sim.lines is None
            taken = sim.request("", {}, {})
            with pytest.raises(BusError, match=r"EVSE 1: .*in use"):
                list(released(path, requested=sim.request))
            taken.close()

    vloop.run(story())


def test_the_command_says_what_it_could_not_release(tmp_path, capsys):
    assert main(["hal", "release", str(board(tmp_path))]) == 1
    assert "EVSE 1: " in capsys.readouterr().err
    assert main(["hal", "release", str(SHIPPED.with_name("abl-emh1.toml"))]) == 0
