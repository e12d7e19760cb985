"""The build machine's command, checked by the charger's code and by openssl, both ways."""

import base64
import json
import os
import stat
import subprocess

import pytest

from agent.firmware.__main__ import result
from agent.firmware.task import Deed, Task, Well
from firmware_tools.cli import main
from tests.firmware.bundles import Station, archive
from tests.support.schemas import validate

IMAGE = b"firmware" * 5000
PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]


@pytest.fixture(params=["ec-p256", "ec-p384", "rsa-3072"])
def made(request, tmp_path):
    return make(tmp_path, request.param)


def make(tmp_path, algorithm="ec-p256"):
    assert main(["keygen", "--out", str(tmp_path / "keys"), "--algorithm", algorithm]) == 0
    (tmp_path / "image").write_bytes(IMAGE)
    return tmp_path


def run(directory, *words):
    """Run the command with the keys of a directory filled in."""
    keys = directory / "keys"
    names = {
        "IMAGE": directory / "image",
        "SIG": directory / "image.sig",
        "KEY": keys / "signing.key",
        "PEM": keys / "signing.pem",
        "ROOT": keys / "root.pem",
    }
    return main([str(names.get(word, word)) for word in words])


SIGN = ("sign", "IMAGE", "--key", "KEY", "--certificate", "PEM")
VERIFY = ("verify", "IMAGE", "--signature", "SIG", "--certificate", "PEM", "--root", "ROOT")


def openssl(*words, **more):
    command = ["openssl", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, **more).stdout


def padding_of(directory):
    key = (directory / "keys/signing.pem").read_bytes()
    text = openssl("x509", "-noout", "-text", input=key).decode()
    return PSS if "rsaEncryption" in text else []


def public_key(directory):
    path = directory / "public.pem"
    certificate = directory / "keys/signing.pem"
    path.write_bytes(openssl("x509", "-in", certificate, "-noout", "-pubkey"))
    return path


def test_what_is_signed_is_taken_by_charger_and_openssl(made):
    assert run(made, *SIGN) == 0
    assert run(made, *VERIFY) == 0
    (made / "raw").write_bytes(base64.b64decode((made / "image.sig").read_text()))
    words = ["dgst", "-sha256", *padding_of(made), "-verify", public_key(made)]
    assert b"Verified OK" in openssl(*words, "-signature", made / "raw", made / "image")
    root, signer = made / "keys/root.pem", made / "keys/signing.pem"
    assert b"OK" in openssl("verify", "-x509_strict", "-CAfile", root, signer)


def test_what_openssl_signs_is_taken(made):
    words = ["dgst", "-sha256", *padding_of(made), "-sign", made / "keys/signing.key"]
    signature = openssl(*words, made / "image")
    (made / "image.sig").write_bytes(base64.encodebytes(signature))
    assert run(made, *VERIFY) == 0


def test_what_is_not_good_says_why(tmp_path, capsys):
    made = make(tmp_path)
    run(made, *SIGN)
    (made / "image").write_bytes(IMAGE + b"\0")
    assert run(made, *VERIFY) == 1
    assert "WrongSignatureError" in capsys.readouterr().err
    (made / "image").write_bytes(IMAGE)
    assert run(made, *VERIFY, "--at", "2199-01-01T00:00:00+00:00") == 1
    assert "ExpiredError" in capsys.readouterr().err
    assert run(made, "verify", "absent", *VERIFY[2:]) == 1
    assert main(["keygen", "--out", str(tmp_path / "other")]) == 0
    root = str(tmp_path / "other/root.pem")
    assert run(made, *VERIFY[:-1], root) == 1
    assert "UntrustedCertificateError" in capsys.readouterr().err


def test_a_key_of_another_certificate_signs_nothing(tmp_path, capsys):
    made = make(tmp_path)
    assert run(made, "sign", "IMAGE", "--key", "KEY", "--certificate", "ROOT") == 1
    assert "not of this key" in capsys.readouterr().err
    assert not (made / "image.sig").exists()


def test_keys_are_for_their_owner_only_and_never_overwritten(tmp_path, capsys):
    made = make(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (made / "keys").iterdir()}
    assert modes["root.key"] == modes["signing.key"] == 0o600
    assert stat.S_IMODE((made / "keys").stat().st_mode) == 0o700
    before = (made / "keys/root.key").read_bytes()
    assert main(["keygen", "--out", str(made / "keys")]) == 1
    assert "no key is ever overwritten" in capsys.readouterr().err
    assert (made / "keys/root.key").read_bytes() == before


