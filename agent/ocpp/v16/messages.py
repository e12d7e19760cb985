"""Payloads of OCPP 1.6 and its security extension, as they are on the wire.

Limits are those of the official JSON schemas; ranges and the `1..*` of arrays, which the
schemas leave out, are those of the specification's tables. Optional members are `None` when
absent and are not written then. Instants stay text here; agent.ocpp.wire_time reads them.

`STATION_REQUESTS` and `CSMS_REQUESTS` name who sends a request; `RESPONSES` holds the answer
to an action, which is the same in both directions.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Text20: TypeAlias = Annotated[str, Meta(max_length=20)]
Text25: TypeAlias = Annotated[str, Meta(max_length=25)]
Text50: TypeAlias = Annotated[str, Meta(max_length=50)]
Text255: TypeAlias = Annotated[str, Meta(max_length=255)]
Text500: TypeAlias = Annotated[str, Meta(max_length=500)]
Text512: TypeAlias = Annotated[str, Meta(max_length=512)]
Text800: TypeAlias = Annotated[str, Meta(max_length=800)]
Text5500: TypeAlias = Annotated[str, Meta(max_length=5500)]
Instant: TypeAlias = str
FromZero: TypeAlias = Annotated[int, Meta(ge=0)]
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
FromOne: TypeAlias = Annotated[int, Meta(ge=1)]

AuthorizationWord: TypeAlias = Literal[
    "Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"
]
RegistrationWord: TypeAlias = Literal["Accepted", "Pending", "Rejected"]
YesNo: TypeAlias = Literal["Accepted", "Rejected"]
AvailabilityWord: TypeAlias = Literal["Accepted", "Rejected", "Scheduled"]
ConfigurationWord: TypeAlias = Literal["Accepted", "Rejected", "RebootRequired", "NotSupported"]
DataTransferWord: TypeAlias = Literal[
    "Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"
]
ReservationWord: TypeAlias = Literal[
    "Accepted", "Faulted", "Occupied", "Rejected", "Unavailable"
]
UnlockWord: TypeAlias = Literal["Unlocked", "UnlockFailed", "NotSupported"]
UpdateWord: TypeAlias = Literal["Accepted", "Failed", "NotSupported", "VersionMismatch"]
TriggerWord: TypeAlias = Literal["Accepted", "Rejected", "NotImplemented"]
PurposeWord: TypeAlias = Literal["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"]
ProfileWord: TypeAlias = Literal["Accepted", "Rejected", "NotSupported"]
StatusWord: TypeAlias = Literal[
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
]
ErrorWord: TypeAlias = Literal[
    "ConnectorLockFailure",
    "EVCommunicationError",
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "LocalListConflict",
    "NoError",
    "OtherError",
    "OverCurrentFailure",
    "OverVoltage",
    "PowerMeterFailure",
    "PowerSwitchFailure",
    "ReaderFailure",
    "ResetFailure",
    "UnderVoltage",
    "WeakSignal",
]
ReasonWord: TypeAlias = Literal[
    "EmergencyStop",
    "EVDisconnected",
    "HardReset",
    "Local",
    "Other",
    "PowerLoss",
    "Reboot",
    "Remote",
    "SoftReset",
    "UnlockCommand",
    "DeAuthorized",
]
ContextWord: TypeAlias = Literal[
    "Interruption.Begin",
    "Interruption.End",
    "Other",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
]
MeasurandWord: TypeAlias = Literal[
    "Current.Export",
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Interval",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Interval",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Interval",
    "Energy.Reactive.Import.Register",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "RPM",
    "SoC",
    "Temperature",
    "Voltage",
]
PhaseWord: TypeAlias = Literal[
    "L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"
]
UnitWord: TypeAlias = Literal[
    "Wh",
    "kWh",
    "varh",
    "kvarh",
    "W",
    "kW",
    "VA",
    "kVA",
    "var",
    "kvar",
    "A",
    "V",
    "K",
    "Celcius",
    "Celsius",
    "Fahrenheit",
    "Percent",
]


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of everything on the wire."""


