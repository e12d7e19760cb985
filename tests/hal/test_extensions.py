"""Drivers of other distributions: real metadata on the path, real imports, real processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from hal.board import build
from hal.board_file import check_board, load_board
from hal.drivers import _blueprint
from hal.errors import BoardError
from hal.types import PilotState
from tests.support import vloop
from tests.support.contract_hal import charging, served

ROOT = Path(__file__).parents[2]

BOARD = """\
[[evse]]
id = 1
max_a = 32
phases = 3
controller = { driver = "acme_board", host = "127.0.0.1", port = PORT }
meter = { driver = "acme_meter", pulses = 1000 }
reader = { driver = "acme_meter", path = "/dev/acme" }
"""

NEAR = "did you mean host? (known: driver, host, port, tethered)"

METER = """\
import asyncio
from typing import Annotated
from msgspec import Meta, Struct
from hal.api import Meter, TokenReader
from hal.extensions import Driver, Part


class Pulses(Struct):
    pulses: Annotated[int, Meta(ge=1, le=10_000)]
    edge: Annotated[str, Meta(pattern="^(rising|falling)$")] = "rising"

    def __post_init__(self):
        if self.pulses == 13:
            raise ValueError("pulses must not be 13")


class AcmeMeter(Meter):
    def __init__(self, settings, facts):
        self.settings, self.facts = settings, facts

    async def run(self, listener):
        await asyncio.get_running_loop().create_future()


class Path(Struct):
    path: str


class AcmeReader(AcmeMeter, TokenReader):
    pass


DRIVER = Driver(
    meter=Part(Pulses, AcmeMeter, measures=("energy_import", "power_total")),
    reader=Part(Path, AcmeReader),
)
"""

FAULTY = """\
from msgspec import Struct
from hal.api import EvseController
from hal.extensions import Driver, Part


class Nothing(Struct):
    pass


class Listed(Struct, array_like=True):
    pass


class Bytes(Struct):
    data: bytes = b""


class Tagged(Struct):
    driver: str = ""


class Incomplete(EvseController):
    pass


def fails(settings, facts):
    raise OSError("no such\\n  GPIO")


FAILS = Driver(controller=Part(Nothing, fails))
INCOMPLETE = Driver(controller=Part(Nothing, lambda settings, facts: Incomplete()))
WRONG = Driver(controller=Part(Nothing, lambda settings, facts: 42))
EMPTY = Driver()
NO_STRUCT = Driver(controller=Part(dict, fails))
LISTED = Driver(controller=Part(Listed, fails))
BYTES = Driver(controller=Part(Bytes, fails))
TAGGED = Driver(controller=Part(Tagged, fails))
NO_DRIVER = 7
"""


def distribute(site: Path, name: str, module: str, text: str, **entries: str) -> None:
    """Install a distribution into a directory as pip would."""
    (site / f"{module}.py").write_text(text)
    info = site / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    lines = [f"{key} = {value}\n" for key, value in entries.items()]
    (info / "entry_points.txt").write_text("[pilotwire.drivers]\n" + "".join(lines))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Provide a directory of installed packages, two of them sound."""
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.syspath_prepend(str(directory))
    text = Path(_blueprint.__file__).read_text()
    distribute(directory, "acme-board", "acme_board", text, acme_board="acme_board:DRIVER")
    distribute(directory, "acme-meter", "acme_meter", METER, acme_meter="acme_meter:DRIVER")
    yield directory
    for module in ("acme_board", "acme_meter", "acme_faulty"):
        sys.modules.pop(module, None)


@pytest.fixture
def board(tmp_path, site):
    """Provide a function that writes a board file, with replacements."""

    def write(*changes: tuple[str, str], port: int = 4711) -> Path:
        text = BOARD.replace("PORT", str(port))
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "board.toml"
        path.write_text(text)
        return path

    return write


def mistakes(path: Path) -> list[str]:
    """Return the mistakes of a board as `line: message`."""
    return [f"{problem.line}: {problem.message}" for problem in check_board(path)]


# --- sound packages ---


def test_a_board_charges_with_the_drivers_of_others(board, tmp_path):
    async def main():
        fake = sys.modules["acme_board"].FakeBoard()
        async with fake:
            path = board(port=fake.port)
            (evse,) = build(load_board(path), state_directory=tmp_path).evses
            rig = _Rig(fake, evse.controller)
            async with served(evse.controller) as recorder:
                await charging(rig, recorder)
                assert recorder.capabilities.max_a == 32.0
                fake.plug(is_plugged=False)
                await recorder.until(lambda now: now.pilot is PilotState.A)

    load_board(board())
    vloop.run(main())


class _Rig:
    closes_by_itself = False

    def __init__(self, fake, controller) -> None:
        self.fake, self.controller = fake, controller

    async def plug(self) -> None:
        self.fake.plug(is_plugged=True)


