"""What a link to the CSMS is, and how one comes to be: the contract of this package.

A `Dialer` makes a `Link`: one live, ordered connection that carries whole frames both ways.
A link that is gone stays gone; dialing again, and when, is decided by agent.core.connection.
The real one is agent.transport.websocket; agent.transport.memory stands in for it in
simulations and tests.

TransportError
├── LinkClosed   the link is gone, whoever ended it
└── DialError    a dial brought no link
"""

from pathlib import Path
from typing import Protocol

from agent.core.events import DialRefusal
from agent.core.values import Value


class TransportError(Exception):
    """Base of everything the transport raises.

    Attributes:
        reason: for people; carries no secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LinkClosed(TransportError):  # noqa: N818  # an end that every link comes to
    """The link is gone; what was sent last may not have arrived."""


class DialError(TransportError):
    """A dial brought no link, and left no connection behind.

    Attributes:
        refusal: what it means for the next dial.
        retry_after_s: how long the server asked to wait, 0 to a day; None: it did not.
    """

    def __init__(
        self, refusal: DialRefusal, reason: str, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.refusal = refusal
        self.retry_after_s = retry_after_s


class TrustedTime(Value, frozen=True):
    """What the station knows of the time when the system clock is not to be trusted.

    Attributes:
        at_s: UTC seconds.
        is_known: False: it is later than that, and nobody knows by how much.
    """

    at_s: float
    is_known: bool


class DialTarget(Value, frozen=True):
    """Whom to call, and as whom.

    Attributes:
        url: endpoint, `ws://…` or `wss://…`.
        identity: the Basic-auth user name, and appended to the URL's path.
        protocols: subprotocols in order of preference, such as "ocpp2.0.1", "ocpp1.6".
        security_profile: 0 to 3 (OCPP 1.6 security whitepaper, 2.0.1 A00).
        password: as bytes, profiles 1 and 2.
        roots: PEM files of trusted roots; without any, no server is trusted.
        certificate, key: PEM files of the station's certificate (with its chain) and key,
            profile 3.
        strict_subprotocol: False also puts up with a CSMS that forgets to name the
            subprotocol, or writes it in another case.
        append_identity: False: the URL holds the identity already, or a token instead.
        sends_hex_text: the CSMS expects the password's bytes as hex text, in capitals.
        allow_wildcards: a server's certificate may name its host by a wildcard.
        time: for validity dates; None: the system clock is right.
    """

    url: str
    identity: str
    protocols: tuple[str, ...]
    security_profile: int = 0
    password: bytes | None = None
    roots: tuple[Path, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    strict_subprotocol: bool = True
    append_identity: bool = True
    sends_hex_text: bool = False
    allow_wildcards: bool = False
    time: TrustedTime | None = None

    def __repr__(self) -> str:
        """Return a text for logs, without the password and without what the query holds."""
        url = self.url.partition("?")[0]
        return f"DialTarget({url!r}, {self.identity!r}, profile {self.security_profile})"


class Link(Protocol):
    """One live connection; one task receives, one task sends."""

    @property
    def subprotocol(self) -> str:
        """Return what was agreed on, spelled as it was offered."""

    @property
    def named(self) -> str:
        """Return the choice of subprotocol as the CSMS wrote it, "" when it wrote none."""

    @property
    def url(self) -> str:
        """Return the address that answered, without a query."""

    @property
    def root(self) -> str:
        """Return the fingerprint of the root that vouches for the CSMS, "" without TLS."""

    async def send(self, frame: bytes) -> None:
        """Send one frame of UTF-8 text; returns when it is handed to the socket.

        Raises:
            LinkClosed: it cannot be sent any more.
        """

    async def receive(self) -> str | bytes:
        """Return the next frame; bytes only if it is no valid UTF-8.

        The link looks after its own life as long as somebody waits here.

        Raises:
            LinkClosed: there will be no more.
        """

    def set_ping_interval(self, interval_s: float) -> None:
        """Send a ping each interval from now on; 0 sends none."""

    async def close(self, code: int, reason: str) -> None:
        """End the link; ending it again does nothing.

        Args:
            code: a WebSocket close code (RFC 6455 7.4).
            reason: at most 123 bytes reach the peer.
        """


class Dialer(Protocol):
    """Makes links, one at a time."""

    async def dial(
        self, target: DialTarget, *, ping_interval_s: float, ping_timeout_s: float
    ) -> Link:
        """Connect; a link of an earlier dial is closed first.

        Args:
            ping_interval_s: see `Link.set_ping_interval`.
            ping_timeout_s: how long nothing may come after a ping until the link counts as
                dead.

        Raises:
            DialError: no link came to be.
        """


def as_text(frame: bytes) -> str | bytes:
    """Return a frame as text, or as it is if it is no valid UTF-8."""
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return frame
