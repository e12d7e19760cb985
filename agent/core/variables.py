"""Every setting once: its place in the 2.0.1 device model, its 1.6 key, type, bounds, default.

This table is the only place where a setting is declared. Configuration files, the control
socket, 1.6 configuration keys and 2.0.1 variables all read and write through it. Names are
`Component.Variable` or `Component.Variable[instance]`, compared without regard to case.
"""

import enum
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from msgspec.structs import replace

from agent.core.values import Measurand, Value


class Kind(enum.Enum):
    """Data type of a setting (OCPP 2.0.1 DataEnumType)."""

    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    OPTION = "OptionList"
    PASSWORD = "passwordString"  # noqa: S105  # a type
    MEMBERS = "MemberList"


class Access(enum.Enum):
    """Who may do what over OCPP."""

    READ_ONLY = "ReadOnly"
    READ_WRITE = "ReadWrite"
    WRITE_ONLY = "WriteOnly"


class Variable(Value, frozen=True, dict=True):
    """Declaration of one setting.

    Attributes:
        instance: variable instance, None for most.
        key: the 1.6 configuration key, None when 1.6 has none.
        minimum, maximum: bounds of a number; of a string or list: longest text.
        members: what an OPTION or MEMBERS setting may hold.
        is_derived: the station computes the value; it cannot be configured.
        is_credential: what is written goes to agent.core.credentials, and not among the
            settings.
        needs_reboot: a new value is stored but takes effect at the next start.
        is_required: 1.6 demands its key of every station that has the feature profile.
        most_items: longest list, None for as long as its text may be.
        is_numbered: items of a list are `<connector>.<word>`, one for each connector.
    """

    component: str
    variable: str
    kind: Kind
    default: str
    meaning: str
    instance: str | None = None
    key: str | None = None
    unit: str | None = None
    access: Access = Access.READ_WRITE
    minimum: float | None = None
    maximum: float | None = None
    members: tuple[str, ...] = ()
    is_derived: bool = False
    is_credential: bool = False
    needs_reboot: bool = False
    is_required: bool = False
    most_items: int | None = None
    is_numbered: bool = False

    @cached_property
    def name(self) -> str:
        """Return the canonical name."""
        suffix = f"[{self.instance}]" if self.instance else ""
        return f"{self.component}.{self.variable}{suffix}"


def _seconds(
    component: str, variable: str, default: int, meaning: str, **more: Any
) -> Variable:
    fields = {"minimum": 0, "maximum": 31_536_000, **more}
    return Variable(
        component, variable, Kind.INTEGER, str(default), meaning, unit="s", **fields
    )


def _flag(component: str, variable: str, default: bool, meaning: str, **more: Any) -> Variable:
    text = "true" if default else "false"
    return Variable(component, variable, Kind.BOOLEAN, text, meaning, **more)


ROTATIONS = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")
"""How phases may be wired (1.6 ConnectorPhaseRotation, 2.0.1 PhaseRotation)."""

PHASED = (Measurand.CURRENT_IMPORT, Measurand.POWER_IMPORT, Measurand.VOLTAGE)
"""Measurands that can be wanted for one phase, as `Voltage.L1` (1.6 reference 5.3)."""

_MEASURANDS = (
    *sorted(measurand.value for measurand in Measurand),
    *(f"{measurand.value}.{phase}" for measurand in PHASED for phase in ("L1", "L2", "L3")),
)
_ENERGY = Measurand.ENERGY_IMPORT.value
_USUAL = ",".join(
    measurand.value
    for measurand in (
        Measurand.ENERGY_IMPORT,
        Measurand.POWER_IMPORT,
        Measurand.CURRENT_IMPORT,
        Measurand.VOLTAGE,
    )
)


MOST_MEASURANDS = 20
"""Items of a list of measurands (1.6 reference 7.1)."""


def _measurands(
    component: str, variable: str, default: str, meaning: str, key: str | None = None
) -> Variable:
    return Variable(
        component,
        variable,
        Kind.MEMBERS,
        default,
        meaning,
        key=key,
        members=_MEASURANDS,
        maximum=1000,
        is_required=key is not None,
        most_items=MOST_MEASURANDS,
    )


