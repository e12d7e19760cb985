"""A whole station in virtual time: real kernel, real SQLite, simulated hardware, bench CSMS.

    async def story(lab):
        await lab.start()
        await lab.charging()
        await lab.lose_link()
        ...

    lab = run(Lab("ocpp1.6"), story)
    assert lab.bills[0].complete

The world outlives the station: `cut()` takes the power away (or a `Cutter` does, at any
boundary between two effects), `start()` gives it back on what the disk held at that moment.
A restart that the station wants happens by itself. When the story is over every frame of the
station is judged (tests.support.wire).
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agent.bench.csms import Csms
from agent.bench.ledger import Ledger, Transaction
from agent.core import durable
from agent.core.bounds import Site
from agent.core.durable import NO_SITE
from agent.core.effects import Effect
from agent.core.events import DialRefusal, Event, MeterRead, PowerUp
from agent.core.station import Station
from agent.core.targets import Targets
from agent.core.values import BootReason, EvseSpec, StationInfo
from agent.core.variables import Variable
from agent.factory import factory_settings
from agent.ocpp.negotiation import adapter_for
from agent.ocpp.v16.statuses import project
from agent.runtime.clock import ScriptedWorld
from agent.runtime.kernel import Outlets
from agent.runtime.shell import Shell
from agent.runtime.snapshot import snapshot
from agent.security.keystore import Keystore
from agent.store.database import Store
from agent.transport.link import DialError, DialTarget
from agent.transport.memory import MemoryDialer, MemoryLink
from hal.api import EvseController, EvseListener
from hal.board import EvseHardware
from hal.sim.evse import SimulatedEvse
from hal.sim.line_device import LineDevice
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.vehicle import Vehicle
from hal.types import IdToken
from tests.support import vloop
from tests.support.power import CutLink, Cutter, Disk, PowerCut, directory_in_memory
from tests.support.wire import Wire

VERSIONS = ("ocpp1.6", "ocpp2.0.1")
IDENTITY = "CP001"
TAG = "04A1B2C3"
OTHER_TAG = "0BADCAFE"
WALL_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z
INFO = StationInfo(IDENTITY, "Example", "Wallbox One", "EX-0001", "1.0.0")

RESTART_S = 3.0
"""How long a restart takes that the station wanted."""


class _Outlets:
    """Targets on their way to the hardware; the contactor rule is checked here."""

    def __init__(self, outlets: Outlets, cutter: Cutter, lab: "Lab") -> None:
        self._outlets, self._cutter, self._lab = outlets, cutter, lab

    def apply(self, targets: Targets) -> None:
        self._cutter.boundary("before hardware")
        for evse_id, target in targets.evses.items():
            if target.energize:
                self._lab.check_durable(evse_id)
        self._outlets.apply(targets)
        self._cutter.boundary("after hardware")


class _Controller(EvseController):
    """An EVSE's controller, cut before and after each command that is new to it."""

    def __init__(self, sim: SimulatedEvse, evse_id: int, lab: "Lab") -> None:
        self._sim, self._evse_id, self._lab = sim, evse_id, lab
        self._given: dict[str, object] = {"offer": 0.0, "contactor": False, "lock": False}

    async def run(self, listener: EvseListener) -> None:
        await self._sim.run(listener)

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        await self._passed("offer", limit_a, self._sim.offer(limit_a, valid_s=valid_s))

    async def energize(self, *, closed: bool) -> None:
        if closed:
            self._lab.check_durable(self._evse_id)
        await self._passed("contactor", closed, self._sim.energize(closed=closed))

    async def lock(self, *, locked: bool) -> None:
        await self._passed("lock", locked, self._sim.lock(locked=locked))

    async def _passed(self, name: str, value: object, command: Awaitable[None]) -> None:
        if self._given[name] == value and not self._lab.cutter.is_dead:
            await command
            return
        self._given[name] = value
        try:
            self._lab.cutter.boundary(f"before {name} {value}")
        except PowerCut:
            asyncio.ensure_future(command).cancel()
            raise
        await command
        self._lab.cutter.boundary(f"after {name} {value}")


