"""The PN532 driver against a simulated reader on a pseudo-terminal."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hal.bus.serial_line import LineSettings
from hal.drivers.pn532 import Pn532
from hal.drivers.uid import UidFormat
from hal.errors import BusError, DeviceError
from hal.protocols import pn532 as frames
from hal.sim.readers import SimulatedPn532, pty_pair
from hal.types import IdToken
from tests.support.contract_hal import PATIENCE_S, Recorder

Story = Callable[[SimulatedPn532, Recorder, "asyncio.Task[None]"], Awaitable[None]]


def told(story: Story, form: UidFormat | None = None, **behaviour: object) -> Recorder:
    async def whole() -> Recorder:
        recorder = Recorder()
        with pty_pair() as (device, path):
            sim = SimulatedPn532(device)
            for name, value in behaviour.items():
                setattr(sim, name, value)
            driver = Pn532(LineSettings(path, 115_200), form or UidFormat())
            running = asyncio.create_task(driver.run(recorder))
            try:
                await story(sim, recorder, running)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                sim.close()
        return recorder

    return asyncio.run(whole())


async def read_again(sim: SimulatedPn532) -> None:
    """Wait until the card that lies there has been read twice more."""
    wanted, again = sim.asked.count(frames.RELEASE) + 2, asyncio.Event()

    def asked() -> None:
        if sim.asked.count(frames.RELEASE) >= wanted:
            again.set()

    sim.on_asked = asked
    async with asyncio.timeout(PATIENCE_S):
        await again.wait()


def test_it_is_woken_identified_and_kept_from_blocking_before_it_is_asked() -> None:
    async def story(sim: SimulatedPn532, recorder: Recorder, _: object) -> None:
        sim.card = bytes.fromhex("DEADBEEF")
        await recorder.until(lambda _: recorder.tokens)
        assert sim.asked[:4] == [
            frames.SAM_CONFIGURATION,
            frames.GET_FIRMWARE_VERSION,
            frames.RF_CONFIGURATION,
            frames.LIST_TARGETS,
        ]

    assert told(story).tokens == [IdToken("DEADBEEF")]


def test_a_card_that_stays_is_one_token_and_the_next_card_another() -> None:
    async def story(sim: SimulatedPn532, recorder: Recorder, _: object) -> None:
        sim.card = bytes.fromhex("04A1B2C3D4E5F6")
        await recorder.until(lambda _: recorder.tokens)
        await read_again(sim)
        sim.card = bytes.fromhex("DEADBEEF")
        await recorder.until(lambda _: len(recorder.tokens) > 1)

    assert told(story).tokens == [IdToken("04A1B2C3D4E5F6"), IdToken("DEADBEEF")]


def test_a_uid_that_identifies_nobody_is_not_presented() -> None:
    async def story(sim: SimulatedPn532, recorder: Recorder, _: object) -> None:
        sim.card = bytes.fromhex("08112233")
        await read_again(sim)
        sim.card = bytes.fromhex("DEADBEEF")
        await recorder.until(lambda _: recorder.tokens)

    recorder = told(story, UidFormat(refuses_random=True))
    assert recorder.tokens == [IdToken("DEADBEEF")]


def test_a_reader_that_does_not_answer_ends_the_driver() -> None:
    async def story(_: object, __: object, running: "asyncio.Task[None]") -> None:
        with pytest.raises(BusError, match="no answer to command 0x14"):
            await running

    assert told(story, is_silent=True).tokens == []


def test_another_chip_is_not_taken_for_a_reader() -> None:
    async def story(_: object, __: object, running: "asyncio.Task[None]") -> None:
        with pytest.raises(DeviceError, match="no PN532 but 07"):
            await running

    told(story, version=bytes((0x07, 1, 6, 7)))


def test_a_reader_that_refuses_a_command_ends_the_driver() -> None:
    class Refusing(SimulatedPn532):
        def _answer(self, command: int) -> bytes:
            return super()._answer(0x99)

    async def story() -> None:
        with pty_pair() as (device, path):
            sim = Refusing(device)
            with pytest.raises(DeviceError, match="refuses command 0x14"):
                await Pn532(LineSettings(path), UidFormat()).run(Recorder())
            sim.close()

    asyncio.run(story())
