"""A controller on a pseudo terminal for its tests: the driver, the board and a vehicle."""

from typing import Final

from hal.api import EvseController
from hal.sim.line_device import LineDevice
from hal.sim.vehicle import Vehicle

PTY_PATIENCE_S: Final = 0.0005
"""What pseudo terminals need of a loop in virtual time (tests.support.vloop)."""

QUICK: Final = Vehicle(reaction_s=0.0, adapt_s=0.0, ampacity_a=32.0)


class LineRig:
    """The rig of tests.support.contract_hal, for a board with a line of its own."""

    def __init__(self, board: LineDevice, controller: EvseController) -> None:
        self.board, self.evse = board, board.evse
        self.controller = controller

    async def plug(self) -> None:
        self.evse.plug(1, QUICK)

    async def unplug(self) -> None:
        self.evse.unplug()

    async def lose(self) -> None:
        self.board.is_silent = True

    async def restore(self) -> None:
        self.board.is_silent = False

    async def heat(self, temperature_c: float) -> None:
        self.evse.set("temperature", temperature_c)
