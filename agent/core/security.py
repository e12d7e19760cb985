"""Security events: which there are, which of them the CSMS is told, and when they happen.

Every event goes into the security log. Those that the CSMS has to know are records as well:
they wait for it through power cuts and outages, like a bill (OCPP 2.0.1 A04, 1.6 reference
9.1). Events have their 2.0.1 names here; where 1.6 has another one, its adapter says so.

A cause that repeats itself is one event: a server that fails every dial is reported once
until a link comes to be, and frames that are no OCPP are logged once a minute.
"""

import enum
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Effect, Record, SecurityEvent, SecurityLogged
from agent.core.events import (
    ClockStepped,
    DialFailed,
    DialRefusal,
    Event,
    LinkUp,
    PowerUp,
    SecurityEventRaised,
    SecurityReconfigured,
    SettingChanged,
    StorageFailed,
)
from agent.core.turn import Context, Turn
from agent.core.values import BootReason, Value

LONGEST_TYPE: Final = 50
LONGEST_INFO: Final = 255
"""Characters that SecurityEventNotification carries, in both versions."""

STORM_S: Final = 60.0
"""How long a stormy event stays quiet after it was logged."""

ADJUSTMENT_S: Final = 20.0
"""A smaller step of the clock is no event (2.0.1 TimeAdjustmentReportingThreshold)."""


class Weight(enum.Enum):
    """Who learns of an event."""

    CRITICAL = "critical"  # the CSMS and the log
    TOLD = "told"  # not critical in the table, but its use case wants the CSMS to know
    LOGGED = "logged"  # the log only


EVENTS: Final[Mapping[str, Weight]] = {
    "AttemptedReplayAttacks": Weight.LOGGED,
    "CsmsFailedToAuthenticate": Weight.LOGGED,
    "DiscardedRenewedClientCertificate": Weight.CRITICAL,
    "FailedToAuthenticateAtCsms": Weight.TOLD,
    "FirmwareUpdated": Weight.CRITICAL,
    "InvalidChargingStationCertificate": Weight.CRITICAL,
    "InvalidCsmsCertificate": Weight.CRITICAL,
    "InvalidFirmwareSignature": Weight.CRITICAL,
    "InvalidFirmwareSigningCertificate": Weight.CRITICAL,
    "InvalidMessages": Weight.LOGGED,
    "InvalidTLSCipherSuite": Weight.CRITICAL,
    "InvalidTLSVersion": Weight.CRITICAL,
    "MaintenanceLoginAccepted": Weight.CRITICAL,
    "MaintenanceLoginFailed": Weight.CRITICAL,
    "MemoryExhaustion": Weight.CRITICAL,
    "ReconfigurationOfSecurityParameters": Weight.LOGGED,
    "ResetOrReboot": Weight.CRITICAL,
    "SecurityLogWasCleared": Weight.CRITICAL,
    "SettingSystemTime": Weight.CRITICAL,
    "StartupOfTheDevice": Weight.CRITICAL,
    "TamperDetectionActivated": Weight.CRITICAL,
}
"""Every event of the specifications (2.0.1 part 2 appendix 1, 1.6 security whitepaper)."""

STORMY: Final = frozenset({"AttemptedReplayAttacks", "InvalidMessages"})
"""Events that a peer can cause as fast as it likes."""

DIAL_EVENTS: Final[Mapping[DialRefusal, str]] = {
    DialRefusal.CREDENTIALS: "FailedToAuthenticateAtCsms",
    DialRefusal.CERTIFICATE: "InvalidCsmsCertificate",
    DialRefusal.TLS_VERSION: "InvalidTLSVersion",
    DialRefusal.CIPHER_SUITE: "InvalidTLSCipherSuite",
}
"""What a failed dial says about security; the other refusals say nothing."""

RECONFIGURED: Final = "ReconfigurationOfSecurityParameters"
_RESETS: Final = frozenset(
    {
        BootReason.APPLICATION_RESET,
        BootReason.LOCAL_RESET,
        BootReason.REMOTE_RESET,
        BootReason.SCHEDULED_RESET,
        BootReason.WATCHDOG,
    }
)
_SECURITY_SETTINGS: Final = frozenset(
    {
        variables.ALLOW_WILDCARDS.name,
        variables.DISABLE_SECURITY_EVENTS.name,
        variables.ORGANIZATION_NAME.name,
    }
)


class Security(Value, frozen=True):
    """The slice of this block.

    Attributes:
        streak: events that were raised since the last link, by failed dials.
        quiet_until_s: by stormy event, monotonic seconds.
    """

    streak: frozenset[str] = frozenset()
    quiet_until_s: Mapping[str, float] = {}


def started(reason: BootReason) -> SecurityEventRaised:
    """Return the event of a boot, by its reason."""
    name = "ResetOrReboot" if reason in _RESETS else "StartupOfTheDevice"
    return SecurityEventRaised(name, reason.value)


def weight(event_type: str) -> Weight:
    """Return who learns of an event; whoever invents one wants the CSMS to know."""
    return EVENTS.get(event_type, Weight.CRITICAL)


def step(state: Security, event: Event, context: Context) -> Turn[Security]:
    """Raise the security events that an event means."""
    match event:
        case PowerUp():
            return Turn(Security())
        case LinkUp():
            return Turn(replace(state, streak=frozenset()) if state.streak else state)
        case DialFailed(refusal=refusal, reason=reason) if refusal in DIAL_EVENTS:
            return _refused(state, DIAL_EVENTS[refusal], reason, context)
        case StorageFailed(reason=reason):
            return Turn(state, _noted("MemoryExhaustion", reason, context))
        case ClockStepped(by_s=by_s) if abs(by_s) > ADJUSTMENT_S:
            return Turn(state, _noted("SettingSystemTime", f"by {by_s:+.0f} s", context))
        case SettingChanged(name=name) if name in _SECURITY_SETTINGS:
            return Turn(state, _noted(RECONFIGURED, name, context))
        case SecurityReconfigured(what=what):
            return Turn(state, _noted(RECONFIGURED, what, context))
        case SecurityEventRaised():
            return _raised(state, event, context)
        case _:
            return Turn(state)


def _refused(state: Security, name: str, reason: str, context: Context) -> Turn[Security]:
    if name in state.streak:
        return Turn(state)
    state = replace(state, streak=state.streak | {name})
    return Turn(state, _noted(name, reason, context))


def _raised(state: Security, event: SecurityEventRaised, context: Context) -> Turn[Security]:
    now_s = context.now.monotonic_s
    if event.type in STORMY:
        if now_s < state.quiet_until_s.get(event.type, now_s):
            return Turn(state)
        quiet = {**state.quiet_until_s, event.type: now_s + STORM_S}
        state = replace(state, quiet_until_s=quiet)
    return Turn(state, _noted(event.type, event.tech_info, context))


def _noted(name: str, tech_info: str, context: Context) -> tuple[Effect | Record, ...]:
    """Return what an event leaves: a line in the log and, if the CSMS has to know, a record."""
    name, tech_info = name[:LONGEST_TYPE], tech_info[:LONGEST_INFO]
    is_critical = weight(name) is Weight.CRITICAL
    logged = SecurityLogged(name, context.now, tech_info, is_critical=is_critical)
    is_told = weight(name) is not Weight.LOGGED
    if not is_told or context.settings.flag(variables.DISABLE_SECURITY_EVENTS):
        return (logged,)
    return (logged, SecurityEvent(name, context.now, tech_info))
