"""Firmware, diagnostics and the security log (10.4, 10.9).

Files and slots are the helpers' business (tests/runtime/test_updater.py has them do it over
real servers); here their words are spoken by hand, as the faults of the hardware are.
"""

import asyncio
from typing import Any

from agent.core import diagnostics, updates
from agent.core.events import InstallerFound, UpdateWorkEnded, UploadEnded
from agent.core.orders import Failure, Step, UploadStatus
from tests.conformance.ocpp16.script import Case, Wanted, call, certify, status

LOCATION = "https://files.example/here"
PAST = "2027-01-15T07:00:00Z"
SIGNED = {
    "requestId": 77,
    "firmware": {
        "location": LOCATION,
        "retrieveDateTime": PAST,
        "signingCertificate": "-----BEGIN CERTIFICATE-----",
        "signature": "c2ln",
    },
}
UNAVAILABLE = [status("Unavailable", connector) for connector in (0, 1, 2)]
AVAILABLE = [status("Available", connector) for connector in (0, 1, 2)]


async def online(case: Case) -> None:
    await case.online()
    case.lab.post(InstallerFound("slots", "a"))


async def done(
    case: Case, step: Step, failure: Failure | None = None, slot: str | None = None
) -> None:
    """Let the helper come to the end of a step."""
    await case.lab.until(lambda: _step(case) is step)
    work = updates.work(case.lab.station.firmware)
    assert work is not None
    case.lab.post(UpdateWorkEnded(work, failure, "", slot))


def _step(case: Case) -> Step | None:
    work = updates.work(case.lab.station.firmware)
    return None if work is None else work.step


async def sent(case: Case, word: UploadStatus) -> None:
    """Let the helper come to the end of an upload."""
    await case.lab.until(lambda: diagnostics.work(case.lab.station.diagnostics))
    work = diagnostics.work(case.lab.station.diagnostics)
    assert work is not None
    case.lab.post(UploadEnded(work, word))


def told(word: str) -> Wanted:
    return call("FirmwareStatusNotification", status=word)


def signed(word: str) -> Wanted:
    return call("SignedFirmwareStatusNotification", status=word, requestId=77)


async def update(case: Case, **more: Any) -> None:
    wanted = {"location": LOCATION, "retrieveDate": PAST, **more}
    assert await case.ask("UpdateFirmware", **wanted) == {}


async def restarts(case: Case, *others: Wanted) -> None:
    """Expect the new image to introduce itself, and to be confirmed."""
    lives = case.lab.lives
    await case.lab.until(lambda: case.lab.lives > lives and case.lab.is_running)
    case.lab.post(InstallerFound("slots", "b"))
    await case.booted(c0="Unavailable", c1="Unavailable", c2="Unavailable")
    await done(case, Step.CONFIRM)
    await case.expect(*others, *AVAILABLE)


def test_tc_044_1_firmware_update_download_and_install() -> None:
    async def steps(case: Case) -> None:
        await online(case)
        await update(case)
        await case.expect(told("Downloading"))
        await done(case, Step.DOWNLOAD)
        await case.expect(told("Downloaded"))
        await done(case, Step.VERIFY)
        await case.expect(told("Installing"), *UNAVAILABLE)
        await done(case, Step.INSTALL, slot="b")
        await done(case, Step.ACTIVATE)
        await restarts(case, told("Installed"))

    certify(steps)


def test_an_update_without_signature_is_not_supported_where_only_signed_ones_are() -> None:
    """Table 1.9: nothing is fetched, nothing is told."""

    async def steps(case: Case) -> None:
        await online(case)
        code = await case.refused("UpdateFirmware", location=LOCATION, retrieveDate=PAST)
        assert code == "NotSupported"
        await case.quiet()
        assert updates.work(case.lab.station.firmware) is None

    certify(steps, settings={"FirmwareCtrlr.UnsignedRequests": "Never"})


def test_tc_044_2_firmware_update_download_failed() -> None:
    async def steps(case: Case) -> None:
        await online(case)
        await update(case, retries=0)
        await case.expect(told("Downloading"))
        await done(case, Step.DOWNLOAD, Failure.TRANSFER)
        await case.expect(told("DownloadFailed"))
        await case.quiet()

    certify(steps)


