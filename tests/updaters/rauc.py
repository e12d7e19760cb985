"""Inside the container: RAUC itself, two slots, and the agent's installer as an ordinary user."""

import os
import sys
from pathlib import Path

from tests.updaters.inside import WORK, Agent, check, has, sh

KEPT = Path("/var/lib/board")
FORMAT = os.environ.get("PILOTWIRE_RAUC_FORMAT", "plain")
"""The other one, verity, needs a kernel with dm-verity: a virtual machine."""

BOOT = """#!/bin/sh
# A boot loader: what it would read at the next start.
put() { printf '%s\\n' "$2" >"$D/$1"; }
D=/var/lib/board
case $1 in set-*) echo "$*" >>$D/log ;; esac
case $1 in
  get-primary) cat $D/primary ;;
  set-primary) put primary "$2"; put "state.$2" good; put "left.$2" 3 ;;
  get-state) cat "$D/state.$2" ;;
  set-state) put "state.$2" "$3"; [ "$3" = bad ] || put "left.$2" 3 ;;
  *) exit 1 ;;
esac
"""
SYSTEM = """[system]
compatible=wallbox-one
bootloader=custom
bundle-formats={format}
statusfile=/var/lib/board/rauc.status
mountprefix=/run/rauc
activate-installed={activates}
[keyring]
path=/etc/rauc/ca.crt
[handlers]
bootloader-custom-backend=/usr/lib/board-boot
[slot.rootfs.0]
device={a}
type=ext4
bootname=A
[slot.rootfs.1]
device={b}
type=ext4
bootname=B
"""
MANIFEST = """[update]
compatible={compatible}
version={version}
[bundle]
format={format}
[image.rootfs]
filename=rootfs.ext4
"""


class Machine:
    """Two slots on loop devices, their boot loader, and RAUC's service."""

    def __init__(self):
        for directory in (WORK, KEPT, Path("/etc/rauc"), Path("/run/rauc")):
            directory.mkdir(parents=True, exist_ok=True)
        script = Path("/usr/lib/board-boot")
        script.write_text(BOOT)
        script.chmod(0o755)
        for name, text in {
            "log": "",
            "primary": "A",
            "state.A": "good",
            "state.B": "good",
        }.items():
            (KEPT / name).write_text(f"{text}\n")
        for name in ("release", "stranger"):
            request = f"openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN={name}"
            sh(f"{request} -keyout {name}.key -out {name}.crt")
        sh("cp release.crt /etc/rauc/ca.crt")
        sh("truncate -s 24M a.img b.img && mkfs.ext4 -q -F a.img")
        self.a, self.b = (sh(f"losetup -f --show {name}.img") for name in "ab")
        self.configure(activates=False)

    def configure(self, *, activates):
        text = SYSTEM.format(
            a=self.a, b=self.b, activates=str(activates).lower(), format=FORMAT
        )
        Path("/etc/rauc/system.conf").write_text(text)

    def starts(self, slot):
        """Start the machine from a slot: RAUC learns it from the kernel's command line."""
        drop_in = Path("/run/systemd/system/rauc.service.d/slot.conf")
        drop_in.parent.mkdir(parents=True, exist_ok=True)
        command = f"/usr/bin/rauc service --override-boot-slot={slot}"
        drop_in.write_text(f"[Service]\nExecStart=\nExecStart={command}\n")
        sh("systemctl daemon-reload && systemctl restart rauc")

    def boot(self, name):
        return (KEPT / name).read_text().strip()

    def content(self):
        """Return what slot B holds."""
        sh(f"mkdir -p /run/look && mount -o ro {self.b} /run/look")
        version = Path("/run/look/version").read_text().strip()
        sh("umount /run/look")
        return version

    def digest(self):
        return sh(f"sha256sum {self.b}").split()[0]

    def leaves(self):
        sh(f"systemctl stop rauc; losetup -d {self.a} {self.b}")


def bundles():
    """Make them with `rauc` itself."""
    sh("mkdir tree && echo 2.0.0 >tree/version && head -c 3M /dev/urandom >tree/blob")
    sh("mkdir input && truncate -s 20M input/rootfs.ext4")
    sh("mkfs.ext4 -q -F -d tree input/rootfs.ext4")
    for name, compatible, key in (
        ("good", "wallbox-one", "release"),
        ("evil", "wallbox-one", "stranger"),
        ("other", "wallbox-two", "release"),
    ):
        manifest = MANIFEST.format(compatible=compatible, version="2.0.0", format=FORMAT)
        (WORK / "input/manifest.raucm").write_text(manifest)
        sh(f"rauc bundle --cert={key}.crt --key={key}.key input {name}.raucb")


def refusals(machine, agent):
    before = machine.digest(), machine.boot("log")
    agent.takes("good.raucb", signed="evil.raucb")
    said = agent.does("install")
    check("an image that the request has not signed never reaches RAUC", said["is"], "refused")
    check("nor is the boot loader told", machine.boot("log"), before[1])
    agent.takes("evil.raucb")
    said = agent.does("install")
    has("RAUC refuses a stranger's signature", said["info"], "RAUC: ", "signature")
    agent.takes("other.raucb")
    said = agent.does("install")
    has("RAUC refuses another board's image", said["info"], "ompatible")
    check("as an image that is not for this station", said.get("refusal"), "image")
    check("the other slot is untouched", machine.digest(), before[0])
    check("the old slot starts next", machine.boot("primary"), "A")


def update(machine, agent):
    agent.takes("good.raucb")
    check("the old slot runs", agent.does("status")["slot"], "rootfs.0")
    check("an image is installed", agent.does("install").get("slot"), "rootfs.1")
    check("its content is there", machine.content(), "2.0.0")
    check("with progress", "RAUC: 100 %" in agent.log, True)
    check("and does not start next by itself", machine.boot("primary"), "A")
    check("it is activated", agent.does("activate")["is"], "done")
    check("and starts next", machine.boot("primary"), "B")
    machine.starts("B")


def swap(machine, agent):
    sh(f"dd if=/dev/zero of={machine.b} bs=1M count=1 conv=fsync status=none")
    agent.takes("good.raucb")
    said = agent.swaps("evil.raucb")
    check("another file that takes the name after the check is not flashed", said, "rootfs.1")
    check("but the one that was verified", machine.content(), "2.0.0")


def main():
    machine = Machine()
    try:
        bundles()
        agent = Agent("rauc")
        machine.starts("A")
        refusals(machine, agent)
        swap(machine, agent)
        update(machine, agent)
        said = agent.does("status")
        check("the new slot runs", (said["slot"], said.get("version")), ("rootfs.1", "2.0.0"))
        check("it is confirmed", agent.does("confirm")["is"], "done")
        check("and good", (machine.boot("primary"), machine.boot("state.B")), ("B", "good"))
        check("or taken back", agent.does("roll back")["is"], "done")
        check("and bad", (machine.boot("primary"), machine.boot("state.B")), ("A", "bad"))
        machine.starts("A")
        said = agent.does("status")
        check("the old slot knows", (said["slot"], said["has_failed"]), ("rootfs.0", True))
        machine.configure(activates=True)
        machine.starts("A")
        agent.takes("good.raucb")
        check("where RAUC activates by itself", agent.does("install").get("slot"), "rootfs.1")
        check("it is told to wait", machine.boot("primary"), "A")
    finally:
        machine.leaves()
    return 0


if __name__ == "__main__":
    sys.exit(main())
