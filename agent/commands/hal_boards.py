"""`pilotwire hal` with controllers that have a serial line of their own: no map, but a name."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from agent.commands.invocation import DONE, FAILED, UsageError, printable
from hal.bus.serial_line import LineSettings
from hal.errors import HalError
from hal.tools import speaking
from hal.tools.exercising import Ask, Exercise
from hal.tools.looking import Look

KNOWN: Final = speaking.KNOWN
_CLEAR: Final = "\x1b[H\x1b[J"


async def looked(args: argparse.Namespace, shown: Callable[[Look], str]) -> int:
    """Show a controller once (`probe`), or again and again (`watch`).

    Args:
        shown: makes lines of a look.

    Raises:
        HalError: it was to be shown once, and cannot be.
        UsageError: the command line says something that only Modbus has.
    """
    async with speaking.listening(args.map, own_line(args)) as looker:
        if args.action == "watch":
            return await _watched(args, looker, shown)
        for name, content in (await looker.identity()).items():
            print(printable(f"{name}: {content}"))
        look = await looker.look()
    print(shown(look))
    return DONE if look.is_plausible else FAILED


async def _watched(
    args: argparse.Namespace, looker: speaking.LineLooker, shown: Callable[[Look], str]
) -> int:
    seen, is_read = 0, False
    clear = _CLEAR if sys.stdout.isatty() else ""
    with suppress(asyncio.CancelledError):
        while args.count is None or seen < args.count:
            try:
                text = shown(await looker.look())
                is_read = True
            except HalError as error:
                text = printable(f"no reading: {error}")
            counters = looker.counters
            foot = f"{counters.requests} requests, {counters.timeouts} without an answer"
            print(f"{clear}{text}\n{foot}", flush=True)
            seen += 1
            if seen != args.count:
                await asyncio.sleep(args.every)
    return DONE if is_read or seen != args.count else FAILED


async def exercised(args: argparse.Namespace, say: Callable[[str], None], ask: Ask) -> int:
    """Lead through a first charge with a controller.

    Raises:
        UsageError: the command line says something that only Modbus has.
    """
    controller = speaking.controller(args.map, own_line(args))
    exercise = Exercise(say, ask, patience_s=args.patience)
    return DONE if await exercise.run(controller) else FAILED


async def simulated(
    args: argparse.Namespace, say: Callable[[str], None], ended: Callable[[], Awaitable[None]]
) -> int:
    """Serve a controller with a vehicle until it is ended.

    Raises:
        UsageError: the command line says something that only Modbus has.
    """
    if args.tcp is not None or args.unit is not None or args.set:
        raise UsageError(f"pilotwire hal simulate: {args.map} takes no --tcp, --unit, --set")
    async with speaking.simulated(args.map) as path:
        say(f"{args.map} with a vehicle on {path}")
        await ended()
    return DONE


def own_line(args: argparse.Namespace) -> LineSettings:
    """Return the line of a controller.

    Raises:
        UsageError: the command line says something that only Modbus has.
    """
    if args.port is None or args.unit is not None or args.framing is not None:
        raise UsageError(
            f"pilotwire hal: {args.map} has a serial line of its own: --port PATH, and neither"
            " --tcp nor --unit nor --framing"
        )
    return LineSettings(
        args.port, args.baud or speaking.BAUDRATE, args.parity or "N", args.stopbits or 1
    )
