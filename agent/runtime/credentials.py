"""What the station dials with: the configured target, and what was learned since.

Validity dates of certificates are judged by the system clock as long as it agrees with the
station's. A board without a battery shows 1970 until somebody tells it the time; then the
station's own clock counts, and before that the latest instant that is surely past.
"""

from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.station import Station
from agent.core.values import Stamp
from agent.transport.link import DialTarget, TrustedTime

AGREES_S: Final = 3600.0
"""Clocks that differ by less judge certificates alike."""

_LENIENT_PROTOCOLS: Final = ("ocpp1.6",)


def presented(target: DialTarget, station: Station, now: Stamp) -> DialTarget:
    """Return a configured target as it is to be dialed now.

    Args:
        now: its wall time is the system clock's, None if that is implausible.
    """
    wildcards = station.settings.flag(variables.ALLOW_WILDCARDS)
    return replace(
        target,
        # 2.0.1 erratum 2025-02 refuses wildcards; 1.6 never did, and clouds use them.
        allow_wildcards=wildcards or target.protocols == _LENIENT_PROTOCOLS,
        time=_time(station, now),
    )


def _time(station: Station, now: Stamp) -> TrustedTime | None:
    clock = station.timebase
    known_s = clock.wall_s(Stamp(now.boot, now.monotonic_s))
    if known_s is None:
        return TrustedTime(clock.floor_s, is_known=False)
    if now.wall_s is not None and abs(now.wall_s - known_s) < AGREES_S:
        return None
    return TrustedTime(known_s, is_known=True)
