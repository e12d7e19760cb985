"""From power-up to registration, and what time it is meanwhile."""

import asyncio
from itertools import pairwise

import pytest

from agent.bench.script import BootAnswer, Refusal, Silence
from agent.bench.session import NoAnswerError
from agent.ocpp.wire_time import from_text
from tests.support.lab import IDENTITY, VERSIONS, WALL_S, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

READ = {
    "ocpp1.6": ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
    "ocpp2.0.1": (
        "GetVariables",
        {
            "getVariableData": [
                {
                    "component": {"name": "OCPPCommCtrlr"},
                    "variable": {"name": "HeartbeatInterval"},
                }
            ]
        },
    ),
}


def boot_times(lab: Lab) -> list[float]:
    return [frame.at_s for frame in lab.wire.calls("BootNotification")]


def test_an_accepted_station_tells_its_statuses_and_then_beats(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.boots = [BootAnswer("Accepted", 30)]
        await lab.start()
        await lab.online()
        await asyncio.sleep(100)
        assert await lab.csms.get_setting(IDENTITY, "HeartbeatInterval") == "30"

    lab = run(Lab(version), story)
    statuses = 2 if version == "ocpp1.6" else 1
    expected = ["BootNotification"] + ["StatusNotification"] * statuses + ["Heartbeat"] * 3
    assert lab.wire.actions() == expected
    assert lab.told_statuses() == ["Available"]
    beats = [frame.at_s for frame in lab.wire.calls("Heartbeat")]
    assert beats == pytest.approx([30.0, 60.0, 90.0])
    boot = lab.csms.ledger.station(IDENTITY).boots[0]
    assert (boot.vendor, boot.model, boot.serial_number) == (
        "Example",
        "Wallbox One",
        "EX-0001",
    )
    assert boot.reason in {None, "PowerUp"}


def test_a_pending_station_answers_and_asks_again_after_the_interval(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.boots = [BootAnswer("Pending", 20), BootAnswer("Accepted", 300)]
        await lab.start()
        await asyncio.sleep(5)
        assert await lab.csms.get_setting(IDENTITY, "HeartbeatInterval") == "300"
        assert await lab.csms.set_setting(IDENTITY, "ConnectionTimeOut", "90") == "Accepted"
        assert await lab.csms.remote_start(IDENTITY, "04AABBCC") == "Rejected"
        lab.plug()
        lab.tap()
        await asyncio.sleep(10)
        assert not lab.evse().outlet_closed
        await lab.online()
        await asyncio.sleep(1)

    lab = run(Lab(version), story)
    first, second = boot_times(lab)
    assert 20.0 <= second - first <= 21.0
    assert lab.told_statuses() == ["Preparing" if version == "ocpp1.6" else "Occupied"]
    assert not lab.bills


def test_a_rejected_station_keeps_silent_until_the_interval_is_over(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.boots = [BootAnswer("Rejected", 40), BootAnswer("Accepted", 300)]
        await lab.start()
        await asyncio.sleep(5)
        action, payload = READ[version]
        if version == "ocpp1.6":
            with pytest.raises(NoAnswerError):
                await lab.csms.request(IDENTITY, action, payload, timeout_s=10)
        else:
            answer = await lab.csms.request(IDENTITY, action, payload, timeout_s=10)
            assert isinstance(answer, Refusal)
            assert answer.code == "SecurityError"
        lab.plug()
        lab.tap()
        await asyncio.sleep(10)
        assert not lab.evse().outlet_closed
        await lab.online()

    lab = run(Lab(version), story)
    first, second = boot_times(lab)
    assert 40.0 <= second - first <= 41.0


def test_a_boot_without_an_answer_is_repeated_after_half_a_minute(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.on("BootNotification", Silence(takes=False), times=1)
        await lab.start()
        await lab.until(lambda: lab.station.is_online, limit_s=300)

    lab = run(Lab(version), story)
    first, second = boot_times(lab)
    assert second - first >= 30.0


def test_a_refused_boot_is_repeated_and_not_at_once(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.on("BootNotification", Refusal("InternalError"), times=2)
        await lab.start()
        await lab.until(lambda: lab.station.is_online, limit_s=300)

    times = boot_times(run(Lab(version), story))
    assert len(times) == 3
    assert all(after - before >= 30.0 for before, after in pairwise(times))


def test_a_session_before_the_time_was_known_is_dated_afterwards(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.lose_link()
        await lab.start()
        await asyncio.sleep(10)
        await lab.charging()
        await asyncio.sleep(60)
        assert lab.status()["clock"]["known"] is False
        lab.restore_link()
        await lab.online()
        await asyncio.sleep(20)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()

    settings = {"AllowOfflineTxForUnknownId": True, "TxCtrlr.TxBeforeAcceptedEnabled": True}
    lab = run(Lab(version, settings=settings, knows_time=False), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.started_at is not None
    assert from_text(bill.started_at) == pytest.approx(WALL_S + 10.2, abs=0.2)
    periodic = [from_text(one.at) for one in bill.samples if one.context == "Sample.Periodic"]
    assert periodic == [pytest.approx(from_text(bill.started_at) + 60.0, abs=0.01)]


def test_a_session_of_a_life_that_never_knew_the_time_still_gets_a_plausible_one(
    version: str,
) -> None:
    async def story(lab: Lab) -> None:
        await lab.lose_link()
        await lab.start()
        await lab.charging()
        await asyncio.sleep(30)
        await lab.cut()
        await lab.start()
        await asyncio.sleep(60)
        lab.unplug()
        lab.restore_link()
        await lab.delivered()

    settings = {"AllowOfflineTxForUnknownId": True, "TxCtrlr.TxBeforeAcceptedEnabled": True}
    lab = run(Lab(version, settings=settings, knows_time=False), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.started_at is not None
    assert bill.ended_at is not None
    assert bill.started_at <= bill.ended_at
    assert bill.reason == "PowerLoss"


def test_the_clock_follows_the_csms_with_every_heartbeat(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.boots = [BootAnswer("Accepted", 30)]
        await lab.start()
        await lab.online()
        lab.csms.behaviour.clock_offset_s = 3600.0
        await asyncio.sleep(31)
        at = lab.status()["clock"]["at"]
        assert from_text(at) == pytest.approx(WALL_S + 3600.0 + lab.now_s, abs=1.0)

    run(Lab(version), story)


def test_the_next_boot_introduces_the_station_again(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.cut()
        await asyncio.sleep(5)
        await lab.start()
        await lab.online()
        await asyncio.sleep(5)

    lab = run(Lab(version), story)
    assert lab.csms.ledger.station(IDENTITY).messages["BootNotification"] == 2
    assert lab.told_statuses() == ["Available", "Available"]


def test_a_mere_reconnect_introduces_nobody(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.lose_link()
        await asyncio.sleep(5)
        lab.restore_link()
        await lab.online()
        await asyncio.sleep(5)

    lab = run(Lab(version), story)
    assert lab.csms.ledger.station(IDENTITY).messages["BootNotification"] == 1
    assert lab.csms.ledger.station(IDENTITY).connections == 2
