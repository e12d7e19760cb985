"""Questions and answers on a pseudo terminal that comes and goes."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hal.bus.conversation import RETRY_S, Conversation
from hal.bus.serial_line import LineSettings
from hal.bus.turns import Priority
from hal.errors import BusError
from tests.support import vloop
from tests.support.stable_pty import StablePty

PTY_PATIENCE_S = 0.0005


class Words:
    """Blank-separated words."""

    def __init__(self) -> None:
        self._buffer = ""

    def fed(self, data: bytes) -> list[str]:
        *found, self._buffer = (self._buffer + data.decode()).split(" ")
        return found


class Far:
    """The far end: what it was asked, and a say in what it answers."""

    def __init__(self, pty: StablePty) -> None:
        self.pty = pty
        self.heard: list[str] = []
        self.told: list[str] = []
        self.deaf_for = 0
        self.talk = Conversation(LineSettings(pty.path), Words, self.told.append, timeout_s=0.5)

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self.pty.device, self._received)

    def pull(self) -> None:
        asyncio.get_running_loop().remove_reader(self.pty.device)
        self.pty.pull()

    def put(self) -> None:
        self.pty.put()
        self.listen()

    def say(self, text: str) -> None:
        os.write(self.pty.device, f"{text} ".encode())

    def _received(self) -> None:
        for word in os.read(self.pty.device, 300).decode().split():
            self.heard.append(word)
            if self.deaf_for:
                self.deaf_for -= 1
            else:
                self.say(word.upper())

    async def ask(self, text: str, priority: Priority = Priority.COMMAND) -> str:
        return await self.talk.ask(
            lambda number: f"{text}{number} ".encode(),
            lambda word, number: word == f"{text.upper()}{number}",
            priority,
        )


@asynccontextmanager
async def far_end(directory: Path) -> AsyncIterator[Far]:
    asyncio.get_running_loop().patience_s = PTY_PATIENCE_S
    with StablePty(directory / "usb") as pty:
        far = Far(pty)
        far.listen()
        serving = asyncio.ensure_future(far.talk.serve())
        try:
            yield far
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            if pty.device >= 0:
                asyncio.get_running_loop().remove_reader(pty.device)


def test_an_answer_finds_its_question_and_the_rest_is_told(tmp_path):
    async def main() -> None:
        async with far_end(tmp_path) as far:
            far.say("early")
            assert await far.ask("a") == "A1"
            far.say("A1")  # late: nobody's any more
            assert await far.ask("a") == "A2"
            await asyncio.sleep(0.1)
            assert far.told[-1] == "A1"

    vloop.run(main())


def test_a_question_without_an_answer_is_asked_once_more_under_another_number(tmp_path):
    async def main() -> None:
        async with far_end(tmp_path) as far:
            far.deaf_for = 1
            assert await far.ask("a") == "A2"
            far.deaf_for = 9
            with pytest.raises(BusError, match="no answer"):
                await far.ask("b")
            assert far.heard == ["a1", "a2", "b3", "b4"]
            counters = far.talk.counters
            assert (counters.requests, counters.retries, counters.timeouts) == (2, 2, 3)

    vloop.run(main())


def test_numbers_go_round_and_leave_zero_out(tmp_path):
    async def main() -> None:
        async with far_end(tmp_path) as far:
            far.talk._number = 254
            assert [await far.ask("a") for _ in range(3)] == ["A255", "A1", "A2"]

    vloop.run(main())


def test_what_is_urgent_goes_first(tmp_path):
    async def main() -> None:
        async with far_end(tmp_path) as far:
            await asyncio.gather(
                far.ask("first", Priority.POLL),
                far.ask("poll", Priority.POLL),
                far.ask("stop", Priority.SAFETY),
            )
            assert [word.rstrip("0123456789") for word in far.heard] == [
                "first",
                "stop",
                "poll",
            ]

    vloop.run(main())


def test_whoever_is_cancelled_leaves_the_line_to_the_next(tmp_path):
    async def main() -> None:
        async with far_end(tmp_path) as far:
            far.deaf_for = 1
            waiting = asyncio.ensure_future(far.ask("a"))
            await asyncio.sleep(0.1)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert await far.ask("b") == "B2"

    vloop.run(main())


def test_a_line_that_goes_away_is_found_again_and_nothing_half_remains(tmp_path):
    async def main() -> None:
        async with far_end(tmp_path) as far:
            assert await far.ask("a") == "A1"
            os.write(far.pty.device, b"half")
            far.deaf_for = 1
            waiting = asyncio.ensure_future(far.ask("b"))
            await asyncio.sleep(0.1)
            far.pull()
            with pytest.raises(BusError, match=r"hung up|Input/output"):
                await waiting
            with pytest.raises(BusError, match="usb"):
                await far.ask("c")
            far.put()
            await asyncio.sleep(RETRY_S + 0.1)
            far.say("whole")
            assert (await far.ask("d"))[0] == "D"
            assert far.told[-1] == "whole"
            assert far.talk.counters.connects == 2

    vloop.run(main())


def test_a_line_that_is_not_there_at_the_start_is_waited_for(tmp_path):
    async def main() -> None:
        async with far_end(tmp_path) as far:
            far.pull()
            await asyncio.sleep(0.1)
            asking = asyncio.ensure_future(far.ask("a"))
            await asyncio.sleep(0.1)
            far.put()
            far.say("stale")  # what came before the line was open is nobody's
            assert (await asking)[0] == "A"
            await asyncio.sleep(0.1)
            assert far.told == []

    vloop.run(main())
