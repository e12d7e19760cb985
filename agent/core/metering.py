"""When to sample: grids of a transaction and grids of the clock (OCPP 1.6 5, 2.0.1 J01, J02).

The grid of a transaction starts with it: start + n x interval. The grid of the clock starts
at midnight UTC and exists only while the time is known. A sample carries the nominal instant
of its grid. A reading that is too old yields no sample: a gap is honest, a repeated register
is not.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Done, MeterSampled, MeterValuesReported, Reply, Verdict
from agent.core.events import (
    DeadlinePassed,
    Event,
    PowerUp,
    SampleTaken,
    SettingChanged,
    TimeLearned,
    TransactionClosed,
    TransactionOpened,
    TriggerKind,
    TriggerRequested,
)
from agent.core.samples import take
from agent.core.setpoint import offered_a
from agent.core.states import READING_FRESH_S, Active
from agent.core.turn import Context, Turn
from agent.core.values import Measurand, ReadingContext, Sample, Stamp, Trigger, Value
from agent.core.variables import Settings, Variable

DAY_S = 86_400.0

SLACK_S = 0.001
"""An instant nearer than this has come: sums of floating-point seconds differ by less."""


class Rhythm(Value, frozen=True):
    """Grids of one transaction, in monotonic seconds.

    Attributes:
        anchor_s: its start, or its return after a power cut.
        told_s, kept_s: next instants; None when the interval is 0.
    """

    anchor_s: float
    told_s: float | None = None
    kept_s: float | None = None


class Metering(Value, frozen=True):
    """The slice of this block: rhythms by EVSE, and the next instants of the clock's grids."""

    rhythms: Mapping[int, Rhythm] = {}
    clock_told_s: float | None = None
    clock_kept_s: float | None = None


def deadline_s(state: Metering) -> float | None:
    """Return the next instant of any grid."""
    instants = [state.clock_told_s, state.clock_kept_s]
    for rhythm in state.rhythms.values():
        instants += (rhythm.told_s, rhythm.kept_s)
    return min((instant for instant in instants if instant is not None), default=None)


def step(state: Metering, event: Event, context: Context) -> Turn[Metering]:
    """Advance the grids; due samples are raised for the session or told at once."""
    match event:
        case PowerUp():
            return Turn(_aligned(Metering(), context))
        case TransactionOpened(evse_id=evse_id):
            rhythm = _laid(Rhythm(context.now.monotonic_s), context.now, context.settings)
            return Turn(replace(state, rhythms={**state.rhythms, evse_id: rhythm}))
        case TransactionClosed(evse_id=evse_id):
            left = {key: item for key, item in state.rhythms.items() if key != evse_id}
            return Turn(replace(state, rhythms=left))
        case SettingChanged() | TimeLearned():
            turn = _due(state, context)
            rhythms = {
                key: _laid(item, context.now, context.settings)
                for key, item in turn.state.rhythms.items()
            }
            laid = _aligned(replace(turn.state, rhythms=rhythms), context)
            return Turn(laid, turn.effects, turn.raised)
        case DeadlinePassed():
            return _due(state, context)
        case TriggerRequested(kind=TriggerKind.METER_VALUES):
            return _triggered(state, event, context)
        case TriggerRequested(kind=TriggerKind.TRANSACTION):
            return _transactions_triggered(state, event, context)
        case _:
            return Turn(state)


def _laid(rhythm: Rhythm, now: Stamp, settings: Settings) -> Rhythm:
    """Lay the grids anew from the start of the transaction."""

    def following(variable: Variable) -> float | None:
        interval = settings.integer(variable)
        if not interval:
            return None
        passed = (now.monotonic_s - rhythm.anchor_s + SLACK_S) // interval
        return rhythm.anchor_s + (passed + 1) * interval

    return replace(
        rhythm,
        told_s=following(variables.SAMPLE_INTERVAL),
        kept_s=following(variables.ENDED_INTERVAL),
    )


