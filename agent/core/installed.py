"""What is installed: the slice of agent.core.certificates, and how it grows and shrinks."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from agent.core.effects import (
    CertificateAnswer,
    CertificateStatus,
    DropCertificate,
    Effect,
    Reply,
)
from agent.core.trust import Certificate, CertificateKind
from agent.core.values import Value

MOST_JOBS: Final = 4
"""Certificates that may be looked at at a time; a CSMS has one request open, not many."""


class Pending(Value, frozen=True):
    """A request for a certificate that is not answered yet.

    Attributes:
        key_id: names its key.
        csr: PKCS#10 in PEM; empty until it is made.
        is_sent, is_accepted: as far as this link is concerned; as the CSMS said.
        repeats: how often it was sent again.
        until_s: when it is given up, monotonic seconds of this boot.
        resend_at_s: when it is sent again, monotonic seconds; None: not.
    """

    key_id: str
    csr: str = ""
    is_sent: bool = False
    is_accepted: bool = False
    repeats: int = 0
    until_s: float | None = None
    resend_at_s: float | None = None


class Certificates(Value, frozen=True):
    """The slice of this block.

    Attributes:
        installed: by `Certificate.key`.
        provisioned: sources that were taken from the configuration.
        pending: the request for a certificate of the station.
        jobs: kinds of the certificates that are being looked at, by request.
        root: fingerprint of the root that vouches for the CSMS on this link.
        look_at_s: when the station's certificate is looked at, monotonic seconds.
    """

    installed: Mapping[str, Certificate] = {}
    provisioned: Mapping[str, bool] = {}
    pending: Pending | None = None
    jobs: Mapping[int, CertificateKind] = {}
    root: str = ""
    look_at_s: float | None = None

    def of(self, kind: CertificateKind) -> tuple[Certificate, ...]:
        """Return the installed certificates of a kind, the newest installation first."""
        found = [one for one in self.installed.values() if one.kind is kind]
        return tuple(sorted(found, key=lambda one: -one.order))

    def own(self, at_s: float | None) -> tuple[Certificate, ...]:
        """Return the station's certificates that may be shown, the newest first.

        An expired one may still be tried, after all others: the CSMS decides (2.0.1 erratum
        A00.FR.430).
        """

        def rank(one: Certificate) -> tuple[bool, float, int]:
            is_expired = at_s is not None and one.not_after_s < at_s
            return is_expired, -one.not_before_s, -one.order

        return tuple(sorted(self.of(CertificateKind.STATION), key=rank))


def added(state: Certificates, certificate: Certificate) -> Certificates:
    """Return the slice with a certificate more, the newest installation."""
    order = max((one.order for one in state.installed.values()), default=0) + 1
    placed = replace(certificate, order=order)
    return replace(state, installed={**state.installed, placed.key: placed})


def removed(
    state: Certificates, dropped: tuple[Certificate, ...]
) -> tuple[Certificates, tuple[Effect, ...]]:
    """Return the slice without some certificates, and what is to be dropped from the disk."""
    if not dropped:
        return state, ()
    keys = {one.key for one in dropped}
    left = {key: one for key, one in state.installed.items() if key not in keys}
    asks = tuple(DropCertificate(one.kind, one.fingerprint) for one in dropped)
    return replace(state, installed=left), asks


def answer(
    request_id: int, status: CertificateStatus, reason: str = "", info: str = ""
) -> Reply:
    """Answer a request that is about certificates."""
    return Reply(request_id, CertificateAnswer(status, reason, info[:500]))
