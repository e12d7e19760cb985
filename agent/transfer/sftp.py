"""SFTP, by asyncssh."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import asyncssh

from agent.transfer.http import CONNECT_S
from agent.transfer.job import CHUNK, Job, Place, Reason, TransferError
from agent.transfer.local import Sink, Tell, chunks

SSH_PORT = 22


def fetch(job: Job, tell: Tell) -> int:
    """Fetch a file, going on where an earlier attempt ended; return its size.

    Raises:
        TransferError: it did not come.
    """
    with Sink(Path(job.path), job.most_bytes, tell) as sink:
        _run(_fetched(job, Place(job.url), sink))
        sink.complete()
        return sink.size


def send(job: Job, tell: Tell) -> int:
    """Send a file; return its size.

    Raises:
        TransferError: the server does not have it.
    """
    _run(_sent(job, Place(job.url), tell))
    return Path(job.path).stat().st_size


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except (asyncssh.PermissionDenied, asyncssh.SFTPPermissionDenied) as error:
        raise TransferError(Reason.DENIED, f"SFTP: {error}"[:200]) from None
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise TransferError(Reason.FAILED, f"SFTP: {error}"[:200]) from None


async def _fetched(job: Job, place: Place, sink: Sink) -> None:
    name = unquote(place.path)
    async with _connected(job, place) as link, link.start_sftp_client() as sftp:
        total = (await sftp.stat(name)).size
        if total is None or total < sink.size:
            sink.restart()
        sink.expect(total)
        async with sftp.open(name, "rb") as file:
            await file.seek(sink.size)
            while data := await file.read(CHUNK):
                sink.write(data)  # type: ignore[arg-type]  # bytes, as it is opened


async def _sent(job: Job, place: Place, tell: Tell) -> None:
    name = unquote(place.in_directory(job.file_name))
    async with (
        _connected(job, place) as link,
        link.start_sftp_client() as sftp,
        sftp.open(name, "wb") as file,
    ):
        for data in chunks(Path(job.path), tell):
            await file.write(data)


def _connected(
    job: Job, place: Place
) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    hosts = job.known_hosts if job.known_hosts and Path(job.known_hosts).exists() else None
    return asyncssh.connect(
        place.host,
        place.port or SSH_PORT,
        username=place.user or "anonymous",
        password=place.password,
        known_hosts=hosts,
        client_keys=None,
        config=None,
        agent_path=None,
        connect_timeout=CONNECT_S,
    )
