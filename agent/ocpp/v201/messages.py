"""OCPP 2.0.1 messages as Structs, in both directions, and tables of them by action.

The station encodes its requests and the answers to the CSMS; a CSMS written against the
same tables (the bench's) decodes them and encodes the rest. Reading is lenient about unknown
members and null, writing is strict; see agent.ocpp.v201.datatypes.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from agent.ocpp.v201.datatypes import (
    AuthorizeCertificateStatus,
    BootReason,
    ChargingLimitSource,
    ChargingNeeds,
    ChargingProfile,
    ChargingProfileCriterion,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingStation,
    ClearChargingProfileCriteria,
    CompositeSchedule,
    ConnectorStatus,
    DataTransferStatus,
    DateTime,
    EvseAddress,
    Firmware,
    FirmwareStatus,
    GetVariableData,
    GetVariableResult,
    IdTokenInfo,
    Int,
    LogParameters,
    MessageContent,
    MeterValue,
    OcspRequestData,
    OperationalStatus,
    RegistrationStatus,
    ResetKind,
    SetVariableData,
    SetVariableResult,
    StatusInfo,
    Str36,
    Str40,
    Str50,
    Str128,
    Str255,
    Str5500,
    TransactionEventKind,
    TransactionInfo,
    TriggerReason,
    UploadLogStatus,
    Wire,
    WireIdToken,
)

AcceptedOrRejected: TypeAlias = Literal["Accepted", "Rejected"]
AcceptedRejectedOrScheduled: TypeAlias = Literal["Accepted", "Rejected", "Scheduled"]
ReservationWord: TypeAlias = Literal[
    "Accepted", "Faulted", "Occupied", "Rejected", "Unavailable"
]
ReservationUpdate: TypeAlias = Literal["Expired", "Removed"]
ConnectorKind: TypeAlias = Literal[
    "cCCS1",
    "cCCS2",
    "cG105",
    "cTesla",
    "cType1",
    "cType2",
    "s309-1P-16A",
    "s309-1P-32A",
    "s309-3P-16A",
    "s309-3P-32A",
    "sBS1361",
    "sCEE-7-7",
    "sType2",
    "sType3",
    "Other1PhMax16A",
    "Other1PhOver16A",
    "Other3Ph",
    "Pan",
    "wInductive",
    "wResonant",
    "Undetermined",
    "Unknown",
]
UnlockWord: TypeAlias = Literal[
    "Unlocked", "UnlockFailed", "OngoingAuthorizedTransaction", "UnknownConnector"
]
UpdateWord: TypeAlias = Literal["Accepted", "Failed", "VersionMismatch"]
UpdateKind: TypeAlias = Literal["Differential", "Full"]
TriggerWord: TypeAlias = Literal["Accepted", "Rejected", "NotImplemented"]
MeterValues: TypeAlias = Annotated[tuple[MeterValue, ...], Meta(min_length=1)]

# --- sent by the station -----------------------------------------------------------------


class AuthorizeRequest(Wire, frozen=True):
    """May this token charge?"""

    id_token: WireIdToken
    certificate: Str5500 | None = None
    iso15118_certificate_hash_data: (
        Annotated[tuple[OcspRequestData, ...], Meta(min_length=1, max_length=4)] | None
    ) = None


class AuthorizeResponse(Wire, frozen=True):
    """The verdict on the token."""

    id_token_info: IdTokenInfo
    certificate_status: AuthorizeCertificateStatus | None = None


class BootNotificationRequest(Wire, frozen=True):
    """The station introduces itself."""

    charging_station: ChargingStation
    reason: BootReason


class BootNotificationResponse(Wire, frozen=True):
    """Whether it is welcome; `interval` in s."""

    current_time: DateTime
    interval: Int
    status: RegistrationStatus
    status_info: StatusInfo | None = None


class HeartbeatRequest(Wire, frozen=True):
    """The station is alive."""


class HeartbeatResponse(Wire, frozen=True):
    """The time."""

    current_time: DateTime


class MeterValuesRequest(Wire, frozen=True):
    """Values outside a transaction; evseId 0 is the station's own meter."""

    evse_id: Int
    meter_value: MeterValues


class MeterValuesResponse(Wire, frozen=True):
    """Received."""


