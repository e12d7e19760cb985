"""Security events that were noticed outside the core become records (OCPP 2.0.1 A04)."""

from agent.core.effects import SecurityEvent
from agent.core.events import Event, SecurityEventRaised
from agent.core.turn import Context, Turn


def step(event: Event, context: Context) -> Turn[None]:
    """Record a security event; texts are cut to what the wire carries."""
    if not isinstance(event, SecurityEventRaised):
        return Turn(None)
    record = SecurityEvent(event.type[:50], context.now, event.tech_info[:255])
    return Turn(None, (record,))
