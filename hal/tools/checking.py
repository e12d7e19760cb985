"""`hal check`: what a register map or a board file says, without any device."""

from pathlib import Path

from hal.board_file import load_board
from hal.files import read
from hal.registers.map import RegisterMap, load_map
from hal.registers.plan import plan


def checked(path: Path) -> str:
    """Return in a line what a file without mistakes says.

    Raises:
        FileProblems: every mistake in it and in the files it names.
    """
    if "kind" in read(path).document:
        return f"{path}: {summary(load_map(path))}"
    board = load_board(path)
    maps = ", ".join(sorted(board.maps))
    return f"{path}: {len(board.evses)} EVSE, {len(board.ports)} ports, maps: {maps}"


def summary(register_map: RegisterMap) -> str:
    """Return what a map describes, and how many reads a poll takes."""
    bus = register_map.bus
    reads = plan(register_map.points, max_registers=bus.max_registers, max_gap=bus.max_gap)
    words = sum(read.count for read in reads)
    plural = "read" if len(reads) == 1 else "reads"
    facts = [
        f"{register_map.vendor} {register_map.model}",
        f"{len(register_map.points)} points in {len(reads)} {plural} of {words} words",
    ]
    part = register_map.evse
    if part is not None:
        facts.append(f"offers {part.set_current.ranges} A")
        watchdog = part.watchdog
        facts.append(
            f"falls back after {watchdog.timeout_s:g} s"
            if watchdog is not None
            else "keeps offering when nobody talks to it"
        )
    return ", ".join(facts)
