"""Register maps: a TOML file that says where a device keeps what, and how it is written.

A map names points of a fixed vocabulary (`hal.registers.vocabulary`), each with an address
and a unit; `config/registers/_template.toml` explains every key. Loading turns it into
`Point` values in canonical units and refuses, with the line, whatever could make a wrong
number look right: a name that is not in the vocabulary, a unit of another quantity, two
points that share half their words, and a scaled or unit-converted point without a
`[[vector]]`. A vector is an example from the maker's document, words and what they mean;
every one of them is decoded here, so a map that loads has been tried on real figures.

A map of kind "meter" describes an energy meter, one of kind "evse" a controller, with what
may be written to it (`hal.registers.commands`); a controller that measures has a meter's
points too.
"""

import math
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from hal.files import load
from hal.registers.codec import (
    Exponent,
    Point,
    Text,
    decode,
    default_na,
    is_float,
    text_of,
    word_count,
)
from hal.registers.commands import (
    EvsePart,
    built_part,
    exact,
    wrong_command,
    wrong_watchdog,
)
from hal.registers.map_file import (
    BusNeeds,
    MapFile,
    PointEntry,
    Probe,
    SerialDefaults,
    SunSpec,
    TextEntry,
    Vector,
)
from hal.registers.vocabulary import (
    CONDUCTORS,
    DC_POINTS,
    EVSE_POINTS,
    IDENTITIES,
    METER_POINTS,
    STATES,
    UNITS,
    VOCABULARY,
    Quantity,
)
from hal.types import Fault, Value

_REGISTERS: Final = 0x10000
_WORD_BITS: Final = 16
_FAULTS: Final = frozenset(fault.value for fault in Fault)
_BIT_TABLES: Final = (1, 2)  # coils and discrete inputs

# A maker prints a float with fewer digits than it has; 1e-6 keeps 230.1 V and refuses 230.2 V.
_VECTOR_TOLERANCE: Final = 1e-6
_FLOAT_STEP: Final = 0.01  # in the unit of the map: float meters show two decimals of a kWh


class RegisterMap(Value, frozen=True):
    """A device as its map describes it.

    Attributes:
        id, vendor, model, source: as in the file; `source` is the maker's document.
        verified: what was seen to be so, and on what; for people.
        phases: 1 or 3.
        bus, serial: as in the file or their defaults.
        points: in the order of the file; names are unique.
        identity: what the device says about itself, each read by itself.
        simulated: what a simulated device says there, by name.
        max_power_w: the greatest power that the device can plausibly show, W; 0 when it
            shows none.
        lacks: why this cannot be the map of a meter, a sentence each.
        probe: what tells the device from another one; None when nothing does.
        sunspec: which models the addresses count from; None when they are those of the wire.
        evse: what a controller can be told; None for a meter.
    """

    id: str
    vendor: str
    model: str
    source: str
    verified: str
    phases: int
    bus: BusNeeds
    serial: SerialDefaults
    points: tuple[Point, ...]
    identity: tuple[Text, ...]
    simulated: dict[str, str]
    max_power_w: float
    lacks: tuple[str, ...]
    probe: Probe | None
    sunspec: SunSpec | None
    evse: EvsePart | None


Problem = tuple[tuple[str | int, ...], str]


def load_map(path: Path) -> RegisterMap:
    """Return the map in a file, with every vector tried; with `evse` of kind "evse".

    Raises:
        FileProblems: every mistake, each with its line and what is allowed.
    """
    file = load(path, MapFile)
    for where, message in _problems(file.value):
        file.problem(where, message)
    file.check()
    return _built(file.value)


def _problems(data: MapFile) -> Iterator[Problem]:
    """Yield what the types alone cannot refuse."""
    points: dict[str, Point] = {}
    for name, entry in data.points.items():
        if found := _in_entry(name, entry, data):
            yield from found
        else:
            points[name] = _point(name, entry, data)
    yield from _in_identity(data)
    yield from _in_meter(data) if data.kind == "meter" else _in_evse(data)
    for name, overlap in _overlaps(points.values()):
        yield ("points", name, "addr"), overlap
    yield from _in_reach(points.values(), data)
    yield from _in_vectors(points, data)
    if data.probe is not None and data.probe.point not in data.points:
        yield ("probe", "point"), f"{data.probe.point!r} is not in [points]"


