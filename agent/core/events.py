"""Everything that can happen to the station, named as past participles, by source.

Events from hardware are levels: they tell the present state and may repeat. Requests carry
a `request_id` and are answered by exactly one `Reply` with the same id. Raised events are
how the blocks of the core speak to each other within one turn.
"""

import enum

from agent.core.effects import Message
from agent.core.orders import (
    Failure,
    LogOrder,
    UpdateOrder,
    UpdateWork,
    UploadStatus,
    UploadWork,
)
from agent.core.smart_charging.needs import ChargingNeeds, NeedsAnswer
from agent.core.smart_charging.profile import Profile, Purpose, Schedule, Unit
from agent.core.trust import Certificate, CertificateKind, HashData
from agent.core.values import (
    BootReason,
    ConnectorStatus,
    EvseCapabilities,
    IdToken,
    MeterReading,
    RegistrationStatus,
    Sample,
    StopReason,
    TokenInfo,
    Trigger,
    Value,
)
from hal.types import Fault, PilotState

# --- the shell ---


class PowerUp(Value, frozen=True):
    """The first event of every boot.

    Attributes:
        cause: why the station started; what was left on disk by an intended reset wins.
        machine: id of the machine's boot, to tell a power cut from a restarted agent.
    """

    cause: BootReason = BootReason.POWER_UP
    machine: str = ""


class DeadlinePassed(Value, frozen=True):
    """The instant that `deadline(station)` named has come."""


class StorageFailed(Value, frozen=True):
    """A commit did not reach the disk; what it held stays in memory and is tried again."""

    reason: str


class StorageRecovered(Value, frozen=True):
    """A commit reached the disk again."""


# --- hardware ---


class EvseDetected(Value, frozen=True):
    """A driver found its device."""

    evse_id: int
    capabilities: EvseCapabilities


class GridInputChanged(Value, frozen=True):
    """The grid operator's input: active while power is to be reduced."""

    active: bool


class PilotChanged(Value, frozen=True):
    """The control pilot settled."""

    evse_id: int
    pilot: PilotState
    connector_id: int = 1


class OutletChanged(Value, frozen=True):
    """The contactor's mirror contact."""

    evse_id: int
    closed: bool


class LockChanged(Value, frozen=True):
    """What the plug's lock says of itself; a lock without feedback says nothing."""

    evse_id: int
    locked: bool


class CableChanged(Value, frozen=True):
    """The plugged cable's rating in A, None without one or with a fixed cable."""

    evse_id: int
    ampacity_a: float | None


class TemperatureRead(Value, frozen=True):
    """What the hottest sensor of an EVSE shows, °C."""

    evse_id: int
    temperature_c: float


class MeterRead(Value, frozen=True):
    """A plausible reading."""

    evse_id: int
    reading: MeterReading


class MeterFailed(Value, frozen=True):
    """A poll brought no plausible reading."""

    evse_id: int
    reason: str


class FaultRaised(Value, frozen=True):
    """Hardware found a fault."""

    evse_id: int
    fault: Fault
    info: str = ""


class FaultCleared(Value, frozen=True):
    """The fault is over."""

    evse_id: int
    fault: Fault


class TokenPresented(Value, frozen=True):
    """Somebody presented a token; `evse_id` is None for a reader of the whole station."""

    id_token: IdToken
    evse_id: int | None = None


class VehicleNeedsTold(Value, frozen=True):
    """A vehicle told what it needs (ISO 15118 ChargeParameterDiscovery)."""

    evse_id: int
    needs: ChargingNeeds


class VehicleScheduleChosen(Value, frozen=True):
    """A vehicle chose how to charge from now on (ISO 15118 PowerDelivery).

    Attributes:
        schedule: its own; the id is that of the schedule which it was offered.
    """

    evse_id: int
    schedule: Schedule


class VehicleNeedsAnswered(Value, frozen=True):
    """The CSMS answered what a vehicle needs."""

    evse_id: int
    answer: NeedsAnswer


class VehicleScheduleAnswered(Value, frozen=True):
    """The CSMS answered how a vehicle is going to charge."""

    evse_id: int
    is_accepted: bool


# --- the link ---