HEARTBEAT_INTERVAL = _seconds(
    "OCPPCommCtrlr",
    "HeartbeatInterval",
    300,
    "Time between heartbeats; the CSMS sets it when it accepts the station.",
    key="HeartbeatInterval",
    is_required=True,
)
PING_INTERVAL = _seconds(
    "OCPPCommCtrlr",
    "WebSocketPingInterval",
    30,
    "Time between WebSocket pings; 0 sends none.",
    key="WebSocketPingInterval",
)
MESSAGE_TIMEOUT = _seconds(
    "OCPPCommCtrlr",
    "MessageTimeout",
    30,
    "How long to wait for the answer to a call.",
    instance="Default",
    key="MessageTimeout",
    minimum=1,
    maximum=600,
)
MESSAGE_ATTEMPTS = Variable(
    "OCPPCommCtrlr",
    "MessageAttempts",
    Kind.INTEGER,
    "3",
    "How often a transaction message is sent before it steps aside.",
    instance="TransactionEvent",
    key="TransactionMessageAttempts",
    is_required=True,
    minimum=1,
    maximum=100,
)
MESSAGE_ATTEMPT_INTERVAL = _seconds(
    "OCPPCommCtrlr",
    "MessageAttemptInterval",
    60,
    "Wait before a refused transaction message is sent again, times the transmissions so far.",
    instance="TransactionEvent",
    key="TransactionMessageRetryInterval",
    is_required=True,
    maximum=86_400,
)
BACKOFF_MINIMUM = _seconds(
    "OCPPCommCtrlr",
    "RetryBackOffWaitMinimum",
    5,
    "First wait before dialing again.",
    minimum=1,
    maximum=3600,
)
BACKOFF_RANDOM = _seconds(
    "OCPPCommCtrlr",
    "RetryBackOffRandomRange",
    10,
    "Upper end of the random part of every wait.",
    maximum=3600,
)
BACKOFF_REPEAT = Variable(
    "OCPPCommCtrlr",
    "RetryBackOffRepeatTimes",
    Kind.INTEGER,
    "6",
    "How often the wait doubles.",
    minimum=0,
    maximum=16,
)
PROFILE_ATTEMPTS = Variable(
    "OCPPCommCtrlr",
    "NetworkProfileConnectionAttempts",
    Kind.INTEGER,
    "3",
    "Dials per network profile before the next one is tried.",
    minimum=1,
    maximum=100,
)
OFFLINE_THRESHOLD = _seconds(
    "OCPPCommCtrlr",
    "OfflineThreshold",
    60,
    "After a longer outage every connector status is told again (2.0.1).",
)
OFFLINE_LIMIT = Variable(
    "SmartChargingCtrlr",
    "OfflineLimit",
    Kind.INTEGER,
    "80",
    "What an EVSE may offer at most once the CSMS is out of reach for longer than "
    "OfflineThreshold; 0: nothing, 80: no such limit.",
    unit="A",
    minimum=0,
    maximum=80,
)
LIMIT_SIGNIFICANCE = Variable(
    "SmartChargingCtrlr",
    "LimitChangeSignificance",
    Kind.DECIMAL,
    "10.0",
    "By how much a limit that is not the CSMS's must change to be told again.",
    unit="%",
    minimum=0,
    maximum=100,
)
LIMIT_SCHEDULES = _flag(
    "SmartChargingCtrlr",
    "NotifyChargingLimitWithSchedules",
    False,
    "A limit that is not the CSMS's is told with how much it leaves.",
)
EXTERNAL_SIGNALS = _flag(
    "SmartChargingCtrlr",
    "ExternalControlSignalsEnabled",
    True,
    "Energy managers may limit; false: only the CSMS, the wiring and the grid operator do.",
    access=Access.READ_ONLY,
)
PHASES_3TO1 = _flag(
    "SmartChargingCtrlr",
    "Phases3to1",
    False,
    "A transaction can go on with one phase instead of three at one EVSE at least.",
    key="ConnectorSwitch3to1PhaseSupported",
    access=Access.READ_ONLY,
    is_derived=True,
)
AC_PHASE_SWITCHING = _flag(
    "SmartChargingCtrlr",
    "ACPhaseSwitchingSupported",
    False,
    "A profile can choose which phase is used (phaseToUse); no hardware here can.",
    access=Access.READ_ONLY,
    is_derived=True,
)
MINIMUM_PAUSE = _seconds(
    "SmartChargingCtrlr",
    "MinimumPause",
    60,
    "Shortest time without an offer after a limit below 6 A has taken it away.",
    maximum=3600,
)
BOOT_ON_RECONNECT = _flag(
    "OCPPCommCtrlr",
    "BootOnReconnect",
    False,
    "The station introduces itself on every connection; some CSMSs show it offline otherwise.",
)
BOOT_WHEN_TRIGGERED = _flag(
    "OCPPCommCtrlr",
    "BootWhenTriggered",
    False,
    "An accepted station introduces itself again when the CSMS triggers it, against the rule.",
)
STATUS_ON_RECONNECT = _flag(
    "OCPPCommCtrlr",
    "StatusOnReconnect",
    False,
    "Every connector status is told on every connection, not only what has changed.",
)
RESET_RETRIES = Variable(
    "OCPPCommCtrlr",
    "ResetRetries",
    Kind.INTEGER,
    "1",
    "How often an unsuccessful reset is tried again.",
    key="ResetRetries",
    is_required=True,
    minimum=0,
    maximum=10,
)
AUTHORIZE_REMOTE_START = _flag(
    "AuthCtrlr",
    "AuthorizeRemoteStart",
    False,
    "A remotely started token is authorized like a local one.",
    key="AuthorizeRemoteTxRequests",
    is_required=True,
)
LOCAL_AUTHORIZE_OFFLINE = _flag(
    "AuthCtrlr",
    "LocalAuthorizeOffline",
    True,
    "Offline, tokens known to the cache may charge.",
    key="LocalAuthorizeOffline",
    is_required=True,
)
LOCAL_PRE_AUTHORIZE = _flag(
    "AuthCtrlr",
    "LocalPreAuthorize",
    False,
    "Online, tokens known to the cache start without asking the CSMS.",
    key="LocalPreAuthorize",
    is_required=True,
)
OFFLINE_UNKNOWN = _flag(
    "AuthCtrlr",
    "OfflineTxForUnknownIdEnabled",
    False,
    "Offline, unknown tokens may charge.",
    key="AllowOfflineTxForUnknownId",
)
CACHE_ENABLED = _flag(
    "AuthCacheCtrlr",
    "Enabled",
    True,
    "The authorization cache is used.",
    key="AuthorizationCacheEnabled",
)
CACHE_LIFETIME = _seconds(
    "AuthCacheCtrlr",
    "LifeTime",
    0,
    "How long a cached token is good without news; 0: without end.",
    key="AuthorizationCacheLifeTime",
)
CACHE_IS_FINAL = _flag(
    "AuthCacheCtrlr",
    "DisablePostAuthorize",
    False,
    "Online, the CSMS is not asked again about a token that the cache refuses.",
)
LIST_ENABLED = _flag(
    "LocalAuthListCtrlr",
    "Enabled",
    True,
    "The local authorization list is used; switched off it is kept, and not shown.",
    key="LocalAuthListEnabled",
    is_required=True,
)
LIST_IS_FINAL = _flag(
    "LocalAuthListCtrlr",
    "DisablePostAuthorize",
    False,
    "Online, the CSMS is not asked again about a token that the local list refuses.",
)
LIST_CAPACITY = Variable(
    "LocalAuthListCtrlr",
    "Capacity",
    Kind.INTEGER,
    "1000",
    "Most tokens in the local list.",
    key="LocalAuthListMaxLength",
    is_required=True,
    access=Access.READ_ONLY,
    minimum=1,
    maximum=10_000,
)
LIST_ITEMS = Variable(
    "LocalAuthListCtrlr",
    "ItemsPerMessage",
    Kind.INTEGER,
    "200",
    "Most tokens in one update of the local list.",
    key="SendLocalListMaxLength",
    is_required=True,
    access=Access.READ_ONLY,
    minimum=1,
    maximum=1000,
)
RESERVATIONS = _flag(
    "ReservationCtrlr",
    "Enabled",
    True,
    "EVSEs can be reserved; switched off, reservations rest.",
)
RESERVE_ANY = _flag(
    "ReservationCtrlr",
    "NonEvseSpecific",
    True,
    "A reservation may leave open which EVSE it is for.",
    key="ReserveConnectorZeroSupported",
    access=Access.READ_ONLY,
)
MINIMUM_STATUS = _seconds(
    "ChargingStation",
    "MinimumStatusDuration",
    0,
    "How long a status has to last before it is told; faults wait for nothing.",
    key="MinimumStatusDuration",
    maximum=3600,
)
CONNECTION_TIMEOUT = _seconds(
    "TxCtrlr",
    "EVConnectionTimeOut",
    60,
    "Time from authorization to plug-in; 0: without end.",
    key="ConnectionTimeOut",
    is_required=True,
    maximum=86_400,
)
STOP_ON_EV_DISCONNECT = _flag(
    "TxCtrlr",
    "StopTxOnEVSideDisconnect",
    True,
    "Unplugging the vehicle ends the transaction; otherwise it waits for its return.",
    key="StopTransactionOnEVSideDisconnect",
)
UNLOCK_ON_EV_DISCONNECT = _flag(
    "OCPPCommCtrlr",
    "UnlockOnEVSideDisconnect",
    True,
    "Unplugging the vehicle releases the plug in the socket; otherwise its driver does. "
    "Without any socket, because all cables are fixed, it is false and read-only.",
    key="UnlockConnectorOnEVSideDisconnect",
)
UNLOCK_ON_DEAUTHORIZED = _flag(
    "TxCtrlr",
    "UnlockOnDeAuthorized",
    False,
    "A transaction that the CSMS refuses releases the plug; otherwise its driver does.",
    key="UnlockOnDeAuthorized",
)
STOP_ON_INVALID_ID = _flag(
    "TxCtrlr",
    "StopTxOnInvalidId",
    True,
    "A token that the CSMS refuses ends its transaction; otherwise it is suspended.",
    key="StopTransactionOnInvalidId",
    is_required=True,
)
MAX_ENERGY_ON_INVALID_ID = Variable(
    "TxCtrlr",
    "MaxEnergyOnInvalidId",
    Kind.INTEGER,
    "0",
    "Energy a refused token may still draw when its transaction is not ended.",
    key="MaxEnergyOnInvalidId",
    unit="Wh",
    minimum=0,
    maximum=1_000_000,
)
START_TOKEN_IN_STOP = _flag(
    "TxCtrlr",
    "StartTokenInEveryStop",
    False,
    "1.6: StopTransaction names the token that began when nobody presented one to stop.",
)
TX_BEFORE_ACCEPTED = _flag(
    "TxCtrlr",
    "TxBeforeAcceptedEnabled",
    False,
    "Charging is possible before the CSMS has accepted the station.",
)
TX_START_POINT = Variable(
    "TxCtrlr",
    "TxStartPoint",
    Kind.MEMBERS,
    "PowerPathClosed",
    "A transaction begins when the vehicle is connected and authorized.",
    access=Access.READ_ONLY,
    members=("PowerPathClosed",),
    maximum=1000,
)
TX_STOP_POINT = Variable(
    "TxCtrlr",
    "TxStopPoint",
    Kind.MEMBERS,
    "EVConnected,Authorized",
    "A transaction ends when the vehicle leaves or its authorization ends.",
    access=Access.READ_ONLY,
    members=("EVConnected", "Authorized"),
    maximum=1000,
)
RESUME_AFTER_POWER_LOSS = _flag(
    "TxCtrlr",
    "ResumeAfterPowerLoss",
    False,
    "A transaction cut by a power loss goes on when the vehicle is still there; else it ends.",
    key="TxResumeAfterPowerLoss",
)
METER_FAILURE_ENDS = _flag(
    "TxCtrlr",
    "StopTxOnMeterFailure",
    True,
    "A meter that stays silent ends the transaction; otherwise it is suspended.",
)
SAMPLE_INTERVAL = _seconds(
    "SampledDataCtrlr",
    "TxUpdatedInterval",
    60,
    "Time between samples in a transaction; 0: none.",
    key="MeterValueSampleInterval",
    is_required=True,
    maximum=86_400,
)
SAMPLED_MEASURANDS = _measurands(
    "SampledDataCtrlr",
    "TxUpdatedMeasurands",
    _USUAL,
    "What periodic samples contain.",
    "MeterValuesSampledData",
)
STARTED_MEASURANDS = _measurands(
    "SampledDataCtrlr",
    "TxStartedMeasurands",
    _ENERGY,
    "What the start of a transaction contains.",
)
ENDED_MEASURANDS = _measurands(
    "SampledDataCtrlr",
    "TxEndedMeasurands",
    _ENERGY,
    "What the end of a transaction repeats of its samples.",
    "StopTxnSampledData",
)
ENDED_INTERVAL = _seconds(
    "SampledDataCtrlr",
    "TxEndedInterval",
    0,
    "Time between samples kept for the end of a transaction; 0: only begin and end.",
    maximum=86_400,
)
SIGN_ENDS = _flag(
    "SampledDataCtrlr",
    "SignReadings",
    False,
    "The readings at the begin and the end of a transaction go with the meter's signature, "
    "where it signs.",
    key="SampledDataSignReadings",
)
SIGN_UPDATES = _flag(
    "SampledDataCtrlr",
    "SignUpdatedReadings",
    False,
    "Periodic samples go with the meter's signature too.",
    key="SampledDataSignUpdatedReadings",
)
SIGN_ALIGNED = _flag(
    "AlignedDataCtrlr",
    "SignReadings",
    False,
    "Clock-aligned samples go with the meter's signature, where it signs.",
    key="AlignedDataSignReadings",
)
PUBLIC_KEY = Variable(
    "OCPPCommCtrlr",
    "PublicKeyWithSignedMeterValue",
    Kind.OPTION,
    "OncePerTransaction",
    "How often the meter's public key is told with what it signed (2.0.1).",
    members=("Never", "OncePerTransaction", "EveryMeterValue"),
    maximum=50,
)
ALIGNED_INTERVAL = _seconds(
    "AlignedDataCtrlr",
    "Interval",
    0,
    "Clock-aligned samples at multiples of this from midnight UTC; 0: none.",
    key="ClockAlignedDataInterval",
    is_required=True,
    maximum=86_400,
)
ALIGNED_MEASURANDS = _measurands(
    "AlignedDataCtrlr",
    "Measurands",
    _ENERGY,
    "What clock-aligned samples contain.",
    "MeterValuesAlignedData",
)
ALIGNED_ENDED_MEASURANDS = _measurands(
    "AlignedDataCtrlr",
    "TxEndedMeasurands",
    "",
    "What the end of a transaction repeats of its clock-aligned samples.",
    "StopTxnAlignedData",
)
ALIGNED_ENDED_INTERVAL = _seconds(
    "AlignedDataCtrlr",
    "TxEndedInterval",
    0,
    "Clock-aligned samples kept for the end of a transaction; 0: none.",
    maximum=86_400,
)
SMART_CHARGING_AVAILABLE = _flag(
    "SmartChargingCtrlr",
    "Available",
    True,
    "The station takes charging profiles; false: their requests are not supported at all.",
    access=Access.READ_ONLY,
)
SMART_CHARGING_ENABLED = _flag(
    "SmartChargingCtrlr",
    "Enabled",
    True,
    "Charging profiles are taken; those that are installed stay in force either way.",
)
PROFILE_STACK_LEVEL = Variable(
    "SmartChargingCtrlr",
    "ProfileStackLevel",
    Kind.INTEGER,
    "9",
    "Highest stack level of a charging profile.",
    key="ChargeProfileMaxStackLevel",
    access=Access.READ_ONLY,
    minimum=0,
    maximum=99,
)
RATE_UNIT = Variable(
    "SmartChargingCtrlr",
    "RateUnit",
    Kind.MEMBERS,
    "A,W",
    "Units of limits in charging profiles; 1.6 calls them Current and Power.",
    key="ChargingScheduleAllowedChargingRateUnit",
    access=Access.READ_ONLY,
    members=("A", "W"),
    maximum=20,
)
PERIODS_PER_SCHEDULE = Variable(
    "SmartChargingCtrlr",
    "PeriodsPerSchedule",
    Kind.INTEGER,
    "48",
    "Most periods of a charging schedule, taken and told.",
    key="ChargingScheduleMaxPeriods",
    access=Access.READ_ONLY,
    minimum=5,
    maximum=1024,
)
MOST_PROFILES = Variable(
    "SmartChargingCtrlr",
    "MaxProfiles",
    Kind.INTEGER,
    "30",
    "How many charging profiles can be installed.",
    key="MaxChargingProfilesInstalled",
    access=Access.READ_ONLY,
    minimum=3,
    maximum=200,
)
FILLS_START = _flag(
    "SmartChargingCtrlr",
    "AllowProfileWithoutStartSchedule",
    True,
    "A 1.6 profile that leaves out its startSchedule begins when it arrives.",
    key="AllowProfileWithoutStartSchedule",
)
TX_PROFILE_FALLBACK = Variable(
    "SmartChargingCtrlr",
    "TxProfileFallback",
    Kind.OPTION,
    "txdefault",
    "What limits a transaction while its valid TxProfile has no period: the TxDefaultProfiles, "
    "or only the station's limits.",
    key="TxProfileFallback",
    members=("txdefault", "none"),
    maximum=20,
)
COMPOSITE_START = _flag(
    "SmartChargingCtrlr",
    "CompositeIncludeStartSchedule",
    False,
    "The composite schedule of 1.6 repeats its start in the schedule itself.",
    key="CompositeIncludeStartSchedule",
)
ISO15118_ENABLED = _flag(
    "ISO15118Ctrlr",
    "Enabled",
    False,
    "Vehicles tell their needs and choose among charging schedules (ISO 15118).",
)
ALLOW_NEW_SESSIONS = _flag(
    "ChargingStation",
    "AllowNewSessionsPendingFirmwareUpdate",
    False,
    "Charging may begin while a firmware update waits for all transactions to end.",
)
UNSIGNED_UPDATES = Variable(
    "FirmwareCtrlr",
    "UnsignedRequests",
    Kind.OPTION,
    "Profile0",
    "Update requests without a signature are served: only with security profile 0, always, "
    "or never. The image is signed in any case.",
    access=Access.READ_ONLY,
    members=("Profile0", "Always", "Never"),
    maximum=30,
)
DOWNLOAD_WHILE_CHARGING = _flag(
    "FirmwareCtrlr",
    "DownloadWhileCharging",
    True,
    "Firmware is fetched while somebody charges; otherwise the download waits, or pauses.",
    key="FirmwareDownloadWhileCharging",
)
TRANSFER_RATE = Variable(
    "FileTransferCtrlr",
    "MaxRate",
    Kind.INTEGER,
    "0",
    "How fast files are fetched and sent at most; 0: as fast as it goes.",
    key="FileTransferMaxRate",
    unit="B/s",
    minimum=0,
    maximum=1_000_000_000,
)
TRANSFER_DURATION = _seconds(
    "FileTransferCtrlr",
    "MaxDuration",
    21_600,
    "How long one attempt at a file may take; a download goes on where it was at the next.",
    key="FileTransferMaxDuration",
    minimum=10,
    maximum=604_800,
)
TRANSFER_IDLE = _seconds(
    "FileTransferCtrlr",
    "IdleTimeout",
    60,
    "How long no byte of a file may move before the attempt has failed.",
    key="FileTransferIdleTimeout",
    minimum=1,
    maximum=3_600,
)
DATA_VENDORS = Variable(
    "CustomizationCtrlr",
    "DataTransferVendors",
    Kind.STRING,
    "",
    "Vendor data that the CSMS may send to programs at the station, as `com.example` or, for "
    "one kind of message, `com.example/tariff`, with commas; they see it as an event.",
    access=Access.READ_ONLY,
    maximum=500,
)
TIME_SOURCE = Variable(
    "ClockCtrlr",
    "TimeSource",
    Kind.OPTION,
    "Heartbeat",
    "Where the time comes from: the CSMS, or the system clock kept by NTP.",
    members=("Heartbeat", "NTP"),
    maximum=20,
)


