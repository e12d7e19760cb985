"""FTP and FTPS, passive; TLS from the start on port 990 (or none named), else by AUTH TLS.

The job may name more ports on which TLS begins with the connection.
"""

import ftplib
import socket
import ssl
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote

from agent.transfer.job import CONNECT_S, Job, Place, Reason, TransferError
from agent.transfer.local import Sink, chunks
from agent.transfer.passage import Passage
from agent.transfer.tls import trusting

FTP_PORT, FTPS_PORT = 21, 990
_ERRORS: Final = (ftplib.Error, OSError, EOFError, ValueError)
_DENIED: Final = ("530", "532", "550", "553")


class _Secure(ftplib.FTP_TLS):
    """FTP over TLS whose data connections resume the session, as strict servers want it.

    Attributes:
        is_implicit: TLS begins with the connection.
    """

    is_implicit = False

    def connect(self, *args: Any, **named: Any) -> str:
        if not self.is_implicit:
            return super().connect(*args, **named)
        plain = socket.create_connection(args[:2], named["timeout"])
        self.af = plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=args[0])
        self.host, self.timeout = args[0], named["timeout"]
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(
        self, cmd: str, rest: int | str | None = None
    ) -> tuple[socket.socket, int | None]:
        plain, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        secure = self.context.wrap_socket(plain, server_hostname=self.host, session=session)
        return secure, size


def fetch(job: Job, passage: Passage) -> int:
    """Fetch a file, going on where an earlier attempt ended; return its size.

    Raises:
        TransferError: it did not come.
    """
    place = Place(job.url)
    with Sink(Path(job.path), job.most_bytes, passage) as sink:
        try:
            with _connected(job, place) as ftp:
                name = unquote(place.path).lstrip("/")
                total = _size(ftp, name)
                if total is None or total < sink.size:
                    sink.restart()
                sink.expect(total)
                if total is None or sink.size < total:
                    rest = sink.size or None
                    _received(ftp, name, sink, rest, passage.chunk)
                sink.complete()
        except _ERRORS as error:
            raise _failure(error) from None
        return sink.size


def _received(ftp: ftplib.FTP, name: str, sink: Sink, rest: int | None, chunk: int) -> None:
    try:
        ftp.retrbinary(f"RETR {name}", sink.write, chunk, rest)
    except TransferError:
        ftp.close()  # what the server says of the broken transfer is not the reason
        raise


def _size(ftp: ftplib.FTP, name: str) -> int | None:
    try:
        return ftp.size(name)
    except ftplib.error_perm:
        return None


def send(job: Job, passage: Passage) -> int:
    """Send a file; return its size.

    Raises:
        TransferError: the server does not have it.
    """
    place, path = Place(job.url), Path(job.path)
    name = PurePosixPath(unquote(place.in_directory(job.file_name)).lstrip("/"))
    try:
        with _connected(job, place) as ftp:
            ftp.storbinary(f"STOR {name}", _Readable(path, passage), passage.chunk)  # type: ignore[arg-type]
    except _ERRORS as error:
        raise _failure(error) from None
    return path.stat().st_size


class _Readable:
    """As much of a file object as `storbinary` reads."""

    def __init__(self, path: Path, passage: Passage) -> None:
        self._chunks = chunks(path, passage)

    def read(self, _: int) -> bytes:
        return next(self._chunks, b"")


def _connected(job: Job, place: Place) -> ftplib.FTP:
    ftp = ftplib.FTP()  # noqa: S321  plain where the CSMS says so
    port = place.port or FTP_PORT
    if place.scheme == "ftps":
        ftp, port = _Secure(context=trusting(job.roots)), place.port or FTPS_PORT
        ftp.is_implicit = port in (FTPS_PORT, *job.implicit_ftps_ports)
    try:
        ftp.connect(place.host, port, timeout=CONNECT_S)
        ftp.login(place.user or "", place.password or "")
        if isinstance(ftp, _Secure):
            ftp.prot_p()
    except BaseException:
        ftp.close()
        raise
    ftp.timeout = None  # from here on the job says for how long a server may be silent
    if ftp.sock is not None:
        ftp.sock.settimeout(None)
    return ftp


def _failure(error: Exception) -> TransferError:
    text = str(error)
    denied = isinstance(error, ftplib.error_perm) and text.startswith(_DENIED)
    return TransferError(Reason.DENIED if denied else Reason.FAILED, f"FTP: {text}"[:200])
