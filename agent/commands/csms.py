"""Run the bench CSMS by itself: any charge point may connect to it.

Shows what stations say, validates every frame, keeps a ledger, and takes commands from stdin
(`help` lists them). Stations connect to ws://HOST:PORT/IDENTITY. Ends on Ctrl-C.
"""

import argparse
from pathlib import Path
from typing import Final

from agent.bench import console
from agent.commands.invocation import UsageError, whole_number

VERSIONS: Final = {name.removeprefix("ocpp"): name for name in console.PROTOCOLS}
_port = whole_number(0, 65_535)


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1; 0.0.0.0 for stations on the network)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=console.PORT,
        metavar="N",
        help=f"TCP port, 0 for any free one (default: {console.PORT})",
    )
    parser.add_argument(
        "--ocpp",
        choices=tuple(VERSIONS),
        action="append",
        help="speak only this version; may be repeated, the preferred one first",
    )
    parser.add_argument(
        "--password",
        metavar="TEXT",
        help="asked of every station; other users of this machine can see it (default: none)",
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="go on with this ledger, and keep it there"
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="PEM",
        help="serve wss (security profile 2) with this certificate and its chain",
    )
    parser.add_argument(
        "--key", type=Path, metavar="PEM", help="its key (default: in the same file)"
    )
    parser.add_argument(
        "--client-roots",
        type=Path,
        metavar="PEM",
        help="demand a certificate from these roots of every station (security profile 3)",
    )
    parser.add_argument("--json", action="store_true", help="each event as a line of JSON")


def execute(args: argparse.Namespace) -> int:
    """Serve until interrupted.

    Raises:
        UsageError: options that do not go together.
    """
    if args.certificate is None and (args.key or args.client_roots):
        raise UsageError("pilotwire csms: --key and --client-roots go with --certificate")
    protocols = [VERSIONS[version] for version in args.ocpp or VERSIONS]
    return console.main(
        host=args.host,
        port=args.port,
        protocols=protocols,
        password=args.password,
        as_json=args.json,
        ledger_file=args.ledger,
        certificate=args.certificate,
        key=args.key,
        client_roots=args.client_roots,
    )
