"""The local file of a transfer: opened once, never through a link, never beyond its limit."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.transfer.job import Reason, TransferError
from agent.transfer.passage import Passage


class Sink:
    """Where a download goes; begins with what an earlier attempt has left."""

    def __init__(self, path: Path, most_bytes: int, passage: Passage) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b")
        self._tag = path.with_name(f"{path.name}.tag")
        self._most_bytes, self._passage = most_bytes, passage
        self.size = self._file.seek(0, os.SEEK_END)
        self.total: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    @property
    def tag(self) -> str | None:
        """Return what the server called the version of which a part is here."""
        try:
            return self._tag.read_text() if self.size else None
        except OSError:
            return None

    @tag.setter
    def tag(self, tag: str | None) -> None:
        if tag is None:
            self._tag.unlink(missing_ok=True)
        else:
            self._tag.write_text(tag)

    def restart(self) -> None:
        """Forget what is there."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0

    def expect(self, total: int | None) -> None:
        """Take note of the size of the whole file.

        Raises:
            TransferError: it is larger than allowed.
        """
        self.total = total
        if total is not None and total > self._most_bytes:
            raise TransferError(
                Reason.TOO_LARGE, f"{total} bytes; {self._most_bytes} are allowed"
            )

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            TransferError: the file grows beyond what is allowed.
        """
        if self.size + len(data) > self._most_bytes:
            self.restart()
            raise TransferError(Reason.TOO_LARGE, f"more than {self._most_bytes} bytes")
        self._file.write(data)
        self.size += len(data)
        self._passage.passed(len(data), self.size, self.total)

    def complete(self) -> None:
        """Check that everything that was announced is there.

        Raises:
            TransferError: the connection ended too early.
        """
        if self.total is not None and self.size < self.total:
            raise TransferError(Reason.FAILED, f"{self.size} of {self.total} bytes came")


def chunks(path: Path, passage: Passage) -> Iterator[bytes]:
    """Yield a file to be sent, piece by piece."""
    size, total = 0, path.stat().st_size
    with path.open("rb") as file:
        while data := file.read(passage.chunk):
            yield data
            size += len(data)
            passage.passed(len(data), size, total)
