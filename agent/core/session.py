"""The session of one EVSE: plug, authorize, charge, stop (OCPP 2.0.1 block E; 1.6 chapter 4).

The machine is drawn in agent.core.states. A transaction begins when the vehicle is connected
*and* somebody is authorized, whichever comes last (2.0.1 PowerPathClosed), and ends when
either is over. Two rules guard the bill:

* The register at the start is one that was read within the last seconds; without such a
  reading no transaction begins.
* The register at the end is read after the contactor has opened. When the meter or the
  contactor stays silent, the last plausible register is taken: energy is never guessed.
"""

from msgspec.structs import replace

from agent.core import records, variables
from agent.core.effects import TransactionUpdated
from agent.core.events import (
    AuthorizationWithdrawn,
    Event,
    PlugReleased,
    PowerUp,
    SampleTaken,
    StopGranted,
    StopsWanted,
    TokenAccepted,
    TokenLearned,
    TokenRejected,
    TransactionClosed,
    TransactionOpened,
)
from agent.core.setpoint import offered_a
from agent.core.states import (
    GRACE_S,
    WARNINGS,
    Active,
    ActiveFault,
    Authorized,
    DurableSession,
    Ending,
    Evse,
    Finished,
    Idle,
    OpenSession,
    Resuming,
    Session,
    Transaction,
)
from agent.core.turn import Context, Turn
from agent.core.values import (
    AuthorizationStatus,
    BootReason,
    ChargingState,
    ReadingContext,
    StopReason,
    Trigger,
)
from agent.core.variables import Settings
from hal.types import Fault, PilotState

ENDING_WAIT_S = 10.0
"""A vehicle opens S2 within 3 s, a contactor breaks load after 6 s at the latest (IEC
61851-1), and the meter is read each second."""

RELEASE_WAIT_S = 6.0
"""How much longer the end is kept back for the word that the plug was released."""

BOOT_WAIT_S = 30.0
"""How long drivers may take to find their devices after a start."""

READY_WAIT_S = 5.0
"""A vehicle gets this long after the first offer, or the first after a pause, to ask for energy
before it counts as the one that suspends; most close S2 within it."""

_FAULT_REASONS = {
    Fault.EMERGENCY_STOP: StopReason.EMERGENCY_STOP,
    Fault.GROUND_FAILURE: StopReason.GROUND_FAULT,
    Fault.OVER_CURRENT: StopReason.OVERCURRENT_FAULT,
    Fault.OVER_VOLTAGE: StopReason.POWER_QUALITY,
    Fault.UNDER_VOLTAGE: StopReason.POWER_QUALITY,
}


def deadline_s(evse: Evse, settings: Settings) -> float | None:
    """Return when this session wants to be woken, monotonic seconds, None for never."""
    match evse.session:
        case Authorized(since=since):
            timeout = settings.integer(variables.CONNECTION_TIMEOUT)
            return since.monotonic_s + timeout if timeout else None
        case Active(transaction=transaction):
            instants = [transaction.last_at.monotonic_s + records.NOTED_EVERY_S]
            ends = (_fault_end_s(item, settings) for item in evse.inputs.faults)
            instants += [end for end in ends if end is not None]
            awaited_s = _awaited_s(evse, transaction)
            is_expected = evse.inputs.is_plugged and not evse.inputs.is_ready
            if awaited_s is not None and is_expected:  # a pilot in error asks for nothing
                instants.append(awaited_s)
            return min(instants)
        case Ending():
            return _settled_by_s(evse, evse.session)
        case Resuming(since=since):
            return since.monotonic_s + BOOT_WAIT_S
        case _:
            return None