# --- shared types --------------------------------------------------------------------------


class IdTagInfo(Payload, frozen=True, kw_only=True):
    """Standing of an idTag."""

    status: AuthorizationWord
    expiry_date: Instant | None = None
    parent_id_tag: Text20 | None = None


class SampledValue(Payload, frozen=True, kw_only=True):
    """One measured value; `value` is decimal text, or hex of signed data."""

    value: str
    context: ContextWord | None = None
    format: Literal["Raw", "SignedData"] | None = None
    measurand: MeasurandWord | None = None
    phase: PhaseWord | None = None
    location: Literal["Body", "Cable", "EV", "Inlet", "Outlet"] | None = None
    unit: UnitWord | None = None


class MeterValue(Payload, frozen=True, kw_only=True):
    """What was measured at one instant."""

    timestamp: Instant
    sampled_value: Annotated[tuple[SampledValue, ...], Meta(min_length=1)]


class ChargingSchedulePeriod(Payload, frozen=True, kw_only=True):
    """A limit from `start_period` seconds after the start of the schedule."""

    start_period: int
    limit: float
    number_phases: int | None = None


class ChargingSchedule(Payload, frozen=True, kw_only=True):
    """Limits over time, in A per phase or W in total."""

    charging_rate_unit: Literal["A", "W"]
    charging_schedule_period: Annotated[tuple[ChargingSchedulePeriod, ...], Meta(min_length=1)]
    duration: int | None = None
    start_schedule: Instant | None = None
    min_charging_rate: float | None = None


class ChargingProfile(Payload, frozen=True, kw_only=True):
    """A schedule with its purpose and rank."""

    charging_profile_id: int
    stack_level: FromZero
    charging_profile_purpose: PurposeWord
    charging_profile_kind: Literal["Absolute", "Recurring", "Relative"]
    charging_schedule: ChargingSchedule
    transaction_id: int | None = None
    recurrency_kind: Literal["Daily", "Weekly"] | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None


class KeyValue(Payload, frozen=True, kw_only=True):
    """A configuration key; no value when it is unset or must not be shown."""

    key: Text50
    readonly: bool
    value: Text500 | None = None


class AuthorizationData(Payload, frozen=True, kw_only=True):
    """An entry of the local list; without `id_tag_info` it is to be deleted."""

    id_tag: Text20
    id_tag_info: IdTagInfo | None = None


# --- from the station ----------------------------------------------------------------------


class AuthorizeRequest(Payload, frozen=True, kw_only=True):
    """May this idTag charge?"""

    id_tag: Text20


class AuthorizeResponse(Payload, frozen=True, kw_only=True):
    """The CSMS's verdict."""

    id_tag_info: IdTagInfo


class BootNotificationRequest(Payload, frozen=True, kw_only=True):
    """The station introduces itself."""

    charge_point_vendor: Text20
    charge_point_model: Text20
    charge_point_serial_number: Text25 | None = None
    charge_box_serial_number: Text25 | None = None
    firmware_version: Text50 | None = None
    iccid: Text20 | None = None
    imsi: Text20 | None = None
    meter_type: Text25 | None = None
    meter_serial_number: Text25 | None = None


class BootNotificationResponse(Payload, frozen=True, kw_only=True):
    """Registration; `interval` in s is between heartbeats, or until the next try."""

    status: RegistrationWord
    current_time: Instant
    interval: int


class HeartbeatRequest(Payload, frozen=True, kw_only=True):
    """The station lives."""


class HeartbeatResponse(Payload, frozen=True, kw_only=True):
    """The CSMS's clock."""

    current_time: Instant


class MeterValuesRequest(Payload, frozen=True, kw_only=True):
    """Samples; connector 0 is the main meter."""

    connector_id: FromZero
    meter_value: Annotated[tuple[MeterValue, ...], Meta(min_length=1)]
    transaction_id: int | None = None


