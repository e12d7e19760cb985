"""The driver to copy obeys the contract, against the device in its own file."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hal.drivers._blueprint import DRIVER, Blueprint, BlueprintSettings, FakeBoard
from hal.extensions import EvseFacts
from hal.types import Fault, PilotState
from tests.support import vloop
from tests.support.contract_hal import CLAUSES, charging, clause_name, served

FACTS = EvseFacts(1, 1, 32.0, 3, Path("/nowhere"))


class Rig:
    """The driver, and its board."""

    closes_by_itself = False

    def __init__(self, board: FakeBoard, controller) -> None:
        self.board, self.controller = board, controller

    async def plug(self) -> None:
        self.board.plug(is_plugged=True)

    async def unplug(self) -> None:
        self.board.plug(is_plugged=False)

    async def lose(self) -> None:
        self.board.is_silent = True

    async def restore(self) -> None:
        self.board.is_silent = False


@asynccontextmanager
async def rigged(**settings):
    async with FakeBoard() as board:
        own = BlueprintSettings("127.0.0.1", board.port, **settings)
        yield Rig(board, DRIVER.controller.build(own, FACTS))


@pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
def test_contract(clause):
    async def main():
        async with rigged() as rig:
            await clause(rig)

    vloop.run(main())


def test_an_offer_is_rounded_down_to_what_the_board_can_say():
    async def main():
        async with rigged() as rig, served(rig.controller) as recorder:
            await charging(rig, recorder)
            asked = []
            rig.board._offer = lambda *arguments: asked.append(arguments)
            await rig.controller.offer(16.49, valid_s=60.0)
            await rig.controller.offer(16.4, valid_s=60.0)
            assert asked == [(16.4, 60.0), (16.4, 60.0)]

    vloop.run(main())


def test_a_fixed_cable_has_no_rating_to_tell():
    async def main():
        async with rigged(tethered=True) as rig:
            await rig.plug()
            async with served(rig.controller) as recorder:
                await recorder.until(lambda now: now.pilot is PilotState.B)
                assert recorder.cable_a is None
                assert recorder.capabilities.is_tethered

    vloop.run(main())


@pytest.mark.parametrize("answer", ["Z 0 0", "what", "C 1 much", "C 1"])
def test_an_answer_that_is_no_state_is_a_loss(answer):
    async def main():
        async with rigged() as rig, served(rig.controller) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            rig.board._obey = lambda verb, _: answer
            await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)

    vloop.run(main())


def test_a_board_that_is_not_there_is_told_once_and_found_when_it_comes():
    async def main():
        async with rigged() as rig:
            own = BlueprintSettings("127.0.0.1", 1)
            absent = Blueprint(own, FACTS)
            async with served(absent) as recorder:
                await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
                absent._settings = BlueprintSettings("127.0.0.1", rig.board.port)
                await recorder.until(lambda now: now.pilot is PilotState.A)
                assert recorder.kinds().count("raised") == 1

    vloop.run(main())


def test_the_answer_to_a_cancelled_request_is_not_taken_for_the_next_one():
    async def main():
        async with rigged() as rig, served(rig.controller) as recorder:
            await charging(rig, recorder)
            before = rig.controller._number
            asking = asyncio.create_task(rig.controller._ask("close"))
            await asyncio.sleep(0)
            assert rig.controller._number == before + 1
            asking.cancel()
            await asyncio.wait([asking])
            assert await rig.controller._ask("read") == ["C", "1", "32.0"]

    vloop.run(main())
