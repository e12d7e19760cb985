"""Bring up hardware without the agent: check files, find, read and simulate devices.

MAP is a file, or the name of a shipped register map such as eastron-sdm630; or openevse or
safety-mcu, controllers on a serial line of their own. The agent must not be running on the
same line: one process owns a port.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.commands import hal_boards
from agent.commands.hal_line import declare_line, explained, line_of, seconds
from agent.commands.invocation import (
    CONFIGURATION,
    DONE,
    FAILED,
    UsageError,
    columns,
    printable,
    whole_number,
)
from hal.converter_settings import MODULE_FAMILIES, MOST_MODULES
from hal.errors import HalError
from hal.files import FileProblems
from hal.tools import scanning
from hal.tools.checking import checked, summary
from hal.tools.exercising import Ask, Exercise, controller_of
from hal.tools.line import Line, known_maps, named_map
from hal.tools.looking import Look, Looker, Row
from hal.tools.releasing import released
from hal.tools.simulating import simulated

if TYPE_CHECKING:
    from hal.bus.can import CanPort
    from hal.tools.modules import Seen

_ACTIONS: Final = {
    "check": "report every mistake in register maps and board files, offline",
    "scan": "find devices on a line: rates, parities, units, and which map fits",
    "probe": "read a device once by a map",
    "watch": "read a device again and again, with marks on what cannot be",
    "exercise": "lead through a first charge with a controller, step by step",
    "simulate": "serve a map on a TCP port or a pseudo terminal, or power modules on CAN",
    "modules": "list the DC power modules on a CAN line; turns nothing on or off",
    "release": "leave nothing switched on a board that is wired to this machine (GPIO, PWM)",
}
_MAP: Final = "a file, a map's name, openevse or safety-mcu"
_CLEAR: Final = "\x1b[H\x1b[J"
_CHANNEL: Final = "can0, the path of a serial adapter, or a group as 239.74.163.2:43113"
_unit = whole_number(1, 255)
_count = whole_number(1, MOST_MODULES)
_tcp = whole_number(0, 65_535)
_times = whole_number(1, 1_000_000_000)


def declare(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    subparsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions = {
        name: subparsers.add_parser(
            name, help=text, description=text, parents=[common], allow_abbrev=False
        )
        for name, text in _ACTIONS.items()
    }
    actions["check"].add_argument("files", nargs="+", type=Path, metavar="FILE")
    actions["release"].add_argument("board", type=Path, metavar="BOARD", help="a board file")
    for name in ("probe", "watch", "exercise"):
        actions[name].add_argument("map", metavar="MAP", help=_MAP)
    actions["simulate"].add_argument(
        "map", metavar="MAP", help=f"{_MAP}; with --can a family of modules"
    )
    _declare_modules(actions["modules"], actions["simulate"])
    for name in ("scan", "probe", "watch", "exercise"):
        declare_line(actions[name])
    for name in ("probe", "watch", "exercise", "simulate"):
        actions[name].add_argument("--unit", type=_unit, help="unit id (default: the map's)")
    for name in ("probe", "watch", "exercise"):
        actions[name].add_argument(
            "--baud", type=int, help="bits per second (default: the map's)"
        )
        actions[name].add_argument(
            "--parity", choices=("N", "E", "O"), help="default: the map's"
        )
    _declare_scan(actions["scan"])
    watch = actions["watch"]
    watch.add_argument("--every", type=seconds, default=1.0, metavar="S", help="default: 1 s")
    watch.add_argument(
        "--count", type=_times, metavar="N", help="end after so many (default: never)"
    )
    exercise = actions["exercise"]
    exercise.add_argument(
        "--yes", action="store_true", help="do not ask before offering current"
    )
    exercise.add_argument(
        "--patience", type=seconds, default=120.0, metavar="S", help="per step (default: 120 s)"
    )
    simulate = actions["simulate"]
    simulate.add_argument(
        "--tcp", type=_tcp, metavar="PORT", help="of 127.0.0.1; 0: any free one"
    )
    simulate.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="POINT=VALUE",
        help="keep a point at a value, in V, A, W, Wh, Hz or C; may be repeated",
    )


def execute(args: argparse.Namespace) -> int:
    """Do what the subcommand says.

    Raises:
        UsageError: the command line cannot be meant like this.
        FileProblems: the map cannot be used.
    """
    match args.action:
        case "check":
            return _check(args.files)
        case "release":
            return _run(_release(args.board))
        case "scan":
            return _run(explained(line_of(args), _scan(args)))
        case "probe" | "watch" if args.map in hal_boards.KNOWN:
            return _run(hal_boards.looked(args, table))
        case "exercise" if args.map in hal_boards.KNOWN:
            return _run(hal_boards.exercised(args, _say, _asking(args)))
        case "simulate" if args.map in hal_boards.KNOWN and args.can is None:
            return _run(hal_boards.simulated(args, _say, _until_ended))
        case "probe":
            return _run(explained(line_of(args), _probe(args)))
        case "watch":
            return _run(_watch(args))
        case "exercise":
            return _run(_exercise(args))
        case "modules":
            return _run(_modules(args))
        case _ if args.can is not None:
            return _run(_simulate_modules(args))
        case _:
            return _run(_simulate(args))


def _declare_scan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--units", type=_span, default=range(1, 17), metavar="FIRST-LAST", help="default: 1-16"
    )
    parser.add_argument(
        "--bauds",
        type=_numbers,
        default=scanning.BAUDRATES,
        metavar="N,N,…",
        help=f"default: {','.join(map(str, scanning.BAUDRATES))}",
    )
    parser.add_argument("--parities", type=_parities, default="NEO", help="default: NEO")
    parser.add_argument(
        "--timeout", type=seconds, default=0.2, metavar="S", help="per unit (default: 0.2 s)"
    )


def _declare_modules(
    modules: argparse.ArgumentParser, simulate: argparse.ArgumentParser
) -> None:
    modules.add_argument("family", choices=MODULE_FAMILIES, help="what they speak")
    modules.add_argument("--can", required=True, metavar="CHANNEL", help=_CHANNEL)
    simulate.add_argument("--can", metavar="CHANNEL", help=_CHANNEL)
    simulate.add_argument(
        "--modules", type=_count, default=2, metavar="N", help="with --can (default: 2)"
    )


def _span(text: str) -> range:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no span, such as 1-16")
    found = range(int(first), int(last or first) + 1)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: the last unit comes before the first")
    if found[0] < 1 or found[-1] > 255:  # noqa: PLR2004 - a unit is a byte
        raise argparse.ArgumentTypeError(f"{text!r}: units are 1 to 255")
    return found


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} are no numbers, such as 9600,19200"
        ) from None


def _parities(text: str) -> str:
    if not text or not set(text) <= set(scanning.PARITIES):
        raise argparse.ArgumentTypeError(f"{text!r}: of N, E and O")
    return text


def _check(files: Sequence[Path]) -> int:
    mistakes = 0
    for path in files:
        try:
            print(printable(checked(path)))
        except FileProblems as found:
            mistakes += len(found.problems)
            print("\n".join(printable(str(problem)) for problem in found.problems))
    if mistakes:
        print(f"{mistakes} {'mistake' if mistakes == 1 else 'mistakes'}", file=sys.stderr)
        return CONFIGURATION
    return DONE


def _run(tool: Coroutine[Any, Any, int]) -> int:
    """Run a tool; what goes wrong on the line is one sentence and exit code 1."""
    try:
        return asyncio.run(tool)
    except HalError as error:
        if isinstance(error, FileProblems):
            raise
        print(printable(str(error)), file=sys.stderr)
        return FAILED


async def _probe(args: argparse.Namespace) -> int:
    register_map, line = named_map(args.map), line_of(args)
    print(printable(summary(register_map)))
    async with line.opened(register_map) as port:
        looker = Looker(port, line.unit_of(register_map), register_map)
        for name, content in (await looker.identity()).items():
            print(printable(f"{name.replace('_', ' ')}: {content}"))
        look = await looker.look()
    print(table(look))
    print(f"verified: {' '.join(register_map.verified.split())}")
    if look.is_plausible and scanning.score(register_map, look) is None:
        print(
            "it does not look like this device; `pilotwire hal scan` finds maps that fit",
            file=sys.stderr,
        )
    return DONE if look.is_plausible else FAILED


async def _watch(args: argparse.Namespace) -> int:
    register_map, line = named_map(args.map), line_of(args)
    seen = 0
    is_terminal = sys.stdout.isatty()
    async with line.opened(register_map) as port:
        looker = Looker(port, line.unit_of(register_map), register_map)
        is_found = is_read = False
        with suppress(asyncio.CancelledError):
            while args.count is None or seen < args.count:
                try:
                    if not is_found:
                        await looker.identity()
                        is_found = True
                    text = table(await looker.look())
                except HalError as error:
                    reason = "" if port.counters.connects else await line.why()
                    text = f"no reading: {': '.join(filter(None, (str(error), reason)))}"
                else:
                    is_read = True
                counters = port.counters
                foot = f"{counters.requests} requests, {counters.timeouts} without an answer"
                print(f"{_CLEAR if is_terminal else ''}{text}\n{foot}", flush=True)
                seen += 1
                if seen != args.count:
                    await asyncio.sleep(args.every)
    return DONE if is_read or seen != args.count else FAILED


def _asking(args: argparse.Namespace) -> Ask:
    """Return what asks the tester, or answers for him."""

    async def ask(question: str) -> bool:
        if args.yes:
            return True
        try:
            answer = await asyncio.to_thread(input, f"{question} [y/N] ")
        except EOFError:  # there is nobody to say yes
            print("no answer; --yes offers current without asking", file=sys.stderr)
            return False
        return answer.strip().lower() in {"y", "yes"}

    return ask


async def _exercise(args: argparse.Namespace) -> int:
    register_map, line = named_map(args.map), line_of(args)
    async with line.opened(register_map) as port:
        controller = controller_of(port, line.unit_of(register_map), register_map)
        went_well = await Exercise(_say, _asking(args), patience_s=args.patience).run(
            controller
        )
        is_reached = port.counters.connects > 0
    if not is_reached and (reason := await line.why()):
        print(printable(f"{args.port or args.tcp}: {reason}"), file=sys.stderr)
    return DONE if went_well else FAILED


async def _release(board: Path) -> int:
    for line in released(board):
        _say(line)
    return DONE


def _say(text: str) -> None:
    print(printable(text), flush=True)


async def _scan(args: argparse.Namespace) -> int:
    line = line_of(args)
    ways = scanning.settings(line, args.bauds, args.parities, args.units)
    if not ways:
        raise UsageError("pilotwire hal scan: there is nothing to try")
    bar, maps = _bar(len(ways)), known_maps()
    found = 0

    def heard(way: scanning.Setting) -> None:
        print(f"unit {way.unit} answers; trying {len(maps)} maps", file=sys.stderr, flush=True)

    async for way, one in scanning.scan(line, ways, maps, timeout_s=args.timeout, heard=heard):
        bar.update(1)
        if one is not None:
            found += 1
            bar.write(_found(line, way, one))
    bar.close()
    if not found:
        gateway = "does the gateway want --framing rtu?"
        hint = gateway if line.host else "are A and B swapped?"
        print(f"nothing answers; {hint}", file=sys.stderr)
    return DONE if found else FAILED


def _found(line: Line, way: scanning.Setting, found: scanning.Found) -> str:
    where = line.host or f"{way.baudrate} baud, parity {way.parity}"
    fits = ", ".join(f"{name} ({points} points)" for name, points in found.fits)
    return printable(f"{where}, unit {way.unit}: {fits or 'answers, but no map fits'}")


class _NoBar:
    """What stands in for the progress bar where tqdm is not installed."""

    def update(self, _: float) -> None:
        """Show nothing."""

    def write(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def close(self) -> None:
        """Do nothing."""


def _bar(total: int) -> Any:
    """Return a progress bar on stderr, or what stands in for it."""
    if not sys.stderr.isatty():
        return _NoBar()
    try:
        from tqdm import tqdm  # noqa: PLC0415 - only this command shows progress
    except ImportError:
        return _NoBar()
    return tqdm(total=total, unit="way", leave=False)


async def _modules(args: argparse.Namespace) -> int:
    from hal.tools.modules import ModuleLooker  # noqa: PLC0415 - brings CAN and simulators

    port = _can(args)
    try:
        found = await ModuleLooker(port, args.family).look()
    finally:
        port.close()
    for line in columns([module_row(one) for one in found]):
        print(line)
    if not found:
        print("nothing answers; is a module powered, is the line terminated?", file=sys.stderr)
    return DONE if found else FAILED


async def _simulate_modules(args: argparse.Namespace) -> int:
    from hal.tools.modules import simulated_modules  # noqa: PLC0415 - see above

    if args.map not in MODULE_FAMILIES:
        known = ", ".join(MODULE_FAMILIES)
        raise UsageError(
            f"pilotwire hal simulate: {args.map!r} is no family of modules: {known}"
        )
    port = _can(args)
    try:
        async with simulated_modules(port, args.map, args.modules):
            print(f"{args.modules} {args.map} modules on {printable(args.can)}", flush=True)
            await _until_ended()
    finally:
        port.close()
    return DONE


def _can(args: argparse.Namespace) -> "CanPort":
    from hal.tools.modules import line  # noqa: PLC0415 - see above

    try:
        return line(args.can)
    except ValueError as error:
        raise UsageError(
            f"pilotwire hal {args.action}: --can {printable(str(error))}"
        ) from error


async def _simulate(args: argparse.Namespace) -> int:
    register_map = named_map(args.map)
    unit = args.unit or register_map.serial.unit
    fixed = dict(_fixed(one) for one in args.set)
    try:
        async with simulated(register_map, unit=unit, tcp_port=args.tcp, fixed=fixed) as (
            _,
            where,
        ):
            print(printable(f"{register_map.id} as unit {unit} on {where}"), flush=True)
            await _until_ended()
    except ValueError as error:
        raise UsageError(f"pilotwire hal simulate: {error}") from error
    except OSError as error:
        print(f"cannot listen: {error.strerror}", file=sys.stderr)
        return FAILED
    return DONE


async def _until_ended() -> None:
    """Wait until somebody ends this command."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


