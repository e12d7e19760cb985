"""Block P on the wire: vendors' data, which is text in the domain and any JSON here."""

from typing import Any

import msgspec

from agent.core.effects import DataTransferSent
from agent.core.events import DataTransferAnswered
from agent.ocpp.v201 import codec
from agent.ocpp.v201.datatypes import DataTransferStatus, Wire
from agent.ocpp.v201.messages import DataTransferRequest, DataTransferResponse

_LONGEST_VENDOR = 255  # DataTransferRequest.vendorId
_LONGEST_MESSAGE = 50  # DataTransferRequest.messageId

UNKNOWN_VENDOR = DataTransferResponse("UnknownVendorId")
"""The answer to every vendor: the station has no vendor extension (P01)."""


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
    data = answer.data
    if data is not None and not isinstance(data, str):
        data = msgspec.json.encode(data).decode()
    return DataTransferAnswered(message.request_id, answer.status, data)
