"""What a board file says of a controller that has a serial line of its own.

controller = { driver = "openevse", path = "/dev/serial/by-id/usb-…" }
controller = { driver = "safety_mcu", path = "/dev/ttyAMA0" }
"""

from typing import TypeAlias

from hal.reader_settings import Baudrate, Device
from hal.types import Value


class OpenEvseSettings(Value, frozen=True, tag="openevse", tag_field="driver"):
    """An OpenEVSE board, or a relative that speaks RAPI.

    Attributes:
        path: of the device. Names under /dev/serial/by-id or by-path stay the same whatever
            else is plugged in.
    """

    path: Device
    baudrate: Baudrate = 115_200


class SafetyMcuSettings(Value, frozen=True, tag="safety_mcu", tag_field="driver"):
    """A board of one's own that speaks the protocol of docs/safety-mcu.md.

    Attributes:
        path: as above.
    """

    path: Device
    baudrate: Baudrate = 115_200


LineControllerSettings: TypeAlias = OpenEvseSettings | SafetyMcuSettings
