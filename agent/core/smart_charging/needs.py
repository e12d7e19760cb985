"""What a vehicle tells of its needs (ISO 15118; OCPP 2.0.1 K15)."""

import enum

from agent.core.values import Value


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