def _in_entry(name: str, entry: PointEntry, data: MapFile) -> list[Problem]:
    """Return what is wrong with one line of [points]."""
    words = METER_POINTS if data.kind == "meter" else VOCABULARY
    if name not in words:
        return [(("points", name), f"unknown point {name!r}; allowed: {', '.join(words)}")]
    quantity = words[name]
    found = list(_in_figures(entry))
    if entry.unit not in UNITS[quantity.unit]:
        allowed = ", ".join(repr(unit) for unit in UNITS[quantity.unit])
        found.append(("unit", f"{name} cannot be in {entry.unit!r}; allowed: {allowed}"))
    if not found:
        found += _in_range(entry, quantity)
    found += _in_raw(entry, data)
    if entry.monotonic is not None and entry.monotonic != (quantity.unit == "Wh"):
        found.append(("monotonic", "energy registers are monotonic, and nothing else is"))
    if entry.optional and name in {"energy_import", "state"}:
        reason = "what is billed" if name == "energy_import" else "what everything hangs on"
        found.append(("optional", f"{name} is {reason}; it cannot be optional"))
    found += _in_meanings(name, entry)
    return [(("points", name, key), message) for key, message in found]


def _in_raw(entry: PointEntry, data: MapFile) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with where and how the raw number stands."""
    raw_type = entry.type or data.defaults.type
    size = word_count(raw_type)
    fc = entry.fc or data.defaults.fc
    if fc in _BIT_TABLES:
        size = 1
        if entry.type is not None or entry.na is not None:
            yield "fc", f"table {fc} holds bits: they have neither type nor na"
    elif any(not 0 <= pattern < 1 << _WORD_BITS * size for pattern in entry.na or ()):
        yield "na", f"a pattern is 0 to {(1 << _WORD_BITS * size) - 1:#x}"
    if entry.addr + size > _REGISTERS:
        yield "addr", f"{size} words at {entry.addr:#06x} end behind 0xffff"
    if entry.mask and not raw_type.startswith("uint"):
        yield "mask", "a mask needs an unsigned type"
    elif entry.mask >= 1 << _WORD_BITS * size:
        yield "mask", f"a mask of {raw_type} is at most {(1 << _WORD_BITS * size) - 1:#x}"
    if entry.exponent is not None:
        if entry.exponent not in data.exponents:
            known = ", ".join(data.exponents) or "none"
            yield "exponent", f"there is no exponent {entry.exponent!r} (known: {known})"
        if raw_type.startswith(("float", "bcd")):
            yield "exponent", "an exponent belongs to an integer"


def _in_figures(entry: PointEntry) -> Iterator[tuple[str, str]]:
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


def _in_range(entry: PointEntry, quantity: Quantity) -> Iterator[tuple[str, str]]:
    low, high = _range(entry, quantity)
    if not low < high:
        key = "min" if entry.maximum is None else "max"
        yield key, f"min {low:g} {quantity.unit} must be below max {high:g} {quantity.unit}"


def _in_meanings(name: str, entry: PointEntry) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the meanings of single numbers and bits."""
    tables = {"enum": entry.enum, "faults": entry.faults, "bits": entry.bits}
    owners = {"enum": "state", "faults": "state", "bits": "error_bits"}
    needed = {"state": "enum", "error_bits": "bits"}.get(name)
    if needed is not None and tables[needed] is None:
        yield needed, f"{name} needs {needed}: what each of its numbers means"
    for key, table in tables.items():
        allowed = STATES if key == "enum" else _FAULTS
        if table is not None and owners[key] != name:
            yield key, f"{key} belongs to {owners[key]}"
        for number, meaning in (table or {}).items():
            if _number(number) is None:
                yield key, f"{number!r} is no number"
            if meaning not in allowed:
                yield key, f"{meaning!r} is unknown; allowed: {', '.join(sorted(allowed))}"
    for number in entry.faults or ():
        if number not in (entry.enum or {}):
            yield "faults", f"{number} is a fault; enum must say which state it is"


def _in_identity(data: MapFile) -> Iterator[Problem]:
    for name, entry in data.identity.items():
        where = ("identity", name)
        if name not in IDENTITIES:
            yield where, f"unknown name {name!r}; allowed: {', '.join(IDENTITIES)}"
        has_size = entry.type.startswith("uint")
        if has_size is (entry.words is not None):
            yield where, f"{entry.type}: words {'has its own' if has_size else 'is missing'}"