def _derived(
    component: str,
    variable: str,
    kind: Kind,
    meaning: str,
    key: str | None = None,
    *,
    default: str = "",
    is_required: bool = False,
) -> Variable:
    return Variable(
        component,
        variable,
        kind,
        default,
        meaning,
        key=key,
        access=Access.READ_ONLY,
        is_derived=True,
        is_required=is_required,
    )


def _longest(component: str, variable: str, key: str) -> Variable:
    """Return how many measurands a list of them may hold (1.6 only)."""
    meaning = f"Most items of {component}.{variable}."
    most, kind = str(MOST_MEASURANDS), Kind.INTEGER
    return _derived(component, f"{variable}MaxLength", kind, meaning, key, default=most)


SAMPLED_MOST = _longest(
    "SampledDataCtrlr", "TxUpdatedMeasurands", "MeterValuesSampledDataMaxLength"
)
ENDED_MOST = _longest("SampledDataCtrlr", "TxEndedMeasurands", "StopTxnSampledDataMaxLength")
ALIGNED_MOST = _longest("AlignedDataCtrlr", "Measurands", "MeterValuesAlignedDataMaxLength")
ALIGNED_ENDED_MOST = _longest(
    "AlignedDataCtrlr", "TxEndedMeasurands", "StopTxnAlignedDataMaxLength"
)
KEPT_MOST = _derived(
    "SampledDataCtrlr",
    "TxEndedMaxValues",
    Kind.INTEGER,
    "Most samples that are kept for the end of a transaction; then every second one between "
    "the first and the last goes.",
    "StopTransactionMaxMeterValues",
    default="500",
)
PHASE_ROTATION = Variable(
    "ChargingStation",
    "PhaseRotation",
    Kind.MEMBERS,
    "",
    "How the grid's phases are wired to each connector, and to the station as connector 0, "
    "such as `0.RST,1.STR`; where the board says it, nobody else can. What is drawn is "
    "counted on these conductors.",
    key="ConnectorPhaseRotation",
    members=tuple(f"0.{word}" for word in ROTATIONS),
    maximum=500,
    is_required=True,
    is_numbered=True,
)
PHASE_ROTATION_MOST = _derived(
    "ChargingStation",
    "PhaseRotationMaxLength",
    Kind.INTEGER,
    "Most items of ChargingStation.PhaseRotation: the connectors, and the station.",
    "ConnectorPhaseRotationMaxLength",
)


