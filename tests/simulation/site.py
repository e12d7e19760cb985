"""A life of a site from one seed: eight EVSEs behind one fuse, looked at every second.

Vehicles come and go, follow their offers as late as IEC 61851 lets them, load one phase or
three, and want more or less over time. An energy manager sets, renews, forgets and clears
limits; the grid operator's contact closes and opens; the CSMS caps the station and its EVSEs
by profiles; the network goes and comes back, and so does the power.

Held to, at every second: the sum of the *measured* currents on each line conductor, and the
power in all, are within the least limit of the last seconds that a vehicle may take to follow.
And nobody who wants energy waits for longer than one round of turns.
"""

import asyncio
import random
import shutil
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from agent.bench.session import CsmsError
from agent.core.bounds import Site, station_bounds
from agent.core.events import ExternalLimitCleared, ExternalLimitSet, GridInputChanged
from agent.core.states import Active
from agent.core.values import EvseSpec, Sharing, Terms
from hal.sim.vehicle import SimRefused
from tests.simulation.life import DAY_S, HOUR_S, MINUTE_S, SETTINGS
from tests.support.lab import IDENTITY, VERSIONS, Lab, run
from tests.support.wire import Wire

EVSES = 8
FUSE_A = 63.0
GRID_W = 14_000.0
VOLTAGE_V = 230.0
ROTATE_S = 300.0

REACTION_S = 6
"""A vehicle follows within 5 s, or has opened S2 after 3 s and is cut off after 6 s (IEC
61851-1); nothing of what a limit forbids may be measured after that."""

LONGEST_WAIT_S = EVSES * (ROTATE_S + 60.0 + 36.0 + 2 * REACTION_S)
"""A round of turns, each with the pause that follows it, the window in which a vehicle shows
that it takes nothing, and the time to let go and to follow."""


@dataclass
class Figures:
    """What happened at a site so far."""

    seconds: int = 0
    visits: int = 0
    limits: int = 0
    profiles: int = 0
    outages: int = 0
    power_cuts: int = 0
    energy_wh: float = 0.0
    transactions: int = 0
    loaded_pct: float = 0.0
    busiest_a: float = 0.0
    longest_wait_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.seconds / DAY_S:.1f} days, {EVSES} EVSEs, {self.visits} visits, "
            f"{self.transactions} transactions, {self.energy_wh / 1000:.0f} kWh; "
            f"{self.limits} limits, {self.profiles} profiles, {self.outages} outages, "
            f"{self.power_cuts} power cuts; busiest conductor {self.busiest_a:.1f} A, "
            f"mean use of the limit {self.loaded_pct:.0f} %, "
            f"longest wait {self.longest_wait_s:.0f} s"
        )


