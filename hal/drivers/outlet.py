"""From the settings of an EVSE of direct current to its drivers; nothing is opened here."""

from collections.abc import Callable
from pathlib import Path

from hal.api import PowerConverter
from hal.bus.modbus import ModbusPort
from hal.dc_settings import IsoChaSettings, ModbusContactorSettings, VehicleSocketSettings
from hal.dc_types import DcRating
from hal.drivers.dc_evse import DcEvse, Supply
from hal.drivers.dc_parts import Parts
from hal.drivers.isocha import IsoCha
from hal.drivers.modbus_contactor import ModbusContactor
from hal.drivers.vehicle_socket import VehicleSocket


def dc_evse(
    converter: PowerConverter,
    devices: tuple[IsoChaSettings, VehicleSocketSettings, ModbusContactorSettings],
    port_of: Callable[[str], ModbusPort],
    rating: DcRating,
    supply: Supply,
) -> DcEvse:
    """Return an outlet behind a converter.

    Args:
        port_of: returns the line of a name in the board file.
    """
    isolation, vehicle, contactor = devices
    parts = Parts(
        converter=converter,
        isolation=IsoCha(port_of(isolation.port), isolation.unit),
        vehicle=VehicleSocket(Path(vehicle.path)),
        contactor=ModbusContactor(
            port_of(contactor.port),
            contactor.unit,
            coil=contactor.coil,
            feedback=contactor.feedback,
            inverted=contactor.inverted,
        ),
    )
    return DcEvse(parts, rating, supply)
