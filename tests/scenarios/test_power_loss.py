"""Power that goes away in the middle of a session, and comes back."""

import asyncio

import pytest

from agent.ocpp.wire_time import from_text
from tests.support.lab import OTHER_TAG, TAG, VERSIONS, WALL_S, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

RESUME: dict[str, object] = {"TxCtrlr.ResumeAfterPowerLoss": True}
OFFLINE: dict[str, object] = {
    "AllowOfflineTxForUnknownId": True,
    "TxCtrlr.TxBeforeAcceptedEnabled": True,
}


def test_a_session_that_the_power_cut_ends_with_what_the_meter_shows(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(100)
        await lab.cut()
        assert not lab.evse().outlet_closed or lab.evse().offer_a == 0.0
        await asyncio.sleep(300)
        await lab.start()
        await lab.delivered()
        assert lab.connector() == "Finishing"
        assert not lab.evse().outlet_closed
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")

    lab = run(Lab(version), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.reason == "PowerLoss"
    assert bill.ended_at is not None
    # It is dated by the last note of the register, not by the return of the power.
    assert from_text(bill.ended_at) <= WALL_S + 101


def test_or_it_goes_on_when_the_vehicle_is_still_there(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(100)
        await lab.cut()
        await asyncio.sleep(300)
        await lab.start()
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(100)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()

    lab = run(Lab(version, settings=RESUME), story)
    check_bills(lab)
    assert [bill.reason for bill in lab.bills] == ["Local"]
    assert lab.flowed_wh == pytest.approx(200 * 22080 / 3600, rel=0.1)


def test_and_ends_when_the_vehicle_has_left_meanwhile(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(100)
        await lab.cut()
        lab.unplug()
        await asyncio.sleep(300)
        await lab.start()
        await lab.delivered()
        assert lab.connector() == "Available"

    lab = run(Lab(version, settings=RESUME), story)
    check_bills(lab)
    assert [bill.reason for bill in lab.bills] == ["PowerLoss"]


def test_an_orderly_stop_of_the_agent_is_no_power_loss_for_the_next_driver(
    version: str,
) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(100)
        await lab.stop()
        await asyncio.sleep(1)
        assert not lab.evse().outlet_closed
        lab.unplug()
        await lab.start()
        await lab.delivered()
        await lab.charging(token=OTHER_TAG)
        await asyncio.sleep(100)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert [bill.id_token for bill in lab.bills] == [TAG, OTHER_TAG]


def test_a_transaction_ends_whose_evse_the_board_no_longer_has(version: str) -> None:
    async def with_two(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging(2)
        await asyncio.sleep(200)
        await lab.cut()

    async def with_one(lab: Lab) -> None:
        await lab.start()
        await lab.delivered()
        assert not lab.station.lost
        await lab.stop()
        await lab.start()
        await lab.delivered()

    lab = Lab(version, evses=2, settings=RESUME)
    run(lab, with_two, goes_on=True)
    lab.specs = lab.specs[:1]
    run(lab, with_one)
    [bill] = lab.bills
    assert bill.complete
    assert bill.reason == "PowerLoss"
    # Its meter is gone: what was written down last, at most a minute before the cut, is billed.
    assert bill.energy_wh == pytest.approx(lab.flowed_wh, abs=22080 / 60)


@pytest.mark.parametrize("settings", [{}, RESUME], ids=["ends", "resumes"])
def test_a_machine_whose_clock_begins_anew_with_every_boot_loses_nothing(
    version: str, settings: dict[str, object]
) -> None:
    async def a_long_life(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await asyncio.sleep(40_000)
        await lab.lose_link()
        await lab.charging()
        await asyncio.sleep(2000)
        await lab.cut()

    async def a_short_one(lab: Lab) -> None:
        await lab.start()
        lab.plug()
        await asyncio.sleep(50)
        if lab.station.evses[1].transaction is None:
            lab.tap()
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(130)
        await lab.cut()

    async def the_last(lab: Lab) -> None:
        await lab.start()
        lab.restore_link()
        await lab.delivered()

    lab = Lab(version, settings={**OFFLINE, **settings})
    run(lab, a_long_life, goes_on=True)
    run(lab, a_short_one, goes_on=True)
    run(lab, the_last)
    check_bills(lab)
    assert len(lab.bills) == (1 if settings else 2)
    for bill in lab.bills:
        instants = [from_text(one.at) for one in bill.samples if one.context[0] == "S"]
        assert instants == sorted(instants)
        assert (bill.started_at or "") <= (bill.ended_at or "")
