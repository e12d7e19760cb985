"""What a vehicle tells of its needs, and how far that has come (ISO 15118; OCPP 2.0.1 K15)."""

import enum

from agent.core.smart_charging.profile import Book, Schedule
from agent.core.values import Value
from agent.core.variables import Settings


class Transfer(enum.StrEnum):
    """How a vehicle wants to charge on AC (OCPP 2.0.1 EnergyTransferModeEnumType)."""

    SINGLE_PHASE = "AC_single_phase"
    TWO_PHASE = "AC_two_phase"
    THREE_PHASE = "AC_three_phase"


class ChargingNeeds(Value, frozen=True):
    """What a vehicle wants, and what it can take.

    Attributes:
        energy_wh: until it leaves.
        least_a, most_a: A per phase.
        most_v: line to neutral.
        departs_s: UTC second since 1970, None when it does not say.
        most_tuples: how many entries of a schedule it takes, None when it does not say.
    """

    transfer: Transfer
    energy_wh: int
    least_a: int
    most_a: int
    most_v: int
    departs_s: int | None = None
    most_tuples: int | None = None


class NeedsAnswer(enum.Enum):
    """What the CSMS says to needs (OCPP 2.0.1 NotifyEVChargingNeedsStatusEnumType)."""

    ACCEPTED = "Accepted"  # a profile follows
    REJECTED = "Rejected"  # none follows
    PROCESSING = "Processing"  # one follows, later


class Talk(Value, frozen=True, eq=False):
    """How far the negotiation with a vehicle is.

    Attributes:
        until_s: until when the CSMS's profile is waited for, and then until when the offers
            hold, monotonic seconds.
        offers: schedules in A per phase, of which the vehicle chooses one; () while it waits.
        number: of the offers; a new one has to be chosen from anew.
        refused: how many choices were none.
        book, settings: what the offers were computed from.
    """

    transaction_id: str
    needs: ChargingNeeds
    until_s: float
    offers: tuple[Schedule, ...] = ()
    number: int = 0
    refused: int = 0
    book: Book | None = None
    settings: Settings | None = None

    @property
    def waits(self) -> bool:
        """Tell whether the vehicle has been offered nothing yet."""
        return not self.offers
