"""What the sequence of a DC output goes by: everything that is known at one instant.

    permission   what may be given, and whether the contactor may close at all
    vehicle      where its conversation stands, and what it asks for
    converter    what comes out of it, and what it could give
    meter        what an independent meter shows at the outlet
    isolation    what the monitor shows, and whether its self test has passed
    contactor    what its mirror contact says

Instants are seconds of one clock that never goes back. What is too old is not known.
"""

import math
from typing import Final

from hal.dc_types import DcRating, IsolationReading, VehicleState
from hal.types import NO_OUTPUT, ConverterLimits, Fault, Value

SILENT_S: Final = 2.0
"""A vehicle's side that says nothing for so long is lost (hardware reference 1.4: messages of
a session time out after 0.25 to 2 s)."""

CONVERTER_FRESH_S: Final = 3.0
METER_FRESH_S: Final = 5.0
ISOLATION_FRESH_S: Final = 5.0
"""How long a reading counts. The converter is asked every second, the meter tells at least
every 5 s (hal.api, M1), a monitor twice a second."""

NEVER: Final = -math.inf


class Seen(Value, frozen=True):
    """Everything at one instant.

    Attributes:
        now_s: the instant.
        rating: what the output may carry.
        offer_w: what may be given to the vehicle; 0 for nothing.
        is_wanted: the contactor may close.
        vehicle, heard_s: what its side told last, and when.
        output_v, output_a, output_s: what the converter measured last, and when.
        given: what the converter can put out now, as it told last.
        meter_v, meter_s: at the outlet; likewise.
        isolation, isolation_s: what the monitor showed last, and when.
        is_tested: how the monitor's self test of this session came out; None without one.
        is_closed: by the mirror contact; None while nobody knows.
        faults: of converter, monitor and contactor.
    """

    now_s: float
    rating: DcRating
    offer_w: float = 0.0
    is_wanted: bool = False
    vehicle: VehicleState | None = None
    heard_s: float = NEVER
    output_v: float = 0.0
    output_a: float = 0.0
    output_s: float = NEVER
    given: ConverterLimits = NO_OUTPUT
    meter_v: float = 0.0
    meter_s: float = NEVER
    isolation: IsolationReading | None = None
    isolation_s: float = NEVER
    is_tested: bool | None = None
    is_closed: bool | None = None
    faults: frozenset[Fault] = frozenset()

    @property
    def present(self) -> VehicleState | None:
        """Return what the vehicle's side says, None when it is silent."""
        return self.vehicle if self.now_s - self.heard_s < SILENT_S else None

    @property
    def has_output(self) -> bool:
        """Tell whether the converter's reading is fresh."""
        return self.now_s - self.output_s < CONVERTER_FRESH_S

    @property
    def has_meter(self) -> bool:
        """Tell whether the meter's reading is fresh."""
        return self.now_s - self.meter_s < METER_FRESH_S

    @property
    def has_isolation(self) -> bool:
        """Tell whether the monitor's reading is fresh."""
        return self.isolation is not None and self.now_s - self.isolation_s < ISOLATION_FRESH_S

    @property
    def highest_v(self) -> float:
        """Return the most that anybody measures at the output now."""
        found = [0.0]
        if self.has_output:
            found.append(self.output_v)
        if self.has_meter:
            found.append(self.meter_v)
        if self.has_isolation and self.isolation is not None:
            found.append(self.isolation.voltage_v or 0.0)
        return max(found)
