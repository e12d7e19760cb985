"""A station without a shell: drives `step` by hand and checks the promises after every step."""

from typing import TypeVar

from agent.core import durable
from agent.core.bounds import Site
from agent.core.credentials import Network
from agent.core.effects import (
    Effect,
    Forget,
    Record,
    Reply,
    Report,
    SetAside,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.events import (
    AuthorizationAnswered,
    BootAnswered,
    DeadlinePassed,
    Event,
    EvseDetected,
    LinkUp,
    MeterRead,
    OutletChanged,
    PilotChanged,
    PowerUp,
    RecordDelivered,
    TokenPresented,
)
from agent.core.outbox import entry_of
from agent.core.routing import step
from agent.core.setpoint import limits
from agent.core.states import Active, Session
from agent.core.station import Station, deadline, due, targets
from agent.core.trust import ALGORITHMS, Certificate, CertificateKind, HashData
from agent.core.values import (
    AuthorizationStatus,
    BootReason,
    Env,
    EvseCapabilities,
    EvseSpec,
    IdToken,
    MeterReading,
    RegistrationStatus,
    Stamp,
    StationInfo,
    TokenInfo,
)
from hal.types import READY_STATES, Phases, PilotState

R = TypeVar("R")
WALL_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z
INFO = StationInfo("CP001", "Example", "Wallbox One", "EX-0001", "1.0.0")
TAG = IdToken("04A1B2C3")
OTHER = IdToken("0BADCAFE")


def reading(
    energy_wh: float = 1000.0, power_w: float = 0.0, current_a: float = 0.0
) -> MeterReading:
    return MeterReading(
        energy_import_wh=energy_wh,
        power_w=power_w,
        current_a=Phases(current_a, current_a, current_a),
        voltage_v=Phases(230.0, 230.0, 230.0),
    )


def hash_data(name: str, algorithm: str = "SHA256") -> HashData:
    """Return how a certificate of this name is named."""
    return HashData(algorithm, f"{algorithm.lower()}-{name}", "key", "1f")


def certificate_of(
    name: str,
    kind: CertificateKind = CertificateKind.CSMS_ROOT,
    *,
    begins_s: float = WALL_S - 86_400.0,
    ends_s: float = WALL_S + 365 * 86_400.0,
) -> Certificate:
    """Return a certificate as the core knows it; its name is its fingerprint."""
    hashes = tuple(hash_data(name, algorithm) for algorithm in ALGORITHMS)
    return Certificate(kind, name, f"CN={name}", hashes, begins_s, ends_s)


class Bench:
    """One station, its clock, and everything it has told."""

    def __init__(
        self,
        evses: int = 1,
        *,
        connectors: int = 1,
        profiles: int = 1,
        wall_s: float | None = WALL_S,
        site: Site = Site(),  # noqa: B008 - a value
        protocols: tuple[str, ...] = (),
        networks: tuple[Network, ...] = (),
        **settings: str,
    ) -> None:
        self.specs = tuple(EvseSpec(i + 1, connectors, 32.0, 3) for i in range(evses))
        self.factory = {key.replace("__", "."): value for key, value in settings.items()}
        self.profiles, self.site, self.networks = profiles, site, networks
        self.protocols = protocols
        self.boot, self.now_s, self.wall_s = 0, 0.0, wall_s
        self.jitter = 0.5
        self.ids = 0
        self.effects: list[Effect] = []
        self.records: list[Record] = []
        self.stored: dict[int, Record] = {}
        self.station: Station
        self._rows: dict[str, dict[str, bytes]] = {}
        self._start(BootReason.POWER_UP)

    # --- life ---

    def _start(self, cause: BootReason) -> None:
        self.boot += 1
        entries = [entry_of(key, record) for key, record in sorted(self.stored.items())]
        self.station = durable.restored(
            self._rows,
            entries,
            info=INFO,
            specs=self.specs,
            profiles=self.profiles,
            factory=self.factory,
            protocols=self.protocols,
            networks=self.networks,
            site=self.site,
        )
        self._saved: durable.Rows = durable.rows(self.station)
        self.post(PowerUp(cause))

    def power_cut(
        self, cause: BootReason = BootReason.POWER_UP, *, off_s: float = 60.0
    ) -> None:
        """Lose everything but what the store holds, and start again."""
        self.wall_s = None if self.wall_s is None else self.wall_s + self.now_s + off_s
        self.now_s = 0.0
        self._start(cause)

    def env(self) -> Env:
        self.ids += 1
        wall = None if self.wall_s is None else self.wall_s + self.now_s
        return Env(Stamp(self.boot, self.now_s, wall), f"id-{self.ids}", self.jitter)

    def post(self, event: Event) -> list[Effect]:
        before = self.station
        self.station, effects = step(self.station, event, self.env())
        self._commit(effects)
        self.effects += effects
        self.check(before, event)
        return list(effects)

    def _commit(self, effects: tuple[Effect, ...]) -> None:
        present = durable.rows(self.station)
        for name, key, raw in durable.changed(self._saved, present):
            rows = self._rows.setdefault(name, {})
            if raw is None:
                rows.pop(key)
            else:
                rows[key] = raw
        self._saved = present
        for effect in effects:
            match effect:
                case Report(record_id=record_id, record=record):
                    self.stored[record_id] = record
                    self.records.append(record)
                case Forget(record_id=record_id) | SetAside(record_id=record_id):
                    self.stored.pop(record_id, None)

    def wait(self, seconds: float) -> list[Effect]:
        """Let time pass, waking the station whenever it wants to be."""
        end, effects = self.now_s + seconds, []
        while True:
            wakes_s = deadline(self.station)
            if wakes_s is None or wakes_s > end:
                break
            self.now_s = max(self.now_s, wakes_s)
            effects += self.post(DeadlinePassed())
        self.now_s = end
        return effects

    # --- promises, after every step ---

    def check(self, before: Station, event: Event) -> None:
        station = self.station
        for evse_id, target in targets(station).evses.items():
            evse = station.evses[evse_id]
            least = min(limit.limit_a for limit in limits(evse))
            assert target.offer_a == 0.0 or 6.0 <= target.offer_a <= least + 1e-6
            if target.energize:
                assert evse.inputs.pilot in READY_STATES
                assert isinstance(evse.session, Active)
                assert evse.inputs.blocking is None
                assert station.storage_ok
                started = [r for r in self.records if isinstance(r, TransactionStarted)]
                ids = [record.transaction_id for record in started]
                assert evse.session.transaction.transaction_id in ids
        wakes_s = deadline(station)
        assert due(station, due(before)).at_s == wakes_s
        if isinstance(event, DeadlinePassed):
            is_ahead = wakes_s is None or wakes_s > self.now_s
            assert is_ahead, "a deadline that has passed is still set"
        self._contiguous()

    def _contiguous(self) -> None:
        numbers: dict[str, list[int]] = {}
        for record in self.records:
            if isinstance(record, TransactionStarted | TransactionUpdated | TransactionEnded):
                numbers.setdefault(record.transaction_id, []).append(record.seq_no)
        for found in numbers.values():
            assert found == list(range(len(found)))

    # --- the world ---

    def connect(self, subprotocol: str = "ocpp2.0.1", *, interval_s: int = 300) -> None:
        self.post(LinkUp(0, subprotocol, "ws://csms", 0))
        if not self.station.is_online:
            self.accept(interval_s=interval_s)

    def accept(self, *, interval_s: int = 300) -> list[Effect]:
        wall = None if self.wall_s is None else self.wall_s + self.now_s
        return self.post(BootAnswered(RegistrationStatus.ACCEPTED, interval_s, wall))

    def hardware(self, evse_id: int = 1, energy_wh: float = 1000.0) -> None:
        self.post(EvseDetected(evse_id, EvseCapabilities(max_a=32.0, phases=3)))
        self.post(PilotChanged(evse_id, PilotState.A))
        self.post(OutletChanged(evse_id, closed=False))
        self.now_s += 0.1
        self.post(MeterRead(evse_id, reading(energy_wh)))

    def ready(self, evses: int = 1) -> "Bench":
        """Boot, connect and find idle hardware."""
        for evse_id in range(1, evses + 1):
            self.hardware(evse_id)
        self.connect()
        return self

    def pilot(self, pilot: PilotState, evse_id: int = 1, connector_id: int = 1) -> list[Effect]:
        return self.post(PilotChanged(evse_id, pilot, connector_id))

    def tap(self, id_token: IdToken = TAG, evse_id: int | None = 1) -> list[Effect]:
        return self.post(TokenPresented(id_token, evse_id))

    def meter(self, energy_wh: float, evse_id: int = 1, power_w: float = 0.0) -> list[Effect]:
        self.now_s += 0.1
        return self.post(MeterRead(evse_id, reading(energy_wh, power_w)))

    def grant(
        self, evse_id: int = 1, id_token: IdToken = TAG, group: str | None = None
    ) -> list[Effect]:
        """Let the CSMS accept a token that was presented."""
        info = TokenInfo(AuthorizationStatus.ACCEPTED, group=group)
        return self.post(AuthorizationAnswered(evse_id, id_token, info))

    def obey(self, evse_id: int = 1) -> list[Effect]:
        """Let the contactor follow its target."""
        closed = targets(self.station).of(evse_id).energize
        return self.post(OutletChanged(evse_id, closed=closed))

    def charge(
        self, evse_id: int = 1, id_token: IdToken = TAG, group: str | None = None
    ) -> None:
        """Lead an EVSE of an online station to the flow of energy."""
        self.pilot(PilotState.C, evse_id)
        self.tap(id_token, evse_id)
        self.grant(evse_id, id_token, group)
        self.obey(evse_id)

    def session(self, evse_id: int = 1) -> Session:
        return self.station.evses[evse_id].session

    def deliver(self) -> None:
        """Let the CSMS take everything that waits."""
        while self.station.outbox.entries:
            self.post(RecordDelivered(self.station.outbox.entries[0].record_id))

    def told(self, kind: type) -> list[Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def told_records(self, kind: type[R]) -> list[R]:
        """Return every record of one kind, in order."""
        return [record for record in self.records if isinstance(record, kind)]

    def reply(self, request_id: int) -> object:
        found = [e for e in self.effects if isinstance(e, Reply) and e.request_id == request_id]
        assert len(found) == 1, f"request {request_id} has {len(found)} replies"
        return found[0].outcome
