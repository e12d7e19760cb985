"""A reader's line goes bad in the middle of a session: nobody is charged for the noise."""

import asyncio
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

import pytest

from agent.core.events import TokenPresented
from agent.core.values import EvseSpec
from hal.api import TokenReader
from hal.board import EvseHardware
from hal.bus.serial_line import LineSettings
from hal.drivers.pn532 import Pn532
from hal.drivers.serial_reader import Rdm6300, SerialReader
from hal.drivers.uid import UidFormat
from hal.sim.readers import SimulatedPn532, SimulatedRdm6300, pty_pair
from hal.types import IdToken, TokenType
from tests.support.bad_line import MISHAPS, SerialLine
from tests.support.lab import TAG, VERSIONS, Lab, run

PTY_PATIENCE_S = 0.0005


class Rdm6300OnALine:
    """A card before a reader that repeats it."""

    def __init__(self, fd: int) -> None:
        self._sim = SimulatedRdm6300(fd)

    @staticmethod
    def driver(path: str) -> TokenReader:
        return SerialReader(
            LineSettings(path), lambda: Rdm6300(UidFormat(), TokenType.ISO14443)
        )

    async def tap(self) -> None:
        self._sim.card = bytes.fromhex(f"10{TAG}")
        await asyncio.sleep(1.0)
        self._sim.card = None
        await asyncio.sleep(3.5)

    def close(self) -> None:
        self._sim.close()


class Pn532OnALine:
    """A card before a reader that is asked."""

    def __init__(self, fd: int) -> None:
        self._sim = SimulatedPn532(fd)

    @staticmethod
    def driver(path: str) -> TokenReader:
        return Pn532(LineSettings(path, 115_200), UidFormat())

    async def tap(self) -> None:
        self._sim.card = bytes.fromhex(TAG)
        await asyncio.sleep(1.0)
        self._sim.card = None
        await asyncio.sleep(3.5)

    def close(self) -> None:
        self._sim.close()


Card = Rdm6300OnALine | Pn532OnALine


def opened_raw(path: str) -> FileIO:
    return Path(path).open("r+b", buffering=0)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [Rdm6300OnALine, Pn532OnALine])
@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_reader_whose_line_goes_bad_reads_nothing_that_was_not_there(
    version, kind, mishap, tmp_path
):
    """And it reads again when the line is well; nobody is charged for the noise."""
    presented: list[IdToken] = []

    async def story(lab: Lab) -> None:
        loop = asyncio.get_running_loop()
        loop.patience_s = PTY_PATIENCE_S
        with pty_pair() as (device, path), opened_raw(path) as reader_end:
            line, card = SerialLine(tmp_path / "usb-reader", reader_end.write), kind(device)
            loop.add_reader(reader_end, lambda: line.answered(reader_end.read(300)))
            lab.wired = lambda spec, _: wired(spec, lab, kind.driver(line.path))
            try:
                await session(lab, line, card)
            finally:
                await lab.stop()
                loop.remove_reader(reader_end)
                card.close()
                line.close()

    async def session(lab: Lab, line: SerialLine, card: Card) -> None:
        await lab.start()
        await lab.online()
        lab.shell.kernel.observers.append(lambda _, events, *__: note(events))
        lab.plug()
        await asyncio.sleep(1)
        await card.tap()
        await lab.until(lambda: lab.connector() == "Charging")
        line.suffer(mishap)
        await asyncio.sleep(5)
        line.suffer(None)
        await asyncio.sleep(40)  # its driver is started again, ever later
        assert presented == [IdToken(TAG)]
        assert lab.connector() == "Charging"
        line.suffer(mishap)
        await card.tap()
        line.suffer(None)
        await asyncio.sleep(40)
        if lab.connector() == "Charging":  # the tap was lost
            await card.tap()
        await lab.delivered()
        assert set(presented) == {IdToken(TAG)}
        assert len(presented) == 2
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")

    def note(events: Sequence[object]) -> None:
        presented.extend(one.id_token for one in events if isinstance(one, TokenPresented))

    lab = run(Lab(version), story)
    (bill,) = lab.bills
    assert bill.complete
    assert bill.energy_wh == pytest.approx(lab.flowed_wh, abs=1.5)


def wired(spec: EvseSpec, lab: Lab, reader: TokenReader) -> EvseHardware:
    sim = lab.evse(spec.evse_id)
    return EvseHardware(spec.evse_id, 1, spec.max_a, spec.phases, sim, sim, (reader,))