def step(evse: Evse, event: Event, context: Context) -> Turn[Session]:
    """Advance the session of `evse`, whose inputs already know the event."""
    match evse.session:
        case Idle() | Finished():
            return _free(evse, event, context)
        case Authorized() as session:
            return _authorized(evse, session, event, context)
        case Active() as session:
            return _active(evse, session, event, context)
        case Ending() as session:
            if isinstance(event, PowerUp):
                session = replace(
                    session, since=context.now, offline=True, awaits_release=False
                )
            if isinstance(event, PlugReleased) and event.evse_id == evse.spec.evse_id:
                session = replace(session, awaits_release=False, keeps_plug=False)
            return _ending(evse, session, context)
        case session:
            if isinstance(event, PowerUp):
                session = replace(session, since=context.now)
            return _resuming(evse, session, event, context)


def durable(session: Session) -> DurableSession | None:
    """Return the session if it must survive a power cut."""
    match session:
        case Active() | Ending() | Resuming():
            return session
        case Finished(owner=owner) if owner is not None:
            return session
        case _:
            return None


def abandoned(
    evse: Evse, session: OpenSession, cause: BootReason, context: Context
) -> Turn[None]:
    """End a transaction whose EVSE the board no longer has.

    Nothing will ever be heard of its meter again: the register that was written down last is
    billed.

    Args:
        evse: stands for the one that is gone; its inputs are empty.
    """
    if not isinstance(session, Ending):
        session = _lost(session.transaction, _cut_reason(cause), context)
    return Turn(None, (records.ended(evse, session, context.settings, stays=False),))


# --- without a transaction ---


def _free(evse: Evse, event: Event, context: Context) -> Turn[Session]:
    if isinstance(event, TokenAccepted) and event.evse_id == evse.spec.evse_id:
        session = Authorized(
            id_token=event.id_token,
            since=context.now,
            group=event.group,
            remote_start_id=event.remote_start_id,
            is_remote=event.is_remote,
            is_floating=event.is_floating,
            profile=event.profile,
            priority=event.priority,
        )
        return _authorized(evse, session, event, context)
    if not isinstance(evse.session, Finished):
        return Turn(evse.session)
    if evse.inputs.pilot is not None and not evse.inputs.has_plug:
        return Turn(Idle())
    is_mine = isinstance(event, PlugReleased) and event.evse_id == evse.spec.evse_id
    return Turn(Finished() if is_mine and evse.session.owner else evse.session)


def _authorized(
    evse: Evse, session: Authorized, event: Event, context: Context
) -> Turn[Session]:
    evse_id, inputs = evse.spec.evse_id, evse.inputs
    withdrawn = isinstance(event, AuthorizationWithdrawn) and event.evse_id == evse_id
    timeout = context.settings.integer(variables.CONNECTION_TIMEOUT)
    late = timeout and context.now.monotonic_s >= session.since.monotonic_s + timeout
    left = session.was_plugged and inputs.plugged_at is None
    if withdrawn or late or left:
        return Turn(Idle())
    if isinstance(event, TokenAccepted) and event.evse_id == evse_id and event.profile:
        session = replace(session, profile=event.profile)
    if not inputs.is_plugged:
        return Turn(session)
    reading = inputs.fresh_reading(context.now)
    is_loose = inputs.has_lock and inputs.is_locked is False
    if reading is None or is_loose or context.refusal(evse_id):
        return Turn(session if session.was_plugged else replace(session, was_plugged=True))
    transaction, record = records.started(evse, session, reading, context)
    opened = TransactionOpened(evse_id, record.reservation_id, session.profile)
    return Turn(Active(transaction), (record,), (opened,))


# --- within a transaction ---