class MeterValuesResponse(Payload, frozen=True, kw_only=True):
    """Taken."""


class StartTransactionRequest(Payload, frozen=True, kw_only=True):
    """A transaction began; `meter_start` in Wh."""

    connector_id: FromOne
    id_tag: Text20
    meter_start: int
    timestamp: Instant
    reservation_id: int | None = None


class StartTransactionResponse(Payload, frozen=True, kw_only=True):
    """The CSMS's number for it, any integer."""

    transaction_id: int
    id_tag_info: IdTagInfo


class StopTransactionRequest(Payload, frozen=True, kw_only=True):
    """A transaction is over; `meter_stop` in Wh."""

    transaction_id: int
    meter_stop: int
    timestamp: Instant
    id_tag: Text20 | None = None
    reason: ReasonWord | None = None
    transaction_data: tuple[MeterValue, ...] | None = None


class StopTransactionResponse(Payload, frozen=True, kw_only=True):
    """Standing of the idTag that stopped it."""

    id_tag_info: IdTagInfo | None = None


class StatusNotificationRequest(Payload, frozen=True, kw_only=True):
    """Status of a connector; 0 is the station."""

    connector_id: FromZero
    error_code: ErrorWord
    status: StatusWord
    info: Text50 | None = None
    timestamp: Instant | None = None
    vendor_id: Text255 | None = None
    vendor_error_code: Text50 | None = None


class StatusNotificationResponse(Payload, frozen=True, kw_only=True):
    """Taken."""


class SecurityEventNotificationRequest(Payload, frozen=True, kw_only=True):
    """Something relevant to security happened."""

    type: Text50
    timestamp: Instant
    tech_info: Text255 | None = None


class SecurityEventNotificationResponse(Payload, frozen=True, kw_only=True):
    """Taken."""


class SignCertificateRequest(Payload, frozen=True, kw_only=True):
    """Have this request for a certificate signed."""

    csr: Annotated[str, Meta(max_length=5500)]


class SignCertificateResponse(Payload, frozen=True, kw_only=True):
    """Whether somebody will."""

    status: YesNo


# --- in both directions --------------------------------------------------------------------


class DataTransferRequest(Payload, frozen=True, kw_only=True):
    """A vendor's data."""

    vendor_id: Text255
    message_id: Text50 | None = None
    data: str | None = None


class DataTransferResponse(Payload, frozen=True, kw_only=True):
    """What became of them."""

    status: DataTransferWord
    data: str | None = None


# --- from the CSMS -------------------------------------------------------------------------


class CancelReservationRequest(Payload, frozen=True, kw_only=True):
    """End a reservation."""

    reservation_id: Int64


class CancelReservationResponse(Payload, frozen=True, kw_only=True):
    """Whether it ended."""

    status: YesNo


class ChangeAvailabilityRequest(Payload, frozen=True, kw_only=True):
    """Make a connector, or with 0 the station, operative or inoperative."""

    connector_id: FromZero
    type: Literal["Inoperative", "Operative"]


class ChangeAvailabilityResponse(Payload, frozen=True, kw_only=True):
    """Whether it was done, or will be after the transaction."""

    status: AvailabilityWord


class ChangeConfigurationRequest(Payload, frozen=True, kw_only=True):
    """Write a configuration key."""

    key: Text50
    value: Text500


class ChangeConfigurationResponse(Payload, frozen=True, kw_only=True):
    """What became of it."""

    status: ConfigurationWord


class ClearCacheRequest(Payload, frozen=True, kw_only=True):
    """Empty the authorization cache."""


class ClearCacheResponse(Payload, frozen=True, kw_only=True):
    """Whether it was emptied."""

    status: YesNo


class GetConfigurationRequest(Payload, frozen=True, kw_only=True):
    """Read configuration keys; none or an empty list means all."""

    key: tuple[Text50, ...] | None = None