def test_a_passphrase_comes_from_a_file_or_a_person(tmp_path, monkeypatch, capsys):
    (tmp_path / "phrase").write_text("open sesame\nsecond line\n")
    phrase = ("--passphrase-file", str(tmp_path / "phrase"))
    assert main(["keygen", "--out", str(tmp_path / "keys"), *phrase]) == 0
    assert b"ENCRYPTED" in (tmp_path / "keys/signing.key").read_bytes()
    (tmp_path / "image").write_bytes(IMAGE)
    assert run(tmp_path, *SIGN, *phrase) == 0
    monkeypatch.setattr("getpass.getpass", lambda _: "open sesame")
    assert run(tmp_path, *SIGN) == 0
    monkeypatch.setattr("getpass.getpass", lambda _: "wrong")
    assert run(tmp_path, *SIGN) == 1
    (tmp_path / "phrase").write_text("")
    assert run(tmp_path, *SIGN, *phrase) == 1
    assert "holds no passphrase" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "action"), [("1.6", "SignedUpdateFirmware"), ("2.0.1", "UpdateFirmware")]
)
def test_the_request_for_the_csms_is_valid(tmp_path, capsys, version, action):
    made = make(tmp_path)
    run(made, *SIGN)
    capsys.readouterr()
    words = ("update-request", "IMAGE", *VERIFY[2:6], "--url", "https://host/image")
    more = ("--install-at", "2027-01-01T02:00:00Z", "--retries", "2", "--request-id", "77")
    assert run(made, *words, "--ocpp", version, *more) == 0
    payload = capsys.readouterr().out
    validate(f"ocpp{version}", action, payload, response=False)
    firmware = json.loads(payload)["firmware"]
    assert firmware["location"] == "https://host/image"
    assert firmware["signature"] == (made / "image.sig").read_text().strip()
    assert firmware["signingCertificate"] == (made / "keys/signing.pem").read_text()


def test_a_location_that_is_too_long_for_the_wire_is_refused(tmp_path):
    made = make(tmp_path)
    run(made, *SIGN)
    words = ("update-request", "IMAGE", *VERIFY[2:6], "--url", "https://host/" + "x" * 600)
    assert run(made, *words) == 1


BUNDLE = ("bundle", "PAYLOAD", "--product", "Wallbox One", "--hardware", "r2")


def bundle(made, *more, version="1.5.0"):
    (made / "payload").write_bytes(archive())
    words = [str(made / "payload") if word == "PAYLOAD" else word for word in BUNDLE]
    out = ("--out", str(made / "image.pwfw"))
    return run(
        made, *words, "--version", version, "--key", "KEY", "--certificate", "PEM", *out, *more
    )


def test_a_bundle_is_taken_by_the_charger(tmp_path):
    made = make(tmp_path)
    assert bundle(made, "--minimum-version", "1.0") == 0
    station = Station(tmp_path)
    at_s = (made / "image.pwfw").stat().st_mtime
    task: Task = station.task(
        Deed.INSTALL,
        image=str(made / "image.pwfw"),
        roots=(str(made / "keys/root.pem"),),
        at_s=at_s,
    )
    assert result(task) == Well("b", version="1.5.0")


def test_a_bundle_is_signed_and_verified_like_any_image(tmp_path):
    made = make(tmp_path)
    bundle(made)
    (made / "image.pwfw").replace(made / "image")
    assert run(made, *SIGN) == 0
    assert run(made, *VERIFY) == 0


def test_a_version_that_is_none_is_refused(tmp_path, capsys):
    made = make(tmp_path)
    assert bundle(made, version="latest") == 1
    assert "not like 1.2.3" in capsys.readouterr().err
    assert not (made / "image.pwfw").exists()


def test_a_file_says_what_it_is(tmp_path, capsys):
    made = make(tmp_path)
    bundle(made)
    capsys.readouterr()
    assert main(["inspect", str(made / "image.pwfw")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["manifest"]["version"] == "1.5.0"
    assert facts["signer"]["subject"] == "CN=Manufacturer firmware signing"
    assert main(["inspect", str(made / "image")]) == 0
    assert json.loads(capsys.readouterr().out)["bundle"] is False
    broken = bytearray((made / "image.pwfw").read_bytes())
    broken[-1] ^= 1
    (made / "broken").write_bytes(broken)
    assert main(["inspect", str(made / "broken")]) == 1
    assert "DigestError" in capsys.readouterr().err


def test_what_is_no_key_is_refused(tmp_path, capsys):
    made = make(tmp_path)
    (made / "keys/signing.key").write_text("nonsense")
    assert run(made, *SIGN) == 1
    (made / "keys/signing.key").write_bytes(openssl("genpkey", "-algorithm", "ed25519"))
    assert run(made, *SIGN) == 1
    assert "EC or RSA" in capsys.readouterr().err
    (made / "keys/signing.key").unlink()
    assert run(made, *SIGN) == 1


@pytest.mark.parametrize(
    ("mode", "code"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o620, 1)]
)
def test_a_key_that_is_open_to_others_signs_nothing(tmp_path, capsys, mode, code):
    made = make(tmp_path)
    key = made / "keys/signing.key"
    key.chmod(mode)
    assert run(made, *SIGN) == code
    if code:
        assert f"open to others (mode {mode:04o}): chmod 600 {key}" in capsys.readouterr().err


def test_a_key_that_somebody_else_lends_is_his_to_guard(tmp_path, monkeypatch):
    made = make(tmp_path)
    (made / "keys/signing.key").chmod(0o644)
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    assert run(made, *SIGN) == 0


def test_usage_ends_with_2():
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
