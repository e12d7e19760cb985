"""OCPP 2.0.1 between the wire and the domain: which message goes to which block's module.

The modules beside this one are named after the blocks of the core and hold the translation;
here is only the dispatch. Actions that the specification knows and this station does not
offer are answered NotSupported, all others NotImplemented.
"""

import msgspec

from agent.core import variables
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
from agent.core.events import CacheClearRequested, Event, Request, StatusAcknowledged
from agent.core.orders import FirmwareReported, LogReported
from agent.core.values import RegistrationStatus
from agent.ocpp.adapter import Adapter, Answered, Call, Incoming, View
from agent.ocpp.v201 import (
    authorization,
    availability,
    certificates,
    codec,
    data_transfer,
    device_model,
    diagnostics,
    external_limits,
    firmware,
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
from agent.ocpp.v201.datatypes import Wire
from agent.ocpp.v201.messages import (
    CSMS_REQUESTS,
    STATION_REQUESTS,
    UNSUPPORTED,
    CancelReservationRequest,
    CertificateSignedRequest,
    ChangeAvailabilityRequest,
    ClearCacheRequest,
    ClearChargingProfileRequest,
    DataTransferRequest,
    DeleteCertificateRequest,
    GetChargingProfilesRequest,
    GetCompositeScheduleRequest,
    GetInstalledCertificateIdsRequest,
    GetLocalListVersionRequest,
    GetLogRequest,
    GetVariablesRequest,
    HeartbeatRequest,
    InstallCertificateRequest,
    RequestStartTransactionRequest,
    RequestStopTransactionRequest,
    ReserveNowRequest,
    ResetRequest,
    SendLocalListRequest,
    SetChargingProfileRequest,
    SetVariablesRequest,
    SignCertificateRequest,
    TriggerMessageRequest,
    UnlockConnectorRequest,
    UpdateFirmwareRequest,
)
from agent.ocppj.errors import RpcError, RpcErrorCode


class Adapter201(Adapter):
    """The adapter for `ocpp2.0.1`."""

    @property
    def subprotocol(self) -> str:
        return "ocpp2.0.1"

    @property
    def restates_status(self) -> bool:
        # B04.FR.01: after more than OfflineThreshold every connector is told again.
        return True

    def encode_record(self, record: Record, view: View, *, offline: bool) -> Call | None:
        match record:
            case TransactionStarted() | TransactionUpdated() | TransactionEnded():
                event = session.event(record, view, offline=offline)
                return _call("TransactionEvent", event)
            case MeterSampled():
                return _call("MeterValues", metering.sampled(record, view))
            case ReservationEnded():
                return _call("ReservationStatusUpdate", reservation.ended(record))
            case SecurityEvent():
                return _call("SecurityEventNotification", security.notification(record, view))
            case FirmwareReported() | LogReported():  # pragma: no branch  # exhaustive
                return _progress(record)

    def record_accepted(
        self,
        record: Record,
        call: Call,  # noqa: ARG002  the record alone says what its answer is about
        payload: msgspec.Raw,
    ) -> tuple[Event, ...]:
        match record:
            case TransactionStarted() | TransactionUpdated() | TransactionEnded():
                return (session.acknowledged(record, payload),)
            case (
                MeterSampled()
                | ReservationEnded()
                | SecurityEvent()
                | FirmwareReported()
                | LogReported()
            ):  # pragma: no branch  # exhaustive
                return ()

    def expand(self, message: Message) -> tuple[Message, ...]:
        return (message,)

    def encode_message(self, message: Message, view: View) -> Call | None:
        match message:
            case BootReported():
                return _call("BootNotification", provisioning.boot(message, view.info))
            case HeartbeatSent():
                return _call("Heartbeat", HeartbeatRequest())
            case AuthorizationWanted():
                return _call("Authorize", authorization.authorize(message))
            case StatusReported():
                notification = availability.status_notification(message, view)
                return _call("StatusNotification", notification)
            case MeterValuesReported():
                return _call("MeterValues", metering.present(message, view))
            case LimitTold():
                return _call(*external_limits.told(message, view))
            case CertificateSigningWanted():
                request = SignCertificateRequest(message.csr, "ChargingStationCertificate")
                return _call("SignCertificate", request)
            case DataTransferSent():
                return _call("DataTransfer", data_transfer.request(message))
            case ProfilesReported():
                return _call("ReportChargingProfiles", smart_charging.report(message, view))
            case ChargingNeedsTold():
                return _call("NotifyEVChargingNeeds", smart_charging.needs(message))
            case VehicleScheduleTold():
                return _call("NotifyEVChargingSchedule", smart_charging.chosen(message))
            case StatusRepeated(record=record):  # pragma: no branch  # exhaustive
                return _progress(record)

    def message_accepted(self, message: Message, payload: msgspec.Raw) -> tuple[Event, ...]:
        match message:
            case BootReported():
                return (provisioning.booted(payload),)
            case HeartbeatSent():
                return (provisioning.heartbeat_answered(payload),)
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
            case ChargingNeedsTold():
                return (smart_charging.needs_answered(message, payload),)
            case VehicleScheduleTold():
                return (smart_charging.choice_answered(message, payload),)
            case ProfilesReported():
                return ()
            case StatusRepeated():  # pragma: no branch  # exhaustive
                return ()

    def admit(self, registration: RegistrationStatus | None, action: str) -> bool:
        # B03.FR.08; while the answer is Pending or out, requests are served (B02.FR.01).
        if registration is RegistrationStatus.REJECTED:
            raise RpcError(
                RpcErrorCode.SECURITY_ERROR,
                f"the station is rejected by this CSMS and does not serve {action}",
            )
        return True

    def decode(
        self, action: str, payload: msgspec.Raw, request_id: int, view: View
    ) -> Incoming | Answered:
        kind = CSMS_REQUESTS.get(action)
        if kind is None or not _is_offered(action, view):
            known = kind is not None or action in STATION_REQUESTS or action in UNSUPPORTED
            code = RpcErrorCode.NOT_SUPPORTED if known else RpcErrorCode.NOT_IMPLEMENTED
            raise RpcError(code, f"{action}: one of {', '.join(CSMS_REQUESTS)} is served")
        wire = codec.decode(kind, payload)
        match wire:
            case GetVariablesRequest():
                return _read(wire, request_id, view)
            case SetVariablesRequest():
                return _write(wire, request_id, view)
            case TriggerMessageRequest():
                return _trigger(wire, request_id, view)
            case RequestStartTransactionRequest():
                return Incoming(action, remote_control.start(wire, request_id, view), wire)
            case ReserveNowRequest() if reservation.is_by_type(wire):
                return Answered(codec.encode(reservation.reserve_answer(reservation.BY_TYPE)))
            case CertificateSignedRequest():
                offered = certificates.offered(wire, request_id)
                if offered is None:
                    answer = certificates.signed_answer(certificates.UNASKED)
                    return Answered(codec.encode(answer))
                return Incoming(action, offered, wire)
            case GetInstalledCertificateIdsRequest():
                ids = certificates.ids(wire, request_id)
                if ids is None:
                    none = certificates.ids_answer(certificates.NONE_INSTALLED)
                    return Answered(codec.encode(none))
                return Incoming(action, ids, wire)
            case SendLocalListRequest():
                request = local_list.send(wire, request_id)
                return Incoming(action, request, wire, failed=local_list.FAILED)
            case _:
                return Incoming(action, _request(wire, request_id), wire)

    def respond(self, incoming: Incoming, outcome: Outcome, view: View) -> bytes:
        return codec.encode(_response(incoming.wire, outcome, view))


def _is_offered(action: str, view: View) -> bool:
    has_profiles = view.settings.flag(variables.SMART_CHARGING_AVAILABLE)
    return has_profiles or action not in smart_charging.REQUESTS


def _call(action: str, message: Wire | None) -> Call | None:
    return None if message is None else Call(action, codec.encode(message))


def _progress(record: FirmwareReported | LogReported) -> Call | None:
    if isinstance(record, LogReported):
        return _call("LogStatusNotification", diagnostics.notification(record))
    return _call("FirmwareStatusNotification", firmware.notification(record))


def _read(wire: GetVariablesRequest, request_id: int, view: View) -> Incoming | Answered:
    plan = device_model.read_plan(wire, view.settings)
    request = device_model.read_request(plan, request_id)
    if request is None:
        return Answered(codec.encode(device_model.read_answer(plan, device_model.NOTHING)))
    return Incoming("GetVariables", request, plan)


def _write(wire: SetVariablesRequest, request_id: int, view: View) -> Incoming | Answered:
    plan = device_model.write_plan(wire, view.settings)
    request = device_model.write_request(plan, request_id)
    if request is None:
        return Answered(codec.encode(device_model.write_answer(plan, device_model.NOTHING)))
    return Incoming("SetVariables", request, plan)


def _trigger(wire: TriggerMessageRequest, request_id: int, view: View) -> Incoming | Answered:
    request = remote_trigger.trigger(wire, request_id, view)
    if request is None:
        return Answered(codec.encode(remote_trigger.answer(remote_trigger.UNKNOWN)))
    return Incoming("TriggerMessage", request, wire)


def _request(wire: Wire, request_id: int) -> Request:
    match wire:
        case CancelReservationRequest():
            return reservation.cancel(wire, request_id)
        case ReserveNowRequest():
            return reservation.reserve(wire, request_id)
        case DeleteCertificateRequest():
            return certificates.deletion(wire, request_id)
        case InstallCertificateRequest():
            return certificates.root(wire, request_id)
        case UnlockConnectorRequest():
            return locks.unlock(wire, request_id)
        case ChangeAvailabilityRequest():
            return availability.change(wire, request_id)
        case DataTransferRequest():
            return data_transfer.received(wire, request_id)
        case ClearCacheRequest():
            return CacheClearRequested(request_id)
        case GetLocalListVersionRequest():
            return local_list.version(request_id)
        case RequestStopTransactionRequest():
            return remote_control.stop(wire, request_id)
        case ResetRequest():
            return provisioning.reset(wire, request_id)
        case GetLogRequest():
            return diagnostics.log(wire, request_id)
        case UpdateFirmwareRequest():
            return firmware.update(wire, request_id)
        case SetChargingProfileRequest():
            return smart_charging.offered(wire, request_id)
        case ClearChargingProfileRequest():
            return smart_charging.cleared(wire, request_id)
        case GetChargingProfilesRequest():
            return smart_charging.requested(wire, request_id)
        case GetCompositeScheduleRequest():
            return smart_charging.composite(wire, request_id)
        case _:  # pragma: no cover  # a line of the table without its branch: our defect
            raise AssertionError(
                f"CSMS_REQUESTS has {type(wire).__name__}, and nobody takes it"
            )


def _response(wire: object, outcome: Outcome, view: View) -> Wire:
    match wire:
        case CancelReservationRequest():
            return reservation.cancel_answer(outcome)
        case ReserveNowRequest():
            return reservation.reserve_answer(outcome)
        case CertificateSignedRequest():
            return certificates.signed_answer(outcome)
        case DeleteCertificateRequest():
            return certificates.delete_answer(outcome)
        case GetInstalledCertificateIdsRequest():
            return certificates.ids_answer(outcome)
        case InstallCertificateRequest():
            return certificates.install_answer(outcome)
        case UnlockConnectorRequest():
            return locks.unlock_answer(outcome)
        case ChangeAvailabilityRequest():
            return availability.change_answer(outcome)
        case DataTransferRequest():
            return data_transfer.answer(outcome)
        case ClearCacheRequest():
            return authorization.cache_cleared(outcome)
        case device_model.ReadPlan():
            return device_model.read_answer(wire, outcome)
        case device_model.WritePlan():
            return device_model.write_answer(wire, outcome)
        case GetLocalListVersionRequest():
            return local_list.version_answer(outcome)
        case SendLocalListRequest():
            return local_list.send_answer(outcome)
        case RequestStartTransactionRequest():
            return remote_control.start_answer(outcome, view)
        case RequestStopTransactionRequest():
            return remote_control.stop_answer(outcome)
        case ResetRequest():
            return provisioning.reset_answer(outcome)
        case GetLogRequest():
            return diagnostics.answer(outcome)
        case UpdateFirmwareRequest():
            return firmware.answer(outcome)
        case SetChargingProfileRequest():
            return smart_charging.offer_answer(outcome)
        case TriggerMessageRequest():
            return remote_trigger.answer(outcome)
        case ClearChargingProfileRequest():
            return smart_charging.clear_answer(outcome)
        case GetChargingProfilesRequest():
            return smart_charging.request_answer(outcome)
        case GetCompositeScheduleRequest():
            return smart_charging.composite_answer(outcome)
        case _:
            raise AssertionError(f"{type(wire).__name__} is nothing that waits for an answer")
