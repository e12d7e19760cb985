"""The link to the CSMS as a level: which network profile to hold a link with, and when.

    Waiting(until) ──► Dialing(profile) ──► Up
        ▲                    │ refused       │ lost
        └────────────────────┴───────────────┘      Held: somebody holds the link down

Every dial after the first waits with a fresh random part, so that a fleet does not come back
as one. After `NetworkProfileConnectionAttempts` failures the next profile has its turn, in a
ring, for ever (OCPP 2.0.1 B10, part 4 5.3).
"""

from msgspec.structs import replace

from agent.core import variables
from agent.core.backoff import redial_s
from agent.core.effects import CloseLink
from agent.core.events import (
    DeadlinePassed,
    DialFailed,
    DialRefusal,
    Event,
    LinkDown,
    LinkHeld,
    LinkUp,
    PowerUp,
    RedialWanted,
)
from agent.core.turn import Context, Turn
from agent.core.values import Stamp, Value

STABLE_S = 60.0
"""A link that held this long has earned a fresh back-off (1.6 1.4)."""

REFUSED_MINIMUM_S = 30.0
"""First wait after the CSMS refused the credentials or does not know the station."""

LONGEST_RETRY_AFTER_S = 3600.0
"""A server that asks for a longer pause is asked again after an hour."""


_HELD = "held down locally"


class Connection(Value, frozen=True):
    """The slice of this block.

    Attributes:
        profiles: how many network profiles there are.
        profile: the one whose turn it is.
        attempts: failures of this profile in a row.
        failures: failures of any profile in a row.
        redial: profile to dial as soon as the link, which is being left, is gone.
        dial_at_s: when to dial, monotonic seconds; None while dialing, up or held.
        up: the present link, None without one.
        up_at, down_at: when the link was last gained and lost.
    """

    profiles: int
    profile: int = 0
    attempts: int = 0
    failures: int = 0
    dial_at_s: float | None = None
    is_dialing: bool = False
    is_held: bool = False
    redial: int | None = None
    up: LinkUp | None = None
    up_at: Stamp | None = None
    down_at: Stamp | None = None
    reason: str = ""


def deadline_s(state: Connection) -> float | None:
    """Return when to dial."""
    return None if state.is_held else state.dial_at_s


def dial(state: Connection) -> int | None:
    """Return the profile to hold a link with now, None for no link."""
    if state.is_held or not (state.is_dialing or state.up):
        return None
    return state.profile


def step(state: Connection, event: Event, context: Context) -> Turn[Connection]:
    """Advance the link by one event."""
    now_s = context.now.monotonic_s
    match event:
        case PowerUp():
            fresh = Connection(state.profiles, is_held=state.is_held, down_at=context.now)
            return Turn(fresh if state.is_held else _dialing(fresh))
        case LinkUp():
            # A dial that was under way when somebody took the link down may still succeed.
            closing = (CloseLink(_HELD),) if state.is_held else ()
            return Turn(_linked(state, event, context), closing)
        case LinkDown(reason=reason):
            return Turn(_lost(state, reason, context))
        case DialFailed() if state.is_dialing:
            return Turn(_refused(state, event, context))
        case LinkHeld(held=True):
            closing = (CloseLink(_HELD),) if state.up else ()
            return Turn(replace(state, is_held=True, is_dialing=False, dial_at_s=None), closing)
        case RedialWanted(reason=reason, profile=profile) if state.up is not None:
            redial = state.profile if profile is None else profile
            return Turn(replace(state, redial=redial), (CloseLink(reason),))
        case LinkHeld(held=False) if state.is_held:
            return Turn(_dialing(replace(state, is_held=False, failures=0, attempts=0)))
        case DeadlinePassed():
            if state.dial_at_s is not None and now_s >= state.dial_at_s and not state.is_held:
                return Turn(replace(state, dial_at_s=None, is_dialing=True))
            return Turn(state)
        case _:
            return Turn(state)


def _dialing(state: Connection) -> Connection:
    """Dial at once, if there is anybody to dial and no link still on its way down."""
    return replace(state, is_dialing=state.profiles > 0 and state.up is None)


def _linked(state: Connection, event: LinkUp, context: Context) -> Connection:
    return replace(
        state, up=event, up_at=context.now, is_dialing=False, dial_at_s=None, reason=""
    )


def _lost(state: Connection, reason: str, context: Context) -> Connection:
    if state.up is None and not state.is_dialing:
        return state
    up_at = state.up_at if state.up else None
    up_s = context.now.monotonic_s - up_at.monotonic_s if up_at else 0.0
    if up_s >= STABLE_S:
        state = replace(state, failures=0, attempts=0)
    state = replace(state, up=None, down_at=context.now)
    if state.redial is not None and not state.is_held:
        wanted = replace(state, profile=state.redial, redial=None, attempts=0, reason=reason)
        return _dialing(wanted)
    state = replace(state, redial=None)
    return _failed(state, reason, 0.0, context)


def _refused(state: Connection, event: DialFailed, context: Context) -> Connection:
    wait = event.retry_after_s or 0.0
    if event.refusal in {DialRefusal.CREDENTIALS, DialRefusal.UNKNOWN_STATION}:
        wait = max(wait, REFUSED_MINIMUM_S)
    return _failed(state, event.reason, min(wait, LONGEST_RETRY_AFTER_S), context)


def _failed(state: Connection, reason: str, least_s: float, context: Context) -> Connection:
    """Note a failure; set the next dial, with the next profile if this one had its turn."""
    state = replace(
        state,
        is_dialing=False,
        attempts=state.attempts + 1,
        failures=state.failures + 1,
        reason=reason,
    )
    if state.is_held:
        return state
    wait = max(_wait_s(state, context), least_s)
    if state.attempts >= context.settings.integer(variables.PROFILE_ATTEMPTS):
        state = replace(state, profile=(state.profile + 1) % state.profiles, attempts=0)
    return replace(state, dial_at_s=context.now.monotonic_s + wait)


def _wait_s(state: Connection, context: Context) -> float:
    integer = context.settings.integer
    return redial_s(
        state.failures,
        minimum_s=integer(variables.BACKOFF_MINIMUM),
        repeat=integer(variables.BACKOFF_REPEAT),
        random_range_s=integer(variables.BACKOFF_RANDOM),
        jitter=context.jitter,
    )
