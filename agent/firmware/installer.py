"""The contract of an installer, and the two that need nothing but a file system or a program.

A slot is a place that an image can be installed into while another one runs. `activate` makes
the new one the one that starts next, on trial; `confirm` keeps it, `roll_back` returns to the
old one. Every step bears to be done again after a power cut.

Plain slots are two directories and a link:

    slots/a, slots/b    one unpacked image each, with its `manifest.json`
    current             link to the one that runs
    trial               "b a": b is on trial, a ran before
    tries               how often b was started meanwhile, kept by `pilotwire-confirm`
    failed              "b": it was tried and did not start

The three files are text of one line, because the program that returns to the old slot when the
new one does not start at all is a shell script (systemd/pilotwire-confirm).
"""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, Protocol, cast

from agent.firmware.errors import UnreadableImageError
from agent.firmware.image import Payload
from agent.firmware.manifest import Header, encoded
from agent.firmware.members import harmless
from hal.types import Value

SLOTS: Final = ("a", "b")
MOST_MEMBERS: Final = 100_000
MOST_GROWTH: Final = 20
"""An archive may unpack to as many times its size and a megabyte; more is a bomb."""

COMMAND_S: Final = 3600.0


class InstallerError(Exception):
    """The installer could not do what it was told; the slot that runs is untouched."""


class Status(Value, frozen=True):
    """What an installer says of the machine.

    Attributes:
        slot: that runs, None for an installer without slots.
        has_failed: the other slot was tried, and did not start.
        version: of the image that runs, None when the installer does not know it.
    """

    slot: str | None = None
    has_failed: bool = False
    version: str | None = None


class Installer(Protocol):
    """Gets verified images onto the machine."""

    needs_bundle: bool

    def status(self) -> Status:
        """Return which image runs."""

    def install(self, payload: Payload, header: Header | None) -> str | None:
        """Write an image beside the one that runs; return its slot.

        Raises:
            InstallerError: it could not.
            VerificationError: the bytes are not those that were verified.
        """

    def activate(self) -> None:
        """Let the new slot start next, on trial."""

    def confirm(self) -> None:
        """Keep the slot that runs."""

    def roll_back(self) -> None:
        """Let the slot start next that ran before."""


class Slots(Installer):
    """Two directories and a link."""

    needs_bundle = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def status(self) -> Status:
        slot = self._current()
        trial = self._line("trial")
        if trial is None or trial.split()[:1] != [slot]:
            # The power was cut within a switch there or back: nothing that runs is on trial.
            self._end_trial()
        manifest = self._directory / "slots" / slot / "manifest.json"
        version = None
        if manifest.exists():
            version = _version(manifest.read_bytes())
        failed = self._line("failed")
        return Status(slot, failed is not None and failed != slot, version)

    def install(self, payload: Payload, header: Header | None) -> str | None:
        if header is None:
            raise UnreadableImageError("plain slots take bundles only")
        slot = self._other(self._current())
        target = self._directory / "slots" / slot
        self._forget("failed")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        try:
            _unpack(payload, target, header.manifest.size)
            payload.check()
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        (target / "manifest.json").write_bytes(encoded(header.manifest))
        os.sync()
        return slot

    def activate(self) -> None:
        present = self._current()
        trial = self._line("trial")
        if trial is not None and trial.split()[:1] == [present]:
            return  # a power cut came after it
        new = self._other(present)
        if not (self._directory / "slots" / new / "manifest.json").exists():
            raise InstallerError(f"slot {new} holds no whole image")
        self._forget("tries")
        self._write("trial", f"{new} {present}")
        self._point_to(new)

    def confirm(self) -> None:
        self._end_trial()

    def roll_back(self) -> None:
        trial = self._line("trial")
        if trial is None:
            raise InstallerError("no slot is on trial")
        new, old = trial.split()
        self._point_to(old)
        self._write("failed", new)
        self._end_trial()

    def _end_trial(self) -> None:
        for name in ("trial", "tries"):
            if self._line(name) is not None:
                self._forget(name)

    def _current(self) -> str:
        try:
            slot = (self._directory / "current").readlink().name
        except OSError:
            raise InstallerError(f"{self._directory}/current is no link to a slot") from None
        if slot not in SLOTS:
            raise InstallerError(f"{self._directory}/current links to {slot}, not to a or b")
        return slot

    def _other(self, slot: str) -> str:
        return SLOTS[1 - SLOTS.index(slot)]

    def _point_to(self, slot: str) -> None:
        """Flip the link: it names one slot or the other at every instant."""
        passing = self._directory / "current.new"
        passing.unlink(missing_ok=True)
        passing.symlink_to(Path("slots") / slot)
        passing.replace(self._directory / "current")
        _sync(self._directory)

    def _line(self, name: str) -> str | None:
        try:
            return (self._directory / name).read_text().strip()
        except FileNotFoundError:
            return None

    def _write(self, name: str, line: str) -> None:
        passing = self._directory / f"{name}.new"
        with passing.open("w") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
        passing.replace(self._directory / name)
        _sync(self._directory)

    def _forget(self, name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)
        _sync(self._directory)


