"""An image on disk: opened once, verified, and handed to the installer as the same open file.

Whoever changes the name meanwhile changes another file. The digest is made while streaming,
so that memory does not grow with the image.
"""

import hashlib
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agent.firmware import manifest as manifests
from agent.firmware import verify
from agent.firmware.errors import (
    DigestError,
    SizeError,
    UnreadableImageError,
    WrongSignatureError,
)
from agent.firmware.manifest import LONGEST_HEADER, Header
from agent.firmware.verify import Installed, Keyring
from hal.types import Value

CHUNK: Final = 1 << 20


class Image:
    """One open image file."""

    def __init__(self, path: Path) -> None:
        """Open it, never through a link.

        Raises:
            OSError: it is not there, or no plain file.
        """
        self.handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        status = os.fstat(self.handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(self.handle)
            raise OSError("the image is no plain file")
        self.size = status.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.handle)

    def beginning(self) -> bytes:
        """Return what holds the header of a bundle."""
        return os.pread(self.handle, LONGEST_HEADER, 0)

    def sha256(self, at: int = 0) -> bytes:
        """Return the digest of everything from a place to the end."""
        digest, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK))
        while count := os.preadv(self.handle, [buffer], at):
            digest.update(buffer[:count])
            at += count
        return digest.digest()


class Payload:
    """What the installer writes, as a file to be read once from beginning to end.

    It makes the digest anew of the very bytes that it hands out.
    """

    def __init__(self, image: Image, at: int, sha256: str) -> None:
        self.image, self._at, self._expected = image, at, sha256
        self._digest = hashlib.sha256()

    def read(self, size: int = CHUNK) -> bytes:
        """Return the next bytes, empty at the end."""
        data = os.pread(self.image.handle, min(size, CHUNK) if size > 0 else CHUNK, self._at)
        self._at += len(data)
        self._digest.update(data)
        return data

    def check(self) -> None:
        """Read to the end, and check that all of it is what was verified.

        Raises:
            DigestError: the file has changed since.
        """
        while self.read():
            pass
        if self._digest.hexdigest() != self._expected:
            raise DigestError("the image has changed since it was verified")


class Order(Value, frozen=True):
    """What an image has to fulfil.

    Attributes:
        certificate, signature: of the update request; None when it had none.
        at_s: the trusted time, UTC seconds, None when it is not known.
        needs_bundle: the installer takes bundles only.
    """

    keyring: Keyring
    station: Installed
    at_s: float | None
    certificate: str | None = None
    signature: str | None = None
    needs_bundle: bool = False


def verified(image: Image, order: Order) -> tuple[Payload, Header | None]:
    """Return what may be installed, and the header of a bundle.

    Raises:
        VerificationError: nothing may.
    """
    if image.size > order.station.most_bytes + LONGEST_HEADER:
        raise SizeError(f"{image.size} bytes; {order.station.most_bytes} are allowed")
    whole: bytes | None = None
    if order.certificate is not None and order.signature is not None:
        by = verify.signer(order.certificate.encode(), order.keyring, order.at_s)
        whole = image.sha256()
        verify.check_signature(by, verify.from_base64(order.signature), whole)
    beginning = image.beginning()
    if manifests.is_bundle(beginning):
        header = manifests.unpacked(beginning)
        _check_bundle(image, header, order)
        return Payload(image, header.payload_at, header.manifest.sha256), header
    if order.needs_bundle:
        raise UnreadableImageError("it is no firmware bundle")
    if whole is None:
        raise WrongSignatureError("neither the request nor the image has a signature")
    return Payload(image, 0, whole.hex()), None


def _check_bundle(image: Image, header: Header, order: Order) -> None:
    by = verify.signer(header.certificate, order.keyring, order.at_s)
    verify.check_signature(by, header.signature, hashlib.sha256(header.signed).digest())
    verify.check_manifest(header.manifest, order.station)
    size = image.size - header.payload_at
    verify.check_payload(header.manifest, size, image.sha256(header.payload_at))
