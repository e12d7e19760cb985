"""Words from the wire to values in SI units, and back.

A `Point` says where one quantity lives and how its words are read. The value is
``raw * factor + offset`` in the canonical unit of the quantity (V, A, W, Wh …), calculated
exactly and rounded once, to the nearest 64-bit float: a register of 15 digits arrives with
all of them, and the same words always give the same value.

A register that says "not available" decodes to None, never to zero: not-a-number and the
infinities always, and the bit patterns listed in `Point.na`. What a pattern means when the
map is silent is in `default_na`.

Three things beside plain numbers occur in the field. Decimal digits in half bytes (`bcd16`
to `bcd64`); a few bits of a word (`mask`); and a power of ten in another register, as
SunSpec has it (`Exponent`). `Text` is for what a device says about itself.
"""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import msgspec

from hal.types import Value

RawType = Literal[
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
    "bcd16", "bcd32", "bcd64",
]  # fmt: skip
TextType = Literal["string", "bcd", "hex", "uint16", "uint32", "uint64"]
WordOrder = Literal["big", "little"]

FORMATS: dict[RawType, str] = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
    "bcd16": "H",
    "bcd32": "I",
    "bcd64": "Q",
}
"""How `struct` reads the words of a type, once they are in order."""

MAX_EXPONENT = 10
"""SunSpec information model specification, section 4.2.8: a scale factor is -10 to 10."""


class Exponent(Value, frozen=True):
    """A register that holds a power of ten, as SunSpec scale factors do.

    Attributes:
        address: of its one word, in the same table as the point it belongs to.
        simulated: what a simulated device has there.
    """

    address: int
    simulated: int


class Point(Value, frozen=True):
    """One quantity of a device and how to read it.

    Attributes:
        name: a word of `hal.registers.vocabulary`.
        unit: the canonical unit, for people: "V", "Wh"; empty for a ratio.
        fc: function code that reads it: 3 (holding) or 4 (input registers), 1 (coils) or
            2 (discrete inputs), where each address is one bit.
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
        mask: the bits of an unsigned raw number that count, shifted down; 0 for all.
        exponent: where the power of ten stands that the raw number is multiplied with.
        labels: what single raw numbers mean: a pilot state for the point "state".
        faults: which raw numbers are a fault besides, by the fault's name.
        bits: which fault each bit, counted from the lowest, stands for.
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
    mask: int = 0
    exponent: Exponent | None = None
    labels: dict[int, str] = msgspec.field(default_factory=dict)
    faults: dict[int, str] = msgspec.field(default_factory=dict)
    bits: dict[int, str] = msgspec.field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return how many words the point takes, 1 to 4."""
        return word_count(self.type)

    @property
    def start(self) -> int:
        """Return the first address that must be read to know the value."""
        return self.address if self.exponent is None else min(self.address, self._exponent_at)

    @property
    def end(self) -> int:
        """Return the address behind the last one that must be read to know the value."""
        end = self.address + self.count
        return end if self.exponent is None else max(end, self._exponent_at + 1)

    @property
    def _exponent_at(self) -> int:
        return self.address if self.exponent is None else self.exponent.address


class Text(Value, frozen=True):
    """What a device says about itself: a name, a number that is only looked at.

    Attributes:
        name: one of `hal.registers.vocabulary.IDENTITIES`.
        fc, address, count: which words.
        type: "string" is ASCII, two characters a word; "bcd" and "hex" are digits, four a
            word; an unsigned type is a decimal number.
        word_order: as for `Point`.
    """

    name: str
    fc: int
    address: int
    count: int
    type: TextType
    word_order: WordOrder


def word_count(raw_type: RawType) -> int:
    """Return how many words a raw type takes, 1 to 4."""
    return struct.calcsize(f">{FORMATS[raw_type]}") // 2


def is_float(raw_type: RawType) -> bool:
    """Return whether a raw type is an IEEE 754 float."""
    return raw_type.startswith("float")


def is_bcd(raw_type: RawType) -> bool:
    """Return whether a raw type is decimal digits in half bytes."""
    return raw_type.startswith("bcd")


def default_na(raw_type: RawType) -> frozenset[int]:
    """Return the patterns that mean absent when the map does not list any.

    Unsigned: all ones. Signed: the two ends of the range, because all ones is -1 there, an
    ordinary figure (ABB A4x/B2x mark 0x7FFF…, SunSpec 0x8000…). Floats need none, and
    decimal digits cannot be all ones anyway.
    """
    bits = 16 * word_count(raw_type)
    if is_float(raw_type) or is_bcd(raw_type):
        return frozenset()
    if raw_type.startswith("u"):
        return frozenset({(1 << bits) - 1})
    return frozenset({(1 << (bits - 1)) - 1, 1 << (bits - 1)})


