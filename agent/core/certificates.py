"""Installed certificates and the station's own (OCPP 2.0.1 A02, A03, M03 to M05; 1.6 9.3, 9.4).

This block decides; it never sees a key and parses nothing. What has to be looked at, made or
written it asks for, and goes on when it is told (agent.runtime.keeper):

    RootOffered ── KeepRoot ──► CertificateKept | CertificateRefused ── Reply
    trigger ── MakeSigningRequest ──► SigningRequestMade ── CertificateSigningWanted
        ──► SigningAnswered ──► StationCertificateOffered ── KeepStationCertificate ──► …

A certificate counts from the commit that has it in this state, together with the reply that
says so. The station has at most two of its own: the newest, and the one before it to fall
back on. What to dial with agent.core.credentials chooses.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import (
    CertificateAnswer,
    CertificateSigningWanted,
    CertificateStatus,
    Done,
    DropCertificate,
    DropKey,
    Effect,
    KeepRoot,
    KeepStationCertificate,
    MakeSigningRequest,
    Reply,
    Verdict,
)
from agent.core.events import (
    CertificateDeletionRequested,
    CertificateKept,
    CertificateRefused,
    CertificatesLost,
    CertificatesProvisioned,
    CertificatesRequested,
    DeadlinePassed,
    Event,
    LinkDown,
    LinkUp,
    MessageFailed,
    PowerUp,
    Registered,
    RootOffered,
    SecurityEventRaised,
    SecurityReconfigured,
    SigningAnswered,
    SigningRequestMade,
    StationCertificateChanged,
    StationCertificateOffered,
    TriggerKind,
    TriggerRequested,
)
from agent.core.trust import Certificate, CertificateKind
from agent.core.turn import Context, Turn
from agent.core.values import Value

RENEW_BEFORE_S: Final = 30 * 86_400.0
"""The station's certificate is renewed a month before it expires (2.0.1 A03.FR.01)."""

LOOK_S: Final = 12 * 3600.0
"""How often it is looked at."""

PENDING_S: Final = 24 * 3600.0
"""How long a request waits for its certificate (1.6 reference, appendix B)."""

MOST_JOBS: Final = 4
"""Certificates that may be looked at at a time; a CSMS has one request open, not many."""

MOST_OWN: Final = 2
"""Certificates of the station: the newest and the one to fall back on."""

LONGEST_CSR: Final = 5500


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
            return _own_offered(state, event, context)
        case CertificateKept():
            return _kept(state, event, context)
        case CertificateRefused():
            return _refused(state, event)
        case CertificateDeletionRequested():
            return _deleted(state, event, context)
        case CertificatesRequested(request_id=request_id, kinds=kinds):
            return Turn(state, (Reply(request_id, _listed(state, kinds)),))
        case TriggerRequested(kind=TriggerKind.CERTIFICATE, request_id=request_id):
            return _triggered(state, request_id, context)
        case CertificatesProvisioned() | CertificatesLost():
            return Turn(_found(state, event))
        case _:
            return _signing(state, event, context)


def _signing(state: Certificates, event: Event, context: Context) -> Turn[Certificates]:
    """Advance the request for a certificate, and what depends on the link."""
    now_s = context.now.monotonic_s
    match event:
        case PowerUp():
            return Turn(_woken_up(state, now_s))
        case LinkUp():
            return _linked(state, event)
        case LinkDown():
            pending = state.pending and replace(state.pending, is_sent=False)
            return Turn(replace(state, root="", pending=pending))
        case Registered():
            return _looked(_sent(state), context)
        case SigningRequestMade() if _is_ours(state, event):
            return _made(state, event)
        case SigningAnswered() if state.pending is not None and state.pending.is_sent:
            return _answered(state, state.pending, event, context)
        case MessageFailed(message=CertificateSigningWanted()) if state.pending is not None:
            return _given_up(state, state.pending)
        case DeadlinePassed():
            return _woken(state, context)
        case _:
            return Turn(state)


