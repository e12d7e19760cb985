import pytest

from agent.core.trust import CertificateKind
from agent.security.keystore import Keystore
from agent.security.provisioning import ProvisioningError, Source, provisioned, recovered
from tests.support.ca import Authority

CSMS, STATION = CertificateKind.CSMS_ROOT, CertificateKind.STATION


@pytest.fixture(scope="module")
def ca():
    return Authority("root")


def source(kind, pem, key=""):
    return Source(kind, "the file", pem.encode(), key.encode())


def test_roots_of_a_file_are_kept_each_by_itself(ca, tmp_path):
    keystore, other = Keystore(tmp_path), Authority("other")
    (event,) = provisioned([source(CSMS, ca.pem + other.pem)], {}, keystore)
    assert [one.fingerprint for one in event.certificates] == [
        ca.fingerprint,
        other.fingerprint,
    ]
    assert keystore.certificate(CSMS, other.fingerprint).read_text() == other.pem


def test_the_stations_certificate_is_kept_with_its_chain_and_key(ca, tmp_path):
    keystore, issued = Keystore(tmp_path), Authority("middle", ca).issue("EX-0001")
    (event,) = provisioned([source(STATION, issued.chain, issued.key_pem)], {}, keystore)
    assert [one.fingerprint for one in event.certificates] == [issued.fingerprint]
    assert keystore.certificate(STATION, issued.fingerprint).read_text() == issued.chain
    assert keystore.key(issued.fingerprint).read_text() == issued.key_pem


def test_what_was_provisioned_once_is_not_again(ca, tmp_path):
    keystore = Keystore(tmp_path)
    wanted = [source(CSMS, ca.pem)]
    (event,) = provisioned(wanted, {}, keystore)
    assert provisioned(wanted, {event.source: True}, keystore) == []
    assert (
        len(
            provisioned(
                [source(CertificateKind.MO_ROOT, ca.pem)], {event.source: True}, keystore
            )
        )
        == 1
    )


def test_an_expired_root_is_provisioned_and_judged_when_it_is_used(tmp_path):
    old = Authority("old", begins=-20, ends=-1)
    assert len(provisioned([source(CSMS, old.pem)], {}, Keystore(tmp_path))) == 1


@pytest.mark.parametrize(
    ("kind", "make", "reason"),
    [
        (CSMS, lambda ca: ("rubbish", ""), "the file: it must hold certificates"),
        (CSMS, lambda ca: (ca.issue("x").pem, ""), "the file: it is not a CA"),
        (STATION, lambda ca: (ca.issue("x").pem, "rubbish"), "not a private key"),
        (
            STATION,
            lambda ca: (ca.issue("x").pem, ca.key_pem),
            "does not belong to the private key",
        ),
    ],
)
def test_a_file_that_holds_something_else_is_named(ca, tmp_path, kind, make, reason):
    with pytest.raises(ProvisioningError, match=reason):
        provisioned([source(kind, *make(ca))], {}, Keystore(tmp_path))


def test_a_station_whose_state_is_lost_recovers_what_lies_in_the_directory(ca, tmp_path):
    keystore, issued = Keystore(tmp_path), ca.issue("EX-0001")
    assert recovered(keystore) == []
    provisioned(
        [source(CSMS, ca.pem), source(STATION, issued.chain, issued.key_pem)], {}, keystore
    )
    keystore.keep(CSMS, "broken", b"rubbish")
    (event,) = recovered(keystore)
    assert {one.key for one in event.certificates} == {
        f"csms-roots/{ca.fingerprint}",
        f"station/{issued.fingerprint}",
    }
