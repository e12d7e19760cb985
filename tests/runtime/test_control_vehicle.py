"""What a simulated vehicle tells by ISO 15118, through the control socket."""

import asyncio

import pytest

from agent.core.events import VehicleNeedsTold, VehicleScheduleChosen
from agent.core.smart_charging.needs import ChargingNeeds, Transfer
from agent.core.smart_charging.profile import Period, Schedule, Unit
from agent.runtime.control import METHOD_NOT_FOUND
from hal.sim.vehicle import Vehicle as SimVehicle
from tests.runtime.test_control import PARAMS, story  # noqa: F401
from tests.support.core import TAG


class Board:
    """A simulated board that has nothing to do here."""

    async def call(self, method, params):
        raise AssertionError(method)


def heard(rig):
    events = []
    rig.shell.kernel.observers.append(lambda _, batch, __, ___: events.extend(batch))
    return events


def test_needs_and_choice_reach_the_core(story):  # noqa: F811
    async def told(rig, client):
        events = heard(rig)
        needs = {"energy_wh": 20_000, "departs_at": "2026-01-01T00:00:00Z", "phases": 1}
        assert await client.call("sim.needs", evse_id=1, **needs) is True
        choice = {"schedule_id": 2, "periods": [[0, 16], [600, 8.1]], "duration_s": 900}
        assert await client.call("sim.choose", evse_id=1, **choice) is True
        await client.call("status")
        wants = ChargingNeeds(Transfer.SINGLE_PHASE, 20_000, 6, 32, 230, 1_767_225_600)
        periods = (Period(0, 16_000), Period(600, 8_100))
        mine = Schedule(Unit.AMPERE, periods, 2, duration_s=900)
        assert [one for one in events if isinstance(one, VehicleNeedsTold)] == [
            VehicleNeedsTold(1, wants)
        ]
        assert [one for one in events if isinstance(one, VehicleScheduleChosen)] == [
            VehicleScheduleChosen(1, mine)
        ]

    story(told, simulator=Board())


def test_a_vehicle_can_be_left_to_negotiate_by_itself(story):  # noqa: F811
    async def told(rig, client):
        events = heard(rig)
        assert await client.call("sim.negotiate", evse_id=1, energy_wh=20_000) is True
        await client.call("status")
        assert events == [], "it has no transaction yet"
        rig.evse.plug(1, SimVehicle())
        rig.evse.present(TAG)
        await asyncio.sleep(1)
        wants = ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 32, 230)
        assert VehicleNeedsTold(1, wants) in events

    story(told, online=False, simulator=Board())


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("sim.needs", {"evse_id": 1}, "energy_wh"),
        ("sim.needs", {"evse_id": 0, "energy_wh": 5}, "evse_id"),
        ("sim.needs", {"evse_id": 1, "energy_wh": 5, "phases": 4}, "phases"),
        ("sim.choose", {"evse_id": 1, "schedule_id": 1, "periods": []}, "periods"),
        ("sim.choose", {"evse_id": 1, "schedule_id": 1, "periods": [[5, 6]]}, "start at 0"),
        ("sim.choose", {"evse_id": 1, "schedule_id": 1, "periods": [[0, 6], [0, 8]]}, "grow"),
    ],
)
def test_what_no_vehicle_tells_is_refused(story, method, params, says):  # noqa: F811
    async def told(rig, client):
        code, reason = await client.refusal(method, **params)
        assert code == PARAMS
        assert says in reason

    story(told, simulator=Board())


def test_a_real_board_has_no_such_methods(story):  # noqa: F811
    async def told(rig, client):
        code, _ = await client.refusal("sim.needs", evse_id=1, energy_wh=5)
        assert code == METHOD_NOT_FOUND

    story(told)
