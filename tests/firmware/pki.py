"""A manufacturer made by the tests: its roots, its signers, and everything that can be wrong."""

import base64
import datetime as dt
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z
NOW = dt.datetime.fromtimestamp(NOW_S, dt.UTC)
YEAR = dt.timedelta(days=365)


@cache
def ec_key(number=0, curve=ec.SECP256R1):
    return ec.generate_private_key(curve())


@cache
def rsa_key(number=0, bits=2048):
    return rsa.generate_private_key(65537, bits)


def key_usage(**named):
    fields = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**fields, **named})


def named(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate(
    subject,
    key,
    issuer,
    issuer_key,
    *extensions,
    begins=NOW - YEAR,
    ends=NOW + YEAR,
    digest=None,
    serial=None,
    public_key=None,
):
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(public_key or key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(issuer_key, digest or hashes.SHA256())


def pem(found):
    return found.public_bytes(serialization.Encoding.PEM)


CA = (x509.BasicConstraints(ca=True, path_length=0), True)
CERT_SIGN = (key_usage(key_cert_sign=True, crl_sign=True), True)
NO_CA = (x509.BasicConstraints(ca=False, path_length=None), True)
SIGNS = (key_usage(digital_signature=True), True)
CODE = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)


def root(name="root", key=None, *extensions, **more):
    key = key or ec_key("root")
    return pem(certificate(name, key, name, key, *(extensions or (CA, CERT_SIGN)), **more))


def leaf(key=None, *extensions, issuer="root", issuer_key=None, **more):
    found = certificate(
        "signer",
        key or ec_key("signer"),
        issuer,
        issuer_key or ec_key("root"),
        *(extensions or (NO_CA, SIGNS, CODE)),
        **more,
    )
    return pem(found)


def signed(key, data):
    """Return the signature of data as the build machine makes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return key.sign(data, scheme, hashes.SHA256())
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def signed_text(key, data):
    return base64.b64encode(signed(key, data)).decode()


def crl(*serials, issuer="root", key=None):
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(named(issuer))
        .last_update(NOW - YEAR)
        .next_update(NOW + YEAR)
    )
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
        builder = builder.add_revoked_certificate(revoked.build())
    found = builder.sign(key or ec_key("root"), hashes.SHA256())
    return found.public_bytes(serialization.Encoding.PEM)
