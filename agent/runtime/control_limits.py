"""Limits through the control socket: what a local energy manager or a technician sets.

    limit.set    {origin, limit_a | limit_w, evse_id?, valid_s}
    limit.clear  {origin, evse_id?}

Without an EVSE a limit is for the sum over all of them: A per line conductor, W in all. It is
valid for its time and has to be set again before that is over; then the safe current holds.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from agent.core.events import ExternalLimitCleared, ExternalLimitSet

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,19}\Z")]
EvseId = Annotated[int, Meta(ge=1, le=64)]


class LimitSetParams(msgspec.Struct, forbid_unknown_fields=True):
    """A limit; the bounds are those of large sites, and of a year."""

    origin: Name
    valid_s: Annotated[float, Meta(gt=0.0, le=31_536_000.0)]
    limit_a: Annotated[float, Meta(ge=0.0, le=5_000.0)] | None = None
    limit_w: Annotated[float, Meta(ge=0.0, le=5_000_000.0)] | None = None
    evse_id: EvseId | None = None

    def __post_init__(self) -> None:
        if (self.limit_a is None) is (self.limit_w is None):
            raise ValueError("exactly one of limit_a and limit_w is needed")

    def event(self, request_id: int) -> ExternalLimitSet:
        """Return what happened."""
        return ExternalLimitSet(
            request_id,
            self.origin,
            self.valid_s,
            self.evse_id or 0,
            self.limit_a,
            self.limit_w,
        )


class LimitClearParams(msgspec.Struct, forbid_unknown_fields=True):
    """Whose limit holds no more; without an EVSE all of this origin."""

    origin: Name
    evse_id: EvseId | None = None

    def event(self, request_id: int) -> ExternalLimitCleared:
        """Return what happened."""
        return ExternalLimitCleared(request_id, self.origin, self.evse_id)
