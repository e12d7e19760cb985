"""Rows `decode` and `encode`: one message between the wire and typed values.

Theirs is what the ChargePoint of mobilityhouse/ocpp does with a message, step by step and
without its event loop: it validates on a thread by default, which would only cost it more.
Ours takes a frame through the RPC layer to the message's Struct, or for a request of the CSMS
through the adapter to the domain's request; and back from a domain record to the frame.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace
from ocpp import messages as peer
from ocpp.charge_point import (
    camel_to_snake_case,
    remove_nones,
    serialize_as_dict,
    snake_to_camel_case,
)
from ocpp.v16 import call as call16
from ocpp.v16 import datatypes as types16
from ocpp.v201 import call as call201
from ocpp.v201 import datatypes as types201

from agent.core import durable, outbox
from agent.core.effects import Delivery, TransactionStarted, TransactionUpdated
from agent.core.station import Station
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
    Trigger,
)
from agent.ocpp.adapter import Adapter
from agent.ocpp.negotiation import adapter_for
from agent.ocpp.v16.messages import MeterValuesRequest
from agent.ocpp.v201.messages import TransactionEventRequest
from agent.ocppj import frames
from agent.ocppj.explain import decode
from agent.ocppj.rpc import CallReceived, Rpc
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense, alternated

PERIODS = 24
MESSAGE_ID = "6f1f0d0e-8a5b-4e63-9f0e-2f6c1a7c4d11"
_TX = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_REMOTE_ID = 4711
_WALL_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z
_INSTANTS = ("2027-01-15T08:00:00.000Z", "2027-01-15T08:01:00.000Z")

_FIGURES: tuple[tuple[Measurand, float, str | None, str], ...] = (
    (Measurand.ENERGY_IMPORT, 12_345.678, None, "Wh"),
    (Measurand.POWER_IMPORT, 11_040.5, None, "W"),
    (Measurand.CURRENT_IMPORT, 15.98, "L1", "A"),
    (Measurand.CURRENT_IMPORT, 16.02, "L2", "A"),
    (Measurand.CURRENT_IMPORT, 15.99, "L3", "A"),
    (Measurand.VOLTAGE, 230.1, "L1-N", "V"),
    (Measurand.VOLTAGE, 229.7, "L2-N", "V"),
    (Measurand.VOLTAGE, 230.4, "L3-N", "V"),
)
"""What a three-phase meter tells at one instant: eight sampled values."""


def charging_profile(connector_id: int) -> dict[str, Any]:
    """Return a SetChargingProfile of 1.6 with `PERIODS` periods, one per hour of a day."""
    periods = [
        {"startPeriod": 3600 * hour, "limit": 6.0 + hour % 11, "numberPhases": 3}
        for hour in range(PERIODS)
    ]
    return {
        "connectorId": connector_id,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "validFrom": _INSTANTS[0],
            "validTo": "2027-02-15T08:00:00.000Z",
            "chargingSchedule": {
                "duration": 86_400,
                "startSchedule": _INSTANTS[0],
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": periods,
            },
        },
    }


def _frame(action: str, payload: dict[str, Any]) -> str:
    return json.dumps([2, MESSAGE_ID, action, payload], separators=(",", ":"))


def _meter_values_16() -> dict[str, Any]:
    values = [
        remove_nones(
            {
                "value": str(value),
                "context": "Sample.Periodic",
                "measurand": measurand.value,
                "phase": phase,
                "location": "Outlet",
                "unit": unit,
            }
        )
        for measurand, value, phase, unit in _FIGURES
    ]
    return {
        "connectorId": 1,
        "transactionId": _REMOTE_ID,
        "meterValue": [{"timestamp": at, "sampledValue": values} for at in _INSTANTS],
    }


def _transaction_event_201() -> dict[str, Any]:
    values = [
        remove_nones(
            {
                "value": value,
                "context": "Sample.Periodic",
                "measurand": measurand.value,
                "phase": phase,
                "location": "Outlet",
                "unitOfMeasure": {"unit": unit},
            }
        )
        for measurand, value, phase, unit in _FIGURES
    ]
    return {
        "eventType": "Updated",
        "timestamp": _INSTANTS[1],
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 7,
        "transactionInfo": {"transactionId": _TX, "chargingState": "Charging"},
        "meterValue": [{"timestamp": at, "sampledValue": values} for at in _INSTANTS],
    }


# --- our side --------------------------------------------------------------------------------


def _station(*, remote_id: int | None) -> Station:
    """Return a station in the middle of a transaction that the CSMS knows."""
    station = durable.restored(
        {},
        (),
        info=StationInfo("CP001", "Example", "Wallbox One", "EX-0001", "1.0.0"),
        specs=(EvseSpec(1, 1, 32.0, 3),),
        profiles=1,
        factory={},
    )
    started = TransactionStarted(
        transaction_id=_TX,
        evse_id=1,
        connector_id=1,
        at=Stamp(1, 10.0, _WALL_S),
        trigger=Trigger.AUTHORIZED,
        charging_state=ChargingState.EV_CONNECTED,
        id_token=IdToken("04A1B2C3D4E5F6"),
        meter_start_wh=12_000.0,
    )
    known = outbox.Outbox(deliveries={_TX: Delivery(started, remote_id)})
    return replace(station, outbox=known)


def _sampled() -> TransactionUpdated:
    """Return the domain record of two samples."""
    quantities = tuple(
        Quantity(measurand, value, phase) for measurand, value, phase, _ in _FIGURES
    )
    samples = tuple(
        Sample(Stamp(1, 100.0 + at_s, _WALL_S + at_s), ReadingContext.PERIODIC, quantities)
        for at_s in (0.0, 60.0)
    )
    return TransactionUpdated(
        transaction_id=_TX,
        evse_id=1,
        connector_id=1,
        seq_no=7,
        at=samples[-1].at,
        trigger=Trigger.METER_VALUE_PERIODIC,
        charging_state=ChargingState.CHARGING,
        samples=samples,
    )


def _received(rpc: Rpc, text: str) -> CallReceived:
    call = rpc.receive(text)
    if not isinstance(call, CallReceived):
        raise BenchmarkError(f"our RPC layer takes this frame for {call}")
    return call


def _decoded(rpc: Rpc, kind: type, text: str) -> object:
    call = _received(rpc, text)
    value = decode(call.payload, kind)
    rpc.forget(call)
    return value


def _requested(rpc: Rpc, adapter: Adapter, station: Station, text: str) -> object:
    call = _received(rpc, text)
    request = adapter.decode(call.action, call.payload, 1, station)
    rpc.forget(call)
    return request


def _encoded(adapter: Adapter, record: TransactionUpdated, station: Station) -> bytes:
    call = adapter.encode_record(record, station, offline=False)
    if call is None:
        raise BenchmarkError("our adapter has no message for the record")
    return frames.call(MESSAGE_ID, call.action, call.payload)


# --- their side ------------------------------------------------------------------------------


def _peer_decoded(version: str, kind: Callable[..., object], text: str) -> object:
    message = peer.unpack(text)
    peer._validate_payload(message, version)
    return kind(**camel_to_snake_case(message.payload))


def _peer_encoded(version: str, payload: Any) -> str:
    camel = snake_to_camel_case(serialize_as_dict(payload))
    call = peer.Call(MESSAGE_ID, type(payload).__name__, remove_nones(camel))
    peer._validate_payload(call, version)
    return call.to_json()


def _peer_meter_values() -> Any:
    values = [
        types16.SampledValue(
            value=str(value),
            context="Sample.Periodic",
            measurand=measurand.value,
            phase=phase,
            location="Outlet",
            unit=unit,
        )
        for measurand, value, phase, unit in _FIGURES
    ]
    return call16.MeterValues(
        connector_id=1,
        transaction_id=_REMOTE_ID,
        meter_value=[
            types16.MeterValue(timestamp=at, sampled_value=values) for at in _INSTANTS
        ],
    )


def _peer_transaction_event() -> Any:
    values = [
        types201.SampledValueType(
            value=value,
            context="Sample.Periodic",
            measurand=measurand.value,
            phase=phase,
            location="Outlet",
            unit_of_measure=types201.UnitOfMeasureType(unit=unit),
        )
        for measurand, value, phase, unit in _FIGURES
    ]
    return call201.TransactionEvent(
        event_type="Updated",
        timestamp=_INSTANTS[1],
        trigger_reason="MeterValuePeriodic",
        seq_no=7,
        transaction_info=types201.TransactionType(
            transaction_id=_TX, charging_state="Charging"
        ),
        meter_value=[
            types201.MeterValueType(timestamp=at, sampled_value=values) for at in _INSTANTS
        ],
    )


# --- the rows --------------------------------------------------------------------------------


def _compared(ours: Callable[[], object], theirs: Callable[[], object]) -> Figures:
    ours_s, theirs_s = alternated(ours, theirs)
    return Figures(ours_s * 1e6, theirs_s * 1e6)


def _measure_decode() -> Sequence[Figures]:
    rpc16, rpc201 = Rpc("ocpp1.6"), Rpc("ocpp2.0.1")
    profile = _frame("SetChargingProfile", charging_profile(1))
    meter_values = _frame("MeterValues", _meter_values_16())
    event = _frame("TransactionEvent", _transaction_event_201())
    station = _station(remote_id=_REMOTE_ID)
    return (
        _compared(
            partial(_decoded, rpc16, MeterValuesRequest, meter_values),
            partial(_peer_decoded, "1.6", call16.MeterValues, meter_values),
        ),
        _compared(
            partial(_requested, rpc16, adapter_for("ocpp1.6"), station, profile),
            partial(_peer_decoded, "1.6", call16.SetChargingProfile, profile),
        ),
        _compared(
            partial(_decoded, rpc201, TransactionEventRequest, event),
            partial(_peer_decoded, "2.0.1", call201.TransactionEvent, event),
        ),
    )


def _measure_encode() -> Sequence[Figures]:
    record = _sampled()
    known, named = _station(remote_id=_REMOTE_ID), _station(remote_id=None)
    ours16 = partial(_encoded, adapter_for("ocpp1.6"), record, known)
    ours201 = partial(_encoded, adapter_for("ocpp2.0.1"), record, named)
    theirs16 = partial(_peer_encoded, "1.6", _peer_meter_values())
    theirs201 = partial(_peer_encoded, "2.0.1", _peer_transaction_event())
    for ours, theirs in ((ours16, theirs16), (ours201, theirs201)):
        _same_message(ours(), theirs())
    return _compared(ours16, theirs16), _compared(ours201, theirs201)


def _same_message(ours: bytes, theirs: str) -> None:
    """Make sure that both sides say the same, value by value."""
    if json.loads(ours) != json.loads(theirs):
        raise BenchmarkError(f"the two sides differ:\n{ours.decode()}\n{theirs}")


DECODE = Benchmark(
    (
        Row("decode.1.6-MeterValues", "frame to typed values", "us", Sense.FASTER, 50.0),
        Row("decode.1.6-SetChargingProfile", "frame to request", "us", Sense.FASTER, 50.0),
        Row("decode.2.0.1-TransactionEvent", "frame to typed values", "us", Sense.FASTER, 50.0),
    ),
    _measure_decode,
)
ENCODE = Benchmark(
    (
        Row("encode.1.6-MeterValues", "record to frame", "us", Sense.FASTER, 10.0),
        Row("encode.2.0.1-TransactionEvent", "record to frame", "us", Sense.FASTER, 10.0),
    ),
    _measure_encode,
)