class ReservationStatusUpdateRequest(Wire, frozen=True):
    """A reservation is over."""

    reservation_id: Int
    reservation_update_status: ReservationUpdate


class ReservationStatusUpdateResponse(Wire, frozen=True):
    """Received."""


class SecurityEventNotificationRequest(Wire, frozen=True):
    """Something relevant to security happened."""

    type: Str50
    timestamp: DateTime
    tech_info: Str255 | None = None


class SecurityEventNotificationResponse(Wire, frozen=True):
    """Received."""


class StatusNotificationRequest(Wire, frozen=True):
    """The status of one connector."""

    timestamp: DateTime
    connector_status: ConnectorStatus
    evse_id: Int
    connector_id: Int


class StatusNotificationResponse(Wire, frozen=True):
    """Received."""


class ChargingLimit(Wire, frozen=True):
    """Who limits (ChargingLimitType)."""

    charging_limit_source: ChargingLimitSource
    is_grid_critical: bool | None = None


class NotifyChargingLimitRequest(Wire, frozen=True):
    """Somebody else than the CSMS limits; without an EVSE the whole station."""

    charging_limit: ChargingLimit
    charging_schedule: Annotated[tuple[ChargingSchedule, ...], Meta(min_length=1)] | None = None
    evse_id: Int | None = None


class NotifyChargingLimitResponse(Wire, frozen=True):
    """Received."""


class ClearedChargingLimitRequest(Wire, frozen=True):
    """Somebody else than the CSMS limits no more."""

    charging_limit_source: ChargingLimitSource
    evse_id: Int | None = None


class ClearedChargingLimitResponse(Wire, frozen=True):
    """Received."""


class TransactionEventRequest(Wire, frozen=True):
    """Something happened to a transaction; `cable_max_current` in A."""

    event_type: TransactionEventKind
    timestamp: DateTime
    trigger_reason: TriggerReason
    seq_no: Int
    transaction_info: TransactionInfo
    meter_value: MeterValues | None = None
    offline: bool | None = None
    number_of_phases_used: Int | None = None
    cable_max_current: Int | None = None
    reservation_id: Int | None = None
    evse: EvseAddress | None = None
    id_token: WireIdToken | None = None


class TransactionEventResponse(Wire, frozen=True):
    """Received, and perhaps a verdict on the token that the event told."""

    total_cost: float | None = None
    charging_priority: Int | None = None
    id_token_info: IdTokenInfo | None = None
    updated_personal_message: MessageContent | None = None


# --- sent by either ----------------------------------------------------------------------


class DataTransferRequest(Wire, frozen=True):
    """A vendor's own data; `data` is any JSON value."""

    vendor_id: Str255
    message_id: Str50 | None = None
    data: Any = None


class DataTransferResponse(Wire, frozen=True):
    """What became of it."""

    status: DataTransferStatus
    status_info: StatusInfo | None = None
    data: Any = None


# --- sent by the CSMS --------------------------------------------------------------------


class CancelReservationRequest(Wire, frozen=True):
    """End a reservation."""

    reservation_id: Int


class CancelReservationResponse(Wire, frozen=True):
    """Whether it ended."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None


class ChangeAvailabilityRequest(Wire, frozen=True):
    """Make a part of the station operative or not; without `evse` the whole station."""

    operational_status: OperationalStatus
    evse: EvseAddress | None = None


class ChangeAvailabilityResponse(Wire, frozen=True):
    """Whether it is so, or will be."""

    status: AcceptedRejectedOrScheduled
    status_info: StatusInfo | None = None


class ClearCacheRequest(Wire, frozen=True):
    """Empty the authorization cache."""


class ClearCacheResponse(Wire, frozen=True):
    """Whether it is empty."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None


class GetLocalListVersionRequest(Wire, frozen=True):
    """Which local list is there?"""


class GetLocalListVersionResponse(Wire, frozen=True):
    """Its version, 0 for none."""

    version_number: Int


class GetVariablesRequest(Wire, frozen=True):
    """Read variables."""

    get_variable_data: Annotated[tuple[GetVariableData, ...], Meta(min_length=1)]


