"""TriggerMessage on the wire (F06).

A word that the version does not know, or whose message this station cannot tell, is answered
NotImplemented (F06.FR.08). Where the message is not about an EVSE, one that is named does not
matter (F06.FR.03).
"""

from collections.abc import Mapping

from agent.core import variables
from agent.core.effects import Done, Outcome, Verdict
from agent.core.events import TriggerKind, TriggerRequested
from agent.core.variables import Variable
from agent.ocpp.adapter import View
from agent.ocpp.v201 import status
from agent.ocpp.v201.messages import (
    TriggerMessageRequest,
    TriggerMessageResponse,
    TriggerWord,
)

KINDS: Mapping[str, TriggerKind] = {
    "BootNotification": TriggerKind.BOOT,
    "FirmwareStatusNotification": TriggerKind.SIGNED_FIRMWARE_STATUS,
    "Heartbeat": TriggerKind.HEARTBEAT,
    "LogStatusNotification": TriggerKind.LOG_STATUS,
    "MeterValues": TriggerKind.METER_VALUES,
    "SignChargingStationCertificate": TriggerKind.CERTIFICATE,
    "StatusNotification": TriggerKind.STATUS,
    "TransactionEvent": TriggerKind.TRANSACTION,
}
"""Words whose message may be told; all others are not implemented."""

_PLACED = frozenset({TriggerKind.METER_VALUES, TriggerKind.STATUS, TriggerKind.TRANSACTION})
_MEASURANDS: Mapping[TriggerKind, Variable] = {
    TriggerKind.METER_VALUES: variables.ALIGNED_MEASURANDS,  # F06.FR.06
    TriggerKind.TRANSACTION: variables.SAMPLED_MEASURANDS,  # F06.FR.07
}
_NO_EVSE = -1  # evseId 0 is the station, which has neither a status nor a meter of its own


def trigger(
    wire: TriggerMessageRequest, request_id: int, view: View
) -> TriggerRequested | None:
    """Return what a TriggerMessage asks for; None for a word that nobody knows."""
    kind = KINDS.get(wire.requested_message)
    if kind is None:
        return None
    evse = wire.evse if kind in _PLACED else None
    measured = _MEASURANDS.get(kind)
    return TriggerRequested(
        request_id,
        kind,
        evse_id=None if evse is None else evse.id or _NO_EVSE,
        connector_id=None if evse is None else evse.connector_id,
        measurands=view.settings.members(measured) if measured else (),
    )


UNKNOWN = Done(Verdict.NOT_SUPPORTED, "UnsupportedParam")
"""Outcome of a request with a word that nobody knows."""


def answer(outcome: Outcome) -> TriggerMessageResponse:
    """Return the answer to a TriggerMessage."""
    word, info = status.answer(outcome)
    told: TriggerWord = word
    if status.done(outcome).verdict is Verdict.NOT_SUPPORTED:
        told = "NotImplemented"
    return TriggerMessageResponse(told, info)
