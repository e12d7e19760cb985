"""Block C on the wire: id tokens, the CSMS's verdict on them, the cache.

A verdict is read leniently and only as far as it is used. Its status must be one that the
specification knows, because it decides who gets energy; a broken expiry or group is left
out, because the CSMS has accepted what it answers and would not say it better again.
"""

from typing import Any

import msgspec

from agent.core.effects import AuthorizationWanted, Outcome
from agent.core.events import AuthorizationAnswered
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from agent.ocpp.v201 import codec, datatypes, status
from agent.ocpp.v201.datatypes import Int, Wire, WireIdToken
from agent.ocpp.v201.messages import AuthorizeRequest, ClearCacheResponse
from hal.types import TokenType

LONGEST_TOKEN = 36
"""Characters of IdTokenType.idToken."""

_MOST_PRIORITY = 9
_MOST_EVSES = 64  # ids kept of a verdict; more than any station of ours has


class _Group(Wire, frozen=True):
    id_token: str


class Verdict(Wire, frozen=True):
    """The part of an IdTokenInfoType that the station uses."""

    status: datatypes.AuthorizationStatus
    cache_expiry_date_time: Any = None
    group_id_token: _Group | None = None
    evse_id: tuple[Int, ...] | None = None
    charging_priority: Any = None


class _Answer(Wire, frozen=True):
    id_token_info: Verdict


def to_wire(token: IdToken) -> WireIdToken:
    """Return the wire form of a token, its value cut to 36 characters."""
    return WireIdToken(token.value[:LONGEST_TOKEN], token.type.value)


def from_wire(token: WireIdToken) -> IdToken:
    """Return the token that a wire form stands for; additionalInfo does not matter.

    C01.FR.25 (erratum 2025-04): tokens are the same when value and type agree.
    """
    return IdToken(token.id_token, TokenType(token.type))


def token_info(verdict: Verdict) -> TokenInfo:
    """Return what a verdict says of its token."""
    group = verdict.group_id_token.id_token if verdict.group_id_token is not None else ""
    evse_ids = sorted(set(verdict.evse_id or ()))[:_MOST_EVSES]
    return TokenInfo(
        status=AuthorizationStatus(verdict.status),
        expires_wall_s=codec.instant(verdict.cache_expiry_date_time),
        group=group if 0 < len(group) <= LONGEST_TOKEN else None,
        evse_ids=tuple(evse_ids),
        priority=_priority(verdict.charging_priority),
    )


def _priority(value: object) -> int | None:
    """Return a priority as it counts, None when nothing sensible is said (K03)."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return min(max(value, -_MOST_PRIORITY), _MOST_PRIORITY)


def listed(info: datatypes.IdTokenInfo) -> TokenInfo:
    """Return what an entry of the local list says of its token."""
    group = info.group_id_token
    return token_info(
        Verdict(
            info.status,
            info.cache_expiry_date_time,
            None if group is None else _Group(group.id_token),
            info.evse_id,
            info.charging_priority,
        )
    )


def authorize(message: AuthorizationWanted) -> AuthorizeRequest | None:
    """Return the question about a token; None when the version cannot name the token.

    A token cut to the schema's length would ask about somebody else's.
    """
    if len(message.id_token.value) > LONGEST_TOKEN:
        return None
    return AuthorizeRequest(to_wire(message.id_token))


def authorized(message: AuthorizationWanted, payload: msgspec.Raw) -> AuthorizationAnswered:
    """Return the answer to that question.

    Raises:
        RpcError: there is no verdict in it.
    """
    verdict = codec.decode_answer(_Answer, payload).id_token_info
    return AuthorizationAnswered(message.evse_id, message.id_token, token_info(verdict))


def cache_cleared(outcome: Outcome) -> ClearCacheResponse:
    """Return the answer to ClearCache (C11.FR.03 to 05)."""
    return ClearCacheResponse(*status.answer(outcome))