class GetVariablesResponse(Wire, frozen=True):
    """One result per variable, in the order of the request."""

    get_variable_result: Annotated[tuple[GetVariableResult, ...], Meta(min_length=1)]


class RequestStartTransactionRequest(Wire, frozen=True):
    """Start a transaction."""

    id_token: WireIdToken
    remote_start_id: Int
    evse_id: Int | None = None
    group_id_token: WireIdToken | None = None
    charging_profile: ChargingProfile | None = None


class RequestStartTransactionResponse(Wire, frozen=True):
    """Whether it is going to; `transaction_id` of one that runs already."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None
    transaction_id: Str36 | None = None


class RequestStopTransactionRequest(Wire, frozen=True):
    """Stop a transaction."""

    transaction_id: Str36


class RequestStopTransactionResponse(Wire, frozen=True):
    """Whether it is going to."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None


class ReserveNowRequest(Wire, frozen=True):
    """Keep an EVSE free; without `evse_id` any of them."""

    id: Int
    expiry_date_time: DateTime
    id_token: WireIdToken
    connector_type: ConnectorKind | None = None
    evse_id: Int | None = None
    group_id_token: WireIdToken | None = None


class ReserveNowResponse(Wire, frozen=True):
    """Whether it is reserved."""

    status: ReservationWord
    status_info: StatusInfo | None = None


class ResetRequest(Wire, frozen=True):
    """Restart the station, or one EVSE."""

    type: ResetKind
    evse_id: Int | None = None


class ResetResponse(Wire, frozen=True):
    """Whether it is going to, or when it can."""

    status: AcceptedRejectedOrScheduled
    status_info: StatusInfo | None = None


class AuthorizationData(Wire, frozen=True):
    """An entry of the local list; without `id_token_info` it is to be removed."""

    id_token: WireIdToken
    id_token_info: IdTokenInfo | None = None


class SendLocalListRequest(Wire, frozen=True):
    """Replace or change the local list."""

    version_number: Int
    update_type: UpdateKind
    local_authorization_list: (
        Annotated[tuple[AuthorizationData, ...], Meta(min_length=1)] | None
    ) = None


class SendLocalListResponse(Wire, frozen=True):
    """What became of it."""

    status: UpdateWord
    status_info: StatusInfo | None = None


class ClearChargingProfileRequest(Wire, frozen=True):
    """Remove the profile with this id, or all that fit the criteria."""

    charging_profile_id: Int | None = None
    charging_profile_criteria: ClearChargingProfileCriteria | None = None


class ClearChargingProfileResponse(Wire, frozen=True):
    """Whether there was one."""

    status: Literal["Accepted", "Unknown"]
    status_info: StatusInfo | None = None


class GetChargingProfilesRequest(Wire, frozen=True):
    """Report the profiles that fit the criteria."""

    request_id: Int
    charging_profile: ChargingProfileCriterion
    evse_id: Int | None = None


class GetChargingProfilesResponse(Wire, frozen=True):
    """Whether there are any."""

    status: Literal["Accepted", "NoProfiles"]
    status_info: StatusInfo | None = None


class GetCompositeScheduleRequest(Wire, frozen=True):
    """Tell the limits of an EVSE from now on; evseId 0 is the station."""

    duration: Int
    evse_id: Int
    charging_rate_unit: ChargingRateUnit | None = None


class GetCompositeScheduleResponse(Wire, frozen=True):
    """The limits, or why they cannot be told."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None
    schedule: CompositeSchedule | None = None


class NotifyEVChargingNeedsRequest(Wire, frozen=True):
    """What a vehicle needs."""

    evse_id: Int
    charging_needs: ChargingNeeds
    max_schedule_tuples: Int | None = None


class NotifyEVChargingNeedsResponse(Wire, frozen=True):
    """Whether a schedule follows."""

    status: Literal["Accepted", "Rejected", "Processing"]
    status_info: StatusInfo | None = None


class NotifyEVChargingScheduleRequest(Wire, frozen=True):
    """How a vehicle is going to charge."""

    time_base: DateTime
    evse_id: Int
    charging_schedule: ChargingSchedule


class NotifyEVChargingScheduleResponse(Wire, frozen=True):
    """Whether the CSMS agrees."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None