def _aligned(state: Metering, context: Context) -> Metering:
    """Lay the clock's grids anew."""
    return replace(
        state,
        clock_told_s=next_aligned_s(
            context.now, context.settings.integer(variables.ALIGNED_INTERVAL)
        ),
        clock_kept_s=next_aligned_s(
            context.now, context.settings.integer(variables.ALIGNED_ENDED_INTERVAL)
        ),
    )


def next_aligned_s(now: Stamp, interval_s: int) -> float | None:
    """Return the next instant of a clock grid in monotonic seconds (1.6 appendix C).

    The grid begins anew at midnight when a day is no multiple of the interval.
    """
    if not interval_s or now.wall_s is None:
        return None
    midnight = (now.wall_s + SLACK_S) // DAY_S * DAY_S
    passed = (now.wall_s + SLACK_S - midnight) // interval_s
    wall = min(midnight + (passed + 1) * interval_s, midnight + DAY_S)
    return now.monotonic_s + (wall - now.wall_s)


# --- due samples ---


class _Samples(NamedTuple):
    """Samples that were due: for sessions, and of EVSEs without a transaction."""

    state: Metering
    raised: tuple[SampleTaken, ...]
    effects: tuple[MeterSampled, ...] = ()


def _due(state: Metering, context: Context) -> Turn[Metering]:
    """Take the samples whose instant has come, and move on to the next instants."""
    of_rhythms = _rhythms_due(state, context)
    of_clock = _clock_due(of_rhythms.state, context)
    raised = sorted((*of_rhythms.raised, *of_clock.raised), key=_taken_s)
    return Turn(of_clock.state, of_clock.effects, tuple(raised))


def _rhythms_due(state: Metering, context: Context) -> _Samples:
    now, settings = context.now, context.settings
    raised: list[SampleTaken] = []
    rhythms = dict(state.rhythms)
    for evse_id, rhythm in state.rhythms.items():
        for instant, variable, is_told in (
            (rhythm.told_s, variables.SAMPLED_MEASURANDS, True),
            (rhythm.kept_s, variables.ENDED_MEASURANDS, False),
        ):
            if instant is None or not _is_due(instant, now):
                continue
            rhythms[evse_id] = _laid(rhythm, now, settings)
            wanted = _wanted(settings, variable, is_told=is_told)
            why, signs = ReadingContext.PERIODIC, variables.SIGN_UPDATES
            sample = _sampled(context, evse_id, instant, why, wanted, signs)
            if sample:
                trigger = Trigger.METER_VALUE_PERIODIC
                raised.append(SampleTaken(evse_id, sample, trigger, is_told=is_told))
    return _Samples(replace(state, rhythms=rhythms), tuple(raised))


def _clock_due(state: Metering, context: Context) -> _Samples:
    """Take aligned samples: of a transaction for its session, others as records."""
    settings = context.settings
    raised: list[SampleTaken] = []
    records: list[MeterSampled] = []
    for instant, variable, is_told in (
        (state.clock_told_s, variables.ALIGNED_MEASURANDS, True),
        (state.clock_kept_s, variables.ALIGNED_ENDED_MEASURANDS, False),
    ):
        if instant is None or not _is_due(instant, context.now):
            continue
        state = _aligned(state, context)
        wanted = _wanted(settings, variable, is_told=is_told)
        for evse_id, evse in context.evses.items():
            why, signs = ReadingContext.CLOCK, variables.SIGN_ALIGNED
            sample = _sampled(context, evse_id, instant, why, wanted, signs)
            if sample is None:
                continue
            if isinstance(evse.session, Active):
                trigger = Trigger.METER_VALUE_CLOCK
                raised.append(SampleTaken(evse_id, sample, trigger, is_told=is_told))
            elif is_told:
                records.append(MeterSampled(evse_id, evse.inputs.connector_id, sample))
    return _Samples(state, tuple(raised), tuple(records))


