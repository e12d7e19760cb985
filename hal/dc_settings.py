"""What a board file says of an EVSE that charges with direct current (docs/dc.md).

[[evse]]
id         = 1
max_a      = 96                   # per phase of the supply, what the cabinet is wired for
phases     = 3
controller = { driver = "dc", efficiency = 0.94 }
meter      = { driver = "modbus_meter", port = "meter", map = "acrel-djsf1352" }
isolation  = { driver = "isocha425", port = "isolation" }
contactor  = { driver = "modbus_contactor", port = "io", coil = 0, feedback = 0 }
vehicle    = { driver = "socket", path = "/run/pilotwire/vehicle-1.sock" }

[evse.converter]                  # hal.converter_settings
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Protocol, TypeAlias

from msgspec import Meta

from hal.port_settings import Name
from hal.types import MAX_OFFER_A, Value

DC_PARTS: Final = ("converter", "isolation", "vehicle", "contactor")
"""What an EVSE of direct current has, and no other one."""

Address = Annotated[int, Meta(ge=0, le=65_535)]
Unit = Annotated[int, Meta(ge=1, le=255)]


class DcEvseSettings(Value, frozen=True, tag="dc", tag_field="driver"):
    """The sequence of a DC charge, over the devices that the EVSE names beside.

    Attributes:
        efficiency: of the converter at its worst: what of the supply's power reaches the
            vehicle.
    """

    efficiency: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.92


class IsoChaSettings(Value, frozen=True, tag="isocha425", tag_field="driver"):
    """A Bender isoCHA425 or isoCHA423; its maker's unit is 3."""

    port: Name
    unit: Unit = 3


class ModbusContactorSettings(Value, frozen=True, tag="modbus_contactor", tag_field="driver"):
    """A coil and a discrete input of an I/O module on Modbus.

    Attributes:
        coil: closes the contactor, by its address on the wire.
        feedback: the mirror contact, likewise.
        inverted: the mirror contact reads 1 while the contactor is open.
    """

    port: Name
    coil: Address
    feedback: Address
    unit: Unit = 1
    inverted: bool = False


class VehicleSocketSettings(Value, frozen=True, tag="socket", tag_field="driver"):
    """Where the process that speaks with the vehicle connects to; absolute."""

    path: Annotated[str, Meta(pattern=r"^/.*[^/]$", max_length=100)]


DcDevice = IsoChaSettings | ModbusContactorSettings


class OutletSettings(Protocol):
    """What an EVSE of a board file has to do with direct current."""

    @property
    def max_a(self) -> float: ...
    @property
    def connectors(self) -> int: ...
    @property
    def is_dc(self) -> bool: ...
    @property
    def converter(self) -> object | None: ...
    @property
    def isolation(self) -> IsoChaSettings | None: ...
    @property
    def vehicle(self) -> VehicleSocketSettings | None: ...
    @property
    def contactor(self) -> ModbusContactorSettings | None: ...


_Mistake: TypeAlias = tuple[int, tuple[str, ...], str]
"""Index of the EVSE, where in it, and what is wrong."""


def dc_devices(evses: Sequence[OutletSettings]) -> Iterator[tuple[int, str, DcDevice]]:
    """Yield the devices of direct current on Modbus: index of the EVSE, key, settings."""
    for index, evse in enumerate(evses):
        if evse.isolation is not None:
            yield index, "isolation", evse.isolation
        if evse.contactor is not None:
            yield index, "contactor", evse.contactor


def wrong_supply(max_a: float, connectors: int, *, is_dc: bool) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the size of an EVSE, each with its key."""
    if not is_dc and max_a > MAX_OFFER_A:
        text = f"must be a number (at least 6, at most {MAX_OFFER_A:g})"
        yield "max_a", f"{text}: a control pilot offers no more"
    if is_dc and connectors != 1:
        yield "connectors", "must be 1: an EVSE of direct current has one connector"


def wrong_outlets(
    evses: Sequence[OutletSettings], taken: Mapping[tuple[str, int], str]
) -> Iterator[_Mistake]:
    """Yield the mistakes that types cannot refuse.

    Args:
        taken: by port and unit, whose device of another kind it is.
    """
    paths: set[str] = set()
    for index, evse in enumerate(evses):
        missing = [name for name in DC_PARTS if getattr(evse, name) is None]
        if evse.is_dc and missing:
            text = f'a controller with driver = "dc" needs {", ".join(missing)} beside'
            yield index, (), text
        for name in DC_PARTS:
            if not evse.is_dc and name not in missing:
                text = f'{name} is for an EVSE whose controller has driver = "dc"'
                yield index, (name,), text
        for key, text in wrong_supply(evse.max_a, evse.connectors, is_dc=evse.is_dc):
            yield index, (key,), f"evse[{index}].{key} {text}"
        if evse.vehicle is not None:
            if evse.vehicle.path in paths:
                text = "is another EVSE's: each has a socket of its own"
                yield index, ("vehicle", "path"), text
            paths.add(evse.vehicle.path)
    yield from _shared(evses, taken)


def _shared(
    evses: Sequence[OutletSettings], taken: Mapping[tuple[str, int], str]
) -> Iterator[_Mistake]:
    """Yield devices that are somebody else's; contactors may share a module, but no coil."""
    monitors: set[tuple[str, int]] = set()
    modules: set[tuple[str, int]] = set()
    coils: set[tuple[str, int, int]] = set()
    for index, key, device in dc_devices(evses):
        place = (device.port, device.unit)
        where = f"unit {device.unit} of port {device.port}"
        is_monitor = isinstance(device, IsoChaSettings)
        if place in taken:
            yield index, (key, "unit"), f"{where} is {taken[place]}"
        elif place in monitors or (is_monitor and place in modules):
            yield index, (key, "unit"), f"{where} is another device already"
        if isinstance(device, IsoChaSettings):
            monitors.add(place)
            continue
        modules.add(place)
        if (*place, device.coil) in coils:
            text = f"coil {device.coil} of {where} is another contactor's"
            yield index, (key, "coil"), text
        coils.add((*place, device.coil))