class LinkUp(Value, frozen=True):
    """The CSMS accepted the connection.

    Attributes:
        profile: index of the network profile in the configuration.
        subprotocol: "ocpp1.6" or "ocpp2.0.1", as negotiated.
        restates_status: the version asks for every status after a long outage
            (2.0.1 B04.FR.01), not only for those that changed.
        root: fingerprint of the root that vouched for the CSMS, "" without TLS.
        certificate: fingerprint of the certificate that the station showed, "" without one.
    """

    profile: int
    subprotocol: str
    url: str
    security_profile: int
    restates_status: bool = False
    root: str = ""
    certificate: str = ""


class LinkDown(Value, frozen=True):
    """The connection is gone."""

    reason: str


class DialRefusal(enum.Enum):
    """Why a dial failed, as far as it changes what to do next."""

    UNREACHABLE = "unreachable"
    CREDENTIALS = "credentials refused"
    CERTIFICATE = "invalid server certificate"
    TLS_VERSION = "no common TLS version"
    CIPHER_SUITE = "no common cipher suite"
    UNKNOWN_STATION = "unknown station"
    SUBPROTOCOL = "no common subprotocol"
    BUSY = "server asks to come later"


class DialFailed(Value, frozen=True):
    """A dial brought no link.

    Attributes:
        retry_after_s: what the server asked for, None when it did not.
    """

    profile: int
    refusal: DialRefusal
    reason: str
    retry_after_s: float | None = None


class LinkHeld(Value, frozen=True):
    """Somebody at the station holds the link down, or releases it."""

    held: bool


# --- answers of the CSMS ---


class BootAnswered(Value, frozen=True):
    """Answer to BootReported.

    Attributes:
        interval_s: as sent, not yet clamped.
        csms_wall_s: the CSMS's clock in UTC seconds, None when unusable.
    """

    status: RegistrationStatus
    interval_s: int
    csms_wall_s: float | None


class HeartbeatAnswered(Value, frozen=True):
    """Answer to HeartbeatSent."""

    csms_wall_s: float | None


class AuthorizationAnswered(Value, frozen=True):
    """Answer to AuthorizationWanted."""

    evse_id: int
    id_token: IdToken
    info: TokenInfo


class StatusAcknowledged(Value, frozen=True):
    """The CSMS knows this status now."""

    status: ConnectorStatus


class MessageFailed(Value, frozen=True):
    """A message got an error, no answer in time, or an unusable answer."""

    message: Message
    reason: str


class TransactionAcknowledged(Value, frozen=True):
    """The CSMS knows the transaction, and may have learned us something.

    Attributes:
        remote_id: the number the CSMS gave it (1.6), None when it gives none.
        id_token: the token that `info` is about; None means the starting token.
        info: verdict on that token, None when the answer has none.
    """

    transaction_id: str
    remote_id: int | None = None
    id_token: IdToken | None = None
    info: TokenInfo | None = None


class RecordDelivered(Value, frozen=True):
    """The CSMS has the record, or its version has no message for it."""

    record_id: int


class RecordFailed(Value, frozen=True):
    """The CSMS refused the record or let it time out while the link stayed up."""

    record_id: int
    reason: str


# --- updates and uploads ---


class InstallerFound(Value, frozen=True):
    """There is an installer, and it tells which image runs; once per boot.

    Attributes:
        installer: its name in the configuration.
        slot: that runs, None for an installer without slots.
        has_failed: the other slot was tried and did not start.
    """

    installer: str
    slot: str | None = None
    has_failed: bool = False


class UpdateWorkEnded(Value, frozen=True):
    """A step of an update is over.

    Attributes:
        failure: None when it succeeded.
        info: what a person should know, at most 255 characters.
        slot: that the image was installed into, for the step INSTALL; None when no
            restart is needed to run it.
    """

    work: UpdateWork
    failure: Failure | None = None
    info: str = ""
    slot: str | None = None


class UploadEnded(Value, frozen=True):
    """An attempt at an upload is over."""

    work: UploadWork
    status: UploadStatus
    info: str = ""


# --- requests, from the CSMS or from a local client ---------------------------------------


class Origin(enum.Enum):
    """Who asks."""

    CSMS = "CSMS"
    LOCAL = "local"