def _active(evse: Evse, session: Active, event: Event, context: Context) -> Turn[Session]:
    if isinstance(event, PowerUp):
        return Turn(_interrupted(session.transaction, event.cause, context))
    transaction = _learned(session.transaction, event, context.settings)
    stop = _requested(transaction, event, context.settings) or _forced(
        evse, transaction, context
    )
    if stop is not None:
        return _ending(evse, _decided(evse, transaction, stop, context), context)
    told: tuple[TransactionUpdated, ...] = ()
    if isinstance(event, SampleTaken) and event.evse_id == evse.spec.evse_id:
        transaction, told = _sampled(evse, transaction, event, context)
    if transaction is not session.transaction:
        evse = replace(evse, session=Active(transaction))
    state = _charging_state(evse, transaction, context)
    if state is not transaction.charging_state:
        transaction = records.clocked(transaction, state, context.now)
        why = Trigger.CHARGING_STATE_CHANGED
        transaction, record = records.updated(evse, transaction, context, why)
        told = (*told, record)
    if context.now.monotonic_s >= transaction.last_at.monotonic_s + records.NOTED_EVERY_S:
        transaction = records.noted(evse, transaction, context.now)
    unchanged = transaction is session.transaction
    return Turn(session if unchanged else Active(transaction), told)


def _learned(transaction: Transaction, event: Event, settings: Settings) -> Transaction:
    """Note what the CSMS says about the token that began the transaction.

    A refused token may draw its allowance, which counts from the start of the transaction in
    both versions (2.0.1 E05.FR.02, E05.FR.03; 1.6 reference 4.4). Its group may stop it.
    """
    match event:
        case TokenRejected(transaction_id=rejected) if rejected == transaction.transaction_id:
            allowance = settings.integer(variables.MAX_ENERGY_ON_INVALID_ID)
            cap = transaction.meter_start_wh + allowance if allowance else None
            return replace(transaction, is_suspended=True, energy_cap_wh=cap)
        case TokenLearned(id_token=id_token, info=info):
            is_mine = id_token.key == transaction.id_token.key
            is_good = info.status is AuthorizationStatus.ACCEPTED
            if not (is_mine and is_good):
                return transaction
            if info.group and info.group != transaction.group:
                transaction = replace(transaction, group=info.group)
            is_here = event.transaction_id == transaction.transaction_id
            if is_here and info.priority not in {None, transaction.priority}:
                transaction = replace(transaction, priority=info.priority)
            return transaction
        case _:
            return transaction


def _sampled(
    evse: Evse, transaction: Transaction, event: SampleTaken, context: Context
) -> tuple[Transaction, tuple[TransactionUpdated, ...]]:
    if not event.is_told:
        transaction = records.kept(transaction, event.sample)
        return records.noted(evse, transaction, context.now), ()
    transaction, record = records.updated(
        evse, transaction, context, event.trigger, samples=(event.sample,)
    )
    return transaction, (record,)


def _charging_state(evse: Evse, transaction: Transaction, context: Context) -> ChargingState:
    """Return where the energy transfer stands (2.0.1 3.4 of the reference).

    A vehicle that asks while the contactor has not closed yet keeps the state it came from.
    A pilot in error counts as the EVSE's pause (1.6 reference 3.1, SuspendedEVSE).
    """
    inputs = evse.inputs
    if inputs.pilot is PilotState.A:
        return ChargingState.SUSPENDED_EV  # it left, and may come back
    if not inputs.is_plugged or offered_a(evse, storage_ok=context.storage_ok) == 0.0:
        return ChargingState.SUSPENDED_EVSE
    if inputs.is_ready:
        return ChargingState.CHARGING if inputs.is_closed else transaction.charging_state
    awaited_s = _awaited_s(evse, transaction)
    if awaited_s is not None and context.now.monotonic_s < awaited_s:
        return transaction.charging_state
    return ChargingState.SUSPENDED_EV


def _awaited_s(evse: Evse, transaction: Transaction) -> float | None:
    """Return until when the vehicle may take its time to ask, None when it may not.

    It has been offered nothing before, or nothing during a pause (1.6 reference 3.3, a limit
    that becomes 0: Charging follows SuspendedEVSE).
    """
    match transaction.charging_state:
        case ChargingState.EV_CONNECTED:
            return transaction.offered_since.monotonic_s + READY_WAIT_S
        case ChargingState.SUSPENDED_EVSE if evse.supply.served_s is not None:
            return evse.supply.served_s + READY_WAIT_S
        case _:
            return None


