"""Links that do not come, do not last, or lead nowhere."""

import asyncio
from itertools import pairwise

import pytest

from agent.bench.script import ANY, Hangup, Silence
from agent.core.events import LinkHeld
from tests.support.lab import IDENTITY, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def test_a_csms_that_closes_at_once_is_dialed_ever_later(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.closes_at_once = True
        await lab.start()
        await asyncio.sleep(1200)
        lab.csms.behaviour.closes_at_once = False
        await lab.until(lambda: lab.station.is_online, limit_s=600)

    lab = run(Lab(version), story)
    times = [at for at, _ in lab.dials]
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[0] >= 5.0
    assert pauses[3] >= 40.0
    assert len(times) < 15


def test_a_csms_that_never_answers_is_left_and_tried_again(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.csms.behaviour.on(ANY, Silence(takes=False))
        await lab.charging()
        await asyncio.sleep(600)
        assert lab.evse().outlet_closed
        lab.csms.behaviour.clear()
        lab.unplug()
        await lab.delivered(limit_s=1800)

    settings = {"AllowOfflineTxForUnknownId": True, "MessageTimeout": 10}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    assert not lab.disk.notes
    assert lab.csms.ledger.station(IDENTITY).connections > 1


def test_a_csms_that_hangs_up_on_everything_loses_nothing(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        lab.csms.behaviour.on(ANY, Hangup(takes=True))
        await asyncio.sleep(900)
        lab.csms.behaviour.clear()
        lab.unplug()
        await lab.delivered(limit_s=1800)

    lab = run(Lab(version), story)
    check_bills(lab)
    assert not lab.disk.notes


def test_the_next_network_profile_has_its_turn_after_three_failures(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.unreachable = {"memory://csms0"}
        await lab.start()
        await lab.until(lambda: lab.station.is_online, limit_s=300)
        assert lab.status()["csms"]["url"] == "memory://csms1"
        lab.unreachable = {"memory://csms1"}
        await lab.csms.drop(IDENTITY)
        await lab.until(
            lambda: lab.station.is_online and len(lab.wire.calls("BootNotification")) == 2,
            limit_s=600,
        )
        assert lab.status()["csms"]["url"] == "memory://csms0"

    lab = run(Lab(version, profiles=2), story)
    urls = [url[-1] for _, url in lab.dials]
    assert urls[:4] == ["0", "0", "0", "1"]


def test_a_link_that_is_held_down_stays_down_until_it_is_released(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(10)
        lab.post(LinkHeld(held=True))
        await lab.until(lambda: not lab.csms.connected)
        dials = len(lab.dials)
        await asyncio.sleep(900)
        assert len(lab.dials) == dials
        assert lab.evse().outlet_closed
        lab.post(LinkHeld(held=False))
        await lab.until(lambda: lab.station.is_online, limit_s=5)
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_heartbeats_keep_their_interval_over_a_lost_link(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.lose_link()
        await asyncio.sleep(1000)
        lab.restore_link()
        await lab.online()
        await asyncio.sleep(310)

    lab = run(Lab(version, settings={"OCPPCommCtrlr.RetryBackOffRepeatTimes": 1}), story)
    assert lab.csms.ledger.station(IDENTITY).heartbeats == 1


def test_a_changed_status_is_told_after_the_outage_and_an_old_one_is_not(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.lose_link()
        lab.plug()
        await asyncio.sleep(5)
        lab.unplug()
        await asyncio.sleep(5)
        lab.plug()
        await asyncio.sleep(5)
        lab.restore_link()
        await lab.online()
        await asyncio.sleep(5)

    lab = run(Lab(version), story)
    assert lab.told_statuses() == [
        "Available",
        "Preparing" if version == "ocpp1.6" else "Occupied",
    ]


def test_what_was_missed_is_told_only_in_steps_that_are_allowed(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(10)
        lab.tap()
        await lab.delivered()
        await lab.lose_link()
        lab.tap()
        await lab.until(lambda: lab.connector() == "Charging")
        lab.restore_link()
        await lab.online()
        await asyncio.sleep(2)
        await lab.lose_link()
        lab.unplug()
        await asyncio.sleep(10)
        lab.plug()
        await asyncio.sleep(2)
        lab.restore_link()
        await lab.delivered(limit_s=900)
        await asyncio.sleep(2)

    lab = run(Lab(version), story)
    check_bills(lab)
    if version == "ocpp1.6":
        told = lab.told_statuses()
        assert told[told.index("Finishing") :] == [
            "Finishing",
            "Preparing",
            "Charging",
            "Finishing",
            "Preparing",
        ]
