import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from agent.bench.keeper import wall_s
from agent.core.trust import CertificateKind
from agent.security import certs
from agent.security.certs import CertificateError
from tests.support.ca import DAY_S, Authority, Issued, new_key

SERIAL = "EX-0001"
NOW_S = wall_s()


@pytest.fixture(scope="module")
def ca():
    return Authority("root")


# --- reading ---


def test_a_chain_is_read_in_its_order(ca):
    middle = Authority("middle", ca)
    issued = middle.issue(SERIAL)
    found = certs.chain(issued.chain.encode())
    assert found == [issued.certificate, middle.certificate]
    assert certs.single(ca.pem.encode()) == ca.certificate
    assert certs.to_pem(ca.certificate).decode() == ca.pem


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        ("", "certificates in PEM and nothing else"),
        ("hello", "certificates in PEM and nothing else"),
        ("x" * 100_001, "longer than 100000 bytes"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a certificate"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "not a certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "not a certificate|cut off"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "nothing else"),
    ],
)
def test_what_is_no_certificate_is_refused(pem, reason):
    with pytest.raises(CertificateError, match=reason):
        certs.chain(pem.encode())


def test_one_certificate_is_one_and_nothing_after_it(ca):
    with pytest.raises(CertificateError, match="one certificate"):
        certs.single((ca.pem + ca.pem).encode())
    with pytest.raises(CertificateError, match="something follows"):
        certs.single((ca.pem + "rubbish").encode())
    with pytest.raises(CertificateError, match="nothing else"):
        certs.single((ca.pem + ca.key_pem).encode())
    with pytest.raises(CertificateError, match="cut off"):
        certs.chain((ca.pem + ca.pem[: len(ca.pem) // 2]).encode())


@given(st.binary(max_size=2000))
def test_hostile_bytes_end_in_one_exception(raw):
    for read in (certs.chain, certs.single, certs.key_of):
        with pytest.raises(CertificateError):
            read(raw)


@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(data):
    pem = bytearray(DAMAGED.pem.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        pem[data.draw(st.integers(0, len(pem) - 1))] = data.draw(st.integers(0, 255))
    try:
        for certificate in certs.chain(bytes(pem)):
            certs.facts(certificate, CertificateKind.CSMS_ROOT)
            certs.check_root(certificate, NOW_S)
    except CertificateError:
        pass


DAMAGED = Authority("damaged")


# --- facts ---


@pytest.mark.parametrize("kind", ["P-256", "RSA-2048"])
def test_hash_data_is_that_of_openssl_and_of_the_recipe(kind):
    ca = Authority("root", kind=kind, serial=4095)
    found = certs.facts(ca.certificate, CertificateKind.CSMS_ROOT)
    assert found.fingerprint == ca.fingerprint
    assert [one.algorithm for one in found.hashes] == ["SHA256", "SHA384", "SHA512"]
    assert [len(one.issuer_name_hash) for one in found.hashes] == [64, 96, 128]
    # OCSP asks with the same hashes (RFC 6960 4.1.1), made by another hand.
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        ca.certificate, ca.certificate, certs._HASHES["SHA256"]()
    )
    asked = builder.build()
    assert found.hashes[0].issuer_name_hash == asked.issuer_name_hash.hex()
    assert found.hashes[0].issuer_key_hash == asked.issuer_key_hash.hex()
    assert found.hashes[0].serial_number == "fff"


def test_of_a_certificate_that_another_has_issued_the_issuers_key_counts(ca):
    issued = ca.issue(SERIAL)
    own = certs.facts(ca.certificate, CertificateKind.CSMS_ROOT).hashes[0]
    told = certs.facts(issued.certificate, CertificateKind.STATION, ca.certificate).hashes[0]
    assert told.issuer_name_hash == own.issuer_name_hash
    assert told.issuer_key_hash == own.issuer_key_hash


def test_names_and_dates_are_told(ca):
    found = certs.facts(ca.issue(SERIAL, ends=10).certificate, CertificateKind.STATION)
    assert found.subject == f"CN={SERIAL}"
    assert abs(found.not_after_s - (wall_s() + 10 * DAY_S)) < 60.0
    assert found.not_before_s < wall_s() < found.not_after_s


# --- roots ---


def root_of(**options):
    return Authority("root", **options).certificate


def test_a_root_is_a_ca_that_is_valid_now():
    certs.check_root(root_of(), NOW_S)
    certs.check_root(root_of(begins=-20, ends=-1), None)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"is_ca": False}, "not a CA"),
        ({"is_ca": None}, "not a CA"),
        ({"begins": -20, "ends": -1}, "expired on"),
        ({"begins": 1}, "not valid before"),
        ({"kind": "RSA-1024"}, "its key must be RSA of 2048 bits"),
        ({"kind": "P-192"}, "its key must be"),
    ],
)
def test_what_must_not_be_trusted_is_no_root(options, reason):
    with pytest.raises(CertificateError, match=reason):
        certs.check_root(root_of(**options), NOW_S)


def test_a_new_root_is_signed_by_the_old_one_or_not(ca):
    certs.check_signed_by(Authority("new", ca).certificate, ca.certificate)
    with pytest.raises(CertificateError, match="not signed by CN=root"):
        certs.check_signed_by(Authority("new").certificate, ca.certificate)
    with pytest.raises(CertificateError, match="not signed by"):
        certs.check_signed_by(Authority("root").certificate, ca.certificate)


# --- the station's own ---


def judged(issued, roots, *, key=None, name=SERIAL, at_s=NOW_S):
    certs.check_station(
        certs.chain(issued.chain.encode()),
        key=key or issued.key,
        common_name=name,
        roots=[root.certificate for root in roots],
        at_s=at_s,
    )


