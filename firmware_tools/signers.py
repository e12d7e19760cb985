"""Who signs: a key in a file, a key in a PKCS#11 token, or a command.

A signer takes a SHA-256 digest and returns the signature over it: ECDSA in DER, or RSA-PSS.
"""

import os
import subprocess
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from firmware_tools.keys import KeyFileError, PrivateKey

Signer: TypeAlias = Callable[[bytes], bytes]

MODULE: Final = "PILOTWIRE_PKCS11_MODULE"
TOKEN: Final = "PILOTWIRE_PKCS11_TOKEN"  # noqa: S105  the name of a variable
COMMAND_S: Final = 300.0
"""Somebody may have to touch something."""

LONGEST_SIGNATURE: Final = 4096


def by_key(key: PrivateKey) -> Signer:
    """Return who signs with a key in memory."""
    prehashed = Prehashed(hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return lambda sha256: key.sign(sha256, ec.ECDSA(prehashed))
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return lambda sha256: key.sign(sha256, scheme, prehashed)


def by_command(command: str) -> Signer:
    """Return who signs by a shell command: 32 bytes of digest in, the signature out."""

    def sign(sha256: bytes) -> bytes:
        try:
            done = subprocess.run(  # noqa: S602  the operator's own command line
                command,
                shell=True,
                input=sha256,
                stdout=subprocess.PIPE,
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KeyFileError(f"{command}: not done within {COMMAND_S:.0f} s") from None
        if done.returncode or not 0 < len(done.stdout) <= LONGEST_SIGNATURE:
            said = f"ended with {done.returncode}, {len(done.stdout)} bytes of signature"
            raise KeyFileError(f"{command}: {said}")
        return done.stdout

    return sign


def by_token(label: str, pin: str) -> Signer:
    """Return who signs with a key that never leaves its token.

    Args:
        label: of the private key; module and token are named by the environment.

    Raises:
        KeyFileError: the environment names none, or python-pkcs11 is not installed.
    """
    try:
        import pkcs11  # noqa: PLC0415  an extra: most signers have no token
    except ImportError:
        raise KeyFileError("needs python-pkcs11: install pilotwire[pkcs11]") from None
    module, token = os.environ.get(MODULE), os.environ.get(TOKEN)
    if not module or not token:
        raise KeyFileError(f"{MODULE} has to name a library, {TOKEN} the label of a token")

    def sign(sha256: bytes) -> bytes:
        try:
            found = pkcs11.lib(module).get_token(token_label=token)
            with found.open(user_pin=pin) as session:
                key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
                return _signed(key, sha256)
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise KeyFileError(
                f"the token {token}: {str(error) or type(error).__name__}"
            ) from None

    return sign


def _signed(key: Any, sha256: bytes) -> bytes:
    import pkcs11  # noqa: PLC0415
    from pkcs11.util.ec import encode_ecdsa_signature  # noqa: PLC0415

    if key.key_type is pkcs11.KeyType.EC:
        raw = key.sign(sha256, mechanism=pkcs11.Mechanism.ECDSA)
        return bytes(encode_ecdsa_signature(raw))
    scheme = (pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256, len(sha256))
    return bytes(
        key.sign(sha256, mechanism=pkcs11.Mechanism.RSA_PKCS_PSS, mechanism_param=scheme)
    )
