"""Keys and certificates of a manufacturer, in files that nobody else reads."""

import datetime as dt
import os
import stat
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ALGORITHMS: Final = ("ec-p256", "ec-p384", "rsa-3072")
ROOT_DAYS, SIGNER_DAYS = 20 * 365, 3 * 365
OF_OTHERS: Final = 0o077
_BEFORE: Final = dt.timedelta(hours=1)
"""Certificates are valid from a little before: clocks of stations are not all right."""


class KeyFileError(Exception):
    """A key or certificate cannot be written, read or used."""


def generate(algorithm: str) -> PrivateKey:
    """Return a new private key."""
    match algorithm:
        case "ec-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ec-p384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return rsa.generate_private_key(65_537, 3072)


def make_pair(
    directory: Path, algorithm: str, now: dt.datetime, *, name: str, passphrase: bytes | None
) -> tuple[Path, ...]:
    """Write `root.key root.pem signing.key signing.pem`; return their paths.

    Raises:
        KeyFileError: one of them is there already, or cannot be written.
    """
    paths = tuple(
        directory / file for file in ("root.key", "root.pem", "signing.key", "signing.pem")
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in paths:
        if path.exists():
            raise KeyFileError(f"{path} is there already, and no key is ever overwritten")
    root_key, signing_key = generate(algorithm), generate(algorithm)
    root = _root(root_key, f"{name} root", now)
    signing = _signing(signing_key, f"{name} firmware signing", root_key, root, now)
    contents = (
        _key_pem(root_key, passphrase),
        root.public_bytes(serialization.Encoding.PEM),
        _key_pem(signing_key, passphrase),
        signing.public_bytes(serialization.Encoding.PEM),
    )
    for path, content in zip(paths, contents, strict=True):
        write_new(path, content, 0o600 if path.suffix == ".key" else 0o644)
    return paths


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet; its mode is right from its first byte on.

    Raises:
        KeyFileError: it cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None


def read_key(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Return a private key from its PEM file.

    Raises:
        KeyFileError: it is none, others can read it, or the passphrase is not its.
    """
    content = _private(path)
    try:
        key = serialization.load_pem_private_key(content, passphrase)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path}: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KeyFileError(f"{path}: an EC or RSA key is expected")
    return key


def is_encrypted(path: Path) -> bool:
    """Tell whether a key file wants a passphrase.

    Raises:
        KeyFileError: it cannot be read, or others can read it.
    """
    return b"ENCRYPTED" in _private(path)


def _private(path: Path) -> bytes:
    """Return what is in a file that only its owner may read.

    As with ssh, the files of other owners are their business: a build machine may lend one.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    mode = stat.S_IMODE(status.st_mode)
    if mode & OF_OTHERS and status.st_uid == os.getuid():
        raise KeyFileError(f"{path} is open to others (mode {mode:04o}): chmod 600 {path}")
    return content


def _key_pem(key: PrivateKey, passphrase: bytes | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def _root(key: PrivateKey, name: str, now: dt.datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, subject, key, now, ROOT_DAYS)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(key, hashes.SHA256())
    )


def _signing(
    key: PrivateKey, name: str, root_key: PrivateKey, root: x509.Certificate, now: dt.datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, root.subject, key, now, SIGNER_DAYS)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    code = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(code, critical=False)
        .add_extension(issuer, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*named: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in named for name in names})
