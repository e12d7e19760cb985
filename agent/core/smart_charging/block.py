"""Charging profiles: this station takes none yet, and says so.

A profile for an EVSE that does not exist is told apart, so that an operator finds the wrong
number before the missing feature.
"""

from agent.core.effects import Done, Reply, Verdict
from agent.core.events import ChargingProfileOffered, Event
from agent.core.turn import Context, Turn


def step(event: Event, context: Context) -> Turn[None]:
    """Refuse an offered profile, with the reason."""
    if not isinstance(event, ChargingProfileOffered):
        return Turn(None)
    known = event.evse_id == 0 or event.evse_id in context.evses
    done = (
        Done(Verdict.NOT_SUPPORTED, "UnsupportedRequest")
        if known
        else Done(Verdict.UNKNOWN_EVSE, "UnknownEvse")
    )
    return Turn(None, (Reply(event.request_id, done),))
