"""The current an EVSE may offer now: the least of all limits, with the origin of each.

    hardware, board, cable    what controller, wiring and plug carry
    temperature               what is left of that when it is hot
    offline, external, …      bounds on this EVSE from elsewhere (agent.core.bounds)
    share                     its part of what the station as a whole may draw
    phases                    its phases are to change, or just have
    ramp                      it may have more, and gets it in a moment (agent.core.supply)
    pause                     it may have an offer again, once its pause has been long enough

Between 0 and 6 A there is nothing to offer (IEC 61851-1 annex A): a lesser limit pauses.
"""

from agent.core.states import Active, Evse
from agent.core.values import EvseSpec, Limit

LOWEST_OFFER_A = 6.0
"""Least current a control pilot can offer (IEC 61851-1 annex A)."""

PAUSE = "pause"
PHASES = "phases"
RAMP = "ramp"
SHARE = "share"


def limits(evse: Evse) -> tuple[Limit, ...]:
    """Return every limit in force; undetected hardware carries nothing."""
    supply, found = evse.supply, [*own_limits(evse)]
    if supply.share_ma is not None:
        found.append(Limit(SHARE, supply.share_ma / 1000))
    if supply.is_switching:
        found.append(Limit(PHASES, 0.0))
    least_ma = min(offerable_ma(limit.limit_a, evse.spec.step_ma) for limit in found)
    if supply.asks_s is not None and supply.offer_ma < least_ma:
        origin = RAMP if supply.paused_s is None else PAUSE
        found.append(Limit(origin, supply.offer_ma / 1000))
    return tuple(found)


def offerable_ma(limit_a: float, step_ma: int = 100) -> int:
    """Return what can be offered under a limit: whole steps, 0 or at least 6 A.

    The tolerance keeps a float such as 16.1 from losing a whole step.
    """
    found_ma = int(limit_a * 1000 / step_ma + 1e-6) * step_ma
    return found_ma if found_ma >= LOWEST_OFFER_A * 1000 else 0


def own_limits(evse: Evse) -> tuple[Limit, ...]:
    """Return the limits that hold for this EVSE whatever the others do."""
    capabilities = evse.inputs.capabilities
    hardware = Limit("hardware", capabilities.max_a if capabilities else 0.0)
    return (hardware, *standing_limits(evse), *evse.supply.limits)


def standing_limits(evse: Evse) -> tuple[Limit, ...]:
    """Return the limits of wiring, plug and heat, which hold for any transaction here."""
    inputs, spec = evse.inputs, evse.spec
    found = [Limit("board", spec.max_a)]
    if inputs.cable_a is not None:
        found.append(Limit("cable", inputs.cable_a))
    if inputs.heat_c is not None and (derated_a := _derated_a(spec, inputs.heat_c)) is not None:
        found.append(Limit("temperature", derated_a))
    return tuple(found)


def _derated_a(spec: EvseSpec, heat_c: float) -> float | None:
    """Return what heat leaves of the board's limit: less and less down to 6 A, then nothing.

    Linear from start to stop, then a pause (hardware reference 1.3).
    """
    if spec.derates_c is None or heat_c < spec.derates_c[0]:
        return None
    start_c, stop_c = spec.derates_c
    if heat_c >= stop_c:
        return 0.0
    part = (stop_c - heat_c) / (stop_c - start_c)
    return LOWEST_OFFER_A + (spec.max_a - LOWEST_OFFER_A) * part


def setpoint_a(evse: Evse) -> float:
    """Return what may be offered at most, 0 when that is below the least offer."""
    own_ma = min(offerable_ma(limit.limit_a, evse.spec.step_ma) for limit in own_limits(evse))
    return min(own_ma, evse.supply.offer_ma) / 1000


def may_offer(evse: Evse, *, storage_ok: bool) -> bool:
    """Tell whether a transaction may draw energy, as far as no limit forbids it."""
    session = evse.session
    if not isinstance(session, Active) or not storage_ok or evse.inputs.blocking:
        return False
    transaction, reading = session.transaction, evse.inputs.reading
    if transaction.is_suspended:
        cap = transaction.energy_cap_wh
        return cap is not None and reading is not None and reading.energy_import_wh < cap
    return True


def offered_a(evse: Evse, *, storage_ok: bool) -> float:
    """Return what to offer now: the setpoint while a transaction may draw energy, else 0."""
    return setpoint_a(evse) if may_offer(evse, storage_ok=storage_ok) else 0.0


def why_paused(evse: Evse) -> str:
    """Return the origin of the limit that leaves nothing to offer, empty when none does."""
    least = min(limits(evse), key=lambda limit: limit.limit_a)
    return least.origin if least.limit_a < LOWEST_OFFER_A else ""
