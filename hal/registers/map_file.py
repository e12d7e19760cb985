"""Register maps as they are written: the tables and keys of a TOML file, with their types.

`config/registers/_template.toml` (meters) and `_template-evse.toml` (controllers) explain
every key; `hal.registers.map` judges what types alone cannot.
"""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hal.registers.codec import RawType, TextType, WordOrder
from hal.types import Value

Word: TypeAlias = Annotated[int, Meta(ge=0, le=0xFFFF)]
ShortText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
Prose: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1000)]
Identifier: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
FunctionCode: TypeAlias = Literal[1, 2, 3, 4]
WriteCode: TypeAlias = Literal[5, 6, 16]
Labels: TypeAlias = Annotated[dict[str, str], Meta(min_length=1, max_length=64)]
_NONE: Any = msgspec.field(default_factory=dict)
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=3600)]


class BusNeeds(Value, frozen=True, forbid_unknown_fields=True):
    """What the device asks of the line.

    Attributes:
        max_registers: the most words that it answers in one read.
        max_gap: the most unused words that a read may run across.
        gap_s: the pause that it needs between two exchanges.
        timeout_s: how long it may take to answer.
        wakes: it sleeps, and its first request is lost; every request is sent twice.
    """

    max_registers: Annotated[int, Meta(ge=1, le=125)] = 80
    max_gap: Annotated[int, Meta(ge=0, le=121)] = 8
    gap_s: Annotated[float, Meta(ge=0, le=1)] = 0.05
    timeout_s: Annotated[float, Meta(ge=0.05, le=5)] = 0.5
    wakes: bool = False


