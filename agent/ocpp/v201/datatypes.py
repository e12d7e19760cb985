"""The objects and words that OCPP 2.0.1 messages are made of.

Names, lengths, list sizes and words are those of the published JSON schemas (edition 3;
appendices A.2 and A.3 of the reference). What is not obvious:

* Members that are absent and members that are null are the same: None. None is not sent.
* `customData` is allowed in every object and means nothing here, like any member that the
  schemas do not know: both are passed over when a message is read, and none is ever sent.
* Integers have no bounds in the schemas; the specification says 32 bits, and CSMSs in the
  field use milliseconds as ids. We take what fits 64 bits, the most that is kept on disk.
* A `DateTime` is text as it was sent; agent.ocpp.wire_time makes seconds of it.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from agent.ocpp.wire_time import from_text

Int: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
DateTime: TypeAlias = str
Str8: TypeAlias = Annotated[str, Meta(max_length=8)]
Str20: TypeAlias = Annotated[str, Meta(max_length=20)]
Str25: TypeAlias = Annotated[str, Meta(max_length=25)]
Str32: TypeAlias = Annotated[str, Meta(max_length=32)]
Str36: TypeAlias = Annotated[str, Meta(max_length=36)]
Str40: TypeAlias = Annotated[str, Meta(max_length=40)]
Str50: TypeAlias = Annotated[str, Meta(max_length=50)]
Str128: TypeAlias = Annotated[str, Meta(max_length=128)]
Str255: TypeAlias = Annotated[str, Meta(max_length=255)]
Str512: TypeAlias = Annotated[str, Meta(max_length=512)]
Str1000: TypeAlias = Annotated[str, Meta(max_length=1000)]
Str2500: TypeAlias = Annotated[str, Meta(max_length=2500)]
Str800: TypeAlias = Annotated[str, Meta(max_length=800)]
Str5500: TypeAlias = Annotated[str, Meta(max_length=5500)]

# --- words -------------------------------------------------------------------------------

Attribute: TypeAlias = Literal["Actual", "Target", "MinSet", "MaxSet"]
AuthorizationStatus: TypeAlias = Literal[
    "Accepted",
    "Blocked",
    "ConcurrentTx",
    "Expired",
    "Invalid",
    "NoCredit",
    "NotAllowedTypeEVSE",
    "NotAtThisLocation",
    "NotAtThisTime",
    "Unknown",
]
AuthorizeCertificateStatus: TypeAlias = Literal[
    "Accepted",
    "SignatureError",
    "CertificateExpired",
    "CertificateRevoked",
    "NoCertificateAvailable",
    "CertChainError",
    "ContractCancelled",
]
BootReason: TypeAlias = Literal[
    "ApplicationReset",
    "FirmwareUpdate",
    "LocalReset",
    "PowerUp",
    "RemoteReset",
    "ScheduledReset",
    "Triggered",
    "Unknown",
    "Watchdog",
]
EnergyTransferMode: TypeAlias = Literal[
    "DC", "AC_single_phase", "AC_two_phase", "AC_three_phase"
]
ChargingLimitSource: TypeAlias = Literal["EMS", "Other", "SO", "CSO"]
ChargingProfileKind: TypeAlias = Literal["Absolute", "Recurring", "Relative"]
ChargingProfilePurpose: TypeAlias = Literal[
    "ChargingStationExternalConstraints",
    "ChargingStationMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
]
ChargingRateUnit: TypeAlias = Literal["W", "A"]
ChargingState: TypeAlias = Literal[
    "Charging", "EVConnected", "SuspendedEV", "SuspendedEVSE", "Idle"
]
ConnectorStatus: TypeAlias = Literal[
    "Available", "Occupied", "Reserved", "Unavailable", "Faulted"
]
CostKind: TypeAlias = Literal[
    "CarbonDioxideEmission", "RelativePricePercentage", "RenewableGenerationPercentage"
]
DataTransferStatus: TypeAlias = Literal[
    "Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"
]
GetVariableStatus: TypeAlias = Literal[
    "Accepted", "Rejected", "UnknownComponent", "UnknownVariable", "NotSupportedAttributeType"
]
HashAlgorithm: TypeAlias = Literal["SHA256", "SHA384", "SHA512"]
IdTokenKind: TypeAlias = Literal[
    "Central",
    "eMAID",
    "ISO14443",
    "ISO15693",
    "KeyCode",
    "Local",
    "MacAddress",
    "NoAuthorization",
]
Location: TypeAlias = Literal["Body", "Cable", "EV", "Inlet", "Outlet"]
Measurand: TypeAlias = Literal[
    "Current.Export",
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval",
    "Energy.Active.Import.Interval",
    "Energy.Active.Net",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval",
    "Energy.Reactive.Net",
    "Energy.Apparent.Net",
    "Energy.Apparent.Import",
    "Energy.Apparent.Export",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "SoC",
    "Voltage",
]
MessageFormat: TypeAlias = Literal["ASCII", "HTML", "URI", "UTF8"]
OperationalStatus: TypeAlias = Literal["Inoperative", "Operative"]
Phase: TypeAlias = Literal[
    "L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"
]
ReadingContext: TypeAlias = Literal[
    "Interruption.Begin",
    "Interruption.End",
    "Other",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
]
RecurrencyKind: TypeAlias = Literal["Daily", "Weekly"]
RegistrationStatus: TypeAlias = Literal["Accepted", "Pending", "Rejected"]
ResetKind: TypeAlias = Literal["Immediate", "OnIdle"]
SetVariableStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownComponent",
    "UnknownVariable",
    "NotSupportedAttributeType",
    "RebootRequired",
]
StoppedReason: TypeAlias = Literal[
    "DeAuthorized",
    "EmergencyStop",
    "EnergyLimitReached",
    "EVDisconnected",
    "GroundFault",
    "ImmediateReset",
    "Local",
    "LocalOutOfCredit",
    "MasterPass",
    "Other",
    "OvercurrentFault",
    "PowerLoss",
    "PowerQuality",
    "Reboot",
    "Remote",
    "SOCLimitReached",
    "StoppedByEV",
    "TimeLimitReached",
    "Timeout",
]
TransactionEventKind: TypeAlias = Literal["Ended", "Started", "Updated"]
TriggerReason: TypeAlias = Literal[
    "Authorized",
    "CablePluggedIn",
    "ChargingRateChanged",
    "ChargingStateChanged",
    "Deauthorized",
    "EnergyLimitReached",
    "EVCommunicationLost",
    "EVConnectTimeout",
    "MeterValueClock",
    "MeterValuePeriodic",
    "TimeLimitReached",
    "Trigger",
    "UnlockCommand",
    "StopAuthorized",
    "EVDeparted",
    "EVDetected",
    "RemoteStop",
    "RemoteStart",
    "AbnormalCondition",
    "SignedDataReceived",
    "ResetCommand",
]

# --- objects -----------------------------------------------------------------------------


class Wire(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Base of everything that is written as a JSON object."""


