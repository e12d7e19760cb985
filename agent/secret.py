"""Where a secret of the configuration is, and how it is read."""

import os
import re
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from agent import pem

MAX_SECRET_BYTES = 16_384
"""Longest password or key; an RSA key of 8192 bits in PEM has 6.4 kB."""

PLACES = "must have exactly one of file, credential and text"

PathText: TypeAlias = Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00]+\Z")]


class SecretError(Exception):
    """A secret cannot be had; the text says where it was looked for and what is wrong."""


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """Where a password or a private key is: exactly one of three places.

    Attributes:
        file: path of a file that holds nothing else.
        credential: name of a systemd credential, a file in `$CREDENTIALS_DIRECTORY`.
        text: the secret itself, for a bench.
    """

    file: PathText | None = None
    credential: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}\Z")] | None = (
        None
    )
    text: Annotated[str, Meta(min_length=1, max_length=MAX_SECRET_BYTES)] | None = None

    def __repr__(self) -> str:
        return f"Secret({self.place})"

    @property
    def place(self) -> str:
        """Say where the secret is, without the secret."""
        if self.file is not None:
            return f"file {self.file}"
        return "text" if self.credential is None else f"credential {self.credential}"


def read_secret(secret: Secret, base: Path) -> bytes:
    """Return a secret, without the line end that editors leave behind it.

    Args:
        secret: where it is.
        base: directory that a relative `file` is relative to.

    Raises:
        SecretError: it is not there, empty, or longer than `MAX_SECRET_BYTES`.
    """
    if secret.text is not None:
        return secret.text.encode()
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if secret.file is not None:
        path = base / secret.file
    elif secret.credential is None:
        raise SecretError(f"a secret {PLACES}")
    elif directory:
        path = Path(directory) / secret.credential
    else:
        raise SecretError(
            f"{secret.place} cannot be read: $CREDENTIALS_DIRECTORY is not set; "
            "systemd sets it for a unit with LoadCredential="
        )
    try:
        content = pem.content(path, MAX_SECRET_BYTES)
    except OSError as error:
        raise SecretError(f"{secret.place} cannot be read: {error.strerror}") from error
    content = re.sub(rb"\r?\n\Z", b"", content)
    if not 0 < len(content) <= MAX_SECRET_BYTES:
        raise SecretError(
            f"{secret.place} is empty or too long: a secret has 1 to {MAX_SECRET_BYTES} bytes"
        )
    return content


def has_one_place(secret: Secret) -> bool:
    """Tell whether exactly one place is named."""
    places = (secret.file, secret.credential, secret.text)
    return sum(place is not None for place in places) == 1
