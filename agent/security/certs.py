"""Certificates as bytes: what they say, whether they are any good, and requests for new ones.

Everything that comes from outside is bounded before it is parsed, and whatever is wrong with
it is one exception with a reason. Nothing here knows the time or opens a file.

This module imports `cryptography`: it is itself imported only when a certificate is touched.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.core.trust import ALGORITHMS, Certificate, CertificateKind, HashData

LONGEST_PEM: Final = 100_000
"""Bytes of a file or message with certificates."""

LONGEST_CHAIN: Final = 8
"""Certificates in one chain; OCPP's 10,000 characters hold about seven."""

LEAST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 8192
"""A longer key only costs time (a forged certificate names one of a million bits)."""

LEAST_EC_BITS: Final = 224
"""1.6 security whitepaper and 2.0.1 A00.FR.507 name 224 bits."""

_E = TypeVar("_E", bound=x509.ExtensionType)

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_HASHES: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension)


class CertificateError(Exception):
    """A certificate, key or chain cannot be used; the text says why and holds no secret."""


def chain(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates in a text, in its order; at least one.

    Raises:
        CertificateError: it holds none, too many, or something that is no certificate.
    """
    if len(pem) > LONGEST_PEM:
        raise CertificateError(f"longer than {LONGEST_PEM} bytes")
    begun = pem.count(b"-----BEGIN ")
    if pem.count(b"-----BEGIN CERTIFICATE-----") != begun or not begun:
        raise CertificateError("it must hold certificates in PEM and nothing else")
    try:
        found = x509.load_pem_x509_certificates(pem)
        for certificate in found:
            # Parsed when asked for: what is wrong shows now, and not later.
            _ = certificate.extensions, certificate.subject, certificate.issuer
            _ = certificate.public_key(), certificate.not_valid_after_utc
    except _UNREADABLE as error:
        raise CertificateError(f"not a certificate in PEM: {error}") from None
    if len(found) != begun:
        raise CertificateError("it holds a certificate that is cut off")
    return found


def single(pem: bytes) -> x509.Certificate:
    """Return the one certificate in a text.

    Raises:
        CertificateError: it holds none, more than one, or something else after it.
    """
    found = chain(pem)
    if len(found) != 1:
        raise CertificateError("it must hold one certificate")
    if pem.strip().splitlines()[-1].strip() != b"-----END CERTIFICATE-----":
        raise CertificateError("something follows the certificate")
    return found[0]


def facts(
    certificate: x509.Certificate, kind: CertificateKind, issuer: x509.Certificate | None = None
) -> Certificate:
    """Return what the core needs to know of a certificate.

    Args:
        issuer: whose key counts in the hash data; None: its own, as for a root.
    """
    key_bits = _public_key_bits(issuer or certificate)
    name = certificate.issuer.public_bytes()
    number = format(certificate.serial_number, "x")
    told = tuple(
        HashData(algorithm, _digest(algorithm, name), _digest(algorithm, key_bits), number)
        for algorithm in ALGORITHMS
    )
    return Certificate(
        kind=kind,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        subject=certificate.subject.rfc4514_string()[:200],
        hashes=told,
        not_before_s=certificate.not_valid_before_utc.timestamp(),
        not_after_s=certificate.not_valid_after_utc.timestamp(),
    )


def to_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def check_root(certificate: x509.Certificate, at_s: float | None) -> None:
    """Refuse what must not be trusted as a root.

    Args:
        at_s: UTC seconds; None leaves the dates alone.

    Raises:
        CertificateError: it is no CA, its key is weak, or it is not valid now.
    """
    if not _is_authority(certificate):
        raise CertificateError("it is not a CA certificate")
    check_key(certificate.public_key())
    if at_s is not None:
        check_dates(certificate, at_s)


def check_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Refuse a certificate that this one has not issued.

    Raises:
        CertificateError: another one has.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        issuer_name = issuer.subject.rfc4514_string()[:100]
        raise CertificateError(f"it is not signed by {issuer_name}") from None


def check_station(
    found: Sequence[x509.Certificate],
    *,
    key: PrivateKey,
    common_name: str,
    roots: Iterable[x509.Certificate],
    at_s: float,
) -> None:
    """Refuse a chain that does not prove who the station is (2.0.1 A02.FR.06, 1.6 9.3).

    Args:
        found: the station's certificate, then its intermediates.
        key: for which it was asked.
        common_name: the station's serial number.
        roots: of the CSMS; one of them has to have issued the last of the chain.
        at_s: UTC seconds.

    Raises:
        CertificateError: anything that the CSMS would have to refuse.
    """
    leaf = found[0]
    check_pair(leaf, key)
    check_key(leaf.public_key())
    check_name(leaf, common_name)
    if not _text_of(leaf, NameOID.ORGANIZATION_NAME):
        raise CertificateError("it names no organization")
    if _is_authority(leaf):
        raise CertificateError("it is a CA certificate")
    usage = _extension(leaf, x509.ExtendedKeyUsage)
    if usage is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise CertificateError("its extended key usage does not allow a client")
    _check_path(found, list(roots), at_s)


def _check_path(
    found: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], at_s: float
) -> None:
    """Walk from the station's certificate to a root; each step is signed by the next."""
    if len(found) > LONGEST_CHAIN:
        raise CertificateError(f"its chain has more than {LONGEST_CHAIN} certificates")
    rest, present = list(found[1:]), found[0]
    check_dates(present, at_s)
    for below in range(LONGEST_CHAIN):
        if any(_issued(root, present, below, at_s) for root in roots):
            return
        above = next((one for one in rest if _issued(one, present, below, at_s)), None)
        if above is None:
            break
        rest.remove(above)
        present = above
    raise CertificateError("no installed CSMS root has issued it")


def _issued(
    issuer: x509.Certificate, certificate: x509.Certificate, below: int, at_s: float
) -> bool:
    """Tell whether a CA that is valid now has issued a certificate.

    Args:
        below: how many CAs there are between the issuer and the station's certificate.
    """
    try:
        check_root(issuer, at_s)
        check_signed_by(certificate, issuer)
    except CertificateError:
        return False
    basic = _extension(issuer, x509.BasicConstraints)
    length = basic.path_length if basic is not None else None
    return length is None or length >= below


def check_key(key: object) -> None:
    """Refuse a public key that is too weak, or of a kind that OCPP does not name.

    Raises:
        CertificateError: saying what is allowed.
    """
    match key:
        case rsa.RSAPublicKey() if LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
            return
        case ec.EllipticCurvePublicKey() if key.key_size >= LEAST_EC_BITS:
            return
        case _:
            allowed = f"RSA of {LEAST_RSA_BITS} bits or EC of {LEAST_EC_BITS} bits and more"
            raise CertificateError(f"its key must be {allowed}")


def new_key(algorithm: str) -> PrivateKey:
    """Return a new private key; "RSA-2048", or EC on P-256 for anything else."""
    if algorithm == "RSA-2048":
        return rsa.generate_private_key(65_537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def key_to_pem(key: PrivateKey) -> bytes:
    """Return a private key for the keystore."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def key_of(pem: bytes) -> PrivateKey:
    """Return the private key in a text.

    Raises:
        CertificateError: it is none, it is encrypted, or of a kind that TLS does not need.
    """
    if len(pem) > LONGEST_PEM:
        raise CertificateError(f"longer than {LONGEST_PEM} bytes")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except _UNREADABLE:
        raise CertificateError("not a private key in PEM that is not encrypted") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError("the key must be of EC or RSA")
    return key


def public_bytes(key: object) -> bytes:
    """Return a public key in a form that can be compared."""
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise CertificateError("the key must be of EC or RSA")
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def check_pair(certificate: x509.Certificate, key: PrivateKey) -> None:
    """Refuse a key that is not the certificate's.

    Raises:
        CertificateError: they do not belong together.
    """
    if public_bytes(certificate.public_key()) != public_bytes(key.public_key()):
        raise CertificateError("the certificate does not belong to the private key")


def signing_request(key: PrivateKey, *, common_name: str, organization: str) -> str:
    """Return a request for a certificate, PKCS#10 in PEM (2.0.1 A02.FR.02, 1.6 9.3)."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    made = request.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def expiry_text(certificate: x509.Certificate) -> str:
    """Return the last day of a certificate, for people."""
    return certificate.not_valid_after_utc.date().isoformat()


def check_name(certificate: x509.Certificate, common_name: str) -> None:
    """Refuse a certificate of another station.

    Raises:
        CertificateError: its common name is not the serial number.
    """
    if _text_of(certificate, NameOID.COMMON_NAME) != [common_name]:
        raise CertificateError("its common name is not the serial number of this station")


def check_dates(certificate: x509.Certificate, at_s: float) -> None:
    """Refuse a certificate that is not valid at an instant, UTC seconds.

    Raises:
        CertificateError: it has expired, or begins later.
    """
    at = dt.datetime.fromtimestamp(at_s, dt.UTC)
    if certificate.not_valid_after_utc < at:
        raise CertificateError(f"it expired on {expiry_text(certificate)}")
    if certificate.not_valid_before_utc > at:
        begins = certificate.not_valid_before_utc.date().isoformat()
        raise CertificateError(f"it is not valid before {begins}")


def _is_authority(certificate: x509.Certificate) -> bool:
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    return basic is not None and basic.ca and (usage is None or usage.key_cert_sign)


def _extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _text_of(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(item.value) for item in certificate.subject.get_attributes_for_oid(oid)]


def _digest(algorithm: str, content: bytes) -> str:
    digest = hashes.Hash(_HASHES[algorithm]())
    digest.update(content)
    return digest.finalize().hex()


def _public_key_bits(certificate: x509.Certificate) -> bytes:
    """Return the content of the BIT STRING in the public key (1.6 reference, appendix C)."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = serialization.PublicFormat.UncompressedPoint
        return key.public_bytes(serialization.Encoding.X962, point)
    raise CertificateError("the key must be of EC or RSA")
