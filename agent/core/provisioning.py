"""Boot, registration, heartbeat and reset (OCPP 2.0.1 block B; 1.6 1.10 and Reset).

    None ──BootReported──► Pending / Rejected ──(interval)──► … ──► Accepted ──► heartbeats

The registration belongs to the boot, not to the link: after a mere reconnect nothing is
introduced again, unless another network profile is spoken to (2.0.1 B10.FR.10). What one CSMS
answered, and how long it wants to be left alone, says nothing about another.
"""

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import (
    BootReported,
    Done,
    Effect,
    HeartbeatSent,
    Reply,
    Restart,
    Verdict,
)
from agent.core.events import (
    BootAnswered,
    DeadlinePassed,
    Event,
    HeartbeatAnswered,
    IntervalLearned,
    LinkDown,
    LinkUp,
    MessageFailed,
    Origin,
    PowerUp,
    Registered,
    ResetKind,
    ResetRequested,
    RestartWanted,
    SettingChanged,
    StopsWanted,
    TimeLearned,
    TriggerKind,
    TriggerRequested,
)
from agent.core.turn import Context, Turn
from agent.core.values import BootReason, RegistrationStatus, StopReason, Trigger, Value

RETRY_S = 60
"""Wait for the next introduction when the CSMS names none (1.6 1.10, D)."""

SILENCE_S = 30
"""Least wait after an introduction that was not answered."""

LONGEST_RETRY_S = 604_800
"""One week: no interval keeps the station away longer."""

HEARTBEAT_BOUNDS_S = (10, 86_400)
"""Intervals outside are mistakes such as milliseconds (1.6 chapter 11, 22)."""

FLUSH_S = {ResetKind.GRACEFUL: 30.0, ResetKind.IMMEDIATE: 5.0, ResetKind.ON_IDLE: 30.0}
"""How long a reset waits for the CSMS to take the records (1.6 appendix B)."""


class Reset(Value, frozen=True):
    """A reset that was accepted.

    Attributes:
        quiet_at_s: since when no transaction is open, monotonic seconds.
    """

    kind: ResetKind
    boot_reason: BootReason
    quiet_at_s: float | None = None


class Provisioning(Value, frozen=True):
    """The slice of this block.

    Attributes:
        registration: None until the CSMS has answered in this boot.
        intended: why the next boot will be, written down with the restart.
        machine: id of the machine's boot.
        boot_due_s: when to introduce the station, monotonic seconds.
        profile: network profile of the link, None without one.
        booted_profile: network profile of the CSMS that `registration` and `boot_due_s` are
            about; None before the first link.
        interval_s: what this CSMS named between introductions, 0 for nothing yet.
    """

    boot_reason: BootReason = BootReason.UNKNOWN
    intended: BootReason | None = None
    machine: str = ""
    registration: RegistrationStatus | None = None
    profile: int | None = None
    booted_profile: int | None = None
    interval_s: int = 0
    boot_due_s: float | None = None
    heartbeat_due_s: float | None = None
    reset: Reset | None = None
    is_restarting: bool = False


def deadline_s(state: Provisioning) -> float | None:
    """Return when this block wants to be woken."""
    instants = [state.heartbeat_due_s]
    if state.profile is not None:
        instants.append(state.boot_due_s)
    if state.reset and state.reset.quiet_at_s is not None and not state.is_restarting:
        instants.append(state.reset.quiet_at_s + FLUSH_S[state.reset.kind])
    return min((instant for instant in instants if instant is not None), default=None)


def step(state: Provisioning, event: Event, context: Context) -> Turn[Provisioning]:
    """Advance registration and reset by one event."""
    turn = _registration(state, event, context)
    if turn.state.reset is None or turn.state.is_restarting:
        return turn
    reset = _reset_progress(turn.state, turn.state.reset, context)
    return Turn(reset.state, (*turn.effects, *reset.effects), turn.raised)


