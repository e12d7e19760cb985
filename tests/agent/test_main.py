"""The agent as shipped: its own process, a simulated board, real sockets, a real database."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent import main
from agent.bench.csms import Csms
from agent.bench.listener import listen
from agent.client import AgentAbsentError, ControlClient
from agent.config import Firmware, Security, load_config
from agent.core.trust import CertificateKind
from agent.core.values import BootReason
from agent.factory import check_setting
from agent.runtime.clock import SystemWorld
from agent.runtime.systemd import Notifier
from agent.secret import Secret, SecretError
from agent.security.log import read
from agent.store.database import Changes, Store
from hal.board import build, load_board
from hal.types import MeterReading
from tests.support.shell import Rig
from tests.support.vloop import run as run_virtually

ROOT = Path(__file__).parents[2]
SIM = ROOT / "config" / "boards" / "sim.toml"
PASSWORD = "0123456789abcdef"
TOKEN = "04A1B2C3D4E5F6"
LIMIT_S = 60.0
"""How long anything may take on a busy machine; far more than it does take."""


def configure(place, *, url="ws://127.0.0.1:9/ocpp", board=SIM, storage=None, more=""):
    """Write a configuration and return its path."""
    path = place / "agent.toml"
    path.write_text(
        f"""
[station]
identity = "CP001"
vendor = "Example"
model = "Wallbox One"

[[csms]]
url = "{url}"
protocols = ["ocpp2.0.1", "ocpp1.6"]
security_profile = 1
password = {{ text = "{PASSWORD}" }}

[hardware]
board = "{board}"

[settings]
"OCPPCommCtrlr.RetryBackOffWaitMinimum" = 1
"OCPPCommCtrlr.RetryBackOffRandomRange" = 0
{more}
[storage]
directory = "{storage or place / "state"}"

[control]
socket = "{place / "s"}"
"""
    )
    return path


class Systemd:
    """The socket that systemd listens on."""

    def __init__(self, place):
        self.path = str(place / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(LIMIT_S)
        self.heard = []

    def wait(self, word):
        """Wait until the agent says a word."""
        while word not in self.heard:
            self.heard += self.socket.recv(4096).decode().split("\n")

    def drained(self):
        """Return everything that was said so far."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard += self.socket.recv(4096).decode().split("\n")
        return self.heard


@contextlib.contextmanager
def systemd(place):
    listening = Systemd(place)
    with listening.socket:
        yield listening


async def until(holds):
    """Look until something holds in another process."""
    async with asyncio.timeout(LIMIT_S):
        while not await holds():  # noqa: ASYNC110  # other processes set no events of ours
            await asyncio.sleep(0.05)


class Agent:
    """A process of the agent."""

    def __init__(self, config, *options, **environ):
        self.log = config.parent / "log"
        command = [sys.executable, "-m", "agent", "run", "-c", str(config), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environ}, stdout=log, stderr=log
            )
        self.socket = config.parent / "s"
        self.clients = []

    @property
    def text(self):
        """Return what it has logged."""
        return self.log.read_text()

    async def client(self):
        """Connect to the control socket, as soon as there is one."""

        async def answers():
            assert self.process.poll() is None, self.text
            with contextlib.suppress(AgentAbsentError):
                self.clients.append(ControlClient(self.socket))
                return True
            return False

        await until(answers)
        return self.clients[-1]

    async def call(self, client, method, **params):
        return await asyncio.to_thread(client.call, method, params)

    async def end(self, number=signal.SIGTERM):
        """Send a signal; return the exit code, and how long the end took in s."""
        begun = asyncio.get_running_loop().time()
        self.process.send_signal(number)
        code = await asyncio.to_thread(self.process.wait, LIMIT_S)
        return code, asyncio.get_running_loop().time() - begun

    def kill(self):
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class World:
    """A CSMS that listens, and an agent that runs."""

    def __init__(self, place):
        self.place = place
        self.csms = Csms(now=lambda: SystemWorld(1).env().now.wall_s or 0.0)
        self.agents = []

    async def __aenter__(self):
        self.csms.behaviour.password = PASSWORD
        self.listener = await listen(self.csms)
        return self

    async def __aexit__(self, *_):
        for agent in self.agents:
            agent.kill()
        await self.listener.close()

    def start(self, *options, environ=(), **settings):
        url = f"ws://127.0.0.1:{self.listener.port}/ocpp"
        agent = Agent(configure(self.place, url=url, **settings), *options, **dict(environ))
        self.agents.append(agent)
        return agent

    async def until(self, holds):
        return await self.csms.until(holds, LIMIT_S)

    async def booted(self, times=1):
        await self.until(lambda: len(self.csms.ledger.station("CP001").boots) >= times)

    async def charging(self, agent, client):
        """Plug in and charge."""
        await self.booted()
        await agent.call(client, "sim.plug", evse_id=1)

        async def evse():
            return (await agent.call(client, "status"))["evses"][0]

        async def is_plugged():
            return (await evse())["pilot"] == "B"

        async def is_energized():
            return (await evse())["energized"]

        await until(is_plugged)
        await agent.call(client, "sim.token", id_token=TOKEN, evse_id=1)
        await until(is_energized)


