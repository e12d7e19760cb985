"""RAUC over a real bus, with a service that follows its documented interface.

`make updaters` does the same with RAUC itself.
"""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from jeepney import DBusAddress, message_bus, new_signal
from jeepney.io.blocking import open_dbus_connection

from agent.firmware import __main__ as process
from agent.firmware import rauc
from agent.firmware.__main__ import result
from agent.firmware.errors import Refusal, UpdaterRefusedError
from agent.firmware.image import Image
from agent.firmware.installer import InstallerError
from agent.firmware.rauc import Rauc
from agent.firmware.task import Broken, Deed, Refused, Well
from tests.firmware.bundles import Station, bundle
from tests.firmware.pki import ec_key, leaf, signed_text

ROOT = Path(__file__).parents[2]
CONFIGURATION = """<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow send_type="*"/>
<allow receive_type="*"/><allow eavesdrop="false"/></policy></busconfig>"""


@pytest.fixture
def bus(tmp_path, monkeypatch):
    """A bus of its own, in the place of the system's."""
    configuration = tmp_path / "bus.conf"
    configuration.write_text(CONFIGURATION.format(tmp_path / "bus"))
    command = ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        address = daemon.stdout.readline().strip()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address
        daemon.terminate()


class Board:
    """A station whose slots are RAUC's."""

    def __init__(self, directory):
        self.station = Station(directory)
        self.path = directory / "rauc.json"
        facts = {"class": "rootfs", "boot-status": "good"}
        self.services = []
        self.began = {
            "booted": "rootfs.0",
            "primary": "rootfs.0",
            "operation": "idle",
            "activates": False,
            "slots": {
                "rootfs.0": {**facts, "bootname": "A", "bundle.version": "1.4.0"},
                "rootfs.1": {**facts, "bootname": "B"},
                "appfs.1": {"class": "appfs", "parent": "rootfs.1"},
            },
            "calls": [],
        }

    def starts(self, **changes):
        self.path.write_text(json.dumps({**self.began, **changes}))
        command = [sys.executable, "-m", "tests.firmware.fake_rauc", str(self.path)]
        service = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        self.services.append(service)
        assert service.stdout.readline() == b"ready\n"

    def stops(self):
        for service in self.services:
            service.kill()
            service.wait()
            service.stdout.close()

    def does(self, deed, content=b"a RAUC bundle"):
        self.station.image.write_bytes(content)
        signature = signed_text(ec_key("signer"), content)
        certificate = leaf().decode()
        return result(
            self.station.task(
                deed, installer="rauc", certificate=certificate, signature=signature
            )
        )

    @property
    def state(self):
        with rauc.Bus() as bus:  # answered after what came before is written
            bus.call("GetPrimary")
        return json.loads(self.path.read_text())

    @property
    def marks(self):
        return [call for call in self.state["calls"] if call.startswith("Mark")]


@pytest.fixture
def board(tmp_path, bus):
    found = Board(tmp_path)
    yield found
    found.stops()


def test_rauc_says_which_slot_runs_and_its_version(board):
    board.starts()
    assert board.does(Deed.STATUS) == Well("rootfs.0", version="1.4.0")


def test_an_image_is_installed_into_the_other_slot_and_not_started_yet(board, caplog):
    board.starts()
    with caplog.at_level(logging.INFO):
        assert board.does(Deed.INSTALL) == Well("rootfs.1")
    assert board.state["written"] == "a RAUC bundle"
    assert board.state["primary"] == "rootfs.0"
    assert board.marks == []
    assert "RAUC: 40 %: Copying image to rootfs.1" in caplog.text


def test_a_rauc_that_activates_by_itself_is_told_to_wait(board):
    board.starts(activates=True)
    assert board.does(Deed.INSTALL) == Well("rootfs.1")
    assert board.state["primary"] == "rootfs.0"


def test_what_is_installed_is_the_file_that_was_verified(board, tmp_path):
    """Whoever renames another file over it meanwhile changes nothing."""
    board.starts()
    board.station.image.write_bytes(b"a RAUC bundle")
    with Image(board.station.image) as image:
        payload = process.verified(
            image,
            process.Order(
                process.Keyring((board.station.root.read_bytes(),)),
                process.Installed("Wallbox One", "r2", "1.4.0", most_bytes=1 << 20),
                board.station.task(Deed.INSTALL).at_s,
                leaf().decode(),
                signed_text(ec_key("signer"), b"a RAUC bundle"),
            ),
        )[0]
        other = tmp_path / "other"
        other.write_bytes(b"another")
        other.replace(board.station.image)
        Rauc().install(payload, None)
    assert board.state["written"] == "a RAUC bundle"


