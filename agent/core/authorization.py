"""Who may charge: local list, authorization cache, the CSMS, and what to do without any.

The order of decision for a token presented at an EVSE (OCPP 1.6 reference 4.3, 2.0.1 C.1):

1. It began the running transaction, or belongs to the same group: the transaction stops.
   Any other token presented to a running transaction is ignored.
2. It waits for a vehicle here already: presenting it again withdraws it.
3. Online: list or cache know it as accepted and `LocalPreAuthorize` is set: it may charge.
   Otherwise the CSMS is asked. Without an answer in time the offline rules decide.
4. Offline: list or cache know it as good and `LocalAuthorizeOffline` is set: it may charge.
   `OfflineTxForUnknownIdEnabled` lets unknown tokens charge; one that is known as bad never
   does.

An EVSE that is kept free for somebody else refuses whoever is neither the holder nor of the
holder's group; the CSMS is asked for the group only where a reservation names one.

What list and cache know stands in agent.core.standing: the list wins. ConcurrentTx in either
is good offline only (1.6 reference 4.3): whether the other transaction still runs only the
CSMS knows, and online it can be asked.
"""

import enum
from collections.abc import Mapping

from msgspec.structs import replace

from agent.core import standing, variables
from agent.core.effects import AuthorizationWanted, Done, Note, Reply, Verdict
from agent.core.events import (
    AuthorizationAnswered,
    AuthorizationWithdrawn,
    CacheClearRequested,
    DeadlinePassed,
    Event,
    LinkDown,
    MessageFailed,
    PilotChanged,
    PlugReleased,
    PowerUp,
    RemoteTokenOffered,
    StopGranted,
    TokenAccepted,
    TokenLearned,
    TokenPresented,
    TokensListed,
)
from agent.core.smart_charging.profile import Profile
from agent.core.standing import UNASKED, CacheEntry, Standing
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

_LAST_WORD = {True: variables.LIST_IS_FINAL, False: variables.CACHE_IS_FINAL}
"""Settings that spare the CSMS the question about what list or cache refuse."""


_RESERVED = "reserved for somebody else"


class Purpose(enum.Enum):
    """What a token was presented for."""

    START = "start"
    STOP = "stop"


class Pending(Value, frozen=True):
    """A token about which the CSMS was asked.

    Attributes:
        group: the group that a remote start named for it.
        is_floating: it was presented to the station as a whole.
        profile: that a remote start brought for the transaction.
    """

    id_token: IdToken
    purpose: Purpose
    asked_at: Stamp
    group: str | None = None
    remote_start_id: int | None = None
    is_remote: bool = False
    is_floating: bool = False
    profile: Profile | None = None


class Authorization(Value, frozen=True):
    """The slice of this block.

    Attributes:
        pending: by EVSE.
        cache: what the CSMS said of tokens, by digest.
    """

    pending: Mapping[int, Pending] = {}
    cache: Mapping[str, CacheEntry] = {}


def deadline_s(state: Authorization) -> float | None:
    """Return when the wait for the earliest answer ends."""
    if not state.pending:
        return None
    return min(item.asked_at.monotonic_s + ANSWER_WAIT_S for item in state.pending.values())


def checking(state: Authorization) -> dict[int, str]:
    """Return the EVSEs at which a token is being checked, with its key."""
    return {evse_id: item.id_token.key for evse_id, item in state.pending.items()}


def step(state: Authorization, event: Event, context: Context) -> Turn[Authorization]:
    """Advance the decisions by one event."""
    match event:
        case PowerUp():
            return Turn(replace(state, pending={}))
        case TokenPresented():
            return _presented(state, event, context)
        case PilotChanged(evse_id=evse_id):
            return _arrived(state, evse_id, context)
        case RemoteTokenOffered():
            return _offered(state, event, context)
        case AuthorizationAnswered():
            return _answered(state, event, context)
        case TokenLearned(id_token=id_token, info=info):
            return Turn(_learned(state, id_token, info, context))
        case TokensListed(keys=keys):
            return Turn(_listed(state, keys))
        case CacheClearRequested():
            return _cleared(state, event, context)
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
        case Finished(owner=owner) as session if owner is not None:
            return _claimed(state, session, evse_id, id_token, context)
        case Idle() | Finished():
            refusal = context.refusal(evse_id)
            if refusal:
                return Turn(state, (Note("token.refused", refusal, evse_id),))
            return _started(state, evse, event, context)
        case _:
            return Turn(state, (Note("token.ignored", "the EVSE is busy", evse_id),))


def _claimed(
    state: Authorization, session: Finished, evse_id: int, id_token: IdToken, context: Context
) -> Turn[Authorization]:
    """Give a plug that was kept locked to its owner (1.6 reference 4.2 and 4.8)."""
    known = standing.known(state.cache, id_token, context)
    if session.is_owner(id_token, known.info.group if known else None):
        return Turn(state, (), (PlugReleased(evse_id),))
    return Turn(state, (Note("token.ignored", "the plug is somebody else's", evse_id),))


