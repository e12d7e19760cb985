"""Carries out updates: downloads by the transfer process, the rest by the installer's.

The core says which step is wanted; this module turns it into a job for a helper process and
the process's last word into an event. It keeps no state but the image file, which is named
after the serial of its order, so that a stale one is never taken for another.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.core import updates
from agent.core.effects import Effect
from agent.core.events import Event, InstallerFound, UpdateWorkEnded
from agent.core.orders import Failure, Step, UpdateWork
from agent.core.station import Station
from agent.core.trust import CertificateKind
from agent.firmware.errors import Refusal
from agent.firmware.task import Broken, Deed, Refused, Result, SwupdateSetup, Task, Well
from agent.runtime.child import ChildError, run_child
from agent.runtime.credentials import installed
from agent.runtime.follower import Follower
from agent.runtime.kernel import Kernel
from agent.runtime.transfers import FileSetup, Transfers
from agent.security.keystore import Keystore
from agent.transfer.job import Finished, Reason
from hal.types import Value

logger = logging.getLogger(__name__)

INSTALL_S: Final = 3900.0
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 3600.0
"""Between two looks for an installer that does not answer; doubled every time."""

LOOKS_ON_TRIAL: Final = 7
"""How often a new image looks for it: within five minutes, as it has to prove itself."""

COUNTING: Final = frozenset({"rauc"})
"""Installers whose boot loader counts every start, not only those on trial (BOOT_x_LEFT)."""

TRIAL: Final = "trial"
"""Name of a file that is there while a system is on trial (systemd/pilotwire-ended)."""

SPARE_BYTES: Final = 16 << 20
"""What a download leaves free on the disk: bills are written there too."""

_DEEDS: Final = {
    Step.CHECK: Deed.CHECK,
    Step.VERIFY: Deed.VERIFY,
    Step.INSTALL: Deed.INSTALL,
    Step.ACTIVATE: Deed.ACTIVATE,
    Step.CONFIRM: Deed.CONFIRM,
    Step.ROLL_BACK: Deed.ROLL_BACK,
}
_REFUSALS: Final = {
    Refusal.CERTIFICATE: Failure.CERTIFICATE,
    Refusal.REVOKED: Failure.REVOKED,
    Refusal.SIGNATURE: Failure.SIGNATURE,
    Refusal.IMAGE: Failure.IMAGE,
}
_LATER: Final = frozenset({Reason.FAILED, Reason.DENIED})


class InstallerLostError(Exception):
    """A new image cannot reach the installer that has installed it."""


class Setup(Value, frozen=True):
    """What the configuration says of updates.

    Attributes:
        installer: "slots", "rauc", "swupdate" or "command".
        directory: where images are kept; private to the agent.
        restarts_machine: an image is a whole system.
        roots, crls: PEM files of the manufacturer.
        keystore: where the roots are that are installed now, beside the ones named here.
        files: how images are fetched.
    """

    installer: str
    directory: Path
    product: str
    version: str = ""
    hardware: str = ""
    slots: str = ""
    command: tuple[str, ...] = ()
    swupdate: SwupdateSetup = SwupdateSetup()
    restarts_machine: bool = False
    roots: tuple[Path, ...] = ()
    crls: tuple[Path, ...] = ()
    keystore: Keystore | None = None
    files: FileSetup = FileSetup()
    allows_downgrade: bool = False
    most_bytes: int = 1 << 30


class Updater:
    """Follows what the station wants done about its firmware."""

    def __init__(
        self, setup: Setup, kernel: Kernel, wall_s: Callable[[], float | None]
    ) -> None:
        """Prepare.

        Args:
            wall_s: gives the time as the station knows it, UTC seconds.
        """
        self._setup, self._kernel, self._wall_s = setup, kernel, wall_s
        self._transfers = Transfers(setup.files, kernel)
        self._follower = Follower(self._done, kernel.post)

    async def run(self) -> None:
        """Find the installer, then work until cancelled.

        Raises:
            InstallerLostError: an image is on trial, and has none: it cannot be kept.
        """
        result = await self._found()
        self._kernel.observers.append(self._observed)
        try:
            found = InstallerFound(self._setup.installer, result.slot, result.has_failed)
            self._kernel.post(found)
            if self._setup.installer in COUNTING:
                await self._kept()
            await self._follower.run()
        finally:
            self._kernel.observers.remove(self._observed)

    async def _found(self) -> Well:
        """Look for the installer until it answers: its service may start later than we do."""
        looks, wait_s = 0, FIRST_WAIT_S
        while True:
            result = await self._told(self._task(Deed.STATUS))
            if isinstance(result, Well):
                return result
            looks += 1
            if looks >= LOOKS_ON_TRIAL and self._is_on_trial:
                raise InstallerLostError(result.info)
            logger.error("no firmware updates: %s", result.info)
            await asyncio.sleep(wait_s)
            wait_s = min(2.0 * wait_s, LONGEST_WAIT_S)

    @property
    def _is_on_trial(self) -> bool:
        update = self._kernel.station.firmware.update
        return update is not None and update.phase in updates.ACTIVATED

    async def _kept(self) -> None:
        """Keep the slot that runs, unless it is on trial: its starts are counted always."""
        if not self._is_on_trial:
            result = await self._told(self._task(Deed.CONFIRM))
            if not isinstance(result, Well):
                logger.error("the slot that runs is not kept: %s", result.info)

    def _observed(
        self, before: Station, _batch: Sequence[Event], after: Station, _told: Sequence[Effect]
    ) -> None:
        if self._kernel.is_saved:  # what the disk may forget is not begun
            self._follower.want(updates.work(after.firmware))
        if before.firmware.update is not None and after.firmware.update is None:
            self._tidied(None)
            with suppress(OSError):  # one that stays is gone after the next update
                (self._setup.directory / TRIAL).unlink(missing_ok=True)

    async def _done(self, work: UpdateWork) -> Event:
        logger.info("update %d: %s", work.serial, work.step.value)
        if work.step is Step.ACTIVATE and self._setup.restarts_machine:
            self._marked()
        if work.step is Step.DOWNLOAD:
            ended = await self._downloaded(work)
        else:
            ended = _ended(work, await self._told(self._task(_DEEDS[work.step], work)))
        if ended.failure is not None:
            logger.warning("update %d: %s: %s", work.serial, work.step.value, ended.info)
        return ended

    def _marked(self) -> None:
        """Let the unit know that a system is on trial: its agent may not be able to."""
        try:
            with (self._setup.directory / TRIAL).open("wb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            logger.warning("a failing agent will not restart the machine: %s", error)

    # --- downloading ---

    async def _downloaded(self, work: UpdateWork) -> UpdateWorkEnded:
        path = self._image(work)
        try:
            self._setup.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._tidied(path)
            free = shutil.disk_usage(self._setup.directory).free - SPARE_BYTES
        except OSError as error:
            return UpdateWorkEnded(work, Failure.IMPOSSIBLE, f"{error.strerror}")
        part = path.stat().st_size if path.exists() else 0
        most_bytes = min(self._setup.most_bytes, max(free + part, 0))
        said = await self._transfers.fetched(work.order.location, path, most_bytes)
        if isinstance(said, Finished):
            return UpdateWorkEnded(work)
        failure = Failure.TRANSFER if said.reason in _LATER else Failure.IMPOSSIBLE
        return UpdateWorkEnded(work, failure, said.info[:255])

    def _image(self, work: UpdateWork) -> Path:
        return self._setup.directory / f"image-{work.serial}"

    def _tidied(self, keep: Path | None) -> None:
        """Delete the images of other orders."""
        for path in self._setup.directory.glob("image-*"):
            if keep is None or path.name.removesuffix(".tag") != keep.name:
                with suppress(OSError):  # what stays goes with the next one
                    path.unlink()

    # --- everything else ---

    def _task(self, deed: Deed, work: UpdateWork | None = None) -> Task:
        setup = self._setup
        return Task(
            deed,
            setup.installer,
            setup.slots,
            setup.command,
            setup.swupdate,
            machine=self._kernel.station.provisioning.machine,
            image=str(self._image(work)) if work else "",
            certificate=work.order.certificate if work else None,
            signature=work.order.signature if work else None,
            roots=self._roots(),
            crls=tuple(map(str, setup.crls)),
            at_s=self._wall_s(),
            product=setup.product,
            hardware=setup.hardware,
            version=setup.version,
            allows_downgrade=setup.allows_downgrade,
            most_bytes=setup.most_bytes,
        )

    def _roots(self) -> tuple[str, ...]:
        station, kind = self._kernel.station, CertificateKind.MANUFACTURER_ROOT
        found = installed(station, kind, self._setup.keystore)
        return tuple(map(str, (*self._setup.roots, *found)))

    async def _told(self, task: Task) -> Result:
        try:
            result: Result = await run_child("agent.firmware", task, Result, limit_s=INSTALL_S)
        except ChildError as error:
            return Broken(str(error))
        return result


def _ended(work: UpdateWork, result: Result) -> UpdateWorkEnded:
    match result:
        case Well(slot=slot):
            return UpdateWorkEnded(work, slot=slot)
        case Refused(refusal=refusal, info=info):
            return UpdateWorkEnded(work, _REFUSALS[refusal], info)
        case Broken(info=info):
            early = work.step in {Step.CHECK, Step.VERIFY}
            failure = Failure.IMPOSSIBLE if early else Failure.INSTALLATION
            return UpdateWorkEnded(work, failure, info)
