"""What DC power modules on CAN are told and what they say, whatever protocol they speak.

Each protocol has its module beside this one: a `Message` with `framed` and `read`, which are
the wire in both directions (a simulator speaks with them too), and a `Codec` for the side of
the controller. Frames have 29-bit identifiers and eight bytes, big-endian (hardware reference
chapter 4). A frame of another length, of another protocol or with a number that is none says
nothing. Whether a number is plausible, and how current is shared, is for the driver to judge.
"""

import enum
import math
from typing import Final, Protocol

from hal.types import CanFrame, Value

LENGTH: Final = 8
"""Bytes of data in every frame."""

Module = int | None
"""Address of a module; None is all of them."""


class Alarm(enum.Enum):
    """What a module can report as wrong or as holding it back."""

    FAULT = "fault"
    PROTECTION = "protection"
    FAN = "fan"
    FUSE = "fuse"
    MEMORY = "memory"
    OVER_TEMPERATURE = "over-temperature"
    OUTPUT_OVER_VOLTAGE = "output over-voltage"
    OUTPUT_SHORT = "output short"
    DISCHARGE = "discharge abnormal"
    COMMUNICATION_LOST = "communication lost"
    INTERNAL_COMMUNICATION = "internal communication"
    ADDRESS_DUPLICATE = "address duplicate"
    LOAD_SHARING = "load sharing"
    POWER_LIMITED = "power limited"
    TEMPERATURE_DERATED = "temperature derated"
    INTERNAL_BUS = "internal bus"
    INPUT_MODE = "input mode"
    INPUT_LIMITED = "input limited"
    INPUT_PHASE_LOST = "input phase lost"
    INPUT_UNBALANCED = "input unbalanced"
    INPUT_UNDER_VOLTAGE = "input under-voltage"
    INPUT_OVER_VOLTAGE = "input over-voltage"
    PFC = "PFC abnormal"
    PFC_OFF = "PFC off"


class Voltage(Value, frozen=True):
    """A module measures this at its output."""

    module: int
    voltage_v: float


class Current(Value, frozen=True):
    """A module measures this at its output."""

    module: int
    current_a: float


class Temperature(Value, frozen=True):
    """How warm a module is."""

    module: int
    temperature_c: float


class Rating(Value, frozen=True):
    """What a module can do at most; the least voltage that it regulates is `min_v`."""

    module: int
    min_v: float
    max_v: float
    max_a: float
    max_w: float


class Condition(Value, frozen=True):
    """How a module is.

    Attributes:
        group: the one it is in; None where the protocol does not say.
        is_walk_in: it starts softly; None where the protocol does not say.
    """

    module: int
    is_on: bool
    alarms: frozenset[Alarm]
    group: int | None = None
    is_walk_in: bool | None = None


class Accepted(Value, frozen=True):
    """A module has taken a command."""

    module: int


class Refused(Value, frozen=True):
    """A module has not done as it was asked.

    Attributes:
        code: the protocol's own number of the reason.
    """

    module: int
    code: int


Report = Voltage | Current | Temperature | Rating | Condition | Accepted | Refused


class Codec(Protocol):
    """The controller's side of one protocol. A current is always that of each module."""

    def switched(self, module: Module, *, on: bool) -> tuple[CanFrame, ...]:
        """Return the frames that switch the output."""

    def output(
        self, module: Module, voltage_v: float, current_a: float
    ) -> tuple[CanFrame, ...]:
        """Return the frames that set what is put out, in the order to send them.

        Both numbers are rounded down to what the wire can say, so that neither is exceeded.

        Raises:
            ValueError: a number is none, negative or more than the protocol can say.
        """

    def discovery(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frames that ask whether a module is there, and what it can do."""

    def polls(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frames that ask for what has to be known all the time."""

    def heard(self, frame: CanFrame) -> tuple[Report, ...]:
        """Return what a frame says to this controller, nothing when it is not for it."""


def counts(value: float, per_unit: float, most: int) -> int:
    """Return a number as the wire counts it, rounded down.

    Raises:
        ValueError: it is none, negative or counts more than `most`.
    """
    if (
        not math.isfinite(value)
        or value < 0
        or (counted := math.floor(value * per_unit)) > most
    ):
        raise ValueError(f"{value} cannot be set: 0 to {most / per_unit:g}")
    return counted


def known(*reports: Report) -> tuple[Report, ...]:
    """Return the reports, without measurements that are not a number."""
    return tuple(report for report in reports if _is_number(report))


def _is_number(report: Report) -> bool:
    match report:
        case Voltage():
            return math.isfinite(report.voltage_v)
        case Current():
            return math.isfinite(report.current_a)
        case Temperature():
            return math.isfinite(report.temperature_c)
        case _:
            return True