class RemoteStartRequested(Value, frozen=True):
    """Start a transaction for this token (OCPP 2.0.1 F01, F02).

    Attributes:
        evse_id: None lets the station choose.
        remote_start_id: None in 1.6.
        profile: for the transaction to come (K05).
        lenient: the profile may have what the stricter version forbids (1.6).
    """

    request_id: int
    id_token: IdToken
    evse_id: int | None = None
    remote_start_id: int | None = None
    group: str | None = None
    profile: Profile | None = None
    lenient: bool = False


class RemoteStopRequested(Value, frozen=True):
    """Stop this transaction; named by our id, or by the CSMS's number (1.6)."""

    request_id: int
    transaction_id: str | None = None
    remote_id: int | None = None


class ResetKind(enum.Enum):
    """How to treat running transactions."""

    IMMEDIATE = "immediate"  # 2.0.1 Immediate, 1.6 Hard: end them, wait shortly
    GRACEFUL = "graceful"  # 1.6 Soft: end them, wait for the CSMS's answers
    ON_IDLE = "on idle"  # 2.0.1 OnIdle: wait until they end by themselves


class ResetRequested(Value, frozen=True):
    """Restart the station, or one EVSE (which this station cannot)."""

    request_id: int
    kind: ResetKind
    evse_id: int | None = None
    origin: Origin = Origin.CSMS


class UnlockRequested(Value, frozen=True):
    """Release the plug of a connector (1.6 UnlockConnector, 2.0.1 F05).

    Attributes:
        stops: a running transaction ends for it (1.6); otherwise it keeps the plug (2.0.1).
    """

    request_id: int
    evse_id: int
    connector_id: int
    stops: bool


class SettingsReadRequested(Value, frozen=True):
    """Read settings by canonical name; an empty tuple means all readable ones."""

    request_id: int
    names: tuple[str, ...] = ()


class SettingsWriteRequested(Value, frozen=True):
    """Write settings by canonical name, in order; items do not depend on each other."""

    request_id: int
    items: tuple[tuple[str, str], ...]
    origin: Origin = Origin.CSMS


class AvailabilityRequested(Value, frozen=True):
    """Make a part of the station operative or inoperative; both ids None: the station."""

    request_id: int
    operative: bool
    evse_id: int | None = None
    connector_id: int | None = None


class TriggerKind(enum.Enum):
    """What the CSMS may want to hear at once, without regard to a version's words."""

    BOOT = "boot"
    CERTIFICATE = "certificate signing request"
    DIAGNOSTICS_STATUS = "diagnostics status"
    FIRMWARE_STATUS = "firmware status"
    HEARTBEAT = "heartbeat"
    LOG_STATUS = "log status"
    METER_VALUES = "meter values"
    SIGNED_FIRMWARE_STATUS = "signed firmware status"
    STATUS = "status"
    TRANSACTION = "transaction"


class TriggerRequested(Value, frozen=True):
    """Tell something now (1.6 TriggerMessage, 2.0.1 F06).

    Attributes:
        evse_id: None: all of them; 0: the station itself.
        measurands: what meter values should contain, names as the settings hold them.
    """

    request_id: int
    kind: TriggerKind
    evse_id: int | None = None
    connector_id: int | None = None
    measurands: tuple[str, ...] = ()


class ReservationRequested(Value, frozen=True):
    """Keep an EVSE free (1.6 ReserveNow, 2.0.1 H01).

    Attributes:
        evse_id: None: any of them.
        expires_wall_s: UTC seconds.
    """

    request_id: int
    reservation_id: int
    id_token: IdToken
    expires_wall_s: float
    evse_id: int | None = None
    group: str | None = None


class ReservationCancelRequested(Value, frozen=True):
    """End a reservation (1.6 CancelReservation, 2.0.1 H02)."""

    request_id: int
    reservation_id: int


class CacheClearRequested(Value, frozen=True):
    """Empty the authorization cache (C11).

    Attributes:
        even_if_off: also when the cache is switched off: 1.6 refuses only where there is
            none, 2.0.1 leaves it alone (C11.FR.04).
    """

    request_id: int
    even_if_off: bool = False


class ListedToken(Value, frozen=True):
    """An entry of an update of the local list; `info` is None to remove the token."""

    id_token: IdToken
    info: TokenInfo | None = None


