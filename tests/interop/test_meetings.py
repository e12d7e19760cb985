"""Our agent as a process, and a CSMS that was written by others, on real sockets.

What can be said of both versions; each has its own words for it in `test_v16` and
`test_v201`.
"""

import asyncio

import pytest

from tests.interop.station import BOTH, TAG, meeting, word

pytestmark = pytest.mark.interop

TOLERANCE_WH = {"ocpp1.6": 1.0, "ocpp2.0.1": 0.02}
"""1.6 tells whole Wh; 2.0.1 three decimals."""


@pytest.fixture(params=["ocpp1.6", "ocpp2.0.1"])
def version(request):
    return request.param


def test_a_station_boots_and_keeps_its_heart_beating():
    async def story():
        # Both at once: the shortest interval that a station takes is long.
        async with meeting("ocpp1.6") as older, meeting("ocpp2.0.1") as newer:
            await beating("ocpp1.6", *older)
            await beating("ocpp2.0.1", *newer)

    asyncio.run(story())


async def beating(version, peer, station):
    await peer.until(lambda: peer.heard("Heartbeat"))
    assert peer.calls[0][0] == "BootNotification"
    assert len(peer.heard("BootNotification")) == 1
    assert peer.offered == list(BOTH)
    status = await station.status()
    assert status["csms"]["protocol"] == version
    assert status["csms"]["registration"] == "Accepted"
    assert status["clock"]["known"]


def test_the_ledger_of_a_whole_session_is_what_the_meter_says(version):
    async def story():
        async with meeting(version) as (peer, station):
            await peer.until(lambda: peer.heard("StatusNotification"))
            await station.charging()
            await peer.until(lambda: peer.bills and len(peer.bill.samples_wh) >= 3)
            await station.tap()
            await peer.until(peer.has_ended)
            await station.unplug()
            await station.until(lambda status: word(status) == "Available")
            bill, evse = peer.bill, await station.evse()
            register_wh = evse["meter"]["energy_import_wh"]
            assert evse["transaction"] is None
            assert bill.id_token == TAG
            assert bill.reason == "Local"
            assert register_wh > 5.0
            assert bill.energy_wh == pytest.approx(register_wh, abs=TOLERANCE_WH[version])
            told = [bill.start_wh, *bill.samples_wh, bill.stop_wh]
            assert told == sorted(told)
            assert bill.seq_nos == list(range(len(bill.seq_nos)))

    asyncio.run(story())


def test_a_token_that_the_csms_blocks_starts_nothing(version):
    async def story():
        async with meeting(version) as (peer, station):
            peer.blocked.add(TAG)
            await peer.until(lambda: peer.heard("StatusNotification"))
            await station.plug()
            await station.tap()
            await peer.until(lambda: "Authorize" in peer.answered)
            await station.unplug()
            await station.until(lambda status: word(status) == "Available")
            evse = await station.evse()
            assert evse["transaction"] is None
            assert not evse["energized"]
            assert not peer.bills

    asyncio.run(story())


def test_what_happened_while_the_csms_was_away_is_told_afterwards(version):
    async def story():
        async with meeting(version) as (peer, station):
            await peer.until(lambda: peer.heard("StatusNotification"))
            await station.charging()
            await peer.until(lambda: peer.bills and peer.bill.samples_wh)
            await peer.close()
            await station.until(lambda status: not status["csms"]["connected"])
            queued = (await station.status())["outbox"]["queued"]
            await station.until(lambda status: status["outbox"]["queued"] >= queued + 2)
            await station.tap()
            await station.until(lambda status: status["evses"][0]["transaction"] is None)
            await station.unplug()
            heard = len(peer.calls)
            await peer.open()
            await peer.until(peer.has_ended)
            await station.until(lambda status: status["outbox"]["queued"] == 0)
            after = [action for action, _ in peer.calls[heard:]]
            assert after[0] != "TransactionEvent"
            register_wh = (await station.evse())["meter"]["energy_import_wh"]
            bill = peer.bill
            assert bill.energy_wh == pytest.approx(register_wh, abs=TOLERANCE_WH[version])
            assert len(bill.samples_wh) >= 3
            assert bill.samples_wh == sorted(bill.samples_wh)
            assert bill.seq_nos == list(range(len(bill.seq_nos)))

    asyncio.run(story())


def test_a_start_that_the_csms_refuses_is_told_again(version):
    async def story():
        async with meeting(version) as (peer, station):
            start = {"ocpp1.6": "StartTransaction", "ocpp2.0.1": "Started"}[version]
            peer.refuse[start] = 1
            await peer.until(lambda: peer.heard("StatusNotification"))
            await station.charging()
            await peer.until(lambda: peer.bills and peer.bill.samples_wh)
            await station.tap()
            await peer.until(peer.has_ended)
            register_wh = (await station.evse())["meter"]["energy_import_wh"]
            assert peer.refuse[start] == 0
            assert peer.bill.energy_wh == pytest.approx(register_wh, abs=TOLERANCE_WH[version])

    asyncio.run(story())


def test_a_csms_that_speaks_nothing_in_common_hears_nothing():
    async def story():
        async with meeting("ocpp0.9") as (peer, station):
            await peer.until(lambda: peer.requests >= 2)
            status = await station.status()
            assert not status["csms"]["connected"]
            assert status["csms"]["reason"]
            assert not peer.calls
            assert peer.links == 0

    asyncio.run(story())


def test_a_csms_that_names_no_subprotocol_hears_nothing():
    async def story():
        async with meeting() as (peer, station):
            await peer.until(lambda: peer.requests >= 2)
            status = await station.status()
            assert not status["csms"]["connected"]
            assert "subprotocol" in status["csms"]["reason"]
            assert not peer.calls

    asyncio.run(story())


def test_a_csms_that_speaks_both_gets_the_newer():
    async def story():
        async with meeting("ocpp2.0.1", "ocpp1.6") as (peer, _):
            await peer.until(lambda: peer.heard("StatusNotification"))
            assert peer.protocol == "ocpp2.0.1"

    asyncio.run(story())


def test_a_wrong_password_is_refused_and_said_in_the_status():
    async def story():
        async with meeting("ocpp1.6", ours="fedcba9876543210") as (peer, station):
            await peer.until(lambda: peer.requests)
            status = await station.until(lambda status: status["csms"]["reason"])
            assert "401" in status["csms"]["reason"]
            assert not status["csms"]["connected"]
            assert peer.links == 0

    asyncio.run(story())