# --- installing and removing ---


def _root_offered(
    state: Certificates, event: RootOffered, context: Context
) -> Turn[Certificates]:
    if len(state.jobs) >= MOST_JOBS:
        return Turn(state, (_reply(event.request_id, CertificateStatus.FAILED, "Busy"),))
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
    accepted = _reply(event.request_id, CertificateStatus.ACCEPTED)
    if kind is CertificateKind.STATION:
        return _own_kept(state, certificate, accepted)
    if certificate.key in state.installed:
        return Turn(state, (accepted,))
    roots = [one for one in state.installed.values() if one.kind is not CertificateKind.STATION]
    capacity = context.settings.integer(variables.CERTIFICATE_CAPACITY)
    if len(roots) >= capacity:
        full = _reply(
            event.request_id,
            CertificateStatus.REJECTED,
            "NoFreeSpace",
            f"{capacity} certificates are installed",
        )
        return Turn(state, (full, DropCertificate(kind, certificate.fingerprint)))
    state = _with(state, certificate)
    dropped: tuple[Effect, ...] = ()
    if kind is CertificateKind.CSMS_ROOT and context.settings.flag(variables.ROOT_CHECK):
        # The one before the new one stays to fall back on, and no other (2.0.1 M05.FR.12).
        state, dropped = _without(state, state.of(CertificateKind.CSMS_ROOT)[2:])
    changed = SecurityReconfigured(f"{kind.value} {certificate.subject}")
    return Turn(state, (accepted, *dropped), (changed,))


def _own_kept(
    state: Certificates, certificate: Certificate, accepted: Reply
) -> Turn[Certificates]:
    pending = state.pending
    forgotten: tuple[Effect, ...] = (DropKey(pending.key_id),) if pending else ()
    state = _with(replace(state, pending=None), certificate)
    own = sorted(state.of(CertificateKind.STATION), key=lambda one: -one.order)
    state, dropped = _without(state, tuple(own[MOST_OWN:]))
    raised = (
        SecurityReconfigured(f"station certificate {certificate.subject}"),
        StationCertificateChanged(),
    )
    return Turn(state, (accepted, *forgotten, *dropped), raised)


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
    reply = _reply(event.request_id, status, reason, event.reason)
    if event.is_failure:
        return Turn(state, (reply,))
    if kind is CertificateKind.CSMS_ROOT:
        return Turn(
            state, (reply,), (SecurityEventRaised("InvalidCsmsCertificate", event.reason),)
        )
    if kind is CertificateKind.STATION:
        return _own_refused(state, reply, event.reason)
    return Turn(state, (reply,))


def _own_refused(state: Certificates, reply: Reply, reason: str) -> Turn[Certificates]:
    """Give the request up: no automatic retry after a bad answer (2.0.1 A02.FR.20)."""
    raised = (SecurityEventRaised("InvalidChargingStationCertificate", reason),)
    forgotten = (DropKey(state.pending.key_id),) if state.pending else ()
    return Turn(replace(state, pending=None), (reply, *forgotten), raised)


def _deleted(
    state: Certificates, event: CertificateDeletionRequested, context: Context
) -> Turn[Certificates]:
    found = [
        one
        for one in state.installed.values()
        if any(event.hash_data.same(hash_data) for hash_data in one.hashes)
    ]
    if not found:
        return Turn(state, (_reply(event.request_id, CertificateStatus.NOT_FOUND),))
    reason = next(filter(None, (_needed(state, one, context) for one in found)), "")
    if reason:
        kept = _reply(event.request_id, CertificateStatus.FAILED, "InUse", reason)
        return Turn(state, (kept,))
    state, dropped = _without(state, tuple(found))
    raised = tuple(
        SecurityReconfigured(f"removed {one.kind.value} {one.subject}") for one in found
    )
    accepted = _reply(event.request_id, CertificateStatus.ACCEPTED)
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
        state = _with(state, certificate)
    return replace(state, provisioned={**state.provisioned, event.source: True})


