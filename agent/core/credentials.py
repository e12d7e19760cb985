"""What the station dials with: security profile, password, certificate, roots.

The configuration names these for each network profile; the CSMS may change them while the
station runs, and must not lock it out by that. So a change is on trial until a link with it
comes to be, and what worked before is kept until then:

* A new **password** is presented first. If it is refused, the one before it is, then the
  configured one, then the new one again: a CSMS may take minutes to know it (1.6 reference
  11, 9). The older one is forgotten when the new one has worked (2.0.1 A01).
* A new **certificate** is presented first, the older one after a refusal. Which of them
  count, agent.core.certificates says; that it discards the refused one is its business too.
* A raised **security profile** that brings no link in three dials is taken back (1.6 A05).
  It can only be raised: a configured profile below it is dialed as if it had it.

Everything that changes here survives a power cut, a trial included.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.events import (
    CredentialOffered,
    DialFailed,
    DialRefusal,
    Event,
    LinkDown,
    LinkUp,
    PowerUp,
    RedialWanted,
    SecurityReconfigured,
    StationCertificateChanged,
)
from agent.core.trust import Certificate
from agent.core.turn import Turn
from agent.core.values import Value
from agent.core.variables import Refusal, Settings, Variable

TRIAL_DIALS: Final = 3
"""Dials without a link after which a raised security profile is taken back."""

CERTIFICATE_PROFILE: Final = 3
_PASSWORD_PROFILES: Final = frozenset({1, 2})
_TLS_PROFILE: Final = 2


class Network(Value, frozen=True):
    """What the configuration says of a network profile.

    Attributes:
        security_profile: 0 to 3.
        has_password: there is one for it.
    """

    security_profile: int = 0
    has_password: bool = False


class Trial(Value, frozen=True):
    """A security profile that has not brought a link yet.

    Attributes:
        previous: the one before it; None: as configured.
        failures: dials so far.
    """

    previous: int | None
    failures: int = 0


class Changed(Value, frozen=True):
    """What was changed over OCPP or locally, and survives.

    Attributes:
        security_profile: None: as configured.
        password: canonical (`variables.checked`); "" for the configured one.
        older_password: the one before, until the new one has worked; None: no change.
    """

    security_profile: int | None = None
    password: str = ""
    older_password: str | None = None
    trial: Trial | None = None


class Credentials(Value, frozen=True):
    """The slice of this block.

    Attributes:
        networks: by index of the network profile.
        refusals: dials whose credentials were refused since the last link.
        mistrusts: dials to servers that were not trusted since the last link.
        linked: security profile of the present link; None without one.
    """

    networks: tuple[Network, ...] = ()
    changed: Changed = Changed()
    refusals: int = 0
    mistrusts: int = 0
    linked: int | None = None

    def security_profile(self, network: int) -> int:
        """Return the security profile that a network profile is dialed with."""
        configured = self.network(network).security_profile
        return max(configured, self.changed.security_profile or 0)

    def network(self, index: int) -> Network:
        """Return what the configuration says of a network profile."""
        return self.networks[index] if index < len(self.networks) else Network()

    def passwords(self, network: int) -> tuple[str, ...]:
        """Return the passwords to try, in this order; "" is the configured one."""
        changed, has_own = self.changed, self.network(network).has_password
        wanted = (changed.password, changed.older_password, "")
        usable = (one for one in wanted if one or (one == "" and has_own))
        return tuple(dict.fromkeys(usable)) or ("",)


class Presented(Value, frozen=True):
    """What to dial with now.

    Attributes:
        password: canonical; "" is the configured one.
        certificate: fingerprint of the station's certificate; "" for none.
        roots: fingerprints of the CSMS roots to trust.
    """

    security_profile: int
    password: str
    certificate: str
    roots: tuple[str, ...]


def presented(
    state: Credentials,
    network: int,
    *,
    own: Sequence[Certificate],
    trusted: Sequence[Certificate],
    settings: Settings,
) -> Presented:
    """Return what to dial a network profile with.

    Args:
        own: the station's certificates, the first to show first.
        trusted: roots of the CSMS, the newest first.
    """
    passwords = state.passwords(network)
    roots = [one.fingerprint for one in trusted]
    if settings.flag(variables.ROOT_CHECK) and roots:
        # The new root by itself; the one before it only when that fails (2.0.1 M05.FR.14).
        roots = [roots[state.mistrusts % len(roots)]]
    return Presented(
        security_profile=state.security_profile(network),
        password=passwords[state.refusals % len(passwords)],
        certificate=own[state.refusals % len(own)].fingerprint if own else "",
        roots=tuple(roots),
    )


def refusal(
    state: Credentials,
    variable: Variable,
    value: str,
    *,
    own: Sequence[Certificate],
    trusted: Sequence[Certificate],
    at_s: float | None,
) -> Refusal | None:
    """Return why a canonical value cannot be taken now, None if it can (1.6 9.2).

    Args:
        own, trusted: see `presented`.
        at_s: the station's time, UTC seconds, None while it is unknown.
    """
    if variable is not variables.SECURITY_PROFILE:
        return None
    wanted, present = int(value), _present(state)
    if wanted <= present:
        return Refusal("NotAllowed", f"above {present}: a security profile is only raised")
    has_password = bool(state.changed.password) or any(
        network.has_password for network in state.networks
    )
    if wanted in _PASSWORD_PROFILES and not has_password:
        return Refusal("MissingDevModelInfo", "a password (AuthorizationKey) is needed first")

    if wanted >= _TLS_PROFILE and not _has_valid(trusted, at_s):
        return Refusal("NoRootCertificate", "a root certificate of the CSMS is needed first")
    if wanted == CERTIFICATE_PROFILE and not _has_valid(own, at_s):
        return Refusal("NoCertificate", "a certificate of the station is needed first")
    return None


def _has_valid(certificates: Sequence[Certificate], at_s: float | None) -> bool:
    return any(at_s is None or one.not_after_s >= at_s for one in certificates)


def _present(state: Credentials) -> int:
    """Return the security profile in force: of the link, or else of the first network."""
    return state.security_profile(0) if state.linked is None else state.linked


def step(state: Credentials, event: Event) -> Turn[Credentials]:
    """Advance what the station dials with by one event."""
    match event:
        case PowerUp():
            return Turn(replace(state, refusals=0, mistrusts=0, linked=None))
        case CredentialOffered(name=variables.PASSWORD.name, value=value):
            return _password(state, value)
        case CredentialOffered(name=variables.SECURITY_PROFILE.name, value=value):
            return _raised(state, int(value))
        case StationCertificateChanged() if state.linked == CERTIFICATE_PROFILE:
            redial = RedialWanted("the station has a new certificate")
            return Turn(replace(state, refusals=0), (), (redial,))
        case StationCertificateChanged():
            return Turn(replace(state, refusals=0))
        case LinkUp():
            return _linked(state, event)
        case LinkDown():
            return Turn(replace(state, linked=None))
        case DialFailed():
            return _failed(state, event)
        case _:
            return Turn(state)


def _password(state: Credentials, value: str) -> Turn[Credentials]:
    if value == state.changed.password:
        return Turn(state)
    changed = replace(state.changed, password=value, older_password=state.changed.password)
    linked = state.linked
    state = replace(state, changed=changed, refusals=0)
    told = SecurityReconfigured(variables.PASSWORD.name)
    if linked in _PASSWORD_PROFILES:
        return Turn(state, (), (told, RedialWanted("the password has changed")))
    return Turn(state, (), (told,))


def _raised(state: Credentials, wanted: int) -> Turn[Credentials]:
    """Go over to a higher profile, and to a network profile that was made for it."""
    trial = Trial(state.changed.security_profile)
    changed = replace(state.changed, security_profile=wanted, trial=trial)
    made_for = (
        index
        for index, network in enumerate(state.networks)
        if network.security_profile >= wanted
    )
    redial = RedialWanted(f"security profile {wanted}", next(made_for, None))
    return Turn(replace(state, changed=changed, refusals=0, mistrusts=0), (), (redial,))


def _linked(state: Credentials, event: LinkUp) -> Turn[Credentials]:
    """Take note of what works; the first in turn has earned to be the only one."""
    changed, told = state.changed, tuple[Event, ...]()
    is_first = state.refusals % len(state.passwords(event.profile)) == 0
    if is_first and event.security_profile in _PASSWORD_PROFILES:
        changed = replace(changed, older_password=None)
    if changed.trial is not None and event.security_profile == changed.security_profile:
        changed = replace(changed, trial=None)
        told = (SecurityReconfigured(f"SecurityProfile {event.security_profile}"),)
    if changed == state.changed:
        changed = state.changed
    state = replace(state, linked=event.security_profile, changed=changed)
    return Turn(state, (), told)


def _failed(state: Credentials, event: DialFailed) -> Turn[Credentials]:
    if event.refusal is DialRefusal.CREDENTIALS:
        state = replace(state, refusals=state.refusals + 1)
    if event.refusal is DialRefusal.CERTIFICATE:
        state = replace(state, mistrusts=state.mistrusts + 1)
    changed, trial = state.changed, state.changed.trial
    if trial is None:
        return Turn(state)
    trial = replace(trial, failures=trial.failures + 1)
    if trial.failures < TRIAL_DIALS:
        return Turn(replace(state, changed=replace(changed, trial=trial)))
    back = replace(changed, security_profile=trial.previous, trial=None)
    told = SecurityReconfigured(f"SecurityProfile {changed.security_profile} taken back")
    return Turn(replace(state, changed=back, refusals=0, mistrusts=0), (), (told,))
