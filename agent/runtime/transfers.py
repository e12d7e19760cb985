"""Has files fetched and sent by the transfer process, as configuration and settings say."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.core import variables
from agent.core.trust import CertificateKind
from agent.runtime.child import ChildError, run_child
from agent.runtime.credentials import installed
from agent.runtime.kernel import Kernel
from agent.security.keystore import Keystore
from agent.transfer.job import Failed, Finished, Job, Progressed, Reason, Said
from hal.types import Value

logger = logging.getLogger(__name__)

GRACE_S: Final = 60.0
"""What the process is given beyond its own limit of time, for what cannot be interrupted."""


class FileSetup(Value, frozen=True):
    """What the configuration says of files that come and go.

    Attributes:
        roots: PEM files that servers are trusted by, beside the system's.
        keystore: where the roots are that are installed now, beside those.
        known_hosts: files of SSH host keys; those that are not there count as empty.
        learned_hosts: where the key of an unknown host is kept and believed; None: refused.
        ssh_key: reads the private key for SFTP.
        implicit_ftps_ports: where FTPS begins with TLS, beside port 990.
    """

    roots: tuple[Path, ...] = ()
    keystore: Keystore | None = None
    known_hosts: tuple[Path, ...] = ()
    learned_hosts: Path | None = None
    ssh_key: Callable[[], str | None] = lambda: None
    implicit_ftps_ports: tuple[int, ...] = ()


class Transfers:
    """Transfers of one station."""

    def __init__(self, setup: FileSetup, kernel: Kernel) -> None:
        self._setup, self._kernel = setup, kernel

    async def fetched(self, location: str, path: Path, most_bytes: int) -> Finished | Failed:
        """Fetch a file, going on with the part that is there."""
        return await self._done(location, path, most_bytes=most_bytes)

    async def sent(self, location: str, path: Path, name: str) -> Finished | Failed:
        """Send a file to a location, under a name if that is a directory."""
        return await self._done(location, path, name)

    async def _done(
        self, location: str, path: Path, name: str = "", most_bytes: int = 0
    ) -> Finished | Failed:
        setup, station = self._setup, self._kernel.station
        settings = station.settings
        roots = (*setup.roots, *installed(station, CertificateKind.CSMS_ROOT, setup.keystore))
        job = Job(
            location,
            str(path),
            is_upload=bool(name),
            file_name=name,
            roots=tuple(map(str, roots)),
            known_hosts=tuple(map(str, setup.known_hosts)),
            learned_hosts=None if setup.learned_hosts is None else str(setup.learned_hosts),
            ssh_key=setup.ssh_key() if location.lower().startswith("sftp:") else None,
            implicit_ftps_ports=setup.implicit_ftps_ports,
            most_bytes=most_bytes,
            bytes_per_s=settings.integer(variables.TRANSFER_RATE),
            idle_s=settings.integer(variables.TRANSFER_IDLE),
            limit_s=settings.integer(variables.TRANSFER_DURATION),
        )
        return await _transferred(job)


async def _transferred(job: Job) -> Finished | Failed:
    def is_last(said: Said) -> bool:
        if isinstance(said, Progressed):
            logger.debug("%d of %s bytes", said.size, said.total)
        return not isinstance(said, Progressed)

    try:
        last: Finished | Failed = await run_child(
            "agent.transfer", job, Said, limit_s=job.limit_s + GRACE_S, is_last=is_last
        )
    except ChildError as error:
        return Failed(Reason.FAILED, str(error))
    return last
