"""Block K on the wire, as far as others than the CSMS limit (K11, K13).

Whoever limits through the control socket or Modbus is a local energy manager for the CSMS;
the grid operator's input is the system operator's.
"""

import math

from agent.core import variables
from agent.core.bounds import GRID
from agent.core.effects import LimitTold
from agent.core.values import Bound
from agent.ocpp.adapter import View
from agent.ocpp.v201.datatypes import (
    ChargingLimitSource,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    Wire,
)
from agent.ocpp.v201.messages import (
    ChargingLimit,
    ClearedChargingLimitRequest,
    NotifyChargingLimitRequest,
)


def told(message: LimitTold, view: View) -> tuple[str, Wire]:
    """Return action and payload; what concerns the whole station names no EVSE.

    How much the limit leaves is told where the settings say so (K11.FR.03).
    """
    is_grid = message.origin == GRID
    source: ChargingLimitSource = "SO" if is_grid else "EMS"
    evse_id = message.evse_id or None
    if message.bound is None:
        return "ClearedChargingLimit", ClearedChargingLimitRequest(source, evse_id)
    limit = ChargingLimit(source, is_grid_critical=True if is_grid else None)
    is_whole = view.settings.flag(variables.LIMIT_SCHEDULES)
    schedules = (_schedule(message.bound),) if is_whole else None
    return "NotifyChargingLimit", NotifyChargingLimitRequest(limit, schedules, evse_id)


def _schedule(bound: Bound) -> ChargingSchedule:
    """Return a limit that holds until something else is told; tenths, never rounded up."""
    unit: ChargingRateUnit = "W" if bound.limit_a is None else "A"
    limit = (bound.limit_w or 0.0) if bound.limit_a is None else bound.limit_a
    period = ChargingSchedulePeriod(0, math.floor(limit * 10 + 1e-6) / 10)
    return ChargingSchedule(1, unit, (period,))
