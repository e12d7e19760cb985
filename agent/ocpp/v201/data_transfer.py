"""Block P on the wire: vendors' data, which is text in the domain and any JSON here."""

from typing import Any

import msgspec

from agent.core.effects import DataAnswer, DataTransferSent, Outcome
from agent.core.events import DataTransferAnswered, DataTransferReceived
from agent.ocpp.v201 import codec
from agent.ocpp.v201.datatypes import DataTransferStatus, Wire
from agent.ocpp.v201.messages import DataTransferRequest, DataTransferResponse

_LONGEST_VENDOR = 255  # DataTransferRequest.vendorId
_LONGEST_MESSAGE = 50  # DataTransferRequest.messageId


def received(wire: DataTransferRequest, request_id: int) -> DataTransferReceived:
    """Return vendor data of the CSMS (P01); what is no text becomes its JSON."""
    return DataTransferReceived(request_id, wire.vendor_id, wire.message_id, _text(wire.data))


def answer(outcome: Outcome) -> DataTransferResponse:
    """Return the answer to vendor data of the CSMS."""
    status = outcome.status if isinstance(outcome, DataAnswer) else "Rejected"
    return DataTransferResponse(msgspec.convert(status, DataTransferStatus))


class _Answer(Wire, frozen=True):
    status: DataTransferStatus
    data: Any = None


def request(message: DataTransferSent) -> DataTransferRequest:
    """Return the message to the CSMS, names cut to what the schema holds."""
    message_id = message.message_id
    return DataTransferRequest(
        message.vendor_id[:_LONGEST_VENDOR],
        None if message_id is None else message_id[:_LONGEST_MESSAGE],
        message.data,
    )


def answered(message: DataTransferSent, payload: msgspec.Raw) -> DataTransferAnswered:
    """Return the CSMS's answer; data that is no string becomes JSON text.

    Raises:
        RpcError: it has no known status.
    """
    answer = codec.decode_answer(_Answer, payload)
    return DataTransferAnswered(message.request_id, answer.status, _text(answer.data))


def _text(data: object) -> str | None:
    if data is None or isinstance(data, str):
        return data
    return msgspec.json.encode(data).decode()
