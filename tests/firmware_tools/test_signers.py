"""Keys that are not in files: in a SoftHSM token, and behind a command."""

import subprocess
import sys
from pathlib import Path

import pytest

from firmware_tools import signers
from tests.firmware_tools.test_cli import PSS, VERIFY, make, run

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
)
PIN = "2468"


@pytest.fixture(params=["ec-p256", "ec-p384", "rsa-3072"])
def token(request, tmp_path, monkeypatch):
    """A SoftHSM token that holds the signing key, which is in no file any more."""
    made = make(tmp_path, request.param)
    (tmp_path / "tokens").mkdir(mode=0o700)
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    monkeypatch.setenv(signers.MODULE, next(path for path in MODULES if Path(path).exists()))
    monkeypatch.setenv(signers.TOKEN, "releases")
    util = ["softhsm2-util", "--pin", PIN, "--token", "releases"]
    init = ["softhsm2-util", "--init-token", "--free", "--label", "releases", "--pin", PIN]
    subprocess.run([*init, "--so-pin", "1357"], check=True, capture_output=True)
    key = made / "keys/signing.key"
    subprocess.run(
        [*util, "--import", str(key), "--label", "firmware", "--id", "01"],
        check=True,
        capture_output=True,
    )
    key.unlink()
    (made / "pin").write_text(f"{PIN}\n")
    return made


def signed(made, *key):
    """Sign in a process of its own: a PKCS#11 library is loaded once in a process."""
    words = ["sign", made / "image", "--certificate", made / "keys/signing.pem", *key]
    return subprocess.run(
        [sys.executable, "-m", "firmware_tools", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_key_in_a_token_signs(token):
    done = signed(token, "--pkcs11", "firmware", "--passphrase-file", token / "pin")
    assert done.returncode == 0, done.stderr
    assert run(token, *VERIFY) == 0


def test_what_a_token_does_not_do_is_said(token):
    pin = ("--passphrase-file", token / "pin")
    done = signed(token, "--pkcs11", "another", *pin)
    assert done.returncode == 1
    assert done.stderr.startswith("the token releases: ")
    (token / "pin").write_text("0000\n")
    done = signed(token, "--pkcs11", "firmware", *pin)
    assert done.returncode == 1
    assert done.stderr.startswith("the token releases: ")
    assert not (token / "image.sig").exists()


def test_the_environment_has_to_name_the_token(tmp_path, monkeypatch, capsys):
    made = make(tmp_path)
    monkeypatch.delenv(signers.MODULE, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: PIN)
    assert run(made, "sign", "IMAGE", "--pkcs11", "firmware", "--certificate", "PEM") == 1
    assert signers.MODULE in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    assert run(made, "sign", "IMAGE", "--pkcs11", "firmware", "--certificate", "PEM") == 1
    assert "pilotwire[pkcs11]" in capsys.readouterr().err


@pytest.mark.parametrize(("algorithm", "padding"), [("ec-p256", []), ("rsa-3072", PSS)])
def test_a_command_signs_the_digest(tmp_path, algorithm, padding):
    made = make(tmp_path, algorithm)
    options = " ".join(["-pkeyopt", "digest:sha256", *padding]).replace("-sigopt", "-pkeyopt")
    command = f"openssl pkeyutl -sign -inkey {made}/keys/signing.key {options}"
    by = ("--command", command, "--certificate", "PEM")
    assert run(made, "sign", "IMAGE", *by) == 0
    assert run(made, *VERIFY) == 0


@pytest.mark.parametrize(
    "command", ["exit 3", "true", "echo nonsense", "head -c 9999 /dev/zero"]
)
def test_a_command_that_does_not_sign_leaves_nothing(tmp_path, command, capsys):
    made = make(tmp_path)
    assert run(made, "sign", "IMAGE", "--command", command, "--certificate", "PEM") == 1
    assert capsys.readouterr().err
    assert not (made / "image.sig").exists()


def test_a_command_that_hangs_is_given_up(tmp_path, monkeypatch, capsys):
    made = make(tmp_path)
    monkeypatch.setattr(signers, "COMMAND_S", 0.05)
    assert run(made, "sign", "IMAGE", "--command", "exec sleep 60", "--certificate", "PEM") == 1
    assert "not done within" in capsys.readouterr().err


def test_there_is_one_signer(tmp_path):
    made = make(tmp_path)
    for key in ([], ["--key", "KEY", "--command", "true"]):
        with pytest.raises(SystemExit) as ended:
            run(made, "sign", "IMAGE", "--certificate", "PEM", *key)
        assert ended.value.code == 2
