"""The attack matrix: a whole update over a real server, attacked in every way.

Each attack is refused with the status and the security event that are due, and neither slot is
touched. Swapping the file between check and install is in tests/firmware/test_attacks.py,
where a test can stand between the two.
"""

import asyncio
import base64
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from agent.core.effects import Done, Reply, Report, SecurityEvent
from agent.core.events import UpdateRequested
from agent.core.orders import FirmwareReported, FirmwareStatus, UpdateOrder
from agent.firmware import manifest as manifests
from agent.runtime.updater import Updater
from tests.firmware.bundles import archive, bundle
from tests.firmware.pki import (
    CA,
    CERT_SIGN,
    CODE,
    NO_CA,
    NOW,
    YEAR,
    crl,
    ec_key,
    key_usage,
    leaf,
    root,
    rsa_key,
    signed_text,
)
from tests.runtime.test_updater import Life, site, station, updater
from tests.transfer.servers import http_server, tls_files

S = FirmwareStatus
__all__ = ["site", "station"]

FETCHED = [S.DOWNLOADING, S.DOWNLOADED]
PROVED = [*FETCHED, S.SIGNATURE_VERIFIED]
BAD_SIGNATURE = "InvalidFirmwareSignature"
BAD_CERTIFICATE = "InvalidFirmwareSigningCertificate"


SIGNED = partial(signed_text, ec_key("signer"))


@dataclass
class Attack:
    """What somebody sends, and what has to come of it.

    Attributes:
        content: of the image.
        signature: over what, None for the content.
        certificate: of the request.
        location: with {url} for the server; None for the image's own.
        statuses: that are told, in order.
        event: the security event that is due, None for none.
        verdict: of the request.
    """

    content: Callable[[], bytes] = bundle
    sign: Callable[[bytes], str] = SIGNED
    certificate: Callable[[], bytes] = leaf
    location: str | None = None
    statuses: list[FirmwareStatus] = field(default_factory=list)
    event: str | None = None
    verdict: str = "ACCEPTED"
    trust: Callable[[], bytes] | None = None
    crl: Callable[[], bytes] | None = None


def request(**fields: Any) -> Attack:
    """A certificate that is no good: nothing is fetched at all."""
    return Attack(verdict="INVALID_CERTIFICATE", event=BAD_CERTIFICATE, **fields)


def file(**fields: Any) -> Attack:
    """A signature that is not that of the file."""
    statuses = [*FETCHED, S.INVALID_SIGNATURE]
    return Attack(statuses=statuses, event=BAD_SIGNATURE, **fields)


def link(location: str) -> Attack:
    """A location that nothing is fetched from."""
    return Attack(location=location, statuses=[S.DOWNLOADING, S.DOWNLOAD_FAILED])


def flipped(part: str) -> bytes:
    """Return a bundle with one bit flipped in a section."""
    content = bytearray(bundle())
    header = manifests.unpacked(bytes(content))
    found = {
        "magic": 0,
        "manifest": bytes(content).index(header.manifest.version.encode()),
        "signature": bytes(content).index(header.signature) + 8,
        "certificate": bytes(content).index(b"BEGIN CERTIFICATE") + 200,
        "payload": header.payload_at + 20,
    }
    content[found[part]] ^= 1
    return bytes(content)


def outside() -> bytes:
    info = tarfile.TarInfo("../../outside")
    return bundle(archive({}, info))


def bomb() -> bytes:
    return bundle(archive({"zeros": bytes(64 << 20)}))


def pkcs1(data: bytes) -> str:
    return base64.b64encode(
        rsa_key("old").sign(data, padding.PKCS1v15(), hashes.SHA256())
    ).decode()


def sha1(data: bytes) -> str:
    return base64.b64encode(ec_key("signer").sign(data, ec.ECDSA(hashes.SHA1()))).decode()


HUGE = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(1 << 20)), False)

