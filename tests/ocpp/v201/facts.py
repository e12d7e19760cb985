"""A station to read from, and builders for what the 2.0.1 tests translate."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.core.effects import (
    Delivery,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.values import (
    ChargingState,
    EvseSpec,
    IdToken,
    Measurand,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
    StationInfo,
    StopReason,
    Trigger,
)
from agent.core.variables import Settings
from agent.ocpp.adapter import Answered, Call, Incoming
from agent.ocpp.v201.adapter import Adapter201
from tests.support.schemas import validate

SUBPROTOCOL = "ocpp2.0.1"
NOON_S = 1_735_732_800.0
NOON = "2025-01-01T12:00:00.000Z"
TX = "1c2bd1d8-62a6-4b6c-a7f4-50c98d4e5c0d"
TOKEN = IdToken("04A2B3C4")
BEGIN = Sample(
    Stamp(1, 0.0),
    ReadingContext.TRANSACTION_BEGIN,
    (Quantity(Measurand.ENERGY_IMPORT, 1234.5),),
)


@dataclass
class Facts:
    """A View whose every answer is an argument; stamps count from noon."""

    info: StationInfo = field(default_factory=lambda: StationInfo("CP001", "Example", "One"))
    specs: tuple[EvseSpec, ...] = (EvseSpec(1, 1, 32.0, 3),)
    settings: Settings = field(default_factory=Settings)
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    def told_s(self, stamp: Stamp) -> float:
        return NOON_S + stamp.monotonic_s

    def delivery(self, transaction_id: str) -> Delivery | None:
        return self.deliveries.get(transaction_id)


def raw(payload: Any) -> msgspec.Raw:
    """Return a payload as it comes from the wire; text is taken as JSON."""
    text = payload.encode() if isinstance(payload, str) else msgspec.json.encode(payload)
    return msgspec.Raw(text)


def sent(call: Call | None, action: str) -> dict[str, Any]:
    """Return the payload of a call after checking it against the official schema."""
    assert call is not None
    assert call.action == action
    assert call.settles
    validate(SUBPROTOCOL, action, call.payload, response=False)
    payload: dict[str, Any] = msgspec.json.decode(call.payload)
    return payload


def answer(action: str, payload: bytes) -> dict[str, Any]:
    """Return the payload of an answer after checking it against the official schema."""
    validate(SUBPROTOCOL, action, payload, response=True)
    tree: dict[str, Any] = msgspec.json.decode(payload)
    return tree


def asked(action: str, payload: Any, view: Facts | None = None) -> Incoming | Answered:
    """Return what the adapter makes of a valid call of the CSMS with request id 7."""
    validate(SUBPROTOCOL, action, bytes(raw(payload)), response=False)
    return Adapter201().decode(action, raw(payload), 7, view or Facts())


def started(**more: Any) -> TransactionStarted:
    fields: dict[str, Any] = {
        "transaction_id": TX,
        "evse_id": 1,
        "connector_id": 1,
        "at": Stamp(1, 0.0),
        "trigger": Trigger.AUTHORIZED,
        "charging_state": ChargingState.EV_CONNECTED,
        "id_token": TOKEN,
        "meter_start_wh": 1234.5,
        "samples": (BEGIN,),
    }
    return TransactionStarted(**{**fields, **more})


def updated(**more: Any) -> TransactionUpdated:
    fields: dict[str, Any] = {
        "transaction_id": TX,
        "evse_id": 1,
        "connector_id": 1,
        "seq_no": 1,
        "at": Stamp(1, 60.0),
        "trigger": Trigger.CHARGING_STATE_CHANGED,
        "charging_state": ChargingState.CHARGING,
    }
    return TransactionUpdated(**{**fields, **more})


def ended(**more: Any) -> TransactionEnded:
    fields: dict[str, Any] = {
        "transaction_id": TX,
        "evse_id": 1,
        "connector_id": 1,
        "seq_no": 2,
        "at": Stamp(1, 3600.0),
        "trigger": Trigger.STOP_AUTHORIZED,
        "charging_state": ChargingState.EV_CONNECTED,
        "stop_reason": StopReason.LOCAL,
        "meter_stop_wh": 2000.0,
    }
    return TransactionEnded(**{**fields, **more})