class ReportChargingProfilesRequest(Wire, frozen=True):
    """Installed profiles of one EVSE and source."""

    request_id: Int
    charging_limit_source: ChargingLimitSource
    evse_id: Int
    charging_profile: Annotated[tuple[ChargingProfile, ...], Meta(min_length=1)]
    tbc: bool | None = None


class ReportChargingProfilesResponse(Wire, frozen=True):
    """It was received."""


class SetChargingProfileRequest(Wire, frozen=True):
    """Install a charging profile; evseId 0 is the station."""

    evse_id: Int
    charging_profile: ChargingProfile


class SetChargingProfileResponse(Wire, frozen=True):
    """Whether it is installed."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None


class SetVariablesRequest(Wire, frozen=True):
    """Write variables."""

    set_variable_data: Annotated[tuple[SetVariableData, ...], Meta(min_length=1)]


class SetVariablesResponse(Wire, frozen=True):
    """One result per variable, in the order of the request."""

    set_variable_result: Annotated[tuple[SetVariableResult, ...], Meta(min_length=1)]


class TriggerMessageRequest(Wire, frozen=True):
    """Tell something now; a word that nobody knows has an answer of its own."""

    requested_message: str
    evse: EvseAddress | None = None


class TriggerMessageResponse(Wire, frozen=True):
    """Whether it will be told."""

    status: TriggerWord
    status_info: StatusInfo | None = None


# --- firmware and logs -------------------------------------------------------------------

FirmwareUpdateWord: TypeAlias = Literal[
    "Accepted", "Rejected", "AcceptedCanceled", "InvalidCertificate", "RevokedCertificate"
]
LogWord: TypeAlias = Literal["Accepted", "Rejected", "AcceptedCanceled"]


class FirmwareStatusNotificationRequest(Wire, frozen=True):
    """How far an update is; without an id only for Idle."""

    status: FirmwareStatus
    request_id: Int | None = None


class FirmwareStatusNotificationResponse(Wire, frozen=True):
    """Heard."""


class LogStatusNotificationRequest(Wire, frozen=True):
    """How far an upload is; without an id only for Idle."""

    status: UploadLogStatus
    request_id: Int | None = None


class LogStatusNotificationResponse(Wire, frozen=True):
    """Heard."""


class UpdateFirmwareRequest(Wire, frozen=True):
    """Fetch, verify and install firmware."""

    request_id: Int
    firmware: Firmware
    retries: Int | None = None
    retry_interval: Int | None = None


class UpdateFirmwareResponse(Wire, frozen=True):
    """Whether it will be done."""

    status: FirmwareUpdateWord
    status_info: StatusInfo | None = None


class GetLogRequest(Wire, frozen=True):
    """Send a log."""

    log: LogParameters
    log_type: Literal["DiagnosticsLog", "SecurityLog"]
    request_id: Int
    retries: Int | None = None
    retry_interval: Int | None = None


class GetLogResponse(Wire, frozen=True):
    """Whether it will be sent, and what it is called."""

    status: LogWord
    status_info: StatusInfo | None = None
    filename: Str255 | None = None


# --- certificates (A02, A03, M03 to M05) ---

RootWord: TypeAlias = Literal[
    "CSMSRootCertificate",
    "ManufacturerRootCertificate",
    "MORootCertificate",
    "V2GRootCertificate",
]
CertificateIdWord: TypeAlias = Literal[
    "CSMSRootCertificate",
    "ManufacturerRootCertificate",
    "MORootCertificate",
    "V2GCertificateChain",
    "V2GRootCertificate",
]
SigningWord: TypeAlias = Literal["ChargingStationCertificate", "V2GCertificate"]


class CertificateHashData(Wire, frozen=True):
    """How a certificate is named."""

    hash_algorithm: Literal["SHA256", "SHA384", "SHA512"]
    issuer_name_hash: Str128
    issuer_key_hash: Str128
    serial_number: Str40


ChildHashes: TypeAlias = Annotated[
    tuple[CertificateHashData, ...], Meta(min_length=1, max_length=4)
]


class CertificateHashDataChain(Wire, frozen=True):
    """An installed certificate, and of a chain those between it and its root."""

    certificate_hash_data: CertificateHashData
    certificate_type: CertificateIdWord
    child_certificate_hash_data: ChildHashes | None = None


class CertificateSignedRequest(Wire, frozen=True):
    """The certificate that was asked for, with its chain."""

    certificate_chain: Annotated[str, Meta(max_length=10_000)]
    certificate_type: SigningWord | None = None


class CertificateSignedResponse(Wire, frozen=True):
    """Whether it is used from now on."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None


