"""What a board file says of a controller that is simulated, or has a serial line of its own.

controller = { driver = "simulated" }
controller = { driver = "openevse", path = "/dev/serial/by-id/usb-…" }
controller = { driver = "safety_mcu", path = "/dev/ttyAMA0" }
meter      = { driver = "openevse" }     # the one in the controller
"""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from hal.reader_settings import Baudrate, Device
from hal.types import Value


class SimulatedControllerSettings(Value, frozen=True, tag="simulated", tag_field="driver"):
    """A simulated controller: a socket with a lock, or a tethered cable.

    Attributes:
        energy_wh: register of a simulated meter when it has no state file yet.
    """

    tethered: bool = False
    energy_wh: Annotated[float, Meta(ge=0.0, le=1e12)] = 0.0


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


class OpenEvseMeterSettings(Value, frozen=True, tag="openevse", tag_field="driver"):
    """The meter in the OpenEVSE board that is the controller of the same EVSE."""


OPENEVSE_MEASURES: Final = ("energy_import", "power_total", "current_l1", "voltage_l1")
"""What that meter measures, by the names of `hal.registers.vocabulary`."""

LineControllerSettings: TypeAlias = OpenEvseSettings | SafetyMcuSettings


def wrong_meter(meter: object, controller: object, phases: int) -> str | None:
    """Return why a controller's own meter cannot be an EVSE's; None when it can, or is none."""
    if not isinstance(meter, OpenEvseMeterSettings):
        return None
    if not isinstance(controller, OpenEvseSettings):
        return "is in a controller of the driver openevse, which this EVSE has not"
    return None if phases == 1 else f"measures 1 phase, the EVSE has {phases}"
