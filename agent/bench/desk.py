"""Where a station's messages are dealt with, and what both versions' clerks share.

A clerk (agent.bench.v16, agent.bench.v201) enters a decoded message in the ledger and
returns the payload of its answer. It works at a `Desk`: one per station and link, with the
ledger, the script and the clock, and a memory of what was answered lately.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from agent.bench.events import BenchEvent, TransactionTold
from agent.bench.ledger import Ledger, Sample, StationLedger, Transaction
from agent.bench.script import Behaviour, Verdict
from agent.ocpp.wire_time import to_text
from hal.types import Value

MOST_REMEMBERED = 64
"""Answers that are kept to be given again."""

Payload = dict[str, Any]
"""A payload as it is written on the wire."""

ENERGY = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"


class Asked(Value, frozen=True):
    """A request of the CSMS, ready to be sent."""

    action: str
    payload: dict[str, Any]


class Wish(Value, frozen=True):
    """A reservation to ask for.

    Attributes:
        expires_at: as text for the wire.
        evse_id: None: any EVSE.
    """

    reservation_id: int
    token: str
    expires_at: str
    evse_id: int | None = None
    group: str | None = None


class SettingError(Exception):
    """The station did not do as asked with a setting.

    Attributes:
        name: the setting.
        answer: what the station said of it.
    """

    def __init__(self, name: str, answer: str) -> None:
        super().__init__(f"{name}: the station answers {answer}")
        self.name, self.answer = name, answer


class Desk:
    """What a clerk works with.

    Attributes:
        tell: shows an event to whoever watches.
        complain: notes a violation that does not keep the message from being answered.
        action: of the message that is being dealt with.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        station: StationLedger,
        behaviour: Behaviour,
        now: Callable[[], float],
        tell: Callable[[BenchEvent], None],
        complain: Callable[[str], None],
    ) -> None:
        self.ledger, self.station, self.behaviour = ledger, station, behaviour
        self.tell, self.complain = tell, complain
        self._now = now
        self._answered: dict[tuple[object, ...], tuple[bytes, Payload]] = {}

    @property
    def identity(self) -> str:
        """Return the station's identity."""
        return self.station.identity

    @property
    def now_s(self) -> float:
        """Return the CSMS's time, UTC seconds since 1970."""
        return self._now() + self.behaviour.clock_offset_s

    @property
    def now_text(self) -> str:
        """Return the CSMS's time for the wire."""
        return to_text(self.now_s)

    def verdict(self, token: str) -> Verdict:
        """Return the standing of a token that a transaction names."""
        return self.behaviour.transaction_verdict(token)

    def remember(self, key: tuple[object, ...], told: bytes, answer: Payload) -> Payload:
        """Keep an answer, to be given again when the same is told again; and return it."""
        self._answered[key] = (told, answer)
        if len(self._answered) > MOST_REMEMBERED:
            del self._answered[next(iter(self._answered))]
        return answer

    def repeated(self, key: tuple[object, ...], told: bytes) -> Payload | None:
        """Return the answer that was given before; None when it is not remembered.

        A message that comes again with another content is a violation.
        """
        kept = self._answered.get(key)
        if kept is None:
            return None
        if kept[0] != told:
            self.complain(f"{' '.join(str(part) for part in key)} came again, but different")
        return kept[1]

    def enter_samples(self, entry: Transaction, samples: Iterable[Sample]) -> None:
        """Add samples to a transaction; a meter that runs backwards is a violation."""
        for sample in entry.take_samples(samples):
            self.complain(
                f"transaction {entry.transaction_id}: the register went back to "
                f"{sample.energy_wh:g} Wh at {sample.at}"
            )

    def enter_end(self, entry: Transaction, ended_at: str, reason: str | None) -> None:
        """Note the end of a transaction, whose meter_stop_wh is set."""
        entry.ended_at, entry.reason = ended_at, reason
        energy_wh = entry.energy_wh
        if energy_wh is not None and energy_wh < 0:
            self.complain(f"transaction {entry.transaction_id}: {energy_wh:g} Wh are billed")

    def show(
        self,
        entry: Transaction,
        phase: str,
        *,
        trigger: str | None = None,
        power_w: float | None = None,
        is_repeated: bool = False,
    ) -> None:
        """Tell that a transaction began, went on or ended."""
        if is_repeated:
            entry.duplicates += 1
        self.tell(
            TransactionTold(
                at_s=self.now_s,
                identity=self.identity,
                transaction_id=entry.transaction_id,
                phase=phase,
                id_token=entry.id_token,
                trigger=trigger,
                energy_wh=entry.energy_wh,
                power_w=power_w,
                reason=entry.reason,
                is_repeated=is_repeated,
            )
        )


