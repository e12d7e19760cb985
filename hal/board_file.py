"""Board files: which hardware a station has, as checked values.

    [port.meters]                     # a line; a serial one: driver = "modbus_serial"
    driver = "modbus_tcp"
    host   = "192.168.1.50"

    [[evse]]
    id         = 1                    # 1, 2, 3, … without a gap
    connectors = 1
    max_a      = 32
    phases     = 3
    meter      = { driver = "modbus_meter", port = "meters", unit = 1, map = "eastron-sdm630" }
    controller = { driver = "simulated" }
    reader     = { driver = "simulated" }

    [site]                            # what all EVSEs share; may be left out
    max_a      = 63                   # per line conductor

A driver of ours is a Struct here, chosen by its tag, and a case in `hal.board`; those of other
distributions join them by entry point (`hal.extensions`). A board is simulated when all its
controllers are. Its meters on 127.0.0.1 are then simulated with it, one to a port, and port 0
stands for any free one; meters elsewhere are real, for a bench that tries one.

A register map `NAME` is the first `NAME.toml` of `map_directories`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from msgspec import Meta, Struct, defstruct, field

from hal import extensions, schema
from hal.controller_settings import (
    OPENEVSE_MEASURES,
    LineControllerSettings,
    OpenEvseMeterSettings,
    OpenEvseSettings,
    SimulatedControllerSettings,
    wrong_meter,
)
from hal.converter_settings import ConverterSettings, wrong_converters
from hal.dc_settings import (
    DcEvseSettings,
    IsoChaSettings,
    ModbusContactorSettings,
    VehicleSocketSettings,
    dc_devices,
    wrong_outlets,
)
from hal.extensions import Extension
from hal.files import FileProblems, Problem, TypedFile, read
from hal.gpio_settings import GpioEvseSettings, wrong_wiring
from hal.input_settings import (
    InputSettings,
    ModbusInputSettings,
    SimulatedInputSettings,
    wrong_bit,
)
from hal.modbus_settings import ModbusEvseSettings, ModbusMeterSettings
from hal.port_settings import (
    LOOPBACK,
    CanSettings,
    ModbusTcpSettings,
    Name,
    PortSettings,
    serial_path,
    wrong_can_lines,
)
from hal.reader_settings import OwnReaderSettings, ReaderSettings, wrong_reader
from hal.registers.map import RegisterMap, is_dc, load_map
from hal.site_settings import Amperes, DeratingSettings, SiteSettings
from hal.types import Value

MAX_EVSES = 64
SYSTEM_MAPS = Path("/usr/share/pilotwire/registers")

Conductor: TypeAlias = Literal["L1", "L2", "L3"]
ConnectorType: TypeAlias = Literal[
    "cCCS1", "cCCS2", "cG105", "cTesla", "cType1", "cType2", "s309-1P-16A", "s309-1P-32A",
    "s309-3P-16A", "s309-3P-32A", "sBS1361", "sCEE-7-7", "sType2", "sType3",
]  # fmt: skip
"""Cables (c) and sockets (s) in the words of OCPP 2.0.1 (ConnectorEnumType)."""


ControllerSettings: TypeAlias = (
    SimulatedControllerSettings
    | ModbusEvseSettings
    | LineControllerSettings
    | GpioEvseSettings
    | DcEvseSettings
)


class EvseSettings(Value, frozen=True):
    """One EVSE and its devices.

    Attributes:
        conductors: line conductors of the grid that its phases are wired to, in the order of
            its meter; empty for L1, or L1, L2, L3.
        weight: of its share when sharing is "weighted".
        derating: None without a temperature sensor.
        phase_switching: allowed for its vehicles; some are harmed by it (docs/limits.md).
        connector_type: what the CSMS is told of its connectors; None: CCS2 of direct current,
            unknown of an other one.
        converter, isolation, vehicle, contactor: of an EVSE of direct current.
    """

    id: Annotated[int, Meta(ge=1, le=MAX_EVSES)]
    max_a: Amperes
    phases: Literal[1, 3]
    meter: ModbusMeterSettings | OpenEvseMeterSettings
    controller: ControllerSettings
    reader: ReaderSettings | None = None
    connectors: Annotated[int, Meta(ge=1, le=8)] = 1
    conductors: Annotated[tuple[Conductor, ...], Meta(max_length=3)] = ()
    weight: Annotated[int, Meta(ge=1, le=100)] | None = None
    derating: DeratingSettings | None = None
    phase_switching: bool = False
    connector_type: ConnectorType | None = None
    converter: ConverterSettings | None = None
    isolation: IsoChaSettings | None = None
    vehicle: VehicleSocketSettings | None = None
    contactor: ModbusContactorSettings | None = None

    @property
    def is_dc(self) -> bool:
        """Return whether it charges with direct current."""
        return isinstance(self.controller, DcEvseSettings)


_E = TypeVar("_E")
_Evses: TypeAlias = Annotated[tuple[_E, ...], Meta(min_length=1, max_length=MAX_EVSES)]
_Ports: TypeAlias = Annotated[dict[Name, PortSettings], Meta(max_length=MAX_EVSES)]


class BoardFile(Value, frozen=True):
    """A board file as it is written."""

    evse: _Evses[EvseSettings]
    port: _Ports = field(default_factory=dict)
    site: SiteSettings = SiteSettings()
    grid_input: InputSettings | None = None


class Board(Value, frozen=True):
    """A board file without mistakes, and everything that it names.

    Attributes:
        path: where it was read from.
        ports: by name.
        evses: by ascending id, which are 1 to their number.
        maps: the register maps it names, by name.
        site: the grid connection that the EVSEs share.
        grid_input: the grid operator's contact that reduces power; None without one.
        extensions: the drivers of other distributions that it names, by name.
    """

    path: Path
    ports: dict[str, PortSettings]
    evses: tuple[EvseSettings, ...]
    maps: dict[str, RegisterMap]
    site: SiteSettings = SiteSettings()
    grid_input: InputSettings | None = None
    extensions: dict[str, Extension] = field(default_factory=dict)

    @property
    def is_simulated(self) -> bool:
        """Return whether the controllers are simulated."""
        return all(_is_simulated(evse) for evse in self.evses)

    def is_served(self, evse: EvseSettings) -> bool:
        """Return whether the simulator serves the meter of an EVSE."""
        meter = modbus_meter(evse)
        return meter is not None and self.is_simulated and _is_local(self.ports[meter.port])

    def measures(self, evse: EvseSettings) -> tuple[str, ...] | None:
        """Return the points of an EVSE's meter; None when that is all there are."""
        meter = modbus_meter(evse)
        if meter is not None:
            return tuple(point.name for point in self.maps[meter.map].points)
        if isinstance(evse.meter, OpenEvseMeterSettings):
            return OPENEVSE_MEASURES
        part = self.extensions[extensions.tag(type(evse.meter))].part("meter")
        return None if part is None else part.measures

    def extension(self, settings: Struct | None) -> Extension | None:
        """Return who brought the driver of these settings; None for one of ours."""
        return None if settings is None else self.extensions.get(extensions.tag(type(settings)))


