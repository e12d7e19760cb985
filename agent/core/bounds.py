"""Bounds that do not come from the hardware of an EVSE: on the station, and on single EVSEs.

    fuse       the board file: what the grid connection carries
    grid       the grid operator's input on the board: power in the emergency
    offline    a setting: what each EVSE may offer while the CSMS is out of reach
    others     set from outside, by their own names: control socket, Modbus

A bound is a level: it is in force or not at an instant, whatever led there. Profiles stay in
force without the CSMS, by their own validity; the offline limit comes on top of them.

A bound from outside is valid for a time. When its source falls silent, the safe current takes
its place until the source speaks again or is cleared: nobody knows what it would allow now.
The same holds after every start. What is kept on disk is therefore only that somebody limits,
not how much: a source that regulates every few seconds writes nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Done, LimitTold, Note, Reply, Verdict
from agent.core.events import (
    Event,
    ExternalLimitCleared,
    ExternalLimitSet,
    GridInputChanged,
    PowerUp,
)
from agent.core.turn import Context, Turn
from agent.core.values import Bound, Bounds, ExternalLimit, Terms, Value
from agent.core.variables import Settings

FUSE: Final = "fuse"
GRID: Final = "grid"
OFFLINE: Final = "offline"
RESERVED: Final = frozenset(
    {FUSE, GRID, OFFLINE, "hardware", "board", "cable", "temperature", "profile"}
    | {"share", "ramp", "pause", "phases"}
)
"""Origins that nobody outside may use."""

NO_LIMIT_A: Final = 80
"""Nothing offers more than this (IEC 61851-1 annex A), so a limit of it is none."""

MOST_LIMITS: Final = 32
"""Limits from outside that can be in force at once: what grows has a bound."""


class Site(Value, frozen=True):
    """What configuration says of the grid connection.

    Attributes:
        fuse_a: A per line conductor for all EVSEs together; None: no common limit.
        voltage_v: nominal, line to neutral.
        terms: how a common limit is divided.
        grid_w: W for all EVSEs together while the grid operator's input is active; None: the
            board has no such input.
        safe_a: what takes the place of a limit whose source has fallen silent, A per phase.
    """

    fuse_a: float | None = None
    voltage_v: float = 230.0
    terms: Terms = Terms()
    grid_w: float | None = None
    safe_a: float = 6.0


class Given(Value, frozen=True):
    """A limit from outside.

    Attributes:
        evse_id: 0 for the sum over all EVSEs.
        until_s: until when it holds, monotonic seconds; None: its source is silent, and the
            safe current holds instead.
    """

    origin: str
    evse_id: int
    limit_a: float | None = None
    limit_w: float | None = None
    until_s: float | None = None

    @property
    def key(self) -> str:
        """Return the name under which it is kept."""
        return f"{self.origin}/{self.evse_id}"


class Source(Value, frozen=True):
    """What is kept of a limit from outside: that there is one."""

    origin: str
    evse_id: int


class Outside(Value, frozen=True):
    """The slice of this block.

    Attributes:
        given: limits from outside, by key.
        told: limits that the CSMS knows of, by key.
        grid: what the grid operator's input says; None: it has not spoken yet.
        offline_s: since when the CSMS is out of reach, monotonic seconds; None while it is not.
        is_offline: that has lasted for as long as the offline limit waits.
    """

    given: Mapping[str, Given] = {}
    told: Mapping[str, Bound] = {}
    grid: bool | None = None
    offline_s: float | None = None
    is_offline: bool = False


def deadline_s(state: Outside, settings: Settings) -> float | None:
    """Return when a bound comes into force or ends by itself, None for never."""
    instants = [item.until_s for item in state.given.values() if item.until_s is not None]
    since_s = None if state.is_offline else state.offline_s
    if since_s is not None and settings.integer(variables.OFFLINE_LIMIT) < NO_LIMIT_A:
        instants.append(since_s + settings.integer(variables.OFFLINE_THRESHOLD))
    return min(instants, default=None)


def sources(state: Outside) -> Mapping[str, Source]:
    """Return what is kept on disk, by key."""
    return {key: Source(item.origin, item.evse_id) for key, item in state.given.items()}


def restored(kept: Mapping[str, Source]) -> Outside:
    """Return the slice after a start: every source is silent."""
    given = {key: Given(item.origin, item.evse_id) for key, item in kept.items()}
    return Outside(given=given)


def step(state: Outside, event: Event, context: Context) -> Turn[Outside]:
    """Take limits from outside; the time without power does not count as an outage."""
    match event:
        case PowerUp():
            return Turn(Outside(given=state.given if _is_heard(context) else {}))
        case ExternalLimitSet():
            return _set(state, event, context)
        case ExternalLimitCleared():
            return _cleared(state, event)
        case GridInputChanged(active=active) if active is not state.grid:
            text = "the grid operator limits" if active else "the grid operator limits no more"
            return Turn(replace(state, grid=active), (Note("limit", text),))
        case _:
            return _expired(state, context)


def _set(state: Outside, event: ExternalLimitSet, context: Context) -> Turn[Outside]:
    until_s = context.now.monotonic_s + event.valid_s
    given = Given(event.origin, event.evse_id, event.limit_a, event.limit_w, until_s)
    refusal = _refusal(state, given, context)
    if refusal:
        done = Done(Verdict.REJECTED, "InvalidValue", refusal)
        return Turn(state, (Reply(event.request_id, done),))
    before = state.given.get(given.key)
    state = replace(state, given={**state.given, given.key: given})
    reply = Reply(event.request_id, Done(Verdict.ACCEPTED))
    if before is not None and replace(before, until_s=until_s) == given:
        return Turn(state, (reply,))
    return Turn(state, (reply, Note("limit", described(given))))


def _is_heard(context: Context) -> bool:
    """Tell whether energy managers may limit; grid operator and wiring always do."""
    return context.settings.flag(variables.EXTERNAL_SIGNALS)


def _refusal(state: Outside, given: Given, context: Context) -> str:
    if not _is_heard(context):
        return f"{variables.EXTERNAL_SIGNALS.name} is false"
    if given.origin in RESERVED:
        return f"origin {given.origin} stands for a limit of the station itself"
    if given.evse_id and given.evse_id not in context.evses:
        return f"there are EVSEs 1 to {len(context.evses)}"
    if given.key not in state.given and len(state.given) >= MOST_LIMITS:
        return f"{MOST_LIMITS} limits are in force already"
    return ""


def _cleared(state: Outside, event: ExternalLimitCleared) -> Turn[Outside]:
    gone = {
        key: item
        for key, item in state.given.items()
        if item.origin == event.origin and event.evse_id in {None, item.evse_id}
    }
    if not gone:
        done = Done(Verdict.REJECTED, "NotFound", f"no limit of {event.origin} is in force")
        return Turn(state, (Reply(event.request_id, done),))
    left = {key: item for key, item in state.given.items() if key not in gone}
    notes = (Note("limit", f"{item.key} is cleared") for item in gone.values())
    reply = Reply(event.request_id, Done(Verdict.ACCEPTED))
    return Turn(replace(state, given=left), (reply, *notes))


def _expired(state: Outside, context: Context) -> Turn[Outside]:
    now_s = context.now.monotonic_s
    over = {
        key: Given(item.origin, item.evse_id)
        for key, item in state.given.items()
        if item.until_s is not None and item.until_s <= now_s
    }
    if not over:
        return Turn(state)
    notes = (Note("limit", described(item)) for item in over.values())
    return Turn(replace(state, given={**state.given, **over}), tuple(notes))


def described(given: Given) -> str:
    """Return a limit for people."""
    where = f"EVSE {given.evse_id}" if given.evse_id else "the station"
    if given.limit_a is not None:
        return f"{given.origin} limits {where} to {given.limit_a:g} A"
    if given.limit_w is not None:
        return f"{given.origin} limits {where} to {given.limit_w:g} W"
    return f"{given.origin} is silent: the safe current holds for {where}"


def passed(state: Outside, settings: Settings, now_s: float, *, is_online: bool) -> Outside:
    """Return the state at this instant: since when the CSMS is out of reach, if it is."""
    if is_online:
        changed = state.offline_s is not None
        return replace(state, offline_s=None, is_offline=False) if changed else state
    since_s = now_s if state.offline_s is None else state.offline_s
    is_offline = now_s >= since_s + settings.integer(variables.OFFLINE_THRESHOLD)
    if (since_s, is_offline) == (state.offline_s, state.is_offline):
        return state
    return replace(state, offline_s=since_s, is_offline=is_offline)


# --- telling ---


def observed(
    state: Outside, site: Site, settings: Settings, *, is_online: bool
) -> tuple[Outside, tuple[LimitTold, ...]]:
    """Tell limits from outside that differ from what the CSMS was told (2.0.1 K11, K13).

    While it is out of reach only what differs in the end counts. A limit that is regulated
    all the time is told when it has changed by more than `LimitChangeSignificance`.
    """
    if not is_online:
        return state, ()
    least_pct = settings.decimal(variables.LIMIT_SIGNIFICANCE)
    present = {item.key: bound(item, site) for item in state.given.values()}
    if state.grid:
        present[f"{GRID}/0"] = Bound(GRID, limit_w=site.grid_w)
    changed = {
        key: item
        for key, item in present.items()
        if not _is_near(item, state.told.get(key), least_pct)
    }
    gone = state.told.keys() - present.keys()
    if not changed and not gone:
        return state, ()
    messages = [LimitTold(*_named(key), changed.get(key)) for key in (*changed, *sorted(gone))]
    told = {key: item for key, item in state.told.items() if key not in gone}
    return replace(state, told=told | changed), tuple(messages)


def _is_near(one: Bound, other: Bound | None, least_pct: float) -> bool:
    if other is None or (one.limit_a is None) is not (other.limit_a is None):
        return False
    now, before = one.limit_a or one.limit_w or 0.0, other.limit_a or other.limit_w or 0.0
    return abs(now - before) * 100 <= least_pct * before


def _named(key: str) -> tuple[str, int]:
    origin, _, evse_id = key.rpartition("/")
    return origin, int(evse_id)


# --- in force ---


def limited(state: Outside) -> frozenset[int]:
    """Return where somebody at the site limits, EVSEs by id; 0 is the whole station."""
    if not state.given:
        return _WHOLE if state.grid else _NOWHERE
    places = frozenset(given.evse_id for given in state.given.values())
    return places | _WHOLE if state.grid else places


_NOWHERE: Final = frozenset[int]()
_WHOLE: Final = frozenset({0})


def in_force(state: Outside, site: Site, settings: Settings, evse_ids: Iterable[int]) -> Bounds:
    """Return the bounds of this instant."""
    own: dict[int, tuple[Bound, ...]] = {}
    if state.is_offline and (limit_a := settings.integer(variables.OFFLINE_LIMIT)) < NO_LIMIT_A:
        own = dict.fromkeys(evse_ids, (Bound(OFFLINE, limit_a=limit_a),))
    for given in state.given.values():
        if given.evse_id:
            own[given.evse_id] = (*own.get(given.evse_id, ()), bound(given, site))
    return Bounds(station_bounds(state, site), own)


def external(state: Outside, site: Site) -> tuple[ExternalLimit, ...]:
    """Return what others at the site limit now, as the CSMS may ask for it."""
    found = [
        ExternalLimit(given.evse_id, "EMS", bound(given, site))
        for given in state.given.values()
    ]
    grid = _grid(state, site)
    return (*(ExternalLimit(0, "SO", one) for one in grid), *found)


def station_bounds(state: Outside, site: Site) -> tuple[Bound, ...]:
    """Return the bounds on the sum over all EVSEs.

    An input of the grid operator that has not spoken yet counts as active.
    """
    found = [] if site.fuse_a is None else [Bound(FUSE, limit_a=site.fuse_a)]
    found += _grid(state, site)
    found += [bound(given, site) for given in state.given.values() if not given.evse_id]
    return tuple(found)


def _grid(state: Outside, site: Site) -> tuple[Bound, ...]:
    if site.grid_w is None or state.grid is False:
        return ()
    return (Bound(GRID, limit_w=site.grid_w),)


def bound(given: Given, site: Site) -> Bound:
    """Return a limit from outside as it holds now."""
    if given.until_s is None:
        return Bound(given.origin, limit_a=site.safe_a)
    return Bound(given.origin, given.limit_a, given.limit_w)
