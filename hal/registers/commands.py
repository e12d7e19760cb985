"""What may be written to a device, and nothing else: named commands with an allowed range.

A command turns a value in canonical units into one write, rounded down, and refuses what
its map does not allow: "0|6..16" is no current, or 6 to 16 A. What a device does when it
hears nothing any more is its `Watchdog`; what it is told at every start are plain `Write`s.
"""

import math
import re
import struct
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from hal.registers.codec import FORMATS, RawType, WordOrder, is_bcd, is_float, word_count
from hal.registers.map_file import (
    CommandEntry,
    Commands,
    GrantEntry,
    MapFile,
    Register,
    SwitchEntry,
    WatchdogEntry,
)
from hal.registers.vocabulary import UNITS
from hal.types import MAX_OFFER_A, MIN_OFFER_A, Value

_SEVERAL: Final = 16
_TWICE: Final = 0x0101
_MOST_DOUBLED: Final = 0xFF
_NUMBER: Final = r"\d+(?:\.\d+)?"
_PART: Final = re.compile(rf"(?P<low>{_NUMBER})(?:\.\.(?P<high>{_NUMBER}))?")

Refresh = Literal["any_request", "set_current", "heartbeat"]


class Table(Value, frozen=True):
    """Where the numbers of all devices of a line are sent at once (`map_file.TableEntry`).

    Attributes:
        unit: that all of them listen to.
        count: how many words it has, one for each device from unit 1 on.
        confirm: the input register in which a device shows its own.
    """

    unit: int
    count: int
    confirm: int


class Write(Value, frozen=True):
    """One write as it goes to the device.

    Attributes:
        fc: 5 (a coil), 6 (one register) or 16 (several).
        address: of the first word, as sent on the wire.
        words: at least one; of a coil, 0 or 1.
        nv: the register wears out: write only what is not there already.
        table: the one word is the device's own in a table that begins at the address; None
            for a write to the device itself.
    """

    fc: int
    address: int
    words: tuple[int, ...]
    nv: bool = False
    table: Table | None = None


class Command(Value, frozen=True):
    """A number that may be set.

    Attributes:
        unit: the canonical unit of its value.
        fc, address, type, word_order: how it is written.
        factor: value = raw * factor.
        allowed: the ranges of the value, both ends included.
        off: the raw number for the value 0, when it is not 0.
        readback: read it again after writing, and compare.
        nv, table: as for `Write`.
        is_doubled: the number stands in both bytes of its word.
    """

    unit: str
    fc: int
    address: int
    type: RawType
    word_order: WordOrder
    factor: Fraction
    allowed: tuple[tuple[float, float], ...]
    off: int | None = None
    readback: bool = False
    nv: bool = False
    table: Table | None = None
    is_doubled: bool = False

    def write(self, value: float) -> Write:
        """Return the write for a value, rounded down to what the register can say.

        Raises:
            ValueError: the map does not allow the value.
        """
        if not any(low <= value <= high for low, high in self.allowed):
            raise ValueError(f"{value:g} {self.unit} may not be written; {self.ranges} may")
        raw = exact(value) / self.factor
        if value == 0 and self.off is not None:
            raw = Fraction(self.off)
        return Write(self.fc, self.address, self._words(raw), self.nv, self.table)

    def value(self, words: Sequence[int]) -> float:
        """Return the value that stands in the register: the reverse of `write`.

        Args:
            words: as many as the type takes.
        """
        ordered = words if self.word_order == "big" else words[::-1]
        data = struct.pack(f">{len(ordered)}H", *ordered)
        (raw,) = struct.unpack(f">{FORMATS[self.type]}", data)
        raw = raw & 0xFF if self.is_doubled else raw
        return 0.0 if raw == self.off else float(Fraction(raw) * self.factor)

    @property
    def count(self) -> int:
        """Return how many words it takes."""
        return word_count(self.type)

    @property
    def least(self) -> float:
        """Return the least value above 0 that is allowed."""
        return min(low or high for low, high in self.allowed if high > 0)

    @property
    def most(self) -> float:
        """Return the greatest value that is allowed."""
        return max(high for _, high in self.allowed)

    @property
    def ranges(self) -> str:
        """Return what is allowed, as a map writes it."""
        return "|".join(
            f"{low:g}" if low == high else f"{low:g}..{high:g}" for low, high in self.allowed
        )

    def _words(self, raw: Fraction) -> tuple[int, ...]:
        number = float(raw) if is_float(self.type) else math.floor(raw)
        number *= _TWICE if self.is_doubled else 1
        data = struct.pack(f">{FORMATS[self.type]}", number)
        words = struct.unpack(f">{self.count}H", data)
        return words if self.word_order == "big" else words[::-1]