class SerialDefaults(Value, frozen=True, forbid_unknown_fields=True):
    """How the device talks when it leaves the maker; a board file says how it talks now.

    `unit` is also the usual unit id of a device that only speaks TCP.
    """

    baudrate: Annotated[int, Meta(ge=300, le=921_600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    unit: Annotated[int, Meta(ge=1, le=255)] = 1


class PointEntry(Value, frozen=True, forbid_unknown_fields=True):
    """A line of [points]."""

    addr: Word
    unit: Annotated[str, Meta(max_length=10)] = ""
    fc: FunctionCode | None = None
    type: RawType | None = None
    word_order: WordOrder | None = None
    scale: float = 1.0
    offset: float = 0.0
    invert: bool = False
    mask: Annotated[int, Meta(ge=0)] = 0
    exponent: str | None = None
    na: Annotated[list[int], Meta(max_length=8)] | None = None
    minimum: float | None = msgspec.field(default=None, name="min")
    maximum: float | None = msgspec.field(default=None, name="max")
    step: float | None = None
    monotonic: bool | None = None
    optional: bool = False
    enum: Labels | None = None
    faults: Labels | None = None
    bits: Labels | None = None


class Defaults(Value, frozen=True, forbid_unknown_fields=True):
    """What holds for every line that does not say otherwise."""

    fc: FunctionCode = 4
    type: RawType = "float32"
    word_order: WordOrder = "big"


class ExponentEntry(Value, frozen=True, forbid_unknown_fields=True):
    """A line of [exponents]: a register with a power of ten."""

    addr: Word
    sim: Annotated[int, Meta(ge=-10, le=10)]


class TextEntry(Value, frozen=True, forbid_unknown_fields=True):
    """A line of [identity]; `words` is needed for the types without a size of their own."""

    addr: Word
    type: TextType
    fc: Literal[3, 4] | None = None
    words: Annotated[int, Meta(ge=1, le=32)] | None = None
    word_order: WordOrder | None = None
    sim: Annotated[str, Meta(max_length=64)] | None = None


class Vector(Value, frozen=True, forbid_unknown_fields=True):
    """An example: words of the wire and what they mean."""

    point: str
    words: Annotated[list[Word], Meta(min_length=1, max_length=4)]
    value: float | str
    exponent: Annotated[int, Meta(ge=-10, le=10)] = 0


class Probe(Value, frozen=True, forbid_unknown_fields=True):
    """What tells this device from another one: a point within a range, in its unit."""

    point: str
    minimum: float = msgspec.field(name="min")
    maximum: float = msgspec.field(name="max")


class SunSpec(Value, frozen=True, forbid_unknown_fields=True):
    """The addresses of the map count from the register that holds one of these model ids."""

    models: Annotated[tuple[Annotated[int, Meta(ge=1, le=65_534)], ...], Meta(min_length=1)]
    length: Annotated[int, Meta(ge=1, le=1000)]


class TableEntry(Value, frozen=True, forbid_unknown_fields=True):
    """The numbers of all devices of a line, sent to all of them at once without an answer.

    Attributes:
        unit: that all of them listen to.
        words: how many devices there can be; unit 1 has the first word.
        confirm: the input register in which each shows its own.
    """

    unit: Annotated[int, Meta(ge=1, le=255)]
    words: Annotated[int, Meta(ge=1, le=123)]
    confirm: Word


class CommandEntry(Value, frozen=True, forbid_unknown_fields=True):
    """A line of [commands] that sets a number."""

    addr: Word
    allowed: Annotated[str, Meta(max_length=100)]
    unit: Annotated[str, Meta(max_length=10)] = ""
    fc_write: Literal[6, 16] = 16
    type: RawType = "uint16"
    word_order: WordOrder | None = None
    scale: float = 1.0
    off: Word | None = None
    readback: bool = False
    nv: bool = False
    doubled: bool = False
    table: TableEntry | None = None


class SwitchEntry(Value, frozen=True, forbid_unknown_fields=True):
    """A line of [commands] that turns something on and off."""

    addr: Word
    fc_write: WriteCode = 16
    on: Word = 1
    off: Word = 0
    nv: bool = False


class Commands(Value, frozen=True, forbid_unknown_fields=True):
    """All that may be written while the device is in use."""

    set_current: CommandEntry
    enable: SwitchEntry | None = None
    lock: SwitchEntry | None = None
    three_phases: SwitchEntry | None = None


class Register(Value, frozen=True, forbid_unknown_fields=True):
    """A register that is written once with a figure."""

    addr: Word
    write: float
    unit: Annotated[str, Meta(max_length=10)] = ""
    fc_write: Literal[6, 16] = 16
    type: RawType = "uint16"
    scale: float = 1.0


class WatchdogEntry(Value, frozen=True, forbid_unknown_fields=True):
    """[watchdog]: what the device does by itself when it hears nothing any more.

    Attributes:
        refresh: what it wants to hear: any request, the current again, or `heartbeat`.
        timeout: the register with its patience, armed at every start.
        fallback: the register with the current that it falls back to.
        heartbeat: what to write, and how often, for refresh = "heartbeat".
    """

    refresh: Literal["any_request", "set_current", "heartbeat"]
    timeout_s: Seconds
    timeout: Register | None = None
    fallback: Register | None = None
    heartbeat: Register | None = None


class StartupWrite(Value, frozen=True, forbid_unknown_fields=True):
    """A raw write at every start; `nv`: the register wears out, so it is compared first."""

    addr: Word
    value: Word
    fc_write: WriteCode = 16
    nv: bool = False


class Startup(Value, frozen=True, forbid_unknown_fields=True):
    """[startup]."""

    writes: Annotated[tuple[StartupWrite, ...], Meta(min_length=1, max_length=16)]


class GrantEntry(Value, frozen=True, forbid_unknown_fields=True):
    """A line of [[grant]]: by this state the controller asks whether it may go on.

    Attributes:
        state: a number of the point `state`.
        addr, words: what is written for an answer while a current is offered.
    """

    state: Word
    addr: Word
    words: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=8)]


class MapFile(Value, frozen=True, forbid_unknown_fields=True):
    """A whole file; the last four tables are those of a controller."""

    schema: Literal[1]
    kind: Literal["meter", "evse"]
    id: Identifier
    vendor: ShortText
    model: ShortText
    source: Annotated[str, Meta(min_length=1, max_length=200)]
    phases: Literal[1, 3]
    points: Annotated[dict[str, PointEntry], Meta(min_length=1, max_length=64)]
    verified: Prose = "against no device"
    bus: BusNeeds = BusNeeds()
    serial: SerialDefaults = SerialDefaults()
    defaults: Defaults = Defaults()
    exponents: Annotated[dict[Name, ExponentEntry], Meta(max_length=16)] = _NONE
    identity: Annotated[dict[str, TextEntry], Meta(max_length=8)] = _NONE
    vector: Annotated[tuple[Vector, ...], Meta(max_length=256)] = ()
    probe: Probe | None = None
    sunspec: SunSpec | None = None
    commands: Commands | None = None
    watchdog: WatchdogEntry | None = None
    startup: Startup | None = None
    grant: Annotated[tuple[GrantEntry, ...], Meta(max_length=8)] = ()
