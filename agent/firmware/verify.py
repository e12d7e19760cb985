"""Whether an image may be installed: bytes and digests in, a verdict or an exception out.

Four decisions, each on its own, because they are made at different times:

1. `signer` when the CSMS asks for an update: is the certificate one of the manufacturer's?
2. `check_signature` when the image is there: is it the signature of these bytes?
3. `check_manifest`: is the image for this station, and not older than what runs?
4. `check_payload`: are the bytes those that the manifest names?

Nothing here opens a file, knows the time or keeps a state: reading the bytes, once and from
one open file, is the work of agent.firmware.image. Rules: OCPP 2.0.1 L01.FR.02 to 04, 12, 21
and 22, reference 6.3; OCPP 1.6 security whitepaper chapter 5. The signing certificate is
issued by a manufacturer root directly; there are no intermediates. ECDSA and RSA-PSS are
taken, both with SHA-256, and PKCS#1 v1.5 is not.
"""

import base64
import binascii
import datetime as dt
from collections.abc import Sequence
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from agent.firmware import manifest as manifests
from agent.firmware.errors import (
    DigestError,
    DowngradeError,
    ExpiredError,
    NotYetValidError,
    RevokedCertificateError,
    SizeError,
    UnknownTimeError,
    UnreadableCertificateError,
    UntrustedCertificateError,
    VerificationError,
    WeakKeyError,
    WrongHardwareError,
    WrongProductError,
    WrongSignatureError,
    WrongUsageError,
)
from agent.firmware.manifest import LONGEST_CERTIFICATE, Manifest
from hal.types import Value

__all__ = [
    "Installed",
    "Keyring",
    "Signer",
    "VerificationError",
    "check_manifest",
    "check_payload",
    "check_signature",
    "from_base64",
    "signer",
    "stranger",
]

LEAST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 8192
"""A longer key only costs time (a forged certificate names one of a million bits)."""

CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_STRONG: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_KNOWN_EXTENSIONS: Final = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)
_SHA256 = hashes.SHA256()

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class Keyring(Value, frozen=True):
    """Whom the station trusts with its firmware.

    Attributes:
        roots: manufacturer roots, PEM, each with one or more certificates.
        revoked: SHA-256 fingerprints of certificates that are taken back, lower-case hex.
        crls: certificate revocation lists, PEM; those that no root has signed do not count.
    """

    roots: tuple[bytes, ...] = ()
    revoked: frozenset[str] = frozenset()
    crls: tuple[bytes, ...] = ()


