"""A life of a station from one seed, in virtual time, with its books checked every evening.

A day is people (vehicles and tokens in any order, blocked tokens, all ways to stop), a network
that comes and goes and speaks another version afterwards, a CSMS with moods, power cuts at
random boundaries, silent meters, a wall clock that jumps, resets from afar. At midnight
everybody has left, and the station has had time to tell what it has to. The next day begins
as after a power cut of the machine: with another monotonic clock, on the same disk.

After every turn of the station hold the promises that need no outside view (contract, section
6): the offer is at most the least limit and never between 0 and 6 A; whatever is energized has
a ready vehicle, an active transaction, nothing that blocks it and storage that writes. Every
evening: no transaction is lost, doubled or without its end, no sequence number is missing, the
bills are what flowed through the meters, and no frame was wrong (tests.support.lab and .wire).
"""

import asyncio
import random
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from agent.bench.script import ANY, Delay, Hangup, Reaction, Refusal, Silence, Twice, Verdict
from agent.bench.session import CsmsError
from agent.core.effects import Effect
from agent.core.events import Event, MeterRead
from agent.core.setpoint import LOWEST_OFFER_A, limits
from agent.core.states import Active
from agent.core.station import Station, targets
from hal.sim.vehicle import SimRefused
from hal.types import READY_STATES, Fault
from tests.support.lab import IDENTITY, VERSIONS, Lab, run
from tests.support.wire import Wire

DAY_S = 86_400.0
MINUTE_S, HOUR_S = 60.0, 3_600.0
MOST_EVENTS = 50
"""How much of the past is shown when something breaks."""

TOKENS = ("04A1B2C3", "04D4E5F6", "04000001")
BLOCKED = "0BADCAFE"

SETTINGS: dict[str, object] = {
    "MeterValueSampleInterval": 300,
    "AllowOfflineTxForUnknownId": True,
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": 2,
    "OCPPCommCtrlr.RetryBackOffRandomRange": 5,
    "OCPPCommCtrlr.RetryBackOffRepeatTimes": 3,
    # A CSMS with moods is to hear everything in the end; what steps aside is lost for the books.
    "TransactionMessageAttempts": 100,
    "TransactionMessageRetryInterval": 2,
    "MessageTimeout": 10,
    "HeartbeatInterval": 900,
}

MOODS: tuple[Reaction, ...] = (
    Silence(takes=False),
    Silence(takes=True),
    Refusal(),
    Twice(),
    Delay(4.0),
    Delay(15.0),
    Hangup(takes=False),
    Hangup(takes=True),
)


@dataclass
class Figures:
    """What happened in a life so far."""

    days: int = 0
    visits: int = 0
    transactions: int = 0
    duplicates: int = 0
    power_cuts: int = 0
    outages: int = 0
    moods: int = 0
    silences: int = 0
    jumps: int = 0
    resets: int = 0
    turns: int = 0
    energy_wh: float = 0.0
    unseen_wh: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.days} days, {self.turns} turns, {self.visits} visits, "
            f"{self.transactions} transactions, {self.energy_wh / 1000:.1f} kWh, "
            f"{self.duplicates} duplicates; {self.power_cuts} power cuts, {self.outages} "
            f"outages, {self.moods} moods, {self.silences} silent meters "
            f"({self.unseen_wh:.0f} Wh unseen), {self.jumps} clock jumps, {self.resets} resets"
        )


class LifeError(Exception):
    """A promise was broken.

    Attributes:
        seed: of the life.
        events: the last that happened, oldest first, as text.
    """

    def __init__(self, seed: int, events: Sequence[str], figures: Figures) -> None:
        super().__init__(f"seed {seed}, after {figures}")
        self.seed, self.events = seed, list(events)


class WatchedLab(Lab):
    """A lab that checks the promises after every turn, and remembers what happened last."""

    def __init__(self, *, chance: random.Random, evses: int) -> None:
        super().__init__(
            chance.choice(VERSIONS),
            evses=evses,
            settings=SETTINGS,
            knows_time=chance.random() < 0.5,
            revive_s=30.0,
        )
        self.past: deque[str] = deque(maxlen=MOST_EVENTS)
        self.turns = 0

    def note(self, text: str) -> None:
        """Remember what the world did."""
        self.past.append(f"{self.now_s:10.1f} {text}")

    def _observed(
        self, before: Any, batch: Any, after: Station, effects: Sequence[Effect]
    ) -> None:
        super()._observed(before, batch, after, effects)
        self.turns += 1
        events: Sequence[Event] = batch
        for event in events:
            if not isinstance(event, MeterRead):
                self.note(f"{event}"[:300])
        check_promises(after)