class StatusInfo(Wire, frozen=True):
    """Why a status is what it is (StatusInfoType)."""

    reason_code: Str20
    additional_info: Str512 | None = None


class EvseAddress(Wire, frozen=True):
    """An EVSE, or one connector of it (EVSEType)."""

    id: Int
    connector_id: Int | None = None


class AdditionalToken(Wire, frozen=True):
    """A second name of an id token (AdditionalInfoType)."""

    additional_id_token: Str36
    type: Str50


class WireIdToken(Wire, frozen=True):
    """An id token (IdTokenType)."""

    id_token: Str36
    type: IdTokenKind
    additional_info: Annotated[tuple[AdditionalToken, ...], Meta(min_length=1)] | None = None


class MessageContent(Wire, frozen=True):
    """A text for the driver (MessageContentType)."""

    format: MessageFormat
    content: Str512
    language: Str8 | None = None


class IdTokenInfo(Wire, frozen=True):
    """The CSMS's verdict on an id token (IdTokenInfoType)."""

    status: AuthorizationStatus
    cache_expiry_date_time: DateTime | None = None
    charging_priority: Int | None = None
    language1: Str8 | None = None
    evse_id: Annotated[tuple[Int, ...], Meta(min_length=1)] | None = None
    group_id_token: WireIdToken | None = None
    language2: Str8 | None = None
    personal_message: MessageContent | None = None


class OcspRequestData(Wire, frozen=True):
    """Which certificate to ask an OCSP responder about (OCSPRequestDataType)."""

    hash_algorithm: HashAlgorithm
    issuer_name_hash: Str128
    issuer_key_hash: Str128
    serial_number: Str40
    responder_url: Str512 = field(name="responderURL")


class Modem(Wire, frozen=True):
    """A modem's identification (ModemType)."""

    iccid: Str20 | None = None
    imsi: Str20 | None = None


