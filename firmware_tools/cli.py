"""The command `pilotwire-firmware`: keys, signatures, bundles, and the request for the CSMS.

Exit codes: 0 done, 1 not good (the reason on standard error), 2 usage.
"""

import argparse
import datetime as dt
import getpass
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.firmware.errors import VerificationError
from agent.firmware.image import Image
from agent.firmware.manifest import Manifest
from firmware_tools import signing
from firmware_tools.keys import (
    ALGORITHMS,
    KeyFileError,
    is_encrypted,
    make_pair,
    read_key,
)
from firmware_tools.signers import MODULE, TOKEN, Signer, by_command, by_key, by_token


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except VerificationError as error:
        print(f"refused: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except (KeyFileError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pilotwire-firmware", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    keygen = commands.add_parser("keygen", help="make a root and a signing key")
    keygen.add_argument("--out", type=Path, required=True, metavar="DIR")
    keygen.add_argument("--algorithm", choices=ALGORITHMS, default="ec-p256")
    keygen.add_argument("--name", default="Manufacturer", help="in the certificates")
    keygen.add_argument("--ask-passphrase", action="store_true", help="encrypt the keys")
    _passphrase(keygen)
    keygen.set_defaults(run=_keygen)

    sign = commands.add_parser("sign", help="write a detached signature")
    sign.add_argument("image", type=Path)
    _signer(sign)
    sign.add_argument("--out", type=Path, help="default: IMAGE.sig")
    sign.set_defaults(run=_sign)

    verify = commands.add_parser("verify", help="say whether a charger would take an image")
    _signed(verify)
    verify.add_argument("--root", type=Path, required=True, metavar="PEM")
    verify.add_argument("--at", help="instead of now, RFC 3339")
    verify.set_defaults(run=_verify)

    ask = commands.add_parser("update-request", help="print the CSMS's request as JSON")
    _signed(ask)
    ask.add_argument("--url", required=True)
    ask.add_argument("--ocpp", choices=("1.6", "2.0.1"), default="2.0.1")
    ask.add_argument("--request-id", type=int, default=1)
    ask.add_argument("--retrieve-at", help="RFC 3339; default: now")
    ask.add_argument("--install-at", help="RFC 3339; default: as soon as it is there")
    ask.add_argument("--retries", type=int)
    ask.set_defaults(run=_request)

    bundle = commands.add_parser("bundle", help="put a manifest before an archive, signed")
    bundle.add_argument("payload", type=Path, help="tar archive of the slot")
    bundle.add_argument("--product", required=True, help="[station] model of the chargers")
    bundle.add_argument(
        "--hardware", action="append", required=True, help="revision, or * for all; repeatable"
    )
    bundle.add_argument("--version", required=True)
    bundle.add_argument("--minimum-version", help="what must run before")
    _signer(bundle)
    bundle.add_argument("--out", type=Path, required=True)
    bundle.set_defaults(run=_bundle)

    inspect = commands.add_parser("inspect", help="show what a file says of itself")
    inspect.add_argument("file", type=Path)
    inspect.set_defaults(run=_inspect)
    return parser


def _passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file", type=Path, help="its first line (or PIN); else asked for"
    )


def _signer(parser: argparse.ArgumentParser) -> None:
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument("--key", type=Path, help="PEM file of the private key")
    by.add_argument(
        "--pkcs11",
        metavar="LABEL",
        help=f"of a key in the token that {MODULE} and {TOKEN} name",
    )
    by.add_argument("--command", help="shell command: SHA-256 digest in, signature out")
    parser.add_argument("--certificate", type=Path, required=True, metavar="PEM")
    _passphrase(parser)


def _signed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path)
    parser.add_argument("--signature", type=Path, required=True, metavar="FILE")
    parser.add_argument("--certificate", type=Path, required=True, metavar="PEM")


def _given(options: argparse.Namespace, *, asks: bool) -> bytes | None:
    """Return the passphrase from its file or from whoever sits there; None without one."""
    if options.passphrase_file is not None:
        lines: list[bytes] = options.passphrase_file.read_bytes().splitlines()
        if not lines or not lines[0]:
            raise KeyFileError(f"{options.passphrase_file} holds no passphrase")
        return lines[0]
    return getpass.getpass("passphrase: ").encode() if asks else None


def _key(options: argparse.Namespace) -> Signer:
    if options.command is not None:
        return by_command(options.command)
    if options.pkcs11 is not None:
        return by_token(options.pkcs11, (_given(options, asks=True) or b"").decode())
    return by_key(read_key(options.key, _given(options, asks=is_encrypted(options.key))))


def _keygen(options: argparse.Namespace) -> None:
    passphrase = _given(options, asks=options.ask_passphrase)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    paths = make_pair(
        options.out, options.algorithm, now, name=options.name, passphrase=passphrase
    )
    for path in paths:
        print(path)


def _sign(options: argparse.Namespace) -> None:
    certificate = options.certificate.read_bytes()
    signature = signing.signed_image(options.image, _key(options), certificate)
    out: Path = options.out or options.image.with_name(f"{options.image.name}.sig")
    out.write_text(f"{signature}\n")
    print(out)


def _verify(options: argparse.Namespace) -> None:
    at = dt.datetime.now(dt.UTC)
    if options.at is not None:
        at = dt.datetime.fromisoformat(options.at)
    signing.check(
        options.image,
        options.signature.read_text(),
        options.certificate.read_bytes(),
        (options.root.read_bytes(),),
        at.timestamp(),
    )
    print("good: a charger with this root takes it")


def _request(options: argparse.Namespace) -> None:
    with Image(options.image):
        pass  # says now that it is not there
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    payload = signing.request(
        options.ocpp,
        url=options.url,
        signature="".join(options.signature.read_text().split()),
        certificate=options.certificate.read_text(),
        request_id=options.request_id,
        retrieve_at=options.retrieve_at or now,
        install_at=options.install_at,
        retries=options.retries,
    )
    print(payload.decode())


def _bundle(options: argparse.Namespace) -> None:
    with options.payload.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = Manifest(
        options.product,
        tuple(options.hardware),
        options.version,
        options.payload.stat().st_size,
        digest,
        options.minimum_version,
    )
    certificate = options.certificate.read_bytes()
    signing.bundled(options.payload, options.out, manifest, _key(options), certificate)
    print(options.out)


def _inspect(options: argparse.Namespace) -> None:
    encoded = msgspec.json.encode(signing.described(options.file))
    print(msgspec.json.format(encoded, indent=2).decode())