def test_activation_confirmation_and_the_way_back_are_marks(board):
    board.starts()
    assert board.does(Deed.ACTIVATE) == Well()
    assert board.state["primary"] == "rootfs.1"
    assert board.does(Deed.ACTIVATE) == Well()
    assert board.does(Deed.CONFIRM) == Well()
    assert board.marks == ["Mark active other", "Mark active other", "Mark good booted"]


def test_the_way_back_is_there_before_the_slot_is_bad(board):
    board.starts(booted="rootfs.1", primary="rootfs.1")
    assert board.does(Deed.ROLL_BACK) == Well()
    assert board.marks == ["Mark active other", "Mark bad booted"]
    assert board.state["primary"] == "rootfs.0"
    assert board.state["slots"]["rootfs.1"]["boot-status"] == "bad"


def test_a_slot_that_did_not_start_has_failed(board):
    slots = {**board.began["slots"]}
    slots["rootfs.1"] = {**slots["rootfs.1"], "boot-status": "bad"}
    board.starts(slots=slots)
    assert board.does(Deed.STATUS) == Well("rootfs.0", has_failed=True, version="1.4.0")


def test_what_rauc_refuses_is_told_in_its_words(board):
    board.starts()
    refused = board.does(Deed.INSTALL, b"evil")
    text = "UpdaterRefusedError: RAUC: signature verification failed: no signer"
    assert refused == Refused(Refusal.IMAGE, text)
    assert board.state["primary"] == "rootfs.0"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("Compatible mismatch: Expected 'a' but bundle manifest has 'b'", UpdaterRefusedError),
        ("failed to verify signature: unable to get local issuer", UpdaterRefusedError),
        ("Bundle format 'crypt' not allowed", UpdaterRefusedError),
        ("Failed updating slot rootfs.1: No space left on device", InstallerError),
        ("Failed marking slot rootfs.1 non-bootable", InstallerError),
    ],
)
def test_a_refusal_of_raucs_is_told_from_a_failure(error, kind):
    found = rauc.failure(error)
    assert type(found) is kind
    assert str(found) == f"RAUC: {error}"


def test_a_rauc_that_does_not_take_the_call_says_why(board):
    board.starts(busy=True)
    assert board.does(Deed.INSTALL) == Broken("RAUC: already processing")


def test_an_installation_of_before_is_waited_for(board):
    board.starts(operation="installing")
    assert board.does(Deed.INSTALL) == Well("rootfs.1")


def test_a_rauc_that_ends_meanwhile_has_not_installed(board):
    board.starts(dies=True)
    assert board.does(Deed.INSTALL) == Broken("RAUC ended before the installation did")


def test_a_signal_of_somebody_else_is_not_raucs(board):
    board.starts()
    with rauc.Bus() as bus, bus.listening() as news:
        with open_dbus_connection(bus="SYSTEM") as stranger:
            source = DBusAddress("/", interface=rauc.INTERFACE)
            stranger.send(new_signal(source, "Completed", "i", (7,)))
            stranger.send_and_get_reply(message_bus.GetId())  # so the bus has passed it on
        bus.call("InstallBundle", "sa{sv}", str(board.station.root), {})
        assert news.ended() == 0


def test_one_slot_alone_is_nothing_to_install_into(board):
    board.starts(slots={"rootfs.0": board.began["slots"]["rootfs.0"]})
    assert board.does(Deed.INSTALL) == Broken("RAUC has no other slot to install into")
    assert board.does(Deed.STATUS) == Well("rootfs.0", version="1.4.0")


def test_a_rauc_that_does_not_know_what_runs_installs_nothing(board):
    board.starts(booted="none")
    assert board.does(Deed.INSTALL) == Broken("RAUC does not know which slot runs")


def test_a_bundle_of_pilotwire_is_none_of_raucs(board):
    board.starts()
    refused = board.does(Deed.INSTALL, bundle())
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.IMAGE


def test_a_service_that_is_not_there_is_told(board):
    said = board.does(Deed.STATUS)
    assert isinstance(said, Broken)
    assert said.info.startswith("RAUC: ")
    assert rauc.NAME in said.info


def test_a_bus_that_is_not_there_is_told(board, monkeypatch, tmp_path):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nowhere")
    said = board.does(Deed.STATUS)
    assert isinstance(said, Broken)
    assert said.info.startswith("no system bus: ")


def test_without_jeepney_it_is_said_what_to_install(board, monkeypatch):
    monkeypatch.delitem(sys.modules, "agent.firmware.rauc")
    monkeypatch.setitem(sys.modules, "jeepney", None)
    assert board.does(Deed.STATUS) == Broken("needs jeepney: install pilotwire[rauc]")
