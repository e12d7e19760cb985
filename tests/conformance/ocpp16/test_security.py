"""Certificates and security profiles (10.9), as far as no socket is needed.

What needs one stands in tests/agent/test_security.py, with real TLS: TC_073, 074 and 083.
"""

from typing import Any

import pytest

from agent.core.trust import CertificateKind
from agent.security import certs
from tests.conformance.ocpp16.script import Case, call, certify, status
from tests.support.ca import Authority
from tests.support.lab import WALL_S

MANUFACTURER, CSMS = "ManufacturerRootCertificate", "CentralSystemRootCertificate"


def event(name: str) -> Any:
    return call("SecurityEventNotification", type=name)


async def install(case: Case, kind: str, pem: str) -> str:
    answer = await case.ask("InstallCertificate", certificateType=kind, certificate=pem)
    word: str = answer["status"]
    return word


async def installed(case: Case, kind: str) -> list[dict[str, str]]:
    """Return the hash data of the certificates of a kind, which are there or not found."""
    answer = await case.ask("GetInstalledCertificateIds", certificateType=kind)
    found: list[dict[str, str]] = answer.get("certificateHashData", [])
    assert answer["status"] == ("Accepted" if found else "NotFound")
    return found


def hash_data(root: Authority) -> dict[str, str]:
    """Return the SHA-256 hash data of a root, as the tool computes them."""
    facts = certs.facts(root.certificate, CertificateKind.CSMS_ROOT)
    [named] = [one for one in facts.hashes if one.algorithm == "SHA256"]
    return {
        "hashAlgorithm": named.algorithm,
        "issuerNameHash": named.issuer_name_hash,
        "issuerKeyHash": named.issuer_key_hash,
        "serialNumber": named.serial_number,
    }


async def _installs(case: Case, kind: str) -> None:
    root = Authority("root", now_s=WALL_S)
    await case.online()
    assert await installed(case, kind) == []
    assert await install(case, kind, root.pem) == "Accepted"
    assert await installed(case, kind) == [hash_data(root)]


def test_tc_075_1_install_certificate_manufacturer_root() -> None:
    async def steps(case: Case) -> None:
        await _installs(case, MANUFACTURER)

    certify(steps)


def test_tc_075_2_install_certificate_central_system_root() -> None:
    async def steps(case: Case) -> None:
        await _installs(case, CSMS)

    certify(steps)


@pytest.mark.parametrize("kind", [MANUFACTURER, CSMS])
def test_tc_076_delete_certificate(kind: str) -> None:
    async def steps(case: Case) -> None:
        await _installs(case, kind)
        [named] = await installed(case, kind)
        answer = await case.ask("DeleteCertificate", certificateHashData=named)
        assert answer == {"status": "Accepted"}
        assert await installed(case, kind) == []
        answer = await case.ask("DeleteCertificate", certificateHashData=named)
        assert answer == {"status": "NotFound"}

    certify(steps)


def test_tc_077_invalid_charge_point_certificate() -> None:
    async def steps(case: Case) -> None:
        stranger = Authority("stranger", now_s=WALL_S)
        case.lab.csms.behaviour.signs = True
        await case.online()
        answer = await case.ask(
            "ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate"
        )
        assert answer == {"status": "Accepted"}
        [asked] = await case.expect(call("SignCertificate"))
        chain = stranger.sign(asked.payload["csr"], ends=90, now_s=WALL_S).chain
        answer = await case.ask("CertificateSigned", certificateChain=chain)
        assert answer == {"status": "Rejected"}
        await case.expect(event("InvalidChargePointCertificate"))

    certify(steps, settings={"CpoName": "Example CPO"})


@pytest.mark.parametrize("pem", ["expired", "rubbish"])
def test_tc_078_invalid_central_system_certificate(pem: str) -> None:
    async def steps(case: Case) -> None:
        expired = Authority("old", begins=-20, ends=-1, now_s=WALL_S)
        text = {"expired": expired.pem, "rubbish": "rubbish"}[pem]
        await case.online()
        assert await install(case, CSMS, text) == "Rejected"
        await case.expect(event("InvalidCentralSystemCertificate"))
        assert await installed(case, CSMS) == []

    certify(steps)


def test_tc_084_downgrade_of_the_security_profile() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        for profile in ("0", "-1", "4", "2", "soon"):
            answer = await case.ask("ChangeConfiguration", key="SecurityProfile", value=profile)
            assert answer == {"status": "Rejected"}, profile
        assert await case.get("SecurityProfile") == "0"
        case.plug()
        await case.expect(status("Preparing"))

    certify(steps)
