"""The simulated vehicle: what it wants, and the current it draws over time.

A vehicle is a value; what it does with an offer follows from its fields. Its current is a
`Draw`: a straight line from one level to another, then level. Times are whole microseconds
of the event loop's clock and currents whole milliamperes, so that the charge under the line
is an integer and a simulated meter neither drifts nor runs backwards.
"""

from typing import Annotated

from msgspec import Meta

from hal.errors import HalError
from hal.types import MAX_OFFER_A, MIN_OFFER_A, Value

SWITCH_OFF_S = 3.0
"""A vehicle opens S2 within this time after PWM has stopped (IEC 61851-1 annex A)."""


class SimRefused(HalError):  # noqa: N818 - a refusal is an answer, not a failure
    """The simulated board will not do what a bench asked for; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Vehicle(Value, frozen=True, forbid_unknown_fields=True):
    """What is plugged in.

    Attributes:
        max_a: the most its charger draws, A per phase.
        phases: how many phases its charger uses.
        ready: it wants energy: S2 closes once enough is offered.
        ampacity_a: rating in A of the cable it came with, coded by the proximity pilot;
            None for a tethered cable. The vehicle does not look at it: keeping an offer
            within it is the station's duty.
        needs_ventilation: it asks for state D instead of C.
        reaction_s: from an offer to S2 closed; from no offer to S2 open, then at most
            `SWITCH_OFF_S`.
        adapt_s: time to follow a changed offer, at most 5 s (IEC 61851-1 annex A).
    """

    max_a: Annotated[float, Meta(ge=MIN_OFFER_A, le=MAX_OFFER_A)] = 32.0
    phases: Annotated[int, Meta(ge=1, le=3)] = 3
    ready: bool = True
    ampacity_a: Annotated[float, Meta(ge=MIN_OFFER_A, le=MAX_OFFER_A)] | None = None
    needs_ventilation: bool = False
    reaction_s: Annotated[float, Meta(ge=0.0, le=60.0)] = 0.5
    adapt_s: Annotated[float, Meta(ge=0.0, le=5.0)] = 3.0

    def wants(self, offer_ma: int) -> bool:
        """Return whether S2 should be closed under this offer in mA."""
        return self.ready and offer_ma >= MIN_OFFER_A * 1000

    def draws_ma(self, offer_ma: int) -> int:
        """Return the current per phase in mA that it settles at under this offer in mA."""
        return min(offer_ma, int(self.max_a * 1000)) if self.wants(offer_ma) else 0


class Draw(Value, frozen=True):
    """A current per phase over time: a straight line to a level, then that level.

    Attributes:
        start_us: when the line starts, in µs of the loop's clock.
        from_ma, to_ma: level at the start and at the end of the line.
        span_us: length of the line; 0 for a step.
    """

    start_us: int = 0
    from_ma: int = 0
    to_ma: int = 0
    span_us: int = 0

    @property
    def flows(self) -> bool:
        """Return whether any current flows, now or later on this line."""
        return self.from_ma > 0 or self.to_ma > 0

    def current_ma(self, at_us: int) -> int:
        """Return the current in mA at an instant not before the start."""
        passed = at_us - self.start_us
        if passed >= self.span_us:
            return self.to_ma
        return self.from_ma + (self.to_ma - self.from_ma) * passed // self.span_us

    def charge_ma_us(self, at_us: int) -> int:
        """Return the charge since the start in mA·µs, never less than at an earlier instant."""
        passed = at_us - self.start_us
        sloped = min(passed, self.span_us)
        charge = self.to_ma * (passed - sloped)
        if sloped > 0:
            rise = (self.to_ma - self.from_ma) * sloped * sloped
            charge += (2 * self.from_ma * sloped * self.span_us + rise) // (2 * self.span_us)
        return charge