def decode(point: Point, words: Sequence[int], exponent: int | None = 0) -> float | None:
    """Return the value that the words mean, in the canonical unit.

    Args:
        point: how to read them.
        words: exactly `point.count` registers of 16 bits, in the order of the wire.
        exponent: the power of ten from the point's exponent register; None when that
            register has no value.

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
    raw = _raw(point, data)
    if raw is None or exponent is None or not math.isfinite(raw):
        return None
    factor = point.factor * Fraction(10) ** exponent
    try:
        return float(Fraction(raw) * factor + point.offset)
    except OverflowError:
        return None


def encode(point: Point, value: float | None) -> tuple[int, ...]:
    """Return the words a device would answer with: the reverse of `decode`.

    Args:
        point: how to write it; its exponent is the simulated one.
        value: in the canonical unit, rounded to the nearest raw number; None for the
            device's way to say that it has no value.

    Raises:
        ValueError: the raw type cannot carry the value, or has no way to say absent.
    """
    data = _absent(point) if value is None else _pack(point, value)
    words = struct.unpack(f">{point.count}H", data)
    return words if point.word_order == "big" else words[::-1]


def exponent_of(word: int) -> int | None:
    """Return the power of ten in a register, None when it is none that SunSpec allows."""
    exponent = word - 0x10000 if word & 0x8000 else word
    return exponent if abs(exponent) <= MAX_EXPONENT else None


def text_of(text: Text, words: Sequence[int]) -> str:
    """Return what a device says about itself, without what cannot be printed.

    Args:
        text: how to read it.
        words: exactly `text.count` registers.
    """
    ordered = words if text.word_order == "big" else words[::-1]
    data = struct.pack(f">{len(ordered)}H", *ordered)
    match text.type:
        case "string":
            letters = data.split(b"\0", 1)[0].decode("ascii", "replace")
            return "".join(one for one in letters if one.isprintable()).strip()
        case "bcd" | "hex":
            return data.hex().upper()
        case _:
            return str(int.from_bytes(data, "big"))


def words_of(text: Text, content: str) -> tuple[int, ...]:
    """Return the words of a simulated device: the reverse of `text_of`.

    Raises:
        ValueError: the content does not fit.
    """
    size = 2 * text.count
    match text.type:
        case "string":
            data = content.encode("ascii")[:size].ljust(size, b"\0")
        case "bcd" | "hex":
            data = bytes.fromhex(content.rjust(2 * size, "0"))
        case _:
            data = int(content).to_bytes(size, "big")
    words = struct.unpack(f">{text.count}H", data)
    return words if text.word_order == "big" else words[::-1]


def _raw(point: Point, data: bytes) -> float | int | None:
    """Return the raw number of words that are in order, None when they mean absent."""
    pattern = int.from_bytes(data, "big")
    if pattern in point.na:
        return None
    if is_bcd(point.type):
        digits = data.hex()
        return int(digits) if digits.isdecimal() else None
    if point.mask:
        return (pattern & point.mask) >> _shift(point.mask)
    (raw,) = struct.unpack(f">{FORMATS[point.type]}", data)
    return float(raw) if is_float(point.type) else int(raw)


def _shift(mask: int) -> int:
    """Return how many zeros a mask ends with."""
    return (mask & -mask).bit_length() - 1


def _absent(point: Point) -> bytes:
    if point.na:
        return min(point.na).to_bytes(2 * point.count, "big")
    if is_float(point.type):
        return struct.pack(f">{FORMATS[point.type]}", math.nan)
    raise ValueError(f"{point.name} has no pattern that means absent")


def _pack(point: Point, value: float) -> bytes:
    if not math.isfinite(value):
        raise ValueError(f"{point.name} cannot be {value}; None means absent")
    power = point.exponent.simulated if point.exponent is not None else 0
    raw = (Fraction(value) - point.offset) / (point.factor * Fraction(10) ** power)
    layout = f">{FORMATS[point.type]}"
    try:
        if is_float(point.type):
            return struct.pack(layout, float(raw))
        if is_bcd(point.type):
            return _digits(round(raw), size=2 * point.count)
        if point.mask:
            return struct.pack(layout, _masked(round(raw), point.mask))
        return struct.pack(layout, round(raw))
    except (struct.error, OverflowError):
        raise ValueError(f"{point.name}: {point.type} cannot carry {value}") from None


def _masked(number: int, mask: int) -> int:
    shifted = number << _shift(mask)
    if shifted & ~mask:
        raise OverflowError(number)
    return shifted


def _digits(number: int, *, size: int) -> bytes:
    if not 0 <= number < 100**size:
        raise OverflowError(number)
    return bytes.fromhex(f"{number:0{2 * size}d}")
