"""Vehicles that negotiate by themselves, at a station in virtual time."""

import asyncio
from typing import Any

import pytest

from agent.bench.desk import ProfileWish
from agent.bench.script import Reply
from agent.core.events import VehicleNeedsTold
from agent.core.smart_charging.needs import ChargingNeeds, Transfer
from agent.core.smart_charging.profile import Period, Schedule, Unit
from agent.runtime.negotiating import Vehicles, own, taken_ma_s
from tests.support.lab import IDENTITY, VERSIONS, Lab, check_bills, run

NEEDS = ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 20, 230)
ISO: dict[str, object] = {"ISO15118Ctrlr.Enabled": True}


def vehicle(lab: Lab, evse_id: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = lab.status()["evses"][evse_id - 1]["vehicle"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_it_tells_its_needs_with_its_transaction_and_takes_what_it_is_offered(
    version: str,
) -> None:
    """K15: with OCPP 1.6 nobody answers, and after 60 s the default is offered."""

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        Vehicles(lab.shell.kernel).play(VehicleNeedsTold(1, NEEDS))
        await asyncio.sleep(5)
        assert vehicle(lab) is None
        await lab.charging()
        await asyncio.sleep(1)
        assert vehicle(lab)["waits"]
        await asyncio.sleep(60)
        assert (vehicle(lab)["number"], vehicle(lab)["chosen"]) == (1, 1)
        lab.unplug()
        await lab.delivered()
        observers = len(lab.shell.kernel.observers)
        await lab.charging()
        await asyncio.sleep(70)
        assert vehicle(lab) is None, "the next one does not negotiate"
        assert len(lab.shell.kernel.observers) == observers
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version, settings=ISO), story))


def test_it_chooses_again_whenever_the_offer_is_another() -> None:
    """K15.FR.09, K16."""

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await lab.until(lambda: lab.csms.ledger.station(IDENTITY).open_transactions)
        vehicles = Vehicles(lab.shell.kernel)
        vehicles.play(VehicleNeedsTold(1, NEEDS))
        lab.csms.behaviour.on(
            "NotifyEVChargingSchedule", Reply({"status": "Rejected"}), times=1
        )
        (mine,) = lab.csms.ledger.station(IDENTITY).open_transactions
        for limit_a, number in ((16.0, 2), (12.0, 3)):
            own_profile = ProfileWish(1, "tx", 1, ((0, limit_a),), transaction=mine)
            assert await lab.csms.set_profile(IDENTITY, own_profile) == "Accepted"
            await asyncio.sleep(10)
            assert (vehicle(lab)["number"], vehicle(lab)["chosen"]) == (number, 1)
            assert lab.evse().reading().current_a.l1 == limit_a
        vehicles.play(VehicleNeedsTold(1, NEEDS))
        await asyncio.sleep(1)
        assert vehicle(lab)["waits"], "the same vehicle has other needs"
        lab.unplug()
        await lab.delivered()
        vehicles.play(VehicleNeedsTold(9, NEEDS))
        await asyncio.sleep(1)

    check_bills(run(Lab("ocpp2.0.1", settings=ISO), story))


def test_it_takes_from_an_offer_what_it_can_use() -> None:
    periods = (Period(0, 32_000), Period(600, 8_000))
    offer = Schedule(Unit.AMPERE, periods, 3, start_s=1_800_000_000, duration_s=1000)
    mine = Schedule(Unit.AMPERE, (Period(0, 20_000), Period(600, 8_000)), 3, duration_s=1000)
    assert own(offer, NEEDS) == mine
    assert taken_ma_s(offer, NEEDS) == 600 * 20_000 + 400 * 8_000
