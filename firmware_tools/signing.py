"""Signatures, bundles and update requests: what the charger will look at, made and looked at.

Everything that is made is verified by the charger's own code before it is written.
"""

import base64
import hashlib
from pathlib import Path
from typing import Final

import msgspec

from agent.firmware import manifest as manifests
from agent.firmware import verify
from agent.firmware.image import Image, Order, verified
from agent.firmware.manifest import LONGEST_HEADER, Manifest
from agent.firmware.verify import Installed, Keyring
from agent.ocpp.v16 import messages as v16
from agent.ocpp.v201 import datatypes
from agent.ocpp.v201 import messages as v201
from firmware_tools.keys import KeyFileError
from firmware_tools.signers import Signer

CHUNK: Final = 1 << 20
MOST_BYTES: Final = 1 << 40


def signed_image(image: Path, signer: Signer, certificate: bytes) -> str:
    """Return the detached signature of an image, base64.

    Raises:
        KeyFileError: the certificate is of another key.
        OSError: the image cannot be read.
    """
    with Image(image) as opened:
        digest = opened.sha256()
    signature = signer(digest)
    _check_pair(signature, digest, certificate)
    return base64.b64encode(signature).decode()


def bundled(
    payload: Path, target: Path, manifest: Manifest, signer: Signer, certificate: bytes
) -> None:
    """Write a bundle; size and digest of the manifest are those of the payload.

    Raises:
        KeyFileError: the certificate is of another key.
        VerificationError: the manifest says what no charger would understand.
        OSError: a file cannot be read or written.
    """
    signed = manifests.encoded(manifest)
    manifests.decoded(signed)
    digest = hashlib.sha256(signed).digest()
    signature = signer(digest)
    _check_pair(signature, digest, certificate)
    with payload.open("rb") as source, target.open("xb") as file:
        file.write(manifests.packed(manifest, signature, certificate))
        while data := source.read(CHUNK):
            file.write(data)


def _check_pair(signature: bytes, digest: bytes, certificate: bytes) -> None:
    """Check that key and certificate belong together, by what the one has signed.

    Raises:
        KeyFileError: they do not.
    """
    try:
        verify.check_signature(verify.stranger(certificate), signature, digest)
    except verify.VerificationError as error:
        raise KeyFileError(f"the certificate is not of this key: {error}") from None


def check(
    image: Path, signature: str, certificate: bytes, roots: tuple[bytes, ...], at_s: float
) -> None:
    """Check that a charger would take an image, as far as a build machine can know.

    Raises:
        VerificationError: it would not; the message says why.
        OSError: the image cannot be read.
    """
    with Image(image) as opened:
        beginning = opened.beginning()
        station = Installed("", "", "", allows_downgrade=True, most_bytes=MOST_BYTES)
        if manifests.is_bundle(beginning):
            found = manifests.unpacked(beginning).manifest
            station = Installed(
                found.product, found.hardware[0], found.version, True, most_bytes=MOST_BYTES
            )
        order = Order(Keyring(roots), station, at_s, certificate.decode(), signature)
        verified(opened, order)


def described(path: Path) -> dict[str, object]:
    """Return what a file says of itself.

    Raises:
        VerificationError: it claims to be a bundle and is none.
        OSError: it cannot be read.
    """
    with Image(path) as opened:
        beginning = opened.beginning()
        facts: dict[str, object] = {
            "size": opened.size,
            "sha256": opened.sha256().hex(),
            "bundle": manifests.is_bundle(beginning),
        }
        if manifests.is_bundle(beginning):
            header = manifests.unpacked(beginning[:LONGEST_HEADER])
            by = verify.stranger(header.certificate)
            verify.check_signature(by, header.signature, hashlib.sha256(header.signed).digest())
            size = opened.size - header.payload_at
            digest = opened.sha256(header.payload_at)
            verify.check_payload(header.manifest, size, digest)
            facts["manifest"] = msgspec.to_builtins(header.manifest)
            facts["signer"] = {
                "subject": by.certificate.subject.rfc4514_string(),
                "issuer": by.certificate.issuer.rfc4514_string(),
                "until": by.certificate.not_valid_after_utc.isoformat(),
                "fingerprint": by.fingerprint,
            }
    return facts


def request(
    version: str,
    *,
    url: str,
    signature: str,
    certificate: str,
    request_id: int,
    retrieve_at: str,
    install_at: str | None = None,
    retries: int | None = None,
) -> bytes:
    """Return the payload of the CSMS's request, JSON for people."""
    if version == "1.6":
        firmware = v16.SignedFirmware(
            location=url,
            retrieve_date_time=retrieve_at,
            signing_certificate=certificate,
            signature=signature,
            install_date_time=install_at,
        )
        wire: msgspec.Struct = v16.SignedUpdateFirmwareRequest(
            request_id=request_id, firmware=firmware, retries=retries
        )
    else:
        wire = v201.UpdateFirmwareRequest(
            request_id,
            datatypes.Firmware(url, retrieve_at, install_at, certificate, signature),
            retries,
        )
    encoded = msgspec.json.encode(wire)
    msgspec.json.decode(encoded, type=type(wire))  # what is too long for the wire says so now
    return msgspec.json.format(encoded, indent=2)