class GetConfigurationResponse(Payload, frozen=True, kw_only=True):
    """Keys known and unknown; empty lists are not written."""

    configuration_key: tuple[KeyValue, ...] = ()
    unknown_key: tuple[Text50, ...] = ()


class GetLocalListVersionRequest(Payload, frozen=True, kw_only=True):
    """Read the version of the local list."""


class GetLocalListVersionResponse(Payload, frozen=True, kw_only=True):
    """Its version; 0 when empty, -1 when there is no such list."""

    list_version: int


class RemoteStartTransactionRequest(Payload, frozen=True, kw_only=True):
    """Start a transaction for an idTag."""

    id_tag: Text20
    connector_id: int | None = None
    charging_profile: ChargingProfile | None = None


class RemoteStartTransactionResponse(Payload, frozen=True, kw_only=True):
    """Whether the station will try."""

    status: YesNo


class RemoteStopTransactionRequest(Payload, frozen=True, kw_only=True):
    """Stop the transaction with the CSMS's number."""

    transaction_id: int


class RemoteStopTransactionResponse(Payload, frozen=True, kw_only=True):
    """Whether the station will stop it."""

    status: YesNo


class ReserveNowRequest(Payload, frozen=True, kw_only=True):
    """Keep a connector free for an idTag; 0 means any."""

    connector_id: FromZero
    expiry_date: Instant
    id_tag: Text20
    reservation_id: Int64
    parent_id_tag: Text20 | None = None


class ReserveNowResponse(Payload, frozen=True, kw_only=True):
    """Whether it is reserved."""

    status: ReservationWord


class ResetRequest(Payload, frozen=True, kw_only=True):
    """Restart the station."""

    type: Literal["Hard", "Soft"]


class ResetResponse(Payload, frozen=True, kw_only=True):
    """Whether it will."""

    status: YesNo


class SendLocalListRequest(Payload, frozen=True, kw_only=True):
    """Replace or change the local list."""

    list_version: int
    update_type: Literal["Differential", "Full"]
    local_authorization_list: tuple[AuthorizationData, ...] | None = None


class SendLocalListResponse(Payload, frozen=True, kw_only=True):
    """What became of it."""

    status: UpdateWord


class ClearChargingProfileRequest(Payload, frozen=True, kw_only=True):
    """Remove the profile with this id, or all that fit the other members."""

    id: int | None = None
    connector_id: int | None = None
    charging_profile_purpose: PurposeWord | None = None
    stack_level: int | None = None


class ClearChargingProfileResponse(Payload, frozen=True, kw_only=True):
    """Whether there was one."""

    status: Literal["Accepted", "Unknown"]


class GetCompositeScheduleRequest(Payload, frozen=True, kw_only=True):
    """Tell the limits of a connector from now on; connector 0 is the station."""

    connector_id: FromZero
    duration: int
    charging_rate_unit: Literal["A", "W"] | None = None


class GetCompositeScheduleResponse(Payload, frozen=True, kw_only=True):
    """The limits; only the status when they cannot be told."""

    status: YesNo
    connector_id: int | None = None
    schedule_start: Instant | None = None
    charging_schedule: ChargingSchedule | None = None


class SetChargingProfileRequest(Payload, frozen=True, kw_only=True):
    """Install a charging profile; connector 0 is the station."""

    connector_id: FromZero
    cs_charging_profiles: ChargingProfile


class SetChargingProfileResponse(Payload, frozen=True, kw_only=True):
    """Whether it was installed."""

    status: ProfileWord


class TriggerMessageRequest(Payload, frozen=True, kw_only=True):
    """Tell something now; a word that nobody knows has an answer of its own."""

    requested_message: str
    connector_id: int | None = None


class TriggerMessageResponse(Payload, frozen=True, kw_only=True):
    """Whether it will be told."""

    status: TriggerWord


class ExtendedTriggerMessageRequest(TriggerMessageRequest, frozen=True, kw_only=True):
    """The same, with the words of the security extension."""


class ExtendedTriggerMessageResponse(TriggerMessageResponse, frozen=True, kw_only=True):
    """Whether it will be told."""


