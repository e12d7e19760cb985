"""What the transfer process is told, and what it says: the contract with the agent.

URLs may hold a password. They are told on the standard input, where no other process can
read them, and come back only with what is secret taken out.
"""

import enum
import importlib.util
from typing import Final
from urllib.parse import unquote, urlsplit

from hal.types import Value

MODULES: Final = {
    "FTP": ("ftplib",),
    "FTPS": ("ftplib", "ssl"),
    "HTTP": ("urllib3",),
    "HTTPS": ("urllib3", "ssl"),
    "SFTP": ("asyncssh",),
}
"""What each protocol needs; SFTP comes with an extra of the package."""

CHUNK: Final = 1 << 14
"""How many bytes pass at once: few enough for a slow line to show that it moves."""

CONNECT_S: Final = 30.0
"""How long a server may take to answer; for how long it may be silent says the job."""


class Job(Value, frozen=True):
    """One file to fetch or to send.

    Attributes:
        path: local file; a partial one is gone on with where the server can.
        file_name: for a location that is a directory; uploads only.
        roots: PEM files of authorities that are trusted beside those of the system.
        known_hosts: files of SSH host keys; a host that is in none of them is refused.
        learned_hosts: where the key of such a host is kept instead, and believed from then on.
        ssh_key: private key for SFTP, PEM or OpenSSH; beside the password of the URL.
        implicit_ftps_ports: where FTPS begins with TLS, beside port 990.
        most_bytes: a larger file is not fetched.
        bytes_per_s: how fast at most; 0: as fast as it goes.
        idle_s, limit_s: the process ends itself when no byte has moved for so long, and after
            so much in all.
    """

    url: str
    path: str
    is_upload: bool = False
    file_name: str = ""
    roots: tuple[str, ...] = ()
    known_hosts: tuple[str, ...] = ()
    learned_hosts: str | None = None
    ssh_key: str | None = None
    implicit_ftps_ports: tuple[int, ...] = ()
    most_bytes: int = 1 << 30
    bytes_per_s: int = 0
    idle_s: int = 60
    limit_s: int = 6 * 3600


class Reason(enum.Enum):
    """Why a transfer did not succeed."""

    FAILED = "failed"  # another attempt may succeed
    DENIED = "denied"  # the server knows us not, or does not let us
    UNSUPPORTED = "unsupported"  # a scheme or a method that is not served
    BAD = "bad"  # what was asked for makes no sense to this station or to the server
    TOO_LARGE = "too large"


class Progressed(Value, frozen=True, tag="progress", tag_field="is"):
    """So far.

    Attributes:
        total: bytes of the whole file, None when the server does not say.
    """

    size: int
    total: int | None = None


class Finished(Value, frozen=True, tag="done", tag_field="is"):
    """The file is there, whole as far as the server says."""

    size: int


class Failed(Value, frozen=True, tag="failed", tag_field="is"):
    """It is not; a partial file stays for the next attempt."""

    reason: Reason
    info: str


Said = Progressed | Finished | Failed


class TransferError(Exception):
    """A transfer cannot go on.

    Attributes:
        reason: why, in the contract's words.
    """

    def __init__(self, reason: Reason, info: str) -> None:
        super().__init__(info)
        self.reason = reason


class Place:
    """A URL, taken apart; credentials are decoded, and kept out of `shown`.

    Raises:
        TransferError: it is no URL of a host.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise TransferError(Reason.BAD, "the location is no URL") from None
        if not parts.hostname or any(ord(char) <= ord(" ") for char in url):
            raise TransferError(Reason.BAD, "the location is no URL of a host")
        self.scheme = parts.scheme.lower()
        self.host, self.port = parts.hostname, port
        self.user = unquote(parts.username) if parts.username is not None else None
        self.password = unquote(parts.password) if parts.password is not None else None
        self._secrets = {text for text in (parts.password, self.password, parts.query) if text}
        self.path, self.query = parts.path or "/", parts.query
        at = f":{port}" if port else ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.origin = f"{self.scheme}://{host}{at}"
        self.shown = f"{self.origin}{self.path}"
        self.target = self.at(self.path)

    def at(self, path: str) -> str:
        """Return the URL of a path beside this one, without credentials."""
        return f"{self.origin}{path}" + (f"?{self.query}" if self.query else "")

    def without_secrets(self, text: str) -> str:
        """Return what somebody says, such as a server that repeats what it was told."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return "".join(char if char.isprintable() else " " for char in text)

    @property
    def names_a_file(self) -> bool:
        """Return whether the location looks like that of one file, not of a directory."""
        return bool(self.query) or "." in self.path.rpartition("/")[2]

    def in_directory(self, file_name: str) -> str:
        """Return the path of a file at this location, which may be a directory."""
        if self.names_a_file:
            return self.path
        return f"{self.path.rstrip('/')}/{file_name}"


def protocols() -> tuple[str, ...]:
    """Return what can be served here, as SupportedFileTransferProtocols lists it."""
    return tuple(
        name
        for name, modules in MODULES.items()
        if all(importlib.util.find_spec(module) is not None for module in modules)
    )
