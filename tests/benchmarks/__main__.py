"""`python -m tests.benchmarks`: measure, print the table, and say whether the bounds hold.

Exit code 0 when every row that has a bound keeps it, else 1; 2 for a wrong command line.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.measure import Benchmark, BenchmarkError, Result, Sense
from tests.benchmarks.rows import BENCHMARKS

_HEAD = ("benchmark", "ours", "theirs", "ratio", "demanded", "verdict")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="a row, or what its name begins with; may be repeated",
    )
    args = parser.parse_args(argv)
    chosen = [one for one in BENCHMARKS if _is_wanted(one, args.only)]
    if not chosen:
        names = ", ".join(row.name for one in BENCHMARKS for row in one.rows)
        parser.error(f"--only {' '.join(args.only)}: none of {names}")
    results = list(_measured(chosen, args.only))
    print(table(results))
    print(summary(results))
    if args.json:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(_plain(results))))
    return 0 if all(result.holds for result in results) else 1


def _measured(chosen: Sequence[Benchmark], only: Sequence[str] | None) -> Iterator[Result]:
    for benchmark in chosen:
        print(f"measuring {', '.join(row.name for row in benchmark.rows)}", file=sys.stderr)
        try:
            figures = benchmark.measure()
        except BenchmarkError as error:
            sys.exit(f"cannot measure {benchmark.rows[0].name}: {error}")
        for row, pair in zip(benchmark.rows, figures, strict=True):
            if only is None or row.name.startswith(tuple(only)):
                yield Result(row, pair)


def _is_wanted(benchmark: Benchmark, only: Sequence[str] | None) -> bool:
    return only is None or any(row.name.startswith(tuple(only)) for row in benchmark.rows)


def table(results: Sequence[Result]) -> str:
    """Return the rows as aligned text, figures to the right."""
    lines = [_HEAD, *(_cells(result) for result in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [
                cells[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
            ]
        )
        for cells in lines
    )


def _cells(result: Result) -> tuple[str, ...]:
    row, figures = result.row, result.figures
    sign = "<=" if row.sense is Sense.COST else ">="
    return (
        row.name,
        f"{_short(figures.ours)} {row.unit}",
        f"{_short(figures.theirs)} {row.unit}",
        f"{_short(result.ratio)}x",
        "-" if row.demanded is None else f"{sign} {row.demanded:g}x",
        result.verdict,
    )


def _short(figure: float) -> str:
    """Return three digits that matter, and all of those before the point."""
    if figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def summary(results: Sequence[Result]) -> str:
    """Return the last line."""
    bound = [result for result in results if result.row.demanded is not None]
    short = [result.row.name for result in bound if not result.holds]
    kept = f"bench: {len(bound) - len(short)} of {len(bound)} bounds hold"
    return f"{kept}; short: {', '.join(short)}" if short else kept


def _plain(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "name": result.row.name,
            "what": result.row.what,
            "unit": result.row.unit,
            "ours": result.figures.ours,
            "theirs": result.figures.theirs,
            "ratio": result.ratio,
            "sense": result.row.sense.value,
            "demanded": result.row.demanded,
            "verdict": result.verdict,
        }
        for result in results
    ]


if __name__ == "__main__":
    sys.exit(main())
