"""One form of a manifest, and nothing but whole bundles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.firmware import manifest as manifests
from agent.firmware.errors import UnreadableImageError
from agent.firmware.manifest import Manifest

MANIFEST = Manifest("Wallbox One", ("r1", "r2"), "1.5.0", 3, "ab" * 32, "1.0")
BUNDLE = manifests.packed(MANIFEST, b"signature", b"certificate") + b"pay"


def test_a_bundle_is_read_as_it_was_written():
    header = manifests.unpacked(BUNDLE)
    assert header.manifest == MANIFEST
    assert header.signed == manifests.encoded(MANIFEST)
    assert (header.signature, header.certificate) == (b"signature", b"certificate")
    assert BUNDLE[header.payload_at :] == b"pay"


def test_the_manifest_is_sorted_json_without_blanks():
    assert manifests.encoded(MANIFEST) == (
        b'{"hardware":["r1","r2"],"minimum_version":"1.0","product":"Wallbox One",'
        b'"sha256":"' + b"ab" * 32 + b'","size":3,"version":"1.5.0"}'
    )


def test_only_what_begins_like_a_bundle_claims_to_be_one():
    assert manifests.is_bundle(BUNDLE)
    assert not manifests.is_bundle(b"hsqs")
    assert not manifests.is_bundle(b"")


@pytest.mark.parametrize(
    "raw",
    [
        manifests.encoded(MANIFEST) + b" ",
        b" " + manifests.encoded(MANIFEST),
        manifests.encoded(MANIFEST).replace(b'"size":3', b'"size":3.0'),
        manifests.encoded(MANIFEST).replace(b'"size":3', b'"size":0'),
        manifests.encoded(MANIFEST).replace(b'"size":3', b'"size":3,"size":3'),
        manifests.encoded(MANIFEST).replace(b'"size"', b'"extra":1,"size"'),
        manifests.encoded(MANIFEST).replace(b"1.5.0", b"latest"),
        manifests.encoded(MANIFEST).replace(b'"1.0"', b'"x"'),
        manifests.encoded(MANIFEST).replace(b'["r1","r2"]', b"[]"),
        manifests.encoded(MANIFEST).replace(b"Wallbox One", b"../../etc\\n"),
        manifests.encoded(MANIFEST).replace(b"abab", b"ABAB"),
        b"[" * 100_000,
        b"\xff",
        b"null",
    ],
)
def test_anything_but_the_canonical_form_is_refused(raw):
    with pytest.raises(UnreadableImageError):
        manifests.decoded(raw)


@pytest.mark.parametrize("length", [0, 5, 19, 30, len(BUNDLE) - len(b"pay") - 1])
def test_a_bundle_that_was_cut_is_refused(length):
    with pytest.raises(UnreadableImageError):
        manifests.unpacked(BUNDLE[:length])


@pytest.mark.parametrize("at", [0, 7, 8, 12, 16])
def test_a_flipped_bit_in_the_head_is_refused(at):
    broken = bytearray(BUNDLE)
    broken[at] ^= 0x80
    with pytest.raises(UnreadableImageError):
        manifests.unpacked(bytes(broken))


def test_a_part_without_a_byte_is_refused():
    with pytest.raises(UnreadableImageError):
        manifests.unpacked(manifests.packed(MANIFEST, b"", b"certificate"))


@given(st.binary(max_size=400))
def test_whatever_comes_is_read_or_refused(raw):
    with pytest.raises(UnreadableImageError):
        manifests.unpacked(manifests.MAGIC + raw)


def test_versions_are_sorted_as_people_sort_them():
    ordered = ["0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11"]
    ordered += ["1.0.0-rc1", "1.0", "1.0.0.1", "1.2.9", "1.10.0", "2"]
    assert sorted(ordered, key=manifests.order) == ordered
    assert manifests.order("1") == manifests.order("1.0.0.0")


@pytest.mark.parametrize(
    "text", ["", "v1", "1..2", "1.2.3.4.5", "1.0-", "1.0 ", "1\n", "9" * 10]
)
def test_what_is_no_version_has_no_order(text):
    assert manifests.order(text) is None
