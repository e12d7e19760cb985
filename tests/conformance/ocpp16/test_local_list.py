"""Local authorization list (10.3)."""

from typing import Any

from tests.conformance.ocpp16.script import OTHER_TAG, TAG, Case, call, certify, status

NO_LIST = {"LocalAuthListEnabled": False}


def entry(tag: str, verdict: str = "Accepted") -> dict[str, Any]:
    return {"idTag": tag, "idTagInfo": {"status": verdict}}


async def send(case: Case, version: int, kind: str, *entries: dict[str, Any]) -> str:
    """Send a list, and return the status of the answer."""
    sent: dict[str, Any] = {"listVersion": version, "updateType": kind}
    if entries:
        sent["localAuthorizationList"] = list(entries)
    word: str = (await case.ask("SendLocalList", **sent))["status"]
    return word


async def version(case: Case) -> int:
    number: int = (await case.ask("GetLocalListVersion"))["listVersion"]
    return number


def test_tc_042_1_get_local_list_version_not_supported() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await version(case) == -1

    certify(steps, settings=NO_LIST)


def test_tc_042_2_get_local_list_version_of_an_empty_list() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await send(case, 1, "Full") == "Accepted"
        assert await version(case) == 0

    certify(steps)


def test_tc_043_send_local_list() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await send(case, 1, "Full", entry(TAG)) == "Accepted"
        assert await version(case) == 1
        assert await send(case, 2, "Differential", entry(OTHER_TAG)) == "Accepted"
        assert await version(case) == 2

    certify(steps)


def test_tc_043_1_send_local_list_not_supported() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await send(case, 1, "Full", entry(TAG)) == "NotSupported"

    certify(steps, settings=NO_LIST)


def test_tc_043_2_send_local_list_version_mismatch() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await send(case, 2, "Full", entry(TAG)) == "Accepted"
        assert await version(case) == 2
        assert await send(case, 5, "Differential", entry(OTHER_TAG)) == "Accepted"
        assert await version(case) == 5
        assert await send(case, 4, "Differential", entry("THIRD")) == "VersionMismatch"
        assert await version(case) == 5

    certify(steps)


def test_tc_043_3_send_local_list_failed() -> None:
    """A tag that is there twice is how a failure is forced here."""

    async def steps(case: Case) -> None:
        await case.online()
        assert await send(case, 1, "Full", entry(TAG)) == "Accepted"
        twice = [entry(OTHER_TAG), entry(OTHER_TAG.lower())]
        assert await send(case, 2, "Full", *twice) == "Failed"
        assert await version(case) == 1

    certify(steps)


def test_tc_008_start_with_a_listed_id() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(LocalPreAuthorize=True, AuthorizeRemoteTxRequests=True)
        assert await send(case, 1, "Full", entry(TAG)) == "Accepted"
        case.plug()
        await case.expect(status("Preparing"))
        case.tap(TAG)  # 008_1: locally
        await case.started()
        case.tap(TAG)
        await case.stopped("Local")
        case.unplug()
        await case.expect(status("Available"))
        await case.charging()  # 008_2: remotely

    assert not certify(steps).wire.calls("Authorize")


def test_a_listed_id_that_is_blocked_is_judged_by_the_csms() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(LocalPreAuthorize=True)
        assert await send(case, 1, "Full", entry(TAG, "Blocked")) == "Accepted"
        case.plug()
        await case.expect(status("Preparing"))
        case.tap(TAG)
        await case.expect(call("Authorize", idTag=TAG))
        await case.started()

    certify(steps)