class LocalListSent(Value, frozen=True):
    """Replace the local list, or change it (1.6 SendLocalList, 2.0.1 D01)."""

    request_id: int
    version: int
    is_full: bool
    items: tuple[ListedToken, ...] = ()


class LocalListVersionRequested(Value, frozen=True):
    """Tell the version of the local list (1.6 GetLocalListVersion, 2.0.1 D02)."""

    request_id: int


class RootOffered(Value, frozen=True):
    """Install a root certificate (1.6 and 2.0.1 InstallCertificate, M05)."""

    request_id: int
    kind: CertificateKind
    pem: str


class CertificateDeletionRequested(Value, frozen=True):
    """Remove an installed certificate (DeleteCertificate, M04)."""

    request_id: int
    hash_data: HashData


class CertificatesRequested(Value, frozen=True):
    """Name the installed certificates (GetInstalledCertificateIds, M03); empty: of any kind."""

    request_id: int
    kinds: tuple[CertificateKind, ...]


class StationCertificateOffered(Value, frozen=True):
    """The certificate that was asked for, with its chain (CertificateSigned, A02)."""

    request_id: int
    pem: str


class ChargingProfileOffered(Value, frozen=True):
    """The CSMS offers a charging profile for an EVSE; 0 is the station (K01).

    Attributes:
        profile: with the transaction's id as the CSMS wrote it.
        transaction_number: the number that the CSMS gave the transaction (1.6), None when
            it names none.
        lenient: it may leave out or repeat what the stricter version forbids (1.6).
    """

    request_id: int
    evse_id: int
    profile: Profile
    transaction_number: int | None = None
    lenient: bool = False


class ChargingProfilesCleared(Value, frozen=True):
    """The CSMS clears profiles: the one with this id, or all that fit every criterion (K10).

    Attributes:
        profile_id: when given, nothing else counts.
    """

    request_id: int
    profile_id: int | None = None
    evse_id: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None


class ChargingProfilesRequested(Value, frozen=True):
    """The CSMS wants to see profiles that fit every criterion (K09).

    Attributes:
        report_id: the CSMS's number for the report.
        profile_ids: any of them; empty for all. Likewise the sources.
    """

    request_id: int
    report_id: int
    evse_id: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None
    profile_ids: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()


class CompositeScheduleRequested(Value, frozen=True):
    """Somebody wants to know the limits of an EVSE, or of the station, from now on (K08).

    Attributes:
        unit: None for the station's choice.
        converts: a unit that profiles may not have is converted to all the same (1.6).
    """

    request_id: int
    evse_id: int
    duration_s: int
    unit: Unit | None = None
    converts: bool = False


class UpdateRequested(Value, frozen=True):
    """Fetch and install firmware (1.6 chapter 8, 2.0.1 L01, L02)."""

    request_id: int
    order: UpdateOrder


class LogRequested(Value, frozen=True):
    """Send a log (1.6 GetDiagnostics and GetLog, 2.0.1 N01)."""

    request_id: int
    order: LogOrder


class DataTransferRequested(Value, frozen=True):
    """A local client wants vendor data passed to the CSMS."""

    request_id: int
    vendor_id: str
    message_id: str | None = None
    data: str | None = None


class DataTransferReceived(Value, frozen=True):
    """The CSMS sent vendor data; programs at the station see it in the event stream."""

    request_id: int
    vendor_id: str
    message_id: str | None = None
    data: str | None = None


class DataTransferAnswered(Value, frozen=True):
    """The CSMS answered vendor data."""

    request_id: int
    status: str
    data: str | None = None


class ExternalLimitSet(Value, frozen=True):
    """Somebody other than the CSMS limits an EVSE, or the sum over all of them.

    Attributes:
        origin: who, in a word; a further limit of the same origin and place replaces it.
        evse_id: 0 for the sum.
        limit_a: per line conductor; either this or `limit_w`.
        limit_w: for all phases together.
        valid_s: how long it holds without being said again.
    """

    request_id: int
    origin: str
    valid_s: float
    evse_id: int = 0
    limit_a: float | None = None
    limit_w: float | None = None


class ExternalLimitCleared(Value, frozen=True):
    """Somebody other than the CSMS limits no more; `evse_id` None means everywhere."""

    request_id: int
    origin: str
    evse_id: int | None = None


