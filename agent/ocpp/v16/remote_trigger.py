"""TriggerMessage and ExtendedTriggerMessage (1.6 reference 2.2 and 2.4).

A word that is no member of the enumeration is answered NotImplemented, like one whose message
this station cannot tell; connectors are named only where the message is about one.
"""

from collections.abc import Mapping

import msgspec

from agent.core import variables
from agent.core.effects import Outcome, Verdict
from agent.core.events import TriggerKind, TriggerRequested
from agent.ocpp.adapter import Answered, Incoming, View
from agent.ocpp.v16 import numbering, wire
from agent.ocpp.v16.messages import (
    ExtendedTriggerMessageRequest,
    TriggerMessageRequest,
    TriggerMessageResponse,
    TriggerWord,
)
from agent.ocppj.explain import decode

_COMMON = {
    "BootNotification": TriggerKind.BOOT,
    "Heartbeat": TriggerKind.HEARTBEAT,
    "MeterValues": TriggerKind.METER_VALUES,
    "StatusNotification": TriggerKind.STATUS,
}
KINDS: Mapping[str, TriggerKind] = {
    **_COMMON,
    "DiagnosticsStatusNotification": TriggerKind.DIAGNOSTICS_STATUS,
    "FirmwareStatusNotification": TriggerKind.FIRMWARE_STATUS,
}
"""Words of TriggerMessage."""

EXTENDED: Mapping[str, TriggerKind] = {
    **_COMMON,
    "FirmwareStatusNotification": TriggerKind.SIGNED_FIRMWARE_STATUS,
    "LogStatusNotification": TriggerKind.LOG_STATUS,
    "SignChargePointCertificate": TriggerKind.CERTIFICATE,
}
"""Words of ExtendedTriggerMessage: its firmware is that of SignedUpdateFirmware."""

_PLACED = frozenset({TriggerKind.METER_VALUES, TriggerKind.STATUS})


def decode_trigger(payload: msgspec.Raw, request_id: int, view: View) -> Incoming | Answered:
    """Decode TriggerMessage."""
    request = decode(payload, TriggerMessageRequest)
    return _asked("TriggerMessage", request, KINDS, request_id, view)


def decode_extended(payload: msgspec.Raw, request_id: int, view: View) -> Incoming | Answered:
    """Decode ExtendedTriggerMessage."""
    request = decode(payload, ExtendedTriggerMessageRequest)
    return _asked("ExtendedTriggerMessage", request, EXTENDED, request_id, view)


def respond(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to either."""
    words: dict[Verdict, TriggerWord] = {
        Verdict.ACCEPTED: "Accepted",
        Verdict.NOT_SUPPORTED: "NotImplemented",
    }
    word = words.get(wire.done(outcome).verdict, "Rejected")
    return wire.encoded(TriggerMessageResponse(status=word))


def _asked(
    action: str,
    request: TriggerMessageRequest,
    kinds: Mapping[str, TriggerKind],
    request_id: int,
    view: View,
) -> Incoming | Answered:
    kind = kinds.get(request.requested_message)
    if kind is None:
        return Answered(wire.encoded(TriggerMessageResponse(status="NotImplemented")))
    evse_id, connector_id = _place(kind, request.connector_id, view)
    wanted = TriggerRequested(
        request_id,
        kind,
        evse_id,
        connector_id,
        view.settings.members(variables.SAMPLED_MEASURANDS),
    )
    return Incoming(action, wanted, request)


def _place(
    kind: TriggerKind, connector: int | None, view: View
) -> tuple[int | None, int | None]:
    """Return EVSE and connector; the core decides what an unknown one means."""
    if connector is None or kind not in _PLACED:
        return None, None
    if connector == 0:
        return 0, None
    return numbering.place(view.specs, connector) or (numbering.unknown_evse(view.specs), None)
