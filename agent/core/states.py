"""What the core knows of each EVSE: the hardware's latest word, and where its session stands.

The session of an EVSE is in exactly one of these states; each carries what only it needs.

    Idle ──authorized──► Authorized ──connected──► Active ──stopped──► Ending ──► Finished
     ▲  └───────────────authorized while connected──┘  ▲                            │
     └──────unplugged / timeout──────────────────┘  Resuming (after a power cut)    │
     ▲                                                                              │
     └──────────────────────────────unplugged───────────────────────────────────────┘

`Active`, `Ending` and `Resuming` hold a transaction and are durable, and so is a `Finished`
that keeps somebody's plug; the others are re-established from the hardware's reports after a
restart.
"""

from agent.core.smart_charging.profile import Profile
from agent.core.values import (
    ChargingState,
    EvseCapabilities,
    EvseSpec,
    IdToken,
    Limit,
    MeterReading,
    Sample,
    Stamp,
    StopReason,
    Trigger,
    Value,
)
from hal.types import PLUGGED_STATES, READY_STATES, Fault, PilotState

READING_FRESH_S = 10.0
"""A reading older than this is neither billed nor sampled (hardware reference 1.5, rule 3)."""

WARNINGS = frozenset({Fault.READER_FAILURE})
"""Faults that do not prevent charging."""

GRACE_S = {
    Fault.OVER_VOLTAGE: 60.0,
    Fault.UNDER_VOLTAGE: 60.0,
    Fault.HIGH_TEMPERATURE: 60.0,
    Fault.COMMUNICATION_FAULT: 60.0,
}
"""How long a fault may pause a transaction before it ends it; other faults end it at once."""


class ActiveFault(Value, frozen=True):
    """A fault that hardware reported and has not cleared."""

    fault: Fault
    since: Stamp
    info: str = ""


class Inputs(Value, frozen=True):
    """The hardware's latest word about one EVSE.

    Attributes:
        pilot: None until the controller has spoken.
        plugged_at: when the present vehicle was connected, None without one.
        is_closed: mirror contact; None until the controller has spoken.
        outlet_at: when `is_closed` last changed.
        is_locked: the lock's feedback; None until it has spoken, or without feedback.
        cable_a: rating of the plugged cable, None without one or with a fixed cable.
        reading: the last plausible reading, held while the meter fails.
        is_meter_failing: the latest poll brought no plausible reading.
        heat_c: temperature in °C that counts for derating; it follows the sensor upwards at
            once and downwards 3 K behind (hardware reference 1.3). None without a sensor.
    """

    pilot: PilotState | None = None
    connector_id: int = 1
    plugged_at: Stamp | None = None
    is_closed: bool | None = None
    outlet_at: Stamp | None = None
    is_locked: bool | None = None
    cable_a: float | None = None
    reading: MeterReading | None = None
    reading_at: Stamp | None = None
    is_meter_failing: bool = False
    faults: tuple[ActiveFault, ...] = ()
    capabilities: EvseCapabilities | None = None
    heat_c: float | None = None

    @property
    def is_plugged(self) -> bool:
        """Whether a vehicle is connected."""
        return self.pilot in PLUGGED_STATES

    @property
    def has_plug(self) -> bool:
        """Whether a plug is in the socket: a vehicle's, or of a cable that one has left."""
        return self.plugged_at is not None or self.cable_a is not None

    @property
    def has_lock(self) -> bool:
        """Whether there is a lock that can hold and release the plug."""
        return self.capabilities is not None and self.capabilities.has_lock

    @property
    def is_tethered(self) -> bool:
        """Whether the cable is known to be fixed to the station."""
        return self.capabilities is not None and self.capabilities.is_tethered

    @property
    def is_ready(self) -> bool:
        """Whether the vehicle asks for energy."""
        return self.pilot in READY_STATES

    @property
    def blocking(self) -> ActiveFault | None:
        """Return the first fault that prevents charging."""
        return next((item for item in self.faults if item.fault not in WARNINGS), None)

    @property
    def warning(self) -> ActiveFault | None:
        """Return the first fault that prevents nothing."""
        return next((item for item in self.faults if item.fault in WARNINGS), None)

    def fresh_reading(self, now: Stamp) -> MeterReading | None:
        """Return the reading if it is recent enough to be billed."""
        if self.reading is None or self.reading_at is None:
            return None
        age = now.monotonic_s - self.reading_at.monotonic_s
        return self.reading if age <= READING_FRESH_S else None