class DeleteCertificateRequest(Wire, frozen=True):
    """Remove a certificate."""

    certificate_hash_data: CertificateHashData


class DeleteCertificateResponse(Wire, frozen=True):
    """Whether it is gone."""

    status: Literal["Accepted", "Failed", "NotFound"]
    status_info: StatusInfo | None = None


HashDataChains: TypeAlias = Annotated[tuple[CertificateHashDataChain, ...], Meta(min_length=1)]


class GetInstalledCertificateIdsRequest(Wire, frozen=True):
    """Name the installed certificates; of all kinds if none is given."""

    certificate_type: Annotated[tuple[CertificateIdWord, ...], Meta(min_length=1)] | None = None


class GetInstalledCertificateIdsResponse(Wire, frozen=True):
    """The installed certificates."""

    status: Literal["Accepted", "NotFound"]
    status_info: StatusInfo | None = None
    certificate_hash_data_chain: HashDataChains | None = None


class InstallCertificateRequest(Wire, frozen=True):
    """Trust this root."""

    certificate_type: RootWord
    certificate: Str5500


class InstallCertificateResponse(Wire, frozen=True):
    """Whether it is trusted from now on."""

    status: Literal["Accepted", "Failed", "Rejected"]
    status_info: StatusInfo | None = None


class SignCertificateRequest(Wire, frozen=True):
    """Have this request for a certificate signed."""

    csr: Str5500
    certificate_type: SigningWord | None = None


class SignCertificateResponse(Wire, frozen=True):
    """Whether somebody will."""

    status: AcceptedOrRejected
    status_info: StatusInfo | None = None


class UnlockConnectorRequest(Wire, frozen=True):
    """Release the plug of a connector."""

    evse_id: Int
    connector_id: Int


class UnlockConnectorResponse(Wire, frozen=True):
    """Whether it is released."""

    status: UnlockWord
    status_info: StatusInfo | None = None


# --- tables ------------------------------------------------------------------------------

STATION_REQUESTS: Mapping[str, type[Wire]] = {
    "Authorize": AuthorizeRequest,
    "BootNotification": BootNotificationRequest,
    "ClearedChargingLimit": ClearedChargingLimitRequest,
    "DataTransfer": DataTransferRequest,
    "FirmwareStatusNotification": FirmwareStatusNotificationRequest,
    "Heartbeat": HeartbeatRequest,
    "LogStatusNotification": LogStatusNotificationRequest,
    "MeterValues": MeterValuesRequest,
    "ReservationStatusUpdate": ReservationStatusUpdateRequest,
    "NotifyChargingLimit": NotifyChargingLimitRequest,
    "NotifyEVChargingNeeds": NotifyEVChargingNeedsRequest,
    "NotifyEVChargingSchedule": NotifyEVChargingScheduleRequest,
    "ReportChargingProfiles": ReportChargingProfilesRequest,
    "SecurityEventNotification": SecurityEventNotificationRequest,
    "SignCertificate": SignCertificateRequest,
    "StatusNotification": StatusNotificationRequest,
    "TransactionEvent": TransactionEventRequest,
}
"""What the station sends, by action."""

