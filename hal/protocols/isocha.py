"""What the registers of a Bender isoCHA425 or isoCHA423 mean (hardware reference 1.4).

A measurement is four words: a 32-bit float, most significant word first, then alarm, test,
validity and unit in one word, and the number of the channel.

    word 2   15..14 test     10..8 alarm     7..6 validity     4..0 unit
"""

import math
import struct
from collections.abc import Sequence
from typing import Final

from hal.types import Value

ISOLATION: Final = 1000
VOLTAGE: Final = 1008
WORDS: Final = 4
"""Addresses of the two measurements, and how long each is."""

SELF_TEST: Final = 8005
TEST_WORD: Final = 0x5445
"""Writing this there begins a self test: "TE"."""

OHM: Final = 2
VOLT: Final = 4

TRUE_VALUE, SMALLER, BIGGER, INVALID = range(4)
DEVICE_ERROR: Final = 2
WARNINGS: Final = frozenset({0, 1, 4})
ALARM: Final = 5
INTERNAL_TEST: Final = 1


class Measurement(Value, frozen=True):
    """One measurement of the monitor.

    Attributes:
        value: in the unit; at least 0.
        unit: `OHM`, `VOLT`, or something else.
        validity: `TRUE_VALUE`; or the real value is smaller, or bigger; or there is none.
        alarm: 0 none, 1 and 4 warnings, 2 a defect of the monitor, 5 an alarm.
        is_testing: it is testing itself, and what it shows is no measurement.
    """

    value: float
    unit: int
    validity: int = TRUE_VALUE
    alarm: int = 0
    is_testing: bool = False

    @property
    def at_least(self) -> float | None:
        """Return what the real value is at least, None when there is none."""
        if self.validity == INVALID or self.is_testing or not 0 <= self.value < math.inf:
            return None
        return 0.0 if self.validity == SMALLER else self.value


def measurement(words: Sequence[int]) -> Measurement:
    """Return what four words say."""
    high, low, flags, _ = words
    (value,) = struct.unpack(">f", struct.pack(">HH", high, low))
    return Measurement(
        value=value,
        unit=flags & 0x1F,
        validity=flags >> 6 & 0x3,
        alarm=flags >> 8 & 0x7,
        is_testing=flags >> 14 & 0x3 != 0,
    )


def words_of(item: Measurement, channel: int) -> tuple[int, ...]:
    """Return the four words of a measurement: what a simulated monitor shows."""
    high, low = struct.unpack(">HH", struct.pack(">f", item.value))
    test = INTERNAL_TEST if item.is_testing else 0
    return high, low, test << 14 | item.alarm << 8 | item.validity << 6 | item.unit, channel
