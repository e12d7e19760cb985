"""Limits that others set are reported like profiles, beside those of the CSMS (K09)."""

from typing import Any

import pytest

from agent.core.bounds import Site
from agent.core.effects import Done, Effect, ProfilesReported, Reply, Verdict
from agent.core.events import (
    ChargingProfileOffered,
    ChargingProfilesCleared,
    ChargingProfilesRequested,
    ExternalLimitSet,
    GridInputChanged,
)
from agent.core.smart_charging.outside import constraints
from agent.core.smart_charging.profile import Book, Installed, Kind, Purpose, Unit
from agent.core.values import Bound, ExternalLimit
from tests.support.core import WALL_S, Bench
from tests.support.profiles import profile

NOW = int(WALL_S)
MINE = profile(7, [(0, 10)], Purpose.TX_DEFAULT, start=NOW - 60)


def limited() -> Bench:
    """Return a station that CSMS, energy manager and grid operator limit."""
    bench = Bench(2, site=Site(grid_w=4200.0)).ready(2)
    bench.post(GridInputChanged(active=True))
    bench.post(ExternalLimitSet(1, "ems", 3600.0, 0, limit_a=20.06))
    bench.post(ExternalLimitSet(2, "ems", 3600.0, 2, limit_w=11_040.0))
    bench.post(ChargingProfileOffered(3, 1, MINE))
    assert bench.reply(3) == Done(Verdict.ACCEPTED)
    return bench


def told(effects: tuple[Effect, ...]) -> list[tuple[int, str, tuple[int, ...]]]:
    reports = [item for item in effects if isinstance(item, ProfilesReported)]
    assert [report.is_last for report in reports] == [False] * (len(reports) - 1) + [True]
    return [
        (report.evse_id, report.source, tuple(one.profile_id for one in report.profiles))
        for report in reports
    ]


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (
            {},
            [(1, "CSO", (7,)), (0, "EMS", (-2,)), (2, "EMS", (-3,)), (0, "SO", (-1,))],
        ),
        ({"evse_id": 0}, [(0, "EMS", (-2,)), (0, "SO", (-1,))]),
        ({"evse_id": 2}, [(2, "EMS", (-3,))]),
        ({"sources": ("SO",)}, [(0, "SO", (-1,))]),
        ({"sources": ("CSO", "EMS"), "evse_id": 1}, [(1, "CSO", (7,))]),
        ({"purpose": Purpose.TX_DEFAULT}, [(1, "CSO", (7,))]),
        ({"purpose": Purpose.EXTERNAL, "evse_id": 2}, [(2, "EMS", (-3,))]),
        ({"profile_ids": (-1, 7)}, [(1, "CSO", (7,)), (0, "SO", (-1,))]),
    ],
)
def test_external_limits_are_reported_with_their_source(
    criteria: dict[str, Any], expected: list[tuple[int, str, tuple[int, ...]]]
) -> None:
    answer, *reports = limited().post(ChargingProfilesRequested(9, 5, **criteria))
    assert answer == Reply(9, Done(Verdict.ACCEPTED))
    assert told(tuple(reports)) == expected


def test_without_a_match_there_is_no_report() -> None:
    bench = Bench().ready()
    (answer,) = bench.post(ChargingProfilesRequested(9, 5, sources=("EMS",)))
    assert answer == Reply(9, Done(Verdict.REJECTED, "NoProfile"))


def test_they_hold_from_now_on_and_are_rounded_down() -> None:
    limits = (
        ExternalLimit(0, "SO", Bound("grid", limit_w=4200.0)),
        ExternalLimit(2, "EMS", Bound("ems", limit_a=20.06)),
    )
    first, second = constraints(limits, Book(), NOW)
    assert [item.evse_id for item in (first, second)] == [0, 2]
    (power,), (current,) = first.profile.schedules, second.profile.schedules
    assert (power.unit, power.periods[0].limit) == (Unit.WATT, 4_200_000)
    assert (current.unit, current.periods[0].limit) == (Unit.AMPERE, 20_000)
    assert {item.profile.kind for item in (first, second)} == {Kind.ABSOLUTE}
    assert {schedule.start_s for schedule in (power, current)} == {NOW}
    (undated,) = constraints(limits[:1], Book(), None)
    assert undated.profile.schedules[0].start_s is None


def test_their_ids_are_those_of_nobody_else() -> None:
    taken = profile(-1, [(0, 10)], Purpose.TX_DEFAULT, start=NOW)
    limit = ExternalLimit(0, "EMS", Bound("ems", limit_a=16.0))
    (found,) = constraints((limit,), Book({taken.key: Installed(1, taken)}), NOW)
    assert found.profile.profile_id == -2


def test_they_are_not_the_csmss_to_clear() -> None:
    bench = limited()
    bench.post(ChargingProfilesCleared(9, profile_id=-1))
    assert bench.reply(9) == Done(Verdict.REJECTED, "NoProfile", "no profile fits")