def _wired(spec: EvseSpec, lab: "Lab") -> EvseHardware:
    sim = lab.evse(spec.evse_id)
    controller = _Controller(sim, spec.evse_id, lab)
    switch = sim if spec.switches_phases else None
    return EvseHardware(
        spec.evse_id,
        1,
        spec.max_a,
        spec.phases,
        controller,
        sim,
        (sim,),
        switch,
        residual_current=sim,
        indicator=sim,
    )


class _Dialer:
    """Dials in memory, as far as the lab lets it."""

    def __init__(self, lab: "Lab") -> None:
        self._lab, self._memory = lab, MemoryDialer(lambda target: lab.version)

    async def dial(
        self, target: DialTarget, *, ping_interval_s: float, ping_timeout_s: float
    ) -> CutLink:
        lab = self._lab
        lab.dials.append((asyncio.get_running_loop().time(), target.url))
        if target.url in lab.unreachable:
            raise DialError(DialRefusal.UNREACHABLE, "the network is down")
        link = await self._memory.dial(
            target, ping_interval_s=ping_interval_s, ping_timeout_s=ping_timeout_s
        )
        return CutLink(link, lab.cutter, lab.wire)

    async def accept(self) -> MemoryLink:
        return await self._memory.accept()


class Lab:
    """The world of one station.

    Args:
        version: what the CSMS speaks with the next link; may be changed at any time.
        profiles: network profiles, `memory://csms0` and so on, all of the same CSMS.
        settings: factory values by 1.6 key or canonical name.
        knows_time: the station's own clock shows the right time at a start.
        max_a: what the hardware carries; the board file allows 32 A.
        is_tethered: the cable is fixed to the station.
        site: the grid connection that the EVSEs share.
        spec: of every EVSE; see `EvseSpec`.
        custom: the operator's own settings.
        signs: the meters sign.
        revive_s: how long the power stays away after the cutter took it; None: for ever.

    Attributes:
        unreachable: URLs that cannot be dialed.
        dials: when, and to where.
        lives: starts so far.
        cuts: power cuts so far.
        is_running: the station has power now, and has not ended.
        wired: gives the drivers of an EVSE; may be exchanged before the station starts.
        devices: servers of the simulated devices by port and unit, of a lab with real wires.
        seen: the 1.6 words for the statuses an EVSE has gone through, by id; 0 is the station.
    """

    def __init__(
        self,
        version: str = "ocpp2.0.1",
        *,
        evses: int = 1,
        profiles: int = 1,
        settings: dict[str, object] | None = None,
        cutter: Cutter | None = None,
        knows_time: bool = True,
        revive_s: float | None = None,
        max_a: float = 32.0,
        is_tethered: bool = False,
        idle_report_s: float = 5.0,
        site: Site = NO_SITE,
        custom: tuple[Variable, ...] = (),
        signs: bool = False,
        **spec: Any,
    ) -> None:
        self.custom, self._signs = custom, signs
        self.version, self.knows_time, self.revive_s = version, knows_time, revive_s
        self.settings = factory_settings(settings or {})
        self.cutter = cutter or Cutter()
        self.disk, self.wire = Disk(self.cutter), Wire()
        self.profiles = [
            DialTarget(f"memory://csms{index}", IDENTITY, VERSIONS) for index in range(profiles)
        ]
        self.specs = tuple(EvseSpec(index + 1, 1, 32.0, 3, **spec) for index in range(evses))
        self.site = site
        self.unreachable: set[str] = set()
        self.dials: list[tuple[float, str]] = []
        self.lives, self.cuts = 0, 0
        self._epoch_s, self._ledger = WALL_S, Ledger()
        self._registers_wh = [0.0] * evses
        self.is_running = False
        self.seen: dict[int, list[str]] = {}
        self._max_a, self._idle_report_s = max_a, idle_report_s
        self._is_tethered = is_tethered
        self._directory, self._keys = directory_in_memory(), directory_in_memory()
        self._shell: Shell | None = None
        self._life: asyncio.Task[None] | None = None
        self._stays_dark = False
        self.wired: Callable[[EvseSpec, Lab], EvseHardware] = _wired
        self.devices: dict[tuple[str, int], ModbusDeviceServer] = {}
        self.boards: dict[int, LineDevice] = {}

    # --- the world ---

    async def open(self) -> None:
        """Begin the world's time."""
        loop = asyncio.get_running_loop()
        self.csms = Csms(now=lambda: self._epoch_s + loop.time(), ledger=self._ledger)
        self.hardware = tuple(
            SimulatedEvse(
                max_a=self._max_a,
                energy_wh=wh,
                is_tethered=self._is_tethered,
                idle_report_s=self._idle_report_s,
                signs=self._signs,
            )
            for wh in self._registers_wh
        )
        self._dialer = _Dialer(self)
        self._accepting = asyncio.create_task(self._accept())

    async def close(self, *, goes_on: bool = False) -> None:
        """End the world, or this loop's part of it."""
        try:
            await self.stop()
        finally:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._registers_wh = [sim.reading().energy_import_wh for sim in self.hardware]
            self._ledger, self._epoch_s = self.csms.ledger, self._epoch_s + self.now_s
            if not goes_on:
                for directory in (self._directory, self._keys):
                    shutil.rmtree(directory, ignore_errors=True)

    async def _accept(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                link = await self._dialer.accept()
                group.create_task(self.csms.attend(IDENTITY, link))

    def evse(self, evse_id: int = 1) -> SimulatedEvse:
        """Return the hardware of an EVSE."""
        return self.hardware[evse_id - 1]

    def plug(self, evse_id: int = 1, **vehicle: Any) -> None:
        """Plug a vehicle in; see `hal.sim.vehicle.Vehicle`."""
        self.evse(evse_id).plug(1, Vehicle(**vehicle))

    def unplug(self, evse_id: int = 1) -> None:
        """Take the vehicle away."""
        self.evse(evse_id).unplug(1)

    def tap(self, token: str = TAG, evse_id: int = 1) -> None:
        """Hold a card before the reader."""
        self.evse(evse_id).present(IdToken(token))

    async def lose_link(self) -> None:
        """Break the link, and let nobody dial until `restore_link`."""
        self.unreachable.update(profile.url for profile in self.profiles)
        if IDENTITY in self.csms.connected:
            await self.csms.drop(IDENTITY)
        await asyncio.sleep(0.01)

    def restore_link(self) -> None:
        """Let dials succeed again."""
        self.unreachable.clear()

    # --- lives ---

    async def start(self, cause: BootReason = BootReason.POWER_UP) -> None:
        """Give the station power."""
        assert not self.is_alive
        self._life = asyncio.create_task(self._powered(cause))
        await asyncio.sleep(0)

    async def _powered(self, cause: BootReason) -> None:
        while not self._stays_dark:
            store = Store.open(self._directory)
            shell = self._shell = self._built(store)
            self.is_running = True
            try:
                await shell.run([PowerUp(cause)], socket=None)
            except* PowerCut:
                self.cuts += 1
            finally:
                self.is_running = False
                # A cancellation may come again (Python 3.13) and must not leave the disk open.
                self._ending = asyncio.ensure_future(self._ended(store))
                await asyncio.shield(self._ending)
            if self.cutter.is_dead and self.revive_s is not None and not self._stays_dark:
                self.cutter.is_dead, cause = False, BootReason.POWER_UP
                await asyncio.sleep(self.revive_s)
            elif shell.restart is not None:
                cause = BootReason.APPLICATION_RESET
                await asyncio.sleep(RESTART_S)
            else:
                return

    async def _ended(self, store: Store) -> None:
        """Close the disk; after a power cut it holds what it held then, and no more."""
        if not self.cutter.is_dead:
            await store.close()
            return
        for sim in self.hardware:
            sim.make_safe()
        await self.disk.settled()
        image = directory_in_memory()
        for file in self._directory.iterdir():
            shutil.copy(file, image / file.name)
        await store.close()
        shutil.rmtree(self._directory)
        self._directory = image

    def _built(self, store: Store) -> Shell:
        self.lives += 1
        loaded = store.load()
        assert loaded.set_aside_path is None
        wall_s = self._epoch_s + self.now_s if self.knows_time else None
        boot = durable.boot_row(loaded.rows).boot + 1
        self.world = ScriptedWorld(boot=boot, seed=self.lives, wall_s=wall_s)
        self.disk.hold(store)
        station = durable.restored(
            loaded.rows,
            loaded.records,
            info=INFO,
            specs=self.specs,
            profiles=len(self.profiles),
            factory=self.settings,
            site=self.site,
            custom=self.custom,
            protocols=("FTP", "HTTPS"),
        )
        assert not durable.unreadable(loaded.rows, station.settings)
        shell = Shell(
            station=station,
            store=self.disk,  # type: ignore[arg-type]  # it passes on what it does not know
            evses=tuple(self.wired(spec, self) for spec in self.specs),
            dialer=self._dialer,
            profiles=self.profiles,
            adapters=adapter_for,
            project=project,
            world=self.world,
            keystore=Keystore(self._keys),
            outlets=lambda outlets: _Outlets(outlets, self.cutter, self),
        )
        dispatch = shell.on_turn

        def told(station: Station, effects: Sequence[Effect]) -> None:
            if effects:
                self.cutter.boundary("before telling")
            dispatch(station, effects)

        shell.on_turn = told
        shell.kernel.observers.append(self._observed)
        return shell

    def _observed(
        self, before: Station, batch: Sequence[Event], after: Station, _: object
    ) -> None:
        if all(isinstance(event, MeterRead) for event in batch) and all(
            evse.session is before.evses[key].session for key, evse in after.evses.items()
        ):
            return  # a mere reading changes no status
        for status in after.statuses():
            words = self.seen.setdefault(status.evse_id, [])
            if words[-1:] != [project(status)]:
                words.append(project(status))

    async def cut(self) -> None:
        """Take the power away now."""
        assert self._life is not None
        self.cutter.is_dead = self._stays_dark = True
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
        if self._ending is not None:
            await self._ending
        self._life, self.cutter.is_dead, self._stays_dark = None, False, False
        self.cuts += 1

    async def stop(self) -> None:
        """End the station's life in good order."""
        if self._shell is not None and self._life is not None:
            life, self._life = self._life, None
            self._stays_dark = True  # neither a cut nor a restart brings it back from here on
            try:
                if not life.done():
                    self._shell.stop()
            except PowerCut:
                life.cancel()
            await asyncio.gather(life, return_exceptions=self.cutter.is_dead)
            self._stays_dark = self.cutter.is_dead = False

    @property
    def is_alive(self) -> bool:
        """Return whether the station has power, or is restarting."""
        return self._life is not None and not self._life.done()

    @property
    def shell(self) -> Shell:
        """Return the services of the present life, or of the last."""
        assert self._shell is not None
        return self._shell

    @property
    def station(self) -> Station:
        """Return what the station knows."""
        return self.shell.kernel.station

    def post(self, event: Event) -> None:
        """Let something happen."""
        self.shell.kernel.post(event)

    # --- looking ---

    def check_durable(self, evse_id: int) -> None:
        """Hold what is about to close a contactor to the disk."""
        transaction = self.station.evses[evse_id].transaction
        assert transaction is not None, "energy without a transaction"
        assert transaction.transaction_id in self.disk.starts, "energy without a durable start"

    def status(self) -> dict[str, Any]:
        """Return what `pilotwire status` would say."""
        return snapshot(self.station, project, self.world.env().now)

    def connector(self, evse_id: int = 1) -> str:
        """Return the 1.6 word for the status of an EVSE's connector."""
        return next(
            project(status)
            for status in self.station.statuses()
            if (status.evse_id, status.connector_id) == (evse_id, 1)
        )

    @property
    def bills(self) -> list[Transaction]:
        """Return what the CSMS has in its ledger."""
        return self.csms.ledger.transactions

    def told_statuses(self, evse_id: int = 1) -> list[str]:
        """Return the statuses of a connector that the CSMS was told, by arrival."""
        history = self.csms.ledger.station(IDENTITY).status_history
        return [
            item.status
            for item in history
            if (item.evse_id or item.connector_id) == evse_id and item.connector_id
        ]

    def energy_wh(self) -> float:
        """Return what has flowed through all meters, in Wh."""
        return sum(sim.reading().energy_import_wh for sim in self.hardware)

    @property
    def flowed_wh(self) -> float:
        """Return what had flowed through all meters when the world ended, in Wh."""
        return sum(self._registers_wh)

    # --- waiting ---

    @property
    def now_s(self) -> float:
        """Return the seconds of this world."""
        return asyncio.get_running_loop().time()

    async def until(self, condition: Callable[[], Any], *, limit_s: float = 120.0) -> None:
        """Let time pass until a condition holds; it is looked at ten times a second."""
        give_up_at = self.now_s + limit_s
        while not condition():
            if self._life is not None and self._life.done():
                self._life.result()
            assert self.now_s < give_up_at, f"not within {limit_s} s: {self.status()}"
            await asyncio.sleep(0.1)

    async def online(self) -> None:
        """Wait until the CSMS has accepted the station."""
        await self.until(lambda: self.is_running and self.station.is_online, limit_s=900)

    async def charging(self, evse_id: int = 1, *, token: str = TAG, **vehicle: Any) -> None:
        """Plug in, present a token, and wait until energy flows."""
        self.plug(evse_id, **vehicle)
        await self.until(lambda: self.station.evses[evse_id].inputs.is_plugged)
        self.tap(token, evse_id)
        await self.until(lambda: self.evse(evse_id).outlet_closed)

    async def delivered(self, limit_s: float = 600.0) -> None:
        """Wait until no transaction is open and the CSMS has everything."""
        await self.until(self._is_settled, limit_s=limit_s)

    def _is_settled(self) -> bool:
        open_ = any(evse.transaction for evse in self.station.evses.values())
        is_idle = not open_ and not self.station.outbox.entries
        return self.is_running and self.station.is_online and is_idle


def run(lab: Lab, story: Callable[[Lab], Awaitable[None]], *, goes_on: bool = False) -> Lab:
    """Live a story in virtual time, and judge what the station said.

    Args:
        goes_on: another run of the same lab will follow, whose monotonic clock begins anew,
            as that of a machine after a power cut does; the vehicles are gone then.
    """

    async def lived() -> None:
        await lab.open()
        try:
            await story(lab)
        finally:
            await lab.close(goes_on=goes_on)

    vloop.run(lived())
    lab.wire.judge()
    assert not lab.csms.violations, list(lab.csms.violations)
    return lab


def check_bills(lab: Lab) -> None:
    """Hold the CSMS's ledger to the disk and to the meters.

    Energy flows only in transactions, so the bills are all of it; 1.6 tells whole Wh.
    """
    assert len(lab.bills) == len(lab.disk.starts), "a start was lost, or told as two"
    assert lab.disk.starts.keys() == lab.disk.ends.keys(), "an end was lost"
    for bill in lab.bills:
        assert bill.complete, bill
        assert not bill.missing_seq_nos, bill
    billed_wh = sum(bill.energy_wh or 0.0 for bill in lab.bills)
    each_wh = 1.0 if any("ocpp1.6" in bill.protocols for bill in lab.bills) else 0.002
    assert abs(billed_wh - lab.flowed_wh) <= each_wh * len(lab.bills) + 1e-6, (
        f"{billed_wh} Wh are billed, {lab.flowed_wh} Wh flowed: {lab.bills}"
    )
