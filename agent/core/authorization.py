"""Who may charge: the authorization cache, the CSMS, and what to do without either.

The order of decision for a token presented at an EVSE (OCPP 1.6 reference 4.3, 2.0.1 C.1):

1. It began the running transaction, or belongs to the same group: the transaction stops.
   Any other token presented to a running transaction is ignored.
2. It waits for a vehicle here already: presenting it again withdraws it.
3. Online: the cache knows it as accepted and `LocalPreAuthorize` is set: it may charge.
   Otherwise the CSMS is asked. Without an answer in time the offline rules decide.
4. Offline: the cache knows it as good and `LocalAuthorizeOffline` is set: it may charge.
   `OfflineTxForUnknownIdEnabled` lets unknown tokens charge; one that the cache knows as bad
   never does.

ConcurrentTx in the cache is good offline only (1.6 reference 4.3): whether the other
transaction still runs only the CSMS knows, and online it can be asked.
"""

import enum
import hashlib
from collections.abc import Mapping

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import AuthorizationWanted, Done, Note, Reply, Verdict
from agent.core.events import (
    AuthorizationAnswered,
    AuthorizationWithdrawn,
    CacheClearRequested,
    DeadlinePassed,
    Event,
    LinkDown,
    MessageFailed,
    PowerUp,
    RemoteTokenOffered,
    StopGranted,
    TokenAccepted,
    TokenLearned,
    TokenPresented,
)
from agent.core.states import Active, Authorized, Evse, Finished, Idle
from agent.core.turn import Context, Turn
from agent.core.values import (
    AuthorizationStatus,
    IdToken,
    Stamp,
    StopReason,
    TokenInfo,
    Trigger,
    Value,
)
from hal.types import TokenType

ANSWER_WAIT_S = 10.0
"""Nobody waits longer at a reader (1.6 reference, appendix B)."""

CACHE_CAPACITY = 1000
"""Entries; about 100 bytes each in memory and on disk."""

UNASKED = frozenset({TokenType.CENTRAL, TokenType.NO_AUTHORIZATION})
"""Kinds of token that the CSMS is never asked about, and that the cache never keeps (2.0.1
C02.FR.01, C02.FR.03, C03.FR.01, C05.FR.01)."""


class Purpose(enum.Enum):
    """What a token was presented for."""

    START = "start"
    STOP = "stop"


class Pending(Value, frozen=True):
    """A token about which the CSMS was asked.

    Attributes:
        group: the group that a remote start named for it.
    """

    id_token: IdToken
    purpose: Purpose
    asked_at: Stamp
    group: str | None = None
    remote_start_id: int | None = None
    is_remote: bool = False


class CacheEntry(Value, frozen=True):
    """What the CSMS last said of a token, and when."""

    info: TokenInfo
    updated: Stamp


class Authorization(Value, frozen=True):
    """The slice of this block.

    Attributes:
        pending: by EVSE.
        cache: by digest of the token: values of cards are not kept in clear (C10.FR.12).
    """

    pending: Mapping[int, Pending] = {}
    cache: Mapping[str, CacheEntry] = {}


def digest(id_token: IdToken) -> str:
    """Return the cache key of a token."""
    return hashlib.sha256(id_token.key.encode()).hexdigest()[:32]


def deadline_s(state: Authorization) -> float | None:
    """Return when the wait for the earliest answer ends."""
    return min(
        (item.asked_at.monotonic_s + ANSWER_WAIT_S for item in state.pending.values()),
        default=None,
    )


def step(state: Authorization, event: Event, context: Context) -> Turn[Authorization]:
    """Advance the decisions by one event."""
    match event:
        case PowerUp():
            return Turn(replace(state, pending={}))
        case TokenPresented():
            return _presented(state, event, context)
        case RemoteTokenOffered():
            return _offered(state, event, context)
        case AuthorizationAnswered():
            return _answered(state, event, context)
        case TokenLearned(id_token=id_token, info=info):
            return Turn(_cached(state, id_token, info, context))
        case CacheClearRequested(request_id=request_id):
            return _cleared(state, request_id, context)
        case LinkDown() | DeadlinePassed() | MessageFailed():
            return _unanswered(state, event, context)
        case _:
            return Turn(state)


