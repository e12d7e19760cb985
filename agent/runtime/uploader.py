"""Carries out uploads of logs, and writes bundles for whoever asks at the station.

A log is written by one helper process and sent by another; the agent only waits.
"""

import base64
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from agent.core import diagnostics, variables
from agent.core.effects import Effect
from agent.core.events import Event, UploadEnded
from agent.core.orders import LogKind, UploadStatus, UploadWork
from agent.core.station import Station
from agent.diagnostics.job import Job as Bundle
from agent.diagnostics.job import Said, Unwritten, Written
from agent.runtime.child import ChildError, run_child
from agent.runtime.follower import Follower
from agent.runtime.kernel import Kernel
from agent.runtime.transfers import FileSetup, Transfers
from agent.transfer.job import Finished, Reason
from hal.types import Value

logger = logging.getLogger(__name__)

WRITE_S: Final = 300.0

_STATUSES: Final = {
    Reason.FAILED: UploadStatus.UPLOAD_FAILURE,
    Reason.DENIED: UploadStatus.PERMISSION_DENIED,
    Reason.UNSUPPORTED: UploadStatus.NOT_SUPPORTED_OPERATION,
    Reason.BAD: UploadStatus.BAD_MESSAGE,
    Reason.TOO_LARGE: UploadStatus.UPLOAD_FAILURE,
}


class LogSetup(Value, frozen=True):
    """What the configuration says of logs.

    Attributes:
        directory: the state directory.
        secrets: what no bundle may hold.
        files: how logs are sent.
        log_files: of a machine without a journal, oldest first.
        flush: lets what is recorded be written before a bundle is made of it.
    """

    directory: Path
    secrets: tuple[str, ...] = ()
    files: FileSetup = FileSetup()
    flush: Callable[[], Awaitable[None]] | None = None
    log_files: tuple[Path, ...] = ()


Facts = Callable[[], tuple[dict[str, Any], tuple[dict[str, Any], ...]]]
"""Gives status and settings, as the control socket shows them."""


class Uploader:
    """Follows what the station wants sent."""

    def __init__(self, setup: LogSetup, kernel: Kernel, facts: Facts) -> None:
        self._setup, self._kernel, self._facts = setup, kernel, facts
        self._transfers = Transfers(setup.files, kernel)
        self._follower = Follower(self._done, kernel.post)

    async def run(self) -> None:
        """Work until cancelled."""
        self._kernel.observers.append(self._observed)
        try:
            self._observed(self._kernel.station, (), self._kernel.station, ())
            await self._follower.run()
        finally:
            self._kernel.observers.remove(self._observed)

    def _observed(
        self, _before: Station, _batch: Sequence[Event], after: Station, _told: Sequence[Effect]
    ) -> None:
        self._follower.want(diagnostics.work(after.diagnostics))

    async def bundle(self, path: Path) -> Written | Unwritten:
        """Write a bundle of everything to a file."""
        return await self._written(path)

    async def _done(self, work: UploadWork) -> Event:
        order = work.order
        directory = self._setup.directory / "logs"
        path = directory / work.file_name
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            for stale in directory.iterdir():
                stale.unlink(missing_ok=True)
            said = await self._written(
                path, order.kind is LogKind.SECURITY, order.oldest_s, order.latest_s
            )
            if isinstance(said, Unwritten):
                return UploadEnded(work, UploadStatus.UPLOAD_FAILURE, said.info)
            return await self._sent(work, path)
        except OSError as error:
            return UploadEnded(work, UploadStatus.UPLOAD_FAILURE, str(error)[:255])
        finally:
            path.unlink(missing_ok=True)

    async def _sent(self, work: UploadWork, path: Path) -> Event:
        said = await self._transfers.sent(work.order.location, path, work.file_name)
        if isinstance(said, Finished):
            logger.info("%s is sent, %d bytes", work.file_name, said.size)
            return UploadEnded(work, UploadStatus.UPLOADED)
        logger.warning("%s is not sent: %s", work.file_name, said.info)
        return UploadEnded(work, _STATUSES[said.reason], said.info[:255])

    def _secrets(self) -> tuple[str, ...]:
        """Return what was configured and what was set since, in every form on the wire."""
        station = self._kernel.station
        passwords = station.credentials.passwords(0)
        known = [variables.password_bytes(text) for text in passwords if text]
        known += [text.encode() for text in self._setup.secrets]
        identity = station.settings.text(variables.IDENTITY).encode()
        basic = [base64.b64encode(identity + b":" + raw).decode() for raw in known]
        texts = [raw.decode(errors="replace") for raw in known]
        return (*texts, *basic, *(form for raw in known for form in _hex(raw)))

    async def _written(
        self,
        path: Path,
        is_security: bool = False,
        oldest_s: float | None = None,
        latest_s: float | None = None,
    ) -> Written | Unwritten:
        status, settings = self._facts()
        if self._setup.flush is not None and not is_security:
            await self._setup.flush()
        job = Bundle(
            str(path),
            is_security,
            str(self._setup.directory),
            oldest_s,
            latest_s,
            log_files=tuple(map(str, self._setup.log_files)),
            status=status,
            settings=settings,
            secrets=self._secrets(),
        )
        try:
            said: Said = await run_child("agent.diagnostics", job, Said, limit_s=WRITE_S)
        except ChildError as error:
            return Unwritten(str(error))
        return said


def _hex(raw: bytes) -> tuple[str, str]:
    return raw.hex(), raw.hex().upper()
