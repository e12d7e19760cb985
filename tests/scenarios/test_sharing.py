"""Several EVSEs behind one fuse, with simulated vehicles that follow their offers."""

import asyncio

import pytest

from agent.core.bounds import Site
from agent.core.values import Terms
from tests.support.lab import VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def site(fuse_a: float, rotate_s: float = 900.0) -> Site:
    return Site(fuse_a=fuse_a, terms=Terms(rotate_s=rotate_s))


def currents(lab: Lab) -> list[float]:
    return [sim.reading().current_a.l1 for sim in lab.hardware]


async def watched(lab: Lab, seconds: float, fuse_a: float) -> None:
    """Look at the sum of the currents ten times a second."""
    for _ in range(int(seconds * 10)):
        await asyncio.sleep(0.1)
        assert sum(currents(lab)) <= fuse_a + 1e-6, currents(lab)


def test_the_fuse_holds_while_vehicles_come_and_go(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging(1, token="TAG-1")
        await watched(lab, 10, 32.0)
        assert currents(lab) == [32.0, 0.0, 0.0]
        for evse_id in (2, 3):
            lab.plug(evse_id)
            await asyncio.sleep(0.5)
            lab.tap(f"TAG-{evse_id}", evse_id)
            await watched(lab, 20, 32.0)
        assert currents(lab) == pytest.approx([10.6, 10.6, 10.6], abs=0.01)
        limits = {
            item["origin"]: item["limit_a"] for item in lab.status()["evses"][0]["limits"]
        }
        assert limits["share"] == 10.6
        lab.unplug(2)
        await watched(lab, 20, 32.0)
        assert currents(lab) == [16.0, 0.0, 16.0]
        lab.unplug(1)
        lab.unplug(3)
        await lab.delivered()

    check_bills(run(Lab(version, evses=3, site=site(32.0)), story))


def test_who_does_not_fit_waits_for_its_turn(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging(1, token="TAG-1")
        lab.plug(2)
        await asyncio.sleep(0.5)
        lab.tap("TAG-2", 2)
        await watched(lab, 60, 10.0)
        assert (lab.connector(1), lab.connector(2)) == ("Charging", "SuspendedEVSE")
        await watched(lab, 300, 10.0)
        assert (lab.connector(1), lab.connector(2)) == ("SuspendedEVSE", "Charging")
        await watched(lab, 310, 10.0)
        assert (lab.connector(1), lab.connector(2)) == ("Charging", "SuspendedEVSE")
        lab.unplug(1)
        lab.unplug(2)
        await lab.delivered()

    check_bills(run(Lab(version, evses=2, site=site(10.0, rotate_s=300.0)), story))
