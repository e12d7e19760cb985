"""Installed certificates and the station's own (OCPP 2.0.1 A02, A03, M03 to M05; 1.6 9.3, 9.4).

This block decides; it never sees a key and parses nothing. What has to be looked at, made or
written it asks for, and goes on when it is told (agent.runtime.keeper):

    RootOffered ── KeepRoot ──► CertificateKept | CertificateRefused ── Reply

The station's own certificate is in agent.core.signing, the slice in agent.core.installed.
A certificate counts from the commit that has it in this state, together with the reply that
says so. What to dial with agent.core.credentials chooses.
"""

from msgspec.structs import replace

from agent.core import signing, variables
from agent.core.effects import (
    CertificateAnswer,
    CertificateStatus,
    DropCertificate,
    Effect,
    KeepRoot,
    Reply,
)
from agent.core.events import (
    CertificateDeletionRequested,
    CertificateKept,
    CertificateRefused,
    CertificatesLost,
    CertificatesProvisioned,
    CertificatesRequested,
    Event,
    RootOffered,
    SecurityEventRaised,
    SecurityReconfigured,
    StationCertificateOffered,
    TriggerKind,
    TriggerRequested,
)
from agent.core.installed import (
    MOST_JOBS,
    Certificates,
    added,
    answer,
    removed,
)
from agent.core.trust import Certificate, CertificateKind
from agent.core.turn import Context, Turn


def deadline_s(state: Certificates) -> float | None:
    """Return when this block wants to be woken."""
    instants = [state.look_at_s]
    if state.pending is not None:
        instants += [state.pending.until_s, state.pending.resend_at_s]
    return min((instant for instant in instants if instant is not None), default=None)


def step(state: Certificates, event: Event, context: Context) -> Turn[Certificates]:
    """Advance the certificates by one event."""
    match event:
        case RootOffered():
            return _root_offered(state, event, context)
        case StationCertificateOffered():
            return signing.offered(state, event, context)
        case CertificateKept():
            return _kept(state, event, context)
        case CertificateRefused():
            return _refused(state, event)
        case CertificateDeletionRequested():
            return _deleted(state, event, context)
        case CertificatesRequested(request_id=request_id, kinds=kinds):
            return Turn(state, (Reply(request_id, _listed(state, kinds)),))
        case TriggerRequested(kind=TriggerKind.CERTIFICATE, request_id=request_id):
            return signing.triggered(state, request_id, context)
        case CertificatesProvisioned() | CertificatesLost():
            return Turn(_found(state, event))
        case _:
            return signing.step(state, event, context)


def _root_offered(
    state: Certificates, event: RootOffered, context: Context
) -> Turn[Certificates]:
    if len(state.jobs) >= MOST_JOBS:
        return Turn(state, (answer(event.request_id, CertificateStatus.FAILED, "Busy"),))
    signed_by = ""
    if event.kind is CertificateKind.CSMS_ROOT and context.settings.flag(variables.ROOT_CHECK):
        present = state.of(CertificateKind.CSMS_ROOT)
        signed_by = present[0].fingerprint if present else ""
    ask = KeepRoot(event.request_id, event.kind, event.pem, signed_by, context.now.wall_s)
    jobs = {**state.jobs, event.request_id: event.kind}
    return Turn(replace(state, jobs=jobs), (ask,))


