"""Random lives of a station: whatever happens, in any order, and what must hold all along.

The outside is as unruly as it can be, within what the shell guarantees: an introduction is
answered once, a restart that was asked for takes place, and requests are numbered.
"""

from hypothesis import strategies as st

from agent.core import diagnostics, updates, variables
from agent.core.availability import operative_evses
from agent.core.effects import (
    AuthorizationWanted,
    BootReported,
    DataTransferSent,
    HeartbeatSent,
    KeepRoot,
    KeepStationCertificate,
    MakeSigningRequest,
    Reply,
    Restart,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import (
    AuthorizationAnswered,
    AvailabilityRequested,
    BootAnswered,
    CableChanged,
    CacheClearRequested,
    CertificateDeletionRequested,
    CertificateKept,
    CertificateRefused,
    CertificatesLost,
    CertificatesProvisioned,
    CertificatesRequested,
    ChargingProfileOffered,
    ChargingProfilesCleared,
    ChargingProfilesRequested,
    CompositeScheduleRequested,
    DataTransferAnswered,
    DataTransferReceived,
    DataTransferRequested,
    DeadlinePassed,
    DialFailed,
    DialRefusal,
    Event,
    EvseDetected,
    ExternalLimitCleared,
    ExternalLimitSet,
    FaultCleared,
    FaultRaised,
    GridInputChanged,
    HeartbeatAnswered,
    InstallerFound,
    LinkDown,
    LinkHeld,
    LinkUp,
    ListedToken,
    LocalListSent,
    LocalListVersionRequested,
    LockChanged,
    LogRequested,
    MessageFailed,
    MeterFailed,
    MeterRead,
    Origin,
    OutletChanged,
    PilotChanged,
    PowerUp,
    QuirksTolerated,
    RecordDelivered,
    RecordFailed,
    RemoteStartRequested,
    RemoteStopRequested,
    Request,
    ReservationCancelRequested,
    ReservationRequested,
    ResetKind,
    ResetRequested,
    RootOffered,
    SecurityEventRaised,
    SettingsReadRequested,
    SettingsWriteRequested,
    SigningAnswered,
    SigningRequestMade,
    StationCertificateOffered,
    StatusAcknowledged,
    StorageFailed,
    StorageRecovered,
    TemperatureRead,
    TokenPresented,
    TransactionAcknowledged,
    TriggerKind,
    TriggerRequested,
    UnlockRequested,
    UpdateRequested,
    UpdateWorkEnded,
    UploadEnded,
    VehicleNeedsAnswered,
    VehicleNeedsTold,
    VehicleScheduleAnswered,
    VehicleScheduleChosen,
)
from agent.core.orders import (
    Failure,
    LogKind,
    LogOrder,
    UpdateOrder,
    UpdateWork,
    UploadStatus,
    UploadWork,
)
from agent.core.orders import Step as OrderStep
from agent.core.smart_charging.needs import ChargingNeeds, NeedsAnswer, Transfer
from agent.core.smart_charging.profile import Kind
from agent.core.station import targets
from agent.core.trust import Certificate, CertificateKind
from agent.core.values import (
    AuthorizationStatus,
    BootReason,
    ConnectorStatus,
    EvseCapabilities,
    IdToken,
    RegistrationStatus,
    SessionPhase,
    TokenInfo,
)
from hal.types import Fault, PilotState, TokenType
from tests.support.core import OTHER, TAG, WALL_S, Bench, certificate_of, hash_data, reading
from tests.support.profiles import profiles, schedules

EVSES = st.sampled_from((1, 1, 2, 2, 9))
TOKENS = st.sampled_from((TAG, OTHER, IdToken("", TokenType.NO_AUTHORIZATION)))
INFOS = st.builds(
    TokenInfo,
    st.sampled_from(
        (
            AuthorizationStatus.ACCEPTED,
            AuthorizationStatus.ACCEPTED,
            AuthorizationStatus.INVALID,
            AuthorizationStatus.CONCURRENT_TX,
        )
    ),
    expires_wall_s=st.sampled_from((None, None, WALL_S + 100.0)),
    group=st.sampled_from((None, "G", "H")),
    evse_ids=st.sampled_from(((), (), (1,))),
)
WALLS = st.sampled_from((None, 0.0, WALL_S, WALL_S + 0.3, WALL_S + 7200.0))
REASONS = st.just("because")
PEMS = ("a", "b", "c", "bad")
"""What stands for certificates where nobody looks into them."""


def _provided(name: str) -> tuple[Certificate, ...]:
    return (certificate_of(name, CertificateKind.CSMS_ROOT),)


REQUEST = st.just(0)  # numbered when it is posted
HEAD = 0  # stands for the record at the head of the queue
UPDATE = UpdateOrder(None, "https://host/image", retries=1, retry_interval_s=5)
LOGS = (
    LogOrder(None, LogKind.DIAGNOSTICS, "https://host/", retries=1),
    LogOrder(None, LogKind.SECURITY, "https://host/logs", retries=0),
)
STATUS = ConnectorStatus(1, 1, False, SessionPhase.FREE, True)
WRITABLE = (
    (variables.SAMPLE_INTERVAL.name, ("0", "7", "60")),
    (variables.ENDED_INTERVAL.name, ("0", "11")),
    (variables.ALIGNED_INTERVAL.name, ("0", "13", "60")),
    (variables.ALIGNED_ENDED_INTERVAL.name, ("0", "17")),
    (variables.SAMPLED_MEASURANDS.name, ("", "Voltage", "Current.Offered,Power.Offered")),
    (variables.ENDED_MEASURANDS.name, ("", "Energy.Active.Import.Register", "Frequency")),
    (variables.STOP_ON_INVALID_ID.name, ("true", "false")),
    (variables.MAX_ENERGY_ON_INVALID_ID.name, ("0", "500")),
    (variables.RESUME_AFTER_POWER_LOSS.name, ("true", "false")),
    (variables.METER_FAILURE_ENDS.name, ("true", "false")),
    (variables.OFFLINE_UNKNOWN.name, ("true", "false")),
    (variables.LOCAL_PRE_AUTHORIZE.name, ("true", "false")),
    (variables.LIST_ENABLED.name, ("true", "false")),
    (variables.MINIMUM_STATUS.name, ("0", "5")),
    (variables.STOP_ON_EV_DISCONNECT.name, ("true", "false")),
    (variables.UNLOCK_ON_EV_DISCONNECT.name, ("true", "false")),
    (variables.UNLOCK_ON_DEAUTHORIZED.name, ("true", "false")),
    (variables.AUTHORIZE_REMOTE_START.name, ("true", "false")),
    (variables.TX_BEFORE_ACCEPTED.name, ("true", "false")),
    (variables.CONNECTION_TIMEOUT.name, ("0", "30")),
    (variables.HEARTBEAT_INTERVAL.name, ("0", "50")),
    (variables.CACHE_LIFETIME.name, ("0", "40")),
    (variables.MODEL.name, ("mine",)),
    ("No.Such", ("1",)),
)
ITEMS = st.sampled_from([(name, value) for name, values in WRITABLE for value in values])
MESSAGES = st.one_of(
    st.just(BootReported(BootReason.POWER_UP)),
    st.just(HeartbeatSent()),
    st.builds(AuthorizationWanted, EVSES, TOKENS),
)
EVENTS: dict[type, st.SearchStrategy[Event]] = {
    DeadlinePassed: st.builds(DeadlinePassed),
    StorageFailed: st.builds(StorageFailed, REASONS),
    StorageRecovered: st.builds(StorageRecovered),
    EvseDetected: st.builds(
        EvseDetected,
        EVSES,
        st.builds(
            EvseCapabilities,
            st.sampled_from((5.0, 6.0, 16.0, 40.0)),
            st.just(3),
            has_lock=st.booleans(),
        ),
    ),
    PilotChanged: st.builds(
        PilotChanged, EVSES, st.sampled_from(PilotState), st.sampled_from((1, 1, 1, 2))
    ),
    OutletChanged: st.builds(OutletChanged, EVSES, st.booleans()),
    CableChanged: st.builds(CableChanged, EVSES, st.sampled_from((None, 3.0, 13.0, 63.0))),
    TemperatureRead: st.builds(TemperatureRead, EVSES, st.sampled_from((20.0, 70.0, 90.0))),
    MeterRead: st.builds(
        MeterRead, EVSES, st.builds(reading, st.floats(0, 1e6), st.floats(0, 22e3))
    ),
    MeterFailed: st.builds(MeterFailed, EVSES, REASONS),
    FaultRaised: st.builds(FaultRaised, EVSES, st.sampled_from(Fault)),
    FaultCleared: st.builds(FaultCleared, EVSES, st.sampled_from(Fault)),
    TokenPresented: st.builds(TokenPresented, TOKENS, st.one_of(st.none(), EVSES)),
    LinkUp: st.builds(
        LinkUp,
        st.sampled_from((0, 1)),
        st.sampled_from(("ocpp1.6", "ocpp2.0.1")),
        st.just("ws://csms"),
        st.just(0),
        st.booleans(),
    ),
    LinkDown: st.builds(LinkDown, REASONS),
    DialFailed: st.builds(
        DialFailed,
        st.sampled_from((0, 1)),
        st.sampled_from(DialRefusal),
        REASONS,
        st.sampled_from((None, 5.0, 1e9)),
    ),
    LinkHeld: st.builds(LinkHeld, st.booleans()),
    DataTransferReceived: st.builds(
        DataTransferReceived, REQUEST, st.sampled_from(("", "Acme")), st.none(), st.none()
    ),
    QuirksTolerated: st.builds(QuirksTolerated, st.just(("numeric_message_id",))),
    BootAnswered: st.builds(
        BootAnswered,
        st.sampled_from(RegistrationStatus),
        st.sampled_from((-1, 0, 20, 10**9)),
        WALLS,
    ),
    HeartbeatAnswered: st.builds(HeartbeatAnswered, WALLS),
    AuthorizationAnswered: st.builds(AuthorizationAnswered, EVSES, TOKENS, INFOS),
    StatusAcknowledged: st.builds(StatusAcknowledged, st.just(STATUS)),
    MessageFailed: st.builds(MessageFailed, MESSAGES, REASONS),
    TransactionAcknowledged: st.builds(
        TransactionAcknowledged,
        st.just("latest"),
        st.sampled_from((None, 1, 2)),
        st.one_of(st.none(), TOKENS),
        st.one_of(st.none(), INFOS),
    ),
    RecordDelivered: st.builds(RecordDelivered, st.sampled_from((HEAD, HEAD, 9999))),
    RecordFailed: st.builds(RecordFailed, st.sampled_from((HEAD, HEAD, 9999)), REASONS),
    RemoteStartRequested: st.builds(
        RemoteStartRequested,
        REQUEST,
        TOKENS,
        st.one_of(st.none(), EVSES),
        st.sampled_from((None, 5)),
    ),
    RemoteStopRequested: st.builds(
        RemoteStopRequested,
        REQUEST,
        st.sampled_from((None, "latest")),
        st.sampled_from((None, 1)),
    ),
    ResetRequested: st.builds(
        ResetRequested,
        REQUEST,
        st.sampled_from(ResetKind),
        st.sampled_from((None, None, 1)),
        st.sampled_from(Origin),
    ),
    SettingsReadRequested: st.builds(
        SettingsReadRequested, REQUEST, st.sampled_from(((), ("No.Such",)))
    ),
    SettingsWriteRequested: st.builds(
        SettingsWriteRequested, REQUEST, st.lists(ITEMS, max_size=4).map(tuple)
    ),
    AvailabilityRequested: st.builds(
        AvailabilityRequested,
        REQUEST,
        st.booleans(),
        st.one_of(st.none(), EVSES),
        st.sampled_from((None, 1, 2)),
    ),
    TriggerRequested: st.builds(
        TriggerRequested,
        REQUEST,
        st.sampled_from(TriggerKind),
        st.one_of(st.none(), st.just(0), EVSES),
        st.sampled_from((None, 1, 3)),
        st.sampled_from(((), ("Voltage",))),
    ),
    ReservationRequested: st.builds(
        ReservationRequested,
        REQUEST,
        st.integers(1, 3),
        TOKENS,
        st.sampled_from((0.0, WALL_S + 100.0, WALL_S + 5000.0)),
        st.one_of(st.none(), EVSES),
        st.sampled_from((None, "G")),
    ),
    ReservationCancelRequested: st.builds(
        ReservationCancelRequested, REQUEST, st.integers(1, 3)
    ),
    LockChanged: st.builds(LockChanged, EVSES, st.booleans()),
    UnlockRequested: st.builds(
        UnlockRequested, REQUEST, EVSES, st.sampled_from((1, 2)), st.booleans()
    ),
    CacheClearRequested: st.builds(CacheClearRequested, REQUEST),
    LocalListSent: st.builds(
        LocalListSent,
        REQUEST,
        st.integers(-1, 6),
        st.booleans(),
        st.lists(st.builds(ListedToken, TOKENS, st.one_of(st.none(), INFOS)), max_size=3).map(
            tuple
        ),
    ),
    LocalListVersionRequested: st.builds(LocalListVersionRequested, REQUEST),
    GridInputChanged: st.builds(GridInputChanged, st.booleans()),
    ExternalLimitSet: st.builds(
        ExternalLimitSet,
        REQUEST,
        st.sampled_from(("ems", "modbus")),
        st.sampled_from((5.0, 60.0)),
        st.sampled_from((0, 1, 9)),
        st.sampled_from((0.0, 6.0, 16.0)),
    ),
    ExternalLimitCleared: st.builds(ExternalLimitCleared, REQUEST, st.just("ems")),
    VehicleNeedsTold: st.builds(
        VehicleNeedsTold,
        EVSES,
        st.just(ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 32, 230)),
    ),
    VehicleScheduleChosen: st.builds(
        VehicleScheduleChosen, EVSES, schedules(int(WALL_S), Kind.RELATIVE)
    ),
    VehicleNeedsAnswered: st.builds(VehicleNeedsAnswered, EVSES, st.sampled_from(NeedsAnswer)),
    VehicleScheduleAnswered: st.builds(VehicleScheduleAnswered, EVSES, st.booleans()),
    ChargingProfileOffered: st.builds(
        ChargingProfileOffered,
        REQUEST,
        EVSES,
        profiles(int(WALL_S)),
        st.one_of(st.none(), st.just(7)),
        st.booleans(),
    ),
    ChargingProfilesCleared: st.builds(
        ChargingProfilesCleared, REQUEST, st.one_of(st.none(), st.integers(1, 4))
    ),
    ChargingProfilesRequested: st.builds(ChargingProfilesRequested, REQUEST, st.just(1)),
    CompositeScheduleRequested: st.builds(
        CompositeScheduleRequested, REQUEST, EVSES, st.integers(-1, 100_000)
    ),
    RootOffered: st.builds(
        RootOffered, REQUEST, st.sampled_from(CertificateKind), st.sampled_from(PEMS)
    ),
    StationCertificateOffered: st.builds(
        StationCertificateOffered, REQUEST, st.sampled_from(PEMS)
    ),
    CertificateDeletionRequested: st.builds(
        CertificateDeletionRequested, REQUEST, st.sampled_from(PEMS).map(hash_data)
    ),
    CertificatesRequested: st.builds(
        CertificatesRequested,
        REQUEST,
        st.sampled_from(((), (CertificateKind.CSMS_ROOT, CertificateKind.STATION))),
    ),
    CertificatesProvisioned: st.builds(
        CertificatesProvisioned, st.sampled_from(PEMS), st.sampled_from(PEMS).map(_provided)
    ),
    CertificatesLost: st.just(CertificatesLost(("csms-roots/a",))),
    SigningAnswered: st.builds(SigningAnswered, st.booleans()),
    DataTransferRequested: st.builds(DataTransferRequested, REQUEST, st.just("vendor")),
    InstallerFound: st.builds(
        InstallerFound, st.just("slots"), st.sampled_from((None, "a", "b")), st.booleans()
    ),
    UpdateRequested: st.builds(UpdateRequested, REQUEST, st.just(UPDATE)),
    UpdateWorkEnded: st.builds(
        UpdateWorkEnded,
        st.just(UpdateWork(0, OrderStep.DOWNLOAD, UPDATE)),  # becomes the present work
        st.sampled_from((None, None, None, None, *Failure)),
        slot=st.sampled_from((None, "b")),
    ),
    LogRequested: st.builds(LogRequested, REQUEST, st.sampled_from(LOGS)),
    UploadEnded: st.builds(
        UploadEnded, st.just(UploadWork(0, LOGS[0], "")), st.sampled_from(UploadStatus)
    ),
    SecurityEventRaised: st.builds(SecurityEventRaised, st.just("TamperDetectionActivated")),
}
MADE_BY_THE_RUN = {
    PowerUp,
    DataTransferAnswered,
    CertificateKept,
    CertificateRefused,
    SigningRequestMade,
}

