"""Inside the container: plain slots under the units of the package, and starts that fail.

`pilotwire-confirm.service` has to run before every start of the agent, those included that
systemd makes by itself after a crash.
"""

import subprocess
import sys
import time
from pathlib import Path

from tests.updaters.inside import USER, WORK, Agent, check, sh

SYSTEMD = Path("/mnt/pilotwire/systemd")
OPT = Path("/opt/pilotwire")
DROP_IN = """[Service]
ExecStart=
ExecStart=/opt/pilotwire/current/bin/pilotwire run
RestartSec=100ms
"""
STARTS = """#!/usr/bin/python3
import os, signal, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
    told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.pause()
"""
ENDS = "#!/bin/sh\nexit 1\n"
REFUSES = "#!/bin/sh\nexit 78\n"


def image(name, program):
    """Make a bundle with the tools of the build machine."""
    tree = WORK / name / "bin"
    tree.mkdir(parents=True)
    (tree / "pilotwire").write_text(program)
    (tree / "pilotwire").chmod(0o755)
    sh(f"tar -C {name} -czf {name}.tar.gz bin")
    about = '--product "Wallbox One" --hardware r2 --version 1.5.0'
    key = "--key keys/signing.key --certificate keys/signing.pem"
    sh(f"python3 -m firmware_tools bundle {name}.tar.gz {about} {key} --out {name}.pwfw")
    return f"{name}.pwfw"


def prepared():
    """Install what the package installs; slot a runs."""
    WORK.mkdir(parents=True, exist_ok=True)
    agent = Agent("slots")
    units = Path("/etc/systemd/system")
    sh(f"cp {SYSTEMD}/pilotwire.service {SYSTEMD}/pilotwire-confirm.service {units}")
    programs = f"{SYSTEMD}/pilotwire-confirm {SYSTEMD}/pilotwire-ended"
    sh(f"install -D -t /usr/lib/pilotwire {programs}")
    (units / "pilotwire.service.d").mkdir()
    (units / "pilotwire.service.d/slots.conf").write_text(DROP_IN)
    (OPT / "slots/a/bin").mkdir(parents=True)
    (OPT / "slots/a/bin/pilotwire").write_text(STARTS)
    (OPT / "slots/a/bin/pilotwire").chmod(0o755)
    (OPT / "current").symlink_to("slots/a")
    sh(f"chown -hR {USER}:{USER} {OPT}")
    sh("systemctl daemon-reload && systemctl start pilotwire")
    return agent


def current():
    return (OPT / "current").readlink().name


def runs(within_s=20.0):
    """Wait until the agent runs; return the slot of its program."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if sh("systemctl show -P ActiveState pilotwire") == "active":
            pid = sh("systemctl show -P MainPID pilotwire")
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if any(b"current/bin/pilotwire" in word for word in words):
                return current()
        time.sleep(0.1)
    raise SystemExit(sh("journalctl --no-pager -n 40 -u pilotwire -u pilotwire-confirm"))


def restarted():
    """Restart into what was activated; a start that fails is systemd's to repeat."""
    subprocess.run(["systemctl", "restart", "pilotwire"], check=False, capture_output=True)
    return runs()


def main():
    agent = prepared()
    check("slot a runs", runs(), "a")
    agent.takes(image("dead", ENDS))
    check("an image is installed", agent.does("install").get("slot"), "b")
    check("and activated", (agent.does("activate")["is"], current()), ("done", "b"))
    check("an agent that does not start is left for the old one", restarted(), "a")
    restarts = int(sh("systemctl show -P NRestarts pilotwire"))
    check("after three attempts", restarts, 3)
    check("which the old one is told", agent.does("status")["has_failed"], True)
    agent.takes(image("choosy", REFUSES))
    check("one that refuses the configuration", agent.does("install").get("slot"), "b")
    check("is activated", (agent.does("activate")["is"], current()), ("done", "b"))
    check("and left for the old one as well", restarted(), "a")
    agent.takes(image("live", STARTS))
    check("another is installed", agent.does("install").get("slot"), "b")
    check("and activated", agent.does("activate")["is"], "done")
    check("one that starts runs", restarted(), "b")
    check("it is confirmed", agent.does("confirm")["is"], "done")
    for _ in range(5):
        restarted()
    check("and stays, however often it is started", current(), "b")
    sh("systemctl stop pilotwire")
    return 0


if __name__ == "__main__":
    sys.exit(main())
