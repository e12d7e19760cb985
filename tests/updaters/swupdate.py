"""Inside the container: SWUpdate's daemon, two slots, U-Boot's environment in a file, and the
agent's installer as an ordinary user."""

import hashlib
import sys
from pathlib import Path

from tests.updaters.inside import USER, WORK, Agent, check, has, sh

KEPT = Path("/var/lib/board")
DAEMON = """[Service]
RuntimeDirectory=swupdate
Environment=TMPDIR=/run/swupdate
Group=swupdate
UMask=0007
"""
ARGUMENTS = "-v -B uboot -k /etc/swupdate/release.pem -q stable,a -q stable,b"
DESCRIPTION = """software = {
  version = "2.0.0";
  %(board)s = {
    hardware-compatibility: [ "1.0" ];
    stable = {
      a = { images: ( { filename = "rootfs.gz"; device = "%(a)s"; type = "raw";
                        compressed = "zlib"; installed-directly = true; sha256 = "%(sha256)s"; } );
            bootenv: ( %(switch_a)s ); };
      b = { images: ( { filename = "rootfs.gz"; device = "%(b)s"; type = "raw";
                        compressed = "zlib"; installed-directly = true; sha256 = "%(sha256)s"; } );
            bootenv: ( %(switch_b)s ); };
    };
  };
}
"""
SWITCH = '{ name = "bootslot"; value = "%s"; }, { name = "upgrade_available"; value = "1"; }'


class Machine:
    """Two slots on loop devices, a boot loader's environment, and SWUpdate's service."""

    def __init__(self):
        for directory in (WORK, KEPT, Path("/etc/swupdate/conf.d")):
            directory.mkdir(parents=True, exist_ok=True)
        for name in ("release", "stranger"):
            request = f"openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN={name}"
            more = "-addext extendedKeyUsage=emailProtection"
            sh(f"{request} {more} -keyout {name}.key -out {name}.pem")
        sh("cp release.pem /etc/swupdate/release.pem")
        sh("truncate -s 24M a.img b.img")
        self.a, self.b = (sh(f"losetup -f --show {name}.img") for name in "ab")
        Path("/etc/hwrevision").write_text("wallbox 1.0\n")
        Path("/etc/fw_env.config").write_text(f"{KEPT}/environment 0 0x4000\n")
        sh(f"truncate -s 16K {KEPT}/environment && echo bootslot=a >first")
        sh("fw_setenv -f first bootlimit 3")
        self.serves()
        self.starts()

    def serves(self):
        """Start SWUpdate as a board would have it: its sockets where others may see them."""
        sh("systemctl mask --now swupdate.socket swupdate-progress")
        units = Path("/etc/systemd/system/swupdate.service.d")
        units.mkdir(parents=True)
        (units / "board.conf").write_text(DAEMON)
        Path("/etc/swupdate/conf.d/board").write_text(f'SWUPDATE_ARGS="{ARGUMENTS}"\n')
        sh("systemctl daemon-reload && systemctl restart swupdate")
        sh("until test -S /run/swupdate/sockinstctrl; do sleep 0.1; done")

    def lends(self):
        """Give the agent's user what it needs of the machine."""
        sh(f"chown {USER} {KEPT}/environment && usermod --append --groups swupdate {USER}")

    def starts(self):
        """Start the machine: what U-Boot does. Return the id of the boot."""
        found = self.environment()
        if found.get("upgrade_available") == "1":
            count = int(found.get("bootcount", 0)) + 1
            if count > int(found["bootlimit"]):  # altbootcmd
                other = {"a": "b", "b": "a"}[found["bootslot"]]
                sh(f"fw_setenv bootslot {other} upgrade_available 0 bootcount 0")
            else:
                sh(f"fw_setenv bootcount {count}")
        self.boot = hashlib.sha256(repr((self.environment(), found)).encode()).hexdigest()[:8]
        return self.environment()["bootslot"]

    def environment(self):
        lines = sh("fw_printenv").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def next(self):
        found = self.environment()
        return found["bootslot"], found.get("upgrade_available", "0")

    def content(self):
        """Return what slot b holds."""
        sh(f"mkdir -p /run/look && mount -o ro {self.b} /run/look")
        version = Path("/run/look/version").read_text().strip()
        sh("umount /run/look")
        return version

    def digest(self):
        return sh(f"sha256sum {self.b}").split()[0]

    def leaves(self):
        sh(f"systemctl stop swupdate; losetup -d {self.a} {self.b}")


