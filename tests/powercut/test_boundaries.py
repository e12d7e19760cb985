"""Short stories, each cut at every boundary between two effects.

A boundary lies before and after each hardware target, driver command, commit and frame, and
before a turn is told. What the world does, the driver, the card, the vehicle and the CSMS,
happens at fixed instants, whether or not the station lives then. It gets its power back a few
seconds after the cut; in the end everybody has left, the network is well, and the station has
time to tell what it has to.

Then, wherever the cut was: no start and no end that was durable is lost, no sequence number is
missing, the bills are what flowed through the meter, none is there twice, and no frame was
wrong. That the contactor closed only for a transaction on disk is watched all along.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from agent.bench.session import CsmsError
from hal.sim.vehicle import SimRefused
from tests.support.lab import IDENTITY, TAG, VERSIONS, Cutter, Lab, check_bills, run

OFF_S = 4.0
"""How long the power stays away; less than the wait before a transaction counts as lost."""

SETTINGS: dict[str, object] = {
    "MeterValueSampleInterval": 7,
    "AllowOfflineTxForUnknownId": True,
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": 1,
    "OCPPCommCtrlr.RetryBackOffRandomRange": 1,
    "MessageTimeout": 5,
}

Story = Callable[[Lab], Awaitable[None]]


async def plug_first(lab: Lab) -> None:
    lab.plug()
    await asyncio.sleep(1)
    lab.tap()
    await asyncio.sleep(10)
    lab.tap()
    await asyncio.sleep(8)
    lab.unplug()


async def token_first(lab: Lab) -> None:
    lab.tap()
    await asyncio.sleep(2)
    lab.plug()
    await asyncio.sleep(10)
    lab.evse().set_ready(ready=False)
    await asyncio.sleep(3)
    lab.evse().set_ready(ready=True)
    await asyncio.sleep(5)
    lab.tap()
    await asyncio.sleep(8)
    lab.unplug()


async def unplug_under_load(lab: Lab) -> None:
    lab.plug()
    await asyncio.sleep(1)
    lab.tap()
    await asyncio.sleep(12)
    lab.unplug()


async def offline_and_replay(lab: Lab) -> None:
    await lab.lose_link()
    lab.plug()
    await asyncio.sleep(1)
    lab.tap()
    await asyncio.sleep(9)
    lab.tap()
    await asyncio.sleep(8)
    lab.unplug()
    await asyncio.sleep(2)
    lab.plug()
    lab.tap()
    await asyncio.sleep(8)
    lab.restore_link()
    await asyncio.sleep(8)
    lab.tap()
    await asyncio.sleep(6)
    lab.unplug()


async def begun_offline(lab: Lab) -> None:
    await lab.lose_link()
    lab.plug()
    await asyncio.sleep(1)
    lab.tap()
    await asyncio.sleep(5)
    lab.restore_link()
    await asyncio.sleep(7)
    lab.unplug()


async def remote_start_and_stop(lab: Lab) -> None:
    with suppress(CsmsError):
        await lab.csms.remote_start(IDENTITY, TAG)
    await asyncio.sleep(1)
    lab.plug()
    await asyncio.sleep(10)
    with suppress(CsmsError):
        await lab.csms.remote_stop(IDENTITY)
    await asyncio.sleep(8)
    lab.unplug()


async def reset_in_a_session(lab: Lab) -> None:
    lab.plug()
    await asyncio.sleep(1)
    lab.tap()
    await asyncio.sleep(8)
    with suppress(CsmsError):
        await lab.csms.reset(IDENTITY, hard=True)
    await asyncio.sleep(12)
    lab.unplug()


async def end(lab: Lab) -> None:
    """Let everybody leave, and the station tell what it has to tell."""
    await asyncio.sleep(2)
    for sim in lab.hardware:
        with suppress(SimRefused):
            sim.unplug()
    lab.restore_link()
    await lab.until(lambda: lab.is_running and lab.station.connection.up)
    await asyncio.sleep(15)  # a last authorization may still wait for a vehicle
    await lab.delivered()


def lived(story: Story, version: str, cutter: Cutter, settings: dict[str, object]) -> Lab:
    async def whole(lab: Lab) -> None:
        await lab.start()
        await lab.until(lambda: lab.now_s >= 2)
        await story(lab)
        await end(lab)

    lab = Lab(version, cutter=cutter, settings=settings, revive_s=OFF_S, idle_report_s=2.0)
    return run(lab, whole)


def sweep(story: Story, version: str, settings: dict[str, object] | None = None) -> None:
    """Live a story uncut, and then once for every boundary in it."""
    settings = {**SETTINGS, **(settings or {})}
    whole = lived(story, version, Cutter(), settings)
    check_bills(whole)
    assert whole.bills, "without a bill the story shows nothing"
    for at in range(1, whole.cutter.count + 1):
        cutter = Cutter(at)
        try:
            lab = lived(story, version, cutter, settings)
            assert lab.cuts == 1
            check_bills(lab)
        except BaseException as error:
            name = cutter.names[at - 1] if len(cutter.names) >= at else "?"
            error.add_note(f"{story.__name__} on {version}, cut at boundary {at}: {name}")
            raise


STORIES = (
    plug_first,
    token_first,
    unplug_under_load,
    offline_and_replay,
    remote_start_and_stop,
    reset_in_a_session,
)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_no_cut_loses_or_doubles_a_bill(story: Story, version: str) -> None:
    sweep(story, version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("story", [plug_first, begun_offline], ids=["online", "offline"])
def test_no_cut_loses_or_doubles_a_bill_that_goes_on_after_it(
    story: Story, version: str
) -> None:
    sweep(story, version, {"TxCtrlr.ResumeAfterPowerLoss": True})
