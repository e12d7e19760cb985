"""StatusNotification and ChangeAvailability (1.6 reference 2.1, 2.2 and 3)."""

import msgspec
from msgspec.structs import replace

from agent.core.effects import Outcome, StatusReported, Verdict
from agent.core.events import AvailabilityRequested
from agent.core.values import ConnectorStatus
from agent.ocpp.adapter import Call, Incoming, View
from agent.ocpp.v16 import numbering, wire
from agent.ocpp.v16.messages import (
    AvailabilityWord,
    ChangeAvailabilityRequest,
    ChangeAvailabilityResponse,
    ErrorWord,
    StatusNotificationRequest,
    StatusWord,
)
from agent.ocpp.v16.statuses import error_code, project, via
from agent.ocpp.wire_time import to_text
from agent.ocppj.explain import decode


def status(message: StatusReported, view: View) -> Call | None:
    """Return a StatusNotification, None when the CSMS would learn nothing from it."""
    now = message.status
    is_known = message.previous is not None and _told(now) == _told(message.previous)
    if is_known and not message.is_triggered:
        return None
    code, cause = error_code(now), now.fault or now.warning
    # What the errorCode cannot say goes into the vendor's code.
    has_own_code = cause is not None and cause != code
    payload = StatusNotificationRequest(
        connector_id=numbering.number(view.specs, now.evse_id, now.connector_id),
        error_code=code,
        status=project(now),
        info=now.info[:50] or None,
        timestamp=to_text(view.told_s(message.at)),
        vendor_id=(view.info.vendor[:255] or None) if has_own_code else None,
        vendor_error_code=cause[:50] if has_own_code and cause else None,
    )
    return wire.call("StatusNotification", payload)


def steps(message: StatusReported) -> tuple[StatusReported, ...]:
    """Return a report with the one that has to come first where the step is forbidden."""
    between = via(message.previous, message.status)
    if between is None:
        return (message,)
    return (
        StatusReported(between, message.previous, message.at),
        replace(message, previous=between),
    )


def _told(status: ConnectorStatus) -> tuple[StatusWord, ErrorWord, str | None, str]:
    cause = status.fault or status.warning
    return project(status), error_code(status), cause, status.info[:50]


def decode_change(payload: msgspec.Raw, request_id: int, view: View) -> Incoming:
    """Decode ChangeAvailability; connector 0 is the station."""
    request = decode(payload, ChangeAvailabilityRequest)
    operative = request.type == "Operative"
    place = numbering.place(view.specs, request.connector_id)
    if request.connector_id == 0:
        wanted = AvailabilityRequested(request_id, operative)
    elif place is None:
        unknown = numbering.unknown_evse(view.specs)
        wanted = AvailabilityRequested(request_id, operative, unknown, 1)
    else:
        wanted = AvailabilityRequested(request_id, operative, *place)
    return Incoming("ChangeAvailability", wanted, request)


def respond_change(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to ChangeAvailability."""
    words: dict[Verdict, AvailabilityWord] = {
        Verdict.ACCEPTED: "Accepted",
        Verdict.SCHEDULED: "Scheduled",
    }
    word = words.get(wire.done(outcome).verdict, "Rejected")
    return wire.encoded(ChangeAvailabilityResponse(status=word))