class SiteLife:
    """One life of a site."""

    def __init__(self, seed: int) -> None:
        self._chance = chance = random.Random(seed)
        self.figures = Figures()
        terms = Terms(chance.choice((Sharing.FAIR, Sharing.WEIGHTED)), ROTATE_S)
        site = Site(fuse_a=FUSE_A, grid_w=GRID_W, terms=terms, safe_a=16.0)
        settings = {**SETTINGS, "SmartChargingCtrlr.OfflineLimit": 20}
        version = chance.choice(VERSIONS)
        self._lab = Lab(version, evses=EVSES, settings=settings, revive_s=30.0, site=site)
        self._lab.specs = tuple(
            EvseSpec(n + 1, 1, 32.0, 3, tuple((n + k) % 3 for k in range(3)), n % 3 + 1)
            for n in range(EVSES)
        )
        self._allowed: deque[tuple[float, float]] = deque(maxlen=REACTION_S + 1)
        self._waits = dict.fromkeys(range(1, EVSES + 1), 0)
        self._grid = False
        self._used = 0.0

    def live(self, days: float) -> Figures:
        """Live some days; every evening everybody leaves, and all is told."""
        lab, figures = self._lab, self.figures
        try:
            while days > 0:
                lab.wire = Wire()
                lab.cutter.names.clear()
                part, days = min(days, 1.0), days - 1.0
                run(lab, lambda lab, part=part: self._day(lab, part), goes_on=True)
        finally:
            shutil.rmtree(lab._directory, ignore_errors=True)
        figures.power_cuts, figures.transactions = lab.cuts, len(lab.bills)
        figures.energy_wh = lab.flowed_wh
        figures.loaded_pct = 100.0 * self._used / max(figures.seconds, 1)
        return figures

    async def _day(self, lab: Lab, part: float) -> None:
        self._allowed.clear()
        await lab.start()
        actors: list[Callable[..., Awaitable[None]]] = [
            self._manager,
            self._operator,
            self._backend,
            self._network,
            self._power,
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._again(actor)) for actor in actors]
            tasks += [
                group.create_task(self._again(self._visit, spec.evse_id)) for spec in lab.specs
            ]
            tasks.append(group.create_task(self._watch()))
            await asyncio.sleep(part * DAY_S + 0.5)  # its last second is looked at
            for task in tasks:
                task.cancel()
        lab.restore_link()
        lab.cutter.at = None
        for sim in lab.hardware:
            with suppress(SimRefused):
                sim.unplug()
        await lab.until(lambda: lab.is_running and lab.station.is_online, limit_s=HOUR_S)
        await asyncio.sleep(2 * MINUTE_S)
        await lab.delivered(limit_s=HOUR_S)

    async def _again(self, actor: Callable[..., Awaitable[None]], *args: int) -> None:
        while True:
            await actor(*args)

    def _wait(self, low_s: float, high_s: float) -> Awaitable[None]:
        return asyncio.sleep(self._chance.uniform(low_s, high_s))

    # --- looking ---

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.figures.seconds += 1
            self._look()

    def _look(self) -> None:
        lab, figures = self._lab, self.figures
        if lab.is_running:
            station = lab.station
            bounds = (
                *station_bounds(station.outside, station.site),
                *station.smart_charging.bounds.station,
            )
            amps = [item.limit_a for item in bounds if item.limit_a is not None]
            watts = [item.limit_w for item in bounds if item.limit_w is not None]
            power_w = min(watts, default=3 * VOLTAGE_V * FUSE_A)
            self._allowed.append((min(amps), power_w))
            self._hunger(min(*amps, power_w / VOLTAGE_V))
        if not self._allowed:
            return
        sums = [0.0, 0.0, 0.0]
        for spec, sim in zip(lab.specs, lab.hardware, strict=True):
            current = sim.reading().current_a
            for at, drawn in zip(
                spec.wiring, (current.l1, current.l2, current.l3), strict=True
            ):
                sums[at] += drawn
        limit_a = max(limit for limit, _ in self._allowed)
        limit_w = max(limit for _, limit in self._allowed)
        assert max(sums) <= limit_a + 0.005, f"{sums} A flow, {limit_a} A are allowed"
        assert sum(sums) * VOLTAGE_V <= limit_w + 1.0, f"{sums} A flow, {limit_w} W are allowed"
        figures.busiest_a = max(figures.busiest_a, *sums)
        if min(limit_a, limit_w) > 0.0:
            self._used += max(max(sums) / limit_a, sum(sums) * VOLTAGE_V / limit_w)

    def _hunger(self, limit_a: float) -> None:
        """Count the seconds that somebody who wants energy has waited for a turn."""
        for evse_id, evse in self._lab.station.evses.items():
            least = min((item.limit_a for item in evse.supply.limits), default=32.0)
            asks = isinstance(evse.session, Active) and evse.supply.asks_s is not None
            waits = asks and not evse.supply.offer_ma and min(limit_a, least) >= 3 * 6.0
            self._waits[evse_id] = self._waits[evse_id] + 1 if waits else 0
        longest = max(self._waits.values())
        assert longest <= LONGEST_WAIT_S, f"somebody has waited for {longest} s: {self._waits}"
        self.figures.longest_wait_s = max(self.figures.longest_wait_s, longest)

    # --- who acts ---

    async def _visit(self, evse_id: int) -> None:
        chance, lab = self._chance, self._lab
        await self._wait(0.0, 2 * HOUR_S)
        self.figures.visits += 1
        reaction = chance.uniform(0.0, 3.0)
        lab.plug(
            evse_id,
            max_a=chance.choice((6.0, 10.0, 16.0, 20.0, 32.0)),
            phases=chance.choice((1, 1, 3)),
            reaction_s=reaction,
            adapt_s=chance.uniform(0.0, 5.0),
            ampacity_a=32.0,
        )
        await self._wait(1.0, 20.0)
        lab.tap(f"TAG-{evse_id}", evse_id)
        sim = lab.evse(evse_id)
        for _ in range(chance.randrange(4)):
            await self._wait(MINUTE_S, HOUR_S)
            sim.set_ready(ready=chance.random() < 0.7)
        await self._wait(MINUTE_S, 2 * HOUR_S)
        sim.unplug()

    async def _manager(self) -> None:
        """An energy manager sets, renews or forgets a limit, in amperes or watts."""
        chance, lab = self._chance, self._lab
        await self._wait(10.0, 30 * MINUTE_S)
        if not lab.is_running:
            return
        self.figures.limits += 1
        evse_id = chance.choice((0, 0, 0, chance.randrange(EVSES) + 1))
        amps = chance.choice((0.0, 6.0, 13.0, 25.0, 40.0, 63.0))
        fields = {"limit_a": amps} if chance.random() < 0.7 else {"limit_w": amps * 690}
        valid_s = chance.choice((30.0, 600.0, 3600.0))
        if chance.random() < 0.2:
            lab.post(ExternalLimitCleared(0, "ems", evse_id or None))
        else:
            lab.post(ExternalLimitSet(0, "ems", valid_s, evse_id, **fields))

    async def _operator(self) -> None:
        """The grid operator's contact; a station that has just started has to read it anew."""
        chance = self._chance
        self._grid = chance.random() < 0.2
        for _ in range(chance.randrange(1, 120)):
            if self._lab.is_running:
                self._lab.post(GridInputChanged(active=self._grid))
            await asyncio.sleep(10.0)

    async def _backend(self) -> None:
        """The CSMS caps the station, or every EVSE, by a profile."""
        chance, lab = self._chance, self._lab
        await self._wait(MINUTE_S, HOUR_S)
        limit = float(chance.choice((10, 16, 32, 50, 80)))
        is_16 = lab.csms.protocol(IDENTITY) == "ocpp1.6"
        for_station = chance.random() < 0.5
        with suppress(CsmsError):
            profile = _profile(limit, for_station, is_16)
            answer = await lab.csms.request(IDENTITY, "SetChargingProfile", profile)
            assert answer["status"] == "Accepted", answer
            self.figures.profiles += 1

    async def _network(self) -> None:
        await self._wait(10 * MINUTE_S, 4 * HOUR_S)
        self.figures.outages += 1
        await self._lab.lose_link()
        self._lab.version = self._chance.choice(VERSIONS)
        await self._wait(*self._chance.choice(((0.0, 30.0), (60.0, 3600.0))))
        self._lab.restore_link()

    async def _power(self) -> None:
        await self._wait(HOUR_S, 8 * HOUR_S)
        lab = self._lab
        lab.revive_s = self._chance.choice((1.0, 20.0, 600.0))
        lab.cutter.at = lab.cutter.count + self._chance.randrange(1, 60)


def _profile(limit: float, for_station: bool, is_16: bool) -> dict[str, object]:
    periods = [{"startPeriod": 0, "limit": limit}, {"startPeriod": 900, "limit": limit / 2}]
    schedule: dict[str, object] = {
        "chargingRateUnit": "A",
        "startSchedule": "2027-01-01T00:00:00Z",
        "chargingSchedulePeriod": periods,
    }
    kind = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "stackLevel": 0}
    if is_16:
        purpose = "ChargePointMaxProfile" if for_station else "TxDefaultProfile"
        profile = {"chargingProfileId": 1 + for_station, "chargingProfilePurpose": purpose}
        body = {**profile, **kind, "chargingSchedule": schedule}
        return {"connectorId": 0, "csChargingProfiles": body}
    purpose = "ChargingStationMaxProfile" if for_station else "TxDefaultProfile"
    profile = {"id": 1 + for_station, "chargingProfilePurpose": purpose}
    body = {**profile, **kind, "chargingSchedule": [{"id": 1, **schedule}]}
    return {"evseId": 0, "chargingProfile": body}