def test_each_device_gets_its_settings_and_what_is_said_of_its_evse(board, tmp_path):
    loaded = load_board(board())
    (evse,) = build(loaded, state_directory=tmp_path).evses
    assert (evse.meter.settings.pulses, evse.meter.settings.edge) == (1000, "rising")
    assert evse.readers[0].settings.path == "/dev/acme"
    facts = evse.meter.facts
    assert (facts.evse_id, facts.connectors, facts.max_a, facts.phases) == (1, 1, 32.0, 3)
    assert facts.state_directory == tmp_path
    assert loaded.measures(loaded.evses[0]) == ("energy_import", "power_total")
    assert not loaded.is_simulated


def test_a_simulated_vehicle_may_have_the_meter_of_another(board, tmp_path):
    simulated = ('"acme_board", host = "127.0.0.1", port = 4711', '"simulated"')
    loaded = load_board(board(simulated))
    assert loaded.is_simulated
    assert not loaded.is_served(loaded.evses[0])
    (evse,) = build(loaded, state_directory=tmp_path).evses
    assert type(evse.meter).__name__ == "AcmeMeter"


def test_only_the_drivers_that_a_board_names_are_imported(site):
    code = (
        "import sys; from pathlib import Path; from hal.board import load_board;"
        "load_board(Path(sys.argv[1]));"
        "print([name for name in sys.modules if name.startswith('acme')"
        " or name == 'importlib.metadata'])"
    )

    def loaded(path: Path) -> str:
        command = [sys.executable, "-c", code, str(path)]
        environment = {"PYTHONPATH": f"{site}:{ROOT}"}
        return subprocess.run(
            command, env=environment, capture_output=True, check=True, text=True
        ).stdout

    path = site.parent / "board.toml"
    path.write_text(BOARD.replace("PORT", "1").replace("reader =", "# reader ="))
    text = path.read_text().replace('"acme_meter", pulses = 1000', '"modbus_meter", port = "m"')
    text = text.replace('port = "m"', 'port = "m", map = "eastron-sdm630"')
    path.write_text(text + '[port.m]\ndriver = "modbus_tcp"\nhost = "192.168.1.5"\n')
    assert loaded(path) == "['importlib.metadata', 'acme_board']\n"
    assert loaded(ROOT / "config/boards/sim.toml") == "[]\n"


# --- mistakes in the board file ---


def test_every_mistake_in_a_table_of_another_has_its_line_and_what_is_allowed(board):
    path = board(
        ('host = "127.0.0.1", port = 4711', "port = 0, hosts = 1"),
        ("pulses = 1000", 'pulses = 0, edge = "up"'),
        ("max_a = 32", "max_a = 5"),
    )
    assert mistakes(path) == [
        "3: evse[0].max_a must be a number (at least 6, at most 1000)",
        "5: evse[0].controller.port must be an integer (at least 1, at most 65535)",
        f"5: evse[0].controller.hosts is not known here; {NEAR}",
        "5: evse[0].controller.host is missing (a string)",
        "6: evse[0].meter.pulses must be an integer (at least 1, at most 10000)",
        "6: evse[0].meter.edge must match ^(rising|falling)$",
    ]


def test_what_the_settings_say_themselves_has_its_line(board):
    (found,) = mistakes(board(("pulses = 1000", "pulses = 13")))
    assert found.startswith("6: evse[0].meter pulses must not be 13")


def test_an_unknown_driver_lists_ours_and_those_that_are_installed(board):
    (found,) = mistakes(board(('"acme_board"', '"acme_bord"')))
    assert found == (
        '5: evse[0].controller.driver must be one of "simulated", "modbus_evse", "openevse",'
        ' "safety_mcu", "gpio", "dc", "acme_board", "acme_meter"'
    )


def test_a_driver_of_ours_in_a_wrong_place_is_a_mistake_with_the_right_ones(board):
    (found,) = mistakes(board(('"acme_meter", pulses = 1000', '"pn532"')))
    assert found == (
        '6: evse[0].meter.driver must be one of "modbus_meter", "openevse", "acme_board", "acme_meter"'
    )


def test_a_driver_in_a_place_that_it_does_not_serve_says_what_it_serves(board):
    assert mistakes(board(('"acme_meter", pulses = 1000', '"acme_board", x = 1'))) == [
        "6: acme_board of acme-board 1.2 is no meter, but a controller"
    ]


def test_a_package_cannot_take_the_name_of_a_driver_of_ours(board, site):
    distribute(site, "acme-bad", "acme_faulty", FAULTY, simulated="acme_faulty:FAILS")
    (found,) = mistakes(board(('"acme_board"', '"none"')))
    assert found.count('"simulated"') == 1