class ChargingStation(Wire, frozen=True):
    """Who the station is (ChargingStationType)."""

    model: Str20
    vendor_name: Str50
    serial_number: Str25 | None = None
    modem: Modem | None = None
    firmware_version: Str50 | None = None


class UnitOfMeasure(Wire, frozen=True):
    """A unit; the value counts in 10**multiplier of it (UnitOfMeasureType)."""

    unit: Str20 | None = None
    multiplier: Int | None = None


class SignedMeterValue(Wire, frozen=True):
    """A value signed by the meter (SignedMeterValueType)."""

    signed_meter_data: Str2500
    signing_method: Str50
    encoding_method: Str50
    public_key: Str2500


class SampledValue(Wire, frozen=True):
    """One figure of a meter value (SampledValueType)."""

    value: float
    context: ReadingContext | None = None
    measurand: Measurand | None = None
    phase: Phase | None = None
    location: Location | None = None
    signed_meter_value: SignedMeterValue | None = None
    unit_of_measure: UnitOfMeasure | None = None


class MeterValue(Wire, frozen=True):
    """Everything that was sampled at one instant (MeterValueType)."""

    timestamp: DateTime
    sampled_value: Annotated[tuple[SampledValue, ...], Meta(min_length=1)]


class TransactionInfo(Wire, frozen=True):
    """The transaction that an event belongs to (TransactionType)."""

    transaction_id: Str36
    charging_state: ChargingState | None = None
    time_spent_charging: Int | None = None
    stopped_reason: StoppedReason | None = None
    remote_start_id: Int | None = None


class Component(Wire, frozen=True):
    """A component of the device model (ComponentType)."""

    name: Str50
    instance: Str50 | None = None
    evse: EvseAddress | None = None


class WireVariable(Wire, frozen=True):
    """A variable of a component (VariableType)."""

    name: Str50
    instance: Str50 | None = None


class GetVariableData(Wire, frozen=True):
    """One variable to read (GetVariableDataType)."""

    component: Component
    variable: WireVariable
    attribute_type: Attribute | None = None


class GetVariableResult(Wire, frozen=True):
    """What became of reading it (GetVariableResultType)."""

    attribute_status: GetVariableStatus
    component: Component
    variable: WireVariable
    attribute_type: Attribute | None = None
    attribute_value: Str2500 | None = None
    attribute_status_info: StatusInfo | None = None


class SetVariableData(Wire, frozen=True):
    """One variable to write (SetVariableDataType)."""

    attribute_value: Str1000
    component: Component
    variable: WireVariable
    attribute_type: Attribute | None = None


class SetVariableResult(Wire, frozen=True):
    """What became of writing it (SetVariableResultType)."""

    attribute_status: SetVariableStatus
    component: Component
    variable: WireVariable
    attribute_type: Attribute | None = None
    attribute_status_info: StatusInfo | None = None


class RelativeTimeInterval(Wire, frozen=True):
    """Seconds from the start of a schedule (RelativeTimeIntervalType)."""

    start: Int
    duration: Int | None = None


class Cost(Wire, frozen=True):
    """A cost, in 10**amountMultiplier (CostType)."""

    cost_kind: CostKind
    amount: Int
    amount_multiplier: Int | None = None


class ConsumptionCost(Wire, frozen=True):
    """Costs from a power on (ConsumptionCostType)."""

    start_value: float
    cost: Annotated[tuple[Cost, ...], Meta(min_length=1, max_length=3)]


class SalesTariffEntry(Wire, frozen=True):
    """Costs within an interval (SalesTariffEntryType)."""

    relative_time_interval: RelativeTimeInterval
    e_price_level: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    consumption_cost: (
        Annotated[tuple[ConsumptionCost, ...], Meta(min_length=1, max_length=3)] | None
    ) = None


class SalesTariff(Wire, frozen=True):
    """A tariff for the vehicle (SalesTariffType)."""

    id: Int
    sales_tariff_entry: Annotated[
        tuple[SalesTariffEntry, ...], Meta(min_length=1, max_length=1024)
    ]
    sales_tariff_description: Str32 | None = None
    num_e_price_levels: Int | None = None


class ChargingSchedulePeriod(Wire, frozen=True):
    """A limit from an offset on, in s (ChargingSchedulePeriodType)."""

    start_period: Int
    limit: float
    number_phases: Int | None = None
    phase_to_use: Int | None = None


