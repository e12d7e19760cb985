"""Certificates over both versions, in virtual time."""

import json

import pytest

from agent.core.trust import CertificateKind
from agent.security import certs
from tests.support.ca import Authority
from tests.support.lab import IDENTITY, VERSIONS, WALL_S, Lab, run

WORDS = {
    "ocpp1.6": ("CentralSystemRootCertificate", "ExtendedTriggerMessage"),
    "ocpp2.0.1": ("CSMSRootCertificate", "TriggerMessage"),
}
TRIGGERS = {
    "ocpp1.6": "SignChargePointCertificate",
    "ocpp2.0.1": "SignChargingStationCertificate",
}
both = pytest.mark.parametrize("version", VERSIONS)


async def ask(lab, action, **payload):
    answer = await lab.csms.request(IDENTITY, action, payload)
    return answer["status"]


def sent(lab, action):
    frames = [json.loads(text) for way, text in lab.csms.wire if way == "received"]
    return [frame[3] for frame in frames if frame[0] == 2 and frame[2] == action]


@both
def test_a_root_is_installed_survives_a_power_cut_and_is_deleted(version):
    root = Authority("root", now_s=WALL_S, serial=4095)
    kind = WORDS[version][0]
    ids = {"certificateType": kind if version == "ocpp1.6" else [kind]}
    told = certs.facts(root.certificate, CertificateKind.CSMS_ROOT).hashes[1]
    named = {
        "hashAlgorithm": told.algorithm,
        "issuerNameHash": told.issuer_name_hash.upper(),
        "issuerKeyHash": told.issuer_key_hash,
        "serialNumber": f"00{told.serial_number}",
    }

    async def story(lab):
        await lab.start()
        await lab.online()
        assert await ask(lab, "GetInstalledCertificateIds", **ids) == "NotFound"
        install = {"certificateType": kind, "certificate": root.pem}
        assert await ask(lab, "InstallCertificate", **install) == "Accepted"
        await lab.cut()
        await lab.start()
        await lab.online()
        assert await ask(lab, "GetInstalledCertificateIds", **ids) == "Accepted"
        assert await ask(lab, "DeleteCertificate", certificateHashData=named) == "Accepted"
        assert await ask(lab, "GetInstalledCertificateIds", **ids) == "NotFound"

    run(Lab(version), story)


@both
def test_a_certificate_is_requested_signed_and_kept(version):
    root = Authority("root", now_s=WALL_S)
    kind, trigger = WORDS[version]

    async def story(lab):
        lab.csms.behaviour.signs = True
        await lab.start()
        await lab.online()
        install = {"certificateType": kind, "certificate": root.pem}
        assert await ask(lab, "InstallCertificate", **install) == "Accepted"
        assert await ask(lab, trigger, requestedMessage=TRIGGERS[version]) == "Accepted"
        await lab.until(lambda: sent(lab, "SignCertificate"))
        csr = sent(lab, "SignCertificate")[0]["csr"]
        issued = root.sign(csr, ends=90, now_s=WALL_S)
        answer = await ask(lab, "CertificateSigned", certificateChain=issued.chain)
        assert answer == "Accepted"
        own = lab.station.certificates.own(None)
        assert [one.fingerprint for one in own] == [issued.fingerprint]

    run(Lab(version, settings={"CpoName": "Example CPO"}), story)