class UnlockConnectorRequest(Payload, frozen=True, kw_only=True):
    """Release the cable; what is no connector has an answer of its own."""

    connector_id: int


class UnlockConnectorResponse(Payload, frozen=True, kw_only=True):
    """Whether it is released."""

    status: UnlockWord


# --- firmware and logs -----------------------------------------------------------------------


FirmwareWord: TypeAlias = Literal[
    "Downloaded",
    "DownloadFailed",
    "Downloading",
    "Idle",
    "InstallationFailed",
    "Installing",
    "Installed",
]
SignedFirmwareWord: TypeAlias = Literal[
    "Downloaded",
    "DownloadFailed",
    "Downloading",
    "DownloadScheduled",
    "DownloadPaused",
    "Idle",
    "InstallationFailed",
    "Installing",
    "Installed",
    "InstallRebooting",
    "InstallScheduled",
    "InstallVerificationFailed",
    "InvalidSignature",
    "SignatureVerified",
]
FirmwareUpdateWord: TypeAlias = Literal[
    "Accepted", "Rejected", "AcceptedCanceled", "InvalidCertificate", "RevokedCertificate"
]
DiagnosticsWord: TypeAlias = Literal["Idle", "Uploaded", "UploadFailed", "Uploading"]
LogWord: TypeAlias = Literal["Accepted", "Rejected", "AcceptedCanceled"]
LogStatusWord: TypeAlias = Literal[
    "BadMessage",
    "Idle",
    "NotSupportedOperation",
    "PermissionDenied",
    "Uploaded",
    "UploadFailure",
    "Uploading",
]


class DiagnosticsStatusNotificationRequest(Payload, frozen=True, kw_only=True):
    """How far a GetDiagnostics is."""

    status: DiagnosticsWord


class DiagnosticsStatusNotificationResponse(Payload, frozen=True, kw_only=True):
    """Heard."""


class FirmwareStatusNotificationRequest(Payload, frozen=True, kw_only=True):
    """How far an UpdateFirmware is."""

    status: FirmwareWord


class FirmwareStatusNotificationResponse(Payload, frozen=True, kw_only=True):
    """Heard."""


class LogStatusNotificationRequest(Payload, frozen=True, kw_only=True):
    """How far a GetLog is; without an id only for Idle."""

    status: LogStatusWord
    request_id: int | None = None


class LogStatusNotificationResponse(Payload, frozen=True, kw_only=True):
    """Heard."""


class SignedFirmwareStatusNotificationRequest(Payload, frozen=True, kw_only=True):
    """How far a SignedUpdateFirmware is; without an id only for Idle."""

    status: SignedFirmwareWord
    request_id: int | None = None


class SignedFirmwareStatusNotificationResponse(Payload, frozen=True, kw_only=True):
    """Heard."""


class GetDiagnosticsRequest(Payload, frozen=True, kw_only=True):
    """Send diagnostics to a directory or an address."""

    location: str
    retries: int | None = None
    retry_interval: int | None = None
    start_time: Instant | None = None
    stop_time: Instant | None = None


class GetDiagnosticsResponse(Payload, frozen=True, kw_only=True):
    """What the file will be called; without a name there is none."""

    file_name: Text255 | None = None


class LogParameters(Payload, frozen=True, kw_only=True):
    """Where to and of which time."""

    remote_location: Text512
    oldest_timestamp: Instant | None = None
    latest_timestamp: Instant | None = None


class GetLogRequest(Payload, frozen=True, kw_only=True):
    """Send a log."""

    log: LogParameters
    log_type: Literal["DiagnosticsLog", "SecurityLog"]
    request_id: int
    retries: int | None = None
    retry_interval: int | None = None


class GetLogResponse(Payload, frozen=True, kw_only=True):
    """What the file will be called."""

    status: LogWord
    filename: Text255 | None = None


