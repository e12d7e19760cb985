"""A session of direct current on a CAN line that goes bad in it: it survives, or ends safe."""

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from agent.core.events import TokenPresented
from hal.sim.module_line import InfypowerLine, ModuleLine
from hal.sim.power_module import SimulatedRack
from hal.types import CanFrame, IdToken
from tests.support.dc_board import Cabinet, cabinet
from tests.support.lab import TAG, VERSIONS, Lab, run

CABINET = Path(__file__).parents[2] / "config/boards/dc-cabinet-60kw.toml"
MISHAPS: Final = ("silence", "garbage", "bit error", "late", "duplicated", "half", "deaf")
SURVIVED: Final = frozenset({"late", "duplicated"})
"""What costs no answer; of the others every second one is lost, or all of them."""

MOST_LATE: Final = 6
"""How many answers behind a late one comes: a round of all modules."""


class BadLine(ModuleLine):
    """A line of Infypower modules that goes bad when it is told to.

    silence     they do as they are told, and are not heard
    garbage     every second answer has other data
    bit error   one bit of every second one is wrong, and its checksum is right
    late        an answer comes when others were asked for
    duplicated  each comes twice
    half        every second one ends early
    deaf        nothing reaches them, and nothing comes: the adapter is out
    """

    def __init__(self, rack: SimulatedRack) -> None:
        super().__init__(rack)
        self.mishap: str | None = None
        self._line, self._random, self._count = InfypowerLine(rack), random.Random(11), 0
        self._late: deque[CanFrame] = deque()

    def answers(self, frame: CanFrame, now_s: float) -> Iterator[CanFrame]:
        if self.mishap == "deaf":
            return
        for answer in self._line.answers(frame, now_s):
            yield from self._arriving(answer)

    def _arriving(self, answer: CanFrame) -> Iterator[CanFrame]:
        self._count += 1
        is_struck = bool(self._count % 2)
        match self.mishap:
            case "silence":
                return
            case "late":
                self._late.append(answer)
                if len(self._late) > MOST_LATE:
                    yield self._late.popleft()
            case "duplicated":
                yield from (answer, answer)
            case "garbage" if is_struck:
                yield CanFrame(answer.can_id, self._random.randbytes(8))
            case "bit error" if is_struck:
                data = bytearray(answer.data)
                data[self._random.randrange(8)] ^= 1 << self._random.randrange(8)
                yield CanFrame(answer.can_id, bytes(data))
            case "half" if is_struck:
                yield CanFrame(answer.can_id, answer.data[:4])
            case _:
                yield answer


def tap(lab: Lab) -> None:
    lab.post(TokenPresented(IdToken(TAG), 1))


async def charging(lab: Lab, found: Cabinet) -> None:
    await lab.start()
    await lab.online()
    await lab.until(lambda: lab.connector() == "Available")
    found.vehicle.is_plugged = True
    await lab.until(lambda: lab.connector() == "Preparing")
    tap(lab)
    await lab.until(lambda: lab.connector() == "Charging")
    await asyncio.sleep(20)
    assert found.outlet.output().current_a == pytest.approx(100.0, abs=1.0)


async def suffered(found: Cabinet, line: BadLine, mishap: str) -> None:
    """Let the line be bad for a while: the output never exceeds what the vehicle asks for."""
    line.mishap = mishap
    for _ in range(300):
        await asyncio.sleep(0.1)
        output = found.outlet.output()
        assert output.current_a <= found.vehicle.asks_a + 1.0
        assert output.voltage_v <= found.vehicle.max_v + 1.0
        assert found.outlet.contactor_closed or output.current_a == 0.0
    if mishap in {"silence", "deaf"}:
        assert not found.outlet.contactor_closed
        assert not found.outlet.is_on
    line.mishap = None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_session_survives_a_bad_can_line_or_ends_safe_and_the_bill_is_right(
    version, mishap, tmp_path
):
    async def story(lab: Lab) -> None:
        lines: list[BadLine] = []

        def laid(rack: SimulatedRack) -> BadLine:
            lines.append(BadLine(rack))
            return lines[0]

        async with cabinet(lab, CABINET, tmp_path, laid) as found:
            await charging(lab, found)
            await suffered(found, lines[0], mishap)
            if mishap in SURVIVED:
                assert lab.connector() == "Charging"
            await asyncio.sleep(30)
            if lab.station.evses[1].transaction is not None:
                tap(lab)
            await lab.delivered()
            found.vehicle.is_plugged = False
            await lab.until(lambda: lab.connector() == "Available")
            flowed_wh.append(found.outlet.reading().energy_import_wh)
            found.vehicle.is_plugged = True
            await lab.until(lambda: lab.connector() == "Preparing")
            tap(lab)
            await lab.until(lambda: lab.connector() == "Charging")
            found.vehicle.is_plugged = False
            await lab.delivered()

    flowed_wh: list[float] = []
    lab = run(Lab(version, evses=1), story)
    first, second = lab.bills
    assert first.complete
    assert second.complete
    assert first.energy_wh == pytest.approx(flowed_wh[0], abs=2.0)
