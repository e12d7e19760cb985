"""That the rate of a transaction has changed (2.0.1 K11, K13).

What an energy manager or the grid operator does to a running transaction the CSMS has to be
told, once it is more than `LimitChangeSignificance`, with what is offered now. What its own
profiles do it is told as well where it wants to know what is offered: its samples contain it,
and who regulates by profiles needs the answer before the next sample. That an offer ends or
comes back is a change of state, and told as that. Who limits the whole station is taken to
limit every EVSE: what leaves whom how much is a matter of shares.

An energy manager may regulate every few seconds, and each record is a write to flash: a
transaction has its rate told once a minute at most, and then as it is by that time.
"""

import math
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.events import (
    DeadlinePassed,
    Event,
    OffersChanged,
    PowerUp,
    SampleTaken,
    TransactionClosed,
)
from agent.core.samples import take
from agent.core.states import Active, Evse
from agent.core.turn import Context, Turn
from agent.core.values import Measurand, ReadingContext, Trigger, Value

MEASURANDS = (
    Measurand.CURRENT_OFFERED.value,
    Measurand.POWER_OFFERED.value,
    Measurand.ENERGY_IMPORT.value,
)

_OFFERED: Final = frozenset({Measurand.CURRENT_OFFERED.value, Measurand.POWER_OFFERED.value})

PAUSE_S: Final = 60.0
"""Between two rates that are told of one transaction."""


class Rate(Value, frozen=True):
    """What a transaction was offered when it was looked at last.

    Attributes:
        offer_ma: per phase.
        is_outside: somebody at the site had to do with it, or the CSMS wants all changes.
        free_s: not told again before, monotonic seconds.
        waits: there is something to tell by then.
    """

    transaction_id: str
    offer_ma: int
    is_outside: bool
    free_s: float = -math.inf
    waits: bool = False


class Rates(Value, frozen=True):
    """The slice of this block: the last rate, by EVSE; of no use after a power cut."""

    known: Mapping[int, Rate] = {}


def deadline_s(state: Rates) -> float | None:
    """Return when the first rate that waits may be told, monotonic seconds."""
    return min((rate.free_s for rate in state.known.values() if rate.waits), default=None)


def step(state: Rates, event: Event, context: Context) -> Turn[Rates]:
    """Have a changed rate told by the transaction's session."""
    match event:
        case OffersChanged():
            return _moved(state, context)
        case DeadlinePassed() if any(rate.waits for rate in state.known.values()):
            return _moved(state, context)
        case TransactionClosed(evse_id=evse_id):
            return Turn(Rates({key: one for key, one in state.known.items() if key != evse_id}))
        case PowerUp():
            return Turn(Rates())
        case _:
            return Turn(state)


def _moved(state: Rates, context: Context) -> Turn[Rates]:
    known, raised = dict(state.known), list[SampleTaken]()
    for evse_id, evse in context.evses.items():
        if not isinstance(evse.session, Active):
            continue
        before, now = known.get(evse_id), _rate(evse, context)
        if before is None or before.transaction_id != now.transaction_id:
            known[evse_id] = now
            continue
        known[evse_id], is_told = _compared(before, now, evse, context)
        if is_told:
            raised += _sampled(evse, context)
    return Turn(Rates(known), (), tuple(raised))


def _compared(before: Rate, now: Rate, evse: Evse, context: Context) -> tuple[Rate, bool]:
    """Return what is known of a rate from now on, and whether it is to be told."""
    least_pct = context.settings.decimal(variables.LIMIT_SIGNIFICANCE)
    is_outside = before.is_outside or now.is_outside
    now = replace(now, free_s=before.free_s)
    if not (is_outside and now.offer_ma and before.offer_ma):
        return now, False
    if abs(now.offer_ma - before.offer_ma) * 100 <= least_pct * before.offer_ma:
        # A raise may follow seconds after the limit that had held it down.
        is_rising = evse.supply.share_ma not in {None, now.offer_ma}
        is_outside = is_outside if is_rising else now.is_outside
        return replace(before, is_outside=is_outside, waits=False), False
    if context.now.monotonic_s < before.free_s:
        return replace(before, is_outside=True, waits=True), False
    return replace(now, free_s=context.now.monotonic_s + PAUSE_S), True


def _rate(evse: Evse, context: Context) -> Rate:
    session = evse.session
    transaction_id = session.transaction.transaction_id if isinstance(session, Active) else ""
    is_wanted = not _OFFERED.isdisjoint(context.settings.members(variables.SAMPLED_MEASURANDS))
    is_outside = is_wanted or bool(context.limited & {0, evse.spec.evse_id})
    return Rate(transaction_id, evse.supply.offer_ma, is_outside)


def _sampled(evse: Evse, context: Context) -> tuple[SampleTaken, ...]:
    offered_a = evse.supply.offer_ma / 1000
    why = ReadingContext.OTHER
    sample = take(evse, context.now, why, MEASURANDS, offered_a=offered_a)
    if sample is None or evse.inputs.fresh_reading(context.now) is None:
        return ()
    trigger = Trigger.CHARGING_RATE_CHANGED
    return (SampleTaken(evse.spec.evse_id, sample, trigger, is_told=True),)
