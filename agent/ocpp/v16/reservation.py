"""ReserveNow and CancelReservation (1.6 reference 2.3)."""

from collections.abc import Mapping

import msgspec

from agent.core.effects import Outcome, Verdict
from agent.core.events import ReservationCancelRequested, ReservationRequested
from agent.core.values import IdToken
from agent.ocpp.adapter import Incoming, View
from agent.ocpp.v16 import numbering, wire
from agent.ocpp.v16.messages import (
    CancelReservationRequest,
    CancelReservationResponse,
    ReservationWord,
    ReserveNowRequest,
    ReserveNowResponse,
)
from agent.ocppj.explain import decode

_WORDS: Mapping[Verdict, ReservationWord] = {
    Verdict.ACCEPTED: "Accepted",
    Verdict.FAULTED: "Faulted",
    Verdict.OCCUPIED: "Occupied",
    Verdict.UNAVAILABLE: "Unavailable",
}


def decode_reserve(payload: msgspec.Raw, request_id: int, view: View) -> Incoming:
    """Decode ReserveNow; connector 0 leaves the place open.

    An empty expiry is a time that has passed.
    """
    request = decode(payload, ReserveNowRequest)
    evse_id = None
    if request.connector_id:
        place = numbering.place(view.specs, request.connector_id)
        evse_id = place[0] if place else numbering.unknown_evse(view.specs)
    wanted = ReservationRequested(
        request_id,
        request.reservation_id,
        IdToken(request.id_tag),
        wire.instant("expiryDate", request.expiry_date) or 0.0,
        evse_id,
        request.parent_id_tag or None,
    )
    return Incoming("ReserveNow", wanted, request)


def respond_reserve(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to ReserveNow."""
    word = _WORDS.get(wire.done(outcome).verdict, "Rejected")
    return wire.encoded(ReserveNowResponse(status=word))


def decode_cancel(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode CancelReservation."""
    request = decode(payload, CancelReservationRequest)
    wanted = ReservationCancelRequested(request_id, request.reservation_id)
    return Incoming("CancelReservation", wanted, request)


def respond_cancel(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to CancelReservation."""
    return wire.encoded(CancelReservationResponse(status=wire.yes_or_no(outcome)))
