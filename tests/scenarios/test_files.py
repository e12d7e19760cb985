"""Firmware that is fetched and logs that are sent, as the CSMS hears of them on both versions.

The helper processes have tests of their own, over real servers (tests/runtime/test_updater.py);
here their words are spoken by hand.
"""

import asyncio
from typing import Any

import pytest

from agent.bench.script import Refusal
from agent.core import diagnostics, updates
from agent.core.events import InstallerFound, UpdateWorkEnded, UploadEnded
from agent.core.orders import Failure, Step, UploadStatus
from tests.support.lab import IDENTITY, OTHER_TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

WAITS: dict[str, object] = {"FirmwareCtrlr.DownloadWhileCharging": False}
ALLOWS: dict[str, object] = {"ChargingStation.AllowNewSessionsPendingFirmwareUpdate": True}
IMAGE = {
    "location": "https://files.example/image",
    "retrieveDateTime": "2027-01-15T07:00:00Z",
    "signingCertificate": "-----BEGIN CERTIFICATE-----",
    "signature": "c2ln",
}


async def online(lab: Lab) -> None:
    await lab.start()
    await lab.online()
    lab.post(InstallerFound("slots", "a"))


async def ask(lab: Lab, action: str, **payload: Any) -> dict[str, Any]:
    """Ask, and let the station's answer come."""
    answer = await lab.csms.request(IDENTITY, action, payload)
    assert isinstance(answer, dict)
    return answer


async def update(lab: Lab, number: int = 7, failure: Failure | None = None, **more: Any) -> str:
    """Order signed firmware; the certificate is found to be good, or is not."""
    action = "SignedUpdateFirmware" if lab.version == "ocpp1.6" else "UpdateFirmware"
    payload = {"requestId": number, "firmware": {**IMAGE, **more}}
    asking = asyncio.ensure_future(ask(lab, action, **payload))
    await done(lab, Step.CHECK, failure=failure)
    return str((await asking)["status"])


async def done(
    lab: Lab, step: Step, slot: str | None = None, failure: Failure | None = None
) -> None:
    """Let the helper come to the end of a step."""
    await lab.until(lambda: wanted(lab) is step)
    work = updates.work(lab.station.firmware)
    assert work is not None
    lab.post(UpdateWorkEnded(work, failure, "", slot))


def wanted(lab: Lab) -> Step | None:
    work = updates.work(lab.station.firmware)
    return None if work is None else work.step


def told(lab: Lab, action: str, number: int = 7) -> list[str]:
    """Return the statuses of one request, in order."""
    signed = lab.version == "ocpp1.6" and action == "FirmwareStatusNotification"
    payloads = lab.wire.payloads(f"Signed{action}" if signed else action)
    return [one["status"] for one in payloads if one.get("requestId") == number]


def firmware(lab: Lab, number: int = 7) -> list[str]:
    return told(lab, "FirmwareStatusNotification", number)


def events(lab: Lab) -> list[str]:
    return [one["type"] for one in lab.wire.payloads("SecurityEventNotification")]


def answered_first(lab: Lab, status: str) -> bool:
    """Tell whether the answer to the last request came before what it caused (generic rule FR.05)."""
    frames = [frame.tree for frame in lab.wire.frames if frame.is_sent]
    answers = [at for at, tree in enumerate(frames) if tree[0] == 3]
    caused = [at for at, tree in enumerate(frames) if tree[0] == 2 and status in tree[2]]
    return answers[-1] < caused[0]


def test_an_update_is_told_from_the_order_to_the_image_that_runs(version: str) -> None:
    """TC_L_01, TC_080: every status once, in order, with the id; then the security event."""

    async def story(lab: Lab) -> None:
        await online(lab)
        assert await update(lab) == "Accepted"
        await lab.until(lambda: firmware(lab) == ["Downloading"])
        assert answered_first(lab, "FirmwareStatusNotification")
        await done(lab, Step.DOWNLOAD)
        await done(lab, Step.VERIFY)
        await lab.until(lambda: firmware(lab)[-1] == "Installing")
        assert lab.connector() == "Unavailable"
        await done(lab, Step.INSTALL, slot="b")
        lives = lab.lives
        await done(lab, Step.ACTIVATE)
        await lab.until(lambda: lab.lives > lives and lab.is_running)
        lab.post(InstallerFound("slots", "b"))
        await done(lab, Step.CONFIRM)
        await lab.until(lambda: firmware(lab)[-1] == "Installed")
        await lab.until(lambda: lab.connector() == "Available")
        await lab.delivered()

    lab = run(Lab(version), story)
    assert list(dict.fromkeys(firmware(lab))) == [
        "Downloading",
        "Downloaded",
        "SignatureVerified",
        "Installing",
        "InstallRebooting",
        "Installed",
    ]
    assert events(lab)[-1] == "FirmwareUpdated"
    if version == "ocpp2.0.1":
        boots = [one["reason"] for one in lab.wire.payloads("BootNotification")]
        assert boots == ["PowerUp", "FirmwareUpdate"]


