"""StartTransaction, MeterValues of a transaction, StopTransaction (1.6 reference 2.1, 4).

In 1.6 the CSMS numbers a transaction in its answer to StartTransaction, and every later
message needs that number. The outbox keeps order, so it is there when a later record is
encoded. Three things can be different:

* The transaction began under another version: its first record is told again as a
  StartTransaction that settles nothing, and the number comes with the answer.
* The CSMS refused the start for good: the rest is told with the number -1.
* The number came in a late answer while the start waited to be repeated: the start is not
  told again.

A token that 1.6 cannot carry (longer than 20 characters, from a time under another version)
begins a transaction with an empty idTag: the CSMS gets the energy, and nobody else's name.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agent.core import variables
from agent.core.effects import (
    TransactionEnded,
    TransactionRecord,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import TransactionAcknowledged
from agent.core.values import ReadingContext, Sample, StopReason, TokenInfo
from agent.ocpp.adapter import Call, View
from agent.ocpp.v16 import metering, numbering, wire
from agent.ocpp.v16.authorization import id_tag, token_info
from agent.ocpp.v16.messages import (
    MeterValue,
    Payload,
    ReasonWord,
    StartTransactionRequest,
    StopTransactionRequest,
)
from agent.ocpp.wire_time import to_text
from agent.ocppj.errors import RpcError
from agent.ocppj.explain import decode
from agent.ocppj.quirks import Quirk, noted

LARGEST_STOP = 32_768
"""Bytes of a StopTransaction; readings are thinned out to stay below (1.6 reference 5.5)."""

REASONS: Mapping[StopReason, ReasonWord] = {
    StopReason.DE_AUTHORIZED: "DeAuthorized",
    StopReason.EMERGENCY_STOP: "EmergencyStop",
    StopReason.EV_DISCONNECTED: "EVDisconnected",
    StopReason.GROUND_FAULT: "Other",
    StopReason.IMMEDIATE_RESET: "HardReset",
    StopReason.LOCAL: "Local",
    StopReason.OTHER: "Other",
    StopReason.OVERCURRENT_FAULT: "Other",
    StopReason.POWER_LOSS: "PowerLoss",
    StopReason.POWER_QUALITY: "Other",
    StopReason.REBOOT: "Reboot",
    StopReason.REMOTE: "Remote",
    StopReason.SOFT_RESET: "SoftReset",
    StopReason.UNLOCK_COMMAND: "UnlockCommand",
}
"""2.0.1 reference 10.4, table of stop reasons."""

_KEPT = frozenset({ReadingContext.TRANSACTION_BEGIN, ReadingContext.TRANSACTION_END})


class _Started(Payload, frozen=True, kw_only=True):
    """Answer to StartTransaction as far as it must be right: the number, of 64 bits."""

    transaction_id: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    id_tag_info: Any = None


class _Stopped(Payload, frozen=True, kw_only=True):
    """Answer to StopTransaction; nothing in it has to be right."""

    id_tag_info: Any = None


def encode(record: TransactionRecord, view: View) -> Call | None:
    """Encode a record of a transaction; None when 1.6 has nothing to say."""
    delivery = view.delivery(record.transaction_id)
    known = numbering.transaction(delivery)
    if isinstance(record, TransactionStarted):
        return _start(record, view) if known is None else None
    if isinstance(record, TransactionUpdated) and not record.samples:
        return None
    if known is None and delivery is not None:
        return _start(delivery.started, view, settles=False)
    number = numbering.LOST if known is None else known
    if isinstance(record, TransactionEnded):
        return _stop(record, number, view)
    connector = numbering.number(view.specs, record.evse_id, record.connector_id)
    return metering.call(connector, number, record.samples, view)


def accepted(
    record: TransactionRecord, call: Call, payload: msgspec.Raw
) -> tuple[TransactionAcknowledged, ...]:
    """Return what the answer teaches: the number after a start, the standing of a token.

    Any answer but a broken one to StartTransaction means that the CSMS has the message.

    Raises:
        RpcError: the answer to StartTransaction has no usable number.
    """
    if call.action == "StartTransaction":
        started = decode(payload, _Started)
        info = token_info(started.id_tag_info)
        if info is None:
            noted(Quirk.NO_ID_TAG_INFO)
        number = started.transaction_id
        return (TransactionAcknowledged(record.transaction_id, number, info=info),)
    if not isinstance(record, TransactionEnded) or record.id_token is None:
        return ()
    info = _stop_info(payload)
    if info is None:
        return ()
    return (
        TransactionAcknowledged(record.transaction_id, id_token=record.id_token, info=info),
    )


def _start(record: TransactionStarted, view: View, *, settles: bool = True) -> Call:
    payload = StartTransactionRequest(
        connector_id=numbering.number(view.specs, record.evse_id, record.connector_id),
        id_tag=id_tag(record.id_token) or "",
        meter_start=math.floor(record.meter_start_wh),
        timestamp=to_text(view.told_s(record.at)),
        reservation_id=record.reservation_id,
    )
    return wire.call("StartTransaction", payload, settles=settles)


def _stop(record: TransactionEnded, number: int, view: View) -> Call:
    samples = record.samples
    while True:
        data = metering.meter_values(samples, view)
        call = wire.call("StopTransaction", _stop_request(record, number, data, view))
        thinner = _thinned(samples)
        if len(call.payload) <= LARGEST_STOP or len(thinner) == len(samples):
            return call
        samples = thinner


def _stop_request(
    record: TransactionEnded, number: int, data: tuple[MeterValue, ...], view: View
) -> StopTransactionRequest:
    id_token, delivery = record.id_token, view.delivery(record.transaction_id)
    if id_token is None and delivery and view.settings.flag(variables.START_TOKEN_IN_STOP):
        id_token = delivery.started.id_token  # 1.6 reference, chapter 11, number 41
    return StopTransactionRequest(
        transaction_id=number,
        meter_stop=math.floor(record.meter_stop_wh),
        timestamp=to_text(view.told_s(record.at)),
        id_tag=id_tag(id_token) if id_token else None,
        reason=REASONS[record.stop_reason],
        transaction_data=data or None,
    )


def _thinned(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Return samples without every second one between the begin and the end."""
    between = [sample for sample in samples if sample.context not in _KEPT]
    dropped = {id(sample) for sample in between[::2]}
    return tuple(sample for sample in samples if id(sample) not in dropped)


def _stop_info(payload: msgspec.Raw) -> TokenInfo | None:
    try:
        return token_info(decode(payload, _Stopped).id_tag_info)
    except RpcError:
        return None
