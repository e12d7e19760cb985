"""The certificate directory: what is installed, and the keys, which never leave it.

    certificates/
      csms-roots/FINGERPRINT.pem            likewise manufacturer-roots, v2g-roots, mo-roots
      station/FINGERPRINT.pem               the station's certificate with its chain
      station/FINGERPRINT.key               its private key
      pending/ID.key                        the key of a request that is not answered yet

Which of these count, the station's state says (agent.core.certificates): a file appears
before it is in that state and disappears after it has left it, and `tidy` removes at a start
what a power cut left in between. Files are written beside their place, flushed, and moved
there: whoever finds one finds it whole. Only their owner may read them.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.core.trust import CertificateKind

NAME: Final = "certificates"
_PENDING: Final = "pending"


class Keystore:
    """The directory; its methods block and belong to a thread."""

    def __init__(self, state_directory: Path) -> None:
        self._root = state_directory / NAME

    def certificate(self, kind: CertificateKind, fingerprint: str) -> Path:
        """Return where a certificate is, or would be."""
        return self._root / kind.value / f"{fingerprint}.pem"

    def key(self, fingerprint: str) -> Path:
        """Return where the key of a station's certificate is, or would be."""
        return self._root / CertificateKind.STATION.value / f"{fingerprint}.key"

    def pending(self, key_id: str) -> Path:
        """Return where the key of a request is, or would be."""
        return self._root / _PENDING / f"{key_id}.key"

    def keep(self, kind: CertificateKind, fingerprint: str, pem: bytes) -> None:
        """Write a certificate.

        Raises:
            OSError: it is not there, or not surely.
        """
        _write(self.certificate(kind, fingerprint), pem)

    def keep_pending(self, key_id: str, key: bytes) -> None:
        """Write the key of a request.

        Raises:
            OSError: it is not there, or not surely.
        """
        _write(self.pending(key_id), key)

    def keep_station(self, fingerprint: str, pem: bytes, key: bytes) -> None:
        """Write a station's certificate with its chain, after its key.

        Raises:
            OSError: they are not there, or not surely.
        """
        _write(self.key(fingerprint), key)
        _write(self.certificate(CertificateKind.STATION, fingerprint), pem)

    def drop(self, kind: CertificateKind, fingerprint: str) -> None:
        """Remove a certificate, and its key if it has one."""
        self.certificate(kind, fingerprint).unlink(missing_ok=True)
        if kind is CertificateKind.STATION:
            self.key(fingerprint).unlink(missing_ok=True)

    def drop_pending(self, key_id: str) -> None:
        """Remove the key of a request."""
        self.pending(key_id).unlink(missing_ok=True)

    def tidy(self, installed: Iterable[str], key_id: str | None) -> None:
        """Remove every file that the station's state does not know.

        Args:
            installed: `Certificate.key` of each that counts.
            key_id: of the request that is not answered yet.
        """
        known = set(installed) | {f"{_PENDING}/{key_id}"}
        for file in self._root.glob("*/*"):
            if f"{file.parent.name}/{file.stem}" not in known:
                file.unlink(missing_ok=True)

    def files(self) -> list[tuple[CertificateKind, Path]]:
        """Return every certificate in the directory, whether it counts or not."""
        return [
            (kind, path)
            for kind in CertificateKind
            for path in sorted((self._root / kind.value).glob("*.pem"))
        ]

    def missing(self, installed: Iterable[str]) -> list[str]:
        """Return which of these have lost their file."""
        return [key for key in installed if not (self._root / f"{key}.pem").exists()]


def _write(path: Path, content: bytes) -> None:
    path.parent.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    beside = path.with_suffix(".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _flush_directory(path.parent)


def _flush_directory(path: Path) -> None:
    """Make sure that a name survives a power cut, and not only its file."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
