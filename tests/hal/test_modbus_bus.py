import asyncio
import itertools
import logging
import os
import struct
import subprocess
import sys
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hal.bus import rs485
from hal.bus.counters import LONGEST_S, PATIENCE, PortCounters, Silence, Tally
from hal.bus.modbus import (
    BACKOFF_MAX_S,
    TURNAROUND_S,
    ModbusPort,
    SerialPort,
    TcpPort,
)
from hal.bus.modbus_request import ExceptionReplyError, is_garbled
from hal.bus.timing import Timing
from hal.bus.turns import MAX_WAITING, Priority, Turns
from hal.drivers.mapped import MappedDevice
from hal.errors import BusError, DeviceError
from hal.registers.map import load_map
from hal.sim.modbus_device import ModbusDeviceServer
from tests.support import vloop

MAPS = Path(__file__).parents[2] / "config/registers"
Answer = Callable[[bytes], bytes | None]


class Peer:
    """The other end of a line: answers each request by a function that a test can exchange."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[float, bytes]] = []
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while request := await reader.read(300):
            self.asked.append((asyncio.get_running_loop().time(), request))
            if reply := self.answer(request):
                writer.write(reply)
        writer.close()

    def send(self, data: bytes) -> None:
        self.writers[-1].write(data)

    async def hang_up(self) -> None:
        for writer in self.writers:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def peer(answer: Answer, port: int = 0) -> AsyncIterator[Peer]:
    end = Peer(answer)
    server = await asyncio.start_server(end.serve, "127.0.0.1", port)
    end.port = server.sockets[0].getsockname()[1]
    try:
        yield end
    finally:
        server.close()
        for writer in end.writers:
            writer.close()
        await asyncio.sleep(0.01)


def tcp(request: bytes, pdu: bytes, number: int | None = None) -> bytes:
    number = int.from_bytes(request[:2], "big") if number is None else number
    return struct.pack(">HHHB", number, 0, len(pdu) + 1, request[6]) + pdu


def addresses(request: bytes) -> bytes:
    """Answer a Modbus TCP read with the address of each register, and echo a write."""
    fc, address, count = struct.unpack(">BHH", request[7:12])
    if fc > 4:
        return tcp(request, request[7:12])
    return tcp(
        request, struct.pack(f">BB{count}H", fc, 2 * count, *range(address, address + count))
    )


def rtu_addresses(request: bytes) -> bytes:
    unit, fc, address, count = struct.unpack(">BBHH", request[:6])
    words = range(address, address + count)
    return with_crc(struct.pack(f">BBB{count}H", unit, fc, 2 * count, *words))


def with_crc(data: bytes) -> bytes:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return data + struct.pack("<H", crc)


def silence(request: bytes) -> None:
    return None


async def refused_port() -> int:
    """Return a port on which nobody listens."""
    async with peer(silence) as end:
        return end.port


# --- what is read and written ---


@pytest.mark.parametrize("fc", [3, 4])
def test_registers_are_read_by_function_address_and_count(fc):
    async def main():
        async with peer(addresses) as end, TcpPort("127.0.0.1", end.port) as port:
            assert await port.read(7, fc, 0x100, 3) == (0x100, 0x101, 0x102)
        assert end.asked[0][1][6:] == struct.pack(">BBHH", 7, fc, 0x100, 3)

    vloop.run(main())


@pytest.mark.parametrize(
    ("fc", "words", "sent"),
    [(16, [1, 0xFFFF], "10 0010 0002 04 0001 ffff"), (6, [42], "06 0010 002a")],
)
def test_registers_are_written_by_either_function(fc, words, sent):
    async def main():
        async with peer(addresses) as end, TcpPort("127.0.0.1", end.port) as port:
            await port.write(1, 0x10, words, fc=fc)
        assert end.asked[0][1][7:] == bytes.fromhex(sent)

    vloop.run(main())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 0, 1), "unit must be 1 to 255"),
        ((256, 4, 0, 1), "unit must be 1 to 255"),
        ((1, 6, 0, 1), "allowed: 1, 2, 3, 4"),
        ((1, 4, 0, 0), "1 to 125 words"),
        ((1, 4, 0, 126), "1 to 125 words"),
        ((1, 4, -1, 1), "leave 0 to 65535"),
        ((1, 4, 0xFFFF, 2), "leave 0 to 65535"),
    ],
)
def test_a_read_that_cannot_be_is_refused_before_the_line_is_touched(arguments, message):
    port = TcpPort("127.0.0.1", 1)
    with pytest.raises(ValueError, match=message):
        asyncio.run(port.read(*arguments))
    assert port.counters.requests == 0


@pytest.mark.parametrize(
    ("fc", "words", "message"),
    [
        (16, [], "1 to 123 words"),
        (16, [0] * 124, "1 to 123 words"),
        (6, [1, 2], "1 to 1 words"),
        (16, [70_000], "words are 0 to 65535"),
        (16, [-1], "words are 0 to 65535"),
        (5, [2], "words are 0 to 1"),
        (5, [1, 1], "1 to 1 words"),
        (4, [1], "does not write; allowed: 5, 6, 16"),
        (15, [1], "does not write; allowed: 5, 6, 16"),
    ],
)
def test_a_write_that_cannot_be_is_refused_before_the_line_is_touched(fc, words, message):
    port = TcpPort("127.0.0.1", 1)
    with pytest.raises(ValueError, match=message):
        asyncio.run(port.write(1, 0, words, fc=fc))


@pytest.mark.parametrize(
    "timing", [{"timeout_s": 0}, {"gap_s": -0.1}, {"quiet_s": -1.0}, {"timeout_s": -1.0}]
)
def test_a_timing_that_cannot_be_is_refused(timing):
    with pytest.raises(ValueError, match="timeout_s > 0, gap_s >= 0, quiet_s >= 0"):
        Timing(**timing)


def test_a_board_without_modbus_does_not_pay_for_pymodbus():
    code = (
        "import hal.bus.modbus, hal.drivers.modbus_meter, sys; print('pymodbus' in sys.modules)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert outcome.stdout == b"False\n"


# --- what the device says ---


def test_an_exception_reply_is_an_error_that_carries_its_code():
    async def main():
        async with (
            peer(lambda request: tcp(request, bytes([0x84, 2]))) as end,
            TcpPort("127.0.0.1", end.port) as port,
        ):
            with pytest.raises(
                ExceptionReplyError, match=r"0x0048: exception 2 \(illegal data"
            ):
                await port.read(1, 4, 0x48, 2)
            with pytest.raises(ExceptionReplyError) as caught:
                await port.read(1, 4, 0x48, 2)
            assert (caught.value.unit, caught.value.fc, caught.value.address) == (1, 4, 0x48)
            assert caught.value.is_illegal_address
            assert port.counters.refusals == 2

    vloop.run(main())


def test_an_exception_without_a_name_is_told_by_its_number():
    error = ExceptionReplyError(1, 4, 0, 99)
    assert "exception 99 (unknown)" in str(error)
    assert not error.is_illegal_address


@pytest.mark.parametrize(
    ("pdu", "message"),
    [
        ("04 02 0001", "1 words instead of 2"),
        ("04 06 0001 0002 0003", "3 words instead of 2"),
        ("03 04 0001 0002", "answered as function 3"),
        ("83 02", "answered as function 131"),
    ],
)
def test_an_answer_to_something_else_is_refused(pdu, message):
    async def main():
        async with (
            peer(lambda request: tcp(request, bytes.fromhex(pdu))) as end,
            TcpPort("127.0.0.1", end.port) as port,
        ):
            with pytest.raises(DeviceError, match=message):
                await port.read(1, 4, 0, 2)
            assert port.counters.errors == 1

    vloop.run(main())


def test_a_write_confirmed_for_another_address_is_refused():
    async def main():
        async with (
            peer(lambda request: tcp(request, bytes.fromhex("10 0011 0001"))) as end,
            TcpPort("127.0.0.1", end.port) as port,
        ):
            with pytest.raises(DeviceError, match="confirmed address 0x0011"):
                await port.write(1, 0x10, [1])

    vloop.run(main())


# --- when the line fails ---


def test_silence_is_a_bus_error_after_the_timeout_and_the_next_request_works():
    async def main():
        loop = asyncio.get_running_loop()
        async with peer(silence) as end, TcpPort("127.0.0.1", end.port) as port:
            with pytest.raises(
                BusError, match=r"unit 1, function 4, address 0x0000: no answer"
            ):
                await port.read(1, 4, 0, 2)
            assert loop.time() == pytest.approx(0.5, abs=0.1)
            end.answer = addresses
            assert await port.read(1, 4, 5, 1) == (5,)
            assert port.counters.timeouts == 1
            assert port.counters.requests == 2

    vloop.run(main())


def test_a_late_answer_on_tcp_is_not_taken_for_the_next_one():
    async def main():
        late = []

        def hold(request: bytes) -> None:
            late.append(addresses(request))

        async with peer(hold) as end, TcpPort("127.0.0.1", end.port) as port:
            with pytest.raises(BusError):
                await port.read(1, 4, 0x10, 2)
            end.answer = lambda request: late[0] + addresses(request)
            assert await port.read(1, 4, 0x20, 2) == (0x20, 0x21)

    vloop.run(main())


def test_a_late_answer_on_a_serial_line_falls_into_the_quiet_after_a_timeout():
    async def main():
        loop = asyncio.get_running_loop()

        def late(request: bytes) -> None:
            loop.call_later(0.9, end.send, rtu_addresses(request))

        async with (
            peer(late) as end,
            TcpPort("127.0.0.1", end.port, framing="rtu") as port,
        ):
            with pytest.raises(BusError):
                await port.read(1, 4, 0x10, 2)
            end.answer = rtu_addresses
            assert await port.read(1, 4, 0x20, 2) == (0x20, 0x21)
            assert end.asked[1][0] >= 1.0

    vloop.run(main())


def test_the_line_is_quiet_after_a_caller_left_half_way():
    async def main():
        loop = asyncio.get_running_loop()

        def late(request: bytes) -> None:
            loop.call_later(0.3, end.send, rtu_addresses(request))

        async with (
            peer(late) as end,
            TcpPort("127.0.0.1", end.port, framing="rtu") as port,
        ):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await port.read(1, 4, 0x10, 2)
            end.answer = rtu_addresses
            assert await port.read(1, 4, 0x20, 2) == (0x20, 0x21)

    vloop.run(main())


def test_an_answer_of_the_wrong_length_on_a_serial_line_is_followed_by_quiet():
    async def main():
        timing = Timing(quiet_s=3.0)
        async with (
            peer(lambda request: rtu_addresses(request[:4] + b"\0\1")) as end,
            TcpPort("127.0.0.1", end.port, framing="rtu", timing=timing) as port,
        ):
            with pytest.raises(DeviceError, match="1 words instead of 2"):
                await port.read(1, 4, 0x10, 2)
            end.answer = rtu_addresses
            assert await port.read(1, 4, 0x20, 2) == (0x20, 0x21)
            assert end.asked[1][0] >= 3.0

    vloop.run(main())


@pytest.mark.parametrize(
    "garbage",
    [
        "deadbeef00ff55aa",  # no protocol zero
        "0001 0000 0000 01",  # a length of nothing
        "0001 0000 0003 01 04 04",  # a byte count that its length contradicts
        "0001 0000 0004 01 84 02 02",  # an exception with two codes
        "0001 0000 0005 01 10 000000",  # half a confirmation
        "0001 0000 0003 01 2b 00",  # a function that was never asked for
    ],
)
def test_garbage_closes_the_connection_and_the_next_request_opens_another(garbage, caplog):
    async def main():
        async with (
            peer(lambda _: bytes.fromhex(garbage)) as end,
            TcpPort("127.0.0.1", end.port) as port,
        ):
            with pytest.raises(BusError):
                await port.read(1, 4, 0, 1)
            end.answer = addresses
            assert await port.read(1, 4, 5, 1) == (5,)
            assert port.counters.connects == 2

    with caplog.at_level(logging.WARNING):
        vloop.run(main())
    assert caplog.records == []


@pytest.mark.parametrize("cut", range(13))
def test_a_frame_that_is_still_coming_is_not_garbage(cut):
    frame = bytes.fromhex("0001 0000 0007 01 04 04 4366 199a")
    assert not is_garbled(frame[:cut])


@pytest.mark.parametrize("pdu", ["84 02", "06 0010 002a", "10 0010 0002", "03 02 0001"])
def test_every_kind_of_answer_is_a_frame(pdu):
    assert not is_garbled(tcp(bytes([0, 1, 0, 0, 0, 0, 1]), bytes.fromhex(pdu)))


def test_a_frame_that_comes_in_pieces_is_put_together():
    async def main():
        loop = asyncio.get_running_loop()

        def pieces(request: bytes) -> bytes:
            frame = addresses(request)
            loop.call_later(0.1, end.send, frame[5:])
            return frame[:5]

        async with peer(pieces) as end, TcpPort("127.0.0.1", end.port) as port:
            assert await port.read(1, 4, 5, 1) == (5,)

    vloop.run(main())


def test_a_port_connects_again_after_the_peer_hung_up():
    async def main():
        async with peer(addresses) as end, TcpPort("127.0.0.1", end.port) as port:
            await port.read(1, 4, 0, 1)
            await end.hang_up()
            assert await port.read(1, 4, 5, 1) == (5,)
            assert port.counters.connects == 2

    vloop.run(main())


def test_a_connection_that_went_silent_is_given_up_for_another():
    async def main():
        async with peer(silence) as end, TcpPort("127.0.0.1", end.port) as port:
            for _ in range(10):
                with pytest.raises(BusError):
                    await port.read(1, 4, 0, 1, priority=Priority.COMMAND)
            assert port.counters.connects > 1

    vloop.run(main())


def test_a_port_is_closed_in_the_middle_of_an_exchange_with_a_bus_error():
    async def main():
        async with peer(silence) as end, TcpPort("127.0.0.1", end.port) as port:
            asyncio.get_running_loop().call_later(0.1, port.close)
            with pytest.raises(BusError):
                await port.read(1, 4, 0, 1)

    vloop.run(main())


def test_a_peer_that_refuses_is_tried_again_at_growing_intervals_of_at_most_five_seconds():
    async def main():
        loop = asyncio.get_running_loop()
        port = TcpPort("127.0.0.1", await refused_port())
        attempts: list[float] = []
        while len(attempts) < 9:
            before = port.counters.errors
            with pytest.raises(BusError):
                await port.read(1, 4, 0, 1)
            if port.counters.errors > before:
                attempts.append(loop.time())
            await asyncio.sleep(0.05)
        gaps = [later - earlier for earlier, later in itertools.pairwise(attempts)]
        assert gaps[0] < gaps[1] < gaps[2]
        assert BACKOFF_MAX_S <= gaps[-1] < BACKOFF_MAX_S + 0.2
        assert port.counters.requests == 0

    vloop.run(main())


def test_during_the_back_off_a_request_fails_at_once_and_says_when_to_come_back():
    async def main():
        loop = asyncio.get_running_loop()
        port = TcpPort("127.0.0.1", await refused_port())
        with pytest.raises(BusError, match="cannot be opened"):
            await port.read(1, 4, 0, 1)
        at = loop.time()
        with pytest.raises(BusError, match=r"next attempt in 0\.\d s"):
            await port.read(1, 4, 0, 1)
        assert loop.time() == at

    vloop.run(main())


def test_a_connection_that_comes_about_ends_the_back_off():
    async def main():
        number = await refused_port()
        port = TcpPort("127.0.0.1", number)
        for _ in range(5):
            with pytest.raises(BusError):
                await port.read(1, 4, 0, 1)
            await asyncio.sleep(6)
        async with peer(addresses, number) as end:
            assert await port.read(1, 4, 5, 1) == (5,)
            await end.hang_up()
        with pytest.raises(BusError, match="cannot be opened"):
            await port.read(1, 4, 5, 1)
        await asyncio.sleep(0.3)
        with pytest.raises(BusError, match="cannot be opened"):
            await port.read(1, 4, 5, 1)
        port.close()

    vloop.run(main())


# --- one line, many users ---


def test_exchanges_do_not_overlap_and_keep_the_widest_gap():
    async def main():
        timing = Timing(gap_s=0.05)
        async with (
            peer(addresses) as end,
            TcpPort("127.0.0.1", end.port, timing=timing) as port,
        ):
            port.widen_gap(0.2)
            port.widen_gap(0.1)
            answers = await asyncio.gather(*(port.read(1, 4, at, 1) for at in range(20)))
        assert answers == [(at,) for at in range(20)]
        times = [at for at, _ in end.asked]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert min(gaps) >= 0.2 - 1e-9

    vloop.run(main())


def test_commands_overtake_polls_and_safety_overtakes_both():
    async def main():
        timing = Timing(gap_s=0.1)
        async with (
            peer(addresses) as end,
            TcpPort("127.0.0.1", end.port, timing=timing) as port,
            asyncio.TaskGroup() as group,
        ):
            for at in (1, 2, 3):
                group.create_task(port.read(1, 4, at, 1))
            group.create_task(port.write(1, 4, [0]))
            group.create_task(port.write(1, 5, [0], priority=Priority.SAFETY))
            group.create_task(port.write(1, 6, [0]))
        assert [request[9] for _, request in end.asked] == [1, 5, 4, 6, 2, 3]

    vloop.run(main())


def test_states_overtake_polls():
    async def main():
        timing = Timing(gap_s=0.1)
        async with (
            peer(addresses) as end,
            TcpPort("127.0.0.1", end.port, timing=timing) as port,
            asyncio.TaskGroup() as group,
        ):
            for at in (1, 2):
                group.create_task(port.read(1, 4, at, 1))
            group.create_task(port.read(1, 4, 3, 1, priority=Priority.STATE))
        assert [request[9] for _, request in end.asked] == [1, 3, 2]

    vloop.run(main())


def test_of_equals_the_unit_that_was_asked_longest_ago_goes_first():
    async def main():
        timing = Timing(gap_s=0.1)
        async with (
            peer(addresses) as end,
            TcpPort("127.0.0.1", end.port, timing=timing) as port,
        ):
            for unit in (3, 2, 1):
                await port.read(unit, 4, 0, 1)
            async with asyncio.TaskGroup() as group:
                for unit in (1, 2, 3, 4):
                    group.create_task(port.read(unit, 4, 0, 1))
        assert [request[6] for _, request in end.asked[3:]] == [4, 3, 2, 1]

    vloop.run(main())


def test_a_unit_that_wants_a_pause_lets_the_others_go_meanwhile():
    async def main():
        async with peer(addresses) as end, TcpPort("127.0.0.1", end.port) as port:
            port.pace(1, 0.2)
            port.pace(1, 0.1)
            async with asyncio.TaskGroup() as group:
                for unit in (1, 1, 1, 2, 2):
                    group.create_task(port.read(unit, 4, 0, 1))
        assert [request[6] for _, request in end.asked] == [1, 2, 2, 1, 1]
        times = [at for at, request in end.asked if request[6] == 1]
        assert times == pytest.approx([0.0, 0.2, 0.4])

    vloop.run(main())


def test_what_is_urgent_does_not_wait_for_its_units_pause():
    async def main():
        async with peer(addresses) as end, TcpPort("127.0.0.1", end.port) as port:
            port.pace(1, 0.2)
            await port.read(1, 4, 0, 1)
            async with asyncio.TaskGroup() as group:
                group.create_task(port.write(1, 5, [0]))
                group.create_task(port.write(1, 6, [0], priority=Priority.SAFETY))
        assert [request[9] for _, request in end.asked] == [0, 6, 5]
        assert [at for at, _ in end.asked] == pytest.approx([0.0, 0.0, 0.2])

    vloop.run(main())


def test_who_waits_for_a_unit_and_gives_up_leaves_nothing_behind():
    async def main():
        async with peer(addresses) as end, TcpPort("127.0.0.1", end.port) as port:
            port.pace(1, 0.2)
            await port.read(1, 4, 0, 1)
            waiting = asyncio.create_task(port.read(1, 4, 1, 1))
            await asyncio.sleep(0.1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await asyncio.sleep(0.3)
            assert await port.read(1, 4, 2, 1) == (2,)
        assert [request[9] for _, request in end.asked] == [0, 2]

    vloop.run(main())


def test_a_command_that_comes_during_the_quiet_goes_before_the_polls_that_wait():
    async def main():
        async with (
            peer(silence) as end,
            TcpPort("127.0.0.1", end.port, framing="rtu") as port,
        ):
            with pytest.raises(BusError):
                await port.read(1, 4, 1, 1)
            end.answer = rtu_addresses
            poll = asyncio.create_task(port.read(1, 4, 2, 1))
            await asyncio.sleep(0.1)
            await port.read(1, 4, 3, 1, priority=Priority.SAFETY)
            await poll
        assert [request[3] for _, request in end.asked] == [1, 3, 2]

    vloop.run(main())


def test_who_stops_waiting_does_not_hold_up_the_others():
    async def main():
        timing = Timing(gap_s=0.1)
        async with (
            peer(addresses) as end,
            TcpPort("127.0.0.1", end.port, timing=timing) as port,
        ):
            tasks = [asyncio.create_task(port.read(1, 4, at, 1)) for at in range(5)]
            await asyncio.sleep(0.05)
            tasks[2].cancel()
            assert await asyncio.gather(*tasks[:2], *tasks[3:]) == [(0,), (1,), (3,), (4,)]
            assert len(end.asked) == 4

    vloop.run(main())


@pytest.mark.parametrize("is_before_its_turn", [True, False])
def test_who_is_cancelled_around_its_turn_passes_it_on(is_before_its_turn):
    async def main():
        turns = Turns("line")
        done: list[int] = []

        async def take(number: int) -> None:
            async with turns.turn(Priority.POLL):
                done.append(number)

        async with turns.turn(Priority.POLL):
            second, third = asyncio.create_task(take(2)), asyncio.create_task(take(3))
            await asyncio.sleep(0)
            if is_before_its_turn:
                second.cancel()
        if not is_before_its_turn:
            second.cancel()
        await third
        assert second.cancelled()
        assert done == [3]
        await take(4)

    vloop.run(main())


def test_a_jam_of_polls_is_refused_and_a_command_still_gets_through():
    async def main():
        async with peer(silence) as end, TcpPort("127.0.0.1", end.port) as port:
            polls = [asyncio.create_task(port.read(1, 4, 0, 1)) for _ in range(MAX_WAITING + 1)]
            await asyncio.sleep(0.1)
            with pytest.raises(BusError, match="64 requests are waiting"):
                await port.read(1, 4, 0, 1)
            end.answer = addresses
            await port.write(1, 0, [1], priority=Priority.SAFETY)
            await asyncio.gather(*polls, return_exceptions=True)

    vloop.run(main())


# --- slow, dead and sleeping devices ---


def test_a_slow_device_brings_its_own_patience():
    async def main():
        loop = asyncio.get_running_loop()

        def slow(request: bytes) -> None:
            loop.call_later(0.8, end.send, rtu_addresses(request))

        async with (
            peer(slow) as end,
            TcpPort("127.0.0.1", end.port, framing="rtu") as port,
        ):
            with pytest.raises(BusError, match=r"no answer in 0\.5 s"):
                await port.read(1, 4, 0x10, 2)
            assert await port.read(1, 4, 0x20, 2, timeout_s=1.0) == (0x20, 0x21)
            with pytest.raises(BusError, match=r"no answer in 0\.1 s"):
                await port.read(1, 4, 0x30, 2, timeout_s=0.1)

    vloop.run(main())


def test_no_patience_at_all_is_refused():
    port = TcpPort("127.0.0.1", 1)
    with pytest.raises(ValueError, match="timeout_s must be above 0"):
        asyncio.run(port.read(1, 4, 0, 1, timeout_s=0.0))


def test_a_request_may_be_repeated_and_the_repetition_is_counted():
    async def main():
        async with peer(silence) as end, TcpPort("127.0.0.1", end.port) as port:
            asyncio.get_running_loop().call_later(0.3, setattr, end, "answer", addresses)
            assert await port.read(1, 4, 5, 1, retries=1) == (5,)
            assert (port.counters.requests, port.counters.retries) == (2, 1)
            end.answer = silence
            with pytest.raises(BusError):
                await port.write(1, 5, [1], retries=2)
            assert port.counters.retries == 3

    vloop.run(main())


def test_a_device_that_says_no_is_not_asked_again():
    async def main():
        async with (
            peer(lambda request: tcp(request, bytes([0x84, 2]))) as end,
            TcpPort("127.0.0.1", end.port) as port,
        ):
            with pytest.raises(ExceptionReplyError):
                await port.read(1, 4, 5, 1, retries=3)
            assert len(end.asked) == 1

    vloop.run(main())


def test_dead_units_do_not_starve_the_others_on_their_line():
    """With pymodbus as it comes, each poll of a dead one takes 12 s of everybody's time."""

    async def main():
        loop = asyncio.get_running_loop()
        gaps: list[float] = []

        def only_the_first(request: bytes) -> bytes | None:
            return rtu_addresses(request) if request[0] == 1 else None

        async def poll_the_dead(port: ModbusPort, unit: int) -> None:
            while True:
                with pytest.raises(BusError):
                    await port.read(unit, 4, 0, 1)
                await asyncio.sleep(0.2)

        async with (
            peer(only_the_first) as end,
            TcpPort("127.0.0.1", end.port, framing="rtu") as port,
        ):
            dead = [asyncio.create_task(poll_the_dead(port, unit)) for unit in (7, 8, 9)]
            await asyncio.sleep(20)
            before = loop.time()
            while loop.time() < 80:
                await port.read(1, 4, 0, 2)
                gaps.append(loop.time() - before)
                before = loop.time()
                await asyncio.sleep(0.5)
            for one in dead:
                one.cancel()
        assert sum(gaps) / len(gaps) < 1.2
        assert port.counters.skipped > 0

    vloop.run(main())


