"""Lead the core once more through a recorded trace, and show where it does otherwise.

The flight recorder of a station keeps `trace.0` and `trace.1` in its state directory: what
happened, with its instants, and what came of it. Here the same core, of this version, is told
the same, without any hardware, network or waiting. It does exactly the same unless it has
changed: a difference is the place to look at.
"""

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent.commands.invocation import DONE, FAILED, UsageError, printable
from agent.core.effects import Effect
from agent.core.events import Event
from agent.core.routing import step
from agent.core.station import Station, targets
from agent.diagnostics import masking
from agent.store import trace

MOST_SHOWN: Final = 20
"""Differences; what follows the first one often follows from it."""


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("trace", type=Path, metavar="TRACE", help="a file, or their directory")
    parser.add_argument("--show", action="store_true", help="every event, not only differences")


def execute(args: argparse.Namespace) -> int:
    """Replay; return 0 when everything came out the same."""
    turns = differences = 0
    for path in _files(args.trace):
        try:
            for lines, is_same in _replayed(path.read_bytes(), is_shown=args.show):
                turns, differences = turns + 1, differences + (not is_same)
                if args.show or (not is_same and differences <= MOST_SHOWN):
                    print(*map(printable, lines), sep="\n")
        except (OSError, trace.TraceError) as error:
            raise UsageError(f"{path}: {error}") from error
    print(f"replay: {turns} turns, {differences or 'no'} differences")
    return FAILED if differences else DONE


def _files(path: Path) -> list[Path]:
    """Return the files of a trace, the older one first.

    Raises:
        UsageError: there is none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("trace.[01]"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise UsageError(f"{path}: there is no trace.0 or trace.1")
    return found


def _replayed(content: bytes, *, is_shown: bool) -> Iterator[tuple[list[str], bool]]:
    """Yield for each turn what to show of it, and whether it came out the same."""
    station: Station | None = None
    for entry in trace.entries(content):
        if isinstance(entry, trace.Whole):
            station = trace.station_of(entry)
            continue
        if station is None:
            raise trace.TraceError("it does not begin with the station")
        lived = [trace.lived_of(one) for one in entry.steps]
        effects: list[Effect] = []
        for event, env in lived:
            station, told = step(station, event, env)
            effects += told
        is_same = trace.digest(effects, targets(station)) == entry.digest
        is_needed = is_shown or not is_same
        yield (_lines(lived, entry, effects) if is_needed else []), is_same


def _lines(
    lived: Sequence[trace.Lived], entry: trace.Turn, effects: Sequence[Effect]
) -> list[str]:
    lines = [f"{_at(env.now.wall_s)}  {_described(event)}" for event, env in lived]
    now = tuple(type(effect).__name__ for effect in effects)
    if now == entry.told:
        lines.append(f"    told: {_named(now)}")
    else:
        lines += [f"    told then: {_named(entry.told)}", f"    told now:  {_named(now)}"]
    return lines


def _described(event: Event) -> str:
    fields = masking.event(event)
    return " ".join((type(event).__name__, *(f"{key}={fields[key]}" for key in fields)))


def _named(kinds: Sequence[str]) -> str:
    return ", ".join(kinds) or "nothing"


def _at(wall_s: float | None) -> str:
    if wall_s is None:
        return "-"
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
