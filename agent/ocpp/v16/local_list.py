"""SendLocalList and GetLocalListVersion (1.6 reference 2.3)."""

from collections.abc import Mapping

import msgspec

from agent.core.effects import ListVersion, Outcome, Verdict
from agent.core.events import ListedToken, LocalListSent, LocalListVersionRequested
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from agent.ocpp.adapter import Incoming, View
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import (
    AuthorizationData,
    GetLocalListVersionRequest,
    GetLocalListVersionResponse,
    IdTagInfo,
    Instant,
    Payload,
    SendLocalListRequest,
    SendLocalListResponse,
    Text20,
    UpdateWord,
)
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import decode
from agent.ocppj.quirks import Quirk, noted

NO_LIST = -1
"""Version to tell while there is no list, or it is switched off."""

_WORDS: Mapping[Verdict, UpdateWord] = {
    Verdict.ACCEPTED: "Accepted",
    Verdict.NOT_SUPPORTED: "NotSupported",
    Verdict.VERSION_MISMATCH: "VersionMismatch",
}


class _Info(IdTagInfo, frozen=True, kw_only=True):
    """Early copies of the schema spell `expiryDate` so (1.6J errata 2.3)."""

    expire_date: Instant | None = None


class _Entry(AuthorizationData, frozen=True, kw_only=True):
    id_tag: Text20
    id_tag_info: _Info | None = None


class _Request(SendLocalListRequest, frozen=True, kw_only=True):
    local_authorization_list: tuple[_Entry, ...] | None = None


def decode_send(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode SendLocalList; a list that cannot be kept has an answer of its own."""
    request = decode(payload, _Request)
    items = tuple(_item(entry) for entry in request.local_authorization_list or ())
    is_full = request.update_type == "Full"
    wanted = LocalListSent(request_id, request.list_version, is_full, items)
    return Incoming("SendLocalList", wanted, request, failed=_answer("Failed"))


def respond_send(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to SendLocalList."""
    return _answer(_WORDS.get(wire.done(outcome).verdict, "Failed"))


def decode_version(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode GetLocalListVersion."""
    request: Payload = decode(payload, GetLocalListVersionRequest)
    return Incoming("GetLocalListVersion", LocalListVersionRequested(request_id), request)


def respond_version(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to GetLocalListVersion; an empty list has version 0.

    Raises:
        RpcError: InternalError, because the core answered something else.
    """
    if not isinstance(outcome, ListVersion):
        raise RpcError(RpcErrorCode.INTERNAL_ERROR, "the list's version could not be read")
    version = outcome.version if outcome.size else 0
    shown = version if outcome.is_enabled else NO_LIST
    return wire.encoded(GetLocalListVersionResponse(list_version=shown))


def _item(entry: _Entry) -> ListedToken:
    info = entry.id_tag_info
    if info is None:
        return ListedToken(IdToken(entry.id_tag))
    if info.expire_date and not info.expiry_date:
        noted(Quirk.OLD_NAME)
    told = TokenInfo(
        AuthorizationStatus(info.status),
        expires_wall_s=wire.instant("expiryDate", info.expiry_date or info.expire_date),
        group=info.parent_id_tag or None,
    )
    return ListedToken(IdToken(entry.id_tag), told)


def _answer(word: UpdateWord) -> bytes:
    return wire.encoded(SendLocalListResponse(status=word))