def test_a_command_to_a_dead_unit_is_always_sent():
    async def main():
        async with peer(silence) as end, TcpPort("127.0.0.1", end.port) as port:
            for _ in range(PATIENCE):
                with pytest.raises(BusError, match="no answer"):
                    await port.read(1, 4, 0, 1)
            with pytest.raises(
                BusError, match=r"unit 1 does not answer; next attempt in 1\.0 s"
            ):
                await port.read(1, 4, 0, 1)
            end.answer = addresses
            await port.write(1, 0, [0], priority=Priority.SAFETY)
            assert await port.read(1, 4, 5, 1) == (5,)

    vloop.run(main())


def test_a_unit_that_answered_once_is_asked_as_before():
    silence_kept = Silence()
    for _ in range(20):
        silence_kept.missed(5, 100.0)
    assert silence_kept.wait_s(5, 100.0) == LONGEST_S
    assert silence_kept.wait_s(5, 104.0) == 1.0
    assert silence_kept.wait_s(6, 100.0) == 0.0
    silence_kept.heard(5)
    assert silence_kept.wait_s(5, 100.0) == 0.0


def test_an_answer_that_nobody_waits_for_is_counted_and_dropped():
    async def main():
        loop = asyncio.get_running_loop()

        def late(request: bytes) -> None:
            loop.call_later(0.7, end.send, rtu_addresses(request))

        async with (
            peer(late) as end,
            TcpPort("127.0.0.1", end.port, framing="rtu") as port,
        ):
            with pytest.raises(BusError):
                await port.read(1, 4, 0x10, 2)
            end.answer = rtu_addresses
            assert await port.read(1, 4, 0x20, 2) == (0x20, 0x21)
            assert port.counters.late == 1

    vloop.run(main())