def _registration(state: Provisioning, event: Event, context: Context) -> Turn[Provisioning]:
    match event:
        case PowerUp(cause=cause, machine=machine):
            fresh = Provisioning(
                boot_reason=state.intended or cause,
                machine=machine,
                boot_due_s=0.0,
            )
            return Turn(fresh)
        case LinkUp(profile=profile):
            return _linked(replace(state, profile=profile), context)
        case LinkDown():
            return Turn(_unlinked(state, context))
        case BootAnswered():
            return _answered(state, event, context)
        case MessageFailed(message=BootReported()):
            return Turn(_unheard(state, context))
        case HeartbeatAnswered(csms_wall_s=wall) if wall is not None:
            return Turn(state, (), (TimeLearned(wall),))
        case SettingChanged(name=variables.HEARTBEAT_INTERVAL.name):
            is_beating = state.heartbeat_due_s is not None
            return Turn(_beating(state, context) if is_beating else state)
        case DeadlinePassed():
            return _woken(state, context)
        case ResetRequested():
            return _reset_requested(state, event, context)
        case RestartWanted(reason=reason, is_now=False):
            return Turn(replace(state, intended=reason))
        case RestartWanted(reason=reason):
            restarting = replace(state, is_restarting=True, intended=reason)
            return Turn(restarting, (Restart(reason),))
        case TriggerRequested(kind=TriggerKind.BOOT, request_id=request_id):
            return _boot_triggered(state, request_id, context)
        case TriggerRequested(kind=TriggerKind.HEARTBEAT, request_id=request_id):
            accepted = Reply(request_id, Done(Verdict.ACCEPTED))
            return Turn(state, (accepted, HeartbeatSent(is_triggered=True)))
        case _:
            return Turn(state)


# --- registration ---


def _linked(state: Provisioning, context: Context) -> Turn[Provisioning]:
    if state.profile != state.booted_profile:
        state = replace(
            state,
            registration=None,
            booted_profile=state.profile,
            interval_s=0,
            boot_due_s=context.now.monotonic_s,
        )
    is_accepted = state.registration is RegistrationStatus.ACCEPTED
    if is_accepted and context.settings.flag(variables.BOOT_ON_RECONNECT):
        state = replace(state, registration=None, boot_due_s=context.now.monotonic_s)
    elif is_accepted:
        return Turn(_beating(state, context), (), (Registered(),))
    return _introduced(state, context)


def _unlinked(state: Provisioning, context: Context) -> Provisioning:
    """Forget the link, and an introduction whose answer went with it."""
    accepted = state.registration is RegistrationStatus.ACCEPTED
    if not accepted and state.boot_due_s is None:
        state = _unheard(state, context)
    return replace(state, profile=None, heartbeat_due_s=None)


def _unheard(state: Provisioning, context: Context) -> Provisioning:
    """Set the next introduction after one without an answer (1.6 1.10)."""
    wait = max(state.interval_s, SILENCE_S)
    return replace(state, boot_due_s=context.now.monotonic_s + wait)


def _introduced(state: Provisioning, context: Context) -> Turn[Provisioning]:
    """Introduce the station if the time has come."""
    due = state.boot_due_s
    if state.profile is None or due is None or due > context.now.monotonic_s:
        return Turn(state)
    return Turn(replace(state, boot_due_s=None), (BootReported(state.boot_reason),))


def _boot_triggered(
    state: Provisioning, request_id: int, context: Context
) -> Turn[Provisioning]:
    """Introduce the station before its time; one that is accepted needs no introduction.

    An introduction that is under way is the one that is wanted.
    """
    if state.registration is RegistrationStatus.ACCEPTED:
        if context.settings.flag(variables.BOOT_WHEN_TRIGGERED):
            told = BootReported(BootReason.TRIGGERED)
            return Turn(state, (Reply(request_id, Done(Verdict.ACCEPTED)), told))
        done = Done(Verdict.REJECTED, "NotEnabled", "the station is accepted already")
        return Turn(state, (Reply(request_id, done),))
    accepted = Reply(request_id, Done(Verdict.ACCEPTED))
    if state.boot_due_s is None:
        return Turn(state, (accepted,))
    state = replace(state, boot_due_s=None)
    return Turn(state, (accepted, BootReported(BootReason.TRIGGERED)))


