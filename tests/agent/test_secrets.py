"""Planted secrets on the whole way of an agent as shipped: none of them is told anybody.

The agent runs at its most talkative. Passwords are in URLs, settings and the configuration; a
token is presented; files are fetched from and sent to a server that refuses first. Then
everything is searched that anybody may get to see: the journal, what the control socket
tells, the security log, what the CSMS is told, and the bundle with all its members.
"""

import asyncio
import contextlib
import io
import json
import tarfile
from urllib.parse import quote

import pytest

from agent.bench.csms import Csms
from agent.bench.listener import listen
from agent.client import BrokenLinkError, ControlClient
from agent.runtime.clock import SystemWorld
from agent.store import trace
from tests.agent.test_main import LIMIT_S, PASSWORD, TOKEN, Agent, configure, until
from tests.transfer.servers import http_server

OF_URL = "url-s3cret/p@ss"
SHOWN = quote(OF_URL, safe="")
NEW_PASSWORD = "Fresh-pass-of-0815"
OF_QUERY = "5igned-query"
SECRETS = {
    "password of the configuration": PASSWORD,
    "password that was set": NEW_PASSWORD,
    "password of a URL": OF_URL,
    "password of a URL, encoded": SHOWN,
    "half of a password": "s3cret",
    "signature in a URL": OF_QUERY,
    "whole token": TOKEN,
}
RUN = """
[firmware]
installer = "command"
command = ["/bin/true"]
"""


class Life:
    """An agent, its CSMS, a file server, and everything that anybody may see of it."""

    def __init__(self, place, version):
        self.place, self.version = place, version
        self.csms = Csms(now=lambda: SystemWorld(1).env().now.wall_s or 0.0)
        self.csms.behaviour.password = PASSWORD
        self.events = []

    async def ask(self, action, **payload):
        return await self.csms.request("CP001", action, payload)

    async def until(self, holds):
        await self.csms.until(holds, LIMIT_S)

    def sent(self, action):
        """Return the payloads of an action that the station has sent."""
        frames = [json.loads(text) for way, text in self.csms.wire if way == "received"]
        return [frame[3] for frame in frames if frame[0] == 2 and frame[2] == action]

    def words(self, action):
        return [payload["status"] for payload in self.sent(action)]

    def told_csms(self):
        return "\n".join(text for way, text in self.csms.wire if way == "received")

    def listened(self):
        """Read the events of the control socket until the agent ends."""
        with ControlClient(self.place / "s") as client, contextlib.suppress(BrokenLinkError):
            for event in client.events():
                self.events.append(json.dumps(event))


def journal(place):
    """Let `journalctl` show what the agent has logged."""
    tool = place / "bin" / "journalctl"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\nexec cat {place / 'log'}\n")
    tool.chmod(0o755)
    return f"{tool.parent}:/usr/bin:/bin"


def recorded(directory):
    """Return what the flight recorder has kept of locations."""
    entries = [
        entry
        for path in directory.glob("trace.?")
        for entry in trace.entries(path.read_bytes())
    ]
    texts = [bytes(step.event) for entry in entries for step in getattr(entry, "steps", ())]
    texts += [bytes(entry.station) for entry in entries if isinstance(entry, trace.Whole)]
    return b"\n".join(texts).decode(errors="replace")


async def files_fetched_and_sent(life, url):
    """Order firmware and logs from places that only a password opens."""
    past = "2020-01-01T00:00:00Z"
    location = f"{url.replace('://', f'://user:{SHOWN}@')}"
    update = {
        "requestId": 1,
        "retries": 0,
        "firmware": {"location": f"{location}/absent/x.bin", "retrieveDateTime": past},
    }
    if life.version == "ocpp1.6":
        place = {"location": f"{location}/absent/x.bin"}
        await life.ask("UpdateFirmware", **place, retrieveDate=past, retries=0)
    else:
        await life.ask("UpdateFirmware", **update)
    await life.until(lambda: "DownloadFailed" in life.words("FirmwareStatusNotification"))
    for number, (where, end) in enumerate(
        (
            (f"{location}/denied/x.gz?X-Signature={OF_QUERY}", "PermissionDenied"),
            (f"{location}/logs/", "Uploaded"),
        )
    ):
        log = {"remoteLocation": where}
        asked = {"requestId": number, "logType": "DiagnosticsLog", "log": log, "retries": 0}
        await life.ask("GetLog", **asked)
        await life.until(lambda end=end: end in life.words("LogStatusNotification"))


