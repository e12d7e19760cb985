"""What the CSMS wants to hear at once."""

import asyncio

import pytest

from agent.bench.script import BootAnswer
from tests.support.lab import IDENTITY, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def test_the_message_follows_the_answer(version: str) -> None:
    wanted = ("Heartbeat", "StatusNotification", "MeterValues")

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(30)
        for message in wanted:
            before = len(lab.wire.calls(message))
            assert await lab.csms.trigger(IDENTITY, message, 1) == "Accepted"
            await asyncio.sleep(1)
            assert len(lab.wire.calls(message)) == before + 1
            assert answered_before_told(lab, message)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    values = [
        value
        for payload in lab.wire.payloads("MeterValues")
        for one in payload["meterValue"]
        for value in one["sampledValue"]
        if value["context"] == "Trigger"
    ]
    assert values
    if version == "ocpp1.6":
        assert lab.wire.payloads("MeterValues")[-1]["transactionId"] == 1


def answered_before_told(lab: Lab, message: str) -> bool:
    """Tell whether our call came after our answer to the last call of the CSMS."""
    answered = max(i for i, frame in enumerate(lab.wire.frames) if is_answer(frame))
    told = max(
        i
        for i, frame in enumerate(lab.wire.frames)
        if frame.is_sent and frame.tree[0] == 2 and frame.tree[2] == message
    )
    return answered < told


def is_answer(frame: object) -> bool:
    return frame.is_sent and frame.tree[0] == 3


def test_what_this_station_does_not_tell_or_have_is_refused(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await asyncio.sleep(1)
        calls = len(lab.wire.calls())
        assert await lab.csms.trigger(IDENTITY, "MeterValues", 7) == "Rejected"
        assert await lab.csms.trigger(IDENTITY, "BootNotification") == "Rejected"
        assert await lab.csms.trigger(IDENTITY, "Gossip") == "NotImplemented"
        await asyncio.sleep(5)
        assert len(lab.wire.calls()) == calls

    run(Lab(version), story)


def test_a_pending_station_tells_what_it_is_asked_and_may_be_asked_to_boot(
    version: str,
) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.boots = [BootAnswer("Pending", 600), BootAnswer()]
        await lab.start()
        await lab.until(lambda: lab.is_running and lab.station.connection.up)
        await asyncio.sleep(5)
        assert await lab.csms.trigger(IDENTITY, "StatusNotification", 1) == "Accepted"
        assert await lab.csms.trigger(IDENTITY, "Heartbeat") == "Accepted"
        await asyncio.sleep(1)
        told = ["BootNotification", "StatusNotification", "Heartbeat"]
        assert lab.wire.actions() == told
        assert await lab.csms.trigger(IDENTITY, "BootNotification") == "Accepted"
        await lab.online()
        await asyncio.sleep(1)

    lab = run(Lab(version), story)
    assert len(lab.wire.calls("BootNotification")) == 2
