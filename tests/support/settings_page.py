"""Renders ``docs/settings.md`` from the table of settings: ``python -m tests.support.settings_page``."""

from pathlib import Path

from agent.core.variables import TABLE, Variable
from agent.factory import allowed

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

HEAD = """\
# Settings

Every setting, by its place in the OCPP 2.0.1 device model and its OCPP 1.6 key. The factory
value stands in `[settings]` of `agent.toml` under either name; what the CSMS or a technician
(`pilotwire settings set`) changes is kept on disk and wins over it. This page is generated
from `agent/core/variables.py` by `python -m tests.support.settings_page`.

"""


def row(variable: Variable) -> str:
    """Return the entry of one setting."""
    key = f" · 1.6 `{variable.key}`" if variable.key else ""
    default = "the station" if variable.is_derived else f"`{variable.default}`"
    unit = f" {variable.unit}" if variable.unit and not variable.is_derived else ""
    lines = [
        f"### `{variable.name}`{key}",
        "",
        variable.meaning,
        "",
        f"{variable.kind.value}, {variable.access.value}; {allowed(variable)}. Default: {default}{unit}.",
        "",
    ]
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    ordered = sorted(TABLE, key=lambda variable: variable.name.casefold())
    return HEAD + "\n".join(row(variable) for variable in ordered)


if __name__ == "__main__":
    PAGE.write_text(page())
