"""HTTP(S): resumed downloads, redirects that are never weaker, PUT and POST."""

import ssl
import urllib.request
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError, SSLError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Timeout

from agent.transfer.job import CONNECT_S, Job, Place, Reason, TransferError
from agent.transfer.local import Sink, chunks
from agent.transfer.passage import Passage
from agent.transfer.tls import trusting

MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_DENIED: Final = frozenset({401, 403, 407})
_UNSUPPORTED: Final = frozenset({405, 501})
_OK, _PARTIAL, _TOO_FAR, _BAD = 200, 206, 416, 400


def fetch(job: Job, passage: Passage) -> int:
    """Fetch a file; return its size.

    Raises:
        TransferError: it did not come.
    """
    with Sink(Path(job.path), job.most_bytes, passage) as sink:
        response = _requested(job, "GET", Place(job.url), headers=_resuming(sink))
        try:
            if response.status == _TOO_FAR and sink.size:
                sink.restart()
                response.release_conn()
                response = _requested(job, "GET", Place(job.url), headers=_resuming(sink))
            _check(response)
            _received(response, sink, passage.chunk)
        except HTTPError as error:
            raise TransferError(Reason.FAILED, _told(error)) from None
        finally:
            response.release_conn()
        sink.complete()
        sink.tag = None
        return sink.size


def _resuming(sink: Sink) -> dict[str, str]:
    """Ask for the rest, provided the server still has the same file (RFC 9110 13.1.5)."""
    headers = {"Accept-Encoding": "identity"}
    if (tag := sink.tag) is not None:
        headers |= {"Range": f"bytes={sink.size}-", "If-Range": tag}
    else:
        sink.restart()
    return headers


def _received(response: BaseHTTPResponse, sink: Sink, chunk: int) -> None:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise TransferError(Reason.BAD, "the server compresses what it was asked not to")
    if response.status != _PARTIAL:
        sink.restart()
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {sink.size}-"):
        sink.restart()
        raise TransferError(Reason.FAILED, "the server sends another part than asked for")
    length = response.headers.get("Content-Length")
    is_told = length is not None and length.isascii() and length.isdigit()
    sink.expect(sink.size + int(length) if is_told and length else None)
    etag = response.headers.get("ETag", "")
    strong = etag if etag.startswith('"') else None
    sink.tag = strong or response.headers.get("Last-Modified")
    while data := response.read1(chunk, decode_content=False):  # whatever has come by now
        sink.write(data)


def send(job: Job, passage: Passage) -> int:
    """Send a file with PUT; with POST where the server takes no PUT. Return its size.

    Raises:
        TransferError: the server does not have it.
    """
    place, path = Place(job.url), Path(job.path)
    size = path.stat().st_size
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    target = place.in_directory(job.file_name)
    put = _requested(job, "PUT", place, headers=headers, path=target, body=(path, passage))
    put.release_conn()
    if put.status not in _UNSUPPORTED:
        _check(put)
        return size
    headers["Content-Disposition"] = f'attachment; filename="{job.file_name}"'
    post = _requested(job, "POST", place, headers=headers, body=(path, passage))
    post.release_conn()
    _check(post)
    return size


def _check(response: BaseHTTPResponse) -> None:
    status = response.status
    if _OK <= status <= _PARTIAL:
        return
    info = f"the server answers {status}"
    if status in _DENIED:
        raise TransferError(Reason.DENIED, info)
    if status in _UNSUPPORTED:
        raise TransferError(Reason.UNSUPPORTED, info)
    raise TransferError(Reason.BAD if status == _BAD else Reason.FAILED, info)


def _requested(
    job: Job,
    method: str,
    place: Place,
    *,
    headers: dict[str, str],
    path: str | None = None,
    body: tuple[Path, Passage] | None = None,
) -> BaseHTTPResponse:
    """Send a request, and again to where it is redirected."""
    for _ in range(MOST_REDIRECTS + 1):
        target = place.target if path is None else place.at(path)
        own = dict(headers)
        if place.user is not None:
            secret = f"{place.user}:{place.password or ''}"
            own |= urllib3.make_headers(basic_auth=secret)
        response = _once(job, method, place, target, own, body)
        where = response.headers.get("Location")
        if response.status not in _REDIRECTS or where is None:
            return response
        response.release_conn()
        place, path = _redirected(place, urljoin(target, where)), None
    raise TransferError(Reason.FAILED, f"more than {MOST_REDIRECTS} redirects")


def _redirected(place: Place, where: str) -> Place:
    """Follow to the same or a stronger scheme; credentials go to no other host."""
    found = Place(where)
    allowed = {"http": {"http", "https"}, "https": {"https"}}[place.scheme]
    if found.scheme not in allowed:
        raise TransferError(Reason.BAD, f"redirected from {place.scheme} to {found.scheme}")
    if (found.host, found.port, found.scheme) == (place.host, place.port, place.scheme):
        found.user = place.user if found.user is None else found.user
        found.password = place.password if found.password is None else found.password
    return found


def _once(
    job: Job,
    method: str,
    place: Place,
    target: str,
    headers: dict[str, str],
    body: tuple[Path, Passage] | None,
) -> BaseHTTPResponse:
    try:
        return _pool(job, place).request(
            method,
            target,
            headers=headers,
            body=None if body is None else chunks(*body),
            preload_content=False,
            redirect=False,
            retries=False,
            timeout=Timeout(connect=CONNECT_S, read=None),
        )
    except (SSLError, ssl.SSLError) as error:
        raise TransferError(Reason.FAILED, f"TLS: {_told(error)}") from None
    except (HTTPError, OSError) as error:
        raise TransferError(Reason.FAILED, _told(error)) from None


def _pool(job: Job, place: Place) -> urllib3.PoolManager:
    context = trusting(job.roots)
    proxy = _proxy(place)
    if proxy is None:
        return urllib3.PoolManager(ssl_context=context)
    headers = None
    if proxy.user is not None:
        headers = urllib3.make_headers(proxy_basic_auth=f"{proxy.user}:{proxy.password or ''}")
    return urllib3.ProxyManager(proxy.shown, proxy_headers=headers, ssl_context=context)


def _proxy(place: Place) -> Place | None:
    """Return the proxy that the environment names for a place (http_proxy, no_proxy, …)."""
    named = urllib.request.getproxies().get(place.scheme)
    host = place.host if place.port is None else f"{place.host}:{place.port}"
    if not named or urllib.request.proxy_bypass(host):
        return None
    try:
        return Place(named if "://" in named else f"http://{named}")
    except TransferError:
        raise TransferError(Reason.FAILED, "the proxy of the environment is no URL") from None


def _told(error: Exception) -> str:
    """Return an error without the URL that it may hold."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {getattr(cause, 'reason', '') or cause}"[:200]
