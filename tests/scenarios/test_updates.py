"""What an update asks of a whole station: patience, a way back, and an honest no."""

import asyncio

import pytest

from agent.bench.script import Refusal
from agent.core.events import DialRefusal, InstallerFound
from agent.core.orders import Step
from agent.transport.link import DialError, DialTarget
from tests.scenarios.test_files import (
    IMAGE,
    ask,
    done,
    events,
    firmware,
    online,
    update,
    wanted,
)
from tests.support.lab import IDENTITY, OTHER_TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

DOWNLOADED = ["Downloading", "Downloaded", "SignatureVerified"]


def test_evses_become_inoperative_one_by_one_and_the_last_lets_it_begin(version: str) -> None:
    """L01.FR.06, FR.07; TC_L_14: who charges is waited for, and nobody else begins."""

    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging(1)
        assert await update(lab) == "Accepted"
        await done(lab, Step.DOWNLOAD)
        await done(lab, Step.VERIFY)
        await lab.until(lambda: lab.connector(2) == "Unavailable")
        assert lab.connector(1) == "Charging"
        assert firmware(lab) == [*DOWNLOADED, "InstallScheduled"]
        lab.plug(2)
        lab.tap(OTHER_TAG, evse_id=2)
        await asyncio.sleep(600)
        assert len(lab.bills) == 1
        assert wanted(lab) is None
        lab.unplug(2)
        lab.unplug(1)
        await lab.until(lambda: lab.connector(1) == "Unavailable")
        await done(lab, Step.INSTALL)
        await lab.until(lambda: lab.connector(1) == lab.connector(2) == "Available")
        await lab.delivered()

    lab = run(Lab(version, evses=2), story)
    check_bills(lab)
    assert firmware(lab) == [*DOWNLOADED, "InstallScheduled", "Installing", "Installed"]
    assert lab.told_statuses(1)[-2:] == ["Unavailable", "Available"]
    assert lab.told_statuses(2)[-2:] == ["Unavailable", "Available"]


async def starts(lab: Lab, slot: str, after: int) -> None:
    """Let the machine start a slot, once the station has asked for it."""
    await lab.until(lambda: lab.lives > after and lab.is_running)
    lab.post(InstallerFound("slots", slot, has_failed=slot == "a"))


def estrange(lab: Lab, for_s: float) -> None:
    """Let the CSMS refuse whoever dials, for a while, as one that the image cannot log in to."""
    until_s = lab.now_s + for_s

    def chosen(_: DialTarget) -> str:
        if lab.now_s < until_s:
            raise DialError(DialRefusal.CREDENTIALS, "the server answered 401")
        return lab.version

    lab._dialer._memory.choose = chosen


def test_an_image_that_does_not_prove_itself_is_rolled_back_and_told(version: str) -> None:
    """2.0.1 reference L01: the boot has the old version, InstallationFailed the same id."""

    async def story(lab: Lab) -> None:
        await online(lab)
        await update(lab)
        for step in (Step.DOWNLOAD, Step.VERIFY):
            await done(lab, step)
        await done(lab, Step.INSTALL, slot="b")
        estrange(lab, 400.0)
        lives = lab.lives
        await done(lab, Step.ACTIVATE)
        await starts(lab, "b", lives)
        await asyncio.sleep(240)
        assert wanted(lab) is None  # five minutes are its chance
        assert lab.connector() == "Unavailable"
        lives = lab.lives
        await done(lab, Step.ROLL_BACK)
        await starts(lab, "a", lives)
        await lab.until(lambda: lab.connector() == "Available")
        await lab.online()
        await lab.delivered()

    lab = run(Lab(version), story)
    rest = ["Installing", "InstallRebooting", "InstallationFailed"]
    assert list(dict.fromkeys(firmware(lab))) == [*DOWNLOADED, *rest]
    assert firmware(lab).count("InstallationFailed") == 1
    assert "FirmwareUpdated" not in events(lab)


def test_a_station_without_an_installer_says_so_and_fetches_nothing(version: str) -> None:
    """`installer = "none"`; logs are sent all the same."""
    signed = "SignedUpdateFirmware" if version == "ocpp1.6" else "UpdateFirmware"

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        answer = await ask(lab, signed, requestId=7, firmware=IMAGE)
        assert answer["status"] == "Rejected"
        if version == "ocpp1.6":
            location, date = IMAGE["location"], IMAGE["retrieveDateTime"]
            unsigned = {"location": location, "retrieveDate": date}
            refusal = await lab.csms.request(IDENTITY, "UpdateFirmware", unsigned)
            assert isinstance(refusal, Refusal)
            assert refusal.code == "NotSupported"
            profiles = await ask(lab, "GetConfiguration", key=["SupportedFeatureProfiles"])
            assert "FirmwareManagement" in profiles["configurationKey"][0]["value"]
        log = {"remoteLocation": "https://files.example/logs"}
        answer = await ask(lab, "GetLog", requestId=8, logType="DiagnosticsLog", log=log)
        assert answer["status"] == "Accepted"
        await asyncio.sleep(300)
        assert wanted(lab) is None
        assert lab.connector() == "Available"

    lab = run(Lab(version), story)
    assert firmware(lab) == []
    assert not lab.wire.payloads("FirmwareStatusNotification")
