"""Settings as the control socket shows them: value, type, what is allowed, where from."""

from typing import Any

from agent.core.variables import Access, Settings, Variable


def described(settings: Settings, variable: Variable) -> dict[str, Any]:
    """Return all there is to know about a setting; a secret has no value."""
    is_secret = variable.access is Access.WRITE_ONLY
    return {
        "name": variable.name,
        "key": variable.key,
        "value": None if is_secret else settings.text(variable),
        "type": variable.kind.value,
        "unit": variable.unit,
        "access": variable.access.value,
        "minimum": variable.minimum,
        "maximum": variable.maximum,
        "members": list(variable.members),
        "needs_reboot": variable.needs_reboot,
        "origin": settings.origin(variable),
        "meaning": variable.meaning,
    }


def allowed(variable: Variable) -> str:
    """Return what a setting may hold, for whoever was refused."""
    if variable.members:
        return "allowed are " + ", ".join(variable.members)
    if variable.minimum is not None and variable.maximum is not None:
        return f"allowed is {variable.minimum:g} to {variable.maximum:g}"
    return f"allowed is a {variable.kind.value}, access {variable.access.value}"