def test_the_load_of_a_line_is_the_part_of_the_time_that_it_was_taken():
    tally = Tally(PortCounters)
    for second in range(11):
        tally.busy(second, second + 0.25)
    assert tally.counters() == PortCounters(load=0.268)
    for second in range(11, 23):
        tally.busy(second, second + 1.0)
    assert tally.counters().load == pytest.approx(0.93, abs=0.03)


def test_bits_are_read_and_written():
    async def main():
        register_map = load_map(MAPS / "_template-evse.toml")
        async with (
            ModbusDeviceServer(register_map) as device,
            TcpPort("127.0.0.1", device.port) as port,
        ):
            device.set_words(10, [1, 0, 1, 1, 0, 0, 0, 0, 1], fc=2)
            assert await port.read(1, 2, 10, 9) == (1, 0, 1, 1, 0, 0, 0, 0, 1)
            assert await port.read(1, 2, 10, 1) == (1,)
            await port.write(1, 400, [1], fc=5)
            assert await port.read(1, 1, 400, 1) == (1,)
            await port.write(1, 400, [0], fc=5)
            assert await port.read(1, 1, 400, 1) == (0,)

    vloop.run(main())


def test_more_bits_than_were_asked_for_are_refused():
    async def main():
        async with (
            peer(lambda request: tcp(request, bytes.fromhex("02 02 ffff"))) as end,
            TcpPort("127.0.0.1", end.port) as port,
        ):
            with pytest.raises(DeviceError, match="16 words instead of 2"):
                await port.read(1, 2, 0, 2)

    vloop.run(main())