def check_promises(station: Station) -> None:
    """Hold what a station wants of its hardware to the contract."""
    for evse_id, target in targets(station).evses.items():
        evse = station.evses[evse_id]
        least_a = min(limit.limit_a for limit in limits(evse))
        assert target.offer_a == 0.0 or LOWEST_OFFER_A <= target.offer_a <= least_a
        if target.energize:
            assert evse.inputs.pilot in READY_STATES, evse.inputs
            assert isinstance(evse.session, Active), evse.session
            assert evse.inputs.blocking is None, evse.inputs
            assert station.storage_ok, "energy without a disk"


class Life:
    """One life; `live` ages it.

    Args:
        seed: everything random follows from it.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.figures = seed, Figures()
        self._chance = random.Random(seed)
        self._lab = WatchedLab(chance=self._chance, evses=self._chance.choice((1, 2)))

    def live(self, days: int, report: Callable[[str], None] = lambda _: None) -> Figures:
        """Live some days, and hold the books to the meters after each.

        Raises:
            LifeError: a promise was broken; its cause says which.
        """
        lab, figures = self._lab, self.figures
        try:
            for day in range(days):
                lab.wire = Wire()
                lab.cutter.names.clear()
                run(lab, self._day, goes_on=True)
                self._balance()
                report(f"day {day + 1}: {figures}")
        except Exception as error:
            raise LifeError(self.seed, lab.past, figures) from error
        finally:
            shutil.rmtree(lab._directory, ignore_errors=True)
        return figures

    def _balance(self) -> None:
        lab, figures = self._lab, self.figures
        figures.days += 1
        figures.turns, figures.power_cuts = lab.turns, lab.cuts
        figures.transactions = len(lab.bills)
        figures.duplicates = sum(bill.duplicates for bill in lab.bills)
        figures.energy_wh = lab.flowed_wh
        assert len(lab.bills) == len(lab.disk.starts), "a start was lost, or told as two"
        assert lab.disk.starts.keys() == lab.disk.ends.keys(), "an end was lost"
        for bill in lab.bills:
            assert bill.complete, bill
            assert not bill.missing_seq_nos, bill
        billed_wh = sum(bill.energy_wh or 0.0 for bill in lab.bills)
        slack_wh = sum(1.0 if "ocpp1.6" in bill.protocols else 0.002 for bill in lab.bills)
        short_wh = lab.flowed_wh - billed_wh
        assert -slack_wh <= short_wh + 1e-6, f"{-short_wh} Wh too much are billed"
        assert short_wh <= slack_wh + figures.unseen_wh + 1e-6, f"{short_wh} Wh are not billed"

    # --- a day ---

    async def _day(self, lab: Lab) -> None:
        lab.csms.behaviour.verdicts[BLOCKED] = Verdict("Blocked")
        await lab.start()
        actors: list[Callable[[], Awaitable[None]]] = [
            self._network,
            self._mood,
            self._power,
            self._clock,
            self._backend,
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._again(actor)) for actor in actors]
            for spec in lab.specs:
                tasks.append(group.create_task(self._again(self._visit, spec.evse_id)))
                tasks.append(group.create_task(self._again(self._meter, spec.evse_id)))
            await asyncio.sleep(DAY_S - 2 * HOUR_S)
            for task in tasks:
                task.cancel()
        await self._evening(lab)

    async def _again(self, actor: Callable[..., Awaitable[None]], *args: int) -> None:
        while True:
            await actor(*args)

    async def _evening(self, lab: Lab) -> None:
        """Let everybody leave and everything be well, and wait until all is told."""
        lab.note("evening")
        lab.csms.behaviour.clear()
        lab.restore_link()
        lab.cutter.at = None
        for sim in lab.hardware:
            with suppress(SimRefused):
                sim.unplug()
        await lab.until(lambda: lab.is_running and lab.station.is_online, limit_s=HOUR_S)
        await asyncio.sleep(2 * MINUTE_S)  # a last authorization may still wait for a vehicle
        await lab.delivered(limit_s=HOUR_S)

    def _wait(self, low_s: float, high_s: float) -> Awaitable[None]:
        return asyncio.sleep(self._chance.uniform(low_s, high_s))

    async def _visit(self, evse_id: int) -> None:
        """Somebody comes, charges, and leaves, more or less as one should."""
        chance, lab = self._chance, self._lab
        await self._wait(MINUTE_S, HOUR_S)
        self.figures.visits += 1
        token = BLOCKED if chance.random() < 0.1 else chance.choice(TOKENS)
        steps = [lambda: self._plugged(evse_id), lambda: lab.tap(token, evse_id)]
        if chance.random() < 0.4:
            steps.reverse()
        for step in steps:
            step()
            await self._wait(0.0, 20.0)
        sim = lab.evse(evse_id)
        for _ in range(chance.randrange(4)):
            await self._wait(MINUTE_S, HOUR_S)
            sim.set_ready(ready=chance.random() < 0.6)
            if chance.random() < 0.3:
                lab.tap(chance.choice((token, *TOKENS)), evse_id)
        await self._wait(1.0, HOUR_S)
        if chance.random() < 0.5:
            lab.tap(token, evse_id)
            await self._wait(0.0, 30.0)
        sim.unplug()

    def _plugged(self, evse_id: int) -> None:
        chance = self._chance
        self._lab.plug(
            evse_id,
            max_a=chance.choice((6.0, 10.0, 16.0, 32.0)),
            phases=chance.choice((1, 3)),
            ready=chance.random() < 0.8,
            ampacity_a=chance.choice((13.0, 20.0, 32.0, None)),
        )

    async def _network(self) -> None:
        """The link breaks, and comes back with whatever version the CSMS speaks by then."""
        await self._wait(MINUTE_S, 6 * HOUR_S)
        self.figures.outages += 1
        self._lab.note("outage")
        await self._lab.lose_link()
        self._lab.version = self._chance.choice(VERSIONS)
        await self._wait(*self._chance.choice(((0.0, 5.0), (10.0, 300.0), (300.0, 7200.0))))
        self._lab.restore_link()

    async def _mood(self) -> None:
        """The CSMS behaves badly, a few times."""
        await self._wait(MINUTE_S, 2 * HOUR_S)
        self.figures.moods += 1
        chance, behaviour = self._chance, self._lab.csms.behaviour
        actions = (
            *("Authorize", "StartTransaction", "StopTransaction", "MeterValues"),
            *("TransactionEvent", "BootNotification", "StatusNotification", "Heartbeat", ANY),
        )
        action, mood = chance.choice(actions), chance.choice(MOODS)
        self._lab.note(f"mood: {action} {mood}")
        behaviour.on(action, mood, times=chance.randrange(1, 4))

    async def _power(self) -> None:
        """The power goes at one of the next boundaries, and comes back after a while."""
        await self._wait(10 * MINUTE_S, 6 * HOUR_S)
        lab = self._lab
        lab.revive_s = self._chance.choice((1.0, 20.0, 600.0, HOUR_S))
        lab.cutter.at = lab.cutter.count + self._chance.randrange(1, 60)
        lab.note(f"power cut ahead, for {lab.revive_s} s")

    async def _meter(self, evse_id: int) -> None:
        """A meter falls silent; what flows meanwhile may be missing on the bills."""
        await self._wait(10 * MINUTE_S, 8 * HOUR_S)
        self.figures.silences += 1
        sim = self._lab.evse(evse_id)
        before_wh = sim.reading().energy_import_wh
        sim.fault(Fault.POWER_METER_FAILURE)
        try:
            await self._wait(1.0, 10 * MINUTE_S)
        finally:
            sim.clear(Fault.POWER_METER_FAILURE)
            self.figures.unseen_wh += sim.reading().energy_import_wh - before_wh

    async def _clock(self) -> None:
        """The station's wall clock jumps; the CSMS puts it right again."""
        await self._wait(HOUR_S, 12 * HOUR_S)
        self.figures.jumps += 1
        by_s = self._chance.choice((-7200.0, -30.0, 5.0, 3600.0))
        self._lab.note(f"clock jumps by {by_s} s")
        self._lab.world.jump(by_s)

    async def _backend(self) -> None:
        """An operator starts, stops or resets from afar."""
        await self._wait(10 * MINUTE_S, 4 * HOUR_S)
        csms, chance = self._lab.csms, self._chance
        act = chance.choice(("start", "stop", "stop", "soft", "hard"))
        self._lab.note(f"operator: {act}")
        with suppress(CsmsError):
            if act == "start":
                evse_id = chance.randrange(len(self._lab.specs)) + 1
                await csms.remote_start(IDENTITY, chance.choice(TOKENS), evse_id)
            elif act == "stop":
                await csms.remote_stop(IDENTITY)
            else:
                self.figures.resets += 1
                await csms.reset(IDENTITY, hard=act == "hard")
