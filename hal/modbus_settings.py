"""Meters and controllers on Modbus in the board file: which register map is at which unit."""

from typing import Annotated

from msgspec import Meta

from hal.port_settings import Name
from hal.types import Value


class ModbusMeterSettings(Value, frozen=True, tag="modbus_meter", tag_field="driver"):
    """A meter that a register map describes.

    Attributes:
        poll_s: time between two polls, at most what `hal.api` demands.
        turned: it is wired the wrong way round: its export is what the EVSE draws.
    """

    port: Name
    map: Name
    unit: Annotated[int, Meta(ge=1, le=255)] = 1
    poll_s: Annotated[float, Meta(ge=0.2, le=5.0)] = 1.0
    turned: bool = False


class ModbusEvseSettings(Value, frozen=True, tag="modbus_evse", tag_field="driver"):
    """A controller that a register map describes.

    Attributes:
        tethered: the cable is fixed to the station.
    """

    port: Name
    map: Name
    unit: Annotated[int, Meta(ge=1, le=255)] = 1
    tethered: bool = False