def _fixed(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UsageError(f"pilotwire hal simulate: {text!r} is no POINT=VALUE") from None


def table(look: Look) -> str:
    """Return a look as aligned lines: point, value, and a mark."""
    return "\n".join(columns([(row.name, _shown(row)) for row in look.rows]))


def _shown(row: Row) -> str:
    value = "-" if row.value is None else f"{row.value:.12g} {row.unit}".rstrip()
    if row.meaning:
        value = row.meaning if row.value is None else f"{value} {row.meaning}"
    if not row.doubt:
        return f"{value:<24} ok"
    return f"{value:<24} {'!!' if row.is_needed else '? '} {row.doubt}"


def module_row(seen: "Seen") -> tuple[str, str]:
    """Return a power module as a line: its address, and what it says."""
    parts = [
        "-" if seen.voltage_v is None else f"{seen.voltage_v:.1f} V",
        "-" if seen.current_a is None else f"{seen.current_a:.1f} A",
    ]
    if seen.temperature_c is not None:
        parts.append(f"{seen.temperature_c:.0f} C")
    if seen.condition is not None:
        parts.append("on" if seen.condition.is_on else "off")
    if (most := seen.rating) is not None:
        parts.append(f"{most.min_v:g} to {most.max_v:g} V, {most.max_a:g} A, {most.max_w:g} W")
    if seen.condition is not None and seen.condition.alarms:
        parts.append("!! " + ", ".join(sorted(one.value for one in seen.condition.alarms)))
    return f"module {seen.address}", "  ".join(parts)