def _answered(state: Provisioning, event: BootAnswered, context: Context) -> Turn[Provisioning]:
    raised: list[Event] = []
    if event.csms_wall_s is not None and event.status is not RegistrationStatus.REJECTED:
        raised.append(TimeLearned(event.csms_wall_s))
    if event.status is RegistrationStatus.ACCEPTED:
        if event.interval_s > 0:
            low, high = HEARTBEAT_BOUNDS_S
            raised.append(IntervalLearned(min(max(event.interval_s, low), high)))
        state = replace(state, registration=event.status, boot_due_s=None)
        return Turn(_beating(state, context), (), (*raised, Registered()))
    wait = min(event.interval_s, LONGEST_RETRY_S) if event.interval_s > 0 else RETRY_S
    # A certification tool measures that the interval has passed; aim just behind it.
    due = context.now.monotonic_s + wait + 0.2
    state = replace(state, registration=event.status, interval_s=wait, boot_due_s=due)
    return Turn(state, (), tuple(raised))


def _woken(state: Provisioning, context: Context) -> Turn[Provisioning]:
    due = state.heartbeat_due_s
    if due is not None and context.now.monotonic_s >= due:
        return Turn(_beating(state, context), (HeartbeatSent(),))
    return _introduced(state, context)


def _beating(state: Provisioning, context: Context) -> Provisioning:
    """Set the next heartbeat; an interval of 0 still shows life once a day (1.6 2.1)."""
    interval = context.settings.integer(variables.HEARTBEAT_INTERVAL) or HEARTBEAT_BOUNDS_S[1]
    return replace(state, heartbeat_due_s=context.now.monotonic_s + interval)


# --- reset ---


def _reset_requested(
    state: Provisioning, event: ResetRequested, context: Context
) -> Turn[Provisioning]:
    if event.evse_id is not None:
        done = Done(Verdict.REJECTED, "UnsupportedRequest", "an EVSE cannot be reset alone")
        return Turn(state, (Reply(event.request_id, done),))
    open_transactions = any(evse.transaction for evse in context.evses.values())
    waits = event.kind is ResetKind.ON_IDLE and open_transactions
    if event.origin is Origin.LOCAL:
        boot_reason = BootReason.LOCAL_RESET
    else:
        boot_reason = BootReason.SCHEDULED_RESET if waits else BootReason.REMOTE_RESET
    reset = Reset(event.kind, boot_reason)
    if state.reset is not None and event.kind is ResetKind.ON_IDLE:
        reset = state.reset  # an earlier, sharper request stands
    state = replace(state, reset=reset)
    verdict = Verdict.SCHEDULED if waits else Verdict.ACCEPTED
    effects: tuple[Effect, ...] = (Reply(event.request_id, Done(verdict)),)
    if event.kind is ResetKind.ON_IDLE:
        return Turn(state, effects)
    return Turn(state, effects, (_stops(event),))


def _stops(event: ResetRequested) -> StopsWanted:
    """Return why transactions end; a reset at the station is no command of the CSMS."""
    if event.origin is Origin.LOCAL:
        return StopsWanted(StopReason.REBOOT, Trigger.ABNORMAL_CONDITION)
    immediate = event.kind is ResetKind.IMMEDIATE
    reason = StopReason.IMMEDIATE_RESET if immediate else StopReason.SOFT_RESET
    return StopsWanted(reason, Trigger.RESET_COMMAND)


def _reset_progress(state: Provisioning, reset: Reset, context: Context) -> Turn[Provisioning]:
    """Restart once no transaction is open and the records are delivered, or time is up."""
    if any(evse.transaction for evse in context.evses.values()):
        return Turn(state)
    now_s = context.now.monotonic_s
    quiet_at_s = now_s if reset.quiet_at_s is None else reset.quiet_at_s
    if reset.quiet_at_s is None:
        state = replace(state, reset=replace(reset, quiet_at_s=quiet_at_s))
    if context.undelivered and now_s < quiet_at_s + FLUSH_S[reset.kind]:
        return Turn(state)
    state = replace(state, is_restarting=True, intended=reset.boot_reason)
    return Turn(state, (Restart(reset.boot_reason),))
