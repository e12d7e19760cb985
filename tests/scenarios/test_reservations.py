"""Places kept free: for a driver, for a group, for whoever comes first, and not for ever."""

import asyncio

import pytest

from agent.bench.script import Verdict
from tests.support.lab import IDENTITY, OTHER_TAG, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


async def online(lab: Lab) -> None:
    await lab.start()
    await lab.online()
    await asyncio.sleep(1)


def told_numbers(lab: Lab) -> list[int | None]:
    """Return the reservation that each transaction was told to use up."""
    if lab.version == "ocpp1.6":
        return [item.get("reservationId") for item in lab.wire.payloads("StartTransaction")]
    events = lab.wire.payloads("TransactionEvent")
    return [item.get("reservationId") for item in events if item["eventType"] == "Started"]


def test_a_wrong_token_gets_nothing_and_the_holder_charges(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        assert await lab.csms.reserve(IDENTITY, 11, TAG, evse_id=1) == "Accepted"
        await lab.until(lambda: lab.connector() == "Reserved")
        reservation = lab.status()["evses"][0]["reservation"]
        assert (reservation["reservation_id"], reservation["id_token"]) == (11, TAG)
        lab.plug()
        await asyncio.sleep(1)
        assert lab.connector() == "Reserved"
        lab.tap(OTHER_TAG)
        await asyncio.sleep(15)
        assert not lab.wire.calls("Authorize")
        assert lab.connector() == "Reserved"
        lab.tap(TAG)
        await lab.until(lambda: lab.connector() == "Charging")
        assert lab.status()["evses"][0]["reservation"] is None
        await asyncio.sleep(30)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert told_numbers(lab) == [11]
    assert "Reserved" in lab.told_statuses()


def test_a_holder_may_start_from_afar_and_nobody_else(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.csms.reserve(IDENTITY, 12, TAG, evse_id=1)
        assert await lab.csms.remote_start(IDENTITY, OTHER_TAG) == "Rejected"
        assert await lab.csms.remote_start(IDENTITY, TAG) == "Accepted"
        await lab.until(lambda: lab.connector() == "Preparing")
        lab.plug()
        await lab.until(lambda: lab.connector() == "Charging")
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert told_numbers(lab) == [12]


@pytest.mark.parametrize("group", ["FLEET7", "OTHERS"])
def test_a_reservation_for_a_group_asks_for_the_group_of_a_token(
    version: str, group: str
) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        lab.csms.behaviour.verdicts[OTHER_TAG] = Verdict("Accepted", group=group)
        await lab.csms.reserve(IDENTITY, 13, TAG, evse_id=1, group="FLEET7")
        lab.plug()
        await asyncio.sleep(1)
        lab.tap(OTHER_TAG)
        await asyncio.sleep(10)
        assert lab.evse().outlet_closed is (group == "FLEET7")
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert len(lab.wire.calls("Authorize")) == 1
    assert told_numbers(lab) == ([13] if group == "FLEET7" else [])


def test_a_reservation_ends_by_time_and_by_word(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.csms.reserve(IDENTITY, 14, TAG, evse_id=1, for_s=60)
        await lab.until(lambda: lab.connector() == "Reserved")
        await lab.until(lambda: lab.connector() == "Available")
        await asyncio.sleep(1)
        await lab.csms.reserve(IDENTITY, 15, TAG, evse_id=1)
        await lab.until(lambda: lab.connector() == "Reserved")
        assert await lab.csms.cancel_reservation(IDENTITY, 99) == "Rejected"
        assert await lab.csms.cancel_reservation(IDENTITY, 15) == "Accepted"
        await lab.until(lambda: lab.connector() == "Available")
        await lab.charging(token=OTHER_TAG)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert told_numbers(lab) == [None]
    updates = lab.wire.payloads("ReservationStatusUpdate")
    expired = [{"reservationId": 14, "reservationUpdateStatus": "Expired"}]
    assert updates == (expired if version == "ocpp2.0.1" else [])


def test_a_reservation_survives_a_power_cut_and_expires_without_the_csms(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.csms.reserve(IDENTITY, 16, TAG, evse_id=1, for_s=300)
        await lab.cut()
        await online(lab)
        assert lab.connector() == "Reserved"
        await lab.lose_link()
        await asyncio.sleep(400)
        assert lab.connector() == "Available"
        lab.restore_link()
        await lab.delivered()
        await asyncio.sleep(1)

    lab = run(Lab(version), story)
    assert lab.told_statuses()[-1] == "Available"
    assert len(lab.wire.calls("ReservationStatusUpdate")) == (version == "ocpp2.0.1")


def test_what_is_broken_busy_or_closed_cannot_be_reserved(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        reserve = lab.csms.reserve
        for evse_id in (1, None):
            lab.plug()
            await asyncio.sleep(1)
            assert await reserve(IDENTITY, 17, TAG, evse_id=evse_id) == "Occupied"
            lab.unplug()
            await asyncio.sleep(1)
            for on, word in ((False, "Unavailable"), (True, "Accepted")):
                await availability(lab, operative=on)
                assert await reserve(IDENTITY, 18, TAG, evse_id=evse_id) == word
            await availability(lab, operative=False)  # which ends it
            await availability(lab, operative=True)
            assert await lab.csms.cancel_reservation(IDENTITY, 18) == "Rejected"
        assert await reserve(IDENTITY, 19, TAG, evse_id=7) == "Rejected"
        assert await reserve(IDENTITY, 19, TAG, evse_id=1, for_s=-1) == "Rejected"

    async def availability(lab: Lab, *, operative: bool) -> None:
        word = "Operative" if operative else "Inoperative"
        payload: dict[str, object] = {"operationalStatus": word}
        if version == "ocpp1.6":
            payload = {"connectorId": 0, "type": word}
        await lab.csms.request(IDENTITY, "ChangeAvailability", payload)

    run(Lab(version), story)


def test_one_of_two_evses_stays_free_for_the_holder(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        assert await lab.csms.reserve(IDENTITY, 20, TAG) == "Accepted"
        assert (lab.connector(1), lab.connector(2)) == ("Available", "Available")
        await lab.charging(1, token=OTHER_TAG)
        await lab.until(lambda: lab.connector(2) == "Reserved")
        lab.plug(2)
        await asyncio.sleep(1)
        lab.tap("STRANGER", 2)
        await asyncio.sleep(12)
        assert not lab.evse(2).outlet_closed
        lab.tap(TAG, 2)
        await lab.until(lambda: lab.evse(2).outlet_closed)
        await asyncio.sleep(30)
        for evse_id in (1, 2):
            lab.unplug(evse_id)
        await lab.delivered()

    lab = run(Lab(version, evses=2), story)
    check_bills(lab)
    assert told_numbers(lab) == [None, 20]
