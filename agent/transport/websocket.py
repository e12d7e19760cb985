"""The real link: OCPP-J over a WebSocket, on the `websockets` library's asyncio client.

What this module adds to the library:

* the URL, the subprotocol and the credentials as OCPP-J wants them (OCPP 1.6J 3, 4, 6.2 and
  2.0.1 part 4), and which refusal of a server means what;
* at most one redirect, never to a weaker scheme, and no proxy from the environment;
* life signs: a ping each interval, which may change while the link lives; whatever comes
  within the timeout counts as life. They are looked after by `receive`, so that no task of
  its own is needed;
* one socket at a time.
"""

import asyncio
import base64
import logging
import ssl
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import ModuleType
from typing import Final
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import (
    ConnectionClosed,
    InvalidMessage,
    InvalidStatus,
    NegotiationError,
    WebSocketException,
)
from websockets.frames import CloseCode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from agent import __version__
from agent.core.events import DialRefusal
from agent.transport.link import DialError, DialTarget, LinkClosed, as_text

logger = logging.getLogger(__name__)

# When debugging, the library logs whole requests, and with them the password.
_library_logger = logging.getLogger(f"{__name__}.library")
_library_logger.setLevel(logging.INFO)

OPEN_TIMEOUT_S: Final = 20.0
"""Name look-up, TCP, TLS and upgrade together (1.6 reference, appendix B)."""

CLOSE_TIMEOUT_S: Final = 5.0
"""How long a peer may take to answer our close."""

MAX_FRAME_BYTES: Final = 1024 * 1024
"""Longest message that is received; a longer one ends the link with 1009.

It is more than is ever taken (`agent.ocppj.rpc.LONGEST_FRAME`): whoever asks too much at once
is told so, and keeps the link."""

MAX_FRAMES_WAITING: Final = 4
"""Frames read ahead; then the peer has to wait, and TCP tells it."""

LONGEST_WAIT_S: Final = 86_400.0
"""What a server may ask for with Retry-After."""

LONGEST_REASON: Final = 200
_LONGEST_CLOSE_REASON: Final = 123  # bytes, RFC 6455 5.5
_STAGGER_S: Final = 0.25  # between addresses of one name, RFC 8305 5
_TLS_PROFILE: Final = 2
_CERTIFICATE_PROFILE: Final = 3
_HTTPS_PORT: Final = 443
_DIAGNOSIS_S: Final = 5.0
_BASIC_PROFILES: Final = frozenset({1, 2})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SCHEMES: Final = {"ws": 0, "http": 0, "wss": 1, "https": 1}
_REFUSALS: Final = {
    HTTPStatus.UNAUTHORIZED: DialRefusal.CREDENTIALS,
    HTTPStatus.FORBIDDEN: DialRefusal.CREDENTIALS,
    HTTPStatus.NOT_FOUND: DialRefusal.UNKNOWN_STATION,
    HTTPStatus.TOO_MANY_REQUESTS: DialRefusal.BUSY,
    HTTPStatus.SERVICE_UNAVAILABLE: DialRefusal.BUSY,
}


