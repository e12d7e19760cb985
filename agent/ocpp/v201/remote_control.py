"""Block F on the wire: remote start and stop of transactions."""

from agent.core import variables
from agent.core.effects import Outcome
from agent.core.events import RemoteStartRequested, RemoteStopRequested
from agent.ocpp.adapter import View
from agent.ocpp.v201 import status
from agent.ocpp.v201.authorization import from_wire
from agent.ocpp.v201.messages import (
    RequestStartTransactionRequest,
    RequestStartTransactionResponse,
    RequestStopTransactionRequest,
    RequestStopTransactionResponse,
)
from agent.ocpp.v201.session import number_of, told_id
from agent.ocpp.v201.smart_charging import from_wire as profile_from_wire


def start(
    wire: RequestStartTransactionRequest, request_id: int, view: View
) -> RemoteStartRequested:
    """Return what a RequestStartTransaction asks for (F01, F02, K05).

    A station without smart charging passes a profile over (F01.FR.12).
    """
    has_profiles = view.settings.flag(variables.SMART_CHARGING_AVAILABLE)
    group, profile = wire.group_id_token, wire.charging_profile if has_profiles else None
    return RemoteStartRequested(
        request_id,
        from_wire(wire.id_token),
        evse_id=wire.evse_id,
        remote_start_id=wire.remote_start_id,
        group=None if group is None else group.id_token,
        profile=None if profile is None else profile_from_wire(profile),
    )


def start_answer(outcome: Outcome, view: View) -> RequestStartTransactionResponse:
    """Return the answer; it names the transaction that runs already (F01.FR.13)."""
    word, info = status.answer(outcome)
    transaction_id = status.done(outcome).transaction_id
    told = None if transaction_id is None else told_id(transaction_id, view)
    return RequestStartTransactionResponse(word, info, told)


def stop(wire: RequestStopTransactionRequest, request_id: int) -> RemoteStopRequested:
    """Return what a RequestStopTransaction asks for (F03).

    A transaction that began under 1.6 is known by the number it got there.
    """
    return RemoteStopRequested(
        request_id,
        transaction_id=wire.transaction_id,
        remote_id=number_of(wire.transaction_id),
    )


def stop_answer(outcome: Outcome) -> RequestStopTransactionResponse:
    """Return the answer to a RequestStopTransaction."""
    return RequestStopTransactionResponse(*status.answer(outcome))
