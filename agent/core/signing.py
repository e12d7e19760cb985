"""The station's own certificate: asked for, taken, renewed, fallen back from.

The half of agent.core.certificates that is about the station's own (OCPP 2.0.1 A02, A03; 1.6
9.3). A request names its key; a new one replaces the one before it, and what comes for a
request that nobody waits for any more changes nothing. At most two are kept: the newest, and
the one before it to fall back on.

    trigger | expires soon ── MakeSigningRequest ──► SigningRequestMade
        ── CertificateSigningWanted ──► SigningAnswered ──► StationCertificateOffered
        ── KeepStationCertificate ──► CertificateKept | CertificateRefused
"""

from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import (
    CertificateSigningWanted,
    CertificateStatus,
    Done,
    DropKey,
    Effect,
    KeepStationCertificate,
    MakeSigningRequest,
    Reply,
    Verdict,
)
from agent.core.events import (
    DeadlinePassed,
    Event,
    LinkDown,
    LinkUp,
    MessageFailed,
    PowerUp,
    Registered,
    SecurityEventRaised,
    SecurityReconfigured,
    SigningAnswered,
    SigningRequestMade,
    StationCertificateChanged,
    StationCertificateOffered,
)
from agent.core.installed import (
    MOST_JOBS,
    Certificates,
    Pending,
    added,
    answer,
    removed,
)
from agent.core.trust import Certificate, CertificateKind
from agent.core.turn import Context, Turn

RENEW_BEFORE_S: Final = 30 * 86_400.0
"""The station's certificate is renewed a month before it expires (2.0.1 A03.FR.01)."""

LOOK_S: Final = 12 * 3600.0
"""How often it is looked at."""

PENDING_S: Final = 24 * 3600.0
"""How long a request waits for its certificate (1.6 reference, appendix B)."""

MOST_OWN: Final = 2
"""Certificates of the station: the newest and the one to fall back on."""

LONGEST_CSR: Final = 5500


def step(state: Certificates, event: Event, context: Context) -> Turn[Certificates]:
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


def triggered(state: Certificates, request_id: int, context: Context) -> Turn[Certificates]:
    """Begin, or refuse to begin, because the CSMS wants it (OCPP 2.0.1 A02)."""
    if not context.settings.text(variables.ORGANIZATION_NAME):
        missing = Done(
            Verdict.REJECTED, "MissingParam", "OrganizationName (CpoName) is not set"
        )
        return Turn(state, (Reply(request_id, missing),))
    turn = _begun(state, context)
    return Turn(turn.state, (Reply(request_id, Done(Verdict.ACCEPTED)), *turn.effects))


def offered(
    state: Certificates, event: StationCertificateOffered, context: Context
) -> Turn[Certificates]:
    """Have a chain looked at that the CSMS has signed, if one was asked for."""
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
    reply = answer(event.request_id, CertificateStatus.REJECTED, "InvalidCertificate", reason)
    return Turn(
        state, (reply,), (SecurityEventRaised("InvalidChargingStationCertificate", reason),)
    )


def kept(state: Certificates, certificate: Certificate, accepted: Reply) -> Turn[Certificates]:
    """Let the new certificate count, and keep an older one to fall back on."""
    pending = state.pending
    forgotten: tuple[Effect, ...] = (DropKey(pending.key_id),) if pending else ()
    state = added(replace(state, pending=None), certificate)
    own = sorted(state.of(CertificateKind.STATION), key=lambda one: -one.order)
    state, dropped = removed(state, tuple(own[MOST_OWN:]))
    raised = (
        SecurityReconfigured(f"station certificate {certificate.subject}"),
        StationCertificateChanged(),
    )
    return Turn(state, (accepted, *forgotten, *dropped), raised)


def refused(state: Certificates, reply: Reply, reason: str) -> Turn[Certificates]:
    """Give the request up: no automatic retry after a bad answer (2.0.1 A02.FR.20)."""
    raised = (SecurityEventRaised("InvalidChargingStationCertificate", reason),)
    forgotten = (DropKey(state.pending.key_id),) if state.pending else ()
    return Turn(replace(state, pending=None), (reply, *forgotten), raised)


def _linked(state: Certificates, event: LinkUp) -> Turn[Certificates]:
    """Take note of what works: what was newer and did not is not kept (2.0.1 M05.FR.13)."""
    state = replace(state, root=event.root)
    own = state.own(None)
    shown = next((one for one in own if one.fingerprint == event.certificate), None)
    if shown is None or own[0] is shown:
        return Turn(state)
    discarded = tuple(one for one in own if one.order > shown.order)
    state, dropped = removed(state, discarded)
    raised = tuple(
        SecurityEventRaised("DiscardedRenewedClientCertificate", one.subject)
        for one in discarded
    )
    return Turn(state, dropped, raised)


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
