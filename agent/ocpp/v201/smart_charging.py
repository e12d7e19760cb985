"""Block K on the wire: the offer of a charging profile."""

from agent.core.effects import Outcome, Verdict
from agent.core.events import ChargingProfileOffered
from agent.ocpp.v201 import status
from agent.ocpp.v201.messages import SetChargingProfileRequest, SetChargingProfileResponse
from agent.ocppj.errors import RpcError, RpcErrorCode


def offered(wire: SetChargingProfileRequest, request_id: int) -> ChargingProfileOffered:
    """Return the offer for the core to decide."""
    return ChargingProfileOffered(request_id, wire.evse_id)


def offer_answer(outcome: Outcome) -> SetChargingProfileResponse:
    """Return the answer to SetChargingProfile.

    Raises:
        RpcError: smart charging is not supported (K01.FR.29).
    """
    if status.done(outcome).verdict is Verdict.NOT_SUPPORTED:
        raise RpcError(RpcErrorCode.NOT_SUPPORTED, "smart charging is not supported")
    return SetChargingProfileResponse(*status.answer(outcome))
