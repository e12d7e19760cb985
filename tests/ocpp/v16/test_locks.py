"""UnlockConnector (1.6 reference 2.2)."""

import json

import pytest

from agent.core.effects import Done, Verdict
from agent.core.events import UnlockRequested
from agent.core.values import StopReason
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16.facts import TWO, answer, asked, ended, knowing, told


def unlock(connector):
    return asked("UnlockConnector", json.dumps({"connectorId": connector}), TWO)


@pytest.mark.parametrize(
    ("connector", "place"), [(1, (1, 1)), (2, (1, 2)), (3, (2, 1)), (0, (3, 1)), (9, (3, 1))]
)
def test_a_connector_is_released_whoever_charges_there(connector, place):
    assert unlock(connector).request == UnlockRequested(9, *place, stops=True)


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Unlocked"),
        (Verdict.REJECTED, "UnlockFailed"),
        (Verdict.NOT_SUPPORTED, "NotSupported"),
        (Verdict.UNKNOWN_EVSE, "NotSupported"),
    ],
)
def test_a_verdict_becomes_a_status(verdict, word):
    assert answer(unlock(1), Done(verdict)) == {"status": word}


def test_a_broken_request_is_refused():
    with pytest.raises(RpcError) as caught:
        unlock("one")
    assert caught.value.code is RpcErrorCode.TYPE_CONSTRAINT_VIOLATION


def test_the_end_names_its_reason():
    payload = told(ended(stop_reason=StopReason.UNLOCK_COMMAND, id_token=None), knowing())[1]
    assert payload["reason"] == "UnlockCommand"
    assert "idTag" not in payload