class Switch(Value, frozen=True):
    """Something that may be turned on and off.

    Attributes:
        on, off: the one word for each.
    """

    fc: int
    address: int
    on: int
    off: int
    nv: bool = False

    def write(self, *, on: bool) -> Write:
        """Return the write that turns it on or off."""
        return Write(self.fc, self.address, (self.on if on else self.off,), self.nv)


class Grant(Value, frozen=True):
    """A state by which a controller asks whether it may go on, and the answer that lets it."""

    state: int
    write: Write


class Watchdog(Value, frozen=True):
    """What a device does by itself when it hears nothing any more.

    Attributes:
        refresh: what keeps it content.
        timeout_s: its patience.
        arm: what to write at every start, so that it is armed with the safe current.
        heartbeat: what to write before the patience is over, for refresh "heartbeat".
    """

    refresh: Refresh
    timeout_s: float
    arm: tuple[Write, ...]
    heartbeat: Write | None


class EvsePart(Value, frozen=True):
    """What an EVSE controller can be told.

    Attributes:
        set_current: the offered current, A; 0 pauses.
        enable: what must be on beside, for a current to be offered; None if nothing.
        lock: holds the plug; None when the controller decides, or has no lock.
        three_phases: on connects L2 and L3 besides L1; None where all that there are always
            are.
        watchdog: None when the device has none: then only we can end an offer.
        startup: what is written at every start, in this order.
        grants: what it asks before it goes on; answered while a current is offered.
    """

    set_current: Command
    enable: Switch | None
    lock: Switch | None
    three_phases: Switch | None
    watchdog: Watchdog | None
    startup: tuple[Write, ...]
    grants: tuple[Grant, ...] = ()


def parsed_ranges(text: str) -> tuple[tuple[float, float], ...]:
    """Return the ranges of "0|6..16".

    Raises:
        ValueError: the text is not of that form, or a range ends before it begins.
    """
    ranges = []
    for part in text.split("|"):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(f'{part!r} is no number or range, such as "0|6..16"')
        low = float(match["low"])
        high = float(match["high"] or low)
        if low > high:
            raise ValueError(f"{part} ends before it begins")
        ranges.append((low, high))
    return tuple(ranges)


def wrong_command(entry: CommandEntry) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for a command that sets a current."""
    if entry.unit not in UNITS["A"]:
        yield "unit", f"a current cannot be in {entry.unit!r}; allowed: 'A', 'mA'"
        return
    if not (math.isfinite(entry.scale) and entry.scale > 0):
        yield "scale", f"scale must be a finite number above 0, not {entry.scale}"
        return
    if is_bcd(entry.type):
        yield "type", "digits cannot be written; use an integer or a float"
        return
    if entry.fc_write != _SEVERAL and word_count(entry.type) > 1:
        yield "fc_write", f"{entry.type} takes several words; function 6 writes one"
    is_single = entry.fc_write == _SEVERAL and word_count(entry.type) == 1 and not entry.nv
    if entry.table is not None and not is_single:
        yield "table", "a table is written by function 16, a word for each device, without nv"
    try:
        ranges = parsed_ranges(entry.allowed)
    except ValueError as error:
        yield "allowed", str(error)
        return
    if (0.0, 0.0) not in ranges:
        yield "allowed", "0 must be allowed: it is how charging is paused"
    if any(high and not MIN_OFFER_A <= low <= high <= MAX_OFFER_A for low, high in ranges):
        yield "allowed", f"a current is 0 or {MIN_OFFER_A:g} to {MAX_OFFER_A:g} A"
    elif not any(high for _, high in ranges):
        yield "allowed", "no current above 0 is allowed"
    elif entry.doubled and not _is_doublable(entry, max(high for _, high in ranges)):
        yield "doubled", "both bytes of a uint16 carry 0 to 255, and no other number for off"
    elif not _is_carried(entry, max(high for _, high in ranges)):
        yield "allowed", f"{entry.type} cannot carry {entry.allowed} A"


def built_command(entry: CommandEntry, word_order: WordOrder) -> Command:
    """Return the command that an entry without mistakes describes."""
    table = entry.table
    return Command(
        unit="A",
        fc=entry.fc_write,
        address=entry.addr,
        type=entry.type,
        word_order=entry.word_order or word_order,
        factor=_factor(entry, "A"),
        allowed=parsed_ranges(entry.allowed),
        off=entry.off,
        readback=entry.readback or table is not None,  # nobody answers to a table
        nv=entry.nv,
        is_doubled=entry.doubled,
        table=Table(table.unit, table.words, table.confirm) if table is not None else None,
    )


def built_grant(entry: GrantEntry) -> Grant:
    """Return the grant that an entry describes."""
    return Grant(entry.state, Write(_SEVERAL, entry.addr, entry.words))


def built_switch(entry: SwitchEntry) -> Switch:
    """Return the switch that an entry describes."""
    return Switch(entry.fc_write, entry.addr, entry.on, entry.off, entry.nv)


def wrong_watchdog(entry: WatchdogEntry) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where and what is wrong with [watchdog]."""
    if (entry.refresh == "heartbeat") is (entry.heartbeat is None):
        yield ("heartbeat",), 'heartbeat belongs to refresh = "heartbeat", and only to it'
    for key, register, unit in _registers(entry):
        if register.unit not in UNITS[unit]:
            allowed = ", ".join(repr(one) for one in UNITS[unit])
            yield (key, "unit"), f"{key} cannot be in {register.unit!r}; allowed: {allowed}"
        elif not (math.isfinite(register.scale) and register.scale > 0):
            yield (key, "scale"), f"scale must be a finite number above 0, not {register.scale}"
        elif is_bcd(register.type) or not _is_carried(register, register.write):
            yield (key, "write"), f"{register.type} cannot carry {register.write:g}"
    if entry.fallback is not None and entry.fallback.write != 0:
        yield ("fallback", "write"), "without us nothing may flow: fallback is 0"


