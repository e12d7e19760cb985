"""Keeps the security log beside the kernel, on a thread of its own: no turn waits for it."""

import asyncio
import logging
from typing import Final

from agent.core.effects import SecurityLogged
from agent.core.station import Station
from agent.ocpp.wire_time import to_text
from agent.security.log import Entry, SecurityLog

logger = logging.getLogger(__name__)

IDLE_S: Final = 5.0
"""How long an entry that is not critical may wait for others; whoever asks for the log after
a change wants to find it there."""

RETRY_S: Final = 60.0
"""How often a disk that refused is tried again."""


class Logbook:
    """Takes security events from the kernel's turns and has them written."""

    def __init__(self, log: SecurityLog) -> None:
        self._log = log
        self._is_urgent = False
        self._changed = asyncio.Event()

    def note(self, event: SecurityLogged, station: Station) -> None:
        """Take an event; it is dated by what the station knows of the time now."""
        at = to_text(station.told_s(event.at))
        entry = Entry(at, event.type, event.is_critical, event.tech_info)
        self._is_urgent = self._log.add(entry) or self._is_urgent
        self._changed.set()

    async def run(self) -> None:
        """Write until cancelled; what waits then is written on the way out."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if not self._is_urgent:
                    await self._idled()
                self._is_urgent = False
                if not await asyncio.to_thread(self._flushed):
                    await asyncio.sleep(RETRY_S)
                    self._is_urgent = True
                    self._changed.set()
        finally:
            self._flushed()

    async def _idled(self) -> None:
        """Wait for more to write, until something urgent comes."""
        try:
            async with asyncio.timeout(IDLE_S):
                while not self._is_urgent:
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            pass

    def _flushed(self) -> bool:
        try:
            self._log.flush()
        except OSError as error:
            logger.warning("the security log cannot be written: %s", error)
            return False
        return True
