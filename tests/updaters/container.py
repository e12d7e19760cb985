"""A booted systemd container: made of an overlay, entered by commands, started anew after a reboot."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LOOPS = ["/dev/loop-control", *(f"/dev/loop{number}" for number in range(8))]
BOOT_S, ANSWER_S, COMMAND_S = 60.0, 10.0, 120.0
"""How long a boot, the answer to a question, and a command in it may take."""

REBOOTS = 133
"""Exit code of systemd-nspawn when whoever has started it is to start it again."""


class NotHereError(Exception):
    """The machine has the tools, and they do not work on it."""


class Container:
    """One that runs, and starts again whenever it restarts itself."""

    def __init__(self, command, root, console):
        self._command, self.root, self._console = command, root, console
        self._nspawn = self._begun()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        self.booted()

    def _begun(self):
        with self._console.open("ab") as console:
            return subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )

    def _keep(self):
        while self._nspawn.wait() == REBOOTS:
            self._nspawn = self._begun()

    def booted(self, *, but=None):
        """Wait until systemd is up; return its process id.

        Args:
            but: not the one with this process id: it is going down.
        """
        until_s = time.monotonic() + BOOT_S
        while self._keeper.is_alive() and time.monotonic() < until_s:
            for child in self._children():
                if self._state(child) in {"running", "degraded"} and child != but:
                    return child
            time.sleep(0.1)
        raise NotHereError(f"no container boots:\n{self._console.read_text(errors='replace')}")

    def _state(self, child):
        """Return what systemd says of itself, "" when nothing comes of the question.

        A machine that goes down stops whoever is in it, and nsenter with it, for ever.
        """
        asked = entered(child, "systemctl", "is-system-running")
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(asked, capture_output=True, text=True, timeout=ANSWER_S)
            return done.stdout.strip()
        return ""

    def _children(self):
        pid = self._nspawn.pid
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return []

    def run(self, *command, **options):
        """Run a command in it, as it is now."""
        script = ["sh", "-c", 'cd / && exec "$@"', "sh", *command]
        command = entered(self.booted(), *script)
        return subprocess.run(command, check=False, timeout=COMMAND_S, **options)

    def does(self, *command):
        """Run a command that must not fail; return what it writes."""
        done = self.run(*command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout

    def restarts(self):
        """Restart it, and wait until it is up."""
        before = self.booted()
        self._told(before, "systemctl", "reboot")
        self.booted(but=before)

    def ends(self):
        self._told(self.booted(), "systemctl", "poweroff", "--force", "--force")
        self._keeper.join(timeout=30)

    def _told(self, child, *command):
        """Run a command that takes the machine down; its answer may never come."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(entered(child, *command), capture_output=True, timeout=ANSWER_S)

    def kill(self):
        self._nspawn.kill()
        self._keeper.join()


@contextlib.contextmanager
def container(base, work, network="private"):
    """Boot it; give it.

    Args:
        network: "private", or "host" for one that talks to this machine.
    """
    root = work / "root"
    for name in ("up", "work", "root"):
        (work / name).mkdir()
    layers = f"lowerdir={base},upperdir={work}/up,workdir={work}/work"
    if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, root]).returncode:
        raise NotHereError("no overlay can be mounted")
    packages = Path(sys.prefix) / "lib/python3.11/site-packages"
    command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={root}", "--register=no"]
    command += ["--keep-unit", "--console=pipe", "--link-journal=no"]
    command += ["--private-network"] if network == "private" else []
    command += [f"--machine=updaters{os.getpid()}", "--resolv-conf=off", "--timezone=off"]
    command += [f"--bind-ro={PROJECT}:/mnt/pilotwire", f"--bind-ro={packages}:/mnt/packages"]
    command += [f"--bind={path}" for path in LOOPS]
    try:
        machine = Container(command, root, work / "console")
        try:
            yield machine
            machine.ends()
        finally:
            machine.kill()
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


def entered(leader, *command):
    """Return a command that runs another one in a container."""
    clean = ["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
    clean += ["PYTHONPATH=/mnt/pilotwire:/mnt/packages", "PYTHONDONTWRITEBYTECODE=1"]
    return ["nsenter", "--target", str(leader), "--all", "--", *clean, *command]
