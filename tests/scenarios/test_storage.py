"""Disks that refuse: nobody charges on credit, and nothing is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.bench.desk import ProfileWish
from agent.bench.script import Refusal, Verdict
from agent.core import durable
from tests.support.lab import IDENTITY, OTHER_TAG, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

REASON = "disk I/O error"
GOOD = Verdict()


async def online(lab: Lab) -> None:
    await lab.start()
    await lab.online()


def test_no_transaction_starts_while_the_disk_refuses(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        lab.disk.refusal = REASON
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Faulted")
        await asyncio.sleep(30)
        assert lab.evse().offer_a == 0.0
        assert not lab.evse().outlet_closed
        assert not lab.bills
        assert await lab.csms.remote_start(IDENTITY, TAG) == "Rejected"
        assert await lab.csms.get_setting(IDENTITY, "HeartbeatInterval") == "300"
        lab.disk.refusal = None
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(30)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert len(lab.bills) == 1
    assert "Faulted" in lab.told_statuses()


def test_energy_stops_within_a_minute_and_flows_again_afterwards(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        await asyncio.sleep(90)
        lab.disk.refusal = REASON
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=65)
        await lab.until(lambda: "Faulted" in lab.told_statuses())
        await asyncio.sleep(300)
        assert lab.evse().reading().power_w == 0.0
        lab.disk.refusal = None
        await lab.until(lambda: lab.connector() == "Charging", limit_s=10)
        await asyncio.sleep(90)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.reason == "Local"


def test_an_end_that_could_not_be_written_is_told_once_it_is(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        await asyncio.sleep(90)
        lab.disk.refusal = REASON
        lab.unplug()
        await asyncio.sleep(60)
        assert not lab.bills[0].complete
        lab.disk.refusal = None
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert lab.bills[0].reason == "EVDisconnected"


def test_a_power_cut_while_the_disk_refuses_leaves_a_bill_that_is_right(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        await asyncio.sleep(90)
        lab.disk.refusal = REASON
        await asyncio.sleep(200)
        await lab.cut()
        lab.disk.refusal = None
        await asyncio.sleep(5)
        await lab.start()
        await lab.delivered()
        lab.unplug()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert lab.bills[0].reason == "PowerLoss"


def test_a_station_that_starts_with_a_refusing_disk_is_online_and_faulted(
    version: str,
) -> None:
    async def story(lab: Lab) -> None:
        lab.disk.refusal = REASON
        await online(lab)
        await lab.until(lambda: "Faulted" in lab.told_statuses())
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await asyncio.sleep(30)
        assert not lab.evse().outlet_closed
        lab.disk.refusal = None
        await lab.until(lambda: lab.connector() == "Preparing", limit_s=10)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Charging")
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_a_setting_that_cannot_be_kept_is_not_accepted(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        lab.disk.refusal = REASON
        status = await lab.csms.set_setting(IDENTITY, "MeterValueSampleInterval", "15")
        assert status == "InternalError"

    run(Lab(version), story)


Ask = Callable[[Lab], Awaitable[str]]

ASKS: dict[str, Ask] = {
    "a setting": lambda lab: lab.csms.set_setting(IDENTITY, "MeterValueSampleInterval", "15"),
    "a list": lambda lab: lab.csms.send_list(IDENTITY, 2, {OTHER_TAG: GOOD}, full=True),
    "an entry less": lambda lab: lab.csms.send_list(IDENTITY, 2, {TAG: None}),
    "a reservation": lambda lab: lab.csms.reserve(IDENTITY, 12, OTHER_TAG, evse_id=2),
    "another holder": lambda lab: lab.csms.reserve(IDENTITY, 11, OTHER_TAG, evse_id=1),
    "no reservation": lambda lab: lab.csms.cancel_reservation(IDENTITY, 11),
    "a profile": lambda lab: lab.csms.set_profile(
        IDENTITY, ProfileWish(2, "default", 0, ((0, 8.0),), level=1)
    ),
    "no profile": lambda lab: lab.csms.clear_profiles(IDENTITY),
    "an outlet less": lambda lab: asked(
        lab, "ChangeAvailability", {"connectorId": 2, "type": "Inoperative"}
    ),
    "nobody known": lambda lab: asked(lab, "ClearCache", {}),
}
"""What a CSMS may ask for and the disk has to remember."""


async def asked(lab: Lab, action: str, payload: dict[str, Any]) -> str:
    """Ask in the words of 1.6, which those of 2.0.1 follow but for one."""
    if lab.version != "ocpp1.6" and "type" in payload:
        payload = {"evse": {"id": payload["connectorId"]}, "operationalStatus": payload["type"]}
    answer = await lab.csms.request(IDENTITY, action, payload)
    return answer.code if isinstance(answer, Refusal) else str(answer["status"])


def kept(lab: Lab) -> set[tuple[str, str, bytes | None]]:
    """Return what survives a power cut, but for the clock, which goes on by itself."""
    rows = durable.changed({}, durable.rows(lab.station))
    return {row for row in rows if row[0] != "boot"}


@pytest.mark.parametrize("ask", ASKS)
def test_what_is_refused_for_the_disk_is_not_so_when_it_is_well_again(
    version: str, ask: str
) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging(token=OTHER_TAG)  # the cache knows somebody
        lab.unplug()
        await lab.delivered()
        await lab.csms.send_list(IDENTITY, 1, {TAG: GOOD}, full=True)
        await lab.csms.reserve(IDENTITY, 11, TAG, evse_id=1)
        await lab.csms.set_profile(IDENTITY, ProfileWish(1, "default", 0, ((0, 16.0),)))
        await asyncio.sleep(20)
        before = kept(lab)
        lab.disk.refusal = REASON
        assert await ASKS[ask](lab) in ("InternalError", "Failed", "Rejected")
        await asyncio.sleep(1)
        assert kept(lab) == before
        lab.disk.refusal = None
        await lab.until(lambda: lab.station.storage_ok, limit_s=10)
        await asyncio.sleep(20)
        assert kept(lab) == before
        word = await ASKS[ask](lab)
        assert word in ("Accepted", "Scheduled")
        await asyncio.sleep(1)
        assert kept(lab) != before

    run(Lab(version, evses=2), story)


def test_a_full_disk_loses_no_record_that_was_told_to_anybody(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.lose_link()
        await lab.charging()
        await asyncio.sleep(100)
        await lab.disk.fill()
        await lab.until(lambda: not lab.station.storage_ok, limit_s=3600)
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=10)
        await asyncio.sleep(600)
        await lab.disk.clear()
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(100)
        lab.restore_link()
        await lab.online()
        lab.unplug()
        await lab.delivered()

    settings = {"AllowOfflineTxForUnknownId": True, "MeterValueSampleInterval": 5}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    [bill] = lab.bills
    assert not bill.missing_seq_nos