def image(machine, name, board, key, **more):
    """Make one of rootfs.gz, with the tools that SWUpdate's documentation names."""
    sha256 = hashlib.sha256((WORK / "rootfs.gz").read_bytes()).hexdigest()
    facts = {"board": board, "a": machine.a, "b": machine.b, "sha256": sha256}
    text = DESCRIPTION % {**facts, "switch_a": "", "switch_b": "", **more}
    (WORK / "sw-description").write_text(text)
    sign = f"openssl cms -sign -in sw-description -out sw-description.sig -signer {key}.pem"
    sh(f"{sign} -inkey {key}.key -outform DER -nosmimecap -binary")
    members = "sw-description\\nsw-description.sig\\nrootfs.gz\\n"
    sh(f"printf '{members}' | cpio --quiet -o -H crc >{name}.swu")


def images(machine):
    sh("mkdir tree && echo 2.0.0 >tree/version && head -c 3M /dev/urandom >tree/blob")
    sh("truncate -s 20M rootfs && mkfs.ext4 -q -F -d tree rootfs && gzip -f rootfs")
    image(machine, "good", "wallbox", "release")
    switch = {"switch_a": SWITCH % "a", "switch_b": SWITCH % "b"}
    image(machine, "hasty", "wallbox", "release", **switch)
    image(machine, "evil", "wallbox", "stranger")
    image(machine, "other", "kettle", "release")
    image(machine, "wrong", "wallbox", "release", sha256="ab" * 32)


def refusals(machine, agent):
    before = machine.digest()
    agent.takes("good.swu", signed="evil.swu")
    said = agent.does("install")
    check(
        "an image that the request has not signed never reaches SWUpdate", said["is"], "refused"
    )
    check("nothing of it is in the log", "SWUpdate" in agent.log, False)
    for image, told, what in (
        ("evil", "Authentication of all signatures failed", "a stranger's signature"),
        ("other", "HW compatibility not found", "another board's image"),
    ):
        agent.takes(f"{image}.swu")
        said = agent.does("install")
        has(f"SWUpdate refuses {what}", said["info"], f"SWUpdate: {told}")
        check("as an image that is not for this station", said.get("refusal"), "image")
    check("the other slot is untouched", machine.digest(), before)
    agent.takes("wrong.swu")
    said = agent.does("install")
    has("and one whose content is another", said["info"], "SWUpdate: HASH mismatch")
    check("the old slot starts next", machine.next(), ("a", "0"))
    agent.more["swupdate"] = {"sockets": "/run/swupdate", "slots": {"a": "x,a", "b": "x,b"}}
    said = agent.does("install")
    has("and a slot that it does not serve", said["info"], "SWUpdate: ")
    check("which is no fault of the image", said["is"], "broken")
    agent.more.pop("swupdate")


def update(machine, agent):
    agent.takes("good.swu")
    check("the old slot runs", agent.does("status")["slot"], "a")
    check("an image is installed", agent.does("install").get("slot"), "b")
    check("its content is there", machine.content(), "2.0.0")
    check("with progress", "SWUpdate: has taken 100 %" in agent.log, True)
    check("and does not start next by itself", machine.next(), ("a", "0"))
    check("it is activated", agent.does("activate")["is"], "done")
    check("and starts next, on trial", machine.next(), ("b", "1"))
    check("the old slot runs until then", agent.does("status")["slot"], "a")
    check("the machine starts the new one", machine.starts(), "b")


def on_machine(machine, agent):
    agent.more["machine"] = machine.boot


def swap(machine, agent):
    sh(f"dd if=/dev/zero of={machine.b} bs=1M count=1 conv=fsync status=none")
    agent.takes("good.swu")
    said = agent.swaps("evil.swu")
    check("another file that takes the name after the check is not flashed", said, "b")
    check("but the one that was verified", machine.content(), "2.0.0")


def main():
    machine = Machine()
    try:
        images(machine)
        agent = Agent("swupdate")
        machine.lends()
        on_machine(machine, agent)
        refusals(machine, agent)
        swap(machine, agent)
        update(machine, agent)
        on_machine(machine, agent)
        said = agent.does("status")
        check("the new slot runs", (said["slot"], said["has_failed"]), ("b", False))
        check("it is confirmed", agent.does("confirm")["is"], "done")
        check("and good", machine.next(), ("b", "0"))
        check("or taken back", agent.does("roll back")["is"], "done")
        check("and starts no more", machine.next(), ("a", "0"))
        machine.starts()
        on_machine(machine, agent)
        said = agent.does("status")
        check("the old slot knows", (said["slot"], said["has_failed"]), ("a", True))
        agent.takes("hasty.swu")
        check("an image that activates itself", agent.does("install").get("slot"), "b")
        check("is told to wait", machine.next(), ("a", "0"))
        agent.does("activate")
        check("a slot that does not come up", machine.starts(), "b")
        check("is started three times", [machine.starts() for _ in range(3)], ["b", "b", "a"])
        on_machine(machine, agent)
        said = agent.does("status")
        check("the old slot knows", (said["slot"], said["has_failed"]), ("a", True))
    finally:
        machine.leaves()
    return 0


if __name__ == "__main__":
    sys.exit(main())