# --- a serial line ---


@asynccontextmanager
async def serial_peer(answer: Answer) -> AsyncIterator[tuple[str, list[bytes], int]]:
    """A pseudo terminal with a device at its other end."""
    device, line = os.openpty()
    tty.setraw(device)
    tty.setraw(line)
    asked: list[bytes] = []
    loop = asyncio.get_running_loop()

    def serve() -> None:
        asked.append(os.read(device, 300))
        if reply := answer(asked[-1]):
            os.write(device, reply)

    loop.add_reader(device, serve)
    try:
        yield os.ttyname(line), asked, device
    finally:
        loop.remove_reader(device)
        os.close(line)
        os.close(device)


async def exchanged(port: ModbusPort, address: int) -> tuple[int, ...]:
    return await port.read(1, 4, address, 2)


def test_a_serial_line_carries_framed_requests_and_answers():
    async def main():
        async with (
            serial_peer(lambda _: bytes.fromhex("01 04 04 43 66 19 9a 85 e4")) as (
                path,
                asked,
                _,
            ),
            SerialPort(path) as port,
        ):
            assert await port.read(1, 4, 0, 2) == (0x4366, 0x199A)
            assert asked == [bytes.fromhex("01 04 00 00 00 02 71 cb")]

    vloop.run(main())


