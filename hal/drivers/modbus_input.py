"""One digital input of an I/O module on Modbus, such as the grid operator's contact.

It is active as soon as it is seen to be, and not any more when two polls in a row have seen
that: a contact bounces, and what it stands for is lowered at once and raised with care. One
that could not be read for `fail_after_s` is active.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from hal.api import DigitalInput
from hal.bus.modbus import ModbusPort
from hal.bus.turns import Priority
from hal.errors import HalError

FUNCTIONS: Final = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
"""Modbus function codes by table."""


class ModbusInput(DigitalInput):
    """A bit at one unit of a Modbus port."""

    def __init__(
        self,
        port: ModbusPort,
        unit: int,
        *,
        table: str = "discrete",
        address: int = 0,
        bit: int | None = None,
        active: int = 1,
        poll_s: float = 0.5,
        fail_after_s: float = 2.0,
    ) -> None:
        """Say where the input is; nothing is sent yet.

        Args:
            port: the line that it is on; shared with other devices.
            unit: its address, 1 to 255.
            table: a key of `FUNCTIONS`.
            address: on the wire, from 0.
            bit: of a register, 0 the lowest; None where the table holds bits.
            active: 0 or 1: what is read while it is active.
            poll_s: from one poll to the next, more than 0.
            fail_after_s: how long it may not be read before it counts as active.
        """
        self._port, self._unit, self._address = port, unit, address
        self._function, self._bit, self._active = FUNCTIONS[table], bit or 0, active
        self._poll_s, self._fail_after_s = poll_s, fail_after_s

    async def run(self, changed: Callable[[bool], None]) -> None:
        """Report whether it is active until cancelled; trouble is never raised."""
        loop = asyncio.get_running_loop()
        told: bool | None = None
        before = True
        read_at = loop.time()
        while True:
            try:
                seen = await self._read()
            except HalError:
                seen = bool(told) or loop.time() - read_at >= self._fail_after_s
                is_settled = seen
            else:
                read_at = loop.time()
                is_settled = seen or told is None or not before
            if is_settled and seen is not told:
                told = seen
                changed(seen)
            before = seen
            await asyncio.sleep(self._poll_s)

    async def _read(self) -> bool:
        (word,) = await self._port.read(
            self._unit, self._function, self._address, 1, priority=Priority.STATE
        )
        return (word >> self._bit) & 1 == self._active
