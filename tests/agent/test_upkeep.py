"""What the configuration makes of updates and logs."""

import pytest
from msgspec.structs import replace

from agent import upkeep
from agent.config import Firmware, load_config
from agent.factory import check_setting
from agent.firmware.manifest import Manifest, encoded
from agent.runtime.clock import SystemWorld
from agent.runtime.kernel import Kernel
from agent.runtime.updater import Updater
from agent.secret import Secret
from agent.store.database import Store
from tests.support.core import Bench

TEXT = """
[station]
identity = "CP1"
vendor = "V"
model = "M"
firmware_version = "1.0.0"
[[csms]]
url = "ws://host/ocpp"
security_profile = 1
password = { text = "correct horse" }
[hardware]
board = "board.toml"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text(TEXT)
    return load_config(path, check_setting)


def with_installer(config, name, **more):
    return replace(config, firmware=Firmware(installer=name, **more))


def test_without_an_installer_there_are_no_updates(config):
    assert upkeep.updater(config, None, None) is None


def kernel_of(tmp_path, station):
    return Kernel(station, Store.refusing("closed"), None, SystemWorld(1), lambda *_: None)


@pytest.fixture
def kernel(tmp_path):
    return kernel_of(tmp_path, Bench().station)


@pytest.mark.parametrize("name", ["slots", "rauc", "swupdate", "command"])
def test_an_installer_that_is_named_makes_an_updater(config, kernel, name):
    found = upkeep.updater(with_installer(config, name), kernel, lambda: None)
    assert isinstance(found, Updater)


def test_the_version_that_runs_is_that_of_its_slot(config, tmp_path):
    slots = with_installer(config, "slots", slots="opt")
    assert upkeep.running_version(config) == "1.0.0"
    assert upkeep.running_version(slots) == "1.0.0"
    manifest = tmp_path / "opt/current/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_bytes(encoded(Manifest("M", ("*",), "1.5.0", 1, "ab" * 32)))
    assert upkeep.running_version(slots) == "1.5.0"
    manifest.write_bytes(b"{}")
    assert upkeep.running_version(slots) == "1.0.0"


def test_passwords_are_secrets_and_what_cannot_be_read_is_in_no_log(config, tmp_path):
    assert upkeep.secrets(config) == ("correct horse",)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for place in (str(tmp_path / "absent"), str(tmp_path / "binary")):
        profile = replace(config.csms[0], password=Secret(file=place))
        assert upkeep.secrets(replace(config, csms=(profile,))) == ()
