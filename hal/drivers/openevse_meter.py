"""What an OpenEVSE board measures itself: one conductor, whole Wh (docs/devices/openevse.md).

The board counts the energy of all sessions that are over (Wh) and that of the one under way
(Ws). A session begins and ends with the vehicle; its end adds it to the total, rounded down,
and leaves its Ws standing until the next one begins. So the register is

    the total  +  the session, rounded down, while a vehicle is there

which neither jumps nor falls when one comes or goes. Whether one is there is asked before and
after the counters: a poll between which one came or went is a failed one.
"""

from typing import Final

from hal.drivers.openevse import OpenEvse
from hal.drivers.polled_meter import PolledMeter
from hal.errors import DeviceError
from hal.types import MAX_OFFER_A, MeterReading, Phases

_WS_PER_WH: Final = 3600
_MOST_V: Final = 300.0


class OpenEvseMeter(PolledMeter):
    """The meter in a board; it speaks on the board's line, which its driver holds open."""

    def __init__(self, board: OpenEvse) -> None:
        super().__init__()
        self._board = board
        self._register_wh = 0

    async def _poll(self) -> MeterReading:
        shown = await self._board.counted()
        register_wh = shown.total_wh
        if shown.is_plugged:
            register_wh += shown.session_ws // _WS_PER_WH
        if register_wh < self._register_wh:
            raise DeviceError(f"its register fell from {self._register_wh} to {register_wh} Wh")
        volts, amperes = shown.millivolts / 1000, shown.milliamperes / 1000
        if not (0.0 <= volts <= _MOST_V and 0.0 <= amperes <= 1.5 * MAX_OFFER_A):
            raise DeviceError(f"it shows {volts:g} V and {amperes:g} A; has it an ammeter?")
        self._register_wh = register_wh
        return MeterReading(
            energy_import_wh=float(register_wh),
            power_w=volts * amperes,
            current_a=Phases(amperes, 0.0, 0.0),
            voltage_v=Phases(volts, 0.0, 0.0),
        )
