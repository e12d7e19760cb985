"""One line of a GPIO chip as a digital input, such as the grid operator's contact.

It is active as soon as it is seen to be, and not any more when two looks in a row have seen
that: a contact bounces, and what it stands for is lowered at once and raised with care. One
that cannot be read is active.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from hal.api import DigitalInput
from hal.bus.gpio_lines import GpiodLines, Input, Lines, Requested

LOOK_S: Final = 0.1
RETRY_S: Final = 1.0
_NAME: Final = "input"


class GpioInput(DigitalInput):
    """A line of this machine."""

    def __init__(self, chip: str, line: Input, *, requested: Requested = GpiodLines) -> None:
        """Say which line it is; nothing is opened yet.

        Args:
            chip: path of its device.
            line: how it is read.
            requested: how lines are taken.
        """
        self._chip, self._line, self._requested = chip, line, requested

    async def run(self, changed: Callable[[bool], None]) -> None:
        """Report whether it is active until cancelled; trouble is never raised.

        Raises:
            BoardError: gpiod is not installed.
        """
        told: bool | None = None
        lines: Lines | None = None
        before = True
        try:
            while True:
                try:
                    lines = lines or self._requested(self._chip, {}, {_NAME: self._line})
                    seen = lines.get()[_NAME]
                except OSError:
                    _let_go(lines)
                    seen, lines = True, None
                if seen is not told and (seen or told is None or not before):
                    told = seen
                    changed(seen)
                before = seen
                await asyncio.sleep(RETRY_S if lines is None else LOOK_S)
        finally:
            _let_go(lines)


def _let_go(lines: Lines | None) -> None:
    if lines is not None:
        lines.close()
