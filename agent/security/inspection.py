"""What is wrong with the credentials that a configuration names, beyond their form.

For `pilotwire check`, which knows the time and runs before the agent does. Each function
returns the rest of a sentence about a file, or None.
"""

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from agent.security import certs
from agent.security.certs import CertificateError

Where = TypeVar("Where", bound=tuple[object, ...])


def inspected(
    certificates: Iterable[tuple[Where, Path]],
    serial_number: str,
    key: bytes,
    at_s: float,
) -> Iterator[tuple[Where, str | None]]:
    """Yield a message, or None, for every file, with the place that names it.

    Args:
        certificates: the station's own is at a place that ends with "client_certificate".
        serial_number, key: see `own_mistake`; without a key its certificate is left alone.
        at_s: UTC seconds.
    """
    for where, path in certificates:
        if where[-1] != "client_certificate":
            yield where, root_mistake(path, at_s)
        elif key:
            yield where, own_mistake(path, key, serial_number, at_s)


def root_mistake(path: Path, at_s: float) -> str | None:
    """Return why a file of roots would not be trusted."""
    try:
        for root in certs.chain(path.read_bytes()):
            certs.check_root(root, at_s)
    except (CertificateError, OSError) as error:
        return f"{path}: {error}"
    return None


def own_mistake(path: Path, key: bytes, serial_number: str, at_s: float) -> str | None:
    """Return why a CSMS would not take the station's certificate.

    Args:
        key: the private key that goes with it.
        serial_number: of the station, which the certificate has to name.
    """
    try:
        leaf = certs.chain(path.read_bytes())[0]
        certs.check_pair(leaf, certs.key_of(key))
        certs.check_name(leaf, serial_number)
        certs.check_key(leaf.public_key())
        certs.check_dates(leaf, at_s)
    except (CertificateError, OSError) as error:
        return f"{path}: {error}"
    return None


def exposed(path: Path) -> str | None:
    """Return that everybody on the machine may read a secret; its group may."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return (
            f"{path} can be read by everybody (mode {mode & 0o777:o}; allowed are 600 and 640)"
        )
    return None
