"""The plug in the socket: released on request, kept when the settings say so."""

import asyncio

import pytest

from tests.support.lab import IDENTITY, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


async def online(lab: Lab) -> None:
    await lab.start()
    await lab.online()


def test_an_unlock_ends_the_transaction_first_in_16_and_is_refused_in_201(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        assert await lab.csms.unlock(IDENTITY) == "Unlocked"
        await lab.charging()
        await asyncio.sleep(30)
        answer = await lab.csms.unlock(IDENTITY)
        if version == "ocpp1.6":
            assert answer == "Unlocked"
            assert not lab.evse().locked
            assert not lab.evse().outlet_closed
            assert "StopTransaction" not in lab.wire.actions()
            await lab.until(lambda: lab.connector() == "Finishing")
        else:
            assert answer == "OngoingAuthorizedTransaction"
            assert lab.evse().locked
        lab.unplug()
        await lab.delivered()
        assert lab.connector() == "Available"

    lab = run(Lab(version), story)
    check_bills(lab)
    assert lab.bills[0].reason == (
        "UnlockCommand" if version == "ocpp1.6" else "EVDisconnected"
    )


def test_a_lock_that_jams_is_told(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        lab.evse().set("lock_jam", 1.0)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()
        assert await lab.csms.unlock(IDENTITY) == "UnlockFailed"
        await asyncio.sleep(1)
        lab.evse().set("lock_jam", 0.0)
        await lab.until(lambda: not lab.evse().locked)
        assert await lab.csms.unlock(IDENTITY) == "Unlocked"
        lab.unplug()
        await asyncio.sleep(1)

    lab = run(Lab(version), story)
    check_bills(lab)
    if version == "ocpp1.6":
        told = [
            (item["status"], item["errorCode"])
            for item in lab.wire.payloads("StatusNotification")
        ]
        assert ("Finishing", "ConnectorLockFailure") in told
        assert told[-1] == ("Available", "NoError")


def test_a_plug_that_cannot_be_locked_starts_nothing(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        lab.evse().set("lock_jam", 1.0)
        assert await lab.csms.remote_start(IDENTITY, TAG) == "Accepted"
        lab.plug()
        await lab.until(lambda: lab.connector() == "Faulted")
        await asyncio.sleep(20)
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")

    lab = run(Lab(version), story)
    assert not lab.bills
    if version == "ocpp1.6":
        faults = {
            item["errorCode"]
            for item in lab.wire.payloads("StatusNotification")
            if item["status"] == "Faulted"
        }
        assert faults == {"ConnectorLockFailure"}


def test_a_vehicle_that_leaves_its_cable_may_come_back(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        await asyncio.sleep(30)
        lab.evse().unplug(leaves_cable=True)
        await lab.until(lambda: lab.connector() == "SuspendedEV")
        await asyncio.sleep(60)
        assert lab.evse().locked
        assert not lab.evse().outlet_closed
        lab.plug()
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(30)
        lab.evse().unplug(leaves_cable=True)
        await lab.until(lambda: lab.connector() == "SuspendedEV")
        assert await lab.csms.remote_stop(IDENTITY) == "Accepted"
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()
        assert not lab.evse().locked
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")

    settings = {"StopTransactionOnEVSideDisconnect": False}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    assert lab.bills[0].reason == "Remote"
    if version == "ocpp1.6":
        infos = {
            item.get("info")
            for item in lab.wire.payloads("StatusNotification")
            if item["status"] == "SuspendedEV"
        }
        assert "EV side disconnected" in infos


def test_a_cable_stays_locked_for_its_owner_when_the_settings_say_so(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        await asyncio.sleep(30)
        lab.evse().unplug(leaves_cable=True)
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()
        await asyncio.sleep(600)
        assert lab.evse().locked
        lab.tap()
        await lab.until(lambda: not lab.evse().locked)
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")

    settings = {"UnlockConnectorOnEVSideDisconnect": False}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    assert lab.bills[0].reason == "EVDisconnected"
    assert len(lab.bills) == 1


@pytest.mark.parametrize(("is_tethered", "answer"), [(True, "Rejected"), (False, "Accepted")])
def test_only_a_socket_can_be_told_to_release_its_plug(
    version: str, is_tethered: bool, answer: str
) -> None:
    name = "UnlockConnectorOnEVSideDisconnect"

    async def story(lab: Lab) -> None:
        await online(lab)
        assert await lab.csms.get_setting(IDENTITY, name) == str(not is_tethered).lower()
        assert await lab.csms.set_setting(IDENTITY, name, "true") == answer
        assert await lab.csms.get_setting(IDENTITY, name) == str(not is_tethered).lower()
        if version == "ocpp1.6":
            told = await lab.csms.request(IDENTITY, "GetConfiguration", {"key": [name]})
            assert isinstance(told, dict)
            assert [item["readonly"] for item in told["configurationKey"]] == [is_tethered]

    run(Lab(version, is_tethered=is_tethered), story)
