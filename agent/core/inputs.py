"""Takes down the hardware's latest word; levels that repeat change nothing."""

from msgspec.structs import replace

from agent.core.events import (
    CableChanged,
    Event,
    EvseDetected,
    FaultCleared,
    FaultRaised,
    LockChanged,
    MeterFailed,
    MeterRead,
    OutletChanged,
    PilotChanged,
    PowerUp,
    TemperatureRead,
)
from agent.core.states import ActiveFault, Inputs
from agent.core.values import Stamp
from hal.types import PLUGGED_STATES, PilotState

COOLER_C = 3.0
"""Hysteresis of derating in K (hardware reference 1.3)."""


def step(inputs: Inputs, event: Event, now: Stamp) -> Inputs:
    """Return what is known after an event about this EVSE."""
    match event:
        case PowerUp():
            return Inputs()
        case MeterRead(reading=reading):
            return replace(inputs, reading=reading, reading_at=now, is_meter_failing=False)
        case MeterFailed():
            return inputs if inputs.is_meter_failing else replace(inputs, is_meter_failing=True)
        case PilotChanged():
            return _piloted(inputs, event, now)
        case OutletChanged(closed=closed):
            if closed is inputs.is_closed:
                return inputs
            return replace(inputs, is_closed=closed, outlet_at=now)
        case LockChanged(locked=locked):
            return inputs if locked is inputs.is_locked else replace(inputs, is_locked=locked)
        case CableChanged(ampacity_a=ampacity_a):
            return (
                inputs if ampacity_a == inputs.cable_a else replace(inputs, cable_a=ampacity_a)
            )
        case TemperatureRead(temperature_c=temperature_c):
            heat_c = _heat_c(inputs.heat_c, temperature_c)
            return inputs if heat_c == inputs.heat_c else replace(inputs, heat_c=heat_c)
        case FaultRaised(fault=fault, info=info):
            if any(item.fault is fault for item in inputs.faults):
                return inputs
            return replace(inputs, faults=(*inputs.faults, ActiveFault(fault, now, info)))
        case FaultCleared(fault=fault):
            left = tuple(item for item in inputs.faults if item.fault is not fault)
            return replace(inputs, faults=left) if len(left) < len(inputs.faults) else inputs
        case EvseDetected(capabilities=capabilities):
            return replace(inputs, capabilities=capabilities)
        case _:
            return inputs


def _heat_c(heat_c: float | None, temperature_c: float) -> float:
    """Return the heat that counts: it falls `COOLER_C` behind what the sensor shows."""
    if heat_c is None:
        return temperature_c
    return max(temperature_c, min(heat_c, temperature_c + COOLER_C))


def _piloted(inputs: Inputs, event: PilotChanged, now: Stamp) -> Inputs:
    moved = event.connector_id != inputs.connector_id
    if event.pilot is inputs.pilot and not moved:
        return inputs
    plugged_at = None if moved or event.pilot is PilotState.A else inputs.plugged_at
    if event.pilot in PLUGGED_STATES:
        plugged_at = plugged_at or now
    return replace(
        inputs, pilot=event.pilot, connector_id=event.connector_id, plugged_at=plugged_at
    )
