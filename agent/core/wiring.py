"""What the board says of the settings: how connectors are wired to the grid's phases.

Both versions tell the wiring in the same words (1.6 ConnectorPhaseRotation, 2.0.1
PhaseRotation): R, S and T are the grid's conductors in the order in which they reach the
connector. Where the board says how it is wired, nobody else does. Where it does not, the
wiring is unknown until the setting says it, and what is drawn is counted accordingly.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

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
    found: list[tuple[str, ...]] = [ROTATIONS]
    for spec in specs:
        is_known = spec.conductors or spec.phases != _THREE
        found += [(_rotation(spec),) if is_known else ROTATIONS] * spec.connectors
    return tuple(f"{number}.{word}" for number, words in enumerate(found) for word in words)


def wired(specs: Sequence[EvseSpec], told: Iterable[str]) -> tuple[EvseSpec, ...]:
    """Return the EVSEs as they are wired.

    Args:
        specs: as the board describes them.
        told: items of the setting; of an EVSE's connectors the first one counts.
    """
    words = dict(item.split(".") for item in told)
    found, number = [], 1
    for spec in specs:
        letters = words.get(str(number), "")
        is_open = not spec.conductors and spec.phases == _THREE
        is_said = is_open and set(letters) == set(_LETTERS)
        conductors = tuple(map(_LETTERS.index, letters)) if is_said else spec.conductors
        found.append(replace(spec, conductors=conductors))
        number += spec.connectors
    return tuple(found)


def _rotation(spec: EvseSpec) -> str:
    if spec.phases != _THREE:
        return "NotApplicable"
    return "".join(_LETTERS[line] for line in spec.conductors) or "Unknown"
