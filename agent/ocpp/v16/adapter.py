"""OCPP 1.6 and its security extension, as `agent.ocpp.adapter.Adapter` wants it.

This module only dispatches; what a message means stands in the block that is named after it.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from agent.core.effects import (
    AuthorizationWanted,
    BootReported,
    CertificateSigningWanted,
    ChargingNeedsTold,
    DataTransferSent,
    HeartbeatSent,
    LimitTold,
    Message,
    MeterSampled,
    MeterValuesReported,
    Outcome,
    ProfilesReported,
    Record,
    ReservationEnded,
    SecurityEvent,
    StatusRepeated,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    VehicleScheduleTold,
)
from agent.core.events import Event, StatusAcknowledged
from agent.core.orders import FirmwareReported, LogReported
from agent.core.values import RegistrationStatus
from agent.ocpp.adapter import Adapter, Answered, Call, Incoming, View
from agent.ocpp.v16 import (
    absent,
    authorization,
    availability,
    certificates,
    data_transfer,
    diagnostics,
    firmware,
    keys,
    local_list,
    locks,
    metering,
    provisioning,
    remote_control,
    remote_trigger,
    reservation,
    security,
    session,
    smart_charging,
)

_Decode: TypeAlias = Callable[[msgspec.Raw, int, View], Incoming | Answered]
_Respond: TypeAlias = Callable[[Incoming, Outcome], bytes]

_DECODE: Mapping[str, _Decode] = {
    "CancelReservation": reservation.decode_cancel,
    "CertificateSigned": certificates.decode_signed,
    "ChangeAvailability": availability.decode_change,
    "ChangeConfiguration": keys.decode_change,
    "ClearCache": authorization.decode_clear,
    "ClearChargingProfile": smart_charging.decode_clear,
    "DeleteCertificate": certificates.decode_delete,
    "GetInstalledCertificateIds": certificates.decode_ids,
    "InstallCertificate": certificates.decode_install,
    "DataTransfer": data_transfer.decode_received,
    "ExtendedTriggerMessage": remote_trigger.decode_extended,
    "GetCompositeSchedule": smart_charging.decode_composite,
    "GetConfiguration": keys.decode_get,
    "GetDiagnostics": diagnostics.decode_diagnostics,
    "GetLocalListVersion": local_list.decode_version,
    "GetLog": diagnostics.decode_log,
    "RemoteStartTransaction": remote_control.decode_start,
    "RemoteStopTransaction": remote_control.decode_stop,
    "ReserveNow": reservation.decode_reserve,
    "Reset": provisioning.decode_reset,
    "SendLocalList": local_list.decode_send,
    "SetChargingProfile": smart_charging.decode_set,
    "SignedUpdateFirmware": firmware.decode_signed,
    "TriggerMessage": remote_trigger.decode_trigger,
    "UpdateFirmware": firmware.decode_update,
    "UnlockConnector": locks.decode_unlock,
}
_RESPOND: Mapping[str, _Respond] = {
    "CancelReservation": reservation.respond_cancel,
    "CertificateSigned": certificates.respond_signed,
    "ChangeAvailability": availability.respond_change,
    "ChangeConfiguration": keys.respond_change,
    "ClearCache": authorization.respond_clear,
    "DeleteCertificate": certificates.respond_delete,
    "GetInstalledCertificateIds": certificates.respond_ids,
    "InstallCertificate": certificates.respond_install,
    "DataTransfer": data_transfer.respond_received,
    "ExtendedTriggerMessage": remote_trigger.respond,
    "ClearChargingProfile": smart_charging.respond_clear,
    "GetCompositeSchedule": smart_charging.respond_composite,
    "GetConfiguration": keys.respond_get,
    "GetDiagnostics": diagnostics.respond_diagnostics,
    "GetLocalListVersion": local_list.respond_version,
    "GetLog": diagnostics.respond_log,
    "RemoteStartTransaction": remote_control.respond_start,
    "RemoteStopTransaction": remote_control.respond_stop,
    "ReserveNow": reservation.respond_reserve,
    "Reset": provisioning.respond_reset,
    "SendLocalList": local_list.respond_send,
    "SetChargingProfile": smart_charging.respond_set,
    "SignedUpdateFirmware": firmware.respond_signed,
    "TriggerMessage": remote_trigger.respond,
    "UpdateFirmware": firmware.respond_update,
    "UnlockConnector": locks.respond_unlock,
}


class Adapter16(Adapter):
    """Speaks OCPP 1.6J."""

    @property
    def subprotocol(self) -> str:
        return "ocpp1.6"

    @property
    def restates_status(self) -> bool:
        return False

    def encode_record(self, record: Record, view: View, *, offline: bool) -> Call | None:
        del offline  # 1.6 has no member for it
        match record:
            case TransactionStarted() | TransactionUpdated() | TransactionEnded():
                return session.encode(record, view)
            case MeterSampled():
                return metering.sampled(record, view)
            case ReservationEnded():
                return None  # the status of the connector says it
            case SecurityEvent():
                return security.event(record, view)
            case FirmwareReported():
                return firmware.notification(record)
            case LogReported():  # pragma: no branch  # exhaustive
                return diagnostics.notification(record)

    def record_accepted(
        self, record: Record, call: Call, payload: msgspec.Raw
    ) -> tuple[Event, ...]:
        if not isinstance(record, TransactionStarted | TransactionUpdated | TransactionEnded):
            return ()
        return session.accepted(record, call, payload)

    def expand(self, message: Message) -> tuple[Message, ...]:
        if isinstance(message, StatusReported):
            return availability.steps(message)
        return (message,)

    def encode_message(self, message: Message, view: View) -> Call | None:
        match message:
            case BootReported():
                return provisioning.boot(view)
            case HeartbeatSent():
                return provisioning.heartbeat()
            case AuthorizationWanted():
                return authorization.authorize(message)
            case StatusReported():
                return availability.status(message, view)
            case MeterValuesReported():
                return metering.present(message, view)
            case LimitTold():
                return None  # 1.6 has no message for it
            case CertificateSigningWanted():
                return certificates.sign(message)
            case DataTransferSent():
                return data_transfer.send(message)
            case ProfilesReported() | ChargingNeedsTold() | VehicleScheduleTold():
                return None  # 1.6 has no messages for them
            case StatusRepeated():  # pragma: no branch  # exhaustive
                if isinstance(message.record, LogReported):
                    return diagnostics.repeated(message, message.record)
                return firmware.repeated(message, message.record)

    def message_accepted(self, message: Message, payload: msgspec.Raw) -> tuple[Event, ...]:
        match message:
            case BootReported():
                return (provisioning.booted(payload),)
            case HeartbeatSent():
                return (provisioning.beaten(payload),)
            case AuthorizationWanted():
                return (authorization.authorized(message, payload),)
            case StatusReported():
                return (StatusAcknowledged(message.status),)
            case MeterValuesReported() | LimitTold():
                return ()
            case CertificateSigningWanted():
                return (certificates.sign_answered(payload),)
            case DataTransferSent():
                return (data_transfer.answered(message, payload),)
            case ProfilesReported() | ChargingNeedsTold() | VehicleScheduleTold():
                return ()
            case StatusRepeated():  # pragma: no branch  # exhaustive
                return ()

    def admit(self, registration: RegistrationStatus | None, action: str) -> bool:
        del action  # 1.6 4.2 makes no difference between requests
        return registration is not RegistrationStatus.REJECTED

    def decode(
        self, action: str, payload: msgspec.Raw, request_id: int, view: View
    ) -> Incoming | Answered:
        block = _DECODE.get(action)
        if block is None:
            raise absent.refusal(action)
        return block(payload, request_id, view)

    def respond(self, incoming: Incoming, outcome: Outcome, view: View) -> bytes:
        del view  # every 1.6 answer follows from the request and its outcome
        return _RESPOND[incoming.action](incoming, outcome)
