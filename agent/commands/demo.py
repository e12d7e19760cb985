"""Show one whole charging session on the simulated board, from boot to bill.

The agent as shipped talks over a real WebSocket to the bench CSMS; nothing else is needed.
Afterwards both stay up until Ctrl-C, and it is said how to look at them and drive them.
"""

import argparse
from pathlib import Path

from agent.bench import demo


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--once",
        action="store_true",
        help="end after the session; exit code 0 only if CSMS and station agree on the bill",
    )
    parser.add_argument(
        "--ocpp",
        choices=tuple(demo.SUBPROTOCOLS),
        default="2.0.1",
        help="version to speak (default: 2.0.1)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=demo.DIRECTORY,
        metavar="DIR",
        help=f"where everything is kept (default: {demo.DIRECTORY})",
    )


def execute(args: argparse.Namespace) -> int:
    """Show the session."""
    return demo.main(once=args.once, ocpp=args.ocpp, directory=args.directory)
