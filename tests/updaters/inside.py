"""What the scripts inside the container have in common."""

import json
import subprocess
import sys
import time
from pathlib import Path

WORK = Path("/var/tmp/updates")
USER = "pilotwire"


def sh(command):
    done = subprocess.run(command, shell=True, cwd=WORK, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


class Agent:
    """The installer's process of the agent, as its user has it, with keys made by our tools."""

    def __init__(self, installer):
        self.installer, self.log, self.order, self.more = installer, "", {}, {}
        self.home = Path("/var/lib/pilotwire")
        sh("systemd-sysusers /mnt/pilotwire/systemd/pilotwire.sysusers")
        sh(f"install -d -m 700 -o {USER} -g {USER} {self.home}")
        tool = "python3 -m firmware_tools"
        sh(f"{tool} keygen --out keys && install -m 644 keys/root.pem {self.home}/root.pem")
        self.tool = tool

    def takes(self, bundle, *, signed=None):
        """Put a bundle where a download would, and sign a request for it."""
        image = self.home / "image"
        image.unlink(missing_ok=True)
        sh(f"install -m 600 -o {USER} -g {USER} {bundle} {image}")
        source = signed or bundle
        key = "--key keys/signing.key --certificate keys/signing.pem"
        sh(f"{self.tool} sign {source} {key} --out sig")
        self.order = {
            "image": str(image),
            "signature": (WORK / "sig").read_text().strip(),
            "certificate": (WORK / "keys/signing.pem").read_text(),
        }

    def swaps(self, other):
        """Install the image; another one takes its name after the check. Return the slot."""
        passing = self.home / "other"
        sh(f"install -m 600 -o {USER} -g {USER} {other} {passing}")
        said = self._run(self._task("install"), "tests.updaters.swapped", str(passing))
        return said.strip()

    def does(self, deed):
        return json.loads(self._run(self._task(deed), "agent.firmware"))

    def _task(self, deed):
        task = {"deed": deed, "installer": self.installer, "roots": [f"{self.home}/root.pem"]}
        task.update(
            slots="/opt/pilotwire",
            at_s=time.time(),
            product="Wallbox One",
            hardware="r2",
            version="1.0",
            **self.order,
            **self.more,
        )
        return task

    def _run(self, task, *module):
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
        command += [sys.executable, "-m", *module]
        done = subprocess.run(
            command, input=json.dumps(task) + "\n", text=True, capture_output=True
        )
        self.log = done.stderr
        if not done.stdout:
            raise SystemExit(done.stderr)
        return done.stdout


def check(name, said, expected):
    print(f"  {'ok  ' if said == expected else 'FAIL'} {name}", flush=True)
    if said != expected:
        raise SystemExit(f"       {said!r}\n   not {expected!r}")


def has(name, text, *parts):
    print(f"  {'ok  ' if all(part in text for part in parts) else 'FAIL'} {name}: {text}")
    if not all(part in text for part in parts):
        raise SystemExit(f"lacks {parts}")
