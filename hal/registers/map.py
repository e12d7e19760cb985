"""Register maps: a TOML file that says where a device keeps what, and how it is written.

A map names points of a fixed vocabulary (`VOCABULARY`), each with an address and a unit;
`config/registers/_template.toml` explains every key. Loading turns it into `Point` values in
canonical units and refuses, with the line, whatever could make a wrong number look right:
a name that is not in the vocabulary, a unit of another quantity, two points that share half
their words, and a scaled or unit-converted point without a `[[vector]]`. A vector is an
example from the maker's document, words and what they mean; every one of them is decoded
here, so a map that loads has been tried on real figures.

Ranges that a map does not give are those of an AC charging station: at most 80 A per
conductor (IEC 61851-1 annex A), read up to 120 A, and 250 V times 80 A of power.
"""

import math
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from hal.files import load
from hal.registers.codec import (
    Point,
    RawType,
    WordOrder,
    decode,
    default_na,
    is_float,
    word_count,
)
from hal.types import Value

Word = Annotated[int, Meta(ge=0, le=0xFFFF)]
Text = Annotated[str, Meta(min_length=1, max_length=100)]
Identifier = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


class Quantity(Value, frozen=True):
    """A word of the vocabulary.

    Attributes:
        unit: the canonical unit.
        minimum, maximum: what is plausible when a map is silent, in that unit.
    """

    unit: str
    minimum: float
    maximum: float


_CONDUCTORS: Final = ("l1", "l2", "l3")
_MAX_ENERGY_WH: Final = 1e12  # far above any register, far below where a float loses a Wh

VOCABULARY: Final[dict[str, Quantity]] = {
    **{f"voltage_{name}": Quantity("V", 0, 300) for name in _CONDUCTORS},
    **{f"current_{name}": Quantity("A", -120, 120) for name in (*_CONDUCTORS, "n")},
    **{f"power_{name}": Quantity("W", -20_000, 20_000) for name in _CONDUCTORS},
    "power_total": Quantity("W", -60_000, 60_000),
    "reactive_total": Quantity("var", -60_000, 60_000),
    "apparent_total": Quantity("VA", -60_000, 60_000),
    "power_factor": Quantity("", -1, 1),
    "frequency": Quantity("Hz", 45, 65),
    "temperature": Quantity("C", -40, 125),
    **{
        f"energy_{way}{suffix}": Quantity("Wh", 0, _MAX_ENERGY_WH)
        for way in ("import", "export")
        for suffix in ("", "_l1", "_l2", "_l3")
    },
}

UNITS: Final[dict[str, dict[str, Fraction]]] = {
    "V": {"V": Fraction(1), "mV": Fraction(1, 1000), "kV": Fraction(1000)},
    "A": {"A": Fraction(1), "mA": Fraction(1, 1000)},
    "W": {"W": Fraction(1), "mW": Fraction(1, 1000), "kW": Fraction(1000)},
    "var": {"var": Fraction(1), "kvar": Fraction(1000)},
    "VA": {"VA": Fraction(1), "kVA": Fraction(1000)},
    "Wh": {"Wh": Fraction(1), "kWh": Fraction(1000), "MWh": Fraction(1_000_000)},
    "Hz": {"Hz": Fraction(1), "mHz": Fraction(1, 1000)},
    "C": {"C": Fraction(1)},
    "": {"": Fraction(1), "%": Fraction(1, 100)},
}
"""For each canonical unit, the units that a map may use and their factors."""

_REGISTERS: Final = 0x10000

# A maker prints a float with fewer digits than it has; 1e-6 keeps 230.1 V and refuses 230.2 V.
_VECTOR_TOLERANCE: Final = 1e-6
_FLOAT_STEP: Final = 0.01  # in the unit of the map: float meters show two decimals of a kWh


class BusNeeds(Value, frozen=True, forbid_unknown_fields=True):
    """What the device asks of the line.

    Attributes:
        max_registers: the most words that it answers in one read.
        max_gap: the most unused words that a read may run across.
        gap_s: the pause that it needs between two exchanges.
    """

    max_registers: Annotated[int, Meta(ge=4, le=125)] = 80
    max_gap: Annotated[int, Meta(ge=0, le=121)] = 8
    gap_s: Annotated[float, Meta(ge=0, le=1)] = 0.05


