"""DataTransfer in both directions (1.6 reference 2.1).

`data` is text in 1.6; an object or array in its place is taken as its JSON.
"""

from typing import Any

import msgspec

from agent.core.effects import DataAnswer, DataTransferSent, Outcome
from agent.core.events import DataTransferAnswered, DataTransferReceived
from agent.ocpp.adapter import Call, Incoming, View
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import (
    DataTransferRequest,
    DataTransferResponse,
    DataTransferWord,
    Payload,
    Text50,
    Text255,
)
from agent.ocppj.explain import decode
from agent.ocppj.quirks import Quirk, noted

LONGEST_VENDOR_ID = 255
LONGEST_MESSAGE_ID = 50


class _Request(Payload, frozen=True, kw_only=True):
    vendor_id: Text255
    message_id: Text50 | None = None
    data: Any = None


class _Answer(Payload, frozen=True, kw_only=True):
    status: DataTransferWord
    data: Any = None


def send(message: DataTransferSent) -> Call | None:
    """Return a DataTransfer, None when 1.6 cannot carry its names, which are never cut."""
    vendor_id, message_id = message.vendor_id, message.message_id
    if len(vendor_id) > LONGEST_VENDOR_ID or len(message_id or "") > LONGEST_MESSAGE_ID:
        return None
    payload = DataTransferRequest(vendor_id=vendor_id, message_id=message_id, data=message.data)
    return wire.call("DataTransfer", payload)


def answered(message: DataTransferSent, payload: msgspec.Raw) -> DataTransferAnswered:
    """Return the CSMS's answer.

    Raises:
        RpcError: the answer has no usable status.
    """
    answer = decode(payload, _Answer, any_case=True)
    return DataTransferAnswered(message.request_id, answer.status, _text(answer.data))


def decode_received(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode a DataTransfer of the CSMS."""
    request = decode(payload, _Request)
    received = DataTransferReceived(
        request_id, request.vendor_id, request.message_id, _text(request.data)
    )
    return Incoming("DataTransfer", received, request)


def respond_received(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to a DataTransfer of the CSMS."""
    status = outcome.status if isinstance(outcome, DataAnswer) else "Rejected"
    word: DataTransferWord = msgspec.convert(status, DataTransferWord)
    return wire.encoded(DataTransferResponse(status=word))


def _text(data: object) -> str | None:
    if data is None or isinstance(data, str):
        return data
    noted(Quirk.JSON_AS_DATA)
    return msgspec.json.encode(data).decode()
