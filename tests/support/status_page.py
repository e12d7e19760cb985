"""Draws ``docs/connector-statuses.md`` from the code: ``python -m tests.support.status_page``."""

from pathlib import Path

from agent.ocpp.v16.statuses import ERRORS, STEPS

PAGE = Path(__file__).parents[2] / "docs" / "connector-statuses.md"

HEAD = """\
# Connector statuses of OCPP 1.6

What a CSMS may see of a connector, and in which order. The core keeps neutral facts (plugged,
phase of the session, operative, reserved, fault); one of nine words is computed from them when
a status is told (`agent/ocpp/v16/statuses.py`). A step that is not drawn is told in two. The
same words are in `pilotwire status`, whatever is spoken. This page is generated from the table
the code walks, by `python -m tests.support.status_page`.

"""

FAULTED = """\
Every status may become Faulted, and Faulted any other one: the one that holds when the fault
is over. These ways are not drawn.

"""


def diagram() -> str:
    """Return the table as a Mermaid diagram; the ways to and from Faulted are left out."""
    ways = [
        f"    {before} --> {after}"
        for before, following in STEPS.items()
        for after in sorted(following)
        if "Faulted" not in (before, after)
    ]
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> Available", *ways, "```"]
    return "\n".join(lines) + "\n\n"


def errors() -> str:
    """Return which errorCode goes with which fault or warning."""
    rows = [f"| {cause} | `{code}` |" for cause, code in sorted(ERRORS.items())]
    head = "## Error codes\n\n| fault or warning | errorCode |\n|---|---|\n"
    return head + "\n".join(rows) + "\n"


def page() -> str:
    """Return the whole page."""
    assert all("Faulted" in after for before, after in STEPS.items() if before != "Faulted")
    assert STEPS["Faulted"] == set(STEPS) - {"Faulted"}
    return HEAD + diagram() + FAULTED + errors()


if __name__ == "__main__":
    PAGE.write_text(page())
