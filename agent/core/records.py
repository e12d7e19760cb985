"""The records of a transaction, and what the transaction keeps of itself with each of them.

Sequence numbers count from 0 without a gap. With every record, and at the latest after
`NOTED_EVERY_S`, the register is written down: after a power cut the bill rests on it.
"""

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import TransactionEnded, TransactionStarted, TransactionUpdated
from agent.core.samples import take
from agent.core.states import Authorized, Ending, Evse, Transaction
from agent.core.turn import Context
from agent.core.values import (
    ChargingState,
    Measurand,
    MeterReading,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
    Trigger,
)
from agent.core.variables import Settings

NOTED_EVERY_S = 60.0
"""Longest time between two notes of the register (1.6 reference 4.6)."""

KEPT_MOST = int(variables.KEPT_MOST.default)
"""Samples kept for the end of a transaction."""


def started(
    evse: Evse, session: Authorized, reading: MeterReading, context: Context
) -> tuple[Transaction, TransactionStarted]:
    """Return a new transaction and its first record."""
    now, members = context.now, context.settings.members
    begin, signs = ReadingContext.TRANSACTION_BEGIN, context.settings.flag(variables.SIGN_ENDS)
    first = sampled(evse, now, begin, members(variables.STARTED_MEASURANDS), signs=signs)
    transaction = Transaction(
        transaction_id=context.fresh_id,
        evse_id=evse.spec.evse_id,
        connector_id=evse.inputs.connector_id,
        id_token=session.id_token,
        group=session.group,
        started_at=now,
        offered_since=now,
        meter_start_wh=reading.energy_import_wh,
        last_wh=reading.energy_import_wh,
        last_at=now,
        charging_state=ChargingState.EV_CONNECTED,
        kept=sampled(evse, now, begin, members(variables.ENDED_MEASURANDS), signs=signs),
        priority=session.priority,
    )
    used = context.reservation(evse.spec.evse_id, session.id_token, session.group)
    record = TransactionStarted(
        transaction_id=transaction.transaction_id,
        evse_id=transaction.evse_id,
        connector_id=transaction.connector_id,
        at=now,
        trigger=_start_trigger(evse, session),
        charging_state=transaction.charging_state,
        id_token=session.id_token,
        meter_start_wh=transaction.meter_start_wh,
        samples=first,
        group=session.group,
        remote_start_id=session.remote_start_id,
        reservation_id=used.reservation_id if used else None,
        offline=not context.is_online,
    )
    return transaction, record


def _start_trigger(evse: Evse, session: Authorized) -> Trigger:
    """Return which fact came last; a remote start names itself (2.0.1 F01.FR.25)."""
    if session.is_remote:
        return Trigger.REMOTE_START
    plugged_at = evse.inputs.plugged_at
    if plugged_at is not None and plugged_at.monotonic_s > session.since.monotonic_s:
        return Trigger.CABLE_PLUGGED_IN
    return Trigger.AUTHORIZED


def updated(
    evse: Evse,
    transaction: Transaction,
    context: Context,
    trigger: Trigger,
    *,
    samples: tuple[Sample, ...] = (),
) -> tuple[Transaction, TransactionUpdated]:
    """Return the transaction after one more record, and the record.

    The record tells the charging state that `transaction` has. It is dated by its sample,
    else by the present instant.
    """
    charges_on_one = (
        transaction.charging_state is ChargingState.CHARGING and evse.spec.phases == 1
    )
    record = TransactionUpdated(
        transaction_id=transaction.transaction_id,
        evse_id=transaction.evse_id,
        connector_id=transaction.connector_id,
        seq_no=transaction.next_seq,
        at=samples[0].at if samples else context.now,
        trigger=trigger,
        charging_state=transaction.charging_state,
        samples=samples,
        phases_used=1 if charges_on_one and not samples else None,
        offline=not context.is_online,
    )
    transaction = replace(transaction, next_seq=record.seq_no + 1)
    return noted(evse, transaction, context.now), record


