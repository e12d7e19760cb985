"""The local authorization list: tokens that the CSMS sends ahead (1.6 2.3, 2.0.1 block D).

Only the CSMS changes it, and every change is whole or not at all:

    full           any version above 0; replaces everything, an empty list empties it
    differential   a version above the present one; adds, changes and removes

A list that is switched off is kept, and neither shown nor used. An entry of it that the CSMS
itself contradicts is a conflict, and stays one until the next version (1.6 3.2).
"""

from collections.abc import Mapping

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Done, ListVersion, Reply, Verdict
from agent.core.events import (
    AuthorizationAnswered,
    Event,
    ListedToken,
    LocalListSent,
    LocalListVersionRequested,
    TokenLearned,
    TokensListed,
)
from agent.core.standing import current, digest
from agent.core.turn import Context, Turn
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo, Value
from agent.core.variables import Settings

LARGEST_VERSION = 2**63 - 1
"""What can be kept."""

_FINE = frozenset({AuthorizationStatus.ACCEPTED, AuthorizationStatus.CONCURRENT_TX})
"""Answers that do not contradict an accepted entry."""


class LocalList(Value, frozen=True):
    """The slice of this block.

    Attributes:
        version: of the last update that was taken, 0 before the first.
        entries: by digest of the token.
        conflicts: accepted entries of this version that the CSMS has refused meanwhile.
    """

    version: int = 0
    entries: Mapping[str, TokenInfo] = {}
    conflicts: frozenset[str] = frozenset()


def listed(state: LocalList, settings: Settings) -> Mapping[str, TokenInfo]:
    """Return the entries in force; none while the list is switched off."""
    return state.entries if state.entries and settings.flag(variables.LIST_ENABLED) else {}


def step(state: LocalList, event: Event, context: Context) -> Turn[LocalList]:
    """Take an update, or tell which version is there."""
    match event:
        case LocalListSent():
            return _sent(state, event, context.settings)
        case LocalListVersionRequested(request_id=request_id):
            is_enabled = context.settings.flag(variables.LIST_ENABLED)
            version = ListVersion(state.version, len(state.entries), is_enabled)
            return Turn(state, (Reply(request_id, version),))
        case AuthorizationAnswered(id_token=id_token, info=info):
            return Turn(_compared(state, id_token, info, context))
        case TokenLearned(id_token=id_token, info=info):
            return Turn(_compared(state, id_token, info, context))
        case _:
            return Turn(state)


def _sent(state: LocalList, event: LocalListSent, settings: Settings) -> Turn[LocalList]:
    refusal = _refusal(state, event, settings)
    if refusal is not None:
        return Turn(state, (Reply(event.request_id, refusal),))
    entries = {} if event.is_full else dict(state.entries)
    for item in event.items:
        key = digest(item.id_token)
        if item.info is not None:
            entries[key] = item.info
        else:
            entries.pop(key, None)
    if len(entries) > settings.integer(variables.LIST_CAPACITY):
        return Turn(state, (Reply(event.request_id, _failed("the list would be too long")),))
    accepted = Reply(event.request_id, Done(Verdict.ACCEPTED))
    taken = LocalList(event.version, entries)
    return Turn(taken, (accepted,), (TokensListed(frozenset(entries)),))


def _refusal(state: LocalList, event: LocalListSent, settings: Settings) -> Done | None:
    """Return why an update cannot be taken, in the order of the reference (1.6 2.3)."""
    if not settings.flag(variables.LIST_ENABLED):
        return Done(Verdict.NOT_SUPPORTED, "NotEnabled", "the local list is switched off")
    if not 0 < event.version <= LARGEST_VERSION:
        return _failed("a version is above 0")
    if not event.is_full and event.version <= state.version:
        info = f"the list has version {state.version} already"
        return Done(Verdict.VERSION_MISMATCH, info=info)
    if len(event.items) > settings.integer(variables.LIST_ITEMS):
        return _failed("too many entries in one request")
    if len({item.id_token.key for item in event.items}) < len(event.items):
        return _failed("a token is named twice")
    if event.is_full and any(_is_removal(item) for item in event.items):
        return _failed("an entry of a full list has no standing")
    return None


def _is_removal(item: ListedToken) -> bool:
    return item.info is None


def _failed(info: str) -> Done:
    return Done(Verdict.REJECTED, "InvalidValue", info)


def _compared(
    state: LocalList, id_token: IdToken, info: TokenInfo, context: Context
) -> LocalList:
    """Note when the CSMS refuses what its list accepts, once for each token and version."""
    key = digest(id_token)
    entry = listed(state, context.settings).get(key)
    if entry is None or info.status in _FINE or key in state.conflicts:
        return state
    if current(entry, context.now).status is not AuthorizationStatus.ACCEPTED:
        return state
    return replace(state, conflicts=state.conflicts | {key})
