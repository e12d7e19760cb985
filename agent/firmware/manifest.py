"""What a firmware bundle says of itself, in bytes that have one form only.

A bundle is one file:

    magic         8 bytes, `PWFW` and the version of the format
    lengths       3 x 4 bytes, big-endian: manifest, signature, certificate
    manifest      canonical JSON
    signature     of the manifest's bytes, DER (ECDSA) or raw (RSA-PSS)
    certificate   of the signer, PEM
    payload       as many bytes as the manifest says, up to the end of the file

The manifest holds the payload's digest: who verifies the signature over the manifest and then
the digest has verified every byte of the file. Canonical means that the manifest is
exactly what this module would write for its content: no second form of it can be signed.

Pure: bytes in, values out.
"""

import re
import struct
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.firmware.errors import UnreadableImageError
from hal.types import Value

MAGIC: Final = b"PWFW\x00\x00\x00\x01"
LONGEST_MANIFEST: Final = 16_384
LONGEST_SIGNATURE: Final = 1_024
LONGEST_CERTIFICATE: Final = 8_192

_LENGTHS: Final = struct.Struct(">III")
HEAD_BYTES: Final = len(MAGIC) + _LENGTHS.size
LONGEST_HEADER: Final = HEAD_BYTES + LONGEST_MANIFEST + LONGEST_SIGNATURE + LONGEST_CERTIFICATE
"""As many bytes at the beginning of a file hold everything but the payload."""

_VERSION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9}){0,3})(?:-([0-9A-Za-z.-]{1,32}))?")

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]([ -~]*[!-~])?\Z")]
Version = Annotated[str, Meta(min_length=1, max_length=50)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Manifest(Value, frozen=True, forbid_unknown_fields=True):
    """What the image is and for whom.

    Attributes:
        product: the station's model, as in its configuration.
        hardware: revisions of the hardware that it runs on; "*" for all.
        version: dotted numbers, with an optional `-suffix` for what comes before a release.
        size: of the payload in bytes.
        sha256: of the payload, in lower-case hexadecimal.
        minimum_version: what must run before, None when anything may.
    """

    product: Name
    hardware: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=64)]
    version: Version
    size: Annotated[int, Meta(ge=1, le=1 << 40)]
    sha256: Sha256
    minimum_version: Version | None = None


class Header(Value, frozen=True):
    """Everything of a bundle but its payload.

    Attributes:
        signed: the manifest's bytes, which the signature is over.
        payload_at: where the payload begins in the file.
    """

    manifest: Manifest
    signed: bytes
    signature: bytes
    certificate: bytes
    payload_at: int


def is_bundle(beginning: bytes) -> bool:
    """Tell whether a file that begins like this claims to be a bundle."""
    return beginning.startswith(MAGIC[:4])


def encoded(manifest: Manifest) -> bytes:
    """Return the canonical bytes of a manifest."""
    return msgspec.json.encode(manifest, order="sorted")


def decoded(raw: bytes) -> Manifest:
    """Return the manifest in canonical bytes.

    Raises:
        UnreadableImageError: they are not canonical, or mean nothing.
    """
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UnreadableImageError(f"manifest: {error}") from None
    if encoded(manifest) != raw:
        raise UnreadableImageError("manifest: its bytes do not have the canonical form")
    for name in ("version", "minimum_version"):
        text = getattr(manifest, name)
        if text is not None and order(text) is None:
            raise UnreadableImageError(
                f"manifest: {name} {text!r} is not like 1.2.3 or 1.2.3-rc1"
            )
    return manifest


def packed(manifest: Manifest, signature: bytes, certificate: bytes) -> bytes:
    """Return the beginning of a bundle, up to its payload."""
    signed = encoded(manifest)
    lengths = _LENGTHS.pack(len(signed), len(signature), len(certificate))
    return MAGIC + lengths + signed + signature + certificate


def unpacked(beginning: bytes) -> Header:
    """Read the beginning of a bundle.

    Args:
        beginning: the first `LONGEST_HEADER` bytes of the file, or all of a shorter one.

    Raises:
        UnreadableImageError: it is no bundle of this format, or it was cut.
    """
    if not beginning.startswith(MAGIC) or len(beginning) < HEAD_BYTES:
        raise UnreadableImageError("not a firmware bundle of this format")
    lengths = _LENGTHS.unpack_from(beginning, len(MAGIC))
    limits = (LONGEST_MANIFEST, LONGEST_SIGNATURE, LONGEST_CERTIFICATE)
    if any(not 0 < length <= limit for length, limit in zip(lengths, limits, strict=True)):
        raise UnreadableImageError(f"lengths {lengths} of the parts are not possible")
    parts, at = [], HEAD_BYTES
    for length in lengths:
        parts.append(beginning[at : at + length])
        at += length
    if at > len(beginning):
        raise UnreadableImageError("the file ends before its payload")
    signed, signature, certificate = parts
    return Header(decoded(signed), signed, signature, certificate, at)


def order(
    version: str,
) -> tuple[tuple[int, ...], tuple[int, tuple[tuple[int, int, str], ...]]] | None:
    """Return what versions are sorted by, None for what is no version.

    Numbers count as numbers and missing ones as 0; a suffix comes before the release, and
    its parts are compared as semantic versioning compares them.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    padded = tuple(numbers + [0] * (4 - len(numbers)))
    if found[2] is None:
        return padded, (1, ())
    parts = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in found[2].split(".")
    )
    return padded, (0, parts)