class Reservation(Value, frozen=True):
    """Somebody has been promised an EVSE.

    Attributes:
        evse_id: None: whichever is free when the holder comes.
        group: whoever belongs to it may come as well, None for nobody.
        expires_wall_s: until when, UTC seconds.
    """

    reservation_id: int
    id_token: IdToken
    expires_wall_s: float
    evse_id: int | None = None
    group: str | None = None

    def admits(self, id_token: IdToken, group: str | None) -> bool:
        """Tell whether this token, or another of the group, was promised the place."""
        return id_token.key == self.id_token.key or (group is not None and group == self.group)


class Transaction(Value, frozen=True):
    """A billable unit, from its durable start to its durable end.

    Attributes:
        next_seq: sequence number of its next record.
        charging_state: as last told.
        offered_since: when it began, or went on after a power cut, in this boot.
        last_wh, last_at: the register when it was last written down.
        kept: samples for the end, in order of time, beginning with the first.
        is_suspended: the CSMS refused its token and it goes on without energy.
        energy_cap_wh: with a refused token, the register at which energy stops.
        charging_s: seconds of energy flow before `charging_since`.
        charging_since: start of the present flow, None while there is none.
        priority: among others when there is not enough for all, -9 to 9 (2.0.1 K03).
    """

    transaction_id: str
    evse_id: int
    connector_id: int
    id_token: IdToken
    started_at: Stamp
    offered_since: Stamp
    meter_start_wh: float
    last_wh: float
    last_at: Stamp
    charging_state: ChargingState
    next_seq: int = 1
    group: str | None = None
    kept: tuple[Sample, ...] = ()
    is_suspended: bool = False
    energy_cap_wh: float | None = None
    charging_s: float = 0.0
    charging_since: Stamp | None = None
    priority: int = 0


class Idle(Value, frozen=True, tag="idle"):
    """No authorization and no transaction; a vehicle may be connected."""


class Authorized(Value, frozen=True, tag="authorized"):
    """Somebody may charge here, and the vehicle is still missing (or the meter is).

    Attributes:
        is_floating: the token was presented to the station as a whole; the authorization
            follows the vehicle to another EVSE.
        was_plugged: a vehicle was there meanwhile; when it leaves, the authorization goes
            with it.
        profile: that the remote start brought for the transaction.
    """

    id_token: IdToken
    since: Stamp
    group: str | None = None
    remote_start_id: int | None = None
    is_remote: bool = False
    is_floating: bool = False
    was_plugged: bool = False
    profile: Profile | None = None
    priority: int = 0


class Active(Value, frozen=True, tag="active"):
    """A transaction is open."""

    transaction: Transaction


class Ending(Value, frozen=True, tag="ending"):
    """The transaction is decided to end and waits for the contactor and a last reading.

    Attributes:
        at: the instant that is told as its end.
        since: when waiting began, in this boot.
        id_token: who stopped it, None when nobody presented a token.
        offline: it was decided without a usable link.
        keeps_plug: the plug stays locked afterwards, until the driver comes back.
        awaits_release: the CSMS wants to hear first whether the plug was released.
    """

    transaction: Transaction
    reason: StopReason
    trigger: Trigger
    at: Stamp
    since: Stamp
    id_token: IdToken | None = None
    offline: bool = False
    keeps_plug: bool = False
    awaits_release: bool = False


