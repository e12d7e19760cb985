"""The security log: what happened that somebody who investigates will ask about.

One JSON object per line, oldest first, in two files of the state directory:

    security.log.1    the older half, complete
    security.log      the newer half, appended to

When the newer one is full it becomes the older one, which is forgotten. Each holds more than
a thousand of the longest entries. A flash is written to when an entry is critical, when four
kilobytes wait, or when the first of them has waited for a few seconds: what a power cut takes
is at most those seconds of events that are not critical.

`read` needs no agent: whoever uploads the log does so from another process.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hal.types import Value

NAME: Final = "security.log"
HALF_BYTES: Final = 512 * 1024
"""Of one file: 1000 entries of at most 500 bytes, and some."""

MOST_WAITING: Final = 1000
"""Entries kept in memory while the disk refuses; the oldest give way."""

ENOUGH_BYTES: Final = 4096
"""As many bytes are worth a write: a page of a file system."""


class Entry(Value, frozen=True):
    """One line.

    Attributes:
        at: RFC 3339 in UTC.
        type: name of the event, at most 50 characters.
        tech_info: at most 255 characters; never a secret.
    """

    at: str
    type: str
    critical: bool
    tech_info: str = ""


class SecurityLog:
    """Appends to the log; `flush` blocks and may be called from any thread."""

    def __init__(self, directory: Path, *, half_bytes: int = HALF_BYTES) -> None:
        self._path, self._half_bytes = directory / NAME, half_bytes
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._waiting_bytes = 0
        self._writing = threading.Lock()

    @property
    def was_there(self) -> bool:
        """Return whether anything was logged before."""
        return self._path.exists() or _older(self._path).exists()

    def add(self, entry: Entry) -> bool:
        """Take an entry; return whether it should be flushed at once."""
        line = msgspec.json.encode(entry) + b"\n"
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        return entry.critical or self._waiting_bytes >= ENOUGH_BYTES

    @property
    def is_flushed(self) -> bool:
        """Return whether everything is on the disk."""
        return not self._waiting

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: the disk refuses; everything waits on, and some may be written twice.
        """
        with self._writing:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                self._write(b"".join(batch))
            except OSError:
                room = MOST_WAITING - len(self._waiting)
                self._waiting.extendleft(reversed(batch[-room:] if room else ()))
                raise
            self._waiting_bytes = sum(map(len, list(self._waiting)))

    def _write(self, lines: bytes) -> None:
        if not lines:
            return
        if self._size() + len(lines) > self._half_bytes:
            self._turn_over()
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, self._healed() + lines)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _turn_over(self) -> None:
        if self._path.exists():
            self._path.replace(_older(self._path))

    def _healed(self) -> bytes:
        """Return a line end if a power cut left half a line."""
        with self._path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            if file.tell() == 0:
                return b""
            file.seek(-1, os.SEEK_END)
            return b"" if file.read(1) == b"\n" else b"\n"


def read(directory: Path, oldest: str = "", latest: str = "~") -> Iterator[bytes]:
    """Yield the lines of the log, oldest first, each with its line end.

    Args:
        directory: the state directory.
        oldest, latest: bounds of `Entry.at`, inclusive, RFC 3339 in UTC.

    Half a line that a power cut left is no line.
    """
    path = directory / NAME
    decoder = msgspec.json.Decoder(Entry)
    for part in (_older(path), path):
        try:
            file = part.open("rb")
        except FileNotFoundError:
            continue
        with file:
            for line in file:
                try:
                    entry = decoder.decode(line)
                except msgspec.DecodeError:
                    continue
                if oldest <= entry.at <= latest:
                    yield line


def _older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")
