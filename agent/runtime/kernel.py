"""The loop: make safe, then write, then act.

Every turn takes what waits in the inbox, leads the station through it, and then, in this
order:

1. **make safe**: the hardware gets the meet of its old and new targets; lowering and opening
   wait for nothing.
2. **write**: state and records reach the disk in one commit; a turn that changes nothing
   durable writes nothing.
3. **act**: the hardware gets its new targets, and what is to be told is told.

While the disk writes, whatever comes in already has its safe half: what it will lower is
lowered at once, and its turn follows.

When the disk refuses, nothing is acted upon that it should have held. What happened to the
hardware stays in memory, what somebody asked for has not been asked for; the station learns of
it (and stops energy), and every later turn tries again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, get_args

from msgspec.structs import replace

from agent.core import durable
from agent.core.effects import Done, Effect, Forget, Reply, Report, SetAside, Verdict
from agent.core.events import (
    DeadlinePassed,
    Event,
    ExternalLimitSet,
    Request,
    StorageFailed,
    StorageRecovered,
)
from agent.core.routing import step
from agent.core.station import Station, deadline, due, targets
from agent.core.targets import Targets
from agent.core.values import Env
from agent.runtime.clock import World
from agent.store.database import Changes, Store, StoreError

logger = logging.getLogger(__name__)

MOST_PER_TURN: Final = 64
"""Events of one commit; a burst costs one write, and none waits for long."""

RETRY_S: Final = 5.0
"""How often a disk that refused is tried again."""

TIMER_SLACK_S: Final = 1e-6
"""A loop's timer may fire early by the resolution of its clock; an instant that has not come
yet changes nothing, and would be waited for again, without any pause."""


_DURABLE: Final = (Report, Forget, SetAside)
"""Effects that the disk has to hold."""


_TAKEN_BACK: Final = tuple(item for item in get_args(Request) if item is not ExternalLimitSet)
"""Requests that change nothing when the disk cannot hold what they change."""


_FAILED: Final = Done(Verdict.FAILED, "InternalError", "storage cannot write")


class Outlets(Protocol):
    """Where targets go; takes them without waiting."""

    def apply(self, targets: Targets) -> None:
        """Bring the hardware there, from now on."""


Dispatch = Callable[[Station, Sequence[Effect]], None]
Observer = Callable[[Station, Sequence[Event], Station, Sequence[Effect]], None]


class Kernel:
    """One task, one writer of the station.

    Attributes:
        station: after the last turn.
        taken: how many posted events have had their effect.
        observers: called after every turn.
        lived: the events of the last turn with their worlds, of which alone everything came;
            None while the disk refuses, and when it is well again.
    """

    def __init__(
        self,
        station: Station,
        store: Store,
        outlets: Outlets,
        world: World,
        dispatch: Dispatch,
    ) -> None:
        self.station = station
        self.observers: list[Observer] = []
        self.lived: Sequence[tuple[Event, Env]] | None = ()
        self._store, self._outlets, self._world = store, outlets, world
        self._dispatch = dispatch
        self.taken = 0
        self._posted, self._popped = 0, 0
        self._inbox: deque[Event] = deque()
        self._pulses: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._alarm_at: float | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._due, self._due_of = due(station), station
        self._wanted = targets(station)
        self._applied = Targets()  # everything off, whatever the stored state says
        self._saved, self._saved_of = durable.rows(station), station
        self._unsaved: list[Effect] = []
        # Where what comes in while the disk is busy leads to, and what it lowers.
        self._ahead: Station | None = None
        self._lowered: Targets | None = None
        self._env: Env = world.env()
        self._retry_at: float | None = None

    @property
    def is_saved(self) -> bool:
        """Whether the disk holds all of the station that has to survive a power cut."""
        return self._retry_at is None and not self._unsaved

    @property
    def wanted(self) -> Targets:
        """What the hardware should be doing since the last turn."""
        return self._wanted

    def post(self, event: Event) -> int:
        """Put an event into the inbox; producers bound themselves.

        Returns:
            Its ticket: the event has had its effect once `taken` is not less.
        """
        self._inbox.append(event)
        self._posted += 1
        self._wake.set()
        if self._ahead is not None:
            self._look_ahead(self._ahead, event)
        return self._posted

    async def pulse(self) -> None:
        """Return once a turn has passed through the station and the store."""
        passed = asyncio.get_running_loop().create_future()
        self._pulses.append(passed)
        self._wake.set()
        await passed
        try:
            await self._store.ping()
        except StoreError as error:
            logger.warning("storage answers with an error: %s", error)

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                await self._turn(await self._next_batch())
        finally:
            self._set_alarm(None)

    async def _next_batch(self) -> list[Event]:
        if self.station is not self._due_of:
            self._due, self._due_of = due(self.station, self._due), self.station
        alarm_at = self._due.at_s
        if self._retry_at is not None and (alarm_at is None or self._retry_at < alarm_at):
            alarm_at = self._retry_at
        if not self._inbox and not self._pulses:
            self._wake.clear()
            self._set_alarm(alarm_at)
            await self._wake.wait()
        batch = [self._inbox.popleft() for _ in range(min(len(self._inbox), MOST_PER_TURN))]
        self._popped += len(batch)
        if alarm_at is not None and self._world.monotonic_s() >= alarm_at:
            batch.append(DeadlinePassed())
        return batch

    def _set_alarm(self, due: float | None) -> None:
        """Be woken then; most turns leave the instant as it is, and then nothing is done."""
        if due == self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at, self._alarm = due, None
        if due is not None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_at(due + TIMER_SLACK_S, self._alarmed)

    def _alarmed(self) -> None:
        self._alarm_at, self._alarm = None, None
        self._wake.set()

    async def _turn(self, batch: Sequence[Event]) -> None:
        pulses, self._pulses = self._pulses, []
        before, station, safe = self.station, self.station, self._applied
        effects, lived = list[Effect](), list[tuple[Event, Env]]()
        for event in batch:
            self._env = self._world.env()
            lived.append((event, self._env))
            earlier = station
            station, told = step(station, event, self._env)
            if station is not earlier:
                self._wanted = targets(station, (earlier, self._wanted))
            if self._wanted != safe:
                safe = safe.safer(self._wanted)
            effects += told
        self.station = station
        self._apply(safe)
        was_saved = self.is_saved
        is_saved = await self._write(effects)
        self.lived = lived if was_saved and is_saved else None
        if not is_saved:
            station, effects = _unasked(before, lived)
            self._unsaved += [item for item in effects if isinstance(item, _DURABLE)]
            self.station, self._wanted = station, targets(station)
        if is_saved or not station.storage_ok:
            ahead = self._lowered
            self._apply(self._wanted if ahead is None else self._wanted.safer(ahead))
        self.taken = self._popped
        held_back = () if is_saved else _DURABLE
        self._dispatch(station, [item for item in effects if not isinstance(item, held_back)])
        for observer in self.observers:
            observer(before, batch, station, effects)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("turn: %s, told: %s", _names(batch), _names(effects))
        for passed in pulses:
            if not passed.done():
                passed.set_result(None)

    def _apply(self, wanted: Targets) -> None:
        if wanted != self._applied:
            self._applied = wanted
            self._outlets.apply(wanted)

    def _look_ahead(self, ahead: Station, event: Event) -> None:
        """Lower at once what an event will lower, while the disk is busy with an earlier turn.

        The event has its own turn later; what it raises or tells waits until then.
        """
        now_s = self._world.monotonic_s()
        env = replace(self._env, now=replace(self._env.now, monotonic_s=now_s))
        ahead, _ = step(ahead, event, env)
        alarm_at = deadline(ahead)
        if alarm_at is not None and now_s >= alarm_at:
            ahead, _ = step(ahead, DeadlinePassed(), env)
        wanted = targets(ahead)
        self._lowered = wanted if self._lowered is None else self._lowered.safer(wanted)
        self._ahead = ahead
        self._apply(self._applied.safer(wanted))

    async def _write(self, effects: list[Effect]) -> bool:
        """Commit what changed, together with what earlier turns could not."""
        self._lowered = None
        is_settled = not self._unsaved and self._retry_at is None
        has_news = any(isinstance(item, _DURABLE) for item in effects)
        if is_settled and not has_news and durable.is_untouched(self._saved_of, self.station):
            return True
        present = durable.rows(self.station)
        rows = durable.changed(self._saved, present)
        if self._retry_at is not None and not rows:
            rows = durable.changed({}, {"boot": present["boot"]})  # shows whether it writes
        pending = [*self._unsaved, *effects]
        changes = Changes(
            rows=tuple(rows),
            reports=tuple(item for item in pending if isinstance(item, Report)),
            forgotten=tuple(item.record_id for item in pending if isinstance(item, Forget)),
            aside=tuple(item for item in pending if isinstance(item, SetAside)),
        )
        if changes.is_empty:
            self._saved_of = self.station
            return True
        self._ahead = self.station
        for event in self._inbox:
            self._look_ahead(self._ahead, event)
        try:
            await self._store.commit(changes)
        except StoreError as error:
            self._refused(str(error))
            return False
        finally:
            self._ahead = None
        self._saved, self._saved_of = present, self.station
        if self._unsaved or self._retry_at is not None:
            self._recovered(effects)
        return True

    def _refused(self, reason: str) -> None:
        self._retry_at = self._world.monotonic_s() + RETRY_S
        if self.station.storage_ok:
            logger.error("storage refuses to write: %s", reason)
            self.post(StorageFailed(reason))

    def _recovered(self, effects: list[Effect]) -> None:
        """Let the records that had to wait be told with this turn."""
        effects[:0] = [item for item in self._unsaved if isinstance(item, Report)]
        self._unsaved, self._retry_at = [], None
        logger.warning("storage writes again")
        self.post(StorageRecovered())


def _names(values: Sequence[Event] | Sequence[Effect]) -> str:
    """Return kinds only: what is in them may be secret."""
    return " ".join(type(value).__name__ for value in values) or "nothing"


def _unasked(
    station: Station, lived: Iterable[tuple[Event, Env]]
) -> tuple[Station, list[Effect]]:
    """Live a turn that the disk refuses again, without what it was asked for and cannot hold.

    A request whose outcome might be forgotten has failed, and then it changes nothing: neither
    now nor when the disk is well again. A limit of somebody at the site holds all the same.
    What is only asked about is answered: a station with a broken disk must be open to
    diagnosis.
    """
    told: list[Effect] = []
    for event, env in lived:
        after, effects = step(station, event, env)
        if not _is_kept(station, after, effects):
            if isinstance(event, _TAKEN_BACK):
                # Also one whose answer would have come later; others still wait for theirs.
                after, effects = station, (Reply(event.request_id, _FAILED),)
            else:
                effects = tuple(_failed(item) for item in effects)
        station = after
        told += effects
    return station, told


def _is_kept(before: Station, after: Station, effects: Sequence[Effect]) -> bool:
    """Tell whether a step left everything as it was that must survive a power cut."""
    has_news = any(isinstance(item, _DURABLE) for item in effects)
    return not has_news and not durable.changed(durable.rows(before), durable.rows(after))


def _failed(effect: Effect) -> Effect:
    return Reply(effect.request_id, _FAILED) if isinstance(effect, Reply) else effect
