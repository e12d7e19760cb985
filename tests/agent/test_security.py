"""Security from the outside: the agent as a process, real TLS, a CSMS that changes everything.

Named after the certification cases of 1.6 (1.6 reference 10.9).
"""

import asyncio
import json
import ssl
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agent.bench.csms import Csms
from agent.bench.listener import listen, server_tls
from agent.core.trust import CertificateKind
from agent.runtime.clock import SystemWorld
from agent.security import certs
from agent.security.log import read
from tests.agent.test_main import LIMIT_S, SIM, Agent
from tests.support.ca import Authority

KEY = "4F43415F4F4354545F61646D696E5F74657374"
PASSWORD = "0123456789abcdef"
SERIAL = "EX-0001"


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


def test_tc_073_a_new_key_is_used_at_once_and_never_shown(place):
    async def story(operator):
        client = await operator.agent.client()
        watcher = await operator.agent.client()
        await operator.agent.call(watcher, "events")
        for key, password in (
            (KEY, bytes.fromhex(KEY)),
            ("another password", b"another password"),
        ):
            async with operator.reconnecting():
                assert await operator.set("AuthorizationKey", key) == "Accepted"
                operator.behaviour.password = password
        assert await operator.get("AuthorizationKey") is None
        described = await operator.agent.call(client, "settings.get", name="AuthorizationKey")
        assert described["value"] is None
        assert (await operator.set("AuthorizationKey", "0123")) == "Rejected"
        # It survives a restart, and is still the one that counts.
        await operator.restart()

    told(place, story)


def test_a_key_that_the_csms_does_not_know_after_all_is_taken_back(place):
    async def story(operator):
        async with operator.reconnecting():
            assert await operator.set("AuthorizationKey", KEY) == "Accepted"
        await operator.until(lambda: "FailedToAuthenticateAtCentralSystem" in operator.told())

    told(place, story)


def names(operator, kind):
    return operator.ask("GetInstalledCertificateIds", certificateType=kind)


ROOTS = ("CentralSystemRootCertificate", "ManufacturerRootCertificate")


def hash_data(root):
    found = certs.facts(root.certificate, CertificateKind.CSMS_ROOT).hashes[0]
    return {
        "hashAlgorithm": found.algorithm,
        "issuerNameHash": found.issuer_name_hash,
        "issuerKeyHash": found.issuer_key_hash,
        "serialNumber": found.serial_number,
    }


def test_tc_075_076_078_roots_are_installed_named_and_removed(place):
    async def story(operator):
        for kind in ROOTS:
            root = Authority(f"root of {kind}")
            assert await names(operator, kind) == "NotFound"
            install = {"certificateType": kind, "certificate": root.pem}
            assert await operator.ask("InstallCertificate", **install) == "Accepted"
            answer = await operator.csms.request(
                "CP001", "GetInstalledCertificateIds", {"certificateType": kind}
            )
            assert answer["certificateHashData"] == [hash_data(root)]
            delete = {"certificateHashData": hash_data(root)}
            assert await operator.ask("DeleteCertificate", **delete) == "Accepted"
            assert await operator.ask("DeleteCertificate", **delete) == "NotFound"
            assert await names(operator, kind) == "NotFound"
        expired = Authority("old", begins=-20, ends=-1)
        for pem in (expired.pem, "rubbish"):
            install = {"certificateType": ROOTS[0], "certificate": pem}
            assert await operator.ask("InstallCertificate", **install) == "Rejected"
        await operator.until(
            lambda: operator.told().count("InvalidCentralSystemCertificate") == 2
        )

    told(place, story)


async def signed(operator, answer):
    """Trigger a request for a certificate; return the answer to what `answer` makes of it."""
    before = len(operator.sent("SignCertificate"))
    trigger = {"requestedMessage": "SignChargePointCertificate"}
    assert await operator.ask("ExtendedTriggerMessage", **trigger) == "Accepted"
    await operator.until(lambda: len(operator.sent("SignCertificate")) > before)
    csr = operator.sent("SignCertificate")[-1]["csr"]
    return await operator.ask("CertificateSigned", certificateChain=answer(csr).chain)


def test_tc_074_077_083_084_from_a_password_to_a_certificate(place):
    async def story(operator):
        assert await operator.set("SecurityProfile", "2") == "Rejected"
        install = {"certificateType": ROOTS[0], "certificate": operator.ca.pem}
        assert await operator.ask("InstallCertificate", **install) == "Accepted"
        async with operator.reconnecting():
            assert await operator.set("SecurityProfile", "2") == "Accepted"
        assert await operator.get("SecurityProfile") == "2"
        assert await operator.set("SecurityProfile", "3") == "Rejected"
        assert await operator.set("SecurityProfile", "1") == "Rejected"
        used = {"certificateHashData": hash_data(operator.ca)}
        assert await operator.ask("DeleteCertificate", **used) == "Failed"
        trigger = {"requestedMessage": "SignChargePointCertificate"}
        assert await operator.ask("ExtendedTriggerMessage", **trigger) == "Rejected"
        assert await operator.set("CpoName", "Example CPO") == "Accepted"
        stranger = Authority("stranger")

        def long_lived(csr):
            # One that expires within a month would be renewed at once.
            return operator.ca.sign(csr, ends=90)

        assert await signed(operator, stranger.sign) == "Rejected"
        await operator.until(lambda: "InvalidChargePointCertificate" in operator.told())
        assert await signed(operator, long_lived) == "Accepted"
        async with operator.reconnecting():
            operator.behaviour.password = None
            operator.behaviour.client_name = SERIAL
            assert await operator.set("SecurityProfile", "3") == "Accepted"
        assert await operator.get("SecurityProfile") == "3"
        async with operator.reconnecting():
            assert await signed(operator, long_lived) == "Accepted"
        assert await operator.set("SecurityProfile", "2") == "Rejected"
        await operator.restart()
        assert await operator.get("SecurityProfile") == "3"
        state = operator.place / "state"
        assert len(list((state / "certificates" / "station").glob("*.key"))) == 2
        for file in state.rglob("*.key"):
            assert file.stat().st_mode & 0o077 == 0
        logged = [json.loads(line)["type"] for line in read(state)]
        assert logged.count("ReconfigurationOfSecurityParameters") >= 5

    told(place, story)


