import asyncio

import pytest
from cryptography import x509

from agent.bench.keeper import wall_s
from agent.core.effects import (
    DropCertificate,
    DropKey,
    KeepRoot,
    KeepStationCertificate,
    MakeSigningRequest,
)
from agent.core.events import CertificateKept, CertificateRefused, SigningRequestMade
from agent.core.trust import CertificateKind
from agent.runtime.keeper import Keeper, answered
from agent.security.keystore import NAME, Keystore
from tests.support.ca import Authority

CSMS, STATION = CertificateKind.CSMS_ROOT, CertificateKind.STATION
SERIAL = "EX-0001"
MAKE = MakeSigningRequest("id", SERIAL, "Example CPO", "EC-P256")


@pytest.fixture(scope="module")
def ca():
    return Authority("root")


@pytest.fixture
def keystore(tmp_path):
    return Keystore(tmp_path)


def keep(ca, keystore, **fields):
    wanted = {"kind": CSMS, "pem": ca.pem, "signed_by": "", "at_s": wall_s(), **fields}
    return answered(KeepRoot(1, **wanted), keystore)


def test_a_root_is_written_and_its_facts_told(ca, keystore):
    told = keep(ca, keystore)
    assert isinstance(told, CertificateKept)
    assert told.certificate.fingerprint == ca.fingerprint
    assert keystore.certificate(CSMS, ca.fingerprint).read_text() == ca.pem


def test_what_is_no_root_is_refused_and_not_written(ca, keystore, tmp_path):
    told = keep(ca, keystore, pem=ca.issue("x").pem)
    assert told == CertificateRefused(1, "it is not a CA certificate")
    assert not (tmp_path / NAME).exists()


def test_a_root_that_the_present_one_has_to_have_signed_is_held_to_it(ca, keystore):
    keep(ca, keystore)
    signed, other = Authority("new", ca), Authority("other")
    assert isinstance(
        keep(signed, keystore, pem=signed.pem, signed_by=ca.fingerprint), CertificateKept
    )
    told = keep(other, keystore, signed_by=ca.fingerprint)
    assert told == CertificateRefused(1, "it is not signed by CN=root")


def test_a_disk_that_refuses_is_a_failure(ca, tmp_path):
    (tmp_path / NAME).write_text("in the way")
    told = keep(ca, Keystore(tmp_path))
    assert isinstance(told, CertificateRefused)
    assert told.is_failure


def offer(ca, keystore, issued, **fields):
    wanted = {"key_id": "id", "common_name": SERIAL, "roots": (ca.fingerprint,), **fields}
    ask = KeepStationCertificate(2, issued.chain, at_s=wall_s(), **wanted)
    return answered(ask, keystore)


@pytest.mark.parametrize("algorithm", ["EC-P256", "RSA-2048"])
def test_from_the_request_to_the_certificate_the_key_stays_where_it_is(ca, keystore, algorithm):
    keep(ca, keystore)
    made = answered(MakeSigningRequest("id", SERIAL, "Example CPO", algorithm), keystore)
    assert isinstance(made, SigningRequestMade)
    assert x509.load_pem_x509_csr(made.csr.encode()).is_signature_valid
    issued = ca.sign(made.csr)
    told = offer(ca, keystore, issued)
    assert isinstance(told, CertificateKept)
    assert told.certificate.fingerprint == issued.fingerprint
    assert keystore.key(issued.fingerprint).read_bytes() == keystore.pending("id").read_bytes()
    assert answered(DropKey("id"), keystore) is None
    assert not keystore.pending("id").exists()
    assert answered(DropCertificate(STATION, issued.fingerprint), keystore) is None
    assert not keystore.key(issued.fingerprint).exists()


def test_a_certificate_of_a_stranger_is_refused(ca, keystore):
    keep(ca, keystore)
    made = answered(MAKE, keystore)
    assert isinstance(made, SigningRequestMade)
    told = offer(ca, keystore, Authority("stranger").sign(made.csr))
    assert told == CertificateRefused(2, "no installed CSMS root has issued it")


def test_a_request_whose_key_is_lost_is_a_failure(ca, keystore):
    keep(ca, keystore)
    told = offer(ca, keystore, ca.issue(SERIAL))
    assert isinstance(told, CertificateRefused)
    assert told.is_failure


def test_a_request_that_cannot_be_made_or_kept_says_so(tmp_path):
    long = MakeSigningRequest("id", "x" * 65, "Example CPO", "EC-P256")
    assert answered(long, Keystore(tmp_path)) == SigningRequestMade("id", "")
    (tmp_path / NAME).write_text("in the way")
    assert answered(MAKE, Keystore(tmp_path)) == SigningRequestMade("id", "")


def test_what_cannot_be_removed_is_left_to_the_next_start(tmp_path, caplog):
    (tmp_path / NAME).write_text("in the way")
    for ask in (DropKey("id"), DropCertificate(CSMS, "aa")):
        assert answered(ask, Keystore(tmp_path)) is None
    assert caplog.text.count("cannot be removed") == 2


def test_asks_are_worked_off_in_their_order(ca, keystore):
    told = []

    async def story():
        events = asyncio.Queue()
        keeper = Keeper(keystore, events.put_nowait)
        working = asyncio.create_task(keeper.run())
        keeper.take(KeepRoot(1, CSMS, ca.pem, "", None))
        keeper.take(DropCertificate(CSMS, ca.fingerprint))
        told.append(await events.get())
        keeper.take(KeepRoot(2, CSMS, "rubbish", "", None))
        told.append(await events.get())
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(story())
    assert [type(event) for event in told] == [CertificateKept, CertificateRefused]
    assert not keystore.files()
