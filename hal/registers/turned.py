"""The map of a meter that is wired the wrong way round: what it exports is what we draw."""

from typing import Final

from msgspec import structs

from hal.registers.codec import Point
from hal.registers.map import RegisterMap

_WAYS: Final = {"energy_import": "energy_export", "energy_export": "energy_import"}


def turned(register_map: RegisterMap) -> RegisterMap:
    """Return a map with both energies exchanged and the sign of power turned.

    Currents stay as they are: most meters show them without a sign.

    Raises:
        ValueError: the map has no export register, which would have to be billed.
    """
    if not any(point.name == "energy_export" for point in register_map.points):
        raise ValueError(f"{register_map.id} has no energy_export: it cannot be turned round")
    points = tuple(_turned(point) for point in register_map.points)
    return structs.replace(register_map, points=points)


def _turned(point: Point) -> Point:
    way, found, conductor = point.name.partition("_l")
    if way in _WAYS:
        name = f"{_WAYS[way]}{found}{conductor}"
        return structs.replace(point, name=name, is_optional=name != "energy_import")
    if point.unit not in {"W", "var"}:
        return point
    return structs.replace(
        point,
        factor=-point.factor,
        offset=-point.offset,
        minimum=-point.maximum,
        maximum=-point.minimum,
    )