class UpdateFirmwareRequest(Payload, frozen=True, kw_only=True):
    """Fetch and install firmware."""

    location: str
    retrieve_date: Instant
    retries: int | None = None
    retry_interval: int | None = None


class UpdateFirmwareResponse(Payload, frozen=True, kw_only=True):
    """Understood."""


class SignedFirmware(Payload, frozen=True, kw_only=True):
    """The image, its signer and its signature."""

    location: Text512
    retrieve_date_time: Instant
    signing_certificate: Text5500
    signature: Text800
    install_date_time: Instant | None = None


class SignedUpdateFirmwareRequest(Payload, frozen=True, kw_only=True):
    """Fetch, verify and install firmware."""

    request_id: int
    firmware: SignedFirmware
    retries: int | None = None
    retry_interval: int | None = None


class SignedUpdateFirmwareResponse(Payload, frozen=True, kw_only=True):
    """Whether it will be done."""

    status: FirmwareUpdateWord


RootWord: TypeAlias = Literal["CentralSystemRootCertificate", "ManufacturerRootCertificate"]
Pem: TypeAlias = Annotated[str, Meta(max_length=5500)]
Hex128: TypeAlias = Annotated[str, Meta(max_length=128)]


class CertificateHashData(Payload, frozen=True, kw_only=True):
    """How a certificate is named."""

    hash_algorithm: Literal["SHA256", "SHA384", "SHA512"]
    issuer_name_hash: Hex128
    issuer_key_hash: Hex128
    serial_number: Annotated[str, Meta(max_length=40)]


class CertificateSignedRequest(Payload, frozen=True, kw_only=True):
    """The certificate that was asked for, with its chain."""

    certificate_chain: Annotated[str, Meta(max_length=10_000)]


class CertificateSignedResponse(Payload, frozen=True, kw_only=True):
    """Whether it is used from now on."""

    status: YesNo


class DeleteCertificateRequest(Payload, frozen=True, kw_only=True):
    """Remove a certificate."""

    certificate_hash_data: CertificateHashData


class DeleteCertificateResponse(Payload, frozen=True, kw_only=True):
    """Whether it is gone."""

    status: Literal["Accepted", "Failed", "NotFound"]


HashDataList: TypeAlias = Annotated[tuple[CertificateHashData, ...], Meta(min_length=1)]


class GetInstalledCertificateIdsRequest(Payload, frozen=True, kw_only=True):
    """Name the installed roots of a kind."""

    certificate_type: RootWord


class GetInstalledCertificateIdsResponse(Payload, frozen=True, kw_only=True):
    """The installed roots."""

    status: Literal["Accepted", "NotFound"]
    certificate_hash_data: HashDataList | None = None


class InstallCertificateRequest(Payload, frozen=True, kw_only=True):
    """Trust this root."""

    certificate_type: RootWord
    certificate: Pem


class InstallCertificateResponse(Payload, frozen=True, kw_only=True):
    """Whether it is trusted from now on."""

    status: Literal["Accepted", "Failed", "Rejected"]


