"""The composite schedule through the control socket."""

import pytest

from agent.core.events import ChargingProfileOffered
from tests.runtime.test_control import PARAMS, REFUSED, story  # noqa: F401  a fixture
from tests.support.profiles import profile


def test_a_schedule_names_the_profile_of_every_period(story):  # noqa: F811
    async def told(rig, client):
        what = profile(7, [(0, 10.1, 1)], start=0)
        rig.shell.kernel.post(ChargingProfileOffered(99, 1, what, lenient=True))
        found = await client.call("schedule.get", evse_id=1, duration_s=600)
        assert found["start_at"].endswith("Z")
        assert {key: found[key] for key in ("evse_id", "duration_s", "unit", "periods")} == {
            "evse_id": 1,
            "duration_s": 600,
            "unit": "A",
            "periods": [
                {
                    "start_s": 0,
                    "limit": 10.1,
                    "phases": 1,
                    "origin": "TxDefaultProfile",
                    "profile_id": 7,
                }
            ],
        }

    story(told)


def test_the_station_is_what_is_asked_for_unless_an_evse_is_named(story):  # noqa: F811
    async def told(rig, client):
        found = await client.call("schedule.get", unit="W")
        assert (found["evse_id"], found["unit"], found["duration_s"]) == (0, "W", 86_400)
        (period,) = found["periods"]
        assert (period["origin"], period["profile_id"]) == ("hardware", None)

    story(told)


@pytest.mark.parametrize(
    ("params", "code", "says"),
    [
        ({"evse_id": 9}, REFUSED, "EVSEs 1 to 1"),
        ({"evse_id": -1}, PARAMS, "evse_id"),
        ({"duration_s": 0}, PARAMS, "duration_s"),
        ({"duration_s": 10**9}, PARAMS, "duration_s"),
        ({"unit": "kW"}, PARAMS, "unit"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(story, params, code, says):  # noqa: F811
    async def told(rig, client):
        found, reason = await client.refusal("schedule.get", **params)
        assert found == code
        assert says in reason

    story(told)
