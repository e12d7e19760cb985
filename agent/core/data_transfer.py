"""Vendor data, from a local client to the CSMS and back (OCPP 1.6 DataTransfer, 2.0.1 block P).

Nothing is queued: without a link the client learns so at once. What the CSMS sends is for
programs at the station, which see it in the event stream; the operator's list of vendors and
messages says what they understand.
"""

from typing import Final

from agent.core.effects import DataAnswer, DataTransferSent, Done, Reply, Verdict
from agent.core.events import (
    DataTransferAnswered,
    DataTransferReceived,
    DataTransferRequested,
    Event,
    MessageFailed,
)
from agent.core.turn import Context, Turn
from agent.core.variables import DATA_VENDORS

LONGEST_DATA: Final = 10_000
"""Characters of vendor data that are taken; what is longer belongs into a file."""


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
        case DataTransferReceived(request_id=request_id):
            known = context.settings.text(DATA_VENDORS)
            return Turn(None, (Reply(request_id, DataAnswer(_standing(known, event))),))
        case DataTransferAnswered(request_id=request_id, status=status, data=data):
            return Turn(None, (Reply(request_id, DataAnswer(status, data)),))
        case MessageFailed(message=DataTransferSent(request_id=request_id), reason=reason):
            return _failed(request_id, reason)
        case _:
            return Turn(None)


def _standing(known: str, event: DataTransferReceived) -> str:
    """Return the status to answer; vendors compare without regard to case (1.6 2.1)."""
    entries = [entry.strip().partition("/") for entry in known.split(",")]
    vendor = event.vendor_id.casefold()
    messages = {message for name, _, message in entries if name and name.casefold() == vendor}
    if not messages:
        return "UnknownVendorId"
    if messages.isdisjoint({"", event.message_id}):
        return "UnknownMessageId"
    return "Accepted" if len(event.data or "") <= LONGEST_DATA else "Rejected"


def _failed(request_id: int, info: str) -> Turn[None]:
    return Turn(None, (Reply(request_id, Done(Verdict.FAILED, info=info)),))
