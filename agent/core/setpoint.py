"""The current an EVSE may offer now: the least of all limits, with the origin of each.

Between 0 and 6 A there is nothing to offer (IEC 61851-1 annex A): a lesser limit pauses.
"""

from agent.core.states import Active, Evse
from agent.core.values import Value

LOWEST_OFFER_A = 6.0
"""Least current a control pilot can offer (IEC 61851-1 annex A)."""


class Limit(Value, frozen=True):
    """One bound in A per phase, and where it comes from."""

    origin: str
    limit_a: float


def limits(evse: Evse) -> tuple[Limit, ...]:
    """Return every limit in force; undetected hardware carries nothing."""
    capabilities = evse.inputs.capabilities
    found = [
        Limit("hardware", capabilities.max_a if capabilities else 0.0),
        Limit("board", evse.spec.max_a),
    ]
    if evse.inputs.cable_a is not None:
        found.append(Limit("cable", evse.inputs.cable_a))
    return tuple(found)


def setpoint_a(evse: Evse) -> float:
    """Return what may be offered at most, 0 when that is below the least offer."""
    least = min(limit.limit_a for limit in limits(evse))
    return least if least >= LOWEST_OFFER_A else 0.0


def offered_a(evse: Evse, *, storage_ok: bool) -> float:
    """Return what to offer now: the setpoint while a transaction may draw energy, else 0."""
    session = evse.session
    if not isinstance(session, Active) or not storage_ok or evse.inputs.blocking:
        return 0.0
    transaction, reading = session.transaction, evse.inputs.reading
    if transaction.is_suspended:
        cap = transaction.energy_cap_wh
        if cap is None or reading is None or reading.energy_import_wh >= cap:
            return 0.0
    return setpoint_a(evse)