def test_a_serial_line_rests_three_and_a_half_characters_between_frames():
    async def main():
        loop = asyncio.get_running_loop()
        async with serial_peer(rtu_addresses) as (path, _, _), SerialPort(path) as port:
            await exchanged(port, 0)
            before = loop.time()
            await exchanged(port, 0)
            assert loop.time() - before >= 0.004

    vloop.run(main())


def test_a_serial_line_recovers_from_noise():
    async def main():
        answers = iter([b"\xff\x00\x13", None, None])
        async with (
            serial_peer(lambda request: next(answers, None) or rtu_addresses(request)) as (
                path,
                _,
                _,
            ),
            SerialPort(path) as port,
        ):
            with pytest.raises(BusError):
                await exchanged(port, 0)
            assert await exchanged(port, 8) == (8, 9)

    vloop.run(main())


def test_a_serial_line_that_does_not_exist_is_a_bus_error():
    port = SerialPort("/dev/does-not-exist")
    with pytest.raises(BusError, match="/dev/does-not-exist: cannot be opened"):
        vloop.run(port.read(1, 4, 0, 1))


def test_a_serial_line_that_is_pulled_out_is_a_bus_error():
    async def main():
        device, line = os.openpty()
        tty.setraw(line)
        path = os.ttyname(line)
        os.close(line)
        async with SerialPort(path) as port:
            with pytest.raises(BusError, match="no answer"):
                await port.read(1, 4, 0, 1)
            os.close(device)
            for _ in range(2):
                with pytest.raises(BusError):
                    await port.read(1, 4, 0, 1)
                await asyncio.sleep(1)

    vloop.run(main())


