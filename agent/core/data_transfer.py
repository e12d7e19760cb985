"""Vendor data from a local client to the CSMS (OCPP 1.6 DataTransfer, 2.0.1 P02).

Nothing is queued: without a link the client learns so at once.
"""

from agent.core.effects import DataAnswer, DataTransferSent, Done, Reply, Verdict
from agent.core.events import (
    DataTransferAnswered,
    DataTransferRequested,
    Event,
    MessageFailed,
)
from agent.core.turn import Context, Turn


def step(event: Event, context: Context) -> Turn[None]:
    """Pass data on, or an answer back."""
    match event:
        case DataTransferRequested():
            if not context.is_online:
                return _failed(event.request_id, "offline")
            sent = DataTransferSent(
                event.request_id, event.vendor_id, event.message_id, event.data
            )
            return Turn(None, (sent,))
        case DataTransferAnswered(request_id=request_id, status=status, data=data):
            return Turn(None, (Reply(request_id, DataAnswer(status, data)),))
        case MessageFailed(message=DataTransferSent(request_id=request_id), reason=reason):
            return _failed(request_id, reason)
        case _:
            return Turn(None)


def _failed(request_id: int, info: str) -> Turn[None]:
    return Turn(None, (Reply(request_id, Done(Verdict.FAILED, info=info)),))
