"""Values about certificates: what the core knows of one, and how OCPP names it.

The core never sees a key or parses a certificate. Whoever does (agent.security) tells it these
facts; they are kept with the station's state, so that nothing needs to be parsed at a start.
"""

import enum
from typing import Final

from agent.core.values import Value

ALGORITHMS: Final = ("SHA256", "SHA384", "SHA512")
"""Hash algorithms of certificate hash data, the one we answer with first."""


class CertificateKind(enum.Enum):
    """What a certificate is installed for; the value names its directory."""

    CSMS_ROOT = "csms-roots"
    MANUFACTURER_ROOT = "manufacturer-roots"
    V2G_ROOT = "v2g-roots"
    MO_ROOT = "mo-roots"
    STATION = "station"


class HashData(Value, frozen=True):
    """How a message names a certificate (2.0.1 CertificateHashDataType, 1.6 the same).

    Attributes:
        algorithm: one of `ALGORITHMS`.
        issuer_name_hash, issuer_key_hash: lower-case hex.
        serial_number: lower-case hex without leading zeros.
    """

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str

    def same(self, other: "HashData") -> bool:
        """Tell whether both name the same, however they are spelled."""
        return self.spelled() == other.spelled()

    def spelled(self) -> tuple[str, str, str, str]:
        """Return the canonical spelling: lower case, no leading zeros in the number."""
        return (
            self.algorithm.upper(),
            self.issuer_name_hash.lower(),
            self.issuer_key_hash.lower(),
            self.serial_number.lower().lstrip("0") or "0",
        )


class Certificate(Value, frozen=True):
    """What the core knows of an installed certificate.

    Attributes:
        fingerprint: SHA-256 of its DER, lower-case hex; its name on the disk.
        subject: for people.
        hashes: one per algorithm of `ALGORITHMS`, in that order.
        not_before_s, not_after_s: UTC seconds.
        order: grows with each installation, from 1.
    """

    kind: CertificateKind
    fingerprint: str
    subject: str
    hashes: tuple[HashData, ...]
    not_before_s: float
    not_after_s: float
    order: int = 0

    @property
    def key(self) -> str:
        """Return the name under which it is kept: one certificate may be of two kinds."""
        return f"{self.kind.value}/{self.fingerprint}"
