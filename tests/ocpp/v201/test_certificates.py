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
from agent.ocpp.adapter import Answered
from agent.ocpp.v201.adapter import Adapter201
from agent.ocpp.v201.certificates import KINDS
from tests.ocpp.v201.facts import Facts, answer, asked, sent
from tests.support.core import certificate_of

HASH = {
    "hashAlgorithm": "SHA512",
    "issuerNameHash": "aa",
    "issuerKeyHash": "bb",
    "serialNumber": "FFF",
}
INSTALL = {"certificateType": "CSMSRootCertificate", "certificate": "pem"}
IDS = "GetInstalledCertificateIds"


def respond(action, payload, outcome):
    incoming = asked(action, payload)
    return answer(action, Adapter201().respond(incoming, outcome, Facts()))


@pytest.mark.parametrize("word", KINDS)
def test_roots_of_every_kind_are_offered(word):
    incoming = asked("InstallCertificate", {**INSTALL, "certificateType": word})
    assert incoming.request == RootOffered(7, KINDS[word], "pem")


def test_a_root_is_removed_by_its_hash_data():
    incoming = asked("DeleteCertificate", {"certificateHashData": HASH})
    wanted = HashData("SHA512", "aa", "bb", "FFF")
    assert incoming.request == CertificateDeletionRequested(7, wanted)


@pytest.mark.parametrize("kind", [{}, {"certificateType": "ChargingStationCertificate"}])
def test_a_signed_certificate_is_offered_with_its_chain(kind):
    incoming = asked("CertificateSigned", {"certificateChain": "pem", **kind})
    assert incoming.request == StationCertificateOffered(7, "pem")


def test_a_certificate_for_vehicles_was_never_asked_for():
    found = asked(
        "CertificateSigned", {"certificateChain": "pem", "certificateType": "V2GCertificate"}
    )
    assert isinstance(found, Answered)
    assert answer("CertificateSigned", found.payload)["status"] == "Rejected"


def test_installed_certificates_are_asked_for_by_kind_or_all():
    assert asked(IDS, {}).request == CertificatesRequested(7, tuple(KINDS.values()))
    asked_for = {"certificateType": ["MORootCertificate", "V2GCertificateChain"]}
    assert asked(IDS, asked_for).request == CertificatesRequested(7, (CertificateKind.MO_ROOT,))
    found = asked(IDS, {"certificateType": ["V2GCertificateChain"]})
    assert isinstance(found, Answered)
    assert answer(IDS, found.payload) == {"status": "NotFound"}


@pytest.mark.parametrize(
    ("action", "payload", "words"),
    [
        ("InstallCertificate", INSTALL, ("Accepted", "Rejected", "Failed", "Rejected")),
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
def test_each_outcome_has_its_word_and_its_reason(action, payload, words):
    told = [
        respond(action, payload, CertificateAnswer(status, "Reason", "info"))
        for status in CertificateStatus
    ]
    assert [one["status"] for one in told] == list(words)
    assert {one["statusInfo"]["reasonCode"] for one in told} == {"Reason"}


def test_installed_certificates_are_named_by_sha256_and_kind():
    found = tuple(certificate_of("abc", kind) for kind in KINDS.values())
    told = respond(IDS, {}, CertificateAnswer(CertificateStatus.ACCEPTED, certificates=found))
    chain = told["certificateHashDataChain"]
    assert [one["certificateType"] for one in chain] == list(KINDS)
    assert chain[0]["certificateHashData"]["hashAlgorithm"] == "SHA256"
    none = respond(IDS, {}, CertificateAnswer(CertificateStatus.NOT_FOUND))
    assert none == {"status": "NotFound"}


def test_an_outcome_that_is_about_something_else_is_a_defect():
    incoming = asked("CertificateSigned", {"certificateChain": "pem"})
    with pytest.raises(AssertionError, match="about certificates"):
        Adapter201().respond(incoming, Done(Verdict.ACCEPTED), Facts())


@pytest.mark.parametrize(("word", "is_accepted"), [("Accepted", True), ("Rejected", False)])
def test_a_request_for_a_certificate_is_sent_and_its_answer_understood(word, is_accepted):
    wanted = CertificateSigningWanted("csr")
    payload = sent(Adapter201().encode_message(wanted, Facts()), "SignCertificate")
    assert payload == {"csr": "csr", "certificateType": "ChargingStationCertificate"}
    raw = msgspec.Raw(msgspec.json.encode({"status": word}))
    assert Adapter201().message_accepted(wanted, raw) == (SigningAnswered(is_accepted),)
