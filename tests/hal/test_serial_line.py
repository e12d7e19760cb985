"""A serial line on a pseudo-terminal: opened once, read as bytes come, gone with its adapter."""

import asyncio
import builtins
import os

import pytest

from hal.bus.serial_line import LineSettings, SerialLine, opened
from hal.errors import BoardError, BusError
from hal.sim.readers import pty_pair


def test_bytes_go_both_ways() -> None:
    async def story() -> None:
        with pty_pair() as (device, path):
            async with opened(LineSettings(path, 115_200)) as line:
                line.write(b"\x00ask\xff")
                assert os.read(device, 100) == b"\x00ask\xff"
                os.write(device, b"\x00answer\r\n\xff")
                assert await line.read() == b"\x00answer\r\n\xff"

    asyncio.run(story())


def test_what_came_before_a_question_can_be_dropped() -> None:
    async def story() -> None:
        with pty_pair() as (device, path):
            async with opened(LineSettings(path)) as line:
                os.write(device, b"old")
                line.drop_input()
                reading = asyncio.create_task(line.read())
                await asyncio.sleep(0)
                assert not reading.done()
                os.write(device, b"new")
                assert await reading == b"new"

    asyncio.run(story())


def test_a_line_has_one_owner() -> None:
    async def story() -> None:
        with pty_pair() as (_, path):
            async with opened(LineSettings(path)):
                with pytest.raises(BusError, match=path):
                    async with opened(LineSettings(path)):
                        pass
            async with opened(LineSettings(path)):
                pass

    asyncio.run(story())


def test_a_line_that_is_not_there_says_so() -> None:
    async def story() -> None:
        with pytest.raises(BusError, match="/dev/serial/by-id/none"):
            async with opened(LineSettings("/dev/serial/by-id/none")):
                pass

    asyncio.run(story())


def test_an_adapter_that_is_pulled_out_ends_reading_and_writing() -> None:
    async def story() -> None:
        with pty_pair() as (device, path):
            async with opened(LineSettings(path)) as line:
                os.close(device)
                with pytest.raises(BusError, match=path):
                    await line.read()
                with pytest.raises(BusError, match=path):
                    line.write(b"x")
                line.drop_input()

    asyncio.run(story())


def test_a_line_that_is_gone_does_not_keep_the_loop_busy_until_somebody_reads() -> None:
    async def story() -> None:
        with pty_pair() as (device, path):
            async with opened(LineSettings(path)) as line:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(line.read(), 0.0)
                os.close(device)
                for _ in range(3):
                    await asyncio.sleep(0)
                assert not asyncio.get_running_loop().remove_reader(line._port.fileno())
                with pytest.raises(BusError, match=path):
                    await line.read()

    asyncio.run(story())


def test_a_line_that_takes_nothing_more_says_so() -> None:
    def flooded(line: SerialLine) -> None:
        for _ in range(100):
            line.write(bytes(65_536))

    async def story() -> None:
        with pty_pair() as (_, path):
            async with opened(LineSettings(path)) as line:
                with pytest.raises(BusError, match=path):
                    flooded(line)

    asyncio.run(story())


def test_without_pyserial_the_remedy_is_named(monkeypatch) -> None:
    real = builtins.__import__

    def absent(name, *args, **more):
        if name == "serial":
            raise ImportError(name)
        return real(name, *args, **more)

    async def story() -> None:
        with pytest.raises(BoardError, match=r"pip install 'pilotwire\[serial\]'"):
            async with opened(LineSettings("/dev/ttyS9")):
                pass

    monkeypatch.setattr(builtins, "__import__", absent)
    asyncio.run(story())