def modbus_meter(evse: EvseSettings) -> ModbusMeterSettings | None:
    """Return the meter of an EVSE if it is described by a map; None if a driver brings it."""
    meter: object = evse.meter
    return meter if isinstance(meter, ModbusMeterSettings) else None


def load_board(path: Path) -> Board:
    """Return the board in a file, with its register maps.

    Raises:
        FileProblems: every mistake in it and in its maps, each with its file and line.
    """
    file, others = _read(path)
    maps, problems = _maps(file)
    problems += [file.problem(*mistake) for mistake in _mistakes(file.value, maps)]
    if problems:
        raise FileProblems(dict.fromkeys(problems))
    evses = tuple(sorted(file.value.evse, key=lambda evse: evse.id))
    return Board(
        path=path,
        ports=file.value.port,
        evses=evses,
        maps=maps,
        site=file.value.site,
        grid_input=file.value.grid_input,
        extensions=others,
    )


def check_board(path: Path) -> list[Problem]:
    """Return every mistake in a board file and its maps; an empty list when it can be used."""
    try:
        load_board(path)
    except FileProblems as found:
        return list(found.problems)
    return []


def map_directories(board: Path) -> tuple[Path, ...]:
    """Return where the maps that a board file names are looked for, in this order."""
    here = board.parent
    return (
        here.parent / "registers",
        here / "registers",
        SYSTEM_MAPS,
        Path(__file__).parents[1] / "config" / "registers",
    )


