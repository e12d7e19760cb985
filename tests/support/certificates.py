"""A station whose certificates are looked at: shared by the tests of what is installed."""

from agent.core import variables
from agent.core.effects import (
    CertificateAnswer,
    CertificateStatus,
    Effect,
    SecurityEvent,
    SecurityLogged,
)
from agent.core.events import (
    CertificateKept,
    CertificatesProvisioned,
    RootOffered,
)
from agent.core.trust import Certificate, CertificateKind
from tests.support.core import Bench, certificate_of

CSMS, MANUFACTURER = CertificateKind.CSMS_ROOT, CertificateKind.MANUFACTURER_ROOT
STATION = CertificateKind.STATION


def online(**settings: str) -> Bench:
    """Return a station of an operator with a name."""
    name = variables.ORGANIZATION_NAME.name
    return Bench(**{name: "Example CPO", **settings}).ready()


def told(bench: Bench) -> list[tuple[str, str]]:
    return [(item.type, item.tech_info) for item in bench.told_records(SecurityEvent)]


def logged(effects: list[Effect]) -> list[str]:
    return [item.tech_info for item in effects if isinstance(item, SecurityLogged)]


def answer(bench: Bench, request_id: int) -> CertificateAnswer:
    outcome = bench.reply(request_id)
    assert isinstance(outcome, CertificateAnswer)
    return outcome


def status(bench: Bench, request_id: int) -> CertificateStatus:
    return answer(bench, request_id).status


def install(
    bench: Bench, request_id: int, name: str, kind: CertificateKind = CSMS
) -> CertificateStatus:
    """Offer a root that is one; return what becomes of it."""
    bench.post(RootOffered(request_id, kind, name))
    bench.post(CertificateKept(request_id, certificate_of(name, kind)))
    return status(bench, request_id)


def provision(bench: Bench, *certificates: Certificate) -> None:
    bench.post(CertificatesProvisioned(f"source {certificates[0].key}", certificates))


def installed(bench: Bench, kind: CertificateKind = CSMS) -> list[str]:
    """Return what is installed, the newest first."""
    return [one.fingerprint for one in bench.station.certificates.of(kind)]
