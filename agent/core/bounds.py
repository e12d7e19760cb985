"""Bounds that do not come from the hardware of an EVSE: on the station, and on single EVSEs.

    fuse       the board file: what the grid connection carries
    offline    a setting: what each EVSE may offer while the CSMS is out of reach

A bound is a level: it is in force or not at an instant, whatever led there. Profiles stay in
force without the CSMS, by their own validity; the offline limit comes on top of them.
"""

from collections.abc import Iterable

from agent.core import variables
from agent.core.events import Event, PowerUp
from agent.core.smart_charging.allocation import Terms
from agent.core.turn import Turn
from agent.core.values import Bound, Bounds, Value
from agent.core.variables import Settings

FUSE = "fuse"
OFFLINE = "offline"

NO_LIMIT_A = 80
"""Nothing offers more than this (IEC 61851-1 annex A), so a limit of it is none."""


class Site(Value, frozen=True):
    """What the board file says of the grid connection.

    Attributes:
        fuse_a: A per line conductor for all EVSEs together; None: no common limit.
        voltage_v: nominal, line to neutral.
        terms: how a common limit is divided.
    """

    fuse_a: float | None = None
    voltage_v: float = 230.0
    terms: Terms = Terms()


class Outside(Value, frozen=True):
    """The slice of this block.

    Attributes:
        offline_s: since when the CSMS is out of reach, monotonic seconds; None while it is not.
        is_offline: that has lasted for as long as the offline limit waits.
    """

    offline_s: float | None = None
    is_offline: bool = False


def deadline_s(state: Outside, settings: Settings) -> float | None:
    """Return when a bound comes into force or ends by itself, None for never."""
    is_limited = settings.integer(variables.OFFLINE_LIMIT) < NO_LIMIT_A
    if state.offline_s is None or state.is_offline or not is_limited:
        return None
    return state.offline_s + settings.integer(variables.OFFLINE_THRESHOLD)


def step(state: Outside, event: Event) -> Turn[Outside]:
    """Begin anew with every boot: the time without power does not count."""
    return Turn(Outside() if isinstance(event, PowerUp) else state)


def passed(state: Outside, settings: Settings, now_s: float, *, is_online: bool) -> Outside:
    """Return the state at this instant: since when the CSMS is out of reach, if it is."""
    if is_online:
        return state if state.offline_s is None else Outside()
    since_s = now_s if state.offline_s is None else state.offline_s
    is_offline = now_s >= since_s + settings.integer(variables.OFFLINE_THRESHOLD)
    outside = Outside(since_s, is_offline)
    return state if outside == state else outside


def in_force(state: Outside, site: Site, settings: Settings, evse_ids: Iterable[int]) -> Bounds:
    """Return the bounds of this instant."""
    station = () if site.fuse_a is None else (Bound(FUSE, limit_a=site.fuse_a),)
    limit_a = settings.integer(variables.OFFLINE_LIMIT)
    if not state.is_offline or limit_a >= NO_LIMIT_A:
        return Bounds(station)
    offline = (Bound(OFFLINE, limit_a=limit_a),)
    return Bounds(station, dict.fromkeys(evse_ids, offline))