class WebSocketDialer:
    """Dials over the network."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._link: WebSocketLink | None = None
        self._one_at_a_time = asyncio.Lock()

    async def dial(
        self, target: DialTarget, *, ping_interval_s: float, ping_timeout_s: float
    ) -> "WebSocketLink":
        """Connect; see `Dialer.dial`. Takes at most `OPEN_TIMEOUT_S` seconds.

        Raises:
            DialError: no link came to be.
        """
        async with self._one_at_a_time:
            if self._link is not None:
                await self._link.close(CloseCode.GOING_AWAY, "dialing again")
                self._link = None
            connection, url = await self._connected(target)
            try:
                subprotocol = _agreed(connection.subprotocol, target)
            except DialError:
                await _discarded(connection)
                raise
            self._link = WebSocketLink(
                connection, subprotocol, url, ping_interval_s, ping_timeout_s
            )
            session = connection.transport.get_extra_info("ssl_object")
            if session is not None:
                self._link.root = _tls_module().root_of(session)
            return self._link

    async def _connected(self, target: DialTarget) -> tuple["_Connection", str]:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                url = station_url(target)
                try:
                    return await self._opened(target, url)
                except InvalidStatus as error:
                    url = _redirected(error.response, url)
                    return await self._opened(target, url)
        except InvalidStatus as error:
            raise _refused(error.response) from error
        except NegotiationError as error:
            raise DialError(DialRefusal.SUBPROTOCOL, _cut(str(error))) from error
        except TimeoutError as error:
            reason = str(error) or f"no connection within {OPEN_TIMEOUT_S:g} s"
            raise DialError(DialRefusal.UNREACHABLE, reason) from error
        except ssl.SSLError as error:
            raise await _untrusted(error, target) from error
        except ConnectionError as error:
            raise await _hung_up(error, target) from error
        except (OSError, ValueError, WebSocketException) as error:
            causes = (str(error) or type(error).__name__, str(error.__cause__ or ""))
            reason = _cut(": ".join(filter(None, causes)))
            raise DialError(DialRefusal.UNREACHABLE, reason) from error

    async def _opened(self, target: DialTarget, url: str) -> tuple["_Connection", str]:
        uri = parse_uri(url)
        protocol = _Protocol(
            uri,
            subprotocols=[Subprotocol(name) for name in target.protocols],
            max_size=self._max_frame_bytes,
            logger=_library_logger,
        )
        protocol.is_strict = target.strict_subprotocol
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(
                protocol,
                ping_interval=None,
                close_timeout=CLOSE_TIMEOUT_S,
                max_queue=MAX_FRAMES_WAITING,
            ),
            uri.host,
            uri.port,
            ssl=await _tls(target, uri.host) if uri.secure else None,
            happy_eyeballs_delay=_STAGGER_S,
        )
        try:
            await connection.handshake(_headers(target), f"pilotwire/{__version__}")
        except InvalidMessage as error:
            # With TLS 1.3 a server judges our certificate when our part is over.
            if isinstance(connection.lost_because, ssl.SSLError):
                raise connection.lost_because from error
            if target.security_profile == _CERTIFICATE_PROFILE and connection.is_unheard:
                reason = "the server hung up after it saw the station's certificate"
                raise DialError(DialRefusal.CREDENTIALS, reason) from error
            raise
        finally:
            if connection.protocol.state is not State.OPEN:
                connection.transport.abort()
        return connection, url.partition("?")[0]


def _tls_module() -> ModuleType:
    """Return our TLS: a station on ws:// never needs it."""
    from agent.transport import tls  # noqa: PLC0415

    return tls


async def _tls(target: DialTarget, host: str) -> ssl.SSLContext:
    return await asyncio.to_thread(_tls_module().client_context, target, host)


async def _untrusted(error: ssl.SSLError, target: DialTarget) -> DialError:
    refusal = _tls_module().refusal_of(error)
    if refusal is not DialRefusal.UNREACHABLE:
        return DialError(refusal, _cut(str(error)))
    found = await _hung_up(error, target)
    is_common = found.refusal is DialRefusal.UNREACHABLE
    if is_common and target.security_profile < _CERTIFICATE_PROFILE and _is_suite(error):
        return DialError(DialRefusal.CIPHER_SUITE, found.reason)
    return found


def _is_suite(error: ssl.SSLError) -> bool:
    """Tell whether the server found no parameters it likes (RFC 5246 7.2.2).

    It says the same to a certificate that it does not like; without one it is the suite.
    """
    return "HANDSHAKE_FAILURE" in (error.reason or "")


async def _hung_up(error: OSError, target: DialTarget) -> DialError:
    """Return what a handshake means that ended without a reason: what would the server have?

    Servers differ in what they say when they refuse, and many say nothing.
    """
    reason = _cut(str(error) or type(error).__name__)
    parts = urlsplit(target.url)
    if parts.scheme != "wss" or isinstance(error, ConnectionRefusedError):
        return DialError(DialRefusal.UNREACHABLE, reason)
    tls = _tls_module()
    try:
        async with asyncio.timeout(_DIAGNOSIS_S):
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol,
                parts.hostname or "",
                parts.port or _HTTPS_PORT,
                ssl=await asyncio.to_thread(tls.lenient_context),
            )
    except OSError:  # it does not want anybody
        return DialError(DialRefusal.UNREACHABLE, reason)
    refusal = tls.diagnosis(transport.get_extra_info("ssl_object"))
    transport.abort()
    if refusal is None:
        return DialError(DialRefusal.UNREACHABLE, reason)
    return DialError(refusal, f"{refusal.value}: {reason}")


