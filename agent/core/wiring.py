"""What the board says of the settings: how connectors are wired to the grid's phases.

Both versions tell the wiring in the same words (1.6 ConnectorPhaseRotation, 2.0.1
PhaseRotation): R, S and T are the grid's conductors in the order in which they reach the
connector. A board that does not say how it is wired is wired in a way that is unknown.
"""

from collections.abc import Sequence

from agent.core.values import EvseSpec
from agent.core.variables import ROTATIONS

_LETTERS = "RST"
_THREE = 3


def rotations(specs: Sequence[EvseSpec]) -> str:
    """Return the wiring of the station (0) and of each connector, counted over all EVSEs."""
    words = [_rotation(spec) for spec in specs for _ in range(spec.connectors)]
    return ",".join(f"{number}.{word}" for number, word in enumerate(["Unknown", *words]))


def possible(specs: Sequence[EvseSpec]) -> tuple[str, ...]:
    """Return everything that may be said of the wiring of these EVSEs."""
    numbers = range(sum(spec.connectors for spec in specs) + 1)
    return tuple(f"{number}.{word}" for number in numbers for word in ROTATIONS)


def _rotation(spec: EvseSpec) -> str:
    if spec.phases != _THREE:
        return "NotApplicable"
    return "".join(_LETTERS[line] for line in spec.conductors) or "Unknown"
