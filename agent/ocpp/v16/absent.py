"""Answers to requests that nobody serves (1.6 reference 1.8 number 6 and 7)."""

from agent.ocpp.v16.messages import STATION_REQUESTS
from agent.ocppj.errors import RpcError, RpcErrorCode

LONGEST_ACTION = 50
"""Characters of an unknown action that its refusal repeats."""


def refusal(action: str) -> RpcError:
    """Return why a request that no block of this package decodes is refused.

    NotImplemented for an action that is not of 1.6, NotSupported for one that only stations
    send.
    """
    if action in STATION_REQUESTS:
        return RpcError(RpcErrorCode.NOT_SUPPORTED, f"{action} is not supported")
    code = RpcErrorCode.NOT_IMPLEMENTED
    return RpcError(code, f"unknown action {action[:LONGEST_ACTION]}")