# --- presentation ---


def _presented(
    state: Authorization, event: TokenPresented, context: Context
) -> Turn[Authorization]:
    id_token = event.id_token
    evse = _target(event, context, state)
    if evse is None:
        return Turn(state, (Note("token.refused", "no EVSE is free for it"),))
    evse_id = evse.spec.evse_id
    if evse_id in state.pending:
        return Turn(state, (Note("token.ignored", "another token is being checked", evse_id),))
    match evse.session:
        case Active(transaction=transaction):
            if id_token.key == transaction.id_token.key:
                return Turn(state, (), (_stop(evse_id, id_token),))
            return _foreign(state, evse_id, id_token, transaction.group, context)
        case Authorized(id_token=waiting) if waiting.key == id_token.key:
            return Turn(state, (), (AuthorizationWithdrawn(evse_id),))
        case Idle() | Finished():
            refusal = context.refusal(evse_id)
            if refusal:
                return Turn(state, (Note("token.refused", refusal, evse_id),))
            return _started(state, evse_id, id_token, context)
        case _:
            return Turn(state, (Note("token.ignored", "the EVSE is busy", evse_id),))


def _started(
    state: Authorization, evse_id: int, id_token: IdToken, context: Context
) -> Turn[Authorization]:
    """Decide about a token presented here; a start button is good by itself (2.0.1 C02)."""
    wish = Pending(id_token, Purpose.START, context.now)
    match id_token.type:
        case TokenType.NO_AUTHORIZATION:
            return _granted(state, evse_id, wish, None)
        case TokenType.CENTRAL:
            text = "only the CSMS gives such a token"
            return Turn(state, (Note("token.refused", text, evse_id),))
        case _:
            return _decided(state, evse_id, wish, context)


def _target(event: TokenPresented, context: Context, state: Authorization) -> Evse | None:
    """Return the EVSE that a token is meant for (1.6 reference 4.1).

    A reader of one EVSE means that EVSE. Otherwise: the transaction it began or whose group
    it shares; where it waits; the vehicle connected last without authorization; the first
    EVSE without a vehicle. A vehicle whose transaction is over comes last: it would be
    charged at the cost of whoever comes next.
    """
    evses = context.evses
    if event.evse_id is not None:
        return evses.get(event.evse_id)
    if len(evses) == 1:
        return next(iter(evses.values()))
    key = event.id_token.key
    known = _known(state, event.id_token, context)
    group = known.group if known else None
    for evse in evses.values():
        if isinstance(evse.session, Active):
            transaction = evse.session.transaction
            if transaction.id_token.key == key or (group and transaction.group == group):
                return evse
        if isinstance(evse.session, Authorized) and evse.session.id_token.key == key:
            return evse
    free = [
        evse
        for evse in evses.values()
        if isinstance(evse.session, Idle | Finished)
        and evse.spec.evse_id not in state.pending
        and not context.refusal(evse.spec.evse_id)
    ]
    return max(free, key=_preference, default=None)


def _preference(evse: Evse) -> tuple[bool, float]:
    """Return how likely a token without a place means this free EVSE; the first wins ties."""
    plugged_at = evse.inputs.plugged_at
    return isinstance(evse.session, Idle), plugged_at.monotonic_s if plugged_at else -1.0


def _stop(evse_id: int, id_token: IdToken) -> StopGranted:
    return StopGranted(evse_id, StopReason.LOCAL, Trigger.STOP_AUTHORIZED, id_token)


def _foreign(
    state: Authorization, evse_id: int, id_token: IdToken, group: str | None, context: Context
) -> Turn[Authorization]:
    """Decide about another token than the one that began (1.6 4.2, 2.0.1 C09)."""
    if group is None or id_token.type in UNASKED:
        return Turn(state, (Note("token.ignored", "another token began here", evse_id),))
    known = _known(state, id_token, context)
    if known and known.status is AuthorizationStatus.ACCEPTED:
        if known.group == group:
            return Turn(state, (), (_stop(evse_id, id_token),))
        return Turn(state, (Note("token.ignored", "not of this group", evse_id),))
    if not context.is_online:
        return Turn(state, (Note("token.ignored", "its group is unknown", evse_id),))
    return _asked(state, evse_id, Pending(id_token, Purpose.STOP, context.now))


