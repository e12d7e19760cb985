"""What must not be seen of events and frames by whoever watches: passwords.

The CSMS sends a password as the value of a setting, and URLs may hold one. Watchers of the
control socket get everything else as it was. A bundle hides more (agent.diagnostics.redact).
"""

from typing import Any, Final

import msgspec

from agent.core.events import Event, SettingsWriteRequested
from agent.core.orders import anonymous
from agent.core.variables import Access, find
from agent.diagnostics.redact import HIDDEN

_NAMES: Final = ("authorizationkey", "basicauthpassword")
"""Names of the setting, as any frame spells it."""

_MEMBERS: Final = frozenset({"password", *_NAMES})


def frame(text: str | bytes) -> str:
    """Return a frame without its secrets; one that is no JSON and names one is not shown."""
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    try:
        decoded = msgspec.json.decode(shown)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        is_secret = any(name in shown.casefold() for name in _NAMES)
        return HIDDEN if is_secret else anonymous(shown)
    masked = _masked(decoded)
    return shown if masked == decoded else msgspec.json.encode(masked).decode()


def event(item: Event) -> dict[str, Any]:
    """Return an event as builtins, without its secrets."""
    if isinstance(item, SettingsWriteRequested):
        items = tuple((name, HIDDEN if _is_secret(name) else text) for name, text in item.items)
        item = SettingsWriteRequested(item.request_id, items, item.origin)
    builtins: dict[str, Any] = _masked(msgspec.to_builtins(item))
    return builtins


def _is_secret(name: str) -> bool:
    """Tell whether a setting may not be seen; of the operator's own ones nothing is known."""
    variable = find(name)
    return variable is None or variable.access is Access.WRITE_ONLY


def _masked(value: Any) -> Any:
    match value:
        case dict():
            hidden = _hidden(value)
            return {
                name: HIDDEN if name in hidden or name.casefold() in _MEMBERS else _masked(item)
                for name, item in value.items()
            }
        case list() | tuple():
            return [_masked(item) for item in value]
        case str():
            return anonymous(value)
        case _:
            return value


def _hidden(members: dict[str, Any]) -> frozenset[str]:
    """Return which members hold the value of a secret setting (1.6 and 2.0.1)."""
    variable = members.get("variable")
    name = variable.get("name") if isinstance(variable, dict) else members.get("key")
    if isinstance(name, str) and name.strip().casefold() in _NAMES:
        return frozenset({"value", "attributeValue"})
    return frozenset()
