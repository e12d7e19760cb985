import json

import msgspec
import pytest

from agent.core.effects import (
    CertificateAnswer,
    CertificateSigningWanted,
    CertificateStatus,
    Done,
    Verdict,
)
from agent.core.events import (
    CertificateDeletionRequested,
    CertificatesRequested,
    RootOffered,
    SigningAnswered,
    StationCertificateOffered,
)
from agent.core.trust import CertificateKind, HashData
from agent.ocppj.errors import RpcError
from tests.core.test_trust import NAMED
from tests.ocpp.v16 import facts
from tests.ocpp.v16.facts import ADAPTER, VIEW, answer
from tests.support.core import certificate_of

ROOT = ("CentralSystemRootCertificate", CertificateKind.CSMS_ROOT)
MANUFACTURER = ("ManufacturerRootCertificate", CertificateKind.MANUFACTURER_ROOT)
HASH = {
    "hashAlgorithm": "SHA384",
    "issuerNameHash": "aa",
    "issuerKeyHash": "bb",
    "serialNumber": "FFF",
}


def asked(action, payload):
    return facts.asked(action, json.dumps(payload))


def outcome(status):
    return CertificateAnswer(status, "Reason", "info")


@pytest.mark.parametrize(("word", "kind"), [ROOT, MANUFACTURER])
def test_roots_are_offered_and_asked_for_by_their_kind(word, kind):
    offered = asked("InstallCertificate", {"certificateType": word, "certificate": "pem"})
    assert offered.request == RootOffered(9, kind, "pem")
    ids = asked("GetInstalledCertificateIds", {"certificateType": word})
    assert ids.request == CertificatesRequested(9, (kind,))


def test_a_root_is_removed_by_its_hash_data():
    incoming = asked("DeleteCertificate", {"certificateHashData": HASH})
    assert incoming.request == CertificateDeletionRequested(
        9, HashData("SHA384", "aa", "bb", "FFF")
    )


def test_a_signed_certificate_is_offered_with_its_chain():
    incoming = asked("CertificateSigned", {"certificateChain": "pem"})
    assert incoming.request == StationCertificateOffered(9, "pem")


def test_a_certificate_of_the_first_edition_misses_its_chain():
    with pytest.raises(RpcError) as caught:
        asked("CertificateSigned", {"cert": ["3082"]})
    assert caught.value.code.name == "OCCURRENCE_CONSTRAINT_VIOLATION"


@pytest.mark.parametrize(
    ("action", "payload", "words"),
    [
        (
            "InstallCertificate",
            {"certificateType": ROOT[0], "certificate": "pem"},
            ("Accepted", "Rejected", "Failed", "Rejected"),
        ),
        (
            "DeleteCertificate",
            {"certificateHashData": HASH},
            ("Accepted", "Failed", "Failed", "NotFound"),
        ),
        (
            "CertificateSigned",
            {"certificateChain": "pem"},
            ("Accepted", "Rejected", "Rejected", "Rejected"),
        ),
    ],
)
def test_each_outcome_has_its_word(action, payload, words):
    told = [answer(asked(action, payload), outcome(status)) for status in CertificateStatus]
    assert [one["status"] for one in told] == list(words)


def test_installed_roots_are_named_by_sha256():
    incoming = asked("GetInstalledCertificateIds", {"certificateType": ROOT[0]})
    roots = (certificate_of("abc"), certificate_of("def"))
    found = answer(incoming, CertificateAnswer(CertificateStatus.ACCEPTED, certificates=roots))
    assert found["status"] == "Accepted"
    assert found["certificateHashData"][0] == {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": NAMED.issuer_name_hash,
        "issuerKeyHash": NAMED.issuer_key_hash,
        "serialNumber": NAMED.serial_number,
    }
    none = answer(incoming, CertificateAnswer(CertificateStatus.NOT_FOUND))
    assert none == {"status": "NotFound"}


def test_an_outcome_that_is_about_something_else_is_an_internal_error():
    incoming = asked("CertificateSigned", {"certificateChain": "pem"})
    with pytest.raises(RpcError, match="unexpected way"):
        answer(incoming, Done(Verdict.ACCEPTED))


def test_a_request_for_a_certificate_is_sent_and_its_answer_understood():
    wanted = CertificateSigningWanted("csr")
    call = ADAPTER.encode_message(wanted, VIEW)
    assert call.action == "SignCertificate"
    assert json.loads(call.payload) == {"csr": "csr"}
    for word, is_accepted in (("Accepted", True), ("rejected", False)):
        raw = msgspec.Raw(json.dumps({"status": word}).encode())
        assert ADAPTER.message_accepted(wanted, raw) == (SigningAnswered(is_accepted),)