ALLOW_WILDCARDS = _flag(
    "SecurityCtrlr",
    "AllowCSMSTLSWildcards",
    False,
    "A CSMS's certificate may name its host by a wildcard; with 1.6 alone it always may.",
    key="AllowCSMSTLSWildcards",
)
DISABLE_SECURITY_EVENTS = _flag(
    "SecurityCtrlr",
    "DisableSecurityEventNotifications",
    False,
    "Security events are only logged; the CSMS is told none.",
    key="DisableSecurityEventNotifications",
)

MODEL = _derived("ChargingStation", "Model", Kind.STRING, "Model of the station.")
VENDOR = _derived("ChargingStation", "VendorName", Kind.STRING, "Vendor of the station.")
SERIAL_NUMBER = _derived("ChargingStation", "SerialNumber", Kind.STRING, "Its serial number.")
FIRMWARE_VERSION = _derived("ChargingStation", "FirmwareVersion", Kind.STRING, "What it runs.")
IDENTITY = _derived(
    "SecurityCtrlr", "Identity", Kind.STRING, "How it names itself to the CSMS."
)
SECURITY_PROFILE = Variable(
    "SecurityCtrlr",
    "SecurityProfile",
    Kind.INTEGER,
    "",
    "Security profile in use; it can only be raised, and not over 2.0.1.",
    key="SecurityProfile",
    minimum=0,
    maximum=3,
    is_derived=True,
    is_credential=True,
)
PASSWORD = Variable(
    "SecurityCtrlr",
    "BasicAuthPassword",
    Kind.PASSWORD,
    "",
    "Password for the CSMS: 16 to 40 characters, or 32 to 40 hex digits for bytes.",
    key="AuthorizationKey",
    access=Access.WRITE_ONLY,
    is_credential=True,
)
ORGANIZATION_NAME = Variable(
    "SecurityCtrlr",
    "OrganizationName",
    Kind.STRING,
    "",
    "Operator, as the organization in the station's certificate; needed to ask for one.",
    key="CpoName",
    maximum=64,
)
ROOT_CHECK = _flag(
    "SecurityCtrlr",
    "AdditionalRootCertificateCheck",
    False,
    "A new root of the CSMS has to be signed by the present one, and replaces it.",
    key="AdditionalRootCertificateCheck",
    access=Access.READ_ONLY,
)
CERTIFICATE_CAPACITY = Variable(
    "SecurityCtrlr",
    "CertificateCapacity",
    Kind.INTEGER,
    "20",
    "Most root certificates that are installed.",
    key="CertificateStoreMaxLength",
    access=Access.READ_ONLY,
    minimum=1,
    maximum=100,
)
CHAIN_LENGTH = Variable(
    "SecurityCtrlr",
    "MaxCertificateChainSize",
    Kind.INTEGER,
    "10000",
    "Longest certificate chain that the CSMS may send.",
    key="CertificateSignedMaxChainSize",
    access=Access.READ_ONLY,
    minimum=1,
    maximum=10_000,
)
SIGNING_WAIT = _seconds(
    "SecurityCtrlr",
    "CertSigningWaitMinimum",
    60,
    "How long to wait for a signed certificate before asking again; doubles each time.",
    key="CertSigningWaitMinimum",
    minimum=1,
    maximum=86_400,
)
SIGNING_REPEATS = Variable(
    "SecurityCtrlr",
    "CertSigningRepeatTimes",
    Kind.INTEGER,
    "2",
    "How often to ask again for a signed certificate.",
    key="CertSigningRepeatTimes",
    minimum=0,
    maximum=10,
)
KEY_ALGORITHM = Variable(
    "SecurityCtrlr",
    "CertificateKeyAlgorithm",
    Kind.OPTION,
    "EC-P256",
    "Kind of key that the station makes for its certificate.",
    members=("EC-P256", "RSA-2048"),
    maximum=20,
)
ACTIVE_PROFILE = _derived(
    "OCPPCommCtrlr", "ActiveNetworkProfile", Kind.INTEGER, "Network profile in use."
)
CONNECTORS = _derived(
    "ChargingStation",
    "NumberOfConnectors",
    Kind.INTEGER,
    "Connectors of all EVSEs.",
    "NumberOfConnectors",
    is_required=True,
)
FILE_TRANSFER_PROTOCOLS = _derived(
    "OCPPCommCtrlr",
    "FileTransferProtocols",
    Kind.MEMBERS,
    "How firmware is fetched and logs are sent.",
    "SupportedFileTransferProtocols",
)
FEATURE_PROFILES = _derived(
    "ChargingStation",
    "SupportedFeatureProfiles",
    Kind.MEMBERS,
    "Feature profiles of 1.6.",
    "SupportedFeatureProfiles",
    is_required=True,
)
SUPPLY_VOLTAGE = Variable(
    "ChargingStation",
    "SupplyVoltage",
    Kind.INTEGER,
    "230",
    "Nominal voltage from line to neutral, by which W become A; from the board file.",
    unit="V",
    access=Access.READ_ONLY,
    is_derived=True,
)
PROFILES_INSTALLED = Variable(
    "SmartChargingCtrlr",
    "Entries",
    Kind.INTEGER,
    "0",
    "Charging profiles that are installed.",
    instance="ChargingProfiles",
    access=Access.READ_ONLY,
    is_derived=True,
)
MAX_KEYS = Variable(
    "DeviceDataCtrlr",
    "ItemsPerMessage",
    Kind.INTEGER,
    "100",
    "Most settings in one request to read.",
    instance="GetVariables",
    key="GetConfigurationMaxKeys",
    is_required=True,
    access=Access.READ_ONLY,
    minimum=1,
    maximum=1000,
)
MAX_SET_ITEMS = Variable(
    "DeviceDataCtrlr",
    "ItemsPerMessage",
    Kind.INTEGER,
    "100",
    "Most settings in one request to write.",
    instance="SetVariables",
    access=Access.READ_ONLY,
    minimum=1,
    maximum=1000,
)

