"""Parts of the shell around a station, to be watched: a disk with a will, and hardware on paper."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self

from agent.core import durable, variables
from agent.core.effects import Effect, Report
from agent.core.events import (
    Event,
    EvseDetected,
    MeterRead,
    OutletChanged,
    PilotChanged,
    PowerUp,
    TokenPresented,
)
from agent.core.station import Station
from agent.core.targets import Targets
from agent.core.values import EvseCapabilities, EvseSpec
from agent.ocpp.negotiation import adapter_for
from agent.ocpp.v16.statuses import project
from agent.runtime.clock import ScriptedWorld
from agent.runtime.control import Simulator
from agent.runtime.kernel import Kernel
from agent.runtime.shell import Shell
from agent.security.keystore import Keystore
from agent.store.database import Changes, Store, StoreError
from agent.transport.link import DialTarget
from agent.transport.memory import MemoryDialer, MemoryLink
from hal.board import EvseHardware
from hal.sim.evse import SimulatedEvse
from hal.types import PilotState
from tests.support.core import INFO, TAG, WALL_S, reading
from tests.support.vloop import run

OFFLINE = {
    variables.OFFLINE_UNKNOWN.name: "true",
    variables.TX_BEFORE_ACCEPTED.name: "true",
}
"""Settings under which anybody may charge without a CSMS."""


class Disk(Store):
    """The real store, in memory, which can be slow, stuck or broken.

    Attributes:
        commit_s: how long a commit takes.
        refusal: every commit fails with it; None: the disk works.
        read_refusal: every reading of a record fails with it.
        log: what happened, in order; shared with others.
        writes: transactions that reached the database.
    """

    def __init__(self, directory: Any = None, refusal: str | None = None) -> None:
        super().__init__(directory, refusal)
        self.commit_s = self.ping_s = 0.0
        self.refusal: str | None = None
        self.read_refusal: str | None = None
        self.log: list[tuple[str, Any]] = []
        self.writes: list[tuple[Changes, tuple[int, ...]]] = []

    async def commit(self, changes: Changes) -> None:
        self.log.append(("write", changes))
        if self.commit_s:
            await asyncio.sleep(self.commit_s)
        if self.refusal is not None:
            raise StoreError(self.refusal)
        await super().commit(changes)
        self.log.append(("written", changes))

    async def ping(self) -> None:
        await asyncio.sleep(self.ping_s)
        if self.refusal is not None:
            raise StoreError(self.refusal)
        await super().ping()

    async def read_record(self, record_id: int) -> Any:
        if self.read_refusal is not None:
            raise StoreError(self.read_refusal)
        return await super().read_record(record_id)

    def _write(self, changes: Changes, forgotten: tuple[int, ...]) -> None:
        self.writes.append((changes, forgotten))
        super()._write(changes, forgotten)


def station(evses: int = 1, profiles: int = 1, **settings: str) -> Station:
    """Return a station as it is before its first event."""
    return durable.restored(
        {},
        (),
        info=INFO,
        specs=tuple(EvseSpec(index + 1, 1, 32.0, 3) for index in range(evses)),
        profiles=profiles,
        protocols=("FTP", "HTTPS"),
        factory={**OFFLINE, **settings},
    )


def hardware(evse_id: int = 1, pilot: PilotState = PilotState.C) -> list[Event]:
    """Return the first words of an EVSE's devices."""
    return [
        EvseDetected(evse_id, EvseCapabilities(max_a=32.0, phases=3)),
        PilotChanged(evse_id, pilot),
        OutletChanged(evse_id, closed=False),
        MeterRead(evse_id, reading(1000.0)),
    ]


class Rig:
    """A kernel between a disk and hardware on paper; everything is logged with its instant."""

    def __init__(self, evses: int = 1, **settings: str) -> None:
        self.disk = Disk()
        self.log = self.disk.log
        self.world = ScriptedWorld(wall_s=WALL_S)
        self.turns: list[Sequence[Event]] = []
        self.effects: list[Effect] = []
        self.targets: list[tuple[float, Targets]] = []
        self.kernel = Kernel(
            station(evses, **settings), self.disk, self, self.world, self._dispatch
        )
        self.kernel.observers.append(lambda _, batch, __, ___: self.turns.append(batch))
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.kernel.run())
        self.kernel.post(PowerUp())
        await self.settled()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.disk.close()

    @property
    def failure(self) -> BaseException | None:
        """Return why the kernel has ended, None while it runs."""
        assert self._task is not None
        return self._task.exception() if self._task.done() else None

    def apply(self, targets: Targets) -> None:
        """Take targets, as `Outlets`."""
        self.targets.append((asyncio.get_running_loop().time(), targets))
        self.log.append(("hardware", targets.of(1)))

    def _dispatch(self, _: Station, effects: Sequence[Effect]) -> None:
        self.effects += effects
        self.log.append(("told", tuple(effects)))

    def post(self, *events: Event) -> int:
        """Post events in one go; return the ticket of the last."""
        return [self.kernel.post(event) for event in events][-1]

    async def settled(self) -> None:
        """Wait until everything posted has had its effect."""
        async with asyncio.timeout(1000):
            while self.kernel.taken < self.kernel._posted:  # noqa: ASYNC110  # no event says so
                await asyncio.sleep(0.001)

    async def charging(self) -> None:
        """Lead EVSE 1 to the flow of energy."""
        self.post(*hardware())
        self.post(TokenPresented(TAG, 1))
        await self.settled()
        self.post(OutletChanged(1, closed=True))
        await self.settled()
        assert self.is_energized

    @property
    def is_energized(self) -> bool:
        """Return whether EVSE 1 is to be energized now."""
        return self.targets[-1][1].of(1).energize

    def told(self, kind: type) -> list[Any]:
        """Return what was told of a kind; of a record's kind, the records."""
        records = [effect.record for effect in self.effects if isinstance(effect, Report)]
        return [item for item in (*self.effects, *records) if isinstance(item, kind)]


