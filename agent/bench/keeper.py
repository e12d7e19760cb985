"""The ledger on disk, and the wall clock: what the bench's commands share."""

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec

from agent.bench.csms import Csms
from agent.bench.ledger import Ledger, from_json, to_json
from agent.runtime.clock import SystemWorld

QUIET_S: Final = 0.05
"""How long changes are gathered before they are written."""

_world = SystemWorld(0)


def wall_s() -> float:
    """Return the wall time, UTC seconds since 1970; 0 while the system's clock is not set."""
    return _world.env().now.wall_s or 0.0


class LedgerError(Exception):
    """The ledger's file cannot be used; it is as it was."""


class LedgerFile:
    """Keeps a ledger in a file, as JSON; after a power cut it is the old one or the new one.

    Args:
        path: its directory must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Ledger:
        """Return the ledger in the file, an empty one when there is no file.

        Raises:
            LedgerError: the file holds something else, or cannot be read.
        """
        try:
            return from_json(self.path.read_bytes())
        except FileNotFoundError:
            return Ledger()
        except (OSError, msgspec.MsgspecError) as error:
            text = f"{self.path}: {error}; remove the file to begin a new ledger"
            raise LedgerError(text) from error

    def save(self, ledger: Ledger) -> None:
        """Replace the file.

        Raises:
            LedgerError: it cannot be written.
        """
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            with fresh.open("wb") as file:
                file.write(to_json(ledger))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            raise LedgerError(f"{self.path}: {error}") from error

    async def keep(self, csms: Csms) -> None:
        """Write the ledger now, on every change, and a last time when cancelled.

        Raises:
            LedgerError: it cannot be written.
        """
        changed = asyncio.Event()
        changed.set()
        csms.watch(lambda _: changed.set())
        try:
            while True:
                await changed.wait()
                await asyncio.sleep(QUIET_S)
                changed.clear()
                self.save(csms.ledger)
        finally:
            self.save(csms.ledger)
