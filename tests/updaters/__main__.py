"""Boot a systemd container and let the agent's installer talk to the updaters in it.

    python -m tests.updaters

It needs root, systemd-nspawn, mmdebstrap and loop devices. Where one is missing it says so and
ends well, unless PILOTWIRE_UPDATERS=required. The root file system is made once (30 s, 360 MB)
in PILOTWIRE_ROOTFS; what a run writes goes into an overlay that is thrown away.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,rauc,rauc-service,squashfs-tools,openssl,e2fsprogs,"
    "mount,util-linux,swupdate,libubootenv-tool,cpio"
)
SCRIPTS = ("rauc", "swupdate", "slots")
LOOPS = ["/dev/loop-control", *(f"/dev/loop{number}" for number in range(8))]
BOOT_S = 60.0


class NotHereError(Exception):
    """The machine has the tools, and they do not work on it."""


def main():
    is_required = os.environ.get("PILOTWIRE_UPDATERS") == "required"
    missing = lacking()
    if missing:
        print(f"updaters: SKIPPED, this machine lacks: {', '.join(missing)}")
        return int(is_required)
    began_s = time.monotonic()
    try:
        base = rootfs()
        said = [f"root file system {time.monotonic() - began_s:.1f} s"]
        codes = [tried(base, name, said) for name in SCRIPTS]
    except NotHereError as error:
        print(f"updaters: SKIPPED, this machine does not let us: {error}")
        return int(is_required)
    print(f"updaters: {'FAILED' if any(codes) else 'passed'}: {', '.join(said)}")
    return max(codes)


def tried(base, name, said):
    """Run one script in a container of its own; return its exit code."""
    began_s = time.monotonic()
    print(f"{name}:", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="updaters-") as work,
        container(base, Path(work)) as leader,
    ):
        booted_s = time.monotonic()
        code = inside(leader, name)
        ended_s = time.monotonic()
    said.append(
        f"{name} {'failed' if code else 'passed'} in {ended_s - booted_s:.1f} s"
        f" after a boot of {booted_s - began_s:.1f} s"
    )
    return code


def lacking():
    """Return what this machine lacks."""
    tools = ("systemd-nspawn", "mmdebstrap", "nsenter", "mount")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if sys.version_info[:2] != (3, 11):
        missing.append("Python 3.11, as the container has it")
    missing += [path for path in LOOPS if not Path(path).exists()][:1]
    return missing


def rootfs():
    """Return the root file system, made when it is not there yet."""
    made_of = hashlib.sha256(PACKAGES.encode()).hexdigest()[:8]
    default = f"/var/cache/pilotwire/rootfs-{made_of}"
    base = Path(os.environ.get("PILOTWIRE_ROOTFS", default))
    if not base.exists():
        base.parent.mkdir(parents=True, exist_ok=True)
        passing = base.with_name(f"{base.name}.new")
        shutil.rmtree(passing, ignore_errors=True)
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"]
        command += [f"--include={PACKAGES}", "bookworm", str(passing)]
        if subprocess.run(command, check=False).returncode:
            raise NotHereError("mmdebstrap failed")
        passing.rename(base)
    return base


@contextlib.contextmanager
def container(base, work):
    """Boot it; give the process id of its first process."""
    root = work / "root"
    for name in ("up", "work", "root"):
        (work / name).mkdir()
    layers = f"lowerdir={base},upperdir={work}/up,workdir={work}/work"
    if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, root]).returncode:
        raise NotHereError("no overlay can be mounted")
    packages = Path(sys.prefix) / "lib/python3.11/site-packages"
    command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={root}", "--register=no"]
    command += ["--keep-unit", "--private-network", "--console=pipe", "--link-journal=no"]
    command += [f"--machine=updaters{os.getpid()}", "--resolv-conf=off", "--timezone=off"]
    command += [f"--bind-ro={PROJECT}:/mnt/pilotwire", f"--bind-ro={packages}:/mnt/packages"]
    command += [f"--bind={path}" for path in LOOPS]
    try:
        with (work / "console").open("wb") as console:
            nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        try:
            leader = booted(nspawn, work / "console")
            yield leader
            subprocess.run(
                entered(leader, "systemctl", "poweroff", "--force", "--force"),
                capture_output=True,
            )
            nspawn.wait(timeout=30)
        finally:
            nspawn.kill()
            nspawn.wait()
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


def booted(nspawn, console):
    """Wait until systemd is up; return its process id."""
    until_s = time.monotonic() + BOOT_S
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    while nspawn.poll() is None and time.monotonic() < until_s:
        for child in children.read_text().split():
            asked = entered(child, "systemctl", "is-system-running", "--wait")
            said = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
            if said in {"running", "degraded"}:
                return child
        time.sleep(0.1)
    raise NotHereError(f"no container boots:\n{console.read_text(errors='replace')}")


def entered(leader, *command):
    clean = ["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
    clean += ["PYTHONPATH=/mnt/pilotwire:/mnt/packages", "PYTHONDONTWRITEBYTECODE=1"]
    return ["nsenter", "--target", str(leader), "--all", "--", *clean, *command]


def inside(leader, name):
    script = ["sh", "-c", f"cd / && exec python3 -m tests.updaters.{name}"]
    return subprocess.run(entered(leader, *script), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
