"""SetChargingProfile (1.6 reference 6)."""

import datetime as dt

import msgspec

from agent.core.effects import Outcome, Verdict
from agent.core.events import ChargingProfileOffered
from agent.ocpp.adapter import Incoming, View
from agent.ocpp.v16 import numbering, wire
from agent.ocpp.v16.messages import (
    ChargingProfile,
    SetChargingProfileRequest,
    SetChargingProfileResponse,
)
from agent.ocpp.wire_time import from_text
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import decode


def decode_set(payload: msgspec.Raw, request_id: int, view: View) -> Incoming:
    """Decode SetChargingProfile; connector 0 is the station."""
    request = decode(payload, SetChargingProfileRequest)
    check_instants(request.cs_charging_profiles)
    place = numbering.place(view.specs, request.connector_id)
    if request.connector_id == 0:
        evse_id = 0
    else:
        evse_id = place[0] if place else numbering.unknown_evse(view.specs)
    return Incoming("SetChargingProfile", ChargingProfileOffered(request_id, evse_id), request)


def respond_set(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to SetChargingProfile.

    Raises:
        RpcError: the connector is unknown, or the station has no smart charging (1.6 errata
            3.39; 1.6 reference 1.8 number 12 and 1.9).
    """
    match wire.done(outcome).verdict:
        case Verdict.UNKNOWN_EVSE:
            code = RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
            raise RpcError(code, "$.connectorId is no connector of this station")
        case Verdict.NOT_SUPPORTED:
            raise RpcError(RpcErrorCode.NOT_SUPPORTED, "smart charging is not supported")
        case _:
            return wire.encoded(SetChargingProfileResponse(status=wire.yes_or_no(outcome)))


def check_instants(profile: ChargingProfile) -> None:
    """Check that every instant of a profile can be read; an empty text counts as absent.

    Raises:
        RpcError: PropertyConstraintViolation, naming the member.
    """
    instants = {
        "validFrom": profile.valid_from,
        "validTo": profile.valid_to,
        "startSchedule": profile.charging_schedule.start_schedule,
    }
    for name, text in instants.items():
        if text and not _is_plain(text):
            try:
                from_text(text)
            except ValueError as error:
                code = RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
                raise RpcError(code, f"{name}: {error}") from None


def _is_plain(text: str) -> bool:
    """Tell whether a text is RFC 3339 without any of the differences we tolerate.

    It takes a tenth of the time of the tolerant reader, and nearly every text is.
    """
    try:
        msgspec.convert(text, dt.datetime)
    except msgspec.ValidationError:
        return False
    return True