def station_url(target: DialTarget) -> str:
    """Return the address to dial: endpoint, a slash, the encoded identity, and the query.

    A CSMS may want the endpoint as it is (1.6 reference 11, quirk 3).

    Raises:
        DialError: the URL does not fit the security profile, or is none.
    """
    scheme, netloc, path, query, _ = urlsplit(target.url)
    wanted = "wss" if target.security_profile >= _TLS_PROFILE else "ws"
    if scheme != wanted or not netloc:
        reason = f"security profile {target.security_profile} needs a URL with {wanted}://"
        raise DialError(DialRefusal.UNREACHABLE, reason)
    if "@" in netloc:
        reason = "the URL must not hold credentials, they have their own setting"
        raise DialError(DialRefusal.UNREACHABLE, reason)
    if target.append_identity:
        path = f"{path.rstrip('/')}/{quote(target.identity, safe='')}"
    return urlunsplit((scheme, netloc, path, query, ""))


def _headers(target: DialTarget) -> Headers:
    """Return what is added to the request; built as bytes, a password need not be text."""
    headers = Headers()
    if target.security_profile in _BASIC_PROFILES:
        if target.password is None:
            reason = f"security profile {target.security_profile} needs a password"
            raise DialError(DialRefusal.CREDENTIALS, reason)
        password = target.password
        if target.sends_hex_text:
            password = password.hex().upper().encode()
        credentials = target.identity.encode() + b":" + password
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    return headers


def _redirected(response: Response, url: str) -> str:
    """Return where a server sends us, or refuse to go there.

    The credentials go along: whoever may answer for the CSMS may also say where it is.
    """
    location = response.headers.get("Location")
    if response.status_code not in _REDIRECTS or location is None:
        raise InvalidStatus(response)
    parts = urlsplit(urljoin(url, location))
    is_weaker = _SCHEMES.get(parts.scheme, -1) < _SCHEMES[urlsplit(url).scheme]
    if is_weaker or "@" in parts.netloc:
        reason = _cut(f"refused a redirect to {parts.scheme}://{parts.netloc}")
        raise DialError(DialRefusal.UNREACHABLE, reason)
    logger.info("redirected to %s", parts.netloc)
    scheme = "wss" if _SCHEMES[parts.scheme] else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path, parts.query, ""))


def _refused(response: Response) -> DialError:
    """Return what a server's status means (1.6 reference 1.2)."""
    status = response.status_code
    refusal = DialRefusal.UNREACHABLE
    if status in _REFUSALS:
        refusal = _REFUSALS[HTTPStatus(status)]
    reason = _cut(f"the server answered {status} {response.reason_phrase}")
    if status in _REDIRECTS:
        reason = "the server redirects more than once, or to nowhere"
    retry_after_s = _retry_after_s(response.headers) if refusal is DialRefusal.BUSY else None
    return DialError(refusal, reason, retry_after_s)


def _retry_after_s(headers: Headers) -> float | None:
    """Return Retry-After in seconds; a date counts from the server's own (RFC 9110 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return min(float(value), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers.get("Date", ""))
        return min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT_S)
    except (ValueError, TypeError):
        return None


def _named(headers: Headers) -> str:
    return ",".join(headers.get_all("Sec-WebSocket-Protocol")).strip()


def _agreed(subprotocol: str | None, target: DialTarget) -> str:
    if subprotocol is not None:
        return subprotocol
    if not target.strict_subprotocol and target.protocols == ("ocpp1.6",):
        logger.warning("the CSMS named no subprotocol, going on with ocpp1.6")
        return "ocpp1.6"
    reason = f"the CSMS named no subprotocol, offered were {', '.join(target.protocols)}"
    raise DialError(DialRefusal.SUBPROTOCOL, reason)


async def _discarded(connection: "_Connection") -> None:
    try:
        await connection.close(CloseCode.PROTOCOL_ERROR, "no subprotocol")
    finally:
        connection.transport.abort()


def _cut(text: str) -> str:
    return text[:LONGEST_REASON]


class _Protocol(ClientProtocol):
    """The library's protocol, with our ear for subprotocols."""

    is_strict = True

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """Return what the server chose, spelled as offered (1.6 reference 11, quirk 2)."""
        told = _named(headers)
        if not told:
            return None
        for offered in self.available_subprotocols or ():
            if told == offered:
                return offered
            if not self.is_strict and told.lower() == offered.lower():
                logger.warning("the CSMS writes %s as %s", offered, _cut(told))
                return offered
        raise NegotiationError(f"the CSMS chose {told!r}, which was not offered")