DEEDS = ("charge 1", "charge 2", "obey", "read", "cut", "answer", "deliver")
Wait = st.floats(0.0, 90.0) | st.sampled_from((0.1, 5.0, 10.0, 30.0, 60.0, 3700.0))
# What keeps energy flowing for a while would be too rare if all were alike.
STEPS = [st.just(deed) for deed in DEEDS] * 3 + [Wait] * 8 + list(EVENTS.values())
Step = st.integers(0, len(STEPS) - 1).flatmap(STEPS.__getitem__)


STARTS = ("offline", "online", "charging", "charging")


class Run:
    """A random life of a station, and what must hold in it."""

    def __init__(self, start: str, items: list[tuple[str, str]]) -> None:
        self.bench = Bench(
            2, connectors=2, profiles=2, protocols=("HTTPS",), ISO15118Ctrlr__Enabled="true"
        )
        self.requests = 0
        self.unanswered: dict[int, DataTransferSent] = {}
        self.is_introduced = False
        self.restart: BootReason | None = None
        for evse_id in (1, 2):
            self.bench.hardware(evse_id)
        self.post(SettingsWriteRequested(0, tuple(items)))
        if start != "offline":
            self.bench.connect()
        if start == "charging":
            self.charge(1)

    def take(self, step: object) -> None:
        bench = self.bench
        match step:
            case "obey":
                for evse_id, target in targets(bench.station).evses.items():
                    bench.post(OutletChanged(evse_id, closed=target.energize))
            case "read":
                for evse_id in (1, 2):
                    held = bench.station.evses[evse_id].inputs.reading
                    register = held.energy_import_wh if held else 1000.0
                    bench.meter(register + 30.0, evse_id)
            case "charge 1" | "charge 2":
                self.charge(int(step.removeprefix("charge ")))
            case "cut":
                self.cut(BootReason.POWER_UP)
            case "answer":
                self.answer()
            case "deliver":
                bench.deliver()
            case float():
                self.note(bench.wait(step))
            case BootAnswered() | MessageFailed(message=BootReported()):
                if self.is_introduced:  # the CSMS answers what it was asked, and once
                    self.is_introduced = False
                    self.post(step)
            case LinkDown():
                self.post(step)
                self.take(MessageFailed(BootReported(BootReason.POWER_UP), "lost"))
            case _:
                self.post(step)
        if self.restart is not None:
            self.cut(self.restart)
        self.hold()

    def charge(self, evse_id: int) -> None:
        self.take("read")
        self.take(PilotChanged(evse_id, PilotState.C))
        self.take(TokenPresented(TAG, evse_id))
        good = TokenInfo(AuthorizationStatus.ACCEPTED, group="G")
        self.take(AuthorizationAnswered(evse_id, TAG, good))
        self.take("obey")

    def cut(self, cause: BootReason) -> None:
        self.bench.power_cut(cause)
        self.is_introduced, self.restart = False, None
        self.unanswered.clear()  # the client's connection is gone as well
        for evse_id in (1, 2):
            self.bench.post(EvseDetected(evse_id, EvseCapabilities(32.0, 3)))

    def note(self, effects: list) -> None:
        for effect in effects:
            match effect:
                case BootReported():
                    self.is_introduced = True
                case Restart(reason=reason):
                    self.restart = reason

    def answer(self) -> None:
        for request_id in list(self.unanswered):
            self.unanswered.pop(request_id)
            self.replied(request_id, self.bench.post(DataTransferAnswered(request_id, "OK")))

    def post(self, event: object) -> None:
        bench = self.bench
        started = bench.told_records(TransactionStarted)
        latest = started[-1].transaction_id if started else "none"
        entries = bench.station.outbox.entries
        head = entries[0].record_id if entries else 1
        match event:
            case TransactionAcknowledged(_, remote_id, id_token, info):
                event = TransactionAcknowledged(latest, remote_id, id_token, info)
            case RecordDelivered(record_id=record_id):
                event = RecordDelivered(record_id or head)
            case RecordFailed(record_id=record_id):
                event = RecordFailed(record_id or head, "refused")
            case UpdateWorkEnded(work=present):
                now = updates.work(bench.station.firmware) or present
                event = UpdateWorkEnded(now, event.failure, slot=event.slot)
            case UploadEnded(work=upload):
                attempt = diagnostics.work(bench.station.diagnostics) or upload
                event = UploadEnded(attempt, event.status)
            case _ if isinstance(event, Request):
                self.requests += 1
                names = {name: getattr(event, name) for name in event.__struct_fields__}
                names["request_id"] = self.requests
                if names.get("transaction_id"):
                    names["transaction_id"] = latest
                event = type(event)(**names)
        effects = bench.post(event)
        self.note(effects)
        effects += self.kept(effects)
        sent = [effect for effect in effects if isinstance(effect, DataTransferSent)]
        self.unanswered |= {effect.request_id: effect for effect in sent}
        if isinstance(event, Request) and not sent:
            self.replied(self.requests, effects)
        else:
            assert not [effect for effect in effects if isinstance(effect, Reply)]

    def kept(self, effects: list) -> list:
        """Do what is asked with keys and certificates; return what is told then."""
        told: list = []
        for effect in effects:
            match effect:
                case KeepRoot() if effect.pem == "bad":
                    told += self.bench.post(CertificateRefused(effect.request_id, "bad"))
                case KeepRoot():
                    certificate = certificate_of(effect.pem, effect.kind)
                    told += self.bench.post(CertificateKept(effect.request_id, certificate))
                case KeepStationCertificate():
                    certificate = certificate_of(effect.pem, CertificateKind.STATION)
                    told += self.bench.post(CertificateKept(effect.request_id, certificate))
                case MakeSigningRequest(key_id=key_id):
                    told += self.bench.post(SigningRequestMade(key_id, "csr"))
        self.note(told)
        return told

    def replied(self, request_id: int, effects: list) -> None:
        replies = [effect for effect in effects if isinstance(effect, Reply)]
        assert [reply.request_id for reply in replies] == [request_id]

    def hold(self) -> None:
        """Check what the bench does not check by itself."""
        station = self.bench.station
        operative = operative_evses(station.availability, station.evses)
        for evse_id, target in targets(station).evses.items():
            assert not target.energize or evse_id in operative
            assert not target.energize or target.offer_a > 0.0
        bills: dict[str, list] = {}
        for record in self.bench.records:
            match record:
                case TransactionStarted(transaction_id=key):
                    assert key not in bills
                    bills[key] = [record]
                case (
                    TransactionUpdated(transaction_id=key)
                    | TransactionEnded(transaction_id=key)
                ):
                    assert not isinstance(bills[key][-1], TransactionEnded)
                    bills[key].append(record)
        self.check_bills(bills)

    def check_bills(self, bills: dict[str, list]) -> None:
        is_open = {
            evse.transaction.transaction_id
            for evse in self.bench.station.evses.values()
            if evse.transaction
        }
        for key, records in bills.items():
            ended = isinstance(records[-1], TransactionEnded)
            assert ended is (key not in is_open)
            if ended:
                self.check_end(records[0], records[-1])

    def check_end(self, started: TransactionStarted, ended: TransactionEnded) -> None:
        assert ended.meter_stop_wh >= started.meter_start_wh
        assert (ended.at.boot, ended.at.monotonic_s) >= (
            started.at.boot,
            started.at.monotonic_s,
        )
        instants = [(sample.at.boot, sample.at.monotonic_s) for sample in ended.samples]
        assert instants == sorted(instants)
        assert ended.charging_s is not None
        assert ended.charging_s >= 0.0
        if ended.at.boot == started.at.boot:
            assert ended.charging_s <= ended.at.monotonic_s - started.at.monotonic_s + 0.001

    def finish(self) -> None:
        """Whatever happened: a vehicle that leaves ends its transaction."""
        bench = self.bench
        for evse_id in (1, 2):
            bench.pilot(PilotState.A, evse_id)
            bench.post(OutletChanged(evse_id, closed=False))
            bench.meter(2e6, evse_id)
        bench.wait(100.0)
        for evse in bench.station.evses.values():
            assert evse.transaction is None
        self.hold()