Request = (
    RemoteStartRequested
    | RemoteStopRequested
    | ResetRequested
    | SettingsReadRequested
    | SettingsWriteRequested
    | AvailabilityRequested
    | TriggerRequested
    | UnlockRequested
    | ReservationRequested
    | ReservationCancelRequested
    | CacheClearRequested
    | LocalListSent
    | LocalListVersionRequested
    | RootOffered
    | CertificateDeletionRequested
    | CertificatesRequested
    | StationCertificateOffered
    | ChargingProfileOffered
    | ChargingProfilesCleared
    | ChargingProfilesRequested
    | CompositeScheduleRequested
    | DataTransferRequested
    | DataTransferReceived
    | ExternalLimitSet
    | ExternalLimitCleared
    | UpdateRequested
    | LogRequested
)


class QuirksTolerated(Value, frozen=True):
    """A frame of the CSMS was understood although it breaks rules; names may repeat."""

    quirks: tuple[str, ...]


class SecurityEventRaised(Value, frozen=True):
    """Something relevant to security happened outside the core."""

    type: str
    tech_info: str = ""


# --- the keeper of keys and certificates ---


class CertificatesProvisioned(Value, frozen=True):
    """A file that the configuration names was written into the certificate directory.

    Attributes:
        source: SHA-256 of what it held, hex; the same is never provisioned twice.
    """

    source: str
    certificates: tuple[Certificate, ...]


class CertificatesLost(Value, frozen=True):
    """The files of these certificates are gone: they count no more."""

    keys: tuple[str, ...]


class CertificateKept(Value, frozen=True):
    """A certificate that came in a request is on the disk."""

    request_id: int
    certificate: Certificate


class CertificateRefused(Value, frozen=True):
    """A certificate that came in a request is not what it should be, or cannot be written.

    Attributes:
        is_failure: it may be fine, but the disk refused.
    """

    request_id: int
    reason: str
    is_failure: bool = False


class SigningRequestMade(Value, frozen=True):
    """A key and a request for its certificate exist.

    Attributes:
        csr: PKCS#10 in PEM; empty if they could not be made.
    """

    key_id: str
    csr: str


class SigningAnswered(Value, frozen=True):
    """The CSMS takes the request for a certificate, or does not."""

    is_accepted: bool


# --- raised by blocks for one another ---


class TokenAccepted(Value, frozen=True):
    """A token may charge at this EVSE.

    Attributes:
        remote_start_id: of the remote start that presented it.
        is_remote: it came from the CSMS.
        is_floating: it may charge wherever its vehicle is connected.
        profile: that came with the remote start.
        priority: of the transaction among others, -9 to 9.
    """

    evse_id: int
    id_token: IdToken
    group: str | None = None
    remote_start_id: int | None = None
    is_remote: bool = False
    is_floating: bool = False
    profile: Profile | None = None
    priority: int = 0


class RemoteTokenOffered(Value, frozen=True):
    """A remote start's token has to be authorized like a local one."""

    evse_id: int
    id_token: IdToken
    group: str | None = None
    remote_start_id: int | None = None
    profile: Profile | None = None


class SampleTaken(Value, frozen=True):
    """A sample of a running transaction is due.

    Attributes:
        is_told: it goes to the CSMS now; otherwise it is kept for the end only.
    """

    evse_id: int
    sample: Sample
    trigger: Trigger
    is_told: bool


class StopGranted(Value, frozen=True):
    """The transaction of this EVSE should end.

    Attributes:
        id_token: who stops it, None when nobody presented a token.
    """

    evse_id: int
    reason: StopReason
    trigger: Trigger
    id_token: IdToken | None = None


class AuthorizationWithdrawn(Value, frozen=True):
    """The authorization that waited for a vehicle is void."""

    evse_id: int


class PlugReleased(Value, frozen=True):
    """Nothing keeps the plug of this EVSE locked any more, or the wait for its lock is over."""

    evse_id: int


class TokenRejected(Value, frozen=True):
    """The CSMS refuses the token of a running transaction."""

    evse_id: int
    transaction_id: str
    info: TokenInfo


class Registered(Value, frozen=True):
    """The CSMS accepted the station on this link."""


