"""UnlockConnector on the wire (F05)."""

from collections.abc import Mapping

from agent.core.effects import Outcome, Verdict
from agent.core.events import UnlockRequested
from agent.ocpp.v201 import status
from agent.ocpp.v201.messages import (
    UnlockConnectorRequest,
    UnlockConnectorResponse,
    UnlockWord,
)

_WORDS: Mapping[Verdict, UnlockWord] = {
    Verdict.ACCEPTED: "Unlocked",
    Verdict.OCCUPIED: "OngoingAuthorizedTransaction",
    Verdict.UNKNOWN_EVSE: "UnknownConnector",
}


def unlock(wire: UnlockConnectorRequest, request_id: int) -> UnlockRequested:
    """Return what an UnlockConnector asks for; a transaction keeps its plug (F05.FR.02)."""
    return UnlockRequested(request_id, wire.evse_id, wire.connector_id, stops=False)


def unlock_answer(outcome: Outcome) -> UnlockConnectorResponse:
    """Return the answer; a fixed cable cannot be unlocked (F05.FR.05)."""
    _, info = status.answer(outcome)
    return UnlockConnectorResponse(
        _WORDS.get(status.done(outcome).verdict, "UnlockFailed"), info
    )
