"""SWUpdate by its command line client, and U-Boot's environment by the tools of libubootenv.

The daemon has the rights and its own keys; `swupdate-client` hands it the image. The client is
the interface that SWUpdate keeps: the structures on its sockets change between releases.

Which slot starts next stands in the boot loader's environment:

    bootslot              the slot that starts next; the configuration may name it otherwise
    upgrade_available     1: that slot is on trial, and U-Boot counts its starts
    bootcount, bootlimit  beyond the limit U-Boot runs `altbootcmd`: the other slot starts
    ustate                2: the agent has activated it, 3: it has not proved itself
    pilotwire_slot        "a BOOT": slot a runs while the machine is in this boot

The last one is ours. The environment says what starts next, which only a restart makes what
runs: an agent that died between the two must not take the other slot for its own, and write
over the one that runs (docs/adr/0047-swupdate.md).
"""

import logging
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Final

from agent.firmware.errors import UnreadableImageError, UpdaterRefusedError
from agent.firmware.image import Payload
from agent.firmware.installer import COMMAND_S, Installer, InstallerError, Status
from agent.firmware.manifest import Header
from agent.firmware.task import SwupdateSetup
from hal.types import Value

logger = logging.getLogger(__name__)

CLIENT: Final = "swupdate-client"
KEPT: Final = "pilotwire_slot"
ON_TRIAL: Final = "1"
ACTIVATED, FAILED = "2", "3"
"""Values of `ustate`: SWUpdate's STATE_TESTING and STATE_FAILED."""

TOOL_S: Final = 60.0
"""An environment on slow flash is read and written within it."""

HEAD_START_S = 1.0
"""From when the client has called the daemon to the first byte of the image.

A client that has written all before the daemon has begun asks too early how it went, and takes
"idle" for an end: seen with SWUpdate 2022.12 and images of some kilobytes.
"""

TENTHS: Final = 10
LONGEST_REASON: Final = 200

LONGEST_DESCRIPTION: Final = 1 << 20
MEMBER: Final = re.compile(
    rb"07070[12][\dA-F]{48}(?P<size>[\dA-F]{8})[\dA-F]{32}(?P<name>[\dA-F]{8})[\dA-F]{8}",
    re.IGNORECASE,
)
"""What stands before a member of an archive (cpio(5), newc)."""

_STATUS: Final = re.compile(r"Status: (\d+) message: (?:ERROR : )?(.*)")
_IS_FAILURE: Final = "4"
_CHATTER: Final = ("no input given", "SWUpdate *failed*", "SWUpdate was successful")
_REFUSAL: Final = re.compile(
    r"signature|certificate|hash mismatch|hw compat|compatible sw|downgrad", re.IGNORECASE
)
"""What SWUpdate says of an image that it does not want, as of 2022.12."""


class Swupdate(Installer):
    """SWUpdate's daemon, and the environment of the boot loader."""

    needs_bundle = False

    def __init__(self, setup: SwupdateSetup, machine: str) -> None:
        """Prepare.

        Args:
            machine: id of the machine's boot, empty where nobody tells it.
        """
        self._setup, self._machine = setup, machine

    def status(self) -> Status:
        found = _environment()
        slot = self._running(found)
        if self._is_kept(found):
            return Status(slot)
        ustate, on_trial = found.get("ustate"), found.get("upgrade_available") == ON_TRIAL
        was_left = ustate == ACTIVATED and not on_trial
        return Status(slot, was_left or ustate == FAILED or _is_given_up(found))

    def install(self, payload: Payload, header: Header | None) -> str | None:
        if header is not None:
            raise UnreadableImageError("SWUpdate takes its own images, signed by the request")
        judged = description(os.pread(payload.image.handle, LONGEST_DESCRIPTION, 0))
        slot = self._running(_environment())
        other = self._other(slot)
        self._write(slot, {})
        try:
            mistake = self._given(payload, judged, self._setup.slots[other])
        finally:
            self._stay(slot)
        payload.check()
        if mistake is not None:
            raise mistake
        return other

    def activate(self) -> None:
        slot = self._running(_environment())
        trial = {"upgrade_available": ON_TRIAL, "bootcount": "0", "ustate": ACTIVATED}
        self._write(slot, {**trial, self._setup.variable: self._other(slot)})

    def confirm(self) -> None:
        slot = self._running(_environment())
        self._write(slot, {"upgrade_available": "0", "bootcount": "0", "ustate": "0"})

    def roll_back(self) -> None:
        slot = self._running(_environment())
        ended = {"upgrade_available": "0", "bootcount": "0", "ustate": FAILED}
        self._write(slot, {**ended, self._setup.variable: self._other(slot)})

    # --- the boot loader's environment ---

    def _running(self, found: dict[str, str]) -> str:
        """Return the slot that runs."""
        if self._is_kept(found):
            return found[KEPT].split()[0]
        slot = found.get(self._setup.variable)
        if slot not in self._setup.slots:
            slots = " or ".join(self._setup.slots)
            raise InstallerError(f"U-Boot's {self._setup.variable} is {slot}, not {slots}")
        return self._other(slot) if _is_given_up(found) else slot

    def _is_kept(self, found: dict[str, str]) -> bool:
        slot, _, machine = found.get(KEPT, "").partition(" ")
        return slot in self._setup.slots and bool(machine) and machine == self._machine

    def _other(self, slot: str) -> str:
        return next(other for other in self._setup.slots if other != slot)

    def _stay(self, slot: str) -> None:
        """Undo what an image has told the boot loader: to activate it is another step."""
        wanted = {"upgrade_available": "0", self._setup.variable: slot}
        found = _environment()
        if any(found.get(name, "0") != value for name, value in wanted.items()):
            self._write(slot, wanted)

    def _write(self, slot: str, more: dict[str, str]) -> None:
        """Write variables in one, and beside them which slot runs."""
        if not self._machine:
            raise InstallerError("nobody tells which boot of the machine this is")
        wanted = {KEPT: f"{slot} {self._machine}", **more}
        _called("fw_setenv", *(word for pair in wanted.items() for word in pair))
        found = _environment()
        if any(found.get(name) != value for name, value in wanted.items()):
            raise InstallerError("fw_setenv did not write it: is it that of libubootenv?")

    # --- SWUpdate ---

    def _given(self, payload: Payload, judged: bytes, selection: str) -> Exception | None:
        """Give SWUpdate an image; return why it has not installed it, None when it has."""
        code, said = self._client(("-e", selection), _shown(payload))
        if code == 0:
            return None
        # A daemon that refuses hangs up, and a client that still writes never hears why. What
        # it judges by is written by then; without the rest, and told to only try, it installs
        # nothing.
        if not said.told:
            again = self._client(("-d", "-e", selection), iter((judged,)))[1]
            if again.told and _REFUSAL.search(again.told[0]):
                said = again
        return said.mistake(code)

    def _client(self, words: Sequence[str], chunks: Iterator[bytes]) -> tuple[int, "Said"]:
        """Run the client to its end; return its exit code, and what it has said."""
        directory = self._setup.sockets
        try:
            client = subprocess.Popen(  # noqa: S603  what the configuration selects
                [CLIENT, "-v", *words, "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": directory, "RUNTIME_DIRECTORY": directory},
            )
        except OSError as error:
            raise InstallerError(f"{CLIENT}: {error.strerror}") from None
        assert client.stdin is not None and client.stdout is not None  # noqa: PT018, S101  pipes
        feeder = threading.Thread(target=_fed, args=(chunks, client.stdin), daemon=True)
        limit = threading.Timer(COMMAND_S, client.kill)
        for thread in (feeder, limit):
            thread.start()
        with client.stdout as output:
            said = heard(output)
        code = client.wait()
        limit.cancel()
        feeder.join()
        return code, said


