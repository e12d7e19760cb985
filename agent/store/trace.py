"""The form of a trace: how the core was led, so that it can be led the same way again.

A trace is a file of chunks: four bytes of length, big-endian, then so many bytes of zlib. A
chunk is a list of entries in MessagePack, and an entry is one of

* a `Whole`: the station as it is from here on; every file begins with one;
* a `Turn`: the events of one turn of the kernel, each with its world, and a digest of what
  came of them.

A file that ends within a chunk, as after a power cut, is whole up to there.

Locations of files are written without user and password, in events and stations alike: the core
never looks at them, and does the same without.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from mmap import mmap
from typing import Any, Final, TypeAlias, TypeVar, get_args

import msgspec
from msgspec.structs import replace

from agent.core import effects as told
from agent.core.effects import Effect
from agent.core.events import (
    Event,
    LogRequested,
    MessageFailed,
    MeterFailed,
    MeterRead,
    UpdateRequested,
    UpdateWorkEnded,
    UploadEnded,
)
from agent.core.orders import LogOrder, UpdateOrder, anonymous
from agent.core.station import Station
from agent.core.targets import Targets
from agent.core.values import Env, Stamp

_LENGTH: Final = 4
MOST_CHUNK: Final = 16 << 20
"""Bytes of a chunk, unpacked; whatever claims more is no chunk of ours."""

_KINDS: Final[dict[str, type]] = {kind.__name__: kind for kind in get_args(Event)}
_READINGS: Final = (MeterRead, MeterFailed)

Lived: TypeAlias = tuple[Event, Env]


class TraceError(Exception):
    """A file is no trace, or one of another version."""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """An event and its world; a plain reading needs neither id nor chance."""

    kind: str
    event: msgspec.Raw
    at: Stamp
    fresh_id: str = ""
    jitter: float = 0.0


class Whole(msgspec.Struct, frozen=True, array_like=True, tag="whole"):
    """The station, and which version of the agent wrote it."""

    version: str
    station: msgspec.Raw


class Turn(msgspec.Struct, frozen=True, array_like=True, tag="turn"):
    """What happened in one turn, and what came of it.

    Attributes:
        told: kinds of the effects, in order.
        digest: of effects and targets.
    """

    steps: tuple[Step, ...]
    told: tuple[str, ...]
    digest: bytes


Entry: TypeAlias = Whole | Turn

_encoder: Final = msgspec.msgpack.Encoder()
_entries: Final = msgspec.msgpack.Decoder(tuple[Entry, ...])


def whole(station: Station, version: str) -> Whole:
    """Return the entry that a station can be made of again."""
    return Whole(version, msgspec.Raw(_encoder.encode(_anonymous_station(station))))


def turn(lived: Sequence[Lived], effects: Sequence[Effect], wanted: Targets) -> Turn:
    """Return the entry for one turn, what it told, and what the hardware should do since."""
    is_plain = not effects and all(isinstance(event, _READINGS) for event, _ in lived)
    steps = tuple(_step(event, env, is_plain=is_plain) for event, env in lived)
    kinds = tuple(type(effect).__name__ for effect in effects)
    return Turn(steps, kinds, digest(effects, wanted))


def digest(effects: Sequence[Effect], wanted: Targets) -> bytes:
    """Return what two runs have in common if they did the same."""
    named = [(type(effect).__name__, effect) for effect in effects]
    raw = _encoder.encode((named, wanted))
    return hashlib.blake2b(raw, digest_size=8).digest()


def _step(event: Event, env: Env, *, is_plain: bool) -> Step:
    content: Any = _anonymous_event(event)
    if isinstance(event, MessageFailed):  # which message it was, only its type says
        content = (type(event.message).__name__, event.message, event.reason)
    raw = msgspec.Raw(_encoder.encode(content))
    if is_plain:
        return Step(type(event).__name__, raw, env.now)
    return Step(type(event).__name__, raw, env.now, env.fresh_id, env.jitter)


_Order = TypeVar("_Order", UpdateOrder, LogOrder)


def _anonymous_event(event: Event) -> Event:
    match event:
        case UpdateRequested():
            return replace(event, order=_anonymous(event.order))
        case LogRequested():
            return replace(event, order=_anonymous(event.order))
        case UpdateWorkEnded():
            return replace(event, work=replace(event.work, order=_anonymous(event.work.order)))
        case UploadEnded():
            return replace(event, work=replace(event.work, order=_anonymous(event.work.order)))
        case _:
            return event


def _anonymous_station(station: Station) -> Station:
    firmware, diagnostics = station.firmware, station.diagnostics
    if (update := firmware.update) is not None:
        firmware = replace(firmware, update=replace(update, order=_anonymous(update.order)))
    if (check := firmware.check) is not None:
        firmware = replace(firmware, check=replace(check, order=_anonymous(check.order)))
    if (upload := diagnostics.upload) is not None:
        order = _anonymous(upload.order)
        diagnostics = replace(diagnostics, upload=replace(upload, order=order))
    return replace(station, firmware=firmware, diagnostics=diagnostics)


def _anonymous(order: _Order) -> _Order:
    return replace(order, location=anonymous(order.location))


def station_of(entry: Whole) -> Station:
    """Return the station of an entry.

    Raises:
        TraceError: another version wrote it.
    """
    try:
        return msgspec.msgpack.decode(entry.station, type=Station)
    except msgspec.DecodeError as error:
        text = f"the station of version {entry.version} cannot be read: {error}"
        raise TraceError(text) from error


def lived_of(step: Step) -> Lived:
    """Return the event and its world.

    Raises:
        TraceError: another version wrote it.
    """
    try:
        kind = _KINDS[step.kind]
        env = Env(step.at, step.fresh_id, step.jitter)
        if kind is MessageFailed:
            name, message, reason = msgspec.msgpack.decode(
                step.event, type=tuple[str, msgspec.Raw, str]
            )
            failed = msgspec.msgpack.decode(message, type=getattr(told, name))
            return MessageFailed(failed, reason), env
        return msgspec.msgpack.decode(step.event, type=kind), env
    except (KeyError, AttributeError, msgspec.DecodeError) as error:
        raise TraceError(f"an event {step.kind} cannot be read: {error}") from error


# --- files ---


def packed(entries: Sequence[Entry]) -> bytes:
    """Return entries as a chunk."""
    content = zlib.compress(_encoder.encode(entries), 6)
    return len(content).to_bytes(_LENGTH, "big") + content


def entries(content: bytes | mmap) -> Iterator[Entry]:
    """Yield the entries of a file.

    Raises:
        TraceError: it is no trace.
    """
    at = 0
    while len(content) - at > _LENGTH:
        end = at + _LENGTH + int.from_bytes(content[at : at + _LENGTH], "big")
        if end > len(content):
            break  # cut off while it was written
        yield from _unpacked(content[at + _LENGTH : end], is_first=at == 0)
        at = end
    if at == 0:
        raise TraceError("this is no trace")


def _unpacked(chunk: bytes, *, is_first: bool) -> Iterable[Entry]:
    unpacking = zlib.decompressobj()
    try:
        raw = unpacking.decompress(chunk, MOST_CHUNK)
        found = _entries.decode(raw)
    except (zlib.error, msgspec.DecodeError) as error:
        raise TraceError(f"this is no trace: {error}") from error
    begins = not is_first or isinstance(next(iter(found), None), Whole)
    if unpacking.unconsumed_tail or not begins:
        raise TraceError("this is no trace")
    return found