class Signer:
    """Who may sign: a certificate that was found to be the manufacturer's."""

    def __init__(self, certificate: x509.Certificate, key: PublicKey) -> None:
        self.certificate, self.key = certificate, key

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 fingerprint of the certificate, lower-case hexadecimal."""
        return self.certificate.fingerprint(_SHA256).hex()


# --- 1. who signed ---


def signer(pem: bytes, keyring: Keyring, at_s: float | None) -> Signer:
    """Return whom a signing certificate stands for.

    Args:
        pem: one certificate, at most `LONGEST_CERTIFICATE` bytes.
        at_s: the trusted time, UTC seconds; None when the station does not know it.

    Raises:
        CertificateError: nobody to be trusted; its subclass says why.
    """
    leaf = _certificate(pem)
    _check_leaf_usage(leaf)
    key = _strong_key(leaf, "the signing certificate")
    root = _issuer(leaf, keyring.roots)
    if at_s is None:
        raise UnknownTimeError("the time is not known, so no certificate can be judged")
    for certificate, name in ((leaf, "the signing certificate"), (root, "its root")):
        _check_validity(certificate, name, at_s)
    found = Signer(leaf, key)
    _check_revocation(found, root, keyring)
    return found


def stranger(pem: bytes) -> Signer:
    """Return whom a certificate names, without asking who vouches for it: for build machines.

    Raises:
        CertificateError: it is no certificate, or one of a weak key.
    """
    found = _certificate(pem)
    return Signer(found, _strong_key(found, "the certificate"))


def _certificate(pem: bytes) -> x509.Certificate:
    if len(pem) > LONGEST_CERTIFICATE:
        raise UnreadableCertificateError(f"longer than {LONGEST_CERTIFICATE} bytes")
    try:
        (certificate,) = x509.load_pem_x509_certificates(pem)
        _ = certificate.extensions  # parsed when asked for, and says now what is wrong
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise UnreadableCertificateError(f"not one certificate in PEM: {error}") from None
    return certificate


def _extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> object | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _check_leaf_usage(leaf: x509.Certificate) -> None:
    constraints = _extension(leaf, x509.BasicConstraints)
    if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
        raise WrongUsageError("it is the certificate of an authority, not of a signer")
    usage = _extension(leaf, x509.KeyUsage)
    if not isinstance(usage, x509.KeyUsage) or not usage.digital_signature:
        raise WrongUsageError("its key usage does not name digitalSignature")
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if isinstance(extended, x509.ExtendedKeyUsage) and (
        ExtendedKeyUsageOID.CODE_SIGNING not in extended
    ):
        raise WrongUsageError("its extended key usage does not name codeSigning")
    for extension in leaf.extensions:
        if extension.critical and extension.oid not in _KNOWN_EXTENSIONS:
            raise WrongUsageError(
                f"critical extension {extension.oid.dotted_string} is unknown"
            )


def _strong_key(certificate: x509.Certificate, name: str) -> PublicKey:
    try:
        key = certificate.public_key()
        digest = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WeakKeyError(f"{name}: {error}") from None
    if not isinstance(digest, _STRONG):
        raise WeakKeyError(f"{name} is signed with {digest.name if digest else 'no'} digest")
    match key:
        case rsa.RSAPublicKey() if LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
            return key
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, CURVES):
            return key
        case _:
            allowed = f"RSA from {LEAST_RSA_BITS} bits, EC on P-256, P-384 or P-521"
            raise WeakKeyError(f"{name} has a key that is not one of {allowed}")


def _issuer(leaf: x509.Certificate, roots: Sequence[bytes]) -> x509.Certificate:
    """Return the root that issued a certificate."""
    for pem in roots:
        for root in _roots(pem):
            try:
                leaf.verify_directly_issued_by(root)
            except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
                continue
            _check_root(root)
            return root
    raise UntrustedCertificateError("no installed manufacturer root has issued it")


def _roots(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []  # one that cannot be read vouches for nobody


def _check_root(root: x509.Certificate) -> None:
    constraints = _extension(root, x509.BasicConstraints)
    if not isinstance(constraints, x509.BasicConstraints) or not constraints.ca:
        raise UntrustedCertificateError("its root has no basic constraints of an authority")
    usage = _extension(root, x509.KeyUsage)
    if isinstance(usage, x509.KeyUsage) and not usage.key_cert_sign:
        raise UntrustedCertificateError("its root may not issue certificates (key usage)")
    _strong_key(root, "its root")


def _check_validity(certificate: x509.Certificate, name: str, at_s: float) -> None:
    at = dt.datetime.fromtimestamp(at_s, dt.UTC)
    if at < certificate.not_valid_before_utc:
        raise NotYetValidError(f"{name} is valid from {certificate.not_valid_before_utc}")
    if at > certificate.not_valid_after_utc:
        raise ExpiredError(f"{name} was valid until {certificate.not_valid_after_utc}")


def _check_revocation(found: Signer, root: x509.Certificate, keyring: Keyring) -> None:
    if found.fingerprint in keyring.revoked:
        raise RevokedCertificateError("it is on the station's list of revoked certificates")
    root_key = _strong_key(root, "its root")
    for pem in keyring.crls:
        try:
            crl = x509.load_pem_x509_crl(pem)
        except ValueError:
            continue
        is_ours = crl.issuer == root.subject and crl.is_signature_valid(root_key)
        serial = found.certificate.serial_number
        if is_ours and crl.get_revoked_certificate_by_serial_number(serial) is not None:
            raise RevokedCertificateError("its issuer has revoked it")


# --- 2. the signature ---


def check_signature(by: Signer, signature: bytes, sha256: bytes) -> None:
    """Check a signature over data of which only the digest is given.

    Args:
        signature: DER (ECDSA) or as long as the key (RSA-PSS, salt of any length).
        sha256: digest of the signed data, 32 bytes.

    Raises:
        WrongSignatureError: it is none of this signer over this data.
    """
    prehashed = Prehashed(_SHA256)
    try:
        if isinstance(by.key, ec.EllipticCurvePublicKey):
            by.key.verify(signature, sha256, ec.ECDSA(prehashed))
        else:
            scheme = padding.PSS(padding.MGF1(_SHA256), padding.PSS.AUTO)
            by.key.verify(signature, sha256, scheme, prehashed)
    except InvalidSignature:
        kind = "ECDSA" if isinstance(by.key, ec.EllipticCurvePublicKey) else "RSA-PSS"
        raise WrongSignatureError(
            f"not a {kind} signature with SHA-256 of these bytes"
        ) from None


def from_base64(text: str) -> bytes:
    """Return the bytes of a signature as OCPP carries it; line ends and blanks do not count.

    Raises:
        WrongSignatureError: it is no base64.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise WrongSignatureError("the signature is not base64") from None