class Listening:
    """Takes the first reading of a meter, and nothing else."""

    def __init__(self):
        self.reading = asyncio.get_running_loop().create_future()

    def meter_read(self, reading: MeterReading):
        if not self.reading.done():
            self.reading.set_result(reading)

    def __getattr__(self, _):
        return lambda *_, **__: None


async def power_w(place):
    """Return the power that flows through the board now, as its meter shows it."""
    hardware = build(load_board(SIM), state_directory=place / "state")
    listening = Listening()
    running = asyncio.create_task(hardware.evses[0].meter.run(listening))
    try:
        async with asyncio.timeout(LIMIT_S):
            return (await listening.reading).power_w
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await hardware.close()


def test_it_starts_says_so_keeps_the_watchdog_quiet_and_ends_with_safe_outputs(place):
    async def story(listening):
        environ = {"NOTIFY_SOCKET": listening.path, "WATCHDOG_USEC": "400000"}
        async with World(place) as world:
            agent = world.start("--log-level", "debug", environ=environ)
            await asyncio.to_thread(listening.wait, "READY=1")
            await asyncio.to_thread(listening.wait, "WATCHDOG=1")
            client = await agent.client()
            await world.charging(agent, client)

            async def draws():
                return await power_w(place) > 0.0

            await until(draws)
            code, took_s = await agent.end()
            assert code == 0, agent.text
            assert took_s < 5.0
            assert await power_w(place) == 0.0
            await world.until(lambda: not world.csms.connected)
            heard = listening.drained()
            assert heard.count("READY=1") == 1
            assert heard.count("WATCHDOG=1") >= 2
            assert heard.index("STOPPING=1") > heard.index("READY=1")
            assert PASSWORD not in agent.text
            assert TOKEN not in agent.text
            assert "Traceback" not in agent.text
            assert not agent.socket.exists()
            assert not world.csms.violations

    with systemd(place) as listening:
        asyncio.run(story(listening))


def test_a_reset_restarts_it_in_place_and_the_next_boot_says_why(place):
    async def story(listening):
        async with World(place) as world:
            agent = world.start(environ={"NOTIFY_SOCKET": listening.path})
            await world.booted()
            assert await world.csms.reset("CP001", hard=True) == "Accepted"
            await world.booted(2)
            reasons = [boot.reason for boot in world.csms.ledger.station("CP001").boots]
            assert reasons == ["PowerUp", "RemoteReset"]
            assert agent.process.poll() is None
            client = await agent.client()
            status = await agent.call(client, "status")
            assert status["station"]["identity"] == "CP001"
            assert {"requests", "late", "load"} <= status["ports"]["meter-1"].keys()
            code, _ = await agent.end(signal.SIGINT)
            assert code == 0, agent.text
            # A restart is no end: systemd would wait for the process to go away.
            heard = listening.drained()
            assert heard.count("READY=1") == 2
            assert heard.count("STOPPING=1") == 1
            assert heard.index("STOPPING=1") > len(heard) - 1 - heard[::-1].index("READY=1")

    with systemd(place) as listening:
        asyncio.run(story(listening))


def test_each_boot_and_a_vanished_security_log_are_security_events(place):
    async def story():
        async with World(place) as world:
            ledger = world.csms.ledger.station("CP001")

            def told():
                return [event.type for event in ledger.security_events]

            agent = world.start()
            await world.until(lambda: told() == ["StartupOfTheDevice"])
            await world.csms.reset("CP001", hard=True)
            await world.until(lambda: told() == ["StartupOfTheDevice", "ResetOrReboot"])
            await agent.end()
            logged = [json.loads(line) for line in read(place / "state")]
            assert [entry["type"] for entry in logged] == told()
            for file in (place / "state").glob("security.log*"):
                file.unlink()
            agent = world.start()
            await world.until(lambda: told()[3:] == ["SecurityLogWasCleared"])
            await agent.end()

    asyncio.run(story())


def test_a_storage_that_cannot_be_used_leaves_it_online_and_faulted(place):
    async def story():
        (place / "file").write_text("in the way")
        async with World(place) as world:
            agent = world.start(storage=place / "file" / "state")
            await world.booted()
            client = await agent.client()
            status = await agent.call(client, "status")
            assert status["csms"]["connected"] is True
            assert status["storage"] == {"writes": False}
            assert status["evses"][0]["connectors"][0]["status"] == "Faulted"
            code, _ = await agent.end()
            assert code == 0, agent.text
            assert "storage cannot be used, no transaction will start" in agent.text

    asyncio.run(story())