CSMS_REQUESTS: Mapping[str, type[Wire]] = {
    "CancelReservation": CancelReservationRequest,
    "CertificateSigned": CertificateSignedRequest,
    "ChangeAvailability": ChangeAvailabilityRequest,
    "ClearCache": ClearCacheRequest,
    "ClearChargingProfile": ClearChargingProfileRequest,
    "DataTransfer": DataTransferRequest,
    "DeleteCertificate": DeleteCertificateRequest,
    "GetInstalledCertificateIds": GetInstalledCertificateIdsRequest,
    "GetLocalListVersion": GetLocalListVersionRequest,
    "GetChargingProfiles": GetChargingProfilesRequest,
    "GetCompositeSchedule": GetCompositeScheduleRequest,
    "GetLog": GetLogRequest,
    "GetVariables": GetVariablesRequest,
    "InstallCertificate": InstallCertificateRequest,
    "RequestStartTransaction": RequestStartTransactionRequest,
    "RequestStopTransaction": RequestStopTransactionRequest,
    "ReserveNow": ReserveNowRequest,
    "Reset": ResetRequest,
    "SendLocalList": SendLocalListRequest,
    "SetChargingProfile": SetChargingProfileRequest,
    "SetVariables": SetVariablesRequest,
    "TriggerMessage": TriggerMessageRequest,
    "UpdateFirmware": UpdateFirmwareRequest,
    "UnlockConnector": UnlockConnectorRequest,
}
"""What the station understands, by action."""

RESPONSES: Mapping[str, type[Wire]] = {
    "Authorize": AuthorizeResponse,
    "BootNotification": BootNotificationResponse,
    "CancelReservation": CancelReservationResponse,
    "CertificateSigned": CertificateSignedResponse,
    "ChangeAvailability": ChangeAvailabilityResponse,
    "ClearCache": ClearCacheResponse,
    "ClearedChargingLimit": ClearedChargingLimitResponse,
    "ClearChargingProfile": ClearChargingProfileResponse,
    "DataTransfer": DataTransferResponse,
    "DeleteCertificate": DeleteCertificateResponse,
    "FirmwareStatusNotification": FirmwareStatusNotificationResponse,
    "GetInstalledCertificateIds": GetInstalledCertificateIdsResponse,
    "GetLocalListVersion": GetLocalListVersionResponse,
    "GetChargingProfiles": GetChargingProfilesResponse,
    "GetCompositeSchedule": GetCompositeScheduleResponse,
    "GetLog": GetLogResponse,
    "GetVariables": GetVariablesResponse,
    "Heartbeat": HeartbeatResponse,
    "InstallCertificate": InstallCertificateResponse,
    "LogStatusNotification": LogStatusNotificationResponse,
    "MeterValues": MeterValuesResponse,
    "NotifyChargingLimit": NotifyChargingLimitResponse,
    "NotifyEVChargingNeeds": NotifyEVChargingNeedsResponse,
    "NotifyEVChargingSchedule": NotifyEVChargingScheduleResponse,
    "ReportChargingProfiles": ReportChargingProfilesResponse,
    "RequestStartTransaction": RequestStartTransactionResponse,
    "RequestStopTransaction": RequestStopTransactionResponse,
    "ReservationStatusUpdate": ReservationStatusUpdateResponse,
    "ReserveNow": ReserveNowResponse,
    "Reset": ResetResponse,
    "SecurityEventNotification": SecurityEventNotificationResponse,
    "SendLocalList": SendLocalListResponse,
    "SetChargingProfile": SetChargingProfileResponse,
    "SetVariables": SetVariablesResponse,
    "SignCertificate": SignCertificateResponse,
    "StatusNotification": StatusNotificationResponse,
    "TransactionEvent": TransactionEventResponse,
    "TriggerMessage": TriggerMessageResponse,
    "UpdateFirmware": UpdateFirmwareResponse,
    "UnlockConnector": UnlockConnectorResponse,
}
"""Answers of either side, by action."""

UNSUPPORTED = frozenset(
    {
        "ClearDisplayMessage",
        "ClearVariableMonitoring",
        "CostUpdated",
        "CustomerInformation",
        "Get15118EVCertificate",
        "GetBaseReport",
        "GetCertificateStatus",
        "GetDisplayMessages",
        "GetMonitoringReport",
        "GetReport",
        "GetTransactionStatus",
        "NotifyCustomerInformation",
        "NotifyDisplayMessages",
        "NotifyEvent",
        "NotifyMonitoringReport",
        "NotifyReport",
        "PublishFirmware",
        "PublishFirmwareStatusNotification",
        "SetDisplayMessage",
        "SetMonitoringBase",
        "SetMonitoringLevel",
        "SetNetworkProfile",
        "SetVariableMonitoring",
        "UnpublishFirmware",
    }
)
"""Actions of OCPP 2.0.1 (appendix A.1) that no table above names."""