TABLE: tuple[Variable, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Variable)
)
_BY_NAME: Mapping[str, Variable] = {item.name.casefold(): item for item in TABLE}
_BY_KEY: Mapping[str, Variable] = {item.key.casefold(): item for item in TABLE if item.key}


def by_name(name: str) -> Variable | None:
    """Return the setting of this canonical name."""
    return _BY_NAME.get(name.casefold())


def by_key(key: str) -> Variable | None:
    """Return the setting of this 1.6 key."""
    return _BY_KEY.get(key.casefold())


def find(name: str) -> Variable | None:
    """Return the setting of this canonical name or 1.6 key."""
    return by_name(name) or by_key(name)


_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")  # what a 64-bit integer surely holds
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{1,18})?")


class Refusal(Value, frozen=True):
    """Why a value cannot be taken.

    Attributes:
        reason: 2.0.1 reasonCode, at most 20 characters.
        info: what is allowed.
    """

    reason: str
    info: str


def checked(variable: Variable, text: str) -> str | Refusal:
    """Return the canonical form of a value, or why it cannot be taken.

    Blanks around a value and around list items are trimmed; booleans and list items are
    taken in any case and kept in the canonical one (OCPP 1.6 ChangeConfiguration,
    2.0.1 4.2 of the reference).
    """
    if variable.kind is Kind.PASSWORD:
        return _checked_password(text)
    text = text.strip()
    match variable.kind:
        case Kind.BOOLEAN:
            lowered = text.casefold()
            if lowered in {"true", "false"}:
                return lowered
            return Refusal("InvalidValue", "true or false")
        case Kind.INTEGER | Kind.DECIMAL:
            return _checked_number(variable, text)
        case Kind.OPTION | Kind.MEMBERS:
            return _checked_list(variable, text)
        case _:
            longest = int(variable.maximum or 500)
            too_long = Refusal("TooLong", f"up to {longest} characters")
            return text if len(text) <= longest else too_long


