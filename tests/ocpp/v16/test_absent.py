"""Requests that nobody serves (1.6 reference 1.8 number 6 and 7)."""

import pytest

from agent.ocpp.v16.messages import STATION_REQUESTS
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16.facts import asked


def refused(action, payload="{}"):
    with pytest.raises(RpcError) as caught:
        asked(action, payload)
    return caught.value


@pytest.mark.parametrize("action", sorted(set(STATION_REQUESTS) - {"DataTransfer"}))
def test_a_request_that_only_stations_send_is_not_supported(action):
    assert refused(action).code is RpcErrorCode.NOT_SUPPORTED
    assert action in refused(action).description


@pytest.mark.parametrize("action", ["FooBar", "reset", "", "GetVariables", "X" * 9000])
def test_an_unknown_action_is_not_implemented(action):
    error = refused(action)
    assert error.code is RpcErrorCode.NOT_IMPLEMENTED
    assert len(error.description) < 80
