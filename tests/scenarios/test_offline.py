"""Days without the CSMS, and what it is told when it is back."""

import asyncio

import pytest

from agent.bench.script import Delay, Hangup, Reaction, Refusal, Silence, Twice
from agent.ocpp.wire_time import from_text
from tests.support.lab import (
    OTHER_TAG,
    TAG,
    VERSIONS,
    WALL_S,
    Lab,
    check_bills,
    run,
)

pytestmark = pytest.mark.parametrize("version", VERSIONS)

OFFLINE: dict[str, object] = {"AllowOfflineTxForUnknownId": True}
QUICK: dict[str, object] = {
    **OFFLINE,
    "TransactionMessageRetryInterval": 5,
    "MessageTimeout": 10,
    "MeterValueSampleInterval": 30,
}


def start_of(version: str) -> str:
    return "StartTransaction" if version == "ocpp1.6" else "TransactionEvent"


def other(version: str) -> str:
    return next(one for one in VERSIONS if one != version)


async def a_session(lab: Lab, token: str = TAG, *, charge_s: float = 100.0) -> None:
    """Charge, stop, leave."""
    await lab.charging(token=token)
    await asyncio.sleep(charge_s)
    lab.tap(token)
    await lab.until(lambda: lab.connector() == "Finishing")
    await lab.until(lambda: lab.station.evses[1].transaction is None)
    lab.unplug()
    await lab.until(lambda: lab.connector() == "Available")


def test_a_day_offline_is_told_in_order_with_its_own_times(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.lose_link()
        for hour in range(1, 6):
            await a_session(lab, (TAG, OTHER_TAG)[hour % 2], charge_s=1800)
            await asyncio.sleep(3600 - lab.now_s % 3600)
        assert not lab.bills
        lab.restore_link()
        await lab.delivered(limit_s=3600)

    lab = run(Lab(version, settings=OFFLINE), story)
    check_bills(lab)
    assert [bill.id_token for bill in lab.bills] == [OTHER_TAG, TAG] * 2 + [OTHER_TAG]
    for hour, bill in enumerate(lab.bills):
        assert bill.started_at is not None
        assert from_text(bill.started_at) == pytest.approx(WALL_S + 3600 * hour, abs=2)
        assert bill.duplicates == 0
    starts = [bill.started_at or "" for bill in lab.bills]
    assert starts == sorted(starts)
    if version == "ocpp2.0.1":
        assert all(event["offline"] for event in lab.wire.payloads("TransactionEvent"))


def test_a_transaction_that_began_offline_ends_online_under_its_number(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.lose_link()
        await lab.charging()
        await asyncio.sleep(200)
        lab.restore_link()
        await lab.online()
        await asyncio.sleep(200)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()

    lab = run(Lab(version, settings=OFFLINE), story)
    check_bills(lab)
    [bill] = lab.bills
    if version == "ocpp1.6":
        for action in ("MeterValues", "StopTransaction"):
            numbers = {payload["transactionId"] for payload in lab.wire.payloads(action)}
            assert numbers == {bill.number}
    else:
        events = lab.wire.payloads("TransactionEvent")
        assert events[0]["offline"] is True
        assert "offline" not in events[-1]


def test_several_losses_in_one_transaction_leave_no_gap(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        for _ in range(5):
            await asyncio.sleep(70)
            await lab.lose_link()
            await asyncio.sleep(150)
            lab.restore_link()
            await lab.online()
        await asyncio.sleep(60 - lab.now_s % 60 + 30)  # far from any instant of the grid
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    [bill] = lab.bills
    periodic = [one.at for one in bill.samples if one.context == "Sample.Periodic"]
    assert len(periodic) == len(set(periodic)) == int(lab.wire.frames[-1].at_s // 60)


def test_what_was_queued_survives_a_power_cut_and_is_told_before_what_follows(
    version: str,
) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.lose_link()
        await a_session(lab)
        await lab.charging(token=OTHER_TAG)
        await asyncio.sleep(100)
        await lab.cut()
        await asyncio.sleep(300)
        await lab.start()
        await asyncio.sleep(60)
        lab.restore_link()
        await lab.delivered()
        lab.unplug()

    lab = run(Lab(version, settings=OFFLINE), story)
    check_bills(lab)
    assert [bill.reason for bill in lab.bills] == ["Local", "PowerLoss"]


def test_begun_under_one_version_and_told_under_the_other(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.lose_link()
        await a_session(lab)
        await lab.charging(token=OTHER_TAG)
        lab.version = other(version)
        lab.restore_link()
        await lab.online()
        await asyncio.sleep(100)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version, settings=OFFLINE), story)
    check_bills(lab)
    assert len(lab.bills) == 2
    assert {tuple(bill.protocols) for bill in lab.bills} == {(other(version),)}


def test_begun_and_told_under_one_version_and_ended_under_the_other(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(100)
        await lab.lose_link()
        await asyncio.sleep(100)
        lab.version = other(version)
        lab.restore_link()
        await lab.online()
        await asyncio.sleep(100)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()

    lab = run(Lab(version, settings=OFFLINE), story)
    check_bills(lab)
    [bill] = lab.bills
    assert set(bill.protocols) == set(VERSIONS)


def test_a_record_that_is_refused_for_good_steps_aside_and_the_rest_flows(
    version: str,
) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.lose_link()
        await a_session(lab)
        await a_session(lab, OTHER_TAG)
        lab.csms.behaviour.on(start_of(version), Refusal("InternalError"), times=3)
        lab.restore_link()
        await lab.delivered()

    lab = run(Lab(version, settings=QUICK), story)
    [note] = lab.disk.notes
    assert "3 times" in note
    first, second = lab.bills
    assert first.started_at is None
    assert first.ended_at is not None
    assert second.complete
    if version == "ocpp1.6":
        assert {call["transactionId"] for call in lab.wire.payloads("StopTransaction")} == {
            -1,
            second.number,
        }
    else:
        assert first.missing_seq_nos == [0]


def test_a_refused_record_is_repeated_with_growing_pauses(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.csms.behaviour.on(start_of(version), Refusal("InternalError"), times=2)
        await lab.charging()
        await lab.until(lambda: lab.bills)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version, settings=QUICK), story)
    check_bills(lab)
    first, second, third = [frame.at_s for frame in lab.wire.calls(start_of(version))][:3]
    assert second - first == pytest.approx(5, abs=0.1)
    assert third - second == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize(
    "reaction",
    [
        Twice(),
        Silence(takes=True),
        Silence(takes=False),
        Delay(12.0),
        Hangup(takes=True),
        Hangup(takes=False),
        Refusal("GenericError"),
    ],
    ids=["doubled", "lost answer", "lost call", "late", "hung up after", "hung up", "error"],
)
@pytest.mark.parametrize("at", ["start", "end"])
def test_no_trouble_with_an_answer_bills_anything_twice_or_never(
    version: str, at: str, reaction: Reaction
) -> None:
    action = start_of(version)
    if at == "end" and version == "ocpp1.6":
        action = "StopTransaction"

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        if at == "start":
            lab.csms.behaviour.on(action, reaction, times=1)
        await lab.charging()
        await asyncio.sleep(100)
        if at == "end":
            lab.csms.behaviour.on(action, reaction, times=1)
        lab.unplug()
        await lab.delivered()
        await asyncio.sleep(60)

    lab = run(Lab(version, settings=QUICK), story)
    check_bills(lab)
    assert len(lab.bills) == 1