class ChargingSchedule(Wire, frozen=True):
    """A limit over time (ChargingScheduleType).

    Raises:
        ValueError: `start_schedule` is no date and time.
    """

    id: Int
    charging_rate_unit: ChargingRateUnit
    charging_schedule_period: Annotated[
        tuple[ChargingSchedulePeriod, ...], Meta(min_length=1, max_length=1024)
    ]
    start_schedule: DateTime | None = None
    duration: Int | None = None
    min_charging_rate: float | None = None
    sales_tariff: SalesTariff | None = None

    def __post_init__(self) -> None:
        if self.start_schedule is not None:
            from_text(self.start_schedule)


class ChargingProfile(Wire, frozen=True):
    """A charging profile (ChargingProfileType).

    Raises:
        ValueError: `valid_from` or `valid_to` is no date and time.
    """

    id: Int
    stack_level: Int
    charging_profile_purpose: ChargingProfilePurpose
    charging_profile_kind: ChargingProfileKind
    charging_schedule: Annotated[tuple[ChargingSchedule, ...], Meta(min_length=1, max_length=3)]
    recurrency_kind: RecurrencyKind | None = None
    valid_from: DateTime | None = None
    valid_to: DateTime | None = None
    transaction_id: Str36 | None = None

    def __post_init__(self) -> None:
        for text in (self.valid_from, self.valid_to):
            if text is not None:
                from_text(text)


class ChargingProfileCriterion(Wire, frozen=True):
    """Which profiles are asked for (ChargingProfileCriterionType)."""

    charging_profile_purpose: ChargingProfilePurpose | None = None
    stack_level: Int | None = None
    charging_profile_id: Annotated[tuple[Int, ...], Meta(min_length=1)] | None = None
    charging_limit_source: (
        Annotated[tuple[ChargingLimitSource, ...], Meta(min_length=1, max_length=4)] | None
    ) = None


class ClearChargingProfileCriteria(Wire, frozen=True):
    """Which profiles are cleared (ClearChargingProfileType)."""

    evse_id: Int | None = None
    charging_profile_purpose: ChargingProfilePurpose | None = None
    stack_level: Int | None = None


class CompositeSchedule(Wire, frozen=True):
    """Limits of an EVSE over time (CompositeScheduleType)."""

    evse_id: Int
    duration: Int
    schedule_start: DateTime
    charging_rate_unit: ChargingRateUnit
    charging_schedule_period: Annotated[tuple[ChargingSchedulePeriod, ...], Meta(min_length=1)]


FirmwareStatus: TypeAlias = Literal[
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
UploadLogStatus: TypeAlias = Literal[
    "BadMessage",
    "Idle",
    "NotSupportedOperation",
    "PermissionDenied",
    "Uploaded",
    "UploadFailure",
    "Uploading",
    "AcceptedCanceled",
]


class Firmware(Wire, frozen=True):
    """FirmwareType: an image, and who signed it how."""

    location: Str512
    retrieve_date_time: DateTime
    install_date_time: DateTime | None = None
    signing_certificate: Str5500 | None = None
    signature: Str800 | None = None


class LogParameters(Wire, frozen=True):
    """LogParametersType: where to and of which time."""

    remote_location: Str512
    oldest_timestamp: DateTime | None = None
    latest_timestamp: DateTime | None = None


class ACChargingParameters(Wire, frozen=True):
    """What a vehicle takes on AC (ACChargingParametersType)."""

    energy_amount: Int
    ev_min_current: Int
    ev_max_current: Int
    ev_max_voltage: Int


class DCChargingParameters(Wire, frozen=True):
    """What a vehicle takes on DC (DCChargingParametersType)."""

    ev_max_current: Int
    ev_max_voltage: Int
    energy_amount: Int | None = None
    ev_max_power: Int | None = None
    state_of_charge: Annotated[int, Meta(ge=0, le=100)] | None = None
    ev_energy_capacity: Int | None = None
    full_soc: Annotated[int, Meta(ge=0, le=100)] | None = field(name="fullSoC", default=None)
    bulk_soc: Annotated[int, Meta(ge=0, le=100)] | None = field(name="bulkSoC", default=None)


class ChargingNeeds(Wire, frozen=True):
    """What a vehicle needs (ChargingNeedsType)."""

    requested_energy_transfer: EnergyTransferMode
    ac_charging_parameters: ACChargingParameters | None = None
    dc_charging_parameters: DCChargingParameters | None = None
    departure_time: DateTime | None = None
