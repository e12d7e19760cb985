"""Tokens that the CSMS sends ahead."""

import asyncio

import pytest

from agent.bench.script import Verdict
from tests.support.lab import IDENTITY, OTHER_TAG, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

GOOD, BLOCKED = Verdict(), Verdict("Blocked")


async def online(lab: Lab) -> None:
    await lab.start()
    await lab.online()


def test_updates_follow_their_versions(version: str) -> None:
    is_16 = version == "ocpp1.6"

    async def story(lab: Lab) -> None:
        await online(lab)
        send, shown = lab.csms.send_list, lab.csms.list_version
        assert await shown(IDENTITY) == 0
        assert await send(IDENTITY, 2, {TAG: GOOD}, full=True) == "Accepted"
        assert await shown(IDENTITY) == 2
        assert await send(IDENTITY, 5, {OTHER_TAG: BLOCKED}) == "Accepted"
        assert await send(IDENTITY, 4, {OTHER_TAG: GOOD}) == "VersionMismatch"
        assert await shown(IDENTITY) == 5
        assert await send(IDENTITY, 6, {f"N{i}": GOOD for i in range(201)}) == "Failed"
        await lab.csms.set_setting(IDENTITY, "LocalAuthListEnabled", "false")
        assert await shown(IDENTITY) == (-1 if is_16 else 0)
        off = "NotSupported" if is_16 else "Failed"
        assert await send(IDENTITY, 6, {}) == off
        await lab.csms.set_setting(IDENTITY, "LocalAuthListEnabled", "true")
        await lab.cut()
        await online(lab)
        assert await shown(IDENTITY) == 5
        assert await send(IDENTITY, 7, {}, full=True) == "Accepted"
        assert await shown(IDENTITY) == (0 if is_16 else 7)

    run(Lab(version), story)


def test_a_listed_token_starts_without_a_question_and_a_conflict_is_told(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.csms.send_list(IDENTITY, 1, {TAG: GOOD}, full=True)
        await lab.charging()
        lab.csms.behaviour.transaction_verdicts[TAG] = Verdict("Invalid")
        await asyncio.sleep(30)
        lab.unplug()
        await lab.delivered()
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await lab.until(lambda: len(lab.disk.starts) == 2)
        await lab.delivered()

    lab = run(Lab(version, settings={"LocalPreAuthorize": True}), story)
    check_bills(lab)
    assert not lab.wire.calls("Authorize")
    assert lab.bills[-1].reason == "DeAuthorized"
    history = lab.csms.ledger.station(IDENTITY).status_history
    conflicts = [item for item in history if item.error == "LocalListConflict"]
    # 2.0.1 has no word for it in a StatusNotification.
    assert [(item.connector_id, item.status) for item in conflicts] == (
        [(0, "Available")] if version == "ocpp1.6" else []
    )


def test_offline_the_list_decides_even_against_the_cache(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging(token=OTHER_TAG)  # the cache learns both standings
        lab.unplug()
        await lab.delivered()
        await lab.csms.send_list(IDENTITY, 1, {TAG: GOOD, OTHER_TAG: BLOCKED}, full=True)
        await lab.lose_link()
        lab.plug()
        await asyncio.sleep(1)
        lab.tap(OTHER_TAG)
        await asyncio.sleep(15)
        assert not lab.evse().outlet_closed
        lab.tap(TAG)
        await lab.until(lambda: lab.evse().outlet_closed)
        await asyncio.sleep(10)
        lab.unplug()
        lab.restore_link()
        await lab.delivered()

    settings = {"AllowOfflineTxForUnknownId": True}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    assert [bill.id_token for bill in lab.bills] == [OTHER_TAG, TAG]