_HEX = "hex:"
_PASSWORD_BYTES = (16, 40)  # 2.0.1 BasicAuthPassword; 1.6 stays below (whitepaper, 16 to 20)
_KEY_DIGITS = (32, 40)  # 1.6 AuthorizationKey


def password_text(password: bytes) -> str:
    """Return the canonical text of a password, which need not be text."""
    return _HEX + password.hex()


def password_bytes(text: str) -> bytes:
    """Return the password that a canonical text stands for."""
    return bytes.fromhex(text.removeprefix(_HEX))


def is_key(text: str) -> bool:
    """Tell whether a text is an AuthorizationKey of 1.6: 16 to 20 bytes in hex."""
    low, high = _KEY_DIGITS
    return low <= len(text) <= high and re.fullmatch(r"([0-9A-Fa-f]{2})+", text) is not None


def _checked_password(text: str) -> str | Refusal:
    """Return the canonical form; hex digits of an AuthorizationKey are bytes."""
    low, high = _PASSWORD_BYTES
    digits = text.removeprefix(_HEX)
    if text.startswith(_HEX) and re.fullmatch(r"([0-9a-f]{2})+", digits):
        password = bytes.fromhex(digits)
    else:
        password = bytes.fromhex(text) if is_key(text) else text.encode()
    if low <= len(password) <= high:
        return password_text(password)
    too = "TooShort" if len(password) < low else "TooLong"
    return Refusal(too, f"{low} to {high} characters, or 32 to 40 hex digits")


