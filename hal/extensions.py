"""Drivers that other distributions bring, found by entry point (docs/drivers.md).

    [project.entry-points."pilotwire.drivers"]      # in the pyproject.toml of the other one
    acme_board = "acme_pilotwire:DRIVER"

    DRIVER = Driver(controller=Part(AcmeSettings, build))

A board file names it like one of ours, and its settings are judged like ours: by their type,
every mistake with its line. Installed packages are looked for only when a board names a
driver that is not ours, and only the named ones are imported. What such a package does wrong
before its devices run is a `BoardError` that names its distribution.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, Union, get_args

import msgspec

from hal import schema
from hal.api import Device, EvseController, Meter, TokenReader
from hal.errors import BoardError
from hal.files import TomlFile
from hal.types import Value

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "pilotwire.drivers"
TAG_FIELD: Final = "driver"

Role: TypeAlias = Literal["controller", "meter", "reader"]

_PROTOCOLS: Final[Mapping[Role, type]] = {
    "controller": EvseController,
    "meter": Meter,
    "reader": TokenReader,
}
ROLES: Final = tuple(_PROTOCOLS)


class EvseFacts(Value, frozen=True):
    """What a driver is told of the EVSE that its device belongs to.

    Attributes:
        evse_id: from 1.
        connectors: numbered from 1.
        max_a: what the wiring carries by the board file, A per phase, 6 to 80.
        phases: 1 or 3.
        state_directory: survives restarts; a driver writes to files named after itself.
    """

    evse_id: int
    connectors: int
    max_a: float
    phases: int
    state_directory: Path


@dataclass(frozen=True)
class Part:
    """One kind of device that a driver serves.

    Attributes:
        settings: keys of its table beside `driver`, with their ranges; a `__post_init__`
            that raises ValueError says what a type cannot.
        build: makes a subclass of the Protocol in `hal.api` from an instance of `settings`;
            opens nothing, for that is what the device's `run` is for.
        measures: of a meter, its points by the names of `hal.registers.vocabulary`; None:
            every point that there is.
    """

    settings: type[msgspec.Struct]
    build: Callable[[Any, EvseFacts], Device]
    measures: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Driver:
    """What an entry point names: at least one part, each chosen by the key of its table."""

    controller: Part | None = None
    meter: Part | None = None
    reader: Part | None = None


class Extension:
    """A driver that has been imported.

    Attributes:
        distribution: its name and version, for people.
    """

    def __init__(self, name: str, distribution: str, driver: Driver) -> None:
        self.distribution = distribution
        self._name, self._driver = name, driver
        self._types: dict[Role, type[msgspec.Struct]] = {}
        for role in ROLES:
            if (part := self.part(role)) is not None:
                self._types[role] = _tagged(name, part.settings)
        if not self._types:
            raise TypeError("it has neither controller nor meter nor reader")

    def part(self, role: Role) -> Part | None:
        """Return what serves a role; None when nothing does."""
        part: Part | None = getattr(self._driver, role)
        return part

    @property
    def types(self) -> Mapping[Role, type[msgspec.Struct]]:
        """Return its settings by role, tagged with its name."""
        return self._types

    def device(self, role: Role, settings: object, facts: EvseFacts) -> Any:
        """Return the device of a role; nothing is open yet.

        Raises:
            BoardError: the package fails, or makes something else.
        """
        part = self.part(role)
        if part is None:
            raise BoardError(f"driver {self._name} of {self.distribution} is no {role}")
        try:
            device = part.build(settings, facts)
        except Exception as error:
            raise _broken(self._name, self.distribution, error) from error
        wanted = _PROTOCOLS[role]
        if wanted not in type(device).__mro__:
            raise BoardError(
                f"driver {self._name} of {self.distribution} cannot be used: it made a"
                f" {type(device).__name__}, which is no subclass of hal.api.{wanted.__name__}"
            )
        return device


def installed() -> "dict[str, tuple[EntryPoint, ...]]":
    """Return the entry points of all installed packages by name; none is imported."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - a few MB, rarely needed

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def imported(entries: "tuple[EntryPoint, ...]") -> Extension:
    """Return the driver of a name.

    Args:
        entries: all that have this name; at least one.

    Raises:
        BoardError: it cannot be imported, is no `Driver`, its settings cannot be checked, or
            two distributions bring the name.
    """
    entry = entries[0]
    distribution = ", ".join(_distribution(one) for one in entries)
    if len(entries) > 1:
        raise BoardError(
            f"driver {entry.name} is brought by {distribution}; remove all but one"
        )
    try:
        driver = entry.load()
        if not isinstance(driver, Driver):
            raise TypeError(f"{entry.value} is no hal.extensions.Driver")  # noqa: TRY301
        return Extension(entry.name, distribution, driver)
    except (Exception, SystemExit) as error:
        raise _broken(entry.name, distribution, error) from error


