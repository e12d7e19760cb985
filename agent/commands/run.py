"""Run the agent until SIGTERM or SIGINT; then make the outputs safe, flush, and end.

It logs to stderr; under systemd that is the journal, which adds the time by itself.
A mistake in the configuration ends it with exit code 78, each mistake with its line.
"""

import argparse
import logging
import os
from typing import Final

from agent import main
from agent.commands.invocation import UsageError, config_path

LEVELS: Final = ("debug", "info", "warning", "error")
_IN_JOURNAL: Final = "%(levelname)s %(name)s: %(message)s"
_ALONE: Final = f"%(asctime)s {_IN_JOURNAL}"


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--log-level", choices=LEVELS, default="info", help="least level (default: info)"
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
    form = _IN_JOURNAL if "JOURNAL_STREAM" in os.environ else _ALONE
    logging.basicConfig(level=args.log_level.upper(), format=form)
    return main.run(config_path(args))