def test_a_certificate_for_the_station_is_taken(ca):
    key = certs.new_key("EC-P256")
    csr = certs.signing_request(key, common_name=SERIAL, organization="Example CPO")
    assert len(csr) <= 5500
    request = x509.load_pem_x509_csr(csr.encode())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == f"O=Example CPO,CN={SERIAL}"
    judged(ca.sign(csr), [Authority("other"), ca], key=key)


@pytest.mark.parametrize("length", [1, 2])
def test_intermediates_lead_to_a_root(ca, length):
    authority = ca
    for number in range(length):
        authority = Authority(f"middle {number}", authority)
    judged(authority.issue(SERIAL, organization="Example CPO"), [ca])


def test_a_root_that_is_an_intermediate_is_enough(ca):
    middle = Authority("middle", ca)
    judged(middle.issue(SERIAL, organization="Example CPO"), [middle])


def test_rsa_is_as_good(ca):
    key = certs.new_key("RSA-2048")
    csr = certs.signing_request(key, common_name=SERIAL, organization="Example CPO")
    judged(ca.sign(csr), [ca], key=key)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"name": "EX-0002"}, "common name is not the serial number"),
        ({"organization": None}, "names no organization"),
        ({"begins": -20, "ends": -1}, "expired on"),
        ({"begins": 1}, "not valid before"),
        ({"is_ca": True}, "it is a CA certificate"),
        ({"kind": "RSA-1024"}, "its key must be"),
        ({"usage": "server"}, "does not allow a client"),
    ],
)
def test_a_certificate_that_the_csms_would_refuse_is_refused(ca, options, reason):
    name = options.pop("name", SERIAL)
    issued = ca.issue(name, **{"organization": "Example CPO", **options})
    with pytest.raises(CertificateError, match=reason):
        judged(issued, [ca])


def test_a_usage_for_clients_is_fine(ca):
    judged(ca.issue(SERIAL, organization="Example CPO", usage="client"), [ca])


def test_a_certificate_for_another_key_is_refused(ca):
    issued = ca.issue(SERIAL, organization="Example CPO")
    with pytest.raises(CertificateError, match="does not belong to the private key"):
        judged(issued, [ca], key=certs.new_key("EC-P256"))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda ca: ([], Authority("middle", ca)),
        lambda ca: ([Authority("other")], Authority("middle", ca)),
        lambda ca: ([ca], Authority("middle", ca, begins=-20, ends=-1)),
        lambda ca: ([ca], Authority("middle", ca, is_ca=False)),
        lambda ca: ([ca], Authority("middle", ca, kind="RSA-1024")),
    ],
    ids=["no roots", "another root", "expired between", "no CA between", "weak between"],
)
def test_a_chain_that_leads_nowhere_is_refused(ca, break_it):
    roots, authority = break_it(ca)
    with pytest.raises(CertificateError, match="no installed CSMS root"):
        judged(authority.issue(SERIAL, organization="Example CPO"), roots)


def test_a_ca_that_may_not_have_others_below_it_has_none():
    ca = Authority("root", path_length=0)
    judged(ca.issue(SERIAL, organization="Example CPO"), [ca])
    middle = Authority("middle", ca)
    with pytest.raises(CertificateError, match="no installed CSMS root"):
        judged(middle.issue(SERIAL, organization="Example CPO"), [ca])


def test_a_chain_has_so_many_certificates_and_no_more(ca):
    issued = ca.issue(SERIAL, organization="Example CPO")
    long = Issued(issued.certificate, issued.key, ca.pem * certs.LONGEST_CHAIN)
    with pytest.raises(CertificateError, match="more than 8"):
        judged(long, [ca])


def test_a_chain_that_goes_round_in_circles_ends(ca):
    above = Authority("a")
    issued = above.issue(SERIAL, organization="Example CPO")
    round_about = Issued(issued.certificate, issued.key, above.pem * 7)
    with pytest.raises(CertificateError, match="no installed CSMS root"):
        judged(round_about, [ca])


# --- keys ---


@pytest.mark.parametrize("algorithm", ["EC-P256", "RSA-2048"])
def test_a_key_goes_to_the_keystore_and_back(algorithm):
    key = certs.new_key(algorithm)
    certs.check_key(key.public_key())
    back = certs.key_of(certs.key_to_pem(key))
    assert certs.public_bytes(back.public_key()) == certs.public_bytes(key.public_key())


def test_keys_of_other_kinds_are_refused():
    for key in (ed25519.Ed25519PrivateKey.generate(), dsa.generate_private_key(2048)):
        pem = Issued(DAMAGED.certificate, key).key_pem
        with pytest.raises(CertificateError, match="EC or RSA"):
            certs.key_of(pem.encode())
        with pytest.raises(CertificateError, match="EC or RSA"):
            certs.public_bytes(key.public_key())
        with pytest.raises(CertificateError, match="must be RSA"):
            certs.check_key(key.public_key())


def test_a_certificate_of_another_kind_of_key_has_no_facts():
    ca = Authority("ed", key=ed25519.Ed25519PrivateKey.generate(), algorithm=None)
    with pytest.raises(CertificateError, match="EC or RSA"):
        certs.facts(ca.certificate, CertificateKind.CSMS_ROOT)


def test_an_encrypted_or_absurd_key_is_refused():
    with pytest.raises(CertificateError, match="not encrypted"):
        certs.key_of(new_key_locked())
    with pytest.raises(CertificateError, match="longer than"):
        certs.key_of(b"x" * 200_000)


def new_key_locked():
    return new_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
