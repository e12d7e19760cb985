"""Limits of others on the wire (K11, K13)."""

import pytest

from agent.core.effects import LimitTold
from agent.ocpp.v201.adapter import Adapter201
from tests.ocpp.v201.facts import Facts, raw, sent


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        (LimitTold("ems", 0, is_in_force=True), {"chargingLimitSource": "EMS"}),
        (
            LimitTold("grid", 0, is_in_force=True),
            {"chargingLimitSource": "SO", "isGridCritical": True},
        ),
    ],
)
def test_a_limit_tells_whose_it_is(message, limit):
    call = Adapter201().encode_message(message, Facts())
    assert sent(call, "NotifyChargingLimit") == {"chargingLimit": limit}


def test_a_limit_of_one_evse_names_it():
    call = Adapter201().encode_message(LimitTold("ems", 2, is_in_force=True), Facts())
    assert sent(call, "NotifyChargingLimit")["evseId"] == 2


def test_a_limit_that_is_gone_is_cleared():
    call = Adapter201().encode_message(LimitTold("ems", 2, is_in_force=False), Facts())
    assert sent(call, "ClearedChargingLimit") == {"chargingLimitSource": "EMS", "evseId": 2}


def test_the_answer_teaches_nothing():
    message = LimitTold("ems", 0, is_in_force=True)
    assert Adapter201().message_accepted(message, raw({})) == ()
