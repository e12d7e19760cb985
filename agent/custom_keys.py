"""The operator's own settings: the `[custom_keys]` table of `agent.toml`.

    [custom_keys.SiteName]
    type    = "string"
    default = "Depot North"
    meaning = "Name of the site, as the operator's app shows it."

The station keeps such a setting, judges every new value and shows it to the CSMS (1.6 by its
key, 2.0.1 as a variable of the component `CustomKeys`) and to local clients; what it means is
between the operator and whoever reads it there.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from agent import factory
from agent.core import variables
from agent.core.variables import Access, Kind, Variable
from hal.files import TomlFile

COMPONENT: Final = "CustomKeys"

MOST_KEYS: Final = 128
"""Own settings; as many again as the station has itself."""

LONGEST_TEXT: Final = 500
"""Characters of a value that 1.6 can carry (CiString500Type)."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
_MEMBER = r"^[^,\x00-\x20\x7f]([^,\x00-\x1f\x7f]*[^,\x00-\x20\x7f])?\Z"

_KINDS: Final = {
    "string": Kind.STRING,
    "integer": Kind.INTEGER,
    "decimal": Kind.DECIMAL,
    "boolean": Kind.BOOLEAN,
    "option": Kind.OPTION,
    "list": Kind.MEMBERS,
}
_NUMBERS = {"integer", "decimal"}
_CHOICES = {"option", "list"}

Bound: TypeAlias = Annotated[float, Meta(ge=-1e15, le=1e15)]
Member: TypeAlias = Annotated[str, Meta(max_length=50, pattern=_MEMBER)]
Mistake: TypeAlias = tuple[tuple[str, ...], str]
"""Where in the table, and a whole sentence."""


class CustomKey(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as the operator declares it.

    Attributes:
        default: of the declared type; a list may be an array or text with commas.
        minimum, maximum: of a number.
        max_length: of a string.
        members: what an option or a list may hold.
        reboot_required: a new value is stored and takes effect at the next start.
    """

    type: Literal["string", "integer", "decimal", "boolean", "option", "list"]
    default: bool | int | float | str | tuple[str, ...]
    access: Literal["ReadWrite", "ReadOnly", "WriteOnly"] = "ReadWrite"
    minimum: Bound | None = None
    maximum: Bound | None = None
    max_length: Annotated[int, Meta(ge=1, le=LONGEST_TEXT)] | None = None
    members: Annotated[tuple[Member, ...], Meta(max_length=64)] = ()
    unit: Annotated[str, Meta(max_length=20)] | None = None
    meaning: Annotated[str, Meta(max_length=500)] = "A setting of the operator."
    reboot_required: bool = False


def custom_variables(entries: Mapping[str, CustomKey]) -> tuple[Variable, ...]:
    """Return the settings that were declared, in order, if `note_key_mistakes` noted none."""
    return tuple(_variable(name, entry) for name, entry in entries.items())


def note_key_mistakes(file: TomlFile) -> None:
    """Note every mistake in the table of a configuration file."""
    names = file.document.get("custom_keys")
    if not isinstance(names, dict):
        return
    for path, message in _doubles(names):
        file.problem(("custom_keys", *path), message)
    for name in names:
        entry = file.part(("custom_keys", name), CustomKey)
        for path, message in () if entry is None else _mistakes(name, entry):
            file.problem(("custom_keys", name, *path), message)


def _mistakes(name: str, entry: CustomKey) -> Iterator[Mistake]:
    """Yield what is wrong with a declaration beyond its types."""
    if not _NAME.fullmatch(name):
        yield (), f"{name!r} must be a letter and up to 49 letters, digits, - or _"
    elif variables.find(name) is not None:
        yield (), f"{name} is a setting of the station already; choose another name"
    is_number, is_choice = entry.type in _NUMBERS, entry.type in _CHOICES
    for key, is_possible, needs in (
        ("minimum", is_number, "integer or decimal"),
        ("maximum", is_number, "integer or decimal"),
        ("max_length", entry.type == "string", "string"),
        ("members", is_choice, "option or list"),
    ):
        if getattr(entry, key) not in {None, ()} and not is_possible:
            yield (key,), f"{name}: {key} is for type {needs}, not for {entry.type}"
    low, high = entry.minimum, entry.maximum
    if low is not None and high is not None and low > high:
        yield ("minimum",), f"{name}: minimum must not be above maximum"
    folded = {member.casefold() for member in entry.members}
    if is_choice and (not folded or len(folded) != len(entry.members)):
        yield ("members",), f"{name}: members must name each possible value once"
    elif (wrong := factory.misfit(_variable(name, entry), entry.default)) is not None:
        yield ("default",), f"the default of {name} {wrong}"


def _doubles(names: Mapping[str, object]) -> Iterator[Mistake]:
    """Yield names that differ in case only: OCPP compares them without regard to it."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other is not name:
            yield (name,), f"{name} differs from {other} in case only"


def _variable(name: str, entry: CustomKey) -> Variable:
    kind = _KINDS[entry.type]
    is_text = kind in {Kind.STRING, Kind.MEMBERS, Kind.OPTION}
    bare = Variable(
        COMPONENT,
        name,
        kind,
        "",
        entry.meaning,
        key=name,
        unit=entry.unit,
        access=Access(entry.access),
        minimum=entry.minimum,
        maximum=(entry.max_length or LONGEST_TEXT) if is_text else entry.maximum,
        members=entry.members,
        needs_reboot=entry.reboot_required,
    )
    return factory.with_default(bare, entry.default)
