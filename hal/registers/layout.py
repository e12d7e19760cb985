"""A whole read taken apart at once: `struct` does in one call what points do one by one.

A charger decodes the same blocks every second for its whole life. Most points are plain
numbers with one factor; these are unpacked together, by a layout that is made once per read.
What is left (digits, masks, offsets, powers of ten) goes through `codec.decode`, point by
point. Both ways give the same float for the same words.

Why ``raw * numerator / denominator`` is exact here: for integers Python divides exactly and
rounds once; the product of a 32-bit float and an integer is rounded once by the processor,
and never too large. Everything else is not plain.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from hal.registers.codec import (
    FORMATS,
    Point,
    WordOrder,
    decode,
    exponent_of,
    is_bcd,
    is_float,
)

_EXACT: Final = 1 << 53  # a float carries every integer up to here


class Layout:
    """How the words of one read become values."""

    def __init__(self, address: int, count: int, points: Iterable[Point]) -> None:
        """Prepare for a read of `count` words from `address` on, which covers the points."""
        self._address, self._count = address, count
        self._words = struct.Struct(f">{count}H")
        self._others: list[Point] = []
        plain: list[Point] = []
        for point in points:
            (plain if _is_plain(point) else self._others).append(point)
        self._layers = [
            _Layer(self, order, layer)
            for order in ("big", "little")
            for layer in _layers([point for point in plain if point.word_order == order])
        ]

    def values(self, words: Sequence[int]) -> dict[str, float | None]:
        """Return the value of each point by its name, None where absent.

        Raises:
            ValueError: there are not exactly as many words as were asked for.
        """
        if len(words) != self._count:
            raise ValueError(f"{len(words)} words instead of {self._count}")
        values: dict[str, float | None] = {}
        for layer in self._layers:
            layer.into(values, self._words.pack(*layer.ordered(words)))
        for point in self._others:
            at = point.address - self._address
            power: int | None = 0
            if point.exponent is not None:
                power = exponent_of(words[point.exponent.address - self._address])
            values[point.name] = decode(point, words[at : at + point.count], power)
        return values

    def first_byte(self, point: Point, order: WordOrder) -> int:
        """Return where a point begins in the packed words."""
        at = point.address - self._address
        return 2 * (at if order == "big" else self._count - at - point.count)


class _Layer:
    """Plain points that share no words, in the order in which they stand."""

    def __init__(self, layout: Layout, order: WordOrder, points: Sequence[Point]) -> None:
        ordered = sorted(points, key=lambda point: layout.first_byte(point, order))
        self._is_reversed = order == "little"
        at, parts = 0, [">"]
        for point in ordered:
            start = layout.first_byte(point, order)
            parts += [f"{start - at}x", FORMATS[point.type]]
            at = start + 2 * point.count
        self._fields = struct.Struct("".join(parts))
        self._names = [point.name for point in ordered]
        self._scales = [
            (at, point.name, *point.factor.as_integer_ratio(), _raw_na(point))
            for at, point in enumerate(ordered)
            if not is_float(point.type) or point.factor != 1
        ]

    def ordered(self, words: Sequence[int]) -> Sequence[int]:
        """Return the words such that every point's most significant one comes first."""
        return words[::-1] if self._is_reversed else words

    def into(self, values: dict[str, float | None], data: bytes) -> None:
        """Add the value of each point."""
        raws = self._fields.unpack_from(data)
        values.update(zip(self._names, raws, strict=True))
        for at, name, numerator, denominator, na in self._scales:
            raw = raws[at]
            values[name] = None if raw in na else raw * numerator / denominator
        if not math.isfinite(sum(raws)):
            self._without_infinite(values)

    def _without_infinite(self, values: dict[str, float | None]) -> None:
        for name in self._names:
            value = values[name]
            if value is not None and not math.isfinite(value):
                values[name] = None


def _is_plain(point: Point) -> bool:
    """Tell whether a point is one number times one factor, exactly."""
    if point.exponent is not None or point.mask or point.offset or is_bcd(point.type):
        return False
    if abs(point.factor.numerator) > _EXACT or point.factor.denominator > _EXACT:
        return False
    if point.type == "float64":
        return point.factor == 1 and not point.na
    return not is_float(point.type) or (point.factor.denominator == 1 and not point.na)


def _raw_na(point: Point) -> frozenset[int]:
    """Return the patterns that mean absent, as the numbers that `struct` makes of them."""
    bits = 16 * point.count
    if not point.type.startswith("int"):
        return point.na
    return frozenset(
        pattern - (1 << bits) if pattern >> (bits - 1) else pattern for pattern in point.na
    )


def _layers(points: Sequence[Point]) -> list[list[Point]]:
    """Return the points in as few groups as it takes that no two of a group share words."""
    layers: list[list[Point]] = []
    for point in sorted(points, key=lambda point: point.address):
        for layer in layers:
            if layer[-1].address + layer[-1].count <= point.address:
                layer.append(point)
                break
        else:
            layers.append([point])
    return layers
