"""Send one request to the control socket and print its result as JSON.

For what has no command of its own, e.g. `pilotwire call csms.disconnect` or
`pilotwire call availability.set '{"operative": false}'`. An unknown method is refused with
the names of those that there are.
"""

import argparse

import msgspec

from agent.commands.invocation import DONE, UsageError, connected


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("method", metavar="METHOD", help="e.g. status")
    parser.add_argument(
        "params", metavar="JSON", nargs="?", default="{}", help="an object (default: {})"
    )


def execute(args: argparse.Namespace) -> int:
    """Print the result.

    Raises:
        UsageError: the parameters are no JSON object.
    """
    try:
        params = msgspec.json.decode(args.params, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"pilotwire call: JSON must be an object: {error}") from error
    with connected(args) as agent:
        result = agent.call(args.method, params)
    print(msgspec.json.format(msgspec.json.encode(result)).decode())
    return DONE
