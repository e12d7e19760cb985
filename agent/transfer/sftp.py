"""SFTP, by asyncssh.

Whom the station speaks to says a file of host keys, in OpenSSH's form. A host that is in none
is refused, unless its first key is to be learned; a host with another key always is.
"""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import asyncssh
from asyncssh.known_hosts import SSHKnownHosts

from agent.transfer.job import CONNECT_S, Job, Place, Reason, TransferError
from agent.transfer.local import Sink, chunks
from agent.transfer.passage import Passage

SSH_PORT = 22


def fetch(job: Job, passage: Passage) -> int:
    """Fetch a file, going on where an earlier attempt ended; return its size.

    Raises:
        TransferError: it did not come.
    """
    with Sink(Path(job.path), job.most_bytes, passage) as sink:
        _run(_fetched(job, Place(job.url), sink, passage.chunk))
        sink.complete()
        return sink.size


def send(job: Job, passage: Passage) -> int:
    """Send a file; return its size.

    Raises:
        TransferError: the server does not have it.
    """
    _run(_sent(job, Place(job.url), passage))
    return Path(job.path).stat().st_size


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except (asyncssh.PermissionDenied, asyncssh.SFTPPermissionDenied) as error:
        raise TransferError(Reason.DENIED, f"SFTP: {error}"[:200]) from None
    except (asyncssh.Error, OSError, ValueError) as error:
        raise TransferError(Reason.FAILED, f"SFTP: {error}"[:200]) from None


async def _fetched(job: Job, place: Place, sink: Sink, chunk: int) -> None:
    name = unquote(place.path)
    async with _connected(job, place) as link, link.start_sftp_client() as sftp:
        total = (await sftp.stat(name)).size
        if total is None or total < sink.size:
            sink.restart()
        sink.expect(total)
        async with sftp.open(name, "rb") as file:
            await file.seek(sink.size)
            while data := await file.read(chunk):
                sink.write(data)  # type: ignore[arg-type]  # bytes, as it is opened


async def _sent(job: Job, place: Place, passage: Passage) -> None:
    name = unquote(place.in_directory(job.file_name))
    async with (
        _connected(job, place) as link,
        link.start_sftp_client() as sftp,
        sftp.open(name, "wb") as file,
    ):
        for data in chunks(Path(job.path), passage):
            await file.write(data)


def _connected(
    job: Job, place: Place
) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    files = (*job.known_hosts, *filter(None, (job.learned_hosts,)))
    known = asyncssh.read_known_hosts([name for name in files if Path(name).exists()])
    keys = [asyncssh.import_private_key(job.ssh_key)] if job.ssh_key else None
    return asyncssh.connect(
        place.host,
        place.port or SSH_PORT,
        client_factory=lambda: _Client(place, known, job.learned_hosts),
        username=place.user or "anonymous",
        password=place.password,
        known_hosts=known,
        client_keys=keys,
        config=None,
        agent_path=None,
        connect_timeout=CONNECT_S,
    )


class _Client(asyncssh.SSHClient):
    """Judges a host whose key is in no file of known hosts."""

    def __init__(self, place: Place, known: SSHKnownHosts, learned: str | None) -> None:
        self._name, self._known, self._learned = place.host, known, learned

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Believe a key that is to be learned.

        Raises:
            ValueError: it is not; says which key the host has, for who looks after the files.
        """
        shown = f"the key {key.get_fingerprint()}"
        other = None if port == SSH_PORT else port
        if any(self._known.match(host, addr, other)):
            raise ValueError(f"{shown} is not the one that is known")  # asyncssh adds the host
        if self._learned is None:
            raise ValueError(f"{shown} is in no file of known hosts")
        name = self._name if other is None else f"[{self._name}]:{other}"
        _append(self._learned, f"{name} {key.export_public_key().decode().strip()}\n")
        return True


def _append(path: str, line: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
