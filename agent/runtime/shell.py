"""The services around one station, wired: kernel, hardware, link to the CSMS, control.

What is concrete (which store, which drivers, which sockets, which clock) is handed in: by
`agent.main` for the real thing, by tests and simulations for theirs.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from agent.core.effects import CertificateAsk, Effect, Note, Reply, Restart, SecurityLogged
from agent.core.events import Event
from agent.core.station import Station
from agent.core.values import BootReason
from agent.ocpp.adapter import Adapter
from agent.runtime.clock import World
from agent.runtime.control import ControlServer, Simulator
from agent.runtime.csms import CsmsLink
from agent.runtime.hardware import HardwareRunner
from agent.runtime.keeper import Keeper
from agent.runtime.kernel import Dispatch, Kernel, Outlets
from agent.runtime.logbook import Logbook
from agent.runtime.requests import Requests
from agent.runtime.snapshot import Project, clock, snapshot
from agent.security.keystore import Keystore
from agent.store.database import Store
from agent.transport.link import Dialer, DialTarget
from hal.board import EvseHardware

logger = logging.getLogger(__name__)

FLUSH_S: Final = 2.0
"""How long the last frames may take on the way out; the whole exit stays within 5 s."""


class Shell:
    """One run of the station.

    Attributes:
        kernel: takes events.
        on_turn: takes what every turn leaves to be told; may be wrapped before the run.
        restart: why a restart is wanted, None while none is.
    """

    def __init__(  # noqa: PLR0913  # the composition root hands over each part by name
        self,
        *,
        station: Station,
        store: Store,
        evses: tuple[EvseHardware, ...],
        dialer: Dialer,
        profiles: Sequence[DialTarget],
        adapters: Callable[[str], Adapter],
        project: Project,
        world: World,
        simulator: Simulator | None = None,
        ports: Callable[[], dict[str, dict[str, float]]] = dict,
        logbook: Logbook | None = None,
        keystore: Keystore | None = None,
        outlets: Callable[[Outlets], Outlets] = lambda outlets: outlets,
    ) -> None:
        self.restart: BootReason | None = None
        self.on_turn: Dispatch = self._dispatch
        self._requests = Requests()
        self._runner = HardwareRunner(evses, self._post)
        self.kernel = Kernel(
            station,
            store,
            outlets(self._runner),
            world,
            self._told,
        )
        entries = station.outbox.entries
        self._link = CsmsLink(
            station,
            profiles=profiles,
            dialer=dialer,
            adapters=adapters,
            world=world,
            kernel=self.kernel,
            requests=self._requests,
            read_record=store.read_record,
            on_wire=self._on_wire,
            keystore=keystore,
            saved_up_to=entries[-1].record_id if entries else 0,
        )
        self.control = ControlServer(
            self.kernel,
            self._requests,
            lambda present: {
                **snapshot(present, project, world.env().now),
                "ports": ports(),
            },
            lambda present: clock(present, world.env().now),
            simulator,
        )
        self._logbook = logbook
        self._keeper = Keeper(keystore, self._post) if keystore is not None else None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End the run; the outputs are safe and the last frames sent when it has ended."""
        self._stopping.set()

    async def run(
        self, first: Sequence[Event], *services: Coroutine[Any, Any, None], socket: Path | None
    ) -> None:
        """Serve until stopped.

        Args:
            first: the first events, beginning with what storage had to say.
            services: run beside; cancelled at the end.
            socket: of the control server; None serves none.
        """
        for event in first:
            self.kernel.post(event)
        async with asyncio.TaskGroup() as group:
            hardware = group.create_task(self._runner.run(), name="hardware")
            others = [
                group.create_task(self.kernel.run(), name="kernel"),
                group.create_task(self._link.run(), name="csms"),
                *(group.create_task(service) for service in services),
            ]
            if self._keeper is not None:
                others.append(group.create_task(self._keeper.run(), name="keeper"))
            if self._logbook is not None:
                others.append(group.create_task(self._logbook.run(), name="security log"))
            if socket is not None:
                others.append(group.create_task(self.control.run(socket), name="control"))
            await self._stopping.wait()
            hardware.cancel()  # the outputs are made safe while the last frames are sent
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._link.flush()
            for task in others:
                task.cancel()

    def _post(self, event: Event) -> None:
        self.kernel.post(event)

    def _told(self, station: Station, effects: Sequence[Effect]) -> None:
        self.on_turn(station, effects)

    def _dispatch(self, station: Station, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Reply():
                    self._requests.replied(effect)
                case Note(kind=kind, text=text, evse_id=evse_id):
                    where = "" if evse_id is None else f"evse={evse_id} "
                    logger.info("%s%s: %s", where, kind, text)
                case SecurityLogged():
                    if self._logbook is not None:
                        self._logbook.note(effect, station)
                case _ if isinstance(effect, CertificateAsk):
                    if self._keeper is not None:
                        self._keeper.take(effect)
                case Restart(reason=reason):
                    self.restart = reason
                    self.stop()
                case _:
                    pass
        self._link.update(station, effects)

    def _on_wire(self, direction: str, frame: str | bytes) -> None:
        self.control.wire(direction, frame)
