"""A serial line under a stable name, as udev gives USB adapters, that comes and goes.

`path` stays the same; what it leads to does not, and is nothing while the adapter is out.
"""

import os
import tty
from pathlib import Path
from types import TracebackType
from typing import Self


class StablePty:
    """One adapter.

    Attributes:
        path: the stable name.
        device: the device's end, non-blocking; -1 while the adapter is out.
        host: the end that `path` leads to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.path = str(path)
        self.device = -1
        self.host = -1

    def __enter__(self) -> Self:
        self.put()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.device >= 0:
            self.pull()

    def put(self) -> None:
        """Put the adapter in."""
        self.device, self.host = os.openpty()
        tty.setraw(self.host)
        os.set_blocking(self.device, False)
        self._path.symlink_to(os.ttyname(self.host))

    def pull(self) -> None:
        """Pull it out: the name is gone, and whoever has it open is hung up on."""
        self._path.unlink()
        os.close(self.device)
        os.close(self.host)
        self.device = self.host = -1
