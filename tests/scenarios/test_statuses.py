"""What the CSMS is told of a connector, in order (1.6 reference 3.3 and 3.4)."""

import asyncio

import pytest

from agent.bench.desk import ProfileWish
from agent.bench.script import Delay, Verdict
from hal.types import Fault
from tests.support.lab import IDENTITY, TAG, Lab, run

V16 = "ocpp1.6"
SESSION = ["Available", "Preparing", "Charging", "Finishing", "Available"]


async def online(lab: Lab) -> None:
    await lab.start()
    await lab.online()
    await asyncio.sleep(1)


async def leave(lab: Lab) -> None:
    """Wait for the end of the transaction, and unplug."""
    await lab.until(lambda: lab.connector() == "Finishing")
    await lab.delivered()
    lab.unplug()
    await lab.until(lambda: lab.connector() == "Available")
    await asyncio.sleep(15)


async def plug_first(lab: Lab) -> None:
    await lab.charging()
    await asyncio.sleep(20)
    lab.tap()
    await leave(lab)


async def tag_first(lab: Lab) -> None:
    lab.tap()
    await lab.until(lambda: lab.connector() == "Preparing")
    await asyncio.sleep(5)
    lab.plug()
    await lab.until(lambda: lab.connector() == "Charging")
    await asyncio.sleep(20)
    lab.tap()
    await leave(lab)


async def never_plugged(lab: Lab) -> None:
    lab.tap()
    await asyncio.sleep(70)


async def never_authorized(lab: Lab) -> None:
    lab.plug()
    await asyncio.sleep(70)
    lab.unplug()
    await asyncio.sleep(1)


async def stopped_from_afar(lab: Lab) -> None:
    await lab.charging()
    await asyncio.sleep(20)
    await lab.csms.remote_stop(IDENTITY)
    await leave(lab)


async def refused_afterwards(lab: Lab) -> None:
    lab.csms.behaviour.transaction_verdicts[TAG] = Verdict("Invalid")
    await lab.lose_link()
    await lab.charging()
    lab.restore_link()
    await leave(lab)


async def limited_to_nothing(lab: Lab) -> None:
    await lab.charging()
    await lab.until(lambda: lab.bills)
    await asyncio.sleep(20)
    pause = ProfileWish(1, "default", 1, ((0, 0.0),))
    assert await lab.csms.set_profile(IDENTITY, pause) == "Accepted"
    await lab.until(lambda: not lab.evse().outlet_closed)
    await asyncio.sleep(60)
    assert lab.bills[0].ended_at is None
    assert await lab.csms.clear_profiles(IDENTITY) == "Accepted"
    await lab.until(lambda: lab.evse().outlet_closed)
    await asyncio.sleep(20)
    lab.tap()
    await leave(lab)


async def refused_without_an_end(lab: Lab) -> None:
    lab.csms.behaviour.transaction_verdicts[TAG] = Verdict("Invalid")
    lab.csms.behaviour.on("StartTransaction", Delay(20.0), times=1)
    await lab.charging()
    await lab.until(lambda: not lab.evse().outlet_closed)
    await asyncio.sleep(60)
    assert lab.bills[0].ended_at is None
    assert not lab.evse().outlet_closed
    lab.tap()
    await leave(lab)


async def unplugged_at_the_vehicle(lab: Lab) -> None:
    await lab.charging()
    await asyncio.sleep(20)
    lab.evse().unplug(leaves_cable=True)
    await leave(lab)


async def pausing(lab: Lab) -> None:
    await lab.charging()
    await asyncio.sleep(20)
    lab.evse().set_ready(False)
    await asyncio.sleep(20)
    lab.evse().set_ready(True)
    await asyncio.sleep(20)
    lab.tap()
    await leave(lab)


async def broken(lab: Lab) -> None:
    lab.evse().fault(Fault.GROUND_FAILURE)
    await asyncio.sleep(5)
    lab.evse().clear(Fault.GROUND_FAILURE)
    await asyncio.sleep(5)


async def again_without_unplugging(lab: Lab) -> None:
    await lab.charging()
    await asyncio.sleep(20)
    lab.tap()
    await lab.until(lambda: lab.connector() == "Finishing")
    await lab.delivered()
    lab.tap()
    await lab.until(lambda: lab.connector() == "Charging")
    await asyncio.sleep(20)
    lab.tap()
    await leave(lab)


@pytest.mark.parametrize(
    ("story", "told"),
    [
        (plug_first, SESSION),
        (tag_first, SESSION),
        (never_plugged, ["Available", "Preparing", "Available"]),
        (never_authorized, ["Available", "Preparing", "Available"]),
        (stopped_from_afar, SESSION),
        (unplugged_at_the_vehicle, SESSION),
        (
            limited_to_nothing,
            [*SESSION[:3], "SuspendedEVSE", *SESSION[2:]],
        ),
        (
            pausing,
            ["Available", "Preparing", "Charging", "SuspendedEV", *SESSION[2:]],
        ),
        (broken, ["Available", "Faulted", "Available"]),
        (
            again_without_unplugging,
            [*SESSION[:4], "Preparing", "Charging", "Finishing", "Available"],
        ),
    ],
)
def test_the_sequence_is_that_of_the_reference(story, told) -> None:
    async def lived(lab: Lab) -> None:
        await online(lab)
        await story(lab)

    lab = run(Lab(V16), lived)
    assert lab.told_statuses() == told


def test_a_token_refused_after_an_offline_start_is_seen_to_charge_and_to_end() -> None:
    async def lived(lab: Lab) -> None:
        await online(lab)
        await refused_afterwards(lab)

    lab = run(Lab(V16, settings={"AllowOfflineTxForUnknownId": True}), lived)
    told = lab.told_statuses()
    assert told[-2:] == ["Finishing", "Available"]
    assert lab.bills[0].reason == "DeAuthorized"


def test_a_refused_token_whose_transaction_goes_on_is_suspended_by_the_station() -> None:
    async def lived(lab: Lab) -> None:
        await online(lab)
        await refused_without_an_end(lab)

    lab = run(Lab(V16, settings={"StopTransactionOnInvalidId": False}), lived)
    assert lab.told_statuses() == [*SESSION[:3], "SuspendedEVSE", *SESSION[3:]]
    [bill] = lab.bills
    assert (bill.reason, bill.stop_token) == ("Local", TAG)


def test_a_status_that_does_not_last_is_not_told() -> None:
    async def lived(lab: Lab) -> None:
        await online(lab)
        for _ in range(3):
            lab.plug()
            await asyncio.sleep(5)
            lab.unplug()
            await asyncio.sleep(5)
        begun_s = lab.now_s
        lab.plug()
        await lab.until(lambda: lab.told_statuses()[-1] == "Preparing")
        assert 9.9 <= lab.now_s - begun_s <= 11.0
        lab.evse().fault(Fault.GROUND_FAILURE)
        await asyncio.sleep(1)  # a fault waits for nothing
        assert lab.told_statuses()[-1] == "Faulted"

    lab = run(Lab(V16, settings={"MinimumStatusDuration": 10}), lived)
    assert lab.told_statuses() == ["Available", "Preparing", "Faulted"]
