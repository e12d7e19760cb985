"""What the CSMS wants to have done: starts, stops, resets, availability."""

import asyncio

import pytest

from tests.support.lab import IDENTITY, OTHER_TAG, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


async def online(lab: Lab) -> None:
    await lab.start()
    await lab.online()


def reasons(lab: Lab) -> list[str | None]:
    return [boot.reason for boot in lab.csms.ledger.station(IDENTITY).boots]


def test_a_remote_start_and_a_remote_stop(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        lab.plug()
        await asyncio.sleep(1)
        assert await lab.csms.remote_start(IDENTITY, TAG) == "Accepted"
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(60)
        assert await lab.csms.remote_start(IDENTITY, OTHER_TAG) == "Rejected"
        assert await lab.csms.remote_stop(IDENTITY) == "Accepted"
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()
        lab.unplug()

    lab = run(Lab(version), story)
    check_bills(lab)
    [bill] = lab.bills
    assert (bill.id_token, bill.reason) == (TAG, "Remote")
    assert not lab.wire.calls("Authorize")
    if version == "ocpp2.0.1":
        first, *_, last = lab.wire.payloads("TransactionEvent")
        assert first["triggerReason"] == "RemoteStart"
        assert first["transactionInfo"]["remoteStartId"] == 1
        assert last["triggerReason"] == "RemoteStop"


def test_a_remote_start_waits_for_the_vehicle_and_not_for_ever(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        assert await lab.csms.remote_start(IDENTITY, TAG) == "Accepted"
        await asyncio.sleep(30)
        lab.plug()
        await lab.until(lambda: lab.connector() == "Charging")
        lab.unplug()
        await lab.delivered()
        assert await lab.csms.remote_start(IDENTITY, TAG) == "Accepted"
        await asyncio.sleep(65)
        assert lab.connector() == "Available"

    lab = run(Lab(version), story)
    check_bills(lab)
    assert len(lab.bills) == 1


def test_a_remotely_started_token_is_authorized_when_the_settings_say_so(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        lab.plug()
        await asyncio.sleep(1)
        assert await lab.csms.remote_start(IDENTITY, TAG) == "Accepted"
        await lab.until(lambda: lab.connector() == "Charging")
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version, settings={"AuthorizeRemoteTxRequests": True}), story)
    check_bills(lab)
    assert len(lab.wire.calls("Authorize")) == 1


def test_what_cannot_be_started_or_stopped_is_refused(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        assert await lab.csms.remote_start(IDENTITY, TAG, evse_id=7) != "Accepted"
        if version == "ocpp1.6":
            answer = await lab.csms.request(
                IDENTITY, "RemoteStopTransaction", {"transactionId": 4711}
            )
        else:
            answer = await lab.csms.request(
                IDENTITY, "RequestStopTransaction", {"transactionId": "4711"}
            )
        assert isinstance(answer, dict)
        assert answer["status"] == "Rejected"

    assert not run(Lab(version), story).bills


def test_a_hard_reset_ends_the_session_and_starts_again(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        await asyncio.sleep(60)
        assert await lab.csms.reset(IDENTITY, hard=True) == "Accepted"
        await lab.until(lambda: lab.lives == 2)
        await lab.delivered()
        assert not lab.evse().outlet_closed
        lab.unplug()
        await asyncio.sleep(1)

    lab = run(Lab(version), story)
    check_bills(lab)
    assert lab.bills[0].reason == ("HardReset" if version == "ocpp1.6" else "ImmediateReset")
    if version == "ocpp2.0.1":
        assert reasons(lab) == ["PowerUp", "RemoteReset"]


def test_a_soft_reset_ends_the_session_first_or_waits_for_its_end(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        await asyncio.sleep(60)
        if version == "ocpp1.6":
            assert await lab.csms.reset(IDENTITY, hard=False) == "Accepted"
        else:
            assert await lab.csms.reset(IDENTITY, hard=False) == "Scheduled"
            await asyncio.sleep(120)
            assert lab.lives == 1
            assert lab.evse().outlet_closed
            lab.unplug()
        await lab.until(lambda: lab.lives == 2)
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    expected = "SoftReset" if version == "ocpp1.6" else "EVDisconnected"
    assert [bill.reason for bill in lab.bills] == [expected]
    # The end was told before the restart: nothing was left to be told afterwards.
    last = "StopTransaction" if version == "ocpp1.6" else "TransactionEvent"
    assert last not in lab.wire.actions()[lab.wire.actions().index("BootNotification", 1) :]
    if version == "ocpp2.0.1":
        assert reasons(lab) == ["PowerUp", "ScheduledReset"]


def test_an_idle_station_resets_at_once_and_answers_before(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        assert await lab.csms.reset(IDENTITY, hard=False) == "Accepted"
        await lab.until(lambda: lab.lives == 2)
        await lab.online()

    lab = run(Lab(version), story)
    if version == "ocpp2.0.1":
        assert reasons(lab) == ["PowerUp", "RemoteReset"]


def test_a_station_out_of_service_says_so_and_charges_nobody(version: str) -> None:
    async def story(lab: Lab) -> None:
        await online(lab)
        await lab.charging()
        for on, status in ((False, "Scheduled"), (True, "Accepted"), (False, "Scheduled")):
            assert await availability(lab, operative=on) == status
        assert lab.connector() == "Charging"
        lab.unplug()
        await lab.delivered()
        await lab.until(lambda: lab.connector() == "Unavailable")
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await asyncio.sleep(20)
        assert not lab.evse().outlet_closed
        await lab.cut()
        await lab.start()
        await lab.online()
        assert lab.connector() == "Unavailable"
        assert await availability(lab, operative=True) == "Accepted"
        await lab.until(lambda: lab.connector() == "Preparing")
        await asyncio.sleep(1)

    async def availability(lab: Lab, *, operative: bool) -> str:
        word = "Operative" if operative else "Inoperative"
        payload: dict[str, object]
        if version == "ocpp1.6":
            payload = {"connectorId": 0, "type": word}
        else:
            payload = {"operationalStatus": word}
        answer = await lab.csms.request(IDENTITY, "ChangeAvailability", payload)
        assert isinstance(answer, dict)
        return str(answer["status"])

    lab = run(Lab(version), story)
    check_bills(lab)
    assert len(lab.bills) == 1
    assert "Unavailable" in lab.told_statuses()