_Mistake: TypeAlias = tuple[schema.Path, str]

_OURS: dict[extensions.Role, Any] = {
    "controller": ControllerSettings,
    "meter": ModbusMeterSettings | OpenEvseMeterSettings,
    "reader": ReaderSettings,
}


def _read(path: Path) -> tuple[TypedFile[BoardFile], dict[str, Extension]]:
    """Return a file by a type that knows the drivers it names, and those that are not ours.

    Raises:
        FileProblems: every mistake that its types refuse.
    """
    file = read(path)
    known = extensions.known(file, _OURS)
    type_ = BoardFile if known is None else _widened(known.types)
    value = file.part((), type_)
    if value is None or file.problems:
        raise FileProblems(file.problems)
    return TypedFile(file, value), {} if known is None else known.extensions


def _widened(types: Mapping[extensions.Role, Any]) -> type[BoardFile]:
    """Return the type of a file in which an EVSE may have drivers that are not ours."""
    members: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        ("meter", types["meter"]),
        ("controller", types["controller"]),
        ("reader", types["reader"] | None, None),
    ]
    evse: Any = defstruct("_Evse", members, bases=(EvseSettings,), frozen=True, kw_only=True)
    file: Any = defstruct("_File", [("evse", _Evses[evse])], bases=(BoardFile,), frozen=True)
    widened: type[BoardFile] = file
    return widened


def _is_simulated(evse: EvseSettings) -> bool:
    return isinstance(evse.controller, SimulatedControllerSettings)


def _is_local(port: PortSettings) -> bool:
    return isinstance(port, ModbusTcpSettings) and port.host == LOOPBACK


def _on_modbus(
    evse: EvseSettings,
) -> Iterator[tuple[str, ModbusMeterSettings | ModbusEvseSettings]]:
    """Yield the devices of an EVSE that are on a Modbus port, by their key."""
    meter = modbus_meter(evse)
    if meter is not None:
        yield "meter", meter
    if isinstance(evse.controller, ModbusEvseSettings):
        yield "controller", evse.controller


def _maps(file: TypedFile[BoardFile]) -> tuple[dict[str, RegisterMap], list[Problem]]:
    """Return the maps that could be loaded, by name, and what is wrong with the others."""
    maps: dict[str, RegisterMap] = {}
    problems: list[Problem] = []
    directories = map_directories(file.path)
    named = [
        ((index, key), device.map)
        for index, evse in enumerate(file.value.evse)
        for key, device in _on_modbus(evse)
    ]
    for place, name in named:
        found = next((at for at in directories if (at / f"{name}.toml").is_file()), None)
        if found is None:
            searched = ", ".join(str(directory) for directory in directories)
            text = f"there is no {name}.toml in {searched}"
            problems.append(file.problem(("evse", *place, "map"), text))
        elif name not in maps:
            try:
                maps[name] = load_map(found / f"{name}.toml")
            except FileProblems as mistakes:
                problems += mistakes.problems
    return maps, problems


