"""Block E on the wire: transaction records as TransactionEvent (reference 3.3 to 3.8).

Which member goes into which event (reference 3.5): `evse` and the starting token only into
Started, a token into Ended only when it was presented to stop, `chargingState` always,
`stoppedReason` always in Ended, `offline` only when true.

A transaction keeps the id under which the CSMS has learned it. One that began under 1.6 is
known by the CSMS's number, and goes on under that number as text.
"""

from typing import cast

import msgspec

from agent.core.effects import (
    TransactionEnded,
    TransactionRecord,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import TransactionAcknowledged
from agent.core.values import StopReason
from agent.ocpp.adapter import View
from agent.ocpp.v201 import codec, datatypes
from agent.ocpp.v201.authorization import Verdict, to_wire, token_info
from agent.ocpp.v201.datatypes import EvseAddress, TransactionInfo, Wire
from agent.ocpp.v201.messages import TransactionEventRequest
from agent.ocpp.v201.metering import meter_values
from agent.ocpp.wire_time import to_text

_LONGEST_NUMBER = 19  # digits of the numbers that 1.6 gives, and that a 64-bit integer holds
_LONGEST_ID = 36  # TransactionType.transactionId


class _Answer(Wire, frozen=True):
    id_token_info: Verdict | None = None


def told_id(transaction_id: str, view: View) -> str:
    """Return the id under which the CSMS knows a transaction."""
    delivery = view.delivery(transaction_id)
    if delivery is None or delivery.remote_id is None:
        return transaction_id[:_LONGEST_ID]
    return str(delivery.remote_id)


def number_of(told: str | None) -> int | None:
    """Return the number that the CSMS gave a transaction under 1.6, if its id is one.

    Only the text that we tell for it stands for a number: "007" is another id.
    """
    digits = "" if told is None else told.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < _LONGEST_NUMBER):
        return None
    number = int(told or "")
    return number if str(number) == told else None


def event(record: TransactionRecord, view: View, *, offline: bool) -> TransactionEventRequest:
    """Return the event that tells a record."""
    match record:
        case TransactionStarted():
            return _started(record, view, offline=offline)
        case TransactionUpdated():
            return _updated(record, view, offline=offline)
        case TransactionEnded():  # pragma: no branch  # exhaustive
            return _ended(record, view, offline=offline)


def _started(
    record: TransactionStarted, view: View, *, offline: bool
) -> TransactionEventRequest:
    return TransactionEventRequest(
        event_type="Started",
        timestamp=to_text(view.told_s(record.at)),
        trigger_reason=record.trigger.value,
        seq_no=record.seq_no,
        transaction_info=TransactionInfo(
            told_id(record.transaction_id, view),
            record.charging_state.value,
            remote_start_id=record.remote_start_id,
        ),
        meter_value=meter_values(record.samples, view),
        offline=_offline(record, offline=offline),
        reservation_id=record.reservation_id,
        evse=EvseAddress(record.evse_id, record.connector_id),
        id_token=to_wire(record.id_token),
    )


def _updated(
    record: TransactionUpdated, view: View, *, offline: bool
) -> TransactionEventRequest:
    return TransactionEventRequest(
        event_type="Updated",
        timestamp=to_text(view.told_s(record.at)),
        trigger_reason=record.trigger.value,
        seq_no=record.seq_no,
        transaction_info=TransactionInfo(
            told_id(record.transaction_id, view),
            record.charging_state.value,
            remote_start_id=record.remote_start_id,
        ),
        meter_value=meter_values(record.samples, view),
        offline=_offline(record, offline=offline),
        number_of_phases_used=record.phases_used,
    )


def _ended(record: TransactionEnded, view: View, *, offline: bool) -> TransactionEventRequest:
    return TransactionEventRequest(
        event_type="Ended",
        timestamp=to_text(view.told_s(record.at)),
        trigger_reason=record.trigger.value,
        seq_no=record.seq_no,
        transaction_info=TransactionInfo(
            told_id(record.transaction_id, view),
            record.charging_state.value,
            None if record.charging_s is None else round(record.charging_s),
            _stopped_reason(record.stop_reason),
        ),
        meter_value=meter_values(record.samples, view),
        offline=_offline(record, offline=offline),
        id_token=None if record.id_token is None else to_wire(record.id_token),
    )


def acknowledged(record: TransactionRecord, payload: msgspec.Raw) -> TransactionAcknowledged:
    """Return what the answer to an event teaches.

    Raises:
        RpcError: the answer is no object, or its verdict has no known status.
    """
    verdict = codec.decode_answer(_Answer, payload).id_token_info
    presented = record.id_token if isinstance(record, TransactionEnded) else None
    return TransactionAcknowledged(
        record.transaction_id,
        id_token=presented,
        info=None if verdict is None else token_info(verdict),
    )


def _offline(record: TransactionRecord, *, offline: bool) -> bool | None:
    # E04.FR.03: it happened offline. E11.FR.07: it was still queued when the link went.
    return True if offline or record.offline else None


def _stopped_reason(reason: StopReason) -> datatypes.StoppedReason:
    # 1.6's soft reset ends transactions too, and has no word here (reference 10.4).
    if reason is StopReason.SOFT_RESET:
        return "ImmediateReset"
    # mypy loses the words of an enum that is narrowed; the remaining ones are the version's.
    if reason is StopReason.UNLOCK_COMMAND:
        return "Remote"
    return cast("datatypes.StoppedReason", reason.value)