# --- decision ---


def _offered(
    state: Authorization, event: RemoteTokenOffered, context: Context
) -> Turn[Authorization]:
    """Authorize a remote start's token; one that is being checked here is not asked twice."""
    wish = Pending(
        event.id_token,
        Purpose.START,
        context.now,
        event.group,
        event.remote_start_id,
        is_remote=True,
    )
    asked = state.pending.get(event.evse_id)
    if asked is None or asked.id_token.key != wish.id_token.key:
        return _decided(state, event.evse_id, wish, context)
    wish = replace(wish, asked_at=asked.asked_at)
    return Turn(replace(state, pending={**state.pending, event.evse_id: wish}))


def _decided(
    state: Authorization, evse_id: int, wish: Pending, context: Context
) -> Turn[Authorization]:
    known = _known(state, wish.id_token, context)
    if not context.is_online:
        return _offline(state, evse_id, wish, known, context)
    pre_authorize = context.settings.flag(variables.LOCAL_PRE_AUTHORIZE)
    if pre_authorize and known and _is_accepted(known, evse_id):
        return _granted(state, evse_id, wish, known.group)
    return _asked(state, evse_id, wish)


def _asked(state: Authorization, evse_id: int, wish: Pending) -> Turn[Authorization]:
    pending = {**state.pending, evse_id: wish}
    return Turn(replace(state, pending=pending), (AuthorizationWanted(evse_id, wish.id_token),))


def _offline(
    state: Authorization,
    evse_id: int,
    wish: Pending,
    known: TokenInfo | None,
    context: Context,
) -> Turn[Authorization]:
    flag = context.settings.flag
    if known is None:
        good = flag(variables.OFFLINE_UNKNOWN)
    else:
        if known.status is AuthorizationStatus.CONCURRENT_TX:
            known = replace(known, status=AuthorizationStatus.ACCEPTED)
        good = _is_accepted(known, evse_id) and flag(variables.LOCAL_AUTHORIZE_OFFLINE)
    if good:
        return _granted(state, evse_id, wish, known.group if known else None)
    status = known.status.value if known else "Unknown"
    return Turn(state, (Note("token.refused", f"offline, {status}", evse_id),))


def _granted(
    state: Authorization, evse_id: int, wish: Pending, group: str | None
) -> Turn[Authorization]:
    accepted = TokenAccepted(
        evse_id,
        wish.id_token,
        group=group or wish.group,
        remote_start_id=wish.remote_start_id,
        is_remote=wish.is_remote,
    )
    return Turn(state, (), (accepted,))


def _is_accepted(info: TokenInfo, evse_id: int) -> bool:
    """Tell whether a verdict lets charge here (2.0.1 C01.FR.21)."""
    is_here = not info.evse_ids or evse_id in info.evse_ids
    return info.status is AuthorizationStatus.ACCEPTED and is_here


# --- the CSMS's answer ---


def _answered(
    state: Authorization, event: AuthorizationAnswered, context: Context
) -> Turn[Authorization]:
    state = _cached(state, event.id_token, event.info, context)
    wish = state.pending.get(event.evse_id)
    if wish is None or wish.id_token.key != event.id_token.key:
        return Turn(state)
    state = _settled(state, event.evse_id)
    # An expiry says how long the cache may keep this; now the CSMS's word stands, whatever
    # our clock shows.
    info = event.info
    if wish.purpose is Purpose.STOP:
        transaction = context.evses[event.evse_id].transaction
        is_good = info.status is AuthorizationStatus.ACCEPTED and info.group is not None
        if is_good and transaction and info.group == transaction.group:
            return Turn(state, (), (_stop(event.evse_id, wish.id_token),))
        return Turn(state, (Note("token.ignored", "not of this group", event.evse_id),))
    if _is_accepted(info, event.evse_id):
        return _granted(state, event.evse_id, wish, info.group)
    return Turn(state, (Note("token.refused", info.status.value, event.evse_id),))


