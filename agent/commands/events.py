"""Print what happens while it happens, until Ctrl-C.

State changes, messages to and from the CSMS, limits, faults; one line each: instant, kind,
and the facts. The instant is `-` while the clock is not known.
"""

import argparse
from contextlib import suppress
from typing import Any, Final

import msgspec

from agent.commands.invocation import DONE, connected, printable

_KIND: Final = 24
"""Width of the column of kinds; a longer kind moves its own facts only."""


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="each event as a line of JSON")


def execute(args: argparse.Namespace) -> int:
    """Print events until interrupted; they do not end otherwise, they break off."""
    with connected(args) as agent, suppress(KeyboardInterrupt):
        for event in agent.events():
            text = msgspec.json.encode(event).decode() if args.json else line(event)
            print(text, flush=True)
    return DONE


def line(event: dict[str, Any]) -> str:
    """Return an event as one printable line."""
    facts = {key: value for key, value in event.items() if key not in {"at", "kind"}}
    match facts:
        case {"frame": str() as frame}:
            text = frame
        case {"text": str() as note, "evse_id": int() as evse_id}:
            text = f"EVSE {evse_id}: {note}"
        case {"text": str() as note}:
            text = note
        case {"event": dict() as fields}:
            text = _fields(fields)
        case _:
            text = _fields(facts)
    kind = str(event.get("kind", "-"))
    return printable(f"{event.get('at') or '-'}  {kind:<{_KIND}}  {text}").rstrip()


def _fields(fields: dict[str, Any]) -> str:
    return " ".join(f"{key}={_value(value)}" for key, value in fields.items())


def _value(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
