"""Every way in which an image or its signer can be wrong, and that the right ones pass."""

import base64
import datetime as dt
import hashlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent.firmware import errors, verify
from agent.firmware.errors import Refusal
from agent.firmware.manifest import Manifest
from agent.firmware.verify import Installed, Keyring
from tests.firmware.pki import (
    CA,
    CERT_SIGN,
    CODE,
    NO_CA,
    NOW,
    NOW_S,
    SIGNS,
    YEAR,
    crl,
    ec_key,
    key_usage,
    leaf,
    root,
    rsa_key,
    signed,
    signed_text,
)

DATA = b"firmware" * 1000
DIGEST = hashlib.sha256(DATA).digest()


def keyring(*roots, **more):
    return Keyring(roots or (root(),), **more)


def refused(error, pem, ring=None, at_s=NOW_S):
    with pytest.raises(error) as found:
        verify.signer(pem, ring or keyring(), at_s)
    assert type(found.value) is error
    return found.value


# --- who signed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        ec_key("signer"),
        ec_key("signer", ec.SECP384R1),
        ec_key("signer", ec.SECP521R1),
        rsa_key(),
    ],
    ids=["P-256", "P-384", "P-521", "RSA-2048"],
)
def test_a_certificate_of_the_manufacturer_is_trusted(key):
    by = verify.signer(leaf(key), keyring(), NOW_S)
    verify.check_signature(by, signed(key, DATA), DIGEST)


def test_any_of_several_roots_may_have_issued_it():
    other = root("other", ec_key("other"))
    assert verify.signer(leaf(), keyring(other, b"nonsense", root()), NOW_S)
    assert verify.signer(leaf(), keyring(other + root()), NOW_S)


def test_an_rsa_root_may_issue_too():
    ring = keyring(root("root", rsa_key("root")))
    assert verify.signer(leaf(issuer_key=rsa_key("root")), ring, NOW_S)


def test_extended_key_usage_may_be_missing():
    assert verify.signer(leaf(None, NO_CA, SIGNS), keyring(), NOW_S)
    assert verify.signer(leaf(None, SIGNS), keyring(), NOW_S)


def test_a_certificate_of_another_root_is_refused_although_its_key_signs_well():
    forged = leaf(issuer="root", issuer_key=ec_key("thief"))
    assert refused(errors.UntrustedCertificateError, forged).refusal is Refusal.CERTIFICATE


def test_a_certificate_of_an_unknown_issuer_is_refused():
    refused(errors.UntrustedCertificateError, leaf(issuer="nobody"))
    refused(errors.UntrustedCertificateError, leaf(), Keyring())


def test_a_self_signed_certificate_is_refused():
    alone = leaf(issuer="signer", issuer_key=ec_key("signer"))
    refused(errors.UntrustedCertificateError, alone)


def test_a_root_does_not_sign_images_itself():
    refused(errors.WrongUsageError, root())


@pytest.mark.parametrize(
    "poor",
    [
        root("root", None, CERT_SIGN),
        root("root", None, NO_CA, CERT_SIGN),
        root("root", None, CA, (key_usage(digital_signature=True), True)),
    ],
    ids=["no basic constraints", "no authority", "key usage without keyCertSign"],
)
def test_a_root_that_is_no_authority_vouches_for_nobody(poor):
    refused(errors.UntrustedCertificateError, leaf(), keyring(poor))


def test_a_root_without_key_usage_may_issue():
    assert verify.signer(leaf(), keyring(root("root", None, CA)), NOW_S)


def test_an_expired_certificate_is_refused():
    refused(errors.ExpiredError, leaf(ends=NOW - YEAR / 2))
    refused(errors.ExpiredError, leaf(), keyring(root(ends=NOW - YEAR / 2)))


def test_validity_ends_after_its_last_second():
    last = leaf(ends=NOW)
    assert verify.signer(last, keyring(), NOW_S)
    refused(errors.ExpiredError, last, at_s=NOW_S + 1.0)


def test_a_certificate_of_the_future_is_refused():
    refused(errors.NotYetValidError, leaf(begins=NOW + dt.timedelta(seconds=1)))
    refused(errors.NotYetValidError, leaf(), keyring(root(begins=NOW + YEAR / 2)))


def test_without_a_known_time_nobody_is_trusted():
    refused(errors.UnknownTimeError, leaf(), at_s=None)


@pytest.mark.parametrize(
    "extensions",
    [
        (NO_CA, CODE),
        (NO_CA, (key_usage(key_cert_sign=True), True), CODE),
        (CA, SIGNS),
        (NO_CA, SIGNS, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)),
        (
            NO_CA,
            SIGNS,
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.9.9"), b"x"), True),
        ),
    ],
    ids=["no key usage", "other key usage", "authority", "TLS server", "critical unknown"],
)
def test_a_certificate_for_something_else_is_refused(extensions):
    refused(errors.WrongUsageError, leaf(None, *extensions))


