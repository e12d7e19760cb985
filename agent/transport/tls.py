"""TLS towards the CSMS: what is trusted, what is offered (OCPP 1.6 and 2.0.1 profiles 2, 3).

* TLS 1.2 or newer, no compression, the suites of the security whitepaper with ephemeral keys
  first, and those of TLS 1.3.
* Only the given roots are trusted, whether or not they are self-signed: while an old root is
  kept as a fall-back, the new one may be signed by it. Without any, the system's are.
* The name must be in the certificate's subjectAltName; the common name counts only when there
  is none. OpenSSL looks at names that way but not at addresses, which are therefore compared
  here, within the handshake: nothing is sent to a server with the wrong name.
* Validity dates are compared with the system clock. On a board without a clock, the image's
  build date should be its lower bound (systemd's clock-epoch).

A context reads files and takes milliseconds to make: not on the event loop.
"""

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent.core.events import DialRefusal
from agent.transport.link import DialError, DialTarget

CLIENT_CERTIFICATE_PROFILE: Final = 3

CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""For TLS 1.2, by preference (1.6 security whitepaper A00.FR.318, and ECDHE-RSA)."""


def client_context(target: DialTarget, host: str) -> ssl.SSLContext:
    """Return a context for one target and the host that is dialed.

    Args:
        host: a name, or an address without brackets.

    Raises:
        DialError: a root, the certificate or its key cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_ciphers(":".join(CIPHERS))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if _address(host) is not None:
        context.check_hostname = False
        context.sslobject_class = _AddressChecked
    _trust(context, target.roots)
    if target.security_profile == CLIENT_CERTIFICATE_PROFILE:
        _identify(context, target)
    return context


def _trust(context: ssl.SSLContext, roots: tuple[Path, ...]) -> None:
    if not roots:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    for root in roots:
        try:
            context.load_verify_locations(root)
        except OSError as error:
            raise DialError(DialRefusal.UNREACHABLE, f"root {root}: {error}") from error


def _identify(context: ssl.SSLContext, target: DialTarget) -> None:
    if target.certificate is None or target.key is None:
        reason = "security profile 3 needs a client certificate and its key"
        raise DialError(DialRefusal.CREDENTIALS, reason)
    try:
        # An encrypted key would be asked for on a terminal: an empty password is refused.
        context.load_cert_chain(target.certificate, target.key, password=b"")
    except OSError as error:
        reason = f"certificate {target.certificate} with key {target.key}: {error}"
        raise DialError(DialRefusal.CREDENTIALS, reason) from error


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class _AddressChecked(ssl.SSLObject):
    """A connection to an address, which the server's certificate has to name."""

    def do_handshake(self) -> None:
        super().do_handshake()
        host = self.server_hostname or ""
        if not _names_address(self.getpeercert() or {}, host):
            message = f"the server's certificate is not valid for {host}"
            raise ssl.SSLCertVerificationError(1, message)


def _names_address(certificate: Mapping[str, Any], host: str) -> bool:
    wanted = _address(host)
    names = certificate.get("subjectAltName", ())
    if names:
        told = [value for kind, value in names if kind == "IP Address"]
    else:
        subject = certificate.get("subject", ())
        told = [value for part in subject for kind, value in part if kind == "commonName"]
    return wanted is not None and any(_address(value) == wanted for value in told)
