"""What the CSMS wants to hear at once: who tells it (1.6 2.2 TriggerMessage, 2.0.1 F06).

A block that owns a kind of message takes `TriggerRequested` for it, replies, and tells the
message after the reply:

    BOOT, HEARTBEAT             agent.core.provisioning
    STATUS                      agent.core.availability
    METER_VALUES, TRANSACTION   agent.core.metering

What no block has taken is not implemented, and this module says so. A block that comes to
own another kind only has to take the event.
"""

from collections.abc import Iterable

from agent.core.effects import Done, Effect, Reply, Verdict
from agent.core.events import TriggerRequested


def declined(event: TriggerRequested, effects: Iterable[Effect]) -> tuple[Reply, ...]:
    """Return the answer to a request that no block has answered; nothing if one has."""
    request_ids = {effect.request_id for effect in effects if isinstance(effect, Reply)}
    if event.request_id in request_ids:
        return ()
    info = f"this station has no {event.kind.value} to tell"
    return (Reply(event.request_id, Done(Verdict.NOT_SUPPORTED, "UnsupportedRequest", info)),)
