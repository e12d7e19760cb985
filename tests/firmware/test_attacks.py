"""The attack matrix: each is refused, for its own reason, and leaves the slots as they were."""

import hashlib
import tarfile

import pytest

from agent.firmware import manifest as manifests
from agent.firmware.__main__ import result
from agent.firmware.errors import DigestError, Refusal, SizeError, UnreadableImageError
from agent.firmware.image import Image, Payload
from agent.firmware.installer import Slots
from agent.firmware.task import Broken, Deed, Refused, Well
from tests.firmware.bundles import Station, archive, bundle
from tests.firmware.pki import crl, ec_key, leaf, root, signed_text


@pytest.fixture
def station(tmp_path):
    return Station(tmp_path)


def attacked(station, content, refusal, name, **changes):
    """Check that neither verifying nor installing takes an image."""
    station.image.write_bytes(content)
    for deed in (Deed.VERIFY, Deed.INSTALL):
        said = result(station.task(deed, **changes))
        assert isinstance(said, Refused), said
        assert (said.refusal, said.info.partition(":")[0]) == (refusal, name)
        assert station.is_untouched


def test_what_is_good_is_taken(station):
    station.image.write_bytes(bundle())
    assert result(station.task(Deed.VERIFY)) == Well(version="1.5.0")
    assert result(station.task(Deed.INSTALL)) == Well("b", version="1.5.0")


def test_a_bundle_of_a_thief(station):
    content = bundle(key=ec_key("thief"))
    attacked(station, content, Refusal.SIGNATURE, "WrongSignatureError")


def test_a_bundle_with_the_certificate_of_another_root(station):
    forged = leaf(issuer_key=ec_key("thief"))
    content = bundle(certificate=forged)
    attacked(station, content, Refusal.CERTIFICATE, "UntrustedCertificateError")


def test_a_bundle_of_a_revoked_signer(station, tmp_path):
    content = bundle(certificate=leaf(serial=4711))
    (tmp_path / "crl.pem").write_bytes(crl(4711))
    crls = {"crls": (str(tmp_path / "crl.pem"), str(tmp_path / "absent.pem"))}
    attacked(station, content, Refusal.REVOKED, "RevokedCertificateError", **crls)


def test_an_image_without_any_signature(station):
    attacked(station, archive(), Refusal.IMAGE, "UnreadableImageError")
    raw = {"installer": "command", "command": ("/bin/true",)}
    attacked(station, b"raw image", Refusal.SIGNATURE, "WrongSignatureError", **raw)


def test_a_truncated_bundle(station):
    attacked(station, bundle()[:-1], Refusal.IMAGE, "SizeError")


def test_an_extended_bundle(station):
    attacked(station, bundle() + b"\0", Refusal.IMAGE, "SizeError")


def test_one_flipped_bit_in_each_section(station):
    good = bundle()
    header = manifests.unpacked(good)
    signature_at = manifests.HEAD_BYTES + len(header.signed)
    certificate_at = signature_at + len(header.signature)
    for at in (
        0,
        len(manifests.MAGIC) + 1,
        manifests.HEAD_BYTES + 3,
        signature_at + 5,
        certificate_at + 100,
        header.payload_at,
        len(good) - 1,
    ):
        broken = bytearray(good)
        broken[at] ^= 1
        station.image.write_bytes(broken)
        assert isinstance(result(station.task(Deed.INSTALL)), Refused), at
        assert station.is_untouched


def test_an_image_for_other_hardware(station):
    attacked(station, bundle(hardware=("r9",)), Refusal.IMAGE, "WrongHardwareError")
    attacked(station, bundle(product="Other"), Refusal.IMAGE, "WrongProductError")


def test_a_downgrade(station):
    content = bundle(version="1.3.9")
    attacked(station, content, Refusal.IMAGE, "DowngradeError")
    assert result(station.task(Deed.INSTALL, allows_downgrade=True)) == Well(
        "b", version="1.3.9"
    )


def test_a_request_signature_of_another_file(station):
    content = bundle()
    request = {
        "certificate": leaf().decode(),
        "signature": signed_text(ec_key("signer"), b"another file"),
    }
    attacked(station, content, Refusal.SIGNATURE, "WrongSignatureError", **request)
    request["signature"] = signed_text(ec_key("signer"), content)
    assert result(station.task(Deed.VERIFY, **request)) == Well(version="1.5.0")


def test_an_image_that_is_larger_than_any(station):
    attacked(station, bytes(2 << 20), Refusal.IMAGE, "SizeError")