def _with(state: Certificates, certificate: Certificate) -> Certificates:
    order = max((one.order for one in state.installed.values()), default=0) + 1
    placed = replace(certificate, order=order)
    return replace(state, installed={**state.installed, placed.key: placed})


def _without(
    state: Certificates, dropped: tuple[Certificate, ...]
) -> tuple[Certificates, tuple[Effect, ...]]:
    if not dropped:
        return state, ()
    keys = {one.key for one in dropped}
    left = {key: one for key, one in state.installed.items() if key not in keys}
    asks = tuple(DropCertificate(one.kind, one.fingerprint) for one in dropped)
    return replace(state, installed=left), asks


def _reply(
    request_id: int, status: CertificateStatus, reason: str = "", info: str = ""
) -> Reply:
    return Reply(request_id, CertificateAnswer(status, reason, info[:500]))


def _linked(state: Certificates, event: LinkUp) -> Turn[Certificates]:
    """Take note of what works: what was newer and did not is not kept (2.0.1 M05.FR.13)."""
    state = replace(state, root=event.root)
    own = state.own(None)
    shown = next((one for one in own if one.fingerprint == event.certificate), None)
    if shown is None or own[0] is shown:
        return Turn(state)
    discarded = tuple(one for one in own if one.order > shown.order)
    state, dropped = _without(state, discarded)
    raised = tuple(
        SecurityEventRaised("DiscardedRenewedClientCertificate", one.subject)
        for one in discarded
    )
    return Turn(state, dropped, raised)


# --- a certificate for the station ---


def _triggered(state: Certificates, request_id: int, context: Context) -> Turn[Certificates]:
    if not context.settings.text(variables.ORGANIZATION_NAME):
        missing = Done(
            Verdict.REJECTED, "MissingParam", "OrganizationName (CpoName) is not set"
        )
        return Turn(state, (Reply(request_id, missing),))
    turn = _begun(state, context)
    return Turn(turn.state, (Reply(request_id, Done(Verdict.ACCEPTED)), *turn.effects))


def _begun(state: Certificates, context: Context) -> Turn[Certificates]:
    """Ask for a key and its request; an earlier request leads to nothing any more."""
    text = context.settings.text
    forgotten = (DropKey(state.pending.key_id),) if state.pending else ()
    ask = MakeSigningRequest(
        key_id=context.fresh_id,
        common_name=text(variables.SERIAL_NUMBER),
        organization=text(variables.ORGANIZATION_NAME),
        algorithm=text(variables.KEY_ALGORITHM),
    )
    until_s = context.now.monotonic_s + PENDING_S
    pending = Pending(context.fresh_id, until_s=until_s)
    return Turn(replace(state, pending=pending), (*forgotten, ask))


def _is_ours(state: Certificates, event: SigningRequestMade) -> bool:
    return state.pending is not None and state.pending.key_id == event.key_id


def _made(state: Certificates, event: SigningRequestMade) -> Turn[Certificates]:
    if state.pending is None or not 0 < len(event.csr) <= LONGEST_CSR:
        return Turn(replace(state, pending=None), (DropKey(event.key_id),))
    pending = replace(state.pending, csr=event.csr)
    # Also before the CSMS has accepted the station, if it has asked for it (1.6 1.10).
    return _sent(replace(state, pending=pending))


def _sent(state: Certificates) -> Turn[Certificates]:
    """Send a request that this link has not seen and the CSMS has not accepted."""
    pending = state.pending
    if pending is None or not pending.csr or pending.is_sent or pending.is_accepted:
        return Turn(state)
    sent = replace(pending, is_sent=True, resend_at_s=None)
    return Turn(replace(state, pending=sent), (CertificateSigningWanted(pending.csr),))


