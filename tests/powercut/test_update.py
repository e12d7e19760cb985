"""A whole update with the power going away at every boundary.

Real slots on a real file system, the real verification, and the script that systemd runs before
the agent; cut before and after every step, every frame, every commit, and every change of the
files that say which slot runs. Wherever it is cut: in the end one version runs, whole and
confirmed, and nothing is on trial any more.
"""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent.bench.session import CsmsError
from agent.core import updates
from agent.core.events import DialRefusal, InstallerFound, UpdateWorkEnded
from agent.core.orders import Failure, Step, UpdateWork
from agent.firmware import __main__ as helper
from agent.firmware.installer import Slots
from agent.firmware.task import Broken, Deed, Refused, Result, Task, Well
from agent.runtime.shell import Shell
from agent.store.database import Store
from agent.transport.link import DialError, DialTarget
from tests.firmware.bundles import Station, bundle
from tests.firmware.pki import ec_key, leaf, signed_text
from tests.support.lab import IDENTITY, VERSIONS, Lab
from tests.support.lab import run as lived
from tests.support.power import Cutter

CONFIRM = Path(__file__).parents[2] / "systemd/pilotwire-confirm"
OFF_S = 4.0
DEEDS = {
    Step.CHECK: Deed.CHECK,
    Step.VERIFY: Deed.VERIFY,
    Step.INSTALL: Deed.INSTALL,
    Step.ACTIVATE: Deed.ACTIVATE,
    Step.CONFIRM: Deed.CONFIRM,
    Step.ROLL_BACK: Deed.ROLL_BACK,
}
ACTION = {"ocpp1.6": "SignedUpdateFirmware", "ocpp2.0.1": "UpdateFirmware"}


GOOD = bundle()
SIGNATURE = signed_text(ec_key("signer"), GOOD)


class CutSlots(Slots):
    """Plain slots whose every change of state may be the last one."""

    cutter: Cutter

    def _write(self, name: str, line: str) -> None:
        self.cutter.boundary(f"before {name} is written")
        super()._write(name, line)
        self.cutter.boundary(f"after {name} is written")

    def _forget(self, name: str) -> None:
        self.cutter.boundary(f"before {name} is forgotten")
        super()._forget(name)
        self.cutter.boundary(f"after {name} is forgotten")

    def _point_to(self, slot: str) -> None:
        self.cutter.boundary(f"before the link leads to {slot}")
        super()._point_to(slot)
        self.cutter.boundary(f"after the link leads to {slot}")


class Machine(Lab):
    """A lab whose station has slots, and a machine that starts what the link leads to."""

    def __init__(self, version: str, cutter: Cutter, *, is_bad: bool) -> None:
        super().__init__(version, cutter=cutter, revive_s=OFF_S)
        self.place = Path(tempfile.mkdtemp(prefix="pw-update-"))
        self.slots = Station(self.place)
        self.is_bad, self.has_begun = is_bad, False
        self.runs, self.left = "", set[str]()
        CutSlots.cutter = cutter

    def _built(self, store: Store) -> Shell:
        subprocess.run([CONFIRM, self.slots.slots], check=True, capture_output=True)
        shell = super()._built(store)
        self._dialer._memory.choose = self._chosen
        run = shell.run

        def served(first: Any, *, socket: Path | None) -> Coroutine[Any, Any, None]:
            return run(first, self._updating(shell), socket=socket)

        shell.run = served  # type: ignore[method-assign]  # with one more service
        return shell

    def _chosen(self, _: DialTarget) -> str:
        if self.is_bad and self.slots.current == "b":
            raise DialError(DialRefusal.CREDENTIALS, "the server answered 401")
        return self.version

    async def _updating(self, shell: Shell) -> None:
        """Do what the station wants done, as the updater's helpers do."""
        status = self._result(Task(Deed.STATUS, "slots", str(self.slots.slots)))
        assert isinstance(status, Well)
        shell.kernel.post(InstallerFound("slots", status.slot, status.has_failed))
        done = None
        while True:
            await asyncio.sleep(0.2)
            work = updates.work(shell.kernel.station.firmware)
            if work is None or work == done or not shell.kernel.is_saved:
                continue
            done = work
            self.cutter.boundary(f"before {work.step.value}")
            ended = self._outcome(work)
            self.cutter.boundary(f"after {work.step.value}")
            shell.kernel.post(ended)

    def _outcome(self, work: UpdateWork) -> UpdateWorkEnded:
        if work.step is Step.DOWNLOAD:
            self.slots.image.write_bytes(GOOD)
            self.has_begun = True
            return UpdateWorkEnded(work)
        order = work.order
        task = self.slots.task(
            DEEDS[work.step],
            certificate=order.certificate,
            signature=order.signature,
        )
        match self._result(task):
            case Well(slot=slot):
                return UpdateWorkEnded(work, slot=slot)
            case Refused(info=info):
                return UpdateWorkEnded(work, Failure.SIGNATURE, info)
            case Broken(info=info):
                return UpdateWorkEnded(work, Failure.INSTALLATION, info)

    def _result(self, task: Task) -> Result:
        return helper.result(task)

    @property
    def is_settled(self) -> bool:
        """Whether one version runs for good."""
        trial = (self.slots.slots / "trial").exists()
        return self.is_running and not trial and self.station.firmware.update is None


def updated(version: str, at: int | None, *, is_bad: bool = False) -> Machine:
    """Have a station updated, with a cut at a boundary; return the machine afterwards.

    Args:
        is_bad: the new version does not get along with the CSMS.
    """
    machine = Machine(version, Cutter(at), is_bad=is_bad)
    firmware = {
        "location": "https://files.example/image",
        "retrieveDateTime": "2027-01-15T07:00:00Z",
        "signingCertificate": leaf().decode(),
        "signature": SIGNATURE,
    }
    request = {"requestId": 77, "firmware": firmware}

    async def story(lab: Lab) -> None:
        assert isinstance(lab, Machine)
        await lab.start()
        await lab.online()
        while not lab.has_begun:  # what the power took away, the CSMS asks for again
            with suppress(CsmsError, TimeoutError):
                await lab.csms.request(IDENTITY, ACTION[version], request)
            await asyncio.sleep(60)
        await lab.until(lambda: lab.is_settled, limit_s=7200)
        await lab.online()
        await lab.delivered()
        lab.runs = lab.slots.current
        lab.left = {path.name for path in lab.slots.slots.iterdir()}

    try:
        lived(machine, story)
    finally:
        shutil.rmtree(machine.place)
    return machine


@pytest.fixture(autouse=True)
def cut_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "Slots", CutSlots)


def swept(version: str, *, is_bad: bool) -> None:
    """Cut an update at every boundary, and look at what runs afterwards."""
    runs = "a" if is_bad else "b"
    count = updated(version, None, is_bad=is_bad).cutter.count
    assert count > 80
    for at in range(1, count + 1):
        machine = updated(version, at, is_bad=is_bad)
        where = machine.cutter.names[at - 1]
        assert machine.cuts == 1, f"no cut at {at}, {where}"
        assert machine.runs == runs, f"cut at {at}, {where}"
        assert not machine.left & {"trial", "tries"}, f"cut at {at}, {where}"


@pytest.mark.parametrize("version", VERSIONS)
def test_wherever_it_is_cut_the_new_version_runs_in_the_end_and_is_confirmed(
    version: str,
) -> None:
    swept(version, is_bad=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_wherever_it_is_cut_a_version_that_does_not_prove_itself_is_left_again(
    version: str,
) -> None:
    swept(version, is_bad=True)