def test_an_unknown_extension_that_is_not_critical_does_not_matter():
    extra = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.9.9"), b"x")
    assert verify.signer(leaf(None, NO_CA, SIGNS, (extra, False)), keyring(), NOW_S)


def test_weak_keys_are_refused():
    refused(errors.WeakKeyError, leaf(rsa_key(0, 1024)))
    refused(errors.WeakKeyError, leaf(ec_key(0, ec.SECP192R1)))
    refused(errors.WeakKeyError, leaf(ec_key(), public_key=ed25519_key()))
    small = root("root", rsa_key(0, 1024))
    refused(errors.WeakKeyError, leaf(issuer_key=rsa_key(0, 1024)), keyring(small))


def ed25519_key():
    return ed25519.Ed25519PrivateKey.generate().public_key()


def test_a_certificate_that_is_signed_with_sha1_is_refused(tmp_path):
    refused(errors.WeakKeyError, sha1_leaf(tmp_path))


def sha1_leaf(tmp_path):
    """Return what only an old tool still makes."""
    (tmp_path / "root.pem").write_bytes(root())
    for name in ("root", "signer"):
        text = ec_key(name).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (tmp_path / f"{name}.key").write_bytes(text)
    extensions = "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n"
    (tmp_path / "ext").write_text(extensions)
    request = ["openssl", "req", "-new", "-key", "signer.key", "-subj", "/CN=signer"]
    subprocess.run([*request, "-out", "signer.csr"], cwd=tmp_path, check=True)
    issue = ["openssl", "x509", "-req", "-in", "signer.csr", "-CA", "root.pem"]
    issue += ["-CAkey", "root.key", "-sha1", "-extfile", "ext", "-out", "signer.pem"]
    subprocess.run(issue, cwd=tmp_path, check=True, capture_output=True)
    return (tmp_path / "signer.pem").read_bytes()


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"nonsense",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        leaf() + leaf(),
        leaf()[:-40],
        leaf().replace(b"M", b"\xff", 1),
    ],
    ids=["empty", "text", "no DER", "two", "cut", "no base64"],
)
def test_what_is_not_one_certificate_is_refused(broken):
    refused(errors.UnreadableCertificateError, broken)


def test_a_certificate_with_a_huge_extension_is_refused_before_it_is_read():
    blob = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.9.9"), bytes(1 << 20))
    huge = leaf(None, NO_CA, SIGNS, (blob, False))
    assert "longer than" in str(refused(errors.UnreadableCertificateError, huge))


def test_a_key_that_cannot_be_read_is_refused():
    """An elliptic curve that the library does not know."""
    text = leaf()
    assert b"\x2a\x86\x48\xce\x3d\x03\x01\x07" in x509.load_pem_x509_certificate(
        text
    ).public_bytes(serialization.Encoding.DER)
    der = x509.load_pem_x509_certificate(text).public_bytes(serialization.Encoding.DER)
    strange = der.replace(
        b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x7f"
    )
    refused(errors.WeakKeyError, to_pem(strange))


def to_pem(der):
    text = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


def test_a_revoked_certificate_is_refused():
    text = leaf(serial=4711)
    fingerprint = verify.signer(text, keyring(), NOW_S).fingerprint
    ring = keyring(revoked=frozenset({fingerprint}))
    assert refused(errors.RevokedCertificateError, text, ring).refusal is Refusal.REVOKED
    refused(errors.RevokedCertificateError, text, keyring(crls=(b"no list", crl(1, 4711))))


def test_a_revocation_list_counts_only_when_the_root_has_signed_it():
    text = leaf(serial=4711)
    forged = crl(4711, key=ec_key("thief"))
    foreign = crl(4711, issuer="other")
    assert verify.signer(text, keyring(crls=(forged, foreign, crl(4712))), NOW_S)


def test_a_stranger_is_whom_the_certificate_names_and_nobody_vouches_for():
    by = verify.stranger(leaf(issuer="nobody"))
    verify.check_signature(by, signed(ec_key("signer"), DATA), DIGEST)
    with pytest.raises(errors.WeakKeyError):
        verify.stranger(leaf(rsa_key(0, 1024)))


# --- the signature ------------------------------------------------------------------------


def trusted(key):
    return verify.signer(leaf(key), keyring(), NOW_S)


def bad_signature(by, signature, digest=DIGEST):
    with pytest.raises(errors.WrongSignatureError) as found:
        verify.check_signature(by, signature, digest)
    assert found.value.refusal is Refusal.SIGNATURE


