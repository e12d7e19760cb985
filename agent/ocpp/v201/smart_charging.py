"""Block K on the wire: charging profiles, and the schedules that follow from them."""

import math
from typing import Literal, cast

import msgspec

from agent.core.effects import (
    ChargingNeedsTold,
    CompositeAnswer,
    Outcome,
    ProfilesReported,
    VehicleScheduleTold,
)
from agent.core.events import (
    ChargingProfileOffered,
    ChargingProfilesCleared,
    ChargingProfilesRequested,
    CompositeScheduleRequested,
    VehicleNeedsAnswered,
    VehicleScheduleAnswered,
)
from agent.core.smart_charging.needs import NeedsAnswer
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
from agent.ocpp.adapter import View
from agent.ocpp.v201 import codec, datatypes, status
from agent.ocpp.v201.messages import (
    ClearChargingProfileRequest,
    ClearChargingProfileResponse,
    GetChargingProfilesRequest,
    GetChargingProfilesResponse,
    GetCompositeScheduleRequest,
    GetCompositeScheduleResponse,
    NotifyEVChargingNeedsRequest,
    NotifyEVChargingNeedsResponse,
    NotifyEVChargingScheduleRequest,
    NotifyEVChargingScheduleResponse,
    ReportChargingProfilesRequest,
    SetChargingProfileRequest,
    SetChargingProfileResponse,
)
from agent.ocpp.v201.session import number_of, told_id
from agent.ocpp.wire_time import from_text, to_text

REQUESTS = frozenset(
    {
        "SetChargingProfile",
        "ClearChargingProfile",
        "GetChargingProfiles",
        "GetCompositeSchedule",
    }
)
"""What a station without smart charging does not serve (K01.FR.29)."""


# --- SetChargingProfile ---


def offered(wire: SetChargingProfileRequest, request_id: int) -> ChargingProfileOffered:
    """Return the offer for the core to decide (K01)."""
    profile = wire.charging_profile
    return ChargingProfileOffered(
        request_id,
        wire.evse_id,
        from_wire(profile),
        transaction_number=number_of(profile.transaction_id),
    )


def offer_answer(outcome: Outcome) -> SetChargingProfileResponse:
    """Return the answer to SetChargingProfile."""
    return SetChargingProfileResponse(*status.answer(outcome))


def from_wire(profile: datatypes.ChargingProfile) -> Profile:
    """Return a profile in the domain's words."""
    recurrency = profile.recurrency_kind
    return Profile(
        profile_id=profile.id,
        stack_level=profile.stack_level,
        purpose=Purpose(profile.charging_profile_purpose),
        kind=Kind(profile.charging_profile_kind),
        schedules=tuple(_schedule(item) for item in profile.charging_schedule),
        recurrency=None if recurrency is None else Recurrency(recurrency),
        valid_from_s=_second(profile.valid_from),
        valid_to_s=_second(profile.valid_to),
        transaction_id=profile.transaction_id,
    )


def _schedule(schedule: datatypes.ChargingSchedule) -> Schedule:
    least = schedule.min_charging_rate
    return Schedule(
        unit=Unit(schedule.charging_rate_unit),
        periods=tuple(
            Period(item.start_period, milli(item.limit), item.number_phases, item.phase_to_use)
            for item in schedule.charging_schedule_period
        ),
        schedule_id=schedule.id,
        start_s=_second(schedule.start_schedule),
        duration_s=schedule.duration,
        least_rate=None if least is None else milli(least),
    )


def _second(text: str | None) -> int | None:
    return None if text is None else math.floor(from_text(text))


# --- ClearChargingProfile ---


def cleared(wire: ClearChargingProfileRequest, request_id: int) -> ChargingProfilesCleared:
    """Return which profiles go (K10)."""
    wanted = wire.charging_profile_criteria or datatypes.ClearChargingProfileCriteria()
    purpose = wanted.charging_profile_purpose
    return ChargingProfilesCleared(
        request_id,
        profile_id=wire.charging_profile_id,
        evse_id=wanted.evse_id,
        purpose=None if purpose is None else Purpose(purpose),
        stack_level=wanted.stack_level,
    )


def clear_answer(outcome: Outcome) -> ClearChargingProfileResponse:
    """Return the answer to ClearChargingProfile."""
    word, info = status.answer(outcome)
    return ClearChargingProfileResponse("Accepted" if word == "Accepted" else "Unknown", info)


# --- GetChargingProfiles ---


def requested(wire: GetChargingProfilesRequest, request_id: int) -> ChargingProfilesRequested:
    """Return which profiles are asked for (K09)."""
    wanted = wire.charging_profile
    purpose = wanted.charging_profile_purpose
    return ChargingProfilesRequested(
        request_id,
        wire.request_id,
        evse_id=wire.evse_id,
        purpose=None if purpose is None else Purpose(purpose),
        stack_level=wanted.stack_level,
        profile_ids=wanted.charging_profile_id or (),
        sources=wanted.charging_limit_source or (),
    )


