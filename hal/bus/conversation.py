"""Questions and answers on a serial line whose device also speaks unasked.

`serve` owns the line for the length of its run: it opens it, finds it again after an adapter
was pulled out, and hands every message to whoever waits for it, or else to `told`. `ask` sends
one question at a time, the urgent ones first, and asks once more when no answer comes.
Questions carry a number that answers repeat, so a late answer is nobody's.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from hal.bus.counters import PortCounters, Tally
from hal.bus.serial_line import LineSettings, SerialLine, opened
from hal.bus.turns import Priority, Turns
from hal.errors import BusError, HalError

ATTEMPTS: Final = 2
RETRY_S: Final = 1.0
"""Pause before a line that is gone is looked for again."""

MOST_NUMBERS: Final = 255

M = TypeVar("M")


class Decoder(Protocol[M]):
    """What makes messages of bytes."""

    @abstractmethod
    def fed(self, data: bytes) -> list[M]:
        """Take bytes as they come; return the messages that are complete with them."""


class Conversation(Generic[M]):
    """One line and the device at its end."""

    def __init__(
        self,
        settings: LineSettings,
        decoder: Callable[[], Decoder[M]],
        told: Callable[[M], None],
        *,
        timeout_s: float,
    ) -> None:
        """Say how the line is set and read; nothing is opened yet.

        Args:
            decoder: called for every life of the line, so that nothing half remains.
            told: takes what nobody waits for; returns at once and never raises.
            timeout_s: how long an answer may take.
        """
        self._settings, self._decoder, self._told = settings, decoder, told
        self._timeout_s = timeout_s
        self._turns = Turns(settings.path)
        self._tally = Tally(PortCounters)
        self._number = 0
        self._line: SerialLine | None = None
        self._is_open = asyncio.Event()
        self._trouble = ""
        self._waiting: tuple[Callable[[M], bool], asyncio.Future[M]] | None = None

    @property
    def counters(self) -> PortCounters:
        """Return what the line has seen."""
        return self._tally.counters()

    @property
    def trouble(self) -> str:
        """Return why the line is not open; empty when it is."""
        return self._trouble

    async def serve(self) -> None:
        """Hold the line open until cancelled; what goes wrong is told to those who ask."""
        while True:
            try:
                async with opened(self._settings) as line:
                    self._begin(line)
                    decoder = self._decoder()
                    while True:
                        for message in decoder.fed(await line.read()):
                            self._take(message)
            except HalError as error:
                self._tally.count("errors")
                self._trouble = str(error)
            finally:
                self._end()
            await asyncio.sleep(RETRY_S)

    async def ask(
        self,
        question: Callable[[int], bytes],
        answers: Callable[[M, int], bool],
        priority: Priority,
        timeout_s: float | None = None,
    ) -> M:
        """Return the answer to a question.

        Args:
            timeout_s: how long this answer may take, if not as long as any.
            question: makes the bytes of it from its number, 1 to 255.
            answers: tells whether a message is the answer to the question of a number.

        Raises:
            BusError: the line is gone, or nobody answers.
        """
        async with self._turns.turn(priority):
            for attempt in range(1, ATTEMPTS + 1):
                self._number = self._number % MOST_NUMBERS + 1
                number = self._number
                self._tally.count("requests" if attempt == 1 else "retries")
                try:
                    async with asyncio.timeout(timeout_s or self._timeout_s):
                        return await self._asked(question(number), answers, number)
                except TimeoutError:
                    self._tally.count("timeouts")
            raise BusError(self._trouble or f"{self._settings.path}: no answer")

    async def _asked(self, frame: bytes, answers: Callable[[M, int], bool], number: int) -> M:
        await self._is_open.wait()
        assert self._line is not None  # noqa: S101 - it is what the event says
        answer: asyncio.Future[M] = asyncio.get_running_loop().create_future()
        self._waiting = (lambda message: answers(message, number)), answer
        try:
            self._line.write(frame)
            return await answer
        finally:
            self._waiting = None
            answer.cancel()

    def _begin(self, line: SerialLine) -> None:
        self._tally.count("connects")
        self._trouble = ""
        self._line = line
        self._is_open.set()

    def _end(self) -> None:
        self._line = None
        self._is_open.clear()
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_exception(BusError(self._trouble or "the line was closed"))

    def _take(self, message: M) -> None:
        if self._waiting is not None and self._waiting[0](message):
            if not self._waiting[1].done():
                self._waiting[1].set_result(message)
            return
        self._told(message)