@pytest.mark.parametrize(
    ("step", "failure", "end", "event"),
    [
        (Step.DOWNLOAD, Failure.IMPOSSIBLE, "DownloadFailed", None),
        (Step.VERIFY, Failure.SIGNATURE, "InvalidSignature", "InvalidFirmwareSignature"),
        (Step.VERIFY, Failure.IMAGE, "InstallVerificationFailed", None),
        (Step.INSTALL, Failure.INSTALLATION, "InstallationFailed", None),
    ],
)
def test_an_update_that_fails_is_told_by_its_reason_and_by_nothing_after(
    version: str, step: Step, failure: Failure, end: str, event: str | None
) -> None:
    """TC_L_06 to TC_L_08, TC_081; the old image goes on, and so do its connectors."""

    async def story(lab: Lab) -> None:
        await online(lab)
        await update(lab)
        for earlier in (Step.DOWNLOAD, Step.VERIFY, Step.INSTALL):
            if earlier is step:
                break
            await done(lab, earlier)
        await done(lab, step, failure=failure)
        await lab.until(lambda: firmware(lab)[-1] == end)
        await lab.until(lambda: lab.connector() == "Available")
        await asyncio.sleep(300)

    lab = run(Lab(version), story)
    assert firmware(lab)[-1] == end
    assert firmware(lab).count(end) == 1
    told_events = {"InvalidFirmwareSignature", "FirmwareUpdated"} & set(events(lab))
    assert told_events == ({event} if event else set())


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Failure.CERTIFICATE, "InvalidCertificate"),
        (Failure.REVOKED, "RevokedCertificate"),
    ],
)
def test_a_signer_that_nobody_vouches_for_is_refused_and_nothing_is_fetched(
    version: str, failure: Failure, status: str
) -> None:
    """TC_L_05; the answer is all that is told, beside the security event."""

    async def story(lab: Lab) -> None:
        await online(lab)
        assert await update(lab, failure=failure) == status
        await lab.until(lambda: "InvalidFirmwareSigningCertificate" in events(lab))
        await asyncio.sleep(60)
        assert wanted(lab) is None

    assert firmware(run(Lab(version), story)) == []


def test_an_installation_of_tonight_is_scheduled_and_one_that_runs_is_not_cancelled(
    version: str,
) -> None:
    """TC_L_02 and TC_L_11."""

    async def story(lab: Lab) -> None:
        await online(lab)
        await update(lab, installDateTime="2027-01-15T08:01:00Z")
        await done(lab, Step.DOWNLOAD)
        await done(lab, Step.VERIFY)
        await lab.until(lambda: firmware(lab)[-1] == "InstallScheduled")
        assert lab.connector() == "Available"
        await lab.until(lambda: firmware(lab)[-1] == "Installing")
        action = "SignedUpdateFirmware" if version == "ocpp1.6" else "UpdateFirmware"
        answer = await ask(lab, action, requestId=8, firmware=IMAGE)
        assert answer["status"] == "Rejected"
        await done(lab, Step.INSTALL)
        await lab.until(lambda: firmware(lab)[-1] == "Installed")

    assert firmware(run(Lab(version), story), 8) == []


def test_who_asks_is_told_the_last_status_and_idle_after_a_success(version: str) -> None:
    """F06.FR.16, L01.FR.25 and FR.26; 1.6 by ExtendedTriggerMessage."""
    action = "ExtendedTriggerMessage" if version == "ocpp1.6" else "TriggerMessage"
    message = {"requestedMessage": "FirmwareStatusNotification"}

    async def story(lab: Lab) -> None:
        await online(lab)
        assert (await ask(lab, action, **message))["status"] == "Accepted"
        await lab.until(lambda: idle(lab) == 1)
        await update(lab)
        await lab.until(lambda: firmware(lab) == ["Downloading"])
        await ask(lab, action, **message)
        await lab.until(lambda: firmware(lab) == ["Downloading"] * 2)
        for step in (Step.DOWNLOAD, Step.VERIFY, Step.INSTALL):
            await done(lab, step)
        await lab.until(lambda: firmware(lab)[-1] == "Installed")
        await ask(lab, action, **message)
        await lab.until(lambda: idle(lab) == 2)

    run(Lab(version), story)


