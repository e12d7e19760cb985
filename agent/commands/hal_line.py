"""The options of `pilotwire hal` that say where a device is, and why it is not reached."""

import argparse
import asyncio
import math
from collections.abc import Coroutine
from typing import Any, Final

from agent.commands.invocation import UsageError
from hal.errors import BusError
from hal.tools.line import MODBUS_PORT, Line

_HIGHEST_PORT: Final = 65_535
_OF_SERIAL_LINES: Final = ("baud", "parity", "stopbits")


def declare_line(parser: argparse.ArgumentParser) -> None:
    """Add where the line is, and how its frames look."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", metavar="PATH", help="serial line, e.g. /dev/ttyUSB0")
    where.add_argument("--tcp", metavar="HOST[:PORT]", help="Modbus TCP, port 502 by default")
    parser.add_argument("--stopbits", type=int, choices=(1, 2))
    parser.add_argument(
        "--framing",
        choices=("tcp", "rtu", "ascii"),
        help="rtu over TCP for gateways, ascii on serial lines (default: tcp, rtu)",
    )


def seconds(text: str) -> float:
    """Return an option that is a time, more than nothing and not for ever."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} are no seconds, such as 0.5")
    return value


def line_of(args: argparse.Namespace) -> Line:
    """Return the line that the options name.

    Raises:
        UsageError: they cannot be meant together.
    """
    unit, baud, parity = (getattr(args, name, None) for name in ("unit", "baud", "parity"))
    if args.port is not None:
        if args.framing == "tcp":
            raise UsageError("pilotwire hal: --framing tcp is not for serial lines")
        return Line(
            path=args.port,
            baudrate=baud,
            parity=parity,
            stopbits=args.stopbits,
            framing=args.framing,
            unit=unit,
        )
    given = [name for name in _OF_SERIAL_LINES if getattr(args, name, None) is not None]
    if given:
        raise UsageError(f"pilotwire hal: --{given[0]} is for serial lines, not for --tcp")
    host, _, port = args.tcp.rpartition(":") if ":" in args.tcp else (args.tcp, "", "")
    is_port = not port or (port.isdecimal() and 1 <= int(port[:6]) <= _HIGHEST_PORT)
    if not host or not is_port:
        raise UsageError(f"pilotwire hal: {args.tcp!r} is no HOST or HOST:PORT")
    number = int(port) if port else MODBUS_PORT
    return Line(host=host, port=number, framing=args.framing, unit=unit)


async def explained(line: Line, tool: Coroutine[Any, Any, int]) -> int:
    """Run a tool on a line.

    Raises:
        BusError: as the tool does; why the line cannot be opened is said with it.
    """
    try:
        return await tool
    except BusError as error:
        reason = await asyncio.shield(line.why())
        raise BusError(f"{error}: {reason}" if reason else str(error)) from error