# --- reasons to stop ---


def _requested(
    transaction: Transaction, event: Event, settings: Settings
) -> StopGranted | None:
    """Return why somebody wants the transaction to end."""
    evse_id = transaction.evse_id
    match event:
        case StopGranted(evse_id=target) if target == evse_id:
            return event
        case StopsWanted(reason=reason, trigger=trigger):
            return StopGranted(evse_id, reason, trigger)
        case TokenRejected(transaction_id=rejected) if (
            rejected == transaction.transaction_id
            and settings.flag(variables.STOP_ON_INVALID_ID)
        ):
            return StopGranted(evse_id, StopReason.DE_AUTHORIZED, Trigger.DEAUTHORIZED)
        case _:
            return None


def _forced(evse: Evse, transaction: Transaction, context: Context) -> StopGranted | None:
    """Return why the transaction cannot go on: its vehicle is gone, or a fault stays."""
    if _has_left(evse, context.settings) or _is_other(evse, transaction):
        why = Trigger.EV_COMMUNICATION_LOST
        return StopGranted(transaction.evse_id, StopReason.EV_DISCONNECTED, why)
    for item in evse.inputs.faults:
        end_s = _fault_end_s(item, context.settings)
        if end_s is not None and context.now.monotonic_s >= end_s:
            reason = _FAULT_REASONS.get(item.fault, StopReason.OTHER)
            return StopGranted(transaction.evse_id, reason, Trigger.ABNORMAL_CONDITION)
    return None


def _has_left(evse: Evse, settings: Settings) -> bool:
    """Tell whether the vehicle is gone for good (1.6 reference 4.8).

    One that was unplugged at its own side may be waited for: its cable is still here.
    """
    inputs = evse.inputs
    if inputs.pilot is not PilotState.A:
        return False
    stays = inputs.is_tethered or inputs.cable_a is not None
    return not stays or settings.flag(variables.STOP_ON_EV_DISCONNECT)


def _keeps_plug(evse: Evse, reason: StopReason, settings: Settings) -> bool:
    """Tell whether the plug stays locked for its owner (1.6 reference 4.2 and 4.8)."""
    if not evse.inputs.has_lock:
        return False
    match reason:
        case StopReason.EV_DISCONNECTED:
            is_kept = not settings.flag(variables.UNLOCK_ON_EV_DISCONNECT)
            return is_kept and not evse.inputs.is_tethered
        case StopReason.DE_AUTHORIZED:
            return not settings.flag(variables.UNLOCK_ON_DEAUTHORIZED)
        case _:
            return False


def _is_other(evse: Evse, transaction: Transaction) -> bool:
    """Tell whether the pilot speaks of another connector than the transaction's."""
    return evse.inputs.connector_id != transaction.connector_id


def _fault_end_s(item: ActiveFault, settings: Settings) -> float | None:
    """Return when this fault ends a transaction, None for never."""
    if item.fault in WARNINGS:
        return None
    if item.fault is Fault.POWER_METER_FAILURE and not settings.flag(
        variables.METER_FAILURE_ENDS
    ):
        return None
    return item.since.monotonic_s + GRACE_S.get(item.fault, 0.0)


# --- ending ---


def _decided(
    evse: Evse, transaction: Transaction, stop: StopGranted, context: Context
) -> Ending:
    return Ending(
        transaction=records.clocked(transaction, transaction.charging_state, context.now),
        reason=stop.reason,
        trigger=stop.trigger,
        at=context.now,
        since=context.now,
        id_token=stop.id_token,
        offline=not context.is_online,
        keeps_plug=_keeps_plug(evse, stop.reason, context.settings),
        awaits_release=stop.reason is StopReason.UNLOCK_COMMAND,
    )


