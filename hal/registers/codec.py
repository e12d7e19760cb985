"""Words from the wire to values in SI units, and back.

A `Point` says where one quantity lives and how its words are read. The value is
``raw * factor + offset`` in the canonical unit of the quantity (V, A, W, Wh …), calculated
with exact fractions and rounded once, to the nearest 64-bit float: a register of 15 digits
arrives with all of them, and the same words always give the same value.

A register that says "not available" decodes to None, never to zero: not-a-number and the
infinities always, and the bit patterns listed in `Point.na`. What a pattern means when the
map is silent is in `default_na`.
"""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from hal.types import Value

RawType = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
WordOrder = Literal["big", "little"]

_FORMATS: dict[RawType, str] = {
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "uint64": ">Q",
    "float32": ">f",
    "float64": ">d",
}


class Point(Value, frozen=True):
    """One quantity of a device and how to read it.

    Attributes:
        name: a word of the vocabulary in `hal.registers.map`.
        unit: the canonical unit, for people: "V", "Wh"; empty for a ratio.
        fc: function code that reads it: 3 (holding) or 4 (input).
        address: of the first word, as sent on the wire, 0 to 65535.
        type, word_order: how the words form the raw number; "little" has the least
            significant word first. Bytes within a word are always big-endian (Modbus
            application protocol v1.1b3, section 4.2).
        factor, offset: value = raw * factor + offset, in the canonical unit.
        minimum, maximum: what the value can plausibly be, canonical unit, both included.
        step: the smallest change that the register shows, canonical unit.
        na: raw patterns, as unsigned numbers in the given word order, that mean absent.
        is_monotonic: an energy register, which can only rise.
        is_optional: a reading without it is still a reading.
    """

    name: str
    unit: str
    fc: int
    address: int
    type: RawType
    word_order: WordOrder
    factor: Fraction
    offset: Fraction
    minimum: float
    maximum: float
    step: float
    na: frozenset[int]
    is_monotonic: bool = False
    is_optional: bool = False

    @property
    def count(self) -> int:
        """Return how many words the point takes, 1 to 4."""
        return word_count(self.type)


def word_count(raw_type: RawType) -> int:
    """Return how many words a raw type takes, 1 to 4."""
    return struct.calcsize(_FORMATS[raw_type]) // 2


def is_float(raw_type: RawType) -> bool:
    """Return whether a raw type is an IEEE 754 float."""
    return raw_type.startswith("float")


def default_na(raw_type: RawType) -> frozenset[int]:
    """Return the patterns that mean absent when the map does not list any.

    Unsigned: all ones. Signed: the two ends of the range, because all ones is -1 there, an
    ordinary figure (ABB A4x/B2x mark 0x7FFF…, SunSpec 0x8000…). Floats need none.
    """
    bits = 16 * word_count(raw_type)
    if is_float(raw_type):
        return frozenset()
    if raw_type.startswith("u"):
        return frozenset({(1 << bits) - 1})
    return frozenset({(1 << (bits - 1)) - 1, 1 << (bits - 1)})


def decode(point: Point, words: Sequence[int]) -> float | None:
    """Return the value that the words mean, in the canonical unit.

    Args:
        point: how to read them.
        words: exactly `point.count` registers of 16 bits, in the order of the wire.

    Returns:
        The nearest 64-bit float; None when the device says that it has no value, or when
        the value is beyond the range of a float.

    Raises:
        ValueError: the number of words is not the point's.
    """
    if len(words) != point.count:
        raise ValueError(f"{point.name} takes {point.count} words, not {len(words)}")
    ordered = words if point.word_order == "big" else words[::-1]
    data = struct.pack(f">{len(ordered)}H", *ordered)
    if int.from_bytes(data, "big") in point.na:
        return None
    (raw,) = struct.unpack(_FORMATS[point.type], data)
    if not math.isfinite(raw):
        return None
    try:
        return float(Fraction(raw) * point.factor + point.offset)
    except OverflowError:
        return None


def encode(point: Point, value: float | None) -> tuple[int, ...]:
    """Return the words a device would answer with: the reverse of `decode`.

    Args:
        point: how to write it.
        value: in the canonical unit, rounded to the nearest raw number; None for the
            device's way to say that it has no value.

    Raises:
        ValueError: the raw type cannot carry the value, or has no way to say absent.
    """
    data = _absent(point) if value is None else _pack(point, value)
    words = struct.unpack(f">{point.count}H", data)
    return words if point.word_order == "big" else words[::-1]


def _absent(point: Point) -> bytes:
    if point.na:
        return min(point.na).to_bytes(2 * point.count, "big")
    if is_float(point.type):
        return struct.pack(_FORMATS[point.type], math.nan)
    raise ValueError(f"{point.name} has no pattern that means absent")


def _pack(point: Point, value: float) -> bytes:
    if not math.isfinite(value):
        raise ValueError(f"{point.name} cannot be {value}; None means absent")
    raw = (Fraction(value) - point.offset) / point.factor
    try:
        return struct.pack(
            _FORMATS[point.type], float(raw) if is_float(point.type) else round(raw)
        )
    except (struct.error, OverflowError):
        raise ValueError(f"{point.name}: {point.type} cannot carry {value}") from None
