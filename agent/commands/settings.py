"""List, read and change settings, by 1.6 key or by `Component.Variable`.

A change is checked by the agent, kept over restarts, and wins over the factory value in the
configuration. A refused one says what is allowed and has exit code 1.
"""

import argparse
from typing import Any, Final

import msgspec

from agent.client import ControlClient, ControlError
from agent.commands.invocation import DONE, columns, connected, printable
from agent.core import variables
from agent.factory import suggestion

LONGEST_CELL: Final = 36
"""Characters of a value or of what is allowed in the table; `get` shows all of it."""

_HEADINGS: Final = (
    *("name", "1.6 key", "value", "unit"),
    *("type", "access", "allowed", "origin"),
)


def declare(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (
        ("list", "a table of all settings"),
        ("get", "one setting: value, type, what is allowed, meaning"),
        ("set", "change a setting"),
    ):
        action = actions.add_parser(
            name, help=text, description=text, parents=[common], allow_abbrev=False
        )
        if name != "list":
            action.add_argument("name", metavar="NAME", help="1.6 key or Component.Variable")
        if name == "set":
            action.add_argument(
                "value", metavar="VALUE", help="true or false, a number, a text, or a,b,c"
            )
        action.add_argument("--json", action="store_true", help="the agent's answer as JSON")


def execute(args: argparse.Namespace) -> int:
    """Do what the subcommand says."""
    with connected(args) as agent:
        result = _asked(agent, args)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
    elif args.action == "list":
        print("\n".join(table(result)))
    elif args.action == "get":
        print("\n".join(described(result)))
    else:
        print(_assigned(result))
    return DONE


def table(settings: list[dict[str, Any]]) -> list[str]:
    """Return settings as aligned lines under their headings, long texts cut."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    rows += [
        (
            setting["name"],
            setting["key"] or "",
            _cut(str(setting["value"])),
            setting["unit"] or "",
            setting["type"],
            setting["access"],
            _cut(_allowed(setting)),
            setting["origin"],
        )
        for setting in settings
    ]
    return columns(rows)


def described(setting: dict[str, Any]) -> list[str]:
    """Return one setting: the assignment first, then what there is to know about it."""
    facts = [
        ("1.6 key", setting["key"] or "none"),
        ("type", f"{setting['type']}, {setting['access']}"),
        ("allowed", _allowed(setting) or "any"),
        ("origin", setting["origin"]),
        ("meaning", setting.get("meaning", "")),
    ]
    return [_assigned(setting), *columns([("", *fact) for fact in facts if fact[1]])]


def _asked(agent: ControlClient, args: argparse.Namespace) -> Any:
    """Return the agent's answer; a refusal of an unknown name gains what was meant."""
    params = {key: getattr(args, key) for key in ("name", "value") if hasattr(args, key)}
    try:
        return agent.call(f"settings.{args.action}", params)
    except ControlError as error:
        name = params.get("name")
        if name is None or variables.find(name) is not None:
            raise
        raise ControlError(error.code, f"{error.message}; {suggestion(name)}") from error


def _assigned(setting: dict[str, Any]) -> str:
    unit = f" {setting['unit']}" if setting["unit"] else ""
    return printable(f"{setting['name']} = {setting['value']}{unit}")


def _allowed(setting: dict[str, Any]) -> str:
    if setting["members"]:
        kind = "one of" if setting["type"] == variables.Kind.OPTION.value else "from"
        return f"{kind} {', '.join(setting['members'])}"
    if setting["type"] == variables.Kind.BOOLEAN.value:
        return "true or false"
    least, most = setting["minimum"], setting["maximum"]
    if least is not None and most is not None:
        return f"{least:.12g} to {most:.12g}"
    return "" if most is None else f"up to {most:.12g} characters"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}..."
