"""Limit the whole station, or one EVSE, for a time; and take the limit away again.

A limit is for the sum over all EVSEs: amperes per line conductor, watts in all. With --evse
it is for one EVSE. It has to be set again before its time is over; after that the safe
current holds until it is cleared (docs/limits.md).
"""

import argparse

import msgspec

from agent.commands.invocation import DONE, connected

ORIGIN = "technician"


def declare(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (
        ("set", "limit the station, or one EVSE"),
        ("clear", "limit no more"),
    ):
        action = actions.add_parser(
            name, help=text, description=text, parents=[common], allow_abbrev=False
        )
        if name == "set":
            limit = action.add_mutually_exclusive_group(required=True)
            limit.add_argument("--amps", type=float, metavar="A", help="A per line conductor")
            limit.add_argument("--watts", type=float, metavar="W", help="W for all phases")
            action.add_argument(
                "--for",
                dest="valid_s",
                type=float,
                default=3600.0,
                metavar="SECONDS",
                help="how long it is valid (default: an hour)",
            )
        action.add_argument("--evse", type=int, metavar="N", help="only this EVSE")
        action.add_argument(
            "--origin", default=ORIGIN, metavar="NAME", help=f"who limits (default: {ORIGIN})"
        )
        action.add_argument("--json", action="store_true", help="the agent's answer as JSON")


def execute(args: argparse.Namespace) -> int:
    """Do what the subcommand says."""
    params = {"origin": args.origin}
    if args.evse is not None:
        params["evse_id"] = args.evse
    if args.action == "set":
        params["valid_s"] = args.valid_s
        key, value = ("limit_a", args.amps) if args.watts is None else ("limit_w", args.watts)
        params[key] = value
    with connected(args) as agent:
        result = agent.call(f"limit.{args.action}", params)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        print(_said(args))
    return DONE


def _said(args: argparse.Namespace) -> str:
    where = "the station" if args.evse is None else f"EVSE {args.evse}"
    if args.action == "clear":
        return f"{args.origin} no longer limits {where}"
    much = f"{args.amps:g} A" if args.watts is None else f"{args.watts:g} W"
    return f"{args.origin} limits {where} to {much} for {args.valid_s:g} s"