@dataclass(frozen=True)
class Known:
    """The drivers that may stand in a board file.

    Attributes:
        types: of the settings by role: a union of ours and of those that are installed.
        extensions: those that the file names and that could be imported, by name.
    """

    types: Mapping[Role, Any]
    extensions: dict[str, Extension]


def known(file: TomlFile, ours: Mapping[Role, Any]) -> Known | None:
    """Return the drivers that a board file may name; None when it names only ours.

    What is wrong with a named package is noted in the file, where its name stands.

    Args:
        ours: Structs by role, or unions of them, each with its tag.
    """
    named = list(_named(file, ours))
    if not named:
        return None
    reserved = {tag(one) for types in ours.values() for one in _members(types)}
    found = {name: one for name, one in installed().items() if name not in reserved}
    extensions: dict[str, Extension] = {}
    broken: dict[str, str] = {}
    for name in sorted({name for *_, name in named} & found.keys()):
        try:
            extensions[name] = imported(found[name])
        except BoardError as error:
            broken[name] = str(error)
    for index, role, name in named:
        reason = broken.get(name)
        if name in extensions and role not in extensions[name].types:
            serves = " and ".join(extensions[name].types)
            reason = f"{name} of {extensions[name].distribution} is no {role}, but a {serves}"
        if reason is not None:
            file.problem(("evse", index, role, TAG_FIELD), reason)
            # Of its other keys nothing can be said.
            file.document["evse"][index][role] = {TAG_FIELD: name}
    types = {role: _union(role, ours[role], found, extensions) for role in ROLES}
    return Known(types, extensions)


def tag(settings: type[msgspec.Struct]) -> str:
    """Return the name by which a board file chooses settings."""
    return str(settings.__struct_config__.tag)


def _members(types: Any) -> tuple[type[msgspec.Struct], ...]:
    return get_args(types) or (types,)


def _named(file: TomlFile, ours: Mapping[Role, Any]) -> Iterator[tuple[int, Role, str]]:
    """Yield where a driver is named that is not ours there; the file may have any shape."""
    evses = file.document.get("evse")
    for index, evse in enumerate(evses if isinstance(evses, list) else ()):
        for role in ROLES:
            table = evse.get(role) if isinstance(evse, dict) else None
            name = table.get(TAG_FIELD) if isinstance(table, dict) else None
            if isinstance(name, str) and name not in map(tag, _members(ours[role])):
                yield index, role, name


def _union(
    role: Role,
    ours: Any,
    found: Mapping[str, object],
    extensions: Mapping[str, Extension],
) -> Any:
    """Return the types of a role; one that was not imported is there to be listed only."""
    types = list(_members(ours))
    for name in found:
        settings = extensions[name].types.get(role) if name in extensions else None
        types.append(settings or _placeholder(name))
    return Union[tuple(types)]  # noqa: UP007 - the members are known at run time only


def _placeholder(name: str) -> type[msgspec.Struct]:
    return msgspec.defstruct("_Placeholder", [], tag=name, tag_field=TAG_FIELD, frozen=True)


def _tagged(name: str, settings: object) -> type[msgspec.Struct]:
    """Return settings that a board file chooses by name.

    Raises:
        TypeError: they are no Struct, or have a member that cannot be checked.
    """
    if not (isinstance(settings, type) and issubclass(settings, msgspec.Struct)):
        raise TypeError("its settings are no msgspec.Struct")
    if settings.__struct_config__.array_like:
        raise TypeError("its settings are written as an array, not as a table")
    tagged = msgspec.defstruct(
        settings.__name__, [], bases=(settings,), tag=name, tag_field=TAG_FIELD
    )
    for field in msgspec.structs.fields(tagged):
        list(schema.violations(None, field.type))  # refuses what it has no rule for
    return tagged


def _distribution(entry: "EntryPoint") -> str:
    dist = entry.dist
    return f"{dist.name} {dist.version}" if dist is not None else "an unknown distribution"


def _broken(name: str, distribution: str, error: BaseException) -> BoardError:
    reason = " ".join(str(error).split()) or "no reason given"
    return BoardError(
        f"driver {name} of {distribution} cannot be used: {type(error).__name__}: {reason}"
    )
