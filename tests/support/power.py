"""Where the power can go, and a disk that knows what it held then."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from agent.core.effects import Record, TransactionEnded, TransactionStarted
from agent.store.database import Changes, Store, StoreError
from agent.transport.memory import MemoryLink
from tests.support.wire import Wire


class PowerCut(BaseException):
    """The power goes away here; nothing may catch it."""


class Cutter:
    """Counts boundaries between effects, and cuts at one of them.

    Args:
        at: number of the boundary, from 1; None cuts nowhere.
    """

    def __init__(self, at: int | None = None) -> None:
        self.at, self.count, self.is_dead = at, 0, False
        self.names: list[str] = []

    def boundary(self, name: str) -> None:
        """Pass a boundary, alive or not."""
        if self.is_dead:
            raise PowerCut(name)
        self.count += 1
        self.names.append(name)
        if self.count == self.at:
            self.is_dead = True
            raise PowerCut(name)


class Disk:
    """The real store, cut before and after each commit; knows which records are durable.

    Attributes:
        refusal: every commit fails with it; None: the disk writes.
    """

    def __init__(self, cutter: Cutter) -> None:
        self.refusal: str | None = None
        self.starts: dict[str, TransactionStarted] = {}
        self.ends: dict[str, TransactionEnded] = {}
        self.notes: list[str] = []
        self._cutter = cutter
        self._store: Store
        self._writing: asyncio.Future[None] | None = None

    def hold(self, store: Store) -> None:
        """Stand in front of the store of a new life."""
        self._store = store

    async def commit(self, changes: Changes) -> None:
        """Commit, unless the power goes before it."""
        if changes.is_empty:
            return
        self._cutter.boundary("before commit")
        if self.refusal is not None:
            raise StoreError(self.refusal)
        # What is on its way to the disk arrives there, although nobody waits for it any more.
        self._writing = asyncio.ensure_future(self._written(changes))
        await asyncio.shield(self._writing)
        self._cutter.boundary("after commit")

    async def settled(self) -> None:
        """Return once no commit is under way; what it brought is known then."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def _written(self, changes: Changes) -> None:
        await self._store.commit(changes)
        for report in changes.reports:
            self._keep(report.record)
        self.notes += [item.note for item in changes.aside]

    def _keep(self, record: Record) -> None:
        if isinstance(record, TransactionStarted):
            assert record.transaction_id not in self.starts, "an id was given twice"
            self.starts[record.transaction_id] = record
        elif isinstance(record, TransactionEnded):
            self.ends[record.transaction_id] = record

    async def fill(self) -> None:
        """Leave no room for another page."""
        await self._pages(1)

    async def clear(self) -> None:
        """Make room again."""
        await self._pages(1_000_000)

    async def _pages(self, most: int) -> None:
        connection = self._store._connection
        await self._store._run(connection.execute, f"PRAGMA max_page_count = {most}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class CutLink:
    """A station's end of a link, cut before and after each frame that it is handed."""

    def __init__(self, link: MemoryLink, cutter: Cutter, wire: Wire) -> None:
        self._link, self._cutter, self._wire = link, cutter, wire
        self._number = wire.opened(link.subprotocol)

    async def send(self, frame: bytes) -> None:
        self._cutter.boundary("before frame")
        await self._link.send(frame)
        now_s = asyncio.get_running_loop().time()
        self._wire.note(now_s, self._number, frame.decode(), is_sent=True)
        self._cutter.boundary("after frame")

    async def receive(self) -> str | bytes:
        frame = await self._link.receive()
        now_s = asyncio.get_running_loop().time()
        self._wire.note(now_s, self._number, str(frame), is_sent=False)
        return frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)


def directory_in_memory() -> Path:
    """Return a fresh directory; what the lab tests is order, and no disk."""
    memory = Path("/dev/shm")  # noqa: S108  # a name that mkdtemp makes there is its own
    return Path(tempfile.mkdtemp(prefix="pw-lab-", dir=memory if memory.is_dir() else None))
