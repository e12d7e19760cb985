"""Block K on the wire, as far as others than the CSMS limit (K11, K13).

Whoever limits through the control socket or Modbus is a local energy manager for the CSMS;
the grid operator's input is the system operator's.
"""

from agent.core.bounds import GRID
from agent.core.effects import LimitTold
from agent.ocpp.v201.datatypes import ChargingLimitSource, Wire
from agent.ocpp.v201.messages import (
    ChargingLimit,
    ClearedChargingLimitRequest,
    NotifyChargingLimitRequest,
)


def told(message: LimitTold) -> tuple[str, Wire]:
    """Return action and payload; what concerns the whole station names no EVSE."""
    is_grid = message.origin == GRID
    source: ChargingLimitSource = "SO" if is_grid else "EMS"
    evse_id = message.evse_id or None
    if not message.is_in_force:
        return "ClearedChargingLimit", ClearedChargingLimitRequest(source, evse_id)
    limit = ChargingLimit(source, is_grid_critical=True if is_grid else None)
    return "NotifyChargingLimit", NotifyChargingLimitRequest(limit, evse_id=evse_id)
