"""Block B on the wire: introduction, heartbeat, reset.

The CSMS's clock is worth having and its absence is no reason to stay away: a time that is
missing, unreadable or absurd is None, and the rest of the answer counts.
"""

from typing import Any

import msgspec

from agent.core.effects import BootReported, Outcome
from agent.core.events import BootAnswered, HeartbeatAnswered, ResetKind, ResetRequested
from agent.core.values import RegistrationStatus, StationInfo
from agent.ocpp.v201 import codec, datatypes, status
from agent.ocpp.v201.datatypes import ChargingStation, Modem, Wire
from agent.ocpp.v201.messages import (
    BootNotificationRequest,
    ResetRequest,
    ResetResponse,
)

_LONGEST_MODEL = 20  # ChargingStationType.model
_LONGEST_VENDOR = 50  # ChargingStationType.vendorName
_LONGEST_SERIAL = 25  # ChargingStationType.serialNumber
_LONGEST_SIM = 20  # ModemType.iccid, ModemType.imsi
_LONGEST_VERSION = 50  # ChargingStationType.firmwareVersion

_RESETS: dict[datatypes.ResetKind, ResetKind] = {
    "Immediate": ResetKind.IMMEDIATE,
    "OnIdle": ResetKind.ON_IDLE,
}


class _BootAnswer(Wire, frozen=True):
    status: datatypes.RegistrationStatus
    interval: float = 0
    current_time: Any = None


class _HeartbeatAnswer(Wire, frozen=True):
    current_time: Any = None


def boot(message: BootReported, info: StationInfo) -> BootNotificationRequest:
    """Return the introduction of the station (B01)."""
    return BootNotificationRequest(
        ChargingStation(
            info.model[:_LONGEST_MODEL],
            info.vendor[:_LONGEST_VENDOR],
            serial_number=(info.serial_number or "")[:_LONGEST_SERIAL] or None,
            modem=_modem(info),
            firmware_version=(info.firmware_version or "")[:_LONGEST_VERSION] or None,
        ),
        message.reason.value,
    )


def _modem(info: StationInfo) -> Modem | None:
    iccid = (info.iccid or "")[:_LONGEST_SIM] or None
    imsi = (info.imsi or "")[:_LONGEST_SIM] or None
    return Modem(iccid, imsi) if iccid or imsi else None


def booted(payload: msgspec.Raw) -> BootAnswered:
    """Return the CSMS's answer to the introduction.

    Raises:
        RpcError: it does not say whether the station is accepted.
    """
    answer = codec.decode_answer(_BootAnswer, payload)
    return BootAnswered(
        RegistrationStatus(answer.status),
        int(answer.interval),
        codec.clock(answer.current_time),
    )


def heartbeat_answered(payload: msgspec.Raw) -> HeartbeatAnswered:
    """Return the CSMS's clock.

    Raises:
        RpcError: the answer is no object.
    """
    return HeartbeatAnswered(
        codec.clock(codec.decode_answer(_HeartbeatAnswer, payload).current_time)
    )


def reset(wire: ResetRequest, request_id: int) -> ResetRequested:
    """Return what a Reset asks for (B11, B12)."""
    return ResetRequested(request_id, _RESETS[wire.type], wire.evse_id)


def reset_answer(outcome: Outcome) -> ResetResponse:
    """Return the answer to a Reset."""
    return ResetResponse(*status.answer_or_later(outcome))
