"""`pilotwire schedule`."""

import datetime as dt
import json
import subprocess
import sys

from agent.commands.schedule import Period, Schedule, chart
from tests.cli.peer import Agent, RefusedError

STATUS = {"evses": [{"evse_id": 1, "setpoint_a": 10.0}, {"evse_id": 2, "setpoint_a": 0.0}]}


def answered(evse_id=1, unit="A", **more):
    return {
        "evse_id": evse_id,
        "start_at": "2027-01-15T08:00:00.000Z",
        "duration_s": 86_400,
        "unit": unit,
        "periods": [
            {
                "start_s": 0,
                "limit": 10.0,
                "phases": 1,
                "origin": "TxDefaultProfile",
                "profile_id": 7,
            },
            {
                "start_s": 36_000,
                "limit": 32.0,
                "phases": None,
                "origin": "hardware",
                "profile_id": None,
            },
        ],
        **more,
    }


def agent(params):
    return answered(params["evse_id"], params["unit"], duration_s=params["duration_s"])


def test_every_evse_has_its_chart_and_its_origins(serve, pilotwire):
    peer = serve(Agent, {"status": STATUS, "schedule.get": agent})
    code, out, err = pilotwire("schedule")
    assert (code, err) == (0, "")
    asked = [params for method, params in peer.requests if method == "schedule.get"]
    assert [params["evse_id"] for params in asked] == [1, 2]
    assert asked[0] == {"evse_id": 1, "duration_s": 86_400, "unit": "A"}
    assert "EVSE 1: limit in A per phase, setpoint 10 A" in out
    assert "EVSE 2: limit in A per phase, setpoint 0 A" in out
    assert "  08:00        10 A  TxDefaultProfile 7, 1 phase(s)" in out
    assert "  18:00        32 A  hardware" in out


def test_one_evse_so_many_hours_in_w(serve, pilotwire):
    peer = serve(Agent, {"status": STATUS, "schedule.get": agent})
    code, out, _ = pilotwire("schedule", "--evse", "0", "--hours", "48", "--watts")
    assert code == 0
    assert peer.requests[-1] == (
        "schedule.get",
        {"evse_id": 0, "duration_s": 172_800, "unit": "W"},
    )
    assert out.startswith("station: limit in W\n")
    assert "Fri 18:00" in out


def test_json_is_what_the_agent_says_and_the_setpoint(serve, pilotwire):
    serve(Agent, {"status": STATUS, "schedule.get": agent})
    code, out, _ = pilotwire("schedule", "--json")
    assert code == 0
    assert json.loads(out) == [
        {**answered(1), "setpoint_a": 10.0},
        {**answered(2), "setpoint_a": 0.0},
    ]


def test_a_refusal_is_passed_on(serve, pilotwire):
    def refused(_):
        raise RefusedError("SmartChargingCtrlr.Enabled is false")

    serve(Agent, {"status": STATUS, "schedule.get": refused})
    code, out, err = pilotwire("schedule")
    assert (code, out) == (1, "")
    assert "SmartChargingCtrlr.Enabled is false" in err


def test_an_answer_without_what_was_promised_is_a_failure(serve, pilotwire):
    serve(Agent, {"status": STATUS, "schedule.get": {"evse_id": 1}})
    code, _, err = pilotwire("schedule")
    assert code == 1
    assert err.startswith("the agent's schedule is not understood: ")


def test_the_line_is_at_the_limit_and_the_level_at_the_setpoint():
    schedule = Schedule(
        1,
        dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC),
        86_400,
        "A",
        [Period(0, 30.0, "hardware"), Period(43_200, 6.0, "TxProfile", profile_id=1)],
    )
    rows = chart(schedule, 6.0, 60).splitlines()
    drawn = [row for row in rows if any("⠀" < sign <= "⣿" for sign in row)]
    top, bottom = drawn[0], drawn[-1]
    left, right = slice(6, 30), slice(34, 58)
    assert any("⠀" < sign <= "⣿" for sign in top[left])
    assert not any("⠀" < sign <= "⣿" for sign in top[right])
    assert any("⠀" < sign <= "⣿" for sign in bottom[right])
    assert "─" * 5 in bottom[left]
    assert len(max(rows, key=len)) <= 60


def test_nobody_else_pays_for_the_chart():
    code = "import sys, agent.main, agent.commands.status; print('plotext' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
