import asyncio

import pytest

from agent.core.events import DialRefusal
from agent.transport.link import DialError, DialTarget, LinkClosed
from agent.transport.memory import CAPACITY, MemoryDialer, pair
from tests.support import vloop

TARGET = DialTarget("ws://csms.example/ocpp", "CP001", ("ocpp2.0.1", "ocpp1.6"))


async def dialed(dialer):
    return await dialer.dial(TARGET, ping_interval_s=30.0, ping_timeout_s=15.0)


def test_frames_go_both_ways_in_order():
    async def life():
        station, csms = pair("ocpp1.6", "memory://x")
        assert (station.subprotocol, csms.url) == ("ocpp1.6", "memory://x")
        await station.send(b"1")
        await station.send(b"2")
        await csms.send(b"3")
        assert [await csms.receive(), await csms.receive()] == ["1", "2"]
        assert await station.receive() == "3"

    vloop.run(life())


def test_a_frame_that_is_no_text_arrives_as_it_is():
    async def life():
        station, csms = pair()
        await csms.send(b"\xff")
        assert await station.receive() == b"\xff"

    vloop.run(life())


def test_a_receiver_waits_for_the_sender():
    async def life():
        station, csms = pair()
        receiving = asyncio.create_task(csms.receive())
        await asyncio.sleep(60)
        assert not receiving.done()
        await station.send(b"late")
        assert await receiving == "late"

    vloop.run(life())


def test_a_sender_that_is_too_far_ahead_waits_for_the_receiver():
    async def life():
        station, csms = pair()
        for number in range(CAPACITY):
            await station.send(str(number).encode())
        sending = asyncio.create_task(station.send(b"one more"))
        await asyncio.sleep(60)
        assert not sending.done()
        assert await csms.receive() == "0"
        await sending
        received = [await csms.receive() for _ in range(CAPACITY)]
        assert received[-1] == "one more"

    vloop.run(life())


@pytest.mark.parametrize("closer", [0, 1])
def test_either_end_can_close_and_what_was_sent_before_still_arrives(closer):
    async def life():
        ends = pair()
        await ends[closer].send(b"last words")
        waiting = asyncio.create_task(ends[closer].receive())
        await asyncio.sleep(0)
        await ends[closer].close(1001, "going away")
        await ends[1 - closer].close(1000, "too late")
        assert not ends[0].is_open
        assert not ends[1].is_open
        assert await ends[1 - closer].receive() == "last words"
        for broken in (waiting, ends[1 - closer].receive(), ends[1 - closer].send(b"x")):
            with pytest.raises(LinkClosed, match="closed with 1001 going away"):
                await broken

    vloop.run(life())


def test_a_sender_that_waits_learns_of_the_end():
    async def life():
        station, csms = pair()
        for _ in range(CAPACITY):
            await station.send(b"x")
        sending = asyncio.create_task(station.send(b"one more"))
        await asyncio.sleep(1)
        await csms.close(1000, "")
        with pytest.raises(LinkClosed, match=r"closed with 1000$"):
            await sending

    vloop.run(life())


def test_a_dialed_link_ends_at_whoever_accepts():
    async def life():
        dialer = MemoryDialer()
        accepting = asyncio.create_task(dialer.accept())
        station = await dialed(dialer)
        csms = await accepting
        assert (station.subprotocol, station.url) == ("ocpp2.0.1", TARGET.url)
        assert station.ping_interval_s == 30.0
        station.set_ping_interval(7.0)
        assert station.ping_interval_s == 7.0
        await csms.send(b"hello")
        assert await station.receive() == "hello"

    vloop.run(life())


def test_dialing_again_closes_the_link_before():
    async def life():
        dialer = MemoryDialer()
        first = await dialed(dialer)
        second = await dialed(dialer)
        assert (first.is_open, second.is_open) == (False, True)

    vloop.run(life())


def test_the_chooser_decides_on_subprotocol_and_refusal():
    def refuse(target):
        raise DialError(DialRefusal.CREDENTIALS, f"no {target.identity}")

    async def life():
        dialer = MemoryDialer(lambda target: target.protocols[-1])
        assert (await dialed(dialer)).subprotocol == "ocpp1.6"
        dialer.choose = refuse
        with pytest.raises(DialError, match="no CP001"):
            await dialed(dialer)

    vloop.run(life())


def test_links_that_nobody_accepts_are_bounded():
    async def life():
        dialer = MemoryDialer()
        for _ in range(CAPACITY):
            await dialed(dialer)
        with pytest.raises(DialError, match="nobody accepts") as caught:
            await dialed(dialer)
        assert caught.value.refusal is DialRefusal.UNREACHABLE

    vloop.run(life())
