"""Hash data: one certificate, however a message spells its name."""

from msgspec.structs import replace

from agent.core.trust import CertificateKind
from tests.support.core import certificate_of, hash_data

NAMED = hash_data("abc")


def test_a_name_is_the_same_however_it_is_spelled() -> None:
    assert NAMED.same(replace(NAMED, algorithm="sha256", issuer_name_hash="SHA256-ABC"))
    assert NAMED.same(replace(NAMED, serial_number="001F"))


def test_another_issuer_number_or_algorithm_is_another_name() -> None:
    assert not NAMED.same(replace(NAMED, serial_number="2f"))
    assert not NAMED.same(replace(NAMED, issuer_key_hash="other"))
    assert not NAMED.same(replace(NAMED, algorithm="SHA512"))


def test_the_number_zero_has_one_digit() -> None:
    zero = replace(NAMED, serial_number="0")
    assert zero.same(replace(NAMED, serial_number="000"))
    assert zero.spelled()[3] == "0"


def test_a_certificate_of_two_kinds_is_kept_twice() -> None:
    keys = {certificate_of("a", kind).key for kind in CertificateKind}
    assert len(keys) == len(CertificateKind)
