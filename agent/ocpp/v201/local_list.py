"""Block D on the wire: SendLocalList and GetLocalListVersion."""

from collections.abc import Mapping

from agent.core.effects import ListVersion, Outcome, Verdict
from agent.core.events import ListedToken, LocalListSent, LocalListVersionRequested
from agent.ocpp.v201 import authorization, codec, status
from agent.ocpp.v201.messages import (
    AuthorizationData,
    GetLocalListVersionResponse,
    SendLocalListRequest,
    SendLocalListResponse,
    UpdateWord,
)
from agent.ocppj.errors import RpcError, RpcErrorCode

_WORDS: Mapping[Verdict, UpdateWord] = {
    Verdict.ACCEPTED: "Accepted",
    Verdict.VERSION_MISMATCH: "VersionMismatch",
}

FAILED = codec.encode(SendLocalListResponse("Failed", status.info("InternalError")))
"""Answer when the list cannot be kept (D01.FR.13)."""


def send(wire: SendLocalListRequest, request_id: int) -> LocalListSent:
    """Return the update that a SendLocalList brings (D01)."""
    items = tuple(_item(entry) for entry in wire.local_authorization_list or ())
    return LocalListSent(request_id, wire.version_number, wire.update_type == "Full", items)


def send_answer(outcome: Outcome) -> SendLocalListResponse:
    """Return the answer to a SendLocalList."""
    _, info = status.answer(outcome)
    return SendLocalListResponse(_WORDS.get(status.done(outcome).verdict, "Failed"), info)


def version(request_id: int) -> LocalListVersionRequested:
    """Return what a GetLocalListVersion asks for (D02)."""
    return LocalListVersionRequested(request_id)


def version_answer(outcome: Outcome) -> GetLocalListVersionResponse:
    """Return the answer; a list that is switched off has version 0 (D02.FR.03).

    Raises:
        RpcError: InternalError, because the core answered something else.
    """
    if not isinstance(outcome, ListVersion):
        raise RpcError(RpcErrorCode.INTERNAL_ERROR, "the list's version could not be read")
    return GetLocalListVersionResponse(outcome.version if outcome.is_enabled else 0)


def _item(entry: AuthorizationData) -> ListedToken:
    token = authorization.from_wire(entry.id_token)
    info = entry.id_token_info
    return ListedToken(token, None if info is None else authorization.listed(info))
