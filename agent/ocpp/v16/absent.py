"""Answers to requests for what this station does not have (1.6 reference 1.9).

Some of them must be answered with a status, because certification looks at it; all others
are a CALLERROR NotSupported. A payload that is broken is refused before either.
"""

from collections.abc import Mapping

import msgspec

from agent.ocpp.adapter import Answered
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import (
    CSMS_REQUESTS,
    STATION_REQUESTS,
    UNSUPPORTED,
    Payload,
    UnlockConnectorResponse,
)
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import decode

ANSWERS: Mapping[str, Payload] = {
    "UnlockConnector": UnlockConnectorResponse(status="NotSupported"),
}

LONGEST_ACTION = 50
"""Characters of an unknown action that its refusal repeats."""


def answer(action: str, payload: msgspec.Raw) -> Answered:
    """Answer a request that no block of this package decodes.

    Raises:
        RpcError: NotImplemented for an action that is not of 1.6, NotSupported for one that
            is, or what is wrong with the payload.
    """
    if action in ANSWERS:
        decode(payload, CSMS_REQUESTS[action])
        return Answered(wire.encoded(ANSWERS[action]))
    if action in UNSUPPORTED or action in STATION_REQUESTS:
        raise RpcError(RpcErrorCode.NOT_SUPPORTED, f"{action} is not supported")
    code = RpcErrorCode.NOT_IMPLEMENTED
    raise RpcError(code, f"unknown action {action[:LONGEST_ACTION]}")
