"""TLS towards the CSMS: what is trusted, what is offered (OCPP 1.6 and 2.0.1 profiles 2, 3).

* TLS 1.2 or newer, no compression, the suites of the security whitepaper with ephemeral keys
  first, and those of TLS 1.3.
* Only the given roots are trusted, whether or not they are self-signed: while an old root is
  kept as a fall-back, the new one may be signed by it. Without any root nobody is trusted.
* The name must be in the certificate's subjectAltName; the common name counts only when there
  is none. A wildcard counts only where it is allowed. OpenSSL does not look at addresses that
  way and not at our rule for wildcards: both are checked here, within the handshake, so that
  nothing is sent to a server with the wrong name.
* Validity dates are compared with the system clock, unless the station knows better. While
  nobody knows the time, what has expired before an instant that is surely past is refused,
  and the beginning of a certificate is not looked at: it may well have come.

A context reads files and takes milliseconds to make: not on the event loop.
"""

import hashlib
import ipaddress
import ssl
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent.core.events import DialRefusal
from agent.transport.link import DialError, DialTarget, TrustedTime

CLIENT_CERTIFICATE_PROFILE: Final = 3

_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h, which Python does not name."""

CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""For TLS 1.2, by preference (1.6 security whitepaper A00.FR.318, and ECDHE-RSA)."""


_VERSION: Final = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION")
_SUITE: Final = ("INSUFFICIENT_SECURITY", "NO_CIPHERS_AVAILABLE", "WRONG_CIPHER", "NO_SHARED")
_CLIENT: Final = (
    "ALERT_ACCESS_DENIED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_UNSUPPORTED_CERTIFICATE",
)
"""What OpenSSL's reasons contain, by what they are about."""


def client_context(target: DialTarget, host: str) -> ssl.SSLContext:
    """Return a context for one target and the host that is dialed.

    Args:
        host: a name, or an address without brackets.

    Raises:
        DialError: a root, the certificate or its key cannot be used.
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.target = target
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_ciphers(":".join(CIPHERS))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = _address(host) is None
    context.sslobject_class = _Checked
    if target.time is not None:
        context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    _trust(context, target.roots)
    if target.security_profile == CLIENT_CERTIFICATE_PROFILE:
        _identify(context, target)
    return context


def refusal_of(error: ssl.SSLError) -> DialRefusal:
    """Return what a handshake that failed means for the next dial."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return DialRefusal.CERTIFICATE
    reason = error.reason or ""
    for parts, refusal in (
        (_VERSION, DialRefusal.TLS_VERSION),
        (_SUITE, DialRefusal.CIPHER_SUITE),
        (_CLIENT, DialRefusal.CREDENTIALS),
    ):
        if any(part in reason for part in parts):
            return refusal
    return DialRefusal.UNREACHABLE


def lenient_context() -> ssl.SSLContext:
    """Return a context that agrees to everything, to find out what a server would have.

    Nothing is ever sent through it: a server that hangs up within our handshake, or says no
    more than that it failed, is asked again with this one, and not spoken to.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions on purpose
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def diagnosis(session: ssl.SSLObject) -> DialRefusal | None:
    """Return why we do not get along with a server that agreed to a lenient context."""
    if session.version() not in {"TLSv1.2", "TLSv1.3"}:
        return DialRefusal.TLS_VERSION
    cipher = session.cipher()
    if cipher is not None and session.version() == "TLSv1.2" and cipher[0] not in CIPHERS:
        return DialRefusal.CIPHER_SUITE
    return None


def fingerprint(der: bytes) -> str:
    """Return the name of a certificate: SHA-256 of its DER, in hex."""
    return hashlib.sha256(der).hexdigest()


def root_of(session: ssl.SSLObject) -> str:
    """Return the fingerprint of the root that a finished handshake relied on."""
    return fingerprint(_chain(session)[-1])


def _chain(session: ssl.SSLObject) -> list[bytes]:
    """Return the verified chain as DER, the server's certificate first.

    Python 3.13 has a method for it; before, only the object behind this one does.
    """
    method = getattr(session, "get_verified_chain", None)
    if method is not None:
        return list(method())
    der = 2  # _ssl.ENCODING_DER
    chain: list[Any] = session._sslobj.get_verified_chain()  # type: ignore[attr-defined]  # noqa: SLF001
    return [bytes(one.public_bytes(der)) for one in chain]


class _Context(ssl.SSLContext):
    """A context that knows for which target it is."""

    target: DialTarget


def _trust(context: ssl.SSLContext, roots: tuple[Path, ...]) -> None:
    if not roots:
        reason = "no CSMS root certificate is installed, so no server can be trusted"
        raise DialError(DialRefusal.UNREACHABLE, reason)
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


class _Checked(ssl.SSLObject):
    """A connection on which the handshake ends with our own checks."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context, host = self.context, self.server_hostname or ""
        certificate = self.getpeercert() or {}
        if not isinstance(context, _Context):
            raise AssertionError("a connection of ours has a context of ours")  # noqa: TRY004  # a defect
        if _address(host) is not None:
            if not _names_address(certificate, host):
                _refuse(f"the server's certificate is not valid for {host}")
        elif not context.target.allow_wildcards and not _names_host(certificate, host):
            _refuse(f"the server's certificate names {host} by a wildcard only")
        if context.target.time is not None:
            _check_dates(_chain(self), context.target.time)


def _refuse(message: str) -> None:
    raise ssl.SSLCertVerificationError(1, message)


def _check_dates(chain: list[bytes], time: TrustedTime) -> None:
    from cryptography import x509  # noqa: PLC0415  # rarely needed: the clock is usually right

    for der in chain:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.not_valid_after_utc.timestamp() < time.at_s:
            _refuse("certificate has expired")
        if time.is_known and certificate.not_valid_before_utc.timestamp() > time.at_s:
            _refuse("certificate is not yet valid")


def _names(certificate: Mapping[str, Any], kind: str) -> list[str]:
    """Return the names of a kind, or the common names if there is no other name at all."""
    names = certificate.get("subjectAltName", ())
    if names:
        return [value for told, value in names if told == kind]
    subject = certificate.get("subject", ())
    return [value for part in subject for told, value in part if told == "commonName"]


def _names_host(certificate: Mapping[str, Any], host: str) -> bool:
    wanted = host.rstrip(".").casefold()
    return any(name.casefold() == wanted for name in _names(certificate, "DNS"))


def _names_address(certificate: Mapping[str, Any], host: str) -> bool:
    wanted = _address(host)
    told = _names(certificate, "IP Address")
    return wanted is not None and any(_address(value) == wanted for value in told)