def built_watchdog(entry: WatchdogEntry, word_order: WordOrder) -> Watchdog:
    """Return the watchdog that an entry without mistakes describes."""
    writes = {key: _written(register, word_order) for key, register, unit in _registers(entry)}
    heartbeat = writes.pop("heartbeat", None)
    return Watchdog(entry.refresh, entry.timeout_s, tuple(writes.values()), heartbeat)


def built_part(data: MapFile, commands: Commands) -> EvsePart:
    """Return what a controller of a map without mistakes can be told."""
    order, watchdog, startup = data.defaults.word_order, data.watchdog, data.startup
    phases = commands.three_phases
    return EvsePart(
        set_current=built_command(commands.set_current, order),
        enable=built_switch(commands.enable) if commands.enable is not None else None,
        lock=built_switch(commands.lock) if commands.lock is not None else None,
        three_phases=built_switch(phases) if phases is not None else None,
        watchdog=built_watchdog(watchdog, order) if watchdog is not None else None,
        startup=tuple(
            Write(one.fc_write, one.addr, (one.value,), one.nv)
            for one in (startup.writes if startup is not None else ())
        ),
        grants=tuple(map(built_grant, data.grant)),
    )


def exact(figure: float) -> Fraction:
    """Return a figure as it was written: 0.1 is a tenth, not the float nearest to it."""
    return Fraction(Decimal(repr(figure)))


def _registers(entry: WatchdogEntry) -> Iterator[tuple[str, Register, str]]:
    """Yield name, register and canonical unit of what is written."""
    for key, register, unit in (
        ("fallback", entry.fallback, "A"),  # before the timeout: it may strike at once
        ("timeout", entry.timeout, "s"),
        ("heartbeat", entry.heartbeat, ""),
    ):
        if register is not None:
            yield key, register, unit


def _factor(entry: CommandEntry, unit: str) -> Fraction:
    return exact(entry.scale) * UNITS[unit][entry.unit]


def _is_doublable(entry: CommandEntry, value: float) -> bool:
    raw = exact(value) / (exact(entry.scale) * UNITS["A"][entry.unit])
    return entry.type == "uint16" and raw <= _MOST_DOUBLED and entry.off is None


def _is_carried(entry: CommandEntry | Register, value: float) -> bool:
    """Tell whether the register can hold a value in the canonical unit, or as written."""
    scale = exact(entry.scale)
    if isinstance(entry, CommandEntry):
        scale *= UNITS["A"][entry.unit]
    raw = exact(value) / scale if math.isfinite(value) else Fraction(-1)
    try:
        struct.pack(f">{FORMATS[entry.type]}", float(raw) if is_float(entry.type) else int(raw))
    except (struct.error, OverflowError):
        return False
    return math.isfinite(value)


def _written(register: Register, word_order: WordOrder) -> Write:
    command = Command(
        unit=register.unit,
        fc=register.fc_write,
        address=register.addr,
        type=register.type,
        word_order=word_order,
        factor=exact(register.scale),
        allowed=((register.write, register.write),),
    )
    return command.write(register.write)
