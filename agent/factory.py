"""Factory values: the `[settings]` table of `agent.toml`, judged and made canonical.

A setting is named as the CSMS names it, by its 1.6 key or by `Component.Variable`, and its
value is a plain TOML value of the setting's own type. Everything can be set at the factory,
also what is read-only over OCPP, except for what the station computes.

`agent.core.variables` says which settings there are and what they may hold; here are only
the sentences for whoever edits the file.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.variables import Access, Kind, Refusal, Variable

MOST_SUGGESTIONS: Final = 3
CLOSE: Final = 0.75
"""How similar a suggested name is at least, 0 to 1 (difflib); two wrong letters in eight."""

LONGEST_SHOWN: Final = 40
"""Characters of a wrong value that a message repeats."""


def check_setting(name: str, value: object) -> str | None:
    """Return what is wrong with a factory value, as one sentence, or None.

    Args:
        name: 1.6 key or canonical name, in any case.
        value: as TOML gives it: a bool, int, float, str, or a list of str for a MemberList.
    """
    variable = variables.find(name)
    if variable is None:
        return f"{name} is no setting ({suggestion(name)})"
    if variable.is_derived:
        return f"{name} cannot be set: the station computes it"
    if variable.is_credential:
        return f"{name} cannot be set here: a password belongs to its [[csms]]"
    wrong = misfit(variable, value)
    return None if wrong is None else f"{name} {wrong}"


def misfit(variable: Variable, value: object) -> str | None:
    """Return what a value must be if it does not fit, as the rest of a sentence, or None."""
    text = _text(variable, value)
    if text is not None and not isinstance(variables.checked(variable, text), Refusal):
        return None
    got = "" if variable.access is Access.WRITE_ONLY else f", not {_shown(value)}"
    return f"must be {allowed(variable)}{got}"


def with_default(variable: Variable, value: object) -> Variable:
    """Return a declaration with this default, empty if `misfit` finds something wrong."""
    text = _text(variable, value)
    canonical = Refusal("", "") if text is None else variables.checked(variable, text)
    return replace(variable, default="" if isinstance(canonical, Refusal) else canonical)


def factory_settings(values: Mapping[str, object]) -> dict[str, str]:
    """Return factory values by canonical name, in their canonical text.

    A setting that is named twice, by its key and by its name, has the later value.

    Args:
        values: as for `check_setting`, which has accepted each of them.

    Raises:
        ValueError: a name or a value that `check_setting` refuses.
    """
    return dict(_canonical(name, value) for name, value in values.items())


def allowed(variable: Variable) -> str:
    """Return what a setting may hold, as the rest of "it must be …"."""
    match variable.kind:
        case Kind.BOOLEAN:
            return "true or false"
        case Kind.INTEGER:
            return f"a whole number{_bounds(variable)}"
        case Kind.DECIMAL:
            return f"a number{_bounds(variable)}"
        case Kind.OPTION:
            return "one of " + ", ".join(variable.members)
        case Kind.MEMBERS:
            return "a list, each once, from " + ", ".join(variable.members)
        case Kind.PASSWORD:
            return "16 to 40 characters, or 32 to 40 hex digits"
        case Kind.STRING:
            longest = f" of at most {variable.maximum:g} characters" if variable.maximum else ""
            return f"a text{longest}"


def suggestion(name: str) -> str:
    """Return which settings were probably meant by a name that none has."""
    known = dict(_names())
    close = difflib.get_close_matches(name.casefold(), known, MOST_SUGGESTIONS, CLOSE)
    if close:
        meant = dict.fromkeys(known[one] for one in close)
        return f"did you mean {' or '.join(meant)}?"
    return "`pilotwire settings list` names them all"


def _names() -> Iterator[tuple[str, str]]:
    """Yield what somebody may have begun to write, and the name to write instead."""
    for variable in variables.TABLE:
        yield variable.variable.casefold(), variable.name
        yield variable.name.casefold(), variable.name
    for variable in variables.TABLE:
        if variable.key is not None:
            yield variable.key.casefold(), variable.key


def _canonical(name: str, value: object) -> tuple[str, str]:
    variable = variables.find(name)
    wrong = check_setting(name, value)
    if variable is None or wrong is not None:
        raise ValueError(wrong)
    text = variables.checked(variable, _text(variable, value) or "")
    return variable.name, str(text)


def _text(variable: Variable, value: object) -> str | None:
    """Return a value as text, None when it is not of the setting's type."""
    match variable.kind, value:
        case Kind.BOOLEAN, bool():
            return "true" if value else "false"
        case (Kind.INTEGER, int()) | (Kind.DECIMAL, int() | float()):
            return str(value)
        case Kind.STRING | Kind.OPTION | Kind.MEMBERS, str():
            return value
        case Kind.MEMBERS, list() | tuple():
            items = [item for item in value if isinstance(item, str)]
            return ",".join(items) if len(items) == len(value) else None
        case _:
            return None


def _bounds(variable: Variable) -> str:
    if variable.minimum is None or variable.maximum is None:
        return ""
    return f" ({variable.minimum:.12g} to {variable.maximum:.12g})"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
