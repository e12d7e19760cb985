"""Certificates of the configuration on their way into the certificate directory.

A file that `[security]` names is copied once, known by what it holds: if the CSMS removes the
certificate later it stays removed, and a file with another content is new. Afterwards the
configuration's files are not used any more.

Nothing here imports `cryptography` unless there is something new.
"""

import hashlib
from collections.abc import Iterable, Mapping

from agent.core.events import CertificatesProvisioned
from agent.core.trust import Certificate, CertificateKind
from agent.security.keystore import Keystore
from hal.types import Value


class ProvisioningError(Exception):
    """A file of the configuration cannot be used; the text names it and says why."""


class Source(Value, frozen=True):
    """A file that the configuration names.

    Attributes:
        place: its name, for people.
        key: the private key that belongs to the station's certificate.
    """

    kind: CertificateKind
    place: str
    pem: bytes
    key: bytes = b""

    @property
    def digest(self) -> str:
        """Return what tells this content from any other."""
        return hashlib.sha256(self.kind.value.encode() + self.pem + self.key).hexdigest()

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"Source({self.kind.value}, {self.place})"


def provisioned(
    sources: Iterable[Source], known: Mapping[str, bool], keystore: Keystore
) -> list[CertificatesProvisioned]:
    """Copy what is new into the directory; return the events that make it count.

    Raises:
        ProvisioningError: a file does not hold what it should.
        OSError: the directory cannot be written.
    """
    return [
        CertificatesProvisioned(source.digest, _imported(source, keystore))
        for source in sources
        if source.digest not in known
    ]


def recovered(keystore: Keystore) -> list[CertificatesProvisioned]:
    """Return the events that make everything in the directory count again.

    For a station whose state is lost, and which would be alone without its certificates.
    What cannot be read is left out.
    """
    found = keystore.files()
    if not found:
        return []
    from agent.security import certs  # noqa: PLC0415

    certificates: list[Certificate] = []
    for kind, path in found:
        try:
            certificates.append(certs.facts(certs.chain(path.read_bytes())[0], kind))
        except (certs.CertificateError, OSError):
            continue
    return [CertificatesProvisioned("recovered", tuple(certificates))]


def _imported(source: Source, keystore: Keystore) -> tuple[Certificate, ...]:
    from agent.security import certs  # noqa: PLC0415

    try:
        chain = certs.chain(source.pem)
        if source.kind is CertificateKind.STATION:
            certs.check_pair(chain[0], certs.key_of(source.key))
            own = certs.facts(chain[0], source.kind)
            keystore.keep_station(own.fingerprint, source.pem, source.key)
            return (own,)
        found = tuple(certs.facts(root, source.kind) for root in chain)
        for root, certificate in zip(chain, found, strict=True):
            certs.check_root(root, None)
            keystore.keep(source.kind, certificate.fingerprint, certs.to_pem(root))
    except certs.CertificateError as error:
        raise ProvisioningError(f"{source.place}: {error}") from error
    return found