def _mistakes(data: BoardFile, maps: dict[str, RegisterMap]) -> Iterator[_Mistake]:
    """Yield what the types alone cannot refuse."""
    yield from _in_ids(data)
    seen: Counter[tuple[str, int]] = Counter()
    for index, evse in enumerate(data.evse):
        at: schema.Path = ("evse", index)
        yield from _in_controller(evse, at, data, maps)
        if (text := wrong_meter(evse.meter, evse.controller, evse.phases)) is not None:
            yield (*at, "meter", "driver"), text
        for key, device in _on_modbus(evse):
            if (text := _no_modbus(device.port, data)) is not None:
                yield (*at, key, "port"), text
        meter = modbus_meter(evse)
        if meter is None:
            continue
        seen[meter.port, meter.unit] += 1
        if seen[meter.port, meter.unit] > 1:
            text = f"unit {meter.unit} of port {meter.port} is another EVSE's meter"
            yield (*at, "meter", "unit"), text
        found = maps.get(meter.map)
        names = {point.name for point in found.points} if found is not None else set()
        if found is not None and is_dc(names) is not evse.is_dc:
            kind = "direct" if evse.is_dc else "alternating"
            yield (*at, "meter", "map"), f"{meter.map} is no meter of {kind} current"
        elif found is not None and not evse.is_dc and found.phases < evse.phases:
            text = f"{meter.map} measures {found.phases} phase, the EVSE has {evse.phases}"
            yield (*at, "meter", "map"), text
        if found is not None and found.lacks:
            yield (*at, "meter", "map"), f"{meter.map} is no meter: {found.lacks[0]}"
        elif meter.turned and found is not None and "energy_export" not in names:
            text = f"{meter.map} has no energy_export, which a turned meter is billed by"
            yield (*at, "meter", "turned"), text
    yield from _in_dc(data)
    yield from _in_ports(data)
    yield from _in_lines(data)
    yield from _in_sharing(data)
    yield from _in_grid_input(data)


def _in_controller(
    evse: EvseSettings, at: schema.Path, data: BoardFile, maps: dict[str, RegisterMap]
) -> Iterator[_Mistake]:
    controller = evse.controller
    if isinstance(controller, GpioEvseSettings) and (wrong := wrong_wiring(controller)):
        yield (*at, "controller", wrong[0]), wrong[1]
    if not isinstance(controller, ModbusEvseSettings):
        return
    place = (controller.port, controller.unit)
    found = maps.get(controller.map)
    if found is not None and found.evse is None:
        text = f"{controller.map} is the map of a meter, not of an EVSE controller"
        yield (*at, "controller", "map"), text
    part = found.evse if found is not None else None
    if evse.phase_switching and part is not None and part.three_phases is None:
        yield (*at, "phase_switching"), f"{controller.map} cannot switch phases"
    for other in data.evse:
        for key, device in _on_modbus(other):
            # A controller that measures is its own EVSE's meter at the same unit.
            is_one = other is evse and device.map == controller.map
            if (device.port, device.unit) == place and not is_one:
                text = f"unit {place[1]} of port {place[0]} is the {key} of EVSE {other.id}"
                yield (*at, "controller", "unit"), text


def _in_dc(data: BoardFile) -> Iterator[_Mistake]:
    """Yield what is wrong with EVSEs of direct current, or makes no sense without it."""
    taken = {
        (device.port, device.unit): f"the {key} of EVSE {evse.id}"
        for evse in data.evse
        for key, device in _on_modbus(evse)
    }
    for index, evse in enumerate(data.evse):
        meter = modbus_meter(evse)
        if evse.is_dc and meter is not None and meter.turned:
            text = "a meter of direct current cannot be turned"
            yield ("evse", index, "meter", "turned"), text
    for index, key, device in dc_devices(data.evse):
        if (no := _no_modbus(device.port, data)) is not None:
            yield ("evse", index, key, "port"), no
    for index, keys, text in wrong_outlets(data.evse, taken):
        yield ("evse", index, *keys), text
    converters: dict[schema.Path, ConverterSettings] = {
        ("evse", index, "converter"): evse.converter
        for index, evse in enumerate(data.evse)
        if evse.converter is not None
    }
    yield from wrong_converters(converters, data.port)


def _in_ids(data: BoardFile) -> Iterator[_Mistake]:
    count = len(data.evse)
    seen: set[int] = set()
    for index, evse in enumerate(data.evse):
        if evse.id in seen:
            yield ("evse", index, "id"), f"id {evse.id} is there twice"
        elif evse.id > count:
            text = f"id {evse.id} leaves a gap: {count} EVSEs have the ids 1 to {count}"
            yield ("evse", index, "id"), text
        seen.add(evse.id)