def test_a_database_that_is_damaged_is_set_aside_and_another_begun(place):
    async def story():
        (place / "state").mkdir()
        (place / "state" / "pilotwire.db").write_bytes(b"rubbish" * 1000)
        async with World(place) as world:
            agent = world.start()
            await world.booted()
            aside = place / "state" / "pilotwire.db.corrupt-1"
            assert aside.read_bytes().startswith(b"rubbish")
            assert str(aside) in agent.text
            client = await agent.client()
            assert (await agent.call(client, "status"))["storage"] == {"writes": True}
            code, _ = await agent.end()
            assert code == 0, agent.text

    asyncio.run(story())


def test_a_second_agent_on_the_same_storage_gives_up_and_the_first_goes_on(place):
    async def story():
        async with World(place) as world:
            first = world.start()
            await world.booted()
            await first.client()
            second = world.start()
            assert await asyncio.to_thread(second.process.wait, LIMIT_S) == 1
            assert "failed: " in second.text
            client = await first.client()
            assert (await first.call(client, "status"))["csms"]["connected"] is True
            code, _ = await first.end()
            assert code == 0, first.text

    asyncio.run(story())


def test_a_control_socket_that_cannot_be_made_ends_it_with_code_1(place):
    async def story():
        (place / "s").write_text("in the way")
        async with World(place) as world:
            agent = world.start()
            assert await asyncio.to_thread(agent.process.wait, LIMIT_S) == 1
            assert "a service failed" in agent.text
            assert (place / "s").read_text() == "in the way"

    asyncio.run(story())


# --- mistakes ---


def test_every_mistake_in_the_configuration_ends_it_with_its_line(place, capsys):
    path = configure(
        place, board="nowhere.toml", more='HeartbeatInterval = "often"\nColour = 7'
    )
    assert main.run(path) == 78
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert any(f"{path}:" in line and "HeartbeatInterval must be" in line for line in lines)
    assert any(f"{path}:" in line and "Colour is no setting" in line for line in lines)
    assert any("nowhere.toml" in line for line in lines)


def test_every_mistake_in_the_board_ends_it_with_its_line(place, capsys):
    board = place / "board.toml"
    text = SIM.read_text().replace("max_a      = 32", "max_a      = 3200")
    board.write_text(text.replace("phases     = 3", "phases     = 2"))
    assert main.run(configure(place, board=board)) == 78
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{board}:") for line in lines)


def test_a_secret_that_is_not_there_ends_it_with_its_line(place, capsys):
    path = configure(place)
    text = path.read_text().replace(f'{{ text = "{PASSWORD}" }}', '{ file = "absent" }')
    path.write_text(text)
    assert main.run(path) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}:")
    assert "absent" in line


def test_a_credential_without_systemd_ends_it_too(place, capsys, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    path = configure(place)
    text = path.read_text().replace(f'{{ text = "{PASSWORD}" }}', '{ credential = "pw" }')
    path.write_text(text)
    assert main.run(path) == 78
    assert "$CREDENTIALS_DIRECTORY is not set" in capsys.readouterr().err


def test_a_state_directory_whose_path_is_too_long_for_the_simulator_ends_it(place, capsys):
    assert main.run(configure(place, storage=place / ("x" * 120))) == 78
    assert "at most 107 bytes" in capsys.readouterr().err


# --- in this process ---


def ended_when_ready(listening, number=signal.SIGTERM):
    """Let a signal come to this process once the agent in it is ready."""

    def waiting():
        listening.wait("READY=1")
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=waiting)
    thread.start()
    return thread


@pytest.mark.parametrize("is_usable", [True, False])
def test_it_runs_until_it_is_told_to_end(place, monkeypatch, is_usable):
    (place / "file").write_text("in the way")
    storage = place / "state" if is_usable else place / "file" / "state"
    with systemd(place) as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", listening.path)
        thread = ended_when_ready(listening)
        assert main.run(configure(place, storage=storage)) == 0
        thread.join()
        assert "STOPPING=1" in listening.drained()


def test_it_runs_with_a_damaged_database(place, monkeypatch, caplog):
    (place / "state").mkdir()
    (place / "state" / "pilotwire.db").write_bytes(b"rubbish" * 1000)
    with systemd(place) as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", listening.path)
        thread = ended_when_ready(listening, signal.SIGINT)
        assert main.run(configure(place)) == 0
        thread.join()
    assert "the database was unusable and lies in" in caplog.text


