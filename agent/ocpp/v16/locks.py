"""UnlockConnector (1.6 reference 2.2)."""

from collections.abc import Mapping

import msgspec

from agent.core.effects import Outcome, Verdict
from agent.core.events import UnlockRequested
from agent.ocpp.adapter import Incoming, View
from agent.ocpp.v16 import numbering, wire
from agent.ocpp.v16.messages import (
    UnlockConnectorRequest,
    UnlockConnectorResponse,
    UnlockWord,
)
from agent.ocppj.explain import decode

_WORDS: Mapping[Verdict, UnlockWord] = {
    Verdict.ACCEPTED: "Unlocked",
    Verdict.NOT_SUPPORTED: "NotSupported",
    Verdict.UNKNOWN_EVSE: "NotSupported",
}


def decode_unlock(payload: msgspec.Raw, request_id: int, view: View) -> Incoming:
    """Decode UnlockConnector; connector 0 is none that could be unlocked."""
    request = decode(payload, UnlockConnectorRequest)
    place = numbering.place(view.specs, request.connector_id)
    evse_id, connector_id = place or (numbering.unknown_evse(view.specs), 1)
    wanted = UnlockRequested(request_id, evse_id, connector_id, stops=True)
    return Incoming("UnlockConnector", wanted, request)


def respond_unlock(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to UnlockConnector."""
    word = _WORDS.get(wire.done(outcome).verdict, "UnlockFailed")
    return wire.encoded(UnlockConnectorResponse(status=word))
