"""What a block of the core is given and what it gives back.

A block is a module with a slice of the station and `step(slice, event, context) -> Turn`.
It shares no code with other blocks: what they must know of one another stands in the
`Context`, and what they want of one another they raise as events of the same turn.
"""

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from agent.core.effects import Effect, Record
from agent.core.events import Event
from agent.core.smart_charging.profile import Book
from agent.core.states import Evse, Reservation
from agent.core.values import Bounds, ExternalLimit, IdToken, Stamp, TokenInfo, Value
from agent.core.variables import Settings

State = TypeVar("State")


class Turn(NamedTuple, Generic[State]):
    """A block's answer to one event.

    Attributes:
        state: its next slice; the same object when nothing changed.
        effects: what is to be told, in order; records become durable reports.
        raised: events for the other blocks, in order.
    """

    state: State
    effects: "tuple[Effect | Record, ...]" = ()
    raised: tuple[Event, ...] = ()


class Context(Value, frozen=True):
    """The read-only surroundings of a block in one step.

    Attributes:
        now: dated by the station's clock; `wall_s` is None while the time is unknown.
        fresh_id: UUID for a new transaction.
        jitter: uniform in [0, 1).
        is_online: the link is up and the CSMS has accepted the station.
        may_start: new transactions are possible as far as the station is concerned:
            storage writes, no reset pends, registration allows it, and `fresh_id` names
            none yet. Of two that could begin at once the second waits for the next event.
        evses: by id.
        operative: ids of the EVSEs that are operative as a whole.
        remote_ids: transaction id to the number that the CSMS gave it (1.6).
        undelivered: records that wait for the CSMS.
        storage_ok: the last commit reached the disk.
        listed: tokens of the local list by digest; empty while it is switched off.
        reservations: those that are in force.
        held: EVSEs that are kept free, with the reservations that they are kept for.
        checking: EVSEs at which a token is being checked, with its key.
        profiles: the installed charging profiles.
        limited: where somebody at the site limits, EVSEs by id; 0 is the whole station.
        bounds: returns what limits beside hardware and profiles.
        external: returns what others than CSMS and hardware limit.
    """

    now: Stamp
    fresh_id: str
    jitter: float
    settings: Settings
    is_online: bool
    may_start: bool
    evses: Mapping[int, Evse]
    operative: frozenset[int]
    remote_ids: Mapping[str, int]
    undelivered: int
    storage_ok: bool = True
    listed: Mapping[str, TokenInfo] = {}
    reservations: tuple[Reservation, ...] = ()
    held: Mapping[int, tuple[Reservation, ...]] = {}
    checking: Mapping[int, str] = {}
    profiles: Book = Book()
    limited: frozenset[int] = frozenset()
    bounds: Callable[[], Bounds] = Bounds
    external: Callable[[], tuple[ExternalLimit, ...]] = tuple

    def refusal(self, evse_id: int) -> str | None:
        """Return why nobody may begin to charge at this EVSE now, None if one may."""
        evse = self.evses.get(evse_id)
        if evse is None:
            return "UnknownEvse"
        if not self.may_start:
            return "NotEnabled"
        if evse_id not in self.operative:
            return "Unavailable"
        if evse.inputs.blocking is not None:
            return "Faulted"
        return None

    def reservation(
        self, evse_id: int, id_token: IdToken, group: str | None
    ) -> Reservation | None:
        """Return the reservation that a token uses up by charging here, None for none."""
        general = (item for item in self.reservations if item.evse_id is None)
        candidates = self.held.get(evse_id) or general
        return next((item for item in candidates if item.admits(id_token, group)), None)

    def is_barred(self, evse_id: int, id_token: IdToken, group: str | None) -> bool:
        """Tell whether this EVSE is kept free for somebody else."""
        kept_for = self.held.get(evse_id, ())
        return bool(kept_for) and not any(item.admits(id_token, group) for item in kept_for)

    def is_kept_for_group(self, evse_id: int) -> bool:
        """Tell whether the EVSE is kept free for somebody known by a group."""
        return any(item.group is not None for item in self.held.get(evse_id, ()))
