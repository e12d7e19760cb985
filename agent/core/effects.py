"""What a turn of the core leaves to be told: records, messages, replies and asks.

* A **record** must reach the CSMS whatever happens. It is written in the same commit as the
  state that caused it and encoded when its turn to be sent comes, in the protocol version
  that is spoken then.
* A **message** is worth sending only now; it is dropped when the link is down.
* A **reply** is the outcome of a request that came in.
* An **ask** is work for the shell around the core.

What the hardware should be doing is no effect: see agent.core.targets.
"""

import enum

from agent.core.orders import FirmwareReported, LogReported
from agent.core.smart_charging.needs import ChargingNeeds
from agent.core.smart_charging.profile import Entry, Profile, Schedule, Unit
from agent.core.trust import Certificate, CertificateKind
from agent.core.values import (
    BootReason,
    Bound,
    ChargingState,
    ConnectorStatus,
    IdToken,
    Sample,
    Stamp,
    StopReason,
    Trigger,
    Value,
)

# --- records ---


class TransactionStarted(Value, frozen=True, tag="started", tag_field="record"):
    """A transaction began: authorized and connected (OCPP 2.0.1 E02, E03).

    Attributes:
        seq_no: 0.
        meter_start_wh: import register at the start.
        samples: with context Transaction.Begin, for versions that send them here.
        remote_start_id: of the request that caused it, None for a local start.
        reservation_id: of the reservation that it used up, None without one.
        offline: it happened without a usable link.
    """

    transaction_id: str
    evse_id: int
    connector_id: int
    at: Stamp
    trigger: Trigger
    charging_state: ChargingState
    id_token: IdToken
    meter_start_wh: float
    samples: tuple[Sample, ...] = ()
    group: str | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    offline: bool = False
    seq_no: int = 0


class TransactionUpdated(Value, frozen=True, tag="updated", tag_field="record"):
    """Something happened within a transaction: a sample, a change of charging state.

    Attributes:
        charging_state: the state after the event.
        samples: empty when only the state changed.
        phases_used: once energy flows on one phase, else None.
    """

    transaction_id: str
    evse_id: int
    connector_id: int
    seq_no: int
    at: Stamp
    trigger: Trigger
    charging_state: ChargingState
    samples: tuple[Sample, ...] = ()
    phases_used: int | None = None
    remote_start_id: int | None = None
    offline: bool = False


class TransactionEnded(Value, frozen=True, tag="ended", tag_field="record"):
    """A transaction is over.

    Attributes:
        id_token: the token that was presented to stop it, None when nobody presented one.
        meter_stop_wh: import register at the end, never below the start.
        samples: what the settings want kept for the end, in order of time.
        charging_s: seconds during which energy flowed, None when unknown.
    """

    transaction_id: str
    evse_id: int
    connector_id: int
    seq_no: int
    at: Stamp
    trigger: Trigger
    charging_state: ChargingState
    stop_reason: StopReason
    meter_stop_wh: float
    id_token: IdToken | None = None
    samples: tuple[Sample, ...] = ()
    charging_s: float | None = None
    offline: bool = False


class MeterSampled(Value, frozen=True, tag="sampled", tag_field="record"):
    """Clock-aligned values outside a transaction (1.6 and 2.0.1 MeterValues)."""

    evse_id: int
    connector_id: int
    sample: Sample


class SecurityEvent(Value, frozen=True, tag="security", tag_field="record"):
    """A security event that the CSMS has to know.

    Attributes:
        type: name of the event, at most 50 characters.
        tech_info: at most 255 characters.
    """

    type: str
    at: Stamp
    tech_info: str = ""


class ReservationEnd(enum.Enum):
    """Why a reservation ended by itself (2.0.1 ReservationUpdateStatusEnumType)."""

    EXPIRED = "Expired"
    REMOVED = "Removed"


class ReservationEnded(Value, frozen=True, tag="reservation", tag_field="record"):
    """A reservation is over that nobody used and nobody cancelled (2.0.1 H04)."""

    reservation_id: int
    end: ReservationEnd
    at: Stamp


TransactionRecord = TransactionStarted | TransactionUpdated | TransactionEnded
Record = (
    TransactionStarted
    | TransactionUpdated
    | TransactionEnded
    | MeterSampled
    | ReservationEnded
    | SecurityEvent
    | FirmwareReported
    | LogReported
)


class Delivery(Value, frozen=True):
    """How far the CSMS knows a transaction; kept until its last record is delivered.

    Attributes:
        started: its first record, kept because 1.6 may have to repeat it.
        remote_id: the number the CSMS gave it in 1.6, None without one.
        is_start_lost: the CSMS refused the start for good (1.6: tell the rest as -1).
    """

    started: TransactionStarted
    remote_id: int | None = None
    is_start_lost: bool = False


class Report(Value, frozen=True):
    """Keep this record and deliver it.

    Attributes:
        record_id: order of delivery; grows, unique among the queued ones.
    """

    record_id: int
    record: Record


