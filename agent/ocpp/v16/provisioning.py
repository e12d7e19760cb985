"""BootNotification, Heartbeat and Reset (1.6 reference 1.10, 2.1, 2.2).

Of the answer to BootNotification only the status has to be right: a station that cannot read
a clock or an interval is still registered.
"""

from typing import Any

import msgspec

from agent.core.effects import Outcome
from agent.core.events import BootAnswered, HeartbeatAnswered, ResetKind, ResetRequested
from agent.core.provisioning import HEARTBEAT_BOUNDS_S, LONGEST_RETRY_S
from agent.core.values import RegistrationStatus
from agent.ocpp.adapter import Call, Incoming, View
from agent.ocpp.v16 import wire
from agent.ocpp.v16.authorization import instant
from agent.ocpp.v16.messages import (
    BootNotificationRequest,
    HeartbeatRequest,
    Payload,
    RegistrationWord,
    ResetRequest,
    ResetResponse,
)
from agent.ocppj.errors import RpcError
from agent.ocppj.explain import decode
from agent.ocppj.quirks import Quirk, noted


class _Boot(Payload, frozen=True, kw_only=True):
    status: RegistrationWord
    current_time: Any = None
    interval: Any = None


class _Beat(Payload, frozen=True, kw_only=True):
    current_time: Any = None


class _Interval(Payload, frozen=True, kw_only=True):
    interval: int


def boot(view: View) -> Call:
    """Return a BootNotification; texts are cut to what 1.6 carries."""
    info = view.info
    payload = BootNotificationRequest(
        charge_point_vendor=info.vendor[:20],
        charge_point_model=info.model[:20],
        charge_point_serial_number=_cut(info.serial_number, 25),
        charge_box_serial_number=_cut(info.box_serial_number, 25),
        firmware_version=_cut(info.firmware_version, 50),
        iccid=_cut(info.iccid, 20),
        imsi=_cut(info.imsi, 20),
        meter_type=_cut(info.meter_type, 25),
        meter_serial_number=_cut(info.meter_serial_number, 25),
    )
    return wire.call("BootNotification", payload)


def _cut(text: str | None, most: int) -> str | None:
    """Return a text as far as it can be carried; an empty one is left out."""
    return (text or "")[:most] or None


def booted(payload: msgspec.Raw) -> BootAnswered:
    """Return the registration; an unreadable interval counts as 0, the station's choice.

    Raises:
        RpcError: the answer has no usable status.
    """
    answer = decode(payload, _Boot, any_case=True)
    status = RegistrationStatus(answer.status)
    interval_s = _interval_s(answer.interval)
    is_accepted = status is RegistrationStatus.ACCEPTED
    least_s, most_s = HEARTBEAT_BOUNDS_S if is_accepted else (1, LONGEST_RETRY_S)
    if interval_s and not least_s <= interval_s <= most_s:
        noted(Quirk.ODD_INTERVAL)
    return BootAnswered(status, interval_s, instant(answer.current_time))


def _interval_s(value: object) -> int:
    try:
        return decode(msgspec.json.encode({"interval": value}), _Interval).interval
    except RpcError:
        noted(Quirk.ODD_INTERVAL)
        return 0


def heartbeat() -> Call:
    """Return a Heartbeat."""
    return wire.call("Heartbeat", HeartbeatRequest())


def beaten(payload: msgspec.Raw) -> HeartbeatAnswered:
    """Return the CSMS's clock, None in it when it cannot be read.

    Raises:
        RpcError: the answer is no object.
    """
    return HeartbeatAnswered(instant(decode(payload, _Beat).current_time))


def decode_reset(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode Reset: both kinds end the transactions, Soft waits for the CSMS's answers."""
    request = decode(payload, ResetRequest)
    kind = ResetKind.IMMEDIATE if request.type == "Hard" else ResetKind.GRACEFUL
    return Incoming("Reset", ResetRequested(request_id, kind), request)


def respond_reset(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to Reset."""
    return wire.encoded(ResetResponse(status=wire.yes_or_no(outcome)))
