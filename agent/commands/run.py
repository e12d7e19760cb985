"""Run the agent until SIGTERM or SIGINT; then make the outputs safe, flush, and end.

It logs to stderr; under systemd that is the journal, which adds the time by itself.
A mistake in the configuration ends it with exit code 78, each mistake with its line.
"""

import argparse

from agent import main
from agent.commands.invocation import UsageError, config_path
from agent.runtime.logs import DEFAULT, LEVELS, VARIABLE


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        help=f"least level (default: what {VARIABLE} names, else {DEFAULT})",
    )


def execute(args: argparse.Namespace) -> int:
    """Run the agent.

    Raises:
        UsageError: a socket was named.
    """
    if args.socket is not None:
        raise UsageError(
            "pilotwire run: --socket is for the commands that talk to the agent; "
            "where it listens is said by its configuration, [control] socket"
        )
    return main.run(config_path(args), args.log_level)