def _is_due(instant_s: float, now: Stamp) -> bool:
    return instant_s <= now.monotonic_s + SLACK_S


def _taken_s(event: SampleTaken) -> float:
    return event.sample.at.monotonic_s


def _wanted(settings: Settings, variable: Variable, *, is_told: bool) -> tuple[str, ...]:
    """Return what a sample contains.

    What is told contains at least the register; an empty list for the end of a transaction
    means that nothing is kept for it (1.6 reference 5.1).
    """
    return settings.members(variable) or ((Measurand.ENERGY_IMPORT.value,) if is_told else ())


def _sampled(
    context: Context,
    evse_id: int,
    instant_s: float,
    why: ReadingContext,
    measurands: tuple[str, ...],
    signing: Variable | None = None,
) -> Sample | None:
    """Return the reading dated by its grid; None when it is no reading of that instant."""
    evse, now = context.evses[evse_id], context.now
    late_s = now.monotonic_s - instant_s
    if evse.inputs.fresh_reading(now) is None or late_s > READING_FRESH_S:
        return None
    # To the millisecond, so that the instants of a grid of whole seconds are whole seconds.
    wall = None if now.wall_s is None else round(now.wall_s - late_s, 3)
    return take(
        evse,
        Stamp(now.boot, instant_s, wall),
        why,
        measurands,
        offered_a=offered_a(evse, storage_ok=context.storage_ok),
        signs=signing is not None and context.settings.flag(signing),
    )


# --- what the CSMS wants to hear ---


def _triggered(state: Metering, event: TriggerRequested, context: Context) -> Turn[Metering]:
    """Tell present readings; they are no records: later they would be worth nothing.

    The station has no meter of its own: 0 means the meters of all its EVSEs.
    """
    reports = []
    for evse_id, sample in _samples_for(event, context).items():
        evse = context.evses[evse_id]
        transaction = evse.transaction
        told = MeterValuesReported(
            evse_id,
            event.connector_id or evse.inputs.connector_id,
            sample,
            transaction.transaction_id if transaction else None,
        )
        reports.append(told)
    if not reports:
        return Turn(state, (_nothing(event, context),))
    return Turn(state, (Reply(event.request_id, Done(Verdict.ACCEPTED)), *reports))


def _transactions_triggered(
    state: Metering, event: TriggerRequested, context: Context
) -> Turn[Metering]:
    """Have running transactions told where they stand (2.0.1 F06.FR.07)."""
    raised = tuple(
        SampleTaken(evse_id, sample, Trigger.TRIGGER, is_told=True)
        for evse_id, sample in _samples_for(event, context).items()
        if isinstance(context.evses[evse_id].session, Active)
    )
    if not raised:
        return Turn(state, (_nothing(event, context),))
    return Turn(state, (Reply(event.request_id, Done(Verdict.ACCEPTED)),), raised)


def _samples_for(event: TriggerRequested, context: Context) -> dict[int, Sample]:
    """Return a present sample of each EVSE concerned, as far as there is one."""
    wanted = event.measurands or (Measurand.ENERGY_IMPORT.value,)
    samples = {
        evse_id: _sampled(
            context, evse_id, context.now.monotonic_s, ReadingContext.TRIGGER, wanted
        )
        for evse_id, evse in context.evses.items()
        if (not event.evse_id or evse_id == event.evse_id)
        and (not event.connector_id or event.connector_id <= evse.spec.connectors)
    }
    return {evse_id: sample for evse_id, sample in samples.items() if sample is not None}


def _nothing(event: TriggerRequested, context: Context) -> Reply:
    is_known = not event.evse_id or event.evse_id in context.evses
    reason = "Unspecified" if is_known else "UnknownEvse"
    info = "nothing to tell: no transaction, or no reading of now"
    return Reply(event.request_id, Done(Verdict.REJECTED, reason, info))
