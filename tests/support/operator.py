"""Security from the outside: the agent as a process, real TLS, a CSMS that changes everything."""

import asyncio
import json
import ssl
from contextlib import asynccontextmanager

from agent.bench.csms import Csms
from agent.bench.listener import listen, server_tls
from agent.runtime.clock import SystemWorld
from agent.security.log import read
from tests.agent.test_main import LIMIT_S, SIM, Agent
from tests.support.ca import Authority

KEY = "4F43415F4F4354545F61646D696E5F74657374"
PASSWORD = "0123456789abcdef"
SERIAL = "EX-0001"
ROOTS = ("CentralSystemRootCertificate", "ManufacturerRootCertificate")


class Operator:
    """A CSMS on ws and wss, its CA, and an agent."""

    def __init__(self, place):
        self.place = place
        self.ca = Authority("root")
        self.csms = Csms(now=lambda: SystemWorld(1).env().now.wall_s or 0.0)
        self.behaviour = self.csms.behaviour
        self.behaviour.password = PASSWORD
        self.behaviour.signs = True
        self.ca.issue("csms", names=["localhost"]).write(place, "csms")
        self.ca.write(place, "root")

    async def open(self, security_profile=1, protocols=("ocpp1.6",), security="", suite=None):
        tls = server_tls(self.place / "csms.pem", self.place / "csms.key")
        tls.load_verify_locations(self.place / "root.pem")
        tls.verify_mode = ssl.CERT_OPTIONAL
        if suite is not None:
            tls.maximum_version = ssl.TLSVersion.TLSv1_2
            tls.set_ciphers(suite)
        self.plain = await listen(self.csms)
        self.secure = await listen(self.csms, tls=tls)
        self.write(security_profile, protocols, security)
        self.agent = Agent(self.place / "agent.toml")
        await self.booted(1)

    async def restart(self, meanwhile=lambda: None):
        """End the agent, and start it again."""
        await self.agent.end()
        self.agent.kill()
        meanwhile()
        self.agent = Agent(self.place / "agent.toml")
        await self.booted(2)

    async def close(self):
        self.agent.kill()
        await self.plain.close()
        await self.secure.close()

    def write(self, security_profile, protocols, security):
        networks = [
            (1, f"ws://127.0.0.1:{self.plain.port}/ocpp"),
            (2, f"wss://localhost:{self.secure.port}/ocpp"),
        ]
        text = f"""
[station]
identity = "CP001"
vendor = "Example"
model = "Wallbox One"
serial_number = "{SERIAL}"
[hardware]
board = "{SIM}"
[storage]
directory = "{self.place / "state"}"
[control]
socket = "{self.place / "s"}"
[settings]
"OCPPCommCtrlr.RetryBackOffWaitMinimum" = 1
"OCPPCommCtrlr.RetryBackOffRandomRange" = 0
"OCPPCommCtrlr.RetryBackOffRepeatTimes" = 0
{security}
"""
        for profile, url in networks:
            if max(profile, security_profile) == 1 or url.startswith("wss"):
                text += f"""
[[csms]]
url = "{url}"
protocols = {json.dumps(list(protocols))}
security_profile = {max(profile, security_profile)}
password = {{ text = "{PASSWORD}" }}
"""
        (self.place / "agent.toml").write_text(text)

    async def until(self, holds):
        return await self.csms.until(holds, LIMIT_S)

    async def booted(self, times):
        await self.until(lambda: len(self.csms.ledger.station("CP001").boots) >= times)
        await self.until(lambda: "CP001" in self.csms.connected)

    async def ask(self, action, **payload):
        answer = await self.csms.request("CP001", action, payload)
        return answer.get("status", answer)

    async def set(self, key, value):
        return await self.ask("ChangeConfiguration", key=key, value=value)

    async def get(self, key):
        answer = await self.csms.request("CP001", "GetConfiguration", {"key": [key]})
        return answer["configurationKey"][0].get("value")

    def told(self):
        return [event.type for event in self.csms.ledger.station("CP001").security_events]

    def sent(self, action):
        """Return the payloads of an action that the station has sent."""
        frames = [json.loads(text) for way, text in self.csms.wire if way == "received"]
        return [frame[3] for frame in frames if frame[0] == 2 and frame[2] == action]

    @asynccontextmanager
    async def reconnecting(self):
        """Do something that makes the station leave its link and come back."""
        events = []
        self.csms.watch(lambda event: events.append(type(event).__name__))
        yield
        await self.until(lambda: "StationDisconnected" in events)
        await self.until(lambda: "StationConnected" in events)
        await self.until(lambda: "CP001" in self.csms.connected)


def told(place, story, **options):
    async def life():
        operator = Operator(place)
        try:
            await operator.open(**options)
            await story(operator)
            assert not operator.csms.violations
            assert KEY not in operator.agent.text
            assert "Traceback" not in operator.agent.text
        except BaseException:
            print(operator.agent.text)
            print(*(line.decode() for line in read(place / "state")), sep="")
            raise
        finally:
            await operator.close()

    asyncio.run(life())


async def signed(operator, answer):
    """Trigger a request for a certificate; return the answer to what `answer` makes of it."""
    before = len(operator.sent("SignCertificate"))
    trigger = {"requestedMessage": "SignChargePointCertificate"}
    assert await operator.ask("ExtendedTriggerMessage", **trigger) == "Accepted"
    await operator.until(lambda: len(operator.sent("SignCertificate")) > before)
    csr = operator.sent("SignCertificate")[-1]["csr"]
    return await operator.ask("CertificateSigned", certificateChain=answer(csr).chain)
