"""What the station dials with: the configured target, and what was learned since.

Which password, certificate and roots to present, the station says (agent.core.credentials);
here they become bytes and files. Without a keystore those of the target itself are used.

Validity dates of certificates are judged by the system clock as long as it agrees with the
station's. A board without a battery shows 1970 until somebody tells it the time; then the
station's own clock counts, and before that the latest instant that is surely past.
"""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from agent.core import variables
from agent.core.credentials import CERTIFICATE_PROFILE
from agent.core.station import Station
from agent.core.trust import CertificateKind
from agent.core.values import Stamp
from agent.security.keystore import Keystore
from agent.transport.link import DialTarget, TrustedTime

AGREES_S: Final = 3600.0
"""Clocks that differ by less judge certificates alike."""

_LENIENT_PROTOCOLS: Final = ("ocpp1.6",)
_TLS_PROFILE: Final = 2


def presented(
    target: DialTarget, network: int, station: Station, now: Stamp, keystore: Keystore | None
) -> DialTarget:
    """Return a configured target as it is to be dialed now.

    Args:
        network: its index.
        now: its wall time is the system clock's, None if that is implausible.
    """
    known_s = station.timebase.wall_s(Stamp(now.boot, now.monotonic_s))
    wanted = station.presented(network, known_s)
    target = replace(
        target,
        url=_raised(target.url, wanted.security_profile),
        security_profile=wanted.security_profile,
        # 2.0.1 erratum 2025-02 refuses wildcards; 1.6 never did, and clouds use them.
        allow_wildcards=station.settings.flag(variables.ALLOW_WILDCARDS)
        or target.protocols == _LENIENT_PROTOCOLS,
        time=_time(station, now, known_s),
    )
    if wanted.password:
        target = replace(target, password=variables.password_bytes(wanted.password))
    if keystore is None:
        return target
    own = wanted.certificate
    is_certified = bool(own) and wanted.security_profile == CERTIFICATE_PROFILE
    return replace(
        target,
        roots=tuple(
            keystore.certificate(CertificateKind.CSMS_ROOT, one) for one in wanted.roots
        ),
        certificate=keystore.certificate(CertificateKind.STATION, own)
        if is_certified
        else None,
        key=keystore.key(own) if is_certified else None,
    )


def installed(
    station: Station, kind: CertificateKind, keystore: Keystore | None
) -> tuple[Path, ...]:
    """Return the files of the certificates of a kind that count now."""
    if keystore is None:
        return ()
    return tuple(
        keystore.certificate(kind, one.fingerprint) for one in station.certificates.of(kind)
    )


def shown(target: DialTarget) -> str:
    """Return the fingerprint of the certificate that a target is dialed with, "" for none."""
    return target.certificate.stem if target.certificate is not None else ""


def _raised(url: str, security_profile: int) -> str:
    """Return the URL for a security profile: a station that was raised to TLS dials wss.

    The port of the old URL speaks no TLS, so the usual one is dialed; where it is another,
    a network profile of its own names it (1.6 reference 9.2).
    """
    parts = urlsplit(url)
    if parts.scheme != "ws" or security_profile < _TLS_PROFILE:
        return url
    host = parts.hostname or ""
    place = f"[{host}]" if ":" in host else host
    return urlunsplit(("wss", place, parts.path, parts.query, ""))


def _time(station: Station, now: Stamp, known_s: float | None) -> TrustedTime | None:
    if known_s is None:
        return TrustedTime(station.timebase.floor_s, is_known=False)
    if now.wall_s is not None and abs(now.wall_s - known_s) < AGREES_S:
        return None
    return TrustedTime(known_s, is_known=True)
