import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from agent.bench import charger as module
from agent.bench.charger import Charger, ChargerError, toml
from agent.config import load_config
from agent.factory import check_setting
from agent.secret import read_secret
from hal.board_file import load_board


@pytest.fixture
def directory(tmp_path_factory):
    """A directory whose path is short enough for sockets."""
    return tmp_path_factory.mktemp("c")


def configured(directory):
    charger = Charger(directory)
    charger.configure(
        url="ws://127.0.0.1:9/ocpp", password="pilotwire-demo-0001", protocols=["ocpp1.6"]
    )
    return charger


def test_the_written_configuration_is_right_and_names_the_simulated_board(directory):
    charger = configured(directory)
    config = load_config(charger.config, check_setting)
    (csms,) = config.csms
    assert (csms.url, csms.protocols, csms.security_profile) == (
        "ws://127.0.0.1:9/ocpp",
        ("ocpp1.6",),
        1,
    )
    assert read_secret(csms.password, directory) == b"pilotwire-demo-0001"
    assert config.station.identity == charger.identity
    assert config.settings["SampledDataCtrlr.TxUpdatedInterval"] == 3
    assert config.settings["HeartbeatInterval"] == 300
    assert config.control_socket == charger.socket
    assert config.storage_directory == directory / "state"
    assert load_board(config.board).is_simulated
    assert charger.config.stat().st_mode & 0o777 == 0o600


def test_a_path_that_is_too_long_for_sockets_is_refused(tmp_path):
    with pytest.raises(ChargerError, match="at most 80 characters"):
        Charger(tmp_path / ("x" * 80))


def test_toml_takes_every_value_that_a_configuration_has():
    table = {"a": 'x"\\é', "b.c": 1, "d": True, "e": ["f", 2.5], "g": {"h i": "j"}}
    assert toml("[t]", table).splitlines() == [
        "[t]",
        'a = "x\\"\\\\\\u00e9"',
        '"b.c" = 1',
        "d = true",
        'e = ["f", 2.5]',
        'g = { "h i" = "j" }',
        "",
    ]


def test_the_shipped_configuration_is_found_in_the_repository():
    assert (module.PLACES[0] / "agent.toml").is_file()


def test_an_agent_that_ends_at_once_is_reported_with_its_log(directory):
    charger = configured(directory)
    charger.config.write_text("nonsense")

    async def main():
        await charger.start()
        with pytest.raises(ChargerError, match=r"exit code 78; see .*agent\.log"):
            await charger.ready()
        await charger.stop()

    asyncio.run(main())
    assert "agent.toml" in charger.log.read_text()


def test_nothing_can_be_asked_of_an_agent_that_never_started(directory):
    async def main():
        charger = Charger(directory)
        assert charger.pid is None
        with pytest.raises(ChargerError, match="not running"):
            await charger.status()
        with pytest.raises(AssertionError):
            await charger.gone()
        await charger.stop()

    asyncio.run(main())


def test_an_agent_starts_answers_refuses_and_ends_by_itself(directory):
    async def main():
        charger = configured(directory)
        await charger.start()
        await charger.ready()
        status = await charger.status()
        assert status["station"]["identity"] == charger.identity
        with pytest.raises(ChargerError, match=r"sim\.unplug: "):
            await charger.call("sim.unplug", evse_id=9)
        gone = asyncio.ensure_future(charger.gone())
        await charger.stop()
        assert "exit code 0" in str(await gone)
        await charger.stop()

    asyncio.run(main())


LISTENER = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listening", flush=True)
link, _ = server.accept()
link.recv(1)
"""


def test_an_agent_of_an_earlier_run_is_ended_by_its_socket(directory):
    charger = Charger(directory)
    assert charger.stop_leftover() is None
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(charger.socket)], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    assert charger.stop_leftover() == process.pid
    assert process.wait(10) == -15
    process.stdout.close()
    assert charger.stop_leftover() is None


def test_paths_are_absolute_wherever_the_demonstration_starts():
    assert Charger(Path("x")).socket.is_absolute()
