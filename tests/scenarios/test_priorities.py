"""Transactions of different priority behind one fuse (2.0.1 K03); 1.6 has no word for it."""

import asyncio

from agent.bench.script import Reply
from agent.core.bounds import Site
from tests.support.lab import Lab, check_bills, run


def answered(priority: int) -> Reply:
    return Reply({"idTokenInfo": {"status": "Accepted", "chargingPriority": priority}})


def currents(lab: Lab) -> list[float]:
    return [sim.reading().current_a.l1 for sim in lab.hardware]


def test_a_higher_priority_is_filled_first_until_the_csms_gives_it_another() -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging(1, token="TAG-1")
        lab.csms.behaviour.on("Authorize", answered(5))
        await lab.charging(2, token="TAG-2")
        await asyncio.sleep(30)
        assert currents(lab) == [6.0, 14.0]
        lab.csms.behaviour.on("TransactionEvent", answered(-5), times=1)
        lab.evse(2).set_ready(False)
        await asyncio.sleep(60)
        lab.evse(2).set_ready(True)
        await asyncio.sleep(60)
        assert currents(lab) == [14.0, 6.0]
        for evse_id in (1, 2):
            lab.unplug(evse_id)
        await lab.delivered()

    check_bills(run(Lab("ocpp2.0.1", evses=2, site=Site(fuse_a=20.0)), story))