def test_tc_044_3_firmware_update_installation_failed() -> None:
    async def steps(case: Case) -> None:
        await online(case)
        await update(case)
        await case.expect(told("Downloading"))
        await done(case, Step.DOWNLOAD)
        await case.expect(told("Downloaded"))
        await done(case, Step.VERIFY, Failure.IMAGE)
        await case.expect(told("InstallationFailed"))
        await case.quiet()

    certify(steps)


def test_tc_080_secure_firmware_update() -> None:
    async def steps(case: Case) -> None:
        await online(case)
        asked = await _signed(case)
        assert asked == {"status": "Accepted"}
        await case.expect(signed("Downloading"))
        await done(case, Step.DOWNLOAD)
        await case.expect(signed("Downloaded"))
        await done(case, Step.VERIFY)
        await case.expect(signed("SignatureVerified"), *UNAVAILABLE)
        await case.expect(signed("Installing"))
        await done(case, Step.INSTALL, slot="b")
        await case.expect(signed("InstallRebooting"))
        await done(case, Step.ACTIVATE)
        updated = call("SecurityEventNotification", type="FirmwareUpdated")
        await restarts(case, signed("Installed"), updated)

    certify(steps)


def test_tc_081_secure_firmware_update_invalid_signature() -> None:
    async def steps(case: Case) -> None:
        await online(case)
        assert await _signed(case) == {"status": "Accepted"}
        await case.expect(signed("Downloading"))
        await done(case, Step.DOWNLOAD)
        await case.expect(signed("Downloaded"))
        await done(case, Step.VERIFY, Failure.SIGNATURE)
        await case.expect(
            signed("InvalidSignature"),
            call("SecurityEventNotification", type="InvalidFirmwareSignature"),
        )
        await case.quiet()

    certify(steps)


async def _signed(case: Case) -> dict[str, Any]:
    """Ask for a signed update; its certificate is found to be good meanwhile."""
    async with asyncio.TaskGroup() as both:
        both.create_task(done(case, Step.CHECK))
        answer = both.create_task(case.ask("SignedUpdateFirmware", **SIGNED))
    return answer.result()


def test_tc_045_1_get_diagnostics() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        answer = await case.ask("GetDiagnostics", location=LOCATION)
        assert answer["fileName"].startswith("CP001_")
        await case.expect(call("DiagnosticsStatusNotification", status="Uploading"))
        await sent(case, UploadStatus.UPLOADED)
        await case.expect(call("DiagnosticsStatusNotification", status="Uploaded"))

    certify(steps)


def test_tc_045_2_get_diagnostics_upload_failed() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.ask("GetDiagnostics", location=LOCATION, retries=0)
        await case.expect(call("DiagnosticsStatusNotification", status="Uploading"))
        await sent(case, UploadStatus.UPLOAD_FAILURE)
        await case.expect(call("DiagnosticsStatusNotification", status="UploadFailed"))
        await case.quiet()

    certify(steps)


def test_other_diagnostics_take_the_place_of_those_that_are_being_sent() -> None:
    """8.3: the same request is answered with the same name; another one begins anew."""

    async def steps(case: Case) -> None:
        await case.online()
        first = await case.ask("GetDiagnostics", location=LOCATION)
        await case.expect(call("DiagnosticsStatusNotification", status="Uploading"))
        assert await case.ask("GetDiagnostics", location=LOCATION) == first
        await case.quiet()
        other = await case.ask("GetDiagnostics", location=f"{LOCATION}/else")
        assert other["fileName"]
        await case.expect(call("DiagnosticsStatusNotification", status="Uploading"))
        await sent(case, UploadStatus.UPLOADED)
        await case.expect(call("DiagnosticsStatusNotification", status="Uploaded"))
        await case.quiet()

    certify(steps)


def test_tc_079_get_security_log() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        answer = await case.ask(
            "GetLog", logType="SecurityLog", requestId=9, log={"remoteLocation": LOCATION}
        )
        assert answer["status"] == "Accepted"
        assert answer["filename"]
        await case.expect(call("LogStatusNotification", status="Uploading", requestId=9))
        await sent(case, UploadStatus.UPLOADED)
        await case.expect(call("LogStatusNotification", status="Uploaded", requestId=9))

    certify(steps)
