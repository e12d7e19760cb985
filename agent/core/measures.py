"""Which measurands a station offers: what its meters measure, and what it knows itself.

A meter that signs has its public key among the settings, as soon as it has shown it.

A list of measurands with one that nobody measures is refused as a whole (1.6 reference 5.3).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agent.core.values import EvseSpec, Measurand
from agent.core.variables import PHASED, Access, Kind, Variable

COMPONENT: Final = "FiscalMetering"

LONGEST_KEY: Final = 500
"""Characters that a value of 1.6 has room for; no key is shown in part."""

_BY_POINT: Final[Mapping[str, tuple[Measurand, ...]]] = {
    "current_dc": (Measurand.CURRENT_IMPORT,),
    "current_l1": (Measurand.CURRENT_IMPORT,),
    "energy_export": (Measurand.ENERGY_EXPORT,),
    "frequency": (Measurand.FREQUENCY,),
    "power_factor": (Measurand.POWER_FACTOR,),
    "reactive_total": (Measurand.REACTIVE_IMPORT, Measurand.REACTIVE_EXPORT),
    "voltage_dc": (Measurand.VOLTAGE, Measurand.POWER_OFFERED),
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
    most = max((0 if spec.is_dc else spec.phases for spec in specs), default=1)
    phased = (
        f"{one.value}.L{phase + 1}" for one in PHASED if one in found for phase in range(most)
    )
    return (*sorted(one.value for one in found), *phased)


def with_key(
    known: tuple[Variable, ...], specs: Sequence[EvseSpec], evse_id: int, public_key: str
) -> tuple[Variable, ...]:
    """Return settings of a station with the key of an EVSE's meter, one for each connector.

    They are the same object when the key is known. Connectors are counted through the station,
    as 1.6 numbers them.
    """
    own = next(spec for spec in specs if spec.evse_id == evse_id)
    before = sum(spec.connectors for spec in specs if spec.evse_id < evse_id)
    found = (_key(before + one, public_key) for one in range(1, own.connectors + 1))
    others = {item.key for item in known if item.component != COMPONENT}
    mine = {item.name: item for item in found if item.key not in others}
    if len(public_key) > LONGEST_KEY or all(item in known for item in mine.values()):
        return known
    return (*(item for item in known if item.name not in mine), *mine.values())


def _key(number: int, public_key: str) -> Variable:
    return Variable(
        COMPONENT,
        "PublicKey",
        Kind.STRING,
        public_key,
        f"What the meter of connector {number} signs is checked with this public key.",
        instance=str(number),
        key=f"MeterPublicKey{number}",
        access=Access.READ_ONLY,
        maximum=LONGEST_KEY,
        is_derived=True,
    )


def _of(spec: EvseSpec) -> Iterable[Measurand]:
    vehicles = (Measurand.SOC,) if spec.is_dc else ()
    if spec.measures is None:
        return (*(one for one in Measurand if one is not Measurand.SOC), *vehicles)
    own = (one for point in spec.measures for one in _BY_POINT.get(point, ()))
    return (*_ALWAYS, *own, *vehicles)