@pytest.mark.parametrize("key", [ec_key("signer"), rsa_key()], ids=["ECDSA", "RSA"])
def test_a_signature_of_something_else_is_refused(key):
    by, signature = trusted(key), signed(key, DATA)
    bad_signature(by, signed(key, b"another file"))
    bad_signature(by, signature, hashlib.sha256(DATA + b"\0").digest())
    bad_signature(by, signature, hashlib.sha256(DATA[:-1]).digest())
    for at in range(len(signature)):
        flipped = bytearray(signature)
        flipped[at] ^= 1
        bad_signature(by, bytes(flipped))
    for cut in (b"", signature[:-1], signature + b"\0"):
        bad_signature(by, cut)


def test_a_signature_with_another_key_is_refused():
    bad_signature(trusted(ec_key("signer")), signed(ec_key("thief"), DATA))
    bad_signature(trusted(rsa_key()), signed(rsa_key("thief"), DATA))
    bad_signature(trusted(rsa_key()), signed(ec_key("signer"), DATA))


def test_weaker_schemes_are_refused():
    bad_signature(trusted(rsa_key()), rsa_key().sign(DATA, padding.PKCS1v15(), hashes.SHA256()))
    pss = padding.PSS(padding.MGF1(hashes.SHA1()), 20)
    bad_signature(trusted(rsa_key()), rsa_key().sign(DATA, pss, hashes.SHA1()))
    weak = ec_key("signer").sign(DATA, ec.ECDSA(hashes.SHA1()))
    bad_signature(trusted(ec_key("signer")), weak)


def test_a_salt_of_any_length_is_taken():
    longest = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    verify.check_signature(
        trusted(rsa_key()), rsa_key().sign(DATA, longest, hashes.SHA256()), DIGEST
    )


def test_base64_may_be_wrapped():
    key = ec_key("signer")
    text = signed_text(key, DATA)
    wrapped = f" {text[:20]}\r\n{text[20:]}\n"
    verify.check_signature(trusted(key), verify.from_base64(wrapped), DIGEST)


@pytest.mark.parametrize("text", ["@@@@", "abc", "ä" * 4])
def test_a_signature_that_is_no_base64_is_refused(text):
    with pytest.raises(errors.WrongSignatureError):
        verify.from_base64(text)


# --- manifest and payload -----------------------------------------------------------------


def manifest(**changes):
    fields = {
        "product": "Wallbox One",
        "hardware": ("r1", "r2"),
        "version": "1.5.0",
        "size": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }
    return Manifest(**{**fields, **changes})


STATION = Installed("Wallbox One", "r2", "1.4.9", most_bytes=len(DATA))


def unfit(error, found, station=STATION):
    with pytest.raises(error) as raised:
        verify.check_manifest(found, station)
    assert type(raised.value) is error
    assert raised.value.refusal is Refusal.IMAGE


def test_an_image_for_this_station_fits():
    verify.check_manifest(manifest(), STATION)
    verify.check_manifest(manifest(hardware=("*",)), Installed("Wallbox One", "", "1.5.0"))
    verify.check_manifest(manifest(minimum_version="1.4.9"), STATION)


def test_an_image_for_something_else_does_not():
    unfit(errors.WrongProductError, manifest(product="Wallbox Two"))
    unfit(errors.WrongHardwareError, manifest(hardware=("r3",)))
    unfit(errors.WrongHardwareError, manifest(), Installed("Wallbox One", "", "1.4.9"))
    unfit(errors.SizeError, manifest(size=len(DATA) + 1))


def test_an_older_version_is_installed_only_when_that_is_allowed():
    older = manifest(version="1.4.8")
    unfit(errors.DowngradeError, older)
    allowing = Installed("Wallbox One", "r2", "1.4.9", allows_downgrade=True)
    verify.check_manifest(older, allowing)


def test_a_version_that_cannot_be_compared_is_no_upgrade():
    unfit(errors.DowngradeError, manifest(), Installed("Wallbox One", "r2", "winter release"))
    odd = Installed("Wallbox One", "r2", "winter release", allows_downgrade=True)
    verify.check_manifest(manifest(minimum_version="1.0"), odd)


def test_what_has_to_run_before_has_to_run_before():
    unfit(errors.DowngradeError, manifest(minimum_version="1.5.0"))
    allowing = Installed("Wallbox One", "r2", "1.4.9", allows_downgrade=True)
    unfit(errors.DowngradeError, manifest(minimum_version="1.5.0"), allowing)


def test_the_payload_has_the_size_and_the_digest_of_the_manifest():
    verify.check_payload(manifest(), len(DATA), DIGEST)
    for size in (len(DATA) - 1, len(DATA) + 1):
        with pytest.raises(errors.SizeError):
            verify.check_payload(manifest(), size, DIGEST)
    with pytest.raises(errors.DigestError):
        verify.check_payload(manifest(), len(DATA), hashlib.sha256(b"").digest())