class Talk:
    """A whole station whose CSMS is the test: frame by frame, over links in memory.

    Attributes:
        shell: the services of the station.
        disk: its store.
        evse: its only EVSE.
        heard: frames of the station on all links, as text.
    """

    def __init__(
        self,
        version: str,
        *,
        adapters: Any = adapter_for,
        dialer: type[MemoryDialer] = MemoryDialer,
        evse: type[SimulatedEvse] = SimulatedEvse,
        profiles: int = 1,
        socket: Path | None = None,
        simulator: Simulator | None = None,
        keystore: Keystore | None = None,
        security_profile: int = 0,
        **settings: str,
    ) -> None:
        self.version, self.disk, self.socket = version, Disk(), socket
        self.evse = evse()
        self.dialer = dialer(lambda _: version)
        self.heard: list[str] = []
        self.link: MemoryLink
        self.world = ScriptedWorld(wall_s=WALL_S)
        self.shell = Shell(
            station=station(1, profiles, **settings),
            store=self.disk,
            evses=(EvseHardware(1, 1, 32.0, 3, self.evse, self.evse, (self.evse,)),),
            dialer=self.dialer,
            profiles=[
                DialTarget(
                    f"memory://csms{index}", "CP001", (version,), security_profile, b"secret"
                )
                for index in range(profiles)
            ],
            adapters=adapters,
            project=project,
            world=self.world,
            simulator=simulator,
            keystore=keystore,
        )
        self._count = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.shell.run([PowerUp()], socket=self.socket))
        self.link = await self.dialer.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.shell.stop()
        try:
            await self._task
        finally:
            await self.disk.close()

    @property
    def station(self) -> Station:
        """Return what the station knows."""
        return self.shell.kernel.station

    def post(self, *events: Event) -> None:
        """Let things happen."""
        for event in events:
            self.shell.kernel.post(event)

    async def say(self, frame: Any) -> None:
        """Send a frame: text and bytes as they are, anything else as JSON."""
        raw = frame if isinstance(frame, bytes) else None
        text = frame if isinstance(frame, str) else None
        encoded = raw or (text.encode() if text else json.dumps(frame).encode())
        await self.link.send(encoded)

    async def hear(self, limit_s: float = 1000.0) -> Any:
        """Return the station's next frame.

        Raises:
            TimeoutError: there is none in time.
        """
        async with asyncio.timeout(limit_s):
            frame = await self.link.receive()
        self.heard.append(str(frame))
        return json.loads(frame)

    async def hear_call(self, action: str, limit_s: float = 1000.0) -> Any:
        """Return the station's next frame, which is a call of this action."""
        frame = await self.hear(limit_s)
        assert frame[0] == 2, frame
        assert frame[2] == action, frame
        return frame

    async def answer(self, call: Any, payload: Any = None) -> None:
        """Answer a call of the station."""
        await self.say([3, call[1], payload or {}])

    async def silent(self, for_s: float = 1.0) -> None:
        """Find that the station says nothing for a while."""
        try:
            frame = await self.hear(for_s)
        except TimeoutError:
            return
        raise AssertionError(frame)

    async def boot(self, status: str = "Accepted", interval_s: int = 86_400) -> None:
        """Answer the station's introduction."""
        call = await self.hear_call("BootNotification")
        now = "2027-01-15T08:00:00Z"
        await self.answer(call, {"status": status, "currentTime": now, "interval": interval_s})

    async def online(self) -> None:
        """Accept the station, and take its statuses."""
        await self.boot()
        statuses = 2 if self.version == "ocpp1.6" else 1
        for _ in range(statuses):
            await self.answer(await self.hear_call("StatusNotification"))
        await self.silent()

    async def call(self, action: str, payload: Any) -> Any:
        """Ask the station something, and return its answer, which comes next."""
        self._count += 1
        await self.say([2, f"csms-{self._count}", action, payload])
        frame = await self.hear()
        assert frame[1] == f"csms-{self._count}", frame
        return frame

    async def lives(self) -> None:
        """Find that the station still answers."""
        read = {
            "ocpp1.6": ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
            "ocpp2.0.1": (
                "GetVariables",
                {
                    "getVariableData": [
                        {
                            "component": {"name": "OCPPCommCtrlr"},
                            "variable": {"name": "HeartbeatInterval"},
                        }
                    ]
                },
            ),
        }
        frame = await self.call(*read[self.version])
        assert frame[0] == 3, frame


def story(
    version: str, told: Callable[[Talk], Coroutine[Any, Any, None]], **options: Any
) -> Talk:
    """Tell a story of an accepted station, and return it afterwards."""

    async def lived() -> Talk:
        async with Talk(version, **{variables.MESSAGE_TIMEOUT.name: "30", **options}) as talk:
            await talk.online()
            await told(talk)
        return talk

    return run(lived())


def watched(talk: Talk, kind: type) -> list[Any]:
    """Return a list to which every event of a kind is added from now on."""
    found: list[Any] = []
    talk.shell.kernel.observers.append(
        lambda _, batch, __, ___: found.extend(item for item in batch if isinstance(item, kind))
    )
    return found


def defective(version: str, **functions: Any) -> Callable[[str], Any]:
    """Return adapters with a defect in some functions."""
    base = type(adapter_for(version))
    return lambda _: type("Defective", (base,), functions)()


def fails(*_: object, **__: object) -> None:
    """Raise what nobody expects."""
    raise KeyError("0badcafe-secret")