def _checked_number(variable: Variable, text: str) -> str | Refusal:
    is_whole = variable.kind is Kind.INTEGER
    if not (_WHOLE if is_whole else _NUMBER).fullmatch(text):
        return Refusal("InvalidValue", "a whole number" if is_whole else "a number")
    number = int(text) if is_whole else float(text)
    low, high = variable.minimum, variable.maximum
    if low is not None and number < low:
        reason = "ValuePositiveOnly" if number < 0 <= low else "ValueTooLow"
        return Refusal(reason, f"at least {low:.12g}")
    if high is not None and number > high:
        return Refusal("ValueTooHigh", f"at most {high:.12g}")
    return str(number)


def _checked_list(variable: Variable, text: str) -> str | Refusal:
    known = {member.casefold(): member for member in variable.members}
    items = [item.strip() for item in text.split(",") if item.strip()]
    if variable.kind is Kind.OPTION and len(items) != 1:
        return Refusal("InvalidValue", "one of " + ", ".join(variable.members))
    canonical = [known.get(item.casefold(), "") for item in items]
    heads = [item.split(".")[0] if variable.is_numbered else item for item in canonical]
    if not all(canonical) or len(set(heads)) != len(heads):
        return Refusal("ValueOutOfRange", "from " + ", ".join(variable.members))
    if variable.most_items is not None and len(items) > variable.most_items:
        return Refusal("TooLargeElement", f"at most {variable.most_items} items")
    return ",".join(canonical)


