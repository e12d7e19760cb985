"""Draw the limits of the coming hours: the composite schedule, its origins, the setpoint.

The line is what charging profiles, hardware and site allow; the level across it is the setpoint
now. Below the chart stands every period with what limits it. Times are UTC.
"""

import argparse
import datetime as dt
import shutil
import sys
from typing import Any, Final

import msgspec

from agent.client import ControlClient
from agent.commands.invocation import DONE, FAILED, connected, whole_number

HEIGHT: Final = 16
WIDEST: Final = 110
NARROWEST: Final = 40
TICKS: Final = 6


class Period(msgspec.Struct):
    """A limit from `start_s` seconds after the schedule's start."""

    start_s: int
    limit: float
    origin: str
    phases: int | None = None
    profile_id: int | None = None


class Schedule(msgspec.Struct):
    """A composite schedule, as the control socket tells it."""

    evse_id: int
    start_at: dt.datetime
    duration_s: int
    unit: str
    periods: list[Period]


class _Evse(msgspec.Struct):
    evse_id: int
    setpoint_a: float


class _Status(msgspec.Struct):
    evses: list[_Evse]


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--evse", type=whole_number(0, 64), metavar="N", help="only this EVSE; 0: the station"
    )
    parser.add_argument(
        "--hours",
        type=whole_number(1, 168),
        default=24,
        metavar="H",
        help="how far ahead (default: 24)",
    )
    parser.add_argument("--watts", action="store_true", help="in W instead of A per phase")
    parser.add_argument("--json", action="store_true", help="the agent's answers as JSON")


def execute(args: argparse.Namespace) -> int:
    """Print one chart per EVSE."""
    with connected(args) as agent:
        setpoints = {
            evse.evse_id: evse.setpoint_a
            for evse in msgspec.convert(agent.call("status"), _Status).evses
        }
        wanted = list(setpoints) if args.evse is None else [args.evse]
        answers = [_asked(agent, evse_id, args) for evse_id in wanted]
    if args.json:
        told = [
            {**answer, "setpoint_a": setpoints.get(answer["evse_id"])} for answer in answers
        ]
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
        return DONE
    try:
        schedules = msgspec.convert(answers, list[Schedule])
    except msgspec.ValidationError as error:
        print(f"the agent's schedule is not understood: {error}", file=sys.stderr)
        return FAILED
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    charts = [chart(one, setpoints.get(one.evse_id), width) for one in schedules]
    print("\n\n".join(charts))
    return DONE


def _asked(agent: ControlClient, evse_id: int, args: argparse.Namespace) -> Any:
    params = {"evse_id": evse_id, "duration_s": args.hours * 3600}
    return agent.call("schedule.get", {**params, "unit": "W" if args.watts else "A"})


def chart(schedule: Schedule, setpoint_a: float | None, width: int) -> str:
    """Return a schedule as a chart with a line per period below it.

    Args:
        setpoint_a: what is offered now, A per phase; None for the station.
        width: in characters.
    """
    import plotext  # type: ignore[import-untyped]  # noqa: PLC0415  only this command draws

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, HEIGHT)
    starts, limits = _line(schedule)
    plotext.plot(starts, limits, marker="braille")
    if setpoint_a is not None and schedule.unit == "A":
        plotext.hline(setpoint_a)
    plotext.ylim(0, max([*limits, setpoint_a or 0.0, 1.0]) * 1.1)
    seconds = [schedule.duration_s * number // TICKS for number in range(TICKS + 1)]
    plotext.xticks(seconds, [_clock(schedule, second) for second in seconds])
    drawn = plotext.uncolorize(plotext.build()).rstrip("\n")
    return "\n".join([_title(schedule, setpoint_a), drawn, *_listed(schedule)])


def _line(schedule: Schedule) -> tuple[list[int], list[float]]:
    """Return the corners of the line: every period from its start to the next one's."""
    starts: list[int] = []
    limits: list[float] = []
    ends = [period.start_s for period in schedule.periods[1:]] + [schedule.duration_s]
    for period, end_s in zip(schedule.periods, ends, strict=True):
        starts += [period.start_s, end_s]
        limits += [period.limit, period.limit]
    return starts, limits


def _title(schedule: Schedule, setpoint_a: float | None) -> str:
    where = f"EVSE {schedule.evse_id}" if schedule.evse_id else "station"
    what = "A per phase" if schedule.unit == "A" else "W"
    now = "" if setpoint_a is None else f", setpoint {setpoint_a:g} A"
    return f"{where}: limit in {what}{now}"


def _clock(schedule: Schedule, second: int) -> str:
    instant = schedule.start_at + dt.timedelta(seconds=second)
    return instant.strftime("%a %H:%M" if schedule.duration_s > 86_400 else "%H:%M")  # noqa: PLR2004  a day


def _listed(schedule: Schedule) -> list[str]:
    return [
        f"  {_clock(schedule, period.start_s)}  {period.limit:8g} {schedule.unit}"
        f"  {_origin(period)}"
        for period in schedule.periods
    ]


def _origin(period: Period) -> str:
    who = "" if period.profile_id is None else f" {period.profile_id}"
    phases = "" if period.phases is None else f", {period.phases} phase(s)"
    return f"{period.origin}{who}{phases}"
