"""Block F on the wire: remote start and stop of transactions."""

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
from agent.ocpp.v201.session import told_id

_LONGEST_NUMBER = 19  # digits of the numbers that 1.6 gives, and that a 64-bit integer holds


def start(wire: RequestStartTransactionRequest, request_id: int) -> RemoteStartRequested:
    """Return what a RequestStartTransaction asks for (F01, F02).

    Without smart charging a charging profile in it is passed over (F01.FR.12).
    """
    group = wire.group_id_token
    return RemoteStartRequested(
        request_id,
        from_wire(wire.id_token),
        evse_id=wire.evse_id,
        remote_start_id=wire.remote_start_id,
        group=None if group is None else group.id_token,
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
    text = wire.transaction_id
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) < _LONGEST_NUMBER
    number = int(text) if is_number else None
    return RemoteStopRequested(
        request_id,
        transaction_id=text,
        # Only the text that we tell for it stands for a number: "007" is another id.
        remote_id=number if str(number) == text else None,
    )


def stop_answer(outcome: Outcome) -> RequestStopTransactionResponse:
    """Return the answer to a RequestStopTransaction."""
    return RequestStopTransactionResponse(*status.answer(outcome))