def test_a_link_in_the_place_of_the_image(station, tmp_path):
    (tmp_path / "elsewhere").write_bytes(bundle())
    station.image.symlink_to(tmp_path / "elsewhere")
    assert isinstance(result(station.task(Deed.INSTALL)), Broken)
    station.image.unlink()
    station.image.mkdir()
    assert isinstance(result(station.task(Deed.INSTALL)), Broken)
    assert station.is_untouched


def test_a_file_that_is_swapped_between_check_and_install(station, tmp_path):
    """The name may lead elsewhere meanwhile: what was opened is what is installed."""
    content = bundle()
    station.image.write_bytes(content)
    header = manifests.unpacked(content)
    with Image(station.image) as image:
        (tmp_path / "evil").write_bytes(b"evil" * 1000)
        (tmp_path / "evil").replace(station.image)
        payload = Payload(image, header.payload_at, header.manifest.sha256)
        assert Slots(station.slots).install(payload, header) == "b"
    assert (station.slots / "slots/b/version").read_bytes() == b"1.5.0\n"


def test_a_file_that_is_overwritten_between_check_and_install(station):
    content = bundle()
    station.image.write_bytes(content)
    header = manifests.unpacked(content)
    with Image(station.image) as image:
        with station.image.open("r+b") as file:
            file.seek(header.payload_at)
            evil = archive({"version": b"evil\n"})
            file.write(evil)
        payload = Payload(image, header.payload_at, header.manifest.sha256)
        with pytest.raises((DigestError, UnreadableImageError)):
            Slots(station.slots).install(payload, header)
    assert station.is_untouched


def member(name, **fields):
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    "evil",
    [
        member("../../outside"),
        member("link", type=tarfile.SYMTYPE, linkname="/etc"),
        member("link", type=tarfile.SYMTYPE, linkname="../../../outside"),
        member("device", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("hard", type=tarfile.LNKTYPE, linkname="../../a/bin/pilotwire"),
    ],
    ids=["traversal", "absolute link", "link outside", "device", "hard link outside"],
)
def test_an_archive_that_reaches_outside(station, tmp_path, evil):
    station.image.write_bytes(bundle(archive({}, evil)))
    said = result(station.task(Deed.INSTALL))
    assert isinstance(said, Refused), said
    assert station.is_untouched
    assert not (tmp_path / "outside").exists()


def test_a_decompression_bomb(station):
    bomb = archive({"zeros": bytes(64 << 20)})
    assert len(bomb) < 1 << 20
    station.image.write_bytes(bundle(bomb))
    said = result(station.task(Deed.INSTALL))
    assert isinstance(said, Refused)
    assert "unpacks to more" in said.info
    assert station.is_untouched


@pytest.mark.parametrize("payload", [b"x", b"not an archive"])
def test_what_is_no_archive(station, payload):
    station.image.write_bytes(bundle(payload))
    assert isinstance(result(station.task(Deed.INSTALL)), Refused)
    assert station.is_untouched


def test_without_roots_nobody_is_trusted(station):
    station.root.unlink()
    attacked(station, bundle(), Refusal.CERTIFICATE, "UntrustedCertificateError")


def test_without_a_clock_nobody_is_trusted(station):
    attacked(station, bundle(), Refusal.CERTIFICATE, "UnknownTimeError", at_s=None)


def test_a_certificate_is_looked_at_on_its_own(station):
    good = station.task(Deed.CHECK, certificate=leaf().decode())
    assert result(good) == Well()
    bad = result(station.task(Deed.CHECK, certificate=root().decode()))
    assert isinstance(bad, Refused)
    assert bad.refusal is Refusal.CERTIFICATE
    assert isinstance(result(station.task(Deed.CHECK)), Refused)


def test_memory_does_not_grow_with_the_image(station):
    content = bytes(3 << 20) + b"end"
    station.image.write_bytes(content)
    with Image(station.image) as image:
        assert image.sha256() == hashlib.sha256(content).digest()
        assert image.sha256(3 << 20) == hashlib.sha256(b"end").digest()
        payload = Payload(image, 0, hashlib.sha256(content).hexdigest())
        assert len(payload.read(1 << 30)) == 1 << 20
        payload.check()


def test_a_size_that_is_wrong_says_so(station):
    station.image.write_bytes(bundle(size=5))
    said = result(station.task(Deed.VERIFY))
    assert isinstance(said, Refused)
    assert SizeError.__name__ in said.info
