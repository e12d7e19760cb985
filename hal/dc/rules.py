"""What ends a charge with direct current at once (hardware reference 1.5, rules 10 and 11).

Each rule is a function of what is seen, and returns why the output must be cut. A rule about
something that has to last carries its memory in `Watch`.

    over-voltage     more than was agreed on for 400 ms, whoever measures it
    implausible      converter and meter differ, in two readings of the meter in a row
    isolation        a fault of the monitor, its alarm, too little resistance, or no reading
    pilot            the vehicle is not in state C or D
    silence          the vehicle's side, or the converter, has not been heard
    device           a fault of converter, monitor or contactor
"""

from typing import Final

from msgspec.structs import replace

from hal.dc.seen import Seen
from hal.dc_types import Isolation
from hal.types import READY_STATES, Fault, Value

OVER_VOLTAGE_S: Final = 0.4
"""How long the voltage may be above its limit (hardware reference 1.4)."""

LEAST_OHM: Final = 100_000.0
FAULT_OHM_PER_V: Final = 100.0
WARNING_OHM_PER_V: Final = 500.0
"""Isolation must be more than 100 kΩ up to 1000 V, which are 100 Ω/V; less than 500 Ω/V is
worth a warning (hardware reference 1.4)."""

APART_V: Final = 30.0
APART_PART: Final = 0.1
"""How far a meter may be from the converter: cable drop and two tolerances of 2 %, with room;
no source says how far (hardware reference 1.5, rule 10)."""

APART_READINGS: Final = 2


class Cut(Value, frozen=True):
    """Why the output is cut.

    Attributes:
        fault: what people are told; None when nothing is broken.
        stays: until the next start of the driver (hardware reference 1.5, rule 8); otherwise
            until the vehicle is gone.
    """

    info: str
    fault: Fault | None = None
    stays: bool = False


class Watch(Value, frozen=True):
    """What the rules remember.

    Attributes:
        over_s: since when the voltage is above its limit; None while it is not.
        least_v, most_v: of the converter since the meter's last reading.
        meter_s: when that was.
        apart: how many readings in a row did not fit.
    """

    over_s: float | None = None
    least_v: float = 0.0
    most_v: float = 0.0
    meter_s: float | None = None
    apart: int = 0


def watched(watch: Watch, seen: Seen, limit_v: float) -> Watch:
    """Return the memory after one more look.

    Args:
        limit_v: the most that may be at the output now.
    """
    is_over = seen.highest_v > limit_v
    over_s = (seen.now_s if watch.over_s is None else watch.over_s) if is_over else None
    watch = replace(watch, over_s=over_s)
    if not seen.has_output:
        return replace(watch, meter_s=None, apart=0)
    low_v, high_v = min(watch.least_v, seen.output_v), max(watch.most_v, seen.output_v)
    if watch.meter_s is None or not seen.has_meter:
        return replace(
            watch, least_v=seen.output_v, most_v=seen.output_v, meter_s=seen.meter_s, apart=0
        )
    if seen.meter_s <= watch.meter_s:
        return replace(watch, least_v=low_v, most_v=high_v)
    room_v = max(APART_V, APART_PART * high_v)
    fits = low_v - room_v <= seen.meter_v <= high_v + room_v
    return replace(
        watch,
        least_v=seen.output_v,
        most_v=seen.output_v,
        meter_s=seen.meter_s,
        apart=0 if fits else watch.apart + 1,
    )


def cut_at_once(seen: Seen) -> Cut | None:
    """Return why nothing may be given, judged by this instant alone."""
    vehicle = seen.present
    if vehicle is None:
        return Cut("the vehicle's side is silent")
    if vehicle.pilot not in READY_STATES:
        return Cut(f"the control pilot went to {vehicle.pilot.value}")
    if seen.faults:
        names = ", ".join(sorted(fault.value for fault in seen.faults))
        return Cut(f"a device reports {names}")
    if not seen.has_output:
        return Cut("the converter does not tell its output", Fault.COMMUNICATION_FAULT)
    return None


def cut_by(watch: Watch, seen: Seen) -> Cut | None:
    """Return why the output has to be cut, by what has lasted too long."""
    if watch.over_s is not None and seen.now_s - watch.over_s >= OVER_VOLTAGE_S:
        return Cut(f"{seen.highest_v:.0f} V at the output is too much", Fault.OVER_VOLTAGE)
    if watch.apart >= APART_READINGS:
        text = f"the meter shows {seen.meter_v:.0f} V, the converter {seen.output_v:.0f} V"
        return Cut(text, Fault.OVER_VOLTAGE)
    return None


def cut_by_isolation(seen: Seen) -> Cut | None:
    """Return why the isolation does not allow what is being done."""
    reading = seen.isolation
    if reading is None or not seen.has_isolation:
        return Cut("the isolation monitor is silent", Fault.COMMUNICATION_FAULT)
    if reading.is_alarm or not reading.resistance_ohm > least_ohm(seen.rating.max_v):
        text = f"isolation of {reading.resistance_ohm / 1000:.0f} kΩ"
        return Cut(text, Fault.GROUND_FAILURE)
    return None


def least_ohm(max_v: float) -> float:
    """Return what isolation has to be more than, of an output of so many volts."""
    return max(LEAST_OHM, FAULT_OHM_PER_V * max_v)


def isolation(seen: Seen) -> Isolation:
    """Return what the vehicle is told about the isolation while it is measured."""
    if seen.isolation is None or not seen.has_isolation:
        return Isolation.INVALID
    if cut_by_isolation(seen) is not None:
        return Isolation.FAULT
    is_low = seen.isolation.resistance_ohm < WARNING_OHM_PER_V * seen.rating.max_v
    return Isolation.WARNING if is_low else Isolation.VALID