def _version(manifest: bytes) -> str | None:
    from agent.firmware.manifest import decoded  # noqa: PLC0415  msgspec types, when needed

    try:
        return decoded(manifest).version
    except UnreadableImageError:
        return None


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _as_checked(member: tarfile.TarInfo, _target: str) -> tarfile.TarInfo:
    """Let Python unpack what was checked before."""
    return member


def _unpack(payload: Payload, target: Path, size: int) -> None:
    """Unpack an archive; nothing of it lands outside, and it does not grow without bounds.

    Raises:
        UnreadableImageError: it is no archive, an empty one, or one that misbehaves.
    """
    left, members = size * MOST_GROWTH + (1 << 20), 0
    checked = getattr(tarfile, "data_filter", harmless)
    stream = cast("IO[bytes]", payload)  # all that tarfile wants of a stream is `read`
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            archive.extraction_filter = _as_checked
            for member in archive:
                left, members = left - member.size, members + 1
                if left < 0 or members > MOST_MEMBERS:
                    raise UnreadableImageError("the archive unpacks to more than it may")
                archive.extract(checked(member, str(target)), target)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UnreadableImageError(f"the archive: {error}") from None
    except OSError as error:
        raise InstallerError(f"cannot unpack: {error}") from None
    if not members:
        raise UnreadableImageError("the archive: there is nothing in it")


class Command(Installer):
    """A program of the manufacturer's.

    It is called with one word, and for `install` with a file that it may read:

        install FILE    exit 0 when the image is written; a line `slot NAME` on its output
                        says that a restart activates it
        activate, confirm, rollback
        status          lines `slot NAME`, `failed`, `version TEXT`

    Whatever else it writes is for the log; another exit code than 0 is a failure.
    """

    needs_bundle = False

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def status(self) -> Status:
        said = self._called("status")
        return Status(said.get("slot"), "failed" in said, said.get("version"))

    def install(self, payload: Payload, header: Header | None) -> str | None:
        del header  # the program knows its own images
        handle = payload.image.handle
        payload.check()
        return self._called("install", f"/proc/self/fd/{handle}", handles=(handle,)).get("slot")

    def activate(self) -> None:
        self._called("activate")

    def confirm(self) -> None:
        self._called("confirm")

    def roll_back(self) -> None:
        self._called("rollback")

    def _called(self, *words: str, handles: Sequence[int] = ()) -> dict[str, str]:
        try:
            done = subprocess.run(  # noqa: S603  the program that the configuration names
                [*self._command, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pass_fds=handles,
                timeout=COMMAND_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallerError(f"{self._command[0]} {words[0]}: {error}") from None
        if done.returncode:
            raise InstallerError(f"{self._command[0]} {words[0]} ended with {done.returncode}")
        lines = done.stdout[:65_536].decode(errors="replace").splitlines()
        return {word: rest for word, _, rest in (line.strip().partition(" ") for line in lines)}