class SerialDefaults(Value, frozen=True, forbid_unknown_fields=True):
    """How the device talks when it leaves the maker; a board file says how it talks now."""

    baudrate: Annotated[int, Meta(ge=300, le=921_600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    unit: Annotated[int, Meta(ge=1, le=247)] = 1


class RegisterMap(Value, frozen=True):
    """A device as its map describes it.

    Attributes:
        id, vendor, model, source: as in the file; `source` is the maker's document.
        phases: 1 or 3.
        bus, serial: as in the file or their defaults.
        points: in the order of the file; names are unique.
        max_power_w: the greatest power that the meter can plausibly show, W, above 0.
    """

    id: str
    vendor: str
    model: str
    source: str
    phases: int
    bus: BusNeeds
    serial: SerialDefaults
    points: tuple[Point, ...]
    max_power_w: float


class _PointEntry(Value, frozen=True, forbid_unknown_fields=True):
    addr: Word
    unit: Annotated[str, Meta(max_length=10)] = ""
    fc: Literal[3, 4] | None = None
    type: RawType | None = None
    word_order: WordOrder | None = None
    scale: float = 1.0
    offset: float = 0.0
    invert: bool = False
    na: Annotated[list[int], Meta(max_length=8)] | None = None
    minimum: float | None = msgspec.field(default=None, name="min")
    maximum: float | None = msgspec.field(default=None, name="max")
    step: float | None = None
    monotonic: bool | None = None
    optional: bool = False


class _Defaults(Value, frozen=True, forbid_unknown_fields=True):
    fc: Literal[3, 4] = 4
    type: RawType = "float32"
    word_order: WordOrder = "big"


class _Vector(Value, frozen=True, forbid_unknown_fields=True):
    point: str
    words: Annotated[list[Word], Meta(min_length=1, max_length=4)]
    value: float | Literal["absent"]


class _MapFile(Value, frozen=True, forbid_unknown_fields=True):
    schema: Literal[1]
    kind: Literal["meter"]
    id: Identifier
    vendor: Text
    model: Text
    source: Text
    phases: Literal[1, 3]
    points: Annotated[dict[str, _PointEntry], Meta(min_length=1, max_length=64)]
    bus: BusNeeds = BusNeeds()
    serial: SerialDefaults = SerialDefaults()
    defaults: _Defaults = _Defaults()
    vector: Annotated[tuple[_Vector, ...], Meta(max_length=256)] = ()


Problem = tuple[tuple[str | int, ...], str]


def load_map(path: Path) -> RegisterMap:
    """Return the map in a file, with every vector tried.

    Raises:
        FileProblems: every mistake, each with its line and what is allowed.
    """
    file = load(path, _MapFile)
    for where, message in _problems(file.value):
        file.problem(where, message)
    file.check()
    return _built(file.value)


def _problems(data: _MapFile) -> Iterator[Problem]:
    """Yield what the types alone cannot refuse."""
    points: dict[str, Point] = {}
    for name, entry in data.points.items():
        if found := _in_entry(name, entry, data.defaults):
            yield from found
        else:
            points[name] = _point(name, entry, data.defaults)
    for lack in _missing(data.points.keys(), data.phases):
        yield ("points",), lack
    for name, overlap in _overlaps(points.values()):
        yield ("points", name, "addr"), overlap
    for index, vector in enumerate(data.vector):
        if vector.point not in data.points:
            yield ("vector", index, "point"), f"{vector.point!r} is not in [points]"
        elif vector.point in points and (message := _wrong(vector, points[vector.point])):
            yield ("vector", index), message
    shown = {vector.point for vector in data.vector}
    for name, point in points.items():
        if name not in shown and (point.factor != 1 or point.offset != 0):
            yield ("points", name), f"{name} is scaled or converted: a [[vector]] must show it"


def _in_entry(name: str, entry: _PointEntry, defaults: _Defaults) -> list[Problem]:
    """Return what is wrong with one line of [points]."""
    if name not in VOCABULARY:
        return [(("points", name), f"unknown point {name!r}; allowed: {', '.join(VOCABULARY)}")]
    quantity = VOCABULARY[name]
    found = list(_in_figures(entry))
    if entry.unit not in UNITS[quantity.unit]:
        allowed = ", ".join(repr(unit) for unit in UNITS[quantity.unit])
        found.append(("unit", f"{name} cannot be in {entry.unit!r}; allowed: {allowed}"))
    if not found:
        found += _in_range(entry, quantity)
    size = word_count(entry.type or defaults.type)
    if any(not 0 <= pattern < 1 << 16 * size for pattern in entry.na or ()):
        found.append(("na", f"a pattern is 0 to {(1 << 16 * size) - 1:#x}"))
    if entry.addr + size > _REGISTERS:
        found.append(("addr", f"{size} words at {entry.addr:#06x} end behind 0xffff"))
    if entry.monotonic is not None and entry.monotonic != (quantity.unit == "Wh"):
        found.append(("monotonic", "energy registers are monotonic, and nothing else is"))
    if entry.optional and name == "energy_import":
        found.append(("optional", "energy_import is what is billed; it cannot be optional"))
    return [(("points", name, key), message) for key, message in found]


def _in_figures(entry: _PointEntry) -> Iterator[tuple[str, str]]:
    """Yield the figures that are not numbers to calculate with (TOML has nan and inf)."""
    figures = {
        "scale": entry.scale,
        "offset": entry.offset,
        "min": entry.minimum,
        "max": entry.maximum,
        "step": entry.step,
    }
    for key, figure in figures.items():
        if figure is not None and not math.isfinite(figure):
            yield key, f"{key} must be a finite number, not {figure}"
    for key in ("scale", "step"):
        if (figure := figures[key]) is not None and figure <= 0:
            yield key, f"{key} must be above 0, not {figure}; invert = true turns the sign"


def _in_range(entry: _PointEntry, quantity: Quantity) -> Iterator[tuple[str, str]]:
    low, high = _range(entry, quantity)
    if not low < high:
        key = "min" if entry.maximum is None else "max"
        yield key, f"min {low:g} {quantity.unit} must be below max {high:g} {quantity.unit}"


def _missing(names: AbstractSet[str], phases: int) -> Iterator[str]:
    """Yield what a meter needs and the map does not have."""
    conductors = _CONDUCTORS[:phases]
    needed = [f"{kind}_{name}" for kind in ("voltage", "current") for name in conductors]
    for name in ("energy_import", *needed):
        if name not in names:
            yield f"a meter with phases = {phases} needs {name}"
    powers = [f"power_{name}" for name in conductors]
    if "power_total" not in names and not names >= set(powers):
        yield f"a meter needs power_total, or else {' and '.join(powers)}"


def _overlaps(points: Iterable[Point]) -> Iterator[tuple[str, str]]:
    """Yield the points that share only a part of their words with the one before."""
    ordered = sorted(points, key=lambda point: (point.fc, point.address, point.count))
    for one, other in pairwise(ordered):
        is_same = (one.address, one.type) == (other.address, other.type)
        if one.fc == other.fc and other.address < one.address + one.count and not is_same:
            yield other.name, f"{other.name} lies in the words of {one.name}"


def _wrong(vector: _Vector, point: Point) -> str | None:
    """Return why a vector does not hold, None when it does."""
    if len(vector.words) != point.count:
        return f"{point.type} takes {point.count} words, not {len(vector.words)}"
    value = decode(point, vector.words)
    if value is None:
        expected = f"{vector.value} {point.unit}".rstrip()
        return None if vector.value == "absent" else f"the words mean absent, not {expected}"
    if isinstance(vector.value, float) and math.isclose(
        value, vector.value, rel_tol=_VECTOR_TOLERANCE, abs_tol=_VECTOR_TOLERANCE
    ):
        return None
    return f"the words mean {value} {point.unit}, not {vector.value}"


def _built(data: _MapFile) -> RegisterMap:
    points = _points(data)
    by_name = {point.name: point for point in points}
    total = by_name.get("power_total")
    most = (
        [total] if total else [by_name[f"power_{name}"] for name in _CONDUCTORS[: data.phases]]
    )
    return RegisterMap(
        id=data.id,
        vendor=data.vendor,
        model=data.model,
        source=data.source,
        phases=data.phases,
        bus=data.bus,
        serial=data.serial,
        points=points,
        max_power_w=sum(max(abs(point.minimum), abs(point.maximum)) for point in most),
    )


def _points(data: _MapFile) -> tuple[Point, ...]:
    return tuple(_point(name, entry, data.defaults) for name, entry in data.points.items())


def _point(name: str, entry: _PointEntry, defaults: _Defaults) -> Point:
    quantity = VOCABULARY[name]
    raw_type = entry.type or defaults.type
    unit = UNITS[quantity.unit][entry.unit]
    sign = -1 if entry.invert else 1
    factor = sign * _exact(entry.scale) * unit
    step = _exact(entry.step) * unit if entry.step is not None else None
    if step is None:
        step = _exact(_FLOAT_STEP) * unit if is_float(raw_type) else abs(factor)
    low, high = _range(entry, quantity)
    return Point(
        name=name,
        unit=quantity.unit,
        fc=entry.fc or defaults.fc,
        address=entry.addr,
        type=raw_type,
        word_order=entry.word_order or defaults.word_order,
        factor=factor,
        offset=sign * _exact(entry.offset) * unit,
        minimum=low,
        maximum=high,
        step=float(step),
        na=default_na(raw_type) if entry.na is None else frozenset(entry.na),
        is_monotonic=quantity.unit == "Wh",
        is_optional=entry.optional,
    )


def _range(entry: _PointEntry, quantity: Quantity) -> tuple[float, float]:
    """Return what is plausible, in the canonical unit."""
    unit = UNITS[quantity.unit][entry.unit]
    low, high = entry.minimum, entry.maximum
    return (
        quantity.minimum if low is None else float(_exact(low) * unit),
        quantity.maximum if high is None else float(_exact(high) * unit),
    )


def _exact(figure: float) -> Fraction:
    """Return a figure as it was written: 0.1 is a tenth, not the float nearest to it."""
    return Fraction(Decimal(repr(figure)))
