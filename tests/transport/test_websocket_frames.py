import asyncio

import pytest
from websockets.exceptions import ConnectionClosed

from agent.transport.link import LinkClosed
from agent.transport.websocket import MAX_FRAME_BYTES, WebSocketDialer
from tests.support import vloop
from tests.transport.support import ACCEPT_16, csms, dialed, raw_server, target_of


def test_frames_are_sent_as_text_and_come_back():
    seen = []

    async def handler(connection):
        async for message in connection:
            seen.append(message)
            await connection.send(message)

    async def life():
        async with csms(handler) as url:
            link = await dialed(target_of(url))
            await link.send('[2,"ä"]'.encode())
            assert await link.receive() == '[2,"ä"]'
            await link.close(1000, "done")

    vloop.run(life())
    assert seen == ['[2,"ä"]']


def test_a_binary_frame_is_read_as_text_if_it_is_text():
    async def handler(connection):
        await connection.send('[3,"ü"]'.encode())
        await connection.send(b"\xff\x00")
        await connection.wait_closed()

    async def life():
        async with csms(handler) as url:
            link = await dialed(target_of(url))
            assert await link.receive() == '[3,"ü"]'
            assert await link.receive() == b"\xff\x00"
            await link.close(1000, "")

    vloop.run(life())


def test_a_fragmented_frame_arrives_whole():
    async def handler(connection):
        await connection.send(iter(["[2,", '"a"', "]"]))
        await connection.wait_closed()

    async def life():
        async with csms(handler) as url:
            link = await dialed(target_of(url))
            assert await link.receive() == '[2,"a"]'
            await link.close(1000, "")

    vloop.run(life())


def test_a_frame_at_the_limit_passes_and_a_longer_one_ends_the_link_with_1009():
    codes = []

    async def handler(connection):
        await connection.send("x" * MAX_FRAME_BYTES)
        await connection.send("x" * (MAX_FRAME_BYTES + 1))
        await connection.wait_closed()
        codes.append(connection.close_code)

    async def life():
        async with csms(handler) as url:
            link = await dialed(target_of(url))
            assert len(await link.receive()) == MAX_FRAME_BYTES
            with pytest.raises(LinkClosed, match="1009"):
                await link.receive()
            with pytest.raises(LinkClosed, match="1009"):
                await link.send(b"x")

    vloop.run(life())
    assert codes == [1009]


def test_the_reason_of_the_csms_to_close_is_told():
    async def handler(connection):
        await connection.close(1001, "deploying")

    async def life():
        async with csms(handler) as url:
            link = await dialed(target_of(url))
            reason = "the CSMS closed it: 1001 .* deploying"
            with pytest.raises(LinkClosed, match=reason):
                await link.receive()
            with pytest.raises(LinkClosed, match=reason):
                await link.send(b"x")
            await link.close(1000, "")

    vloop.run(life())


def test_our_own_close_reaches_the_csms_with_its_reason_cut_to_fit():
    told = []

    async def handler(connection):
        try:
            await connection.recv()
        except ConnectionClosed as error:
            told.append((error.rcvd.code, error.rcvd.reason))

    async def life():
        async with csms(handler) as url:
            link = await dialed(target_of(url))
            receiving = asyncio.create_task(link.receive())
            await asyncio.sleep(0)
            await link.close(1001, "ü" * 100)
            await link.close(1000, "again")
            with pytest.raises(LinkClosed, match="closed: 1001"):
                await receiving

    vloop.run(life())
    assert told == [(1001, "ü" * 61)]


def test_a_connection_that_breaks_is_a_closed_link():
    async def life():
        async with raw_server(ACCEPT_16) as server:
            link = await dialed(target_of(server.url))
            receiving = asyncio.create_task(link.receive())
            await asyncio.sleep(0)
            server.writers[0].transport.abort()
            with pytest.raises(LinkClosed, match="connection lost"):
                await receiving

    vloop.run(life())


def test_dialing_again_never_makes_a_second_socket():
    async def life():
        async with raw_server(ACCEPT_16) as server:
            dialer, target = WebSocketDialer(), target_of(server.url)
            first, second = await asyncio.gather(
                dialed(target, dialer=dialer), dialed(target, dialer=dialer)
            )
            third = await dialed(target, dialer=dialer)
            assert server.most_open == 1
            assert len(server.requests) == 3
            for link in (first, second):
                with pytest.raises(LinkClosed):
                    await link.send(b"x")
            await third.close(1000, "")

    vloop.run(life())


def test_a_cancelled_dial_leaves_no_connection():
    async def life():
        async with raw_server("") as server:
            dialing = asyncio.create_task(dialed(target_of(server.url)))
            await server.until(lambda server: server.requests)
            dialing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialing
            await server.until(lambda server: not server.open_now)

    vloop.run(life())