def _settled_by_s(evse: Evse, session: Ending) -> float:
    wait = ENDING_WAIT_S if evse.inputs.is_closed is not None else BOOT_WAIT_S
    wait += RELEASE_WAIT_S if session.awaits_release else 0.0
    return session.since.monotonic_s + wait


def _ending(evse: Evse, session: Ending, context: Context) -> Turn[Session]:
    is_settled = _is_settled(evse) and not session.awaits_release
    if not is_settled and context.now.monotonic_s < _settled_by_s(evse, session):
        return Turn(session)
    other = _is_other(evse, session.transaction)
    stays = evse.inputs.plugged_at is not None and not other
    record = records.ended(evse, session, context.settings, stays=stays)
    is_left = stays or (evse.inputs.cable_a is not None and not other)
    following = _finished(session) if is_left else Idle()
    return Turn(following, (record,), (TransactionClosed(evse.spec.evse_id),))


def _finished(session: Ending) -> Finished:
    transaction = session.transaction
    return (
        Finished(transaction.id_token, transaction.group) if session.keeps_plug else Finished()
    )


def _is_settled(evse: Evse) -> bool:
    """Tell whether the contactor is open and the register was read after that."""
    inputs = evse.inputs
    if inputs.is_closed is not False or inputs.reading_at is None or inputs.outlet_at is None:
        return False
    return inputs.reading_at.monotonic_s > inputs.outlet_at.monotonic_s


# --- after a power cut ---


def _interrupted(
    transaction: Transaction, cause: BootReason, context: Context
) -> Resuming | Ending:
    """Decide about a transaction that was open at the stop (1.6 4.6, 2.0.1 3.11)."""
    reason = _cut_reason(cause)
    # Energy flowed at least until the register was written down for the last time.
    state = ChargingState.EV_CONNECTED
    transaction = records.clocked(transaction, state, transaction.last_at)
    if context.settings.flag(variables.RESUME_AFTER_POWER_LOSS):
        return Resuming(transaction, since=context.now, reason=reason)
    return _lost(transaction, reason, context)


def _cut_reason(cause: BootReason) -> StopReason:
    """Return why a transaction ends that was open when the station stopped."""
    return StopReason.POWER_LOSS if cause is BootReason.POWER_UP else StopReason.REBOOT


def _lost(transaction: Transaction, reason: StopReason, context: Context) -> Ending:
    return Ending(
        transaction=transaction,
        reason=reason,
        trigger=Trigger.ABNORMAL_CONDITION,
        at=transaction.last_at,
        since=context.now,
        offline=True,
    )


def _resuming(evse: Evse, session: Resuming, event: Event, context: Context) -> Turn[Session]:
    """Wait for the hardware; nobody charges meanwhile, but the token may be refused."""
    transaction = _learned(session.transaction, event, context.settings)
    stop = _requested(transaction, event, context.settings)
    if stop is not None:
        ending = _lost(transaction, stop.reason, context)
        return Turn(replace(ending, trigger=stop.trigger))
    inputs, now = evse.inputs, context.now
    is_known = inputs.pilot is not None and inputs.fresh_reading(now) is not None
    is_clear = is_known and inputs.blocking is None
    if not is_clear and now.monotonic_s < session.since.monotonic_s + BOOT_WAIT_S:
        same = transaction is session.transaction
        return Turn(session if same else replace(session, transaction=transaction))
    if not is_clear or not inputs.is_plugged or _is_other(evse, transaction):
        return Turn(_lost(transaction, session.reason, context))
    wanted = context.settings.members(variables.SAMPLED_MEASURANDS)
    samples = records.sampled(evse, now, ReadingContext.INTERRUPTION_END, wanted)
    transaction = replace(transaction, offered_since=now)
    transaction, record = records.updated(
        evse, transaction, context, Trigger.CHARGING_STATE_CHANGED, samples=samples
    )
    return Turn(Active(transaction), (record,), (TransactionOpened(evse.spec.evse_id),))
