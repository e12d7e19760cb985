"""`hal release`: nothing stays switched on a board that is wired to this machine.

A process that dies leaves PWM and lines as they were: the kernel makes no promise about them.
systemd runs this when the agent has ended, however it ended (`ExecStopPost=`).
"""

from collections.abc import Iterator
from pathlib import Path

from hal.board_file import load_board
from hal.bus.gpio_lines import GpiodLines, Requested
from hal.drivers.direct_board import DirectBoard
from hal.errors import BusError
from hal.gpio_settings import GpioEvseSettings


def released(path: Path, *, requested: Requested = GpiodLines) -> Iterator[str]:
    """Open the contactor of each EVSE and stop its PWM; yield a line for each.

    Every EVSE is tried, whatever happens to the others.

    Args:
        path: of a board file.
        requested: how lines are taken.

    Raises:
        FileProblems: every mistake in the file.
        BoardError: gpiod is not installed.
        BusError: some could not be released, each with its reason.
    """
    failed = []
    for evse in load_board(path).evses:
        if not isinstance(evse.controller, GpioEvseSettings):
            continue
        board = DirectBoard(evse.controller, requested=requested)
        try:
            board.open()
        except (OSError, ValueError) as error:
            failed.append(f"EVSE {evse.id}: {error}")
        else:
            board.close()
            yield f"EVSE {evse.id}: the contactor is open, the PWM has stopped"
    if failed:
        raise BusError("; ".join(failed))
