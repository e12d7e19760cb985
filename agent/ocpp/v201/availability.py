"""Block G on the wire: the five connector statuses, and ChangeAvailability.

The domain's orthogonal facts project onto one word (reference 10.2), the first that holds:
Faulted, Unavailable, Reserved, Occupied, Available. A transaction keeps its connector Occupied
even when the station was told to become inoperative meanwhile. The station as a whole
(connector 0) has no status in this version.
"""

from agent.core.effects import Outcome, StatusReported
from agent.core.events import AvailabilityRequested
from agent.core.values import ConnectorStatus, SessionPhase
from agent.ocpp.adapter import View
from agent.ocpp.v201 import datatypes, status
from agent.ocpp.v201.messages import (
    ChangeAvailabilityRequest,
    ChangeAvailabilityResponse,
    StatusNotificationRequest,
)
from agent.ocpp.wire_time import to_text

_IN_TRANSACTION = frozenset(
    {SessionPhase.CHARGING, SessionPhase.SUSPENDED_EV, SessionPhase.SUSPENDED_EVSE}
)


def projected(facts: ConnectorStatus) -> datatypes.ConnectorStatus | None:
    """Return the status of a connector; None for the station as a whole."""
    if facts.evse_id == 0 or facts.connector_id == 0:
        return None
    in_transaction = facts.phase in _IN_TRANSACTION
    if facts.fault is not None:
        return "Faulted"
    if not facts.is_operative and not in_transaction:
        return "Unavailable"
    if facts.is_reserved:
        return "Reserved"
    if facts.is_plugged or in_transaction:
        return "Occupied"
    return "Available"


def status_notification(
    message: StatusReported, view: View
) -> StatusNotificationRequest | None:
    """Return the notification; None when there is no status, or no other than before."""
    word = projected(message.status)
    before = None if message.previous is None else projected(message.previous)
    if word is None or (word == before and not message.is_triggered):
        return None
    return StatusNotificationRequest(
        to_text(view.told_s(message.at)),
        word,
        message.status.evse_id,
        message.status.connector_id,
    )


def change(wire: ChangeAvailabilityRequest, request_id: int) -> AvailabilityRequested:
    """Return what a ChangeAvailability asks for (G03, G04)."""
    return AvailabilityRequested(
        request_id,
        operative=wire.operational_status == "Operative",
        evse_id=None if wire.evse is None else wire.evse.id,
        connector_id=None if wire.evse is None else wire.evse.connector_id,
    )


def change_answer(outcome: Outcome) -> ChangeAvailabilityResponse:
    """Return the answer to a ChangeAvailability."""
    return ChangeAvailabilityResponse(*status.answer_or_later(outcome))
