"""Move a simulated board: plug vehicles in, present tokens, break devices and lines.

It works while the agent runs on a simulated board file; `pilotwire sim board` prints such a
file and needs no agent. EVSE and connector are 1 unless something else is said.
"""

import argparse
import math
from typing import Final

from agent.commands.invocation import DONE, UsageError, connected, printable, whole_number
from hal.board_template import board_template
from hal.types import Fault, TokenType

FAULTS: Final = tuple(fault.value for fault in Fault)
TOKEN_TYPES: Final = tuple(kind.value for kind in TokenType)
MOST: Final = 1000
"""Largest number of an EVSE or connector that is passed on; the board knows its own."""

BUS_STATES: Final = ("up", "down", "garbage", "slow")
_counted = whole_number(1, MOST)
_ACTIONS: Final = {
    "plug": "plug a vehicle in",
    "unplug": "unplug the vehicle",
    "ready": "let the vehicle ask for energy (state C) or not (state B)",
    "token": "hold a token before a reader",
    "fault": "break something",
    "clear": "mend what `fault` has broken",
    "set": "fix a signal of an EVSE or a point of a meter, whatever flows",
    "bus": "let the line of a meter work or fail",
    "board": "print a simulated board file",
}


def declare(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    subparsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions = {
        name: subparsers.add_parser(
            name, help=text, description=text, parents=[common], allow_abbrev=False
        )
        for name, text in _ACTIONS.items()
    }
    for name in ("plug", "unplug", "ready", "fault", "clear"):
        _whole(actions[name], "--evse", "EVSE (default: 1)", 1)
    for name in ("plug", "unplug"):
        _whole(actions[name], "--connector", "connector of the EVSE (default: 1)", 1)
    actions["unplug"].add_argument(
        "--at-vehicle", action="store_true", help="the cable stays in the socket"
    )
    _declare_vehicle(actions["plug"])
    actions["ready"].add_argument("ready", choices=("yes", "no"), help="whether it asks")
    _declare_token(actions["token"])
    for name in ("fault", "clear"):
        actions[name].add_argument(
            "fault", choices=FAULTS, metavar="FAULT", help=f"one of {', '.join(FAULTS)}"
        )
    actions["fault"].add_argument("--info", metavar="TEXT", help="what to report with it")
    _declare_lines(actions)
    _declare_board(actions["board"])


def execute(args: argparse.Namespace) -> int:
    """Do what the subcommand says.

    Raises:
        UsageError: no board can be like that.
    """
    if args.action == "board":
        print(_board(args), end="")
        return DONE
    method, params, done = _request(args)
    with connected(args) as agent:
        agent.call(method, params)
    print(printable(done))
    return DONE


def _declare_vehicle(parser: argparse.ArgumentParser) -> None:
    _number(parser, "--max-a", "most current it draws, A per phase (default: 32)")
    _whole(parser, "--phases", "phases its charger uses, 1 to 3 (default: 3)", None)
    _number(parser, "--ampacity-a", "rating of the cable it brings, A (default: tethered)")
    parser.add_argument(
        "--not-ready", action="store_true", help="it does not want energy yet (state B)"
    )


def _declare_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id_token", metavar="TOKEN", help="as read, e.g. 04A1B2C3")
    _whole(parser, "--evse", "EVSE of the reader (default: the first reader)", None)
    parser.add_argument(
        "--type",
        choices=TOKEN_TYPES,
        default=TokenType.ISO14443.value,
        metavar="TYPE",
        help=f"one of {', '.join(TOKEN_TYPES)} (default: ISO14443)",
    )


def _declare_lines(actions: dict[str, argparse.ArgumentParser]) -> None:
    setting = actions["set"]
    setting.add_argument("device", metavar="DEVICE", help="evse-1, meter-1, grid, ...")
    setting.add_argument(
        "point",
        metavar="POINT",
        help="of an EVSE: draw (A), voltage_l1 to voltage_l3 (V), frequency (Hz), "
        "energy_import (Wh), temperature (°C); of a meter: a point of its register map; of "
        "grid: input (0 or 1)",
    )
    setting.add_argument(
        "value", metavar="VALUE", type=_value, help="a number, or `auto` to let go of it"
    )
    bus = actions["bus"]
    bus.add_argument("port", metavar="PORT", help="name of a port in the board file")
    bus.add_argument(
        "state", choices=BUS_STATES, metavar="STATE", help=f"one of {', '.join(BUS_STATES)}"
    )


def _declare_board(parser: argparse.ArgumentParser) -> None:
    _whole(parser, "--evses", "number of EVSEs (default: 1)", 1)
    _whole(parser, "--connectors", "connectors per EVSE (default: 1)", 1)
    parser.add_argument(
        "--max-a", type=_finite, default=32.0, metavar="A", help="A per phase (default: 32)"
    )
    parser.add_argument(
        "--phases", type=int, choices=(1, 3), default=3, help="of each EVSE (default: 3)"
    )


def _whole(parser: argparse.ArgumentParser, name: str, text: str, default: int | None) -> None:
    parser.add_argument(name, type=_counted, default=default, metavar="N", help=text)


def _number(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    parser.add_argument(name, type=_finite, metavar="A", help=text)


def _finite(text: str) -> float:
    """Return a number that JSON can carry."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return number


def _value(text: str) -> float | None:
    return None if text == "auto" else _finite(text)


def _board(args: argparse.Namespace) -> str:
    try:
        return board_template(
            evses=args.evses,
            connectors=args.connectors,
            max_a=args.max_a,
            phases=args.phases,
        )
    except ValueError as error:
        raise UsageError(f"pilotwire sim board: {error}") from error


def _request(args: argparse.Namespace) -> tuple[str, dict[str, object], str]:
    """Return the method, its parameters, and what to say when it is done."""
    evse = getattr(args, "evse", None)
    at: dict[str, object] = {} if evse is None else {"evse_id": evse}
    match args.action:
        case "plug":
            params = {**at, "connector_id": args.connector, "vehicle": _vehicle(args)}
            done = f"EVSE {evse}: a vehicle is plugged in at connector {args.connector}"
        case "unplug":
            params = {**at, "connector_id": args.connector}
            done = f"EVSE {evse}: connector {args.connector} is free"
            if args.at_vehicle:
                params["leaves_cable"] = True
                done = f"EVSE {evse}: the vehicle has left its cable at {args.connector}"
        case "ready":
            params = {**at, "ready": args.ready == "yes"}
            wish = "asks for energy" if args.ready == "yes" else "does not ask for energy"
            done = f"EVSE {evse}: the vehicle {wish}"
        case "token":
            params = {**at, "id_token": args.id_token, "type": args.type}
            done = "the token has been read"
        case "fault" | "clear":
            info = getattr(args, "info", None)
            params = {**at, "fault": args.fault, **({"info": info} if info else {})}
            done = f"EVSE {evse}: {args.fault}"
            done += " is there" if args.action == "fault" else " is gone"
        case "set":
            params = {"device": args.device, "point": args.point, "value": args.value}
            fixed = "is free again" if args.value is None else f"= {args.value:g}"
            done = f"{args.device}: {args.point} {fixed}"
        case _:
            params = {"port": args.port, "state": args.state}
            done = f"port {args.port}: {args.state}"
    return f"sim.{args.action}", params, done


def _vehicle(args: argparse.Namespace) -> dict[str, object]:
    """Return what was said about the vehicle; the board knows the usual one."""
    said = {"max_a": args.max_a, "phases": args.phases, "ampacity_a": args.ampacity_a}
    ready: dict[str, object] = {"ready": False} if args.not_ready else {}
    return {**{key: value for key, value in said.items() if value is not None}, **ready}