def idle(lab: Lab) -> int:
    """Return how often Idle was told, which has no id (L01.FR.20)."""
    name = "FirmwareStatusNotification"
    signed = f"Signed{name}" if lab.version == "ocpp1.6" else name
    return lab.wire.payloads(signed).count({"status": "Idle"})


def test_a_station_publishes_no_firmware_for_others(version: str) -> None:
    """L03 and L04 are for local controllers; 1.6 does not know the words."""
    code = "NotImplemented" if version == "ocpp1.6" else "NotSupported"

    async def story(lab: Lab) -> None:
        await online(lab)
        for action in ("PublishFirmware", "UnpublishFirmware"):
            answer = await lab.csms.request(IDENTITY, action, {"checksum": "0" * 32})
            assert isinstance(answer, Refusal)
            assert answer.code == code
        if version == "ocpp2.0.1":
            message = {"requestedMessage": "PublishFirmwareStatusNotification"}
            assert (await ask(lab, "TriggerMessage", **message))["status"] == "NotImplemented"

    run(Lab(version), story)


def test_a_download_gives_way_to_who_charges_and_goes_on(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        assert await update(lab) == "Accepted"
        await lab.until(lambda: firmware(lab) == ["Downloading"])
        await lab.charging()
        await lab.until(lambda: firmware(lab)[-1] == "DownloadPaused")
        assert wanted(lab) is None
        await asyncio.sleep(300)
        lab.unplug()
        await lab.until(lambda: firmware(lab)[-1] == "Downloading")
        await done(lab, Step.DOWNLOAD)
        await done(lab, Step.VERIFY)
        await lab.until(lambda: firmware(lab)[-1] == "Installing")
        await lab.delivered()

    lab = run(Lab(version, settings=WAITS), story)
    assert firmware(lab) == [
        "Downloading",
        "DownloadPaused",
        "Downloading",
        "Downloaded",
        "SignatureVerified",
        "Installing",
    ]
    check_bills(lab)


@pytest.mark.parametrize("allows", [False, True])
def test_a_download_waits_for_a_transaction_as_the_installation_does(
    version: str, allows: bool
) -> None:
    """TC_L_12 and TC_L_13: whether others may begin meanwhile is a setting."""

    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging(1)
        assert await update(lab) == "Accepted"
        await lab.until(lambda: firmware(lab) == ["DownloadScheduled"])
        free = "Available" if allows else "Unavailable"
        await lab.until(lambda: lab.connector(2) == free)
        if allows:
            await lab.charging(2, token=OTHER_TAG)
            lab.unplug(1)
            await asyncio.sleep(60)
            assert firmware(lab) == ["DownloadScheduled"]
            lab.unplug(2)
        else:
            lab.unplug(1)
        await lab.until(lambda: firmware(lab) == ["DownloadScheduled", "Downloading"])
        await lab.until(lambda: [lab.connector(1), lab.connector(2)] == ["Available"] * 2)
        await lab.delivered()

    lab = run(Lab(version, evses=2, settings={**WAITS, **(ALLOWS if allows else {})}), story)
    check_bills(lab)


def test_another_order_ends_a_download_that_pauses(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await update(lab)
        await lab.charging()
        await lab.until(lambda: firmware(lab)[-1:] == ["DownloadPaused"])
        assert await update(lab, 8, location="https://files.example/other") == (
            "AcceptedCanceled"
        )
        await lab.until(lambda: firmware(lab, 8) == ["DownloadScheduled"])
        lab.unplug()
        await lab.until(lambda: firmware(lab, 8) == ["DownloadScheduled", "Downloading"])
        await lab.delivered()

    lab = run(Lab(version, settings=WAITS), story)
    assert firmware(lab) == ["Downloading", "DownloadPaused"]
    check_bills(lab)


# --- logs ---------------------------------------------------------------------------------


async def get_log(lab: Lab, number: int, kind: str = "DiagnosticsLog", **more: Any) -> str:
    payload = {
        "requestId": number,
        "logType": kind,
        "log": {"remoteLocation": "https://files.example/logs"},
        **more,
    }
    answer = await ask(lab, "GetLog", **payload)
    assert answer["filename"]
    return str(answer["status"])


async def sent(lab: Lab, status: UploadStatus) -> None:
    """Let the helper come to the end of an attempt."""
    await lab.until(lambda: diagnostics.work(lab.station.diagnostics))
    work = diagnostics.work(lab.station.diagnostics)
    assert work is not None
    lab.post(UploadEnded(work, status))
    await lab.until(lambda: diagnostics.work(lab.station.diagnostics) != work)


def logs(lab: Lab, number: int) -> list[str]:
    return told(lab, "LogStatusNotification", number)


def test_a_second_log_takes_the_place_of_one_that_is_being_sent(version: str) -> None:
    """N01.FR.12 and FR.20; 1.6 has no word for what was cancelled (1.6 reference 8.4)."""

    async def story(lab: Lab) -> None:
        await online(lab)
        assert await get_log(lab, 1) == "Accepted"
        await lab.until(lambda: logs(lab, 1) == ["Uploading"])
        assert answered_first(lab, "LogStatusNotification")
        assert await get_log(lab, 2, "SecurityLog") == "AcceptedCanceled"
        await lab.until(lambda: logs(lab, 2) == ["Uploading"])
        await sent(lab, UploadStatus.UPLOADED)
        await lab.until(lambda: logs(lab, 2) == ["Uploading", "Uploaded"])

    lab = run(Lab(version), story)
    ended = [] if version == "ocpp1.6" else ["AcceptedCanceled"]
    assert logs(lab, 1) == ["Uploading", *ended]
    order = [one["requestId"] for one in lab.wire.payloads("LogStatusNotification")]
    assert order == sorted(order)


def test_a_log_is_tried_again_as_often_as_asked_and_its_end_has_a_reason(version: str) -> None:
    """The reason of the last attempt."""
    ends = [UploadStatus.UPLOAD_FAILURE] * 2 + [UploadStatus.NOT_SUPPORTED_OPERATION]

    async def story(lab: Lab) -> None:
        await online(lab)
        await get_log(lab, 1, retries=2, retryInterval=30)
        for attempt, status in enumerate(ends):
            assert logs(lab, 1) in ([], ["Uploading"])
            began_s = lab.now_s
            await sent(lab, status)
            assert attempt == 0 or lab.now_s - began_s == pytest.approx(30.0, abs=1.0)
        await lab.until(lambda: len(logs(lab, 1)) == 2)
        await asyncio.sleep(300)

    lab = run(Lab(version), story)
    assert logs(lab, 1) == ["Uploading", "NotSupportedOperation"]


def test_a_log_of_an_unserved_scheme_is_refused(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        location = {"remoteLocation": "gopher://files.example/"}
        answer = await ask(lab, "GetLog", requestId=1, logType="SecurityLog", log=location)
        assert answer["status"] == "Rejected"
        assert "filename" not in answer
        await asyncio.sleep(60)

    lab = run(Lab(version), story)
    assert lab.wire.payloads("LogStatusNotification") == []


def test_an_upload_goes_on_without_a_link_and_its_end_is_told_later(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await get_log(lab, 1)
        await lab.delivered()
        await lab.lose_link()
        await sent(lab, UploadStatus.UPLOADED)
        await asyncio.sleep(30)
        assert logs(lab, 1) == ["Uploading"]
        lab.restore_link()
        await lab.until(lambda: logs(lab, 1) == ["Uploading", "Uploaded"])

    run(Lab(version), story)


def test_an_upload_that_a_power_cut_has_ended_is_told_as_failed(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await get_log(lab, 1)
        await lab.delivered()
        await lab.cut()
        await lab.start()
        await lab.until(lambda: logs(lab, 1)[-1] == "UploadFailure")
        await asyncio.sleep(60)

    lab = run(Lab(version), story)
    once = list(dict.fromkeys(logs(lab, 1)))  # a message may be told twice around a power cut
    assert once == ["Uploading", "UploadFailure"]


def test_who_asks_is_told_whether_a_log_is_being_sent(version: str) -> None:
    """F06.FR.14 and FR.15: Idle has no id."""
    action = "ExtendedTriggerMessage" if version == "ocpp1.6" else "TriggerMessage"
    message = {"requestedMessage": "LogStatusNotification"}

    async def story(lab: Lab) -> None:
        await online(lab)
        await ask(lab, action, **message)
        await lab.until(lambda: lab.wire.payloads("LogStatusNotification"))
        assert lab.wire.payloads("LogStatusNotification") == [{"status": "Idle"}]
        await get_log(lab, 1)
        await lab.delivered()
        await ask(lab, action, **message)
        await lab.until(lambda: logs(lab, 1) == ["Uploading"] * 2)

    run(Lab(version), story)