def request_answer(outcome: Outcome) -> GetChargingProfilesResponse:
    """Return the answer to GetChargingProfiles."""
    word, info = status.answer(outcome)
    return GetChargingProfilesResponse("Accepted" if word == "Accepted" else "NoProfiles", info)


def report(message: ProfilesReported, view: View) -> ReportChargingProfilesRequest:
    """Return one part of the report of profiles."""
    return ReportChargingProfilesRequest(
        message.report_id,
        # The core keeps the words of ChargingLimitSourceEnumType.
        cast("datatypes.ChargingLimitSource", message.source),
        message.evse_id,
        tuple(_profile(profile, view) for profile in message.profiles),
        tbc=None if message.is_last else True,
    )


# --- vehicles that negotiate ---


def needs(message: ChargingNeedsTold) -> NotifyEVChargingNeedsRequest:
    """Return what a vehicle needs (K15)."""
    wants = message.needs
    parameters = datatypes.ACChargingParameters(
        wants.energy_wh, wants.least_a, wants.most_a, wants.most_v
    )
    return NotifyEVChargingNeedsRequest(
        message.evse_id,
        datatypes.ChargingNeeds(
            wants.transfer.value, parameters, departure_time=_text(wants.departs_s)
        ),
        max_schedule_tuples=wants.most_tuples,
    )


def needs_answered(message: ChargingNeedsTold, payload: msgspec.Raw) -> VehicleNeedsAnswered:
    """Return what the CSMS says to the needs of a vehicle.

    Raises:
        RpcError: it has no known status.
    """
    answer = codec.decode_answer(NotifyEVChargingNeedsResponse, payload)
    return VehicleNeedsAnswered(message.evse_id, NeedsAnswer(answer.status))


def choice_answered(
    message: VehicleScheduleTold, payload: msgspec.Raw
) -> VehicleScheduleAnswered:
    """Return whether the CSMS agrees to how a vehicle is going to charge.

    Raises:
        RpcError: it has no known status.
    """
    answer = codec.decode_answer(NotifyEVChargingScheduleResponse, payload)
    return VehicleScheduleAnswered(message.evse_id, answer.status == "Accepted")


def chosen(message: VehicleScheduleTold) -> NotifyEVChargingScheduleRequest:
    """Return how a vehicle is going to charge (K15)."""
    return NotifyEVChargingScheduleRequest(
        to_text(message.start_s), message.evse_id, _told(message.schedule)
    )


def _profile(profile: Profile, view: View) -> datatypes.ChargingProfile:
    transaction_id = profile.transaction_id
    return datatypes.ChargingProfile(
        profile.profile_id,
        profile.stack_level,
        profile.purpose.value,
        profile.kind.value,
        tuple(_told(schedule) for schedule in profile.schedules),
        recurrency_kind=None if profile.recurrency is None else profile.recurrency.value,
        valid_from=_text(profile.valid_from_s),
        valid_to=_text(profile.valid_to_s),
        transaction_id=None if transaction_id is None else told_id(transaction_id, view),
    )


def _told(schedule: Schedule) -> datatypes.ChargingSchedule:
    least = schedule.least_rate
    return datatypes.ChargingSchedule(
        schedule.schedule_id,
        schedule.unit.value,
        tuple(
            datatypes.ChargingSchedulePeriod(
                period.start_s, period.limit / 1000, period.phases, period.phase_to_use
            )
            for period in schedule.periods
        ),
        start_schedule=_text(schedule.start_s),
        duration=schedule.duration_s,
        min_charging_rate=None if least is None else least / 1000,
    )


def _text(second: int | None) -> str | None:
    return None if second is None else to_text(second)


# --- GetCompositeSchedule ---


def composite(wire: GetCompositeScheduleRequest, request_id: int) -> CompositeScheduleRequested:
    """Return which limits are asked for (K08)."""
    unit: Literal["A", "W"] | None = wire.charging_rate_unit
    return CompositeScheduleRequested(
        request_id, wire.evse_id, wire.duration, None if unit is None else Unit(unit)
    )


def composite_answer(outcome: Outcome) -> GetCompositeScheduleResponse:
    """Return the answer to GetCompositeSchedule."""
    if not isinstance(outcome, CompositeAnswer):
        return GetCompositeScheduleResponse(*status.answer(outcome))
    schedule = datatypes.CompositeSchedule(
        outcome.evse_id,
        outcome.duration_s,
        to_text(outcome.start_s),
        outcome.unit.value,
        tuple(
            datatypes.ChargingSchedulePeriod(entry.start_s, entry.limit / 1000, entry.phases)
            for entry in outcome.entries
        ),
    )
    return GetCompositeScheduleResponse("Accepted", schedule=schedule)
