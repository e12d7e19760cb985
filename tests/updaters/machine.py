"""Inside the container: a machine with two systems, of which its boot loader starts one.

    python3 -m tests.updaters.machine rauc|swupdate URL PROTOCOL

A system is a file system with the agent's program and configuration in it. What the boot loader
of a board does, a unit does here at every start of the container: count, choose, and mount the
system that is to run. The agent runs in it as the unit of the package has it.
"""

import json
import shutil
import sys
from pathlib import Path

from tests.updaters import rauc, swupdate
from tests.updaters.inside import WORK, Agent, sh

KEPT = rauc.KEPT
SYSTEMD = Path("/mnt/pilotwire/systemd")
UNITS = Path("/etc/systemd/system")
PASSWORD = "correct horse battery"

STARTS = """#!/bin/sh
set -eu
cd /var/lib/board
{choose}
echo "$slot" >>started
echo "$slot" >/run/board-slot
mkdir -p /opt/system
mount -o ro "$(cat "device.$slot")" /opt/system
"""
BY_RAUC = """
slot=$(cat primary)
left=$(cat "left.$slot" 2>/dev/null || echo 3)
if [ "$left" = 0 ]; then
    echo bad >"state.$slot"
    case $slot in A) slot=B ;; *) slot=A ;; esac
    echo "$slot" >primary
else
    echo $((left - 1)) >"left.$slot"
fi
"""
BY_UBOOT = """
slot=$(fw_printenv -n bootslot)
if [ "$(fw_printenv -n upgrade_available || echo 0)" = 1 ]; then
    count=$(($(fw_printenv -n bootcount) + 1))
    if [ "$count" -gt 3 ]; then
        case $slot in a) slot=b ;; *) slot=a ;; esac
        fw_setenv bootslot "$slot" upgrade_available 0 bootcount 0
    else
        fw_setenv bootcount "$count"
    fi
fi
"""
STARTED = """[Unit]
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target pilotwire.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/board-start
[Install]
WantedBy=sysinit.target
"""
RAUC = """[Service]
ExecStart=
ExecStart=/bin/sh -c 'exec /usr/bin/rauc service --override-boot-slot=$(cat /run/board-slot)'
"""
AGENT = """[Service]
ExecStart=
ExecStart=/opt/system/bin/pilotwire run -c /opt/system/agent.toml
Environment=PYTHONPATH=/mnt/pilotwire:/mnt/packages PYTHONDONTWRITEBYTECODE=1
RestartSec=200ms
{more}
"""
OF_SWUPDATE = f"SupplementaryGroups=swupdate\nReadWritePaths={KEPT}"
PROGRAM = '#!/bin/sh\nexec /usr/bin/python3 -m agent "$@"\n'
CONFIGURATION = """[station]
identity = "CP001"
vendor = "Example"
model = "Wallbox One"
firmware_version = "{version}"
[[csms]]
url = "{url}"
protocols = ["{protocol}"]
security_profile = 1
password = {{ text = "{password}" }}
[security]
csms_roots = ["/etc/pilotwire/web.pem"]
manufacturer_roots = ["/etc/pilotwire/root.pem"]
[hardware]
board = "/mnt/pilotwire/config/boards/sim.toml"
[firmware]
installer = "{installer}"
[settings]
"OCPPCommCtrlr.RetryBackOffWaitMinimum" = 1
"OCPPCommCtrlr.RetryBackOffRandomRange" = 0
"OCPPCommCtrlr.RetryBackOffRepeatTimes" = 0
"""


class Systems:
    """Makes what a slot holds."""

    def __init__(self, installer, url, protocol):
        self.facts = {"installer": installer, "url": url, "protocol": protocol}

    def made(self, version, *, program=PROGRAM, broken=""):
        """Return the file system of a version."""
        tree = WORK / f"tree-{version}"
        (tree / "bin").mkdir(parents=True)
        (tree / "bin/pilotwire").write_text(program)
        (tree / "bin/pilotwire").chmod(0o755)
        text = CONFIGURATION.format(version=version, password=PASSWORD, **self.facts)
        (tree / "agent.toml").write_text(text + broken)
        image = f"system-{version}"
        sh(f"truncate -s 8M {image} && mkfs.ext4 -q -F -d {tree} {image}")
        return image