def _in_lines(data: BoardFile) -> Iterator[_Mistake]:
    """Yield serial lines that two devices claim, and what else is wrong with readers."""
    paths = {name: serial_path(port) for name, port in data.port.items()}
    owners = {path: f"port {name}" for name, path in paths.items() if path is not None}
    for index, evse in enumerate(data.evse):
        at: schema.Path = ("evse", index)
        if isinstance(evse.reader, OwnReaderSettings):
            for key, text in wrong_reader(evse.reader):
                yield (*at, "reader", key), text
        for key, device in (("controller", evse.controller), ("reader", evse.reader)):
            if not isinstance(device, LineControllerSettings | OwnReaderSettings):
                continue
            path = device.path
            if path in owners:
                text = f"{path} belongs to {owners[path]}: a line has one owner"
                yield (*at, key, "path"), text
            owners.setdefault(path, f"the {key} of EVSE {evse.id}")


def _in_grid_input(data: BoardFile) -> Iterator[_Mistake]:
    match data.grid_input:
        case SimulatedInputSettings() if not all(map(_is_simulated, data.evse)):
            yield ("grid_input", "driver"), "a simulated input needs a board that is simulated"
        case ModbusInputSettings() as found:
            if (text := _no_modbus(found.port, data)) is not None:
                yield ("grid_input", "port"), text
            if (text := wrong_bit(found)) is not None:
                yield ("grid_input", "bit"), text
        case _:
            return


def _no_modbus(name: str, data: BoardFile) -> str | None:
    """Return why a port cannot carry Modbus, None if it can."""
    if name not in data.port:
        return f"there is no port {name} (known: {', '.join(data.port) or 'none'})"
    if isinstance(data.port[name], CanSettings):
        return f"port {name} is a CAN line; this device is on Modbus"
    return None


def _in_sharing(data: BoardFile) -> Iterator[_Mistake]:
    for index, evse in enumerate(data.evse):
        at: schema.Path = ("evse", index)
        wired = evse.conductors
        if wired and (len(wired) != evse.phases or len(set(wired)) != len(wired)):
            text = f"must name {evse.phases} different conductors, one per phase of the EVSE"
            yield (*at, "conductors"), text
        if evse.weight is not None and data.site.sharing != "weighted":
            yield (*at, "weight"), 'counts only with sharing = "weighted" in [site]'
        if evse.phase_switching and evse.phases == 1:
            yield (*at, "phase_switching"), "needs an EVSE of three phases"
        if evse.phase_switching and isinstance(
            evse.controller, OpenEvseSettings | GpioEvseSettings
        ):
            yield (*at, "phase_switching"), "this controller cannot switch phases"
        heat = evse.derating
        if heat is not None and heat.to_c <= heat.from_c:
            yield (*at, "derating", "to_c"), f"must be more than from_c, {heat.from_c:g}"


def _in_ports(data: BoardFile) -> Iterator[_Mistake]:
    for name, key, text in wrong_can_lines(data.port):
        yield ("port", name, key), text
    used = Counter(device.port for evse in data.evse for _, device in _on_modbus(evse))
    if isinstance(data.grid_input, ModbusInputSettings):
        used[data.grid_input.port] += 1
    used.update(device.port for _, _, device in dc_devices(data.evse))
    used.update(evse.converter.port for evse in data.evse if evse.converter is not None)
    is_simulated = all(_is_simulated(evse) for evse in data.evse)
    addresses: dict[tuple[str, int], str] = {}
    for name, port in data.port.items():
        if not used[name]:
            yield ("port", name), f"nothing is on port {name}; remove it or use it"
        if not isinstance(port, ModbusTcpSettings):
            continue
        served = is_simulated and _is_local(port)
        if served and used[name] > 1:
            yield ("port", name), f"a simulated port serves one meter, {name} has {used[name]}"
        if port.port == 0 and not served:
            text = f"port 0 is for simulated meters on {LOOPBACK}; others have 1 to 65535"
            yield ("port", name, "port"), text
        other = addresses.setdefault((port.host, port.port), name)
        if other != name and port.port != 0:
            yield ("port", name), f"{port.host}:{port.port} is port {other} already"