def _kept(state: Certificates, event: CertificateKept, context: Context) -> Turn[Certificates]:
    """Let a certificate count that is on the disk, if there is room for it."""
    if event.request_id not in state.jobs:
        return Turn(state)
    kind = state.jobs[event.request_id]
    jobs = {key: value for key, value in state.jobs.items() if key != event.request_id}
    state, certificate = replace(state, jobs=jobs), event.certificate
    accepted = answer(event.request_id, CertificateStatus.ACCEPTED)
    if kind is CertificateKind.STATION:
        return signing.kept(state, certificate, accepted)
    if certificate.key in state.installed:
        return Turn(state, (accepted,))
    roots = [one for one in state.installed.values() if one.kind is not CertificateKind.STATION]
    capacity = context.settings.integer(variables.CERTIFICATE_CAPACITY)
    if len(roots) >= capacity:
        full = answer(
            event.request_id,
            CertificateStatus.REJECTED,
            "NoFreeSpace",
            f"{capacity} certificates are installed",
        )
        return Turn(state, (full, DropCertificate(kind, certificate.fingerprint)))
    state = added(state, certificate)
    dropped: tuple[Effect, ...] = ()
    if kind is CertificateKind.CSMS_ROOT and context.settings.flag(variables.ROOT_CHECK):
        # The one before the new one stays to fall back on, and no other (2.0.1 M05.FR.12).
        state, dropped = removed(state, state.of(CertificateKind.CSMS_ROOT)[2:])
    changed = SecurityReconfigured(f"{kind.value} {certificate.subject}")
    return Turn(state, (accepted, *dropped), (changed,))


def _refused(state: Certificates, event: CertificateRefused) -> Turn[Certificates]:
    if event.request_id not in state.jobs:
        return Turn(state)
    kind = state.jobs[event.request_id]
    jobs = {key: value for key, value in state.jobs.items() if key != event.request_id}
    state = replace(state, jobs=jobs)
    if event.is_failure:
        status, reason = CertificateStatus.FAILED, "InternalError"
    else:
        status, reason = CertificateStatus.REJECTED, "InvalidCertificate"
    reply = answer(event.request_id, status, reason, event.reason)
    if event.is_failure:
        return Turn(state, (reply,))
    if kind is CertificateKind.CSMS_ROOT:
        return Turn(
            state, (reply,), (SecurityEventRaised("InvalidCsmsCertificate", event.reason),)
        )
    if kind is CertificateKind.STATION:
        return signing.refused(state, reply, event.reason)
    return Turn(state, (reply,))


def _deleted(
    state: Certificates, event: CertificateDeletionRequested, context: Context
) -> Turn[Certificates]:
    found = [
        one
        for one in state.installed.values()
        if any(event.hash_data.same(hash_data) for hash_data in one.hashes)
    ]
    if not found:
        return Turn(state, (answer(event.request_id, CertificateStatus.NOT_FOUND),))
    reason = next(filter(None, (_needed(state, one, context) for one in found)), "")
    if reason:
        kept = answer(event.request_id, CertificateStatus.FAILED, "InUse", reason)
        return Turn(state, (kept,))
    state, dropped = removed(state, tuple(found))
    raised = tuple(
        SecurityReconfigured(f"removed {one.kind.value} {one.subject}") for one in found
    )
    accepted = answer(event.request_id, CertificateStatus.ACCEPTED)
    return Turn(state, (accepted, *dropped), raised)


def _needed(state: Certificates, certificate: Certificate, context: Context) -> str:
    """Return why a certificate must stay; empty when it need not."""
    if certificate.kind is CertificateKind.STATION:
        return "the station's own certificate is replaced, never deleted"
    if certificate.kind is not CertificateKind.CSMS_ROOT:
        return ""
    if certificate.fingerprint == state.root:
        return "the present link relies on it"
    is_last = len(state.of(CertificateKind.CSMS_ROOT)) == 1
    profile = context.settings.integer(variables.SECURITY_PROFILE)
    return "it is the last one of a CSMS" if is_last and profile > 1 else ""


def _listed(state: Certificates, kinds: tuple[CertificateKind, ...]) -> CertificateAnswer:
    wanted = kinds or tuple(
        kind for kind in CertificateKind if kind is not CertificateKind.STATION
    )
    found = tuple(one for kind in wanted for one in reversed(state.of(kind)))
    status = CertificateStatus.ACCEPTED if found else CertificateStatus.NOT_FOUND
    return CertificateAnswer(status, certificates=found)


def _found(
    state: Certificates, event: CertificatesProvisioned | CertificatesLost
) -> Certificates:
    if isinstance(event, CertificatesLost):
        left = {key: one for key, one in state.installed.items() if key not in event.keys}
        return replace(state, installed=left)
    for certificate in event.certificates:
        state = added(state, certificate)
    return replace(state, provisioned={**state.provisioned, event.source: True})
