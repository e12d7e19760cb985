"""The flight recorder: what led the core, in a bounded ring on disk.

Two files of half the ring each take turns, and each begins with the whole station, so that
either can be replayed by itself (`pilotwire replay`). What happens is packed in memory and
written in one piece when there is enough of it, after a while, and at the end; the disk sees
a few writes an hour, and none of them holds a turn up.

The files hold everything that the core heard, tokens and passwords as well: only the service
may read them, and a bundle contains no more of them than may be told (agent.diagnostics.lived).
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent import __version__
from agent.core.effects import Effect
from agent.core.events import Event
from agent.core.station import Station
from agent.runtime.kernel import Kernel
from agent.store import trace

logger = logging.getLogger(__name__)

NAMES: Final = ("trace.0", "trace.1")
MOST_TURNS: Final = 250
"""Turns that wait to be packed: some hundred kilobytes."""

WRITTEN_BYTES: Final = 1 << 16
FLUSH_S: Final = 600.0
"""What is written in one piece, and how much of the last minutes a power cut may take."""


class Recorder:
    """Records the turns of a kernel.

    Attributes:
        failure: why nothing is recorded any more, None while all is well.
    """

    def __init__(self, kernel: Kernel, directory: Path, most_bytes: int) -> None:
        """Say what to record, and where.

        Args:
            directory: exists; two files of `most_bytes` together are kept in it.
        """
        self.failure: str | None = None
        self._kernel, self._directory, self._most_bytes = kernel, directory, most_bytes // 2
        self._waiting: list[trace.Entry] = [trace.whole(kernel.station, __version__)]
        self._packed = bytearray()
        self._full, self._writing = asyncio.Event(), asyncio.Lock()
        self._number, self._size = self._oldest(), 0
        self._is_new = True
        kernel.observers.append(self._observed)

    async def run(self) -> None:
        """Write until cancelled, and then what is left."""
        try:
            while self.failure is None:
                await self._wait()
                await self._write_packed()
                if self._size > self._most_bytes:
                    await self._turn_over()
        finally:
            self._kernel.observers.remove(self._observed)
            self._packed += _packed(self._taken())
            self._write(bytes(self._packed))

    async def flush(self) -> None:
        """Write everything that happened up to now, for whoever is going to read it."""
        self._packed += _packed(self._taken())
        await self._write_packed()

    async def _wait(self) -> None:
        """Pack what there is to pack, until there is enough of it or time has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                while len(self._packed) < WRITTEN_BYTES:
                    await self._full.wait()
                    self._packed += _packed(self._taken())
        self._packed += _packed(self._taken())

    async def _write_packed(self) -> None:
        async with self._writing:
            chunks = bytes(self._packed)
            self._packed.clear()
            await asyncio.to_thread(self._write, chunks)

    async def _turn_over(self) -> None:
        """Begin the other file with the station that the last turn of this one has left."""
        self._packed += _packed(self._taken())
        self._waiting.append(trace.whole(self._kernel.station, __version__))
        await self._write_packed()
        self._number, self._size, self._is_new = 1 - self._number, 0, True

    def _observed(
        self, _: Station, batch: Sequence[Event], after: Station, effects: Sequence[Effect]
    ) -> None:
        if not batch:
            return
        lived = self._kernel.lived
        self._waiting.append(
            trace.whole(after, __version__)  # the disk refused: more than these came of it
            if lived is None
            else trace.turn(lived, effects, self._kernel.wanted)
        )
        if len(self._waiting) >= MOST_TURNS:
            self._full.set()

    def _taken(self) -> list[trace.Entry]:
        taken, self._waiting = self._waiting, []
        self._full.clear()
        return taken

    def _write(self, chunks: bytes) -> None:
        if not chunks or self.failure is not None:
            return
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if self._is_new else os.O_APPEND)
        try:
            path = self._directory / NAMES[self._number]
            with os.fdopen(os.open(path, flags | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(chunks)
        except OSError as error:
            self.failure = str(error)
            logger.warning("nothing is recorded any more: %s", error)
            return
        self._size, self._is_new = self._size + len(chunks), False

    def _oldest(self) -> int:
        """Return which file to begin with: the present life takes the place of the oldest."""
        changed = [self._changed_s(name) for name in NAMES]
        return changed.index(min(changed))

    def _changed_s(self, name: str) -> float:
        try:
            return (self._directory / name).stat().st_mtime
        except OSError:
            return 0.0


def _packed(entries: Sequence[trace.Entry]) -> bytes:
    return trace.packed(entries) if entries else b""