def test_a_profile_that_brings_no_link_is_taken_back(place):
    async def story(operator):
        other = Authority("other")
        install = {"certificateType": ROOTS[0], "certificate": other.pem}
        assert await operator.ask("InstallCertificate", **install) == "Accepted"
        async with operator.reconnecting():
            assert await operator.set("SecurityProfile", "2") == "Accepted"
        assert await operator.get("SecurityProfile") == "1"
        await operator.until(lambda: "InvalidCentralSystemCertificate" in operator.told())

    told(place, story)


def test_tc_085_basic_authentication_after_a_reset(place):
    async def story(operator):
        # The CSMS lets nobody in without the header of identity and password.
        assert await operator.ask("Reset", type="Hard") == "Accepted"
        await operator.booted(2)
        assert await operator.get("SecurityProfile") == "1"

    told(place, story)


@pytest.mark.parametrize(
    "suite", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]
)
def test_tc_086_tls_1_2_with_each_suite_and_the_password_within(place, suite):
    async def story(operator):
        assert await operator.ask("Reset", type="Hard") == "Accepted"
        await operator.booted(2)
        assert await operator.get("SecurityProfile") == "2"

    roots = '[security]\ncsms_roots = ["root.pem"]\n'
    told(place, story, security_profile=2, security=roots, suite=suite)


def test_tc_087_the_certificate_of_the_station(place):
    async def story(operator):
        serial = operator.sent("BootNotification")[-1]["chargePointSerialNumber"]
        assert serial == SERIAL
        assert await operator.set("CpoName", "Example CPO") == "Accepted"
        requests = []

        def kept(pem):
            requests.append(pem)
            return operator.ca.sign(pem, ends=90)

        assert await signed(operator, kept) == "Accepted"
        [pem] = requests
        assert pem.startswith("-----BEGIN CERTIFICATE REQUEST-----")
        csr = x509.load_pem_x509_csr(pem.encode())
        assert csr.is_signature_valid
        assert isinstance(csr.public_key(), ec.EllipticCurvePublicKey)
        assert csr.public_key().key_size >= 224
        subject = {item.rfc4514_attribute_name: item.value for item in csr.subject}
        assert (subject["CN"], subject["O"]) == (serial, "Example CPO")
        async with operator.reconnecting():
            operator.behaviour.password = None
            operator.behaviour.client_name = serial  # the common name of whom it lets in
            assert await operator.set("SecurityProfile", "3") == "Accepted"
        assert await operator.get("SecurityProfile") == "3"

    roots = '[security]\ncsms_roots = ["root.pem"]\n'
    told(place, story, security_profile=2, security=roots)


@pytest.mark.parametrize("protocols", [("ocpp1.6",), ("ocpp2.0.1",)])
def test_certificates_of_the_configuration_are_provisioned(place, protocols):
    files = (
        "[security]\n"
        'csms_roots = ["root.pem"]\n'
        'client_certificate = "station.pem"\n'
        'client_key = { file = "station.key" }\n'
    )

    async def life():
        operator = Operator(place)
        operator.ca.issue(SERIAL, organization="Example CPO").write(place, "station")
        operator.behaviour.password, operator.behaviour.client_name = None, SERIAL
        try:
            await operator.open(3, protocols, files)
            assert operator.csms.protocol("CP001") == protocols[0]
            # A station that has lost its state still knows whom to trust and who it is.
            await operator.restart((place / "state" / "pilotwire.db").unlink)
        finally:
            await operator.close()

    asyncio.run(life())


def test_a_certificate_of_the_configuration_that_is_none_stops_the_start(place):
    async def life():
        operator = Operator(place)
        (place / "root.pem").write_text(operator.ca.issue("x").pem)
        operator.plain = await listen(operator.csms)
        operator.secure = await listen(operator.csms)
        operator.write(1, ("ocpp1.6",), '[security]\ncsms_roots = ["root.pem"]')
        operator.agent = Agent(place / "agent.toml")
        try:
            code = await asyncio.to_thread(operator.agent.process.wait, LIMIT_S)
            assert code == 78
            assert "root.pem: it is not a CA certificate" in operator.agent.text
        finally:
            await operator.close()

    asyncio.run(life())
