"""A board of one's own with a safety microcontroller (docs/safety-mcu.md).

The board is the last word on pilot, contactor and residual current, and ends an offer itself
when its validity is over. It reports its whole state on every change and twice a second; the
driver believes the last report while it is fresh, and greets a board that was lost or has
started anew. A greeting makes the board safe; a line that is away for a moment costs nothing.
"""

import asyncio
from contextlib import suppress
from typing import Final

from hal.api import EvseListener, Indicator, PhaseSwitch, ResidualCurrent, check_offer
from hal.bus.conversation import Conversation
from hal.bus.counters import PortCounters
from hal.bus.serial_line import LineSettings
from hal.bus.turns import Priority
from hal.drivers.watched import Seen, WatchedController
from hal.errors import BusError, DeviceError
from hal.protocols.safety_line import (
    MOST_VALID_MS,
    TO_BOARD,
    VERSION,
    Board,
    BoardState,
    Line,
    Lines,
    board_state,
    framed,
    greeted,
)
from hal.types import EvseCapabilities, Light

POLL_S: Final = 0.5
FRESH_S: Final = 1.5
"""How long a report stands: three of them were missed then."""

FAIL_AFTER_S: Final = 1.0
ANSWER_S: Final = 0.3
TEST_S: Final = 3.0
"""How long a test of the residual current device may take."""


