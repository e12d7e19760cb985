"""The command `pilotwire`: options that every command knows, and the way to the command.

Each command is a module of `agent.commands`, imported only when it is named: the daemon
starts without the bench, and `pilotwire status` without the daemon. What goes wrong becomes
one line on stderr and an exit code here, and nowhere else.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from agent import __version__
from agent.client import ClientError
from agent.commands.invocation import CONFIGURATION, DONE, FAILED, USAGE, UsageError
from hal.files import FileProblems

COMMANDS: Final = {
    "run": "run the agent: the daemon that systemd starts",
    "check": "report every mistake in the configuration and in the files it names",
    "status": "show the station, its link to the CSMS, and every EVSE",
    "schedule": "draw the limits of the coming hours, and where they come from",
    "limit": "limit the station or one EVSE for a time, or no more",
    "settings": "list, read and change settings",
    "events": "print what happens in the station while it happens",
    "call": "send any request to the control socket and print its result",
    "sim": "plug in, present tokens and break things on a simulated board",
    "hal": "bring up hardware without the agent: check, scan, probe, watch, exercise, simulate",
    "replay": "lead the core once more through what the flight recorder has kept",
    "csms": "run the bench CSMS: any charge point may connect to it",
    "demo": "show one whole charging session, from boot to bill",
}
"""In the order of the help text."""

_EPILOG: Final = """\
exit codes:
  0   done
  1   failed while running
  2   the command line is wrong
  78  the configuration is wrong

`pilotwire COMMAND --help` explains a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        argv: without the program's name; None for the process's own.
    """
    try:
        code = _executed(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except SystemExit as end:  # of argparse: help and version have 0, mistakes 2
        return end.code if isinstance(end.code, int) else USAGE
    except UsageError as error:
        return _refused(str(error), USAGE)
    except FileProblems as error:
        return _refused(str(error), CONFIGURATION)
    except ClientError as error:
        return _refused(str(error), FAILED)
    except KeyboardInterrupt:
        return _refused("interrupted", FAILED)
    except BrokenPipeError:
        # `| head` has seen enough. Python's own flush at the end must find an open file.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


def _executed(argv: Sequence[str]) -> int:
    """Find the command, let it declare its options, and execute it."""
    common = _common(argparse.SUPPRESS)
    named = _root().parse_args(argv)
    command = importlib.import_module(f"agent.commands.{named.command}")
    parser = argparse.ArgumentParser(
        prog=f"pilotwire {named.command}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
        allow_abbrev=False,
    )
    command.declare(parser, common)
    code: int = command.execute(parser.parse_args(named.rest, named))
    return code


def _root() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="pilotwire",
        usage="pilotwire [-h] [--version] [-c FILE] [--socket PATH] COMMAND ...",
        description="The firmware agent of an EV charger.",
        epilog=f"commands:\n{listed}\n\n{_EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common(None)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pilotwire {__version__}")
    parser.add_argument(
        "command", metavar="COMMAND", choices=COMMANDS, help="what to do, see below"
    )
    rest = parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    rest.required = False  # nothing may remain, and a missing command is all that is wrong
    return parser


def _common(default: str | None) -> argparse.ArgumentParser:
    """Return the options that stand before or after a command.

    Args:
        default: SUPPRESS behind the command, where absence must not undo what stands before.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=default,
        help="configuration (default: $PILOTWIRE_CONFIG, else /etc/pilotwire/agent.toml)",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=default,
        help="control socket (default: $PILOTWIRE_SOCKET, else the configuration's, else "
        "/run/pilotwire/control.sock)",
    )
    return parser


def _refused(reason: str, code: int) -> int:
    print(reason, file=sys.stderr)
    return code
