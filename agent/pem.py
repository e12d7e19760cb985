"""Files in PEM, looked at without a library for certificates: are they what they should be?

Whether a certificate is good is for those who use it; here a truncated file, or another one
than was meant, is found when the configuration is checked.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path

MAX_CERTIFICATES_BYTES = 1 << 20
"""Longest file of certificates; a whole public trust store has a quarter of that."""

_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----")
_PRIVATE_KEYS = {b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY"}


def is_private_key(text: bytes, *, is_ssh: bool = False) -> bool:
    """Tell whether there is a private key; one for SSH may be in OpenSSH's own form.

    A key in PEM that is encrypted is none; of OpenSSH's form only its user knows.
    """
    kinds = {*_PRIVATE_KEYS, b"OPENSSH PRIVATE KEY"} if is_ssh else _PRIVATE_KEYS
    return not kinds.isdisjoint(_labels(text))


def certificates_mistake(path: Path) -> str | None:
    """Return what is wrong with a file of certificates, None when nothing is."""
    try:
        text = content(path, MAX_CERTIFICATES_BYTES)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if len(text) > MAX_CERTIFICATES_BYTES:
        return f"{path} is too large: certificates have at most {MAX_CERTIFICATES_BYTES} bytes"
    begun = text.count(b"-----BEGIN CERTIFICATE-----")
    whole = list(_labels(text)).count(b"CERTIFICATE")
    if begun == 0 or whole != begun:
        return f"{path} must hold whole certificates in PEM (-----BEGIN CERTIFICATE-----)"
    return None


def content(path: Path, limit: int) -> bytes:
    """Return a file, or of a longer one a byte more than the limit.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(limit + 1)


def _labels(text: bytes) -> Iterator[bytes]:
    """Yield the label of every block that is whole."""
    for label, body in _PEM.findall(text):
        try:
            base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            continue
        yield label
