"""What the flight recorder has kept, as text: when, what happened, and what was told.

The record itself leaves no station: it holds tokens and passwords, without which it could not
be lived again (`pilotwire replay`). Here stations are left out, tokens shortened and passwords
hidden; readings and deadlines of which nothing came are left out too: they are nearly all.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.core.values import Stamp
from agent.diagnostics import masking
from agent.diagnostics.redact import shortened
from agent.ocpp.wire_time import to_text
from agent.store import trace
from hal.types import TokenType

_PLAIN: Final = frozenset({"MeterRead", "MeterFailed", "DeadlinePassed"})
_TOKENS: Final = frozenset(kind.value for kind in TokenType)


def lines(
    directory: Path, oldest_s: float | None = None, latest_s: float | None = None
) -> Iterator[str]:
    """Yield the lines of a span of time, oldest first.

    Args:
        directory: where the recorder keeps its files, if there are any.
        oldest_s, latest_s: bounds, inclusive, UTC seconds. What has no date is always told.
    """
    for path in sorted(directory.glob("trace.[01]"), key=_changed_s):
        try:
            with (
                path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as all_,
            ):
                yield from _told(trace.entries(all_), oldest_s, latest_s)
        except (OSError, ValueError, trace.TraceError) as error:  # an empty file has no map
            yield f"{path.name}: {error}\n"


def _told(
    entries: Iterator[trace.Entry], oldest_s: float | None, latest_s: float | None
) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, trace.Whole):
            yield f"--- version {entry.version}\n"
            continue
        if not entry.told and all(step.kind in _PLAIN for step in entry.steps):
            continue
        wall_s = entry.steps[0].at.wall_s
        is_early = wall_s is not None and oldest_s is not None and wall_s < oldest_s
        is_late = wall_s is not None and latest_s is not None and wall_s > latest_s
        if is_early or is_late:
            continue
        for step in entry.steps:
            event, _ = trace.lived_of(step)
            facts = msgspec.json.encode(_without_tokens(masking.event(event))).decode()
            yield f"{_instant(step.at)} {step.kind} {facts}\n"
        if entry.told:
            yield f"    told: {', '.join(entry.told)}\n"


def _without_tokens(value: Any) -> Any:
    match value:
        case {"value": str(token), "type": str(kind)} if kind in _TOKENS:
            return {**value, "value": shortened(token)}
        case dict():
            return {name: _without_tokens(item) for name, item in value.items()}
        case list() | tuple():
            return [_without_tokens(item) for item in value]
        case _:
            return value


def _instant(at: Stamp) -> str:
    if at.wall_s is None:
        return f"boot {at.boot} +{at.monotonic_s:.3f} s"
    return to_text(at.wall_s)


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