class Resuming(Value, frozen=True, tag="resuming"):
    """After a power cut: goes on if the vehicle is still there, else ends."""

    transaction: Transaction
    since: Stamp
    reason: StopReason


class Finished(Value, frozen=True, tag="finished"):
    """The transaction is over and its plug still there.

    Attributes:
        owner: whose plug stays locked until its token, or another of its group, is
            presented; None: nobody's.
    """

    owner: IdToken | None = None
    group: str | None = None

    def is_owner(self, id_token: IdToken, group: str | None) -> bool:
        """Tell whether a token may have the plug that is kept locked."""
        is_same = self.owner is not None and id_token.key == self.owner.key
        return is_same or (group is not None and group == self.group)


Session = Idle | Authorized | Active | Ending | Resuming | Finished
OpenSession = Active | Ending | Resuming
DurableSession = OpenSession | Finished


class Habit(Value, frozen=True):
    """What a vehicle was seen to take of its offer (agent.core.supply says how).

    Attributes:
        since_s: start of the present window of observation, None before the first reading.
        peaks_ma: the most it took in this window, per phase of the EVSE.
        takes_ma: the most it took in the last window; None while it may take all of it.
        loaded: phases that it loads; None while it may load all.
    """

    since_s: float | None = None
    peaks_ma: tuple[int, ...] = ()
    takes_ma: int | None = None
    loaded: tuple[bool, ...] | None = None


class Lines(Value, frozen=True):
    """Which phases are connected where they can be switched (agent.core.phase_switching).

    Attributes:
        wanted: 1 or 3; None where nothing is switched.
        phases: what the hardware was told last; None: nobody knows.
        idle_s: since when nothing flows and nothing is offered, None while it may.
        switched_s: when the hardware was told last.
    """

    wanted: int | None = None
    phases: int | None = None
    idle_s: float | None = None
    switched_s: float | None = None


class Supply(Value, frozen=True):
    """What an EVSE offers, and how it came to that (agent.core.supply).

    Instants are monotonic seconds of the present boot.

    Attributes:
        offer_ma: on offer per phase once its transaction may draw; 0, or at least 6 A.
        moved_s: when the offer last changed.
        held_ma: what the vehicle may still draw under an earlier, higher offer.
        held_s: since when it should draw no more than the offer.
        was_above: the vehicle was seen to draw more than the offer since then, so that a
            reading which shows less means that it has followed.
        paused_s: when a limit took the offer away, None when no limit did.
        served_s: since when it has an offer, None while it has none.
        asks_s: since when its transaction may draw energy as far as it and the station are
            concerned, or was paused last; None while it may not.
        excess_ma: what the vehicle draws above everything that it was offered.
        share_ma: its part of the station-wide limit, None when there is none.
        over_s: since when the vehicle draws more than it may.
        is_tripped: the vehicle drew too much for too long, and is still plugged in.
        is_disputed: current flowed through a contactor that said it was open, since then.
        limits: bounds on this EVSE beside the hardware's.
        lines: which phases are connected, where they can be switched.
        is_switching: nothing is offered because the phases are to change, or just have.
    """

    offer_ma: int = 0
    moved_s: float = 0.0
    held_ma: int = 0
    held_s: float = 0.0
    was_above: bool = False
    paused_s: float | None = None
    served_s: float | None = None
    asks_s: float | None = None
    excess_ma: int = 0
    share_ma: int | None = None
    habit: Habit = Habit()
    over_s: float | None = None
    is_tripped: bool = False
    is_disputed: bool = False
    limits: tuple[Limit, ...] = ()
    lines: Lines = Lines()
    is_switching: bool = False


class Evse(Value, frozen=True):
    """One EVSE in all: its board entry, the hardware's word, its session, its offer."""

    spec: EvseSpec
    inputs: Inputs = Inputs()
    session: Session = Idle()
    supply: Supply = Supply()

    @property
    def transaction(self) -> Transaction | None:
        """Return the open transaction, whatever its session's state."""
        return getattr(self.session, "transaction", None)