class ByRauc:
    """RAUC's bundles."""

    more, choose = "", BY_RAUC

    def __init__(self):
        self.machine = rauc.Machine()
        self.devices = {"A": self.machine.a, "B": self.machine.b}
        directory = UNITS / "rauc.service.d"
        directory.mkdir(parents=True)
        (directory / "slot.conf").write_text(RAUC)
        sh("systemctl mask rauc-mark-good.service")

    def packed(self, system, version):
        (WORK / "input").mkdir(exist_ok=True)
        shutil.copy(WORK / system, WORK / "input/rootfs.ext4")
        text = rauc.MANIFEST.format(
            compatible="wallbox-one", version=version, format=rauc.FORMAT
        )
        (WORK / "input/manifest.raucm").write_text(text)
        sh(f"rauc bundle --cert=release.crt --key=release.key input {version}.image")

    def lends(self):
        pass


class BySwupdate:
    """SWUpdate's images."""

    more, choose = OF_SWUPDATE, BY_UBOOT

    def __init__(self):
        self.machine = swupdate.Machine()
        self.devices = {"a": self.machine.a, "b": self.machine.b}

    def packed(self, system, version):
        sh(f"gzip -c {system} >rootfs.gz")
        swupdate.image(self.machine, version, "wallbox", "release")
        (WORK / f"{version}.swu").rename(WORK / f"{version}.image")

    def lends(self):
        self.machine.lends()


KINDS = {"rauc": ByRauc, "swupdate": BySwupdate}


def installed(kind, first):
    """Put boot loader, units and the first system in their places."""
    for slot, device in kind.devices.items():
        (KEPT / f"device.{slot}").write_text(f"{device}\n")
    sh(f"dd if={first} of={next(iter(kind.devices.values()))} bs=1M conv=fsync status=none")
    script = Path("/usr/lib/board-start")
    script.write_text(STARTS.format(choose=kind.choose))
    script.chmod(0o755)
    (UNITS / "board-start.service").write_text(STARTED)
    sh(f"cp {SYSTEMD}/pilotwire.service {UNITS}")
    sh(f"install -D -t /usr/lib/pilotwire {SYSTEMD}/pilotwire-ended")
    (UNITS / "pilotwire.service.d").mkdir()
    (UNITS / "pilotwire.service.d/board.conf").write_text(AGENT.format(more=kind.more))
    sh("systemctl enable board-start pilotwire")


def signatures(agent, versions):
    """Write what the CSMS says of each image."""
    said = {}
    for version in versions:
        agent.takes(f"{version}.image")
        said[version] = {
            "signingCertificate": agent.order["certificate"],
            "signature": agent.order["signature"],
        }
    (WORK / "said.json").write_text(json.dumps(said))


def main():
    name, url, protocol = sys.argv[1:]
    kind = KINDS[name]()
    agent = Agent(name)
    kind.lends()
    systems = Systems(name, url, protocol)
    first = systems.made("1.0.0")
    for version, more in {
        "2.0.0": {},
        "3.0.0": {"program": "#!/bin/sh\nexit 1\n"},
        "4.0.0": {"broken": "nonsense = 1\n"},
    }.items():
        kind.packed(systems.made(version, **more), version)
    signatures(agent, ("2.0.0", "3.0.0", "4.0.0"))
    sh("install -D -m 644 keys/root.pem /etc/pilotwire/root.pem")
    sh(f"rm -r {agent.home}")
    installed(kind, first)
    return 0


if __name__ == "__main__":
    sys.exit(main())