def _answered(
    state: Certificates, pending: Pending, event: SigningAnswered, context: Context
) -> Turn[Certificates]:
    if not event.is_accepted:
        return _given_up(state, pending)
    integer = context.settings.integer
    resend_at_s = None
    if pending.repeats < integer(variables.SIGNING_REPEATS):
        wait_s = integer(variables.SIGNING_WAIT) * 2.0**pending.repeats
        resend_at_s = context.now.monotonic_s + wait_s
    pending = replace(pending, is_accepted=True, resend_at_s=resend_at_s)
    return Turn(replace(state, pending=pending))


def _given_up(state: Certificates, pending: Pending) -> Turn[Certificates]:
    """Forget a request that the CSMS does not take; the next trigger makes another."""
    return Turn(replace(state, pending=None), (DropKey(pending.key_id),))


def _own_offered(
    state: Certificates, event: StationCertificateOffered, context: Context
) -> Turn[Certificates]:
    pending, at_s = state.pending, context.now.wall_s
    longest = context.settings.integer(variables.CHAIN_LENGTH)
    if len(event.pem) > longest:
        reason = f"the chain has more than {longest} characters"
    elif pending is None or not pending.csr:
        reason = "no certificate was asked for"
    elif at_s is None:
        reason = "the time is not known, so no certificate can be judged"
    elif len(state.jobs) >= MOST_JOBS:
        reason = "too many certificates are being looked at"
    else:
        roots = tuple(one.fingerprint for one in state.of(CertificateKind.CSMS_ROOT))
        name = context.settings.text(variables.SERIAL_NUMBER)
        ask = KeepStationCertificate(
            event.request_id, event.pem, pending.key_id, name, roots, at_s
        )
        jobs = {**state.jobs, event.request_id: CertificateKind.STATION}
        return Turn(replace(state, jobs=jobs), (ask,))
    reply = _reply(event.request_id, CertificateStatus.REJECTED, "InvalidCertificate", reason)
    return Turn(
        state, (reply,), (SecurityEventRaised("InvalidChargingStationCertificate", reason),)
    )


def _woken_up(state: Certificates, now_s: float) -> Certificates:
    """Begin a boot: what was being looked at is asked again, a request waits on."""
    pending = state.pending
    if pending is not None:
        pending = replace(pending, is_sent=False, resend_at_s=None, until_s=now_s + PENDING_S)
        pending = pending if pending.csr else None
    return replace(state, pending=pending, jobs={}, root="", look_at_s=None)


def _woken(state: Certificates, context: Context) -> Turn[Certificates]:
    now_s, pending = context.now.monotonic_s, state.pending
    if pending is not None and pending.until_s is not None and now_s >= pending.until_s:
        return _given_up(state, pending)
    if pending is not None and pending.resend_at_s is not None and now_s >= pending.resend_at_s:
        again = replace(
            pending,
            is_sent=False,
            is_accepted=False,
            repeats=pending.repeats + 1,
            resend_at_s=None,
        )
        state = replace(state, pending=again)
        return _sent(state) if context.is_online else Turn(state)
    if state.look_at_s is not None and now_s >= state.look_at_s:
        return _looked(Turn(state), context)
    return Turn(state)


def _looked(turn: Turn[Certificates], context: Context) -> Turn[Certificates]:
    """Ask for a new certificate if the station's expires within a month (2.0.1 A03)."""
    state, now_s = turn.state, context.now.monotonic_s
    if state.look_at_s is not None and now_s < state.look_at_s:
        return turn
    wall_s, own = context.now.wall_s, state.of(CertificateKind.STATION)
    if not own or wall_s is None:
        return Turn(replace(state, look_at_s=None), turn.effects)
    state = replace(state, look_at_s=now_s + LOOK_S)
    expires_s = max(one.not_after_s for one in own)
    is_possible = bool(context.settings.text(variables.ORGANIZATION_NAME))
    if state.pending is not None or expires_s - wall_s > RENEW_BEFORE_S or not is_possible:
        return Turn(state, turn.effects)
    begun = _begun(state, context)
    return Turn(begun.state, (*turn.effects, *begun.effects))
