"""Cases of 10.9 that need sockets, real TLS and the agent as a process."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agent.core.trust import CertificateKind
from agent.security import certs
from agent.security.log import read
from tests.support.ca import Authority
from tests.support.operator import KEY, ROOTS, SERIAL, signed, told


def names(operator, kind):
    return operator.ask("GetInstalledCertificateIds", certificateType=kind)


def hash_data(root):
    found = certs.facts(root.certificate, CertificateKind.CSMS_ROOT).hashes[0]
    return {
        "hashAlgorithm": found.algorithm,
        "issuerNameHash": found.issuer_name_hash,
        "issuerKeyHash": found.issuer_key_hash,
        "serialNumber": found.serial_number,
    }


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
