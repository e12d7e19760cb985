"""The composite schedule through the control socket.

    schedule.get    {evse_id, duration_s?, unit?}

EVSE 0 is the station. The answer is what GetCompositeSchedule would tell, and for every period
which profile limits it: `origin` is the profile's purpose, or "hardware".
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agent.core.effects import CompositeAnswer
from agent.core.events import CompositeScheduleRequested
from agent.core.smart_charging.profile import Unit
from agent.ocpp.wire_time import to_text


class ScheduleParams(msgspec.Struct, forbid_unknown_fields=True):
    """Whose limits, for how long from now on, and in which unit."""

    evse_id: Annotated[int, Meta(ge=0, le=64)] = 0
    duration_s: Annotated[int, Meta(ge=1, le=604_800)] = 86_400
    unit: Unit = Unit.AMPERE

    def event(self, request_id: int) -> CompositeScheduleRequested:
        """Return what happened."""
        return CompositeScheduleRequested(
            request_id, self.evse_id, self.duration_s, self.unit, converts=True
        )


def told(answer: CompositeAnswer) -> dict[str, Any]:
    """Return a composite schedule as the control socket tells it."""
    return {
        "evse_id": answer.evse_id,
        "start_at": to_text(answer.start_s),
        "duration_s": answer.duration_s,
        "unit": answer.unit.value,
        "periods": [
            {
                "start_s": entry.start_s,
                "limit": entry.limit / 1000,
                "phases": entry.phases,
                "origin": str(entry.origin),
                "profile_id": entry.profile_id or None,
            }
            for entry in answer.entries
        ],
    }