class TransactionOpened(Value, frozen=True):
    """A transaction began at this EVSE.

    Attributes:
        reservation_id: that it used up, None for none.
        profile: that came with its remote start.
    """

    evse_id: int
    reservation_id: int | None = None
    profile: Profile | None = None


class TransactionClosed(Value, frozen=True):
    """The transaction of this EVSE is over."""

    evse_id: int


class AvailabilityChanged(Value, frozen=True):
    """A part of the station has become operative or inoperative."""


class TokenLearned(Value, frozen=True):
    """The CSMS told about a token, wherever it said so: the cache takes note.

    Attributes:
        transaction_id: of the transaction about which it said so.
    """

    id_token: IdToken
    info: TokenInfo
    transaction_id: str = ""


class TokensListed(Value, frozen=True):
    """The local list has these tokens now, by digest: nobody need remember them elsewhere."""

    keys: frozenset[str]


class SettingChanged(Value, frozen=True):
    """A setting has a new value."""

    name: str


class IntervalLearned(Value, frozen=True):
    """The CSMS wants heartbeats at this interval, seconds, already within bounds."""

    interval_s: int


class ClockStepped(Value, frozen=True):
    """A clock that was known was set to another time, so many seconds later or earlier."""

    by_s: float


class StopsWanted(Value, frozen=True):
    """Every transaction should end."""

    reason: StopReason
    trigger: Trigger


class OffersChanged(Value, frozen=True):
    """What one or more EVSEs offer has changed."""


class RestartWanted(Value, frozen=True):
    """The agent has to start anew.

    Attributes:
        is_now: False: whatever restarts it next, this is why.
    """

    reason: BootReason
    is_now: bool = True


class CredentialOffered(Value, frozen=True):
    """Somebody sets what the station dials with; the value is canonical and allowed."""

    name: str
    value: str


class SecurityReconfigured(Value, frozen=True):
    """Something that the station's security rests on has changed; `what` is no secret."""

    what: str


class StationCertificateChanged(Value, frozen=True):
    """The station has another certificate to show."""


class RedialWanted(Value, frozen=True):
    """The link should be left and dialed again at once, with what changed.

    Attributes:
        profile: network profile to dial; None: the present one.
    """

    reason: str
    profile: int | None = None


class TimeLearned(Value, frozen=True):
    """Somebody told the time, UTC seconds.

    Attributes:
        by_system: it was the system's clock, not the CSMS.
    """

    csms_wall_s: float
    by_system: bool = False


Raised = (
    TokenAccepted
    | RemoteTokenOffered
    | SampleTaken
    | StopGranted
    | AuthorizationWithdrawn
    | PlugReleased
    | TokenRejected
    | Registered
    | TransactionOpened
    | TransactionClosed
    | AvailabilityChanged
    | TokenLearned
    | TokensListed
    | SettingChanged
    | IntervalLearned
    | ClockStepped
    | StopsWanted
    | OffersChanged
    | CredentialOffered
    | SecurityReconfigured
    | StationCertificateChanged
    | RedialWanted
    | TimeLearned
    | RestartWanted
)

Event = (
    PowerUp
    | DeadlinePassed
    | StorageFailed
    | StorageRecovered
    | EvseDetected
    | GridInputChanged
    | PilotChanged
    | OutletChanged
    | LockChanged
    | CableChanged
    | TemperatureRead
    | MeterRead
    | MeterFailed
    | FaultRaised
    | FaultCleared
    | TokenPresented
    | VehicleNeedsTold
    | VehicleScheduleChosen
    | VehicleNeedsAnswered
    | VehicleScheduleAnswered
    | LinkUp
    | LinkDown
    | DialFailed
    | LinkHeld
    | BootAnswered
    | HeartbeatAnswered
    | AuthorizationAnswered
    | StatusAcknowledged
    | MessageFailed
    | TransactionAcknowledged
    | RecordDelivered
    | RecordFailed
    | Request
    | DataTransferAnswered
    | InstallerFound
    | UpdateWorkEnded
    | UploadEnded
    | QuirksTolerated
    | SecurityEventRaised
    | CertificatesProvisioned
    | CertificatesLost
    | CertificateKept
    | CertificateRefused
    | SigningRequestMade
    | SigningAnswered
    | Raised
)