@pytest.mark.parametrize("parity", ["E", "O"])
def test_a_line_without_wires_does_without_parity(parity):
    async def main():
        async with (
            serial_peer(rtu_addresses) as (path, _, _),
            SerialPort(path, parity=parity) as port,
        ):
            for _ in range(3):
                assert await exchanged(port, 8) == (8, 9)

    vloop.run(main())


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("mode", ["rts_high", "rts_low"])
def test_a_line_whose_driver_has_no_rs485_mode_says_so_and_stays_closed(mode):
    async def main():
        async with serial_peer(silence) as (path, _, _), SerialPort(path, rs485=mode) as port:
            before = open_files()
            with pytest.raises(
                BusError, match=r'has no RS-485 mode .* rs485 = "adapter" leaves'
            ):
                await port.read(1, 4, 0, 1)
            assert open_files() == before

    vloop.run(main())


def test_rs485_settings_are_those_of_the_kernel():
    assert rs485.settings("rts_high") == struct.pack("=8I", 1 | 2, 0, 0, 0, 0, 0, 0, 0)
    assert rs485.settings("rts_low") == struct.pack("=8I", 1 | 4, 0, 0, 0, 0, 0, 0, 0)


def test_an_adapter_that_hears_itself_is_understood():
    async def main():
        async with (
            serial_peer(lambda request: request + rtu_addresses(request)) as (path, _, _),
            SerialPort(path, echo=True) as port,
        ):
            for at in (8, 9, 10):
                assert await exchanged(port, at) == (at, at + 1)

    vloop.run(main())