async def password_changed(life):
    if life.version == "ocpp1.6":
        wanted = {"key": "AuthorizationKey", "value": NEW_PASSWORD}
        answer = await life.ask("ChangeConfiguration", **wanted)
    else:
        variable = {"name": "BasicAuthPassword"}
        item = {"component": {"name": "SecurityCtrlr"}, "variable": variable}
        data = [{**item, "attributeValue": NEW_PASSWORD}]
        answer = await life.ask("SetVariables", setVariableData=data)
    assert "Accepted" in str(answer), answer


async def lived(place, version):
    """Return what anybody sees of a life full of secrets, by what it is."""
    life = Life(place, version)
    listening = await listen(life.csms)
    config = configure(
        place,
        url=f"ws://127.0.0.1:{listening.port}/ocpp",
        more=f'"FirmwareCtrlr.UnsignedRequests" = "Always"\n{RUN}',
    )
    text = config.read_text().replace('["ocpp2.0.1", "ocpp1.6"]', f'["{version}"]')
    config.write_text(text)
    agent = Agent(config, "--log-level", "debug", PATH=journal(place))
    try:
        client = await agent.client()
        watching = asyncio.create_task(asyncio.to_thread(life.listened))
        await life.until(lambda: "CP001" in life.csms.connected)
        with http_server() as site:
            await agent.call(client, "sim.plug", evse_id=1)
            await agent.call(client, "token.present", id_token=TOKEN, evse_id=1)

            async def charges():
                status = await agent.call(client, "status")
                return status["evses"][0]["energized"]

            await until(charges)
            links = []
            life.csms.watch(lambda event: links.append(type(event).__name__))
            await password_changed(life)
            life.csms.behaviour.password = NEW_PASSWORD
            await life.until(lambda: "StationConnected" in links)
            await files_fetched_and_sent(life, site.url)
            [packed] = [body for path, body in site.files.items() if path.startswith("/logs/")]
        status = await agent.call(client, "status")
        settings = await agent.call(client, "settings.list")
        code, _ = await agent.end()
        assert code == 0, agent.text
        await watching
    finally:
        agent.kill()
        await listening.close()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        bundle = {
            f"bundle: {item.name}": archive.extractfile(item).read().decode()
            for item in archive
        }
    return life, {
        "journal": agent.text,
        "status": json.dumps(status),
        "settings": json.dumps(settings),
        "security log": (place / "state/security.log").read_text(),
        "flight recorder": recorded(place / "state"),
        **bundle,
    }


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
def test_no_secret_is_told_anybody(place, version):
    life, seen = asyncio.run(lived(place, version))
    found = [
        (where, what)
        for where, text in seen.items()
        for what, secret in SECRETS.items()
        if secret in text
    ]
    # Programs on the charger are told who charges: the status and the events show tokens. The
    # flight recorder is for the service alone, and keeps what the station could not be without.
    allowed = {
        ("status", "whole token"),
        ("flight recorder", "whole token"),
        ("flight recorder", "password that was set"),
        ("flight recorder", "signature in a URL"),
    }
    assert [item for item in found if item not in allowed] == []
    events = "\n".join(life.events)
    passwords = [what for what in SECRETS if what not in {"whole token", "signature in a URL"}]
    assert [what for what in passwords if SECRETS[what] in events] == []
    assert [what for what in passwords if SECRETS[what] in life.told_csms()] == []

    # Nothing is hidden by being left out: what the secrets stood in is there.
    assert "turn: " in seen["bundle: journal.log"]
    assert "://***@localhost" in seen["bundle: trace.log"]
    assert f'"***{TOKEN[-4:]}"' in seen["bundle: trace.log"]
    written = [
        line for line in seen["bundle: trace.log"].splitlines() if "SettingsWrite" in line
    ]
    assert written
    assert all('"***"' in line for line in written)
    assert "StartupOfTheDevice" in seen["security log"]
    assert TOKEN in events