def _in_meter(data: MapFile) -> Iterator[Problem]:
    for lack in _missing(data.points, data.phases):
        yield ("points",), lack
    for name in ("commands", "watchdog", "startup", "grant"):
        if getattr(data, name):
            yield (name,), f"a meter has no [{name}]; nothing is ever written to it"


def _in_evse(data: MapFile) -> Iterator[Problem]:
    if "state" not in data.points:
        yield ("points",), "a controller needs state"
    if data.commands is None:
        yield (), "a controller needs [commands.set_current]"
        return
    for key, message in wrong_command(data.commands.set_current):
        yield ("commands", "set_current", key), message
    if data.commands.three_phases is not None and data.phases == 1:
        yield ("commands", "three_phases"), "a controller of one phase has none to switch"
    state = data.points.get("state")
    known = set(map(_number, (state.enum if state is not None else None) or ()))
    for index, grant in enumerate(data.grant):
        if grant.state not in known:
            yield ("grant", index, "state"), f"{grant.state} is no state of [points]"
    if data.watchdog is not None:
        for path, message in wrong_watchdog(data.watchdog):
            yield ("watchdog", *path), message


def is_dc(names: Collection[str]) -> bool:
    """Tell whether these are the points of a meter of direct current."""
    return any(name in names for name in DC_POINTS)


def _missing(names: Collection[str], phases: int) -> Iterator[str]:
    """Yield what a meter needs and the map does not have."""
    if is_dc(names):
        for name in ("energy_import", *DC_POINTS):
            if name not in names:
                yield f"a meter of direct current needs {name}"
        return
    conductors = CONDUCTORS[:phases]
    needed = [f"{kind}_{name}" for kind in ("voltage", "current") for name in conductors]
    for name in ("energy_import", *needed):
        if name not in names:
            yield f"a meter with phases = {phases} needs {name}"
    powers = [f"power_{name}" for name in conductors]
    if "power_total" not in names and not set(names) >= set(powers):
        yield f"a meter needs power_total, or else {' and '.join(powers)}"


def _overlaps(points: Iterable[Point]) -> Iterator[tuple[str, str]]:
    """Yield the points that share only a part of their words with the one before."""
    ordered = sorted(points, key=lambda point: (point.fc, point.address, point.count))
    for one, other in pairwise(ordered):
        is_same = (one.address, one.type) == (other.address, other.type)
        if one.fc == other.fc and other.address < one.address + one.count and not is_same:
            yield other.name, f"{other.name} lies in the words of {one.name}"


def _in_reach(points: Iterable[Point], data: MapFile) -> Iterator[Problem]:
    """Yield the points that no single read can bring, with the exponent that they need."""
    for point in points:
        if (size := point.end - point.start) > data.bus.max_registers:
            key = "addr" if point.exponent is None else "exponent"
            most = data.bus.max_registers
            text = f"{point.name} needs {size} words at once; the device gives {most}"
            yield ("points", point.name, key), text


def _in_vectors(points: dict[str, Point], data: MapFile) -> Iterator[Problem]:
    for index, vector in enumerate(data.vector):
        if vector.point in data.identity:
            if message := _wrong_text(vector, _text(vector.point, data)):
                yield ("vector", index), message
        elif vector.point not in data.points:
            yield ("vector", index, "point"), f"{vector.point!r} is not in [points]"
        elif vector.point in points and (message := _wrong(vector, points[vector.point])):
            yield ("vector", index), message
    shown = {vector.point for vector in data.vector}
    for name, point in points.items():
        if name not in shown and not _speaks_for_itself(point):
            yield ("points", name), f"{name} is scaled or converted: a [[vector]] must show it"


def _speaks_for_itself(point: Point) -> bool:
    """Tell whether the raw number is the value."""
    return point.factor == 1 and point.offset == 0 and not point.mask and not point.exponent


def _wrong(vector: Vector, point: Point) -> str | None:
    """Return why a vector does not hold, None when it does."""
    if len(vector.words) != point.count:
        return f"{point.type} takes {point.count} words, not {len(vector.words)}"
    value = decode(point, vector.words, vector.exponent)
    if value is None:
        expected = f"{vector.value} {point.unit}".rstrip()
        return None if vector.value == "absent" else f"the words mean absent, not {expected}"
    if point.labels.get(int(value)) == vector.value:
        return None
    if isinstance(vector.value, float) and math.isclose(
        value, vector.value, rel_tol=_VECTOR_TOLERANCE, abs_tol=_VECTOR_TOLERANCE
    ):
        return None
    return f"the words mean {value} {point.unit}".rstrip() + f", not {vector.value}"