def _started(
    state: Authorization, evse: Evse, event: TokenPresented, context: Context
) -> Turn[Authorization]:
    """Decide about a token presented here; a start button is good by itself (2.0.1 C02)."""
    evse_id = evse.spec.evse_id
    is_nowhere = event.evse_id is None and len(context.evses) > 1
    is_floating = is_nowhere and evse.inputs.plugged_at is None
    wish = Pending(event.id_token, Purpose.START, context.now, is_floating=is_floating)
    match event.id_token.type:
        case TokenType.NO_AUTHORIZATION:
            return _granted(state, evse_id, wish, None, context)
        case TokenType.CENTRAL:
            text = "only the CSMS gives such a token"
            return Turn(state, (Note("token.refused", text, evse_id),))
        case _:
            return _decided(state, evse_id, wish, context)


def _target(event: TokenPresented, context: Context, state: Authorization) -> Evse | None:
    """Return the EVSE that a token is meant for (1.6 reference 4.1).

    A reader of one EVSE means that EVSE. Otherwise: the transaction it began or whose group
    it shares; where it waits; the vehicle connected last without authorization; the EVSE that
    is reserved for it; the first EVSE without a vehicle. A vehicle whose transaction is over
    comes last: it would be charged at the cost of whoever comes next.
    """
    evses = context.evses
    if event.evse_id is not None:
        return evses.get(event.evse_id)
    if len(evses) == 1:
        return next(iter(evses.values()))
    key = event.id_token.key
    known = standing.known(state.cache, event.id_token, context)
    group = known.info.group if known else None
    for evse in evses.values():
        if isinstance(evse.session, Active):
            transaction = evse.session.transaction
            if transaction.id_token.key == key or (group and transaction.group == group):
                return evse
        if isinstance(evse.session, Authorized) and evse.session.id_token.key == key:
            return evse
    return _best(state, event.id_token, group, context)


def _best(
    state: Authorization, id_token: IdToken, group: str | None, context: Context
) -> Evse | None:
    """Return the free EVSE that a token without a place most likely means."""
    free = [
        evse
        for evse_id, evse in context.evses.items()
        if isinstance(evse.session, Idle | Finished)
        and evse_id not in state.pending
        and not context.refusal(evse_id)
        and not context.is_barred(evse_id, id_token, group)
    ]

    def preference(evse: Evse) -> tuple[bool, bool, bool, float]:
        """Rank an EVSE; the first wins ties."""
        plugged_at = evse.inputs.plugged_at
        is_kept = evse.spec.evse_id in context.held
        return (
            isinstance(evse.session, Idle),
            is_kept and plugged_at is not None,
            is_kept or plugged_at is not None,
            plugged_at.monotonic_s if plugged_at else -1.0,
        )

    return max(free, key=preference, default=None)


def _arrived(state: Authorization, evse_id: int, context: Context) -> Turn[Authorization]:
    """Let an authorization without a place follow its vehicle (1.6 reference 4.1)."""
    plugged_at = context.evses[evse_id].inputs.plugged_at if evse_id in context.evses else None
    if plugged_at is None or evse_id in state.pending or context.refusal(evse_id):
        return Turn(state)
    if not isinstance(context.evses[evse_id].session, Idle):
        return Turn(state)
    for waiting_id, waiting in context.evses.items():
        session = waiting.session
        if (
            isinstance(session, Authorized)
            and session.is_floating
            and not session.was_plugged
            and session.since.monotonic_s <= plugged_at.monotonic_s
            and not context.is_barred(evse_id, session.id_token, session.group)
        ):
            here = TokenAccepted(
                evse_id, session.id_token, group=session.group, priority=session.priority
            )
            return Turn(state, (), (AuthorizationWithdrawn(waiting_id), here))
    return Turn(state)


def _stop(evse_id: int, id_token: IdToken) -> StopGranted:
    return StopGranted(evse_id, StopReason.LOCAL, Trigger.STOP_AUTHORIZED, id_token)


def _foreign(
    state: Authorization, evse_id: int, id_token: IdToken, group: str | None, context: Context
) -> Turn[Authorization]:
    """Decide about another token than the one that began (1.6 4.2, 2.0.1 C09)."""
    if group is None or id_token.type in UNASKED:
        return Turn(state, (Note("token.ignored", "another token began here", evse_id),))
    known = standing.known(state.cache, id_token, context)
    if known and known.is_good:
        if known.info.group == group:
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
        profile=event.profile,
    )
    asked = state.pending.get(event.evse_id)
    if asked is None or asked.id_token.key != wish.id_token.key:
        return _decided(state, event.evse_id, wish, context)
    wish = replace(wish, asked_at=asked.asked_at)
    return Turn(replace(state, pending={**state.pending, event.evse_id: wish}))


