"""RemoteStartTransaction and RemoteStopTransaction (1.6 reference 2.2)."""

import msgspec

from agent.core.effects import Outcome
from agent.core.events import RemoteStartRequested, RemoteStopRequested
from agent.core.smart_charging.offer import is_served
from agent.core.values import IdToken
from agent.ocpp.adapter import Incoming, View
from agent.ocpp.v16 import numbering, wire
from agent.ocpp.v16.messages import (
    RemoteStartTransactionRequest,
    RemoteStartTransactionResponse,
    RemoteStopTransactionRequest,
    RemoteStopTransactionResponse,
)
from agent.ocpp.v16.smart_charging import from_wire
from agent.ocppj.explain import decode


def decode_start(payload: msgspec.Raw, request_id: int, view: View) -> Incoming:
    """Decode RemoteStartTransaction.

    Connector 0 and unknown ones become EVSE 0, which the core refuses. A transaction that a
    charging profile names means nothing: there is none yet. Without smart charging the
    profile is ignored (1.6 5.16).
    """
    request = decode(payload, RemoteStartTransactionRequest)
    profile = request.charging_profile if is_served(view.settings) else None
    evse_id = None
    if request.connector_id is not None:
        evse_id, _ = numbering.place(view.specs, request.connector_id) or (0, 0)
    wanted = RemoteStartRequested(
        request_id,
        IdToken(request.id_tag),
        evse_id,
        profile=None if profile is None else from_wire(profile),
        lenient=True,
    )
    return Incoming("RemoteStartTransaction", wanted, request)


def respond_start(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to RemoteStartTransaction."""
    return wire.encoded(RemoteStartTransactionResponse(status=wire.yes_or_no(outcome)))


def decode_stop(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode RemoteStopTransaction."""
    request = decode(payload, RemoteStopTransactionRequest)
    wanted = RemoteStopRequested(request_id, remote_id=request.transaction_id)
    return Incoming("RemoteStopTransaction", wanted, request)


def respond_stop(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to RemoteStopTransaction."""
    return wire.encoded(RemoteStopTransactionResponse(status=wire.yes_or_no(outcome)))