def test_modbus_ascii_has_the_frames_of_the_makers_document():
    async def main():
        answer = b":01030200B248\r\n"
        async with (
            serial_peer(lambda _: answer) as (path, asked, _),
            SerialPort(path, framing="ascii") as port,
        ):
            assert await port.read(1, 3, 4, 1) == (0xB2,)
            assert asked == [b":010300040001F7\r\n"]

    vloop.run(main())


@pytest.mark.parametrize(
    ("name", "framing", "frame", "answer"),
    [
        (
            "evse-din",
            "rtu",
            bytes.fromhex("01 06 03 E8 00 10 08 76"),
            bytes.fromhex("01 06 03 E8 00 10 08 76"),
        ),
        ("abl-emh1", "ascii", b":01100014000102010ACD\r\n", b":011000140001DA\r\n"),
    ],
)
def test_the_frame_by_which_a_map_sets_16_a_is_that_of_the_reference(
    name, framing, frame, answer
):
    """Hardware reference 3.2 and 3.6: what leaves the line, from the shipped map on."""

    async def main():
        register_map = load_map(MAPS / f"{name}.toml")
        async with (
            serial_peer(lambda _: answer) as (path, asked, _),
            SerialPort(path, framing=framing) as port,
        ):
            device = MappedDevice(port, 1, register_map, names=frozenset({"state"}))
            await device.write(register_map.evse.set_current.write(16.0))
            assert asked == [frame]

    vloop.run(main())


