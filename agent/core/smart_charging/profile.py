"""Charging profiles as values (OCPP 2.0.1 5.1 of the reference; OCPP 1.6 6.1).

Instants are whole seconds, UTC since 1970; limits are whole mA per phase or mW for all phases.
Which profiles are accepted says agent.core.smart_charging.acceptance.
"""

import enum
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from agent.core.values import Value

MOST_MILLI: Final = 10**12
"""1 GW, and more current than any conductor carries: a greater limit is a mistake."""

_MOST: Final = MOST_MILLI / 1000

HARDWARE: Final = "hardware"
"""Origin of a limit that no profile sets."""


class Purpose(enum.StrEnum):
    """What a profile limits (OCPP 2.0.1 ChargingProfilePurposeEnumType)."""

    EXTERNAL = "ChargingStationExternalConstraints"
    STATION_MAX = "ChargingStationMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


class Kind(enum.StrEnum):
    """From where the seconds of a schedule count."""

    ABSOLUTE = "Absolute"  # from an instant
    RECURRING = "Recurring"  # from an instant, again every day or week
    RELATIVE = "Relative"  # from the start of the transaction


class Recurrency(enum.StrEnum):
    """How often a schedule recurs; plain seconds, without daylight saving."""

    DAILY = "Daily"
    WEEKLY = "Weekly"

    @property
    def seconds(self) -> int:
        """Return its length."""
        return 86_400 if self is Recurrency.DAILY else 604_800


class Unit(enum.StrEnum):
    """Unit of a limit."""

    AMPERE = "A"  # per phase
    WATT = "W"  # for all phases


class Period(Value, frozen=True, array_like=True):
    """A limit from an offset on.

    Attributes:
        start_s: from the start of the schedule.
        limit: in mA per phase or mW.
        phases: how many may be used; None when the profile does not say.
        phase_to_use: with one phase: which, 1 to 3.
    """

    start_s: int
    limit: int
    phases: int | None = None
    phase_to_use: int | None = None


class Schedule(Value, frozen=True):
    """A limit over time.

    Attributes:
        schedule_id: tells the schedules of one profile apart.
        periods: by start, the first at 0.
        start_s: None in a relative profile.
        duration_s: None: open-ended.
        least_rate: what a vehicle can use at least (minChargingRate); for information only.
    """

    unit: Unit
    periods: tuple[Period, ...]
    schedule_id: int = 0
    start_s: int | None = None
    duration_s: int | None = None
    least_rate: int | None = None


class Profile(Value, frozen=True):
    """A charging profile.

    Attributes:
        schedules: one; with a vehicle that chooses (ISO 15118) up to three.
        valid_from_s, valid_to_s: from then on, until before then; None: no bound.
        transaction_id: with purpose TX: ours.
    """

    profile_id: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    schedules: tuple[Schedule, ...]
    recurrency: Recurrency | None = None
    valid_from_s: int | None = None
    valid_to_s: int | None = None
    transaction_id: str | None = None

    @property
    def key(self) -> str:
        """Return the key under which it is installed."""
        return str(self.profile_id)


class Entry(Value, frozen=True, array_like=True):
    """A limit of a composite schedule.

    Attributes:
        start_s: seconds from the start of the schedule.
        limit: thousandths of the schedule's unit, as many as the wire carries.
        phases: the fewest that a profile names, None when none does.
        origin: purpose of the profile that limits, or the name of another limit in force,
            such as "hardware" or "fuse".
        profile_id: 0 when no profile limits.
    """

    start_s: int
    limit: int
    phases: int | None = None
    origin: str = HARDWARE
    profile_id: int = 0


class Installed(Value, frozen=True):
    """A profile that is in force here; EVSE 0 is the station.

    Attributes:
        source: who set it (OCPP 2.0.1 ChargingLimitSourceEnumType).
    """

    evse_id: int
    profile: Profile
    source: str = "CSO"


class Book(Value, frozen=True, eq=False):
    """All installed profiles, by key.

    Two books are the same only if they are one object: that makes them the key under which
    what was computed from them is remembered.
    """

    entries: Mapping[str, Installed] = {}


def milli(value: float) -> int:
    """Return a limit in thousandths, exactly, rounded down.

    What is no number or far beyond any limit becomes something that no rule accepts.
    """
    if 0.0 <= value <= _MOST:
        near = int(value * 1000 + 0.5)
        if near / 1000 == value:  # three decimals at most: nearly every limit
            return near
    if not math.isfinite(value):
        return -1
    exact = min(max(Decimal(repr(value)) * 1000, Decimal(-1)), Decimal(MOST_MILLI + 1))
    return math.floor(exact)


def is_over(profile: Profile, now_s: int) -> bool:
    """Tell whether a profile can never limit anything again (1.6 6.3)."""
    if profile.valid_to_s is not None and profile.valid_to_s <= now_s:
        return True
    return profile.kind is Kind.ABSOLUTE and all(
        schedule.start_s is not None
        and schedule.duration_s is not None
        and schedule.start_s + schedule.duration_s <= now_s
        for schedule in profile.schedules
    )