def stored(place, *rows):
    """Leave rows in the database, as an earlier life would."""

    async def wrote():
        store = Store.open(place / "state")
        await store.commit(Changes(rows=rows))
        await store.close()

    asyncio.run(wrote())


def test_it_runs_without_a_row_that_it_cannot_read_and_says_which(place, monkeypatch, caplog):
    stored(place, ("session", "1", b'{"type":"unheard of"}'))
    with systemd(place) as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", listening.path)
        thread = ended_when_ready(listening)
        assert main.run(configure(place)) == 0
        thread.join()
    assert "cannot read what was stored as session/1; going on without it" in caplog.text


def test_a_storage_that_another_process_holds_ends_it_with_code_1(place, caplog):
    async def held():
        store = Store.open(place / "state")
        try:
            return await asyncio.to_thread(main.run, configure(place))
        finally:
            await store.close()

    assert asyncio.run(held()) == 1
    assert "failed: " in caplog.text
    assert "locked" in caplog.text


def test_a_service_that_fails_ends_it_with_code_1(place, caplog):
    (place / "s").mkdir()
    assert main.run(configure(place)) == 1
    assert "a service failed" in caplog.text


def test_a_pulse_that_does_not_come_back_lets_the_watchdog_bark(place, monkeypatch):
    async def story(listening):
        async with Rig() as rig:
            agent = main.Agent(None, None, ())
            watched = asyncio.create_task(agent._watched(rig.kernel))
            await asyncio.sleep(10)
            calm = listening.drained().count("WATCHDOG=1")
            assert calm >= 9
            rig.disk.ping_s = 3600.0
            await asyncio.sleep(600)
            assert listening.drained().count("WATCHDOG=1") <= calm + 1
            watched.cancel()
            agent._notifier.close()

    with systemd(place) as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", listening.path)
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        run_virtually(story(listening))


def test_nobody_waits_for_pulses_without_a_watchdog(monkeypatch):
    async def story():
        async with Rig() as rig:
            await main.Agent(None, None, ())._watched(rig.kernel)

    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    run_virtually(story())
    assert isinstance(Notifier(), Notifier)


# --- the private key ---


def sources_of(place, **security):
    config = load_config(configure(place), check_setting)
    return main._sources(replace(config, security=Security(**security)))


def test_the_private_key_is_a_file_or_a_credential(place, monkeypatch):
    for name in ("client.key", "client.pem", "root.pem"):
        (place / name).write_text(name)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(place))
    assert not sources_of(place)
    (root,) = sources_of(place, csms_roots=(place / "root.pem",))
    assert (root.kind, root.pem, root.key) == (CertificateKind.CSMS_ROOT, b"root.pem", b"")
    for key in (Secret(file=str(place / "client.key")), Secret(credential="client.key")):
        (own,) = sources_of(place, client_certificate=place / "client.pem", client_key=key)
        assert (own.kind, own.pem) == (CertificateKind.STATION, b"client.pem")
        assert own.key == b"client.key"
        assert "client.key" not in repr(own)
    for key, reason in (
        (Secret(text="key"), "has to be a file or a credential"),
        (Secret(file="absent"), "absent"),
    ):
        with pytest.raises(SecretError, match=reason):
            sources_of(place, client_certificate=place / "client.pem", client_key=key)


def test_a_machine_that_does_not_tell_its_boot_has_none(monkeypatch, place):
    monkeypatch.delenv(main.MACHINE_BOOT_VARIABLE, raising=False)
    assert main._machine_boot()
    monkeypatch.setattr(main, "MACHINE_BOOT", place / "absent")
    assert main._machine_boot() == ""
    monkeypatch.setenv(main.MACHINE_BOOT_VARIABLE, "7f3c")
    assert main._machine_boot() == "7f3c"


@pytest.mark.parametrize(
    ("installer", "reason", "ending"),
    [
        ("rauc", BootReason.FIRMWARE_UPDATE, main.Ending.MACHINE),
        ("swupdate", BootReason.FIRMWARE_UPDATE, main.Ending.MACHINE),
        ("slots", BootReason.FIRMWARE_UPDATE, main.Ending.NOTHING),
        ("command", BootReason.FIRMWARE_UPDATE, main.Ending.NOTHING),
        ("rauc", BootReason.REMOTE_RESET, main.Ending.RESTART),
        ("rauc", None, main.Ending.NOTHING),
    ],
)
def test_only_firmware_that_is_a_system_restarts_the_machine(place, installer, reason, ending):
    config = load_config(configure(place), check_setting)
    agent = main.Agent(replace(config, firmware=Firmware(installer=installer)), None, ())
    assert agent._ending(reason) is ending
    agent._is_told_to_end = True
    assert agent._ending(reason) is main.Ending.NOTHING
    agent._notifier.close()
