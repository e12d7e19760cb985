"""What decides about a charging profile: the offer, the settings, what is installed already."""

from collections.abc import Mapping

from agent.core import variables
from agent.core.smart_charging.profile import Book, Profile, Unit
from agent.core.values import EvseSpec, Value
from agent.core.variables import Settings


class Bounds(Value, frozen=True):
    """What the settings allow.

    Attributes:
        enabled: smart charging is switched on.
        highest_level: highest stack level.
        units: of limits.
        most_periods: per schedule.
        capacity: how many profiles can be installed.
        fills_start: a lenient offer without a start begins now.
        chooses: vehicles here can choose among several schedules (ISO 15118).
    """

    enabled: bool = True
    highest_level: int = 9
    units: frozenset[Unit] = frozenset(Unit)
    most_periods: int = 48
    capacity: int = 30
    fills_start: bool = True
    chooses: bool = False


class Offer(Value, frozen=True):
    """A profile that somebody wants installed, with all that decides about it.

    Attributes:
        transactions: ids of the open transactions, by EVSE.
        now_s: None while the time is unknown.
        lenient: same level and purpose replace, a missing start is now, a start that means
            nothing is passed over (OCPP 1.6).
        names_transaction: the offer names a transaction, whether it exists or not.
        told_needs: the vehicle at this EVSE has told what it needs (ISO 15118).
        switches_phase: the EVSE can put a vehicle on a phase of its choice.
    """

    evse_id: int
    profile: Profile
    specs: Mapping[int, EvseSpec]
    transactions: Mapping[int, str]
    book: Book
    bounds: Bounds
    now_s: int | None
    lenient: bool = False
    names_transaction: bool = True
    told_needs: bool = False
    switches_phase: bool = False

    @property
    def phases(self) -> int:
        """Return how many phases the EVSE has, or the widest EVSE of the station."""
        spec = self.specs.get(self.evse_id)
        return spec.phases if spec else max(spec.phases for spec in self.specs.values())

    @property
    def fewest_phases(self) -> int:
        """Return to how many phases vehicles can be kept wherever the profile applies."""
        kept = (1 if spec.switches_phases else spec.phases for spec in self._phased)
        return max(kept, default=1)

    @property
    def has_phases(self) -> bool:
        """Return whether a vehicle that the profile limits has phases at all."""
        return bool(self._phased)

    @property
    def _phased(self) -> list[EvseSpec]:
        """Return the EVSEs concerned, without those of direct current."""
        spec = self.specs.get(self.evse_id)
        concerned = [spec] if spec else self.specs.values()
        return [spec for spec in concerned if not spec.is_dc]


class Refusal(Value, frozen=True):
    """Why a profile is not taken.

    Attributes:
        reason: a 2.0.1 reasonCode, at most 20 characters.
        info: for people.
    """

    reason: str
    info: str


def is_served(settings: Settings) -> bool:
    """Tell whether smart charging is there, and switched on."""
    return settings.flag(variables.SMART_CHARGING_AVAILABLE) and settings.flag(
        variables.SMART_CHARGING_ENABLED
    )


def bounds(settings: Settings) -> Bounds:
    """Return what the settings allow."""
    return Bounds(
        enabled=is_served(settings),
        highest_level=settings.integer(variables.PROFILE_STACK_LEVEL),
        units=frozenset(Unit(unit) for unit in settings.members(variables.RATE_UNIT)),
        most_periods=settings.integer(variables.PERIODS_PER_SCHEDULE),
        capacity=settings.integer(variables.MOST_PROFILES),
        fills_start=settings.flag(variables.FILLS_START),
        chooses=settings.flag(variables.ISO15118_ENABLED),
    )