def _decided(
    state: Authorization, evse_id: int, wish: Pending, context: Context
) -> Turn[Authorization]:
    known = standing.known(state.cache, wish.id_token, context)
    group = (known.info.group if known else None) or wish.group
    if context.is_barred(evse_id, wish.id_token, group):
        may_belong = group is None and context.is_kept_for_group(evse_id)
        if may_belong and context.is_online:
            return _asked(state, evse_id, wish)  # the CSMS may name its group
        return Turn(state, (Note("token.refused", _RESERVED, evse_id),))
    if not context.is_online:
        return _offline(state, evse_id, wish, known, context)
    flag = context.settings.flag
    if known and _is_accepted(known.info, evse_id) and flag(variables.LOCAL_PRE_AUTHORIZE):
        return _granted(state, evse_id, wish, known.info, context)
    if known and not known.is_good and flag(_LAST_WORD[known.is_listed]):
        text = known.info.status.value
        return Turn(state, (Note("token.refused", text, evse_id),))
    return _asked(state, evse_id, wish)


def _asked(state: Authorization, evse_id: int, wish: Pending) -> Turn[Authorization]:
    pending = {**state.pending, evse_id: wish}
    return Turn(replace(state, pending=pending), (AuthorizationWanted(evse_id, wish.id_token),))


def _offline(
    state: Authorization,
    evse_id: int,
    wish: Pending,
    known: Standing | None,
    context: Context,
) -> Turn[Authorization]:
    flag = context.settings.flag
    info = known.info if known else None
    if info is None:
        good = flag(variables.OFFLINE_UNKNOWN)
    else:
        if info.status is AuthorizationStatus.CONCURRENT_TX:
            info = replace(info, status=AuthorizationStatus.ACCEPTED)
        good = _is_accepted(info, evse_id) and flag(variables.LOCAL_AUTHORIZE_OFFLINE)
    if good:
        return _granted(state, evse_id, wish, info, context)
    status = info.status.value if info else "Unknown"
    return Turn(state, (Note("token.refused", f"offline, {status}", evse_id),))


def _granted(
    state: Authorization, evse_id: int, wish: Pending, info: TokenInfo | None, context: Context
) -> Turn[Authorization]:
    """Let a token charge, unless the EVSE has been promised to somebody else meanwhile.

    A token without a place goes where a vehicle has come while it was checked.
    """
    group = (info.group if info else None) or wish.group
    if wish.is_floating:
        best = _best(state, wish.id_token, group, context)
        if best is not None and best.inputs.plugged_at is not None:
            evse_id, wish = best.spec.evse_id, replace(wish, is_floating=False)
    if context.is_barred(evse_id, wish.id_token, group):
        return Turn(state, (Note("token.refused", _RESERVED, evse_id),))
    accepted = TokenAccepted(
        evse_id,
        wish.id_token,
        group=group,
        remote_start_id=wish.remote_start_id,
        is_remote=wish.is_remote,
        is_floating=wish.is_floating,
        profile=wish.profile,
        priority=(info.priority if info else None) or 0,
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
        return _granted(state, event.evse_id, wish, info, context)
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
        known = standing.known(state.cache, wish.id_token, context)
        turn = _offline(state, evse_id, wish, known, context)
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


def _learned(
    state: Authorization, id_token: IdToken, info: TokenInfo, context: Context
) -> Authorization:
    """Keep what a transaction's answer says of its token, but for a priority (K03.FR.05)."""
    entry = state.cache.get(standing.digest(id_token))
    priority = None if entry is None else entry.info.priority
    return _cached(state, id_token, replace(info, priority=priority), context)


def _cached(
    state: Authorization, id_token: IdToken, info: TokenInfo, context: Context
) -> Authorization:
    cache = standing.cached(state.cache, id_token, info, context)
    return state if cache is state.cache else replace(state, cache=cache)


def _cleared(
    state: Authorization, event: CacheClearRequested, context: Context
) -> Turn[Authorization]:
    if not (event.even_if_off or context.settings.flag(variables.CACHE_ENABLED)):
        done = Done(Verdict.REJECTED, "NotEnabled", "the authorization cache is switched off")
        return Turn(state, (Reply(event.request_id, done),))
    return Turn(replace(state, cache={}), (Reply(event.request_id, Done(Verdict.ACCEPTED)),))


def _listed(state: Authorization, keys: frozenset[str]) -> Authorization:
    """Forget what the local list says from now on."""
    left = {key: entry for key, entry in state.cache.items() if key not in keys}
    return state if len(left) == len(state.cache) else replace(state, cache=left)