def _wrong_text(vector: Vector, text: Text) -> str | None:
    if len(vector.words) != text.count:
        return f"{text.name} takes {text.count} words, not {len(vector.words)}"
    found = text_of(text, vector.words)
    return None if found == vector.value else f"the words mean {found!r}, not {vector.value!r}"


def _built(data: MapFile) -> RegisterMap:
    points = tuple(_point(name, entry, data) for name, entry in data.points.items())
    return RegisterMap(
        id=data.id,
        vendor=data.vendor,
        model=data.model,
        source=data.source,
        verified=data.verified,
        phases=data.phases,
        bus=data.bus,
        serial=data.serial,
        points=points,
        identity=tuple(_text(name, data) for name in data.identity),
        simulated={name: entry.sim or "" for name, entry in data.identity.items()},
        max_power_w=_max_power_w(points, data.phases),
        lacks=tuple(_missing(data.points, data.phases)),
        probe=data.probe,
        sunspec=data.sunspec,
        evse=built_part(data, data.commands) if data.commands is not None else None,
    )


def _max_power_w(points: Iterable[Point], phases: int) -> float:
    by_name = {point.name: point for point in points}
    total = by_name.get("power_total")
    parts = [by_name.get(f"power_{name}") for name in CONDUCTORS[:phases]]
    volts, amps = (by_name.get(name) for name in DC_POINTS)
    if total is None and volts is not None and amps is not None:
        return volts.maximum * amps.maximum
    most = [total] if total is not None else [part for part in parts if part is not None]
    return float(sum(max(abs(point.minimum), abs(point.maximum)) for point in most))


def _point(name: str, entry: PointEntry, data: MapFile) -> Point:
    quantity, defaults = VOCABULARY[name], data.defaults
    fc = entry.fc or defaults.fc
    raw_type = "uint16" if fc in _BIT_TABLES else entry.type or defaults.type
    unit = UNITS[quantity.unit][entry.unit]
    sign = -1 if entry.invert else 1
    factor = sign * exact(entry.scale) * unit
    step = exact(entry.step) * unit if entry.step is not None else None
    if step is None:
        step = exact(_FLOAT_STEP) * unit if is_float(raw_type) else abs(factor)
    low, high = _range(entry, quantity)
    is_number = name not in EVSE_POINTS and fc not in _BIT_TABLES
    default = default_na(raw_type) if is_number else frozenset[int]()
    return Point(
        name=name,
        unit=quantity.unit,
        fc=fc,
        address=entry.addr,
        type=raw_type,
        word_order=entry.word_order or defaults.word_order,
        factor=factor,
        offset=sign * exact(entry.offset) * unit,
        minimum=low,
        maximum=high,
        step=float(step),
        na=default if entry.na is None else frozenset(entry.na),
        is_monotonic=quantity.unit == "Wh",
        is_optional=entry.optional,
        mask=entry.mask,
        exponent=_exponent(entry, data),
        labels=_numbered(entry.enum),
        faults=_numbered(entry.faults),
        bits=_numbered(entry.bits),
    )


def _exponent(entry: PointEntry, data: MapFile) -> Exponent | None:
    if entry.exponent is None:
        return None
    found = data.exponents[entry.exponent]
    return Exponent(found.addr, found.sim)


def _text(name: str, data: MapFile) -> Text:
    entry: TextEntry = data.identity[name]
    words = entry.words or {"uint16": 1, "uint32": 2, "uint64": 4}.get(entry.type, 1)
    return Text(
        name=name,
        fc=entry.fc or data.defaults.fc,
        address=entry.addr,
        count=words,
        type=entry.type,
        word_order=entry.word_order or data.defaults.word_order,
    )


def _numbered(table: dict[str, str] | None) -> dict[int, str]:
    return {int(number, 0): meaning for number, meaning in (table or {}).items()}


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _range(entry: PointEntry, quantity: Quantity) -> tuple[float, float]:
    """Return what is plausible, in the canonical unit."""
    unit = UNITS[quantity.unit][entry.unit]
    low, high = entry.minimum, entry.maximum
    return (
        quantity.minimum if low is None else float(exact(low) * unit),
        quantity.maximum if high is None else float(exact(high) * unit),
    )
