import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.transport.link import LinkClosed
from tests.support import vloop
from tests.transport.support import ACCEPT_16, csms, dialed, echo, raw_server, target_of

PING, PONG = 0x89, 0x8A


@asynccontextmanager
async def pinged(*, interval_s, timeout_s=15.0):
    """Dial a server that says nothing by itself; yields it, the link, and its reader."""
    async with raw_server(ACCEPT_16) as server:
        link = await dialed(
            target_of(server.url), ping_interval_s=interval_s, ping_timeout_s=timeout_s
        )
        receiving = asyncio.create_task(link.receive())
        yield server, link, receiving
        if not receiving.done():
            receiving.cancel()
        await asyncio.wait([receiving])
        await link.close(1000, "")


def now_s():
    return asyncio.get_running_loop().time()


def test_a_ping_without_any_answer_ends_the_link():
    async def life():
        async with pinged(interval_s=30.0, timeout_s=15.0) as (server, link, receiving):
            with pytest.raises(LinkClosed, match="no sign of life within 15 s of a ping"):
                await receiving
            assert now_s() == pytest.approx(45.0)
            assert server.received[0] == PING
            with pytest.raises(LinkClosed, match="no sign of life"):
                await link.send(b"x")

    vloop.run(life())


@pytest.mark.parametrize(
    "sign", [b"\x8a\x00", b"\x8a\x05other", b"\x89\x00"], ids=["pong", "odd pong", "ping"]
)
def test_whatever_comes_after_a_ping_is_a_sign_of_life(sign):
    async def life():
        async with pinged(interval_s=30.0) as (server, _, receiving):
            for _ in range(5):
                del server.received[:]
                await asyncio.sleep(31.0)
                assert server.received[-6] == PING  # masked and empty; a pong may be before it
                server.writers[0].write(sign)
            assert not receiving.done()

    vloop.run(life())


def test_pings_go_out_each_interval_while_the_peer_answers():
    async def life():
        async with csms(echo) as url:
            link = await dialed(target_of(url), ping_interval_s=10.0, ping_timeout_s=30.0)
            pings = count_pings(link)
            receiving = asyncio.create_task(link.receive())
            await asyncio.sleep(105.0)
            assert len(pings) == 10
            assert pings == pytest.approx([10.0 * number for number in range(1, 11)])
            receiving.cancel()
            await asyncio.wait([receiving])
            await link.close(1000, "")

    vloop.run(life())


def count_pings(link):
    """Note when pings leave, at the library's edge."""
    protocol, pings = link._connection.protocol, []
    send = protocol.send_ping

    def sent(data):
        pings.append(now_s())
        send(data)

    protocol.send_ping = sent
    return pings


def test_interval_0_sends_no_ping_and_the_peers_pings_are_answered():
    async def life():
        async with pinged(interval_s=0.0) as (server, _, receiving):
            await asyncio.sleep(86_400.0)
            assert not server.received
            server.writers[0].write(b"\x89\x02hi")
            await asyncio.sleep(1.0)
            mask, payload = server.received[2:6], server.received[6:8]
            assert server.received[0] == PONG
            assert bytes(byte ^ mask[index] for index, byte in enumerate(payload)) == b"hi"
            assert not receiving.done()

    vloop.run(life())


def test_the_interval_changes_on_a_live_link():
    async def life():
        async with pinged(interval_s=0.0) as (server, link, receiving):
            await asyncio.sleep(100.0)
            link.set_ping_interval(20.0)
            await asyncio.sleep(19.0)
            assert not server.received
            await asyncio.sleep(2.0)
            assert server.received[0] == PING
            link.set_ping_interval(0.0)
            server.writers[0].write(b"\x8a\x00")
            await asyncio.sleep(1_000.0)
            assert len(server.received) == 6
            assert not receiving.done()

    vloop.run(life())


def test_changing_the_interval_does_not_put_off_the_end_of_a_dead_link():
    async def life():
        async with pinged(interval_s=30.0, timeout_s=15.0) as (_, link, receiving):
            await asyncio.sleep(40.0)
            link.set_ping_interval(60.0)
            with pytest.raises(LinkClosed):
                await receiving
            assert now_s() == pytest.approx(45.0)

    vloop.run(life())


def test_a_peer_that_stops_reading_is_dead_too():
    async def life():
        async with pinged(interval_s=30.0, timeout_s=15.0) as (server, link, receiving):
            server.writers[0].transport.pause_reading()
            link._connection.transport.set_write_buffer_limits(0)
            sending = asyncio.create_task(link.send(b"x" * 20_000_000))
            with pytest.raises(LinkClosed, match="no sign of life"):
                await receiving
            with pytest.raises(LinkClosed, match="no sign of life"):
                await sending

    vloop.run(life())