class Said(Value, frozen=True):
    """What went wrong.

    Attributes:
        told: by the daemon; the first is the reason, the last that the image is invalid.
        own: lines of the client's own.
    """

    told: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    def mistake(self, code: int) -> Exception:
        """Return it as an exception; the client has ended with this exit code."""
        first = next(iter(self.told or self.own), f"{CLIENT} ended with {code}")[
            :LONGEST_REASON
        ]
        is_refused = bool(self.told) and _REFUSAL.search(first) is not None
        return (UpdaterRefusedError if is_refused else InstallerError)(f"SWUpdate: {first}")


def heard(output: IO[bytes]) -> Said:
    """Log what the client says, to the end; return what of it went wrong."""
    told: list[str] = []
    own: list[str] = []
    for line in output:
        text = line.decode(errors="replace").strip()
        status = _STATUS.fullmatch(text)
        logger.info("SWUpdate: %s", status[2] if status else text)
        if status is None and not text.startswith(_CHATTER):
            own.append(text)
        elif status is not None and status[1] == _IS_FAILURE:
            told.append(status[2])
    return Said(tuple(told), tuple(own))


def description(beginning: bytes) -> bytes:
    """Return what SWUpdate judges an image by: the first two members of the archive.

    Raises:
        UnreadableImageError: it begins with nothing of that kind.
    """
    at = 0
    for _ in ("sw-description", "its signature"):
        member = MEMBER.match(beginning, at)
        if member is None:
            raise UnreadableImageError("it is no image of SWUpdate's")
        at = _aligned(member.end() + int(member["name"], 16))
        at = _aligned(at + int(member["size"], 16))
    return beginning[:at]


def _aligned(at: int) -> int:
    return at + -at % 4


def _shown(payload: Payload) -> Iterator[bytes]:
    """Yield an image, and log how much SWUpdate has taken: it takes it as it installs."""
    whole, taken, told = max(payload.image.size, 1), 0, 0
    while data := payload.read():
        yield data
        taken += len(data)
        if (tenth := TENTHS * taken // whole) > told:
            told = tenth
            logger.info("SWUpdate: has taken %d %%", 100 * tenth // TENTHS)


def _fed(chunks: Iterator[bytes], pipe: IO[bytes]) -> None:
    time.sleep(HEAD_START_S)  # noqa: TID251  a process of its own
    with suppress(BrokenPipeError), pipe:
        for chunk in chunks:
            pipe.write(chunk)


def _environment() -> dict[str, str]:
    """Return the variables of the boot loader."""
    lines = _called("fw_printenv").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _is_given_up(found: dict[str, str]) -> bool:
    """Tell whether U-Boot has left the slot on trial, and not written that down."""
    texts = [found.get(name, "") for name in ("bootlimit", "bootcount")]
    if found.get("upgrade_available") != ON_TRIAL or not all(map(str.isdecimal, texts)):
        return False
    limit, count = map(int, texts)
    return 0 < limit < count


def _called(tool: str, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  a tool of the system
            [tool, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TOOL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallerError(f"{tool}: {error}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise InstallerError(f"{tool}: {lines[-1] if lines else done.returncode}")
    return done.stdout.decode(errors="replace")
