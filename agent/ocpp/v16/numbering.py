"""Numbers of 1.6, and what they stand for in the domain.

1.6 counts connectors over the whole station: EVSE 1 has 1..m, EVSE 2 goes on from m + 1, and
so on; 0 is the station itself (1.6 reference, chapter 0).
"""

from collections.abc import Sequence

from agent.core.effects import Delivery
from agent.core.values import EvseSpec

LOST = -1
"""Number of a transaction whose start the CSMS refused (1.6 errata, 1.6 reference 4.5)."""


def count(specs: Sequence[EvseSpec]) -> int:
    """Return how many connectors the station has: the highest number."""
    return sum(spec.connectors for spec in specs)


def number(specs: Sequence[EvseSpec], evse_id: int, connector_id: int) -> int:
    """Return the 1.6 number of a connector; 0 for EVSE 0.

    An EVSE that the board no longer has, but a stored record still names, is numbered after
    all others, so that no other connector is blamed.
    """
    if evse_id == 0:
        return 0
    if evse_id > len(specs):
        return count(specs) + evse_id - len(specs)
    before = count(specs[: evse_id - 1])
    return before + max(1, min(connector_id, specs[evse_id - 1].connectors))


def place(specs: Sequence[EvseSpec], connector: int) -> tuple[int, int] | None:
    """Return (evse_id, connector_id) of a 1.6 number from 1 on, None for an unknown one."""
    first = 1
    for spec in specs:
        if first <= connector < first + spec.connectors:
            return spec.evse_id, connector - first + 1
        first += spec.connectors
    return None


def unknown_evse(specs: Sequence[EvseSpec]) -> int:
    """Return an EVSE id that the core does not know: it decides what that means."""
    return len(specs) + 1


def transaction(delivery: Delivery | None) -> int | None:
    """Return the CSMS's number for a transaction, None while it has given none."""
    if delivery is None:
        return None
    return LOST if delivery.is_start_lost else delivery.remote_id