STATION_REQUESTS: Mapping[str, type[Payload]] = {
    "Authorize": AuthorizeRequest,
    "BootNotification": BootNotificationRequest,
    "DataTransfer": DataTransferRequest,
    "DiagnosticsStatusNotification": DiagnosticsStatusNotificationRequest,
    "FirmwareStatusNotification": FirmwareStatusNotificationRequest,
    "Heartbeat": HeartbeatRequest,
    "LogStatusNotification": LogStatusNotificationRequest,
    "MeterValues": MeterValuesRequest,
    "SecurityEventNotification": SecurityEventNotificationRequest,
    "SignCertificate": SignCertificateRequest,
    "SignedFirmwareStatusNotification": SignedFirmwareStatusNotificationRequest,
    "StartTransaction": StartTransactionRequest,
    "StatusNotification": StatusNotificationRequest,
    "StopTransaction": StopTransactionRequest,
}
CSMS_REQUESTS: Mapping[str, type[Payload]] = {
    "CancelReservation": CancelReservationRequest,
    "CertificateSigned": CertificateSignedRequest,
    "ChangeAvailability": ChangeAvailabilityRequest,
    "ChangeConfiguration": ChangeConfigurationRequest,
    "ClearCache": ClearCacheRequest,
    "ClearChargingProfile": ClearChargingProfileRequest,
    "DataTransfer": DataTransferRequest,
    "DeleteCertificate": DeleteCertificateRequest,
    "ExtendedTriggerMessage": ExtendedTriggerMessageRequest,
    "GetCompositeSchedule": GetCompositeScheduleRequest,
    "GetConfiguration": GetConfigurationRequest,
    "GetDiagnostics": GetDiagnosticsRequest,
    "GetInstalledCertificateIds": GetInstalledCertificateIdsRequest,
    "GetLocalListVersion": GetLocalListVersionRequest,
    "GetLog": GetLogRequest,
    "InstallCertificate": InstallCertificateRequest,
    "RemoteStartTransaction": RemoteStartTransactionRequest,
    "RemoteStopTransaction": RemoteStopTransactionRequest,
    "ReserveNow": ReserveNowRequest,
    "Reset": ResetRequest,
    "SendLocalList": SendLocalListRequest,
    "SetChargingProfile": SetChargingProfileRequest,
    "SignedUpdateFirmware": SignedUpdateFirmwareRequest,
    "TriggerMessage": TriggerMessageRequest,
    "UnlockConnector": UnlockConnectorRequest,
    "UpdateFirmware": UpdateFirmwareRequest,
}
RESPONSES: Mapping[str, type[Payload]] = {
    "Authorize": AuthorizeResponse,
    "BootNotification": BootNotificationResponse,
    "CancelReservation": CancelReservationResponse,
    "CertificateSigned": CertificateSignedResponse,
    "ChangeAvailability": ChangeAvailabilityResponse,
    "ChangeConfiguration": ChangeConfigurationResponse,
    "ClearCache": ClearCacheResponse,
    "ClearChargingProfile": ClearChargingProfileResponse,
    "DataTransfer": DataTransferResponse,
    "DeleteCertificate": DeleteCertificateResponse,
    "DiagnosticsStatusNotification": DiagnosticsStatusNotificationResponse,
    "ExtendedTriggerMessage": ExtendedTriggerMessageResponse,
    "GetCompositeSchedule": GetCompositeScheduleResponse,
    "FirmwareStatusNotification": FirmwareStatusNotificationResponse,
    "GetConfiguration": GetConfigurationResponse,
    "GetDiagnostics": GetDiagnosticsResponse,
    "GetInstalledCertificateIds": GetInstalledCertificateIdsResponse,
    "GetLocalListVersion": GetLocalListVersionResponse,
    "GetLog": GetLogResponse,
    "Heartbeat": HeartbeatResponse,
    "InstallCertificate": InstallCertificateResponse,
    "LogStatusNotification": LogStatusNotificationResponse,
    "MeterValues": MeterValuesResponse,
    "RemoteStartTransaction": RemoteStartTransactionResponse,
    "RemoteStopTransaction": RemoteStopTransactionResponse,
    "ReserveNow": ReserveNowResponse,
    "Reset": ResetResponse,
    "SecurityEventNotification": SecurityEventNotificationResponse,
    "SendLocalList": SendLocalListResponse,
    "SetChargingProfile": SetChargingProfileResponse,
    "SignCertificate": SignCertificateResponse,
    "SignedFirmwareStatusNotification": SignedFirmwareStatusNotificationResponse,
    "SignedUpdateFirmware": SignedUpdateFirmwareResponse,
    "StartTransaction": StartTransactionResponse,
    "StatusNotification": StatusNotificationResponse,
    "StopTransaction": StopTransactionResponse,
    "TriggerMessage": TriggerMessageResponse,
    "UnlockConnector": UnlockConnectorResponse,
    "UpdateFirmware": UpdateFirmwareResponse,
}