ATTACKS = {
    "wrong key": file(sign=partial(signed_text, ec_key("thief"))),
    "right key, wrong chain": request(certificate=partial(leaf, issuer_key=ec_key("thief"))),
    "expired": request(certificate=partial(leaf, begins=NOW - 2 * YEAR, ends=NOW - YEAR)),
    "not yet valid": request(certificate=partial(leaf, begins=NOW + YEAR, ends=NOW + 2 * YEAR)),
    "authority without basicConstraints": request(
        trust=partial(root, "root", ec_key("root"), CERT_SIGN)
    ),
    "key usage missing": request(certificate=partial(leaf, None, NO_CA, CODE)),
    "key usage for something else": request(
        certificate=partial(leaf, None, NO_CA, (key_usage(key_agreement=True), True), CODE)
    ),
    "self-signed": request(
        certificate=partial(leaf, issuer="signer", issuer_key=ec_key("signer"))
    ),
    "an authority that signs itself": request(
        certificate=partial(root, "root", ec_key("root"), CA, CERT_SIGN)
    ),
    "revoked": Attack(
        certificate=partial(leaf, serial=4711),
        crl=partial(crl, 4711),
        verdict="REVOKED_CERTIFICATE",
        event=BAD_CERTIFICATE,
    ),
    "signature of another file": file(
        sign=lambda _: signed_text(ec_key("signer"), b"another file")
    ),
    "truncated": file(
        content=lambda: bundle()[:-1], sign=lambda _: signed_text(ec_key("signer"), bundle())
    ),
    "extended": file(
        content=lambda: bundle() + b"x", sign=lambda _: signed_text(ec_key("signer"), bundle())
    ),
    **{
        f"a bit of the {part} flipped": file(
            content=partial(flipped, part),
            sign=lambda _: signed_text(ec_key("signer"), bundle()),
        )
        for part in ("magic", "manifest", "signature", "certificate", "payload")
    },
    "no signature at all": file(sign=lambda _: ""),
    "sha-1": file(sign=sha1),
    "PKCS#1 v1.5": file(sign=pkcs1, certificate=partial(leaf, rsa_key("old"))),
    "RSA-1024": request(certificate=partial(leaf, rsa_key("weak", 1024))),
    "a certificate with a megabyte of extension": request(
        certificate=partial(leaf, None, NO_CA, CODE, HUGE)
    ),
    "path traversal": Attack(
        content=outside, statuses=[*PROVED, S.INSTALLING, S.INSTALL_VERIFICATION_FAILED]
    ),
    "a decompression bomb": Attack(
        content=bomb, statuses=[*PROVED, S.INSTALLING, S.INSTALL_VERIFICATION_FAILED]
    ),
    "an archive of nothing": Attack(
        content=lambda: bundle(archive({})),
        statuses=[*PROVED, S.INSTALLING, S.INSTALL_VERIFICATION_FAILED],
    ),
    "an endless download": link("{url}/endless"),
    "a length that is a lie": link("{url}/lying"),
    "downgrade": Attack(
        content=partial(bundle, version="1.0.0"),
        statuses=[*PROVED, S.INSTALL_VERIFICATION_FAILED],
    ),
    "other hardware": Attack(
        content=partial(bundle, hardware=("r9",)),
        statuses=[*PROVED, S.INSTALL_VERIFICATION_FAILED],
    ),
    "another product": Attack(
        content=partial(bundle, product="Toaster"),
        statuses=[*PROVED, S.INSTALL_VERIFICATION_FAILED],
    ),
    "a shell in the location": link("{url}/$(touch${{IFS}}{tmp}/owned);`id`"),
    "file://": Attack(location="file:///etc/passwd", verdict="REJECTED"),
    "redirected to plain http": link("{url}/elsewhere"),
    "host name mismatch": link("{strange}/image/1.5.0"),
}


def attacked(
    tmp_path: Any, target: Any, server: Any, attack: Attack
) -> tuple[str, list[FirmwareStatus], list[str]]:
    """Order the update; return the verdict, the statuses and the security events."""
    content = attack.content()
    server.images["/image/1.5.0"] = content
    place = attack.location or "{url}/image/1.5.0"
    order = UpdateOrder(
        7,
        place.format(url=server.url, tmp=tmp_path, strange=server.strange.url),
        certificate=attack.certificate().decode(),
        signature=attack.sign(content),
        retries=0,
    )
    if attack.trust is not None:
        target.root.write_bytes(attack.trust())
    crls = ()
    if attack.crl is not None:
        (tmp_path / "crl.pem").write_bytes(attack.crl())
        crls = (tmp_path / "crl.pem",)

    async def lived() -> tuple[str, list[FirmwareStatus], list[str]]:
        life = Life(tmp_path, 1)
        limits = {"crls": crls, "most_bytes": 1 << 21}
        web_roots = (server.root, server.strange.root)
        service: Updater = updater(
            life, target, server, tmp_path, web_roots=web_roots, **limits
        )
        async with life.running(service):
            life.link()
            await life.until(lambda: life.kernel.station.firmware.installer is not None)
            life.kernel.post(UpdateRequested(1, order))
            await life.until(lambda: any(isinstance(item, Reply) for item in life.effects))
            await life.until(
                lambda: (
                    life.kernel.station.firmware.update is None
                    and bool(life.records(FirmwareReported)) is bool(attack.statuses)
                )
            )
            await life.until(lambda: len(events(life)) >= bool(attack.event))
        (reply,) = [item for item in life.effects if isinstance(item, Reply)]
        assert isinstance(reply.outcome, Done)
        return reply.outcome.verdict.name, life.records(FirmwareReported), events(life)

    return asyncio.run(lived())


def events(life: Life) -> list[str]:
    records = [item.record for item in life.effects if isinstance(item, Report)]
    found = [record.type for record in records if isinstance(record, SecurityEvent)]
    return [name for name in found if "Firmware" in name]


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_the_slots_are_untouched(tmp_path, station, site, name):
    attack = ATTACKS[name]
    (tmp_path / "strange").mkdir()
    strange_root, certificate = tls_files(tmp_path / "strange", "other.example")
    with http_server() as plain, http_server(certificate) as strange:
        site.strange, strange.root = strange, strange_root
        strange.images["/image/1.5.0"] = bundle()
        plain.images["/image/1.5.0"] = bundle()
        site.elsewhere = f"{plain.url}/image/1.5.0"
        verdict, statuses, told = attacked(tmp_path, station, site, attack)
        assert not plain.seen
        assert not strange.seen
    assert verdict == attack.verdict
    assert statuses == attack.statuses
    assert told == ([] if attack.event is None else [attack.event])
    assert station.is_untouched
    assert list(tmp_path.glob("state/firmware/*")) == []
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "outside").exists()
