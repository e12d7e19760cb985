"""Sessions of a driver who comes, charges and leaves, with the CSMS at hand."""

import asyncio

import pytest

from agent.bench.script import Verdict
from hal.types import PilotState
from tests.support.lab import OTHER_TAG, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

POWER_W = 32.0 * 3 * 230.0


async def started(lab: Lab) -> None:
    await lab.start()
    await lab.online()


async def stopped(lab: Lab) -> None:
    """Stop by the card that began, and wait until only the cable is left."""
    lab.tap()
    await lab.until(lambda: lab.connector() == "Finishing")


def test_plug_first_then_a_token(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        lab.plug()
        await asyncio.sleep(5)
        assert lab.connector() == "Preparing"
        assert not lab.evse().locked
        lab.tap()
        await lab.until(lambda: lab.connector() == "Charging")
        assert lab.evse().locked
        assert lab.evse().offer_a == 32.0
        await asyncio.sleep(300)
        await stopped(lab)
        await lab.until(lambda: not lab.evse().outlet_closed)
        await lab.delivered()
        assert not lab.evse().locked
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")
        await asyncio.sleep(1)

    lab = run(Lab(version), story)
    check_bills(lab)
    [bill] = lab.bills
    assert (bill.id_token, bill.stop_token, bill.reason) == (TAG, TAG, "Local")
    assert lab.flowed_wh == pytest.approx(POWER_W * 300 / 3600, rel=0.05)
    assert lab.seen[1] == ["Available", "Preparing", "Charging", "Finishing", "Available"]
    if version == "ocpp1.6":
        assert lab.told_statuses() == lab.seen[1]
    else:
        assert lab.told_statuses() == ["Available", "Occupied", "Available"]


def test_a_token_first_then_the_plug(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Preparing")
        await asyncio.sleep(20)
        lab.plug()
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(100)
        await stopped(lab)
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert lab.seen[1] == ["Available", "Preparing", "Charging", "Finishing"]
    if version == "ocpp2.0.1":
        events = lab.wire.payloads("TransactionEvent")
        triggers = [event["triggerReason"] for event in events]
        assert triggers[0] == "CablePluggedIn"
        assert triggers[-1] == "StopAuthorized"


def test_unplugging_under_load_opens_the_contactor_and_ends_the_bill(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        await lab.charging()
        await asyncio.sleep(60)
        lab.unplug()
        await asyncio.sleep(0.2)
        assert not lab.evse().outlet_closed
        await lab.delivered()
        assert lab.connector() == "Available"
        assert not lab.evse().locked

    lab = run(Lab(version), story)
    check_bills(lab)
    [bill] = lab.bills
    assert (bill.reason, bill.stop_token) == ("EVDisconnected", None)


def test_a_token_without_a_vehicle_is_forgotten_after_the_timeout(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        lab.tap()
        await asyncio.sleep(44)
        assert lab.connector() == "Preparing"
        await asyncio.sleep(2)
        assert lab.connector() == "Available"
        lab.plug()
        await asyncio.sleep(30)
        assert not lab.evse().outlet_closed
        assert lab.evse().pilot is PilotState.B

    lab = run(Lab(version, settings={"ConnectionTimeOut": 45}), story)
    assert not lab.bills
    assert lab.seen[1] == ["Available", "Preparing", "Available", "Preparing"]


def test_the_same_token_again_withdraws_it(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Preparing")
        lab.tap()
        await lab.until(lambda: lab.connector() == "Available")
        await asyncio.sleep(1)

    lab = run(Lab(version), story)
    assert len(lab.wire.calls("Authorize")) == 1
    assert not lab.bills


def test_a_token_that_the_csms_refuses_does_not_charge(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.verdicts[TAG] = Verdict("Blocked")
        await started(lab)
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await asyncio.sleep(30)
        assert not lab.evse().outlet_closed
        assert lab.connector() == "Preparing"
        lab.tap(OTHER_TAG)
        await lab.until(lambda: lab.connector() == "Charging")
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert [bill.id_token for bill in lab.bills] == [OTHER_TAG]


def test_a_stranger_cannot_stop_and_nobody_asks_about_him(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        await lab.charging()
        lab.tap(OTHER_TAG)
        await asyncio.sleep(30)
        assert lab.evse().outlet_closed
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    assert len(lab.wire.calls("Authorize")) == 1


def test_a_card_of_the_same_group_stops(version: str) -> None:
    async def story(lab: Lab) -> None:
        for token in (TAG, OTHER_TAG):
            lab.csms.behaviour.verdicts[token] = Verdict(group="FLEET")
        await started(lab)
        await lab.charging()
        await asyncio.sleep(10)
        lab.tap(OTHER_TAG)
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    [bill] = lab.bills
    assert (bill.id_token, bill.stop_token, bill.reason) == (TAG, OTHER_TAG, "Local")


def test_a_vehicle_that_pauses_suspends_and_goes_on(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        await lab.charging()
        await asyncio.sleep(10)
        lab.evse().set_ready(ready=False)
        await lab.until(lambda: lab.connector() == "SuspendedEV")
        assert not lab.evse().outlet_closed
        await asyncio.sleep(60)
        lab.evse().set_ready(ready=True)
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(10)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    if version == "ocpp2.0.1":
        infos = [event["transactionInfo"] for event in lab.wire.payloads("TransactionEvent")]
        states = [info["chargingState"] for info in infos]
        assert states[:2] == ["EVConnected", "Charging"]
        assert "SuspendedEV" in states
        # 24 s of flow, the pause not counted
        assert infos[-1]["timeSpentCharging"] == pytest.approx(21, abs=3)


def test_a_vehicle_that_never_asks_suspends_after_a_moment(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        lab.plug(ready=False)
        await asyncio.sleep(1)
        lab.tap()
        await lab.until(lambda: lab.connector() == "SuspendedEV", limit_s=10)
        await asyncio.sleep(30)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert lab.flowed_wh == 0.0
    assert lab.seen[1] == ["Available", "Preparing", "SuspendedEV", "Available"]


def test_a_second_session_without_unplugging_is_a_second_bill(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        await lab.charging()
        await asyncio.sleep(30)
        await stopped(lab)
        await lab.delivered()
        lab.tap(OTHER_TAG)
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(30)
        lab.tap(OTHER_TAG)
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert [bill.id_token for bill in lab.bills] == [TAG, OTHER_TAG]
    if version == "ocpp1.6":
        assert lab.told_statuses()[3:6] == ["Finishing", "Preparing", "Charging"]


def test_two_evses_charge_at_once_and_are_billed_apart(version: str) -> None:
    async def story(lab: Lab) -> None:
        await started(lab)
        await lab.charging(1)
        await asyncio.sleep(20)
        await lab.charging(2, token=OTHER_TAG, max_a=16.0)
        await asyncio.sleep(100)
        lab.tap(TAG, evse_id=1)
        await lab.until(lambda: lab.connector(1) == "Finishing")
        assert lab.connector(2) == "Charging"
        await asyncio.sleep(50)
        lab.unplug(2)
        await lab.delivered()

    lab = run(Lab(version, evses=2), story)
    check_bills(lab)
    first, second = lab.bills
    assert (first.id_token, second.id_token) == (TAG, OTHER_TAG)
    assert (first.reason, second.reason) == ("Local", "EVDisconnected")
    assert first.energy_wh == pytest.approx(POWER_W * 120 / 3600, rel=0.1)
    assert second.energy_wh == pytest.approx(POWER_W / 2 * 150 / 3600, rel=0.1)