class SafetyMcu(WatchedController, PhaseSwitch, ResidualCurrent, Indicator):
    """A board at the end of a serial line."""

    def __init__(self, line: LineSettings, *, switches_phases: bool = False) -> None:
        """Say where the board is; nothing is opened yet.

        Args:
            switches_phases: it must be able to; one that is not is not used.
        """
        super().__init__("safety MCU", poll_s=POLL_S, fail_after_s=FAIL_AFTER_S)
        self._switches_phases = switches_phases
        self._talk = Conversation(line, Lines, self._told, timeout_s=ANSWER_S)
        self._board: Board | None = None
        self._latest: BoardState | None = None
        self._may_close = False
        self._heard_at = float("-inf")
        self._reported = asyncio.Event()

    @property
    def counters(self) -> PortCounters:
        """Return what the line has seen."""
        return self._talk.counters

    # --- commands ---

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current; see `EvseController.offer`.

        Raises:
            BusError: the board is lost, or did not answer.
            DeviceError: it refused.
            ValueError: the limit is neither 0 nor 6 to 80 A, or valid_s is not positive.
        """
        check_offer(limit_a, valid_s)
        tenths = int(limit_a * 10 + 1e-6)  # rounded down; the tolerance is that of floats
        valid_ms = max(1, min(int(valid_s * 1000), MOST_VALID_MS))
        lowers = self._latest is None or limit_a < self._latest.offer_a
        await self._commanded(
            f"OFFER {tenths} {valid_ms}", Priority.SAFETY if lowers else Priority.COMMAND
        )

    async def energize(self, *, closed: bool) -> None:
        """Close or open the contactor; see `EvseController.energize`.

        Raises:
            BusError: the board is lost, or did not answer.
            DeviceError: it refused.
        """
        self._may_close = closed
        if closed:
            await self._commanded("CLOSE")
        else:
            await self._obeyed("OPEN", Priority.SAFETY)  # tried even while it is lost

    async def lock(self, *, locked: bool) -> None:
        """Lock or release the plug; a board without a lock does nothing.

        Raises:
            BusError: the board is lost, or did not answer.
            DeviceError: it refused.
        """
        await self._commanded(f"LOCK {locked:d}")

    async def switch(self, phases: int) -> None:
        """Connect one phase or three; see `PhaseSwitch.switch`.

        Raises:
            BusError: the board is lost, did not answer, or its contactor is closed.
            DeviceError: it refused.
        """
        await self._commanded(f"PHASES {phases}")

    async def self_test(self) -> bool:
        """Test the residual current device; see `ResidualCurrent.self_test`.

        Raises:
            BusError: the board is lost, did not answer, or its contactor is closed.
            DeviceError: it refused, or said neither yes nor no.
        """
        answer = await self._commanded("TEST", timeout_s=TEST_S)
        if answer not in {"OK 0", "OK 1"}:
            raise DeviceError(f"the safety MCU says {answer!r} to a test")
        return answer == "OK 1"

    async def show(self, light: Light) -> None:
        """Show a light; a board without a lamp does nothing.

        Raises:
            BusError: the board is lost, or did not answer.
            DeviceError: it refused.
        """
        await self._commanded(f"LIGHT {light.value.upper()}")

    # --- life ---

    def _shall_be_open(self) -> bool:
        return not self._may_close

    async def run(self, listener: EvseListener) -> None:
        """Serve the board until cancelled; trouble is reported, never raised."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._talk.serve())
            await super().run(listener)

    def _told(self, line: Line) -> None:
        """Keep the last report; what makes no sense is as good as silence."""
        state = board_state(line.text)
        if state is not None:
            self._latest = state
            self._heard_at = asyncio.get_running_loop().time()
            self._reported.set()
            self._hurry()

    async def _look(self) -> Seen:
        if self._is_lost or not self._knows_us:
            await self._greeted()
        state = self._fresh()
        self._is_lost = False
        return Seen(
            pilot=state.pilot,
            closed=state.closed,
            locked=state.locked,
            cable_a=state.cable_a or None,
            temperature_c=state.temperature_c,
            faults=state.faults,
        )

    @property
    def _knows_us(self) -> bool:
        return self._latest is None or self._latest.is_greeted

    async def _greeted(self) -> None:
        """Make the board safe, learn what it is, and wait for its state after that.

        Raises:
            BusError: it does not answer, or reports nothing.
            DeviceError: it speaks another version, or cannot do what the board file wants.
        """
        answer = await self._obeyed(f"HELLO {VERSION}", Priority.SAFETY)
        board = greeted(answer)
        if board is None or board.version != VERSION:
            raise DeviceError(f"the safety MCU answers a greeting with {answer!r}")
        if self._switches_phases and "S" not in board.features:
            raise DeviceError(f"{board.name} cannot switch phases")
        self._board = board
        self._latest = None  # what was reported before the greeting does not count
        self._reported.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(FRESH_S):
                await self._reported.wait()

    def _fresh(self) -> BoardState:
        """Return the last report.

        Raises:
            BusError: it is too old.
        """
        silent_s = asyncio.get_running_loop().time() - self._heard_at
        if self._latest is None or silent_s > FRESH_S:
            raise BusError(f"the safety MCU has not reported for more than {FRESH_S:g} s")
        return self._latest

    def _capabilities(self) -> EvseCapabilities:
        board = self._board
        assert board is not None  # noqa: S101 - it has been greeted
        return EvseCapabilities(
            max_a=board.max_a,
            phases=board.phases,
            is_tethered="F" in board.features,
            has_lock="L" in board.features,
            can_switch_phases="S" in board.features,
        )

    # --- requests ---

    async def _commanded(
        self, text: str, priority: Priority = Priority.COMMAND, timeout_s: float | None = None
    ) -> str:
        self._require_device()
        return await self._obeyed(text, priority, timeout_s)

    async def _obeyed(
        self, text: str, priority: Priority, timeout_s: float | None = None
    ) -> str:
        """Return the answer to a request.

        Raises:
            BusError: no answer, or not with the contactor closed.
            DeviceError: the board refuses.
        """
        answer = await self._talk.ask(
            lambda number: framed(TO_BOARD, number, text), _is_answer, priority, timeout_s
        )
        if answer.text == "NO LOAD":
            raise BusError(f"the safety MCU does not {text} under load")
        if not answer.is_ok:
            raise DeviceError(f"the safety MCU refuses {text}: {answer.text}")
        return answer.text


def _is_answer(line: Line, number: int) -> bool:
    return line.is_answer and line.number == number
