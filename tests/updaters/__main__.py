"""Boot a systemd container and let the agent's installer talk to the updaters in it.

    python -m tests.updaters

It needs root, systemd-nspawn, mmdebstrap and loop devices. Where one is missing it says so and
ends well, unless PILOTWIRE_UPDATERS=required. The root file system is made once (30 s, 360 MB)
in PILOTWIRE_ROOTFS; what a run writes goes into an overlay that is thrown away.
"""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.updaters import whole
from tests.updaters.container import LOOPS, NotHereError, container

PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,rauc,rauc-service,squashfs-tools,openssl,e2fsprogs,"
    "mount,util-linux,swupdate,libubootenv-tool,cpio"
)
SCRIPTS = ("rauc", "swupdate", "slots")
WHOLE = (("swupdate", "ocpp1.6"), ("rauc", "ocpp2.0.1"))


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
        codes = [tried(base, name, said, scripted(name)) for name in SCRIPTS]
        codes += [
            tried(base, f"agent with {name} on {protocol}", said, lived(name, protocol), "host")
            for name, protocol in WHOLE
        ]
    except NotHereError as error:
        print(f"updaters: SKIPPED, this machine does not let us: {error}")
        return int(is_required)
    print(f"updaters: {'FAILED' if any(codes) else 'passed'}: {', '.join(said)}")
    return max(codes)


def scripted(name):
    """Return what runs a script in a container, and returns its exit code."""

    def run(machine, _):
        return machine.run("python3", "-m", f"tests.updaters.{name}").returncode

    return run


def lived(name, protocol):
    """Return what leads a whole agent through its updates."""

    def run(machine, place):
        asyncio.run(whole.story(machine, place, name, protocol))
        return 0

    return run


def tried(base, name, said, run, network="private"):
    """Run something in a container of its own; return its exit code."""
    began_s = time.monotonic()
    print(f"{name}:", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="updaters-") as work,
        container(base, Path(work), network) as machine,
    ):
        booted_s = time.monotonic()
        try:
            code = run(machine, Path(work))
        except (SystemExit, TimeoutError, AssertionError) as error:
            print(f"  FAIL {error!r}\n{journal(machine)}", flush=True)
            code = 1
        ended_s = time.monotonic()
    said.append(
        f"{name} {'failed' if code else 'passed'} in {ended_s - booted_s:.1f} s"
        f" after a boot of {booted_s - began_s:.1f} s"
    )
    return code


def journal(machine):
    return machine.run(
        "journalctl", "--no-pager", "--lines=80", capture_output=True, text=True
    ).stdout


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


if __name__ == "__main__":
    sys.exit(main())