def noted(evse: Evse, transaction: Transaction, now: Stamp) -> Transaction:
    """Write the register down, so that a power cut knows the latest one."""
    reading = evse.inputs.reading
    last_wh = transaction.last_wh
    if reading is not None:
        last_wh = max(last_wh, reading.energy_import_wh)
    return replace(transaction, last_wh=last_wh, last_at=now)


def kept(transaction: Transaction, sample: Sample) -> Transaction:
    """Keep a sample for the end.

    When there are too many, every second one between the first and the last is dropped
    (1.6 reference 5.5, 2.0.1 J02.FR.20).
    """
    samples = (*transaction.kept, sample)
    if len(samples) > KEPT_MOST:
        samples = (samples[0], *samples[2:-1:2], samples[-1])
    return replace(transaction, kept=samples)


def clocked(transaction: Transaction, state: ChargingState, now: Stamp) -> Transaction:
    """Take over a charging state and keep account of the time during which energy flows."""
    flowed = transaction.charging_s
    since = transaction.charging_since
    if since is not None:
        flowed += max(now.monotonic_s - since.monotonic_s, 0.0)
    return replace(
        transaction,
        charging_state=state,
        charging_s=flowed,
        charging_since=now if state is ChargingState.CHARGING else None,
    )


def ended(evse: Evse, session: Ending, settings: Settings, *, stays: bool) -> TransactionEnded:
    """Return the last record of a transaction.

    Args:
        stays: the vehicle is still connected.
    """
    transaction, reading = session.transaction, evse.inputs.reading
    register = max(transaction.meter_start_wh, transaction.last_wh)
    if reading is not None:
        register = max(register, reading.energy_import_wh)
    return TransactionEnded(
        transaction_id=transaction.transaction_id,
        evse_id=transaction.evse_id,
        connector_id=transaction.connector_id,
        seq_no=transaction.next_seq,
        at=session.at,
        trigger=session.trigger,
        charging_state=ChargingState.EV_CONNECTED if stays else ChargingState.IDLE,
        stop_reason=session.reason,
        meter_stop_wh=register,
        id_token=session.id_token,
        samples=(*transaction.kept, *_last_sample(evse, session, register, settings)),
        charging_s=transaction.charging_s,
        offline=session.offline,
    )


def _last_sample(
    evse: Evse, session: Ending, register_wh: float, settings: Settings
) -> tuple[Sample, ...]:
    """Return the sample at the end, with exactly the billed register.

    A reading from before the end was decided is the last plausible one, and dated by the end:
    samples stand in order of time.
    """
    read_at, at = evse.inputs.reading_at, session.at
    if read_at is not None and read_at.monotonic_s > session.since.monotonic_s:
        at = read_at
    wanted = settings.members(variables.ENDED_MEASURANDS)
    signs = settings.flag(variables.SIGN_ENDS)
    found = sampled(evse, at, ReadingContext.TRANSACTION_END, wanted, signs=signs)
    others = tuple(
        quantity
        for sample in found
        for quantity in sample.quantities
        if quantity.measurand is not Measurand.ENERGY_IMPORT
    )
    energy = (Quantity(Measurand.ENERGY_IMPORT, register_wh),)
    quantities = energy + others if Measurand.ENERGY_IMPORT.value in wanted else others
    if not quantities:
        return ()
    signed = next((sample.signed for sample in found), None)
    return (Sample(at, ReadingContext.TRANSACTION_END, quantities, signed),)


def sampled(
    evse: Evse,
    at: Stamp,
    context: ReadingContext,
    measurands: tuple[str, ...],
    *,
    signs: bool = False,
) -> tuple[Sample, ...]:
    """Sample the reading at a moment at which nothing is offered; empty without a reading."""
    sample = take(evse, at, context, measurands, offered_a=0.0, signs=signs)
    return (sample,) if sample else ()
