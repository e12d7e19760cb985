"""The bench CSMS on a real socket: WebSocket upgrades as OCPP-J wants them.

The last segment of the URL's path is the station's identity, percent-encoded. Refusals are
those of a real CSMS: 404 without an identity, 401 for wrong credentials, any status that the
script wants, and a link without subprotocol that is closed at once when none is shared
(OCPP-J 1.6 chapter 3.3).
"""

import base64
import binascii
import hmac
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from agent.bench.csms import Csms
from agent.bench.events import ConnectionRefused
from agent.bench.session import LONGEST_FRAME
from agent.transport.link import LinkClosed, as_text

CLOSE_TIMEOUT_S: Final = 2.0
"""How long a station may take to answer our close."""

LONGEST_IDENTITY: Final = 255
"""Characters; OCPP 2.0.1 says 48, and CSMSs of 1.6 keep more (1.6 reference 1.1)."""

_LONGEST_CLOSE_REASON: Final = 123  # bytes, RFC 6455 5.5


class Listener:
    """A CSMS that listens; made by `listen`."""

    def __init__(self, csms: Csms, server: Server) -> None:
        self._csms, self._server = csms, server

    @property
    def port(self) -> int:
        """Return the TCP port it listens on."""
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def close(self) -> None:
        """Close every link, and stop listening."""
        self._server.close()
        await self._server.wait_closed()


def server_tls(
    certificate: Path, key: Path | None = None, client_roots: Path | None = None
) -> ssl.SSLContext:
    """Return what a CSMS needs for security profiles 2 and 3.

    Args:
        certificate: PEM of the server's certificate and its chain.
        key: PEM of its key; None: it is in the same file.
        client_roots: PEM of the roots of stations' certificates, which are demanded then
            (profile 3). Where the file holds revocation lists, they are heeded.

    Raises:
        OSError: a file cannot be read, or does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_roots is not None:
        context.load_verify_locations(client_roots)
        context.verify_mode = ssl.CERT_REQUIRED
        if context.cert_store_stats()["crl"]:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


async def listen(
    csms: Csms, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None
) -> Listener:
    """Listen for stations.

    Args:
        port: 0 takes any free one.
        tls: for wss, see `server_tls`; None: ws.

    Raises:
        OSError: the address cannot be used.
    """
    door = _Door(csms)
    server = await serve(
        door.attended,
        host,
        port,
        process_request=door.checked,
        select_subprotocol=door.chosen,
        server_header=None,
        compression=None,
        # The station looks after the link; a bench that pings would hide that it does not.
        ping_interval=None,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=LONGEST_FRAME,
        ssl=tls,
    )
    return Listener(csms, server)


class _Door:
    """What happens before a link is one."""

    def __init__(self, csms: Csms) -> None:
        self._csms = csms

    def checked(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake, or return None to go on."""
        behaviour = self._csms.behaviour
        identity = identity_of(request.path)
        if behaviour.http_status is not None:
            return self._refused(connection, identity, HTTPStatus(behaviour.http_status))
        if not 0 < len(identity) <= LONGEST_IDENTITY:
            return self._refused(connection, identity, HTTPStatus.NOT_FOUND)
        password = behaviour.password
        if password is not None:
            wanted = password.encode() if isinstance(password, str) else password
            header = request.headers.get("Authorization", "")
            if not _is_authorized(header, identity, wanted):
                return self._refused(connection, identity, HTTPStatus.UNAUTHORIZED)
        name = behaviour.client_name
        if name is not None and name not in _common_names(connection):
            return self._refused(connection, identity, HTTPStatus.FORBIDDEN)
        return None

    def chosen(self, _: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the subprotocol that we like best of those offered."""
        wanted = self._csms.behaviour.subprotocols
        return next((Subprotocol(one) for one in wanted if one in offered), None)

    async def attended(self, connection: ServerConnection) -> None:
        """Serve a link until it is gone."""
        request = connection.request
        identity = identity_of(request.path if request else "")
        if connection.subprotocol is None:
            self._told(identity, "it offers no subprotocol that is spoken here")
            await connection.close(1002, "no common subprotocol")
            return
        link = _SocketLink(connection, connection.subprotocol, request.path if request else "")
        await self._csms.attend(identity, link)

    def _refused(
        self, connection: ServerConnection, identity: str, status: HTTPStatus
    ) -> Response:
        self._told(identity, f"HTTP {status.value} {status.phrase}")
        response = connection.respond(status, f"{status.phrase}\n")
        if status is HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="OCPP"'
        return response

    def _told(self, identity: str, reason: str) -> None:
        shown = identity[:LONGEST_IDENTITY]
        event = ConnectionRefused(at_s=self._csms.now_s, identity=shown, reason=reason)
        self._csms.tell(event)


class _SocketLink:
    """A WebSocket as an `agent.transport.link.Link`."""

    def __init__(self, connection: ServerConnection, subprotocol: str, url: str) -> None:
        self._connection = connection
        self.subprotocol = self.named = subprotocol
        self.url, self.root = url, ""

    async def send(self, frame: bytes) -> None:
        try:
            await self._connection.send(frame, text=True)
        except ConnectionClosed as closed:
            raise LinkClosed(str(closed)) from closed

    async def receive(self) -> str | bytes:
        try:
            return as_text(await self._connection.recv(decode=False))
        except ConnectionClosed as closed:
            raise LinkClosed(str(closed)) from closed

    def set_ping_interval(self, interval_s: float) -> None:
        """Do nothing: this end never pings."""

    async def close(self, code: int, reason: str) -> None:
        cut = reason.encode()[:_LONGEST_CLOSE_REASON].decode(errors="ignore")
        await self._connection.close(code, cut)


def identity_of(path: str) -> str:
    """Return the identity that the path of an upgrade names; "" when it names none."""
    return unquote(urlsplit(path).path.rpartition("/")[2])


def _common_names(connection: ServerConnection) -> list[str]:
    """Return the common names in the certificate that a station has shown."""
    session = connection.transport.get_extra_info("ssl_object")
    certificate = (session and session.getpeercert()) or {}
    parts = [pair for part in certificate.get("subject", ()) for pair in part]
    return [value for kind, value in parts if kind == "commonName"]


def _is_authorized(header: str, identity: str, password: bytes) -> bool:
    scheme, _, token = header.partition(" ")
    try:
        given = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    wanted = identity.encode() + b":" + password
    return scheme.casefold() == "basic" and hmac.compare_digest(given, wanted)
