"""The contactor of a DC outlet: a coil and a mirror contact of an I/O module on Modbus.

The coil is written on every change and again every `POLL_S`: a module with a watchdog of its
own opens the contactor soon after this agent has died. One without a watchdog does not, and
its page in `docs/devices` says so.

A mirror contact that cannot be read for `FAIL_AFTER_S` leaves the contactor unknown
(`Fault.COMMUNICATION_FAULT`), and it is wanted open from then on.
"""

import asyncio
from contextlib import suppress
from typing import Final

from hal.bus.modbus import ModbusPort
from hal.bus.turns import Priority
from hal.dc_api import ContactorListener, DcContactor
from hal.errors import HalError
from hal.types import Fault

POLL_S: Final = 0.25
FAIL_AFTER_S: Final = 1.0
LAST_S: Final = 1.0
"""How long the last opening may take."""

_WRITE_COIL: Final = 5
_READ_DISCRETE: Final = 2


class ModbusContactor(DcContactor):
    """A coil that closes the contactor, and a discrete input that is 1 while it is closed."""

    def __init__(
        self, port: ModbusPort, unit: int, *, coil: int, feedback: int, inverted: bool = False
    ) -> None:
        """Say where they are; nothing is sent yet.

        Args:
            port: the line that the module is on; shared with other devices.
            unit: its address, 1 to 255.
            coil, feedback: addresses on the wire, from 0.
            inverted: the mirror contact is a normally closed one: it reads 0 while the
                contactor is closed (IEC 60947-4-1 annex F).
        """
        self._port, self._unit = port, unit
        self._coil, self._feedback = coil, feedback
        self._closed_reads = 0 if inverted else 1
        self._is_wanted = False
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    async def switch(self, *, closed: bool) -> None:
        """Close or open; see `DcContactor.switch`.

        Raises:
            BusError: the module did not answer; a closing is not tried again.
            DeviceError: it refused.
        """
        self._is_wanted = closed
        try:
            await self._write(Priority.COMMAND if closed else Priority.SAFETY)
        except HalError:
            self._is_wanted = False
            raise
        finally:
            self._wake.set()

    async def run(self, listener: ContactorListener) -> None:
        """Keep the coil as it is wanted until cancelled; trouble is reported, never raised."""
        loop = asyncio.get_running_loop()
        self._is_wanted = False
        well_at = loop.time()
        is_lost: bool | None = None  # None: nothing is known yet
        told: bool | None = None
        try:
            while True:
                try:
                    await self._write(Priority.SAFETY)
                    closed = await self._read()
                except HalError as error:
                    if loop.time() - well_at >= FAIL_AFTER_S:
                        self._is_wanted = False
                        if not is_lost:
                            is_lost, told = True, None
                            listener.fault_raised(Fault.COMMUNICATION_FAULT, str(error))
                else:
                    well_at = loop.time()
                    if is_lost is not False:
                        is_lost = False
                        listener.fault_cleared(Fault.COMMUNICATION_FAULT)
                    if closed is not told:
                        told = closed
                        listener.contactor_changed(closed=closed)
                await self._rest()
        finally:
            self._is_wanted = False
            with suppress(HalError, TimeoutError):
                async with asyncio.timeout(LAST_S):
                    await self._write(Priority.SAFETY)

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
        self._wake.clear()

    async def _write(self, priority: Priority) -> None:
        """Write what is wanted; one at a time, or a closing might go out after an opening."""
        async with self._writing:
            await self._port.write(
                self._unit,
                self._coil,
                (int(self._is_wanted),),
                fc=_WRITE_COIL,
                priority=priority,
            )

    async def _read(self) -> bool:
        (bit,) = await self._port.read(self._unit, _READ_DISCRETE, self._feedback, 1)
        return bit == self._closed_reads
