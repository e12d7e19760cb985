"""A simulated board with a safety microcontroller: what docs/safety-mcu.md asks of one.

async with SafetyMcuDevice(SimulatedEvse()) as board:
    SafetyMcu(LineSettings(board.path, 115_200))

It is also the reference: whoever writes firmware can hold it beside this.
"""

from typing import Final

from hal.errors import BusError
from hal.protocols.safety_line import (
    MOST_VALID_MS,
    TO_BOARD,
    TO_HOST,
    VERSION,
    Board,
    BoardState,
    Line,
    Lines,
    board_text,
    framed,
    state_text,
)
from hal.sim.evse import SimulatedEvse
from hal.sim.line_device import LineDevice
from hal.sim.timer import Timer
from hal.types import Light

REPORT_S: Final = 0.5
"""The longest pause between two reports."""

_LIGHTS: Final = {light.value.upper(): light for light in Light}


class SafetyMcuDevice(LineDevice):
    """One board.

    Attributes:
        version: of the protocol that it speaks.
        lacks: features that it has not, as letters.
        is_mute: it answers and reports nothing.
    """

    def __init__(self, evse: SimulatedEvse) -> None:
        super().__init__(evse)
        self.version = VERSION
        self.lacks: set[str] = set()
        self.is_mute = False
        self._is_greeted = False
        self._reports = 0
        self._lines = Lines(TO_BOARD)
        self._pause = Timer(self._changed)

    def restart(self) -> None:
        """Lose power for a moment: everything is open, and nobody has greeted it."""
        self._lines = Lines(TO_BOARD)
        self._is_greeted = False
        self.evse.make_safe()
        self._changed()

    async def _received(self, data: bytes) -> None:
        for line in self._lines.fed(data):
            self.heard.append(line.text)
            self.say(framed(TO_HOST, line.number, await self._answer(line)))

    async def _answer(self, line: Line) -> str:
        word, *words = line.text.split(" ")
        if word not in {"HELLO", "OPEN"} and not self._is_greeted:
            return "NO HELLO"
        try:
            return await self._obeyed(
                word, [int(one) for one in words if word != "LIGHT"], words
            )
        except BusError:
            return "NO LOAD"
        except ValueError:
            return "NO RANGE"

    async def _obeyed(self, word: str, numbers: list[int], words: list[str]) -> str:
        match word, numbers:
            case "HELLO", [version]:
                return self._greet(version)
            case "OFFER", [tenths, valid_ms] if 1 <= valid_ms <= MOST_VALID_MS:
                await self.evse.offer(tenths / 10, valid_s=valid_ms / 1000)
            case "OPEN", []:
                await self.evse.energize(closed=False)
            case "CLOSE", []:
                await self.evse.energize(closed=True)
            case "LOCK", [0 | 1 as locked]:
                await self.evse.lock(locked=locked == 1)
            case "PHASES", [1 | 3 as phases] if "S" not in self.lacks:
                await self.evse.switch(phases)
            case "TEST", []:
                return f"OK {await self.evse.self_test():d}"
            case "LIGHT", _ if words[:1] and words[0] in _LIGHTS:
                await self.evse.show(_LIGHTS[words[0]])
            case "OFFER" | "LOCK" | "PHASES" | "LIGHT" | "HELLO", _:
                return "NO RANGE"
            case _:
                return "NO WORD"
        return "OK"

    def _greet(self, version: int) -> str:
        if version < self.version:
            return f"NO VERSION {self.version}"
        self.evse.make_safe()
        self._is_greeted = True
        self._pause.start(0.0)  # the state goes out behind the answer
        found = self.capabilities
        features = {
            "F": found.is_tethered,
            "L": found.has_lock,
            "S": found.can_switch_phases,
        }
        return board_text(
            Board(
                version=self.version,
                max_a=found.max_a,
                phases=found.phases,
                features=frozenset(one for one, has in features.items() if has) - self.lacks,
                name="pilotwire-sim",
                firmware="1.0",
            )
        )

    def _changed(self) -> None:
        self._pause.start(REPORT_S)
        self._reports = (self._reports + 1) % 256
        if not self.is_mute:
            self.say(framed(TO_HOST, self._reports, state_text(self._state())))

    def _state(self) -> BoardState:
        evse = self.evse
        cable_a = None if self.capabilities.is_tethered else self._cable_a or 0.0
        return BoardState(
            pilot=evse.pilot,
            offer_a=evse.offer_a,
            closed=evse.outlet_closed,
            locked=self._is_locked,
            cable_a=cable_a,
            temperature_c=self._temperature_c,
            faults=evse.faults,
            is_greeted=self._is_greeted,
        )

    def _stop(self) -> None:
        self._pause.stop()