class Forget(Value, frozen=True):
    """The record is delivered, or need not be any more; deleting may wait for a commit."""

    record_id: int


class SetAside(Value, frozen=True):
    """The CSMS keeps refusing the record: keep it out of the way, with the reason."""

    record_id: int
    note: str


# --- messages ---


class BootReported(Value, frozen=True):
    """Introduce the station (BootNotification)."""

    reason: BootReason


class HeartbeatSent(Value, frozen=True):
    """Show life and ask for the time (Heartbeat).

    Attributes:
        is_triggered: the CSMS waits for it.
    """

    is_triggered: bool = False


class AuthorizationWanted(Value, frozen=True):
    """Ask the CSMS about a token (Authorize)."""

    evse_id: int
    id_token: IdToken


class StatusReported(Value, frozen=True):
    """Tell the status of one connector (StatusNotification).

    Attributes:
        previous: what was last acknowledged for this connector, None when nothing was.
        is_triggered: the CSMS wants to hear it, even if it knows it.
    """

    status: ConnectorStatus
    previous: ConnectorStatus | None
    at: Stamp
    is_triggered: bool = False


class MeterValuesReported(Value, frozen=True):
    """Tell what a meter shows now, because the CSMS wants to know (MeterValues).

    Attributes:
        transaction_id: of the transaction that runs there, None without one.
    """

    evse_id: int
    connector_id: int
    sample: Sample
    transaction_id: str | None = None


class DataTransferSent(Value, frozen=True):
    """Pass a vendor's data to the CSMS; the answer goes to the local request.

    Attributes:
        request_id: of the local request that wants the answer.
    """

    request_id: int
    vendor_id: str
    message_id: str | None = None
    data: str | None = None


class LimitTold(Value, frozen=True):
    """Tell that somebody else limits, or limits no more (2.0.1 K11, K13).

    Attributes:
        evse_id: 0 for the whole station.
        bound: what it leaves; None: it limits no more.
    """

    origin: str
    evse_id: int
    bound: Bound | None


class ProfilesReported(Value, frozen=True):
    """Show installed profiles of one EVSE and source (ReportChargingProfiles, K09).

    Attributes:
        report_id: the CSMS's number for the report.
        is_last: nothing of this report follows.
    """

    report_id: int
    evse_id: int
    source: str
    profiles: tuple[Profile, ...]
    is_last: bool


class StatusRepeated(Value, frozen=True):
    """Tell once more how far an update or an upload is, because somebody asks.

    record: as it was told, or with the status IDLE.
    is_extended: in 1.6, the CSMS asked for the message of the security extension.
    """

    record: FirmwareReported | LogReported
    is_extended: bool


class CertificateSigningWanted(Value, frozen=True):
    """Ask the CSMS to have a certificate signed for the station (SignCertificate).

    Attributes:
        csr: PKCS#10 in PEM, at most 5500 characters.
    """

    csr: str


class ChargingNeedsTold(Value, frozen=True):
    """Tell what a vehicle needs (NotifyEVChargingNeeds, K15)."""

    evse_id: int
    needs: ChargingNeeds


class VehicleScheduleTold(Value, frozen=True):
    """Tell how a vehicle is going to charge (NotifyEVChargingSchedule, K15).

    Attributes:
        start_s: UTC second from which its periods count.
    """

    evse_id: int
    start_s: int
    schedule: Schedule


Message = (
    BootReported
    | HeartbeatSent
    | AuthorizationWanted
    | StatusReported
    | MeterValuesReported
    | DataTransferSent
    | LimitTold
    | ProfilesReported
    | ChargingNeedsTold
    | VehicleScheduleTold
    | StatusRepeated
    | CertificateSigningWanted
)

# --- replies ---


class Verdict(enum.Enum):
    """Outcome of a request in the domain's words; adapters choose the version's."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SCHEDULED = "scheduled"
    NOT_SUPPORTED = "not supported"
    UNKNOWN_EVSE = "unknown EVSE"
    VERSION_MISMATCH = "version mismatch"
    ACCEPTED_CANCELED = "accepted, and what was under way cancelled"
    INVALID_CERTIFICATE = "invalid certificate"
    REVOKED_CERTIFICATE = "revoked certificate"
    FAILED = "failed"
    FAULTED = "faulted"
    OCCUPIED = "occupied"
    UNAVAILABLE = "unavailable"


class Done(Value, frozen=True):
    """A verdict, with the reason for people and programs.

    Attributes:
        reason: a 2.0.1 reasonCode, at most 20 characters; empty when there is none.
        info: for people, at most 500 characters.
        transaction_id: of the transaction concerned, where the request asks for it.
    """

    verdict: Verdict
    reason: str = ""
    info: str = ""
    transaction_id: str | None = None


class SettingStatus(enum.Enum):
    """What became of one item of a settings request."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    REBOOT_REQUIRED = "reboot required"
    UNKNOWN = "unknown"


