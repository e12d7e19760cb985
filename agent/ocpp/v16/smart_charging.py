"""Charging profiles in OCPP 1.6: set, clear, composite schedule (1.6 reference 6).

1.6 has one schedule per profile, numbers transactions, and calls the station a charge point.
It allows what 2.0.1 forbids (6.4): its offers are lenient ones.
"""

import datetime as dt
import math
from collections.abc import Mapping

import msgspec

from agent.core import variables
from agent.core.effects import CompositeAnswer, Outcome, Verdict
from agent.core.events import (
    ChargingProfileOffered,
    ChargingProfilesCleared,
    CompositeScheduleRequested,
)
from agent.core.smart_charging.offer import is_served
from agent.core.smart_charging.profile import (
    Kind,
    Period,
    Profile,
    Purpose,
    Recurrency,
    Schedule,
    Unit,
    milli,
)
from agent.ocpp.adapter import Incoming, View
from agent.ocpp.v16 import numbering, wire
from agent.ocpp.v16.messages import (
    ChargingProfile,
    ChargingSchedule,
    ChargingSchedulePeriod,
    ClearChargingProfileRequest,
    ClearChargingProfileResponse,
    GetCompositeScheduleRequest,
    GetCompositeScheduleResponse,
    PurposeWord,
    SetChargingProfileRequest,
    SetChargingProfileResponse,
)
from agent.ocpp.wire_time import from_text, to_text
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import decode
from agent.ocppj.quirks import Quirk, noted

_PURPOSES: Mapping[PurposeWord, Purpose] = {
    "ChargePointMaxProfile": Purpose.STATION_MAX,
    "TxDefaultProfile": Purpose.TX_DEFAULT,
    "TxProfile": Purpose.TX,
}


# --- SetChargingProfile ---


def decode_set(payload: msgspec.Raw, request_id: int, view: View) -> Incoming:
    """Decode SetChargingProfile; connector 0 is the station."""
    request = decode(payload, SetChargingProfileRequest)
    profile = request.cs_charging_profiles
    offered = ChargingProfileOffered(
        request_id,
        _evse_id(request.connector_id, view),
        from_wire(profile),
        transaction_number=profile.transaction_id,
        lenient=True,
    )
    return Incoming("SetChargingProfile", offered, request)


