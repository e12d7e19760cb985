"""What a board file says of a controller that has a serial line of its own.

controller = { driver = "openevse", path = "/dev/serial/by-id/usb-…" }
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


LineControllerSettings: TypeAlias = OpenEvseSettings