class SettingResult(Value, frozen=True):
    """Result for one setting.

    Attributes:
        name: canonical name, `Component.Variable`.
        value: its value as text; None when refused, or when it may not be read.
        reason: a 2.0.1 reasonCode such as ReadOnly, WriteOnly, InvalidValue, ValueTooHigh.
    """

    name: str
    status: SettingStatus
    value: str | None = None
    reason: str = ""


class SettingsAnswer(Value, frozen=True):
    """Results in the order of the request."""

    results: tuple[SettingResult, ...]


class DataAnswer(Value, frozen=True):
    """The answer to a vendor's data, of the CSMS or to it."""

    status: str
    data: str | None = None


class ListVersion(Value, frozen=True):
    """Which local list is there.

    Attributes:
        version: of the last update that was taken, 0 before the first.
        size: entries.
    """

    version: int
    size: int
    is_enabled: bool


class CompositeAnswer(Value, frozen=True):
    """A composite schedule.

    Attributes:
        start_s: UTC second from which its entries count.
        duration_s: for how long it is told; at most what was asked for.
        unit: of its limits.
    """

    evse_id: int
    start_s: int
    duration_s: int
    unit: Unit
    entries: tuple[Entry, ...]


class LogAnswer(Value, frozen=True):
    """The log will be sent under this name.

    Attributes:
        verdict: ACCEPTED or ACCEPTED_CANCELED.
    """

    verdict: Verdict
    file_name: str


class CertificateStatus(enum.Enum):
    """What became of a request about certificates."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    FAILED = "Failed"
    NOT_FOUND = "NotFound"


class CertificateAnswer(Value, frozen=True):
    """Outcome of a request about certificates.

    Attributes:
        reason: a 2.0.1 reasonCode, at most 20 characters; empty when there is none.
        info: for people, at most 500 characters.
        certificates: those that were asked for.
    """

    status: CertificateStatus
    reason: str = ""
    info: str = ""
    certificates: tuple[Certificate, ...] = ()


Outcome = (
    Done
    | SettingsAnswer
    | DataAnswer
    | ListVersion
    | CompositeAnswer
    | LogAnswer
    | CertificateAnswer
)


class Reply(Value, frozen=True):
    """Answer the request with this id."""

    request_id: int
    outcome: Outcome


# --- asks ---


class Restart(Value, frozen=True):
    """Restart the agent: everything that should survive is on disk."""

    reason: BootReason


class CloseLink(Value, frozen=True):
    """Close the present link; the core decides about the next dial."""

    reason: str


class Note(Value, frozen=True):
    """Something a person should read in the log or on the event stream."""

    kind: str
    text: str
    evse_id: int | None = None


class SecurityLogged(Value, frozen=True):
    """Write a security event into the security log.

    Attributes:
        type, tech_info: as in `SecurityEvent`.
    """

    type: str
    at: Stamp
    tech_info: str = ""
    is_critical: bool = False


class KeepRoot(Value, frozen=True):
    """Look at a root certificate and write it down if it is one.

    Answered by `CertificateKept` or `CertificateRefused` with the same id.

    Attributes:
        pem: as it came.
        signed_by: fingerprint of the CSMS root that has to have signed it; empty: none.
        at_s: UTC seconds for its dates; None while the time is unknown.
    """

    request_id: int
    kind: CertificateKind
    pem: str
    signed_by: str
    at_s: float | None


class KeepStationCertificate(Value, frozen=True):
    """Look at the station's certificate with its chain, and write it down beside its key.

    Answered by `CertificateKept` or `CertificateRefused` with the same id.

    Attributes:
        key_id: of the request for it.
        common_name: what it has to name.
        roots: fingerprints of CSMS roots; one of them has to vouch for it.
        at_s: UTC seconds.
    """

    request_id: int
    pem: str
    key_id: str
    common_name: str
    roots: tuple[str, ...]
    at_s: float


class MakeSigningRequest(Value, frozen=True):
    """Make a key and a request for its certificate; answered by `SigningRequestMade`."""

    key_id: str
    common_name: str
    organization: str
    algorithm: str


class DropCertificate(Value, frozen=True):
    """Remove a certificate that counts no more, and its key."""

    kind: CertificateKind
    fingerprint: str


class DropKey(Value, frozen=True):
    """Remove the key of a request that leads to nothing."""

    key_id: str


CertificateAsk = (
    KeepRoot | KeepStationCertificate | MakeSigningRequest | DropCertificate | DropKey
)

Effect = (
    Report
    | Forget
    | SetAside
    | BootReported
    | HeartbeatSent
    | AuthorizationWanted
    | StatusReported
    | MeterValuesReported
    | DataTransferSent
    | LimitTold
    | ProfilesReported
    | ChargingNeedsTold
    | VehicleScheduleTold
    | StatusRepeated
    | CertificateSigningWanted
    | Reply
    | Restart
    | CloseLink
    | Note
    | SecurityLogged
    | CertificateAsk
)