class _Connection(ClientConnection):
    """The library's connection, which tells its link whenever anything comes."""

    link: "WebSocketLink | None" = None
    is_unheard = True
    lost_because: Exception | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost_because = exc
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.is_unheard = False
        super().data_received(data)
        if self.link is not None:
            self.link.heard()


class WebSocketLink:
    """One live WebSocket; see `Link`."""

    def __init__(
        self,
        connection: _Connection,
        subprotocol: str,
        url: str,
        ping_interval_s: float,
        ping_timeout_s: float,
    ) -> None:
        self.subprotocol, self.url, self.root = subprotocol, url, ""
        self.named = _named(connection.response.headers) if connection.response else ""
        self._connection = connection
        self._interval_s, self._timeout_s = ping_interval_s, ping_timeout_s
        self._pinged_s = asyncio.get_running_loop().time()
        self._is_unanswered = False
        self._alarm = asyncio.timeout(None)
        self._is_waiting = False
        self._lost_because: str | None = None
        connection.link = self

    async def send(self, frame: bytes) -> None:
        """Send one frame as text.

        Raises:
            LinkClosed: it cannot be sent any more.
        """
        try:
            await self._connection.send(frame, text=True)
        except ConnectionClosed as error:
            raise self._closed(error) from error
        if self._lost_because is not None:  # the library lets a stuck sender go in peace
            raise LinkClosed(self._lost_because)

    async def receive(self) -> str | bytes:
        """Return the next frame, and keep the link alive meanwhile.

        Raises:
            LinkClosed: there will be no more.
        """
        try:
            while True:
                try:
                    frame = await self._next_frame()
                except TimeoutError:
                    await self._keep_alive()
                else:
                    return as_text(frame) if isinstance(frame, bytes) else frame
        except ConnectionClosed as error:
            raise self._closed(error) from error

    async def _next_frame(self) -> str | bytes:
        """Wait for a frame until it is time for a ping, or too late for its answer."""
        async with asyncio.timeout_at(self._alarm_s()) as self._alarm:
            self._is_waiting = True
            try:
                return await self._connection.recv()
            finally:
                self._is_waiting = False

    def _alarm_s(self) -> float | None:
        if self._is_unanswered:
            return self._pinged_s + self._timeout_s
        return self._pinged_s + self._interval_s if self._interval_s > 0 else None

    async def _keep_alive(self) -> None:
        if self._is_unanswered:
            self._lose()
            return
        self._pinged_s = asyncio.get_running_loop().time()
        self._is_unanswered = True
        try:
            async with asyncio.timeout(self._timeout_s), self._connection.send_context():
                # Any sign of life answers it, so nobody waits for the pong itself.
                self._connection.protocol.send_ping(b"")
        except TimeoutError:
            self._lose()

    def _lose(self) -> None:
        self._lost_because = f"no sign of life within {self._timeout_s:g} s of a ping"
        self._connection.transport.abort()

    def heard(self) -> None:
        """Take note that the peer lives."""
        if self._is_unanswered:
            self._is_unanswered = False
            self._rearm()

    def set_ping_interval(self, interval_s: float) -> None:
        """Send a ping each interval from now on; 0 sends none."""
        self._interval_s = interval_s
        if not self._is_unanswered:
            self._pinged_s = asyncio.get_running_loop().time()
            self._rearm()

    def _rearm(self) -> None:
        if self._is_waiting and not self._alarm.expired():
            self._alarm.reschedule(self._alarm_s())

    async def close(self, code: int, reason: str) -> None:
        """End the link; waits at most `CLOSE_TIMEOUT_S` seconds for the peer."""
        told = reason.encode()[:_LONGEST_CLOSE_REASON].decode(errors="ignore")
        await self._connection.close(code, told)

    def _closed(self, error: ConnectionClosed) -> LinkClosed:
        if self._lost_because is not None:
            return LinkClosed(self._lost_because)
        received, sent = error.rcvd, error.sent
        if received is not None and (sent is None or error.rcvd_then_sent):
            return LinkClosed(f"the CSMS closed it: {received}")
        if sent is not None:
            return LinkClosed(f"closed: {sent}")
        return LinkClosed(_cut(f"connection lost: {error.__cause__ or 'no close frame'}"))
