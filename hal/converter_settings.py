"""What a board file says of the DC power modules of an EVSE.

    [evse.converter]
    driver  = "infypower"
    port    = "modules"
    modules = [0, 1, 2, 3, 4, 5]
    max_v   = 920
    max_a   = 150
    max_w   = 60_000

`max_v`, `max_a` and `max_w` are what the output may carry in all: the least of cable,
contactors and cabinet. What a module can do it says itself (Infypower), or `module` says it.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from hal.port_settings import CanSettings, Name, PortSettings
from hal.schema import Path
from hal.types import Value

MOST_MODULES = 32

Volts: TypeAlias = Annotated[float, Meta(gt=0.0, le=2_000.0)]
Amperes: TypeAlias = Annotated[float, Meta(gt=0.0, le=1_000.0)]
Watts: TypeAlias = Annotated[float, Meta(gt=0.0, le=1_000_000.0)]
Modules: TypeAlias = (
    Literal["discover"]
    | Annotated[
        tuple[Annotated[int, Meta(ge=0, le=127)], ...],
        Meta(min_length=1, max_length=MOST_MODULES),
    ]
)


class ModuleSettings(Value, frozen=True):
    """What one module can do, by its label."""

    min_v: Annotated[float, Meta(ge=0.0, le=2_000.0)]
    max_v: Volts
    max_a: Amperes
    max_w: Watts


class _Told(Value, frozen=True, kw_only=True):
    """Modules that say what they can do.

    Attributes:
        modules: their addresses; "discover" takes all that are on the line, and nothing then
            tells when one of them is missing.
        module: lowers what they say.
    """

    port: Name
    max_v: Volts
    max_a: Amperes
    max_w: Watts
    modules: Modules = "discover"
    module: ModuleSettings | None = None


class _Untold(Value, frozen=True, kw_only=True):
    """Modules that do not say what they can do."""

    port: Name
    max_v: Volts
    max_a: Amperes
    max_w: Watts
    module: ModuleSettings
    modules: Modules = "discover"


class InfypowerSettings(_Told, frozen=True, tag="infypower", tag_field="driver"):
    """Infypower REG, CEG and LRG, Phoenix CHARX PS-M2.

    Attributes:
        walk_in: start softly, over some 5 s, of the 7 s that a vehicle waits for its voltage.
    """

    walk_in: bool = False


class WinlineSettings(_Untold, frozen=True, tag="winline", tag_field="driver"):
    """Winline UXR, and others of the 0x060 family that are read with function 0x10."""


class MaxwellSettings(_Untold, frozen=True, tag="maxwell", tag_field="driver"):
    """The dialect of the 0x060 family that is read with function 0x01 (DPM1000).

    It sets current as a part of `module.max_a`, which therefore has to be the rated current.
    """


class UUGreenSettings(_Untold, frozen=True, tag="uugreen", tag_field="driver"):
    """UUGreenPower UR and UXR."""


class R48xxSettings(_Untold, frozen=True, tag="r48xx", tag_field="driver"):
    """Huawei R4830, R4850 and R4875, 48 V.

    Attributes:
        counts_per_a: how the model counts a set current: 20 for a R4850G2, 30 for a R4830,
            20.48 for a R4850.
    """

    counts_per_a: Annotated[float, Meta(gt=0.0, le=1_000.0)]


ConverterSettings: TypeAlias = (
    InfypowerSettings | WinlineSettings | MaxwellSettings | UUGreenSettings | R48xxSettings
)

MODULE_FAMILIES = ("infypower", "winline", "maxwell", "uugreen", "r48xx")
"""Their names as drivers."""

_BITRATE = 125_000
_R48XX_V = (41.5, 58.5)


def addresses(settings: ConverterSettings) -> range:
    """Return every address that a module of this make can have."""
    match settings:
        case InfypowerSettings():
            return range(0x3C)
        case WinlineSettings() | MaxwellSettings():
            return range(0x40)
        case UUGreenSettings() | R48xxSettings():
            return range(1, 0x80)


def wrong_converters(
    converters: Mapping[Path, ConverterSettings], ports: Mapping[str, PortSettings]
) -> Iterator[tuple[Path, str]]:
    """Yield the mistakes that types cannot refuse, each with its place.

    Args:
        converters: all of a board, by where they stand in its file.
        ports: all of them, by name.
    """
    taken: dict[tuple[str, object], set[int]] = {}
    discovering: set[tuple[str, object]] = set()
    for at, found in converters.items():
        if (text := _wrong_port(found, ports)) is not None:
            yield (*at, "port"), text
        for key, text in _wrong_figures(found):
            yield (*at, *key), text
        place = (found.port, _protocol(found))
        owners = taken.setdefault(place, set())
        own = addresses(found) if found.modules == "discover" else found.modules
        if owners and (found.modules == "discover" or place in discovering):
            yield (*at, "modules"), _ALL_TAKEN
        elif shared := owners & set(own):
            text = f"module {min(shared)} of port {found.port} is another converter's"
            yield (*at, "modules"), text
        owners |= set(own)
        if found.modules == "discover":
            discovering.add(place)


_ALL_TAKEN = '"discover" takes all modules on a port, which has two converters: list them'


def _protocol(settings: ConverterSettings) -> object:
    """Return what two converters must not share addresses in."""
    is_mxr = isinstance(settings, WinlineSettings | MaxwellSettings)
    return "0x060" if is_mxr else type(settings)


def _wrong_port(settings: ConverterSettings, ports: Mapping[str, PortSettings]) -> str | None:
    port = ports.get(settings.port)
    if port is None:
        return f"there is no port {settings.port} (known: {', '.join(ports) or 'none'})"
    if not isinstance(port, CanSettings):
        return f'port {settings.port} is no CAN line: driver = "can"'
    if port.bitrate != _BITRATE:
        return f"these modules talk at {_BITRATE} bit/s, {settings.port} at {port.bitrate}"
    return None


def _wrong_figures(settings: ConverterSettings) -> Iterator[tuple[Path, str]]:
    modules, module = settings.modules, settings.module
    if modules != "discover":
        known = addresses(settings)
        for index, address in enumerate(modules):
            if address not in known:
                yield ("modules", index), f"{address} is none: {known[0]} to {known[-1]}"
            elif address in modules[:index]:
                yield ("modules", index), f"module {address} is there twice"
    if module is None:
        return
    if module.min_v >= module.max_v:
        yield ("module", "max_v"), f"must be more than min_v, {module.min_v:g}"
    if isinstance(settings, R48xxSettings) and not (
        _R48XX_V[0] <= module.min_v and module.max_v <= _R48XX_V[1]
    ):
        text = f"min_v and max_v must be within {_R48XX_V[0]:g} to {_R48XX_V[1]:g}"
        yield ("module",), text
    if settings.max_v > module.max_v:
        yield ("max_v",), f"is more than a module's, {module.max_v:g}: they are in parallel"
    if modules != "discover":
        for key, most, unit in (
            ("max_a", len(modules) * module.max_a, "A"),
            ("max_w", len(modules) * module.max_w, "W"),
        ):
            if getattr(settings, key) > most:
                yield (key,), f"is more than the {len(modules)} modules have, {most:g} {unit}"
