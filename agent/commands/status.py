"""Show the station, its link to the CSMS, and every EVSE.

Of an EVSE: the pilot, the connectors, the setpoint with each limit and its origin (`<` marks
those that decide), the meter, faults, and the transaction with its energy so far.
"""

import argparse
import sys
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from agent.client import ControlClient
from agent.commands.invocation import DONE, FAILED, connected
from agent.commands.picture import picture

WATCH_S: Final = 1.0
_REDRAW: Final = "\x1b[H\x1b[2J"
"""To the upper left corner, and clear (ECMA-48 CUP and ED)."""


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="the agent's answer as JSON")
    parser.add_argument("--watch", action="store_true", help="repeat every second until Ctrl-C")


def execute(args: argparse.Namespace) -> int:
    """Print the status, once or until interrupted."""
    with connected(args) as agent:
        try:
            if args.watch:
                watch(agent, as_json=args.json, pause=_pause)
            else:
                print(_shown(agent, as_json=args.json, indent=2))
        except msgspec.ValidationError as error:
            print(f"the agent's status is not understood: {error}", file=sys.stderr)
            return FAILED
    return DONE


def watch(agent: ControlClient, *, as_json: bool, pause: Callable[[], None]) -> None:
    """Print the status again and again; Ctrl-C ends it.

    On a terminal a picture takes the place of the one before; elsewhere a blank line is
    between them. JSON is one line each.
    """
    try:
        while True:
            text = _shown(agent, as_json=as_json, indent=0)
            is_redrawn = sys.stdout.isatty() and not as_json
            end = "\n" if as_json or is_redrawn else "\n\n"
            print(f"{_REDRAW if is_redrawn else ''}{text}", end=end, flush=True)
            pause()
    except KeyboardInterrupt:
        return


def _shown(agent: ControlClient, *, as_json: bool, indent: int) -> str:
    result = agent.call("status")
    if not as_json:
        return picture(result)
    text = msgspec.json.encode(result)
    return (msgspec.json.format(text, indent=indent) if indent else text).decode()


def _pause() -> None:
    threading.Event().wait(WATCH_S)