class ProfileWish(Value, frozen=True):
    """A charging profile to ask for.

    Attributes:
        purpose: "station" for the sum of all EVSEs, "default" for every transaction, "tx" for
            the one that is given.
        evse_id: 0: the station.
        periods: seconds from the start, and the limit from then on.
        starts_at: as text for the wire; None: relative to the transaction.
        phases: that may be used, None for all.
    """

    profile_id: int
    purpose: Literal["station", "default", "tx"]
    evse_id: int
    periods: tuple[tuple[int, float], ...]
    unit: Literal["A", "W"] = "A"
    level: int = 0
    starts_at: str | None = None
    lasts_s: int | None = None
    transaction: Transaction | None = None
    phases: int | None = None

    @property
    def kind(self) -> str:
        """Return the kind, the same word in both versions."""
        return "Relative" if self.starts_at is None else "Absolute"

    def schedule(self) -> Payload:
        """Return what the schedules of both versions have in common."""
        phases = {} if self.phases is None else {"numberPhases": self.phases}
        found: Payload = {
            "chargingRateUnit": self.unit,
            "chargingSchedulePeriod": [
                {"startPeriod": start_s, "limit": limit, **phases}
                for start_s, limit in self.periods
            ],
        }
        if self.starts_at is not None:
            found["startSchedule"] = self.starts_at
        if self.lasts_s is not None:
            found["duration"] = self.lasts_s
        return found


class Clerk(Protocol):
    """One protocol version, as the CSMS speaks it."""

    @property
    def subprotocol(self) -> str:
        """Name on the wire."""

    @property
    def requests(self) -> Mapping[str, type[msgspec.Struct]]:
        """Types of the station's requests, by action."""

    @property
    def responses(self) -> Mapping[str, type[msgspec.Struct]]:
        """Types of the answers, by action."""

    @property
    def unchecked(self) -> Mapping[str, Payload]:
        """Answers to requests that leave nothing in the ledger, by action.

        They are held to their types where there are any.
        """

    def take(self, request: msgspec.Struct, desk: Desk) -> Payload:
        """Enter a request of a known type in the ledger and return its answer."""

    def remote_start(self, token: str, evse_id: int, remote_start_id: int) -> Asked:
        """Return the request that starts a transaction."""

    def remote_stop(self, entry: Transaction) -> Asked:
        """Return the request that stops one."""

    def reset(self, *, hard: bool) -> Asked:
        """Return the request that restarts the station; soft: after its transactions."""

    def profile(self, wish: ProfileWish) -> Asked:
        """Return the request that installs a charging profile."""

    def clear_profiles(self, profile_id: int | None) -> Asked:
        """Return the request that removes a charging profile; None: all of them."""

    def composite(self, evse_id: int, duration_s: int, unit: str) -> Asked:
        """Return the request for the limits of an EVSE from now on; 0: of the station."""

    def composite_of(self, answer: Payload) -> tuple[tuple[int, float], ...]:
        """Return the periods in the answer; none when it was refused."""

    def send_list(
        self, version: int, entries: Mapping[str, Verdict | None], *, full: bool
    ) -> Asked:
        """Return the request that replaces or changes the local list; None removes."""

    def list_version(self) -> Asked:
        """Return the request for the version of the local list."""

    def list_version_of(self, answer: Payload) -> int:
        """Return the version in the answer."""

    def reserve(self, wish: Wish) -> Asked:
        """Return the request that keeps an EVSE free."""

    def unlock(self, evse_id: int) -> Asked:
        """Return the request that releases the plug of an EVSE."""

    def trigger(self, message: str, evse_id: int | None) -> Asked:
        """Return the request that wants a message told now; None: of every EVSE."""

    def get_setting(self, name: str) -> Asked:
        """Return the request that reads a setting."""

    def setting_of(self, name: str, answer: Payload) -> str:
        """Return the value in the answer.

        Raises:
            SettingError: there is none.
        """

    def set_setting(self, name: str, value: str) -> Asked:
        """Return the request that writes a setting."""

    def setting_status(self, answer: Payload) -> str:
        """Return what became of it."""


def energy_of(samples: Iterable[Sample], context: str) -> float | None:
    """Return the register in the sample of a context; in the last one when none has it."""
    energy_wh = None
    for sample in samples:
        if sample.energy_wh is not None:
            energy_wh = sample.energy_wh
            if sample.context == context:
                return energy_wh
    return energy_wh


def periods_of(schedule: Payload) -> tuple[tuple[int, float], ...]:
    """Return start and limit of every period of a schedule, the same in both versions."""
    periods = schedule["chargingSchedulePeriod"]
    return tuple((int(item["startPeriod"]), float(item["limit"])) for item in periods)


def power_of(samples: Iterable[Sample]) -> float | None:
    """Return the last power that was told."""
    told = [sample.power_w for sample in samples if sample.power_w is not None]
    return told[-1] if told else None
