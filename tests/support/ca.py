"""A certificate authority for tests: real keys, real certificates, and every way to be wrong.

ca = Authority("root")
server = ca.issue("csms", names=["localhost"])
server.write(directory, "csms")        # csms.pem (with its chain), csms.key
"""

import datetime as dt
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.bench.keeper import wall_s

DAY_S = 86_400.0


def instant(days: float, now_s: float | None = None) -> dt.datetime:
    """Return an instant so many days from now."""
    base = wall_s() if now_s is None else now_s
    return dt.datetime.fromtimestamp(base + days * DAY_S, dt.UTC)


def _name(common_name: str, organization: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def new_key(kind: str = "P-256") -> Any:
    """Return a key: P-256, P-192 (too small), RSA-2048 or RSA-1024 (too small)."""
    match kind:
        case "P-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-192":
            return ec.generate_private_key(ec.SECP192R1())
        case "RSA-2048":
            return rsa.generate_private_key(65_537, 2048)
        case "RSA-1024":
            return rsa.generate_private_key(65_537, 1024)  # noqa: S505  # too small on purpose
        case _:
            raise AssertionError(kind)


class Issued:
    """A certificate, its key, and what it has to show besides.

    Attributes:
        chain: PEM of the certificate and of the intermediates below the root.
    """

    def __init__(self, certificate: x509.Certificate, key: Any, above: str = "") -> None:
        self.certificate, self.key = certificate, key
        self.chain = self.pem + above

    @property
    def pem(self) -> str:
        """Return the certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """Return the key, not encrypted."""
        return self.key.private_bytes(  # type: ignore[no-any-return]
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @property
    def fingerprint(self) -> str:
        """Return SHA-256 of the DER."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def write(self, directory: Path, name: str) -> Path:
        """Write NAME.pem with the chain and NAME.key; return the former."""
        path = directory / f"{name}.pem"
        path.write_text(self.chain)
        secret = directory / f"{name}.key"
        secret.write_text(self.key_pem)
        secret.chmod(0o600)
        return path


class Authority(Issued):
    """Issues certificates; self-signed, or an intermediate of another."""

    def __init__(
        self, name: str = "root", above: "Authority | None" = None, **options: Any
    ) -> None:
        options = {"is_ca": True, **options}
        if above is None:
            key = options.pop("key", None) or new_key(options.pop("kind", "P-256"))
            subject = _name(name, options.pop("organization", None))
            certificate = _built(subject, subject, key.public_key(), key, key, **options)
            super().__init__(certificate, key)
        else:
            made = above.issue(name, **options)
            super().__init__(made.certificate, made.key, above.chain if above.above else "")
        self.above = above
        self._revoked: list[int] = []

    def issue(
        self,
        name: str,
        *,
        organization: str | None = None,
        key: Any = None,
        kind: str = "P-256",
        **options: Any,
    ) -> Issued:
        """Issue a certificate.

        Args:
            key: the subject's key, private or public; None makes one of `kind`.
            options: see `_built`.
        """
        key = key or new_key(kind)
        public = key.public_key() if hasattr(key, "public_key") else key
        certificate = _built(
            _name(name, organization),
            self.certificate.subject,
            public,
            self.key,
            self.key,
            **options,
        )
        return Issued(certificate, key, self.chain if self.above else "")

    def sign(
        self, csr_pem: str, *, organization: str | None = "Example CPO", **options: Any
    ) -> Issued:
        """Issue what a signing request asks for; `name` and `key` may be given instead."""
        request = x509.load_pem_x509_csr(csr_pem.encode())
        (name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        options = {"name": str(name.value), "key": request.public_key(), **options}
        return self.issue(organization=organization, **options)

    def revoke(self, issued: Issued) -> str:
        """Revoke a certificate; return the list of all that are revoked, as PEM."""
        self._revoked.append(issued.certificate.serial_number)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(instant(-1))
            .next_update(instant(30))
        )
        for number in self._revoked:
            revoked = x509.RevokedCertificateBuilder().serial_number(number)
            builder = builder.add_revoked_certificate(
                revoked.revocation_date(instant(-1)).build()
            )
        made = builder.sign(self.key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()


def _built(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: Any,
    issuer_key: Any,
    signing_key: Any,
    *,
    names: list[str] | None = None,
    is_ca: bool | None = False,
    begins: float = -1.0,
    ends: float = 30.0,
    serial: int | None = None,
    now_s: float | None = None,
    path_length: int | None = None,
    usage: str | None = None,
    algorithm: Any = hashes.SHA256(),  # noqa: B008  # a value
) -> x509.Certificate:
    """Return a certificate.

    Args:
        names: subjectAltName, host names and addresses.
        is_ca: None leaves basicConstraints out.
        begins, ends: days from now.
        usage: extended key usage, "client" or "server".
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(instant(begins, now_s))
        .not_valid_after(instant(ends, now_s))
    )
    key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(key_id, critical=False)
    builder = builder.add_extension(authority_id, critical=False)
    if is_ca is not None:
        basic = x509.BasicConstraints(is_ca, path_length)
        builder = builder.add_extension(basic, critical=True)
    if usage is not None:
        purposes = {
            "client": ExtendedKeyUsageOID.CLIENT_AUTH,
            "server": ExtendedKeyUsageOID.SERVER_AUTH,
        }
        extended = x509.ExtendedKeyUsage([purposes[usage]])
        builder = builder.add_extension(extended, critical=False)
    if names:
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(signing_key, algorithm)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
