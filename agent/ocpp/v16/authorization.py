"""Authorize, ClearCache, and what the CSMS says of idTags (1.6 reference 2.1, 4.7)."""

from contextlib import suppress
from typing import Any

import msgspec

from agent.core.effects import AuthorizationWanted, Outcome
from agent.core.events import AuthorizationAnswered, CacheClearRequested
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from agent.ocpp.adapter import Call, Incoming, View
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import (
    AuthorizationWord,
    AuthorizeRequest,
    ClearCacheRequest,
    ClearCacheResponse,
    Payload,
)
from agent.ocpp.wire_time import from_text
from agent.ocppj.errors import RpcError
from agent.ocppj.explain import decode
from agent.ocppj.quirks import Quirk, noted

LONGEST_ID_TAG = 20
"""Characters of an idTag (1.6 CiString20Type)."""

RULED_GROUP = 20
"""Characters of a parentIdTag as 1.6 has it."""

LONGEST_GROUP = 255
"""Characters of a parentIdTag that we keep; longer ones than 1.6 allows do no harm."""


class _Info(Payload, frozen=True, kw_only=True):
    """IdTagInfo as far as it can be used: only the status must be right."""

    status: AuthorizationWord
    expiry_date: Any = None
    parent_id_tag: Any = None


class _Answer(Payload, frozen=True, kw_only=True):
    id_tag_info: _Info


def id_tag(id_token: IdToken) -> str | None:
    """Return a token as an idTag, None when 1.6 cannot carry it.

    A longer token is never cut: the rest could be somebody else's.
    """
    return id_token.value if 0 < len(id_token.value) <= LONGEST_ID_TAG else None


def token_info(value: object) -> TokenInfo | None:
    """Return what an idTagInfo (parsed JSON) says, None when it is absent or unusable."""
    try:
        return _told(decode(msgspec.json.encode(value), _Info, any_case=True))
    except RpcError:
        return None


def authorize(message: AuthorizationWanted) -> Call | None:
    """Return an Authorize, None for a token that 1.6 cannot carry."""
    tag = id_tag(message.id_token)
    return wire.call("Authorize", AuthorizeRequest(id_tag=tag)) if tag else None


def authorized(message: AuthorizationWanted, payload: msgspec.Raw) -> AuthorizationAnswered:
    """Return the CSMS's verdict.

    Raises:
        RpcError: the answer has no usable status.
    """
    answer = decode(payload, _Answer, any_case=True)
    return AuthorizationAnswered(message.evse_id, message.id_token, _told(answer.id_tag_info))


def _told(info: _Info) -> TokenInfo:
    group = info.parent_id_tag
    has_group = isinstance(group, str) and 0 < len(group) <= LONGEST_GROUP
    if group and not (has_group and len(group) <= RULED_GROUP):
        noted(Quirk.LONG_GROUP)
    return TokenInfo(
        AuthorizationStatus(info.status),
        expires_wall_s=instant(info.expiry_date),
        group=group if has_group else None,
    )


def instant(value: object) -> float | None:
    """Return an instant of the CSMS in UTC seconds, None when it says none."""
    if wire.says(value):
        with suppress(ValueError):
            return from_text(value)
    if value not in (None, ""):
        noted(Quirk.UNREADABLE_TIME)
    return None


def decode_clear(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode ClearCache."""
    request = decode(payload, ClearCacheRequest)
    return Incoming("ClearCache", CacheClearRequested(request_id, even_if_off=True), request)


def respond_clear(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to ClearCache."""
    return wire.encoded(ClearCacheResponse(status=wire.yes_or_no(outcome)))