# --- 3. the manifest ---


class Installed(Value, frozen=True):
    """What an image has to fit.

    Attributes:
        product: the station's model.
        hardware: revision of the hardware, empty when it has none: then only an image for
            all of them fits.
        version: of the firmware that runs, empty when unknown.
        allows_downgrade: an older version may be installed.
        most_bytes: of the payload.
    """

    product: str
    hardware: str = ""
    version: str = ""
    allows_downgrade: bool = False
    most_bytes: int = 1 << 30


def check_manifest(manifest: Manifest, station: Installed) -> None:
    """Check that an image is meant for a station.

    Raises:
        ImageError: it is not; its subclass says why.
    """
    if manifest.product != station.product:
        raise WrongProductError(f"it is for {manifest.product}, this is {station.product}")
    if "*" not in manifest.hardware and station.hardware not in manifest.hardware:
        fits = ", ".join(manifest.hardware)
        raise WrongHardwareError(
            f"it is for hardware {fits}, this is {station.hardware or '?'}"
        )
    if manifest.size > station.most_bytes:
        raise SizeError(f"{manifest.size} bytes; {station.most_bytes} are allowed")
    _check_version(manifest, station)


def _check_version(manifest: Manifest, station: Installed) -> None:
    present, new = manifests.order(station.version), manifests.order(manifest.version)
    if not station.allows_downgrade:
        if present is None or new is None:
            raise DowngradeError(f"{station.version!r}, which runs, cannot be compared")
        if new < present:
            raise DowngradeError(f"{manifest.version} is older than {station.version}")
    least = manifests.order(manifest.minimum_version or "0")
    if present is not None and least is not None and present < least:
        raise DowngradeError(f"{manifest.minimum_version} has to run before {manifest.version}")


# --- 4. the payload ---


def check_payload(manifest: Manifest, size: int, sha256: bytes) -> None:
    """Check that the payload is the one that the manifest names.

    Args:
        size: of everything behind the header, in bytes.
        sha256: of the same.

    Raises:
        SizeError: it is shorter or longer.
        DigestError: it is another.
    """
    if size != manifest.size:
        raise SizeError(f"the payload has {size} bytes, the manifest says {manifest.size}")
    if sha256.hex() != manifest.sha256:
        raise DigestError("the payload is not the one that the manifest names")
