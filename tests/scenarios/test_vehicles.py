"""Vehicles that negotiate (ISO 15118), from their needs to the CSMS and back (2.0.1 K15 to K17).

1.6 has no messages for it: there a vehicle is offered what holds anyway.
"""

import asyncio
from typing import Any

import pytest

from agent.bench.desk import ProfileWish
from agent.bench.events import BenchEvent, MessageReceived
from agent.bench.script import Reply
from agent.core.events import VehicleNeedsTold, VehicleScheduleChosen
from agent.core.smart_charging.needs import ChargingNeeds, Transfer
from agent.core.smart_charging.profile import Period, Schedule, Unit
from tests.support.lab import IDENTITY, VERSIONS, Lab, check_bills, run

NEEDS = ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 32, 230)
ASK, CHOICE = "NotifyEVChargingNeeds", "NotifyEVChargingSchedule"


async def begun(lab: Lab) -> list[str]:
    """Charge, and let the vehicle tell its needs; return what the CSMS will hear of it."""
    heard: list[str] = []

    def listen(event: BenchEvent) -> None:
        if isinstance(event, MessageReceived) and event.action in {ASK, CHOICE}:
            heard.append(event.action)

    lab.csms.watch(listen)
    await lab.start()
    await lab.online()
    await lab.charging()
    await lab.until(lambda: lab.csms.ledger.station(IDENTITY).open_transactions)
    lab.post(VehicleNeedsTold(1, NEEDS))
    await asyncio.sleep(1)
    return heard


def vehicle(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.status()["evses"][0]["vehicle"]
    return found


def limits(lab: Lab) -> dict[int, float]:
    """Return the first limit of each schedule on offer, by id."""
    return {item["schedule_id"]: item["periods"][0][1] for item in vehicle(lab)["offers"]}


async def schedules(lab: Lab, *limits_a: float) -> None:
    """Install a TxProfile with a schedule for each limit; ids count from 1."""
    (mine,) = lab.csms.ledger.station(IDENTITY).open_transactions
    wish = ProfileWish(1, "tx", 1, ((0, 0.0),), transaction=mine)
    asked = lab.csms._session(IDENTITY).clerk.profile(wish)
    (one,) = asked.payload["chargingProfile"]["chargingSchedule"]
    asked.payload["chargingProfile"]["chargingSchedule"] = [
        {**one, "id": number, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}]}
        for number, limit_a in enumerate(limits_a, 1)
    ]
    answer = await lab.csms.request(IDENTITY, asked.action, asked.payload)
    assert isinstance(answer, dict)
    assert answer["status"] == "Accepted", answer


def choose(lab: Lab, schedule_id: int, limit_a: float) -> None:
    periods = (Period(0, int(limit_a * 1000)),)
    lab.post(VehicleScheduleChosen(1, Schedule(Unit.AMPERE, periods, schedule_id)))


def negotiating(version: str) -> Lab:
    return Lab(version, settings={"ISO15118Ctrlr.Enabled": True})


def test_a_schedule_is_chosen_refused_chosen_again_and_changed() -> None:
    """K15.FR.01, K15.FR.08, K15.FR.09, K15.FR.22, K16, K17."""

    async def story(lab: Lab) -> None:
        heard = await begun(lab)
        assert heard == [ASK]
        assert vehicle(lab)["waits"]
        await schedules(lab, 16.0, 25.0, 8.0)
        assert limits(lab) == {1: 16.0, 2: 25.0, 3: 8.0}
        lab.csms.behaviour.on(CHOICE, Reply({"status": "Rejected"}), times=1)
        choose(lab, 2, 25.0)
        await asyncio.sleep(1)
        assert (vehicle(lab)["number"], vehicle(lab)["chosen"]) == (2, None)
        choose(lab, 1, 20.0)
        await asyncio.sleep(1)
        assert (vehicle(lab)["number"], vehicle(lab)["chosen"]) == (3, None)
        choose(lab, 1, 16.0)
        await asyncio.sleep(20)
        assert lab.evse().reading().current_a.l1 == 16.0
        assert heard == [ASK, CHOICE, CHOICE]
        await schedules(lab, 12.0)
        assert (vehicle(lab)["number"], limits(lab)) == (4, {1: 12.0})
        await asyncio.sleep(10)
        assert lab.evse().reading().current_a.l1 == 12.0
        lab.post(VehicleNeedsTold(1, NEEDS))
        await asyncio.sleep(1)
        assert heard[-1] == ASK
        assert vehicle(lab)["waits"]
        lab.unplug()
        await lab.delivered()
        assert vehicle(lab) is None

    check_bills(run(negotiating("ocpp2.0.1"), story))


@pytest.mark.parametrize("word", ["Rejected", "Accepted", "Processing"])
def test_without_a_profile_the_default_is_offered(word: str) -> None:
    """K15.FR.15; 2.0.1 TC_K_54, TC_K_56."""

    async def story(lab: Lab) -> None:
        lab.csms.behaviour.on(ASK, Reply({"status": word}))
        await begun(lab)
        default = ProfileWish(5, "default", 1, ((0, 10.0),))
        assert await lab.csms.set_profile(IDENTITY, default) == "Accepted"
        assert vehicle(lab)["waits"] is (word != "Rejected")
        await asyncio.sleep(60)
        assert limits(lab) == {1: 10.0}
        await schedules(lab, 16.0)
        assert limits(lab) == {1: 16.0}, "one that comes late is offered as well"
        lab.unplug()
        await lab.delivered()

    check_bills(run(negotiating("ocpp2.0.1"), story))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_vehicle_is_offered_what_holds_when_nobody_answers(version: str) -> None:
    async def story(lab: Lab) -> None:
        await begun(lab)
        await lab.lose_link()
        await asyncio.sleep(1)
        assert limits(lab) == {1: 32.0}
        lab.unplug()
        lab.restore_link()
        await lab.online()
        await lab.delivered()

    check_bills(run(negotiating(version), story))
