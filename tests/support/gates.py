"""Coverage gates: branch coverage of every pure module is complete, of the whole it is high.

Run after the test suite has left its data: ``python -m tests.support.gates``.
"""

import json
import sys
import tempfile
from pathlib import Path

import coverage

COMPLETE = (
    "agent/core/",
    "agent/firmware/manifest.py",
    "agent/firmware/verify.py",
    "agent/ocpp/",
    "agent/ocppj/",
    "hal/dc/",
    "hal/registers/",
)
"""Where every line and every branch is exercised."""

OVERALL_PCT = 92.0


def short(files: dict[str, dict[str, dict[str, float]]], overall_pct: float) -> list[str]:
    """Return what falls short of the gates, a line each."""
    found = [
        f"{name}: {data['summary']['percent_covered']:.1f} % (100 % is asked for)"
        for name, data in sorted(files.items())
        if name.startswith(COMPLETE) and data["summary"]["percent_covered"] < 100.0
    ]
    if overall_pct < OVERALL_PCT:
        found.append(f"overall: {overall_pct:.1f} % ({OVERALL_PCT:g} % is asked for)")
    return found


def main() -> int:
    """Judge the data of the last run; return the exit code."""
    data = coverage.Coverage()
    data.load()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "coverage.json"
        data.json_report(outfile=str(path))
        report = json.loads(path.read_text())
    overall_pct = report["totals"]["percent_covered"]
    found = short(report["files"], overall_pct)
    for line in found:
        print(f"coverage: {line}")
    if not found:
        print(f"coverage: gates hold, {overall_pct:.1f} % overall")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
