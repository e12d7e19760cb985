"""The register block for a local energy manager."""

import asyncio
import struct

import pytest
from msgspec.structs import replace
from pymodbus.client import AsyncModbusTcpClient

from agent.core.effects import Done, Verdict
from agent.core.events import MeterRead
from agent.runtime.modbus_limits import MOST_CLIENTS, LimitServer
from hal.types import MeterReading, Phases
from tests.support.core import Bench

READING = MeterReading(0.0, 5_520.0, Phases(8.0, 8.0, 7.9), Phases(230.0, 230.0, 230.0))


class Core:
    """A station on paper that answers at once."""

    def __init__(self, evses: int = 1) -> None:
        self.bench = Bench(evses).ready(evses)
        self.bench.charge(1)
        self.request_id, self.answers = 1000, True
        self.server = LimitServer(
            self.ask, lambda: self.bench.station, lambda: self.bench.now_s, unit=3
        )

    async def ask(self, event):
        if not self.answers:
            await asyncio.get_running_loop().create_future()
        self.request_id += 1
        self.bench.post(event(self.request_id))
        return self.bench.reply(self.request_id)

    def says(self, *words: int, code: int = 16, address: int = 0) -> bytes:
        data = struct.pack(
            f">BHHB{len(words)}H", code, address, len(words), 2 * len(words), *words
        )
        return asyncio.run(self.server.answered(data))

    def reads(self, code: int, address: int, count: int) -> list[int]:
        answer = asyncio.run(self.server.answered(struct.pack(">BHH", code, address, count)))
        assert answer[:2] == bytes((code, 2 * count)), answer
        return list(struct.unpack(f">{count}H", answer[2:]))

    @property
    def given(self):
        return list(self.bench.station.outside.given.values())


def test_a_limit_in_amperes_holds_for_its_time():
    core = Core()
    core.says(100, 0xFFFF, 0xFFFF, 90)
    (given,) = core.given
    assert (given.origin, given.evse_id, given.limit_a) == ("modbus", 0, 10.0)
    assert given.until_s == core.bench.now_s + 90.0
    assert core.reads(3, 0, 4) == [100, 0xFFFF, 0xFFFF, 90]


def test_a_limit_in_watts_takes_the_place_of_one_in_amperes():
    core = Core()
    core.says(100)
    core.says(1, 0x86A0, address=1)
    (given,) = core.given
    assert (given.limit_a, given.limit_w) == (None, 100_000.0)
    assert core.reads(3, 0, 4) == [0xFFFF, 1, 0x86A0, 60]


def test_a_single_register_can_be_written():
    core = Core()
    request = struct.pack(">BHH", 6, 0, 65)
    assert asyncio.run(core.server.answered(request)) == request
    assert core.given[0].limit_a == 6.5


def test_none_clears_the_limit_and_clearing_nothing_is_harmless():
    core = Core()
    core.says(0xFFFF)
    core.says(100)
    core.says(0xFFFF)
    assert core.given == []
    assert core.reads(3, 0, 3) == [0xFFFF, 0xFFFF, 0xFFFF]


def test_the_inputs_show_the_station_and_each_evse():
    core = Core(2)
    assert core.reads(4, 0, 3) == [1, 2, 0xFFFF]
    core.bench.post(MeterRead(1, READING))
    core.says(80, 0xFFFF, 0xFFFF, 30)
    assert core.reads(4, 2, 3) == [30, 0, 5_520]
    assert core.reads(4, 16, 8) == [80, 80, 5_520, 0, 0, 0, 0, 0]
    core.bench.wait(30.0)
    assert core.reads(4, 2, 1) == [0], "the safe current holds"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (struct.pack(">BHH", 4, 0, 0), 3),
        (struct.pack(">BHH", 4, 0, 126), 3),
        (struct.pack(">BHH", 4, 60, 1), 2),
        (struct.pack(">BHH", 3, 3, 2), 2),
        (struct.pack(">BHH", 1, 0, 1), 1),
        (b"\x03\x00", 3),
        (struct.pack(">BHH", 6, 4, 1), 2),
        (struct.pack(">BHH", 6, 1, 1), 2),
        (struct.pack(">BHH", 6, 3, 0), 3),
        (struct.pack(">BHHBH", 16, 0, 1, 4, 1), 3),
        (struct.pack(">BHHBHHH", 16, 0, 3, 6, 100, 0, 100), 3),
        (struct.pack(">BHHB", 16, 0, 0, 0), 2),
        (b"\x10\x00", 3),
    ],
)
def test_what_is_wrong_gets_the_exception_it_deserves_and_changes_nothing(request_, code):
    core = Core()
    answer = asyncio.run(core.server.answered(request_))
    assert answer == bytes((request_[0] | 0x80, code))
    assert core.given == []


def test_a_refused_or_unanswered_write_is_a_failure_of_the_device(monkeypatch):
    core = Core()

    async def refuse(event):
        return Done(Verdict.REJECTED, "InvalidValue")

    core.server._ask = refuse
    assert core.says(100) == bytes((16 | 0x80, 4))
    monkeypatch.setattr("agent.runtime.modbus_limits.ANSWER_S", 0.0)
    core = Core()
    core.answers = False
    assert core.says(100) == bytes((16 | 0x80, 4))


def test_an_independent_client_sets_and_reads_over_a_real_socket():
    core = Core()

    async def main():
        serving = asyncio.create_task(core.server.run("127.0.0.1", 0))
        await core.server.listening.wait()
        client = AsyncModbusTcpClient("127.0.0.1", port=core.server.port, timeout=5)
        await client.connect()
        wrote = await client.write_registers(0, [120, 0xFFFF, 0xFFFF, 45], device_id=3)
        assert not wrote.isError()
        read = await client.read_input_registers(0, count=20, device_id=3)
        assert read.registers[:3] == [1, 1, 45]
        assert read.registers[16] == 120
        wrong = await client.read_holding_registers(9, count=1, device_id=3)
        assert wrong.exception_code == 2
        client.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


def test_other_units_get_no_answer_and_strangers_no_patience():
    core = Core()

    async def main():
        serving = asyncio.create_task(core.server.run("127.0.0.1", 0))
        await core.server.listening.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", core.server.port)
        ask = struct.pack(">BHH", 4, 0, 1)
        for unit in (9, 3):
            writer.write(struct.pack(">HHHB", unit, 0, 6, unit) + ask)
        assert (await reader.readexactly(11))[:2] == b"\x00\x03", "unit 9 is somebody else"
        writer.write(struct.pack(">HHHB", 1, 7, 6, 3) + ask)
        assert await reader.read() == b""
        crowd = [
            await asyncio.open_connection("127.0.0.1", core.server.port)
            for _ in range(MOST_CLIENTS + 1)
        ]
        assert await crowd[-1][0].read() == b""
        for _, each in [*crowd, (reader, writer)]:
            each.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


def test_figures_that_do_not_fit_are_cut():
    core = Core()
    core.bench.post(MeterRead(1, replace(READING, power_w=99_999.0)))
    assert core.reads(4, 18, 1) == [0xFFFE]
