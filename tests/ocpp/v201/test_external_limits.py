"""Limits of others on the wire (K11, K13)."""

import pytest

from agent.core import variables
from agent.core.effects import LimitTold
from agent.core.values import Bound
from agent.core.variables import Settings
from agent.ocpp.v201.adapter import Adapter201
from tests.ocpp.v201.facts import Facts, raw, sent

SIXTEEN = Bound("ems", limit_a=16.0)


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        (LimitTold("ems", 0, SIXTEEN), {"chargingLimitSource": "EMS"}),
        (
            LimitTold("grid", 0, SIXTEEN),
            {"chargingLimitSource": "SO", "isGridCritical": True},
        ),
    ],
)
def test_a_limit_tells_whose_it_is(message, limit):
    call = Adapter201().encode_message(message, Facts())
    assert sent(call, "NotifyChargingLimit") == {"chargingLimit": limit}


def test_a_limit_of_one_evse_names_it():
    call = Adapter201().encode_message(LimitTold("ems", 2, SIXTEEN), Facts())
    assert sent(call, "NotifyChargingLimit")["evseId"] == 2


def test_a_limit_that_is_gone_is_cleared():
    call = Adapter201().encode_message(LimitTold("ems", 2, None), Facts())
    assert sent(call, "ClearedChargingLimit") == {"chargingLimitSource": "EMS", "evseId": 2}


@pytest.mark.parametrize(
    ("bound", "unit", "limit"),
    [
        (Bound("ems", limit_a=16.19), "A", 16.1),
        (Bound("ems", limit_a=8.1), "A", 8.1),
        (Bound("grid", limit_w=4200.0), "W", 4200.0),
        (Bound("ems", limit_w=0.0), "W", 0.0),
    ],
)
def test_what_a_limit_leaves_is_told_where_the_settings_say_so(bound, unit, limit):
    facts = Facts(settings=Settings(factory={variables.LIMIT_SCHEDULES.name: "true"}))
    call = Adapter201().encode_message(LimitTold(bound.origin, 1, bound), facts)
    (schedule,) = sent(call, "NotifyChargingLimit")["chargingSchedule"]
    period = {"startPeriod": 0, "limit": limit}
    assert schedule == {"id": 1, "chargingRateUnit": unit, "chargingSchedulePeriod": [period]}


def test_the_answer_teaches_nothing():
    message = LimitTold("ems", 0, SIXTEEN)
    assert Adapter201().message_accepted(message, raw({})) == ()
