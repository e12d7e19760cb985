"""The `[transfer]` table of `agent.toml`: what fetching and sending files needs to know.

How fast and how long a transfer may be is a matter of settings, which the CSMS sees too.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from agent import pem
from agent.secret import PathText, Secret

MOST_HOSTS_BYTES = 1 << 20
_ENTRY = re.compile(r"^(@[a-z-]+\s+)?\S+\s+[a-z0-9@.-]+\s+[A-Za-z0-9+/]+=*(\s.*)?$")
"""A line of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": hosts, kind of key, key, comment."""

LEARNED = "known_hosts"
"""Name of the file, in the storage directory, of the hosts that the station has learned."""

Port: TypeAlias = Annotated[int, Meta(ge=1, le=65_535)]


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """What FTPS and SFTP need to know beforehand.

    Attributes:
        known_hosts: file of host keys, in OpenSSH's form; the station's own is used beside it.
        unknown_hosts: a host that is in neither is refused, or its first key is believed and
            kept in the station's own.
        ssh_key: private key, beside the password of the URL.
        implicit_ftps_ports: where FTPS begins with TLS, beside port 990; elsewhere by AUTH TLS.
    """

    known_hosts: PathText | None = None
    unknown_hosts: Literal["refuse", "learn"] = "refuse"
    ssh_key: Secret | None = None
    implicit_ftps_ports: Annotated[tuple[Port, ...], Meta(max_length=16)] = ()


def placed(table: Transfer, base: Path) -> Transfer:
    """Return the table with absolute paths."""
    hosts, key = table.known_hosts, table.ssh_key
    if key is not None and key.file is not None:
        key = replace(key, file=str(base / key.file))
    return replace(table, known_hosts=None if hosts is None else str(base / hosts), ssh_key=key)


def hosts_files(table: Transfer, storage: Path) -> tuple[Path, ...]:
    """Return the files of known hosts, there or not."""
    named = () if table.known_hosts is None else (Path(table.known_hosts),)
    return (*named, storage / LEARNED)


def serves_sftp(table: Transfer, storage: Path) -> bool:
    """Tell whether there is any host that SFTP could be spoken to."""
    known = any(path.exists() for path in hosts_files(table, storage))
    return known or table.unknown_hosts == "learn"


def hosts_mistake(path: Path) -> str | None:
    """Return what is wrong with a file of known hosts, None when nothing is."""
    try:
        text = pem.content(path, MOST_HOSTS_BYTES).decode(errors="replace")
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#") and _ENTRY.match(line) is None:
            return f"{path}:{number} must be HOST KIND KEY, as ssh-keyscan writes it"
    return None
