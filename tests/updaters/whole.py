"""The whole agent in a container that restarts, and its CSMS and firmware server outside."""

import asyncio
import json
import subprocess

from agent.bench.csms import Csms
from agent.bench.listener import listen
from agent.runtime.clock import SystemWorld
from tests.transfer.servers import http_server, tls_files
from tests.updaters.inside import WORK, check
from tests.updaters.machine import PASSWORD

IDENTITY = "CP001"
ACTIONS = {
    "ocpp1.6": ("SignedUpdateFirmware", "SignedFirmwareStatusNotification"),
    "ocpp2.0.1": ("UpdateFirmware", "FirmwareStatusNotification"),
}
LIMIT_S = 120.0
DOWNLOADED = ["Downloading", "Downloaded", "SignatureVerified"]


class Story:
    """One container with an agent, seen from its CSMS."""

    def __init__(self, container, site, protocol):
        self.container, self.site, self.protocol = container, site, protocol
        self.action, self.told = ACTIONS[protocol]
        self.csms = Csms(now=lambda: SystemWorld(1).env().now.wall_s or 0.0)
        self.csms.behaviour.password = PASSWORD
        self.request_id = 0

    @property
    def boots(self):
        return self.csms.ledger.station(IDENTITY).boots

    def statuses(self):
        """Return what was told of the latest update."""
        frames = [json.loads(text) for way, text in self.csms.wire if way == "received"]
        told = [frame[3] for frame in frames if frame[0] == 2 and frame[2] == self.told]
        return [each["status"] for each in told if each.get("requestId") == self.request_id]

    async def asks(self, version):
        """Ask for an update."""
        self.request_id += 1
        firmware = {
            "location": f"{self.site.url}/image/{version}",
            "retrieveDateTime": "2026-01-01T00:00:00Z",
            **self.said[version],
        }
        request = {"requestId": self.request_id, "firmware": firmware}
        answer = await self.csms.request(IDENTITY, self.action, request, LIMIT_S)
        check(f"an update to {version} is accepted", answer["status"], "Accepted")

    def starts(self):
        """Return how often the boot loader has started a system."""
        return len((self.container.root / "var/lib/board/started").read_text().split())

    def leaves(self):
        """Let go of the loop devices, which are the host's, as soon as nobody uses them."""
        for path in (self.container.root / "var/lib/board").glob("device.*"):
            subprocess.run(["losetup", "--detach", path.read_text().strip()], check=False)

    async def until(self, status):
        await self.csms.until(lambda: self.statuses()[-1:] == [status], LIMIT_S)

    async def sim(self, *words):
        command = ["python3", "-m", "agent", "sim", *words]
        await asyncio.to_thread(self.container.does, *command)

    async def prepared(self, name):
        listener = await listen(self.csms)
        url = f"ws://127.0.0.1:{listener.port}/ocpp"
        command = ["python3", "-m", "tests.updaters.machine", name, url, self.protocol]
        await asyncio.to_thread(self.container.does, *command)
        files = self.container.root / WORK.relative_to("/")
        self.said = json.loads((files / "said.json").read_text())
        for version in self.said:
            content = (files / f"{version}.image").read_bytes()
            self.site.images[f"/image/{version}"] = content
        await asyncio.to_thread(self.container.restarts)
        await self.csms.until(lambda: self.boots, LIMIT_S)
        check("the first system runs", self.boots[-1].firmware_version, "1.0.0")
        return listener

    async def charging(self):
        """Plug in and charge."""
        await self.sim("plug")
        await self.sim("token", "04A2C9EE")
        ledger = self.csms.ledger.station(IDENTITY)
        await self.csms.until(lambda: ledger.open_transactions, LIMIT_S)

    async def updated(self):
        await self.charging()
        await self.asks("2.0.0")
        await self.until("InstallScheduled")
        check("it waits for who charges", self.statuses(), [*DOWNLOADED, "InstallScheduled"])
        await self.sim("unplug")
        await self.until("Installed")
        rest = ["InstallScheduled", "Installing", "InstallRebooting", "Installed"]
        check("then it is installed", self.statuses(), [*DOWNLOADED, *rest])
        check("the new system runs", self.boots[-1].firmware_version, "2.0.0")
        reason = None if self.protocol == "ocpp1.6" else "FirmwareUpdate"
        check("and says why it started", self.boots[-1].reason, reason)

    async def logged(self):
        """Have a log written and sent, by the helpers in the unit's sandbox."""
        log = {"remoteLocation": f"{self.site.url}/logs"}
        request = {"requestId": 1, "logType": "DiagnosticsLog", "log": log}
        answer = await self.csms.request(IDENTITY, "GetLog", request, LIMIT_S)
        check("a log is promised", answer["status"], "Accepted")
        files = self.site.files
        told = self.csms.wire
        await self.csms.until(lambda: any('"Uploaded"' in text for _, text in told), LIMIT_S)
        check("and sent", [path.endswith(answer["filename"]) for path in files], [True])

    async def given_up(self, version, what):
        """Update to a system whose agent never comes up."""
        before = self.starts()
        await self.asks(version)
        await self.until("InstallationFailed")
        rest = ["Installing", "InstallRebooting", "InstallationFailed"]
        check(f"{what} is given up", self.statuses(), [*DOWNLOADED, *rest])
        check("after three starts of the machine", self.starts() - before, 4)
        check("the old system runs", self.boots[-1].firmware_version, "2.0.0")


async def story(container, place, name, protocol):
    root, certificate = tls_files(place)
    with http_server(certificate) as site:
        site.url = site.url.replace("localhost", "127.0.0.1")
        told = Story(container, site, protocol)
        (container.root / "etc/pilotwire").mkdir()
        (container.root / "etc/pilotwire/web.pem").write_bytes(root.read_bytes())
        listener = await told.prepared(name)
        try:
            await told.updated()
            await told.logged()
            await told.given_up("3.0.0", "a system whose agent ends")
            await told.given_up("4.0.0", "a system whose agent has no configuration")
        finally:
            await listener.close()
            told.leaves()