def respond_set(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to SetChargingProfile.

    Raises:
        RpcError: the connector is unknown, or smart charging is switched off (1.6 errata
            3.39; 1.6 reference 1.8 number 12 and 1.9).
    """
    done = wire.done(outcome)
    if done.verdict is Verdict.UNKNOWN_EVSE:
        code = RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
        raise RpcError(code, "$.connectorId is no connector of this station")
    if done.reason == "NotEnabled":
        raise _switched_off()
    return wire.encoded(SetChargingProfileResponse(status=wire.yes_or_no(outcome)))


def _switched_off() -> RpcError:
    return RpcError(RpcErrorCode.NOT_SUPPORTED, "smart charging is switched off")


def from_wire(profile: ChargingProfile) -> Profile:
    """Return a profile in the domain's words, without its transaction.

    Raises:
        RpcError: PropertyConstraintViolation, naming the member that is no instant.
    """
    schedule = profile.charging_schedule
    kind = Kind(profile.charging_profile_kind)
    if kind is not Kind.RELATIVE and not schedule.start_schedule:
        noted(Quirk.NO_START)
    least = schedule.min_charging_rate
    recurrency = profile.recurrency_kind
    return Profile(
        profile_id=profile.charging_profile_id,
        stack_level=profile.stack_level,
        purpose=_PURPOSES[profile.charging_profile_purpose],
        kind=kind,
        schedules=(
            Schedule(
                unit=Unit(schedule.charging_rate_unit),
                periods=tuple(
                    Period(item.start_period, milli(item.limit), item.number_phases)
                    for item in schedule.charging_schedule_period
                ),
                start_s=_instant("startSchedule", schedule.start_schedule),
                duration_s=schedule.duration,
                least_rate=None if least is None else milli(least),
            ),
        ),
        recurrency=None if recurrency is None else Recurrency(recurrency),
        valid_from_s=_instant("validFrom", profile.valid_from),
        valid_to_s=_instant("validTo", profile.valid_to),
    )


def _instant(name: str, text: str | None) -> int | None:
    """Return the second that a member names; an empty text counts as absent.

    Raises:
        RpcError: PropertyConstraintViolation, naming the member.
    """
    if not wire.says(text):
        return None
    try:
        return math.floor(_plain(text) or from_text(text))
    except ValueError as error:
        code = RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
        raise RpcError(code, f"{name}: {error}") from None


def _plain(text: str) -> float | None:
    """Return the instant of a text that is RFC 3339 without any difference we tolerate.

    It takes a tenth of the time of the tolerant reader, and nearly every text is.
    """
    try:
        instant = msgspec.convert(text, dt.datetime)
    except msgspec.ValidationError:
        return None
    return instant.timestamp() if instant.tzinfo else None


def _evse_id(connector: int, view: View) -> int:
    """Return the EVSE of a connector; an unknown one becomes one that the core refuses."""
    if connector == 0:
        return 0
    place = numbering.place(view.specs, connector)
    return place[0] if place else numbering.unknown_evse(view.specs)


# --- ClearChargingProfile ---


def decode_clear(payload: msgspec.Raw, request_id: int, view: View) -> Incoming:
    """Decode ClearChargingProfile; an id alone decides, whatever else is given.

    Raises:
        RpcError: smart charging is switched off (1.6 reference 1.9).
    """
    if not is_served(view.settings):
        raise _switched_off()
    request = decode(payload, ClearChargingProfileRequest)
    connector, purpose = request.connector_id, request.charging_profile_purpose
    cleared = ChargingProfilesCleared(
        request_id,
        profile_id=request.id,
        evse_id=None if connector is None else _evse_id(connector, view),
        purpose=None if purpose is None else _PURPOSES[purpose],
        stack_level=request.stack_level,
    )
    return Incoming("ClearChargingProfile", cleared, request)


def respond_clear(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to ClearChargingProfile."""
    is_found = wire.done(outcome).verdict is Verdict.ACCEPTED
    return wire.encoded(
        ClearChargingProfileResponse(status="Accepted" if is_found else "Unknown")
    )


# --- GetCompositeSchedule ---


def decode_composite(payload: msgspec.Raw, request_id: int, view: View) -> Incoming:
    """Decode GetCompositeSchedule; connector 0 is the station."""
    request = decode(payload, GetCompositeScheduleRequest)
    unit = request.charging_rate_unit
    wanted = CompositeScheduleRequested(
        request_id,
        _evse_id(request.connector_id, view),
        request.duration,
        None if unit is None else Unit(unit),
        converts=True,
    )
    starts = view.settings.flag(variables.COMPOSITE_START)
    return Incoming("GetCompositeSchedule", wanted, (request.connector_id, starts))


def respond_composite(incoming: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to GetCompositeSchedule.

    Raises:
        RpcError: smart charging is switched off (1.6 reference 1.9).
    """
    if not isinstance(outcome, CompositeAnswer):
        if wire.done(outcome).reason == "NotEnabled":
            raise _switched_off()
        return wire.encoded(GetCompositeScheduleResponse(status=wire.yes_or_no(outcome)))
    connector, starts = msgspec.convert(incoming.wire, tuple[int, bool])
    start = to_text(outcome.start_s)
    schedule = ChargingSchedule(
        charging_rate_unit=outcome.unit.value,
        charging_schedule_period=tuple(
            ChargingSchedulePeriod(
                start_period=entry.start_s,
                limit=entry.limit / 1000,
                number_phases=entry.phases,
            )
            for entry in outcome.entries
        ),
        duration=outcome.duration_s,
        start_schedule=start if starts else None,
    )
    return wire.encoded(
        GetCompositeScheduleResponse(
            status="Accepted",
            connector_id=connector,
            schedule_start=start,
            charging_schedule=schedule,
        )
    )