@pytest.mark.parametrize(
    "text", ["evse = 1", "[evse]\nid = 1", "evse = [1]", "[[evse]]\nmeter = 1", ""]
)
def test_a_file_of_any_other_shape_has_mistakes(tmp_path, site, text):
    path = tmp_path / "board.toml"
    path.write_text(text)
    assert check_board(path)


def test_a_controller_that_cannot_switch_phases_is_not_asked_to(board, tmp_path):
    loaded = load_board(board(("phases = 3", "phases = 3\nphase_switching = true")))
    with pytest.raises(BoardError, match="EVSE 1 shall switch phases, which its controller"):
        build(loaded, state_directory=tmp_path)


# --- broken packages ---


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("acme_absent:DRIVER", "ModuleNotFoundError: No module named 'acme_absent'"),
        ("acme_faulty:ABSENT", "AttributeError: module 'acme_faulty' has no attribute"),
        ("acme_faulty:NO_DRIVER", "acme_faulty:NO_DRIVER is no hal.extensions.Driver"),
        ("acme_faulty:EMPTY", "neither controller nor meter nor reader"),
        ("acme_faulty:NO_STRUCT", "its settings are no msgspec.Struct"),
        ("acme_faulty:LISTED", "its settings are written as an array"),
        ("acme_faulty:BYTES", "hal.schema has no rule for BytesType"),
        ("acme_faulty:TAGGED", "driver"),
    ],
)
def test_a_broken_package_is_named_where_its_driver_is(board, site, entry, says):
    distribute(site, "acme-bad", "acme_faulty", FAULTY, acme_bad=entry)
    (found,) = mistakes(board(('"acme_board"', '"acme_bad"')))
    assert found.startswith("5: driver acme_bad of acme-bad 1.2 cannot be used: ")
    assert says in found


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "import (", "1 / 0"])
def test_a_package_that_fails_while_it_is_imported_is_named(board, site, text):
    distribute(site, "acme-bad", "acme_faulty", text, acme_bad="acme_faulty:DRIVER")
    (found,) = mistakes(board(('"acme_board"', '"acme_bad"')))
    assert found.startswith("5: driver acme_bad of acme-bad 1.2 cannot be used: ")


def test_two_packages_with_one_name_are_both_named(board, site):
    distribute(site, "acme-other", "acme_faulty", FAULTY, acme_board="acme_faulty:FAILS")
    (found,) = mistakes(board())
    assert "acme-board 1.2" in found
    assert "acme-other 1.2" in found
    assert found.endswith("remove all but one")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("FAILS", "OSError: no such GPIO"),
        ("INCOMPLETE", "TypeError: Can't instantiate abstract class Incomplete"),
        ("WRONG", "it made a int, which is no subclass of hal.api.EvseController"),
    ],
)
def test_a_driver_that_cannot_be_made_is_a_board_error(board, site, tmp_path, what, says):
    distribute(site, "acme-bad", "acme_faulty", FAULTY, acme_bad=f"acme_faulty:{what}")
    host = ', host = "127.0.0.1", port = 4711'
    loaded = load_board(board((f'"acme_board"{host}', '"acme_bad"')))
    with pytest.raises(BoardError, match=r"driver acme_bad of acme-bad 1\.2 cannot") as caught:
        build(loaded, state_directory=tmp_path)
    assert says in str(caught.value)


# --- the commands ---


@pytest.mark.parametrize(
    ("command", "what"), [("check", "NO_DRIVER"), ("run", "NO_DRIVER"), ("run", "FAILS")]
)
def test_the_agent_does_not_start_with_a_broken_package(board, site, tmp_path, command, what):
    distribute(site, "acme-bad", "acme_faulty", FAULTY, acme_bad=f"acme_faulty:{what}")
    host = ', host = "127.0.0.1", port = 4711'
    board((f'"acme_board"{host}', '"acme_bad"'))
    state = tmp_path / "state"
    state.mkdir()
    config = tmp_path / "agent.toml"
    config.write_text(
        '[station]\nidentity = "CP"\nvendor = "V"\nmodel = "M"\nserial_number = "1"\n'
        'firmware_version = "1"\n[[csms]]\nurl = "ws://127.0.0.1:1/"\nprotocols = ["ocpp1.6"]\n'
        "security_profile = 0\n"
        f'[hardware]\nboard = "board.toml"\n[storage]\ndirectory = "{state}"\n'
        f'[control]\nsocket = "{tmp_path}/s"\n'
    )
    outcome = subprocess.run(
        [sys.executable, "-m", "agent", command, "-c", str(config)],
        env={"PYTHONPATH": f"{site}:{ROOT}"},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == 78
    assert "driver acme_bad of acme-bad 1.2 cannot be used" in outcome.stdout + outcome.stderr
    assert list(state.iterdir()) == []
