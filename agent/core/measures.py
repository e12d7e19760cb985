"""Which measurands a station offers: what its meters measure, and what it knows itself.

A list of measurands with one that nobody measures is refused as a whole (1.6 reference 5.3).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agent.core.values import EvseSpec, Measurand
from agent.core.variables import PHASED

_BY_POINT: Final[Mapping[str, tuple[Measurand, ...]]] = {
    "current_l1": (Measurand.CURRENT_IMPORT,),
    "energy_export": (Measurand.ENERGY_EXPORT,),
    "frequency": (Measurand.FREQUENCY,),
    "power_factor": (Measurand.POWER_FACTOR,),
    "reactive_total": (Measurand.REACTIVE_IMPORT, Measurand.REACTIVE_EXPORT),
    "voltage_l1": (Measurand.VOLTAGE, Measurand.POWER_OFFERED),
}

_ALWAYS: Final = (
    Measurand.CURRENT_OFFERED,
    Measurand.ENERGY_IMPORT,
    Measurand.POWER_EXPORT,
    Measurand.POWER_IMPORT,
    Measurand.TEMPERATURE,  # of the controller's sensor, when it has one
)


def offered(specs: Sequence[EvseSpec]) -> tuple[str, ...]:
    """Return what lists of measurands may hold: names, and names with a phase, sorted.

    What at least one EVSE measures can be wanted; the others leave it out.
    """
    found = {one for spec in specs for one in _of(spec)}
    most = max((spec.phases for spec in specs), default=1)
    phased = (
        f"{one.value}.L{phase + 1}" for one in PHASED if one in found for phase in range(most)
    )
    return (*sorted(one.value for one in found), *phased)


def _of(spec: EvseSpec) -> Iterable[Measurand]:
    if spec.measures is None:
        return Measurand
    own = (one for point in spec.measures for one in _BY_POINT.get(point, ()))
    return (*_ALWAYS, *own)