def test_the_frames_for_a_smartevse_are_those_of_its_firmware():
    """Hardware reference 3.5: the answer to unit 3 that asks for C; and the currents for all."""

    async def main():
        register_map = load_map(MAPS / "smartevse-3.toml")
        answer = with_crc(bytes.fromhex("03 10 00 00 00 02"))
        async with (
            serial_peer(lambda _: answer) as (path, asked, _),
            SerialPort(path) as port,
        ):
            device = MappedDevice(port, 3, register_map, names=frozenset({"state"}))
            await device.write(register_map.evse.grants[1].write)
            assert asked == [bytes.fromhex("03 10 00 00 00 02 04 00 07 00 00 49 D6")]
            begun = asyncio.get_running_loop().time()
            await device.write(register_map.evse.set_current.write(16.0))
            await device.write(register_map.evse.grants[1].write)
            assert asyncio.get_running_loop().time() - begun >= TURNAROUND_S
        currents = bytes.fromhex("09 10 00 20 00 08 10") + struct.pack(
            ">8H", *[0, 0, 160], *[0] * 5
        )
        assert asked[1] == with_crc(currents)

    vloop.run(main())


def test_the_frame_that_reads_an_evse_din_is_that_of_the_reference():
    async def main():
        words = range(8)
        answer = with_crc(struct.pack(">BBB8H", 1, 3, 16, *words))
        async with (
            serial_peer(lambda _: answer) as (path, asked, _),
            SerialPort(path) as port,
        ):
            assert await port.read(1, 3, 1000, 8) == tuple(words)
            assert asked == [bytes.fromhex("01 03 03 E8 00 08 C4 7C")]

    vloop.run(main())


def test_a_line_that_comes_back_under_its_name_is_opened_again(tmp_path):
    name = tmp_path / "usb-FTDI_FT232R_A50285BI-if00-port0"

    async def main():
        async with serial_peer(rtu_addresses) as (path, _, device):
            name.symlink_to(path)
            port = SerialPort(str(name))
            assert await exchanged(port, 8) == (8, 9)
            name.unlink()
            asyncio.get_running_loop().remove_reader(device)
            with open("/dev/null", "rb") as nothing:  # noqa: ASYNC230, PTH123
                os.dup2(nothing.fileno(), device)  # the adapter is pulled out
            with pytest.raises(BusError):
                await exchanged(port, 8)
            with pytest.raises(BusError, match=r"cannot be opened|not connected"):
                await exchanged(port, 8)
        async with serial_peer(rtu_addresses) as (path, _, _):
            name.symlink_to(path)  # and put into another socket
            await asyncio.sleep(BACKOFF_MAX_S)
            assert await exchanged(port, 8) == (8, 9)
            assert port.counters.connects == 2
            port.close()

    vloop.run(main())


def test_a_rate_that_no_line_has_is_refused():
    with pytest.raises(ValueError, match="300 or more"):
        SerialPort("/dev/ttyS1", baudrate=50)
