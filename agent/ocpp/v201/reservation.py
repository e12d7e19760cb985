"""Block H on the wire: reservations.

A connector type beside an EVSE adds nothing: an EVSE has the connectors it has. Without one it
would choose among EVSEs, and this station does not know the types of its connectors: such a
request is refused.
"""

from collections.abc import Mapping

from agent.core.effects import Done, Outcome, ReservationEnded, Verdict
from agent.core.events import ReservationCancelRequested, ReservationRequested
from agent.ocpp.v201 import authorization, codec, status
from agent.ocpp.v201.messages import (
    CancelReservationRequest,
    CancelReservationResponse,
    ReservationStatusUpdateRequest,
    ReservationWord,
    ReserveNowRequest,
    ReserveNowResponse,
)

_WORDS: Mapping[Verdict, ReservationWord] = {
    Verdict.ACCEPTED: "Accepted",
    Verdict.FAULTED: "Faulted",
    Verdict.OCCUPIED: "Occupied",
    Verdict.UNAVAILABLE: "Unavailable",
}

BY_TYPE = Done(Verdict.REJECTED, "UnsupportedParam", "connector types are not known here")
"""Outcome of a request for whatever EVSE has a connector of a type."""


def is_by_type(wire: ReserveNowRequest) -> bool:
    """Tell whether a request leaves the EVSE open and names a connector type."""
    return wire.evse_id is None and wire.connector_type is not None


def reserve(wire: ReserveNowRequest, request_id: int) -> ReservationRequested:
    """Return what a ReserveNow asks for (H01); an unreadable expiry has passed."""
    group = wire.group_id_token
    return ReservationRequested(
        request_id,
        wire.id,
        authorization.from_wire(wire.id_token),
        codec.instant(wire.expiry_date_time) or 0.0,
        wire.evse_id,
        None if group is None else group.id_token or None,
    )


def reserve_answer(outcome: Outcome) -> ReserveNowResponse:
    """Return the answer to a ReserveNow."""
    _, info = status.answer(outcome)
    return ReserveNowResponse(_WORDS.get(status.done(outcome).verdict, "Rejected"), info)


def cancel(wire: CancelReservationRequest, request_id: int) -> ReservationCancelRequested:
    """Return what a CancelReservation asks for (H02)."""
    return ReservationCancelRequested(request_id, wire.reservation_id)


def cancel_answer(outcome: Outcome) -> CancelReservationResponse:
    """Return the answer to a CancelReservation."""
    return CancelReservationResponse(*status.answer(outcome))


def ended(record: ReservationEnded) -> ReservationStatusUpdateRequest:
    """Return the message that tells the end of a reservation (H04)."""
    return ReservationStatusUpdateRequest(record.reservation_id, record.end.value)