class Settings(Value, frozen=True):
    """Values in force: what was changed wins over the factory's, which wins over the default.

    Attributes:
        factory: from the configuration file, canonical name to value.
        changed: by the CSMS or locally, canonical name to (value, origin).
        derived: what the station computes: a value, or a default that can be changed.
        offered: what lists may hold on this hardware, by canonical name; the declaration
            counts for the others.
        fixed: what this hardware leaves no choice in, canonical name to value; whatever was
            changed counts again when it does.
        custom: settings of this station alone, beside the table: the operator's own, and the
            public keys of its meters.
    """

    factory: Mapping[str, str] = {}
    changed: Mapping[str, tuple[str, str]] = {}
    derived: Mapping[str, str] = {}
    offered: Mapping[str, tuple[str, ...]] = {}
    fixed: Mapping[str, str] = {}
    custom: tuple[Variable, ...] = ()

    @property
    def table(self) -> tuple[Variable, ...]:
        """Return every setting of this station as it is here: hardware narrows choices."""
        return tuple(map(self._here, (*TABLE, *self.custom)))

    def find(self, name: str) -> Variable | None:
        """Return the setting of this canonical name or 1.6 key."""
        found = find(name)
        if found is None:
            folded = name.casefold()
            found = next((own for own in self.custom if folded in _names(own)), None)
        return None if found is None else self._here(found)

    def _here(self, variable: Variable) -> Variable:
        if variable.name in self.fixed:
            return replace(variable, access=Access.READ_ONLY)
        offered = self.offered.get(variable.name)
        return variable if offered is None else replace(variable, members=offered)

    def text(self, variable: Variable) -> str:
        """Return the value as text."""
        name = variable.name
        if name in self.fixed:
            return self.fixed[name]
        default = self.derived.get(name, variable.default)
        if variable.is_derived:
            return default
        if name in self.changed:
            return self.changed[name][0]
        return self.factory.get(name, default)

    def integer(self, variable: Variable) -> int:
        """Return the value of an INTEGER setting."""
        return int(self.text(variable))

    def decimal(self, variable: Variable) -> float:
        """Return the value of a DECIMAL setting."""
        return float(self.text(variable))

    def flag(self, variable: Variable) -> bool:
        """Return the value of a BOOLEAN setting."""
        return self.text(variable) == "true"

    def members(self, variable: Variable) -> tuple[str, ...]:
        """Return the items of a MEMBERS setting."""
        text = self.text(variable)
        return tuple(text.split(",")) if text else ()

    def origin(self, variable: Variable) -> str:
        """Return where the value comes from: default, factory, CSMS, local or station."""
        name = variable.name
        if variable.is_derived or name in self.fixed:
            return "station"
        if name in self.changed:
            return self.changed[name][1]
        return "factory" if name in self.factory else "default"


def _names(variable: Variable) -> tuple[str, str]:
    return variable.name.casefold(), (variable.key or "").casefold()