def _unanswered(state: Authorization, event: Event, context: Context) -> Turn[Authorization]:
    """Fall back to the offline rules for every token whose answer will not come."""
    effects: list[Note] = []
    raised: list[Event] = []
    for evse_id, wish in state.pending.items():
        if not _is_lost(evse_id, wish, event, context):
            continue
        state = _settled(state, evse_id)
        if wish.purpose is Purpose.STOP:
            effects.append(Note("token.ignored", "its group is unknown", evse_id))
            continue
        turn = _offline(state, evse_id, wish, _known(state, wish.id_token, context), context)
        effects += [effect for effect in turn.effects if isinstance(effect, Note)]
        raised += turn.raised
    return Turn(state, tuple(effects), tuple(raised))


def _is_lost(evse_id: int, wish: Pending, event: Event, context: Context) -> bool:
    match event:
        case LinkDown():
            return True
        case MessageFailed(message=AuthorizationWanted(evse_id=asked, id_token=id_token)):
            return asked == evse_id and id_token.key == wish.id_token.key
        case DeadlinePassed():
            return context.now.monotonic_s >= wish.asked_at.monotonic_s + ANSWER_WAIT_S
        case _:
            return False


def _settled(state: Authorization, evse_id: int) -> Authorization:
    return replace(
        state, pending={key: item for key, item in state.pending.items() if key != evse_id}
    )


# --- the cache ---


def _known(state: Authorization, id_token: IdToken, context: Context) -> TokenInfo | None:
    """Return what the cache says of a token now; expired entries say Expired."""
    if not context.settings.flag(variables.CACHE_ENABLED):
        return None
    entry = state.cache.get(digest(id_token))
    if entry is None:
        return None
    lifetime = context.settings.integer(variables.CACHE_LIFETIME)
    if _is_past(entry.info, context.now) or _is_old(entry, lifetime, context.now):
        return replace(entry.info, status=AuthorizationStatus.EXPIRED)
    return entry.info


def _is_past(info: TokenInfo, now: Stamp) -> bool:
    """Tell whether an expiry has passed; without a clock nothing with an expiry is good."""
    if info.expires_wall_s is None:
        return False
    return now.wall_s is None or now.wall_s >= info.expires_wall_s


def _is_old(entry: CacheEntry, lifetime_s: int, now: Stamp) -> bool:
    """Tell whether an entry outlived its time; one whose age is unknown did."""
    if not lifetime_s:
        return False
    if entry.updated.boot == now.boot:
        return now.monotonic_s >= entry.updated.monotonic_s + lifetime_s
    if now.wall_s is None or entry.updated.wall_s is None:
        return True
    return now.wall_s >= entry.updated.wall_s + lifetime_s


def _cached(
    state: Authorization, id_token: IdToken, info: TokenInfo, context: Context
) -> Authorization:
    """Keep the CSMS's latest word, whatever it is (1.6 4.7, 2.0.1 C10.FR.01)."""
    if id_token.type in UNASKED or not context.settings.flag(variables.CACHE_ENABLED):
        return state
    key = digest(id_token)
    entry = state.cache.get(key)
    if (
        entry is not None
        and entry.info == info
        and not context.settings.integer(variables.CACHE_LIFETIME)
    ):
        return state  # nothing new: no write to flash
    cache = {**state.cache, key: CacheEntry(info, context.now)}
    if len(cache) > CACHE_CAPACITY:
        cache.pop(_least_useful(cache, key))
    return replace(state, cache=cache)


def _cleared(state: Authorization, request_id: int, context: Context) -> Turn[Authorization]:
    """Empty the cache; one that is switched off is left alone (2.0.1 C11.FR.04)."""
    if not context.settings.flag(variables.CACHE_ENABLED):
        done = Done(Verdict.REJECTED, "NotEnabled", "the authorization cache is switched off")
        return Turn(state, (Reply(request_id, done),))
    return Turn(replace(state, cache={}), (Reply(request_id, Done(Verdict.ACCEPTED)),))


def _least_useful(cache: Mapping[str, CacheEntry], fresh: str) -> str:
    """Return the entry to evict: a bad one before a good one, then the oldest (C10.FR.07)."""
    others = (key for key in cache if key != fresh)
    return min(
        others,
        key=lambda key: (
            cache[key].info.status is AuthorizationStatus.ACCEPTED,
            cache[key].updated.boot,
            cache[key].updated.monotonic_s,
        ),
    )
