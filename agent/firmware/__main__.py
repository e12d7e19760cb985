"""Verifying and installing, in a process of its own: `python -m agent.firmware`.

One task on the standard input, one line on the standard output (agent.firmware.task). The
image is opened once and verified again right before it is installed, from the same open file.
"""

import contextlib
import logging
import sys
from pathlib import Path

import msgspec

from agent.background import yield_to_others
from agent.firmware import verify
from agent.firmware.errors import VerificationError
from agent.firmware.image import Image, Order, verified
from agent.firmware.installer import Command, Installer, InstallerError, Slots
from agent.firmware.task import Broken, Deed, Refused, Result, Task, Well
from agent.firmware.verify import Installed, Keyring

LONGEST_PEM = 1 << 20


def main() -> int:
    """Do the task on the standard input; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="<6>firmware: %(message)s")
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    if task.deed in {Deed.CHECK, Deed.VERIFY}:
        yield_to_others()
    sys.stdout.buffer.write(msgspec.json.encode(result(task)) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def result(task: Task) -> Result:
    """Do a task; return what became of it."""
    try:
        return _done(task)
    except VerificationError as error:
        return Refused(error.refusal, f"{type(error).__name__}: {error}"[:255])
    except (InstallerError, OSError) as error:
        return Broken(str(error)[:255])


def installer(task: Task) -> Installer:
    """Return the installer that the configuration names."""
    match task.installer:
        case "slots":
            return Slots(Path(task.slots))
        case "rauc":
            return _rauc()
        case "swupdate":
            from agent.firmware.swupdate import Swupdate  # noqa: PLC0415  where it is chosen

            return Swupdate(task.swupdate, task.machine)
        case _:
            return Command(task.command)


def _rauc() -> Installer:
    try:
        from agent.firmware.rauc import Rauc  # noqa: PLC0415  only where it is chosen
    except ModuleNotFoundError as error:
        if error.name != "jeepney":
            raise
        raise InstallerError("needs jeepney: install pilotwire[rauc]") from None
    return Rauc()


def _done(task: Task) -> Result:
    if task.deed is Deed.CHECK:
        verify.signer((task.certificate or "").encode(), _keyring(task), task.at_s)
        return Well()
    found = installer(task)
    match task.deed:
        case Deed.VERIFY | Deed.INSTALL:
            return _image(task, found)
        case Deed.ACTIVATE:
            found.activate()
        case Deed.CONFIRM:
            found.confirm()
        case Deed.ROLL_BACK:
            found.roll_back()
        case _:
            status = found.status()
            return Well(status.slot, status.has_failed, status.version)
    return Well()


def _image(task: Task, found: Installer) -> Result:
    station = Installed(
        task.product, task.hardware, task.version, task.allows_downgrade, task.most_bytes
    )
    order = Order(
        _keyring(task), station, task.at_s, task.certificate, task.signature, found.needs_bundle
    )
    with Image(Path(task.image)) as image:
        payload, header = verified(image, order)
        version = None if header is None else header.manifest.version
        if task.deed is Deed.VERIFY:
            return Well(version=version)
        return Well(found.install(payload, header), version=version)


def _keyring(task: Task) -> Keyring:
    """Read what is trusted; a file that is not there trusts and revokes nobody."""
    return Keyring(_files(task.roots), crls=_files(task.crls))


def _files(paths: tuple[str, ...]) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError), Path(path).open("rb") as file:
            found.append(file.read(LONGEST_PEM))
    return tuple(found)


if __name__ == "__main__":
    sys.exit(main())
